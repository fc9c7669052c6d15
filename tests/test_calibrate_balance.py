"""What the balance calibration may change and what it has stored; no search is run here."""

import json
import math

import pytest
import yaml

from engine.errors import UserError
from systems.spawn.network import load_circuit
from tools.calibrate_balance import CALIBRATION, Balance, inside, rise
from tools.judge import Episode

LARGEST_MV = 3.0  # a compound PSP: one model fibre stands for about ten, each 0.1..0.3 mV


def psp_mv(name: str) -> float:
    """The PSP that the circuit file gives a projection `structure:name`, or `structure:from>to`."""
    structure, label = name.split(":")
    for spec in load_circuit(structure)[0].projections:
        if label in (spec.name, f"{spec.from_}>{spec.to}"):
            return spec.psp
    raise AssertionError(f"no projection {name}")


@pytest.mark.parametrize("path", sorted(CALIBRATION.glob("search_*.yaml")), ids=lambda p: p.stem)
def test_searches_stay_within_physiological_psps(path):
    plan = yaml.safe_load(path.read_text())
    for name, (low, high, start) in plan["gains"].items():
        assert 0 < low <= start <= high
        assert psp_mv(name) * high <= LARGEST_MV + 1e-9, name


def test_stored_gains_lie_within_the_bounds_they_were_searched_in():
    stored = json.loads((CALIBRATION / "body_walker.json").read_text())
    bounds = {}
    for name in stored["provenance"]:
        bounds |= yaml.safe_load((CALIBRATION / f"search_{name}.yaml").read_text())["gains"]
    assert stored["gains"].keys() == bounds.keys()
    for name, gain in stored["gains"].items():
        low, high, _ = bounds[name]
        assert low <= gain <= high, name


def test_training_and_validation_seeds_are_no_test_seeds():
    from tools.judge import FIRST_SEED

    for found in json.loads((CALIBRATION / "body_walker.json").read_text())["provenance"].values():
        last = found["training_seeds"][1]
        assert last < found["validation_seeds"][0] <= found["validation_seeds"][1] < FIRST_SEED


def test_standing_is_worth_the_time_and_walking_also_the_way():
    def episode(**values):
        return Episode(**{"survived": 1000, "actions": None, "reward": 0.0, "travelled_m": 0.0, "steps": 0,
                          "stance": (0, 0)} | values)  # fmt: skip

    stand, walk = Balance("walker"), Balance("walker_walk")
    assert stand.worth(episode(survived=400, travelled_m=3.0)) == pytest.approx(0.4)
    assert walk.worth(episode()) == pytest.approx(1.0)
    assert walk.worth(episode(travelled_m=3.0, steps=20, stance=(200, 200))) == pytest.approx(1 + 1.5 + 0.5)
    assert walk.worth(episode(travelled_m=90.0)) == pytest.approx(1 + 2.0), "no prize for more than 4 m"
    assert walk.worth(episode(survived=500, travelled_m=3.0, steps=20, stance=(100, 0))) == pytest.approx(0.5 * 2.5)


def test_an_unknown_search_is_one_clear_line():
    with pytest.raises(UserError, match="got octopus"):
        Balance("octopus")


@pytest.mark.parametrize(
    ("value", "bounds", "score"),
    [
        (5.0, (0.0, 10.0), 1.0),  # the middle
        (9.5, (0.0, 10.0), 0.5),  # half of what counts as well inside: 0.2 x 5 from the edge
        (10.0, (0.0, 10.0), 0.0),
        (12.5, (0.0, 10.0), -0.5),  # half of half the width beyond
        (99.0, (0.0, 10.0), -1.0),
        (4.0, (2.0, math.inf), 1.0),
        (1.0, (2.0, math.inf), -0.5),
        (math.nan, (0.0, 1.0), -1.0),
    ],
)
def test_an_expectation_is_worth_how_far_inside_its_band_the_value_lies(value, bounds, score):
    assert inside(value, bounds) == pytest.approx(score)


def test_a_rise_is_clear_from_fifteen_percent_of_the_mean_on():
    assert rise(1.0, 1.2) == 1.0 and rise(1.2, 1.0) == -1.0
    assert rise(1.0, 1.0) == 0.0 and rise(math.nan, 1.0) == -1.0
    assert rise(0.95, 1.05) == pytest.approx(0.1 / 0.15)
