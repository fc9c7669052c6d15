"""The shipped connectome against its data sheet, what is made of it, and what a user's own file may get wrong."""

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import UserError
from systems.spawn.connectome import (
    FOLDER,
    delay_ticks,
    delays_ms,
    evened,
    load_connectome,
    normalised,
    partners,
    side_of,
    tau_region_ms,
)

ASSET_SHA256 = "631337beb5625d6d419e063013384b511829674b77fbce6badc842ca50ff3760"
PAIRS = np.triu_indices(80, 1)


@pytest.fixture(scope="module")
def ours():
    return load_connectome()


@pytest.fixture(scope="module")
def all_regions():
    return load_connectome("hcp_aal2_94")


def _r(a, b):
    return float(np.corrcoef(a, b)[0, 1])


# ---------------------------------------------------------------- the shipped data


def test_the_committed_asset_is_the_one_that_was_built(ours):
    data = (FOLDER / "hcp_aal2_94.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == ASSET_SHA256 == ours.sha256


def test_80_cortical_regions_of_94(ours, all_regions):
    assert (ours.region_count, all_regions.region_count) == (80, 94)
    gone = set(all_regions.labels) - set(ours.labels)
    stems = ("Hippocampus", "ParaHippocampal", "Amygdala", "Caudate", "Putamen", "Pallidum", "Thalamus")
    assert gone == {f"{stem}_{side}" for stem in stems for side in "LR"}
    assert ours.labels[0] == "Precentral_L" and ours.labels[-1] == "Temporal_Inf_R"


def test_the_final_suffix_is_the_side_and_agrees_with_the_position(all_regions):
    at = all_regions.labels.index("Paracentral_Lobule_R")
    assert all_regions.hemisphere[at] == "R"  # a search for "_L" would say left
    assert all_regions.hemisphere.count("L") == all_regions.hemisphere.count("R") == 47
    for side, x_mm in zip(all_regions.hemisphere, all_regions.position_mm[:, 0], strict=True):
        assert (x_mm < 0) == (side == "L")


def test_matrices_are_symmetric_non_negative_and_read_only(all_regions):
    for matrix in (all_regions.weights, all_regions.lengths_mm, all_regions.fc):
        assert matrix.dtype == np.float64 and np.array_equal(matrix, matrix.T)
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1.0
    assert all_regions.weights.max() == 1.0  # every subject's largest tract is the same one
    assert not np.diag(all_regions.weights).any() and not np.diag(all_regions.lengths_mm).any()
    assert (np.diag(all_regions.fc) == 1.0).all()


def test_tract_lengths_in_mm(ours):
    lengths = ours.lengths_mm[PAIRS]
    assert (lengths.min(), np.median(lengths), lengths.max()) == pytest.approx((6.8, 137.3, 248.3), abs=0.1)


@pytest.mark.parametrize(("scale", "expected"), [(np.array, 0.34), (np.sqrt, 0.43), (np.log, 0.46)])
def test_structure_against_function(ours, scale, expected):
    assert _r(scale(ours.weights[PAIRS]), ours.fc[PAIRS]) == pytest.approx(expected, abs=0.005)


def test_myelin_range_and_order(ours, all_regions):
    assert (ours.myelin.min(), ours.myelin.max()) == pytest.approx((1.29, 2.19), abs=0.02)
    assert np.isfinite(ours.myelin).all()
    assert np.isnan(all_regions.myelin).sum() == 12  # no cortical surface
    ordered = [ours.labels[k] for k in np.argsort(ours.myelin)]
    assert {"Calcarine_R", "Heschl_L", "Heschl_R"} == set(ordered[-3:])
    left, right = np.array(partners(ours.labels)).T
    assert _r(ours.myelin[left], ours.myelin[right]) > 0.85


def test_positions_are_mni(ours):
    """Centres of these regions in the first AAL (Tzourio-Mazoyer 2002), unchanged in AAL2; within a few mm."""
    for label, expected in {
        "Precentral_L": (-39, -6, 51),
        "Calcarine_R": (16, -73, 9),
        "Heschl_L": (-42, -19, 10),
    }.items():
        assert np.linalg.norm(ours.position_mm[ours.labels.index(label)] - expected) < 5.0


def test_tracts_are_longer_than_the_straight_line_on_the_whole(ours):
    straight = np.linalg.norm(ours.position_mm[:, None] - ours.position_mm[None], axis=2)[PAIRS]
    assert _r(straight, ours.lengths_mm[PAIRS]) > 0.7
    assert np.mean(ours.lengths_mm[PAIRS] > straight) > 0.9


def test_no_subject_is_named():
    with np.load(FOLDER / "hcp_aal2_94.npz", allow_pickle=False) as box:
        assert all(box[key].shape[:1] in ((94,), ()) for key in box.files)
        assert box["subject_count"] == 7
        assert "subjects" not in str(box["provenance"])


# ---------------------------------------------------------------- what is made of it


def test_evened_rows_differ_by_the_root_of_what_they_did_and_the_sum_stays():
    coupling = np.array([[0.0, 4.0], [1.0, 0.0]])
    half = evened(coupling, 0.5)
    assert half.sum() == pytest.approx(5.0) and half[0, 1] / half[1, 0] == pytest.approx(2.0)
    assert np.array_equal(evened(coupling, 0.0), coupling)
    assert evened(coupling, 1.0).sum(axis=1) == pytest.approx([2.5, 2.5])
    assert not evened(np.zeros((2, 2)), 0.5).any()
    with pytest.raises(UserError, match="even_input"):
        evened(coupling, 1.5)


def test_coupling_is_symmetric_with_spectral_radius_one(ours):
    coupling = normalised(ours)
    assert np.array_equal(coupling, coupling.T) and (coupling >= 0).all()
    assert np.abs(np.linalg.eigvalsh(coupling)).max() == pytest.approx(1.0, abs=1e-12)
    drive = coupling.sum(axis=1)
    assert drive.max() / drive.min() < 2.8 < 20 < ours.weights.sum(axis=1).max() / ours.weights.sum(axis=1).min()


def test_homotopic_links_bring_structure_closer_to_function(ours):
    """Covariance of x = g W x + noise; the data sheet has 0.68 without and 0.71 with the links (g = 0.93)."""

    def fit(coupling):
        spread = np.linalg.inv(np.eye(80) - 0.93 * coupling)
        cov = spread @ spread.T
        sd = np.sqrt(np.diag(cov))
        return _r((cov / np.outer(sd, sd))[PAIRS], ours.fc[PAIRS])

    assert fit(normalised(ours, homotopic=0.0, balanced=False)) == pytest.approx(0.68, abs=0.01)
    assert fit(normalised(ours, balanced=False)) == pytest.approx(0.72, abs=0.01)
    assert fit(normalised(ours, homotopic=0.0)) < fit(normalised(ours)) == pytest.approx(0.69, abs=0.01)


def test_coupling_by_hand():
    """Two pairs, joined on each side; a link is 0.3 of the weaker partner's other input, here 0.3 * 0.5."""
    weights = np.zeros((4, 4))
    weights[0, 2] = weights[2, 0] = 8.0
    weights[1, 3] = weights[3, 1] = 4.0
    np.fill_diagonal(weights, 5.0)  # dropped
    raw = np.array([[0, 0.15, 1, 0], [0.15, 0, 0, 0.5], [1, 0, 0, 0.15], [0, 0.5, 0.15, 0]])
    strength = raw.sum(axis=1)
    expected = raw / np.sqrt(np.outer(strength, strength))  # radius is 1 already: sqrt(s) is the eigenvector
    got = normalised(weights, 0.3, labels=["A_L", "A_R", "B_L", "B_R"])
    np.testing.assert_allclose(got, expected, atol=1e-12)
    np.testing.assert_allclose(got @ np.sqrt(strength), np.sqrt(strength), atol=1e-12)


def test_rows_stay_targets_in_a_directed_graph():
    weights = np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 0.0], [0.0, 2.0, 0.0]])  # 0 -> 1 -> 2 -> 0
    got = normalised(weights, homotopic=0.0)
    np.testing.assert_allclose(got > 0, weights > 0)
    assert np.abs(np.linalg.eigvals(got)).max() == pytest.approx(1.0)


