"""stdp against the closed form of the rule and against a slow reference; and what all learning rules share."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.learning import Incoming, Learning, Plastic, Stdp
from components.network import Branch, Fanout, Spikes, Synapse
from engine import snapshot
from engine.errors import UserError
from engine.schedule import Now
from systems.deliver_modulated import deliver_modulated
from systems.deliver_spikes import deliver_spikes
from systems.flush_spikes import SpikeObserver
from systems.spawn.learning import presynaptic
from systems.stdp import stdp
from tests.systems.nets import build, cell, spikes_of

RULE = {"kind": "stdp", "a_plus": 0.1, "a_minus": 0.12, "tau_plus": "20 ms", "tau_minus": "34 ms", "highest": 3}
PSP, GROW, LOSE, TAU_PLUS, TAU_MINUS = 2.0, 0.2, 0.24, 20.0, 34.0  # mV, mV, mV, ms, ms
NOISY = {"background": {"psp": "3 mV", "rate": "700 Hz"}}


def couple(pre: int = 1, post: int = 1, indegree: int = 1, acts_on: str = "ampa", **changes):
    """(world, plastic table, a, b): `pre` cells onto `post` cells by synapses of 2 mV."""
    world, network, _ = build(
        {"a": cell(count=pre, acts_on=acts_on), "b": cell(count=post)},
        [{"name": "learns", "from": "a", "to": "b", "indegree": indegree, "psp": "2 mV", "psp_cv": 0,
          "rule": {**RULE, **changes}}],
    )  # fmt: skip
    table = world.tables[f"synapses_{acts_on}_stdp_toy:learns"]
    return world, table, network.by_name["toy.all.a"].first, network.by_name["toy.all.b"].first


def fire(world, table, tick: int, *neurons: int) -> None:
    """These neurons fire in `tick`."""
    world[Spikes.ids][: len(neurons)] = sorted(neurons)
    world[Spikes.count][0], world[Now.tick][0] = len(neurons), tick
    stdp(table, world)


def change(*spikes: tuple[int, str], **changes) -> float:
    """Change [mV] of the one synapse by spikes (tick, "a" or "b" or both)."""
    world, table, a, b = couple(**changes)
    for tick, who in spikes:
        fire(world, table, tick, *({"a": a, "b": b}[w] for w in who))
    return float(table[Synapse.weight][0]) - PSP


@pytest.mark.parametrize("first", [0, 7, 100_000])
@pytest.mark.parametrize("lag", [1, 2, 5, 20, 57, 200])
def test_a_pair_changes_the_weight_by_its_exponential(lag, first):
    assert change((first, "a"), (first + lag, "b")) == pytest.approx(GROW * np.exp(-lag / TAU_PLUS), abs=1e-6)
    assert change((first, "b"), (first + lag, "a")) == pytest.approx(-LOSE * np.exp(-lag / TAU_MINUS), abs=1e-6)


def test_the_sign_follows_the_order_and_a_pair_of_one_tick_has_none():
    assert change((5, "a"), (9, "b")) > 0 > change((5, "b"), (9, "a"))
    assert change((5, "ab")) == 0
    assert change((5, "a"), (6, "a")) == 0 == change((5, "b"), (6, "b")), "one side alone"


def test_every_pair_counts():
    """Three spikes before and two after make six pairs; the two after make none with what follows them."""
    expected = GROW * sum(np.exp(-(t - s) / TAU_PLUS) for s in (0, 3, 7) for t in (10, 12))
    assert change((0, "a"), (3, "a"), (7, "a"), (10, "b"), (12, "b")) == pytest.approx(expected, abs=1e-6)
    losing = LOSE * sum(np.exp(-(30 - t) / TAU_MINUS) for t in (10, 12))
    spikes = ((0, "a"), (3, "a"), (7, "a"), (10, "b"), (12, "b"), (30, "a"))
    assert change(*spikes) == pytest.approx(expected - losing, abs=1e-6)


def test_a_spike_of_both_pairs_with_the_past_of_both():
    """It loses to the target's spike of tick 1 and gains from the source's of tick 0; its own pair does not count."""
    expected = GROW * (np.exp(-1 / TAU_PLUS) + np.exp(-4 / TAU_PLUS)) - LOSE * np.exp(-3 / TAU_MINUS)
    assert change((0, "a"), (1, "b"), (4, "ab")) == pytest.approx(expected, abs=1e-6)


def test_beyond_the_table_of_powers_a_trace_is_gone():
    """After 16 time constants what is left is below the precision of the weight."""
    assert change((0, "a"), (10_000, "b")) == 0 == change((0, "b"), (10_000, "a"))
    assert change((0, "a"), (10_000, "a"), (10_001, "b")) == pytest.approx(GROW * np.exp(-1 / TAU_PLUS), abs=1e-6)


def test_weights_stay_between_their_bounds_and_leave_them_again():
    grown = [(10 * k + 2 * (w == "b"), w) for k in range(60) for w in "ab"]
    assert change(*grown, a_minus=0) == 2 * PSP, "highest is 3 x psp"
    assert change(*grown, (2000, "b"), (2001, "a")) < 2 * PSP
    shrunk = [(10 * k + 2 * (w == "a"), w) for k in range(60) for w in "ba"]
    assert change(*shrunk, a_plus=0) == -PSP
    back = change(*shrunk, (2000, "a"), (2001, "b"), a_plus=0.1)
    assert -PSP < back < 0


def test_inhibitory_synapses_learn_and_never_turn_round():
    world, table, a, b = couple(acts_on="gaba")
    fire(world, table, 0, a)
    fire(world, table, 5, b)
    assert table[Synapse.weight][0] == pytest.approx(PSP + GROW * np.exp(-5 / TAU_PLUS))
    for k in range(100):
        fire(world, table, 1000 + 400 * k, b)
        fire(world, table, 1001 + 400 * k, a)
    assert table[Synapse.weight][0] == 0


def test_only_the_synapses_of_the_pair_change():
    world, table, a, b = couple(pre=20, post=10, indegree=8)
    pre, post = presynaptic(table), table[Synapse.post]
    fire(world, table, 3, a + 4, a + 5)
    fire(world, table, 6, b + 2, b + 7)
    changed = table[Synapse.weight] != PSP
    assert changed.any() and (changed == (np.isin(pre, (a + 4, a + 5)) & np.isin(post, (b + 2, b + 7)))).all()


def test_the_index_of_incoming_synapses_finds_all_of_them():
    _, table, a, b = couple(pre=20, post=10, indegree=8)
    start, row, post = table[Incoming.start], table[Incoming.row], table[Synapse.post]
    assert table[Incoming.span].tolist() == [a, 20, b, 10] and sorted(row) == list(range(80))
    for k in range(10):
        mine = row[start[k] : start[k + 1]]
        assert mine.size == 8 and (post[mine] == b + k).all()
    assert (table[Plastic.source] + a == presynaptic(table)).all()


def test_the_next_spike_is_delivered_with_the_new_weight():
    world, table, a, b = couple()
    fire(world, table, 0, a)
    fire(world, table, 4, b)
    fire(world, table, 6, a)
    grown = PSP + GROW * np.exp(-4 / TAU_PLUS) - LOSE * np.exp(-2 / TAU_MINUS)
    world[Now.tick][0] = 7
    deliver_modulated(table, world)
    deliver_spikes(world.tables["synapses_ampa"], world)
    assert world.tables["synapses_ampa"][Fanout.arrived][b] / 65536 == pytest.approx(grown, abs=1e-4)


def reference(pre, post, weight, trains: list[tuple[int, list[int]]]) -> np.ndarray:
    """Weights after `trains` (tick, neurons): every pair summed anew, in double precision."""
    weight, history = weight.astype(float), []

    def trace(neuron: int, now: int, tau: float) -> float:
        return sum(np.exp(-(now - tick) / tau) for tick, fired in history if neuron in fired)

    for now, fired in trains:
        for j in range(weight.size):
            if pre[j] in fired:
                weight[j] = max(weight[j] - LOSE * trace(post[j], now, TAU_MINUS), 0.0)
            if post[j] in fired:
                weight[j] = min(weight[j] + GROW * trace(pre[j], now, TAU_PLUS), 3 * PSP)
        history.append((now, fired))
    return weight


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.sets(st.integers(0, 6), min_size=1)), max_size=40),
    st.booleans(),
)
def test_random_trains_agree_with_the_slow_reference(gaps, recurrent):
    """Also where the same cells are sources and targets."""
    cells = {"a": cell(count=7 if recurrent else 4), "b": cell(count=3)}
    to = {"from": "a", "to": "a" if recurrent else "b", "indegree": 3, "psp": "2 mV", "psp_cv": 0.5, "rule": RULE}
    world, _, _ = build(cells, [{**to, "name": "learns"}])
    table = world.tables["synapses_ampa_stdp_toy:learns"]
    when = np.cumsum([gap for gap, _ in gaps])
    trains = [(int(tick), sorted(fired)) for tick, (_, fired) in zip(when, gaps, strict=True)]
    expected = reference(presynaptic(table), table[Synapse.post], table[Synapse.weight], trains)
    for tick, fired in trains:
        fire(world, table, tick, *fired)
    assert table[Synapse.weight] == pytest.approx(expected, abs=2e-5)


# what all rules share --------------------------------------------------------------------------------------------


def lively(threads: int = 1, strict: bool = True, learning: bool = True, seed: int = 1):
    """Noisy cells with two plastic projections, an inhibitory one of them, and one that does not learn."""
    return build(
        {"e": cell(count=500, **NOISY), "i": cell(count=300, acts_on="gaba", **NOISY)},
        [
            {"name": "ee", "from": "e", "to": "e", "indegree": 40, "psp": "0.4 mV", "delay": ["1 ms", "9 ms"],
             "rule": RULE},
            {"name": "ei", "from": "e", "to": "i", "indegree": 20, "psp": "0.5 mV"},
            {"name": "ie", "from": "i", "to": "e", "indegree": 20, "psp": "1 mV", "rule": {**RULE, "a_plus": 0.02}},
        ],
        threads=threads, strict=strict, learning=learning, seed=seed,
    )  # fmt: skip


def outcome(world, runner) -> list[np.ndarray]:
    """Spikes, weights and traces after tick 300."""
    while world.tick <= 300:
        runner.step()
    columns = (Synapse.weight, Stdp.pre_trace, Stdp.post_trace, Stdp.post_tick)
    return [*world.object(SpikeObserver).history(), *(t[c] for t in world.tables_with([Stdp]) for c in columns)]


def same(one, two) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def straight():
    world, _, runner = lively()
    return outcome(world, runner)


def test_it_learns_at_all(straight):
    world, _, _ = lively()
    first = [t[Synapse.weight] for t in world.tables_with([Stdp])]
    assert straight[0].size > 1000 and len(first) == 2
    for before, after in zip(first, straight[3::4], strict=True):
        assert (before != after).mean() > 0.3 and (after >= 0).all()


def test_another_seed_ends_elsewhere(straight):
    world, _, runner = lively(seed=2)
    assert not same(outcome(world, runner), straight)


def test_two_threads_learn_the_same(straight):
    world, _, runner = lively(threads=2)
    assert same(outcome(world, runner), straight)


def test_strict_mode_changes_nothing(straight):
    world, _, runner = lively(strict=False)
    assert same(outcome(world, runner), straight)


@pytest.mark.parametrize("at", [100, 137])
def test_saved_loaded_and_run_on_equals_a_straight_run(straight, tmp_path, at):
    world, _, runner = lively()
    for _ in range(at):
        runner.step()
    snapshot.save(runner, tmp_path / "a.h5", {})
    world, _, runner = lively()
    for _ in range(20):
        runner.step()
    snapshot.load(runner, tmp_path / "a.h5")
    assert same(outcome(world, runner), straight)


def test_a_snapshot_holds_the_weights_that_learn_and_no_others():
    _, _, runner = lively()
    saved = [name for name in snapshot.state_arrays(runner) if name.endswith("Synapse.weight")]
    assert saved == ["synapses_ampa_stdp_toy:ee/Synapse.weight", "synapses_gaba_stdp_toy:ie/Synapse.weight"]
    assert "synapses_ampa_stdp_toy:ee/Stdp.pre_trace" in snapshot.state_arrays(runner)


def test_nothing_learns_where_learning_is_off(straight):
    world, _, runner = lively(learning=False)
    before = [t[Synapse.weight].copy() for t in world.tables_with([Stdp])]
    spikes_of(world, runner, 300)
    assert same(before, [t[Synapse.weight] for t in world.tables_with([Stdp])])
    assert Learning.on not in world.arrays and not {"stdp", "taught_depression"} & {
        c.system.name for _, c in runner.calls()
    }
    learning, _, learning_runner = lively()
    first = [t[Synapse.weight] for t in learning.tables_with([Stdp])]
    assert same(before, first), "the same wiring"
    assert Counter(c.system.name for _, c in learning_runner.calls())["stdp"] == 2


def test_a_rule_does_not_change_the_wiring():
    """The same names draw the same synapses, plastic or not; learning off is the same network as no rule at all."""
    cells = {"e": cell(count=100, **NOISY)}
    to = {"name": "ee", "from": "e", "to": "e", "indegree": 20, "psp": "0.7 mV", "delay": ["1 ms", "5 ms"]}
    plain, _, plain_runner = build(cells, [to])
    frozen, _, frozen_runner = build(cells, [{**to, "rule": {**RULE, "highest": 100}}], learning=False)
    a, b = plain.tables["synapses_ampa"], frozen.tables["synapses_ampa_stdp_toy:ee"]
    for column in (Synapse.post, Synapse.weight, Synapse.delay):
        assert np.array_equal(a[column], b[column])
    assert np.array_equal(a[Fanout.start], b[Branch.start])
    one, two = spikes_of(plain, plain_runner, 200), spikes_of(frozen, frozen_runner, 200)
    assert one[0].size > 100 and same(one, two)


def test_weights_above_the_bound_are_clipped_and_counted_at_build():
    to = {"from": "a", "to": "b", "indegree": 50, "psp": "1 mV", "psp_cv": 1.0}
    cells = {"a": cell(count=100), "b": cell(count=40)}
    plain, _, _ = build(cells, [to])
    world, network, _ = build(cells, [{**to, "rule": {**RULE, "highest": 1.5}}])
    drawn, kept = plain.tables["synapses_ampa"][Synapse.weight], world.tables["synapses_ampa_stdp_toy:a>b"]
    above = drawn > 1.5
    assert 0 < above.sum() < 2000 and network.projections[0].clipped == above.sum()
    assert np.array_equal(kept[Synapse.weight], np.where(above, np.float32(1.5), drawn))


def test_each_projection_that_learns_has_its_own_table_and_parameters():
    """Also two of one name."""
    to = {"from": "a", "to": "b", "indegree": 2, "psp": "1 mV"}
    rules = [{**RULE, "a_plus": 0.1}, {**RULE, "a_plus": 0.2}]
    world, _, _ = build({"a": cell(count=9), "b": cell(count=5)}, [{**to, "rule": rule} for rule in rules])
    tables = world.tables_with([Stdp])
    assert [t.name for t in tables] == ["synapses_ampa_stdp_toy:a>b", "synapses_ampa_stdp_toy:a>b_1"]
    assert [float(t[Stdp.step][0]) for t in tables] == pytest.approx([0.1, 0.2])
    assert [t.row_count for t in tables] == [10, 10]


CIRCUIT = """
structure: toy
title: a circuit that learns
cells:
  e: {per: one, count: 80, acts_on: ampa, tau_m: 20 ms, background: {psp: 3 mV, rate: 700 Hz}}
