"""Apply what the scene or a player asks for: stimuli, lesions, and the examiner's hands."""

from __future__ import annotations

import json
import math
from bisect import insort
from dataclasses import dataclass, replace

import numpy as np

from components.body import BodyState
from components.network import Inputs
from engine.errors import UserError
from engine.schedule import Now
from engine.system import system

GRAVITY = 9.81
SILENCED = np.float32(1e30)
TAP_MS = 20.0  # a blow without a duration
LASTING = ("touch", "tap", "push", "stimulate", "silence", "restore")  # without an end they stay in force


@dataclass
class Action:
    """One verb with what it needs, from tick `start` up to, not including, tick `end` (-1: no end)."""

    start: int
    end: int
    verb: str
    of: str
    value: float = 0.0
    direction: tuple[float, float, float] = (1.0, 0.0, 0.0)

    @property
    def label(self) -> str:
        return f"{self.verb} {self.of}".strip()


class Timeline:
    """Actions to come, in force and past. `targets` resolves names to rows, actuators, joints (set at load)."""

    def __init__(self, targets):
        self.targets = targets
        self.coming: list[Action] = []
        self.active: list[Action] = []
        self.past: list[tuple[int, str]] = []
        self.due = math.inf  # first tick at which something starts or ends

    def reckon(self) -> None:
        """Find the next tick at which something starts or ends."""
        ends = [a.end for a in self.active if a.end >= 0]
        self.due = min([math.inf, *(a.start for a in self.coming[:1]), *ends])

    def add(self, action: Action) -> None:
        """Queue an action; its target must exist (UserError otherwise)."""
        self.targets.check(action)
        insort(self.coming, action, key=lambda a: a.start)
        self.reckon()

    def snapshot(self) -> dict[str, np.ndarray]:
        text = json.dumps({k: [vars(a) for a in getattr(self, k)] for k in ("coming", "active")} | {"past": self.past})
        return {"json": np.frombuffer(text.encode(), np.uint8)}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        data = json.loads(np.asarray(saved["json"], np.uint8).tobytes())
        for k in ("coming", "active"):
            setattr(self, k, [Action(**{**a, "direction": tuple(a["direction"])}) for a in data[k]])
        self.past = [tuple(x) for x in data["past"]]
        self.reckon()


class Targets:
    """Names -> numbers for the actions of one world, resolved once at load."""

    def __init__(self, network=None, body=None):
        self.network, self.body = network, body
        self._neurons: dict[str, np.ndarray] = {}

    def neurons(self, selector: str) -> np.ndarray:
        if selector not in self._neurons:
            if self.network is None:
                raise UserError(f"{selector}: this scene has no brain")
            self._neurons[selector] = self.network.neurons(selector)
        return self._neurons[selector]

    def check(self, action: Action) -> None:
        if action.verb in ("stimulate", "silence", "restore"):
            self.neurons(action.of)
            return
        if self.body is None:
            raise UserError(f"{action.verb}: this scene has no body")
        if action.verb == "touch":
            self.presser(action.of)
        elif action.verb == "tap":
            self.stretch(action.of)
        elif action.verb == "push":
            self.part(action.of)
        elif action.verb == "drop" and not len(self.body.active_equalities):
            raise UserError(f"drop: the pose {self.body.pose!r} is not held; expected a pose with a hold")

    def presser(self, patch: str) -> int:
        actuator = self.body.patch(patch).presser_actuator_id
        if actuator < 0:
            raise UserError(f"touch {patch}: this body has no fingertip there to press with")
        return actuator

    def stretch(self, muscle: str) -> tuple[int, float, float]:
        """(degree of freedom, direction that lengthens the muscle, moment arm [m])."""
        m, model = self.body.muscle(muscle), self.body.model
        first = int(model.tendon_adr[model.tendon(muscle).id])
        joint = int(model.wrap_objid[first])
        coefficient = float(model.wrap_prm[first])
        return int(model.jnt_dofadr[joint]), math.copysign(1.0, coefficient), m.moment_arm_m

    def part(self, name: str) -> int:
        try:
            return int(self.body.model.body(name).id)
        except KeyError:
            known = ", ".join(self.body.model.body(k).name for k in range(1, self.body.model.nbody))
            raise UserError(f"push: no part {name!r} (there are: {known})") from None


