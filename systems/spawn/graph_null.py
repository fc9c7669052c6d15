"""Null graphs: a connectome with some of its order destroyed, to ask what that order does.

Every null keeps labels, hemispheres, lengths, positions and T1w/T2w, so delays and time constants are the same; only
the weights differ. Kinds (Rubinov & Sporns 2010; Betzel & Bassett 2018; Vasa & Misic 2022 on nulls):

    weights            the weights are dealt out anew among the links there are: topology kept
    strength           as above, then rows and columns scaled until every region has its strength again
    strength_distance  weights change places only among links of like length, then strengths as above
    labels             regions change places within their hemisphere: graph kept, its place in the brain not
    random             as many links, anywhere (Erdos & Renyi), with the weights there are
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.errors import UserError
from systems.spawn.connectome import Connectome

KINDS = ("weights", "strength", "strength_distance", "labels", "random")
DISTANCE_BINS = 20
ROUNDS = 5_000  # of the scaling of rows and columns
TOLERANCE = 1e-9  # relative error of a strength after it
UNLIKE = 0.5  # highest Spearman correlation of weights a null may have with its graph; beyond what distance explains


@dataclass(frozen=True)
class Dissimilarity:
    """How much of a graph a null still has."""

    changed: float
    """Share of the links whose weight is another (by more than 0.1 %)."""
    spearman: float
    """Rank correlation of the weights of all pairs with the original."""
    beyond_distance: float
    """The same, of what remains of the ranks after a regression on the rank of tract length."""
    strength_error: float
    """Largest relative difference of a region's strength."""


def null_graph(connectome: Connectome, kind: str, seed: int) -> Connectome:
    """The null of a connectome for a seed; UserError for an unknown kind or one that comes out too like its origin."""
    if kind not in KINDS:
        raise UserError(f"graph null: expected {', '.join(KINDS)}, got {kind!r}")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    weights = np.array(connectome.weights)
    np.fill_diagonal(weights, 0.0)
    symmetric = np.array_equal(weights, weights.T)
    made = {
        "weights": lambda: _dealt(weights, _one_bin(weights), rng, symmetric),
        "strength": lambda: _with_strengths(_dealt(weights, _one_bin(weights), rng, symmetric), weights),
        "strength_distance": lambda: _with_strengths(
            _dealt(weights, _bins(weights, connectome.lengths_mm), rng, symmetric), weights
        ),
        "labels": lambda: _relabelled(weights, connectome.hemisphere, rng),
        "random": lambda: _anywhere(weights, rng, symmetric),
    }[kind]()
    made.flags.writeable = False
    null = replace(connectome, name=f"{connectome.name}, null {kind}, seed {seed}", weights=made, fc=connectome.fc)
    found = dissimilarity(connectome, null)
    likeness = found.beyond_distance if kind == "strength_distance" else found.spearman
    if likeness >= UNLIKE:
        raise UserError(f"graph null {kind}: expected a rank correlation with {connectome.name} below {UNLIKE}, "
                        f"found {likeness:.2f}: this graph has too little order to destroy")  # fmt: skip
    return null


def dissimilarity(original: Connectome, null: Connectome) -> Dissimilarity:
    """What a null has left of its original, over all pairs of different regions."""
    from scipy.stats import rankdata

    n = original.region_count
    pair = ~np.eye(n, dtype=bool)
    a, b = original.weights[pair], null.weights[pair]
    ranks = [rankdata(x) for x in (a, b)]
    distance = rankdata(original.lengths_mm[pair])
    there = (a > 0) | (b > 0)
    rest = [_residual(r, distance) for r in ranks]
    strength = [np.where(pair, c.weights, 0.0).sum(axis=1) for c in (original, null)]
    error = np.abs(strength[1] - strength[0]) / np.where(strength[0] > 0, strength[0], 1.0)
    return Dissimilarity(
        changed=float((np.abs(a - b) > 1e-3 * np.maximum(a, b))[there].mean()) if there.any() else 0.0,
        spearman=_correlation(*ranks),
        beyond_distance=_correlation(*rest),
        strength_error=float(error.max()),
    )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 1.0


def _residual(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    x = x - x.mean()
    return y - y.mean() - x * (x @ y) / max(x @ x, 1e-300)


def _pairs(n: int, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) of every pair; of a symmetric graph each once."""
    if symmetric:
        return np.triu_indices(n, 1)
    row, column = np.divmod(np.arange(n * n), n)
    return row[row != column], column[row != column]


def _filled(n: int, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, symmetric: bool) -> np.ndarray:
    out = np.zeros((n, n))
    out[rows, columns] = values
    if symmetric:
        out[columns, rows] = values
    return out


def _one_bin(weights: np.ndarray) -> np.ndarray:
    return np.zeros(weights.shape, int)


def _bins(weights: np.ndarray, lengths_mm: np.ndarray) -> np.ndarray:
    """Bin of each pair by tract length, as many links in each."""
    mean = (lengths_mm + lengths_mm.T) / 2.0
    edges = np.quantile(mean[weights > 0], np.linspace(0, 1, DISTANCE_BINS + 1)[1:-1])
    return np.searchsorted(edges, mean)


def _dealt(weights: np.ndarray, bins: np.ndarray, rng, symmetric: bool) -> np.ndarray:
    """The weights of the links permuted within each bin."""
    rows, columns = _pairs(len(weights), symmetric)
    values, group = weights[rows, columns].copy(), bins[rows, columns]
    for number in np.unique(group):
        at = np.flatnonzero((group == number) & (values > 0))
        values[at] = values[rng.permutation(at)]
    return _filled(len(weights), rows, columns, values, symmetric)


def _with_strengths(null: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Rows and columns scaled in turn until their sums are the original's (Sinkhorn & Knopp 1967)."""
    incoming, outgoing = original.sum(axis=1), original.sum(axis=0)
    symmetric = np.array_equal(null, null.T)
    out = null.copy()
    left, right = np.ones(len(out)), np.ones(len(out))
    for _ in range(ROUNDS):
        left = np.where(incoming > 0, incoming / np.maximum(null @ right, 1e-300), 0.0)
        if symmetric:
            left = right = np.sqrt(left * right)  # one scale for both: it converges to the symmetric solution
        else:
            right = np.where(outgoing > 0, outgoing / np.maximum(left @ null, 1e-300), 0.0)
        out = left[:, None] * null * right[None, :]
        wrong = np.abs(out.sum(axis=1) - incoming) / np.where(incoming > 0, incoming, 1.0)
        if wrong.max() < TOLERANCE:
            break
    return (out + out.T) / 2.0 if symmetric else out


def _relabelled(weights: np.ndarray, hemisphere: list[str], rng) -> np.ndarray:
    """Regions of each hemisphere permuted."""
    order = np.arange(len(weights))
    sides = np.array(hemisphere)
    for side in np.unique(sides):
        members = np.flatnonzero(sides == side)
        order[members] = rng.permutation(members)
    return weights[np.ix_(order, order)]


def _anywhere(weights: np.ndarray, rng, symmetric: bool) -> np.ndarray:
    """As many links between pairs drawn at random, with the weights there are in random order."""
    rows, columns = _pairs(len(weights), symmetric)
    values = weights[rows, columns]
    links = values[values > 0]
    out = np.zeros(values.size)
    out[rng.choice(values.size, links.size, replace=False)] = rng.permutation(links)
    return _filled(len(weights), rows, columns, out, symmetric)
