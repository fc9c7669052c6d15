"""Apply what the scene or a player asks for: stimuli, lesions, and the examiner's hands."""

from __future__ import annotations

import json
import math
from bisect import insort
from dataclasses import dataclass, replace

import numpy as np

from components.body import BodyState, Light, Milk
from components.network import Inputs
from engine.errors import UserError
from engine.schedule import Now
from engine.system import system
from engine.units import shown
from systems.pictures import contrasts, read_picture, seen

GRAVITY = 9.81
SILENCED = np.float32(1e30)
TAP_MS = 20.0  # a blow without a duration
PRICK_MS = 50.0
GRIPS = 64  # forces at points of parts at one time
BLOBS = 4  # on a panel
HALF_PANEL = (0.25, 0.32)  # tangents of half the panel's width and height: a head at arm's length
PATTERNS = {  # dark blobs: place to the left and up as tangents, radius, depth
    "face": ((0.11, 0.12, 0.13, 1.2), (-0.11, 0.12, 0.13, 1.2), (0.0, -0.14, 0.13, 1.2)),
    "scrambled": ((0.11, -0.12, 0.13, 1.2), (-0.11, -0.12, 0.13, 1.2), (0.0, 0.14, 0.13, 1.2)),
    "blank": (),
}
PANEL_LUMINANCE = 2.0
FULL_PULL_M = 0.05  # a grab pulls with all its force this far away
SKIN_M = 0.05  # a touch at a point is felt by a patch at most this far away
PRESSING = ("touch", "pinch", "prick", "stroke", "feed")
LASTING = (*PRESSING, "tap", "push", "grab", "tilt", "hold", "turn", "brighten", "show", "stimulate", "inhibit",
           "silence", "restore")  # fmt: skip
POLARITY = {"light_on": 1.0, "light_off": -1.0}  # cells that answer to contrast, of one sign
SEIZE, ON_THE_WAY = 1.0, 2.0
STILL = (0.0, 0.0, 0.0)


@dataclass
class Action:
    """One verb with what it needs, from tick `start` up to, not including, tick `end` (-1: no end)."""

    start: int
    end: int
    verb: str
    of: str
    value: float = 0.0
    direction: tuple[float, float, float] = (1.0, 0.0, 0.0)
    point: tuple[float, float, float] | None = None  # on a part, in its own frame [m]
    path: tuple[tuple, ...] = ()  # (tick, patch) of a stroke, (tick, x, y, z [m]) of a grab
    drift: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of hands that hold [m/s]
    number: int = 0  # in the order they were added
    picture: str = ""  # a drive by brightness

    @property
    def label(self) -> str:
        return " ".join(part for part in (self.verb, self.of, self.picture) if part)

    def step(self, tick: int) -> tuple:
        """The way-point in force."""
        return next((step for step in reversed(self.path) if step[0] <= tick), self.path[0])


class Timeline:
    """Actions to come, in force and past. `targets` resolves names to rows, actuators, joints (set at load)."""

    def __init__(self, targets):
        self.targets = targets
        self.actions: list = []  # what a player may do here: those of the scene's actions that this world can do
        self.coming: list[Action] = []
        self.active: list[Action] = []
        self.past: list[tuple[int, str]] = []
        self.due = math.inf  # first tick at which something starts, moves or ends
        self.added = 0

    def reckon(self, now: int = -1) -> None:
        """Find the next tick, after `now`, at which something starts, moves or ends."""
        ends = [a.end for a in self.active if a.end >= 0]
        moves = [step[0] for a in self.active for step in a.path if step[0] > now]
        self.due = min([math.inf, *(a.start for a in self.coming[:1]), *ends, *moves])

    def check(self, action: Action) -> None:
        """UserError if an action's target is not there."""
        self.targets.check(action)

    def add(self, action: Action) -> int:
        """Queue an action; its target must exist (UserError otherwise). The number by which it can be changed."""
        self.targets.check(action)
        if action.verb == "drop" and not self.targets.held.any() and not any(
            a.verb == "hold" and a.start <= action.start and not 0 <= a.end <= action.start
            for a in (*self.coming, *self.active)
        ):  # fmt: skip
            raise UserError(f"drop: the pose {self.targets.body.pose!r} is not held; expected a pose with a hold")
        self.added += 1
        action.number = self.added
        insort(self.coming, action, key=lambda a: a.start)
        self.reckon()
        return action.number

    def _find(self, number: int) -> Action | None:
        return next((a for a in (*self.active, *self.coming) if a.number == number), None)

    def end(self, number: int, tick: int) -> None:
        """Let an action end at a tick to come, at the earliest one after it began."""
        if (action := self._find(number)) is not None:
            action.end = max(tick, action.start + 1)
            self.reckon()

    def move(self, number: int, step: tuple) -> None:
        """A further way-point (tick, where) of an action, at a tick to come; one at the same tick takes its place."""
        if (action := self._find(number)) is not None:
            action.path = (*(s for s in action.path if s[0] < step[0]), step)
            self.reckon()

    def snapshot(self) -> dict[str, np.ndarray]:
        text = json.dumps({k: [vars(a) for a in getattr(self, k)] for k in ("coming", "active")}
                          | {"past": self.past, "added": self.added})  # fmt: skip
        return {"json": np.frombuffer(text.encode(), np.uint8)}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        data = json.loads(np.asarray(saved["json"], np.uint8).tobytes())
        for k in ("coming", "active"):
            setattr(self, k, [_action_from(a) for a in data[k]])
        self.past, self.added = [tuple(x) for x in data["past"]], int(data["added"])
        self.reckon()


