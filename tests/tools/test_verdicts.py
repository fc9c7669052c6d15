"""Claims of experiments judged from trials made up by hand; no simulation."""

import json
import math

import pytest

from systems.spawn.scene_model import Scene
from tools import verdicts


def scene(claims, outcomes=(), conditions=("function", "sham")) -> Scene:
    probes = [{"name": name, "measure": "rate_hz", "of": "x"} for name in ("a", "b")]
    experiment = {"conditions": {c: {} for c in conditions}, "outcomes": list(outcomes), "claims": list(claims)}
    return Scene.model_validate({"title": "t", "duration": "1 s", "brain": {"circuits": ["x"]}, "probes": probes,
                                 "experiment": experiment})  # fmt: skip


def trials(made: Scene, **by_condition) -> dict:
    """(condition, seed) -> trial, of condition -> values of probe a by seed from 1; probe b is 1."""
    found = {}
    for condition, values in by_condition.items():
        for seed, value in enumerate(values, 1):
            outcomes = verdicts.outcomes_of(made, {"a": value, "b": 1.0})
            outcomes = {k: None if math.isnan(v) else v for k, v in outcomes.items()}
            found[condition, seed] = {"outcomes": outcomes}
    return found


def judge(made: Scene, smoke=False, failed=(), seeds=None, **by_condition) -> dict:
    count = seeds or max(map(len, by_condition.values()))
    one = (made, list(range(1, count + 1)), trials(made, **by_condition), list(failed))
    return verdicts.judged({"s": one}, smoke)["s"]


RANGE = {"outcome": "a", "in": "function", "between": ["10 Hz", None]}
GREATER = {"outcome": "a", "greater": ["function", "sham"]}


def test_outcomes_by_hand():
    made = scene([], [
        {"name": "gate", "probe": "a", "minus": "b"}, {"name": "share", "probe": "a", "over": "b"},
        {"name": "change", "probe": "gate", "over": "b"}, {"name": "contrast", "index": ["a", "b"]},
    ])  # fmt: skip
    found = verdicts.outcomes_of(made, {"a": 6.0, "b": 2.0})
    assert found == {"a": 6.0, "b": 2.0, "gate": 4.0, "share": 3.0, "change": 2.0, "contrast": 0.5}
    silent = verdicts.outcomes_of(made, {"a": 0.0, "b": 0.0})
    assert silent["contrast"] == 0.0 and math.isnan(silent["share"]) and silent["gate"] == 0.0
    assert all(math.isnan(verdicts.outcomes_of(made, {"a": math.nan, "b": 2.0})[k]) for k in ("gate", "contrast"))


@pytest.mark.parametrize(("inside", "passes"), [(20, True), (18, True), (17, False), (0, False)])
def test_a_share_of_nine_tenths_is_18_of_20(inside, passes):
    found = judge(scene([RANGE]), function=[12.0] * inside + [9.0] * (20 - inside))
    claim = found["claims"][0]
    assert (claim["holds"], claim["seeds"], claim["pass"]) == (inside, 20, passes) and found["pass"] is passes


def test_a_mean_in_the_range_is_enough_where_it_is_asked_for():
    claim = {**RANGE, "mean": True}
    assert judge(scene([claim]), function=[30.0, 5.0, 1.0])["claims"][0]["pass"] is True  # mean 12
    assert judge(scene([claim]), function=[25.0, 3.0, 1.0])["claims"][0]["pass"] is False  # 9.7
    assert judge(scene([claim]), function=[30.0, 5.0, math.nan])["claims"][0]["pass"] is False  # a third without one
    assert "needs the mean" in verdicts.markdown(judge(scene([claim]), function=[30.0, 5.0, 1.0]))


def test_a_trial_without_a_value_does_not_hold():
    found = judge(scene([RANGE]), function=[12.0] * 17 + [math.nan] * 3)
    claim = found["claims"][0]
    assert claim["pass"] is False and claim["holds"] == 17 and claim["value"] == 12.0
    assert claim["none"] == 3 and "3 of 20 seeds" in claim["note"]


