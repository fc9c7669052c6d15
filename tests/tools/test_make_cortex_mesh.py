"""The brain's surface: undoing a subdivision gives the coarse triangles back; the committed asset is whole."""

import json

import numpy as np
import pytest

from engine.errors import UserError
from tools.make_cortex_mesh import ASSET, PACKAGE, coarser, main

OCTAHEDRON = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [5, 2, 1], [5, 3, 2], [5, 4, 3], [5, 1, 4]])


def finer(faces: np.ndarray, count: int) -> np.ndarray:
    """Each triangle into four, new vertices numbered from `count` on."""
    number: dict[tuple[int, int], int] = {}
    out = []
    for a, b, c in faces.tolist():
        ab, bc, ca = (number.setdefault((min(e), max(e)), count + len(number)) for e in ((a, b), (b, c), (c, a)))
        out += [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]]
    return np.array(out)


def test_coarser_undoes_a_subdivision():
    def turned(faces):  # each triangle from its smallest corner on, which keeps its sense
        return sorted(tuple(np.roll(face, -int(np.argmin(face)))) for face in faces)

    assert turned(coarser(finer(OCTAHEDRON, 6), 6)) == turned(OCTAHEDRON)
    twice = finer(finer(OCTAHEDRON, 6), 18)
    assert turned(coarser(twice, 18)) == turned(finer(OCTAHEDRON, 6))


def test_what_is_no_subdivision_is_refused():
    with pytest.raises(UserError, match="between two old ones"):
        coarser(np.array([[0, 3, 4], [1, 3, 5], [2, 3, 5]]), 3)


def test_the_committed_asset():
    with np.load(ASSET) as box:
        assert box["faces"].shape == (20_480, 3) and box["faces_coarse"].shape == (5_120, 3)
        assert np.array_equal(coarser(box["faces"].astype(int), 2_562), box["faces_coarse"])
        assert json.loads(str(box["provenance"]))["files_sha256"] == PACKAGE.contents
        for side, sign in (("left", -1), ("right", 1)):
            at = box[f"position_{side}"] * float(box["step_mm"])
            assert at.shape == (10_242, 3) and np.mean(sign * at[:, 0] > 0) > 0.97
            assert np.allclose(np.ptp(at, axis=0), [70, 174, 126], atol=4), "an adult's half in mm"
    assert ASSET.stat().st_size < 320_000


def test_archives_that_are_not_there_are_one_line(tmp_path, capsys):
    assert main(["--archives", str(tmp_path)]) == 2
    assert "expected nilearn 0.14.1" in capsys.readouterr().err
