"""Runs a simulation in a thread of its own, on the wall clock: pause, step, speed, rewind, and what a player does.

The window posts commands and takes frames; it never touches the world. Commands are applied between two ticks, and
what changes the world is remembered with its tick (systems/view/session.py), so a session replays to the same spikes.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from engine import snapshot
from engine.clock import MAX_SPEED, Clock
from engine.errors import UserError
from engine.units import quantity_text
from systems.view import commands as c
from systems.view.session import Session, metres

FPS = 30
REWIND_S = 40  # seconds that can be taken back
SLICE = 4  # ticks between looks at the commands and at the view's wish for a frame
HELD = "held:"  # keys of what lasts while a button is down
PART_VERBS = ("push", "grab")
AMOUNT = {  # verb -> (key of its value in a scene, dimension, factor from the command's unit to the base unit)
    "touch": ("force", "force", 1.0), "pinch": ("force", "force", 1.0), "prick": ("force", "force", 1.0),
    "stroke": ("force", "force", 1.0), "push": ("force", "force", 1.0), "grab": ("force", "force", 1.0),
    "tap": ("torque", "torque", 1.0), "turn": ("torque", "torque", 1.0), "drop": ("height", "length", 1000.0),
    "tilt": ("angle", "angle", 1.0), "hold": ("lift", "length", 1000.0), "stimulate": ("drive", "potential", 1.0),
    "inhibit": ("drive", "potential", 1.0),
}  # fmt: skip
OBJECT = {"touch": "patch", "pinch": "patch", "prick": "patch", "tap": "muscle", "push": "part", "grab": "part",
          "hold": "pose", "turn": "joint", "stimulate": "population", "inhibit": "population",
          "silence": "population", "restore": "population"}  # fmt: skip


@dataclass
class Status:
    """How the simulation stands, for the window; made anew, never changed."""

    tick: int = 0
    paused: bool = False
    speed: float = 1.0
    realtime_x: float = 0.0  # over the last second or so
    dropped_s: float = 0.0
    message: str = ""
    message_number: int = 0
    doing: tuple[str, ...] = ()  # labels of what the player has in force
    lesions: tuple[str, ...] = ()
    can_rewind_s: float = 0.0


@dataclass
class _Frames:
    """The double buffer: the last two frames and when they were taken [s of the wall clock]."""

    older: object = None
    newer: object = None
    older_s: float = 0.0
    newer_s: float = 0.0


class Player:
    """The thread of one simulation. `post` commands, take `latest` frames, and `close` it.

    `capture` makes frames (`frame()`), `monitor` the data of the panels (`data()`); both are called in this thread.
    """

    def __init__(self, sim, capture=None, monitor=None, *, paused: bool = False, speed: float = 1.0,
                 folder: Path | None = None, until: int | None = None):  # fmt: skip
        self.sim, self.capture, self.monitor = sim, capture, monitor
        self.folder = folder or Path.cwd()
        self.clock = Clock(1.0, speed=speed)
        self.session = Session(sim)
        self.marks = snapshot.Marks(sim.runner)
        self._start_mark = self.marks.mark()
        self._recent: deque[snapshot.Mark] = deque([self._start_mark], maxlen=REWIND_S + 1)
        self.until = until
        self.error: BaseException | None = None
        self.status = Status(sim.tick, paused, speed)
        self._message, self._message_number = "", 0
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._wanted, self._stop = threading.Event(), threading.Event()
        self._frames = _Frames()
        self._meter: deque[tuple[float, int]] = deque(maxlen=40)
        self._live_s, self._live_ticks = 0.0, 0
        self.mark_ms = 0.0  # of the last snapshot in memory
        if paused:
            self.clock.pause()
        self.thread = threading.Thread(target=self._live, name="simulation", daemon=True)

    # from the window's thread -----------------------------------------------------------------------------------
    def start(self) -> Player:
        self.thread.start()
        return self

    def post(self, command: c.Command) -> None:
        """Ask for something; it happens between two of the next ticks."""
        self._queue.put(command)

    def latest(self) -> tuple[object, object, float] | None:
        """(older frame, newer frame, share 0..1 of the way between them at this time); asks for the next one.

        None before there is any. Raises what went wrong in the simulation's thread.
        """
        self._wanted.set()
        if self.error is not None:
            raise self.error
        f = self._frames
        if f.newer is None:
            return None
        if f.older is None or f.newer_s <= f.older_s:
            return f.newer, f.newer, 1.0
        return f.older, f.newer, min(1.0, (time.perf_counter() - f.newer_s) / (f.newer_s - f.older_s))

    def close(self) -> None:
        """Stop between two ticks; the simulation is the caller's again."""
        self._stop.set()
        self._queue.put(c.Quit())
        if self.thread.is_alive():
            self.thread.join()

    # the simulation's thread ------------------------------------------------------------------------------------
    @property
    def overall_x(self) -> float:
        """Simulated seconds per wall second since the start, pauses left out."""
        return self._live_ticks / 1000.0 / self._live_s if self._live_s else 0.0

    def _live(self) -> None:
        try:
            self._shoot()
            while not self._stop.is_set():
                self._obey()
                begun, first = time.perf_counter(), self.sim.tick
                due = self.clock.due(at_most=SLICE)
                if self.until is not None:
                    due = min(due, self.until - self.sim.tick)
                if due > 0:
                    self._run(due)
                if self._wanted.is_set():
                    self._shoot()
                if due <= 0:
                    self._rest()
                if not self.clock.paused:
                    self._live_s += time.perf_counter() - begun
                    self._live_ticks += max(0, self.sim.tick - first)
        except BaseException as error:  # the window raises it
            self.error = error

    def _rest(self) -> None:
        """Wait for the next tick or command."""
        left = 0.02 if self.clock.paused else max((1.0 - self.clock.fraction) * 1e-3 / self.clock.speed, 2e-4)
        with contextlib.suppress(queue.Empty):
            self._do(self._queue.get(timeout=min(left, 0.02)))

    def _obey(self) -> None:
        while True:
            try:
                self._do(self._queue.get_nowait())
            except queue.Empty:
                return

    def _run(self, ticks: int) -> None:
        """Advance, with a snapshot in memory at each whole second."""
        while ticks > 0:
            part = min(ticks, 1000 - self.sim.tick % 1000)
            self.sim.run(part)
            ticks -= part
            if self.sim.tick % 1000 == 0 and self.sim.tick > self._recent[-1].tick:
                started = time.perf_counter()
                self._recent.append(self.marks.mark())
                self.mark_ms = (time.perf_counter() - started) * 1e3

    def _shoot(self) -> None:
        """Copy what the view shows into the back of the double buffer and swap."""
        now, sim, f = time.perf_counter(), self.sim, self._frames
        self._wanted.clear()
        self._meter.append((now, sim.tick))
        (first_s, first), (last_s, last) = self._meter[0], self._meter[-1]
        if last_s - first_s > 1.5:
            self._meter.popleft()
        speed = max(0.0, (last - first) / 1000.0 / (last_s - first_s)) if last_s > first_s else 0.0
        if self.clock.paused:
            speed = 0.0
        self.status = Status(
            sim.tick, self.clock.paused, self.clock.speed, speed, self.clock.dropped_ns / 1e9, self._message,
            self._message_number, tuple(p.key.split(":", 1)[-1] or p.verb for p in self.session.open()),
            self._lesions(),
            (sim.tick - self._oldest().tick) / 1000.0,
        )  # fmt: skip
        if self.capture is not None:
            frame = self.capture.frame(speed)
            if self.monitor is not None:
                frame.hud = self.monitor.data()
        else:
            frame = self.status
        self._frames = _Frames(f.newer, frame, f.newer_s, now)

    def _lesions(self) -> tuple[str, ...]:
        """Selectors of what is silenced and was not restored as such since."""
        found: dict[str, None] = {}
        for a in self.sim.timeline.active:
            if a.verb == "silence":
                found[a.of] = None
            elif a.verb == "restore":
                found.pop(a.of, None)
        return tuple(found)

    def _oldest(self) -> snapshot.Mark:
        return self._recent[0]

    def say(self, text: str) -> None:
        """A line for the window."""
        self._message, self._message_number = text, self._message_number + 1

    # commands ---------------------------------------------------------------------------------------------------
    def _do(self, command: c.Command) -> None:
        try:
            handler = self._HANDLERS.get(type(command))
            if handler is not None:
                handler(self, command)
        except UserError as error:
            self.say(str(error))
        if self.clock.paused:
            self._wanted.set()

    def _pause(self, command: c.Pause) -> None:
        on = not self.clock.paused if command.on is None else command.on
        (self.clock.pause if on else self.clock.resume)()

    def _step_ticks(self, command: c.StepTicks) -> None:
        self.clock.pause()
        self._run(max(0, command.n))

    def _step_frame(self, _: c.StepFrame) -> None:
        self.clock.pause()
        k = self.sim.tick * FPS // 1000 + 1
        self._run(max(1, math.ceil(k * 1000 / FPS) - self.sim.tick))

    def _speed(self, command: c.Speed) -> None:
        self.clock.set_speed(min(max(command.x, 0.05), MAX_SPEED))

    def _rewind(self, command: c.Rewind) -> None:
        wanted = self.sim.tick - round(command.seconds * 1000)
        target = max(wanted, self._oldest().tick)
        while self._recent[-1].tick > target:
            self._recent.pop()
        self._return_to(self._recent[-1])
        self.session.replay(target, self._run)
        for played in self.session.open():
            if played.key.startswith(HELD):
                self.session.end(played)
        self.say(f"back at {target / 1000:g} s" + (", the oldest there is" if wanted < target > 0 else ""))

    def _return_to(self, mark: snapshot.Mark) -> None:
        self.marks.recall(mark)
        for listener in (self.capture, self.monitor):
            if hasattr(listener, "forget"):
                listener.forget()
        self._meter.clear()
        self.clock.resume() if not self.clock.paused else None  # owed time is not to be caught up with

    def _reset(self, _: c.Reset) -> None:
        self._return_to(self._start_mark)
        self._recent.clear()
        self._recent.append(self._start_mark)
        self.session.forget()
        self.say("from the start")

    def _save_state(self, command: c.SaveState) -> None:
        path = Path(command.path) if command.path is not None else self._free("state", ".h5")
        self.sim.save(path, session=self.session.dumped())
        self.say(f"saved {path.name}")

    def _load_state(self, command: c.LoadState) -> None:
        path = command.path
        if path is None:
            found = sorted(self.folder.glob(f"{self._stem}_state*.h5"), key=lambda p: p.stat().st_mtime)
            if not found:
                raise UserError("no state was saved here yet")
            path = found[-1]
        saved = snapshot.attributes(path)
        self.sim.load_state(path)
        self.session.take(saved.get("session"))
        self._return_to(self.marks.mark())
        self._recent.clear()
        self._recent.append(self.marks.mark())
        self.say(f"loaded {Path(path).name}")

    def _save_session(self, command: c.SaveSession) -> None:
        path = Path(command.path) if command.path is not None else self._free("session", ".yaml")
        self.session.save(path)
        self.say(f"saved {path.name}: encephagen run {path.name}")

    @property
    def _stem(self) -> str:
        return Path(self.sim.source.name).name

    def _free(self, what: str, suffix: str) -> Path:
        """A name that is not taken, in the folder of the player."""
        for k in range(1, 10_000):
            path = self.folder / f"{self._stem}_{what}{'' if k == 1 else f'_{k}'}{suffix}"
            if not path.exists():
                return path
        raise UserError(f"{self.folder}: too many files called {self._stem}_{what}")

    # hands ------------------------------------------------------------------------------------------------------
    def _act(self, command: c.Act) -> None:
        held = self.session.open(HELD + command.key) if command.key else []
        for played in held:
            if played.verb == command.verb == "grab" and command.target is not None:
                self.session.move(played, *command.target)
                return
            if played.verb == command.verb == "stroke":
                if played.path[-1][1] != command.of:
                    self.session.move(played, command.of)
                return
            self.session.end(played)
        keys, path = self._keys(command)
        self.session.begin(command.verb, keys, last=command.last_ms, path=path,
                           key=HELD + command.key if command.key else "")  # fmt: skip

    def _keys(self, command: c.Act) -> tuple[dict, list]:
        """A verb's keys as a scene writes them, and its first way-point."""
        verb, keys, path = command.verb, {}, []
        if verb not in AMOUNT and verb not in OBJECT:
            raise UserError(f"there is no verb {verb!r}")
        if verb in OBJECT:
            keys[OBJECT[verb]] = command.of
        if verb == "stroke":
            path = [[command.of]]
        if command.point is not None and verb in (*PART_VERBS, "touch", "pinch", "prick"):
            keys["at"] = metres(command.point)
            if verb not in PART_VERBS:
                keys["part"] = keys.pop("patch")
        if verb == "push":
            keys["direction"] = [float(x) for x in command.direction]
        elif verb == "tilt":
            keys["axis"] = [float(x) for x in command.direction]
        elif verb == "grab":
            if command.target is None:
                raise UserError("grab: where to?")
            path = [[float(x) for x in command.target]]
        if verb in AMOUNT and (command.value or verb not in ("pinch", "prick", "stroke", "hold", "grab")):
            key, dimension, factor = AMOUNT[verb]
            keys[key] = quantity_text(float(command.value) * factor, dimension)
        return keys, path

    def _release(self, command: c.Release) -> None:
        for played in self.session.open(HELD + command.key):
            self.session.end(played)

    def _scene_action(self, command: c.SceneAction) -> None:
        action = next((a for a in self.sim.timeline.actions if a.name == command.name), None)
        if action is None:
            raise UserError(f"this scene has no action {command.name!r}")
        key = f"action:{action.name}"
        if action.last is None and (again := self.session.open(key)):
            for played in again:
                self.session.end(played)
            self.say(f"{action.name}: ended")
            return
        from engine.scene import dump

        self.session.begin(action.do.verb, dump(action.do.action), last=action.last, key=key)
        self.say(action.name)

    def _drive(self, verb: str, command) -> None:
        key = f"{verb}:{command.selector}"
        for played in self.session.open(key):
            self.session.end(played)
        if command.drive == 0:
            return
        drive = quantity_text(float(command.drive), "potential")
        self.session.begin(verb, {"population": command.selector, "drive": drive}, last=command.last_ms, key=key)
        self.say(f"{verb} {command.selector}")

    def _lesion(self, command: c.Lesion) -> None:
        self.session.begin("silence", {"population": command.selector}, key=f"silence:{command.selector}")
        self.say(f"lesion of {command.selector}")

    def _restore(self, command: c.Restore) -> None:
        self.session.begin("restore", {"population": command.selector})
        self.say(f"{command.selector} restored")

    _HANDLERS = {  # noqa: RUF012
        c.Pause: _pause, c.StepTicks: _step_ticks, c.StepFrame: _step_frame, c.Speed: _speed, c.Rewind: _rewind,
        c.Reset: _reset, c.SaveState: _save_state, c.LoadState: _load_state, c.SaveSession: _save_session, c.Act: _act,
        c.Release: _release, c.SceneAction: _scene_action,
        c.Stimulate: lambda self, command: self._drive("stimulate", command),
        c.Inhibit: lambda self, command: self._drive("inhibit", command),
        c.Lesion: _lesion, c.Restore: _restore,
    }  # fmt: skip
