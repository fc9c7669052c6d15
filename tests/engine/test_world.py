"""The world: tables by component, resources, and structure that changes only in settle."""

import numpy as np
import pytest

from engine.component import Resource, column
from engine.world import World
from tests.engine.toy import Ball, Room, Spin, Tally, balls


def test_tables_are_found_by_the_components_they_carry():
    world = World()
    one, two = world.add_table("one", [Ball]), world.add_table("two", [Ball, Spin])
    assert world.tables_with([Ball]) == [one, two] and world.tables_with([Spin, Ball]) == [two]
    with pytest.raises(ValueError, match="exists already"):
        world.add_table("one", [Ball])


def test_spawn_waits_for_settle():
    world = World()
    table = world.add_table("balls", [Ball], 2)
    world.spawn("balls", 3, lambda t, rows: t[Ball.y].__setitem__(rows, 9.0))
    assert table.row_count == 2 and world.pending == 1
    version = world.structure_version
    world.settle()
    assert table[Ball.y].tolist() == [1, 1, 9, 9, 9] and world.pending == 0
    assert world.structure_version > version
    version = world.structure_version
    world.settle()
    assert world.structure_version == version, "an idle settle must not make everything bind again"


def test_despawn_waits_for_settle_and_hands_out_the_map():
    """Someone who holds row numbers can follow the rows."""
    world = World()
    table = world.add_table("balls", [Ball], 5)
    table[Ball.y][:] = np.arange(5)
    favourites = np.array([0, 3, 4])
    seen = []

    def follow(old_to_new):
        seen.append(old_to_new.tolist())
        favourites[:] = old_to_new[favourites]

    world.despawn("balls", [1, 3], follow)
    assert table.row_count == 5 and not seen
    world.settle()
    assert table[Ball.y].tolist() == [0, 2, 4] and seen == [[0, -1, 1, -1, 2]]
    assert favourites.tolist() == [0, -1, 2]


def test_queued_changes_are_applied_in_the_order_recorded():
    world = World()
    table = world.add_table("balls", [Ball], 3)
    table[Ball.y][:] = [0, 1, 2]
    world.spawn("balls", 1, lambda t, rows: t[Ball.y].__setitem__(rows, 3.0))
    world.despawn("balls", [0, 3])  # row 3 is the one spawned just before
    world.settle()
    assert table[Ball.y].tolist() == [1, 2]


def test_rows_spawned_by_a_running_world_are_seen_by_its_systems_from_the_next_tick():
    runner = balls(4, counted=2)
    runner.step()
    runner.world.spawn("balls", 2, lambda t, rows: t[Ball.speed].__setitem__(rows, 1.0))
    plain = runner.world.tables["balls"]
    runner.step()
    assert plain.row_count == 6 and plain[Ball.speed][4:].tolist() == [1.0, 1.0]
    runner.step()
    assert (plain[Ball.speed][4:] < 1.0).all(), "gravity acts on the new rows"


def test_an_empty_table_costs_nothing_until_it_has_rows():
    runner = balls(4, counted=0)
    assert not [c for _, c in runner.calls() if c.table is not None and c.table.name == "counted"]
    runner.world.spawn("counted", 1)
    runner.step()
    assert [c for _, c in runner.calls() if c.table is not None and c.table.name == "counted"]


def test_resources_must_be_declared_and_of_the_declared_type():
    world = World()
    with pytest.raises(TypeError, match="declared float32"):
        world.set_array(Room.gravity, np.zeros(1))
    with pytest.raises(TypeError, match="only Resource columns"):
        world.set_array(Ball.y, np.zeros(1, np.float32))

    class Wind(Resource):
        push = column("f4", unit="N", doc="Push.")

    array = world.set_array(Wind.push, np.zeros((2, 3), np.float32))
    assert world[Wind.push] is array


def test_objects_are_found_by_type():
    world = World()
    kept = world.add_object(Tally())
    assert world.object(Tally) is kept
    with pytest.raises(KeyError, match="this world has no World"):
        world.object(World)
