"""Time inside a tick."""

from engine.component import Resource, column


class Substeps(Resource):
    """A tick is 1 ms; membranes take `count` substeps inside it."""

    count = column("i8", unit="substep", init=10, doc="Substeps per tick; shape [1].")
