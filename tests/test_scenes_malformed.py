"""Every file in tests/data/malformed is refused with exactly this line: file, line, key, expected, found."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import yaml_lines
from engine.errors import UserError
from engine.scene import dump, json_schema, load_scene
from systems.spawn.scene_model import SCENES, VERBS, Scene, check_files, in_condition

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("tests/data/malformed")

# One line per file. A line that ends in "not YAML:" goes on with the parser's own words.
EXPECTED = {
    line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in (ROOT / FOLDER / "expected.txt").read_text().splitlines()
}


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_file_has_its_line():
    assert {file.name for file in (ROOT / FOLDER).glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize("parser", ["libyaml", "python"])
@pytest.mark.parametrize("name", EXPECTED)
def test_a_malformed_scene_is_one_clear_line(name, parser, monkeypatch):
    if parser == "python":
        monkeypatch.setattr(yaml_lines, "_LOADER", yaml.SafeLoader)
    with pytest.raises(UserError) as caught:
        load_scene(FOLDER / name, Scene, [SCENES])
    found, expected = str(caught.value), f"{FOLDER}/{EXPECTED[name]}"
    assert len(found.splitlines()) == 1
    assert found == expected or (expected.endswith("not YAML:") and found.startswith(expected))


def test_no_code_is_run_by_a_tag(tmp_path):
    file = tmp_path / "evil.yaml"
    file.write_text(f"title: !!python/object/apply:os.mkdir [{tmp_path / 'made'}]\n")
    with pytest.raises(UserError, match=r"tag .* is not allowed"):
        load_scene(file, Scene)
    assert not (tmp_path / "made").exists()


def test_the_error_of_a_deep_scene_comes_even_with_a_short_stack():
    code = (
        "import sys, pathlib; from engine.scene import load_scene; from engine.errors import UserError;"
        "from systems.spawn.scene_model import Scene; sys.setrecursionlimit(200)\n"
        "for name in ('deep_flow', 'deep_block', 'alias_bomb', 'alias_deep', 'alias_of_itself'):\n"
        "    try:\n        load_scene(pathlib.Path('tests/data/malformed') / (name + '.yaml'), Scene)\n"
        "    except UserError:\n        continue\n    sys.exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# ------------------------------------------------------------------------------------- the model on well-formed scenes

SHIPPED = sorted(file.relative_to(SCENES).with_suffix("").as_posix() for file in SCENES.rglob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scene_loads_and_its_dump_is_the_same_scene(name, tmp_path):
    scene, source = load_scene(name, Scene, [SCENES])
    out = dump(scene)
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(out, sort_keys=False))
    again, _ = load_scene(tmp_path / "again.yaml", Scene)
    assert again == scene and json.dumps(dump(again)) == json.dumps(out)
    assert source.name == name and [event.verb in VERBS for event in scene.timeline] == [True] * len(scene.timeline)


def test_quantities_arrive_in_base_units():
    scene, _ = load_scene("newborn", Scene, [SCENES])
    touch, _, tap = scene.timeline
    assert (scene.duration, touch.at, touch.last, touch.verb) == (10_000.0, 3_000.0, 1_000.0, "touch")
    assert (touch.action.patch, touch.action.force, tap.action.muscle) == ("palm_left", 0.5, "knee_left_extensor")


def test_a_claim_is_converted_by_the_measure_of_its_probe():
    claim = "expect=[{probe: knee_jerk, between: [10 deg, null]}]"
    scene, _ = load_scene("newborn", Scene, [SCENES], [claim])
    assert scene.expect[0].bounds == (math.radians(10), math.inf)
    assert scene.expect[0].passes(0.2) and not scene.expect[0].passes(0.1) and not scene.expect[0].passes(math.nan)
    assert dump(scene)["expect"][0]["between"] == ["10 deg", None]


def test_a_push_has_its_force_along_its_direction():
    push = "timeline=[{at: 0 s, push: {part: trunk, force: 5 N, direction: [0, 3, -4]}}]"
    scene, _ = load_scene("newborn", Scene, [SCENES], [push])
    assert scene.timeline[0].action.vector_n == pytest.approx((0.0, 3.0, -4.0))


def test_a_scene_that_names_no_such_file_is_one_line(tmp_path):
    circuits = [path.stem for path in sorted((SCENES.parent / "assets" / "circuits").glob("*.yaml"))]
    for folder, names in (("circuits", circuits), ("bodies", ("newborn",))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.yaml").write_text("")
    (tmp_path / "connectome").mkdir()
    (tmp_path / "connectome" / "hcp_aal2_94.npz").write_bytes(b"")
    check_files(*load_scene("newborn", Scene, [SCENES]), assets=tmp_path)
    for override, expected in (
        (
            "brain.circuits.1=cord",
            f'brain.circuits.1: no circuit named "cord" (there are: {", ".join(circuits)})',
        ),
        ("body.model=robot", 'body.model: no body named "robot" (there are: newborn)'),
        (
            "brain.connectome=my.npz",
            'brain.connectome: expected a shipped connectome (hcp_aal2_94) or a file, got "my.npz"',
        ),
    ):
        with pytest.raises(UserError) as caught:
            check_files(*load_scene("newborn", Scene, [SCENES], [override]), assets=tmp_path)
        assert str(caught.value) == f"--set {override}: {expected}"


CONDITIONS = """\
title: A stimulus, its sham and its lesions
duration: 1 s
brain:
  circuits: [cortex]
  silence: [cortex.A.*]
  gains: {"cortex:l4>l23": 2}
