"""Two sounds and pain: what is learnt of which, from spikes alone, and where the error comes from."""

import pytest

from encephagen import load
from engine.scene import load_scene
from systems.probes import Probes
from systems.simulation import Simulation
from systems.spawn.scene_model import SCENES, Scene, in_condition
from systems.spawn.scene_model import exchanged as counterbalanced


def measured(name: str, condition: str, seed: int) -> dict[str, float]:
    scene, source = load_scene(name, Scene, [SCENES])
    made, source = in_condition(scene, source, condition)
    pair = scene.experiment.counterbalance if seed % 2 else ()
    sim = Simulation(counterbalanced(made, pair), source, seed=seed)
    probes = Probes(sim)
    sim.run(made.duration)
    return probes.values()


@pytest.mark.slow
def test_of_two_sounds_the_one_before_pain_is_told_apart_downstream_and_unpaired_neither_is():
    """One held-out seed in two arms; the claims with 20 seeds are those of the scene."""
    paired, unpaired = (measured("experiments/conditioning", arm, 1001) for arm in ("paired", "unpaired"))
    assert paired["d_after"] > 2 and abs(unpaired["d_after"]) < 1.5, (paired, unpaired)
    assert paired["central_after"] > 1.8 * paired["central_before"]
    assert abs(unpaired["central_after"] / unpaired["central_before"] - 1) < 0.25


def test_pain_bursts_and_expectation_pauses_the_cells_of_the_error():
    """Pain drives them; fear alone holds them below rest, by the cells between; with these cut it does not."""

    def rates(*overrides):
        sim = load(
            "experiments/conditioning", seed=8, overrides=["timeline=[]", "probes=[]", "experiment=null", *overrides]
        )
        sim.run("500 ms")
        rest = sim.rate_hz("conditioning.all.error", "400 ms")
        sim.stimulate("amygdala.all.central", "30 mV", "300 ms")
        sim.run("300 ms")
        fear = sim.rate_hz("conditioning.all.error", "250 ms")
        sim.run("300 ms")
        sim.stimulate("brainstem.*.parabrachial", "25 mV", "100 ms")
        sim.run("100 ms")
        return rest, fear, sim.rate_hz("conditioning.all.error", "100 ms")

    rest, fear, pain = rates()
    assert 4 < rest < 9 and fear < 0.4 * rest and pain > 4 * rest
    assert rates('brain.gains={"conditioning:less": 0}')[1] > 0.7 * rest