def _action_from(saved: dict) -> Action:
    """An action from JSON, which has no tuples."""
    tuples = {key: tuple(saved[key]) for key in ("direction", "point", "drift") if saved[key] is not None}
    return Action(**(saved | tuples | {"path": tuple(tuple(step) for step in saved["path"])}))


class Targets:
    """Names -> numbers for the actions of one world, resolved once at load."""

    def __init__(self, network=None, body=None):
        self.network, self.body = network, body
        self._neurons: dict[str, np.ndarray] = {}
        self._brightness: dict[tuple[str, str], np.ndarray] = {}
        self.held = np.zeros(0, np.uint8)

    def settle_in(self, world) -> None:
        """Remember how the examiner holds the body, and gravity, before anything happens."""
        self.held = world[BodyState.hold].copy()
        self.holding = np.concatenate([world[BodyState.holder], world[BodyState.holder_turn]], axis=1)
        self.gravity = world[BodyState.gravity].copy()

    def neurons(self, selector: str) -> np.ndarray:
        if selector not in self._neurons:
            if self.network is None:
                raise UserError(f"{selector}: this scene has no brain")
            self._neurons[selector] = self.network.neurons(selector)
        return self._neurons[selector]

    def brightness(self, selector: str, picture: str) -> np.ndarray | np.float32:
        """How bright a picture is, 0..1, where each of the selected neurons has its place; each population sees it."""
        if not picture:
            return np.float32(1)
        if (selector, picture) not in self._brightness:
            image, rows = read_picture(picture), self.neurons(selector)
            found = np.zeros(rows.size, np.float32)
            for population in self.network.select(selector):
                mine = np.searchsorted(rows, population.first) + np.arange(population.count)
                cell = population.cell
                found[mine] = seen(image, population.count, cell.sheet.get(population.instance, (0.0, 0.0, 1.0, 1.0)))
                sign = POLARITY.get(cell.sense.organ if cell.sense is not None else "")
                if sign is not None:
                    found[mine] = contrasts(found[mine], float(image.mean(dtype=np.float64)), sign)
            self._brightness[selector, picture] = found
        return self._brightness[selector, picture]

    def check(self, action: Action) -> None:
        if action.verb in ("stimulate", "inhibit", "silence", "restore"):
            self.neurons(action.of)
            if not action.picture.startswith("set:"):  # lessons have thousands, drawn when they are shown
                self.brightness(action.of, action.picture)
            return
        if self.body is None:
            raise UserError(f"{action.verb}: this scene has no body")
        if action.verb == "tilt" and self.body.water is not None:
            raise UserError("tilt: expected a world without water, whose surface stays level")
        if action.verb == "stroke":
            for _, patch in action.path:
                self.presser(patch, "stroke")
        elif action.verb == "feed":
            self.nipple()
        elif action.verb in PRESSING:
            self.presser(action.of, action.verb)
        elif action.verb == "tap":
            self.stretch(action.of)
        elif action.verb == "turn":
            self.dof(action.of)
        elif action.verb in ("push", "grab"):
            self.part(action.of, action.verb)
        elif action.verb == "hold":
            self.hands(action.of)
        elif action.verb in ("brighten", "show"):
            if not self.body.eyes:
                raise UserError(f"{action.verb}: the body {self.body.name} has no eyes")
            if action.verb == "show" and action.of not in PATTERNS:
                raise UserError(f"show: expected one of {', '.join(PATTERNS)}, got {shown(action.of)}")
            if action.verb == "brighten" and not action.value > 0:
                raise UserError(f"brighten: expected a level above 0, got {action.value:g}")

    def presser(self, patch: str, verb: str = "touch") -> int:
        actuator = self.body.patch(patch).presser_actuator_id
        if actuator < 0:
            raise UserError(f"{verb} {patch}: this body has no fingertip there to press with")
        return actuator

    def nipple(self) -> str:
        """The patch that a nipple presses."""
        if self.body is None:
            raise UserError("feed: this scene has no body")
        if self.body.mouth is None:
            raise UserError(f"feed: the body {self.body.name} has no mouth")
        return self.body.mouth.patch

    def offered(self, volume_ml: float) -> float:
        """Milk per metre that the jaw's opener shortens [mL/m], if a jaw that opens by 10 degrees draws a volume."""
        return volume_ml / (math.radians(10.0) * self.body.muscle(self.body.mouth.opener).moment_arm_m)

    def patch_at(self, part: str, point: tuple[float, float, float], verb: str = "touch") -> str:
        """The patch of a part that is nearest to a point [m] in the part's frame."""
        model, number = self.body.model, self.part(part, verb)
        away = {}
        for patch in self.body.patches:
            site = int(model.sensor(patch.sensor).objid[0])
            if int(model.site_bodyid[site]) == number:
                away[patch.name] = float(np.linalg.norm(model.site_pos[site] - point))
        name = min(away, key=away.get, default=None)
        if name is None or away[name] > SKIN_M:
            raise UserError(f"{verb} {part}: no touch patch within {SKIN_M * 100:g} cm of there")
        return name

    def stretch(self, muscle: str) -> tuple[int, float, float]:
        """(degree of freedom, direction that lengthens the muscle, moment arm [m])."""
        m, model = self.body.muscle(muscle), self.body.model
        first = int(model.tendon_adr[model.tendon(muscle).id])
        joint = int(model.wrap_objid[first])
        coefficient = float(model.wrap_prm[first])
        return int(model.jnt_dofadr[joint]), math.copysign(1.0, coefficient), m.moment_arm_m

    def dof(self, joint: str) -> int:
        """Degree of freedom of a joint that has one."""
        model = self.body.model
        known = [model.joint(k).name for k in range(model.njnt) if model.jnt_type[k] >= 2]  # slides and hinges
        if joint not in known:
            raise UserError(f"turn: no joint {joint!r} (there are: {', '.join(known)})")
        return int(model.jnt_dofadr[model.joint(joint).id])

    def part(self, name: str, verb: str = "push") -> int:
        try:
            return int(self.body.model.body(name).id)
        except KeyError:
            known = ", ".join(self.body.model.body(k).name for k in range(1, self.body.model.nbody))
            raise UserError(f"{verb}: no part {name!r} (there are: {known})") from None

    def spring(self, name: str, most_n: float) -> tuple[float, float]:
        """(spring [N/m], damping [N s/m]) of a hand that pulls at a part with at most a force, critically damped."""
        stiffness = most_n / FULL_PULL_M
        return stiffness, 2.0 * math.sqrt(stiffness * float(self.body.model.body_subtreemass[self.part(name)]))

    def hands(self, pose: str) -> list[tuple[int, int, np.ndarray]]:
        """(constraint, hand, place and quaternion [7]) of each hand that holds the body in a pose."""
        known = [name for name, spec in self.body.poses.items() if spec.active]
        if not known:
            raise UserError(f"hold: nothing holds the body {self.body.name}")
        if pose not in known:
            raise UserError(f"hold: expected a pose that is held ({', '.join(known)}), got {shown(pose)}")
        model, spec = self.body.model, self.body.poses[pose]
        key = model.key(spec.key)
        found = []
        for name in spec.active:
            constraint = model.equality(name).id
            hand = int(model.body_mocapid[model.eq_obj1id[constraint]])
            place = np.concatenate([key.mpos.reshape(-1, 3)[hand], key.mquat.reshape(-1, 4)[hand]])
            found.append((int(constraint), hand, place))
        return found


