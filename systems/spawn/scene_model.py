"""What a scene file may say: one world, one story, one claim. Every key is documented here and in the JSON schema.

Quantities are floats in the base unit of their dimension (engine/units.py): ms, mV, Hz, N, N m, mm, rad.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from engine.errors import UserError
from engine.scene import Source, key_path, misfit, varied
from engine.units import (
    DIMENSIONS,
    Angle,
    Density,
    Force,
    Fraction,
    Length,
    Potential,
    Rate,
    Speed,
    Time,
    Torque,
    Viscosity,
    Volume,
    bounded,
    non_negative,
    positive,
    quantity,
    shown,
)

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SCENES = Path(__file__).resolve().parents[2] / "scenes"


def _word(what: str, pattern: str) -> Any:
    """Text without blanks, made of the characters that the pattern allows."""
    allowed = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if len(text) > 400 or not allowed.fullmatch(text):
            raise misfit(f"expected {what}, got {shown(text)}")
        return text

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})]


Name = _word("a name of letters, digits and _ . -", r"[A-Za-z0-9][A-Za-z0-9_.-]*")
Selector = _word("a name or a glob like structure.*.cell", r"[A-Za-z0-9_.*?\[\]!-]+")
ProjectionSelector = _word("the name of a projection or a glob", r"[A-Za-z0-9_.*?\[\]!>:/+-]+")
Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Gain = Annotated[float, Field(ge=0, le=1e6)]
MAX_EVENTS = 10_000  # in a timeline, repeats counted

Measure = Literal[
    "rate_hz",
    "peak_hz",
    "isi_cv",
    "correlation",
    "spike_count",
    "cycle_frequency",
    "cycle_cv",
    "phase_vector",
    "cycle_ratio",
    "latency",
    "joint_angle",
    "joint_change",
    "joint_correlation",
    "joint_range",
    "muscle_activation",
    "posture_height",
    "burst_rate",
    "burst_cv",
    "joints_moved",
    "spectral_peak",
    "limbs_together",
    "limbs_in_step",
    "upright_time",
    "fc_fit",
    "fc_fit_centred",
    "fcd_distance",
    "mean_fc",
    "timescale",
    "timescale_map",
    "rhythm_frequency",
    "branching_ratio",
    "avalanche_exponent",
    "evoked_latency",
    "evoked_z",
    "counter_rotation",
    "times_passed",
    "pursuit",
]
DIMENSION_OF = {  # what a probe's value is, and so what `expect.between` must be written in; None: a plain number
    "rate_hz": "rate",
    "peak_hz": "rate",
    "isi_cv": None,
    "correlation": None,
    "spike_count": None,
    "cycle_frequency": "rate",
    "cycle_cv": None,
    "phase_vector": None,
    "cycle_ratio": None,
    "latency": "time",
    "joint_angle": "angle",
    "joint_change": "angle",
    "joint_correlation": None,
    "joint_range": "angle",
    "muscle_activation": "fraction",
    "posture_height": "length",
    "burst_rate": "rate",
    "burst_cv": None,
    "joints_moved": None,
    "spectral_peak": None,
    "limbs_together": None,
    "limbs_in_step": None,
    "upright_time": "time",
    "fc_fit": None,
    "fc_fit_centred": None,
    "fcd_distance": None,
    "mean_fc": None,
    "timescale": "time",
    "timescale_map": None,
    "rhythm_frequency": "rate",
    "branching_ratio": None,
    "avalanche_exponent": None,
    "evoked_latency": "time",
    "evoked_z": None,
    "counter_rotation": None,
    "times_passed": None,
    "pursuit": None,
}
BRAIN_MEASURES = (
    "rate_hz", "peak_hz", "isi_cv", "correlation", "spike_count", "cycle_frequency", "cycle_cv", "phase_vector",
    "cycle_ratio", "burst_rate", "burst_cv", "fc_fit", "fc_fit_centred", "fcd_distance", "mean_fc", "timescale",
    "timescale_map", "rhythm_frequency", "branching_ratio", "avalanche_exponent", "evoked_latency", "evoked_z",
)  # fmt: skip
BODY_MEASURES = ("joint_angle", "joint_range", "muscle_activation", "posture_height", "joints_moved", "spectral_peak",
                 "limbs_together", "limbs_in_step", "upright_time", "joint_change", "joint_correlation",
                 "counter_rotation", "times_passed", "pursuit")  # fmt: skip


WITH = ("correlation", "phase_vector", "cycle_ratio", "limbs_together", "limbs_in_step", "joint_angle", "joint_change",
        "joint_correlation", "counter_rotation")  # what takes `with`  # fmt: skip
EVOKED = ("evoked_latency", "evoked_z")  # made of all its windows together
FLUCTUATING = ("timescale", "timescale_map", "rhythm_frequency", "branching_ratio", *EVOKED)  # counted in bins


class _NumberOrText:
    """A finite number, or text (often a quantity), taken as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any):
        def check(value: Any) -> float | int | str:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if isinstance(value, str) or (number and math.isfinite(value)):
                return value
            raise PydanticCustomError("misfit", "{text}", {"text": f"expected a number or text, got {shown(value)}"})

        return core_schema.no_info_plain_validator_function(check)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": ["number", "string"]}


NumberOrText = Annotated[float | int | str, _NumberOrText]


class _Anything:
    """Any value a file can hold, taken as it is; what it is put into judges it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any):
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {}


Anything = Annotated[Any, _Anything]


class Part(BaseModel):
    """Base of every mapping in a scene: unknown keys are errors, nothing is converted silently, nothing changes."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Clock(Part):
    """The one clock of brain and body."""

    tick: Time = 1.0
    """Length of a tick, which is the smallest synaptic delay; 1 ms is the only one there is."""
    substeps: int = Field(10, ge=1, le=20)
    """Membrane steps in a tick."""

    @model_validator(mode="after")
    def _one_tick(self):
        if self.tick != 1.0:
            raise misfit("expected 1 ms, the only tick there is", "tick")
        return self


class HoldRate(Part):
    """A mean rate that the background is to hold, whatever graph or lesion the scene has."""

    of: Selector
    """Populations, as a glob over structure.instance.cell; their background is scaled together."""
    at: positive(Rate)
    """Their mean rate, without what the timeline does."""


