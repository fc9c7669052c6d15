"""Lesions hold as long as any of them is in force; hands refuse what cannot be; a snapshot fits its scene only."""

import pytest

from encephagen import load
from engine.errors import UserError

QUIET = ["timeline=[]", "probes=[]", "expect=[]"]
REGION = "cortex.Cuneus_L"


def spikes(sim, start, stop) -> int:
    return sim.spike_count(REGION, start, stop)


def test_a_short_lesion_does_not_end_a_lasting_one():
    sim = load("stimulate", overrides=[*QUIET, f'brain.silence=["{REGION}.*"]'])
    sim.silence(REGION, last="50 ms")
    sim.run("150 ms")
    assert spikes(sim, 0, 150) == 0
    sim.silence(f"{REGION}.l4", last="20 ms")
    sim.silence(REGION)
    sim.run("100 ms")
    assert spikes(sim, 150, 250) == 0
    sim.restore(REGION)
    sim.run("200 ms")
    assert spikes(sim, 250, 450) > 0
    sim.silence(REGION, last="100 ms")
    sim.run("300 ms")
    assert spikes(sim, 450, 550) == 0 < spikes(sim, 560, 750)


@pytest.fixture(scope="module")
def lying(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "lying.yaml"
    path.write_text("title: lying\nduration: 1 s\nbody: {model: newborn, pose: supine}\n")
    return path


def test_hands_refuse_what_cannot_be(lying):
    sim = load(lying)
    for action in (
        lambda: sim.push("head", "5 N", direction=(0.0, 0.0, 0.0)),
        lambda: sim.touch("palm_left", force="-1 N"),
        lambda: sim.touch("palm_left", last="-1 s"),
        lambda: sim.touch("elbow"),
        lambda: sim.tap("tail"),
        lambda: sim.run(float("nan")),
        lambda: sim.run(float("inf")),
        lambda: sim.run("1.5 ms"),
        lambda: sim.rate_hz("cortex"),
    ):
        with pytest.raises(UserError):
            action()
    assert sim.tick == 0


def test_a_snapshot_fits_its_own_scene_only(lying, tmp_path):
    load(lying).run("10 ms").save(tmp_path / "a.h5")
    with pytest.raises(UserError, match="another scene: its body differs"):
        load(lying, overrides=["body.pose=prone"]).load_state(tmp_path / "a.h5")
    assert load(lying, overrides=["duration=2 s"]).load_state(tmp_path / "a.h5").tick == 10


def test_an_unknown_pose_blames_the_scene(lying):
    with pytest.raises(UserError, match=r'--set body\.pose=flying: body\.pose: expected one of .*got "flying"'):
        load(lying, overrides=["body.pose=flying"])
