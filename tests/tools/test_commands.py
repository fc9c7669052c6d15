"""`list`, `check`, `schedule`, `tables`, `info`, `play`: what they print and what they refuse."""

import json

import pytest

from systems.spawn.scene_model import SCENES

SHIPPED = [path.relative_to(SCENES).with_suffix("").as_posix() for path in sorted(SCENES.rglob("*.yaml"))]


def test_list_names_every_scene_with_its_title(command):
    code, out, err = command("list")
    assert code == 0 and err == ""
    for name in SHIPPED:
        assert any(line.startswith(name + " ") for line in out.splitlines()), name
    assert "Left and right calcarine cortex" in out and "hcp_aal2" in out and "spinal_segments" in out
    code, out, _ = command("list", "--quiet")
    assert sorted(out.split()) == sorted(SHIPPED)


def test_list_shows_a_broken_scene_instead_of_failing(tmp_path):
    from tools.list import scene_row

    (tmp_path / "bad.yaml").write_text("title: [")
    assert "cannot be read" in scene_row(tmp_path / "bad.yaml")[1]


def test_scenes_in_folders_are_named_by_their_folder(tmp_path):
    from tools.list import scenes as found

    for name in ("b.yaml", "a/d.yaml", "a/c.yml", "z.yaml", "a/e/f.yaml", "a/notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("title: x\n")
    assert list(found(tmp_path)) == ["b", "z", "a/c", "a/d", "a/e/f"]


def test_list_follows_extends(scenes):
    from tools.list import scene_row

    row = scene_row(scenes / "walker.yaml")
    assert row == ("walker", "Eight regions and a walker", "walker", "cortex, spinal_segments")


def test_check_accepts_good_scenes(command, scenes):
    code, out, err = command("check", str(scenes / "small.yaml"), str(scenes / "alone.yaml"))
    assert code == 0 and err == ""
    assert "small: ok" in out and "1,600 neurons" in out and "alone: ok" in out and "84 muscles" in out


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("timeline=[{at: 10 ms, stimulate: {population: cortex.Atlantis.*, drive: 1 mV}}]", "timeline.0"),
        ("timeline=[{at: 10 ms, touch: {patch: tail, force: 1 N}}]", "timeline.0"),
        ("timeline=[{at: 10 ms, tap: {muscle: tail_flexor, force: 1 N}}]", "timeline.0"),
        ("timeline=[{at: 10 ms, push: {part: tail, force: 1 N}}]", "timeline.0"),
        ("brain.silence=[nobody.*]", "brain.silence.0"),
        ("brain.gains={nobody: 2}", "brain"),
        ("brain.circuits=[cortex, tail]", "brain.circuits.1"),
        ("body.model=centaur", "body.model"),
        ("body.pose=flying", "flying"),
        ("probes=[{name: a, measure: joint_angle, of: tail}]", "probes.0.of"),
        ("probes=[{name: a, measure: muscle_activation, of: tail}]", "probes.0.of"),
        ("probes=[{name: a, measure: posture_height, of: tail}]", "probes.0.of"),
        ("probes=[{name: a, measure: correlation, of: 'cortex.*.l4', with: nobody}]", "probes.0.with"),
        ("probes=[{name: a, measure: latency, of: torso, threshold: 5 N}]", "probes.0.threshold"),
        ("record.voltage_of=[nobody.*]", "record.voltage_of.0"),
    ],
)
def test_check_finds_names_that_do_not_exist(command, scenes, change, part):
    changes = ["--set", change]
    if not change.startswith(("probes", "brain")):
        changes += ["--set", "probes=[]"]
    code, out, err = command("check", str(scenes / "walker.yaml"), "--set", "expect=[]", *changes)
    assert code == 2 and out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("encephagen: error: ") and part in lines[0], err


def test_check_goes_on_after_a_bad_scene(command, scenes, tmp_path):
    (tmp_path / "bad.yaml").write_text("title: bad\nduration: 5 mV\n")
    code, out, err = command("check", str(tmp_path / "bad.yaml"), str(scenes / "alone.yaml"))
    assert code == 2 and "alone: ok" in out and "5 mV" in err and len(err.strip().splitlines()) == 1


def test_check_prints_the_schema(command):
    code, out, _ = command("check", "--schema")
    assert code == 0 and "timeline" in json.loads(out)["properties"]


def test_schedule_prints_every_system_in_order(command):
    from systems.schedule import TICK

    code, out, _ = command("schedule")
    assert code == 0
    at = -1
    for phase in TICK:
        for system in phase.systems:
            at = out.index(system.name, at + 1)
    assert "Membrane.v" in out and "BodyState.sensors" in out and "us/tick" not in out


def test_schedule_lists_the_kernels_and_their_twins(command):
    """Every system in order, on the device or the host; every kernel of every file once."""
    from engine.twin import CLOCK, shipped
    from systems.schedule import TICK

    code, out, _ = command("schedule", "--device", "cuda")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    for phase in TICK:
        for system in phase.systems:
            (row,) = [r for r in rows if f"{system.name}.cu" in r or (system.name in r and "host" in r)]
            assert system.name in row
    for twin in shipped():
        for stage in twin.stages if twin.name != CLOCK else ():
            assert sum(stage.name in row for row in rows) == 1 and stage.threads in out
    assert f"{sum(len(twin.stages) for twin in shipped())} kernels in {len(shipped())} files" in out


