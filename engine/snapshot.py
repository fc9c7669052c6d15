"""Snapshots: every column that some system writes, every object that keeps state, and the tick.

Nothing else changes in a run, so a world built from the same scene and seed continues from them bit for bit.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from engine.component import Resource
from engine.errors import UserError
from engine.schedule import Runner

FORMAT = 1


def state_arrays(runner: Runner) -> dict[str, np.ndarray]:
    """Name -> array of all written columns, each storage once."""
    runner.catch_up(everything=True)
    world, found, seen = runner.world, {}, set()
    for phase in runner.phases:
        for system in phase.systems:
            for column in (*system.writes, *system.optional_writes):
                if column.name == "ran":
                    continue  # bookkeeping of threads, not state
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


def dump_scene(scene: dict) -> str:
    """The resolved scene as text, to be kept in a snapshot or record."""
    return json.dumps(scene, sort_keys=True)