def test_a_failed_trial_does_not_hold_and_fails_the_experiment():
    failed = [{"condition": "function", "seed": 20, "why": "the worker ended (signal 9)"}]
    found = judge(scene([RANGE]), failed=failed, seeds=20, function=[12.0] * 19)
    assert found["claims"][0]["holds"] == 19 and found["claims"][0]["pass"] is True
    assert found["pass"] is False and "signal 9" in verdicts.markdown(found)


def test_a_comparison_is_paired_by_seed():
    """Every seed is 1 Hz higher; between seeds it differs by far more, which an unpaired test would drown in."""
    sham = [10.0, 60.0, 20.0, 50.0, 30.0, 40.0, 70.0]
    found = judge(scene([GREATER]), function=[x + 1.0 + 0.1 * k for k, x in enumerate(sham)], sham=sham)
    claim = found["claims"][0]
    assert claim["pass"] is True and claim["p"] == pytest.approx(2 / 2**7) == pytest.approx(claim["q"])
    assert claim["value"] == pytest.approx(1.3) and claim["interval"][0] > 1.0 and claim["holds"] == 7
    assert claim["dz"] == pytest.approx(1.3 / 0.2160246899)  # sd of 1.0 1.1 ... 1.6


def test_the_wrong_direction_does_not_pass_however_sure():
    found = judge(scene([GREATER]), function=[1.0] * 10, sham=[2.0, 3.0] * 5)
    assert found["claims"][0]["q"] < 0.05 and found["claims"][0]["pass"] is False


def test_the_false_discovery_rate_is_over_all_scenes():
    """Six seeds that agree have p 1/32. Alone that is enough; among two comparisons without an effect it is not."""
    made = scene([GREATER])
    clear = (made, [*range(1, 7)], trials(made, function=[2.0, 3.0] * 3, sham=[1.0] * 6), [])
    nothing = (made, [*range(1, 7)], trials(made, function=[2.0, 0.0] * 3, sham=[1.0] * 6), [])
    assert verdicts.judged({"s": clear})["s"]["claims"][0]["pass"] is True
    found = verdicts.judged({"s": clear, "t": nothing, "u": nothing})
    claim = found["s"]["claims"][0]
    assert claim["p"] == pytest.approx(1 / 32) and claim["q"] == pytest.approx(3 / 32) and claim["pass"] is False
    assert found["s"]["family"]["comparisons"] == 3


def test_too_few_seeds_fail_no_smoke_run():
    rows = {"function": [12.0, 13.0, 14.0], "sham": [1.0, 2.0, 1.0]}
    found = judge(scene([RANGE, GREATER]), **rows)
    assert [claim["pass"] for claim in found["claims"]] == [True, False] and found["pass"] is False
    assert "too few seeds" in found["claims"][1]["note"] and "0.25" in found["claims"][1]["note"]
    smoke = judge(scene([RANGE, GREATER]), smoke=True, **rows)
    assert [claim["pass"] for claim in smoke["claims"]] == [None, None] and smoke["pass"] is True
    failed = [{"condition": "sham", "seed": 2, "why": "x"}]
    assert judge(scene([RANGE]), smoke=True, failed=failed, function=[12.0, 1.0])["pass"] is False


def test_pairs_without_a_value_may_be_no_more_than_the_share_allows():
    sham = [1.0] * 20
    few, many = [3.0] * 18 + [math.nan] * 2, [3.0] * 17 + [math.nan] * 3
    assert judge(scene([GREATER]), function=few, sham=sham)["claims"][0]["pass"] is True
    claim = judge(scene([GREATER]), function=many, sham=sham)["claims"][0]
    assert claim["pass"] is False and claim["q"] < 0.05 and "3 of 20 seeds" in claim["note"]


SAME = {"outcome": "a", "same": ["function", "sham"], "within": "2 Hz"}


def test_an_equivalence_needs_a_narrow_interval_not_a_high_p():
    """Differences around 0 with SD 1: 20 of them lie within 2 Hz, three could be anything."""
    base = [10.0, 30.0, 20.0, 25.0] * 5
    off = [1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 0.8, -0.8, 1.2, -1.2] * 2
    many = judge(scene([SAME]), function=[a + b for a, b in zip(base, off, strict=True)], sham=base)["claims"][0]
    assert many["pass"] is True and many["q"] < 1e-4 and many["within"] == 2.0 and many["holds"] == 20
    assert many["value"] == pytest.approx(0.0, abs=1e-9) and many["equivalence_power"] > 0.999
    few = judge(scene([SAME]), function=[11.0, 28.5, 20.8], sham=base[:3])["claims"][0]
    assert few["pass"] is False and few["p"] > 0.05 and few["equivalence_power"] < 0.8
    shifted = judge(scene([SAME]), function=[a + b + 2.5 for a, b in zip(base, off, strict=True)], sham=base)
    assert shifted["claims"][0]["pass"] is False and shifted["claims"][0]["p"] > 0.9


