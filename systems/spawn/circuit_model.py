"""What a circuit file (assets/circuits/*.yaml) may say: the cells of one structure and the projections between them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.scene import misfit
from engine.units import Fraction, Length, Potential, Rate, Time, Volume, bounded, non_negative, positive
from systems.spawn.scene_model import Name, NumberOrText, Part, ProjectionSelector, Selector, Text

PER = ("region", "muscle", "patch", "side", "one")  # and the groups that a file names itself
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
    start: non_negative(Potential) = 0.0
    """Drive taken away when the run begins: how tired the cells are by then."""
    quicker: Name | list[Name] = []
    """Parameters that divide tau and multiply step: as deep at the same rate, but sooner."""


class LowThreshold(Part):
    """Low-threshold calcium current: de-inactivated by inhibition, it answers the release with a burst.

    Integrate-and-fire-or-burst (Smith, Cox, Sherman & Rinzel 2000, J Neurophysiol 83:588), as a drive.
    """

    drive: positive(Potential)
    """Drive when fully de-inactivated and open."""
    below: Potential = 0.0
    """The current de-inactivates below this potential and is open above it."""
    tau_on: bounded(Time, ge="1 ms", le="1 s") = 20.0
    """Inactivation while open."""
    tau_off: bounded(Time, ge="1 ms", le="10 s") = 100.0
    """De-inactivation while hyperpolarised."""


class BackgroundSpec(Part):
    """Poisson input that stands for neurons outside the model."""

    psp: positive(Potential)
    """PSP amplitude of one event."""
    rate: non_negative(Rate) | Literal["calibrated"]
    """Events per second and neuron, or `calibrated`: taken from the profile's calibration asset."""


class SenseSpec(Part):
    """These cells are afferents: a sense organ drives them."""

    organ: Literal["spindle_primary", "spindle_secondary", "tendon_organ", "touch", "water", "canal", "otolith",
                   "light", "light_on", "light_off", "mouth", "stomach"]  # fmt: skip
    """What is sensed: stretch and its speed, stretch, pull, pressure on skin, water on skin (its chill), turning and
    force on the head, light, milk in mouth and stomach.

    Cells of `light` are per side and feel how bright it is; those of `light_on` and `light_off` are per name of a
    group, left_far_up to right_near_down, a cell for each of the 8 pixels there, and feel what is brighter or darker.

    Canal and otolith cells are per name of a group: forward, backward (about the ears), left, right (about the nose),
    and turn_left, turn_right for canals, up, down for otoliths."""
    gain: positive(Potential)
    """Drive at full stretch / maximum force / far above half_force (half_depth, half_volume) / per rad/s / per g / at a
    contrast of 1."""
    velocity_gain: non_negative(Potential) = 0.0
    """Drive per (range/s)^(5/8) of lengthening."""
    half_force: Text = "0.2 N"
    """Touch: force of half-maximal drive."""
    half_depth: positive(Length) = 5.0
    """Water: how far the middle of the patch is under the surface at half-maximal drive."""
    half_volume: positive(Volume) = 1.0
    """Mouth, stomach: volume of half-maximal drive."""
    spread: non_negative(Potential) = 2.0
    """Neurons' offsets are spread evenly over this range below zero, so they are recruited one after another."""


class GulletSpec(Part):
    """These cells are motor neurons of swallowing: they squeeze milk from the mouth into the stomach."""

    tau: bounded(Time, ge="5 ms", le="500 ms")
    """Time constant of the activation."""
    empties: positive(Volume)
    """What full activation moves in a second."""


class Band(Part):
    """Rate in which a population is healthy at rest."""

    rate: list[non_negative(Rate)] = Field(min_length=2, max_length=2)
    """Lowest and highest mean rate."""
    target: non_negative(Rate) | None = None
    """What the calibration aims at."""
    source: Text
    """Where the numbers come from."""

    @property
    def aim(self) -> float:
        """The target rate, or the geometric middle of the band [Hz]; a band that starts at 0 counts from 0.1 Hz."""
        low, high = self.rate
        return self.target if self.target is not None else (max(low, min(0.1, high)) * high) ** 0.5


