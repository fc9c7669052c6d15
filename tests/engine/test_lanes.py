"""Lanes against numpy: every operation, whole and partial registers, nothing touched beyond."""

import numba as nb
import numpy as np
import pytest

from engine.lanes import LANES, bits, first, floats, ints, load, lowest, put, store, tally, where


@nb.njit(error_model="numpy")
def work(a, b, out, some, n):
    """out = a * 2 + b where a < b else a - b; `some` takes a where b <= 3; the sum of places where a > b or a >= 9."""
    two, three, places = floats(np.float32(2)), floats(np.float32(3)), 0
    for k in range(0, n, LANES):
        m = min(LANES, n - k)
        x, y = load(a, k, m), floats(load(b, k, m))
        store(out, k, m, where(x < y, x * two + y, x - y))
        put(some, k, (y <= three) & first(m), x)
        found = bits(((x > y) | (x >= floats(np.float32(9)))) & first(m))
        while found:
            places += k + lowest(found)
            found &= found - np.uint64(1)
        store(b, k, m, ints(np.int32(-1)))
    return places


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 32, 50])
def test_lanes_do_what_numpy_does_and_touch_nothing_else(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(4, 4, 64).astype(np.float32), rng.integers(0, 8, 64).astype(np.int32)
    out, some, before = np.full(64, 7, np.float32), np.full(64, 7, np.float32), b.copy()
    places = work(a, b, out, some, n)
    y = before[:n].astype(np.float32)
    assert np.array_equal(out[:n], np.where(a[:n] < y, a[:n] * 2 + y, a[:n] - y)) and (out[n:] == 7).all()
    assert np.array_equal(some[:n], np.where(y <= 3, a[:n], 7)) and (some[n:] == 7).all()
    assert places == np.flatnonzero((a[:n] > y) | (a[:n] >= 9)).sum()
    assert (b[:n] == -1).all() and np.array_equal(b[n:], before[n:])


def test_columns_that_may_not_be_written_can_be_read():
    """As a strict world hands them out."""
    a, b = np.arange(20, dtype=np.float32), np.zeros(20, np.int32)
    a.flags.writeable = False
    out, some = np.zeros(20, np.float32), np.zeros(20, np.float32)
    work(a, b, out, some, 20)
    assert np.array_equal(out, a)


@nb.njit(error_model="numpy")
def counted(number, m, out):
    """out = tally of the number, plus one, times three less three."""
    one, three = ints(np.int32(1)), ints(np.int32(3))
    store(out, 0, LANES, (tally(number, m) + one) * three - three)


@pytest.mark.parametrize("m", [0, 1, 7, 15])
def test_a_tally_counts_groups_of_four_bits(m):
    groups = np.random.default_rng(m).integers(0, 16, 16)
    for values in (groups, np.full(16, 15), np.zeros(16, int)):
        out = np.zeros(LANES, np.int32)
        counted(np.uint64(sum(int(g) << 4 * k for k, g in enumerate(values))), m, out)
        assert np.array_equal(out, 3 * np.bincount(values[:m], minlength=16))
