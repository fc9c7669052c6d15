"""One clock: a thousand body steps of every body, its cord ticking along, and both clocks read the same."""

import pytest

from systems.simulation import load
from systems.spawn.body import body_names

SCENE = """
title: Brain and body on one clock
duration: 60 s
brain: {{circuits: [spinal_segments]}}
body: {{model: {body}}}
"""


@pytest.mark.parametrize("body", body_names())
def test_brain_and_body_clocks_agree_over_a_thousand_body_steps(body, tmp_path):
    path = tmp_path / "clock.yaml"
    path.write_text(SCENE.format(body=body))
    sim = load(str(path))
    step, worst = sim.body.step_ms, 0.0

    def compare(sim):
        nonlocal worst
        if sim.tick % step == 0:
            worst = max(worst, abs(sim.time_s * 1000 - sim.physics.clock_ms))

    sim.run(1000 * step, on_tick=compare)
    assert sim.physics.steps == 1000
    assert sim.tick == 1000 * step
    assert worst < 1e-6, "milliseconds, to the rounding of a sum of a thousand steps"
    assert sim.spike_count("*", 0, sim.tick) > 100, "the brain was running"
