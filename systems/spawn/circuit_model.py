"""What a circuit file (assets/circuits/*.yaml) may say: the cells of one structure and the projections between them."""

from typing import Literal

from pydantic import Field, model_validator

from engine.scene import misfit
from engine.units import Fraction, Potential, Rate, Time, bounded, non_negative, positive
from systems.spawn.scene_model import Name, NumberOrText, Part, Selector, Text

Per = Literal["region", "muscle", "patch", "side", "one"]
Receptor = Literal["ampa", "gaba", "gaba_slow"]


class Nmda(Part):
    """Slow excitation beside AMPA, fed by the same synapses."""

    share: bounded(Fraction, gt="0", lt="1")
    """Part of the excitatory charge that NMDA carries."""
    tau: positive(Time)
    """Decay time constant."""
    instances: list[Selector] = ["*"]
    """Instances (regions, muscles) whose cells have it."""


class AdaptationSpec(Part):
    """Spike-frequency adaptation."""

    tau: positive(Time)
    """Decay time constant."""
    step: non_negative(Potential)
    """Drive taken away by one spike."""


class BackgroundSpec(Part):
    """Poisson input that stands for neurons outside the model."""

    psp: positive(Potential)
    """PSP amplitude of one event."""
    rate: non_negative(Rate) | Literal["calibrated"]
    """Events per second and neuron, or `calibrated`: taken from the profile's calibration asset."""


class SenseSpec(Part):
    """These cells are afferents: a sense organ drives them."""

    organ: Literal["spindle_primary", "spindle_secondary", "tendon_organ", "touch"]
    """What is sensed: stretch and its speed, stretch, pull, pressure on skin."""
    gain: positive(Potential)
    """Drive at full stretch / maximum force / far above half_force."""
    velocity_gain: non_negative(Potential) = 0.0
    """Drive per (range/s)^(5/8) of lengthening."""
    half_force: Text = "0.2 N"
    """Touch: force of half-maximal drive."""
    spread: non_negative(Potential) = 2.0
    """Neurons' offsets are spread evenly over this range below zero, so they are recruited one after another."""


class Band(Part):
    """Rate in which a population is healthy at rest."""

    rate: list[non_negative(Rate)] = Field(min_length=2, max_length=2)
    """Lowest and highest mean rate."""
    target: non_negative(Rate) | None = None
    """What the calibration aims at."""
    source: Text
    """Where the numbers come from."""


class Cell(Part):
    """A cell type: one population of it per instance."""

    per: Per
    """One population per cortical region, muscle, touch patch, body side, or a single one."""
    count: int = Field(ge=1, le=100_000)
    """Neurons per population."""
    instances: list[Selector] = ["*"]
    """Which instances (muscles, patches, regions, sides) have the cells: globs; one that starts with ! takes out."""
    acts_on: Receptor
    """Receptor its synapses open; the sign follows from it (Dale's law)."""
    tau_m: bounded(Time, ge="1 ms", le="1 s")
    """Membrane time constant."""
    regional_tau: bool = False
    """Multiply tau_m by tau_region / 20 ms (from the connectome's T1w/T2w)."""
    threshold: positive(Potential) = 15.0
    """Above rest."""
    threshold_spread: non_negative(Potential) = 0.0
    """Thresholds rise evenly from `threshold` by this much: the first neuron is recruited first (Henneman 1957)."""
    reset: Potential = 0.0
    """After a spike, above rest."""
    refractory: bounded(Time, ge="1 ms", le="100 ms") = 2.0
    """Held at reset this long."""
    tonic: Potential = 0.0
    """Constant drive."""
    tau_ampa: bounded(Time, ge="1 ms", le="1 s") = 3.0
    """Decay of fast excitation onto these cells."""
    tau_gaba: bounded(Time, ge="1 ms", le="1 s") = 6.0
    """Decay of fast inhibition onto these cells."""
    tau_gaba_slow: bounded(Time, ge="1 ms", le="1 s") = 12.0
    """Decay of slow inhibition onto these cells."""
    nmda: Nmda | None = None
    """Slow excitation, if the cells have it."""
    adaptation: AdaptationSpec | None = None
    """Spike-frequency adaptation, if the cells have it."""
    background: BackgroundSpec | None = None
    """Input from outside the model, if any."""
    sense: SenseSpec | None = None
    """For afferents."""
    motor: bool = False
    """True for motor pools: their spikes drive the muscle of the same name."""
    bands: dict[Literal["adult", "newborn"], Band] = {}
    """Healthy rates by profile."""


class Projection(Part):
    """Synapses from one set of populations to another."""

    name: Name | None = None
    """Name for `gains` and probes; `from>to` if left out."""
    from_: list[Name] | Name = Field(alias="from")
    """Source cells; `structure.cell` for another structure."""
    to: Name
    """Target cell; `structure.cell` for another structure. Left out where that structure is not in the scene."""
    relation: Literal["same", "antagonist", "connectome", "map", "all"] = "same"
    """Which instances are joined: the same one, the antagonist muscle, by tract weight, by `pairs`, or all."""
    direction: Literal["feedforward", "feedback", "any"] = "any"
    """For connectome: only tracts up (short to long tau_region) or down the hierarchy."""
    pairs: dict[Selector, list[Selector]] = {}
    """For map: source instances -> target instances, as globs."""
    indegree: float = Field(gt=0, le=100_000)
    """Synapses per target neuron; for connectome per unit of normalised tract weight."""
    psp: positive(Potential)
    """Mean PSP amplitude."""
    psp_cv: float = Field(0.7, ge=0, le=3)
    """Coefficient of variation of the lognormal weights (Song et al. 2005)."""
    delay: bounded(Time, ge="1 ms", le="250 ms") | list[bounded(Time, ge="1 ms", le="250 ms")] | Literal["tract"] = 1.0
    """From spike to arrival, a range [low, high], or by tract length."""
    scale: Name | list[Name] = []
    """Parameters that multiply psp."""
    source: Text | None = None
    """Where the connection is described; `ours` for what the seed lacks."""

    @model_validator(mode="after")
    def _consistent(self):
        if (self.relation == "map") != bool(self.pairs):
            raise misfit("expected pairs with relation map, and only there", "pairs")
        if self.delay == "tract" and self.relation != "connectome":
            raise misfit("expected a time (tract delays need relation connectome)", "delay")
        if isinstance(self.delay, list) and (len(self.delay) != 2 or self.delay[0] > self.delay[1]):
            raise misfit("expected a time or [shortest, longest]", "delay")
        return self


class ByProfile(Part):
    """A parameter whose value depends on the profile."""

    adult: NumberOrText
    """In the adult profile."""
    newborn: NumberOrText
    """In the newborn profile."""


class Circuit(Part):
    """One structure."""

    structure: Name
    """Its name in tables and records."""
    title: Text
    """What it is, in a line."""
    parameters: dict[Name, ByProfile | NumberOrText] = {}
    """Numbers a scene may override; one value, or one for each profile."""
    cells: dict[Name, Cell]
    """Cell types."""
    projections: list[Projection] = []
    """Within the structure, into it from others, and out of it."""

    @model_validator(mode="after")
    def _known_cells(self):
        for number, projection in enumerate(self.projections):
            sources = projection.from_ if isinstance(projection.from_, list) else [projection.from_]
            for key, names in (("from", sources), ("to", [projection.to])):
                for name in names:
                    if "." not in name and name not in self.cells:
                        expected = f"expected a cell of this file ({', '.join(self.cells)}) or structure.cell"
                        raise misfit(f"{expected}, got {name}", "projections", number, key)
        return self