class Stimulus(Part):
    """What wakes a structure: current onto some populations, in health checks and calibration."""

    population: Selector
    """Populations, as a glob over structure.instance.cell."""
    drive: bounded(Potential, gt="0 mV", le="1 V")
    """Depolarisation the current would settle at without spikes."""


class Driven(Part):
    """Rate in which a population is healthy under a stimulus."""

    by: Name | list[Name]
    """Names of stimuli of this file; the band holds under each."""
    rate: list[non_negative(Rate)] = Field(min_length=2, max_length=2)
    """Lowest and highest mean rate."""
    source: Text
    """Where the numbers come from."""

    @property
    def stimuli(self) -> list[str]:
        """Names of the stimuli, also where there is one."""
        return [self.by] if isinstance(self.by, str) else self.by


class Cell(Part):
    """A cell type: one population of it per instance."""

    per: Name
    """One population per `region`, `muscle`, touch `patch`, body `side`, a single `one`, or per name of a group."""
    count: Annotated[int, Field(ge=1, le=100_000)] | dict[Name, Annotated[int, Field(ge=1, le=100_000)]]
    """Neurons per population; one number, or one for each instance."""
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
    low_threshold: LowThreshold | None = None
    """Rebound bursts, if the cells have them."""
    background: BackgroundSpec | None = None
    """Input from outside the model, if any."""
    sense: SenseSpec | None = None
    """For afferents."""
    motor: bool = False
    """True for motor pools: their spikes drive the muscle of the same name."""
    gullet: GulletSpec | None = None
    """Motor pools that swallow."""
    bands: dict[Literal["adult", "newborn"], Band] = {}
    """Healthy rates by profile."""
    driven: Driven | None = None
    """Healthy rate under a stimulus; if left out, any from 0.1 to 200 Hz under the file's first stimulus."""
    sheet: dict[Name, Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=4, max_length=4)]] = {}
    """Part of a map that an instance's cells cover in rows: left, top, right, bottom, as shares of the whole; all of it
    where an instance is not named."""
    no_input: Text | None = None
    """Why nothing projects to these cells, if nothing does."""
    no_output: Text | None = None
    """Why these cells project nowhere, if they do not."""


class Modulation(Part):
    """A gain on a projection, driven by the filtered spikes of a named cell type."""

    by: Name
    """`structure.cell`, all its instances together, or `structure.instance.cell`."""
    tau: bounded(Time, ge="1 ms", le="100 s") = 200.0
    """Time constant of the exponential filter of the spikes."""
    quicker: Name | list[Name] = []
    """Parameters that divide tau."""
    reference: positive(Rate) | None = None
    """Rate at which the gain is 1; if left out, what the population's band of the profile aims at."""
    slope: Annotated[float, Field(ge=-100, le=100)]
    """Gain = 1 + slope * (rate / reference - 1)."""
    between: list[Annotated[float, Field(ge=0, le=100)]] = Field([0.0, 3.0], min_length=2, max_length=2)
    """Lowest and highest gain."""


class HeterosynapticSpec(Part):
    """A target's spikes draw all of its synapses towards one weight (Chistiakova et al. 2014; Zenke et al. 2015)."""

    pull: bounded(Fraction, gt="0", le="1")
    """Part of the way that one spike goes."""
    rest: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Weight drawn towards, as a multiple of the projection's psp."""


class ScalingSpec(Part):
    """Targets keep their rate: all of a cell's synapses of the projection change in proportion (Turrigiano 1998)."""

    rate: positive(Rate) | None = None
    """Aimed at; if left out, what the target population's band of the profile aims at."""
    step: bounded(Fraction, gt="0", le="50 %")
    """Part of its weights that a silent cell adds at a look; one at twice the rate, or more, takes as much."""
    every: bounded(Time, ge="10 ms", le="60 s") = 1000.0
    """From one look at a cell to the next."""
    tau: bounded(Time, ge="100 ms", le="1 h") = 10_000.0
    """Time constant of the filter that finds the rate."""


