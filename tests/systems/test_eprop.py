"""eprop in the tick: its traces are derivatives of the potential, its sums those of a slow reference, and it learns."""

import numpy as np
import pytest

from components.learning import Eligibility, Eprop, Learning
from components.network import Inputs, Spikes, Synapse
from engine.errors import UserError
from engine.schedule import Now
from systems.eprop import eprop
from systems.spawn.circuit_model import Circuit
from systems.spawn.learning import presynaptic
from tests.systems.nets import build, build_circuits, cell, spikes_of

PSP = 2.0
RULE = {"kind": "eprop", "answer": "toy.answer", "teacher": "toy.teacher", "rate": 2.0, "filter": "20 ms", "highest": 5}
FAST = {"tau_m": "10 ms", "threshold": "15 mV"}


def circuit(
    *, sources=3, targets=2, to="hidden", adapts=False, delay="3 ms", acts_on="ampa", learning=True, seed=1, **rule
):
    """World, network, runner, table: sources onto hidden cells or onto the answers; outputs x and y with teachers."""
    more = {"adaptation": {"tau": "200 ms", "step": "1.5 mV"}} if adapts else {}
    cells = {
        "source": cell(per="channel", count=sources, acts_on=acts_on), "hidden": cell(count=targets, **FAST, **more),
        "answer": cell(per="channel", count=4, **FAST), "teacher": cell(per="channel", count=4),
    }  # fmt: skip
    learns = {"name": "learns", "from": "source", "to": to, "relation": "all", "indegree": 2 * sources, "psp": "2 mV",
              "psp_cv": 0, "delay": delay, "rule": {**RULE, **rule}}  # fmt: skip
    made = Circuit.model_validate({"structure": "toy", "title": "a test", "groups": {"channel": ["x", "y"]},
                                   "cells": cells, "projections": [learns]})  # fmt: skip
    world, network, runner = build_circuits([made], learning=learning, seed=seed)
    return world, network, runner, world.tables[f"synapses_{acts_on}_eprop_toy:learns"]


@pytest.mark.parametrize("acts_on", ["ampa", "gaba"])
def test_the_trace_is_what_a_unit_of_weight_does_to_the_potential(acts_on):
    """Two runs that differ by 0.5 mV in one synapse: their potentials differ by half of its trace, in every tick."""
    found, traces = [], []
    for extra in (0.0, 0.5):
        world, _, runner, table = circuit(acts_on=acts_on, delay="5 ms", rate=1e-9)
        table[Synapse.weight][0] += np.float32(extra)
        source, target = int(presynaptic(table)[0]), int(table[Synapse.post][0])
        world[Inputs.v][:] = 0
        v = []
        for tick in range(120):
            world[Inputs.stimulus][source] = 200.0 if tick in (3, 4, 20, 21, 22) else 0.0
            runner.step()
            v.append(float(world[Inputs.v][target]))
            if extra:
                slots = table[Eprop.trace].shape[1]
                traces.append(float(table[Eprop.trace][0, (tick - 5) % slots]))  # of the first source
        found.append(np.array(v))
    sign = 1 if acts_on == "ampa" else -1
    assert max(traces) > 0.9 and abs(found[0]).max() < 15
    assert found[1] - found[0] == pytest.approx(sign * 0.5 * np.array(traces), abs=2e-3)


def reference(table, pre, post, first, trains, threshold, v, start) -> np.ndarray:
    """Weights by the formulas of the docstring, in double precision."""
    delay, ticks = table[Synapse.delay].astype(int), len(trains)
    left, keep, to_v, arrival_v, arrival = (float(x) for x in table[Eprop.psp])
    fade, jump = (float(x) for x in table[Eprop.adaptation])
    step, gamma, kappa, full, highest = (float(x) for x in table[Eprop.step])
    decay, per_spike, aim, strength = (float(x) for x in table[Eprop.rates])
    w = start.astype(float)
    held, adapted, ebar = np.zeros((3, w.size))
    drive, potential = {}, {}
    history = {n: [] for n in set(pre)}
    hz = dict.fromkeys(set(post), aim)
    level = np.zeros((2, 2))
    for tick in range(ticks):
        fired = trains.get(tick, set())
        for row, column in enumerate((Eprop.answer, Eprop.teacher)):
            for k, (low, count) in enumerate(table[column]):
                spikes = len(fired & set(range(low, low + count)))
                level[row, k] = level[row, k] * kappa + spikes / count * (1 - kappa) * 1000
        error = (level[1] - level[0]) / full if level[1].sum() > 0.1 * full else np.zeros(2)
        for n in history:
            potential[n] = potential.get(n, 0.0) * keep + drive.get(n, 0.0) * to_v + (n in fired) * arrival_v
            drive[n] = drive.get(n, 0.0) * left + (n in fired) * arrival
            history[n].append(potential[n])
        for n in hz:
            hz[n] = hz[n] * decay + (n in fired) * per_spike
        for j in range(w.size):
            n = post[j]
            slope = gamma * (1.0 if n in fired else max(1 - abs(v[n] - threshold[n]) / threshold[n], 0.0))
            past = history[pre[j]][tick - delay[j]] if tick >= delay[j] else 0.0
            e = slope * (past - held[j])
            held[j] = held[j] * keep + adapted[j] * (1 - keep)
            adapted[j] = adapted[j] * fade + jump * e
            ebar[j] = kappa * ebar[j] + e
            signal = table[Eprop.feedback][n - first].astype(float) @ error
            w[j] = np.clip(w[j] + step * (signal * ebar[j] + strength * (1 - hz[n] / aim) * e), 0, highest)
    return w


