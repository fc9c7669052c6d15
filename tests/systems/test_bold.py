"""The haemodynamic model against its closed forms, connectivity against hand-worked matrices and data.md's figures."""

import numpy as np
import pytest
from scipy.linalg import expm

from systems import bold
from systems.spawn.connectome import load_connectome, normalised
from systems.spawn.functional import load_functional
from systems.spawn.graph_null import null_graph

KAPPA, GAMMA, TAU, ALPHA, RHO, V0 = 0.65, 0.41, 0.98, 0.32, 0.34, 0.02  # Friston 2003


def test_a_lasting_drive_settles_where_the_equations_say():
    """s = 0, f = 1 + e z / gamma, v = f^alpha, q = v (1 - (1 - rho)^(1/f)) / rho."""
    z = np.array([0.0, 0.2, -0.3])
    found = bold.balloon(np.tile(z, (12_000, 1)), 10.0, 1000.0)[-1]
    f = 1.0 + 0.54 * z / GAMMA
    v = f**ALPHA
    q = v * (1.0 - (1.0 - RHO) ** (1.0 / f)) / RHO
    expected = V0 * (7 * RHO * (1 - q) + 2 * (1 - q / v) + (2 * RHO - 0.2) * (1 - v))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found[0] == 0.0 and found[1] > 0.005 > 0.0 > found[2]


def test_a_small_drive_is_answered_by_the_linearised_equations():
    """The response to 1 s of a weak drive is that of the system's matrix exponential."""
    size = 1e-3
    drive = np.zeros((3_000, 1))
    drive[:100] = size
    found = bold.balloon(drive, 10.0, 100.0)[:, 0]
    slope = (1.0 + (1.0 - RHO) * np.log(1.0 - RHO) / RHO) / TAU  # of f E(f) / rho at f = 1
    a = np.array([[-KAPPA, -GAMMA, 0, 0], [1, 0, 0, 0], [0, 1 / TAU, -1 / (ALPHA * TAU), 0],
                  [0, slope, -(1 / ALPHA - 1) / TAU, -1 / TAU]])  # fmt: skip
    out = V0 * np.array([0, 0, 2 - (2 * RHO - 0.2), -7 * RHO - 2])
    step, push = expm(a * 0.1), np.linalg.solve(a, (expm(a * 0.1) - np.eye(4)) @ np.array([0.54 * size, 0, 0, 0]))
    x, expected = np.zeros(4), []
    for k in range(len(found)):
        x = step @ x + (push if k < 10 else 0.0)
        expected.append(out @ x)
    expected = np.array(expected)
    assert found == pytest.approx(expected, abs=0.02 * np.abs(expected).max())
    assert 3.0 <= 0.1 * (found.argmax() + 1) <= 6.0  # the peak of a haemodynamic response


def test_only_what_changes_relative_to_the_mean_counts():
    rates = np.random.default_rng(1).gamma(5.0, 1.0, (6_000, 2))
    rates[:, 1] = 3.0 * rates[:, 0]
    found = bold.bold_of(rates, 10.0)
    assert found[:, 0] == pytest.approx(found[:, 1]) and len(found) == 60_000 // 720 - 27
    assert not bold.bold_of(np.zeros((6_000, 1)), 10.0).any()


def test_double_centring_by_hand():
    """A matrix of sums a_i + a_j has nothing left; what is added to one pair stays."""
    a = np.array([0.3, -0.1, 0.5, 0.2])
    assert bold.double_centred(a[:, None] + a[None, :]) == pytest.approx(np.zeros((4, 4)), abs=1e-12)
    extra = a[:, None] + a[None, :]
    extra[0, 1] = extra[1, 0] = extra[0, 1] + 0.6
    left = bold.double_centred(extra)
    # of one pair of four regions: 0.6 (1 - 2 * 1/2 + 1/3) = 0.2; pairs that share a region -0.1, the opposite pair 0.2
    assert left[0, 1] == pytest.approx(0.2) and left[2, 3] == pytest.approx(0.2) and left[0, 2] == pytest.approx(-0.1)
    assert left.sum(axis=0) == pytest.approx(np.zeros(4))


