"""warm_start: what is left out of its draws moves none of those that are made."""

import numpy as np
import pytest

from engine.random import Streams
from systems.spawn.warm_start import skip


@pytest.mark.parametrize("before", [0, 2, 4, 6, 8])
@pytest.mark.parametrize("draws", [0, 2, 4, 6, 8, 10, 12, 58, 296, 1000, 6_761_824])
def test_draws_left_out_are_as_though_they_had_been_made(before, draws):
    made, left_out = (Streams(7).generator("warm start") for _ in range(2))
    for rng in (made, left_out):
        rng.random(before, dtype=np.float32)
    made.random(draws, dtype=np.float32)
    skip(left_out, draws)
    assert np.array_equal(made.random(20, dtype=np.float32), left_out.random(20, dtype=np.float32))
    assert made.random() == left_out.random()