@system(
    reads=[Now.tick],
    optional_reads=[Inputs.threshold_intact],
    optional_writes=[
        Inputs.stimulus, Inputs.threshold, BodyState.hand, BodyState.joint_torque, BodyState.wrench, BodyState.grip,
        BodyState.gravity, BodyState.hold, BodyState.holder, BodyState.carry, Light.ambient, Light.panel, Light.blobs,
        Milk.offered,
    ],
    objects=[Timeline],
    rests=lambda n, tick, *others: tick[0] < others[-1].due,
)  # fmt: skip
def timeline(n, tick, intact, stimulus, threshold, hand, joint_torque, wrench, grip, gravity, hold, holder, carry,
             ambient, panel, blobs, offered, plan):  # fmt: skip
    """Start, move and end actions due at this tick; sums are rebuilt from what is in force, so nothing drifts."""
    now = int(tick[0])
    if now < plan.due:
        return
    ended = [a for a in plan.active if a.end == now]
    plan.active = [a for a in plan.active if a.end != now]
    moved = [a for a in plan.active if any(step[0] == now for step in a.path)]
    begun = []
    while plan.coming and plan.coming[0].start <= now:
        begun.append(plan.coming.pop(0))
    plan.past += [(now, a.label) for a in begun]
    plan.active += [a for a in begun if a.end > now or (a.end < 0 and a.verb in LASTING)]
    plan.reckon(now)
    targets, changed, active = plan.targets, {a.verb for a in (*ended, *begun, *moved)}, plan.active
    if changed & {"silence", "restore"}:
        threshold[:] = intact
        for a in active:  # in the order they came: a restoration undoes the lesions before it, not later ones
            if a.verb == "silence":
                threshold[targets.neurons(a.of)] = SILENCED
            elif a.verb == "restore":
                rows = targets.neurons(a.of)
                threshold[rows] = intact[rows]
    if changed & {"stimulate", "inhibit"}:
        stimulus[:] = 0.0
        for a in active:
            if a.verb in ("stimulate", "inhibit"):
                bright = targets.brightness(a.of, a.picture)
                stimulus[targets.neurons(a.of)] += np.float32(a.value if a.verb == "stimulate" else -a.value) * bright
    if changed & {*PRESSING}:
        hand[:] = 0.0
        for a in active:
            if a.verb in PRESSING:
                hand[targets.presser(a.step(now)[1] if a.path else a.of)] += a.value
    if "feed" in changed:
        offered[0] = sum(targets.offered(a.direction[0]) for a in active if a.verb == "feed")
    if changed & {"tap", "turn"}:
        joint_torque[:] = 0.0
        for a in active:
            if a.verb == "tap":
                dof, sign, _ = targets.stretch(a.of)
                joint_torque[dof] += sign * a.value
            elif a.verb == "turn":
                joint_torque[targets.dof(a.of)] += a.value
    if changed & {"push", "grab"}:
        _take_hold(active, now, targets, wrench, grip)
    if "tilt" in changed:
        gravity[:] = targets.gravity
        for a in active:
            if a.verb == "tilt":
                gravity[:] = _turned(gravity, a.direction, -a.value)
    if "brighten" in changed:
        ambient[0] = math.prod(a.value for a in active if a.verb == "brighten")
    if "show" in changed:
        _show([a for a in active if a.verb == "show"], panel, blobs)
    if changed & {"drop", "hold"}:
        _carry(begun, ended, active, targets, hold, holder, carry)


