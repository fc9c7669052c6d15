"""`python -m tools.delayed_cue`: can e-prop learn to remember which of four cues was shown, and answer when asked?

One of four groups of inputs fires, then nothing but noise for the delay, then a `go` group asks; the answer is the
output with the largest sum. Arms: symmetric feedback, random feedback, back-propagation through time with the same rate
regularisation (a flatter slope and clipped gradients, or it explodes), learning off, and shuffled labels (the reward
says nothing of the cue).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

from tools import common

CUES, PER_GROUP = 4, 10
GROUPS = CUES + 2  # the cues, go, noise
ARMS = ("symmetric", "random", "bptt", "off", "shuffled")


@dataclass(frozen=True)
class Task:
    """Times in ms, which are steps; rates in Hz."""

    cue: int = 100
    delay: int = 500
    answer: int = 100
    cue_hz: float = 100.0
    noise_hz: float = 10.0

    @property
    def steps(self) -> int:
        return self.cue + self.delay + self.answer

    def trial(self, rng: np.random.Generator, label: int) -> np.ndarray:
        """Input spikes; shape [steps, groups x cells]."""
        hz = np.zeros((self.steps, GROUPS))
        hz[: self.cue, label] = self.cue_hz
        hz[self.cue + self.delay :, CUES] = self.cue_hz
        hz[:, CUES + 1] = self.noise_hz
        p = np.repeat(hz, PER_GROUP, axis=1) / 1000.0
        return (rng.random(p.shape) < p).astype(np.float32)


@dataclass(frozen=True)
class Rule:
    """Of the cells and of learning; time constants in ms. Half of the cells adapt, a fifth inhibit."""

    cells: int = 100
    tau: float = 20.0
    tau_out: float = 20.0
    tau_adapt: float = 700.0
    beta: float = 0.18
    gamma: float = 0.3
    gamma_bptt: float = 0.1  # with 0.3 its gradients explode, up to a million times the median, and 3 of 5 nets fail
    clip_bptt: float = 3.0  # largest gradient of a trial
    refractory: int = 4
    rate: float = 0.005
    batch: int = 32
    target_hz: float = 15.0
    regular: float = 0.3
    connected: float = 0.5


class Net:
    """Weights (magnitudes), signs and constants of one network, and Adam's moments (Kingma & Ba 2015)."""

    def __init__(self, rng: np.random.Generator, rule: Rule):
        n, given = rule.cells, GROUPS * PER_GROUP
        self.rule, self.given = rule, given
        self.adapts = np.arange(n) >= n // 2
        inhibits = np.arange(n) % 5 == 4
        self.sign = np.concatenate([np.ones(given), np.where(inhibits, -1.0, 1.0)]).astype(np.float32)
        self.mask = rng.random((n, given + n)) < rule.connected
        self.mask[np.arange(n), given + np.arange(n)] = False
        scale = np.concatenate([np.full(given, 0.15), np.where(inhibits, 0.10, 0.025)])
        self.w = (abs(rng.normal(size=self.mask.shape)) * scale * self.mask).astype(np.float32)
        self.w_out = (abs(rng.normal(size=(CUES, n))) * np.where(inhibits, 0.2, 0.05)).astype(np.float32)
        self.fixed = (rng.normal(size=(n, CUES)) * 0.1).astype(np.float32)
        self.beta = np.where(self.adapts, rule.beta, 0.0).astype(np.float32)
        self.alpha, self.kappa, self.rho = (np.float32(np.exp(-1 / tau)) for tau in
                                            (rule.tau, rule.tau_out, rule.tau_adapt))  # fmt: skip
        self.hz = np.full(n, rule.target_hz)
        self.moments = [[np.zeros_like(a), np.zeros_like(a)] for a in (self.w, self.w_out)]
        self.updates = 0

    def feedback(self, arm: str) -> np.ndarray:
        """From the outputs' errors to cells; shape [cells, outputs]."""
        if arm == "random":
            return self.fixed
        return np.ascontiguousarray((self.w_out * self.sign[self.given :]).T)

    def run(self, inputs: np.ndarray, gamma: float):
        """(x, z, psi, y) of one trial; `gamma` is the slope of psi."""
        from systems.eprop_trial import forward

        steps, n = inputs.shape[0], self.rule.cells
        x = np.zeros((steps, self.given + n), np.float32)
        z, psi = np.zeros((2, steps, n), np.float32)
        y = np.zeros((steps, CUES), np.float32)
        forward(inputs, self.w, self.sign, self.w_out, self.alpha, self.kappa, self.rho, self.beta, np.float32(1),
                np.float32(gamma), self.rule.refractory, x, z, psi, y)  # fmt: skip
        return x, z, psi, y

    def update(self, gradients: tuple[np.ndarray, np.ndarray]) -> None:
        """One step of Adam; a weight that would change its sign stays at 0 (Dale's law)."""
        self.updates += 1
        for value, g, (first, second) in zip((self.w, self.w_out), gradients, self.moments, strict=True):
            first += 0.1 * (g - first)
            second += 0.001 * (g * g - second)
            step = first / (1 - 0.9**self.updates) / (np.sqrt(second / (1 - 0.999**self.updates)) + 1e-8)
            np.maximum(value - np.float32(self.rule.rate) * step, 0, out=value)
        self.w *= self.mask


