"""A world of bouncing balls: what the engine is tested with. It knows of no brains."""

from __future__ import annotations

import numpy as np

from engine.component import Component, Resource, Side, column
from engine.draws import philox4x32
from engine.kernel import kernel
from engine.schedule import Now, Parts, Phase, Runner
from engine.system import system
from engine.world import World


class Ball(Component):
    """Where a ball is and how fast it moves, along one axis."""

    y = column("f4", unit="m", init=1.0, doc="Height.")
    speed = column("f4", unit="m/s", doc="Upward speed.")


class Spin(Component):
    """Some balls count their bounces."""

    bounces = column("i4", unit="1", doc="Bounces so far.")


class Room(Resource):
    """What all balls share."""

    gravity = column("f4", unit="m/s2", doc="Downward; shape [1].")
    floor = column("f4", unit="m", doc="Height of the floor; shape [1].")
    key = column("u4", unit="1", doc="Key of the stream of gusts; shape [2].")
    ran = column("i8", unit="call", doc="Calls of each part; shape [2].")


class Chart(Side):
    """One array per table."""

    histogram = column("i8", unit="1", doc="Balls by height; shape [bins].")


class Tally:
    """An object that keeps state between ticks."""

    def __init__(self):
        self.lowest = 1e9

    def snapshot(self):
        return {"lowest": np.array([self.lowest])}

    def restore(self, saved):
        self.lowest = float(saved["lowest"][0])


DT = np.float32(0.001)
PARTS = 2


@system(reads=[Room.gravity], writes=[Ball.speed])
@kernel
def fall(n, gravity, speed):
    """Gravity acts; [n]."""
    for k in range(n):
        speed[k] -= gravity[0] * DT


@system(reads=[Now.tick, Parts.own, Room.key], writes=[Ball.speed, Room.ran])
@kernel
def gust(n, tick, own, key, speed, ran):
    """A random push for every ball, drawn by (stream, tick, row)."""
    for part in range(own[0], own[1]):
        ran[part] += 1
        for k in range(n * part // PARTS, n * (part + 1) // PARTS):
            word, _, _, _ = philox4x32(
                np.uint64(key[0]), np.uint64(key[1]), np.uint64(tick[0]), np.uint64(0), np.uint64(k), np.uint64(0)
            )
            speed[k] += (np.float32(word >> np.uint64(8)) * np.float32(2.0**-24) - np.float32(0.5)) * np.float32(0.01)


@system(reads=[Room.floor], writes=[Ball.y, Ball.speed], optional_writes=[Spin.bounces])
@kernel
def bounce(n, floor, y, speed, bounces):
    """Move; turn round at the floor, and count it where counting is asked for."""
    for k in range(n):
        y[k] += speed[k] * DT
        if y[k] < floor[0]:
            y[k] = floor[0]
            speed[k] = -speed[k]
            if bounces is not None:
                bounces[k] += 1


@system(reads=[Ball.y], objects=[Tally])
def tally(n, y, kept):
    """The lowest any ball has been."""
    kept.lowest = min(kept.lowest, float(y.min()))


TICK = (
    Phase("push", "tick", (fall, gust)),
    Phase("move", "second tick", (bounce,)),
    Phase("look", "tick", (tally,)),
)


def balls(count: int = 300, *, seed: int = 3, threads: int = 1, strict: bool = True, counted: int = 40) -> Runner:
    """A room with `count` plain balls and `counted` that count their bounces, ready to tick."""
    world = World(seed, threads=threads, strict=strict)
    world.set_array(Room.gravity, np.array([9.81], np.float32))
    world.set_array(Room.floor, np.zeros(1, np.float32))
    world.set_array(Room.key, np.array(world.streams.key("gusts"), np.uint32))
    world.set_array(Room.ran, np.zeros(PARTS, np.int64))
    world.set_array(Parts.own, np.array([0, PARTS], np.int64))
    world.add_object(Tally())
    plain = world.add_table("balls", [Ball], count)
    plain[Ball.y][:] = world.streams.generator("heights").uniform(0.01, 0.5, count)
    world.add_table("counted", [Ball, Spin], counted)[Ball.y][:] = np.linspace(0.01, 0.4, counted)
    return Runner(world, TICK, {"tick": 1, "second tick": 2})


def run(runner: Runner, ticks: int) -> bytes:
    """Advance and return every ball's state as bytes."""
    for _ in range(ticks):
        runner.step()
    return state(runner)


def state(runner: Runner) -> bytes:
    return b"".join(a.tobytes() for t in runner.world.tables.values() for a in t.columns.values())