timeline:
  - {at: 100 ms, last: 10 ms, stimulate: {population: cortex, drive: 5 mV}}
probes:
  - {name: rate, measure: rate_hz, of: cortex}
experiment:
  conditions:
    function: {}
    changed:
      set:
        timeline.0.stimulate.drive: 7 mV
        brain.parameters: {velocity: 3 m/s}
        'brain.gains."cortex:l4>l23"': 5
      silence: [cortex.B.*, cortex.C.*]
      gains: {"cortex:pv>*": 0}
    wrong:
"""


def conditions(tmp_path, wrong: str = "      {}\n"):
    path = tmp_path / "conditions.yaml"
    path.write_text(CONDITIONS + wrong)
    return load_scene(path, Scene)


def test_a_condition_changes_what_it_says_and_nothing_else(tmp_path):
    scene, source = conditions(tmp_path)
    plain, _ = in_condition(scene, source, "function")
    assert plain == scene.model_copy(update={"experiment": None})
    changed, origin = in_condition(scene, source, "changed")
    assert changed.timeline[0].stimulate.drive == 7.0 and changed.brain.parameters == {"velocity": "3 m/s"}
    assert changed.brain.silence == ["cortex.A.*", "cortex.B.*", "cortex.C.*"]
    assert changed.brain.gains == {"cortex:l4>l23": 5.0, "cortex:pv>*": 0.0}
    rest = {"timeline": plain.timeline, "brain": plain.brain}
    assert changed.model_copy(update=rest) == plain
    lines = [origin.where("brain", "silence", k).split(":")[-1] for k in range(3)]
    assert lines == ["5", "19", "19"] and origin.where("timeline", 0, "stimulate", "drive").endswith(":16")


NOT_THERE = "expected a key of the scene other than extends, experiment, seed, expect"
OTHER_PROBES = "expected probes of the same names and units in every condition"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("{timeline.1.at: 1 s}", "22: timeline.1: expected the number of an item, there are 1 items, numbered from 0"),
        ("\n        clock.tick: 7 N", '23: clock.tick: expected a time, got "7 N"'),
        ("{timeline.0.stimulate.driv: 7}", '22: timeline.0.stimulate.driv: unknown key, did you mean "drive"?'),
        ("{duration: 50 ms}", '8: timeline.0.at: expected a time before the end at 50 ms, got "100 ms"'),
        ("{seed: 5}", f'22: "seed": {NOT_THERE}'),
        ("{experiment.seeds: 5}", f'22: "experiment.seeds": {NOT_THERE}'),
        ("{a..b: 5}", '22: "a..b": expected keys as in a.b'),
        ("{probes.0.name: b}", f"9: probes: {OTHER_PROBES}"),
        ("{probes.0.measure: isi_cv}", f"9: probes: {OTHER_PROBES}"),
    ],
)
def test_a_wrong_condition_is_one_line_that_names_it(tmp_path, monkeypatch, wrong, expected):
    monkeypatch.chdir(tmp_path)
    scene, source = conditions(Path(), f"      set: {wrong}")
    for act in (lambda: in_condition(scene, source, "wrong"), lambda: check_files(scene, source)):
        with pytest.raises(UserError) as caught:
            act()
        assert str(caught.value) == f"conditions.yaml:{expected} (in condition wrong)"


def test_an_experiment_survives_a_dump(tmp_path):
    scene, _ = conditions(
        tmp_path, "      set: {brain.gains: null, timeline.0.stimulate: {population: a, drive: 1 mV}}"
    )
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(dump(scene)))
    again, source = load_scene(tmp_path / "again.yaml", Scene)
    assert again == scene and in_condition(again, source, "changed")[0].brain.silence[2] == "cortex.C.*"


def test_the_schema_of_a_scene_documents_every_key():
    schema = json_schema(Scene)
    for owner in (schema, *schema["$defs"].values()):
        assert owner["additionalProperties"] is False
        assert all("description" in key for key in owner["properties"].values())
    json.dumps(schema, allow_nan=False)


NEWBORN = (SCENES / "newborn.yaml").read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, len(NEWBORN)), cut=st.integers(0, 12), junk=st.text(":{}[],-&*'\" \n0sNm.", max_size=6))
def test_a_damaged_newborn_loads_or_is_one_line(tmp_path, where, cut, junk):
    file = tmp_path / "a.yaml"
    file.write_bytes(NEWBORN[:where] + junk.encode() + NEWBORN[where + cut :])
    try:
        scene, _ = load_scene(file, Scene, [SCENES])
        json.dumps(dump(scene), allow_nan=False)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
