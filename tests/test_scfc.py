"""The scene of resting connectivity at full length, one of its five seeds: what holds, and what falls short."""

import pytest

from encephagen import load
from systems.probes import Probes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    sim = load("experiments/scfc", seed=2001)
    probes = Probes(sim)
    sim.run(sim.scene.duration)
    return probes.values()


def test_the_operating_point_is_kept(found):
    """Profile `adult` of design 6."""
    assert 3.0 <= found["rate"] <= 8.0 and 0.7 <= found["cv"] <= 1.1 and 0.008 <= found["synchrony"] <= 0.1


def test_connectivity_is_that_of_people_held_out(found):
    """Issue: every seed >= 0.55, double-centred >= 0.45; tract weights alone reach 0.34."""
    assert found["r"] >= 0.55 and found["r_centred"] >= 0.45 and found["r_weights"] == pytest.approx(0.34, abs=0.01)


@pytest.mark.xfail(strict=True, reason="0.56 on average over seeds 2001 to 2005 (0.58 with 2001), 0.60 was asked for")
def test_it_reaches_what_the_mean_over_seeds_should(found):
    assert found["r"] >= 0.60


@pytest.mark.xfail(
    strict=True, reason="0.49 with seed 2001, 0.49 to 0.64 over five: connectivity wanders too much in 60 s"
)
def test_its_dynamics_are_those_of_people(found):
    assert found["fcd_ks"] <= 0.25
