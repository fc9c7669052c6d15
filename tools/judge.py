"""How long a body stands inside gymnasium's own environment: its reset noise, its termination, its cap of steps.

    python -m tools.judge SCENE [--seeds 20] [--first-seed 1001] [--arms function,constant,...] [--push 0.3] [--json F]

The brain sees the sensors of the environment's physics once per control step and hands over its muscles' pull as the
action, held for the control step; nothing else passes. The environment is made with our sensor-augmented MJCF, which
moves bit for bit as gymnasium's own (tests/systems/test_body.py). One seed: wiring, noise, and `reset(seed=...)`.

Arms that need no brain replay what the brain did with the same seed: `zero` action, `constant` (the run's own mean),
`shuffled` (the run's own actions in random order), `swapped` (the actions of the next seed, in order).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.body import BodyState
from engine.errors import UserError

ENVIRONMENTS = {"walker": "Walker2d-v5", "humanoid": "Humanoid-v5"}
REPLAYS = ("zero", "constant", "shuffled", "swapped")
FIRST_SEED = 1001  # calibrations use seeds below


@dataclass
class Episode:
    """One run: control steps survived, actions taken [steps, actuators], observations [steps, ...] if kept."""

    survived: int
    actions: np.ndarray
    reward: float
    travelled_m: float
    seen: list = field(default_factory=list)


class Arena:
    """gymnasium's environment of a body, made with our sensors. Closed by `close`."""

    def __init__(self, body: str):
        import gymnasium

        from systems.spawn.body import mjcf_text

        if body not in ENVIRONMENTS:
            raise UserError(f"judge: expected a body of gymnasium ({', '.join(ENVIRONMENTS)}), got {body}")
        with tempfile.NamedTemporaryFile("w", suffix=".xml", delete=False) as file:
            file.write(mjcf_text(body))
        try:
            self.env = gymnasium.make(
                ENVIRONMENTS[body], xml_file=file.name, exclude_current_positions_from_observation=False
            )
        finally:
            Path(file.name).unlink()
        self.inner = self.env.unwrapped
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
    ctrl = sim.world[BodyState.ctrl]

    def advance(data, steps):
        if (steps + 1) % every or state["over"]:
            return
        actions.append(ctrl.copy())
        state["seen"], reward, fallen, capped, _ = arena.env.step(ctrl.astype(np.float32))
        rewards.append(reward)
        state["over"] = fallen or capped
        if watch is not None:
            watch(sim, state["seen"])

    sim.physics.hand_over(arena.inner.model, arena.inner.data, advance)
    while not state["over"]:
        sim.run(sim.body.control_steps_ms)
    travelled = float(arena.split(state["seen"])[0][0] - arena.split(first)[0][0])
    return Episode(len(actions), np.array(actions), float(np.sum(rewards)), travelled)