def _take_hold(active: list[Action], now: int, targets: Targets, wrench: np.ndarray, grip: np.ndarray) -> None:
    """Pushes at the middle of parts add up; each force at a point takes a row of its own."""
    wrench[:] = 0.0
    grip[:] = 0.0
    row = 0
    for a in active:
        if a.verb not in ("push", "grab"):
            continue
        part = targets.part(a.of)
        if a.verb == "push":
            force = a.value * (np.asarray(a.direction) / np.linalg.norm(a.direction))
            if a.point is None:
                wrench[part, :3] += force
                continue
            row_values = (part, *a.point, *force, 0.0, 0.0, a.value)
        else:
            row_values = (part, *a.point, *a.step(now)[1:], *targets.spring(a.of, a.value), a.value)
        if row == GRIPS:
            raise UserError(f"{a.label}: more than {GRIPS} hands at one time")
        grip[row] = row_values
        row += 1


def _show(shown: list[Action], panel: np.ndarray, blobs: np.ndarray) -> None:
    """The panel that came last, or none."""
    panel[:], blobs[:] = 0.0, 0.0
    if shown:
        a = shown[-1]
        start, to, elevation = a.direction
        panel[:] = PANEL_LUMINANCE, start, to, a.value, elevation, *HALF_PANEL, a.start
        for row, blob in enumerate(PATTERNS[a.of]):
            blobs[row] = blob


def _turned(vector: np.ndarray, axis: tuple[float, float, float], angle: float) -> np.ndarray:
    """A vector turned about an axis by an angle [rad] (Rodrigues)."""
    k = np.asarray(axis) / np.linalg.norm(axis)
    turned = np.cross(k, vector) * math.sin(angle) + k * (k @ vector) * (1.0 - math.cos(angle))
    return vector * math.cos(angle) + turned