def test_degenerate_graphs_stay_finite():
    assert not normalised(np.zeros((3, 3)), 0.0).any()
    chain = normalised(np.diag([1.0, 1.0], -1), 0.0)  # no loop, radius 0
    assert np.isfinite(chain).all() and chain.any()
    with pytest.raises(ValueError, match="labels"):
        normalised(np.ones((2, 2)))
    with pytest.raises(UserError, match="homotopic"):
        normalised(np.ones((2, 2)), -1.0, ["a", "b"])


def test_partners_by_label():
    assert side_of("Paracentral_Lobule_R") == ("Paracentral_Lobule", "R")
    assert side_of("Vermis") == ("Vermis", "")
    assert partners(["A_R", "Vermis", "B_L", "A_L", "C_L", "B_R"]) == [(2, 5), (3, 0)]


def test_delays_are_whole_ticks_never_zero(ours):
    """Data sheet: 1.1/22.9/41 ms at 6 m/s (min/median/max) before rounding."""
    ticks = delay_ticks(ours.lengths_mm, 6.0)
    assert ticks.dtype == np.int32 and ticks.min() == 1
    assert (np.median(ticks[PAIRS]), ticks.max()) == (23, 41)
    assert delay_ticks(ours.lengths_mm, 2.0).max() == 124  # newborn; a ring of 128 holds it
    assert delay_ticks(np.array([0.0, 1.4, 1.6, 30.0]), 1.0, 0.5).tolist() == [1, 3, 3, 60]
    assert delays_ms(np.array([0.0, 1.4, 30.0]), 1.0, 0.5).tolist() == [0.5, 1.5, 30.0]


