"""CUDA kernels give the bits of their numba twins: each on random inputs, and the whole brain over 1,000 ticks.

The kernels run on the host through shaders/cuda/host_shim.h, on any number of blocks, forwards and backwards; where
there is a GPU they run there too.
"""

import inspect
import shutil

import numpy as np
import pytest

from encephagen import load
from engine import cuda
from engine.kernel import Kernel
from engine.twin import twin_of
from systems.background_noise import event_thresholds
from systems.deliver_spikes import parcels
from systems.lif_integrate import ROWS
from systems.schedule import TICK
from tools.cuda_shim import COMPILER, Shim, launcher

if shutil.which(COMPILER) is None:
    pytest.skip(f"CUDA kernels are not run on the host: no {COMPILER}", allow_module_level=True)

KERNELS = {s.name: s for phase in TICK for s in phase.systems if isinstance(s.function, Kernel)}
NEURONS = 700
F, I, L = np.float32, np.int32, np.int64  # noqa: E741
needs_gpu = pytest.mark.skipif(cuda.missing() is not None, reason=f"no CUDA device: {cuda.missing()}")


# random inputs: name of an argument -> array, for one table ------------------------------------------------------


def number(rng, low, high, size) -> np.ndarray:
    return rng.uniform(low, high, size).astype(F)


def spikes(rng, neurons: int = NEURONS, share: float = 0.2) -> dict:
    """ids and count of last tick's spikes; what lies beyond the count is rubbish."""
    ids = np.full(neurons, 2**31 - 1, I)
    found = np.flatnonzero(rng.random(neurons) < share)
    ids[: found.size] = found
    return {"ids": ids, "count": np.array([found.size], L)}


def all_parts() -> dict:
    """Two runs, one of each of two parts, both to be done."""
    return {"own": np.array([0, 2], L), "part": np.array([0, 1, 2], I), "run": np.array([0, 256, NEURONS], I)}


def groups(rng, n: int) -> dict:
    """first and count of n ranges that do not overlap."""
    edges = np.sort(rng.choice(NEURONS, 2 * n, replace=False)).astype(I)
    return {"first": edges[::2].copy(), "count": edges[1::2] - edges[::2]}


def organs(rng, **more) -> tuple[int, dict]:
    n = 40
    sensors = rng.normal(0, 3, 90)
    return n, {"sensors": sensors, "spread": number(rng, 0, 5, NEURONS), "sense": number(rng, 0, 1, NEURONS),
               **groups(rng, n), **{k: v(n) for k, v in more.items()}}  # fmt: skip


def sum_drive(rng):
    columns = {k: number(rng, -20, 20, NEURONS) for k in ("tonic", "stimulus", "sense", "drive")}
    return NEURONS, columns | all_parts()


def sense_spindles(rng):
    def one_of(n):
        return rng.integers(0, 90, n).astype(I)

    return organs(rng, length_sensor=one_of, velocity_sensor=one_of, rest_length=lambda n: number(rng, 0, 1, n),
                  length_range=lambda n: number(rng, 0.1, 2, n), length_gain=lambda n: number(rng, 0, 30, n),
                  velocity_gain=lambda n: number(rng, 0, 30, n))  # fmt: skip


def sense_tendon_organs(rng):
    return organs(rng, force_sensor=lambda n: rng.integers(0, 90, n).astype(I),
                  force_scale=lambda n: number(rng, -1, 1, n), gain=lambda n: number(rng, 0, 30, n))  # fmt: skip


def sense_touch(rng):
    return organs(rng, sensor=lambda n: rng.integers(0, 90, n).astype(I), gain=lambda n: number(rng, 0, 30, n),
                  half_force=lambda n: number(rng, 0.1, 2, n))  # fmt: skip