def _carry(begun, ended, active, targets: Targets, hold, holder, carry) -> None:
    """Which hands hold the body, and where they carry it."""
    for a in begun:
        if a.verb == "drop":
            holder[:, 2] -= a.value
            carry[:, 2] -= a.value
        elif a.verb == "hold":
            for _, hand, place in targets.hands(a.of):
                carry[hand] = (*place[:2], place[2] + a.value, *place[3:], SEIZE, *a.drift)
    holding = [a for a in active if a.verb == "hold"]
    kept = {hand for a in holding for _, hand, _ in targets.hands(a.of)}
    for a in ended:  # a hand that lets go returns to where the scene had it
        if a.verb == "hold":
            for _, hand, _ in targets.hands(a.of):
                if hand not in kept:
                    carry[hand] = (*targets.holding[hand], ON_THE_WAY, *STILL)
    hold[:] = targets.held
    for a in holding:
        for constraint, _, _ in targets.hands(a.of):
            hold[constraint] = 1
    if any(a.verb == "drop" for a in active):
        hold[:] = 0


def actions_of(event, targets: Targets, tick_ms: float = 1.0) -> list[Action]:
    """A scene's event as actions in ticks and SI units: one, or as many as it is repeated."""
    first = _action(event, targets, tick_ms)
    later = [round((start - event.at) / tick_ms) for start in event.starts]
    return [
        replace(first, start=first.start + t, end=first.end + t if first.end >= 0 else -1,
                path=tuple((step[0] + t, *step[1:]) for step in first.path))
        for t in later
    ]  # fmt: skip


def _metres(lengths) -> tuple[float, float, float]:
    return tuple(length / 1000.0 for length in lengths)


def _action(event, targets: Targets, tick_ms: float) -> Action:
    """The first time that an event happens."""
    verb, e, start = event.verb, event.action, round(event.at / tick_ms)
    last = event.last or {"tap": TAP_MS, "prick": PRICK_MS}.get(verb)
    end = -1 if last is None else start + max(1, round(last / tick_ms))
    if verb in ("touch", "pinch", "prick"):
        patch = e.patch
        if patch is None:
            patch = targets.patch_at(e.part, _metres(e.at), verb) if targets.body else e.part
        return Action(start, end, verb, patch, e.force)
    if verb == "stroke":
        if e.path is not None:
            path = tuple((start + round(step.after / tick_ms), step.patch) for step in e.path)
        else:
            share = (end - start) / len(e.patches)
            path = tuple((start + round(k * share), patch) for k, patch in enumerate(e.patches))
        return Action(start, end, "stroke", path[0][1], e.force, path=path)
    if verb == "tap":
        torque = e.torque
        if torque is None:
            torque = e.force * targets.stretch(e.muscle)[2] if targets.body else 0.0
        return Action(start, end, "tap", e.muscle, torque)
    if verb == "push":
        point = None if e.at is None else _metres(e.at)
        return Action(start, end, "push", e.part, e.force, tuple(e.direction), point)
    if verb == "grab":
        path = ((start, *_metres(e.to)),) if e.path is None else tuple(
            (start + round(step.after / tick_ms), *_metres(step.to)) for step in e.path
        )  # fmt: skip
        return Action(start, end, "grab", e.part, e.force, point=_metres(e.at), path=path)
    if verb == "drop":
        metres = e.height / 1000.0
        falling = round(math.sqrt(2.0 * metres / GRAVITY) * 1000.0 / tick_ms)
        return Action(start, start + max(1, falling), "drop", "", metres)
    if verb == "tilt":
        return Action(start, end, "tilt", "", e.angle, tuple(e.axis))
    if verb == "hold":
        return Action(start, end, "hold", e.pose, e.lift / 1000.0, drift=e.drift_m_s)
    if verb == "turn":
        return Action(start, end, "turn", e.joint, e.torque)
    if verb == "feed":
        return Action(start, end, "feed", targets.nipple() if targets.body else "", e.force, (e.draws, 0.0, 0.0))
    if verb == "brighten":
        return Action(start, end, "brighten", "", e.level)
    if verb == "show":
        to, ways_per_tick = (e.from_, 0.0) if e.to is None else (e.to, tick_ms / e.takes)
        return Action(start, end, "show", e.pattern, ways_per_tick, (e.from_, to, e.elevation))
    if verb in ("stimulate", "inhibit"):
        picture = getattr(e, "picture", None) or ""
        return Action(start, end, verb, e.population, e.drive, picture=picture)
    return Action(start, -1 if verb == "restore" else end, verb, e.population)
