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
from engine.scene import Source, misfit
from engine.units import Angle, Force, Length, Potential, Time, Torque, bounded, non_negative, positive, quantity, shown

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

Measure = Literal[
    "rate_hz",
    "isi_cv",
    "correlation",
    "spike_count",
    "latency",
    "joint_angle",
    "joint_range",
    "muscle_activation",
    "posture_height",
]
DIMENSION_OF = {  # what a probe's value is, and so what `expect.between` must be written in; None: a plain number
    "rate_hz": "rate",
    "isi_cv": None,
    "correlation": None,
    "spike_count": None,
    "latency": "time",
    "joint_angle": "angle",
    "joint_range": "angle",
    "muscle_activation": "fraction",
    "posture_height": "length",
}
BRAIN_MEASURES = ("rate_hz", "isi_cv", "correlation", "spike_count")
BODY_MEASURES = ("joint_angle", "joint_range", "muscle_activation", "posture_height")


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


class Brain(Part):
    """Which neurons there are and how they are joined."""

    profile: Literal["adult", "newborn"] = "adult"
    """Operating point: conduction velocity, rates, bursts."""
    connectome: Text = "hcp_aal2"
    """Name of a connectome in assets/connectome, or path of an .npz or .csv of your own."""
    circuits: list[Name] = Field(min_length=1, max_length=100)
    """Names of the YAML files in assets/circuits that make the brain and the cord."""
    stand_ins: list[Name] = Field([], max_length=100)
    """Circuits that are absent but heard: cells that project into the others fire by chance at their target rates."""
    parameters: dict[Text, NumberOrText] = {}
    """Circuit parameters to override, e.g. feedforward_inhibition: 2, velocity: 4 m/s."""
    silence: list[Selector] = []
    """Populations that never fire, as globs over structure.instance.cell."""
    gains: dict[ProjectionSelector, Annotated[float, Field(ge=0, le=1e6)]] = {}
    """Factor on the weights of the projections a glob selects; 0 cuts them."""

    @model_validator(mode="after")
    def _each_circuit_once(self):
        for number, circuit in enumerate(self.circuits):
            if circuit in self.circuits[:number]:
                raise misfit(f"expected each circuit once, got {shown(circuit)} again", "circuits", number)
        for number, circuit in enumerate(self.stand_ins):
            if circuit in self.circuits or circuit in self.stand_ins[:number]:
                raise misfit(f"expected each circuit once, got {shown(circuit)} again", "stand_ins", number)
        return self


class Body(Part):
    """The body in the world."""

    model: Text
    """Name of a body in assets/bodies, e.g. newborn, walker, humanoid."""
    pose: Name | None = None
    """Name of a starting pose of that body; its own default if left out."""


class Touch(Part):
    """Something presses on the skin."""

    patch: Name
    """Touch patch of the body, e.g. palm_left."""
    force: positive(Force)
    """Normal force on the patch."""


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
    direction: list[Annotated[float, Field(ge=-1e6, le=1e6)]] = Field([1.0, 0.0, 0.0], min_length=3, max_length=3)
    """Where it points in the world: x forward, y left, z up; any length but zero."""

    @model_validator(mode="after")
    def _some_direction(self):
        if math.hypot(*self.direction) < 1e-6:
            raise misfit("expected a direction, got zero", "direction")
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


class Stimulate(Part):
    """A current clamped onto neurons."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""
    drive: bounded(Potential, ge="-1 V", le="1 V")
    """Depolarisation the current would settle at without spikes; rest is 0 mV, threshold 15 mV."""


class Silence(Part):
    """Neurons stop firing."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""


class Restore(Part):
    """Silenced neurons may fire again."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""


class Event(Part):
    """Something that happens: a time and exactly one verb."""

    at: non_negative(Time)
    """When it begins, from the start of the scene."""
    last: positive(Time) | None = None
    """How long it lasts; without it touch, push, stimulate and silence stay, and a tap is one short blow."""
    touch: Touch | None = None
    """Press on a patch of skin."""
    tap: Tap | None = None
    """Tap a tendon."""
    push: Push | None = None
    """Push a part of the body."""
    drop: Drop | None = None
    """Let the body fall."""
    stimulate: Stimulate | None = None
    """Drive neurons."""
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
        if self.last is not None and given[0] in ("drop", "restore"):
            raise misfit(f"expected no duration, {given[0]} happens at once", "last")
        return self

    @property
    def verb(self) -> str:
        """Which verb it is, e.g. "touch"."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def action(self) -> Part:
        """The verb's own keys, e.g. a Touch."""
        return getattr(self, self.verb)