class Brain(Part):
    """Which neurons there are and how they are joined."""

    profile: Literal["adult", "newborn"] = "adult"
    """Operating point: conduction velocity, rates, bursts."""
    connectome: Text = "hcp_aal2"
    """Name of a connectome in assets/connectome, or path of an .npz or .csv of your own."""
    null: Literal["weights", "strength", "strength_distance", "labels", "random"] | None = None
    """Null graph to use in the connectome's place, drawn from the run's seed (systems/spawn/graph_null.py)."""
    region_tau: Literal["map", "uniform", "shuffled"] = "map"
    """Membrane time constants of regions: by the connectome's T1w/T2w, all the same, or dealt out anew by the seed."""
    circuits: list[Name] = Field(min_length=1, max_length=100)
    """Names of the YAML files in assets/circuits that make the brain and the cord."""
    stand_ins: list[Name] = Field([], max_length=100)
    """Circuits that are absent but heard: cells that project into the others fire by chance at their target rates."""
    parameters: dict[Text, NumberOrText] = {}
    """Circuit parameters to override, e.g. feedforward_inhibition: 2, velocity: 4 m/s."""
    silence: list[Selector] = []
    """Populations that never fire, as globs over structure.instance.cell."""
    gains: dict[ProjectionSelector, Gain] = {}
    """Factor on the weights of the projections a glob selects; 0 cuts them."""
    calibrations: dict[Name, Text] = {}
    """Of a circuit, a calibration in place of the shipped one: a JSON file, relative to the scene's folder."""
    background: dict[Selector, Gain] = {}
    """Factor on the background events of the populations a glob selects, e.g. to hold a rate under another gain."""
    hold_rate: HoldRate | None = None
    """Find, in a run that is thrown away, the background that holds a rate (systems/spawn/hold_rate.py)."""
    learning: bool = True
    """False holds all weights as they are: learning rules do not run."""

    @model_validator(mode="after")
    def _each_circuit_once(self):
        for number, circuit in enumerate(self.circuits):
            if circuit in self.circuits[:number]:
                raise misfit(f"expected each circuit once, got {shown(circuit)} again", "circuits", number)
        for circuit in self.calibrations:
            if circuit not in self.circuits:
                raise misfit(f"expected one of the circuits, got {shown(circuit)}", "calibrations", circuit)
        for number, circuit in enumerate(self.stand_ins):
            if circuit in self.circuits or circuit in self.stand_ins[:number]:
                raise misfit(f"expected each circuit once, got {shown(circuit)} again", "stand_ins", number)
        return self


class Water(Part):
    """Water in which the body is: it bears what is under its surface, and drags on all that moves.

    Bodies of balls, capsules and ellipsoids only.
    """

    surface: bounded(Length, ge="-10 m", le="10 m")
    """Height of the surface over the floor."""
    density: bounded(Density, gt="0 kg/m3", le="20000 kg/m3") = 1000.0
    """Of the water."""
    viscosity: bounded(Viscosity, ge="0 Pa s", le="10 Pa s") = 0.0009
    """Of the water; 0.9 mPa s is that at 25 degrees."""


class Body(Part):
    """The body in the world."""

    model: Text
    """Name of a body in assets/bodies, e.g. newborn, walker, humanoid."""
    pose: Name | None = None
    """Name of a starting pose of that body; its own default if left out."""
    noise: float = Field(0.0, ge=0, le=0.1)
    """Largest random offset of each coordinate (m, rad) and speed (per s) of the starting pose, drawn by the seed."""
    water: Water | None = None
    """Water around the body, if there is any."""


Point = Annotated[list[Length], Field(min_length=3, max_length=3)]
"""Three lengths x, y, z."""
Vector = Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=3, max_length=3)]


def _some_length(vector: list[float], key: str) -> None:
    if math.hypot(*vector) < 1e-6:
        raise misfit("expected a direction, got zero", key)


class Touch(Part):
    """Something presses on the skin: on a patch, or at a point of a part, where the nearest patch feels it."""

    patch: Name | None = None
    """Touch patch of the body, e.g. palm_left."""
    part: Name | None = None
    """Part of the body, in place of a patch; goes with `at`."""
    at: Point | None = None
    """Where on the part, in its own frame."""
    force: positive(Force)
    """Normal force on the patch."""

    @model_validator(mode="after")
    def _somewhere(self):
        if (self.patch is None) == (self.part is None):
            raise misfit(f"expected either patch or part, got {'neither' if self.patch is None else 'both'}")
        if (self.part is None) != (self.at is None):
            raise misfit("expected part and at together", "part" if self.at is None else "at")
        return self


class Pinch(Touch):
    """Skin between two fingers: pressed from both sides, so nothing moves; stronger than a touch."""

    force: positive(Force) = 3.0
    """Force of each finger."""


class Prick(Touch):
    """A needle: short and strong."""

    force: positive(Force) = 5.0
    """Force of the needle."""


class StrokeStep(Part):
    """Where the finger is from some time on."""

    after: non_negative(Time)
    """Since the stroke began."""
    patch: Name
    """The patch under the finger."""


class Stroke(Part):
    """A finger that moves over the skin. Give the patches, which share its time evenly, or a path with times."""

    patches: list[Name] | None = Field(None, min_length=1, max_length=100)
    """Patches in the order they are stroked."""
    path: list[StrokeStep] | None = Field(None, min_length=1, max_length=MAX_EVENTS)
    """Patches with their times, the first at 0 ms."""
    force: positive(Force) = 1.0
    """Normal force on the patch under the finger."""

    @model_validator(mode="after")
    def _one_form(self):
        if (self.patches is None) == (self.path is None):
            raise misfit(f"expected either patches or path, got {'neither' if self.path is None else 'both'}")
        if self.path is not None:
            _in_order(self.path)
        return self


class Tap(Part):
    """A reflex hammer on the tendon of one muscle: a short stretch. Give either force or torque."""

    muscle: Name
    """Muscle of the body, e.g. knee_left_extensor."""
    force: positive(Force) | None = None
    """Force of the blow across the tendon."""
    torque: positive(Torque) | None = None
    """Torque about the joint that stretches the muscle."""

    @model_validator(mode="after")
    def _force_or_torque(self):
        if (self.force is None) == (self.torque is None):
            got = "neither" if self.force is None else "both"
            raise misfit(f"expected either force or torque, got {got}", *(["torque"] if self.torque else []))
        return self


class Push(Part):
    """A force on one part of the body."""

    part: Name
    """Part of the body, e.g. trunk."""
    force: positive(Force)
    """Size of the force."""
    direction: Vector = [1.0, 0.0, 0.0]
    """Where it points in the world: x forward, y left, z up; any length but zero."""
    at: Point | None = None
    """Where on the part, in its own frame; at its centre of mass if left out."""

    @model_validator(mode="after")
    def _some_direction(self):
        _some_length(self.direction, "direction")
        return self

    @property
    def vector_n(self) -> tuple[float, float, float]:
        """The force [N] along world x, y, z."""
        length = math.hypot(*self.direction)
        x, y, z = (self.force * step / length for step in self.direction)
        return x, y, z