@pytest.mark.parametrize(("velocity", "tick"), [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0), (6.0, 0.0)])
def test_impossible_velocities_are_user_errors(velocity, tick):
    with pytest.raises(UserError, match="expected a number > 0"):
        delay_ticks(np.ones((2, 2)), velocity, tick)
    with pytest.raises(UserError, match="crosses the brain"):
        delay_ticks(np.full((2, 2), 1e4), 1e-9)


def test_time_constants_fall_with_myelin_and_are_symmetric(ours, all_regions):
    tau = tau_region_ms(ours)
    assert (tau.min(), tau.max()) == (10.0, 30.0) and tau.mean() == pytest.approx(20.2, abs=0.1)
    left, right = np.array(partners(ours.labels)).T
    assert len(left) == 40 and np.array_equal(tau[left], tau[right])
    by_label = dict(zip(ours.labels, tau, strict=True))
    assert by_label["Calcarine_L"] == by_label["Heschl_R"] == 10.0
    assert by_label["Olfactory_L"] == by_label["Cingulate_Ant_R"] == 30.0 > by_label["Temporal_Pole_Mid_L"] > 29.0
    unknown = np.isnan(all_regions.myelin)
    assert (tau_region_ms(all_regions)[unknown] == 20.0).all()


def test_time_constants_by_hand():
    ratio = np.linspace(1.0, 2.0, 101)
    tau = tau_region_ms(ratio)  # percentiles 1.05 and 1.95
    assert tau[50] == pytest.approx(20.0) and tau[20] == pytest.approx(30.0 - 20.0 * (1.2 - 1.05) / 0.9)
    assert (
        tau_region_ms(np.array([1.0, 2.0, 9.0]), ["A_L", "A_R", "B"])[0]
        == tau_region_ms(np.array([2.0, 1.0, 9.0]), ["A_L", "A_R", "B"])[0]
    )
    lone = tau_region_ms(np.array([np.nan, 1.2, 1.8, np.nan]), ["A_L", "A_R", "B_L", "C"])
    assert lone[0] == lone[1] == 30.0 and lone[3] == 20.0
    assert (tau_region_ms(np.full(3, 1.5)) == 20.0).all() and (tau_region_ms(np.full(3, np.nan)) == 20.0).all()


