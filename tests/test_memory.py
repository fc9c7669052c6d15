"""A thought held: prefrontal cells of the whole cortex go on firing for the item they were driven with, by NMDA."""

import json

import numpy as np
import pytest

from systems.recall import recalled
from tools.calibrate_memory import CIRCUIT, CIRCUITS, HELD_HZ, ITEM, driven, rates, simulation

ASSET = json.loads((CIRCUITS / "calibration" / f"{CIRCUIT}_adult.json").read_text())
BACKGROUND = ASSET["provenance"]["background_factor"]


@pytest.mark.slow
def test_an_item_is_held_and_not_without_recurrence():
    """Three seconds after 300 ms of drive, beside the same without synapses within items; at rest none is active."""
    gains = [ASSET["gains"][f"{CIRCUIT}:{name}"] for name in ("within", "lateral")]
    for within, held in ((gains[0], True), (0.0, False)):
        sim = simulation(11, within, gains[1], BACKGROUND)
        rest = rates(sim, 500)
        assert rest.max() < HELD_HZ
        driven(sim, [f"{CIRCUIT}.c.{ITEM}"], 15.0, 300)
        sim.run("2500 ms")
        late = rates(sim, 500)
        assert (late[2] > HELD_HZ) == held and np.delete(late, 2).max() < HELD_HZ
        if held:
            assert recalled(late, np.array([2])) == 1.0
