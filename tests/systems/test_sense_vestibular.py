"""Canals and otoliths against their transfer functions, in the heads of bodies, and what the nuclei make of them."""

import numpy as np
import pytest

from components.body import BodyState, Vestibular
from components.network import Inputs
from engine.world import World
from systems.sense_vestibular import sense_vestibular
from systems.simulation import load

STEP_MS = 2.0
SPREAD = np.array([0.5, 1.0, 1.5])
HEAD = """
title: A head, its labyrinths and the nuclei
seed: 3
duration: 60 s
brain: {{profile: {profile}, circuits: [brainstem]}}
{body}
"""


def organ(**columns):
    """A world with one group of three afferents."""
    world = World(0)
    world.set_array(BodyState.sensors, np.zeros(1))
    world.set_array(Inputs.spread, SPREAD.astype(np.float32))
    world.set_array(Inputs.sense, np.zeros(3, np.float32))
    table = world.add_table("organ", [Vestibular], 1)
    defaults = {"sensor": 0, "scale": 1.0, "limit": 10.0, "gain": 4.0, "first": 0, "count": 3}
    for name, value in (defaults | columns).items():
        table[getattr(Vestibular, name)][0] = value
    return world, table


def felt(world, table, reading: float, ms: float) -> float:
    """Drive [mV] after so long of a constant reading."""
    world[BodyState.sensors][0] = reading
    for _ in range(round(ms / STEP_MS)):
        sense_vestibular(table, world)
    found = world[Inputs.sense] + SPREAD
    assert np.ptp(found) < 1e-4, "afferents differ by their spread only"
    return float(found[0])


def steps(fast_ms: float, slow_ms: float) -> dict[str, float]:
    return {"fast_step": 1 - np.exp(-STEP_MS / fast_ms), "slow_step": 1 - np.exp(-STEP_MS / slow_ms)}


def test_a_canal_answers_a_turn_and_gets_used_to_it():
    """4 mV per rad/s: 2 rad/s are 8 mV, 8 / e after the long time constant, and a stop is felt as a turn back."""
    world, table = organ(**steps(3.0, 5700.0))
    assert felt(world, table, 2.0, 20) == pytest.approx(8.0, rel=0.02)
    assert felt(world, table, 2.0, 5680) == pytest.approx(8.0 / np.e, rel=0.01)
    assert felt(world, table, 0.0, 20) == pytest.approx(8.0 / np.e - 8.0, rel=0.02)


def test_an_otolith_holds_what_it_feels_and_is_slow_to_blows():
    """One time constant of 16 ms: 1 - 1/e of a step, all of it later; a 2 ms blow of 1 g arrives as 0.12 g."""
    world, table = organ(**steps(16.0, np.inf))
    assert felt(world, table, 1.0, 16) == pytest.approx(4.0 * (1 - 1 / np.e), rel=1e-3)
    assert felt(world, table, 1.0, 60_000) == pytest.approx(4.0, rel=1e-4)
    world, table = organ(**steps(16.0, np.inf))
    assert felt(world, table, 1.0, 2) == pytest.approx(4.0 * (1 - np.exp(-1 / 8)), rel=1e-3)


def test_the_other_direction_takes_drive_away_and_no_motion_is_followed_beyond_the_limit():
    world, table = organ(scale=-1.0, limit=5.0, **steps(1e-3, np.inf))
    assert felt(world, table, 3.0, 2) == pytest.approx(-12.0)
    assert felt(world, table, -300.0, 2) == pytest.approx(20.0)


def head(tmp_path, body: str, profile: str = "newborn", **options):
    path = tmp_path / "head.yaml"
    path.write_text(HEAD.format(body=body, profile=profile))
    return load(str(path), **options)


def rates(sim, cell: str, window: str = "400 ms") -> dict[str, float]:
    found = {p.instance: p.name for p in sim.network.select(f"brainstem.*.{cell}")}
    return {instance: sim.rate_hz(name, window) for instance, name in found.items()}


@pytest.mark.parametrize(
    ("pose", "down", "up", "level"),
    [("supine", "backward", "forward", ("left", "right")), ("prone", "right", "left", ("forward", "backward"))],
)
def test_otoliths_tell_which_side_is_down(tmp_path, pose, down, up, level):
    """On its back the head leans backward by a quarter turn, prone (the face turned to the left) it lies on its right
    ear: about 1 g more on one side and 1 g less on the other, at 50 Hz per g."""
    sim = head(tmp_path, f"body: {{model: newborn, pose: {pose}}}")
    sim.run("800 ms")
    found = rates(sim, "otolith")
    assert found[down] > 95 and found[up] < 25
    assert all(40 < found[side] < 90 for side in level)


@pytest.mark.parametrize(
    ("axis", "sign", "felt_as"),
    [
        (0, 1, "right"),
        (1, 1, "forward"),
        (2, 1, "turn_left"),
        (0, -1, "left"),
        (1, -1, "backward"),
        (2, -1, "turn_right"),
    ],
)
def test_canals_tell_the_turn_of_the_head(tmp_path, axis, sign, felt_as):
    """A turn of 3 rad/s about an axis of the head: its canal fires more, the opposite one less, others as before."""
    sim = head(tmp_path, "body: {model: newborn, pose: supine}")
    sim.run("200 ms")
    address = sim.body.sensor_address(sim.body.gyro)[0]
    turn = np.zeros(3)
    turn[axis] = 3.0 * sign

    def hold(sim):
        sim.world[BodyState.sensors][address : address + 3] = turn

    hold(sim)
    sim.run("200 ms", on_tick=hold)
    found = rates(sim, "canal", "150 ms")
    opposite = {"forward": "backward", "left": "right", "turn_left": "turn_right"}
    opposite |= {b: a for a, b in opposite.items()}
    assert found.pop(felt_as) > 110
    assert found.pop(opposite[felt_as]) < 25
    assert all(50 < rate < 90 for rate in found.values())


def test_tilt_cells_remember_a_turn_and_forget_it_in_seconds(tmp_path):
    """Nothing but the canals says so: 0.4 s of turning forward. Second-order cells stop with it, tilt cells go on, and
    lose the difference with the time constant of their synapses, 1.5 s; the sides that did not turn never differ."""
    sim = head(tmp_path, "", profile="adult")
    sim.run("1 s")
    sim.stimulate("brainstem.forward.canal", "5 mV", last="400 ms")
    sim.stimulate("brainstem.backward.canal", "-5 mV", last="400 ms")
    sim.run("400 ms")

    def lead(cell, sides=("forward", "backward"), window="300 ms"):
        found = rates(sim, cell, window)
        return found[sides[0]] - found[sides[1]]

    assert lead("vestibular") > 30
    sim.run("300 ms")
    early = lead("tilt", window="200 ms")
    assert abs(lead("vestibular", window="200 ms")) < 12 and early > 25
    sim.run("1500 ms")
    assert 0.2 * early < lead("tilt", window="200 ms") < 0.6 * early, "1/e = 0.37"
    assert abs(lead("tilt", ("left", "right"), "1 s")) < 10


def test_a_snapshot_keeps_what_the_organs_have_followed(tmp_path):
    def make():
        return head(tmp_path, "body: {model: newborn, pose: prone}")

    whole = make().run("300 ms")
    half = make().run("150 ms")
    half.save(tmp_path / "half.h5")
    rest = make().load_state(tmp_path / "half.h5")
    rest.run("150 ms")
    assert rest.spike_hash == whole.spike_hash
    assert rest.world.tables["vestibular"][Vestibular.slow].tobytes() == whole.world.tables["vestibular"][
        Vestibular.slow].tobytes()  # fmt: skip
