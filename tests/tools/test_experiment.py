"""`encephagen experiment`, end to end on eight cortical regions: paired seeds, folders, resuming, interruptions."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml

import encephagen
from tests.test_cli import LONG, ROOT, start, wait_for

EXPERIMENT = """\
title: Eight regions, one driven twice, or not, or without its cells
seed: 3
duration: 200 ms
brain: {profile: newborn, connectome: eight.npz, circuits: [cortex]}
timeline:
  - at: 60 ms
    last: 30 ms
    repeat: {every: 60 ms, times: 2}
    stimulate: {population: cortex.Calcarine_L.*, drive: 40 mV}
probes:
  - {name: before, measure: rate_hz, of: cortex.Calcarine_*, to: 60 ms}
  - {name: driven, measure: rate_hz, of: cortex.Calcarine_L.*, from: 60 ms, to: 90 ms, repeat: {every: 60 ms, times: 2}}
  - {name: other, measure: rate_hz, of: cortex.Calcarine_R.*, from: 60 ms, to: 90 ms, repeat: {every: 60 ms, times: 2}}
experiment:
  seeds: 6
  conditions:
    function: {}
    sham: {set: {timeline.0.stimulate.drive: 0.001 mV}}
    lesion: {silence: ["cortex.Calcarine_L.*"]}
  outcomes:
    - {name: gain, probe: driven, minus: other}
    - {name: contrast, index: [driven, other]}
  claims:
    - {outcome: driven, in: function, between: [10 Hz, 400 Hz], source: "a driven region answers"}
    - {outcome: gain, greater: [function, sham]}
    - {outcome: gain, greater: [function, lesion]}
