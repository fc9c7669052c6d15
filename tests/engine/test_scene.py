"""The loader with a small model of its own: lines, extends, overrides, dumps, and no way to make it crash."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from engine import yaml_lines
from engine.errors import UserError
from engine.scene import dump, json_schema, key_path, load_scene, varied
from engine.units import Time, positive

ROOT = Path(__file__).resolve().parents[2]


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    wait: positive(Time) = 1.0
    size: int = 1
    tags: list[str] = []


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)
    name: str
    """What it is called."""
    leaf: Leaf = Leaf()
    leaves: list[Leaf] = []
    free: dict[str, float] = {}
    maybe: Leaf | None = None
    from_: int = Field(0, alias="from")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file and returns its name; the current folder is where they are."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str | bytes) -> str:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def load(name, *overrides, search=()):
    return load_scene(name, Tree, search, overrides)


def message(name, *overrides, search=()) -> str:
    with pytest.raises(UserError) as caught:
        load(name, *overrides, search=search)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    return text


# ---------------------------------------------------------------------------------------------------- reading


def test_a_scene_is_read_and_every_key_keeps_its_line(write):
    file = write("a.yaml", "name: x\nleaf:\n  wait: 2 s\n  tags:\n    - one\n    - two\nleaves:\n  - {wait: 1 ms}\n")
    scene, source = load(file)
    assert scene.leaf.wait == 2000.0 and scene.leaf.tags == ["one", "two"] and scene.leaves[0].wait == 1.0
    assert source.name == "a" and source.files == (Path("a.yaml"),)
    places = [("leaf",), ("leaf", "wait"), ("leaf", "tags", 1), ("leaves", 0, "wait"), ("leaf", "size"), ()]
    assert [source.where(*place) for place in places] == [f"a.yaml:{line}" for line in (2, 3, 6, 8, 2, 1)]
    assert str(source.error("no such leaf", "leaf", "tags", 0)) == "a.yaml:5: leaf.tags.0: no such leaf"


def test_scalars_follow_yaml_1_2(write):
    file = write(
        "a.yaml", "name: no\nfree: {a: 1e3, b: 0010, on: -.5}\nleaf: {tags: [yes, off, 1:30, 2001-01-01, '5']}\n"
    )
    scene, _ = load(file)
    assert scene.name == "no" and scene.free == {"a": 1000.0, "b": 10.0, "on": -0.5}
    assert scene.leaf.tags == ["yes", "off", "1:30", "2001-01-01", "5"]


def test_anchors_are_copied_out(write):
    scene, source = load(write("a.yaml", "name: x\nleaf: &l {wait: 3 ms}\nmaybe: *l\nleaves: [*l, *l]\n"))
    assert scene.maybe.wait == scene.leaves[1].wait == 3.0
    assert source.where("maybe") == "a.yaml:3"


def test_a_byte_order_mark_and_windows_lines_do_no_harm(write):
    file = write("a.yaml", b"\xef\xbb\xbfname: x\r\nleaf:\r\n  wait: 5 mV\r\n")
    assert message(file) == 'a.yaml:3: leaf.wait: expected a time, got "5 mV"'


def test_the_first_mistake_in_the_file_decides_and_missing_keys_come_last(write):
    assert message(write("a.yaml", "leaf: {size: x}\nfrom: y\n")).startswith("a.yaml:1: leaf.size: ")
    assert message(write("b.yaml", "nam: x\n")) == 'b.yaml:1: nam: unknown key, did you mean "name"?'
    assert message(write("c.yaml", "leaf: {}\n")) == "c.yaml:1: name: missing (what it is called)"


def test_keys_are_suggested_by_their_name_in_the_file(write):
    assert message(write("a.yaml", "name: x\nfrm: 1\n")) == 'a.yaml:2: frm: unknown key, did you mean "from"?'
    text = message(write("c.yaml", "name: x\nleaves:\n  - zzzz: 1\n"))
    assert text == "c.yaml:3: leaves.0.zzzz: unknown key (known here: wait, size, tags)"
    text = message(write("d.yaml", "name: x\nmaybe:\n  wai: 1\n"))
    assert text == 'd.yaml:3: maybe.wai: unknown key, did you mean "wait"?'


# ---------------------------------------------------------------------------------------------------- finding


def test_a_bare_name_is_looked_up_in_the_folders(write):
    write("scenes/first.yaml", "name: one\n")
    write("scenes/exam/second.yaml", "name: two\n")
    assert load("first", search=["scenes"])[0].name == "one"
    assert load("exam/second", search=["scenes"])[0].name == "two"
    assert load("first.yaml", search=["scenes"])[0].name == "one"
    assert message("frist", search=["scenes"]) == 'no scene named "frist", did you mean "first"?'
    assert message("zzzzzzz", search=["scenes"]) == 'no scene named "zzzzzzz" (there are: first)'
    assert message("second", search=["scenes"]) == 'no scene named "second", did you mean "exam/second"?'
    assert message("exam/secnd", search=["scenes"]) == 'exam/secnd: no such file, did you mean "exam/second"?'
    assert load("exam/second", search=["scenes"])[1].name == "exam/second"
    assert load("scenes/exam/second.yaml", search=["scenes"])[1].name == "exam/second"
    assert load("scenes/exam/second.yaml")[1].name == load("exam/second", search=["x", "scenes"])[1].name == "second"


def test_a_path_that_is_no_file_is_one_line(write, tmp_path):
    write("folder.yaml/x", "")
    assert message("none.yaml") == "none.yaml: no such file"
    assert message("no/such/place") == "no/such/place: no such file"
    assert message("folder.yaml") == "folder.yaml: expected a file, got a folder"
    assert message("/dev/zero") == "/dev/zero: expected a regular file"
    assert message("") == 'expected the name or path of a scene, got ""'
    assert "expected the name or path" in message("a\0b")
    assert message("n" * 5000 + ".yaml").endswith("nnn.yaml: no such file")
    assert message(write("big.yaml", "#" * 1_000_001)) == "big.yaml: larger than 1,000,000 bytes, expected a scene"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(write):
    file = write("a.yaml", "name: x\n")
    Path(file).chmod(0)
    assert message(file) == "a.yaml: cannot be read: Permission denied"


# --------------------------------------------------------------------------------------------------- variations


def test_key_paths():
    assert key_path("a.0.b") == ("a", "0", "b") and key_path("a") == ("a",)
    assert key_path('a."x.*".b') == ("a", "x.*", "b")
    for text in ("", ".", "a.", ".a", "a..b", "a=1", "a.b=", '"', ".".join("a" * 50)):
        assert key_path(text) is None, text


VARIED = """\
name: x
leaf: {size: 1, tags: [a]}
leaves:
  - {size: 2}
