"""The seed's brain: exact counts (circuits.md 1), a sourced band for every cell, one story for every structure."""

import json

import pytest

from encephagen import load
from systems.spawn.network import CIRCUITS, load_circuit
from systems.spawn.scene_model import SCENES
from tools.cli import main

COUNTS = {
    "cortex": 16_000, "thalamus": 200, "basal_ganglia": 200, "cerebellum": 500, "superior_colliculus": 100,
    "neuromodulators": 100, "hippocampus": 200, "amygdala": 100, "hypothalamus": 50, "spinal_cpg": 80,
}  # fmt: skip
PARTS = {
    "thalamus.*.lgn": 30, "thalamus.*.mgn": 20, "thalamus.*.vpl": 30, "thalamus.*.md": 20, "thalamus.*.trn": 50,
    "thalamus.*.ho": 50, "basal_ganglia.*.d1": 40, "basal_ganglia.*.d2": 40, "basal_ganglia.*.gpe": 20,
    "basal_ganglia.*.stn": 20, "basal_ganglia.*.gpi": 30, "basal_ganglia.*.snc": 10,
    "basal_ganglia.*.motor_thalamus": 40, "cerebellum.*.granule": 200, "cerebellum.*.purkinje": 100,
    "cerebellum.*.nuc*": 50, "cerebellum.*.golgi": 50, "cerebellum.*.olive": 50, "cerebellum.*.basket": 50,
    "superior_colliculus.*.superficial": 40, "superior_colliculus.*.deep": 40, "superior_colliculus.*.inhibitory": 20,
    "neuromodulators.*.dopamine": 25, "neuromodulators.*.serotonin": 25, "neuromodulators.*.noradrenaline": 25,
    "neuromodulators.*.acetylcholine": 25, "hippocampus.*.entorhinal": 40, "hippocampus.*.dentate": 60,
    "hippocampus.*.ca3": 40, "hippocampus.*.ca1": 40, "hippocampus.*.inhibitory": 20, "amygdala.*.lateral": 30,
    "amygdala.*.basolateral": 30, "amygdala.*.central": 20, "amygdala.*.intercalated": 20, "hypothalamus.*.scn": 15,
    "hypothalamus.*.[ol]*": 15, "hypothalamus.*.pvn": 10, "hypothalamus.*.vlpo": 10, "spinal_cpg.*.motor": 20,
}  # fmt: skip
STORIES = sorted(file.stem for file in (SCENES / "structures").glob("*.yaml"))


@pytest.fixture(scope="module")
def newborn():
    return load("newborn")


def test_the_newborn_has_the_seeds_counts(newborn):
    found = {}
    for p in newborn.network.populations:
        found[p.structure] = found.get(p.structure, 0) + p.count
    assert {s: found[s] for s in COUNTS} == COUNTS
    assert sum(COUNTS.values()) == 17_530 and {"brainstem", "spinal_segments"} == set(found) - set(COUNTS)
    assert newborn.network.synapse_count >= 800_000


@pytest.mark.parametrize("glob", PARTS)
def test_a_nucleus_has_the_seeds_count(newborn, glob):
    assert newborn.network.neurons(glob).size == PARTS[glob]


@pytest.mark.parametrize("file", sorted(path.stem for path in CIRCUITS.glob("*.yaml")))
def test_every_cell_has_a_sourced_band_that_means_something(file):
    """Max / min of a band is at most 10, unless its source says otherwise; a band from 0 says so by itself."""
    circuit, _ = load_circuit(file)
    for name, cell in circuit.cells.items():
        assert set(cell.bands) >= {"newborn"} and (set(cell.bands) == {"newborn", "adult"} or name == "grasp"), name
        for profile, band in cell.bands.items():
            low, high = band.rate
            assert low < high <= 200 and band.source
            if 0 < low < high / 10 * 0.999:
                assert "max/min" in band.source, f"{name} {profile}: {low} to {high} Hz"


def test_every_structure_has_its_story():
    """The cord's are the reflex tests and its own issue; the brainstem's relays are in all others."""
    assert set(STORIES) == set(COUNTS) - {"spinal_cpg"}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_structure_does_its_job_and_not_in_sham_or_lesion(name, tmp_path):
    """Three held-out seeds: the effect is there, absent in sham, gone with the lesion; differences have their sign."""
    out = tmp_path / "out"
    main(["experiment", f"structures/{name}", "--seeds", "3", "--workers", "2", "--out", str(out), "--quiet"])
    claims = json.loads((out / "results.json").read_text())["claims"]
    assert claims
    for claim in claims:  # three seeds are too few for a test of a difference
        assert claim["value"] > 0 if "greater" in claim else claim["pass"], claim
