"""Records: growing HDF5 datasets, valid at any moment the file is closed, never half-written under the final name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from engine.errors import UserError

BUFFER_BYTES = 1 << 20  # of one dataset, before it is written
CHUNK_BYTES = 1 << 16


class Record:
    """Append rows to named datasets; `close` moves the file to its name, `abort` leaves nothing.

    Rows are buffered in memory and written in chunks, so that a row costs a microsecond or so; attributes go on the
    file's root. h5py alone can read everything. A record closed early holds what was appended until then.
    """

    def __init__(self, path: str | os.PathLike, attributes: dict | None = None):
        import h5py

        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise UserError(f"{self.path}: folder {self.path.parent} does not exist")
        if self.path.is_dir():
            raise UserError(f"{self.path}: expected a file, found a folder")
        try:
            handle, self._temporary = tempfile.mkstemp(
                prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
            )
            os.close(handle)
            self._file = h5py.File(self._temporary, "w")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self._text = h5py.string_dtype()
        self._blocks: dict[str, list[np.ndarray]] = {}
        self._waiting: dict[str, int] = {}
        self._about: dict[str, dict] = {}
        self.note(**(attributes or {}))

    @property
    def closed(self) -> bool:
        return self._file is None

    def note(self, **attributes) -> None:
        """Set attributes of the whole file; a later value replaces an earlier one."""
        for key, value in attributes.items():
            self._file.attrs[key] = value

    def append(self, name: str, row) -> None:
        """One more row: a number, text or an array, of the same shape each time."""
        self.extend(name, np.array(row)[None])

    def extend(self, name: str, rows: np.ndarray) -> None:
        """Many rows at once, shape [rows, ...]; the caller may change the array afterwards."""
        rows = np.array(rows)
        self._blocks.setdefault(name, []).append(rows)
        waiting = self._waiting.get(name, 0) + max(rows.nbytes, 64)
        self._waiting[name] = waiting
        if waiting >= BUFFER_BYTES:
            self._write(name)

    def put(self, name: str, data, **attributes) -> None:
        """A whole dataset, once (positions, names, constants)."""
        data = np.asarray(data)
        text = data.dtype.kind in "UO"
        made = self._file.create_dataset(name, data=data.astype(object) if text else data,
                                         dtype=self._text if text else None)  # fmt: skip
        for key, value in attributes.items():
            made.attrs[key] = value

    def describe(self, name: str, **attributes) -> None:
        """Unit, meaning, names of columns: attributes of a dataset that exists or will."""
        self._about.setdefault(name, {}).update(attributes)
        if name in self._file:
            for key, value in attributes.items():
                self._file[name].attrs[key] = value

    def start(self, name: str, dtype, shape: tuple[int, ...] = ()) -> None:
        """Make a dataset of rows of this type before the first row comes, so that it is there even if none does."""
        self._blocks.setdefault(name, []).insert(0, np.zeros((0, *shape), dtype))

    def flush(self) -> None:
        """Write everything that is buffered."""
        for name in self._blocks:
            self._write(name)
        self._file.flush()

    def _write(self, name: str) -> None:
        blocks = self._blocks.get(name)
        if blocks:
            try:
                self._store(name, np.concatenate(blocks) if len(blocks) > 1 else blocks[0])
            except OSError as error:  # disk full and the like
                self.abort()
                raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error
            blocks.clear()
            self._waiting[name] = 0

    def _store(self, name: str, rows: np.ndarray) -> None:
        text = rows.dtype.kind in "UO"
        if name not in self._file:
            row_bytes = max(1, 16 if text else rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=int)))
            made = self._file.create_dataset(
                name, shape=(0, *rows.shape[1:]), maxshape=(None, *rows.shape[1:]),
                dtype=self._text if text else rows.dtype,
                chunks=(max(1, CHUNK_BYTES // row_bytes), *(max(1, side) for side in rows.shape[1:])),
            )  # fmt: skip
            for key, value in self._about.get(name, {}).items():
                made.attrs[key] = value
        if not rows.shape[0]:
            return
        dataset = self._file[name]
        at = dataset.shape[0]
        dataset.resize(at + rows.shape[0], axis=0)
        dataset[at:] = rows.astype(object) if text else rows

    def close(self) -> None:
        """Write what is buffered and give the file its name; closing twice is harmless."""
        if self._file is None:
            return
        self.flush()
        self._file.close()
        self._file = None
        os.chmod(self._temporary, 0o644)
        os.replace(self._temporary, self.path)

    def abort(self) -> None:
        """Drop everything."""
        if self._file is not None:
            self._file.close()
            self._file = None
            Path(self._temporary).unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