# ---------------------------------------------------------------- a user's own


def _good(n=4):
    weights = np.arange(n * n, dtype=float).reshape(n, n)
    labels = np.array([f"area {k}" for k in range(n)])
    return {"weights": weights, "lengths": weights * 10.0, "labels": labels}


def _npz(folder, arrays):
    path = Path(folder) / "mine.npz"
    np.savez(path, **arrays)
    return path


def _csv(folder, prefix="", **texts):
    base = {"weights.csv": "0,1\n2,0\n", "lengths.csv": "0,50\n60,0\n", "labels.txt": "a_L\na_R\n"}
    for ending, text in (base | texts).items():
        if text is not None:
            (Path(folder) / (prefix + ending)).write_text(text)
    return Path(folder)


def test_own_npz_keeps_direction_and_fills_what_is_not_given(tmp_path):
    mine = load_connectome(_npz(tmp_path, _good()))
    assert mine.weights[1, 0] == 4.0 and mine.weights[0, 1] == 1.0  # row = target
    assert mine.labels[2] == "area 2" and mine.hemisphere == [""] * 4
    assert np.isnan(mine.position_mm).all() and np.isnan(mine.myelin).all() and mine.fc is None
    assert (tau_region_ms(mine) == 20.0).all()


def test_own_npz_with_everything(tmp_path):
    extra = {
        "positions": np.ones((4, 3)),
        "myelin": np.full(4, 1.5),
        "fc": np.eye(4),
        "hemisphere": np.array(list("LRLR")),
    }
    mine = load_connectome(_npz(tmp_path, _good() | extra))
    assert mine.hemisphere == ["L", "R", "L", "R"] and mine.fc[1, 1] == 1.0 and mine.position_mm[3, 2] == 1.0


def test_relative_paths_are_tried_beside_the_scene_first(tmp_path, monkeypatch):
    here, scene = tmp_path / "here", tmp_path / "scene"
    here.mkdir()
    scene.mkdir()
    monkeypatch.chdir(here)
    _npz(here, _good(3))
    assert load_connectome("mine.npz", scene).region_count == 3
    _npz(scene, _good(5))
    assert load_connectome("mine.npz", scene).region_count == 5
    assert load_connectome("mine.npz").region_count == 3


