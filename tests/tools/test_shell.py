"""`encephagen shell`: scripts on standard input, mistakes, Ctrl-C, and what it says of a brain that tells pictures."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

import encephagen
from engine.errors import UserError
from systems import pictures
from tools.shell import HELP, Line, nearest, read

ROOT = Path(__file__).resolve().parents[2]
CIRCUIT = """
structure: toy
title: an eye, cells that it wakes, and cells that remember for a while
cells:
  eye: {per: one, count: 20, acts_on: ampa, tau_m: 8 ms}
  tongue: {per: one, count: 5, acts_on: ampa, tau_m: 8 ms}
  tells: {per: one, count: 40, acts_on: ampa, tau_m: 20 ms, background: {psp: 2 mV, rate: 400 Hz}}
projections:
  - {name: sees, from: eye, to: tells, indegree: 3, psp: 4 mV}
  - {name: learns, from: tongue, to: tells, indegree: 3, psp: 2 mV,
     rule: {kind: stdp, a_plus: 0.05, a_minus: 0.06}}
"""
SCENE = """
title: a toy sees
seed: 3
duration: 1 s
brain: {circuits: [learner]}
actions:
  - {name: picture, last: 200 ms, do: {stimulate: {population: toy.all.eye, drive: 40 mV, picture: A}}}
  - {name: sweet, last: 100 ms, do: {stimulate: {population: toy.all.tongue, drive: 40 mV}}}
  - {name: hum, do: {stimulate: {population: toy.all.tongue, drive: 20 mV}}}
shell: {look: picture, sound: hum, reward: sweet, readout: toy.all.tells, memory: toy.all.tells}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch) -> str:
    monkeypatch.setattr("systems.spawn.network.CIRCUITS", tmp_path)
    monkeypatch.setattr("systems.simulation.check_files", lambda *_: None)
    monkeypatch.setattr("systems.spawn.scene_model.check_files", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "learner.yaml").write_text(CIRCUIT)
    (tmp_path / "toy.yaml").write_text(SCENE)
    return str(tmp_path / "toy.yaml")


@pytest.fixture
def shell(command, monkeypatch):
    """shell(scene, "wait 1 s", ...) -> (exit code, stdout, stderr)."""

    def shell(scene: str, *lines: str, options=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(line + "\n" for line in lines)))
        code, out, err = command("shell", scene, *options)
        return code, out, "".join(x for x in err.splitlines(True) if not x.startswith("compiling the kernels"))

    return shell


def test_a_script_does_what_it_says(shell, toy):
    code, out, err = shell(toy, "# a comment", "", "look d", "wait 100 ms", "status", "lesion toy.all.eye",
                           "wait 1s", "status", "quit", "bogus")  # fmt: skip
    assert (code, err) == (0, "")
    assert (
        "look d until 0.2 s" in out
        and "0.100 s, seed 3" in out
        and "in force: stimulate toy.all.eye D until 0.2 s" in out
    )
    assert out.rstrip().endswith("lesion: toy.all.eye") and out.count("lesion:") == 1, (
        "the picture is over, the lesion is not"
    )


def test_a_session_saved_as_a_scene_gives_the_same_spikes(shell, toy, tmp_path):
    code, _, err = shell(toy, "wait 30 ms", "look B for 90 ms", "wait 60 ms", "sound", "wait 100 ms", "sound",
                         "wait 110 ms", "save played.yaml", "save state.h5")  # fmt: skip
    assert (code, err) == (0, "")
    again = encephagen.load(str(tmp_path / "played.yaml")).run(300)
    there = encephagen.load(toy).load_state(tmp_path / "state.h5")
    assert there.tick == 300 and again.spike_hash == there.spike_hash != encephagen.load(toy).run(300).spike_hash


