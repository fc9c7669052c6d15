"""Snapshots: every column that some system writes, every object that keeps state, and the tick.

Nothing else changes in a run, so a world built from the same scene and seed continues from them bit for bit.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.component import Resource
from engine.errors import UserError
from engine.kernel import kernel
from engine.schedule import Runner

FORMAT = 1
SPARSE_BYTES = 1 << 18  # arrays from this size on are kept without their zeros


def state_arrays(runner: Runner) -> dict[str, np.ndarray]:
    """Name -> array of all written columns, each storage once."""
    runner.catch_up(everything=True)
    world, found, seen = runner.world, {}, set()
    for phase in runner.phases:
        for system in phase.systems:
            for column in (*system.writes, *system.optional_writes):
                if issubclass(column.owner, Resource):
                    places = [("world", world.arrays.get(column))]
                else:
                    places = [(t.name, t[column]) for t in world.tables_with(system.needed) if column.owner in t]
                for place, array in places:
                    if array is None:
                        continue
                    address = (array.__array_interface__["data"][0], array.nbytes)
                    if address not in seen:
                        seen.add(address)
                        found[f"{place}/{column.owner.__name__}.{column.name}"] = array
    return found


def save(runner: Runner, path: str | os.PathLike, attributes: dict[str, str | int]) -> None:
    """Write the state to an HDF5 file, all or nothing."""
    import h5py

    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(f"{path}: folder {path.parent} does not exist")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        with h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["tick"] = runner.world.tick
            file.attrs["seed"] = runner.world.seed
            for key, value in attributes.items():
                file.attrs[key] = value
            for name, array in state_arrays(runner).items():
                file.create_dataset(f"columns/{name}", data=array)
            for kind, thing in runner.world.objects.items():
                if hasattr(thing, "snapshot"):
                    for key, array in thing.snapshot().items():
                        file.create_dataset(f"objects/{kind.__name__}/{key}", data=array)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def attributes(path: str | os.PathLike) -> dict:
    """What was saved beside the state (scene, seed, tick, ...)."""
    import h5py

    if not Path(path).is_file():
        raise UserError(f"{path}: no such file to load")
    try:
        with h5py.File(path, "r") as file:
            found = {k: v.item() if hasattr(v, "item") else v for k, v in file.attrs.items()}
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a snapshot ({str(error).splitlines()[0]})") from error
    if found.get("format") != FORMAT:
        raise UserError(f"{path}: not a snapshot of this program (format {found.get('format')}, expected {FORMAT})")
    for key in ("tick", "seed"):
        if not isinstance(found.get(key), int):
            raise UserError(f"{path}: expected a whole number as attribute {key}, found {found.get(key)}")
    return found


def load(runner: Runner, path: str | os.PathLike) -> None:
    """Put the saved state into a world built from the same scene and seed; UserError if they do not fit."""
    import h5py

    world, saved = runner.world, attributes(path)
    if saved["seed"] != world.seed:
        raise UserError(f"{path}: was saved with seed {saved['seed']}, this world has seed {world.seed}")
    columns, objects = [], []
    try:  # read and check everything before anything changes
        with h5py.File(path, "r") as file:
            for name, array in state_arrays(runner).items():
                found = file.get(f"columns/{name}")
                if found is None or found.shape != array.shape or found.dtype != array.dtype:
                    what = "nothing" if found is None else f"{found.shape} of {found.dtype}"
                    expected = f"{array.shape} of {array.dtype}"
                    raise UserError(f"{path}: {name}: expected shape {expected}, found {what}; is it another scene?")
                columns.append((array, found[...]))
            for kind, thing in world.objects.items():
                if hasattr(thing, "restore"):
                    group = file.get(f"objects/{kind.__name__}")
                    if group is None:
                        raise UserError(f"{path}: holds no {kind.__name__}; is it another scene?")
                    objects.append((thing, {key: group[key][...] for key in group}))
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a snapshot ({str(error).splitlines()[0]})") from error
    if int(saved["tick"]) < 0:
        raise UserError(f"{path}: tick: expected 0 or more, found {saved['tick']}")
    for thing, value in objects:
        try:
            thing.restore(value)
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{path}: {type(thing).__name__}: damaged ({type(error).__name__}: {error})") from error
    for array, value in columns:
        array[...] = value
    world.tick = int(saved["tick"])
    runner.push()


# in memory ------------------------------------------------------------------------------------------------------


@dataclass
class Mark:
    """A moment kept in memory: what `mark` took and `recall` puts back."""

    tick: int
    arrays: list[np.ndarray | tuple[np.ndarray, np.ndarray]]
    objects: list[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(a.nbytes if isinstance(a, np.ndarray) else a[0].nbytes + a[1].nbytes for a in self.arrays)


@kernel
def squeeze(pairs, cells, where, value):
    """Places and values of the cells that are not 0; how many, or -1 if they are more than there is room for.

    `pairs` [n] are the same bytes as `cells` [2 n], two at a time: nearly all are 0.
    """
    found = 0
    for k in range(pairs.size):
        if pairs[k] != 0:
            for c in (2 * k, 2 * k + 1):
                if cells[c] != 0:
                    if found == where.size:
                        return -1
                    where[found] = c
                    value[found] = cells[c]
                    found += 1
    return found


class Marks:
    """Takes and recalls moments of one runner; keeps what it needs to do so fast."""

    def __init__(self, runner: Runner):
        self.runner = runner
        self._version = -1

    def _look(self) -> None:
        """The arrays of state, found anew when the structure changed."""
        if self._version == self.runner.world.structure_version:
            return
        self._arrays = list(state_arrays(self.runner).values())
        room = 0
        self._sparse = []
        for array in self._arrays:
            fits = array.dtype == np.int32 and array.nbytes >= SPARSE_BYTES and array.size % 2 == 0
            fits = fits and array.flags.c_contiguous
            self._sparse.append((array.reshape(-1).view(np.int64), array.reshape(-1)) if fits else None)
            room = max(room, array.size // 4 if fits else 0)
        self._where, self._value = np.empty(room, np.int32), np.empty(room, np.int32)
        self._version = self.runner.world.structure_version

    def mark(self) -> Mark:
        """The moment as it is, between two ticks."""
        self.runner.catch_up(everything=True)
        self._look()
        arrays: list = []
        for array, views in zip(self._arrays, self._sparse, strict=True):
            room = array.size // 4
            found = squeeze(*views, self._where[:room], self._value[:room]) if views is not None else -1
            if found >= 0:
                arrays.append((self._where[:found].copy(), self._value[:found].copy()))
            else:
                arrays.append(array.copy())
        things = self.runner.world.objects.values()
        objects = [t.mark() if hasattr(t, "mark") else t.snapshot() if hasattr(t, "snapshot") else None for t in things]
        return Mark(self.runner.world.tick, arrays, objects)

    def recall(self, mark: Mark) -> None:
        """Be as at that moment; the mark stays good for further times."""
        self._look()
        for array, kept in zip(self._arrays, mark.arrays, strict=True):
            if isinstance(kept, tuple):
                flat = array.reshape(-1)
                flat[:] = 0
                flat[kept[0]] = kept[1]
            else:
                array[...] = kept
        for thing, kept in zip(self.runner.world.objects.values(), mark.objects, strict=True):
            if kept is not None:
                (thing.recall if hasattr(thing, "recall") else thing.restore)(kept)
        self.runner.world.tick = mark.tick
        self.runner.push()


def dump_scene(scene: dict) -> str:
    """The resolved scene as text, to be kept in a snapshot or record."""
    return json.dumps(scene, sort_keys=True)
