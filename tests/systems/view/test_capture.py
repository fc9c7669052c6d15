"""Frames taken from a simulation: what they show equals what was simulated, and they are copies."""

import numpy as np
import pytest

from systems.sample_record import RateMeter
from systems.view.capture import RASTER_BIN_MS, RASTER_MS, Capture, places
from tests.tools.conftest import calibration, scenes  # noqa: F401


@pytest.fixture
def sim(scenes):  # noqa: F811
    from encephagen import load

    return load(scenes / "walker.yaml")


def test_a_frame_shows_the_last_spikes(sim):
    capture = Capture(sim)
    sim.run(155)
    frame = capture.frame(2.0)
    ids, ticks = sim.spike_history()
    cortex = sim.timeline.targets.neurons("cortex")
    recent = np.isin(ids, cortex) & (ticks >= 105)
    assert frame.time_s == 0.155 and frame.realtime_x == 2.0
    assert frame.rates["cortex"] == pytest.approx(recent.sum() / cortex.size / 0.05)
    assert set(frame.rates) == {"cortex", "spinal_segments"}
    assert [name for name, _, _ in frame.raster_bands] == ["cortex", "spinal_segments"]
    assert frame.raster.shape == (frame.raster_bands[-1][2], RASTER_MS // RASTER_BIN_MS)
    lit = np.flatnonzero(frame.raster.any(axis=0))
    assert lit.size > 5 and lit.min() >= frame.raster.shape[1] - 155 // RASTER_BIN_MS - 1
    assert frame.events == [(0.06, "stimulate cortex.Calcarine L.*")]
    for label, hz in zip(sim.network.connectome.labels, frame.points.value, strict=True):
        region = sim.timeline.targets.neurons(f"cortex.{label}")
        assert hz == pytest.approx((np.isin(ids, region) & (ticks >= 105)).sum() / region.size / 0.05)
    geoms = sim.physics.model.ngeom
    assert frame.geom_xpos.shape == (geoms, 3) and frame.geom_tint.shape == (geoms,)
    assert len(frame.muscles) == 12 and frame.afferents


def test_a_frame_is_a_copy_and_takes_no_part(sim, scenes):  # noqa: F811
    from encephagen import load

    capture = Capture(sim)
    for _ in range(6):
        sim.run(25)
        frame = capture.frame()
        for array in (frame.geom_xpos, frame.geom_xmat, frame.raster, frame.points.value, frame.points.xyz_mm):
            array[...] = 0
    capture.detach()
    assert sim.spike_hash == load(scenes / "walker.yaml").run(150).spike_hash


def test_the_raster_of_a_late_capture_is_filled_from_memory(sim):
    early = Capture(sim)
    sim.run(107)
    late = Capture(sim)
    assert np.array_equal(early.frame().raster, late.frame().raster)


def test_tint_reddens_the_part_that_the_muscle_moves(sim):
    from components.body import Muscle

    capture = Capture(sim)
    row = sim.physics.muscle_names.index("knee_left_flexor")
    sim.world.tables["muscles"][Muscle.activation][row] = 0.8
    tint = capture.frame().geom_tint
    model = sim.physics.model
    parts = {model.body(model.geom_bodyid[g]).name for g in np.flatnonzero(tint > 0.5)}
    assert parts == {"leg_left"} and tint.max() == np.float32(0.8)


def test_regions_without_positions_stand_in_a_ring():
    from types import SimpleNamespace

    xyz = places(SimpleNamespace(position_mm=np.full((10, 3), np.nan)))
    assert xyz.shape == (10, 3) and np.isfinite(xyz).all() and len(np.unique(xyz.round(3), axis=0)) == 10


def test_rate_meter_counts_between_calls(sim):
    meter = RateMeter(sim)
    sim.run(40)
    meter()
    sim.run(30)
    cortex = sim.timeline.targets.neurons("cortex")
    expected = sim.spike_count("cortex", 40, 70) / cortex.size / 0.030
    assert meter()[meter.names.index("cortex")] == pytest.approx(expected)


def test_glow_fades_from_the_last_spike_and_origin_tells_injected_from_held(sim):
    from systems.timeline import Action
    from systems.view.frame import COMPUTED, GLOW_MS, HAND_SET, INJECTED

    capture = Capture(sim)
    sim.timeline.add(Action(70, -1, "silence", "cortex.Precentral_R.*"))
    sim.run(155)
    frame = capture.frame()
    ids, ticks = sim.spike_history()
    last = np.full(sim.network.neuron_count, -10_000)
    np.maximum.at(last, ids, ticks)
    expected = np.where(last < 0, 0.0, np.exp(-(sim.tick - 1 - last) / GLOW_MS))
    assert frame.glow.dtype == np.float32 and np.allclose(frame.glow, expected, atol=1e-6)
    driven, held = (sim.timeline.targets.neurons(f"cortex.{r}.*") for r in ("Calcarine_L", "Precentral_R"))
    assert (frame.origin[driven] == INJECTED).all() and (frame.origin[held] == HAND_SET).all()
    assert (frame.origin == COMPUTED).sum() == frame.origin.size - driven.size - held.size
    sim.run(20)  # the stimulus ends at 160 ms
    assert not (capture.frame().origin == INJECTED).any()


def test_pulses_count_the_spikes_of_each_source_by_age(sim):
    from systems.view.brain_tracts import brain_of
    from systems.view.frame import PULSE_MS

    capture = Capture(sim)
    sim.run(155)
    frame = capture.frame()
    tracts = brain_of(sim).tracts
    ids, ticks = sim.spike_history()
    assert frame.pulses.shape == (tracts.size.size, PULSE_MS) and frame.pulses.sum() > 100
    for row in range(0, tracts.size.size, 3):
        mine = ticks[tracts.source_of[ids] == row]
        assert np.array_equal(frame.pulses[row], np.bincount(154 - mine, minlength=PULSE_MS)[:PULSE_MS])


def test_patch_rates_are_those_of_the_afferents(sim):
    capture = Capture(sim)
    sim.run(155)
    frame = capture.frame()
    ids, ticks = sim.spike_history()
    for k, patch in enumerate(sim.body.patches):
        afferents = sim.network.neurons(f"*.{patch.name}.*")
        spikes = (np.isin(ids, afferents) & (ticks >= 105)).sum()
        assert frame.patch_rate[k] == pytest.approx(spikes / afferents.size / 0.05)
    assert np.array_equal(frame.activation, np.array(list(sim.activation().values()), np.float32))
