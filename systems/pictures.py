"""Pictures as a sheet of cells sees them: brightness by place."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from engine.errors import UserError
from engine.units import shown

PICTURES = Path(__file__).resolve().parents[1] / "assets" / "pictures"
LARGEST = 4096  # pixels along a side


def names() -> list[str]:
    """Shipped pictures."""
    return sorted(path.stem for path in PICTURES.glob("*.png"))


def path_of(picture: str) -> Path:
    """The file of a shipped picture, or the file that is named."""
    shipped = PICTURES / f"{picture}.png"
    if picture in names():
        return shipped
    path = Path(picture)
    if not path.is_file():
        raise UserError(f"no picture {shown(picture)} (there are: {', '.join(names())}, or an image file)")
    return path


@functools.lru_cache(maxsize=64)
def read_picture(picture: str) -> np.ndarray:
    """Grey levels 0..1, shape [height, width]."""
    import av

    if picture.startswith("set:"):
        return of_set(picture)
    path = path_of(picture)
    try:
        with av.open(str(path)) as file:
            grey = next(file.decode(video=0)).to_ndarray(format="gray")
    except (av.error.FFmpegError, StopIteration, IndexError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({type(error).__name__})") from None
    if max(grey.shape) > LARGEST:
        raise UserError(f"{path}: expected at most {LARGEST} pixels along a side, got {max(grey.shape)}")
    return grey.astype(np.float32) / np.float32(255)


def of_set(key: str) -> np.ndarray:
    """A picture of a lesson, by its key set:NAME/PART/SEED/COUNT/NUMBER."""
    from systems.picture_sets import drawn

    try:
        name, part, *numbers = key.removeprefix("set:").split("/")
        seed, count, number = (int(x) for x in numbers)
        return drawn(name, part, seed, count)[0][number]
    except (ValueError, KeyError, IndexError):
        raise UserError(f"no picture {shown(key)} in a set (expected set:NAME/PART/SEED/COUNT/NUMBER)") from None


def cells_in_rows(cells: int, tall: float = 1.0):
    """(left, right, row, rows) of each cell, left and right as shares: rows from the upper left, cells about as wide as
    high on a sheet `tall` times as high as wide."""
    rows = min(max(1, round((cells * tall) ** 0.5)), cells)
    for row in range(rows):
        first, last = cells * row // rows, cells * (row + 1) // rows
        for k in range(first, last):
            yield (k - first) / (last - first), (k - first + 1) / (last - first), row, rows


def seen(image: np.ndarray, cells: int, sheet=(0.0, 0.0, 1.0, 1.0)) -> np.ndarray:
    """Mean brightness of the part of the picture that each cell sees, shape [cells].

    Cells lie in rows from the upper left, about as wide as high; together they see all of the sheet, which is a part of
    the picture: left, top, right, bottom, as shares of it.
    """
    height, width = image.shape
    left, top, right, bottom = sheet
    image = image[_part(height, top, bottom), _part(width, left, right)]
    height, width = image.shape
    found = np.empty(cells, np.float32)
    rows = min(max(1, round((cells * (bottom - top) / (right - left)) ** 0.5)), cells)
    if (rows, cells) == (height, height * width):  # a pixel each
        return image.ravel().astype(np.float32)
    for row in range(rows):
        first, last = cells * row // rows, cells * (row + 1) // rows
        upper, lower = _span(height, row, rows)
        for k in range(first, last):
            start, stop = _span(width, k - first, last - first)
            found[k] = image[upper:lower, start:stop].mean(dtype=np.float64)
    return found


def contrasts(bright: np.ndarray, light: float, sign: float) -> np.ndarray:
    """(L - A) / (L + A) against the mean light A of the picture, of one sign: what ON or OFF cells answer to."""
    return np.maximum(sign * (bright - light) / np.maximum(bright + light, 1e-6), 0.0).astype(np.float32)


def _part(size: int, low: float, high: float) -> slice:
    """Pixels from one share of the size to another, at least one."""
    first = min(round(size * low), size - 1)
    return slice(first, max(round(size * high), first + 1))


def _span(size: int, k: int, parts: int) -> tuple[int, int]:
    """Pixels of the k-th of equal parts, at least one."""
    low = size * k // parts
    return low, max(size * (k + 1) // parts, low + 1)