@system(
    reads=[Now.tick],
    optional_reads=[Inputs.threshold_intact],
    optional_writes=[
        Inputs.stimulus, Inputs.threshold,
        BodyState.hand, BodyState.joint_torque, BodyState.wrench, BodyState.hold, BodyState.holder,
    ],
    objects=[Timeline],
)  # fmt: skip
def timeline(n, tick, intact, stimulus, threshold, hand, joint_torque, wrench, hold, holder, plan):
    """Start and end actions due at this tick; sums are rebuilt from what is in force, so nothing drifts."""
    now = int(tick[0])
    if now < plan.due:
        return False
    ended = [a for a in plan.active if a.end == now]
    plan.active = [a for a in plan.active if a.end != now]
    begun = []
    while plan.coming and plan.coming[0].start <= now:
        begun.append(plan.coming.pop(0))
    plan.past += [(now, a.label) for a in begun]
    plan.active += [a for a in begun if a.end > now or (a.end < 0 and a.verb in LASTING)]
    plan.reckon()
    targets, changed = plan.targets, {a.verb for a in (*ended, *begun)}
    for a in begun:
        if a.verb == "drop":
            holder[:, 2] -= a.value
            hold[:] = 0
    if any(a.verb == "drop" for a in ended):
        hold[:] = targets.held
    if changed & {"silence", "restore"}:
        threshold[:] = intact
        for a in plan.active:  # in the order they came: a restoration undoes the lesions before it, not later ones
            if a.verb == "silence":
                threshold[targets.neurons(a.of)] = SILENCED
            elif a.verb == "restore":
                rows = targets.neurons(a.of)
                threshold[rows] = intact[rows]
    if "stimulate" in changed:
        stimulus[:] = 0.0
        for a in plan.active:
            if a.verb == "stimulate":
                stimulus[targets.neurons(a.of)] += np.float32(a.value)
    if "touch" in changed:
        hand[:] = 0.0
        for a in plan.active:
            if a.verb == "touch":
                hand[targets.presser(a.of)] += a.value
    if "tap" in changed:
        joint_torque[:] = 0.0
        for a in plan.active:
            if a.verb == "tap":
                dof, sign, _ = targets.stretch(a.of)
                joint_torque[dof] += sign * a.value
    if "push" in changed:
        wrench[:] = 0.0
        for a in plan.active:
            if a.verb == "push":
                unit = np.asarray(a.direction) / np.linalg.norm(a.direction)
                wrench[targets.part(a.of), :3] += a.value * unit
    return True


def actions_of(event, targets: Targets, tick_ms: float = 1.0) -> list[Action]:
    """A scene's event as actions in ticks and SI units: one, or as many as it is repeated."""
    first = _action(event, targets, tick_ms)
    later = [round((start - event.at) / tick_ms) for start in event.starts]
    return [replace(first, start=first.start + t, end=first.end + t if first.end >= 0 else -1) for t in later]


def _action(event, targets: Targets, tick_ms: float) -> Action:
    """The first time that an event happens."""
    start = round(event.at / tick_ms)

    def until(verb: str) -> int:
        last = event.last or (TAP_MS if verb == "tap" else None)
        return -1 if last is None else start + max(1, round(last / tick_ms))

    if event.touch:
        return Action(start, until("touch"), "touch", event.touch.patch, event.touch.force)
    if event.tap:
        torque = event.tap.torque
        if torque is None:
            torque = event.tap.force * targets.stretch(event.tap.muscle)[2] if targets.body else 0.0
        return Action(start, until("tap"), "tap", event.tap.muscle, torque)
    if event.push:
        p = event.push
        return Action(start, until("push"), "push", p.part, p.force, tuple(p.direction))
    if event.drop:
        metres = event.drop.height / 1000.0
        falling = round(math.sqrt(2.0 * metres / GRAVITY) * 1000.0 / tick_ms)
        return Action(start, start + max(1, falling), "drop", "", metres)
    if event.stimulate:
        return Action(start, until("stimulate"), "stimulate", event.stimulate.population, event.stimulate.drive)
    if event.silence:
        end = start + round(event.last / tick_ms) if event.last else -1
        return Action(start, end, "silence", event.silence.population)
    return Action(start, -1, "restore", event.restore.population)