projections:
  - {name: ee, from: e, to: e, indegree: 10, psp: 0.5 mV, delay: [1 ms, 5 ms],
     rule: {kind: stdp, a_plus: 0.05, a_minus: 0.06}}
  - {name: fixed, from: e, to: e, indegree: 3, psp: 0.1 mV}
"""


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Path of a scene of a circuit that learns."""
    monkeypatch.setattr("systems.spawn.network.CIRCUITS", tmp_path)
    monkeypatch.setattr("systems.simulation.check_files", lambda *_: None)  # it looks among the assets only
    (tmp_path / "learner.yaml").write_text(CIRCUIT)
    path = tmp_path / "scene.yaml"
    path.write_text("title: it learns\nseed: 3\nduration: 1 s\nbrain: {circuits: [learner]}\n")
    return str(path)


def test_a_scene_learns_or_holds_what_it_has_learnt(scene, tmp_path):
    """Trained, saved, loaded with learning off: the weights are the trained ones and stay."""
    from encephagen import load

    sim = load(scene)
    pre, post, first = sim.weights("toy:ee")
    assert first.size == 800 == pre.size == post.size and (np.bincount(post) == 10).all()
    assert first.mean() == pytest.approx(0.5, rel=0.02)  # some are clipped
    fixed = sim.weights("toy:fixed")[2]
    sim.run("200 ms").save(tmp_path / "a.h5")
    trained = sim.weights("toy:ee")[2]
    assert (trained != first).mean() > 0.5 and np.array_equal(sim.weights("toy:fixed")[2], fixed)
    assert sim.weights("toy:*")[2].size == 1040
    frozen = load(scene, overrides=["brain.learning=false"])
    assert np.array_equal(frozen.weights("toy:ee")[2], first)
    frozen.load_state(tmp_path / "a.h5").run("100 ms")
    assert np.array_equal(frozen.weights("toy:ee")[2], trained)
    on = load(scene).load_state(tmp_path / "a.h5").run("100 ms")
    assert on.spike_hash == sim.run("100 ms").spike_hash
    assert np.array_equal(on.weights("toy:ee")[2], sim.weights("toy:ee")[2])


def test_a_snapshot_of_another_brain_is_still_refused(scene, tmp_path):
    from encephagen import load

    load(scene).save(tmp_path / "a.h5")
    with pytest.raises(UserError, match="its brain differs"):
        load(scene, overrides=["brain.profile=newborn", "brain.learning=false"]).load_state(tmp_path / "a.h5")
    assert json.loads(snapshot.attributes(tmp_path / "a.h5")["scene"])["brain"]["learning"] is True


def test_an_unknown_projection_is_one_line(scene):
    from encephagen import load

    with pytest.raises(UserError, match=r"no projection matches 'toy:none' \(there are: toy:ee, toy:fixed\)"):
        load(scene).weights("toy:none")
