"""Records: growing HDF5 datasets, valid at any moment the file is closed, never half-written under the final name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from engine.errors import UserError


class Record:
    """Append rows to named datasets; `close` moves the file to its name, `abort` leaves nothing.

    Rows are buffered and written in chunks; `attributes` go on the file's root, so h5py alone can read everything.
    """

    def __init__(self, path: str | os.PathLike, attributes: dict | None = None, buffer_rows: int = 4096):
        import h5py

        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise UserError(f"{self.path}: folder {self.path.parent} does not exist")
        try:
            handle, self._temporary = tempfile.mkstemp(
                prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent
            )
            os.close(handle)
            self._file = h5py.File(self._temporary, "w")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        for key, value in (attributes or {}).items():
            self._file.attrs[key] = value
        self._rows = buffer_rows
        self._buffers: dict[str, list[np.ndarray]] = {}

    def append(self, name: str, row: np.ndarray) -> None:
        """One more row (an array of the same shape each time)."""
        buffer = self._buffers.setdefault(name, [])
        buffer.append(np.array(row))
        if len(buffer) >= self._rows:
            self._write(name)

    def extend(self, name: str, rows: np.ndarray) -> None:
        """Many rows at once, shape [rows, ...]."""
        self._write(name)
        self._store(name, np.asarray(rows))

    def put(self, name: str, data, **attributes) -> None:
        """A whole dataset, once (positions, names, constants)."""
        set_ = self._file.create_dataset(name, data=data)
        for key, value in attributes.items():
            set_.attrs[key] = value

    def describe(self, name: str, **attributes) -> None:
        """Unit and meaning of a dataset that exists or will."""
        self._write(name)
        if name in self._file:
            for key, value in attributes.items():
                self._file[name].attrs[key] = value

    def _write(self, name: str) -> None:
        buffer = self._buffers.get(name)
        if buffer:
            self._store(name, np.stack(buffer))
            buffer.clear()

    def _store(self, name: str, rows: np.ndarray) -> None:
        if name not in self._file:
            self._file.create_dataset(
                name, data=rows, maxshape=(None, *rows.shape[1:]), chunks=(max(1, min(4096, 65536 // max(1, rows[0].nbytes if len(rows) else 8))), *rows.shape[1:])
            )
            return
        dataset = self._file[name]
        at = dataset.shape[0]
        dataset.resize(at + rows.shape[0], axis=0)
        dataset[at:] = rows

    def close(self) -> None:
        """Write what is buffered and give the file its name."""
        if self._file is None:
            return
        for name in list(self._buffers):
            self._write(name)
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
