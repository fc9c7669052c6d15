"""Starting noise, the time a body stays upright, and gains that belong to a body."""

import numpy as np
import pytest

from engine.errors import UserError
from systems.probes import Probes
from systems.simulation import load

FALLING = """
title: Nobody holds the walker
seed: {seed}
duration: 2 s
body: {{model: {body}, noise: {noise}}}
probes:
  - {{name: upright, measure: upright_time, of: "*"}}
  - {{name: late, measure: upright_time, of: "*", from: 500 ms}}
"""


@pytest.fixture
def falling(tmp_path):
    def make(seed=1, noise=0.005, body="walker"):
        path = tmp_path / "falling.yaml"
        path.write_text(FALLING.format(seed=seed, noise=noise, body=body))
        return load(str(path))

    return make


def start(sim) -> np.ndarray:
    return np.r_[sim.physics.data.qpos, sim.physics.data.qvel]


def test_a_start_is_off_by_at_most_the_noise_and_by_the_seed(falling):
    exact, one, again, two = (start(falling(**of)) for of in ({"noise": 0}, {"seed": 1}, {"seed": 1}, {"seed": 2}))
    assert np.array_equal(one, again) and not np.array_equal(one, two)
    off = np.abs(one - exact)
    assert off.max() <= 0.005 and np.mean(off) == pytest.approx(0.0025, abs=0.001), "uniform: half of the most"


def test_the_time_upright_ends_with_the_fall(falling):
    """Without muscles the walker falls within a second or so (zero action: 115 steps of 8 ms)."""
    sim = falling()
    probes, fell = Probes(sim), []
    sim.run(2000, on_tick=lambda s: s.body.fell(s.physics.data.qpos) and fell.append(s.tick))
    found = probes.values()
    assert 500 < found["upright"] < 1500
    assert fell[0] <= found["upright"] <= fell[0] + 20, "seen at the next sample"
    assert found["late"] == found["upright"] - 500


def test_a_body_that_cannot_fall_has_no_time_upright(falling):
    sim = falling(body="newborn", noise=0)
    with pytest.raises(UserError, match="expected a body that says when it has fallen"):
        Probes(sim)


def test_gains_of_a_body_hold_for_that_body_only(tmp_path):
    """body_walker.json multiplies PSPs in scenes with the walker; the newborn keeps the circuit file's."""
    scene = "title: A cord\nduration: 1 s\nbrain: {{profile: newborn, circuits: [brainstem, spinal_segments]}}\n"
    scene += "body: {{model: {}}}\n"
    psp = {}
    for body in ("walker", "newborn"):
        path = tmp_path / f"{body}.yaml"
        path.write_text(scene.format(body))
        _, _, weights = load(str(path)).weights("spinal_segments:tilt_ankle")
        psp[body] = weights.mean()
    assert psp["newborn"] == pytest.approx(0.1, rel=1e-3)
    assert 0.6 < psp["walker"] <= 3.0
