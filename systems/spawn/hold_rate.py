"""Hold a mean rate: find the factor on the background at which populations fire as a scene wants them to.

For graphs and lesions to be compared at the same rate (reference/experiments.md 0.3): a network of the same
seed is run and thrown away, its background moved by damped steps in the logarithm of the error.
"""

from __future__ import annotations

import fnmatch
import math

import numpy as np

from engine.errors import UserError

SETTLE_MS, MEASURE_MS, STEPS, KEPT = 1_000, 6_000, 14, 6
STEP = 0.02  # of the log error: a recurrent cortex near the edge answers a per cent of background with 30 of its rate
LARGEST = 1.0  # log error taken at face value


def unheld(scene):
    """The scene without the rate it wants held: to see that it can be built."""
    if scene.brain is None or scene.brain.hold_rate is None:
        return scene
    return scene.model_copy(update={"brain": scene.brain.model_copy(update={"hold_rate": None})})


def with_held_rate(scene, simulate):
    """(the scene with the background that holds the rate, its factor); `simulate(scene)` makes a Simulation."""
    wanted = scene.brain.hold_rate
    free = unheld(scene).model_copy(update={"probes": [], "expect": [], "timeline": [], "lessons": []})
    factor = held_factor(simulate(free), wanted.of, wanted.at)
    background = {**scene.brain.background, wanted.of: scene.brain.background.get(wanted.of, 1.0) * factor}
    brain = scene.brain.model_copy(update={"background": background, "hold_rate": None})
    return scene.model_copy(update={"brain": brain}), factor


def held_neurons(sim, of: str) -> np.ndarray:
    """The neurons whose rate is held; a glob that selects none, or none with a background, is an error in the scene."""
    try:
        neurons = sim.timeline.targets.neurons(of)
    except UserError as error:
        raise sim.source.error(str(error), "brain", "hold_rate", "of") from None
    background = sim.network.background_hz
    if not any(background.get(p.name, 0.0) > 0.0 and fnmatch.fnmatchcase(p.name, of) for p in sim.network.populations):
        raise sim.source.error(f"no population with a background matches {of}", "brain", "hold_rate", "of")
    return neurons


def held_factor(sim, of: str, at_hz: float) -> float:
    """The factor on the background of the populations a glob selects at which their mean rate is `at_hz`."""
    from components.neuron import BackgroundRates
    from systems.background_noise import event_thresholds

    network = sim.network
    driven = [p for p in network.populations if network.background_hz.get(p.name, 0.0) > 0.0]
    mine = np.array([fnmatch.fnmatchcase(p.name, of) for p in driven])
    hz = np.array([network.background_hz[p.name] for p in driven])
    neurons = held_neurons(sim, of)
    chosen = np.zeros(network.neuron_count, bool)
    chosen[neurons] = True
    found, log_factor = [], 0.0
    sim.spikes.keep_ms = float(MEASURE_MS)
    for _ in range(STEPS):
        found.append(log_factor)
        now = np.minimum(np.where(mine, hz * math.exp(log_factor), hz), 2_000.0)
        sim.world.tables["background"][BackgroundRates.threshold][:] = event_thresholds(now)
        sim.run(SETTLE_MS)
        start = sim.tick
        sim.run(MEASURE_MS)
        ids, ticks = sim.spike_history()
        rate = chosen[ids[ticks >= start]].sum() * 1000.0 / MEASURE_MS / neurons.size
        error = math.log((at_hz + 0.05) / (rate + 0.05))
        log_factor += STEP * max(-LARGEST, min(LARGEST, error))
    return math.exp(float(np.mean(found[-KEPT:])))
