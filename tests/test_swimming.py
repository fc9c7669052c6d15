"""Swimming: only in water and only on the belly, and nothing of it in air."""

import pytest

from engine.scene import load_scene
from systems.simulation import Simulation
from systems.spawn.scene_model import SCENES, Scene

CORD = ["brain.circuits=[spinal_cpg, brainstem, spinal_segments]", "brain.stand_ins=[hypothalamus]", "actions=[]",
        "shell={}", "experiment=null", "brain.silence=[]"]  # fmt: skip
NEW = ("spinal_segments.*.cold", "brainstem.*.cool", "brainstem.*.swimming", "spinal_segments.*.stroke_*",
       "spinal_segments.*.bending")  # fmt: skip


def run(ms: int, scene="exam/swimming", *overrides: str) -> Simulation:
    made, source = load_scene(scene, Scene, [SCENES], [*CORD, *overrides])
    return Simulation(made, source, seed=5).run(ms)


@pytest.mark.slow
def test_a_newborn_swims_in_water_on_its_belly_and_not_else():
    swimming, drive = "brainstem.*.swimming", "brainstem.*.locomotor"
    wet = run(3000)
    assert wet.rate_hz(swimming, "1 s") > 20.0 and wet.rate_hz(drive, "1 s") > 15.0
    assert all(wet.rate_hz(cells, "1 s") > 5.0 for cells in NEW)
    air = run(3000, "exam/swimming", "body={model: newborn, pose: prone_held}")
    assert all(air.spike_count(cells, 0, 3000) == 0 for cells in NEW) and air.rate_hz(drive, "1 s") < 6.0
    back = run(2000, "exam/swimming", "body.pose=supine_held")
    assert back.rate_hz("spinal_segments.*.cold", "1 s") > 5.0 and back.spike_count(swimming, 0, 2000) == 0


@pytest.mark.slow
def test_who_steps_moves_neither_arms_nor_trunk_with_it():
    stepping = run(3000, "exam/stepping")
    assert stepping.rate_hz("spinal_cpg.*.rg_flexor", "1 s") > 20.0
    assert all(stepping.spike_count(cells, 0, 3000) == 0 for cells in NEW)
