"""The command line as a process: start-up time, exit codes, Ctrl-C, broken pipes, faults."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

import encephagen
from engine.errors import UserError
from tools.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
LONG = """\
title: A body rests for a long time
duration: 10 h
body: {model: newborn}
"""


def start(*words: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "encephagen", *words], text=True, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # fmt: skip


def seconds(code: list[str]) -> float:
    """Best of three."""
    best = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, *code], check=True, cwd=ROOT, capture_output=True)
        best.append(time.perf_counter() - started)
    return min(best)


@pytest.mark.parametrize(
    "code", [["-c", "import engine"], ["-c", "import encephagen"], ["-m", "encephagen", "list"]], ids=" ".join
)
def test_light_commands_take_well_under_a_second(code):
    bare = seconds(["-c", "pass"])
    assert seconds(code) < 1.0 + bare


def test_nothing_heavy_is_imported_by_light_commands():
    """Fails if a module-level import of a heavy library creeps into what every command loads."""
    heavy = ["numba", "mujoco", "pydantic", "h5py", "av", "moderngl", "pygame", "matplotlib", "scipy", "rich"]
    code = (f"import sys, encephagen; encephagen.main(['list']); "
            f"found = [m for m in {heavy} if m in sys.modules]; sys.exit(str(found) if found else 0)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_has_help(capsys):
    assert encephagen.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert name in text
        assert encephagen.main([name, "--help"]) == 0
        assert f"encephagen {name}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["bogus"], ["run"], ["--bogus"], ["run", "no_such"], ["run", ""]])
def test_a_wrong_command_line_is_one_line_and_exit_code_2(capsys, words):
    assert encephagen.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("encephagen: error: ")
    assert len(captured.err.strip().splitlines()) == 1


def test_a_fault_of_the_program_is_one_line_too(capsys, monkeypatch):
    def fault(args):
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("tools.list.run", fault)
    monkeypatch.delenv("ENCEPHAGEN_TRACEBACK", raising=False)
    assert encephagen.main(["list"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("encephagen: error: ZeroDivisionError: a b") and "ENCEPHAGEN_TRACEBACK=1" in line
    assert len(line.strip().splitlines()) == 1
    monkeypatch.setenv("ENCEPHAGEN_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        encephagen.main(["list"])


def test_interruption_before_the_run_is_exit_code_130(capsys, monkeypatch):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("tools.list.run", stop)
    assert encephagen.main(["list"]) == 130
    assert capsys.readouterr().err == "encephagen: interrupted\n"


def test_a_reader_that_goes_away_is_no_error():
    process = start("check", "--schema")
    process.stdout.close()
    assert process.wait(timeout=60) in (0, 2) and "Traceback" not in process.stderr.read()
    process.stderr.close()


def wait_for(condition, process, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "the run did not start"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_complete_files(tmp_path, number):
    """Record valid and marked as unfinished, snapshot loadable, no half-written file, one line, exit code 130."""
    (tmp_path / "long.yaml").write_text(LONG)
    words = ["run", "long.yaml", "--record", "r.h5", "--save", "s.h5", "--json", "j.json"]
    process = start(*words, cwd=tmp_path)
    part = None

    def growing() -> bool:
        nonlocal part
        part = next(tmp_path.glob(".r.h5.*"), None)
        return part is not None and part.stat().st_size > 200_000

    wait_for(growing, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == "" and len(err.strip().splitlines()) == 1
    assert err.startswith("encephagen: interrupted at ") and "r.h5" in err and "s.h5" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.yaml", "r.h5", "s.h5"]
    with h5py.File(tmp_path / "r.h5") as file:
        last = int(file.attrs["last_tick"])
        assert not file.attrs["finished"] and last > 0
        ticks = file["samples/tick"][:]
        assert ticks[-1] in range(last - 10, last) and len(ticks) == len(file["samples/qpos"])
    code = encephagen.main(["run", str(tmp_path / "long.yaml"), "--load", str(tmp_path / "s.h5"), "--quiet",
                            "--duration", f"{last + 10} ms", "--json", str(tmp_path / "j.json")])  # fmt: skip
    assert code == 0 and json.loads((tmp_path / "j.json").read_text())["ticks"] == last + 10


def test_an_interrupted_film_is_complete(tmp_path):
    from systems.view.gl import offscreen_context

    try:
        offscreen_context().release()
    except UserError as error:
        pytest.skip(str(error))
    import av

    (tmp_path / "long.yaml").write_text(LONG)
    process = start("run", "long.yaml", "--video", "v.mp4", cwd=tmp_path)
    wait_for(lambda: any(p.stat().st_size > 0 for p in tmp_path.glob(".v.*")), process)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "v.mp4" in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.yaml", "v.mp4"]
    with av.open(str(tmp_path / "v.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) >= 1
