"""DeviceRunner: what is carried between host and device, and when; on the host as a device (tools/cuda_shim.py)."""

import shutil

import numpy as np
import pytest

from components.network import Gains, SpikeLog, Spikes
from components.neuron import Membrane
from encephagen import load
from engine.device import DeviceRunner, Mirror, region_of, root_of, side_by_side
from engine.schedule import Now
from systems.flush_spikes import SpikeObserver
from systems.schedule import TICK
from tests.systems.nets import PERIODS, build, cell
from tools.cuda_shim import COMPILER, Shim

if shutil.which(COMPILER) is None:
    pytest.skip(f"CUDA kernels are not run on the host: no {COMPILER}", allow_module_level=True)

NOISY = {"background": {"psp": "2 mV", "rate": "500 Hz"}}


def net(device=None, **options):
    """(world, runner) of 300 noisy cells with modulated synapses that learn, on a device or not."""
    by = {"by": "toy.m", "tau": "100 ms", "reference": "5 Hz", "slope": 1, "between": [0, 4]}
    rule = {"kind": "stdp", "a_plus": 0.1, "a_minus": 0.12, "tau_plus": "20 ms", "tau_minus": "20 ms", "highest": 2}
    world, _, runner = build(
        {"e": cell(count=300, **NOISY), "m": cell(count=10, **NOISY)},
        [
            {"from": "e", "to": "e", "indegree": 20, "psp": "0.5 mV", "delay": ["1 ms", "9 ms"], "modulated": [by]},
            {"from": "e", "to": "m", "indegree": 20, "psp": "0.5 mV", "delay": ["1 ms", "3 ms"]},
            {"name": "learns", "from": "m", "to": "e", "indegree": 5, "psp": "1 mV", "delay": ["1 ms", "3 ms"],
             "rule": rule},
        ],
        **options,
    )  # fmt: skip
    return world, runner if device is None else DeviceRunner(world, TICK, PERIODS, device)


def steps(runner, ticks: int):
    for _ in range(ticks):
        runner.step()
    return runner


def test_a_device_gives_the_spikes_and_the_state_of_the_cpu():
    from engine.snapshot import state_arrays

    (here, cpu), (there, other) = net(), net(Shim())
    steps(cpu, 205), steps(other, 205)
    a, b = state_arrays(cpu), state_arrays(other)
    assert [k for k in a if a[k].tobytes() != b[k].tobytes()] == [] and len(a) > 15
    assert here.object(SpikeObserver).digest == there.object(SpikeObserver).digest
    assert here.object(SpikeObserver).total > 500 and not np.array_equal(here[Gains.value], [1, 1])


def test_nothing_is_copied_and_nobody_waits_inside_a_tick():
    device = Shim()
    _, runner = net(device)
    steps(runner, 21)  # the block of spikes is handed over in tick 20
    before = dict(device.log)
    steps(runner, 9)
    assert {k: device.log[k] - before[k] for k in ("pushed", "pulled", "waits", "graphs")} == {
        "pushed": 0, "pulled": 0, "waits": 0, "graphs": 9,
    }  # fmt: skip
    steps(runner, 1)
    assert device.log["waits"] == before["waits"] + 1 and device.log["pushed"] == before["pushed"] + 1


def test_the_host_is_behind_until_it_catches_up():
    world, runner = net(Shim())
    steps(runner, 5)
    table = world.tables["neurons"]
    before = table[Membrane.v].copy()
    steps(runner, 3)
    assert np.array_equal(table[Membrane.v], before)
    runner.catch_up()
    assert not np.array_equal(table[Membrane.v], before)


def test_what_the_host_changes_between_ticks_is_sent_with_push():
    world, runner = net(Shim())
    steps(runner, 5)
    runner.catch_up(everything=True)
    world.tables["neurons"][Membrane.threshold][:] = 1e30
    runner.push()
    steps(runner, 30)
    runner.catch_up()
    assert world[Spikes.count][0] == 0


def test_a_moment_kept_in_memory_is_recalled_on_the_device():
    from engine.snapshot import Marks

    world, runner = net(Shim())
    steps(runner, 37)
    marks = Marks(runner)
    kept, spikes = marks.mark(), world.object(SpikeObserver)
    ends = []
    for _ in range(2):
        steps(runner, 54)
        ends.append((spikes.digest, spikes.total, world.tick))
        marks.recall(kept)
    assert ends[0] == ends[1] and world.tick == 37 and ends[0][1] > 50


def test_a_change_of_structure_loses_nothing():
    """Rows spawned in a table of no kernel: all is brought back, and sent again to where it is now."""
    from components.network import Modulator

    (here, cpu), (there, other) = net(), net(Shim())
    for world, runner in ((here, cpu), (there, other)):
        steps(runner, 30)
        world.spawn("modulators", 1, lambda t, rows: [t[c].__setitem__(rows, t[c][0]) for c in t.columns])
        steps(runner, 31)
        runner.catch_up()
    assert here.tables["modulators"].row_count == there.tables["modulators"].row_count
    assert np.array_equal(here.tables["modulators"][Modulator.rate], there.tables["modulators"][Modulator.rate])
    assert here.object(SpikeObserver).digest == there.object(SpikeObserver).digest


