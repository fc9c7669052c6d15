"""taught_depression against the closed form of the rule and against a slow reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.learning import Incoming, Taught
from components.network import Spikes, Synapse
from engine import snapshot
from engine.errors import UserError
from engine.schedule import Now
from systems.flush_spikes import SpikeObserver
from systems.spawn.learning import presynaptic
from systems.taught_depression import taught_depression
from tests.systems.nets import build, cell, spikes_of

PSP, LAG = 0.5, 60.0  # mV, ms
RULE = {"kind": "taught_depression", "teacher": "climb", "depression": 0.2, "recovery": 0.01, "lag": "60 ms",
        "highest": 2}  # fmt: skip
LOSE, BACK = 0.2 * PSP, 0.01 * PSP
NOISY = {"background": {"psp": "3 mV", "rate": "700 Hz"}}


def circuit(
    pre=1, post=1, teachers=1, indegree=1, delay=("4 ms", "4 ms"), climb=(), seed=1, rule=(), noisy=(), **options
):
    """World, network, runner: `pre` cells p onto `post` cells q, and `teachers` cells t that each target has one of."""
    cells = {"p": cell(count=pre, **dict(noisy)), "q": cell(count=post), "t": cell(count=teachers, **dict(noisy))}
    learns = {"name": "learns", "from": "p", "to": "q", "indegree": indegree, "psp": "0.5 mV", "psp_cv": 0,
              "rule": {**RULE, **dict(rule)}}  # fmt: skip
    climbing = {"name": "climb", "from": "t", "to": "q", "indegree": 1, "psp": "9 mV", "delay": list(delay)}
    return build(cells, [learns, {**climbing, **dict(climb)}], seed=seed, **options)


def table_of(world):
    return world.tables["synapses_ampa_taught_depression_toy:learns"]


def fire(world, table, tick: int, *neurons: int) -> None:
    """These neurons fire in `tick`."""
    world[Spikes.ids][: len(neurons)] = sorted(neurons)
    world[Spikes.count][0], world[Now.tick][0] = len(neurons), tick
    taught_depression(table, world)


def alpha(ticks: float) -> float:
    """Eligibility `ticks` after a spike; 1 at its best."""
    return max(ticks, 0.0) / LAG * np.exp(1 - ticks / LAG)


def change(*spikes: tuple[int, str], until: int, **options) -> float:
    """Change [mV] of the one synapse by spikes (tick, "p" or "t" or both), run tick by tick."""
    world, network, _ = circuit(**options)
    table, at = table_of(world), {k: network.by_name[f"toy.all.{k}"].first for k in "pt"}
    fired = {tick: [at[w] for w in who] for tick, who in spikes}
    for tick in range(until):
        fire(world, table, tick, *fired.get(tick, ()))
    return float(table[Synapse.weight][0]) - PSP


@pytest.mark.parametrize("lag", [1, 2, 10, 30, 60, 61, 120, 300, 900])
def test_a_pair_depresses_by_the_alpha_function_of_its_lag(lag):
    """From the source's spike to the arrival of the teacher's, 4 ms after it fired."""
    got = change((10, "p"), (6 + lag, "t"), until=1000)
    assert got == pytest.approx(BACK - LOSE * alpha(lag), abs=1e-6)


def test_the_best_lag_is_the_declared_one():
    """There, and only there, one pair takes away the whole depression."""
    loss = {lag: BACK - change((0, "p"), (lag - 4, "t"), until=500) for lag in (40, 50, 59, 60, 61, 70, 80)}
    assert loss[60] == pytest.approx(LOSE, abs=1e-6) and max(loss, key=loss.get) == 60


def test_a_teacher_that_arrives_first_or_together_depresses_nothing():
    assert change((10, "t"), (20, "p"), until=400) == pytest.approx(BACK, abs=1e-7)
    assert change((6, "t"), (10, "p"), until=400) == pytest.approx(BACK, abs=1e-7)  # arrives in tick 10
    assert change((10, "pt"), until=400) == pytest.approx(BACK - LOSE * alpha(4), abs=1e-6)


def test_eligibilities_of_many_spikes_add_up_and_every_teacher_spike_counts():
    pre, teacher = (3, 20, 21, 90, 200), (50, 51, 180, 1100)
    expected = len(pre) * BACK - 0.1 * LOSE * sum(alpha(t + 4 - s) for s in pre for t in teacher)
    got = change(*((t, "p") for t in pre), *((t, "t") for t in teacher), until=1200, rule={"depression": 0.02})
    assert got == pytest.approx(expected, abs=2e-6) and -PSP < got < 0


@pytest.mark.parametrize("delay", [1, 2, 7, 8, 63, 64, 250])
def test_the_teacher_counts_in_the_tick_it_arrives(delay):
    """Until then the weight stays; then it drops, once."""
    world, network, _ = circuit(delay=(f"{delay} ms", f"{delay} ms"))
    table, p, t = table_of(world), network.by_name["toy.all.p"].first, network.by_name["toy.all.t"].first
    fire(world, table, 0, p)
    fire(world, table, 30, t)
    for tick in range(31, 30 + delay):
        fire(world, table, tick)
        assert table[Synapse.weight][0] == pytest.approx(PSP + BACK)
    for tick in range(30 + delay, 700):
        fire(world, table, tick)
        assert table[Synapse.weight][0] == pytest.approx(PSP + BACK - LOSE * alpha(30 + delay), abs=1e-6)


def test_use_without_a_teacher_recovers_up_to_the_bound():
    assert change(*((k, "p") for k in range(30)), until=40) == pytest.approx(30 * BACK, abs=1e-6)
    assert change(*((k, "p") for k in range(150)), until=160) == pytest.approx(PSP), "highest is 2 x psp"


def test_weights_stop_at_zero_and_come_back():
    spikes = [(100 * k + 40 * (w == "t"), w) for k in range(40) for w in "pt"]
    assert change(*spikes, until=4050, rule={"depression": 1.0, "recovery": 0}) == -PSP
    assert change(*spikes, (9000, "p"), until=9010, rule={"depression": 1.0}) == pytest.approx(BACK - PSP)


def test_a_teacher_alone_changes_nothing():
    assert change(*((k, "t") for k in range(0, 300, 7)), until=400) == 0


def test_a_teacher_teaches_its_own_pupils_and_each_synapse_by_its_own_source():
    """Three teachers, 12 targets: the synapses of one teacher's pupils from the one source that fired."""
    world, network, _ = circuit(pre=30, post=12, teachers=3, indegree=10)
    table, p, t = table_of(world), network.by_name["toy.all.p"].first, network.by_name["toy.all.t"].first
    climbing = world.tables["synapses_ampa"]
    pupils = climbing[Synapse.post][presynaptic(climbing) == t + 1]
    assert 0 < pupils.size < 12
    fire(world, table, 0, p + 3)
    before = table[Synapse.weight].copy()
    fire(world, table, 56, t + 1)
    for tick in range(57, 70):
        fire(world, table, tick)
    pre, post = presynaptic(table), table[Synapse.post]
    lost = before - table[Synapse.weight]
    chosen = (pre == p + 3) & np.isin(post, pupils)
    assert chosen.any() and lost[chosen] == pytest.approx(LOSE, abs=1e-6) and not lost[~chosen].any()