def test_load_goes_on_from_what_was_saved(shell, toy):
    code, out, _ = shell(toy, "wait 50 ms", "save a.h5", "wait 70 ms", "load a.h5", "status")
    assert code == 0 and "at 0.05 s" in out and "0.050 s, seed 3" in out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dance", "no command 'dance'"),
        ("wait 5", "wait: expected a time with its unit"),
        ("wait 1.5 ms", "whole number of ticks"),
        ("wait now", "expected nothing more, got now"),
        ("look", "look: expected one name"),
        ("look Z", 'no picture "Z"'),
        ("look toy.yaml", "cannot be read as a picture"),
        ("look A for", "for: expected a time"),
        ("touch palm_left", "this scene has no body"),
        ("stimulate toy.all.eye", "stimulate: expected a potential"),
        ("stimulate toy.all.eye 3 N", "stimulate"),
        ("lesion nobody", "no population matches"),
        ("do nothing", "no action 'nothing'"),
        ("load no.h5", "no such file"),
        ("save", "expected the name of a file"),
        ("save toy.yaml", "would overwrite"),
        ("train A lots", "train: expected one name, got A lots"),
        ("train A 0", "whole number from 1"),
        ("test 1", "expected 2 moments or more"),
        ("test 1.5", "whole number"),
    ],
)
def test_a_mistake_ends_a_script_with_its_line(shell, toy, line, says):
    code, _, err = shell(toy, "wait 10 ms", line, "wait 10 ms", "save later.h5")
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert err.startswith("encephagen: error: line 2: ") and says in err, err
    assert not Path("later.h5").exists()


def test_a_mistake_changes_nothing(shell, toy):
    from tools.shell import Shell

    sim = encephagen.load(toy)
    shell = Shell(sim, out=lambda text: None)
    for line in ("stimulate toy.all.eye 3 N", "lesion nobody", "look Z"):
        with pytest.raises(UserError):
            shell.do(line)
    assert not shell.session.played and not sim.timeline.coming


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        ("shell={look: picture}", "test", "has no read-out population"),
        ("shell={look: picture}", "memory", "has no memory population"),
        ("shell={look: picture}", "teach A", "reward: this scene does not say what that is"),
        ("shell={readout: toy.all.tells}", "look A", "look: this scene does not say what that is"),
        ("brain.learning=false", "train A 3", "nothing can learn here: brain.learning is off"),
    ],
)
def test_what_is_not_there_is_said_and_not_pretended(shell, toy, tmp_path, change, line, says):
    text = SCENE.split("shell:")[0] if change.startswith("shell") else SCENE
    (tmp_path / "toy.yaml").write_text(text)
    code, out, err = shell(toy, line, options=["--set", change])
    assert code == 2 and out == "" and says in err and len(err.splitlines()) == 1, err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("shell={look: nothing}", "shell.look: there is no action"),
        ("shell={look: sweet}", "expected an action with a picture"),
        ("actions=[{name: a, do: {stimulate: {population: toy.all.eye, drive: 1 mV, picture: Z}}}]", 'no picture "Z"'),
    ],
)
def test_a_scene_that_misnames_its_words_is_refused(shell, toy, tmp_path, change, says):
    (tmp_path / "toy.yaml").write_text(SCENE.split("shell:")[0])
    code, _, err = shell(toy, "status", options=["--set", change])
    assert code == 2 and says in err and len(err.splitlines()) == 1, err


def test_teaching_says_what_learnt(shell, toy):
    code, out, _ = shell(toy, "teach C", "train c 2")
    assert code == 0 and "teach C: 1 x, 1.3 s" in out and "train c: 2 x, 2.6 s" in out
    assert out.count("toy:learns") == 2 and "toy:sees" not in out


def test_pictures_are_told_while_they_are_there_and_not_after(shell, toy):
    """Chance is a quarter; without its eye the toy cannot tell them. A test leaves the brain as it was, in time too."""
    code, out, _ = shell(
        toy, "wait 100 ms", "test 4", "memory 1 s", "status", "lesion toy.all.eye", "test 8", "save a.h5"
    )
    assert code == 0

    def told(row: str) -> float:
        return float(row.split()[-2].rstrip("%")) / 100

    rows = [line for line in out.splitlines() if line.endswith("25%")]
    seen, during, *after, blind = rows
    assert told(seen) == told(during) == 1.0 and len(after) == 2
    assert told(after[-1]) < 0.65 and told(blind) < 0.6  # 20 and 32 guesses at a quarter: P < 0.001 beyond
    assert "0.100 s, seed 3" in out
    alone = encephagen.load(toy).run(100)
    assert encephagen.load(toy).load_state("a.h5").spike_hash == alone.spike_hash


def test_nearest_tells_what_can_be_told():
    apart = np.zeros((3, 2, 4))
    apart[:, 0, 0], apart[:, 1, 1] = 5, 7
    assert nearest(apart) == 1.0
    assert nearest(np.zeros((3, 4, 9))) == 0.25, "silence tells nothing"
    assert nearest(np.ones((3, 4, 9))) == 0.25