BODY_VERBS = ("touch", "tap", "push", "drop")
BRAIN_VERBS = ("stimulate", "silence", "restore")
VERBS = BODY_VERBS + BRAIN_VERBS


class Probe(Part):
    """A number taken from the run."""

    name: Name
    """What `expect` and the records call it."""
    measure: Measure
    """What is measured."""
    of: Selector
    """Of what: a glob over populations, or a joint, a muscle, a body part."""
    with_: Selector | None = Field(None, alias="with")
    """For correlation: the other populations; within `of` if left out."""
    from_: non_negative(Time) = Field(0.0, alias="from")
    """Start of the window; a latency counts from here."""
    to: positive(Time) | None = None
    """End of the window; the end of the scene if left out."""
    bin: positive(Time) | None = None
    """For correlation: width of the bins."""
    threshold: NumberOrText | None = None
    """For latency: what must be passed, a number or a quantity."""

    @model_validator(mode="after")
    def _window(self):
        if self.to is not None and self.to <= self.from_:
            raise misfit("expected a time after `from`", "to")
        for key, value, measure in (("with", self.with_, "correlation"), ("bin", self.bin, "correlation")):
            if value is not None and self.measure != measure:
                raise misfit(f"only {measure} takes it, this is {self.measure}", key)
        if self.threshold is not None and self.measure != "latency":
            raise misfit(f"only latency takes it, this is {self.measure}", "threshold")
        return self


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


class Record(Part):
    """What is kept of the run."""

    spikes: bool = True
    """Keep every spike."""
    every: positive(Time) = 10.0
    """Interval between samples of everything else."""
    voltage_of: list[Selector] = []
    """Populations whose membrane potentials are kept, as globs."""


class View(Part):
    """Where the camera starts."""

    distance: positive(Length) | None = None
    """From the body."""
    azimuth: Angle | None = None
    """Around the body."""
    elevation: bounded(Angle, ge="-90 deg", le="90 deg") | None = None
    """Above the horizon."""


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
    timeline: list[Event] = Field([], max_length=10_000)
    """What happens when."""
    probes: list[Probe] = Field([], max_length=1_000)
    """What is measured."""
    expect: list[Expectation] = Field([], max_length=1_000)
    """What the scene claims."""
    record: Record = Record()
    """What is kept."""
    view: View = View()
    """Camera at the start; the window chooses what is left out."""

    @model_validator(mode="after")
    def _make_sense(self):
        if self.brain is None and self.body is None:
            raise misfit("expected a brain, a body or both, got neither")
        self._check_ticks()
        for number, event in enumerate(self.timeline):
            if event.at >= self.duration:
                raise misfit(f"expected a time before the end at {self.duration:g} ms", "timeline", number, "at")
            lacking = _lacking(self, event.verb in BODY_VERBS, event.verb in BRAIN_VERBS)
            if lacking:
                raise misfit(f"needs a {lacking}, this scene has none", "timeline", number, event.verb)
        self._check_probes()
        self._check_claims()
        return self

    def _check_ticks(self) -> None:
        """Times the loop acts on are whole ticks."""
        times = [(("duration",), self.duration), (("record", "every"), self.record.every)]
        for number, event in enumerate(self.timeline):
            times += [(("timeline", number, "at"), event.at), (("timeline", number, "last"), event.last)]
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

    def _check_claims(self) -> None:
        """Claims name a probe and are written in its unit; their bounds are converted here."""
        measures = {probe.name: probe.measure for probe in self.probes}
        for number, claim in enumerate(self.expect):
            if claim.probe not in measures:
                known = f" (there are: {', '.join(list(measures)[:12])})" if measures else " (there are none)"
                raise misfit(f"no probe named {shown(claim.probe)}{known}", "expect", number, "probe")
            bounds = []
            for side, text in enumerate(claim.between):
                try:
                    bounds.append(_bound(text, DIMENSION_OF[measures[claim.probe]], (-math.inf, math.inf)[side]))
                except UserError as error:
                    raise misfit(str(error), "expect", number, "between", side) from None
            if bounds[0] > bounds[1] or bounds == [-math.inf, math.inf]:
                got = " to ".join(shown(text) for text in claim.between)
                raise misfit(f"expected a lowest and a highest value, got {got}", "expect", number, "between")
            claim._bounds = (bounds[0], bounds[1])


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


def check_files(scene: Scene, source: Source, assets: Path = ASSETS) -> None:
    """One-line UserError if a circuit, connectome or body the scene names is not there. Reads no file."""
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
