"""Null graphs keep what they say they keep and destroy the rest; metadata stays."""

import numpy as np
import pytest

from engine.errors import UserError
from systems.spawn.connectome import load_connectome
from systems.spawn.graph_null import DISTANCE_BINS, KINDS, UNLIKE, dissimilarity, null_graph


@pytest.fixture(scope="module")
def ours():
    return load_connectome()


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def null(ours, kind):
    return null_graph(ours, kind, seed=3)


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


def test_metadata_is_the_same_and_the_graph_is_not(ours, null, kind):
    for name in ("lengths_mm", "myelin", "position_mm"):
        assert np.array_equal(getattr(null, name), getattr(ours, name), equal_nan=True)
    assert null.labels == ours.labels and null.hemisphere == ours.hemisphere
    found = dissimilarity(ours, null)
    assert found.changed > 0.95
    assert (found.beyond_distance if kind == "strength_distance" else found.spearman) < UNLIKE
    assert np.array_equal(null.weights, null.weights.T) and (null.weights >= 0).all()
    assert not null.weights.diagonal().any()


def test_what_each_kind_keeps(ours, null, kind):
    total = off_diagonal(ours.weights).sum()
    assert off_diagonal(null.weights).sum() == pytest.approx(total, rel=1e-8)
    strength = off_diagonal_rows(ours.weights)
    if kind in ("weights", "labels", "random"):
        assert np.array_equal(np.sort(off_diagonal(null.weights)), np.sort(off_diagonal(ours.weights)))
    if kind in ("weights", "strength", "strength_distance"):
        assert np.array_equal(off_diagonal(null.weights) > 0, off_diagonal(ours.weights) > 0)
    if kind.startswith("strength"):
        assert off_diagonal_rows(null.weights) == pytest.approx(strength, rel=1e-8)
    if kind == "labels":
        assert np.sort(off_diagonal_rows(null.weights)) == pytest.approx(np.sort(strength))


def off_diagonal_rows(matrix):
    return matrix.sum(axis=1) - matrix.diagonal()


def test_strength_distance_keeps_the_fall_with_distance(ours):
    """Mean log weight against distance: the null's curve is the graph's, that of the plain strength null is flatter."""
    edges = np.quantile(off_diagonal(ours.lengths_mm), np.linspace(0, 1, DISTANCE_BINS // 2 + 1))
    where = np.clip(np.searchsorted(edges, off_diagonal(ours.lengths_mm)) - 1, 0, DISTANCE_BINS // 2 - 1)

    def curve(c):
        weights = off_diagonal(c.weights)
        return np.array([np.log(weights[(where == k) & (weights > 0)]).mean() for k in range(DISTANCE_BINS // 2)])

    real, near, far = (curve(c) for c in (ours, *(null_graph(ours, k, 1) for k in ("strength_distance", "strength"))))
    assert np.abs(near - real).max() < 0.6
    assert np.ptp(far) < 0.5 * np.ptp(real)


def test_same_seed_same_null_other_seed_another(ours, kind):
    a, b, c = (null_graph(ours, kind, seed).weights for seed in (5, 5, 6))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_labels_change_places_within_their_hemisphere(ours):
    null = null_graph(ours, "labels", 2)
    left = np.array(ours.hemisphere) == "L"
    for one in (left, ~left):
        inside = np.ix_(one, one)
        assert np.sort(null.weights[inside].ravel()) == pytest.approx(np.sort(ours.weights[inside].ravel()))


def test_what_cannot_be_made(ours):
    with pytest.raises(UserError, match=r"expected weights, strength, .* got 'shuffled'"):
        null_graph(ours, "shuffled", 1)


def test_time_constants_by_the_map_the_same_and_dealt_out_anew():
    """Shuffled ones are the map's in other places, the same left and right; the graph stays."""
    from encephagen import load

    alone = ["brain.circuits=[cortex]", "timeline=[]", "probes=[]", "expect=[]", "actions=[]"]
    found = {}
    for kind in ("map", "uniform", "shuffled"):
        network = load("stimulate", seed=3, overrides=[*alone, f"brain.region_tau={kind}"]).network
        found[kind] = {p.instance: p.tau_m for p in network.populations if p.cell_name == "l23"}, network.weights
    (mapped, weights), (same, _), (shuffled, kept) = (found[kind] for kind in ("map", "uniform", "shuffled"))
    assert set(same.values()) == {20.0} and np.array_equal(weights, kept)
    assert sorted(shuffled.values()) == pytest.approx(sorted(mapped.values())) and shuffled != mapped
    assert all(shuffled[name] == shuffled[f"{name[:-1]}R"] for name in shuffled if name.endswith("_L"))
    assert np.corrcoef(list(mapped.values()), list(shuffled.values()))[0, 1] < 0.5


def test_a_scene_holds_its_rates_by_the_background():
    """Factors of globs multiply; what is calibrated stays in proportion; a glob that selects nothing is an error."""
    from encephagen import load

    alone = ["brain.circuits=[cortex]", "timeline=[]", "probes=[]", "expect=[]", "actions=[]"]
    factors = 'brain.background={"cortex.*": 1.2, "cortex.Calcarine_L.*": 0.5}'
    plain, held = (load("stimulate", seed=3, overrides=[*alone, *more]).network for more in ([], [factors]))
    for name, factor in (("cortex.Heschl_L.l23", 1.2), ("cortex.Calcarine_L.pv", 0.6)):
        assert held.background_hz[name] == pytest.approx(factor * plain.background_hz[name])
    with pytest.raises(UserError, match=r'brain.background."nobody.\*": no population with a background'):
        load("stimulate", overrides=[*alone, 'brain.background={"nobody.*": 2}'])


def test_a_scene_asks_for_a_null():
    """One key; the world's coupling is the null's, the delays are the connectome's."""
    from encephagen import load

    alone = ["brain.circuits=[cortex]", "timeline=[]", "probes=[]", "expect=[]"]
    plain, null = (load("stimulate", seed=3, overrides=[*alone, *more]) for more in ([], ["brain.null=strength"]))
    assert np.array_equal(null.network.connectome.weights, null_graph(plain.network.connectome, "strength", 3).weights)
    assert not np.allclose(null.network.weights, plain.network.weights)
    assert np.array_equal(null.network.connectome.lengths_mm, plain.network.connectome.lengths_mm)
