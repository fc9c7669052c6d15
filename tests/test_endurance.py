"""Runs of hours: pieces, what is written of them, and going on."""

import json

import numpy as np
import pytest

from engine.errors import UserError
from tools.endurance import main

SMALL = ["experiments/sleep", "--seed", "1", "--checkpoint", "1min", "--apart", "sleep.*.twitch"]


@pytest.mark.slow
def test_a_run_that_goes_on_is_the_run_in_one_go(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*SMALL, "--duration", "2min", "--out", str(one)]) == 0
    assert main([*SMALL, "--duration", "1min", "--out", str(two)]) == 0
    assert main([*SMALL, "--duration", "2min", "--out", str(two)]) == 0
    rows = [[json.loads(line) for line in (out / "minutes.jsonl").read_text().splitlines()] for out in (one, two)]
    assert [row["s"] for row in rows[0]] == [row["s"] for row in rows[1]] == [60, 120]
    assert rows[0][1]["spikes"] == rows[1][1]["spikes"] > 1_000 and rows[0][1]["not_finite"] == []
    pieces = [np.load(out / "counts_000120.npz") for out in (one, two)]
    assert np.abs(pieces[0]["counts"].astype(int) - pieces[1]["counts"]).sum() == 0
    columns = pieces[0]["columns"].tolist()
    limbs = pieces[0]["counts"][:, ["sleep." in c and c.endswith(".twitch") and c.count(".") == 2 for c in columns]]
    assert (
        limbs.shape == (600, 6) and (limbs.sum(axis=1) == pieces[0]["counts"][:, columns.index("sleep.twitch")]).all()
    )


def test_a_run_is_whole_pieces_of_whole_minutes(tmp_path):
    with pytest.raises(UserError, match="expected whole pieces of whole minutes, got 90s in pieces of 1min"):
        main([*SMALL, "--duration", "90s", "--out", str(tmp_path)])