def test_a_cut_teacher_leaves_recovery():
    """A lesion of the teaching projection: the population that teaches is absent."""
    world, network, _ = circuit(climb={"from": "elsewhere.t"})
    table, p, t = table_of(world), network.by_name["toy.all.p"].first, network.by_name["toy.all.t"].first
    fire(world, table, 0, p, t)
    for tick in range(1, 100):
        fire(world, table, tick)
    assert table[Synapse.weight][0] == pytest.approx(PSP + BACK) and table[Taught.pupil].size == 0


@pytest.mark.parametrize("climb, message", [
    ({"name": "other"}, r"one named projection onto toy.q, none is called 'climb' \(there are: other\)"),
    ({"to": "p"}, r"one named projection onto toy.q, none is called 'climb' \(there are: none\)"),
    ({"indegree": 2}, "one teacher per target, climb has 2"),
])  # fmt: skip
def test_a_wrong_teacher_is_one_line(climb, message):
    with pytest.raises(UserError, match=f"toy:learns: rule: teacher: expected {message}"):
        circuit(teachers=5, climb=climb)


def reference(pre, post, weight, taught, trains) -> np.ndarray:
    """Weights after `trains` (tick, neurons): every eligibility summed anew, in double precision."""
    weight, history = weight.astype(float), {}
    for now, fired in trains:
        for j in range(weight.size):
            if pre[j] in fired:
                weight[j] = min(weight[j] + BACK, 2 * PSP)
        history[now] = fired
        for teacher, pupil, delay in taught:
            if teacher in history.get(now - delay, ()):
                for j in np.flatnonzero(post == pupil):
                    eligible = sum(alpha(now - tick) for tick, who in history.items() if pre[j] in who)
                    weight[j] = max(weight[j] - LOSE * eligible, 0.0)
    return weight


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(0, 250), st.sets(st.integers(0, 8), min_size=1), max_size=40), st.integers(1, 5))
def test_random_trains_agree_with_the_slow_reference(trains, seed):
    """Five sources, two teachers, two targets with climbing delays of 1 to 9 ms."""
    world, _, _ = circuit(pre=5, post=2, teachers=2, indegree=3, delay=("1 ms", "9 ms"), seed=seed)
    table, climbing = table_of(world), world.tables["synapses_ampa"]
    taught = list(zip(presynaptic(climbing), climbing[Synapse.post], climbing[Synapse.delay].astype(int), strict=True))
    ticks = [(tick, sorted(trains.get(tick, ()))) for tick in range(260)]
    expected = reference(presynaptic(table), table[Synapse.post], table[Synapse.weight], taught, ticks)
    for tick, fired in ticks:
        fire(world, table, tick, *fired)
    assert table[Synapse.weight] == pytest.approx(expected, abs=2e-5)


