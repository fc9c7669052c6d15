"""Every population of every circuit hears something and speaks to something, or its file says why not.

Inputs are synapses of other populations and sense organs; outputs are synapses onto others, muscles and gains.
"""

import pytest

from systems.spawn import build
from systems.spawn.network import CIRCUITS, load_circuit
from tests.systems.nets import build as small
from tests.systems.nets import cell
from tools.health_measure import unjoined

FILES = sorted(path.stem for path in CIRCUITS.glob("*.yaml"))
LACKING: dict[str, str] = {}


def cells():
    for file in FILES:
        circuit, _ = load_circuit(file)
        for name in circuit.cells:
            key = f"{circuit.structure}.{name}"
            marks = [pytest.mark.xfail(strict=True, reason=LACKING[key])] if key in LACKING else []
            yield pytest.param(circuit.structure, name, id=key, marks=marks)


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """What the newborn with all circuits lacks: (population, "input" or "output")."""
    from systems.simulation import load

    scene = tmp_path_factory.mktemp("all") / "all.yaml"
    brain = f"{{profile: newborn, circuits: [{', '.join(FILES)}]}}"
    scene.write_text(f"title: every circuit\nseed: 1\nduration: 1 s\nbrain: {brain}\nbody: {{model: newborn}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "background_rates", lambda network, profile, calibrations: {})
        sim = load(scene)
    return unjoined(sim.world, sim.network)


@pytest.mark.parametrize(("structure", "name"), list(cells()))
def test_every_population_has_an_input_and_an_output(lacking, structure, name):
    own = [(p, what) for p, what in lacking if p.startswith(f"{structure}.") and p.endswith(f".{name}")]
    assert own == []


def test_what_lacks_an_input_or_an_output_is_named():
    """a -> b -> b: a lacks an input, b an output (its own synapses do not count); reasons, organs, muscles excuse."""

    def lacks(**changes):
        kinds = {"a": cell(count=3), "b": cell(count=3)}
        for name, more in changes.items():
            kinds[name] |= more
        projections = [{"from": source, "to": "b", "indegree": 2, "psp": "1 mV"} for source in "ab"]
        world, network, _ = small(kinds, projections)
        return unjoined(world, network)

    assert lacks() == [("toy.all.a", "input"), ("toy.all.b", "output")]
    assert lacks(a={"no_input": "a pacemaker"}, b={"no_output": "a bystander"}) == []
    assert lacks(a={"sense": {"organ": "touch", "gain": "1 mV"}}, b={"motor": True}) == []


def test_a_gain_is_an_output():
    """m modulates a -> b and has no synapse; without the gain it lacks an output."""
    kinds = {"a": cell(no_input="a source"), "b": cell(no_output="a sink"), "m": cell(no_input="a source")}
    joined = {"from": "a", "to": "b", "indegree": 1, "psp": "1 mV"}
    for gains, expected in (
        ([{"by": "toy.m", "reference": "5 Hz", "slope": 1.0}], []),
        ([], [("toy.all.m", "output")]),
    ):
        world, network, _ = small(kinds, [{**joined, "modulated": gains}])
        assert unjoined(world, network) == expected
