"""warm_start: spikes of the past come at the target rate, from each population's own stream."""

import numpy as np
import pytest

from engine.world import World
from systems.spawn import network as net
from systems.spawn import warm_start as warm
from systems.spawn.circuit_model import Circuit
from tests.systems.nets import cell

RATE_HZ = 20.0


def past(history: int, *structures: str) -> tuple[net.Network, np.ndarray, np.ndarray]:
    """Surrogates of structures of 500 cells each."""
    circuits = [Circuit.model_validate({"structure": s, "title": "a test", "cells": {"e": cell(count=500)}})
                for s in structures]  # fmt: skip
    world, network = World(3), net.Network()
    network.populations = net.expand(circuits, None, None)
    net.make_neurons(world, network, circuits, 10)
    return network, *warm.surrogates(world, network, np.full(500 * len(structures), RATE_HZ / 1000.0), history)


def test_surrogates_are_poisson_at_the_target_rate():
    _, sources, ago = past(400, "mine")
    assert (np.diff(sources) >= 0).all() and ago.min() == 0 and ago.max() == 399
    counts = np.bincount(sources, minlength=500)
    expected = RATE_HZ * 0.4  # binomial: mean n p, variance n p (1 - p)
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 500))
    assert counts.var() == pytest.approx(expected * 0.98, rel=0.25)


@pytest.mark.parametrize(
    ("history", "structures"), [(60, ["mine", "other"]), (60, ["another", "mine"]), (300, ["mine"])]
)
def test_neither_other_populations_nor_a_longer_past_move_a_populations_spikes(history, structures):
    _, sources, ago = past(60, "mine")
    network, others, when = past(history, *structures)
    own = network.by_name["mine.all.e"]
    kept = (others >= own.first) & (others < own.first + own.count) & (when < 60)
    assert np.array_equal(others[kept] - own.first, sources) and np.array_equal(when[kept], ago)


def test_pieces_make_the_same_spikes(monkeypatch):
    _, *whole = past(100, "mine")
    monkeypatch.setattr(warm, "TOGETHER", 500 * 7)
    _, *pieces = past(100, "mine")
    assert all(np.array_equal(a, b) for a, b in zip(whole, pieces, strict=True))
