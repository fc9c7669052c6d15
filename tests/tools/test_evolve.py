"""The search finds a known optimum, keeps its bounds, and goes on after an interruption as if there had been none."""

import json
import math

import pytest

from engine.errors import UserError
from tools.evolve import METHODS, Evolution, Parameter

PARAMETERS = [Parameter("a", 0.1, 10.0, 1.0), Parameter("b", 1.0, 100.0, 5.0)]


def valley(candidates):
    """Highest, 0, at a = 3 and b = 50."""
    return [-(math.log(c["a"] / 3.0) ** 2 + math.log(c["b"] / 50.0) ** 2) for c in candidates]


@pytest.mark.parametrize("method", METHODS)
def test_the_optimum_is_found(method):
    found = Evolution(PARAMETERS, method=method).run(valley, 30, say=lambda line: None)
    assert found == pytest.approx({"a": 3.0, "b": 50.0}, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_search_is_the_uninterrupted_one(method, tmp_path):
    whole = Evolution(PARAMETERS, method=method).run(valley, 12, say=lambda line: None)
    path = tmp_path / "search.json"
    Evolution(PARAMETERS, method=method, path=path).run(valley, 5, say=lambda line: None)
    again = Evolution(PARAMETERS, method=method, path=path, resume=True)
    assert len(again.generations) == 5
    assert again.run(valley, 12, say=lambda line: None) == whole


@pytest.mark.parametrize("method", METHODS)
def test_candidates_stay_within_bounds_though_the_best_lies_outside(method):
    seen = []

    def upwards(candidates):
        seen.extend(candidates)
        return [c["a"] * c["b"] for c in candidates]

    found = Evolution(PARAMETERS, method=method, sigma=0.6).run(upwards, 40, say=lambda line: None)
    assert all(0.1 <= c["a"] <= 10.0 and 1.0 <= c["b"] <= 100.0 for c in seen)
    assert found["a"] > 7.0 and found["b"] > 70.0


def test_a_failed_evaluation_is_the_worst_of_its_generation():
    search = Evolution(PARAMETERS, population=4)
    search.run(lambda candidates: [1.0, math.nan, 3.0, 2.0], 1, say=lambda line: None)
    assert search.generations[0]["fitness"] == [1.0, 0.0, 3.0, 2.0] and search.best[1] == 3.0


def test_wrong_use_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="a: expected bounds"):
        Parameter("a", 2.0, 1.0, 1.5)
    with pytest.raises(UserError, match="expected a start in 1 to 2, got 3"):
        Parameter("a", 1.0, 2.0, 3.0)
    with pytest.raises(UserError, match="expected one of cma, es"):
        Evolution(PARAMETERS, method="luck")
    path = tmp_path / "search.json"
    Evolution(PARAMETERS, path=path).run(valley, 1, say=lambda line: None)
    assert json.loads(path.read_text())["setup"]["population"] == 16
    with pytest.raises(UserError, match="was made by another search"):
        Evolution(PARAMETERS, path=path, seed=2, resume=True)
