"""A real window on a virtual display, driven as a person would: xdotool moves the mouse and presses the keys."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from encephagen import load

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool for a window"
    ),
]
SCENE = """
extends: newborn
title: A window on a newborn
duration: 100 s
timeline: []
probes: []
expect: []
view: {azimuth: -60 deg, elevation: 75 deg}   # from above: nothing of the body lies before a palm
"""


@pytest.fixture(scope="module")
def display():
    """A display of our own, on the first free number."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=(writer,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader) as said:
        number = said.readline().strip()  # the whole line: a reader that goes away too early takes the server along
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


class Played:
    """`encephagen play` as a process, its window, and the status it writes."""

    def __init__(self, display: str, folder: Path, *arguments: str):
        self.folder, self._status = folder, folder / "status.jsonl"
        self.environment = dict(os.environ, DISPLAY=display, SDL_AUDIODRIVER="dummy", LIBGL_ALWAYS_SOFTWARE="1")
        self.environment.pop("WAYLAND_DISPLAY", None)
        command = [sys.executable, str(ROOT / "encephagen.py"), "play", *arguments, "--status", str(self._status)]
        with open(folder / "log.txt", "w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=self.environment, stdout=log, stderr=log)
        if not self.wait(lambda s: s["frame"] > 2, 180):
            self.process.kill()
            self.process.wait()
            raise AssertionError(self.said())
        self.window = str(self.status["window"])
        self.tool("windowfocus", self.window)
        time.sleep(0.3)

    def tool(self, *words: str) -> str:
        found = subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
        return found.stdout

    @property
    def status(self) -> dict:
        """The last whole line of the status."""
        try:
            with open(self._status, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 40_000))
                lines = file.read().split(b"\n")
            return json.loads(lines[-2])
        except (FileNotFoundError, IndexError, json.JSONDecodeError):
            return {"frame": 0}

    def wait(self, condition, seconds: float = 60.0):
        """The first status for which a condition holds; None if the time is up or the window is gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            status = self.status
            if status["frame"] and condition(status):
                return status
            time.sleep(0.02)
        return None

    def key(self, name: str) -> None:
        self.tool("key", "--window", self.window, name)

    def at(self, x: float, y: float) -> None:
        self.tool("mousemove", "--window", self.window, str(round(x)), str(round(y)))

    def said(self) -> str:
        """What the program printed."""
        return (self.folder / "log.txt").read_text()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(60)


@pytest.fixture(scope="module")
def play(display, tmp_path_factory):
    folder = tmp_path_factory.mktemp("window")
    (folder / "scene.yaml").write_text(SCENE)
    played = Played(display, folder, "scene.yaml")
    yield played
    if played.process.poll() is None:
        played.process.kill()
        played.process.wait()


def pressed(play) -> dict:
    """Hold the left button on the left palm for half a simulated second; the touch as the session has it."""
    assert play.wait(lambda s: s["tick"] > 500)
    play.key("minus")  # in slow motion: the newborn writhes, and its palm would be elsewhere by the time of the click
    play.key("minus")
    assert play.wait(lambda s: float(s["speed"]) == 0.25)
    for _ in range(10):  # a click may fall beside a hand that shows its edge: so again, as a person would
        play.at(*play.status["places"]["palm_left"])
        time.sleep(0.2)
        play.at(*play.status["places"]["palm_left"])
        play.tool("mousedown", "1")
        if held := play.wait(lambda s: s["doing"], 2.0):
            break
        play.tool("mouseup", "1")
        time.sleep(0.5)
    play.key("0")
    assert held, f"nothing was touched: {play.status['message']}"
    assert play.wait(lambda s: s["tick"] > held["tick"] + 500)
    play.tool("mouseup", "1")
    assert play.wait(lambda s: not s["doing"])
    return held


def test_a_click_on_the_palm_is_felt_and_the_fist_closes(play):
    """The session is saved and replayed without a window, where every spike can be counted."""
    pressed(play)
    play.key("F6")
    assert play.wait(lambda s: "saved scene_session.yaml" in s["message"])
    sim = load(play.folder / "scene_session.yaml")
    (touch,) = [event for event in sim.scene.timeline if event.touch is not None]
    assert touch.touch.patch == "palm_left"
    sim.run(touch.at - 1)
    fingers = float(sim.physics.data.joint("fingers_left").qpos[0])
    strongest = [0.0]
    sim.run(min(touch.at + 400, sim.scene.duration) - sim.tick,
            lambda s: strongest.append(s.activation("fingers_left_flexor")["fingers_left_flexor"]))  # fmt: skip
    ids, ticks = sim.spike_history()
    palm = ticks[np.isin(ids, sim.network.neurons("spinal_segments.palm_left.cutaneous"))]
    before, after = palm[palm < touch.at], palm[palm >= touch.at]
    assert after.size and after.min() - touch.at <= 20, "touch afferents answer within 20 ms"
    assert (after < touch.at + 100).sum() > 5 * max((before >= touch.at - 100).sum(), 1)
    assert max(strongest) > 0.2, "the flexors of the fingers pull"
    assert float(sim.physics.data.joint("fingers_left").qpos[0]) > fingers + 0.3


def test_pause_step_and_go_on(play):
    play.key("space")
    paused = play.wait(lambda s: s["paused"])
    assert paused
    time.sleep(0.5)
    tick = play.status["tick"]
    play.key("period")
    assert play.wait(lambda s: s["tick"] == tick + 1)
    play.key("comma")
    stepped = play.wait(lambda s: s["tick"] > tick + 1)
    assert stepped and stepped["tick"] == -(-(((tick + 1) * 30 // 1000) + 1) * 1000 // 30)
    play.key("space")
    assert play.wait(lambda s: not s["paused"] and s["tick"] > stepped["tick"] + 50)


def test_two_quick_presses_count_twice(play):
    play.key("minus")
    play.key("minus")
    assert play.wait(lambda s: float(s["speed"]) == 0.25)
    play.key("0")
    assert play.wait(lambda s: float(s["speed"]) == 1.0)


def test_a_selection_is_lesioned_restored_and_stimulated(play):
    play.key("n")
    selected = play.wait(lambda s: s["selected"])["selected"]
    play.key("l")
    assert play.wait(lambda s: selected in s["lesions"])
    play.key("u")
    play.key("s")
    assert play.wait(lambda s: selected in s["doing"])
    play.key("s")
    assert play.wait(lambda s: selected not in s["doing"])
    play.key("Escape")
    assert play.wait(lambda s: s["selected"] is None)


def test_rewind(play):
    assert play.wait(lambda s: s["tick"] > 2500, 120)
    play.key("space")
    assert play.wait(lambda s: s["paused"])
    time.sleep(0.3)
    tick = play.status["tick"]
    play.key("BackSpace")
    assert play.wait(lambda s: s["tick"] == tick - 1000), play.status["message"]
    play.key("space")
    assert play.wait(lambda s: s["tick"] > tick - 900)


def test_the_mouse_orbits_and_the_scene_acts(play):
    azimuth = play.status["azimuth_deg"]
    left, top, width, height = play.status["stage"]
    play.at(left + 0.8 * width, top + 0.1 * height)
    play.tool("mousedown", "3")
    play.at(left + 0.8 * width - 120, top + 0.1 * height)
    play.tool("mouseup", "3")
    assert play.wait(lambda s: abs(s["azimuth_deg"] - azimuth) > 10)
    play.key("c")
    assert play.wait(lambda s: s["message"] == "clap")
    play.key("2")
    assert play.wait(lambda s: s["tool"] == "pinch")
    play.key("1")
    play.key("h")
    assert play.wait(lambda s: s["help"])
    play.key("h")
    assert play.wait(lambda s: not s["help"])


def test_a_film_and_a_screenshot(play):
    play.key("v")
    begun = play.wait(lambda s: s["recording"])
    assert begun and play.wait(lambda s: s["tick"] > begun["tick"] + 400)
    play.key("v")
    assert play.wait(lambda s: not s["recording"])
    play.key("F12")
    assert play.wait(lambda s: "saved scene_shot.png" in s["message"])
    import av

    with av.open(str(play.folder / "scene_video.mp4")) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 30 and 10 <= len(pictures) <= 40
    assert pictures[-1].std() > 20, "there is something to see"
    (ROOT / "out").mkdir(exist_ok=True)
    shutil.copy(play.folder / "scene_shot.png", ROOT / "out" / "window.png")


def test_it_is_resized_and_closed(play):
    play.tool("windowsize", "--sync", play.window, "900", "600")
    assert play.wait(lambda s: s["size"] == [900, 600])
    frame = play.status["frame"]
    assert play.wait(lambda s: s["frame"] > frame + 3)
    play.key("v")
    assert play.wait(lambda s: s["recording"])
    tick = play.status["tick"]
    assert play.wait(lambda s: s["tick"] > tick + 200)
    play.key("q")
    assert play.end() == 0, play.said()
    assert "Traceback" not in play.said() and "real time" in play.said()
    left = [p.name for p in play.folder.iterdir()]
    assert not [name for name in left if name.startswith(".") or "part" in name], left
    assert "scene_video_2.mp4" in left, "closing the window finishes the film"


def test_ctrl_c_leaves_nothing_half_written(display, tmp_path):
    (tmp_path / "scene.yaml").write_text("title: t\nduration: 9 s\nbody: {model: newborn}\n")
    played = Played(display, tmp_path, "scene.yaml")
    played.process.send_signal(signal.SIGINT)
    assert played.end() == 130 and "Traceback" not in played.said(), played.said()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.txt", "scene.yaml", "status.jsonl"]


def test_a_display_that_is_not_there_is_one_line(tmp_path):
    environment = dict(os.environ, DISPLAY=":987")
    environment.pop("WAYLAND_DISPLAY", None)
    (tmp_path / "scene.yaml").write_text("title: t\nduration: 9 s\nbody: {model: newborn}\n")
    found = subprocess.run(
        [sys.executable, str(ROOT / "encephagen.py"), "play", "scene.yaml"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 2
    assert len(found.stderr.strip().splitlines()) == 1 and "no display for a window" in found.stderr, found.stderr


@pytest.mark.parametrize("broken", [{"LIBGL_DRIVERS_PATH": "/nonexistent"}, {"MESA_GL_VERSION_OVERRIDE": "2.1"}],
                         ids=["no driver", "too old"])  # fmt: skip
def test_a_window_without_a_driver_is_one_line(display, broken):
    done = subprocess.run(
        [sys.executable, str(ROOT / "encephagen.py"), "play", "walker"], capture_output=True, text=True, timeout=120,
        env={**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT), **broken},
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith("encephagen: error: no OpenGL 3.3 driver for a window") and "apt-get install" in last
