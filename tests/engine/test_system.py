"""Systems say what they read and write, and strict mode holds them to it."""

import numba
import numpy as np
import pytest

from engine.kernel import kernel
from engine.system import system
from engine.world import World
from tests.engine.toy import Ball, Room, Spin, Tally, balls, bounce, fall, run


@system(reads=[Ball.y], writes=[Ball.speed])
def honest_python(n, y, speed):
    speed[:] = y


@system(reads=[Ball.y, Ball.speed])
def lying_python(n, y, speed):
    speed[:] = y


@system(reads=[Ball.y, Ball.speed])
@kernel
def lying_kernel(n, y, speed):
    for k in range(n):
        speed[k] = y[k]


@system(reads=[Ball.y], optional_reads=[Spin.bounces], writes=[Ball.speed])
@kernel
def lying_about_an_optional_read(n, y, bounces, speed):
    for k in range(n):
        speed[k] = y[k]
        if bounces is not None:
            bounces[k] = 7


@system(reads=[Room.gravity], writes=[Ball.y])
def lying_about_a_resource(n, gravity, y):
    gravity[0] = 0.0


def world_of_two(strict: bool) -> World:
    world = World(strict=strict)
    world.add_table("balls", [Ball, Spin], 3)
    world.set_array(Room.gravity, np.ones(1, np.float32))
    return world


def test_an_honest_system_passes_strict_mode():
    world = world_of_two(strict=True)
    honest_python(world.tables["balls"], world)
    assert world.tables["balls"][Ball.speed].tolist() == [1, 1, 1]


@pytest.mark.parametrize("liar", [lying_python, lying_about_a_resource])
def test_a_python_system_that_lies_about_a_write_raises_at_once(liar):
    world = world_of_two(strict=True)
    with pytest.raises(ValueError, match="read-only"):
        liar(world.tables["balls"], world)
    assert world.tables["balls"][Ball.speed].tolist() == [0, 0, 0] and world[Room.gravity][0] == 1


@pytest.mark.parametrize("liar", [lying_kernel, lying_about_an_optional_read])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_compiled_system_that_lies_about_a_write_raises_at_once(liar, threads):
    world = world_of_two(strict=True)
    world.threads = threads
    with pytest.raises(numba.TypingError, match=r"[Cc]annot modify readonly array"):
        liar(world.tables["balls"], world)
    table = world.tables["balls"]
    assert table[Ball.speed].tolist() == [0, 0, 0] and table[Spin.bounces].tolist() == [0, 0, 0]


def test_without_strict_mode_nothing_is_checked():
    for liar in (lying_python, lying_kernel):
        world = world_of_two(strict=False)
        liar(world.tables["balls"], world)
        assert world.tables["balls"][Ball.speed].tolist() == [1, 1, 1]


def test_strict_mode_changes_no_result():
    assert run(balls(strict=True), 100) == run(balls(strict=False), 100)


def test_strict_mode_leaves_the_real_columns_writable():
    runner = balls()
    runner.step()
    assert all(a.flags.writeable for t in runner.world.tables.values() for a in t.columns.values())
    assert runner.world[Room.gravity].flags.writeable


def test_an_absent_optional_component_arrives_as_none():
    runner = balls(5, counted=5)
    by_table = {c.table.name: c for _, c in runner.calls() if c.system is bounce}
    assert by_table["balls"].args[-1] is None and by_table["counted"].args[-1] is not None
    run(runner, 1000)
    assert (runner.world.tables["counted"][Spin.bounces] > 0).all()


def test_arguments_come_in_declared_order():
    """row count, reads, optional reads, writes, optional writes, objects."""
    seen = []

    @system(reads=[Room.gravity, Ball.y], optional_reads=[Spin.bounces], writes=[Ball.speed], objects=[Tally])
    def note(*arguments):
        seen.append(arguments)

    runner = balls(5)
    world, table = runner.world, runner.world.tables["balls"]
    note(table, world)
    count, gravity, y, bounces, speed, kept = seen[0]
    assert count == 5 and bounces is None and kept is world.object(Tally)
    for got, column in ((gravity, world[Room.gravity]), (y, table[Ball.y]), (speed, table[Ball.speed])):
        assert np.shares_memory(got, column)
    assert note.name == "note" and note.needed == (Ball,)


def test_a_system_runs_once_per_matching_table_and_once_per_world_without_one():
    @system(reads=[Room.gravity])
    def world_wide(n, gravity):
        pass

    runner = balls()
    assert [c.table.name for c in fall.bind(runner.world)] == ["balls", "counted"]
    assert [c.table for c in world_wide.bind(runner.world)] == [None]


def test_a_system_whose_resource_or_object_is_absent_does_not_run():
    world = World()
    world.add_table("balls", [Ball], 3)

    @system(reads=[Ball.y], objects=[Tally])
    def needs_object(n, y, kept):
        pass

    assert fall.bind(world) == [] and needs_object.bind(world) == []
    world.set_array(Room.gravity, np.ones(1, np.float32))
    world.add_object(Tally())
    assert len(fall.bind(world)) == 1 and len(needs_object.bind(world)) == 1