"""
FILES = ["config.yaml", "report.html", "results.json", "summary.md", "trials.jsonl"]


@pytest.fixture(scope="module")
def file(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    shutil.copy(scenes / "eight.npz", folder)
    (folder / "eight.yaml").write_text(EXPERIMENT)
    return folder / "eight.yaml"


@pytest.fixture(scope="module")
def done(file, tmp_path_factory):
    """The folder of a whole experiment, run by two workers."""
    out = tmp_path_factory.mktemp("out") / "whole"
    assert encephagen.main(["experiment", str(file), "--out", str(out), "--workers", "2", "--quiet"]) == 0
    return out


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def results(folder) -> dict:
    """results.json without the time it took."""
    found = json.loads((folder / "results.json").read_text())
    assert found.pop("wall_s") > 0
    return found


def one_line(err: str) -> str:
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("encephagen: error: ") and "Traceback" not in err
    return err.strip()


def test_a_small_experiment_from_end_to_end(done):
    assert sorted(path.name for path in done.iterdir()) == FILES
    trials = lines(done)
    wanted = {(c, s) for c in ("function", "sham", "lesion") for s in range(1001, 1007)}
    assert {(t["condition"], t["seed"]) for t in trials} == wanted and len(trials) == 18
    found = results(done)
    assert found["pass"] is True and [claim["pass"] for claim in found["claims"]] == [True] * 3
    assert found["seeds"] == list(range(1001, 1007)) and found["failed"] == []
    assert [claim.get("p") for claim in found["claims"]] == [None, 2 / 2**6, 2 / 2**6]
    for trial in trials:
        assert trial["outcomes"]["gain"] == pytest.approx(trial["probes"]["driven"] - trial["probes"]["other"])
    by_condition = found["outcomes"]["driven"]["conditions"]
    mean = sum(t["probes"]["driven"] for t in trials if t["condition"] == "sham") / 6
    assert by_condition["sham"]["mean"] == pytest.approx(mean)
    assert "a driven region answers" in (done / "summary.md").read_text()
    config = yaml.safe_load((done / "config.yaml").read_text())
    assert config["resolved"]["brain"]["connectome"] == "eight.npz" and config["seeds"] == 6
    assert {"encephagen", "numpy", "numba", "mujoco"} <= set(config["versions"]) and config["platform"]


def test_conditions_share_their_seeds(done):
    """Before the first stimulus, function and sham are the same run; other seeds are other runs."""
    by = {(t["condition"], t["seed"]): t for t in lines(done)}
    before = {seed: by["function", seed]["probes"]["before"] for seed in range(1001, 1007)}
    assert all(by["sham", seed]["probes"]["before"] == rate for seed, rate in before.items())
    assert len({t["spike_hash"] for t in by.values()}) == 18
    assert len(set(before.values())) > 1 and all(by["lesion", s]["probes"]["before"] != r for s, r in before.items())


def test_a_trial_is_the_run_of_that_seed(done, file):
    """What `encephagen.load` makes of the scene with this seed, in this process."""
    from systems.spawn import build

    trial = next(t for t in lines(done) if (t["condition"], t["seed"]) == ("sham", 1002))
    with pytest.MonkeyPatch.context() as patch:  # workers see the shipped calibration, not the test's
        patch.setattr(build, "CALIBRATION", build.Path(build.__file__).parents[2] / "assets/circuits/calibration")
        sim = encephagen.load(file, seed=1002, overrides=["timeline.0.stimulate.drive=0.001 mV"]).run("200 ms")
    assert sim.spike_hash == trial["spike_hash"]


def test_killed_and_resumed_is_the_same(done, file, tmp_path):
    out = tmp_path / "out"
    process = start("experiment", str(file), "--out", str(out), "--workers", "2", "--quiet", start_new_session=True)
    wait_for(lambda: (out / "trials.jsonl").is_file() and len(lines_so_far(out)) >= 3, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    nobody_is_left(process.pid)
    kept = lines_so_far(out)
    assert 3 <= len(kept) < 18 and not (out / "results.json").exists()
    with (out / "trials.jsonl").open("ab") as trials:
        trials.write(b'{"scene": "eight", "condition": "sham", "se')  # what a line cut short looks like
    assert encephagen.main(["experiment", str(file), "--out", str(out), "--resume", "--workers", "2", "--quiet"]) == 0
    assert results(out) == results(done) and (out / "summary.md").read_text() == (done / "summary.md").read_text()
    raw = (out / "trials.jsonl").read_bytes().splitlines()
    assert raw[: len(kept)] == kept and len(raw) == 18
    order = lambda trial: (trial["condition"], trial["seed"])  # noqa: E731
    assert sorted(untimed(lines(out)), key=order) == sorted(untimed(lines(done)), key=order)


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps to see processes")
def test_workers_of_a_parent_that_is_gone_end_within_their_trial(tmp_path):
    """Ten hours of a body alone: nobody waits for its end."""
    (tmp_path / "long.yaml").write_text(LONG + "experiment: {conditions: {only: {}}, seeds: 2}\n")
    process = start("experiment", "long.yaml", "--workers", "2", cwd=tmp_path, start_new_session=True)
    wait_for(lambda: busy(process.pid) >= 2, process)
    process.kill()
    process.communicate(timeout=60)
    nobody_is_left(process.pid)


def busy(group: int) -> int:
    """How many workers of the group have computed for three seconds, their start included."""
    listed = subprocess.run(["ps", "-wweo", "pgid=,times=,args="], capture_output=True, text=True, check=True).stdout
    rows = (row.split(maxsplit=2) for row in listed.splitlines())
    return sum(int(g) == group and int(seconds) >= 3 and "spawn_main" in what for g, seconds, what in rows)


def lines_so_far(folder) -> list[bytes]:
    data = (folder / "trials.jsonl").read_bytes()
    return data[: data.rfind(b"\n") + 1].splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_a_folder_to_go_on_with(done, file, tmp_path, number):
    out = tmp_path / "out"
    process = start("experiment", str(file), "--out", str(out), "--workers", "1", start_new_session=True)
    wait_for(lambda: (out / "trials.jsonl").is_file() and len(lines_so_far(out)) >= 1, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: the workers are sent it too
    else:
        process.send_signal(number)
    stdout, err = process.communicate(timeout=60)
    assert process.returncode == 130 and stdout == "" and len(err.strip().splitlines()) == 1, err
    assert err.startswith("encephagen: interrupted; ") and "--resume" in err
    nobody_is_left(process.pid)
    assert sorted(path.name for path in out.iterdir()) == ["config.yaml", "trials.jsonl"]
    assert all(trial in untimed(lines(done)) for trial in untimed(lines(out)))


def nobody_is_left(group: int) -> None:
    """Wait until all processes of the group have ended, ten seconds at most."""
    limit = time.monotonic() + 10
    while alive(group):
        assert time.monotonic() < limit, "a worker is left"
        time.sleep(0.05)


def alive(group: int) -> bool:
    """Whether a process of this group is left that has not ended; not known where there is no `ps`."""
    if shutil.which("ps") is None:
        return False
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(int(g) == group and not stat.startswith("Z") for g, stat in map(str.split, listed.splitlines()))


def untimed(trials: list[dict]) -> list[dict]:
    return [{k: v for k, v in trial.items() if k not in ("wall_s", "load_s")} for trial in trials]


def test_more_seeds_may_follow(done, file, tmp_path, command):
    out = tmp_path / "out"
    words = ("experiment", str(file), "--out", str(out), "--workers", "2")
    code, text, err = command(*words, "--seeds", "3")
    assert code == 1 and "too few seeds" in (out / "summary.md").read_text(), err
    assert len(lines(out)) == 9
    code, text, _ = command(*words, "--resume")
    assert code == 0 and "3 of 3 claims hold, 6 seeds" in text
    assert results(out) == results(done)
    code, _, _ = command(*words, "--resume", "--quiet")
    assert code == 0 and results(out) == results(done) and len(lines(out)) == 18


def test_a_smoke_run_is_short_and_not_judged(file, tmp_path, command):
    """Two seeds of the first two conditions; a claim that could never hold does not matter; every probe is measured."""
    claim = "experiment.claims=[{outcome: driven, in: function, between: [900 Hz, null]}]"
    words = ("experiment", str(file), "--out", str(tmp_path / "out"), "--workers", "1", "--smoke")
    code, text, err = command(*words, "--set", claim, "--set", "duration=90 s", "--set", "probes.0.to=80 s")
    assert code == 0 and "smoke run: no verdict" in text, err
    trials = lines(tmp_path / "out")
    assert {(t["condition"], t["seed"]) for t in trials} == {(c, s) for c in ("function", "sham") for s in (1001, 1002)}
    assert all(value is not None for t in trials for value in t["probes"].values())
    assert json.loads((tmp_path / "out" / "results.json").read_text())["smoke"] is True
    assert "not judged" in (tmp_path / "out" / "report.html").read_text()


def test_phases_are_windows_of_probes(scenes, tmp_path):
    from engine.errors import UserError
    from engine.scene import dump, load_scene
    from systems.spawn.scene_model import Scene

    (tmp_path / "a.yaml").write_text(
        "title: t\nduration: 1 s\nbrain: {circuits: [cortex]}\nphases: {test: {from: 300 ms, to: 600 ms}}\n"
        "probes:\n  - {name: a, measure: rate_hz, of: cortex.*, phase: test}\n"
    )
    scene, _ = load_scene(tmp_path / "a.yaml", Scene)
    assert scene.probes[0].windows == [(300.0, 600.0)]
    assert Scene.model_validate(dump(scene)) == scene
    moved, _ = load_scene(tmp_path / "a.yaml", Scene, overrides=["phases.test.to=900 ms"])
    assert moved.probes[0].windows == [(300.0, 900.0)]
    for override, part in (("probes.0.phase=rest", 'no phase named "rest" (there are: test)'),
                           ("probes.0.from=0 s", "either a phase or from and to"),
                           ("phases.test.to=100 ms", "expected a time after")):  # fmt: skip
        with pytest.raises(UserError) as caught:
            load_scene(tmp_path / "a.yaml", Scene, overrides=[override])
        assert part in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_what_processes_here_give(done, file, tmp_path, command):
    """A Dask scheduler and two workers as processes of their own, as on other machines."""
    distributed = pytest.importorskip("distributed")
    nowhere = "tcp://127.0.0.1:9"
    code, _, err = command("experiment", str(file), "--out", str(tmp_path / "a"), "--workers", nowhere, "--quiet")
    assert code == 2 and f"--workers {nowhere}: no scheduler answers" in err
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        code, _, err = command("experiment", str(file), "--out", str(tmp_path / "b"), "--workers", address, "--quiet")
    assert code == 0, err
    assert results(tmp_path / "b") == results(done)
    order = lambda trial: (trial["condition"], trial["seed"])  # noqa: E731
    assert sorted(untimed(lines(tmp_path / "b")), key=order) == sorted(untimed(lines(done)), key=order)


def test_a_claim_that_falls_short_is_exit_code_1(file, tmp_path, command):
    claim = "experiment.claims=[{outcome: driven, in: function, between: [0 Hz, 1 Hz]}]"
    code, out, _ = command("experiment", str(file), "--set", claim, "--set", "experiment.conditions={function: {}}",
                           "--seeds", "2", "--out", str(tmp_path / "out"))  # fmt: skip
    assert code == 1 and "FAILS" in out and "0 of 2, needs 2" in out


def test_scenes_together_are_one_family(done, file, tmp_path, command, monkeypatch):
    """Two scenes that were run already: only the statistics are new."""
    other = file.with_name("second.yaml")
    other.write_text(EXPERIMENT)
    for name in ("eight", "second"):
        shutil.copytree(done, tmp_path / "out" / name)
        for path in (tmp_path / "out" / name).glob("*"):
            path.write_text(path.read_text().replace("scene: eight", f"scene: {name}"))
    code, _, err = command("experiment", str(file), str(other), "--out", str(tmp_path / "out"), "--resume", "--quiet")
    assert code == 0, err
    together = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(together["scenes"]) == ["eight", "second"]
    for name in ("eight", "second"):
        assert results(tmp_path / "out" / name) == together["scenes"][name]
        assert together["scenes"][name]["family"]["comparisons"] == 4
    assert (tmp_path / "out" / "summary.md").read_text().count("## Claims") == 2


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "is not empty; give --resume"),
        (("--resume", "--set", "timeline.0.at=70 ms"), 'another timeline.0.at: was "60 ms", is "70 ms"'),
        (("--resume", "--set", "experiment.first_seed=5"), "another first_seed: was 1001, is 5"),
        (("--resume", "--set", "experiment.claims=[]"), "another experiment.claims: was a list of 3, is a list of 0"),
        (("--seeds", "0"), "--seeds"),
        (("--workers", "tcp:a:1"), "--workers"),
        (("--resume", "--smoke"), "another smoke: was false, is true"),
        (("--set", "experiment.conditions.lesion.silence=[nobody.*]", "--out", "new"), "brain.silence.0"),
        (("--set", "experiment.conditions.sham.set={timeline.4.at: 1 s}", "--out", "new"), "(in condition sham)"),
        (("--set", "probes=[]", "--out", "new"), "no probe or outcome above"),
        (("--set", "experiment=null", "--out", "new"), "expected a scene with an `experiment` block"),
        (("--resume", "--out", "other"), "holds no config.yaml"),
        (("--out", "other/file"), "expected a folder, found a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(done, file, tmp_path, command, monkeypatch, words, part):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(done, tmp_path / "there")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    before = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    code, out, err = command("experiment", str(file), "--out", "there", "--workers", "1", *words)
    assert code == 2 and out == "" and part in one_line(err), err
    assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == before
    assert (tmp_path / "other" / "file").read_text() == "mine"


def test_a_damaged_line_in_the_middle_is_refused(done, file, tmp_path, command):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    good = (out / "trials.jsonl").read_text().splitlines()
    (out / "trials.jsonl").write_text("\n".join([good[0], good[1][:40], *good[2:]]) + "\n")
    code, _, err = command("experiment", str(file), "--out", str(out), "--resume")
    assert code == 2 and "trials.jsonl:2: not a trial" in one_line(err)


def test_the_same_scene_twice_is_refused(file, command, tmp_path):
    code, _, err = command("experiment", str(file), str(file), "--out", str(tmp_path / "out"))
    assert code == 2 and "each scene once" in one_line(err) and not (tmp_path / "out").exists()


def test_check_builds_every_condition(file, command):
    code, out, _ = command("check", str(file))
    assert code == 0 and "experiment of 3 conditions, 6 seeds, 3 claims" in out
    code, _, err = command("check", str(file), "--set", "experiment.conditions.lesion.silence=[nobody.*]")
    assert code == 2 and "brain.silence.0" in one_line(err) and err.endswith("(in condition lesion)\n")


def test_the_example_in_the_documentation_is_right(tmp_path):
    from engine.scene import load_scene
    from systems.spawn.scene_model import Scene, in_condition

    page = (ROOT / "docs" / "experiments.md").read_text()
    (tmp_path / "a.yaml").write_text(page.split("```yaml")[1].split("```")[0])
    scene, source = load_scene(tmp_path / "a.yaml", Scene)
    assert [in_condition(scene, source, c)[0].duration for c in scene.experiment.conditions] == [3000.0] * 3


def test_every_second_seed_has_two_populations_in_each_others_place():
    """The trials say so; timeline and probes change alike, all else stays; a name that is nowhere is an error."""
    from systems.spawn.scene_model import Scene, exchanged
    from tools.experiment import Run

    event = {"at": "1 ms", "last": "2 ms"}
    one, two = ({"stimulate": {"population": name, "drive": "5 mV"}} for name in ("x.low.a", "x.high.a"))
    spec = {"title": "t", "duration": "1 s", "brain": {"circuits": ["x"]},
            "timeline": [event | one, event | two, event | {"silence": {"population": "x.low.a"}}],
            "probes": [{"name": "p", "measure": "rate_hz", "of": "x.high.a"}],
            "experiment": {"conditions": {"all": {}}, "counterbalance": ["x.low.a", "x.high.a"]}}  # fmt: skip
    scene = Scene.model_validate(spec)
    run = Run("s", scene, None, [1, 2], {"all": (scene, None)})
    assert [run.trial("all", seed).exchange for seed in (1, 2)] == [("x.low.a", "x.high.a"), ()]
    other = exchanged(scene, ("x.low.a", "x.high.a"))
    assert [e.action.population for e in other.timeline] == ["x.high.a", "x.low.a", "x.high.a"]
    assert other.probes[0].of == "x.low.a" and other.timeline[0].action.drive == 5.0
    assert exchanged(other, ("x.low.a", "x.high.a")) == scene and exchanged(scene, ()) is scene
    for pair, text in (
        (["x.low.a"], "expected two names"),
        (["x.low.a", "x.b"], "expected a population of the timeline"),
    ):
        with pytest.raises(ValueError, match=text):
            Scene.model_validate(spec | {"experiment": {"conditions": {"all": {}}, "counterbalance": pair}})


def test_run_passes_the_experiment_over(file, command, tmp_path):
    code, _, _ = command("run", str(file), "--quiet", "--json", str(tmp_path / "j.json"))
    assert code == 0 and json.loads((tmp_path / "j.json").read_text())["ticks"] == 200