free:
  leaf.size: 5
  leaves.0.wait: 7
  "leaves.1.wait": 8
"""


def variation(write, **paths):
    """The scene with the value that `free` holds under each key put at a path."""
    _, source = load(write("a.yaml", VARIED))
    return varied(source, Tree, [(path, source.root.get("free").get(key)) for key, path in paths.items()])


def test_a_variation_has_nodes_of_the_file_at_other_paths(write):
    made, source = variation(write, **{"leaf.size": ("leaf", "size")})
    assert made.leaf.size == 5 and made.leaf.tags == ["a"] and made.leaves[0].size == 2
    assert source.where("leaf", "size") == "a.yaml:6" and source.where("leaf", "tags") == "a.yaml:2"
    _, plain = load("a.yaml")
    tags = plain.root.get("leaf").get("tags")
    assert varied(plain, Tree, [(("leaf", "tags", "+"), tags)], without=("free",))[0].leaf.tags == ["a", "a"]
    assert varied(plain, Tree, [(("leaves", "0", "tags", "+"), tags)])[0].leaves[0].tags == ["a"]
    assert varied(plain, Tree, [], without=("free",))[0].free == {} and load("a.yaml")[0].free != {}


def test_a_wrong_variation_blames_the_line_of_its_value(write):
    for key, path, expected in (
        (
            "leaves.0.wait",
            ("leaves", "0", "wait"),
            "a.yaml:7: leaves.0.wait: expected a time with its unit, as in 7 ms",
        ),
        ("leaves.1.wait", ("leaves", "1", "wait"), "a.yaml:8: leaves.1: expected the number of an item, there are 1"),
        ("leaf.size", ("leaf", "syze"), 'a.yaml:6: leaf.syze: unknown key, did you mean "size"?'),
    ):
        with pytest.raises(UserError) as caught:
            variation(write, **{key: path})
        assert str(caught.value).startswith(expected)


# ---------------------------------------------------------------------------------------------------- extends


def test_extends_merges_mappings_and_replaces_the_rest(write):
    write("base.yaml", "name: base\nleaf:\n  wait: 5 ms\n  tags: [a, b]\nfree: {a: 1, b: 2}\nmaybe: {size: 3}\n")
    write("sub/mid.yaml", "extends: ../base.yaml\nleaf: {tags: [c]}\n")
    scene, source = load(write("top.yaml", "extends: sub/mid.yaml\nname: top\nfree: {b: 5}\nmaybe: null\n"))
    assert dump(scene)["leaf"] == {"wait": "5 ms", "size": 1, "tags": ["c"]}
    assert scene.name == "top" and scene.free == {"a": 1.0, "b": 5.0} and scene.maybe is None
    assert [path.name for path in source.files] == ["top.yaml", "mid.yaml", "base.yaml"]
    assert source.where("leaf", "wait") == "base.yaml:3" and source.where("free", "b") == "top.yaml:3"


def test_extends_finds_a_scene_by_bare_name(write):
    write("scenes/base.yaml", "name: base\n")
    assert load(write("top.yaml", "extends: base\n"), search=["scenes"])[0].name == "base"


def test_parts_add_keys_and_items_and_keep_their_lines(write):
    write("tree/b.yaml", "leaves: [{size: 3}]\n")
    write("tree/a.yaml", "free: {c: 3}\nleaves:\n  - {size: 2}\n")
    name = write("tree.yaml", "name: whole\nfree: {a: 1}\nleaves: [{size: 1}]\n")
    scene, source = load_scene(name, Tree, parts=True)
    assert [leaf.size for leaf in scene.leaves] == [1, 2, 3] and scene.free == {"a": 1.0, "c": 3.0}
    assert source.where("leaves", 1, "size") == "tree/a.yaml:3"
    assert [path.name for path in source.files] == ["tree.yaml", "a.yaml", "b.yaml"]
    assert load(name)[0].free == {"a": 1.0}, "only where they are asked for"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("\nfree: {a: 2}\n", "tree/a.yaml:2: free.a: already given at tree.yaml:2"),
        ("name: part\n", "tree/a.yaml:1: name: already given at tree.yaml:1"),
        ("leaves: [{size: big}]\n", "tree/a.yaml:1: leaves.1.size: "),
    ],
)
def test_a_mistake_in_a_part_names_the_part(write, part, expected):
    write("tree/a.yaml", part)
    with pytest.raises(UserError, match="^" + re.escape(expected)):
        load_scene(write("tree.yaml", "name: whole\nfree: {a: 1}\nleaves: [{size: 1}]\n"), Tree, parts=True)


def test_a_mistake_in_the_parent_names_the_parent(write):
    write("base.yaml", "name: base\nleaf:\n  wait: 5 mV\n")
    assert message(write("top.yaml", "extends: base.yaml\nname: x\n")).startswith("base.yaml:3: leaf.wait: ")
    assert load(write("cured.yaml", "extends: base.yaml\nleaf: {wait: 5 ms}\n"))[0].leaf.wait == 5.0


def test_the_scenes_own_mistakes_come_before_its_parents(write):
    write("base.yaml", "name: 3\n")
    assert message(write("top.yaml", "extends: base.yaml\n\n\nleaf: 7\n")).startswith("top.yaml:4: leaf: ")


def test_a_long_chain_of_files_is_refused(write):
    for number in range(40):
        write(f"{number}.yaml", f"extends: {number + 1}.yaml\n")
    assert message("0.yaml") == "15.yaml:1: extends: more than 16 files in a row"


def test_a_circle_is_printed(write):
    write("b.yaml", "extends: c.yaml\n")
    write("c.yaml", "name: x\nextends: ./b.yaml\n")
    assert message(write("a.yaml", "extends: b.yaml\n")) == (
        "c.yaml:2: extends: goes in a circle: b.yaml -> c.yaml -> b.yaml"
    )


# ---------------------------------------------------------------------------------------------------- overrides


def test_overrides_are_yaml_values_at_a_path(write):
    file = write("a.yaml", "name: x\nleaves: [{}, {wait: 2 ms}]\nmaybe:\n")
    scene, source = load(
        file, "leaf.wait=3s", "leaves.1.size=4", "maybe.size=5", "name=a=b", 'free."x.y"=1', "leaf.tags=[p, q]"
    )
    assert (scene.leaf.wait, scene.leaves[1].size, scene.leaves[1].wait, scene.maybe.size) == (3000.0, 4, 2.0, 5)
    assert (scene.name, scene.free, scene.leaf.tags) == ("a=b", {"x.y": 1.0}, ["p", "q"])
    assert source.where("leaf", "wait") == "--set leaf.wait=3s"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("leaf.wait=5 mV", '--set leaf.wait=5 mV: leaf.wait: expected a time, got "5 mV"'),
        ("leaf.wat=5 ms", '--set leaf.wat=5 ms: leaf.wat: unknown key, did you mean "wait"?'),
        ("lef.wait=5 ms", '--set lef.wait=5 ms: lef: unknown key, did you mean "leaf"?'),
        ("leaf={size: x}", '--set leaf={size: x}: leaf.size: expected a whole number, got "x"'),
        ("leaves.3.wait=1 ms", "--set leaves.3.wait=1 ms: leaves.3: expected the number of an item, there are 1 items"),
        ("leaves.x.wait=1 ms", "--set leaves.x.wait=1 ms: leaves.x: expected the number of an item, there are 1 items"),
        ("name.x=1", '--set name.x=1: name.x: unknown key, name is "x"'),
        ("name", "--set name: expected KEY=VALUE, as in a.b=c"),
        ("=5", "--set =5: expected KEY=VALUE, as in a.b=c"),
        ("a..b=5", "--set a..b=5: expected KEY=VALUE, as in a.b=c"),
        ("a.=5", "--set a.=5: expected KEY=VALUE, as in a.b=c"),
        ("", "--set : expected KEY=VALUE, as in a.b=c"),
        ("name=", "--set name=: name: expected text, got nothing"),
        ("name=[", "--set name=[: not YAML: "),
        ("name=!!python/name:os.system", "--set name=!!python/name:os.system: tag "),
        ("name=.nan", "--set name=.nan: expected a finite number, got .nan"),
        ("extends=b.yaml", "--set extends=b.yaml: extends: can only be set in a file"),
        ("name=\udcff", "--set name=\\udcff: not YAML: character \\udcff is not allowed"),
        ("name=a\nb: c", "--set name=a\\nb: c: not YAML: "),
        (".".join("a" * 100) + "=1", "--set a.a.a."),
    ],
)
def test_a_wrong_override_names_itself(write, override, expected):
    assert message(write("a.yaml", "name: x\nleaves: [{}]\n"), override).startswith(expected)


# ---------------------------------------------------------------------------------------------------- out again


def test_a_dump_loads_to_the_same_scene(write):
    scene, _ = load(write("a.yaml", "name: x\nfrom: 3\nleaf: {wait: 0.3 s}\nfree: {b: 1, a: 2}\n"))
    out = dump(scene)
    assert out["leaf"]["wait"] == "300 ms" and out["from"] == 3 and "maybe" not in out
    again, _ = load(write("b.yaml", yaml.safe_dump(out)))
    assert again == scene and json.dumps(dump(again)) == json.dumps(dump(load("b.yaml")[0]))


def test_the_schema_has_units_docs_and_extends():
    schema = json_schema(Tree)
    assert schema["properties"]["name"]["description"] == "What it is called."
    assert schema["properties"]["extends"]["type"] == "string" and "from" in schema["properties"]
    assert schema["else"] == {"required": ["name"]} and schema["$defs"]["Leaf"]["additionalProperties"] is False
    wait = schema["$defs"]["Leaf"]["properties"]["wait"]
    assert "ms" in wait["pattern"] and wait["default"] == "1 ms"
    assert schema["properties"]["leaf"]["default"]["wait"] == "1 ms"
    json.dumps(schema, allow_nan=False)


def test_importing_the_engine_does_not_import_pydantic():
    code = "import engine, engine.units, sys; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# ---------------------------------------------------------------------------------------------------- anything at all

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["5 ms", "5 mV", "x"])
)
keys = st.one_of(
    st.sampled_from(["name", "leaf", "leaves", "free", "maybe", "from", "wait", "size", "tags", "extends", "<<"]),
    st.text(max_size=5),
    st.integers(),
    st.none(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
yamlish = st.text(alphabet="[]{}:,-&*!|>'\"#%@?~=<. \n\tabxy019eE\\/\r\x85\u2028", max_size=60)
GOOD = (
    b"name: x\nleaf: &l\n  wait: 2 s\n  tags: [one, two]\nleaves:\n  - {wait: 1 ms}\n  - *l\nfree: {a: 1.5}\nmaybe: ~\n"
)


def survives(file: str, *overrides: str) -> None:
    """The scene loads, or fails with one line of moderate length."""
    try:
        scene, _ = load(file, *overrides)
        json.dumps(dump(scene), allow_nan=False)
    except UserError as error:
        assert str(error) and len(str(error).splitlines()) == 1 and len(str(error)) < 1000


@pytest.mark.parametrize("parser", [yaml_lines._LOADER, yaml.SafeLoader])
class TestAnything:
    """With libyaml and with the parser in Python."""

    @quick
    @given(text=yamlish)
    def test_text(self, write, parser, text):
        yaml_lines._LOADER, kept = parser, yaml_lines._LOADER
        try:
            survives(write("a.yaml", text.encode("utf-8", "surrogatepass")))
            survives(write("a.yaml", b"name: x\nleaf: " + text.encode("utf-8", "surrogatepass")))
        finally:
            yaml_lines._LOADER = kept

    @quick
    @given(where=st.integers(0, len(GOOD)), cut=st.integers(0, 6), junk=st.binary(max_size=5) | yamlish.map(str.encode))
    def test_a_damaged_scene(self, write, parser, where, cut, junk):
        yaml_lines._LOADER, kept = parser, yaml_lines._LOADER
        try:
            survives(write("a.yaml", GOOD[:where] + junk + GOOD[where + cut :]))
        finally:
            yaml_lines._LOADER = kept


@quick
@given(data=st.binary(max_size=60))
def test_any_bytes(write, data):
    survives(write("a.yaml", data))


@quick
@given(value=values)
def test_any_structure(write, value):
    survives(write("a.yaml", yaml.safe_dump(value, allow_unicode=True)))
    survives(write("a.yaml", yaml.safe_dump({"name": "x", "leaf": value, "leaves": [value]})))


@quick
@given(overrides=st.lists(st.text(alphabet="leafnmsi.=\"'[]{}:0123 \n&*!", max_size=20), max_size=3))
def test_any_overrides(write, overrides):
    survives(write("a.yaml", GOOD), *overrides)
    survives(write("a.yaml", GOOD), *("leaf." + text for text in overrides))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "? [", "&a [", "a: {", "!x [", "|", "'", "- - ? ", "[? "])
def test_a_megabyte_of_one_thing_ends_soon_in_one_line(write, opening):
    assert message(write("a.yaml", opening * (900_000 // len(opening))))


def test_a_megabyte_of_small_values_is_refused(write):
    assert "more than 100,000 values" in message(write("a.yaml", "[" + "1," * 400_000 + "]"))
    keys = [f"k{number}: 1\n" for number in range(60_000)]
    random.Random(1).shuffle(keys)
    assert "unknown key" in message(write("b.yaml", "name: x\n" + "".join(keys)))
