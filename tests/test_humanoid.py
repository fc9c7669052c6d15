"""The humanoid under cord and brainstem inside gymnasium's Humanoid-v5: what it reaches, and what it does not.

Seeds 1001 to 1020: 114 steps; zero torque 40, own mean torque 60, shuffled 54, the next seed's torque in order 100
(p 0.002), without vestibular nuclei 85 (p below 0.001).
"""

import numpy as np
import pytest

from tools.judge import FIRST_SEED, REPLAYS, judge

CORD = "experiments/humanoid_cord"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def survived():
    arms = {"function": {}, "vestibular": {"silence": ["brainstem.*.vestibular*"]}}
    arms |= {kind: {"replay": kind} for kind in REPLAYS}
    return judge(CORD, list(range(FIRST_SEED, FIRST_SEED + 20)), arms)


@pytest.mark.parametrize("control", ["vestibular", "zero", "constant", "shuffled", "swapped"])
def test_it_stands_longer_than_its_controls(survived, control):
    """Sign-flip permutation of paired differences, 32,768 drawn patterns, two-sided."""
    difference = np.subtract(survived["function"], survived[control])
    signs = np.random.default_rng(0).choice([-1, 1], (32_768, difference.size))
    p = np.mean(np.abs((signs * difference).mean(axis=1)) >= abs(difference.mean()) - 1e-12)
    assert difference.mean() > 0 and p < 0.05


@pytest.mark.xfail(strict=True, reason="stands 114 of the issue's 120 control steps")
def test_it_stands_120_control_steps(survived):
    assert np.mean(survived["function"]) >= 120
