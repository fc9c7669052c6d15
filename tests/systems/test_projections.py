"""For every projection of every circuit: one spike in A moves B, by its sign, after its delay, and not the reverse.

The whole nervous system of the newborn is built once; background, tonic drives and senses are still, and thresholds out
of reach, so nothing moves but what the one injected spike moves.
"""

import numpy as np
import pytest

from components.network import Fanout, Inputs, Spikes, Synapse
from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, LowThreshold, Membrane, Nmda
from engine.schedule import Runner
from systems.schedule import TICK
from systems.spawn import build
from systems.spawn.network import CIRCUITS, fanout_of, load_circuit

FILES = sorted(path.stem for path in CIRCUITS.glob("*.yaml"))
SIGN = {"ampa": 1, "gaba": -1, "gaba_slow": -1, "nmda": 1}
OPENS = {"nmda": "ampa"}  # NMDA receptors are opened by cells that act on AMPA receptors
DRIVE = {"ampa": Ampa, "gaba": Gaba, "gaba_slow": GabaSlow}


def specs():
    """(number in the order they are built, name to show) of every projection of every file."""
    number = 0
    for file in FILES:
        circuit, _ = load_circuit(file)
        for spec in circuit.projections:
            source = "+".join(spec.from_) if isinstance(spec.from_, list) else spec.from_
            yield pytest.param(number, id=f"{file}:{spec.name or source + '>' + spec.to}")
            number += 1


