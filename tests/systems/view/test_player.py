"""A played session replays to the same spikes; rewinding and looking on change none; time is paused, stepped, paid."""

import time

import pytest

from encephagen import load
from engine.errors import UserError
from engine.snapshot import Marks
from systems.spawn.scene_model import VERBS
from systems.view import commands as c
from systems.view.player import Player
from systems.view.session import Session

PALM = "spinal_segments.palm_left.cutaneous"
SCENE = f"""
title: a cord and a body
duration: 60 s
seed: 3
brain: {{profile: newborn, circuits: [spinal_segments]}}
body: {{model: newborn, pose: supine_held}}
timeline:
  - {{at: 20 ms, last: 10 ms, repeat: {{every: 50 ms, times: 100}}, touch: {{patch: palm_right, force: 0.5 N}}}}
actions:
  - {{name: nudge, key: c, last: 30 ms, do: {{push: {{part: head, force: 2 N}}}}}}
  - {{name: lean, key: x, do: {{tilt: {{angle: 10 deg}}}}}}
  - {{name: flash, key: b, last: 7 ms, do: {{brighten: {{level: 20}}}}}}
  - {{name: face, last: 31 ms, do: {{show: {{pattern: face, from: 20 deg, to: -20 deg, takes: 11 ms}}}}}}
probes:
  - {{name: rate, measure: rate_hz, of: {PALM}, from: 10 s, to: 20 s}}
expect:
  - {{probe: rate, between: [0 Hz, 1000 Hz]}}
"""


