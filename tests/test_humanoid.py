"""The humanoid under cord and brainstem inside gymnasium's Humanoid-v5: what it reaches, and what it does not.

Seeds 1001 to 1020: 110 steps (zero torque 40, own mean torque 71, shuffled 59, the next seed's torque in order 99,
without vestibular nuclei 77, without posture cells 35, without spindles 107).
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
    return judge(CORD, list(range(FIRST_SEED, FIRST_SEED + 10)), arms)


@pytest.mark.parametrize("control", ["vestibular", *REPLAYS])
def test_it_stands_longer_than_its_controls(survived, control):
    """Sign-flip permutation of paired differences, exact over ten seeds."""
    difference = np.subtract(survived["function"], survived[control])
    signs = 1 - 2 * (np.arange(2**10)[:, None] >> np.arange(10) & 1)
    assert difference.mean() > 0 and np.mean((signs * difference).mean(axis=1) >= difference.mean()) < 0.05


@pytest.mark.xfail(strict=True, reason="stands 110 of the issue's 120 control steps")
def test_it_stands_120_control_steps(survived):
    assert np.mean(survived["function"]) >= 120
