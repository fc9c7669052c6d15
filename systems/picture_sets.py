"""Sets of pictures to learn: what belongs to which kind, what is for training and what is held out; 8 x 8 pixels.

`patterns`: five smooth patterns, 30 % of the pixels bright (60 of 200 cells in the seed's experiment), drawn once and
for all; each showing is a new variant: moved by up to a pixel each way, its contrast 0.6 to 1, noise of 20 % (SD, of
the range from black to white) on each pixel.
`digits`: the handwritten digits of Alpaydin & Kaynak 1998 (assets/pictures/README.md); a run's seed deals them out into
1,200 to train on and 597 held out. `clean`, `noise`, `shift`, `contrast` in place of `test` are the patterns with one
kind of change alone, or none; `dots` is another noise, a fifth of the pixels of any brightness.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).resolve().parents[1] / "assets" / "pictures" / "digits.npz"
KINDS = {"patterns": 5, "digits": 10}
PARTS = ("train", "test", "clean", "noise", "shift", "contrast", "dots")
PATTERN_SEED = 42  # the seed's own
BRIGHT = 0.3
SMOOTH = 2.0  # pixels
NOISE = 0.2
LOWEST_CONTRAST = 0.6
TRAINING = 1200  # digits
SIDE = 8


@functools.cache
def patterns() -> np.ndarray:
    """The five patterns, 0 and 1, shape [kinds, rows, columns]: smoothed noise, its brightest 30 %."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(PATTERN_SEED)
    found = np.zeros((KINDS["patterns"], SIDE, SIDE), np.float32)
    for k in range(len(found)):
        smooth = gaussian_filter(rng.normal(size=(SIDE, SIDE)), SMOOTH).ravel()
        found[k].reshape(-1)[np.argsort(-smooth)[: round(BRIGHT * smooth.size)]] = 1.0
    return found


def variant(image: np.ndarray, rng, part: str) -> np.ndarray:
    """A picture as it is seen once: moved, paler, with pixels that are noise; shape as `image`, 0..1."""
    if part in ("train", "test", "shift"):
        down, right = rng.integers(-1, 2, 2)
        wide = np.pad(image, 1)
        image = wide[1 - down : 1 - down + SIDE, 1 - right : 1 - right + SIDE]
    if part in ("train", "test", "contrast"):
        image = 0.5 + (image - 0.5) * rng.uniform(LOWEST_CONTRAST, 1.0)
    if part in ("train", "test", "noise"):
        image = np.clip(image + NOISE * rng.normal(size=image.shape), 0.0, 1.0)
    if part == "dots":
        image = np.where(rng.random(image.shape) < NOISE, rng.random(image.shape), image)
    return image.astype(np.float32)


@functools.lru_cache(maxsize=16)
def drawn(name: str, part: str, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(pictures [count, rows, columns] 0..1, kind of each [count]) in the order they are shown.

    Kinds of patterns come evenly often. Training and test never share a picture, nor a variant; digits come again when
    all of a part were shown.
    """
    rng = np.random.default_rng([seed, KINDS[name], PARTS.index(part)])
    if name == "patterns":
        kinds = np.concatenate([rng.permutation(KINDS[name]) for _ in range(-(-count // KINDS[name]))])[:count]
        return np.stack([variant(patterns()[k], rng, part) for k in kinds]), kinds
    with np.load(DIGITS) as kept:
        images, labels = kept["images"].astype(np.float32) / np.float32(16), kept["labels"].astype(int)
    dealt = np.random.default_rng([seed, KINDS[name]]).permutation(len(labels))
    mine = dealt[:TRAINING] if part == "train" else dealt[TRAINING:]
    rows = np.concatenate([rng.permutation(mine) for _ in range(-(-count // mine.size))])[:count]
    return images[rows], labels[rows]
