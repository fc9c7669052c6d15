"""What the panels show, against spikes counted by hand and by the simulation's own questions."""

import numpy as np
import pytest

from systems.simulation import load
from systems.view.monitor import BIN_MS, BINS, DRIVE_MS, LEAD_BINS, WAVE_MS, Monitor, ReflexSpec, shipped_panels, sided


@pytest.fixture(scope="module")
def sim():
    return load("newborn")


@pytest.fixture
def monitor(sim):
    made = Monitor(sim)
    yield made
    made.detach()


def test_rates_are_the_spikes_counted(sim, monitor):
    """Histories by bin and rates over the last 100 ms, structure by structure, in pieces that are not whole bins."""
    for ms in (7, 33, 33, 133, 94):
        sim.run(ms)
        data = monitor.data()
    now = sim.tick
    for k, name in enumerate(data.structures):
        size = sim._neurons(f"{name}.*").size
        counted = sim.spike_count(f"{name}.*", now - DRIVE_MS, now) / size / (DRIVE_MS / 1000.0)
        assert data.structure_hz[k] == pytest.approx(counted, rel=1e-5)
        whole = now // BIN_MS * BIN_MS
        for back in (1, 2, 3):
            start = whole - back * BIN_MS
            counted = sim.spike_count(f"{name}.*", start, start + BIN_MS) / size / (BIN_MS / 1000.0)
            assert data.structure_history[k, -back] == pytest.approx(counted, rel=1e-5)
    region = data.regions[3]
    counted = sim.spike_count(f"*.{region}.*", whole - BIN_MS, whole) / sim._neurons(f"*.{region}.*").size / 0.05
    assert data.region_history[3, -1] == pytest.approx(counted, rel=1e-5)
    assert data.structure_history.shape == (len(data.structures), BINS - 1)


def test_blocks_for_the_raster_hold_every_spike_once(sim, monitor):
    start = sim.tick
    for ms in (3, 10, 21, 66):
        sim.run(ms)
        data = monitor.data()
    ids, ticks = (np.concatenate(x) for x in zip(*data.spikes, strict=True))
    kept = ticks >= start
    expected = sim.spike_history(start)
    order, other = np.lexsort((ids[kept], ticks[kept])), None
    now = expected[1] >= start
    other = np.lexsort((expected[0][now], expected[1][now]))
    assert np.array_equal(ids[kept][order], expected[0][now][other])
    assert np.array_equal(ticks[kept][order], expected[1][now][other])


def test_one_spike_makes_the_kernel(sim, monitor):
    """A spike of one excitatory cell: an exponential of 3 ms that begins 6 ms late; of an inhibitory: 6 ms, at once."""
    excitatory = next(p for p in sim.network.populations if p.cell.per == "region" and p.cell.acts_on == "ampa")
    inhibitory = next(p for p in sim.network.populations if p.cell.per == "region" and p.cell.acts_on != "ampa")
    for p, tau, late, share in ((excitatory, 3.0, LEAD_BINS, 1.0), (inhibitory, 6.0, 0, 1.65)):
        monitor.forget()
        monitor._pending.clear()
        start = monitor._wave_done * WAVE_MS
        monitor._waves(np.array([p.first]), np.array([start + 40]), start + 200)
        channel = monitor._channel[p.first]
        wave = monitor._wave[channel // 2, -100:]
        keep = np.exp(-WAVE_MS / tau)
        height = share * (1.0 - keep) * 1000.0 / WAVE_MS / monitor._channel_size[channel]
        assert np.argmax(wave) == 20 + late
        assert wave[20 + late] == pytest.approx(height, rel=0.02)  # the slow drift takes a little
        assert wave[22 + late] == pytest.approx(height * keep**2, rel=0.05)
        assert np.allclose(np.delete(monitor._wave, channel // 2, axis=0), 0.0)


def test_asking_more_often_changes_nothing(sim):
    """The same histories and waves whether a frame is asked for every 7 ticks or once."""
    often, once = Monitor(sim), Monitor(sim)
    for _ in range(30):
        sim.run(7)
        a = often.data()
    b = once.data()
    assert np.allclose(a.structure_history, b.structure_history)
    assert np.allclose(a.waves, b.waves, atol=1e-4)
    often.detach()
    once.detach()


def test_time_taken_back(sim, monitor, tmp_path):
    """After a snapshot was recalled the counts are those of the spikes that are left."""
    sim.run(60)
    sim.save(tmp_path / "a.h5")
    at = sim.tick
    sim.run(120)
    monitor.data()
    sim.load_state(tmp_path / "a.h5")
    monitor.forget()
    data = monitor.data()
    assert data.tick == at == sim.tick
    for k, name in enumerate(data.structures):
        size = sim._neurons(f"{name}.*").size
        counted = sim.spike_count(f"{name}.*", at - DRIVE_MS, at) / size / (DRIVE_MS / 1000.0)
        assert data.structure_hz[k] == pytest.approx(counted, rel=1e-5)


def test_a_finger_in_the_palm_is_a_driven_and_fired_reflex(sim, monitor):
    sim.touch("palm_left", last="300 ms")
    sim.run(250)
    rows = {row.name: row for row in monitor.data().reflexes}
    left, right = rows["palm grasp, left"], rows["palm grasp, right"]
    assert left.drive_hz > 30.0 and left.through_hz > 10.0 and left.fired_ago_s is not None and left.fired_ago_s < 0.2
    assert right.drive_hz < 15.0 and right.fired_ago_s is None
    assert rows["knee jerk, left"].gate == pytest.approx(1.0, abs=0.6)  # the gain that serotonin gives
    assert ("touch", "palm_left") in monitor.data().in_force
    assert any(text == "touch palm left" for _, text in monitor.data().events)
    sim.run(100)


def test_joints_are_the_pose(sim, monitor):
    model, data = sim.physics.model, sim.physics.data
    for name, angle, low, high in monitor.data().joints:
        joint = model.joint(name)
        assert angle == data.qpos[joint.qposadr[0]] and low < high


def test_a_monitor_changes_no_spike():
    with_one, without = load("newborn", seed=3), load("newborn", seed=3)
    watch = Monitor(with_one)
    for _ in range(3):
        with_one.run(21)
        watch.data()
    without.run(63)
    assert with_one.spike_hash == without.spike_hash


def test_rows_for_both_sides():
    spec = ReflexSpec(name="x, {side}", afferent="a.{side}.b", motor="c.*.d", fires_at="10 Hz")
    assert [row.name for row in sided(spec)] == ["x, left", "x, right"]
    assert sided(spec)[1].afferent == "a.right.b" and sided(spec)[0].fires_at == 10.0
    assert shipped_panels().reflexes and shipped_panels().drives
