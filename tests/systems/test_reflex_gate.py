"""reflex_gate against the closed form of its filter and gain; arcs that close, open and compete in the brainstem."""

import numpy as np
import pytest

from components.network import Arcs, Gains, Gate, Spikes
from engine.errors import UserError
from engine.world import World
from systems.reflex_gate import reflex_gate
from systems.simulation import load

# ---- the system ----------------------------------------------------------------------------------------------------


@pytest.fixture
def world():
    """Arc 0 is gated by cells 0..3 and by cells 4..5, and has groups 1 and 2; arc 1 by cells 4..5, and has group 2."""
    world = World(0)
    world.set_array(Spikes.fired, np.zeros(6, np.uint8))
    world.set_array(Gains.value, np.ones(4, np.float32))
    world.set_array(Arcs.gain, np.ones(2, np.float32))
    world.set_array(Arcs.arc, np.array([0, 0, 1], np.int32))
    world.set_array(Arcs.group, np.array([1, 2, 2], np.int32))
    table = world.add_table("gates", [Gate], 3)
    table[Gate.first][:], table[Gate.count][:], table[Gate.arc][:] = [0, 4, 4], [4, 2, 2], [0, 0, 1]
    table[Gate.decay][:] = np.exp(-1 / 100.0)
    table[Gate.per_spike][:] = 1000.0 / (100.0 * table[Gate.count])
    table[Gate.reference][:] = table[Gate.rate][:] = 40.0
    table[Gate.slope][:], table[Gate.lowest][:], table[Gate.highest][:] = [-1.0, -0.5, 0.5], 0.0, [1.8, 3.0, 3.0]
    return world


def run(world, ticks: int, fired=(), modulated: float = 1.0):
    for _ in range(ticks):
        world[Spikes.fired][:] = 0
        world[Spikes.fired][list(fired)] = 3
        world[Gains.value][:] = modulated  # what modulate left
        reflex_gate(world.tables["gates"], world)
    return world[Arcs.gain].astype(float), world[Gains.value].astype(float)


def test_silence_of_the_gating_cells_opens_an_arc(world):
    gain, value = run(world, 50)
    fade = np.exp(-50 / 100.0) - 1
    first, second, third = min(1 - fade, 1.8), 1 - 0.5 * fade, 1 + 0.5 * fade
    assert gain == pytest.approx([first * second, third], rel=1e-5)
    assert value == pytest.approx([1.0, gain[0], gain[0] * gain[1], 1.0], rel=1e-5)


def test_their_spikes_close_it_and_modulators_stay_in_force(world):
    gain, value = run(world, 300, range(4), modulated=2.0)  # a spike a tick: 1000 Hz, far above the reference
    assert gain[0] == 0.0
    assert value == pytest.approx([2.0, 0.0, 0.0, 2.0])


def test_one_spike_counts_as_one_over_tau_and_count(world):
    run(world, 1, [0, 4])
    assert world.tables["gates"][Gate.rate] == pytest.approx(40.0 * np.exp(-0.01) + np.array([2.5, 5, 5]), rel=1e-5)


# ---- arcs of the brainstem -------------------------------------------------------------------------------------------

SCENE = """
title: Brainstem and locomotor circuit among stand-ins
duration: 60 s
brain:
  profile: newborn
  circuits: [brainstem, spinal_cpg]
  stand_ins: [basal_ganglia, hypothalamus, neuromodulators, superior_colliculus]
  gains: {"basal_ganglia:to_midbrain": 0}
"""


@pytest.fixture
def brainstem(tmp_path):
    """The pallidum acts through the gate alone: its synapses onto the midbrain are cut."""

    def make(seed):
        path = tmp_path / "brainstem.yaml"
        path.write_text(SCENE)
        sim = load(str(path), seed=seed)
        sim.run("500 ms")
        return sim

    return make