class Brain:
    """All circuits in the newborn, still, with the tick reduced to delivery and integration."""

    def __init__(self, folder):
        from systems.simulation import load

        scene = folder / "all.yaml"
        scene.write_text(
            "title: every circuit\nseed: 1\nduration: 1 s\n"
            f"brain: {{profile: newborn, circuits: [{', '.join(FILES)}]}}\nbody: {{model: newborn}}\n"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build, "background_rates", lambda *_: {})
            sim = load(scene)
        self.world, self.network = sim.world, sim.network
        self.runner = Runner(self.world, [p for p in TICK if p.name in ("deliver", "integrate")], {"tick": 1})
        self.tables = self.world.tables_with([Membrane])
        self.receptor = self.network.receptor_of
        self.synapses = {name: self.world.tables[name] for name in self.receptor}
        self.pre = {
            name: np.repeat(np.arange(self.network.neuron_count), np.diff(fanout_of(t)[:, [0, -1]], axis=1)[:, 0])
            for name, t in self.synapses.items()
        }
        self.rings = [t[Fanout.ring] for t in self.synapses.values() if Fanout in t]
        self.slots = max(ring.shape[0] for ring in self.rings)
        self.world[Inputs.threshold][:] = 1e30
        for table in self.world.tables_with([LowThreshold]):
            table[LowThreshold.gain][:] = 0  # a rebound would follow every inhibition

    def reset(self) -> None:
        """Everything at rest, nothing under way."""
        still = (
            Membrane.v, Membrane.drive, Membrane.tonic, Membrane.stimulus, Membrane.sense, Membrane.fired,
            Membrane.refractory_left, Ampa.i, Ampa.arrived, Gaba.i, Gaba.arrived, GabaSlow.i, GabaSlow.arrived,
            Nmda.i, Adaptation.w,
        )  # fmt: skip
        for table in self.tables:
            for column in still:
                if column.owner in table:
                    table[column][:] = 0
        for ring in self.rings:
            ring[:] = 0

    def find(self, column, neuron: int) -> float:
        """A neuron's value of a column; 0 where its table does not have it."""
        for table in self.tables:
            if neuron < table.row_count:
                return float(table[column][neuron]) if column.owner in table else 0.0
            neuron -= table.row_count
        raise IndexError(neuron)

    def follow(self, source: int, target: int, ticks: int) -> np.ndarray:
        """Potential of `target` after each tick when `source` fired just before the first."""
        self.reset()
        self.world[Spikes.ids][0], self.world[Spikes.count][0] = source, 1
        out = np.zeros(ticks)
        for k in range(ticks):
            self.runner.step()
            out[k] = self.find(Membrane.v, target)
        assert self.world[Spikes.count][0] == 0
        return out

    def between(self, source: int, target: int) -> list[tuple[int, float, str]]:
        """(delay, weight, receptor) of all synapses from source to target."""
        found = []
        for name, table in self.synapses.items():
            start, receptor = fanout_of(table), self.receptor[name]
            here = slice(start[source, 0], start[source, -1])
            hit = table[Synapse.post][here] == target
            delays, weights = table[Synapse.delay][here][hit], table[Synapse.weight][here][hit]
            found += [(int(d), float(w), receptor) for d, w in zip(delays, weights, strict=True)]
        return sorted(found)


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    return Brain(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize("number", list(specs()))
def test_a_spike_in_a_moves_b_after_its_delay_and_not_the_reverse(brain, number):
    projection = brain.network.projections[number]
    if projection.gain == 0:
        pytest.skip("its gain is 0 in this profile")
    assert projection.count > 0, f"{projection.name} made no synapse"
    (name,) = [
        n
        for n, numbers in brain.network.projection_of.items()
        if brain.synapses[n][Synapse.weight][numbers == number].any()
    ]  # an empty table has one row of no weight
    receptor = brain.receptor[name]
    rows = np.flatnonzero(brain.network.projection_of[name] == number)
    assert rows.size == projection.count
    for row in rows[[0, rows.size // 2]]:
        a, b = int(brain.pre[name][row]), int(brain.synapses[name][Synapse.post][row])
        joined = brain.between(a, b)
        delay, _, _ = joined[0]
        v = SIGN[receptor] * brain.follow(a, b, delay + 40)
        assert not v[: delay - 1].any(), "arrives too early"
        assert v[delay - 1] > 0, "arrives too late, or with the wrong sign"
        assert (v > -1e-4).all() and {OPENS.get(r, r) for _, _, r in joined} == {OPENS.get(receptor, receptor)}
        if len(joined) == 1 and not brain.find(Nmda.jump, b):
            weight = float(brain.synapses[name][Synapse.weight][row])
            assert v.max() == pytest.approx(weight, rel=0.05, abs=2**-16)
        if not brain.between(b, a):
            assert not brain.follow(b, a, brain.slots + 2).any(), "the reverse moves too"


def test_the_check_above_can_fail(brain):
    """A neuron that is not joined stays put, a changed delay is seen, and so is a changed sign."""
    row = brain.synapses["synapses_ampa"].row_count // 2
    a, b = int(brain.pre["synapses_ampa"][row]), int(brain.synapses["synapses_ampa"][Synapse.post][row])
    (delay, _, _), *_ = brain.between(a, b)
    stranger = next(k for k in range(brain.network.neuron_count) if k != a and not brain.between(a, k))
    assert not brain.follow(a, stranger, brain.slots).any()
    column = brain.synapses["synapses_ampa"][Fanout.parcel]
    kept = column[row]
    column[row] = kept + np.uint64(1 << 24)
    try:
        assert not brain.follow(a, b, delay + 5)[:delay].any()
    finally:
        column[row] = kept


def test_dale_every_population_opens_one_receptor_and_weights_are_never_negative(brain):
    acts_on = np.empty(brain.network.neuron_count, dtype="U10")
    for p in brain.network.populations:
        acts_on[p.neurons] = p.cell.acts_on
    for name, table in brain.synapses.items():
        ring = brain.synapses[f"synapses_{brain.receptor[name]}"][Fanout.ring]
        assert (acts_on[brain.pre[name]] == OPENS.get(brain.receptor[name], brain.receptor[name])).all()
        assert (table[Synapse.weight] >= 0).all() and np.isfinite(table[Synapse.weight]).all()
        assert (table[Synapse.delay] >= 1).all() and table[Synapse.delay].max() < ring.shape[0]


def test_every_neuron_with_a_role_is_joined(brain):
    """No population is an island: it senses, projects or receives, or a learning rule hears it."""
    touched = np.zeros(brain.network.neuron_count, bool)
    for name, table in brain.synapses.items():
        touched[brain.pre[name]] = touched[table[Synapse.post]] = True
    heard = {getattr(p.spec.rule, "teacher", None) for p in brain.network.projections}
    alone = [p.name for p in brain.network.populations
             if not touched[p.neurons].any() and f"{p.structure}.{p.cell_name}" not in heard]  # fmt: skip
    assert not alone, f"not joined to anything: {alone[:8]}"