def lively(**options):
    return circuit(pre=300, post=250, teachers=40, indegree=50, delay=("1 ms", "40 ms"), noisy=NOISY, **options)


def outcome(world, runner) -> list[np.ndarray]:
    """Spikes, weights and traces after tick 300."""
    while world.tick <= 300:
        runner.step()
    columns = (Synapse.weight, Taught.first, Taught.second, Taught.tick, Taught.due)
    return [*world.object(SpikeObserver).history(), *(table_of(world)[c] for c in columns)]


def same(one, two) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def straight():
    world, _, runner = lively()
    return outcome(world, runner)


def test_it_learns_at_all(straight):
    weight = straight[3]
    assert straight[0].size > 1000 and (weight < PSP).mean() > 0.2 and (weight >= 0).all()


def test_two_threads_and_a_lax_world_learn_the_same(straight):
    for options in ({"threads": 2}, {"strict": False}):
        world, _, runner = lively(**options)
        assert same(outcome(world, runner), straight)


def test_saved_loaded_and_run_on_equals_a_straight_run(straight, tmp_path):
    """Also what teachers have under way."""
    world, _, runner = lively()
    for _ in range(150):
        runner.step()
    assert (table_of(world)[Taught.due][:, 0] >= world.tick).any(), "something is under way"
    snapshot.save(runner, tmp_path / "a.h5", {})
    world, _, runner = lively()
    for _ in range(33):
        runner.step()
    snapshot.load(runner, tmp_path / "a.h5")
    assert same(outcome(world, runner), straight)


def test_nothing_learns_where_learning_is_off():
    world, _, runner = lively(learning=False)
    before = table_of(world)[Synapse.weight].copy()
    spikes_of(world, runner, 100)
    assert np.array_equal(table_of(world)[Synapse.weight], before) and table_of(world)[Incoming.span][1] == 300