@pytest.fixture(scope="module")
def cord(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "cord.yaml"
    path.write_text(SCENE)
    return path


def played(sim, tmp_path=None) -> Player:
    """A player whose thread is not started: commands and ticks come from the test, in a known order."""
    return Player(sim, folder=tmp_path)


# Every verb, at odd ticks and with numbers that no decimal rounds well: (ticks to run before, command).
THIRD = 1.0 / 3.0
SCRIPT = [
    (17, c.Act("touch", "palm_left", THIRD, key="mouse")),
    (23, c.Act("touch", "sole_ball_left", THIRD, key="mouse")),  # the finger goes elsewhere
    (9, c.Release("mouse")),
    (1, c.Act("pinch", "belly", 2 * THIRD, last_ms=33)),
    (3, c.Act("prick", "sole_heel_right", 5 * THIRD)),
    (3, c.Act("stroke", "cheek_left", THIRD, key="stroke")),
    (11, c.Act("stroke", "lips", key="stroke")),
    (0, c.Act("stroke", "cheek_right", key="stroke")),
    (13, c.Release("stroke")),
    (2, c.Act("tap", "knee_left_extensor", 0.1 * THIRD)),
    (2, c.Act("push", "head", THIRD, direction=(THIRD, -0.7, 0.1), point=(0.01, THIRD / 10, 0.02), last_ms=21)),
    (2, c.Act("grab", "hand_left", 10 * THIRD, point=(0.0, 0.001, -THIRD / 50), target=(0.1, THIRD, 0.4), key="mouse")),
    (7, c.Act("grab", "hand_left", target=(0.2, 0.7 * THIRD, 0.4), key="mouse")),
    (5, c.Act("grab", "hand_left", target=(0.2, 0.9 * THIRD, 0.3), key="mouse")),
    (20, c.Release("mouse")),
    (1, c.Act("tilt", value=THIRD, direction=(THIRD, 1.0, 0.0), last_ms=40)),
    (5, c.Act("turn", "neck_rotation", -THIRD, last_ms=40)),
    (5, c.Act("drop", value=THIRD / 100)),
    (40, c.Act("hold", "upright", 0.01 * THIRD, last_ms=60)),
    (5, c.Stimulate(PALM, 50 * THIRD)),
    (20, c.Stimulate(PALM, 0)),
    (4, c.Inhibit("spinal_segments.palm_right.*", 50 * THIRD, last_ms=20)),
    (30, c.Lesion("spinal_segments.lips.*")),
    (21, c.SceneAction("nudge")),
    (10, c.SceneAction("lean")),
    (30, c.SceneAction("lean")),
    (10, c.Restore("spinal_segments.lips.*")),
    (3, c.SceneAction("flash")),
    (5, c.SceneAction("face")),
    (40, None),
]


def perform(player: Player, script=SCRIPT) -> None:
    for ticks, command in script:
        player._run(ticks)
        if command is not None:
            player._do(command)
            said = player._message
            assert "expected" not in said and "no " not in said, said


@pytest.fixture(scope="module")
def session(cord, tmp_path_factory):
    folder = tmp_path_factory.mktemp("played")
    player = played(load(cord, seed=11), folder)
    perform(player)
    player._do(c.SaveSession())
    player._do(c.SaveState())
    return player, folder


def test_the_script_has_every_verb():
    given = {x.verb for _, x in SCRIPT if isinstance(x, c.Act)}
    assert given | {"stimulate", "inhibit", "silence", "restore", "brighten", "show", "feed"} == set(VERBS)


def test_a_saved_session_replays_to_the_same_spikes(session):
    player, folder = session
    again = load(folder / "cord_session.yaml")
    assert again.seed == 11 and again.scene.duration == player.sim.tick
    again.run(again.scene.duration)
    assert again.spike_hash == player.sim.spike_hash
    assert [x for x in again.timeline.past if x[0] < again.tick] == player.sim.timeline.past
    assert again.physics.data.qpos.tobytes() == player.sim.physics.data.qpos.tobytes()
    untouched = load(folder / "cord_session.yaml", overrides=["timeline=[]"]).run(again.scene.duration)
    assert untouched.spike_hash != again.spike_hash


def test_the_command_line_replays_it_too(session, capsys):
    import json

    from tools.cli import main

    player, folder = session
    code = main(["run", str(folder / "cord_session.yaml"), "--quiet", "--json", str(folder / "out.json")])
    found = json.loads((folder / "out.json").read_text())
    assert code == 0 and found["spike_hash"] == player.sim.spike_hash


def test_a_saved_state_goes_on_with_its_session(session, cord, tmp_path):
    player, folder = session
    other = played(load(cord, seed=11), folder)
    other._do(c.LoadState())
    assert other.sim.tick == player.sim.tick and other.sim.spike_hash == player.sim.spike_hash
    other._do(c.Act("touch", "palm_left", 1.0, last_ms=20))
    other._run(50)
    other._do(c.SaveSession(tmp_path / "b.yaml"))
    again = load(tmp_path / "b.yaml")
    assert again.run(again.scene.duration).spike_hash == other.sim.spike_hash


def test_rewinding_takes_back_and_what_follows_is_a_new_session(cord, tmp_path):
    straight = load(cord)
    player = played(straight, tmp_path)
    perform(player)
    hashes = {}
    sim = load(cord)
    other = played(sim, tmp_path)
    for ticks, command in SCRIPT:
        other._run(ticks)
        hashes[sim.tick] = sim.spike_hash
        if command is not None:
            other._do(command)
    end = sim.tick
    assert sim.spike_hash == straight.spike_hash and end > 300
    other._run(1100)  # past a snapshot of a whole second
    for target in (end - 40, 200, max(t for t in hashes if t < 120), 0):
        other._do(c.Rewind((sim.tick - target) / 1000.0))
        assert sim.tick == target
        if target in hashes:
            assert sim.spike_hash == hashes[target], target
    perform(other)
    assert sim.spike_hash == straight.spike_hash


def test_the_future_that_was_rewound_does_not_come_back(cord, tmp_path):
    player = played(load(cord), tmp_path)
    player._run(50)
    player._do(c.Act("touch", "palm_left", 1.0, key="mouse"))
    player._run(50)
    player._do(c.Rewind(0.02))  # the finger lies on the palm at 80 ms; nobody holds the button any more
    assert [(p.verb, p.start, p.last) for p in player.session.played] == [("touch", 50, 30)]
    player._do(c.Rewind(0.04))
    assert player.session.played == [] and player.sim.tick == 40
    player._run(200)
    plain = load(cord).run("240 ms")
    assert player.sim.spike_hash == plain.spike_hash and player.sim.timeline.past == plain.timeline.past


def test_rewind_reaches_thirty_seconds_and_a_reset_the_start(cord, tmp_path):
    player = played(load(cord), tmp_path)
    for second in range(45):  # marks without running: the clock's hand is set
        player.sim.world.tick = 1000 * (second + 1)
        player._recent.append(player.marks.mark())
    assert player.sim.tick / 1000 - player._oldest().tick / 1000 >= 30
    player._do(c.Reset())
    assert player.sim.tick == 0
    player._run(100)
    assert player.sim.spike_hash == load(cord).run("100 ms").spike_hash


def test_a_mark_is_a_whole_snapshot(cord):
    sim = load(cord).run("95 ms")
    marks = Marks(sim.runner)
    mark = marks.mark()
    first = sim.run("120 ms").spike_hash
    for _ in range(2):
        marks.recall(mark)
        assert sim.tick == 95 and sim.run("120 ms").spike_hash == first
    assert any(isinstance(kept, tuple) for kept in mark.arrays), "the ring is kept without its zeros"


def test_a_refused_action_is_a_message_and_no_event(cord, tmp_path):
    player = played(load(cord), tmp_path)
    for command, text in ((c.Act("touch", "tail", 1.0), "touch patch"), (c.SceneAction("dance"), "no action"),
                          (c.Stimulate("nowhere", 5.0), "nowhere"), (c.Act("juggle"), "no verb"),
                          (c.Act("touch", "lips", -1.0), "above 0 N"), (c.LoadState(), "no state")):  # fmt: skip
        player._do(command)
        assert text in player._message
    assert player.session.played == [] and not player.sim.timeline.coming[100:]


def test_a_state_from_elsewhere_cannot_be_written_as_a_scene(cord, tmp_path):
    load(cord).run("30 ms").save(tmp_path / "a.h5")
    player = played(load(cord), tmp_path)
    player._do(c.LoadState(tmp_path / "a.h5"))
    with pytest.raises(UserError, match="saved state of another"):
        player.session.scene()
    player._do(c.Reset())
    assert player.session.scene()["duration"] == "1 ms"


# the thread ------------------------------------------------------------------------------------------------------


class Looker:
    """A capture that reads what a capture reads."""

    def __init__(self, sim):
        from systems.view.capture import Capture

        self.of, self.count = Capture(sim), 0

    def frame(self, realtime_x=None):
        self.count += 1
        return self.of.frame(realtime_x)


def until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


@pytest.mark.parametrize(("threads", "ticks"), [(1, 600), (2, 300)])
def test_watching_changes_no_spike(cord, threads, ticks):
    """One plain run, and one in the player's thread under a view that asks for every frame it can get."""
    plain = load(cord).run(ticks)
    sim = load(cord, threads=threads)
    player = Player(sim, Looker(sim), speed=float("inf"), until=ticks).start()
    assert until(lambda: player.latest() is not None and sim.tick >= ticks, 120)
    assert until(lambda: (f := player.latest()) is not None and f[1].time_s == ticks / 1000)
    player.close()
    assert player.capture.count >= 4 and sim.spike_hash == plain.spike_hash


def test_pause_step_and_speed(cord):
    sim = load(cord)
    player = Player(sim, paused=True).start()
    player.post(c.StepTicks(3))
    assert until(lambda: sim.tick == 3)
    player.post(c.StepFrame())
    assert until(lambda: sim.tick == 34)  # the first tick of the second picture of a thirtieth of a second
    player.post(c.StepFrame())
    assert until(lambda: sim.tick == 67)
    time.sleep(0.1)
    assert sim.tick == 67
    player.post(c.Speed(0.1))
    player.post(c.Pause(False))
    begun, first = time.monotonic(), sim.tick
    time.sleep(1.0)
    ticks, wall = sim.tick - first, time.monotonic() - begun
    player.post(c.Pause())
    assert until(lambda: player.status.paused or player.latest() is None)
    assert ticks <= 100 * wall + 3 and ticks >= 50 * wall, "a tenth of real time, less what a busy machine drops"
    player.close()


def test_what_goes_wrong_in_the_thread_is_raised_in_the_window(cord):
    sim = load(cord)

    class Broken:
        def frame(self, realtime_x=None):
            raise UserError("no picture")

    player = Player(sim, Broken()).start()
    with pytest.raises(UserError, match="no picture"):
        until(lambda: player.latest() is not None)
    player.close()


def test_a_session_says_only_what_was_begun_before_its_end(cord):
    sim = load(cord)
    session = Session(sim)
    sim.run("10 ms")
    session.begin("touch", {"patch": "lips", "force": "1 N"}, last=5)
    scene = session.scene()
    assert scene["duration"] == "10 ms" and len(scene["timeline"]) == 0
    sim.run("21 ms")
    scene = session.scene()
    assert ["touch" in e for e in scene["timeline"]] == [True, True]
    assert scene["timeline"][0]["repeat"]["times"] == 1 and scene["timeline"][1]["at"] == "10 ms"


def test_filming_changes_no_spike(cord, tmp_path):
    from systems.view.gl import offscreen_context
    from systems.view.play import play

    try:
        offscreen_context().release()
    except UserError as error:
        pytest.skip(str(error))
    sim = load(cord)
    path = play(sim, tmp_path / "a.mp4", "200 ms")
    assert sim.spike_hash == load(cord).run("200 ms").spike_hash
    import av

    with av.open(str(path)) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 30 and len(pictures) == 6
    bar, stage = pictures[-1][4:30], pictures[-1][60:480, 300:1000]
    assert bar.max() > 200 and 0.001 < (bar.max(axis=2) > 150).mean() < 0.3, "the panels' title and clock are there"
    assert stage.std() > 25, "and the body under them"