def test_own_csv_folder_and_prefix(tmp_path):
    extra = {"positions.csv": "-1 0 0\n1 0 0\n", "myelin.csv": "1.5\nnan\n", "hemisphere.txt": "L\n-\n"}
    mine = load_connectome(_csv(tmp_path, **extra))
    assert mine.weights.tolist() == [[0, 1], [2, 0]] and mine.lengths_mm[1, 0] == 60.0
    assert mine.hemisphere == ["L", ""] and np.isnan(mine.myelin[1]) and mine.position_mm[0, 0] == -1.0
    _csv(tmp_path, "x_", **{"weights.csv": "0;3\n4;0"})
    named = load_connectome(tmp_path / "x_weights.csv")
    assert named.weights[0, 1] == 3.0 and named.hemisphere == ["L", "R"] and named.sha256 != mine.sha256


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": np.ones((3, 4))}, "weights: expected a square matrix, found 3 x 4"),
        ({"weights": np.ones(4)}, "weights: expected a square matrix, found 4"),
        ({"lengths": np.ones((3, 3))}, "lengths: expected 4 x 4 .4 labels., found 3 x 3"),
        ({"labels": np.array(["a", "b", "c"])}, "weights: expected 3 x 3 .3 labels., found 4 x 4"),
        ({"labels": np.array(["a", "b", "a", "d"])}, "labels: expected no label twice, found 'a' as 1 and 3"),
        ({"labels": np.array(["a", "b", " ", "d"])}, "labels: label 3: expected a printable name"),
        ({"labels": np.arange(4)}, "labels: expected a list of texts, found int64"),
        ({"weights": np.diag([0, np.nan, 0, 0])}, "weights: row 2, column 2: expected a finite number, found nan"),
        ({"weights": np.diag([0, 0, np.inf, 0])}, "weights: row 3, column 3: expected a finite number, found inf"),
        ({"weights": np.diag([0, 0, 0, -1.0])}, "weights: row 4, column 4: expected >= 0, found -1"),
        ({"lengths": np.full((4, 4), -2.0)}, "lengths: row 1, column 1: expected >= 0, found -2"),
        ({"lengths": np.full((4, 4), 1e6)}, "lengths: row 1, column 1: expected <= 10000"),
        ({"weights": np.ones((4, 4), complex)}, "weights: expected numbers, found complex128"),
        ({"weights": np.full((4, 4), None)}, "weights: expected a plain array, found Object arrays"),
        ({"weights": None}, "expected the key weights, found labels, lengths"),
        ({"lengths": None}, "expected the key lengths"),
        ({"labels": None}, "expected the key labels"),
        ({"positions": np.ones((4, 2))}, "positions: expected 4 x 3"),
        ({"myelin": np.array([1.0, 2.0, -3.0, 1.0])}, "myelin: row 3: expected >= 0, found -3"),
        ({"hemisphere": np.array(["L", "R", "x", "L"])}, "hemisphere: expected 4 of L, R or nothing"),
        ({"fc": np.full((4, 4), 2.0)}, "fc: row 1, column 1: expected <= 1"),
    ],
)
def test_malformed_npz_is_one_clear_line(tmp_path, change, words):
    arrays = {key: value for key, value in (_good() | change).items() if value is not None}
    with pytest.raises(UserError, match=words) as error:
        load_connectome(_npz(tmp_path, arrays))
    assert "\n" not in str(error.value) and "mine.npz" in str(error.value)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"weights.csv": "0,1\n2\n"}, r"weights.csv:2: expected 2 numbers, found 1"),
        ({"weights.csv": "0,1\n2,x\n"}, r"weights.csv:2: column 2: expected a number, found 'x'"),
        ({"weights.csv": "0,1\n"}, r"weights.csv: expected a square matrix, found 1 x 2"),
        ({"lengths.csv": "\n"}, r"lengths.csv: expected rows of numbers, found an empty file"),
        ({"lengths.csv": None}, r"lengths.csv: expected a readable file, found No such file"),
        ({"lengths.csv": "0,nan\n1,0"}, r"lengths.csv: row 1, column 2: expected a finite number, found nan"),
        ({"labels.txt": "a\n"}, r"labels.txt: expected 2 to 5200 labels, found 1"),
        ({"labels.txt": "a\na\n"}, r"labels.txt: expected no label twice"),
        ({"labels.txt": "a\nb\nc\n"}, r"weights.csv: expected 3 x 3 .3 labels., found 2 x 2"),
        ({"positions.csv": "1,2\n3,4\n"}, r"positions.csv: expected 2 x 3"),
    ],
)
def test_malformed_csv_is_one_clear_line(tmp_path, texts, words):
    with pytest.raises(UserError, match=words):
        load_connectome(_csv(tmp_path, **texts))


@pytest.mark.parametrize("name", ["", " ", "no_such", "no/such.npz", "a\0b", "x" * 5000, "hcp_aal2.npz"])
def test_a_name_that_is_nothing_lists_what_there_is(name, tmp_path):
    with pytest.raises(UserError, match="expected hcp_aal2, hcp_aal2_94, or the path"):
        load_connectome(name, tmp_path)