def test_a_verb_with_patterns_is_looked_at_too():
    """As well as one with pictures: `look` says which of its patterns is shown."""
    from types import SimpleNamespace
    from typing import Literal

    from tools.shell import sights, to_see

    class Panel(BaseModel):
        pattern: Literal["face", "blank"] = "face"

    look = SimpleNamespace(do=SimpleNamespace(action=Panel()))
    assert sights(look) == ("pattern", ["face", "blank"]) and to_see(look, Line("look", ["Blank"])) == {
        "pattern": "blank"
    }
    with pytest.raises(UserError, match="look: expected one of face, blank, got A"):
        to_see(look, Line("look", ["A"]))


def test_a_line_is_names_an_amount_and_a_time():
    assert read("Touch palm_left 0.5 N for 2 s # firmly") == Line("touch", ["palm_left"], "0.5 N", "2 s")
    assert read("turn neck_rotation -0.3 N m") == Line("turn", ["neck_rotation"], "-0.3 N m")
    assert read("  # nothing") is None


def test_cells_see_the_part_of_the_picture_where_they_are():
    """Four rows of five: A is bright on the left, B above; each picture is half bright."""
    a, b = (pictures.seen(pictures.read_picture(name), 20).reshape(4, 5) for name in "AB")
    assert np.allclose(a, [1, 1, 0.5, 0, 0]) and np.allclose(b[:2], 1) and np.allclose(b[2:], 0)
    for name in pictures.names():
        for cells in (1, 16, 20, 900, 4000):
            assert pictures.seen(pictures.read_picture(name), cells).mean() == pytest.approx(0.5, abs=0.04)


def test_a_picture_file_drives_by_its_brightness(toy, tmp_path):
    from PIL import Image

    from components.network import Inputs

    Image.fromarray(np.repeat(np.array([[0, 51, 102, 153, 255]], np.uint8), 4, axis=0)).save(tmp_path / "steps.png")
    sim = encephagen.load(toy, overrides=["timeline=[{at: 5 ms, last: 5 ms, stimulate: {population: toy.all.eye, "
                                          f"drive: 10 mV, picture: {tmp_path / 'steps.png'}" "}}]"])  # fmt: skip
    sim.run(7)
    first = sim.network.by_name["toy.all.eye"].first
    assert np.allclose(sim.world[Inputs.stimulus][first : first + 20].reshape(4, 5), [0, 2, 4, 6, 10])
    sim.run(5)
    assert not sim.world[Inputs.stimulus].any()


def test_help_names_every_command():
    from tools.shell import COMMANDS

    assert all(word in HELP for word in COMMANDS if word != "exit")


def test_hands_of_a_body(shell, scenes):
    deeds = ["touch palm_left 0.5 N", "stroke cheek_left cheek_right", "tap knee_left_extensor", "push hand_left 1 N",
             "tilt 10 deg", "turn neck_rotation 0.1 N m"]  # fmt: skip
    code, out, err = shell(str(scenes / "alone.yaml"), *deeds, "wait 50 ms", "status", "list palm", "end", "help")
    assert (code, err) == (0, "") and "in force: touch palm_left until 1 s" in out and "palm_right" in out
    code, _, err = shell(str(scenes / "alone.yaml"), "touch tail")
    assert code == 2 and "tail" in err and len(err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_ctrl_c_stops_the_command_and_not_the_session(tmp_path):
    (tmp_path / "long.yaml").write_text("title: a body rests\nduration: 1 s\nbody: {model: newborn}\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "encephagen", "shell", "long.yaml"], cwd=tmp_path, stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"})  # fmt: skip
    os.close(theirs)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        limit = time.monotonic() + 90
        while text not in seen:
            assert time.monotonic() < limit, seen
            if select.select([ours], [], [], 1.0)[0]:
                seen += os.read(ours, 4096).decode(errors="replace")

    try:
        until("0.000 s> ")
        os.write(ours, b"wait 10 h\n")
        until("wait 10 h")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        until("stopped at ")
        os.write(ours, b"bogus\n")
        until("error: no command 'bogus'")
        os.write(ours, b"wait 20 ms\nquit\n")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        os.close(ours)
