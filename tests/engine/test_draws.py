"""Counter-based draws against the published known answers, and their independence of everything else."""

import numpy as np
import pytest
from scipy.stats import chi2

from engine.draws import philox4x32
from engine.kernel import kernel

# philox4x32 with 7 rounds: counter, key, output; the file kat_vectors of Random123 (Salmon et al. 2011, D. E. Shaw
# Research)
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "5207ddc2 45165e59 4d8ee751 8c52f662"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "4dfccaba 190a87f0 c47362ba b6b5242a"),
]


@kernel
def draw(n, k0, k1, tick, out):
    """Block `row` of the stream, for every row of `out` [n, 4]."""
    for row in range(n):
        a, b, c, d = philox4x32(
            np.uint64(k0), np.uint64(k1), np.uint64(tick), np.uint64(0), np.uint64(row), np.uint64(0)
        )
        out[row, 0], out[row, 1], out[row, 2], out[row, 3] = a, b, c, d


@kernel
def one_block(k, c, out):
    out[0], out[1], out[2], out[3] = philox4x32(k[0], k[1], c[0], c[1], c[2], c[3])


def words(text: str) -> np.ndarray:
    return np.array([int(w, 16) for w in text.split()], np.uint64)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    out = np.zeros(4, np.uint64)
    one_block(words(key), words(counter), out)
    assert out.tolist() == words(expected).tolist()


def draws(n=20_000, key=(1, 2), tick=5) -> np.ndarray:
    out = np.zeros((n, 4), np.uint32)
    draw(n, *key, tick, out)
    return out


def test_a_row_draws_the_same_however_many_rows_there_are():
    assert (draws(100) == draws(20_000)[:100]).all()


def test_key_tick_and_row_all_matter():
    base = draws(2000)
    for other in (draws(2000, key=(2, 2)), draws(2000, key=(1, 3)), draws(2000, tick=6)):
        assert (base == other).mean() < 0.001
    assert np.unique(base).size == base.size or np.unique(base).size > base.size - 5


def test_words_are_uniform_and_unrelated():
    """Chi-square of 256 bins per lane, and correlations between lanes, rows and ticks within 4.5 standard errors."""
    x = draws(100_000)
    for lane in range(4):
        counts = np.bincount(x[:, lane] >> 24, minlength=256)
        stat = ((counts - 100_000 / 256) ** 2 / (100_000 / 256)).sum()
        assert chi2.sf(stat, 255) > 1e-4
    u = x / 2.0**32 - 0.5
    later = draws(100_000, tick=6) / 2.0**32 - 0.5
    limit = 4.5 / np.sqrt(100_000)
    assert np.abs(np.corrcoef(u.T)[np.triu_indices(4, 1)]).max() < limit
    assert abs(np.corrcoef(u[1:, 0], u[:-1, 0])[0, 1]) < limit
    assert abs(np.corrcoef(u[:, 0], later[:, 0])[0, 1]) < limit
