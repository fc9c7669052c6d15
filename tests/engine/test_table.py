"""Archetype tables: contiguous columns that grow, shrink and share storage."""

import numpy as np
import pytest

from engine.table import Table
from tests.engine.toy import Ball, Chart, Spin


def test_rows_start_at_the_initial_value_and_are_contiguous():
    table = Table("balls", [Ball, Spin], 5)
    assert table[Ball.y].tolist() == [1.0] * 5 and table[Spin.bounces].tolist() == [0] * 5
    assert all(a.flags.c_contiguous and a.flags.aligned for a in table.columns.values())
    assert table.bytes == 5 * (4 + 4 + 4) and table.row_count == 5
    assert Ball in table and Chart not in table


def test_append_keeps_old_rows_and_says_where_the_new_ones_are():
    table = Table("balls", [Ball], 2)
    table[Ball.y][:] = [3, 4]
    assert table.append(3) == slice(2, 5)
    assert table[Ball.y].tolist() == [3, 4, 1, 1, 1] and table.row_count == 5


def test_remove_returns_the_map_from_old_to_new_rows():
    table = Table("balls", [Ball, Spin], 6)
    table[Ball.y][:] = np.arange(6)
    moved = table.remove(np.array([1, 4]))
    assert moved.tolist() == [0, -1, 1, 2, -1, 3]
    assert table[Ball.y].tolist() == [0, 2, 3, 5] and table.row_count == 4
    assert all(a.shape == (4,) and a.flags.c_contiguous for a in table.columns.values())


def test_remove_of_nothing_and_of_everything():
    table = Table("balls", [Ball], 3)
    assert table.remove(np.zeros(0, np.int64)).tolist() == [0, 1, 2]
    assert table.remove(np.array([0, 1, 2, 2])).tolist() == [-1, -1, -1]
    assert table.row_count == 0 and table[Ball.y].size == 0


def test_a_shared_column_is_a_view_and_pins_the_rows():
    table, whole = Table("balls", [Ball], 3), np.zeros(10, np.float32)
    table[Ball.y][:] = [7, 8, 9]
    table.share(Ball.y, whole[4:7])
    assert whole.tolist() == [0] * 4 + [7, 8, 9] + [0] * 3
    whole[5] = 1.5
    assert table[Ball.y][1] == 1.5
    for change in (lambda: table.append(1), lambda: table.remove(np.array([0]))):
        with pytest.raises(RuntimeError, match="shares storage"):
            change()
    assert table.row_count == 3


@pytest.mark.parametrize("storage", [np.zeros(3, np.float64), np.zeros(4, np.float32)])
def test_shared_storage_must_fit(storage):
    with pytest.raises(ValueError, match="storage must be float32 with 3 rows"):
        Table("balls", [Ball], 3).share(Ball.y, storage)


def test_side_arrays_have_any_shape_but_the_declared_type():
    table = Table("balls", [Ball, Chart], 3)
    with pytest.raises(KeyError, match=r"no column Chart\.histogram"):
        table[Chart.histogram]
    table.set_side(Chart.histogram, np.zeros((4, 7), np.int64))
    assert table[Chart.histogram].shape == (4, 7) and list(table.columns)[-1] is Chart.histogram
    with pytest.raises(TypeError, match="declared int64"):
        table.set_side(Chart.histogram, np.zeros(3))


def test_a_column_the_table_lacks_is_named_in_the_error():
    with pytest.raises(KeyError, match=r"balls has no column Spin\.bounces"):
        Table("balls", [Ball], 1)[Spin.bounces]


def test_large_columns_start_at_different_places_in_their_pages():
    """All at the same place made loops over many columns wait for each other's stores; growing must not undo it."""
    table = Table("balls", [Ball, Spin], 5000)
    table.append(3000)
    starts = [a.ctypes.data % 4096 for a in table.columns.values()]
    assert len(starts) == 3 and len(set(starts)) == 3 and not any(s % 64 for s in starts)
    assert table.bytes == 8000 * (4 + 4 + 4) and (table[Ball.y] == 1.0).all()