def synapses(rng, parts: int = 3, per: int = 40) -> dict:
    """Rows by source, then target, indexed by the part of the target; some sources have none."""
    bounds = np.array([NEURONS * p // parts for p in range(parts)] + [NEURONS], L)
    fan = rng.integers(0, 2 * per, NEURONS) * (rng.random(NEURONS) < 0.9)
    pre = np.repeat(np.arange(NEURONS), fan)
    post = rng.integers(0, NEURONS, pre.size)
    order = np.lexsort((post, pre))
    pre, post = pre[order], post[order].astype(I)
    edges = np.arange(NEURONS, dtype=L)[:, None] * NEURONS + bounds[None, :]
    start = np.searchsorted(pre * NEURONS + post, edges).astype(I)
    weight = number(rng, 0, 4, pre.size)
    return {"bounds": bounds, "post": post, "weight": weight, "start": start,
            "delay": rng.integers(1, 16, pre.size).astype(np.uint8)}  # fmt: skip


def delivery(rng) -> tuple[int, dict]:
    table = synapses(rng) | spikes(rng)
    table["span"] = np.array([0, NEURONS, 0, NEURONS], I)
    table["own"] = np.array([0, table["bounds"].size - 1], L)
    ring = rng.integers(-(2**31), 2**31, (16, NEURONS)).astype(I)
    ring[rng.random(ring.shape) < 0.5] //= 4096  # neither wraps nor saturates
    tick = np.array([rng.integers(1, 1000)], L)
    return table["post"].size, table | {"tick": tick, "ring": ring}


def deliver_modulated(rng):
    n, table = delivery(rng)
    table["weight"][rng.random(n) < 0.01] = 1e6  # clipped
    del table["bounds"]
    return n, table | {"group": rng.integers(0, 9, n).astype(np.uint8), "gain": number(rng, 0, 3, 9)}


def deliver_spikes(rng):
    n, table = delivery(rng)
    return n, table | {"parcel": parcels(*(table.pop(k) for k in ("post", "weight", "delay"))),
                       "arrived": np.zeros(NEURONS, I), "saturated": np.zeros(64, L)}  # fmt: skip


def background_noise(rng):
    """Populations of all sizes up to the highest rate, where a block takes a second and a third draw."""
    hz = np.array([1.0, 200.0, 1500.0, 2000.0])
    n = NEURONS // 16 + 1
    count = np.full(n, 16, I)
    count[-1] = NEURONS % 16
    word = lambda size: rng.integers(0, 2**32, size, dtype=np.uint32)  # noqa: E731
    return n, {"tick": np.array([rng.integers(0, 2**40)], L), "own": np.array([0, 2], L),
               "part": np.array([0, 19, n], I), "first": np.arange(n, dtype=I) * 16, "count": count,
               "key0": word(n), "key1": word(n), "index": word(n),
               "rate_class": rng.integers(0, 4, n).astype(I), "psp": rng.integers(0, 10**6, n).astype(I),
               "threshold": event_thresholds(hz), "ampa": rng.integers(-100, 100, NEURONS).astype(I)}  # fmt: skip


def low_threshold_burst(rng):
    names = ("v", "tonic", "stimulus", "sense", "below", "gain", "drive")
    columns = {k: number(rng, -20, 20, NEURONS) for k in names}
    h = number(rng, 0, 1, NEURONS) * (rng.random(NEURONS) < 0.7)
    return NEURONS, columns | {"on": number(rng, 0.8, 1, NEURONS), "off": number(rng, 0.8, 1, NEURONS), "h": h,
                              **all_parts()}  # fmt: skip


def nmda_arrivals(rng):
    arrived = rng.integers(0, 20 << 16, NEURONS).astype(I)
    columns = {"jump": number(rng, 0, 2e-5, NEURONS), "i": number(rng, 0, 30, NEURONS), "arrived": arrived}
    return NEURONS, columns | all_parts()


def lif_integrate(rng, slow=True, nmda=True, adapts=False):
    """Runs of one to 256 neurons; near and far from threshold, held, silenced, with drives too small to keep."""
    run = [0]
    while run[-1] < NEURONS:
        run.append(min(NEURONS, run[-1] + int(rng.integers(1, 257))))
    rows = rng.uniform(0.5, 1, (len(run) - 1, ROWS)).astype(F)
    rows[:, [1 + 4 * r + k for r in range(3) for k in (2, 3)]] *= F(1e-5)  # what arrivals in 2^-16 mV add
    rows[:, [18, 21, 24]] *= F(1e-5)
    rows[:, 15] = rng.integers(10, 30, len(rows))  # refractory
    rows[:, 14] = rng.uniform(-5, 3, len(rows))  # reset

    def drive():
        return number(rng, 0, 3, NEURONS) * F(10) ** rng.integers(-14, 1, NEURONS).astype(F)

    def arrived():
        return (rng.integers(0, 10**5, NEURONS) * (rng.random(NEURONS) < 0.5)).astype(I)

    threshold = number(rng, 5, 25, NEURONS)
    threshold[rng.random(NEURONS) < 0.02] = 1e30
    columns = {
        "substeps": np.array([10], L), "own": np.array([0, 3], L),
        "part": np.array([0, 0, len(run) // 2, len(run) - 1], I), "run": np.array(run, I), "constants": rows,
        "drive": number(rng, -10, 25, NEURONS), "threshold": threshold, "v": number(rng, -10, 20, NEURONS),
        "refractory_left": np.maximum(rng.integers(-40, 20, NEURONS), 0).astype(F),
        "fired": rng.integers(0, 11, NEURONS).astype(np.uint8), "e": drive(), "e_arrived": arrived(), "i": drive(),
        "i_arrived": arrived(), "s": drive() if slow else None,
        "s_arrived": arrived() if slow else None,
    }  # fmt: skip
    columns |= {"n_decay": number(rng, 0.9, 1, NEURONS), "n_jump": number(rng, 0, 1e-5, NEURONS),
                "n_i": drive()} if nmda else dict.fromkeys(("n_decay", "n_jump", "n_i"))  # fmt: skip
    columns |= {"a_decay": number(rng, 0.9, 1, NEURONS), "a_step": number(rng, 0, 2, NEURONS),
                "a_w": drive()} if adapts else dict.fromkeys(("a_decay", "a_step", "a_w"))  # fmt: skip
    return NEURONS, columns


def collect_spikes(rng, neurons: int | None = None, room: int = 2000):
    neurons = neurons or int(rng.integers(1, 5000))
    fired = (rng.integers(1, 11, neurons) * (rng.random(neurons) < rng.choice([0.01, 0.5, 1.0]))).astype(np.uint8)
    fired[-1] = 3
    room = int(rng.integers(1, room))
    return 0, {"tick": np.array([77], L), "fired": fired, "ids": np.full(neurons, -1, I), "count": np.zeros(1, L),
               "log_ids": np.full(room, -1, I), "log_ticks": np.full(room, -1, I),
               "log_count": np.array([room // 3, 5], L), "log_substeps": np.zeros(room, np.uint8)}  # fmt: skip


def plastic(rng) -> tuple[int, dict]:
    """A table from neurons 100..299 to 250..449: some are at both ends."""
    table = synapses(rng)
    kept = np.zeros(table["post"].size, bool)
    pre = np.repeat(np.arange(NEURONS), table["start"][:, -1] - table["start"][:, 0])
    kept = (pre >= 100) & (pre < 300) & (table["post"] >= 250) & (table["post"] < 450)
    pre, post = pre[kept], table["post"][kept]
    order = np.argsort(post, kind="stable").astype(I)
    outgoing = np.searchsorted(pre * NEURONS + post, np.arange(NEURONS)[:, None] * NEURONS + table["bounds"]).astype(I)
    return pre.size, {
        "on": np.ones(1, np.uint8), "tick": np.array([2500], L), "post": post, "outgoing": outgoing,
        "source": (pre - 100).astype(I), "span": np.array([100, 200, 250, 200], I), "row": order,
        "incoming": np.searchsorted(post[order], np.arange(250, 451)).astype(I), "weight": number(rng, 0, 1, pre.size),
        **spikes(rng),
    }  # fmt: skip


def stdp(rng):
    n, table = plastic(rng)
    powers = np.exp(-np.arange(300) / 20).astype(F)
    traces = {f"{end}_trace": number(rng, 0, 3, 200) for end in ("pre", "post")}
    ticks = {f"{end}_tick": rng.integers(2000, 2501, 200).astype(I) for end in ("pre", "post")}
    table |= {"step": np.array([0.3, 0.2, 1.0], F), "pre_decay": powers, "post_decay": powers[:250]}
    return n, table | traces | ticks


def taught_depression(rng):
    n, table = plastic(rng)
    del table["post"]
    taught = np.sort(rng.integers(0, 200, 31)).astype(I)
    taught[0], taught[-1] = 0, 200
    due = np.full((8, 202), -1, I)
    for arrival in (2500, 2503, 2494):
        pupils = rng.choice(200, 60, replace=False)
        due[arrival & 7, :62] = [arrival, 30, *pupils]
    return n, table | {
        "step": np.array([0.2, 0.05, 1.0], F), "per_tick": np.array([0.01], F), "teachers": np.array([500, 30], I),
        "decay": np.exp(-np.arange(400) / 100).astype(F), "taught": taught, "pupil": rng.permutation(200).astype(I),
        "delay": np.repeat(rng.integers(1, 8, 200), 1).astype(I), "first": number(rng, 0, 2, 200),
        "second": number(rng, 0, 2, 200), "since": rng.integers(2000, 2501, 200).astype(I), "due": due,
    }  # fmt: skip


def modulate(rng):
    n = 30
    return n, {"fired": rng.integers(0, 2, NEURONS).astype(np.uint8), **groups(rng, n), "decay": number(rng, 0.9, 1, n),
               "per_spike": number(rng, 0, 2, n), "reference": number(rng, 1, 9, n), "slope": number(rng, -2, 2, n),
               "lowest": number(rng, 0, 0.5, n), "highest": number(rng, 1, 3, n), "value": np.zeros(8, F),
               "group": rng.integers(1, 8, n).astype(I),
               "rate": number(rng, 0, 9, n) * (rng.random(n) < 0.8)}  # fmt: skip


def sense_vestibular(rng):
    def follows(n):
        return rng.normal(0, 2, n)

    return organs(rng, sensor=lambda n: rng.integers(0, 90, n).astype(I), scale=lambda n: number(rng, -1, 1, n),
                  limit=lambda n: number(rng, 0.5, 3, n), gain=lambda n: number(rng, 0, 30, n),
                  fast_step=lambda n: number(rng, 0, 1, n), slow_step=lambda n: number(rng, 0, 0.1, n),
                  fast=follows, slow=follows)  # fmt: skip


def depression(rng):
    n, table = plastic(rng)
    table = {k: table[k] for k in ("tick", "ids", "count", "outgoing", "weight")}
    return n, table | {
        "rested": number(rng, 0, 1, n), "span": np.array([100, 200], I), "use": np.array([0.4], F),
        "decay": np.exp(-np.arange(300) / 50).astype(F), "spent": number(rng, 0, 1, 200),
        "since": rng.integers(2000, 2501, 200).astype(I),
    }  # fmt: skip


def triplet_stdp(rng):
    """Spikes in all ten substeps: of both ends in one tick, in either order, and in one substep."""
    n, table = plastic(rng)
    fired = np.zeros(NEURONS, np.uint8)
    listed = table["ids"][: table["count"][0]]
    fired[listed] = rng.integers(1, 11, listed.size)
    table |= {"substeps": np.array([10], L), "fired": fired, "step": np.array([0.2, 0.1, 0.15, 0.1, 1.0], F)}
    for end in ("pre", "post"):
        table |= {f"{end}_decay": np.exp(-np.arange(3000) / 200).astype(F),
                  f"{end}_slow_decay": np.exp(-np.arange(4000) / 900).astype(F),
                  f"{end}_trace": number(rng, 0, 3, 200), f"{end}_slow": number(rng, 0, 3, 200),
                  f"{end}_tick": rng.integers(2000, 2500, 200).astype(I),
                  f"{end}_sub": rng.integers(1, 11, 200).astype(np.uint8)}  # fmt: skip
    return n, table


def three_factor(rng):
    """Synapses of all ages, some of them left alone for too long."""
    n, table = stdp(rng)
    fired = np.zeros(NEURONS, np.uint8)
    fired[table["ids"][: table["count"][0]]] = 1
    table |= {"fired": fired, "step": np.array([1.0, 0.5], F), "rate": np.array([0.02, 1.0], F),
              "keep": np.array([0.99], F), "by": np.array([600, 40], I),
              "filter": np.array([0.99, 0.3, 0.999, 0.5], F), "level": np.array([5.0, 4.0], F),
              "error": number(rng, -1, 3, 16), "trace": number(rng, -2, 2, n) * (rng.random(n) < 0.8),
              "since": (2500 - rng.integers(1, 18, n)).astype(I)}  # fmt: skip
    return n, table


def eprop(rng):
    n, table = plastic(rng)
    table = {k: table[k] for k in ("on", "tick", "post", "source", "span", "weight")}
    outputs, slots = 3, 16

    def cells():
        return np.stack(
            [np.sort(rng.choice(600, outputs, replace=False)), rng.integers(0, 40, outputs)], axis=1
        ).astype(I)

    return n, table | {
        "fired": rng.integers(0, 2, NEURONS).astype(np.uint8), "v": number(rng, -10, 20, NEURONS),
        "threshold": number(rng, 5, 25, NEURONS), "delay": rng.integers(1, 16, n).astype(np.uint8),
        "psp": number(rng, 0.1, 0.9, 5), "adaptation": np.array([0.99, 0.5], F), "answer": cells(), "teacher": cells(),
        "step": np.array([0.05, 0.3, 0.95, 50.0, 1.0], F), "rates": np.array([0.99, 1.0, 10.0, 0.2], F),
        "feedback": number(rng, -1, 1, (200, outputs)), "filtered": number(rng, -1, 1, n),
        "adapted": number(rng, -1, 1, n), "held": number(rng, -1, 1, n), "level": number(rng, 0, 50, (2, outputs)),
        "error": np.zeros(outputs, F), "drive": number(rng, 0, 1, 200), "trace": number(rng, 0, 1, (200, slots)),
        "hz": number(rng, 0, 30, 200), "slope": np.zeros(200, F), "signal": np.zeros(200, F),
    }  # fmt: skip


def heterosynaptic(rng):
    n, table = plastic(rng)
    kept = ("on", "ids", "count", "span", "incoming", "row", "weight")
    return n, {k: table[k] for k in kept} | {"pull": np.array([0.03, 0.4], F)}


def homeostasis(rng):
    n, table = plastic(rng)
    kept = ("on", "tick", "ids", "count", "span", "incoming", "row", "weight")
    return n, {k: table[k] for k in kept} | {
        "goal": np.array([5.0, 0.1, 1.0, 0.1], F), "decay": np.exp(-np.arange(31) / 100).astype(F),
        "rate": number(rng, 0, 20, 200), "since": rng.integers(2400, 2500, 200).astype(I),
    }  # fmt: skip


def facilitation(rng):
    n, table = depression(rng)
    table["recovery_decay"] = table.pop("decay")
    return n, table | {"facilitation_decay": np.exp(-np.arange(200) / 90).astype(F), "more": number(rng, 0, 0.5, 200)}


def reflex_gate(rng):
    n, table = modulate(rng)
    del table["group"]
    value, gated = number(rng, 0, 3, 9), 12
    return n, table | {"arc": rng.integers(0, 6, n).astype(I), "gain": np.zeros(7, F), "value": value,
                       "gated": rng.integers(0, 7, gated).astype(I),
                       "group": rng.integers(1, 9, gated).astype(I)}  # fmt: skip


def muscle_drive(rng):
    n = 40
    pools, more = groups(rng, n), groups(rng, n)
    more["count"][rng.random(n) < 0.5] = 0
    return n, {"fired": rng.integers(0, 2, NEURONS).astype(np.uint8), "pool_first": pools["first"],
               "pool_count": pools["count"], "more_first": more["first"], "more_count": more["count"],
               "decay": number(rng, 0.9, 1, n), "twitch": number(rng, 0, 0.05, n), "ctrl": np.zeros(12),
               "actuator": rng.integers(0, 11, n).astype(I), "ctrl_gain": number(rng, -1, 1, n),
               "activation": number(rng, 0, 1, n) * (rng.random(n) < 0.8)}  # fmt: skip


def sense_light(rng):
    n, many = 24, 8

    def turn():
        q = rng.normal(0, 1, 4) * (1, 0.3, 0.3, 0.3)
        return q / np.linalg.norm(q)

    start, ambient = rng.uniform(-0.6, 0.6), rng.uniform(0.5, 5.0, 1)
    used = np.where(rng.random(n) < 0.5, rng.uniform(0.5, 5.0, n), ambient)  # used to the light: a zero with a sign
    return n, {
        "tick": np.array([2500]), "sensors": np.concatenate([turn() for _ in range(20)]),
        "spread": number(rng, 0, 3, NEURONS) * (rng.random(NEURONS) < 0.5), "ambient": ambient, "ahead": turn(),
        "panel": np.array([2.0, start, -start, 1 / rng.uniform(300, 3000), rng.uniform(-0.2, 0.2), 0.3, 0.4, 300.0]),
        "blobs": np.array([[0.1, 0.1, 0.2, 1.2], [-0.1, 0.1, 0.2, 0.8], [0.0, -0.1, 0.1, 1.0], [0.0, 0.0, 0.0, 1.0]]),
        "sensor": (4 * rng.integers(0, 20, n)).astype(I), "left": rng.integers(0, 7, n).astype(I),
        "top": rng.integers(0, 5, n).astype(I), "wide": rng.choice([0, 2], n).astype(I),
        "sign": rng.choice([-1, 1], n).astype(F), "gain": number(rng, 1, 30, n), "adapt_step": number(rng, 0, 0.1, n),
        "first": (many * np.arange(n)).astype(I), "count": np.full(n, many, I), "adapted": used,
        "sense": np.zeros(NEURONS, F),
    }  # fmt: skip


def sense_filling(rng):
    n = 6
    found = groups(rng, n)
    return n, {"mouth": rng.random(1), "stomach": 20 * rng.random(1), "spread": number(rng, 0, 3, NEURONS),
               "of_stomach": rng.integers(0, 2, n).astype(np.uint8), "gain": number(rng, 1, 40, n),
               "half_volume": number(rng, 0.1, 9, n), "first": found["first"], "count": found["count"],
               "sense": np.zeros(NEURONS, F)}  # fmt: skip


def swallow(rng):
    n = 3
    found = groups(rng, n)
    return n, {"sensors": rng.normal(0, 0.1, 12), "fired": rng.integers(0, 2, NEURONS).astype(np.uint8),
               "offered": np.array([120.0]), "opener_sensor": rng.integers(0, 6, n).astype(I),
               "nipple_sensor": rng.integers(6, 12, n).astype(I), "first": found["first"], "count": found["count"],
               "decay": number(rng, 0.9, 1, n), "twitch": number(rng, 0, 0.3, n), "empties": number(rng, 0, 0.01, n),
               "mouth": rng.random(1), "stomach": 20 * rng.random(1), "activation": number(rng, 0.1, 1, n)}  # fmt: skip


MAKERS = {f.__name__: f for f in (
    triplet_stdp, three_factor, eprop, heterosynaptic, homeostasis, facilitation,
    sum_drive, sense_spindles, sense_tendon_organs, sense_touch, deliver_modulated, deliver_spikes, background_noise,
    low_threshold_burst, lif_integrate, collect_spikes, stdp, taught_depression, modulate, muscle_drive,
    sense_vestibular, depression, reflex_gate, sense_light, sense_filling, swallow, nmda_arrivals,
)}  # fmt: skip


def both(name: str, n: int, columns: dict, **grid) -> tuple[dict, dict]:
    """The columns after the numba kernel, and after its twin; `columns` stays as it was."""
    system = KERNELS[name]
    names = list(inspect.signature(system.function.function).parameters)[1:]
    assert set(names) == set(columns), set(names) ^ set(columns)
    results = []
    for device in (False, True):
        own = {k: None if columns[k] is None else np.array(columns[k]) for k in names}
        read = len(system.reads) + len(system.optional_reads)
        for array in list(own.values())[:read]:  # as in strict mode, whose compiled kernels these are
            if array is not None:
                array.flags.writeable = False
        arguments = (n, *own.values())
        if not device:
            system.function.compiled(*arguments)
        for stage in twin_of(system).stages if device else ():
            values = stage.values(arguments)
            launcher(stage, values, [v.ctypes.data if isinstance(v, np.ndarray) else None for v in values], **grid)()
        results.append(own)
    return tuple(results)


def check(name: str, n: int, columns: dict, **grid) -> None:
    cpu, twin = both(name, n, columns, **grid)
    changed = set()
    for k, array in cpu.items():
        if array is None:
            continue
        if k == "saturated":  # the CPU counts by part
            assert array.sum() == twin[k].sum() > 0
        else:
            assert array.tobytes() == twin[k].tobytes(), f"{k}: {np.flatnonzero(array.ravel() != twin[k].ravel())[:9]}"
        if array.tobytes() != columns[k].tobytes():
            changed.add(k)
    written = {c.name for c in (*KERNELS[name].writes, *KERNELS[name].optional_writes)}
    assert changed, f"nothing of {written} changed: a test of nothing"


def test_every_kernel_is_compared():
    assert set(MAKERS) == set(KERNELS)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("grid", [{}, {"backwards": True}, {"blocks": 1, "threads": 32}, {"blocks": 50}], ids=str)
def test_a_twin_gives_the_same_bits(name, grid):
    for seed in range(3):
        check(name, *MAKERS[name](np.random.default_rng(seed)), **grid)


@pytest.mark.parametrize("has", [(True, False, False), (False, False, False), (False, False, True)], ids=str)
def test_membranes_of_other_components_give_the_same_bits(has):
    """Slow inhibition, NMDA, adaptation: as the tables of the newborn have them."""
    check("lif_integrate", *lif_integrate(np.random.default_rng(5), *has))


def test_inputs_of_the_membranes_reach_every_branch():
    """Else equal bits would say little: spikes, steps without one, held neurons, drives cut to zero."""
    n, columns = lif_integrate(np.random.default_rng(0))
    after, _ = both("lif_integrate", n, columns)
    fired, held = after["fired"] > 0, columns["refractory_left"] > 0
    assert 50 < fired.sum() < n - 50 and held.sum() > 50 and not fired[columns["refractory_left"] >= 10].any()
    assert ((after["e"] == 0) & (columns["e"] > 0)).any() and ((after["e"] > 0) & ~fired).sum() > 100


@pytest.mark.parametrize("threads", [1, 2, 64, 256, 1024])
@pytest.mark.parametrize("neurons", [1, 7, 8, 9, 1023, 1024, 20_578])
def test_spikes_are_listed_in_order_by_any_number_of_threads(neurons, threads):
    check("collect_spikes", *collect_spikes(np.random.default_rng(neurons), neurons), threads=threads)


# the whole brain --------------------------------------------------------------------------------------------------


def story(scene: str, **options):
    """A second with stimuli: brain alone, or with the body."""
    sim = load(scene, **options)
    if scene == "newborn":
        sim.touch("palm_left", "0.5 N", last="130 ms")
        sim.tap("knee_left_extensor", "0.05 N m", last="30 ms")
        sim.silence("hippocampus.*", last="300 ms")
    else:
        sim.stimulate("cortex.Calcarine_L.*", "20 mV", last="130 ms")
    return sim


def state_of(sim) -> dict[str, bytes]:
    from engine.snapshot import state_arrays

    return {name: array.tobytes() for name, array in state_arrays(sim.runner).items()}


@pytest.fixture(scope="module")
def on_cpu():
    return {}


def the_same(scene: str, device, on_cpu: dict) -> None:
    if scene not in on_cpu:
        on_cpu[scene] = story(scene).run("1 s")
    cpu, other = on_cpu[scene], story(scene, device=device).run("1 s")
    assert other.spike_hash == cpu.spike_hash and cpu.spikes.total > 50_000
    here, there = state_of(cpu), state_of(other)
    assert [k for k in here if here[k] != there[k]] == []
    if cpu.physics:
        assert np.array_equal(cpu.physics.snapshot()["state"], other.physics.snapshot()["state"])
        assert cpu.activation() == other.activation() and max(cpu.activation().values()) > 0.01


@pytest.mark.parametrize("scene", [pytest.param("stimulate", marks=pytest.mark.slow), "newborn"])
def test_the_whole_brain_fires_the_same_spikes_for_1000_ticks(scene, on_cpu):
    """Every neural column, trace, ring and weight too; with the body, its pose and its muscles."""
    device = Shim(backwards=True)
    the_same(scene, device, on_cpu)
    ticks = 1000
    assert device.log["graphs"] == ticks and device.log["launches"] > 25 * ticks


def learners(device=None):
    """(world, runner) of a small noisy network in which every rule learns."""
    from engine.device import DeviceRunner
    from systems.spawn.circuit_model import Circuit
    from tests.systems.nets import PERIODS, build_circuits, cell

    noisy = {"background": {"psp": "3 mV", "rate": "600 Hz"}}
    more = {"heterosynaptic": {"pull": 0.01}, "scaling": {"rate": "20 Hz", "step": 0.02, "every": "50 ms"}}
    rules = [
        {"kind": "stdp", "a_plus": 0.05, "a_minus": 0.05, **more}, {"kind": "triplet", **more},
        {"kind": "three_factor", "by": "toy.reward", "reference": "20 Hz", "rate": 5},
        {"kind": "eprop", "answer": "toy.answer", "teacher": "toy.teacher", "rate": 5, "regular": 0.1},
        {"kind": "depression", "use": 0.2, "recovery": "200 ms"},
        {"kind": "facilitation", "use": 0.1, "recovery": "50 ms", "facilitation": "500 ms"},
    ]  # fmt: skip
    to = {"from": "e", "to": "e", "indegree": 12, "psp": "0.4 mV", "delay": ["1 ms", "9 ms"]}
    cells = {"e": cell(count=150, **noisy), "reward": cell(count=10, **noisy),
             "answer": cell(per="way", count=5, **noisy), "teacher": cell(per="way", count=5, **noisy)}  # fmt: skip
    circuit = Circuit.model_validate({
        "structure": "toy", "title": "all rules", "groups": {"way": ["x", "y"]}, "cells": cells,
        "projections": [{**to, "name": rule["kind"], "rule": rule} for rule in rules],
    })  # fmt: skip
    world, _, runner = build_circuits([circuit])
    return world, runner if device is None else DeviceRunner(world, TICK, PERIODS, device)


def test_all_rules_together_learn_the_same_weights():
    """Also where the device runs what does not meet side by side."""
    from components.network import Synapse

    kinds, found = ("stdp", "triplet", "three_factor", "eprop", "depression", "facilitation"), []
    for device in (None, Shim(), Shim(backwards=True)):
        world, runner = learners(device)
        start = {k: world.tables[f"synapses_ampa_{k}_toy:{k}"][Synapse.weight].copy() for k in kinds}
        runner.run(401)
        if device is not None:
            runner.catch_up(everything=True)
        found.append({k: world.tables[f"synapses_ampa_{k}_toy:{k}"][Synapse.weight].copy() for k in kinds})
        assert all((found[-1][k] != start[k]).mean() > 0.5 for k in kinds), "each of them learns"
    for other in found[1:]:
        assert [k for k in kinds if other[k].tobytes() != found[0][k].tobytes()] == []


@needs_gpu
@pytest.mark.parametrize("scene", ["stimulate", "newborn"])
def test_a_gpu_fires_the_same_spikes_for_1000_ticks(scene, on_cpu):
    the_same(scene, cuda.Cuda(), on_cpu)
