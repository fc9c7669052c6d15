"""Lessons: pictures of a set, one after another, each with a teacher that is driven while it is shown, or without one.

What is shown, and what the teacher says, are actions of the timeline like any other. How many answers were right is
found from the spikes of the answering cells, and beside it what a decoder outside the brain makes of any cells' spikes.
"""

from __future__ import annotations

import numpy as np

from engine.errors import UserError
from systems import picture_sets
from systems.timeline import Action

STRENGTHS = (0.001, 0.01, 0.1)  # of the decoder's ridge, one of which is chosen on the training set
FOLDS = 4


def key_of(lesson, seed: int, number: int) -> str:
    """What a picture of a lesson is called in the timeline: set/part/seed/count/number."""
    return f"set:{lesson.set}/{lesson.part}/{seed}/{lesson.count}/{number}"


def shown(lesson, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(pictures [count, 8, 8], kinds [count]) of a lesson."""
    return picture_sets.drawn(lesson.set, lesson.part, seed, lesson.count)


def starts(lesson) -> np.ndarray:
    """Tick at which each picture appears, shape [count]."""
    return round(lesson.at) + round(lesson.every) * np.arange(lesson.count)


def taught(lesson, seed: int) -> np.ndarray:
    """Kind that the teacher says at each picture, shape [count]."""
    kinds = shown(lesson, seed)[1]
    return kinds if lesson.labels == "own" else np.random.default_rng([seed, 7]).permutation(kinds)


def actions_of(lesson, targets, seed: int) -> list[Action]:
    """The timeline of a lesson; UserError where cells are missing."""
    pupils = []
    if lesson.teach is not None:
        populations = sorted(targets.network.select(lesson.teach.population), key=lambda p: p.first)
        if len(populations) < picture_sets.KINDS[lesson.set]:
            raise UserError(f"expected a population for each of {picture_sets.KINDS[lesson.set]} kinds of "
                            f"{lesson.set}, {lesson.teach.population} are {len(populations)}")  # fmt: skip
        pupils = [p.name for p in populations]
    found, last = [], round(lesson.last)
    for number, (start, kind) in enumerate(zip(starts(lesson), taught(lesson, seed), strict=True)):
        begin = int(start)
        found.append(Action(begin, begin + last, "stimulate", lesson.show.population, lesson.show.drive,
                            picture=key_of(lesson, seed, number)))  # fmt: skip
        if pupils:
            found.append(Action(begin, begin + last, "stimulate", pupils[kind], lesson.teach.drive))
    return found


def add_counts(counts: np.ndarray, ids, ticks, column: np.ndarray, lesson) -> None:
    """Count spikes while each picture is shown; counts [pictures, columns], `column` of each neuron or -1."""
    since = ticks.astype(np.int64) - round(lesson.at)
    number = since // round(lesson.every)
    chosen = (column[ids] >= 0) & (since >= 0) & (number < lesson.count) & (since % round(lesson.every) < lesson.last)
    np.add.at(counts, (number[chosen], column[ids[chosen]]), 1)


def passed(lesson, tick: int) -> int:
    """Pictures that are over at a tick."""
    return int((starts(lesson) + round(lesson.last) <= tick).sum())


def told(counts: np.ndarray, kinds: np.ndarray) -> float:
    """Share of pictures at which the population of their kind fires most; ties are shared. [pictures, answers]."""
    best = counts == counts.max(axis=1, keepdims=True)
    return float(np.mean(best[np.arange(len(kinds)), kinds] / best.sum(axis=1)))


def decoded(train: np.ndarray, kinds: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """Share right of a linear decoder (multinomial logistic regression with a ridge chosen by cross-validation)."""
    mean, spread = train.mean(axis=0), train.std(axis=0)
    varies = spread > 0
    if not varies.any() or np.unique(kinds).size < 2:
        return float("nan")

    def scaled(x):
        return np.hstack([(x[:, varies] - mean[varies]) / spread[varies], np.ones((len(x), 1))])

    x, order = scaled(train), np.arange(len(train)) % FOLDS
    folds = [
        np.mean([np.mean(told_by(fitted(x[order != f], kinds[order != f], s), x[order == f]) == kinds[order == f])
                 for f in range(FOLDS)]) for s in STRENGTHS
    ]  # fmt: skip
    best = fitted(x, kinds, STRENGTHS[int(np.argmax(folds))])
    return float(np.mean(told_by(best, scaled(test)) == truth))


def told_by(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x @ weights).argmax(axis=1)


def fitted(x: np.ndarray, kinds: np.ndarray, strength: float) -> np.ndarray:
    """Weights [inputs, kinds] of multinomial logistic regression, the last input being 1; ridge per picture."""
    from scipy.optimize import minimize

    count, wide = x.shape[1], int(kinds.max()) + 1
    goal = np.eye(wide)[kinds]

    def loss(flat):
        weights = flat.reshape(count, wide)
        score = x @ weights
        score -= score.max(axis=1, keepdims=True)
        chance = np.exp(score)
        total = chance.sum(axis=1, keepdims=True)
        value = -np.mean((goal * (score - np.log(total))).sum(axis=1)) + 0.5 * strength * np.sum(weights[:-1] ** 2)
        slope = x.T @ (chance / total - goal) / len(x)
        slope[:-1] += strength * weights[:-1]
        return value, slope.ravel()

    found = minimize(loss, np.zeros(count * wide), jac=True, method="L-BFGS-B", options={"maxiter": 150})
    return found.x.reshape(count, wide)