class Drop(Part):
    """The body is let go and falls freely."""

    height: bounded(Length, gt="0 mm", le="2 m")
    """How far it falls."""


class GrabStep(Part):
    """Where a hand pulls to from some time on."""

    after: non_negative(Time)
    """Since the grab began."""
    to: Point
    """In the world: x forward, y left, z up."""


class Grab(Part):
    """A hand holds a part at a point and pulls it towards a place, like a damped spring."""

    part: Name
    """Part of the body, e.g. hand_left."""
    at: Point = [0.0, 0.0, 0.0]
    """Where it is held, in the part's own frame."""
    to: Point | None = None
    """Where to, in the world; it stays there."""
    path: list[GrabStep] | None = Field(None, min_length=1, max_length=MAX_EVENTS)
    """Where to, at times of their own, the first at 0 ms."""
    force: bounded(Force, gt="0 N", le="10 kN") = 10.0
    """The most it pulls with, reached 5 cm away."""

    @model_validator(mode="after")
    def _one_form(self):
        if (self.to is None) == (self.path is None):
            raise misfit(f"expected either to or path, got {'neither' if self.path is None else 'both'}")
        if self.path is not None:
            _in_order(self.path)
        return self


def _in_order(path: list) -> None:
    """Way-points begin at 0 ms and follow one another."""
    for number, step in enumerate(path):
        if number == 0 and step.after != 0.0:
            raise misfit("expected 0 ms for the first", "path", 0, "after")
        if number and step.after <= path[number - 1].after:
            raise misfit(f"expected more than {path[number - 1].after:g} ms, the one before", "path", number, "after")


class Tilt(Part):
    """The ground leans: gravity pulls from another side."""

    angle: bounded(Angle, ge="-180 deg", le="180 deg")
    """By how much."""
    axis: Vector = [0.0, 1.0, 0.0]
    """About which axis of the world the ground turns; +y lowers the side that x points to."""

    @model_validator(mode="after")
    def _some_axis(self):
        _some_length(self.axis, "axis")
        return self


class Hold(Part):
    """The examiner's hands take the body and carry it where one of its held poses has it."""

    pose: Name
    """A pose of the body that is held, e.g. upright."""
    lift: bounded(Length, ge="-2 m", le="2 m") = 0.0
    """Higher than the pose has it."""
    speed: bounded(Speed, ge="0 m/s", le="2 m/s") = 0.0
    """How fast the hands move on over the floor: to the body a belt below it that goes the other way."""
    direction: Vector = [1.0, 0.0, 0.0]
    """Where they move: x forward, y left, z up; any length but zero."""

    @model_validator(mode="after")
    def _some_direction(self):
        _some_length(self.direction, "direction")
        return self

    @property
    def drift_m_s(self) -> tuple[float, float, float]:
        """Speed along world x, y, z."""
        length = math.hypot(*self.direction)
        return tuple(self.speed * step / length for step in self.direction)


class Turn(Part):
    """A hand turns a joint, the head say."""

    joint: Name
    """Joint of the body, e.g. neck_rotation."""
    torque: Torque
    """About the joint; the sign is the direction."""

    @model_validator(mode="after")
    def _some_torque(self):
        if self.torque == 0.0:
            raise misfit("expected a torque other than 0", "torque")
        return self


class Brighten(Part):
    """The light of the room: a flash, dusk, darkness."""

    level: Annotated[float, Field(gt=0, le=1000)]
    """As a multiple of the usual light."""


class Show(Part):
    """Somebody holds a white panel before the eyes and swings it to and fro; the last one shown is seen."""

    pattern: Literal["face", "scrambled", "blank"]
    """What is on it: three dark blobs as eyes over a mouth, the same blobs upside down, or nothing."""
    from_: bounded(Angle, ge="-90 deg", le="90 deg") = Field(0.0, alias="from")
    """Where it is first: azimuth from where the eyes look when the scene starts, to the left."""
    to: bounded(Angle, ge="-90 deg", le="90 deg") | None = None
    """Where it turns back; it stays where it is if left out."""
    takes: positive(Time) | None = None
    """Time for one way."""
    elevation: bounded(Angle, ge="-60 deg", le="60 deg") = 0.0
    """Above where the eyes look when the scene starts."""

    @model_validator(mode="after")
    def _whole_way(self):
        if (self.to is None) != (self.takes is None):
            raise misfit("expected to and takes together", "to" if self.takes is None else "takes")
        return self


class Feed(Part):
    """A nipple in the mouth that gives milk each time the jaw opens."""

    draws: bounded(Volume, gt="0 mL", le="5 mL") = 0.2
    """What a jaw that opens by 10 degrees draws."""
    force: positive(Force) = 0.5
    """How hard the nipple presses the tongue."""


class Stimulate(Part):
    """A current clamped onto neurons."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""
    drive: bounded(Potential, ge="-1 V", le="1 V")
    """Depolarisation the current would settle at without spikes; rest is 0 mV, threshold 15 mV."""
    picture: _word("the name of a picture, or a file", r"[^\x00-\x1f]+") | None = None
    """The drive is that of white: each cell of a population gets as much of it as its place in the picture is bright.

    A shipped picture (A to D) or an image file."""


class Inhibit(Part):
    """A current that holds neurons down."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""
    drive: bounded(Potential, gt="0 mV", le="1 V")
    """Hyperpolarisation the current would settle at."""


class Silence(Part):
    """Neurons stop firing."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""


class Restore(Part):
    """Silenced neurons may fire again."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""


class Repeat(Part):
    """Again and again, at equal intervals."""

    every: positive(Time)
    """From the beginning of one to the beginning of the next."""
    times: int = Field(ge=1, le=MAX_EVENTS)
    """How often in all."""


