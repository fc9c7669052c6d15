"""A rate that the background holds, on eight regions."""

import pytest

import encephagen
from engine.errors import UserError
from systems.spawn import hold_rate
from tests.tools.conftest import calibration, scenes  # noqa: F401  (eight regions and their background)

HELD = "brain.hold_rate={of: cortex.*.l*, at: %s}"


def still(*more):
    """Hardly coupled, so that the rate follows the background by and by."""
    return ["timeline=[]", "probes=[]", "expect=[]", 'brain.gains={"cortex:*": 0.1}', *more]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(hold_rate, "SETTLE_MS", 200)
    monkeypatch.setattr(hold_rate, "MEASURE_MS", 800)
    monkeypatch.setattr(hold_rate, "STEP", 0.5)  # cells that hardly hear each other answer weakly


def test_the_background_holds_the_rate(scenes, quick):  # noqa: F811
    """More and less than it fires by itself; the factor is on the scene's own background, of those it holds alone."""
    file = scenes / "small.yaml"
    own = encephagen.load(file, overrides=still()).run("2 s").rate_hz("cortex.*.l*", "1800 ms")
    for wanted in (1.3 * own, 0.7 * own):
        sim = encephagen.load(file, overrides=still(HELD % f"{wanted:.3f} Hz"))
        assert sim.run("2 s").rate_hz("cortex.*.l*", "1800 ms") == pytest.approx(wanted, rel=0.1)
        assert (sim.held_background > 1.0) == (wanted > own)
        plain = encephagen.load(file, overrides=still()).network.background_hz
        found = sim.network.background_hz
        assert found["cortex.Calcarine_L.l23"] == pytest.approx(sim.held_background * plain["cortex.Calcarine_L.l23"])
        assert found["cortex.Calcarine_L.pv"] == plain["cortex.Calcarine_L.pv"]
    again = encephagen.load(file, overrides=still(HELD % f"{wanted:.3f} Hz"))
    assert again.run("500 ms").spike_hash != sim.spike_hash and again.held_background == sim.held_background


def test_a_snapshot_goes_on_with_the_rate_held(scenes, quick, tmp_path):  # noqa: F811
    over = still(HELD % "9 Hz", "duration=1 s")
    sim = encephagen.load(scenes / "small.yaml", overrides=over).run("200 ms")
    sim.save(tmp_path / "a.h5")
    whole = sim.run("200 ms").spike_hash
    assert (
        encephagen.load(scenes / "small.yaml", overrides=over).load_state(tmp_path / "a.h5").run("200 ms").spike_hash
        == whole
    )


def test_names_that_do_not_exist(scenes):  # noqa: F811
    for of, part in (("nobody.*", "no population"), ("brainstem.*", "no population")):
        with pytest.raises(UserError) as caught:
            encephagen.load(scenes / "small.yaml", overrides=still(f"brain.hold_rate={{of: {of}, at: 5 Hz}}"))
        assert part in str(caught.value) and "brain.hold_rate.of" in str(caught.value)