def test_an_equivalence_to_a_value_is_in_one_condition():
    claim = {"outcome": "a", "in": "sham", "near": "5 Hz", "within": "1 Hz"}
    off = [1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 0.8, -0.8, 1.2, -1.2] * 2
    near = judge(scene([claim]), function=[9.0] * 20, sham=[5.0 + b for b in off])["claims"][0]
    assert near["pass"] is True and near["q"] < 0.01 and near["value"] == pytest.approx(0.0, abs=1e-9)
    far = judge(scene([claim]), function=[5.0] * 20, sham=[5.9 + b for b in off])
    assert far["claims"][0]["pass"] is False and "in sham 5 within 1 Hz" in verdicts.markdown(far)


def test_the_default_margin_is_three_tenths_of_the_spread():
    claim = {"outcome": "a", "same": ["function", "sham"]}
    base = [10.0] * 10
    found = judge(scene([claim]), function=[11.0, 9.0] * 5, sham=base)["claims"][0]
    assert found["within"] == pytest.approx(0.3 * math.sqrt(10 / 9)) and found["pass"] is False
    assert found["equivalence_power"] < 0.01 and "0%" in found["power"]  # ten seeds cannot show that


def test_signed_ranks_where_the_scene_says_so():
    claim = {**GREATER, "test": "wilcoxon"}
    sham = [10.0, 60.0, 20.0, 50.0, 30.0, 40.0, 70.0]
    found = judge(scene([claim]), function=[x + 1.0 + 0.1 * k for k, x in enumerate(sham)], sham=sham)["claims"][0]
    assert found["test"] == "wilcoxon" and found["p"] == pytest.approx(2 / 2**7) and found["pass"] is True
    assert found["rank_biserial"] == 1.0
    assert found["detectable_dz"] == pytest.approx(1.27, abs=0.01)  # seven pairs, two-sided 0.05, 80 %


def test_the_reference_stands_beside_ours_in_its_unit():
    claim = {**RANGE, "reference": {"value": "0.5 kHz", "note": "claimed"}}
    found = judge(scene([claim]), function=[12.0] * 3)["claims"][0]
    assert found["reference"] == {"value": 500.0, "note": "claimed"}


@pytest.mark.parametrize(
    ("claim", "part"),
    [
        ({"outcome": "a", "same": ["function", "function"]}, "twice"),
        ({**SAME, "between": [1, 2], "in": "sham"}, "between and same"),
        ({**GREATER, "within": "2 Hz"}, "goes with same and near, not with greater"),
        ({"outcome": "a", "near": "2 Hz"}, "needs `in`"),
        ({"outcome": "a", "near": "2 ms", "in": "sham"}, "2 ms"),
        ({**SAME, "mean": True}, "goes with between, not with same"),
        ({**SAME, "test": "wilcoxon"}, "goes with greater, not with same"),
        ({**SAME, "within": "2 ms"}, "2 ms"),
        ({**SAME, "within": "0 Hz"}, "above zero"),
        ({**RANGE, "reference": {"value": "3 mV"}}, "3 mV"),
        ({"outcome": "a"}, "none of them"),
    ],
)
def test_claims_that_make_no_sense(claim, part):
    with pytest.raises(ValueError, match=r"expected|goes|got|needs") as caught:
        scene([claim])
    assert part in str(caught.value)


def test_results_are_json_and_text_even_where_there_is_nothing():
    found = judge(scene([RANGE, GREATER]), function=[math.nan] * 2, sham=[math.nan] * 2)
    json.dumps(found, allow_nan=False)
    assert found["outcomes"]["a"]["conditions"]["sham"]["mean"] is None and found["pass"] is False
    page = verdicts.markdown(found)
    assert "FAILS" in page and "a: function > sham" in page and "10 to ... Hz" in page
