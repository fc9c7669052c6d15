"""The judge: gymnasium's environment is gymnasium's, the controls are what they say, and the walker stands in it.

Test seeds count from 1001; the gains of the body were found on seeds from 1, and checked on seeds from 501.
"""

import numpy as np
import pytest

from tools.judge import FIRST_SEED, Arena, judge, replayed, simulated, stand

CORD = "experiments/walker_cord"


@pytest.fixture(scope="module")
def arena():
    found = Arena("walker")
    yield found
    found.close()


def test_the_arena_is_gymnasiums_own_environment(arena):
    """The same observations, rewards and ending as `gymnasium.make("Walker2d-v5")` under the same actions."""
    import gymnasium

    plain = gymnasium.make("Walker2d-v5", exclude_current_positions_from_observation=False)
    actions = np.random.default_rng(5).uniform(-1, 1, (1000, 6)).astype(np.float32)
    for seed in (3, 1001):
        mine, theirs = arena.reset(seed), plain.reset(seed=seed)[0]
        assert mine.tobytes() == theirs.tobytes()
        for action in actions:
            mine, theirs = arena.env.step(action), plain.step(action)
            assert mine[0].tobytes() == theirs[0].tobytes() and mine[1:4] == theirs[1:4]
            if theirs[2]:
                break
        assert theirs[2], "random torque does not stand"
    assert arena.cap == plain.spec.max_episode_steps == 1000
    plain.close()


def test_a_push_is_added_to_the_forward_speed_and_to_nothing_else(arena):
    still, speed = (arena.split(arena.reset(9)), arena.split(arena.reset(9, push=0.4)))
    arena.reset(9, push=0.4)
    positions, speeds = arena.split(arena.env.step(np.zeros(6, np.float32))[0])
    arena.reset(9)
    before = arena.split(arena.env.step(np.zeros(6, np.float32))[0])
    assert np.array_equal(still[0], speed[0])
    assert speeds[0] - before[1][0] == pytest.approx(0.4, abs=0.05)
    assert positions[0] - before[0][0] == pytest.approx(0.4 * 0.008, rel=0.1)


def test_actions_are_what_the_muscles_pull_held_for_a_control_step(arena):
    """A step of the environment every 8 ticks, its sensors before the brain at once."""
    sim, seen = simulated(CORD, 3), []

    def watch(sim, observation):
        address = sim.body.sensor_address(sim.body.gyro)[0] + 1
        seen.append((sim.tick, observation[11], sim.physics.data.sensordata[address]))

    episode = stand(sim, arena, 3, watch=watch)
    ticks = np.array([t for t, _, _ in seen])
    assert (np.diff(ticks) == 8).all() and len(seen) == episode.survived == len(episode.actions)
    assert np.abs(episode.actions).max() <= 1 and np.ptp(episode.actions, axis=0).min() > 0
    joint, gyroscope = np.array([(a, b) for _, a, b in seen]).T  # turning about y; mj_step senses before it moves
    assert np.corrcoef(joint, gyroscope)[0, 1] > 0.98


def test_replays_are_made_of_the_runs_own_actions():
    runs = [np.arange(8.0).reshape(4, 2) + 10 * k for k in range(3)]
    assert np.array_equal(replayed("zero", runs, 0, 1), [[0, 0]])
    assert np.array_equal(replayed("constant", runs, 1, 1), [[13, 14]])
    shuffled = replayed("shuffled", runs, 2, 1)
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, runs[2])) and not np.array_equal(shuffled, runs[2])
    assert np.array_equal(replayed("swapped", runs, 2, 1), runs[0])


@pytest.mark.slow
def test_the_walker_stands_by_its_vestibular_nuclei():
    """Issue: mean of at least 950 of 1,000 steps; below 300 under its own mean torque, shuffled, swapped or zero
    torque, and without vestibular nuclei. Five of the twenty seeds of the judge."""
    arms = {"function": {}, "lesion": {"silence": ["brainstem.*.vestibular*"]}}
    arms |= {kind: {"replay": kind} for kind in ("zero", "constant", "shuffled", "swapped")}
    found = judge(CORD, list(range(FIRST_SEED, FIRST_SEED + 5)), arms)
    assert np.mean(found.pop("function")) >= 950
    for name, survived in found.items():
        assert np.mean(survived) < 300, name


@pytest.mark.slow
def test_the_walker_stands_with_the_whole_brain_above():
    found = judge("walker", [FIRST_SEED], {"function": {}, "lesion": {"silence": ["brainstem.*.vestibular*"]}})
    assert found["function"][0] >= 950 and found["lesion"][0] < 300


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="0.1 m; gains that were searched step in place or topple (docs/balance.md)")
def test_a_driven_midbrain_makes_the_walker_walk(arena):
    """Issue: at least 3 m in 1,000 steps with alternating stance."""
    episode = stand(simulated("experiments/walker_walk", FIRST_SEED), arena, FIRST_SEED)
    assert episode.travelled_m >= 3.0 and episode.steps >= 6
