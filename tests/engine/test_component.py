"""Components are declarations: columns with dtype, unit, initial value and meaning, found in the order written."""

import numpy as np

from components import body, network, neuron, timing
from engine.component import Component, Resource, Side, column
from tests.engine.toy import Ball, Room


def test_columns_know_their_name_owner_unit_and_dtype():
    assert [c.name for c in Ball.columns] == ["y", "speed"]
    assert Ball.y.owner is Ball and Ball.y.unit == "m" and Ball.y.init == 1.0 and Ball.y.doc == "Height."
    assert Ball.speed.dtype == np.float32
    assert repr(Ball.speed) == "Ball.speed"


def test_a_subclass_adds_to_the_columns_of_its_parent():
    class Heavy(Ball):
        mass = column("f8", unit="kg", doc="Mass.")

    assert [c.name for c in Heavy.columns] == ["y", "speed", "mass"]
    assert [c.name for c in Ball.columns] == ["y", "speed"]


def test_two_components_may_use_one_column_name():
    class Other(Component):
        y = column("f8", unit="m", doc="Another y.")

    assert Other.y is not Ball.y and Other.y != Ball.y and len({Other.y, Ball.y}) == 2


def test_resources_and_sides_are_components():
    assert issubclass(Resource, Component) and issubclass(Side, Component)
    assert [c.name for c in Room.columns] == ["gravity", "floor", "key", "ran"]


def test_every_declared_column_has_a_unit_and_a_meaning():
    """Over all components of the program: the inspector and the loader read them."""
    found = 0
    for module in (body, network, neuron, timing):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Component) and kind.__module__ == module.__name__:
                assert kind.__doc__, kind
                for c in kind.columns:
                    assert c.unit and c.doc.endswith("."), f"{c!r} lacks a unit or a sentence"
                    found += 1
    assert found > 60
