"""`encephagen run`: what it writes, what it refuses, and that none of its options moves a spike."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.tools.conftest import SMALL

KEYS = {
    "scene", "seed", "device", "threads", "simulated_s", "wall_s", "realtime_x", "load_s", "ticks", "tick_ms",
    "substeps", "neurons", "synapses", "rate_hz", "spike_hash", "body", "expect",
}  # fmt: skip


def one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    return lines[0]


def test_json_has_every_documented_key(run):
    code, found, _ = run("walker")
    assert code == 0
    assert set(found) >= KEYS
    assert found["scene"] == "walker" and found["seed"] == 3 and found["device"] == "cpu" and found["threads"] == 1
    assert found["simulated_s"] == 0.2 and found["ticks"] == 200 and found["tick_ms"] == 1.0
    assert found["substeps"] == 10
    assert found["neurons"]["cortex"] == 1600
    assert found["neurons"]["total"] == sum(n for s, n in found["neurons"].items() if s != "total")
    assert set(found["rate_hz"]) == {"cortex", "spinal_segments"}
    assert found["realtime_x"] == pytest.approx(0.2 / found["wall_s"], rel=1e-6)
    assert {"model", "control_steps", "fell_at_s", "survived_s"} <= set(found["body"])
    assert found["body"]["model"] == "walker" and found["body"]["control_steps"] == 25
    assert found["body"]["survived_s"] == 0.2 and found["body"]["fell_at_s"] is None
    assert all(set(claim) >= {"probe", "value", "between", "pass"} for claim in found["expect"])
    assert [claim["pass"] for claim in found["expect"]] == [True, True]


def test_rates_are_spikes_per_neuron_and_second(run, tmp_path):
    _, found, _ = run("small", "--record", str(tmp_path / "r.h5"))
    with h5py.File(tmp_path / "r.h5") as file:
        spikes = file["spikes/neuron"].shape[0]
    assert found["spikes"]["total"] == spikes
    assert found["rate_hz"]["cortex"] == pytest.approx(spikes / 1600 / 0.2)


def test_no_option_that_only_looks_moves_a_spike(run, tmp_path):
    """Record, seed given by hand, strict mode, threads: the same hash; another seed: another one."""
    _, plain, _ = run("walker")
    variants = {
        "again": (),
        "record": ("--record", str(tmp_path / "r.h5")),
        "not strict": ("--no-strict",),
        "seed": ("--seed", "3"),
        "threads": ("--threads", "2"),
    }
    for name, words in variants.items():
        _, found, _ = run("walker", *words)
        assert found["spike_hash"] == plain["spike_hash"], name
    assert found["threads"] == 2
    _, other, _ = run("walker", "--seed", "4")
    assert other["spike_hash"] != plain["spike_hash"]


def test_a_video_does_not_move_a_spike(run, tmp_path):
    pytest.importorskip("moderngl")
    from engine.errors import UserError
    from systems.view.gl import offscreen_context

    try:
        offscreen_context().release()
    except UserError as error:
        pytest.skip(str(error))
    import av

    _, plain, _ = run("walker")
    code, found, _ = run("walker", "--video", "v.mp4")
    assert code == 0 and found["spike_hash"] == plain["spike_hash"]
    with av.open(str(tmp_path / "v.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 6  # 200 ms at 30 per second
    assert np.ptp(frames[-1].astype(int)) > 100
    assert found["video_s"] > 0 and found["wall_s"] < found["video_s"] + found["wall_s"]


def test_saved_halfway_and_continued_is_the_same_run(run, tmp_path):
    code, whole, _ = run("walker")
    code, half, _ = run("walker", "--duration", "95 ms", "--save", str(tmp_path / "half.h5"))
    assert code == 0 and half["ticks"] == 95 and half["spike_hash"] != whole["spike_hash"]
    code, rest, _ = run("walker", "--load", str(tmp_path / "half.h5"))
    assert code == 0
    assert rest["loaded_at_s"] == 0.095 and rest["ticks"] == 200 and rest["simulated_s"] == 0.2
    for key in ("spike_hash", "rate_hz", "expect", "probes", "events"):
        assert rest[key] == whole[key], key
    assert rest["body"] == whole["body"]


def test_a_snapshot_brings_its_seed_and_refuses_another(run, tmp_path):
    snapshot = str(tmp_path / "s.h5")
    code_whole, whole, _ = run("small", "--seed", "9")
    run("small", "--seed", "9", "--duration", "50ms", "--save", snapshot)
    code, rest, _ = run("small", "--load", snapshot)
    assert code == code_whole and rest["expect"] == whole["expect"]
    assert rest["seed"] == 9 and rest["spike_hash"] == whole["spike_hash"]
    code, found, error = run("small", "--load", snapshot, "--seed", "8")
    assert code == 2 and found is None and "seed 9" in one_line(error)
    code, _, error = run("small", "--load", snapshot, "--duration", "50 ms")
    assert code == 2 and "nothing is left" in one_line(error)
    code, _, error = run("alone", "--load", snapshot)
    assert code == 2 and "another scene" in one_line(error)


def test_a_claim_that_falls_short_is_exit_code_1(run):
    code, found, _ = run("small", "--set", "expect=[{probe: driven, between: [0 Hz, 1 Hz]}]")
    assert code == 1 and found["expect"][0]["pass"] is False and found["expect"][0]["value"] > 1


def test_a_run_cut_short_claims_nothing_about_the_rest(run):
    """Events and probes after the end are no error; their claims neither hold nor fall short."""
    code, found, _ = run("small", "--duration", "40ms")
    assert code == 0 and found["events"] == []
    assert [claim["pass"] for claim in found["expect"]] == [None, None]
    assert [claim["value"] for claim in found["expect"]] == [None, None]


def test_a_longer_duration_makes_the_scene_longer(run):
    code, found, _ = run("alone", "--duration", "1s")
    assert code == 0 and found["simulated_s"] == 1.0


def test_a_body_without_a_brain(run):
    code, found, _ = run("alone")
    assert code == 0
    assert found["neurons"] == {"total": 0} and found["rate_hz"] == {} and found["synapses"] == 0
    assert found["body"]["physics_steps"] == 450
    value = {probe["name"]: probe["value"] for probe in found["probes"]}
    assert value["arm"] > 0.2 and 10 < value["lift"] < 200 and 0 < value["trunk"] < 200
    assert found["events"] == [{"at_s": 0.1, "what": "push hand_left"}]


def test_json_may_go_to_standard_output(scenes, command):
    code, out, err = command("run", str(scenes / "alone.yaml"), "--duration", "20ms", "--json", "-")
    assert code == 0 and json.loads(out)["ticks"] == 20 and err == ""


def test_the_summary_says_what_happened(run):
    code, _, _ = run("walker", "-v", quiet=False)
    assert code == 0
    for words in ("cortex.l4", "spinal_segments", "stimulate cortex.Calcarine_L.*", "Hz", "x real time", "spike hash",
                  "driven", "yes", "did not fall", "strongest muscles", "thigh", "local", "background"):  # fmt: skip
        assert words in run.out, words
    assert "Calcarine_L" in run.out.split("events, and what followed")[1]


def test_quiet_is_quiet(run):
    code, _, error = run("small", "--duration", "20ms")
    assert (code, run.out, error) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--device", "cuda"), "CUDA"),
        (("--device", "tpu"), "expected cpu, cuda or auto"),
        (("--seed", "-1"), "--seed"),
        (("--seed", "one"), "--seed"),
        (("--threads", "0"), "--threads"),
        (("--duration", "5"), "--duration"),
        (("--duration", "0 s"), "--duration"),
        (("--duration", "1.5 ms"), "whole number of ticks"),
        (("--duration", "-1 s"), "--duration"),
        (("--set", "brain.nonsense=1"), "nonsense"),
        (("--set", "nonsense"), "KEY=VALUE"),
        (("--set", "expect=[]", "--set", "probes=[{name: x, measure: rate_hz, of: no.*}]"), "probes.0.of"),
        (("--set", "record.voltage_of=[nowhere.*]", "--record", "x.h5"), "record.voltage_of.0"),
        (("--load", "missing.h5"), "missing.h5"),
        (("--record", "no/such/folder/r.h5"), "folder"),
        (("--save", "."), "expected a file"),
        (("--video", "film.txt"), "film.txt"),
        (("--record", "same.h5", "--save", "same.h5"), "is the file of"),
        (("--wrong",), "--wrong"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, tmp_path, words, part):
    code, found, error = run("small", *words)
    line = one_line(error)
    assert code == 2 and found is None
    assert line.startswith("encephagen: error: ") and part in line and "Traceback" not in line
    assert not [p for p in tmp_path.iterdir() if p.suffix in (".part", ".h5", ".mp4") or p.name.startswith(".")]


def test_no_output_may_lie_on_an_input(run, scenes, tmp_path):
    snapshot = tmp_path / "s.h5"
    run("small", "--duration", "10ms", "--save", str(snapshot))
    before = snapshot.read_bytes()
    for words in (("--load", str(snapshot), "--save", str(snapshot)),
                  ("--record", str(scenes / "small.yaml")), ("--save", str(scenes / "eight.npz"))):  # fmt: skip
        code, _, error = run("small", *words)
        assert code == 2 and "would overwrite" in one_line(error), words
    os.link(snapshot, tmp_path / "linked.h5")
    code, _, error = run("small", "--load", str(snapshot), "--record", str(tmp_path / "linked.h5"))
    assert code == 2 and "would overwrite" in one_line(error)
    assert snapshot.read_bytes() == before and (scenes / "small.yaml").read_text() == SMALL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_found_before_the_run(run, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    code, _, error = run("small", "--record", str(folder / "r.h5"))
    assert code == 2 and "not writable" in one_line(error)


# the record (docs/record.md) -------------------------------------------------------------------------------------


def test_the_record_reads_with_h5py_alone(run, tmp_path):
    path = tmp_path / "r.h5"
    _, found, _ = run("walker", "--record", str(path))
    with h5py.File(path) as file:
        about = dict(file.attrs)
        assert about["format"] == "encephagen record 1" and about["scene"] == "walker" and about["seed"] == 3
        assert about["finished"] and about["last_tick"] == 200 and about["spike_hash"] == found["spike_hash"]
        config = json.loads(about["config"])
        assert config["duration"] == "200 ms" and config["body"]["model"] == "walker"
        assert set(json.loads(about["versions"])) >= {"encephagen", "numpy", "mujoco"}
        names = file["populations/name"].asstr()[:]
        first, count = file["populations/first"][:], file["populations/count"][:]
        neuron, tick, substep = (file[f"spikes/{key}"][:] for key in ("neuron", "tick", "substep"))
        assert len(neuron) == len(tick) == len(substep) == found["spikes"]["total"]
        assert np.all(np.diff(tick) >= 0) and tick.max() < 200 and substep.min() >= 1 and substep.max() <= 10
        ticks = file["samples/tick"][:]
        assert ticks.tolist() == list(range(0, 200, 10))
        assert file["samples/qpos"].shape == (20, 9) and file["samples/sensors"].shape[0] == 20
        assert len(file["body/joint"]) == 9 and file["body/joint"].asstr()[0] == "rootx"
        assert file["samples/activation"].shape == (20, len(file["samples/activation"].attrs["columns"]))
        assert [(t, w) for t, w in zip(file["events/tick"], file["events/label"].asstr(), strict=True)] == [
            (60, "stimulate cortex.Calcarine_L.*")
        ]
        # rates are spikes since the sample before
        rate = file["samples/rate"]
        column = list(rate.attrs["columns"]).index("cortex")
        cortex = np.zeros(int((first + count).max()), bool)
        for k in np.flatnonzero(np.char.startswith(names.astype(str), "cortex.")):
            cortex[first[k] : first[k] + count[k]] = True
        inside = cortex[neuron] & (tick > 100) & (tick <= 110)
        assert rate[11, column] == pytest.approx(inside.sum() / cortex.sum() / 0.010)
        # potentials of the chosen neurons stay below threshold
        chosen = file["cells/neuron"][:]
        pv = names.tolist().index("cortex.Calcarine_L.pv")
        assert chosen.tolist() == list(range(first[pv], first[pv] + count[pv]))
        assert file["samples/v"].shape == (20, 30) and file["samples/v"].attrs["unit"] == "mV"
        assert np.nanmax(file["samples/v"][:]) < 15.0 and np.all(np.isfinite(file["samples/i_ampa"][:]))


def test_a_record_may_leave_the_spikes_out(run, tmp_path):
    run("small", "--record", str(tmp_path / "r.h5"), "--set", "record.spikes=false", "--set", "record.every=5 ms")
    with h5py.File(tmp_path / "r.h5") as file:
        assert "spikes" not in file and file["samples/tick"].shape == (40,)


def test_an_existing_record_is_replaced_only_when_the_new_one_is_complete(run, tmp_path, monkeypatch):
    path = Path(tmp_path / "r.h5")
    path.write_text("mine")
    code, _, _ = run("small", "--record", str(path), "--set", "record.voltage_of=[nowhere.*]")
    assert code == 2 and path.read_text() == "mine"
    code, _, _ = run("small", "--record", str(path), "--duration", "10ms")
    assert code == 0 and h5py.is_hdf5(path)