def train(seed: int, arm: str, task: Task, rule: Rule, batches: int, tests: int = 400, progress=None) -> dict:
    """Train one network and test it on trials that it has not seen."""
    from systems.eprop_trial import bptt_gradient, eprop_gradient, errors, output_gradient

    net = Net(np.random.default_rng([seed, 1]), rule)
    rng, shuffle = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])
    gamma = rule.gamma_bptt if arm == "bptt" else rule.gamma
    error = np.zeros((task.steps, CUES), np.float32)
    first, history = task.cue + task.delay, []
    for number in range(batches if arm != "off" else 0):
        gradients = np.zeros_like(net.w), np.zeros_like(net.w_out)
        labels = rng.integers(0, CUES, rule.batch)
        # drawn anew: a permutation of the batch's own labels is right more often than a quarter, and that is learnt
        told = shuffle.integers(0, CUES, rule.batch) if arm == "shuffled" else labels
        regular = (rule.regular * (net.hz - rule.target_hz) / 1000.0 / task.steps).astype(np.float32)
        hz, hits = np.zeros(rule.cells), 0
        for label, said in zip(labels, told, strict=True):
            x, z, psi, y = net.run(task.trial(rng, label), gamma)
            _, answer = errors(y, said, first, error)
            hits += answer == label
            hz += z.mean(axis=0) * 1000.0 / rule.batch
            if arm == "bptt":
                mine = np.zeros_like(net.w)
                bptt_gradient(x, net.w, net.sign, z, psi, error, net.w_out, net.alpha, net.kappa, net.rho, net.beta,
                              regular, mine)  # fmt: skip
                gradients[0][:] += mine * min(1.0, rule.clip_bptt / max(np.linalg.norm(mine * net.mask), 1e-12))
            else:
                eprop_gradient(x, net.sign, z, psi, error, net.feedback(arm), net.alpha, net.kappa, net.rho, net.beta,
                               regular, gradients[0])  # fmt: skip
            output_gradient(z, net.sign[net.given :], error, net.kappa, gradients[1])
        net.hz = hz
        net.update((gradients[0] / rule.batch, gradients[1] / rule.batch))
        history.append(hits / rule.batch)
        if progress is not None:
            progress(number, history, hz.mean())
    rng, hits = np.random.default_rng([seed, 4]), 0
    for k in range(tests):
        label = k % CUES
        *_, y = net.run(task.trial(rng, label), gamma)
        hits += errors(y, label, first, error)[1] == label
    return {"arm": arm, "seed": seed, "accuracy": hits / tests, "hz": float(net.hz.mean()), "history": history}


def main(words: list[str] | None = None) -> int:
    parser = common.Parser(prog="python -m tools.delayed_cue", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=common.whole(1, 1000), default=5, metavar="N")
    parser.add_argument("--first", type=common.whole(0, 10**6), default=1, metavar="SEED", help="first seed")
    parser.add_argument("--batches", type=common.whole(1, 100_000), default=100, metavar="N")
    parser.add_argument("--delay", type=common.whole(1, 100_000), default=500, metavar="MS")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS, metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--verbose", "-v", action="store_true")
    args = parser.parse_args(words)
    task, rule = Task(delay=args.delay), Rule()

    def progress(number, history, hz) -> None:
        if args.verbose and number % 20 == 19:
            common.say(f"  batch {number + 1}: {np.mean(history[-20:]):.2f}, {hz:.1f} Hz")

    common.say(f"{args.delay} ms between cue and question; chance {1 / CUES:.0%}")
    for arm in args.arms:
        started = time.perf_counter()
        found = [train(seed, arm, task, rule, args.batches, progress=progress)
                 for seed in range(args.first, args.first + args.seeds)]  # fmt: skip
        shown = " ".join(f"{one['accuracy']:.3f}" for one in found)
        right, hz = (np.mean([one[key] for one in found]) for key in ("accuracy", "hz"))
        print(f"{arm:10} {right:.3f} ({shown}), {hz:.1f} Hz, {time.perf_counter() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    from engine.errors import UserError

    try:
        sys.exit(main())
    except UserError as problem:
        common.say(f"delayed_cue: error: {problem}")
        sys.exit(2)
