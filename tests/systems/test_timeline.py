"""Lesions hold as long as any of them is in force; hands refuse what cannot be; a snapshot fits its scene only."""

import pytest

from encephagen import load
from engine.errors import UserError
from systems.spawn.scene_model import Event
from systems.timeline import Action, Targets, Timeline, actions_of

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


# repeats ---------------------------------------------------------------------------------------------------------

PULSES = (
    "timeline=[{at: 20 ms, last: 10 ms, repeat: {every: 40 ms, times: 4}, "
    f"stimulate: {{population: {REGION}.*, drive: 60 mV}}}}]"
)


def test_a_repeated_event_is_an_action_each_time():
    event = Event.model_validate({"at": "1 s", "last": "20 ms", "repeat": {"every": "100 ms", "times": 3},
                                  "stimulate": {"population": "a", "drive": "5 mV"}})  # fmt: skip
    found = actions_of(event, Targets())
    assert [(a.start, a.end, a.verb, a.of, a.value) for a in found] == [
        (1000, 1020, "stimulate", "a", 5.0), (1100, 1120, "stimulate", "a", 5.0), (1200, 1220, "stimulate", "a", 5.0)
    ]  # fmt: skip
    for event, ends in (({"tap": {"muscle": "m", "torque": "1 N m"}}, [20, 70]),
                        ({"restore": {"population": "a"}}, [-1, -1])):  # fmt: skip
        event = Event.model_validate({"at": "0 s", "repeat": {"every": "50 ms", "times": 2}, **event})
        assert [(a.start, a.end) for a in actions_of(event, Targets())] == [(0, ends[0]), (50, ends[1])]


def test_actions_come_in_order_of_time_and_then_as_they_were_added(monkeypatch):
    plan = Timeline(Targets())
    monkeypatch.setattr(plan.targets, "check", lambda action: None)
    for start, of in ((5, "a"), (1, "b"), (5, "c"), (3, "d"), (1, "e")):
        plan.add(Action(start, -1, "restore", of))
    assert "".join(a.of for a in plan.coming) == "bedac" and plan.due == 1


@pytest.fixture(scope="module")
def pulsed():
    return load("stimulate", overrides=[*QUIET[1:], PULSES]).run("200 ms")


def test_a_repeated_stimulus_drives_at_its_times_and_not_between(pulsed):
    driven = [spikes(pulsed, start, start + 12) for start in (20, 60, 100, 140)]
    between = [spikes(pulsed, start, start + 12) for start in (5, 45, 85, 125, 180)]
    assert min(driven) > 2 * max(between) and len(pulsed.timeline.past) == 4
    assert [tick for tick, _ in pulsed.timeline.past] == [20, 60, 100, 140]


def test_a_snapshot_between_repeats_goes_on_with_them(pulsed, tmp_path):
    load("stimulate", overrides=[*QUIET[1:], PULSES]).run("65 ms").save(tmp_path / "a.h5")  # within the second
    again = load("stimulate", overrides=[*QUIET[1:], PULSES]).load_state(tmp_path / "a.h5")
    assert again.run("135 ms").spike_hash == pulsed.spike_hash and again.timeline.past == pulsed.timeline.past


def test_actions_of_circuits_that_the_scene_leaves_out_are_left_out():
    """A scene of fewer circuits keeps the inherited actions it can do; a name that no circuit has is an error."""
    from encephagen import load
    from engine.errors import UserError

    alone = ["timeline=[]", "probes=[]", "expect=[]", "brain.circuits=[brainstem]"]
    sim = load("stimulate", overrides=alone)
    assert 0 < len(sim.timeline.actions) < len(sim.scene.actions)
    assert {a.do.action.population.split(".")[0] for a in sim.timeline.actions} == {"brainstem"}
    with pytest.raises(UserError, match=r"actions\.0\.do: no population matches 'brainstm"):
        load("stimulate", overrides=[*alone, "actions.0.do.stimulate.population=brainstm.*.cochlear"])