class Learns(Part):
    """What may go with every rule that learns."""

    heterosynaptic: HeterosynapticSpec | None = None
    """A pull towards one weight at every spike of the target."""
    scaling: ScalingSpec | None = None
    """Homeostasis of the target's rate."""


class Stdp(Learns):
    """Pair-based spike-timing-dependent plasticity, additive, all-to-all (Song, Miller & Abbott 2000)."""

    kind: Literal["stdp"]
    """Which rule."""
    a_plus: Annotated[float, Field(ge=0, le=1)]
    """Growth by one pre-before-post pair at zero lag, as a fraction of the projection's psp."""
    a_minus: Annotated[float, Field(ge=0, le=1)]
    """Loss by one post-before-pre pair at zero lag, as a fraction of the projection's psp."""
    tau_plus: bounded(Time, ge="1 ms", le="10 s") = 20.0
    """Trace of presynaptic spikes."""
    tau_minus: bounded(Time, ge="1 ms", le="10 s") = 20.0
    """Trace of postsynaptic spikes."""
    highest: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Largest weight, as a multiple of the projection's psp; the smallest is 0."""


class Triplet(Learns):
    """Triplets of spikes, exact to the substep, additive, all-to-all (Pfister & Gerstner 2006, their equation 2 to 4).

    The default amplitudes are their fit to visual cortex (all-to-all), as parts of the projection's psp.
    """

    kind: Literal["triplet"]
    """Which rule."""
    a2_plus: Annotated[float, Field(ge=0, le=1)] = 5e-10
    """Growth by a pair of spikes at zero lag, as a fraction of the projection's psp."""
    a3_plus: Annotated[float, Field(ge=0, le=1)] = 6.2e-3
    """Growth by a triplet post-pre-post at zero lags."""
    a2_minus: Annotated[float, Field(ge=0, le=1)] = 7e-3
    """Loss by a pair."""
    a3_minus: Annotated[float, Field(ge=0, le=1)] = 2.3e-4
    """Loss by a triplet pre-post-pre."""
    tau_plus: bounded(Time, ge="1 ms", le="1 s") = 16.8
    """Fast trace of presynaptic spikes."""
    tau_minus: bounded(Time, ge="1 ms", le="1 s") = 33.7
    """Fast trace of postsynaptic spikes."""
    tau_x: bounded(Time, ge="1 ms", le="10 s") = 101.0
    """Slow trace of presynaptic spikes."""
    tau_y: bounded(Time, ge="1 ms", le="10 s") = 125.0
    """Slow trace of postsynaptic spikes."""
    highest: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Largest weight, as a multiple of the projection's psp; the smallest is 0."""


class ThreeFactor(Learns):
    """Pairs of spikes make synapses eligible; the spikes of a population change the weights of those that are.

    Izhikevich 2007; the error is rate / baseline - 1, both filtered from that population's spikes.
    """

    kind: Literal["three_factor"]
    """Which rule."""
    by: Name
    """The third factor: `structure.cell`, all its instances together, or `structure.instance.cell`."""
    before: Annotated[float, Field(ge=-10, le=10)] = 1.0
    """Eligibility by one pre-before-post pair at zero lag."""
    after: Annotated[float, Field(ge=-10, le=10)] = -1.0
    """Eligibility by one post-before-pre pair at zero lag."""
    rate: Annotated[float, Field(gt=0, le=100)]
    """Change per second of an eligibility of 1 at an error of 1, as a fraction of the projection's psp."""
    tau: bounded(Time, ge="10 ms", le="10 s") = 700.0
    """Of the eligibility."""
    tau_plus: bounded(Time, ge="1 ms", le="10 s") = 20.0
    """Trace of presynaptic spikes."""
    tau_minus: bounded(Time, ge="1 ms", le="10 s") = 20.0
    """Trace of postsynaptic spikes."""
    filter: bounded(Time, ge="1 ms", le="10 s") = 100.0
    """Time constant of the third factor's rate."""
    baseline: bounded(Time, ge="1 s", le="1 h") = 60_000.0
    """Time constant of its baseline."""
    reference: positive(Rate) | None = None
    """Baseline at the start; if left out, what the population's band of the profile aims at."""
    highest: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Largest weight, as a multiple of the projection's psp; the smallest is 0."""


