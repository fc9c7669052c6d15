"""Small scenes for the command line: eight cortical regions with or without a walker, and a body alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import encephagen

REGIONS = [f"{stem}_{side}" for stem in ("Precentral", "Postcentral", "Calcarine", "Frontal_Sup_2") for side in "LR"]

SMALL = """\
title: Eight regions, one driven
seed: 3
duration: 200 ms
brain: {profile: newborn, connectome: eight.npz, circuits: [cortex]}
timeline:
  - {at: 60 ms, last: 100 ms, stimulate: {population: cortex.Calcarine_L.*, drive: 40 mV}}
probes:
  - {name: driven, measure: rate_hz, of: cortex.Calcarine_L.*, from: 60 ms, to: 160 ms}
  - {name: onset, measure: latency, of: cortex.Calcarine_L.*, threshold: 20 Hz, from: 60 ms}
  - {name: other, measure: rate_hz, of: cortex.Calcarine_R.*, from: 60 ms, to: 160 ms}
expect:
  - {probe: driven, between: [10 Hz, 400 Hz]}
  - {probe: onset, between: [1 ms, 90 ms]}
record: {every: 10 ms, voltage_of: [cortex.Calcarine_L.pv]}
"""
WALKER = """\
extends: small.yaml
title: Eight regions and a walker
brain: {circuits: [cortex, spinal_segments]}
body: {model: walker}
"""
ALONE = """\
title: A newborn's hand is lifted
duration: 900 ms
body: {model: newborn, pose: supine}
timeline:
  - {at: 100 ms, last: 300 ms, push: {part: hand_left, force: 2 N, direction: [0, 0, 1]}}
probes:
  - {name: arm, measure: joint_range, of: shoulder_rotation_left, from: 100 ms, to: 400 ms}
  - {name: lift, measure: latency, of: hand_left, threshold: 2 cm, from: 100 ms}
  - {name: trunk, measure: posture_height, of: chest}
expect:
  - {probe: arm, between: [10 deg, 180 deg]}
  - {probe: lift, between: [10 ms, 200 ms]}
"""


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """A folder with small.yaml (brain), walker.yaml (brain and body), alone.yaml (body)."""
    from systems.spawn.connectome import load_connectome

    folder = tmp_path_factory.mktemp("scenes")
    whole = load_connectome("hcp_aal2")
    rows = np.array([whole.labels.index(label) for label in REGIONS])
    square = np.ix_(rows, rows)
    np.savez(folder / "eight.npz", weights=whole.weights[square], lengths=whole.lengths_mm[square],
             labels=np.array(REGIONS), positions=whole.position_mm[rows], myelin=whole.myelin[rows])  # fmt: skip
    for name, text in (("small", SMALL), ("walker", WALKER), ("alone", ALONE)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def calibration(tmp_path_factory, monkeypatch):
    """Background of the cortex that does not change when the shipped calibration does; some cells fire."""
    import systems.spawn.build as build

    folder = tmp_path_factory.mktemp("calibration")
    hz = {"l4": 80.0, "l23": 80.0, "l5": 70.0, "l6": 80.0, "pv": 300.0, "sst": 150.0, "vip": 200.0}
    (folder / "cortex_newborn.json").write_text(json.dumps({"background_hz": {"*": hz}}))
    monkeypatch.setattr(build, "CALIBRATION", folder)


@pytest.fixture
def run(scenes, tmp_path, capsys, monkeypatch):
    """run("small", "--seed", "2") -> (exit code, results, stderr): `encephagen run` with `--json`, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(scene: str, *arguments: str, quiet: bool = True):
        path = tmp_path / "result.json"
        path.unlink(missing_ok=True)
        file = scenes / f"{scene}.yaml"
        words = ["run", str(file if file.is_file() else scene), *arguments, "--json", str(path)]
        code = encephagen.main([*words, "--quiet"] if quiet else words)
        captured = capsys.readouterr()
        run.out = captured.out
        return code, json.loads(path.read_text()) if path.is_file() else None, captured.err

    return run


@pytest.fixture
def command(capsys):
    """command("list") -> (exit code, stdout, stderr) of one command line in this process."""

    def command(*words: str):
        code = encephagen.main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command
