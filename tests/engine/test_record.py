"""Record: rows arrive in order, a record closed early is whole, an aborted one leaves nothing."""

import h5py
import numpy as np
import pytest

from engine import record as module
from engine.errors import UserError
from engine.record import Record


def test_rows_of_every_kind_come_back(tmp_path):
    with Record(tmp_path / "r.h5", {"seed": 7, "title": "Übung"}) as record:
        record.put("names", ["a", "ß"], unit="none")
        record.describe("samples/x", unit="mV")
        for k in range(10):
            record.append("samples/x", np.full(3, k, np.float32))
            record.append("samples/tick", np.int64(k))
            record.append("events", np.array(f"event {k}", object))
        record.extend("samples/x", np.full((5, 3), 99, np.float32))
    with h5py.File(tmp_path / "r.h5") as file:
        assert file.attrs["seed"] == 7 and file.attrs["title"] == "Übung"
        assert file["names"].asstr()[:].tolist() == ["a", "ß"] and file["names"].attrs["unit"] == "none"
        x = file["samples/x"]
        assert x.attrs["unit"] == "mV" and x.dtype == np.float32
        assert x[:, 0].tolist() == [*range(10), *[99] * 5]
        assert file["samples/tick"][:].tolist() == list(range(10))
        assert file["events"].asstr()[3] == "event 3"


def test_rows_are_copied_when_they_are_given(tmp_path):
    row = np.zeros(4)
    with Record(tmp_path / "r.h5") as record:
        for k in range(3):
            row[:] = k
            record.append("x", row)
            record.extend("y", row[None])
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["x"][:, 0].tolist() == file["y"][:, 0].tolist() == [0, 1, 2]


def test_full_buffers_are_written_on_the_way(tmp_path, monkeypatch):
    """Many small blocks: the file grows, the order stays, memory does not."""
    monkeypatch.setattr(module, "BUFFER_BYTES", 1000)
    record = Record(tmp_path / "r.h5")
    for k in range(500):
        record.extend("ids", np.arange(k * 7, k * 7 + 7, dtype=np.int32))
        assert record._waiting["ids"] < 1000
    record.close()
    with h5py.File(tmp_path / "r.h5") as file:
        assert np.array_equal(file["ids"][:], np.arange(3500)) and file["ids"].dtype == np.int32


def test_a_dataset_may_be_started_and_stay_empty(tmp_path):
    with Record(tmp_path / "r.h5") as record:
        record.start("events/tick", np.int64)
        record.start("events/label", object)
        record.describe("events/tick", unit="ms")
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["events/tick"].shape == (0,) and file["events/tick"].attrs["unit"] == "ms"
        assert file["events/label"].shape == (0,)


def test_an_exception_leaves_what_was_written(tmp_path):
    with pytest.raises(ZeroDivisionError), Record(tmp_path / "r.h5") as record:
        record.append("x", 1.0)
        raise ZeroDivisionError
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["x"][:].tolist() == [1.0]


def test_the_name_appears_only_on_close(tmp_path):
    path = tmp_path / "r.h5"
    path.write_text("before")
    record = Record(path)
    record.append("x", 1.0)
    assert path.read_text() == "before"
    record.abort()
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["r.h5"]
    assert record.closed
    record = Record(path)
    record.close()
    record.close()
    assert h5py.is_hdf5(path) and [p.name for p in tmp_path.iterdir()] == ["r.h5"]


def test_notes_may_be_replaced_until_the_end(tmp_path):
    with Record(tmp_path / "r.h5", {"finished": False}) as record:
        record.note(finished=True, last_tick=12)
    with h5py.File(tmp_path / "r.h5") as file:
        assert bool(file.attrs["finished"]) and file.attrs["last_tick"] == 12


@pytest.mark.parametrize("place", ["missing/r.h5", "."])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, place):
    with pytest.raises(UserError) as caught:
        Record(tmp_path / place)
    assert len(str(caught.value).splitlines()) == 1
