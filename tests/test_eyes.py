"""What the newborn's eyes do, on the brainstem and the cord (and the tectum); scenes/exam examines it on all of it."""

import math

import numpy as np
import pytest

from engine.scene import load_scene
from systems.probes import Probes, counter_rotation, panel_azimuth
from systems.simulation import SCENES, Simulation
from systems.spawn.scene_model import Scene, in_condition

ABSENT = ["cortex", "spinal_cpg", "hypothalamus", "neuromodulators", "basal_ganglia", "cerebellum", "amygdala"]


def examined(scene: str, condition: str = "function", seed: int = 1, tectum: bool = False, **changes) -> dict:
    """Values of the probes of an exam scene on the circuits it needs most."""
    here = "brainstem,spinal_segments" + (",superior_colliculus" if tectum else "")
    absent = ABSENT if tectum else [*ABSENT, "superior_colliculus"]
    overrides = [f"brain.circuits=[{here}]", f"brain.stand_ins=[{','.join(absent)}]"]
    overrides += [f"{key}={value}" for key, value in changes.items()]
    model, source = load_scene(f"exam/{scene}", Scene, [SCENES], overrides)
    if condition != "function":
        model, source = in_condition(model, source, condition)
    sim = Simulation(model, source, seed=seed)
    probes = Probes(sim)
    sim.run(float(model.duration))
    return probes.values()


# probes -------------------------------------------------------------------------------------------------------------


def test_counter_rotation_is_the_share_of_a_turn_that_is_taken_back():
    turned = np.radians(30.0) * np.sin(np.arange(0, 5, 0.01))
    assert counter_rotation(-0.8 * turned + 0.1, turned, 10.0) == pytest.approx(0.8)
    assert counter_rotation(0.5 * turned, turned, 10.0) == pytest.approx(-0.5)
    assert math.isnan(counter_rotation(turned, 0.05 * turned, 10.0)), "who is not turned takes nothing back"


def test_the_probe_knows_where_the_panel_is():
    """From 20 deg to the left to 20 to the right in a second and back; then another that stands still; then none."""
    timeline = [
        {"at": "1 s", "last": "4 s", "show": {"pattern": "face", "from": "20 deg", "to": "-20 deg", "takes": "1 s"}},
        {"at": "4 s", "last": "1 s", "show": {"pattern": "blank", "from": "10 deg"}},
    ]
    scene = Scene.model_validate({"title": "x", "duration": "9 s", "body": {"model": "newborn"}, "timeline": timeline})
    found = [math.degrees(panel_azimuth(scene.timeline, t)) for t in (0, 1000, 1250, 2000, 2250, 3500, 4500, 6000)]
    assert np.array(found) == pytest.approx([math.nan, 20, 10, -20, -10, 0, 10, math.nan], nan_ok=True, abs=1e-9)


# reflexes -----------------------------------------------------------------------------------------------------------


def test_the_eyes_stay_behind_when_the_head_turns():
    """Gain 0.7..1.1 (Neurology 1989); without canals the eyes are carried along."""
    found = examined("doll_eye")
    assert 0.7 <= found["gain"] <= 1.1 and found["eyes"] > math.radians(20)
    assert abs(examined("doll_eye", "deafferented")["gain"]) < 0.1
    assert math.isnan(examined("doll_eye", "sham")["gain"])


def test_a_newborn_blinks_at_the_first_taps_between_the_eyebrows():
    """Within 0.2 s; 2.7 +- 1.2 taps are answered (Ann Neurol 1979); a rested eye blinks at the last tap too."""
    found = examined("blink")
    assert 10 <= found["onset"] <= 200 and found["blink"] > math.radians(45)
    assert 1.5 <= found["taps_answered"] <= 3.9 and found["unasked"] == 0
    assert found["lid_eighth"] < math.radians(10) < examined("blink", "rested")["lid_eighth"]
    assert examined("blink", "no_trigeminal_spinal")["blink"] < math.radians(5)


def test_a_newborn_blinks_at_a_flash():
    once = {"timeline.0.repeat.times": 1, "probes.2.to": "4 s", "duration": "4 s"}
    found = examined("flash_blink", **once)
    assert 10 <= found["onset"] <= 200 and found["blink"] > math.radians(45)
    assert examined("flash_blink", "no_pretectal", **once)["blink"] < math.radians(5)


@pytest.mark.slow
def test_the_eyes_follow_a_slow_face_and_nothing_else():
    """19 deg/s, not 40 (Kremenitzer 1979); face > scrambled > blank (Johnson 1991), over three seeds."""
    found = [examined("tracking", seed=seed, tectum=True) for seed in (1, 2, 3)]
    mean = {key: np.mean([values[key] for values in found]) for key in ("face", "scrambled", "blank", "fast")}
    assert 0.35 <= mean["face"] <= 1.1 and abs(mean["fast"]) < 0.2
    assert mean["face"] > mean["scrambled"] + 0.1 and mean["scrambled"] > mean["blank"]
    assert abs(examined("tracking", "no_tectum", tectum=True)["face"]) < 0.2