class Eprop(Learns):
    """e-prop (Bellec et al. 2020): errors of output populations against teachers reach the targets by random feedback.

    Where the targets are the output populations themselves, each hears its own error. Weights keep their sign.
    """

    kind: Literal["eprop"]
    """Which rule."""
    answer: Name
    """`structure.cell`: each of its populations is an output."""
    teacher: Name
    """`structure.cell`, with the same instances: what each output should fire; no error while all are silent."""
    rate: Annotated[float, Field(gt=0, le=1000)]
    """Change per second of an eligibility of 1 at a signal of 1, as a fraction of the projection's psp."""
    gamma: Annotated[float, Field(gt=0, le=10)] = 0.3
    """Slope of a spike by its potential, at the threshold; it falls to 0 at rest."""
    full: positive(Rate) = 50.0
    """Difference of a teacher and its output that is an error of 1."""
    filter: bounded(Time, ge="1 ms", le="10 s") = 20.0
    """Time constant of the outputs' rates."""
    regular: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Signal of a silent target, on top of its learning signal; none at `target_rate`, the opposite at twice of it."""
    target_rate: positive(Rate) = 10.0
    """What targets are moved to."""
    highest: Annotated[float, Field(gt=0, le=100)] = 5.0
    """Largest weight, as a multiple of the projection's psp; the smallest is 0."""


class TaughtDepression(Learns):
    """Depression of synapses that were active shortly before a teacher's spike, slow recovery with use.

    Cerebellar learning (Albus 1971; Ito & Kano 1982): the teacher is the one climbing fibre of the target.
    """

    kind: Literal["taught_depression"]
    """Which rule."""
    teacher: Name
    """Name of a projection of in-degree 1 onto the same target; its source teaches."""
    depression: Annotated[float, Field(ge=0, le=1)]
    """Loss per teacher spike at the best lag, as a fraction of the projection's psp."""
    recovery: Annotated[float, Field(ge=0, le=1)]
    """Growth by one presynaptic spike, as a fraction of the projection's psp."""
    lag: bounded(Time, ge="2 ms", le="1 s") = 100.0
    """Presynaptic spikes this long before the teacher's are depressed most."""
    highest: Annotated[float, Field(gt=0, le=100)] = 2.0
    """Largest weight, as a multiple of the projection's psp; the smallest is 0."""


class Depression(Part):
    """Synapses tire with use and recover with time: habituation (Tsodyks & Markram 1997). No learning: always on."""

    kind: Literal["depression"]
    """Which rule."""
    use: bounded(Fraction, gt="0", lt="1")
    """Part of what is left that one presynaptic spike spends."""
    recovery: bounded(Time, ge="10 ms", le="100 s")
    """Time constant of the recovery."""


class Facilitation(Part):
    """Synapses release more with use, and tire (Tsodyks, Pawelzik & Markram 1998). No learning: always on.

    `psp` is that of a rested synapse's first spike.
    """

    kind: Literal["facilitation"]
    """Which rule."""
    use: bounded(Fraction, gt="0", lt="1")
    """Part of what is left that one spike of a rested source releases."""
    recovery: bounded(Time, ge="1 ms", le="100 s")
    """Time constant of the recovery of what is left."""
    facilitation: bounded(Time, ge="1 ms", le="100 s")
    """Time constant of the decay of the release to `use`."""