def test_arrays_that_share_memory_share_it_on_the_device():
    mirror, whole = Mirror(Shim()), np.arange(100, dtype=np.int32)
    part = whole[40:60]
    assert mirror.address(part) - mirror.address(whole) == 160
    assert mirror.address(whole) % 64 == whole.ctypes.data % 64 or mirror.address(whole) % 16 == whole.ctypes.data % 16
    mirror.place(part)[0][mirror.place(part)[1] :][:4] = np.frombuffer(np.int32(-7).tobytes(), np.uint8)
    mirror.bring([whole])
    assert whole[40] == -7 and whole[41] == 41
    assert root_of(part[3:]) is whole and region_of(part).meets([region_of(whole[59:])])
    assert not region_of(part).meets([region_of(whole[60:]), region_of(np.zeros(3))])
    with pytest.raises(ValueError, match="contiguous"):
        mirror.place(whole[::2])


def test_kernels_side_by_side_do_not_touch_what_another_writes():
    """The groups keep every pair that must not be swapped in order, and are fewer than the launches."""
    _, runner = net(Shim())
    runner.bind()
    launches = [x for _, calls in runner.plan for call in calls for x in runner.launches_of(call)]
    groups = side_by_side([(x.stage, x.values) for x in launches])
    assert sorted(k for g in groups for k in g) == list(range(len(launches))) and len(groups) < len(launches)
    level = {k: n for n, g in enumerate(groups) for k in g}
    touched = [[{region_of(a) for a in arrays} for arrays in x.stage.touched(x.values)] for x in launches]
    for b, (read_b, written_b) in enumerate(touched):
        for a, (read_a, written_a) in enumerate(touched[:b]):
            clash = any(r.meets(written_a) for r in read_b | written_b) or any(r.meets(read_a) for r in written_b)
            assert not clash or level[a] < level[b], (launches[a].stage.name, launches[b].stage.name)
    order = [launches[k].stage.name for g in groups for k in g]
    assert order.index("deliver_spikes_take") < order.index("lif_integrate") < order.index("collect_spikes")


# with a body: the physics is put off ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grasp():
    """The newborn's cord alone, its palm pressed; on a device or on the CPU."""
    changes = ["brain.circuits=[spinal_segments]", "brain.silence=[]", "actions=[]", "timeline=[]", "probes=[]",
               "expect=[]",               "record.every=7 ms"]  # fmt: skip

    def make(device=None):
        sim = load("newborn", device=device, overrides=changes)
        sim.touch("palm_left", "0.5 N", last="63 ms")
        sim.tap("knee_left_extensor", "0.05 N m", last="33 ms")
        return sim

    return make


def test_the_physics_runs_beside_the_next_tick(grasp):
    """A body step is 2 ticks: at the end of its first tick the physics is still to come, before the next it is done."""
    sim = grasp(Shim())
    seen = []
    for _ in range(6):
        sim.runner.step()
        seen.append(sim.physics.steps)
    assert seen == [1, 1, 1, 1, 2, 2]  # tick 0 hands spikes over and takes a sample: nothing is put off there
    sim.runner.catch_up()
    assert sim.physics.steps == 3


def test_a_body_on_a_device_moves_as_on_the_cpu_and_continues_from_either_snapshot(grasp, tmp_path):
    straight, first = grasp().run("160 ms"), grasp(Shim()).run("87 ms")
    first.save(tmp_path / "device.h5")
    on_cpu = grasp().load_state(tmp_path / "device.h5").run("30 ms")
    on_cpu.save(tmp_path / "cpu.h5")
    last = grasp(Shim(backwards=True)).load_state(tmp_path / "cpu.h5").run("43 ms")
    assert last.spike_hash == straight.spike_hash and straight.spikes.total > 100
    assert np.array_equal(last.physics.snapshot()["state"], straight.physics.snapshot()["state"])
    assert last.activation() == straight.activation()


def test_samples_and_lookers_on_see_the_same(grasp):
    rows = []
    for device in (None, Shim()):
        sim = grasp(device)
        table = sim.world.tables["muscles"]
        from components.body import BodyState, Muscle

        sim.sampler.trace("activation", lambda t=table: t[Muscle.activation])
        sim.sampler.trace("sensors", lambda s=sim: s.world[BodyState.sensors])
        looked = []
        sim.run("60 ms", on_tick=lambda s, to=looked: to.append((int(s.world[SpikeLog.count][0]), s.physics.steps)))
        assert sim.world[Now.tick][0] == 59
        rows.append((looked, *(sim.sampler.traced(k)[1].tobytes() for k in ("activation", "sensors"))))
    assert rows[0] == rows[1] and len(rows[0][0]) == 60


# through CuPy, or what stands in for it -------------------------------------------------------------------------


def test_cuda_asks_cupy_for_the_right_things(grasp, monkeypatch):
    """Types, forks and joins, pinned memory, copies outside of graphs: engine/cuda.py against a strict stand-in."""
    import sys

    from engine import cuda
    from tests.engine import fake_cupy

    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.make())
    monkeypatch.setattr(cuda, "missing", lambda: None)
    sim = grasp(cuda.Cuda()).run("60 ms")
    assert sim.device == "cuda" and sim.spike_hash == grasp().run("60 ms").spike_hash


def test_without_a_gpu_it_says_so_in_one_line(monkeypatch):
    import importlib.util
    import sys
    import types

    from engine import cuda
    from engine.errors import UserError

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="CuPy is not installed"):
        cuda.Cuda()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())

    def fail():
        raise RuntimeError("cudaErrorInsufficientDriver:\nCUDA driver version is insufficient")

    runtime = types.SimpleNamespace(getDeviceCount=fail)
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime)))
    assert cuda.missing() == "cudaErrorInsufficientDriver: CUDA driver version is insufficient"
    runtime.getDeviceCount = lambda: 0
    assert cuda.missing() == "no CUDA device was found"
    runtime.getDeviceCount = lambda: 1
    assert cuda.missing() is None
