"""How long a body stands inside gymnasium's own environment: its reset noise, its termination, its cap of steps.

    python -m tools.judge SCENE [--seeds 20] [--first-seed 1001] [--lesions] [--silence GLOB] [--push 0.3] [--json F]

The brain sees the sensors of the environment's physics once per control step and hands over its muscles' pull as the
action, held for the control step; nothing else passes. The environment's model is replaced by ours, which has sensors
besides and moves bit for bit as gymnasium's own (tests/test_judge.py). One seed: wiring, noise, and `reset(seed=...)`.

Arms that need no brain replay what the brain did with the same seed: `zero` action, `constant` (the run's own mean),
`shuffled` (the run's own actions in random order), `swapped` (the actions of the next seed, in order).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.body import BodyState
from engine.errors import UserError

ENVIRONMENTS = {"walker": "Walker2d-v5", "humanoid": "Humanoid-v5"}
REPLAYS = ("zero", "constant", "shuffled", "swapped")
FIRST_SEED = 1001  # calibrations use seeds below


@dataclass
class Episode:
    """One run: control steps survived, actions taken [steps, actuators], how far it came, and on which feet."""

    survived: int
    actions: np.ndarray
    reward: float
    travelled_m: float
    steps: int  # how often the foot that stands alone changed
    stance: tuple[int, int]  # control steps on one foot only, by foot


class Arena:
    """gymnasium's environment of a body, with our sensors in its model. Closed by `close`."""

    def __init__(self, body: str):
        import gymnasium
        import mujoco

        from systems.spawn.body import load_body

        if body not in ENVIRONMENTS:
            raise UserError(f"judge: expected a body of gymnasium ({', '.join(ENVIRONMENTS)}), got {body}")
        self.env = gymnasium.make(ENVIRONMENTS[body], exclude_current_positions_from_observation=False)
        self.inner = self.env.unwrapped
        self.inner.model = load_body(body).model
        self.inner.data = mujoco.MjData(self.inner.model)
        self.cap = self.env.spec.max_episode_steps

    def reset(self, seed: int, push: float = 0.0) -> np.ndarray:
        """Start an episode with gymnasium's noise; `push` is added to the forward speed [m/s]. The observation."""
        seen, _ = self.env.reset(seed=seed)
        if push:
            positions, speeds = self.split(seen)
            speeds[0] += push
            self.inner.set_state(positions, speeds)
        return seen

    def split(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and speeds of an observation, copied."""
        nq, nv = self.inner.model.nq, self.inner.model.nv
        return seen[:nq].copy(), seen[nq : nq + nv].copy()

    def replay(self, actions: np.ndarray, seed: int, push: float = 0.0) -> int:
        """Steps survived under these actions [any, actuators], in order, from the start again at their end."""
        self.reset(seed, push)
        for step in range(10**9):
            _, _, fallen, capped, _ = self.env.step(actions[step % len(actions)])
            if fallen or capped:
                return step + 1
        return 0

    def close(self) -> None:
        self.env.close()


def stand(sim, arena: Arena, seed: int, push: float = 0.0, watch=None) -> Episode:
    """Run a fresh simulation as the agent of the arena until it falls or the cap is reached."""
    first, every = arena.reset(seed, push), sim.body.control_steps_ms // sim.body.step_ms
    actions, rewards, state = [], [], {"over": False, "seen": first}
    ctrl, sensors, alone = sim.world[BodyState.ctrl], sim.world[BodyState.sensors], []
    soles = [sim.body.sensor_address(patch.sensor)[0] for patch in sim.body.patches if patch.stem == "sole"]

    def advance(data, steps):
        if (steps + 1) % every or state["over"]:
            return
        actions.append(ctrl.copy())
        loaded = [foot for foot, address in enumerate(soles) if sensors[address] > 0.0]
        alone.extend(loaded if len(loaded) == 1 else ())
        state["seen"], reward, fallen, capped, _ = arena.env.step(ctrl.astype(np.float32))
        rewards.append(reward)
        state["over"] = fallen or capped
        if watch is not None:
            watch(sim, state["seen"])

    sim.physics.hand_over(arena.inner.model, arena.inner.data, advance)
    while not state["over"]:
        sim.run(sim.body.control_steps_ms)
    travelled = float(arena.split(state["seen"])[0][0] - arena.split(first)[0][0])
    stance = np.bincount(np.array(alone, int), minlength=2)
    steps = int(np.count_nonzero(np.diff(alone)))
    return Episode(len(actions), np.array(actions), float(np.sum(rewards)), travelled, steps, tuple(map(int, stance)))


# ---- arms ----------------------------------------------------------------------------------------------------------


def judge(scene: str, seeds: list[int], arms: dict[str, dict], say=print) -> dict[str, list[int]]:
    """Steps survived [seeds] in every arm; an arm is {"silence": selectors, "push": m/s, "replay": kind}."""
    arena, found, runs = None, {name: [] for name in arms}, {}
    try:
        for name, arm in arms.items():
            push = arm.get("push", 0.0)
            for number, seed in enumerate(seeds):
                if "replay" in arm:
                    actions = replayed(arm["replay"], [runs[s] for s in seeds], number, seed)
                    found[name].append(arena.replay(actions, seed, push))
                    continue
                sim = simulated(scene, seed)
                arena = arena or Arena(sim.body.name)
                for selector in arm.get("silence", ()):
                    sim.silence(selector)
                episode = stand(sim, arena, seed, push)
                if not arm.get("silence") and not push:
                    runs[seed] = episode.actions
                found[name].append(episode.survived)
            say(f"{name:44s} {described(found[name], arena.cap)}")
    finally:
        if arena is not None:
            arena.close()
    return found


def replayed(kind: str, runs: list[np.ndarray], number: int, seed: int) -> np.ndarray:
    """Actions [any, actuators] made of those that the brain of a seed took."""
    own = runs[number]
    if kind == "zero":
        return np.zeros_like(own[:1])
    if kind == "constant":
        return own.mean(axis=0, keepdims=True)
    if kind == "shuffled":
        return np.random.default_rng([seed, 1]).permutation(own)
    return runs[(number + 1) % len(runs)]


def described(survived: list[int], cap: int) -> str:
    steps = np.array(survived)
    return (f"mean {steps.mean():6.1f}, sd {steps.std(ddof=1) if steps.size > 1 else 0.0:5.1f}, "
            f"{int((steps >= cap).sum()):2d} of {steps.size} whole, least {steps.min()}")  # fmt: skip


def simulated(scene: str, seed: int, calibrations: dict | None = None, overrides=()):
    """A fresh simulation of a scene, with calibrations of its own if given."""
    from engine.scene import load_scene
    from systems.simulation import Simulation
    from systems.spawn.scene_model import SCENES, Scene, check_files

    model, source = load_scene(scene, Scene, [SCENES, Path.cwd()], overrides)
    check_files(model, source)
    return Simulation(model, source, seed=seed, strict=False, calibrations=calibrations)


def lesions(scene: str) -> dict[str, dict]:
    """An arm for every kind of cell of the scene: all its instances silent."""
    network = simulated(scene, 0).network
    kinds = dict.fromkeys(f"{p.structure}.*.{p.cell_name}" for p in network.populations if not p.stand_in)
    return {f"without {kind}": {"silence": [kind]} for kind in kinds}


def main(words=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.judge", description=__doc__.split("\n")[0])
    parser.add_argument("scene")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, metavar="N")
    parser.add_argument("--silence", metavar="GLOB", action="append", default=[], help="an arm with these cells silent")
    parser.add_argument("--lesions", action="store_true", help="an arm for every kind of cell, all of it silent")
    parser.add_argument("--push", type=float, metavar="M/S", action="append", default=[],
                        help="arms with this added to the forward speed at the start")  # fmt: skip
    parser.add_argument("--no-replays", action="store_true", help="leave out zero, constant, shuffled and swapped")
    parser.add_argument("--json", metavar="F", help="write steps survived by arm and seed")
    args = parser.parse_args(words)
    seeds = list(range(args.first_seed, args.first_seed + args.seeds))
    arms: dict[str, dict] = {"function": {}}
    if not args.no_replays:
        arms |= {kind: {"replay": kind} for kind in REPLAYS}
    lesioned = {f"without {glob}": {"silence": [glob]} for glob in args.silence}
    arms |= lesioned
    if args.lesions:
        arms |= lesions(args.scene)
    for push in args.push:
        arms |= {
            f"{name}, push {push:+g} m/s": {**arm, "push": push} for name, arm in ({"function": {}} | lesioned).items()
        }
    try:
        found = judge(args.scene, seeds, arms, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        return 130
    if args.json:
        Path(args.json).write_text(
            json.dumps({"scene": args.scene, "seeds": seeds, "survived": found}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(f"judge: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
