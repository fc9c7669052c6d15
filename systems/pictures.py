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

    path = path_of(picture)
    try:
        with av.open(str(path)) as file:
            grey = next(file.decode(video=0)).to_ndarray(format="gray")
    except (av.error.FFmpegError, StopIteration, IndexError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a picture ({type(error).__name__})") from None
    if max(grey.shape) > LARGEST:
        raise UserError(f"{path}: expected at most {LARGEST} pixels along a side, got {max(grey.shape)}")
    return grey.astype(np.float32) / np.float32(255)


def seen(image: np.ndarray, cells: int) -> np.ndarray:
    """Mean brightness of the part of the picture that each cell sees, shape [cells].

    Cells lie in rows from the upper left, about as many rows as cells in a row; together they see all of it.
    """
    rows = max(1, round(cells**0.5))
    height, width = image.shape
    found = np.empty(cells, np.float32)
    for row in range(rows):
        first, last = cells * row // rows, cells * (row + 1) // rows
        top, bottom = _span(height, row, rows)
        for k in range(first, last):
            left, right = _span(width, k - first, last - first)
            found[k] = image[top:bottom, left:right].mean(dtype=np.float64)
    return found


def _span(size: int, k: int, parts: int) -> tuple[int, int]:
    """Pixels of the k-th of equal parts, at least one."""
    low = size * k // parts
    return low, max(size * (k + 1) // parts, low + 1)
