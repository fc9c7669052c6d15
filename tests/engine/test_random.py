"""Named streams from one seed."""

import itertools

import numpy as np

from engine.random import Streams


def test_the_same_name_and_seed_give_the_same_draws():
    a, b = Streams(7).generator("x").random(100), Streams(7).generator("x").random(100)
    assert (a == b).all()


def test_a_new_stream_never_shifts_an_old_one():
    alone = Streams(7)
    first = alone.generator("old").random(50)
    crowded = Streams(7)
    crowded.generator("new").random(1234)
    old = crowded.generator("old")
    half = old.random(25)
    crowded.generator("newer").random(99)
    assert (np.concatenate([half, old.random(25)]) == first).all()


def test_names_and_seeds_give_different_keys():
    keys = {Streams(seed).key(name) for seed, name in itertools.product(range(-3, 40), [*"abcdefgh", "1/a", ""])}
    assert len(keys) == 43 * 10
    assert all(0 <= word < 2**32 for key in keys for word in key)


def test_keys_are_the_same_in_every_process_and_release():
    """A change here changes every simulation of every seed ever published."""
    assert Streams(7).key("background/cortex.Calcarine_L.l4") == (4086643423, 2231908282)


def test_streams_are_uncorrelated():
    draws = np.stack([Streams(1).generator(f"s{k}").standard_normal(20_000) for k in range(6)])
    off = np.corrcoef(draws)[np.triu_indices(6, 1)]
    assert np.abs(off).max() < 4.5 / np.sqrt(20_000)