class Assembly(Part):
    """Neurons drawn from the populations of other cells, under a name of their own: what holds one item together.

    It is named as a population is, structure.instance.name, in projections (here `same` joins equal instances), stimuli
    and probes. Its neurons stay what they are, and no neuron is in two instances.
    """

    per: Name | None = None
    """One assembly per name of a group of this file; with `of`."""
    of: Name | None = None
    """`structure.cell` of which neurons are drawn, the same number from each population."""
    instances: list[Selector] = ["*"]
    """Instances of that cell which take part."""
    count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Neurons drawn from each population for each assembly."""
    members_of: Name | None = None
    """In place of the above: the neurons of another assembly, grouped anew by the instance they were drawn from."""

    @model_validator(mode="after")
    def _one_form(self):
        if (self.members_of is None) == (self.of is None):
            raise misfit(f"expected either of or members_of, got {'neither' if self.of is None else 'both'}")
        for key in ("per", "count"):
            if (getattr(self, key) is None) != (self.of is None):
                raise misfit("goes with `of`, and is needed there", key)
        return self


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
    receptor: Literal["nmda"] | None = None
    """`nmda`: synapses of excitatory cells that open NMDA receptors alone, of targets that have them (`nmda`)."""
    psp_cv: float = Field(0.7, ge=0, le=3)
    """Coefficient of variation of the lognormal weights (Song et al. 2005)."""
    delay: bounded(Time, ge="1 ms", le="250 ms") | list[bounded(Time, ge="1 ms", le="250 ms")] | Literal["tract"] = 1.0
    """From spike to arrival, a range [low, high], or by tract length."""
    scale: Name | list[Name] = []
    """Parameters that multiply psp."""
    calibrated: bool = False
    """Whether the calibration may change the gain, so that the target meets its `driven` band."""
    modulated: list[Modulation] = Field([], max_length=8)
    """Gains that multiply the weights as the run goes; several are multiplied."""
    rule: (
        Annotated[
            Stdp | Triplet | ThreeFactor | Eprop | TaughtDepression | Depression | Facilitation,
            Field(discriminator="kind"),
        ]
        | None
    ) = None
    """Learning rule, if the synapses learn."""
    source: Text | None = None
    """Where the connection is described; `ours` for what the seed lacks."""

    near: Annotated[float, Field(gt=0, le=10)] | None = None
    """Topography: a source's chance falls as a Gaussian of this width with its distance on the map (see `sheet`)."""
    apart: bool = False
    """With near: targets take turns, each hears one of the source cell types only (as ON and OFF)."""

    @model_validator(mode="after")
    def _consistent(self):
        if self.apart and self.near is None:
            raise misfit("goes with near", "apart")
        if (self.relation == "map") != bool(self.pairs):
            raise misfit("expected pairs with relation map, and only there", "pairs")
        if self.delay == "tract" and self.relation != "connectome":
            raise misfit("expected a time (tract delays need relation connectome)", "delay")
        if isinstance(self.delay, list) and (len(self.delay) != 2 or self.delay[0] > self.delay[1]):
            raise misfit("expected a time or [shortest, longest]", "delay")
        return self


