"""Upright and soles pressed, together, make the newborn step; neither does alone (scenes/exam/stepping.yaml)."""

import pytest

from engine.scene import load_scene
from systems.probes import Probes
from systems.simulation import Simulation
from systems.spawn.scene_model import SCENES, Scene

SMALL = (
    "brain.circuits=[brainstem,spinal_segments,spinal_cpg]",
    "brain.stand_ins=[cortex,hypothalamus,neuromodulators,basal_ganglia,superior_colliculus,cerebellum,amygdala]",
)
PRESSES = ", ".join(f"{{at: 0 s, touch: {{patch: sole_ball_{side}, force: 2 N}}}}" for side in ("left", "right"))
PRESSED = f"timeline=[{PRESSES}]"


def held(*overrides, silence=(), run="4 s") -> Simulation:
    scene, source = load_scene("exam/stepping", Scene, [SCENES], [*SMALL, *overrides])
    sim = Simulation(scene, source, seed=3)
    for selector in silence:
        sim.silence(selector)
    sim.run(run)
    return sim


def stance_hz(sim: Simulation) -> float:
    return sim.rate_hz("brainstem.*.stance", "3 s")


@pytest.fixture(scope="module")
def stepping() -> Simulation:
    return held()


def test_upright_on_the_soles_wakes_the_locomotor_region(stepping):
    assert stance_hz(stepping) > 10.0
    assert stepping.rate_hz("brainstem.*.locomotor", "3 s") > 8.0, "the band of brainstem.yaml when driven"


@pytest.mark.parametrize(
    ("lacks", "overrides", "silence"),
    [
        ("contact", ["timeline.0.hold.lift=100 mm"], ()),
        ("upright trunk", ["body.pose=supine_held", PRESSED], ()),
        ("touch of the soles", [], ["spinal_segments.sole*.cutaneous"]),
        ("otoliths", [], ["brainstem.up.otolith"]),
    ],
)
def test_neither_alone_does(stepping, lacks, overrides, silence):
    sim = held(*overrides, silence=silence)
    assert stance_hz(sim) < 0.1 * stance_hz(stepping), lacks


def test_the_legs_alternate_and_hop_without_commissural_cells():
    def left_right(silence=()):
        scene, source = load_scene("exam/stepping", Scene, [SCENES], SMALL)
        sim = Simulation(scene, source, seed=3)
        for selector in silence:
            sim.silence(selector)
        probes = Probes(sim)
        for _ in range(120):
            sim.run("100 ms")
            probes.look()
        return probes.values()["left_right"]

    assert left_right() < -0.6
    assert left_right(["spinal_cpg.*.v0*"]) > 0.3, "as mice without V0 neurons (Talpalar 2013)"


def test_an_adults_soles_do_not_make_it_step():
    sim = held("brain.profile=adult")
    _, _, weights = sim.weights("brainstem:steps_when_held")
    assert not weights.any()


@pytest.mark.slow
def test_a_step_takes_one_to_three_seconds():
    """0.33..1 Hz (Siekerman 2015) with the whole newborn brain, in every seed."""
    for seed in (1001, 1002, 1003):
        scene, source = load_scene("exam/stepping", Scene, [SCENES])
        sim = Simulation(scene, source, seed=seed)
        probes = Probes(sim)
        for _ in range(180):
            sim.run("100 ms")
            probes.look()
        assert 0.333 <= probes.values()["steps"] <= 1.0, seed
