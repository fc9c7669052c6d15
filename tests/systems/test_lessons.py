"""Lessons: which pictures are shown, what is made of the spikes, and that a read-out learns to tell them."""

import numpy as np
import pytest

from engine.errors import UserError
from systems import lessons, picture_sets, pictures
from systems.spawn.circuit_model import Cell, Projection
from systems.spawn.network import Population, places_of, sample_near
from systems.spawn.scene_model import Lesson

SHOW = {"population": "eye.*", "drive": "20 mV"}


def lesson(**changes) -> Lesson:
    given = {"name": "x", "at": 100.0, "set": "patterns", "count": 10, "last": 20.0, "every": 50.0, "part": "train"}
    return Lesson.model_construct(**(given | {"labels": "own", "teach": None} | changes))


def test_training_and_exam_share_no_picture():
    """Digits are dealt out by the seed; kinds of patterns come evenly often."""
    train, _ = picture_sets.drawn("digits", "train", 3, 1200)
    test, _ = picture_sets.drawn("digits", "test", 3, 597)
    rows = {x.tobytes() for x in train}
    with np.load(picture_sets.DIGITS) as kept:
        doubles = len(kept["images"]) - len({x.tobytes() for x in kept["images"]})
    assert len(rows) >= 1200 - doubles and sum(x.tobytes() in rows for x in test) <= doubles
    assert np.bincount(picture_sets.drawn("patterns", "train", 3, 50)[1]).tolist() == [10] * 5
    here, there = (picture_sets.drawn("patterns", "test", seed, 5)[0] for seed in (3, 4))
    assert not np.array_equal(here, there)


def test_a_pattern_moves_by_a_pixel_and_pales():
    image = picture_sets.patterns()[0]
    assert image.sum() == round(0.3 * 64)
    moved = [picture_sets.variant(image, np.random.default_rng(k), "shift") for k in range(100)]
    assert len({x.tobytes() for x in moved}) == 9
    pale = picture_sets.variant(image, np.random.default_rng(1), "contrast")
    assert pale.min() == pytest.approx(1.0 - pale.max()) and 0.6 <= pale.max() - pale.min() <= 1.0
    assert np.array_equal(picture_sets.variant(image, np.random.default_rng(1), "clean"), image)


def test_spikes_are_counted_while_a_picture_is_there():
    one = lesson(count=2)
    counts = np.zeros((2, 2), np.uint16)
    ids = np.array([0, 0, 1, 1, 2, 0])
    ticks = np.array([99, 100, 119, 150, 150, 200])  # before, first picture, first, second, not asked for, after
    lessons.add_counts(counts, ids, ticks, np.array([0, 1, -1]), one)
    assert counts.tolist() == [[1, 1], [0, 1]]
    assert lessons.passed(one, 119) == 0 and lessons.passed(one, 120) == 1 and lessons.passed(one, 170) == 2


def test_told_shares_ties_and_decoded_finds_a_line():
    assert lessons.told(np.array([[3, 1], [2, 2], [0, 5]]), np.array([0, 0, 0])) == pytest.approx(0.5)
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 120)
    counts = rng.poisson(4.0, (120, 6)) + 12 * np.eye(6)[kinds]
    assert lessons.decoded(counts[:80], kinds[:80], counts[80:], kinds[80:]) > 0.95
    assert lessons.decoded(counts[:80], (kinds[:80] + 1) % 3, counts[80:], kinds[80:]) < 0.1


def test_shuffled_labels_are_those_of_the_lesson_in_another_order():
    own, other = lessons.taught(lesson(count=50), 1), lessons.taught(lesson(count=50, labels="shuffled"), 1)
    assert sorted(own) == sorted(other) and not np.array_equal(own, other)


def population(name: str, count: int, sheet, first: int) -> Population:
    cell = Cell.model_construct(count=count, sheet={"left": sheet}, sense=None)
    return Population("s", "left", name, cell, first)


def test_places_and_nearest_sources():
    """Eight cells of a quarter of the field stand in four rows of two; a target hears its own place, ON or OFF."""
    on, off = population("on", 8, [0.0, 0.0, 0.25, 0.5], 0), population("off", 8, [0.0, 0.0, 0.25, 0.5], 8)
    assert places_of(on)[:3].tolist() == [[0.0625, 0.0625], [0.1875, 0.0625], [0.0625, 0.1875]]
    target = population("to", 8, [0.0, 0.0, 0.25, 0.5], 16)
    given = {"from": ["on", "off"], "to": "to", "indegree": 1.0, "psp": "1 mV", "near": 0.001, "apart": True}
    spec = Projection.model_validate(given)
    pre, post, weight, _ = sample_near(np.random.default_rng(0), spec, [on, off], target, 2.0)
    assert pre.tolist() == [0, 9, 2, 11, 4, 13, 6, 15] and post.tolist() == list(range(16, 24))
    assert np.allclose(weight, 2.0)
    with pytest.raises(UserError, match="at most 8 sources"):
        sample_near(np.random.default_rng(0), spec.model_copy(update={"indegree": 9.0}), [on, off], target, 1.0)


def test_cells_of_contrast_see_their_part_of_the_picture():
    image = np.zeros((8, 8), np.float32)
    image[:4, :2] = 1.0
    corner = pictures.seen(image, 8, (0.0, 0.0, 0.25, 0.5))
    assert np.all(corner == 1.0) and np.all(pictures.seen(image, 8, (0.25, 0.0, 0.5, 0.5)) == 0.0)
    assert np.allclose(pictures.contrasts(corner, 0.125, 1.0), 0.875 / 1.125)
    assert np.all(pictures.contrasts(corner, 0.125, -1.0) == 0.0)
    with pytest.raises(UserError, match="no picture"):
        pictures.read_picture("set:patterns/train/1/5/9")


@pytest.mark.slow
def test_a_small_brain_learns_patterns():
    """Thalamus, brainstem and read-out alone: 200 lessons, then 40 variants; not with learning off."""
    from encephagen import load
    from systems.probes import Probes

    small = ["brain.circuits=[thalamus, brainstem, recognition]", "brain.stand_ins=[neuromodulators]", "duration=62 s"]
    small += ["lessons.0.count=200", "lessons.1.count=40", "lessons.1.at=51 s"]
    drop = ["probes=[{name: told, measure: told, of: recognition.*.answer, lesson: exam}]", "experiment=null"]
    found = {}
    for learning in ("true", "false"):
        sim = load("experiments/pattern_recognition", seed=3, overrides=[*small, *drop, f"brain.learning={learning}"])
        probes = Probes(sim)
        sim.run("62 s")
        found[learning] = probes.values()["told"]
    assert found["true"] > 0.75 and found["false"] < 0.45, found