class Deed(Part):
    """Something that can be done: exactly one verb."""

    touch: Touch | None = None
    """Press on the skin."""
    pinch: Pinch | None = None
    """Pinch the skin."""
    prick: Prick | None = None
    """Prick the skin."""
    stroke: Stroke | None = None
    """Stroke the skin, patch after patch."""
    tap: Tap | None = None
    """Tap a tendon."""
    push: Push | None = None
    """Push a part of the body."""
    grab: Grab | None = None
    """Hold a part of the body and pull it somewhere."""
    drop: Drop | None = None
    """Let the body fall."""
    tilt: Tilt | None = None
    """Tilt the ground."""
    hold: Hold | None = None
    """Hold the body in a pose."""
    turn: Turn | None = None
    """Turn a joint."""
    brighten: Brighten | None = None
    """Change the light."""
    show: Show | None = None
    """Show a panel."""
    feed: Feed | None = None
    """Give milk."""
    stimulate: Stimulate | None = None
    """Drive neurons."""
    inhibit: Inhibit | None = None
    """Hold neurons down."""
    silence: Silence | None = None
    """Silence neurons."""
    restore: Restore | None = None
    """Let silenced neurons fire again."""

    @model_validator(mode="after")
    def _one_verb(self):
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if not given:
            raise misfit(f"expected one of {', '.join(VERBS)}, got none")
        if len(given) > 1:
            raise misfit(f"expected one verb, got {' and '.join(given)}", given[1])
        return self

    @property
    def verb(self) -> str:
        """Which verb it is, e.g. "touch"."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def action(self) -> Part:
        """The verb's own keys, e.g. a Touch."""
        return getattr(self, self.verb)


def _check_last(deed: Deed, last: float | None) -> None:
    """Some verbs take no time, some need it."""
    verb = deed.verb
    if last is not None and verb in ("drop", "restore"):
        raise misfit(f"expected no duration, {verb} happens at once", "last")
    if last is None and deed.stroke is not None and deed.stroke.patches is not None:
        raise misfit("needs `last`, the time that its patches share", "stroke")


class Event(Deed):
    """Something that happens: a time and exactly one verb."""

    at: non_negative(Time)
    """When it begins, from the start of the scene."""
    last: positive(Time) | None = None
    """How long; without it a tap or prick is one short blow, a drop lasts its fall, all else stays in force."""
    repeat: Repeat | None = None
    """Let it happen several times, first `at`."""

    @model_validator(mode="after")
    def _sensible(self):
        _check_last(self, self.last)
        if self.repeat is not None:
            if self.last is None and self.verb in STAYING:
                raise misfit(f"needs `last`: a {self.verb} without an end cannot begin again", "repeat")
            if self.last is not None and self.repeat.every < self.last:
                raise misfit(f"expected at least {self.last:g} ms, which it lasts", "repeat", "every")
        return self

    @property
    def starts(self) -> list[float]:
        """When it begins [ms], each time."""
        if self.repeat is None:
            return [self.at]
        return [self.at + number * self.repeat.every for number in range(self.repeat.times)]

    @property
    def times(self) -> list[tuple[tuple[str | int, ...], float]]:
        """(key, time) of everything in it that must be a whole number of ticks."""
        found = [(("at",), self.at), (("last",), self.last)]
        if self.repeat is not None:
            found.append((("repeat", "every"), self.repeat.every))
        for verb in ("stroke", "grab"):
            path = getattr(self, verb).path if getattr(self, verb) is not None else None
            found += [((verb, "path", k, "after"), step.after) for k, step in enumerate(path or ())]
        return [(key, time) for key, time in found if time is not None]


BODY_VERBS = ("touch", "pinch", "prick", "stroke", "tap", "push", "grab", "drop", "tilt", "hold", "turn", "brighten",
              "show", "feed")  # fmt: skip
BRAIN_VERBS = ("stimulate", "inhibit", "silence", "restore")
VERBS = BODY_VERBS + BRAIN_VERBS
STAYING = tuple(v for v in VERBS if v not in ("tap", "prick", "drop", "restore"))  # in force without a duration
WINDOW_KEYS = "fghilnpqrstuv"  # letters that the window has uses for


class SceneAction(Part):
    """Something a player may do in the window, by its name or a key."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    """What the window calls it."""
    key: _word("one letter", r"[a-z]") | None = None
    """Key that does it."""
    last: positive(Time) | None = None
    """How long; what stays in force without it is ended by doing it again."""
    do: Deed
    """One verb, as in the timeline."""

    @model_validator(mode="after")
    def _sensible(self):
        if self.key is not None and self.key in WINDOW_KEYS:
            raise misfit(f"expected a letter other than {', '.join(WINDOW_KEYS)}, which the window uses", "key")
        _check_last(self.do, self.last)
        return self

    def event(self, at: float) -> Event:
        """It as an event of the timeline that begins at a time [ms]."""
        return Event.model_construct(at=at, last=self.last, **{self.do.verb: self.do.action})


class Phase(Part):
    """A named span of the scene, such as a baseline, a training, a test."""

    from_: non_negative(Time) = Field(alias="from")
    """When it begins."""
    to: positive(Time)
    """When it ends."""

    @model_validator(mode="after")
    def _span(self):
        if self.to <= self.from_:
            raise misfit("expected a time after `from`", "to")
        return self


class Probe(Part):
    """A number taken from the run."""

    name: Name
    """What `expect` and the records call it."""
    measure: Measure
    """What is measured."""
    of: Selector
    """Of what: a glob over populations, or a joint, a muscle, a body part."""
    with_: Selector | None = Field(None, alias="with")
    """For correlation: the other populations; within `of` if left out. For phase_vector: whose phase is compared. For
    cycle_ratio: whose cycles are counted against. For limbs_together and limbs_in_step: further joints, of other limbs.
    For joint_correlation: the other joints. For joint_angle and joint_change: joints whose own is taken from it. For
    counter_rotation: the joint that is turned."""
    phase: Name | None = None
    """A phase of the scene as the window, in place of `from` and `to`."""
    from_: non_negative(Time) = Field(0.0, alias="from")
    """Start of the window; a latency counts from here."""
    to: positive(Time) | None = None
    """End of the window; the end of the scene if left out."""
    bin: positive(Time) | None = None
    """For correlation and what fluctuates: width of the bins. For peak_hz: of the window that slides, 20 ms."""
    threshold: NumberOrText | None = None
    """For latency: what must be passed, a number or a quantity. For joints_moved: the range that counts, 10 deg. For
    times_passed: the angle."""
    baseline: positive(Time) | None = None
    """For evoked_latency and evoked_z: how long before each window is the baseline."""
    model: Literal["spikes", "weights", "autoregressive", "diffusive"] | None = None
    """For fc_fit: whose connectivity; the neurons' if left out, else that of tract weights, or of a linear model."""
    gain: Annotated[float, Field(gt=0, lt=1)] | None = None
    """For fc_fit of a linear model: its coupling, over that at which it is unstable."""
    subjects: Literal["fit", "test", "all"] | None = None
    """For fc_fit and fcd_distance: whose measured connectivity it is held against; those held out if left out."""
    repeat: Repeat | None = None
    """Measure from `from` to `to` several times; the value is the mean of those windows that have one."""

    @model_validator(mode="after")
    def _window(self):
        if self.to is not None and self.to <= self.from_:
            raise misfit("expected a time after `from`", "to")
        for key, value, *measures in (
            ("with", self.with_, *WITH),
            ("bin", self.bin, "correlation", "peak_hz", *FLUCTUATING),
            ("baseline", self.baseline, *EVOKED),
            ("model", self.model, "fc_fit", "fc_fit_centred"),
            ("gain", self.gain, "fc_fit", "fc_fit_centred"),
            ("subjects", self.subjects, "fc_fit", "fc_fit_centred", "fcd_distance"),
            ("threshold", self.threshold, "latency", "joints_moved", "times_passed"),
        ):
            if value is not None and self.measure not in measures:
                takes = "takes" if len(measures) == 1 else "take"
                which = " and ".join(filter(None, (", ".join(measures[:-1]), measures[-1])))
                raise misfit(f"only {which} {takes} it, this is {self.measure}", key)
        if self.measure in EVOKED:
            if self.baseline is None or self.repeat is None:
                raise misfit("needs `baseline` and `repeat`", "measure")
            if self.baseline > self.from_:
                raise misfit("expected at most the time before the first window", "baseline")
        if (self.gain is not None) != (self.model in ("autoregressive", "diffusive")):
            raise misfit("goes with the models autoregressive and diffusive", "model" if self.gain is None else "gain")
        if self.measure == "phase_vector" and self.with_ is None:
            raise misfit("needs `with`, whose phase is compared", "measure")
        if self.measure == "cycle_ratio" and self.with_ is None:
            raise misfit("needs `with`, whose cycles are compared", "measure")
        if self.measure == "joint_correlation" and self.with_ is None:
            raise misfit("needs `with`, the joint it is compared with", "measure")
        if self.measure == "counter_rotation" and self.with_ is None:
            raise misfit("needs `with`, the joint that is turned", "measure")
        if self.measure == "times_passed" and self.threshold is None:
            raise misfit("needs `threshold`, the angle that is passed", "measure")
        if self.measure == "peak_hz" and (self.bin or 0.0) > 30_000.0:
            raise misfit("expected at most 30 s", "bin")
        if self.measure == "peak_hz" and self.to is not None and (self.bin or 0.0) > self.to - self.from_:
            raise misfit("expected at most the length of the window", "bin")
        if self.repeat is not None:
            if self.to is None:
                raise misfit("needs `to`, the end of the first window", "repeat")
            if self.repeat.every < self.to - self.from_:
                raise misfit("expected at least the length of the window", "repeat", "every")
        return self

    @property
    def windows(self) -> list[tuple[float, float | None]]:
        """(from, to) [ms] of each time it is measured; None is the end of the scene."""
        if self.repeat is None or self.to is None:
            return [(self.from_, self.to)]
        steps = (number * self.repeat.every for number in range(self.repeat.times))
        return [(self.from_ + step, self.to + step) for step in steps]