@pytest.mark.parametrize("adapts", [False, True])
@pytest.mark.parametrize(("to", "acts_on"), [("hidden", "ampa"), ("answer", "ampa"), ("hidden", "gaba")])
def test_random_trains_agree_with_the_slow_reference(adapts, to, acts_on):
    """Inhibition grows where excitation would shrink."""
    world, network, _, table = circuit(to=to, adapts=adapts, acts_on=acts_on, regular=0.3)
    assert table[Eprop.step][0] == pytest.approx((1 if acts_on == "ampa" else -1) * 2.0 * PSP / 1000)
    pre, post, start = presynaptic(table), table[Synapse.post].copy(), table[Synapse.weight].copy()
    rng, total = np.random.default_rng(4), network.neuron_count
    trains = {tick: set(np.flatnonzero(rng.random(total) < 0.1).tolist()) for tick in range(150)}
    world[Inputs.v][:] = rng.uniform(0, 15, total)
    for tick in range(150):
        world[Spikes.fired][:] = 0
        world[Spikes.fired][list(trains[tick])] = 1
        world[Now.tick][0] = tick
        eprop(table, world)
    expected = reference(table, pre.tolist(), post.tolist(), int(post.min()), trains,
                         world[Inputs.threshold].astype(float), world[Inputs.v].astype(float), start)  # fmt: skip
    assert table[Synapse.weight] == pytest.approx(expected, abs=2e-4) and (abs(expected - start) > 0.01).any()
    assert table[Eligibility.adapted].any() == (adapts and to == "hidden")


def test_answers_hear_their_own_error_and_hidden_cells_all_of_them():
    assert np.array_equal(circuit(to="answer")[3][Eprop.feedback], np.repeat(np.eye(2), 4, axis=0))
    hidden = circuit(targets=200)[3][Eprop.feedback]
    assert hidden.shape == (200, 2) and abs(hidden.mean()) < 0.15 and hidden.std() == pytest.approx(1, abs=0.1)
    assert np.array_equal(hidden, circuit(targets=200)[3][Eprop.feedback]), "of the seed"


def test_a_teacher_is_needed_for_each_answer():
    with pytest.raises(UserError, match=r"expected a teacher for each population of toy\.nobody"):
        circuit(answer="toy.nobody")
    with pytest.raises(UserError, match="expected a teacher for each"):
        circuit(teacher="toy.hidden")


def lesson(learning: bool, seed: int, told: str = "right") -> float:
    """Share of 20 silent tests that the right answer fires more in, after 40 lessons of 200 ms."""
    world, network, runner, _ = circuit(to="answer", sources=10, learning=learning, seed=seed, rate=20)
    rng, stimulus = np.random.default_rng(seed), world[Inputs.stimulus]
    at = {p.name: slice(p.first, p.first + p.count) for p in network.populations}
    fired = np.zeros(network.neuron_count)

    def show(k: int, teacher: int | None) -> np.ndarray:
        fired[:] = 0
        for tick in range(200):
            stimulus[:] = 0
            if tick < 100:
                # the other channel's sources fire too, half as much
                for c, name in enumerate("xy"):
                    group = at[f"toy.{name}.source"]
                    stimulus[group] = np.where(rng.random(10) < (0.5 if c == k else 0.2), 40.0, 0.0)
                if teacher is not None:
                    stimulus[at[f"toy.{'xy'[teacher]}.teacher"]] = 40.0
            runner.step()
            fired[:] += world[Spikes.fired] > 0
        return fired

    for _ in range(40):
        k = int(rng.integers(2))
        show(k, k if told == "right" else int(rng.integers(2)))
    right = 0
    for test in range(20):
        counts = show(test % 2, None)
        mine, other = (counts[at[f"toy.{'xy'[c]}.answer"]].sum() for c in (test % 2, 1 - test % 2))
        right += (mine > other) + 0.5 * (mine == other)
    return right / 20


def test_answers_learn_what_their_teachers_say():
    """Chance is a half. Without learning, or with teachers that know nothing, they cannot tell."""
    found = {(told, on): np.mean([lesson(on, seed, told) for seed in (1, 2, 3)])
             for told, on in (("right", True), ("right", False), ("by chance", True))}  # fmt: skip
    assert found["right", True] >= 0.95 and found["right", False] < 0.7 and found["by chance", True] < 0.75, found


def test_no_table_without_the_rule_pays_for_it():
    world, _, runner = build({"e": cell(count=20)}, [{"from": "e", "to": "e", "indegree": 3, "psp": "1 mV"}])
    spikes_of(world, runner, 10)
    assert "eprop" not in {c.system.name for _, c in runner.calls()} and Learning.on not in world.arrays
