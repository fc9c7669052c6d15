"""What was played, as events with the tick each began: can be taken back to a moment, done again, saved as a scene."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import UserError
from engine.scene import dump
from engine.units import quantity_text
from systems.spawn.scene_model import SCENES, Event
from systems.timeline import PRICK_MS, TAP_MS, actions_of

OWN_END = {"tap": TAP_MS, "prick": PRICK_MS}  # verbs that end by themselves after this long [ms]


@dataclass
class Played:
    """One thing that was done: a verb with its keys as a scene writes them, from tick `start` on."""

    start: int
    verb: str
    keys: dict
    last: int | None = None  # ticks; None: its own end, or still in force
    path: list[list] = field(default_factory=list)  # (tick, patch) or (tick, x, y, z [m])
    key: str = ""
    number: int = 0  # in the Timeline

    def event(self) -> Event:
        """As an event of a scene."""
        return Event.model_validate(self.written())

    def written(self) -> dict:
        """The event as a scene file says it; every value reads back as the same number."""
        keys = dict(self.keys)
        if self.path:
            places = []
            for tick, *where in self.path:
                place = {"patch": where[0]} if len(where) == 1 else {"to": metres(where)}
                places.append({"after": _ms(tick - self.start)} | place)
            keys["path"] = places
        last = {} if self.last is None else {"last": _ms(self.last)}
        return {"at": _ms(self.start), **last, self.verb: keys}


def _ms(ticks: int) -> str:
    return f"{ticks} ms"


def metres(point) -> list[str]:
    """A point as lengths with units."""
    return [quantity_text(float(x) * 1000.0, "length") for x in point]


class Session:
    """Does things to a simulation and remembers them. Belongs to the thread that runs the simulation."""

    def __init__(self, sim):
        self.sim = sim
        self.played: list[Played] = []
        self._ops: list[tuple] = []  # (tick, "begin" | "move" | "end", Played, way-point)
        self.whole = True  # False: begins with a state from elsewhere, which a scene cannot say

    # doing ------------------------------------------------------------------------------------------------------
    def begin(self, verb: str, keys: dict, *, last: float | None = None, path=(), key: str = "") -> Played:
        """Do something from the next tick on; a UserError if it cannot be done changes nothing."""
        now = self.sim.tick
        ticks = None if last is None else max(1, round(last))
        what = Played(now, verb, keys, ticks, [[now, *step] for step in path], key)
        self._start(what)
        self.played.append(what)
        self._ops.append((now, "begin", what, None))
        return what

    def _start(self, what: Played) -> None:
        try:
            event = what.event()
        except ValueError as error:  # pydantic's, of several lines
            first = error.errors()[0]
            raise UserError(f"{what.verb}: {first['msg']}") from None
        for action in actions_of(event, self.sim.timeline.targets):
            what.number = self.sim.timeline.add(action)

    def move(self, what: Played, *step) -> None:
        """A new way-point (patch, or x, y, z [m]) from the next tick on."""
        now = self.sim.tick
        what.path = [s for s in what.path if s[0] < now] + [[now, *step]]
        self.sim.timeline.move(what.number, self._step(what, now, step))
        self._ops.append((now, "move", what, step))

    @staticmethod
    def _step(what: Played, tick: int, step: tuple) -> tuple:
        """A way-point with exactly the numbers that its written form reads back as."""
        if len(step) == 1:
            return (tick, *step)
        written = Played(tick, what.verb, {"part": what.keys["part"]}, path=[[tick, *step]]).event()
        return (tick, *(x / 1000.0 for x in written.action.path[0].to))

    def end(self, what: Played) -> None:
        """End it at the next tick, at the earliest one tick after it began."""
        now = self.sim.tick
        if what.last is not None or self._over(what, now):
            return
        what.last = max(1, now - what.start)
        self.sim.timeline.end(what.number, now)
        self._ops.append((now, "end", what, None))

    def _over(self, what: Played, now: int) -> bool:
        return what.verb in ("drop", "restore") or (what.verb in OWN_END and now >= what.start + OWN_END[what.verb])

    def open(self, key: str = "") -> list[Played]:
        """What is in force without an end, begun under a key (any: all)."""
        return [p for p in self.played if p.last is None and not self._over(p, self.sim.tick)
                and p.verb != "silence" and (p.key == key if key else True)]  # fmt: skip

    # going back -------------------------------------------------------------------------------------------------
    def replay(self, until: int, step) -> None:
        """From the tick the simulation was put back to, do the same again up to, not including, tick `until`.

        `step(ticks)` advances the simulation. What was done from `until` on is forgotten; what was begun before and not
        ended by then stays in force.
        """
        begin = self.sim.tick
        again = [op for op in self._ops if begin <= op[0] < until]
        forgotten = {id(op[2]) for op in self._ops if op[1] == "begin" and op[0] >= until}
        for what in self.played:
            what.path = [s for s in what.path if s[0] < until]
        for tick, kind, what, _ in self._ops:
            if kind == "end" and tick >= until:
                what.last = None
        self.played = [p for p in self.played if id(p) not in forgotten]
        self._ops = [op for op in self._ops if op[0] < until]
        for tick, kind, what, where in again:
            if tick > self.sim.tick:
                step(tick - self.sim.tick)
            if kind == "begin":
                kept = what.last, what.path
                if any(op[2] is what and op[1] == "end" for op in again):
                    what.last = None
                what.path = [s for s in what.path if s[0] == tick]
                self._start(what)
                what.last, what.path = kept
            elif kind == "move":
                self.sim.timeline.move(what.number, self._step(what, tick, where))
            else:
                self.sim.timeline.end(what.number, tick)
        if until > self.sim.tick:
            step(until - self.sim.tick)

    def forget(self) -> None:
        """Nothing was played."""
        self.played.clear()
        self._ops.clear()
        self.whole = True

    # files ------------------------------------------------------------------------------------------------------
    def dumped(self) -> str:
        """What was played as text, to be kept with a saved state."""
        items = [vars(p) | {"open": not any(op[1] == "end" and op[2] is p for op in self._ops)} for p in self.played]
        return json.dumps({"whole": self.whole, "played": items})

    def take(self, text: str | None) -> None:
        """Go on from what a saved state remembers; None: it was not played here."""
        self.forget()
        if text is None:
            self.whole = False
            return
        data = json.loads(text)
        self.whole = data["whole"]
        for item in data["played"]:
            ended = not item.pop("open")
            what = Played(**item)
            self.played.append(what)
            self._ops.append((what.start, "begin", what, None))
            self._ops += [(s[0], "move", what, tuple(s[1:])) for s in what.path[1:]]
            if ended:
                self._ops.append((what.start + what.last, "end", what, None))
        self._ops.sort(key=lambda op: op[0])

    def scene(self) -> dict:
        """The scene that was played, with all that was done, as a mapping of YAML."""
        sim, end = self.sim, max(self.sim.tick, 1)
        if not self.whole:
            raise UserError("this session began from a saved state of another one: it cannot be written as a scene")
        whole = dump(sim.scene)
        changed = {path.split("=")[0].split(".")[0].strip('" ') for path in sim.source.overrides}
        timeline = []
        for event in sim.scene.timeline:
            if event.at >= end:
                continue
            written = dump(event)
            if event.repeat is not None:
                written["repeat"]["times"] = sum(start < end for start in event.starts)
            timeline.append(written)
        timeline += [p.written() for p in self.played if p.start < end]
        extends = sim.source.name if sim.source.path.is_relative_to(SCENES) else str(sim.source.path.resolve())
        made = {"extends": extends, "title": f"Played: {sim.scene.title}", "seed": sim.seed, "duration": _ms(end)}
        for key in ("brain", "body", "clock"):
            if key in changed and key in whole:
                made[key] = whole[key]
        made |= {"timeline": timeline, "probes": [], "expect": []}
        if sim.scene.experiment is not None:
            made["experiment"] = None
        return made

    def save(self, path: Path) -> None:
        """Write the scene, all or nothing."""
        import os
        import tempfile

        import yaml

        class Writer(yaml.SafeDumper):
            def ignore_aliases(self, data):
                return True

        text = yaml.dump(self.scene(), Dumper=Writer, sort_keys=False, width=120, allow_unicode=True)
        if not path.parent.is_dir():
            raise UserError(f"{path}: folder {path.parent} does not exist")
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"# A session as it was played; `encephagen run {path.name}` gives the same spikes.\n{text}")
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error