class Expectation(Part):
    """A claim: the probe's value lies in a range."""

    probe: Name
    """Name of a probe of this scene."""
    between: list[NumberOrText | None] = Field(min_length=2, max_length=2)
    """Lowest and highest value that passes, in the probe's unit; null leaves that side open."""
    source: Text | None = None
    """Where the range comes from."""
    _bounds: tuple[float, float] = PrivateAttr((-math.inf, math.inf))

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value in the base unit of the probe's dimension (Hz, ms, rad, mm, 1); open is infinite."""
        return self._bounds

    def passes(self, value: float) -> bool:
        """Whether a value of the probe [base unit] holds the claim; NaN never does."""
        low, high = self._bounds
        return low <= value <= high


class Condition(Part):
    """What one arm of an experiment changes in the scene; nothing at all is the scene as it stands."""

    set: dict[Text, Anything] = {}
    """Keys of this scene and what they are instead, as in --set: `timeline.0.stimulate.drive: 0.001 mV`."""
    silence: list[Selector] = []
    """Populations that never fire here, in addition to the scene's own."""
    gains: dict[ProjectionSelector, Gain] = {}
    """Factors on the weights of the projections a glob selects, in addition to the scene's own."""


class Outcome(Part):
    """A number for each trial, from its probes: `probe`, `probe - minus`, either of them divided by `over`; or `index`.

    Each may name a probe, or an outcome further up.
    """

    name: Name
    """What claims and results call it."""
    probe: Name | None = None
    """Whose value it is."""
    minus: Name | None = None
    """Whose value is taken from it."""
    over: Name | None = None
    """Whose value it is then divided by; none where that is 0."""
    index: list[Name] | None = Field(None, min_length=2, max_length=2)
    """Of two values a and b their contrast (a - b) / (a + b), from -1 to 1; 0 where both are 0."""

    @model_validator(mode="after")
    def _one_form(self):
        if (self.probe is None) == (self.index is None):
            raise misfit(f"expected either probe or index, got {'neither' if self.probe is None else 'both'}")
        for key, value in (("minus", self.minus), ("over", self.over)):
            if value is not None and self.probe is None:
                raise misfit("goes with probe, not with index", key)
        return self

    @property
    def operands(self) -> list[tuple[tuple[str | int, ...], str]]:
        """(key, name) of every value it is made of."""
        if self.index is not None:
            return [(("index", number), name) for number, name in enumerate(self.index)]
        named = (("probe", self.probe), ("minus", self.minus), ("over", self.over))
        return [((key,), name) for key, name in named if name is not None]

    def value(self, values: dict[str, float]) -> float:
        """The number, from the values [base units] of what it names; NaN where one of them is, or `over` is 0."""
        if self.index is not None:
            a, b = (values[name] for name in self.index)
            return 0.0 if a == 0.0 and b == 0.0 else (a - b) / (a + b) if a + b != 0.0 else math.nan
        value = values[self.probe] - (values[self.minus] if self.minus is not None else 0.0)
        if self.over is None:
            return value
        return value / values[self.over] if values[self.over] != 0.0 else math.nan


class Reference(Part):
    """What others found, to stand beside ours in the report."""

    value: NumberOrText
    """Their figure, in the outcome's unit."""
    note: Text | None = None
    """Whose it is, and what is to be known about it."""
    _base: float = PrivateAttr(math.nan)

    @property
    def base(self) -> float:
        """The figure in the base unit of the outcome's dimension."""
        return self._base