def test_files_of_another_kind(tmp_path):
    for name, data in {"a.npz": b"", "b.npz": b"hello", "c.npz": b"PK\x05\x06" + bytes(18), "d.npy": None}.items():
        path = tmp_path / name
        if data is None:
            np.save(path, np.ones(3))
        else:
            path.write_bytes(data)
        with pytest.raises(UserError, match="expected"):
            load_connectome(path)
    (tmp_path / "other.csv").write_text("1,2")
    with pytest.raises(UserError, match=r"expected a file named weights.csv or \*_weights.csv, found other.csv"):
        load_connectome(tmp_path / "other.csv")
    with pytest.raises(UserError, match="expected"):
        load_connectome("/dev/null")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="expected"):
        load_connectome(tmp_path)


def _only_user_errors(path):
    """The file loads into finite, consistent arrays, or raises one line."""
    try:
        mine = load_connectome(path)
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return
    n = mine.region_count
    assert mine.weights.shape == mine.lengths_mm.shape == (n, n) and len(mine.hemisphere) == n
    assert np.isfinite(normalised(mine)).all() and np.isfinite(tau_region_ms(mine)).all()
    assert delay_ticks(mine.lengths_mm, 2.0).min() >= 1


_kinds = st.sampled_from(["f8", "f4", "i8", "u1", "b1", "c16", "U3", "S2", "M8[s]", "f2", "O"])
_shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple) | st.just((3, 3)) | st.just((3,)) | st.just((3, 3))
_values = st.sampled_from([0, 1, 0.5, -1, float("nan"), float("inf"), 1e308, 5e-324, 3, 200])


@st.composite
def _arrays(draw):
    kind, shape = draw(_kinds), draw(_shapes)
    count = int(np.prod(shape))
    if kind in ("f8", "f4", "f2", "O", "c16"):
        flat = np.array([draw(_values) for _ in range(count)], dtype="f8")
        with np.errstate(over="ignore"):
            return flat.astype(kind).reshape(shape)
    if kind in ("U3", "S2"):
        texts = draw(st.lists(st.text("abL_R \n", max_size=3), min_size=count, max_size=count))
        return np.array(texts, dtype=kind).reshape(shape)
    return np.arange(count).astype("i8").astype(kind).reshape(shape)


_keys = st.sampled_from(["weights", "lengths", "labels", "positions", "myelin", "hemisphere", "fc", "other"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_keys, _arrays(), max_size=6))
@example({"weights": np.full((3, 3), 1e308)})
@example({"weights": np.full((3, 3), 5e-324)})
def test_any_arrays_load_or_raise_a_user_error(changes):
    base = _good(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.npz"
        np.savez(path, **(base | changes))
        _only_user_errors(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_to_the_bytes_is_a_user_error(data):
    box = io.BytesIO()
    np.savez_compressed(box, **_good(3)) if data.draw(st.booleans()) else np.savez(box, **_good(3))
    content = bytearray(box.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.npz"
        path.write_bytes(content)
        _only_user_errors(path)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["weights.npy", "weights", "labels.npy", "x"]), st.binary(max_size=60)))
def test_any_members_are_a_user_error(members):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.npz"
        with zipfile.ZipFile(path, "w") as box:
            for name, data in members.items():
                box.writestr(name, data)
        with pytest.raises(UserError):
            load_connectome(path)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["weights.csv", "lengths.csv", "labels.txt", "myelin.csv", "hemisphere.txt"]),
        st.text("0123.,;\t \nnaif-eLR\x1c", max_size=30).map(str.encode) | st.binary(max_size=20),
        min_size=1,
    )
)
def test_any_csv_loads_or_raises_a_user_error(files):
    with tempfile.TemporaryDirectory() as folder:
        _csv(folder)
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        _only_user_errors(folder)