def test_schedule_predicts_what_a_gpu_would_take(command, scenes):
    code, out, _ = command("schedule", str(scenes / "walker.yaml"), "--device", "cuda")
    assert code == 0 and "a prediction" in out and "synapses_ampa" in out and "laptop GPU" in out
    code, out, _ = command("schedule", str(scenes / "alone.yaml"), "--device", "cuda", "--quiet")
    assert code == 0 and "nothing to run on a GPU" in out


def test_schedule_measures_a_scene(command, scenes):
    code, out, _ = command("schedule", str(scenes / "walker.yaml"), "--set", "duration=2 s")
    assert code == 0 and "share" in out and "us a tick" in out and "synapses_ampa" in out
    shares = [float(words[-2]) for words in map(str.split, out.splitlines()) if words[-1:] == ["%"]]
    assert sum(shares) == pytest.approx(100, abs=2)


def test_tables_adds_up(command, scenes):
    code, out, _ = command("tables", str(scenes / "walker.yaml"), "--verbose")
    assert code == 0
    for words in ("synapses_ampa", "muscles", "background", "Membrane", "Depolarisation", "(world)", "MB"):
        assert words in out, words


def test_unique_bytes_counts_shared_memory_once():
    import numpy as np

    from tools.tables import unique_bytes

    whole = np.zeros(100)

    class World:
        tables = {"a": type("T", (), {"columns": {0: whole[:40], 1: np.zeros(5)}})}  # noqa: RUF012
        arrays = {2: whole, 3: whole[20:60]}  # noqa: RUF012

    assert unique_bytes(World) == 105 * 8


def test_info_says_what_is_there_and_what_is_missing(command, monkeypatch):
    import tools.info

    monkeypatch.setitem(tools.info.EXTRAS, "test", ("no-such-package",))
    code, out, _ = command("info")
    assert code == 0
    for words in ("python", "numba", "OpenGL", "kernels", "display", "no-such-package", "pip install"):
        assert words in out, words


def test_info_survives_a_machine_without_opengl(command, monkeypatch):
    from engine.errors import UserError

    def none():
        raise UserError("no OpenGL here")

    monkeypatch.setattr("systems.view.gl.offscreen_context", none)
    code, out, _ = command("info")
    assert code == 0 and "no OpenGL here" in out and "missing: OpenGL" in out


@pytest.mark.parametrize("display", [None, ":0"])
def test_play_draws_off_screen_and_says_so(command, scenes, tmp_path, monkeypatch, display):
    from engine.errors import UserError
    from systems.view.gl import offscreen_context

    try:
        offscreen_context().release()
    except UserError as error:
        pytest.skip(str(error))
    import systems.view.play

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(systems.view.play, "has_display", lambda: display is not None)
    video = ["--video", "alone.mp4"] if display else []  # with a display it is a window, unless a video is asked for
    code, out, err = command("play", str(scenes / "alone.yaml"), "--duration", "100ms", *video)
    assert code == 0 and out == ""
    assert ("no display" in err) == (display is None) and "alone.mp4" in err and "3 pictures" in err
    assert (tmp_path / "alone.mp4").stat().st_size > 1000
    assert [p.name for p in tmp_path.iterdir()] == ["alone.mp4"]


def test_play_refuses_what_it_cannot_write(command, scenes):
    code, _, err = command("play", str(scenes / "alone.yaml"), "--video", "nowhere/a.mp4")
    assert code == 2 and "folder nowhere" in err and len(err.strip().splitlines()) == 1


def test_tables_draw_the_structures(command, scenes, tmp_path):
    """Text stays text; every structure, cell type and count is there, and the same picture comes out twice."""
    pictures = []
    for name in ("a.svg", "b.svg"):
        code, _, err = command("tables", str(scenes / "walker.yaml"), "--graph", str(tmp_path / name), "--quiet")
        assert code == 0 and err == ""
        pictures.append((tmp_path / name).read_text())
    assert pictures[0] == pictures[1]
    for text in ("cortex", "spinal_segments", "1,600", "renshaw", "l23", "inhibits"):
        assert f">{text}<" in pictures[0]


def test_graphs_count_what_is_built(scenes):
    """Walker with eight regions: cortex speaks to the cord by the corticospinal tract alone, 10 x motor neurons."""
    from systems.simulation import load
    from tools.graph import graph_of

    sim = load(scenes / "walker.yaml", overrides=["brain.circuits=[cortex, spinal_segments]"])
    graph = graph_of(sim)
    assert graph.nodes["cortex"].neurons == 1600 and graph.nodes["cortex"].cells["pv"] is False
    assert (
        sum(n.within for n in graph.nodes.values()) + sum(e.synapses for e in graph.edges) == sim.network.synapse_count
    )
    assert all(edge.source != edge.target for edge in graph.edges)
    joined = {(e.source, e.target): e.synapses for e in graph.edges}
    built = {p.name: p.count for p in sim.network.projections}
    assert joined.get(("cortex", "spinal_segments"), 0) == built["spinal_segments:corticospinal"]


@pytest.mark.parametrize(("file", "part"), [("x.bmp", ".svg"), ("no/such/x.svg", "does not exist")])
def test_graphs_refuse_other_files(command, scenes, file, part):
    code, out, err = command("tables", str(scenes / "small.yaml"), "--graph", file)
    assert code == 2 and out == "" and part in err and len(err.strip().splitlines()) == 1
