"""Snapshots: save, load, run equals run, bit for bit; files are whole or absent; wrong files are one clear line."""

import h5py
import numpy as np
import pytest

from engine import snapshot
from engine.errors import UserError
from engine.record import Record
from engine.schedule import Now
from tests.engine.toy import Ball, Room, Tally, balls, run, state


@pytest.fixture
def saved(tmp_path):
    runner = balls()
    run(runner, 37)
    path = tmp_path / "a.h5"
    snapshot.save(runner, path, {"scene": "room"})
    return path, runner


@pytest.mark.parametrize("threads", [1, 2])
def test_save_load_run_equals_run_bit_for_bit(saved, threads):
    path, runner = saved
    other = balls(threads=threads)
    run(other, 5)  # what it did before does not matter
    snapshot.load(other, path)
    assert other.world.tick == 37 and state(other) == state(runner)
    assert other.world.object(Tally).lowest == runner.world.object(Tally).lowest
    assert run(other, 100) == run(runner, 100)
    assert other.world.object(Tally).lowest == runner.world.object(Tally).lowest
    assert other.world[Now.tick][0] == runner.world[Now.tick][0] == 136


def test_the_state_is_exactly_what_some_system_writes(saved):
    _, runner = saved
    names = set(snapshot.state_arrays(runner))
    assert names == {f"{t}/Ball.{c}" for t in ("balls", "counted") for c in ("y", "speed")} | {
        "counted/Spin.bounces",
        "world/Room.ran",
    }


def test_storage_shared_by_two_columns_is_restored_for_both(tmp_path):
    """As the neuron tables are slices of one vector."""
    runner = balls(4, counted=0)
    whole = np.zeros(4, np.float32)
    runner.world.tables["balls"].share(Ball.y, whole)
    runner.world.structure_version += 1
    run(runner, 10)
    expected = whole.copy()
    snapshot.save(runner, tmp_path / "a.h5", {})
    run(runner, 10)
    assert not (whole == expected).all()
    snapshot.load(runner, tmp_path / "a.h5")
    assert (whole == expected).all() and np.shares_memory(runner.world.tables["balls"][Ball.y], whole)


def test_attributes_can_be_read_alone(saved):
    path, _ = saved
    found = snapshot.attributes(path)
    assert found["scene"] == "room" and found["tick"] == 37 and found["seed"] == 3 and type(found["tick"]) is int


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    path, runner = saved
    before = path.read_bytes()
    run(runner, 3)
    real, calls = h5py.File.create_dataset, []

    def disk_full(self, name, *args, **kwargs):
        calls.append(name)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.File, "create_dataset", disk_full)
    with pytest.raises(OSError, match="No space"):
        snapshot.save(runner, path, {})
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["a.h5"]


def test_an_interrupted_save_leaves_no_file(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.File, "create_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        snapshot.save(balls(), tmp_path / "a.h5", {})
    assert list(tmp_path.iterdir()) == []


def test_the_name_appears_only_when_the_file_is_whole(tmp_path, monkeypatch):
    import os

    seen, real = [], os.replace

    def look(source, target):
        with h5py.File(source, "r") as file:  # closed and complete before it gets its name
            seen.append((sorted(file), target.exists()))
        real(source, target)

    monkeypatch.setattr(os, "replace", look)
    snapshot.save(balls(), tmp_path / "a.h5", {})
    assert seen == [(["columns", "objects"], False)]


def refused(path, match: str, runner=None):
    """The file is refused with one line that names it, and the world is as before."""
    runner = runner or balls()
    run(runner, 3)
    before, tick, lowest = state(runner), runner.world.tick, runner.world.object(Tally).lowest
    with pytest.raises(UserError, match=match) as caught:
        snapshot.load(runner, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert state(runner) == before and runner.world.tick == tick and runner.world.object(Tally).lowest == lowest


def test_wrong_files_are_one_clear_line(saved, tmp_path):
    path, _ = saved
    refused(tmp_path / "missing.h5", "no such file")
    refused(tmp_path, "no such file")
    text = tmp_path / "text.h5"
    text.write_text("not HDF5 at all")
    refused(text, "cannot be read as a snapshot")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-500])
    refused(cut, "cannot be read as a snapshot")
    empty = tmp_path / "empty.h5"
    empty.write_bytes(b"")
    refused(empty, "cannot be read as a snapshot")


def test_a_record_is_not_a_snapshot(tmp_path):
    with Record(tmp_path / "r.h5", {"seed": 3}) as record:
        record.append("x", np.zeros(3))
    refused(tmp_path / "r.h5", "not a snapshot of this program")


def test_another_seed_or_scene_is_refused(saved):
    path, _ = saved
    refused(path, "saved with seed 3, this world has seed 4", balls(seed=4))
    refused(path, r"balls/Ball\.\w+: expected shape \(299,\) of float32, found \(300,\) of float32", balls(299))
    refused(path, r"counted/Ball\.\w+: expected shape \(41,\) of \w+, found \(40,\) of \w+", balls(counted=41))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda f: f.__delitem__("objects/Tally"), "holds no Tally"),
        (lambda f: f.__delitem__("columns/balls/Ball.y"), r"balls/Ball\.y: expected shape .* found nothing"),
        (lambda f: f.attrs.__delitem__("tick"), "tick"),
        (lambda f: f.attrs.__setitem__("format", 99), "format 99, expected 1"),
        (lambda f: f["columns/balls"].__setitem__("Ball.y2", [1]) or f.__delitem__("columns"), "found nothing"),
    ],
)
def test_a_damaged_snapshot_is_refused_before_anything_changes(saved, spoil, match):
    path, _ = saved
    with h5py.File(path, "a") as file:
        spoil(file)
    refused(path, match)


def test_a_column_of_another_type_is_refused(saved):
    path, _ = saved
    with h5py.File(path, "a") as file:
        del file["columns/balls/Ball.y"]
        file["columns/balls/Ball.y"] = np.zeros(300, np.int64)
    refused(path, "int64")


def test_a_folder_that_does_not_exist_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        snapshot.save(balls(), tmp_path / "no" / "a.h5", {})


def test_constants_are_not_in_the_file_and_not_touched(saved):
    path, _ = saved
    other = balls()
    other.world[Room.floor][:] = -1
    snapshot.load(other, path)
    assert other.world[Room.floor][0] == -1