def gain_of(sim, name):
    return float(sim.world[Arcs.gain][next(r.row for r in sim.network.reflexes if r.name == name)])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_pallidum_closes_the_stepping_arc_and_its_silence_opens_it(brainstem, seed):
    rate, gain = {}, {}
    for name in ("sham", "excited", "silenced"):
        sim = brainstem(seed)
        sim.stimulate("brainstem.*.locomotor", "8 mV", "5 s")
        if name == "silenced":
            sim.silence("basal_ganglia.*.gpi")
        else:
            sim.stimulate("basal_ganglia.*.gpi", "30 mV" if name == "excited" else "0.001 mV", "5 s")
        sim.run("300 ms")
        first = sim.tick
        sim.run("2 s")
        neurons = sim.network.neurons("spinal_cpg.*.rg_*").size
        rate[name] = sim.spike_count("spinal_cpg.*.rg_*", first, sim.tick) / neurons / 2.0
        gain[name] = gain_of(sim, "stepping")
        assert sim.spike_count("brainstem.*.locomotor", first, sim.tick) > 200, (
            "the midbrain asks for steps all the same"
        )
    assert gain["excited"] < 0.1 and 0.7 < gain["sham"] < 1.3 and gain["silenced"] > 1.4
    assert rate["excited"] < 0.5 * rate["sham"] < rate["sham"] < rate["silenced"]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("sound", "silence", "held"), [
    ("17 mV", None, True), ("0.001 mV", None, False), ("17 mV", "brainstem.*.arrest", False),
    ("17 mV", "brainstem.*.startle", False),
])  # fmt: skip
def test_a_startle_holds_stepping_up_for_300_ms(brainstem, seed, sound, silence, held):
    sim = brainstem(seed)
    if silence:
        sim.silence(silence)
    sim.stimulate("brainstem.*.locomotor", "8 mV", "5 s")
    sim.run("1 s")
    bang = sim.tick
    sim.stimulate("brainstem.*.cochlear", sound, "50 ms")
    sim.run("1 s")

    def steps(start, stop):
        return sim.spike_count("brainstem.*.locomotor", bang + start, bang + stop) / (stop - start)

    before, during, after = steps(-500, 0), steps(20, 300), steps(600, 1000)
    assert (during < 0.4 * before) == held
    assert after > 0.6 * before, "and lets go"


def test_every_arc_of_the_newborn_names_what_is_there():
    sim = load("newborn")
    names = {p.name for p in sim.network.projections if p.count}
    reflexes = sim.network.reflexes
    assert {"startle", "stepping", "orienting", "palmar_grasp", "stretch"} <= {r.name for r in reflexes}
    for reflex in reflexes:
        for selector in (reflex.spec.afferent, reflex.spec.through, reflex.spec.motor):
            assert sim.network.select(selector), reflex.name
        assert set(reflex.gates) <= names, reflex.name
        assert (reflex.row >= 0) == bool(reflex.spec.gated)


def test_a_gate_without_gated_cells_is_one_line(tmp_path):
    from systems.spawn.network import CIRCUITS, load_circuit

    text = (CIRCUITS / "spinal_cpg.yaml").read_text()
    wrong = "reflexes: [{name: r, afferent: a.*, through: b.*, motor: c.*, gate: drive_flexor}]\ncells:"
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace("\ncells:", "\n" + wrong, 1))
    with pytest.raises(UserError, match="expected gate and gated together"):
        load_circuit(str(path))
    path.write_text(
        text.replace("\ncells:", "\n" + wrong.replace("drive_flexor", "nothing, gated: [{by: x.y, slope: 1}]"), 1)
    )
    with pytest.raises(UserError, match="expected a named projection of this file"):
        load_circuit(str(path))


def test_two_projections_of_one_name_are_one_line(tmp_path):
    """A name selects one projection, for gains and gates."""
    from systems.spawn.network import CIRCUITS, load_circuit

    path = tmp_path / "twice.yaml"
    path.write_text((CIRCUITS / "spinal_cpg.yaml").read_text().replace("name: drive_v2a", "name: drive_flexor"))
    with pytest.raises(UserError, match="the name drive_flexor is taken"):
        load_circuit(str(path))
