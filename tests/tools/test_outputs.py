"""Where commands may write: never over a file of the program or of the run, never in place of a device or a link."""

import os
from pathlib import Path

import pytest

from engine.errors import UserError
from tools import common

ROOT = Path(common.__file__).resolve().parent.parent


@pytest.mark.parametrize("option", ["--json", "--save", "--record", "--video"])
@pytest.mark.parametrize(
    "path",
    [
        "assets/bodies/newborn.xml",
        "assets/connectome/hcp_aal2_94.npz",
        "assets/circuits/calibration/cortex_newborn.json",
        "scenes/walker.yaml",
        "tools/run.py",
    ],
)
def test_an_output_never_lies_on_a_file_of_the_program(option, path):
    with pytest.raises(UserError, match="would overwrite a file of the program"):
        common.check_outputs({option: str(ROOT / path)}, {})


def test_an_output_over_a_program_file_through_a_link_is_refused(tmp_path):
    (tmp_path / "out.json").symlink_to(ROOT / "assets/bodies/newborn.xml")
    with pytest.raises(UserError, match="would overwrite a file of the program"):
        common.check_outputs({"--json": str(tmp_path / "out.json")}, {})


def test_an_output_inside_a_folder_that_is_read_is_refused(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "weights.csv").write_text("0,1\n1,0\n")
    with pytest.raises(UserError, match="would overwrite the connectome"):
        common.check_outputs({"--json": str(folder / "weights.csv")}, {"the connectome": folder})


def test_a_result_of_an_earlier_run_may_be_replaced(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    common.check_outputs({"--json": str(tmp_path / "a.json")}, {})


@pytest.mark.parametrize("option", ["--save", "--record", "--video"])
def test_a_stream_is_no_place_for_a_binary_file(option, tmp_path):
    with open(tmp_path / "redirected", "w") as file, pytest.raises(UserError, match="found a device"):
        common.check_outputs({option: f"/dev/fd/{file.fileno()}"}, {})


def test_json_to_a_redirected_stream_is_added_to_it(tmp_path):
    with open(tmp_path / "redirected", "w") as file:
        file.write("before\n")
        file.flush()
        common.write_json(f"/dev/fd/{file.fileno()}", {"a": 1})
    assert (tmp_path / "redirected").read_text() == 'before\n{\n  "a": 1\n}\n'


def test_json_through_a_link_leaves_the_link(tmp_path):
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    common.write_json(str(link), {"a": 1})
    assert link.is_symlink() and os.readlink(link) == str(target) and '"a": 1' in target.read_text()


def test_a_name_that_is_too_long_is_one_plain_line(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        common.check_outputs({"--json": str(tmp_path / ("a" * 300))}, {})


def test_an_empty_name_is_named_as_such():
    with pytest.raises(UserError, match="expected the name of a file"):
        common.check_outputs({"--json": ""}, {})