def test_distance_of_distributions_by_hand():
    uniform = bold.QUANTILES
    assert bold.distribution_distance(np.linspace(0, 1, 1001), uniform) < 0.01
    assert bold.distribution_distance(np.full(10, 0.25), uniform) == pytest.approx(0.75)
    assert bold.distribution_distance(np.array([2.0, 3.0]), uniform) == pytest.approx(1.0)


def test_dynamics_of_a_stationary_and_of_a_switching_signal():
    """Two states that alternate by the minute: windows of the same state are alike, others not."""
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(2, 12, 12))
    noise = rng.normal(size=(800, 12))
    steady = bold.dynamics(noise @ mixing[0])
    state = (np.arange(800) // 166) % 2
    switching = bold.dynamics(np.where(state[:, None] == 0, noise @ mixing[0], noise @ mixing[1]))
    assert steady.mean() > 0.8 and switching.min() < 0.4 < 0.8 < switching.max()
    assert bold.dynamics(noise[:50]).size == 0


def test_linear_models_by_simulation():
    w = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.4], [0.1, 0.7, 0.0]])
    w /= np.abs(np.linalg.eigvals(w)).max()
    rng = np.random.default_rng(3)
    static = rng.normal(size=(200_000, 3)) @ np.linalg.inv(np.eye(3) - 0.7 * w).T
    assert bold.autoregressive(w, 0.7) == pytest.approx(bold.connectivity(static), abs=0.01)
    x, seen = np.zeros((2_000, 3)), np.zeros((3, 3))
    for k in range(3_000):  # dx = (gain W - 1) x dt + noise, dt = 0.02
        x += 0.02 * (x @ (0.7 * w - np.eye(3)).T) + np.sqrt(0.02) * rng.normal(size=x.shape)
        if k >= 1_000:
            seen += x.T @ x
    spread = np.sqrt(np.diag(seen))
    assert bold.diffusive(w, 0.7) == pytest.approx(seen / np.outer(spread, spread), abs=0.02)


# the shipped measurement: figures that reference/data.md found by other means ------------------------------------


@pytest.fixture(scope="module")
def ours():
    connectome = load_connectome()
    return connectome, load_functional(connectome)


def test_the_noise_ceiling_and_the_halves(ours):
    connectome, measured = ours
    assert measured.ceiling["plain"] == pytest.approx((0.82, 0.78, 0.88), abs=0.01)
    assert measured.ceiling["centred"][0] == pytest.approx(0.76, abs=0.01)
    assert bold.likeness(measured.fc["fit"], measured.fc["test"]) > 0.85
    fit, test = (np.arctanh(bold.pairs(measured.fc[key])) for key in ("fit", "test"))
    assert np.tanh((4 * fit + 3 * test) / 7) == pytest.approx(bold.pairs(connectome.fc), abs=1e-5)
    assert np.all(np.diff(measured.fcd["test"]) >= 0)


def test_what_the_graph_and_a_linear_model_reach(ours):
    connectome, measured = ours
    assert bold.likeness(connectome.weights, measured.fc["all"]) == pytest.approx(0.34, abs=0.01)
    plain = bold.autoregressive(normalised(connectome, 0.0, balanced=False), 0.93)
    linked = bold.autoregressive(normalised(connectome, 0.3, balanced=False), 0.93)
    assert bold.likeness(plain, measured.fc["all"]) == pytest.approx(0.68, abs=0.01)
    assert bold.likeness(linked, measured.fc["all"]) == pytest.approx(0.71, abs=0.015)
    shuffled = bold.autoregressive(normalised(null_graph(connectome, "labels", 1), 0.0, balanced=False), 0.93)
    assert bold.likeness(shuffled, measured.fc["all"]) < 0.25


def test_a_null_keeps_the_measurement_and_a_graph_of_ones_own_has_its_own(ours, tmp_path):
    connectome, measured = ours
    null = load_functional(null_graph(connectome, "strength", 1))
    assert np.array_equal(null.fc["test"], measured.fc["test"])
    n = 5
    square = np.ones((n, n)) - np.eye(n)
    np.savez(tmp_path / "own.npz", weights=square, lengths=square, labels=np.array(list("abcde")), fc=np.eye(n))
    assert np.array_equal(load_functional(load_connectome(tmp_path / "own.npz")).fc["test"], np.eye(n))
    np.savez(tmp_path / "bare.npz", weights=square, lengths=square, labels=np.array(list("abcde")))
    assert load_functional(load_connectome(tmp_path / "bare.npz")) is None