class ExperimentClaim(Part):
    """What an experiment claims of an outcome: its range in a condition, or how it compares between two of them."""

    outcome: Name
    """An outcome of this experiment, or a probe."""
    in_: Name | None = Field(None, alias="in")
    """The condition in which the outcome lies `between`."""
    between: list[NumberOrText | None] | None = Field(None, min_length=2, max_length=2)
    """Lowest and highest value, in the outcome's unit; null leaves that side open."""
    mean: bool = False
    """Of between: the mean over the seeds must lie in the range, whatever a single one does."""
    greater: list[Name] | None = Field(None, min_length=2, max_length=2)
    """Two conditions; in the first the outcome is greater, on average over seeds (paired `test` with FDR)."""
    same: list[Name] | None = Field(None, min_length=2, max_length=2)
    """Two conditions between which the outcome does not differ by `within` or more (paired two one-sided tests)."""
    within: NumberOrText | None = None
    """For same: smallest mean difference that would matter, in the outcome's unit; else 0.3 of the differences' SD."""
    test: Literal["permutation", "wilcoxon"] = "permutation"
    """For greater: exact sign flips of the mean difference, or the signed ranks."""
    share: bounded(Fraction, gt="0", le="1") = 0.9
    """Of all seeds, how many must lie `between`; else how many must have a value in both conditions."""
    source: Text | None = None
    """Where the claim comes from."""
    reference: Reference | None = None
    """What others found."""
    _within: float | None = PrivateAttr(None)
    _bounds: tuple[float, float] = PrivateAttr((-math.inf, math.inf))

    @model_validator(mode="after")
    def _one_form(self):
        given = [form for form in ("between", "greater", "same") if getattr(self, form) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise misfit(f"expected one of between, greater and same, got {got}")
        form = given[0]
        if form == "between" and self.in_ is None:
            raise misfit("needs `in`, the condition it holds in", "between")
        if form != "between" and self.in_ is not None:
            raise misfit(f"goes with between, not with {form}", "in")
        for key, fits in (("mean", "between"), ("within", "same"), ("test", "greater")):
            value = getattr(self, key) not in (False, None, "permutation")
            if value and form != fits:
                raise misfit(f"goes with {fits}, not with {form}", key)
        if self.pair is not None and self.pair[0] == self.pair[1]:
            raise misfit(f"expected two conditions, got {shown(self.pair[0])} twice", form, 1)
        return self

    @property
    def pair(self) -> list[str] | None:
        """The two conditions it compares."""
        return self.greater if self.greater is not None else self.same

    @property
    def margin(self) -> float | None:
        """`within` in the base unit of the outcome's dimension."""
        return self._within

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value in the base unit of the outcome's dimension; open is infinite."""
        return self._bounds

    @property
    def conditions(self) -> list[tuple[tuple[str | int, ...], str]]:
        """(key, name) of every condition it is about."""
        if self.pair is not None:
            form = "greater" if self.greater is not None else "same"
            return [((form, number), name) for number, name in enumerate(self.pair)]
        return [(("in",), self.in_)]

    def holds(self, value: float) -> bool:
        """Whether one seed's value [base unit] lies in the range; NaN never does."""
        low, high = self._bounds
        return low <= value <= high


class Experiment(Part):
    """The scene as an experiment: the same seeds under several conditions (docs/experiments.md)."""

    seeds: int = Field(20, ge=1, le=10_000)
    """How many; each is run in every condition."""
    first_seed: int = Field(1001, ge=0, lt=2**62)
    """Seeds count up from here; not from 1, so that they are none of those a scene was tuned on."""
    conditions: dict[Name, Condition] = Field(min_length=1, max_length=100)
    """What is compared, by name; the first is the function, the others its controls."""
    outcomes: list[Outcome] = Field([], max_length=1_000)
    """Numbers made of probes; every probe is an outcome by its own name too."""
    claims: list[ExperimentClaim] = Field([], max_length=1_000)
    """What must hold; one that does not makes the exit code 1."""


class View(Part):
    """Where the camera starts."""

    distance: positive(Length) | None = None
    """From the body."""
    azimuth: Angle | None = None
    """Around the body."""
    elevation: bounded(Angle, ge="-90 deg", le="90 deg") | None = None
    """Above the horizon."""


class Exam(Part):
    """How `encephagen exam` takes this scene."""

    long: bool = False
    """Only with --long."""
    spontaneous: bool = False
    """Nothing is done to the body, so there is no sham, and what it shows is no reflex."""
    pictures: list[non_negative(Time)] | None = Field(None, min_length=1, max_length=6)
    """Times of the pictures in the contact sheet; if left out, onset, peak and end of the first item's movement."""
    close_up: Name | None = None
    """Part of the body that fills the pictures, with what hangs on it; else what the first item's joints move."""
    view: View | None = None
    """Camera of the pictures; the scene's own if left out."""


class Shell(Part):
    """What the words of `encephagen shell` mean in this scene."""

    look: Text | None = None
    """The action, by its name, that shows a picture or a pattern; which one is changed."""
    sound: Text | None = None
    """The action that makes a sound."""
    reward: Text | None = None
    """The action that rewards."""
    readout: Selector | None = None
    """Populations that answer to pictures: what `test` compares, as a glob."""
    memory: Selector | None = None
    """Populations that hold a picture once it is gone: what `memory` follows, as a glob."""


class Record(Part):
    """What is kept of the run."""

    spikes: bool = True
    """Keep every spike."""
    every: positive(Time) = 10.0
    """Interval between samples of everything else."""
    voltage_of: list[Selector] = []
    """Populations whose membrane potentials are kept, as globs."""


class Scene(Part):
    """One world, one story, one claim."""

    title: Text
    """One line that says what happens."""
    description: str = ""
    """More, if there is more to say."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of every random stream."""
    duration: bounded(Time, gt="0 ms", le="100 h")
    """Simulated time the scene lasts."""
    clock: Clock = Clock()
    """Tick and substeps."""
    brain: Brain | None = None
    """Neurons; none if left out."""
    body: Body | None = None
    """Body; none if left out."""
    timeline: list[Event] = Field([], max_length=MAX_EVENTS)
    """What happens when."""
    actions: list[SceneAction] = Field([], max_length=100)
    """What a player may do besides touching, in the window."""
    phases: dict[Name, Phase] = Field({}, max_length=100)
    """Spans of time by name, which probes may be measured in."""
    probes: list[Probe] = Field([], max_length=1_000)
    """What is measured."""
    expect: list[Expectation] = Field([], max_length=1_000)
    """What the scene claims."""
    experiment: Experiment | None = None
    """Conditions, seeds and claims of `encephagen experiment`; other commands pass it over."""
    exam: Exam = Exam()
    """How `encephagen exam` takes it, for the scenes in scenes/exam."""
    shell: Shell = Shell()
    """Words of the text session."""
    record: Record = Record()
    """What is kept."""
    view: View = View()
    """Camera at the start; the window chooses what is left out."""

    @model_validator(mode="before")
    @classmethod
    def _phases_of_probes(cls, data: Any) -> Any:
        """A probe's phase is its window: written out here, so that nothing else needs to know of phases."""
        probes, phases = (data.get(key) for key in ("probes", "phases")) if isinstance(data, dict) else (None, None)
        if not isinstance(probes, list):
            return data
        phases, written = phases if isinstance(phases, dict) else {}, []
        for number, probe in enumerate(probes):
            name = probe.get("phase") if isinstance(probe, dict) else None
            if isinstance(name, str):
                span = phases.get(name)
                if not isinstance(span, dict):
                    raise misfit(f"no phase named {shown(name)}{_there_are(list(phases))}", "probes", number, "phase")
                window = {key: span[key] for key in ("from", "to") if key in span}
                if any(probe.get(key, time) != time for key, time in window.items()):
                    raise misfit("expected either a phase or from and to, got both", "probes", number, "phase")
                probe = {**probe, **window}
            written.append(probe)
        return {**data, "probes": written}

    @model_validator(mode="after")
    def _make_sense(self):
        if self.brain is None and self.body is None:
            raise misfit("expected a brain, a body or both, got neither")
        self._check_ticks()
        for number, event in enumerate(self.timeline):
            if event.at >= self.duration:
                raise misfit(f"expected a time before the end at {self.duration:g} ms", "timeline", number, "at")
            self._check_repeat(event.repeat, event.starts[-1], True, "timeline", number)
            lacking = _lacking(self, event.verb in BODY_VERBS, event.verb in BRAIN_VERBS)
            if lacking:
                raise misfit(f"needs a {lacking}, this scene has none", "timeline", number, event.verb)
        self._check_actions()
        if sum(len(event.starts) for event in self.timeline) > MAX_EVENTS:
            raise misfit(f"more than {MAX_EVENTS:,} events once repeats are counted", "timeline")
        self._check_probes()
        self._check_claims()
        if self.experiment is not None:
            self._check_experiment(self.experiment)
        return self

    def _check_actions(self) -> None:
        """Each action has a name and a key of its own, and what it needs is there."""
        for number, action in enumerate(self.actions):
            others, verb = self.actions[:number], action.do.verb
            if any(action.name == other.name for other in others):
                raise misfit(f"the name {shown(action.name)} is taken", "actions", number, "name")
            if action.key is not None and any(action.key == other.key for other in others):
                raise misfit(f"the key {shown(action.key)} is taken", "actions", number, "key")
            lacking = _lacking(self, verb in BODY_VERBS, verb in BRAIN_VERBS)
            if lacking:
                raise misfit(f"needs a {lacking}, this scene has none", "actions", number, "do", verb)
        for word in ("look", "sound", "reward"):
            name = getattr(self.shell, word)
            if name is None or not self.actions:  # a scene that drops its actions need not drop their words too
                continue
            action = next((a for a in self.actions if a.name == name), None)
            if action is None:
                raise misfit(f"there is no action {shown(name)}", "shell", word)
            if word == "look" and not any(getattr(action.do.action, key, None) for key in ("picture", "pattern")):
                raise misfit(f"expected an action with a picture, {shown(name)} has none", "shell", word)

    def _check_repeat(self, repeat: Repeat | None, last: float, before: bool, *path: str | int) -> None:
        """The last of several must lie before the end of the scene, or at it at the latest."""
        if repeat is not None and (last >= self.duration if before else last > self.duration):
            text = f"expected the last one before the end at {self.duration:g} ms, got {last:g} ms"
            raise misfit(text, *path, "repeat", "times")

    def _check_ticks(self) -> None:
        """Times the loop acts on are whole ticks."""
        times = [(("duration",), self.duration), (("record", "every"), self.record.every)]
        for number, event in enumerate(self.timeline):
            times += [(("timeline", number, *key), time) for key, time in event.times]
        for number, action in enumerate(self.actions):
            times.append((("actions", number, "last"), action.last))
        for number, probe in enumerate(self.probes):
            if probe.repeat is not None:
                times.append((("probes", number, "repeat", "every"), probe.repeat.every))
            if probe.measure in ("peak_hz", *FLUCTUATING):
                times.append((("probes", number, "bin"), probe.bin))
        for path, time in times:
            if time is not None and not (time / self.clock.tick).is_integer():
                raise misfit(f"expected a whole number of ticks of {self.clock.tick:g} ms, got {time:g} ms", *path)

    def _check_probes(self) -> None:
        names = [probe.name for probe in self.probes]
        for number, probe in enumerate(self.probes):
            if probe.name in names[:number]:
                raise misfit(f"the name {shown(probe.name)} is taken", "probes", number, "name")
            lacking = _lacking(self, probe.measure in BODY_MEASURES, probe.measure in BRAIN_MEASURES)
            if lacking:
                raise misfit(f"{probe.measure} needs a {lacking}, this scene has none", "probes", number, "measure")
            for key, time in (("from", probe.from_), ("to", probe.to)):
                if time is not None and (time >= self.duration if key == "from" else time > self.duration):
                    raise misfit(f"expected a time before the end at {self.duration:g} ms", "probes", number, key)
            self._check_repeat(probe.repeat, probe.windows[-1][1] or 0.0, False, "probes", number)

    def _check_claims(self) -> None:
        """Claims name a probe and are written in its unit; their bounds are converted here."""
        measures = {probe.name: probe.measure for probe in self.probes}
        for number, claim in enumerate(self.expect):
            if claim.probe not in measures:
                there = _there_are(list(measures))
                raise misfit(f"no probe named {shown(claim.probe)}{there}", "expect", number, "probe")
            claim._bounds = _bounds(claim.between, DIMENSION_OF[measures[claim.probe]], "expect", number, "between")

    @property
    def outcome_dimensions(self) -> dict[str, str | None]:
        """Name -> dimension of every probe and of every outcome of the experiment; None: a plain number."""
        found = {probe.name: DIMENSION_OF[probe.measure] for probe in self.probes}
        for outcome in self.experiment.outcomes if self.experiment is not None else []:
            plain = outcome.index is not None or outcome.over is not None
            found[outcome.name] = None if plain else found.get(outcome.probe)
        return found

    def _check_experiment(self, experiment: Experiment) -> None:
        """Outcomes and claims name what there is, in units that fit; bounds are converted here."""
        for name, condition in experiment.conditions.items():
            for key, given in (("silence", condition.silence), ("gains", condition.gains)):
                if given and self.brain is None:
                    raise misfit("needs a brain, this scene has none", "experiment", "conditions", name, key)
        dimensions = self.outcome_dimensions
        known = [probe.name for probe in self.probes]
        for number, outcome in enumerate(experiment.outcomes):
            place = ("experiment", "outcomes", number)
            for key, name in outcome.operands:
                if name not in known:
                    raise misfit(f"no probe or outcome above named {shown(name)}{_there_are(known)}", *place, *key)
                if dimensions[name] != dimensions[outcome.operands[0][1]]:
                    first, here = (_noun(dimensions[n]) for n in (outcome.operands[0][1], name))
                    raise misfit(f"{shown(name)} is {here}, {shown(outcome.operands[0][1])} is {first}", *place, *key)
            if outcome.name in known:
                raise misfit(f"the name {shown(outcome.name)} is taken", *place, "name")
            known.append(outcome.name)
        for number, claim in enumerate(experiment.claims):
            place = ("experiment", "claims", number)
            if claim.outcome not in known:
                raise misfit(f"no outcome or probe named {shown(claim.outcome)}{_there_are(known)}", *place, "outcome")
            for key, name in claim.conditions:
                if name not in experiment.conditions:
                    there = _there_are(list(experiment.conditions))
                    raise misfit(f"no condition named {shown(name)}{there}", *place, *key)
            if claim.between is not None:
                claim._bounds = _bounds(claim.between, dimensions[claim.outcome], *place, "between")
            for part, key, name in ((claim, "within", "_within"), (claim.reference, "value", "_base")):
                if part is not None and getattr(part, key) is not None:
                    path = (*place, key) if part is claim else (*place, "reference", key)
                    try:
                        setattr(part, name, _bound(getattr(part, key), dimensions[claim.outcome], math.nan))
                    except UserError as error:
                        raise misfit(str(error), *path) from None
            if claim.margin is not None and claim.margin <= 0.0:
                raise misfit("expected a difference above zero", *place, "within")


def _there_are(known: list[str]) -> str:
    """The names there are, in brackets."""
    return (
        f" (there are: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''})" if known else " (there are none)"
    )


def _noun(dimension: str | None) -> str:
    return "a plain number" if dimension is None else DIMENSIONS[dimension].noun


def _bounds(between: list, dimension: str | None, *path: str | int) -> tuple[float, float]:
    """Lowest and highest value of a claim in base units; a misfit at `path` if they are none."""
    bounds = []
    for side, text in enumerate(between):
        try:
            bounds.append(_bound(text, dimension, (-math.inf, math.inf)[side]))
        except UserError as error:
            raise misfit(str(error), *path, side) from None
    if bounds[0] > bounds[1] or bounds == [-math.inf, math.inf]:
        got = " to ".join(shown(text) for text in between)
        raise misfit(f"expected a lowest and a highest value, got {got}", *path)
    return bounds[0], bounds[1]


def _bound(text: float | int | str | None, dimension: str | None, otherwise: float) -> float:
    """One side of a claim in base units."""
    if text is None:
        return otherwise
    if dimension is not None:
        return quantity(text, dimension)
    if isinstance(text, str):
        raise UserError(f"expected a number, got {shown(text)}")
    return float(text)


def _lacking(scene: Scene, body: bool, brain: bool) -> str:
    """ "body" or "brain" if that is needed and not there."""
    return "body" if body and scene.body is None else "brain" if brain and scene.brain is None else ""


def in_condition(scene: Scene, source: Source, name: str) -> tuple[Scene, Source]:
    """The scene as it is in one condition of its experiment; a mistake in the condition is a one-line UserError."""
    root = source.root
    own = {key: root.get("experiment").get("conditions").get(name).get(key) for key in ("set", "silence", "gains")}
    changes = []
    try:
        for key, node in (own["set"].value if own["set"] is not None else {}).items():
            path = key_path(key)
            if path is None or path[0] in NOT_IN_A_CONDITION:
                expected = (
                    f"a key of the scene other than {', '.join(NOT_IN_A_CONDITION)}" if path else "keys as in a.b"
                )
                raise UserError(f"{node.where}: {shown(key)}: expected {expected}")
            changes.append((path, node))
        if own["silence"] is not None:
            changes.append((("brain", "silence", "+"), own["silence"]))
        if own["gains"] is not None:
            changes += [(("brain", "gains", key), node) for key, node in own["gains"].value.items()]
        changed, origin = varied(source, Scene, changes, without=("experiment",))
        dimensions = {probe.name: DIMENSION_OF[probe.measure] for probe in scene.probes}
        if {probe.name: DIMENSION_OF[probe.measure] for probe in changed.probes} != dimensions:
            raise origin.error("expected probes of the same names and units in every condition", "probes")
    except UserError as error:
        raise UserError(f"{error} (in condition {name})") from None
    return changed, origin


NOT_IN_A_CONDITION = ("extends", "experiment", "seed", "expect")  # the same in all, or of no meaning there


def check_files(scene: Scene, source: Source, assets: Path = ASSETS) -> None:
    """One-line UserError if a circuit, connectome or body the scene names is not there. Reads no file.

    The conditions of an experiment are checked as scenes of their own.
    """
    for name in scene.experiment.conditions if scene.experiment is not None else ():
        check_files(*in_condition(scene, source, name), assets)
    if scene.brain is not None:
        for key in ("circuits", "stand_ins"):
            for number, name in enumerate(getattr(scene.brain, key)):
                if not (assets / "circuits" / f"{name}.yaml").is_file():
                    raise source.error(_no_such("circuit", name, assets / "circuits"), "brain", key, number)
        name = scene.brain.connectome
        shipped = [path.stem for path in (assets / "connectome").glob("*.npz")]
        own = [Path(name), source.path.parent / name]
        if not any(stem == name or stem.startswith(f"{name}_") for stem in shipped) and not any(map(_is_file, own)):
            message = f"expected a shipped connectome ({', '.join(shipped) or 'none'}) or a file, got {shown(name)}"
            raise source.error(message, "brain", "connectome")
    if scene.body is not None and not (assets / "bodies" / f"{scene.body.model}.yaml").is_file():
        raise source.error(_no_such("body", scene.body.model, assets / "bodies"), "body", "model")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _no_such(kind: str, name: str, folder: Path) -> str:
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    return f"no {kind} named {shown(name)} (there are: {', '.join(known) or 'none'})"


assert set(get_args(Measure)) == set(DIMENSION_OF)