class Reflex(Part):
    """A reflex arc: which populations it runs through, and what opens and closes it."""

    name: Name
    """What it is called."""
    afferent: Selector
    """Populations that start it."""
    through: Selector
    """Populations in between; the afferents themselves where there are none."""
    motor: Selector
    """Motor pools it ends on."""
    gate: ProjectionSelector | None = None
    """The projection it passes its gate in: a name of this file, or `structure:name`."""
    also: list[ProjectionSelector] = []
    """Further projections with the same gain."""
    gated: list[Modulation] = Field([], max_length=8)
    """Populations whose spikes set the gain; several are multiplied."""

    @model_validator(mode="after")
    def _gate_and_gated(self):
        if bool(self.gated) != (self.gate is not None):
            raise misfit("expected gate and gated together", "gate" if self.gated else "gated")
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
    needs_body: bool = True
    """Whether cells per muscle or patch make a body necessary; if not, they are left out of scenes without one."""
    parameters: dict[Name, ByProfile | NumberOrText] = {}
    """Numbers a scene may override; one value, or one for each profile."""
    groups: dict[Name, Annotated[list[Name], Field(min_length=1, max_length=1000)]] = {}
    """Lists of instance names for `per`, e.g. the channels of a selection circuit."""
    stimuli: dict[Name, Stimulus] = {}
    """What wakes the structure."""
    cells: dict[Name, Cell]
    """Cell types."""
    assemblies: dict[Name, Assembly] = {}
    """Neurons of other cells that belong together."""
    projections: list[Projection] = []
    """Within the structure, into it from others, and out of it."""
    reflexes: list[Reflex] = Field([], max_length=100)
    """Reflex arcs that pass through the structure."""

    @model_validator(mode="after")
    def _known_cells(self):
        for number, projection in enumerate(self.projections):
            sources = projection.from_ if isinstance(projection.from_, list) else [projection.from_]
            for key, names in (("from", sources), ("to", [projection.to])):
                for name in names:
                    if "." not in name and name not in self.cells and name not in self.assemblies:
                        known = ", ".join((*self.cells, *self.assemblies))
                        expected = f"expected a cell of this file ({known}) or structure.cell"
                        raise misfit(f"{expected}, got {name}", "projections", number, key)
        return self

    @model_validator(mode="after")
    def _names_once(self):
        for number, projection in enumerate(self.projections):
            if projection.name and projection.name in [other.name for other in self.projections[:number]]:
                raise misfit(f"the name {projection.name} is taken", "projections", number, "name")
        return self

    @model_validator(mode="after")
    def _known_gates(self):
        names = [p.name for p in self.projections if p.name]
        for number, reflex in enumerate(self.reflexes):
            if reflex.name in [other.name for other in self.reflexes[:number]]:
                raise misfit(f"the name {reflex.name} is taken", "reflexes", number, "name")
            if reflex.gate and ":" not in reflex.gate and reflex.gate not in names:
                expected = f"expected a named projection of this file ({', '.join(names) or 'none'}) or structure:name"
                raise misfit(f"{expected}, got {reflex.gate}", "reflexes", number, "gate")
        return self

    @model_validator(mode="after")
    def _known_members(self):
        for name, assembly in self.assemblies.items():
            if name in self.cells:
                raise misfit(f"the name {name} is a cell's", "assemblies", name)
            if assembly.per is not None and assembly.per not in self.groups:
                known = f"expected a group of this file ({', '.join(self.groups) or 'there are none'})"
                raise misfit(f"{known}, got {assembly.per}", "assemblies", name, "per")
            if assembly.of is not None and "." not in assembly.of and assembly.of not in self.cells:
                expected = f"expected a cell of this file ({', '.join(self.cells)}) or structure.cell"
                raise misfit(f"{expected}, got {assembly.of}", "assemblies", name, "of")
            drawn = [other for other, spec in self.assemblies.items() if spec.of is not None]
            if assembly.members_of is not None and assembly.members_of not in drawn:
                expected = f"expected an assembly of this file that is drawn ({', '.join(drawn) or 'there are none'})"
                raise misfit(f"{expected}, got {assembly.members_of}", "assemblies", name, "members_of")
        return self

    @model_validator(mode="after")
    def _known_groups(self):
        for name, cell in self.cells.items():
            if cell.per not in PER and cell.per not in self.groups:
                known = ", ".join((*PER, *self.groups))
                raise misfit(f"expected one of {known}, got {cell.per}", "cells", name, "per")
            instances = self.groups.get(cell.per, ["left", "right"] if cell.per == "side" else [])
            if isinstance(cell.count, dict) and sorted(cell.count) != sorted(instances):
                expected = f"expected one number, or one each for {', '.join(instances) or 'named instances'}"
                raise misfit(f"{expected}, got {', '.join(cell.count)}", "cells", name, "count")
            for stimulus in cell.driven.stimuli if cell.driven else []:
                if stimulus not in self.stimuli:
                    expected = f"expected a stimulus of this file ({', '.join(self.stimuli) or 'there are none'})"
                    raise misfit(f"{expected}, got {stimulus}", "cells", name, "driven", "by")
        return self
