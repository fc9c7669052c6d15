"""Kernels: compiled once, cached under a key made of all kernel sources."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import kernel as kernels
from tests.engine.toy import Ball, balls, fall, gust, run

ROOT = Path(kernels.__file__).resolve().parent.parent


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    import os

    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_a_kernel_keeps_its_name_and_meaning():
    assert gust.name == "gust" and "random push" in gust.function.__doc__


def test_a_kernel_can_be_called_as_a_function():
    speed = np.zeros(2, np.float32)
    fall.function(2, np.array([10.0], np.float32), speed)
    assert speed == pytest.approx([-0.01, -0.01])


def test_the_cache_is_keyed_by_every_kernel_source(tmp_path, monkeypatch):
    """A change in any file that holds a kernel, or a function that kernels call, moves the cache; others do not."""
    for folder in ("engine", "systems"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(kernels, "ROOT", tmp_path)
    fresh = kernels.source_hash.__wrapped__
    seen = {fresh()}
    for folder in ("engine", "systems"):
        for source in ("@kernel\ndef a(): 1", "@kernel\ndef a(): 2", "@nb.njit\ndef a(): 2"):
            (tmp_path / folder / "a.py").write_text(source)
            seen.add(fresh())
    assert len(seen) == 7
    (tmp_path / "systems" / "plain.py").write_text("def b(): 1")
    assert fresh() in seen


def test_the_cache_lies_where_the_environment_says(tmp_path):
    code = "from engine.kernel import cache_dir, is_warm; print(cache_dir(), is_warm())"
    where, warm = python(code, ENCEPHAGEN_CACHE=str(tmp_path)).stdout.split()
    assert Path(where).parent == tmp_path and Path(where).name.startswith("kernels-") and warm == "False"
    where = Path(python(code, ENCEPHAGEN_CACHE="", XDG_CACHE_HOME=str(tmp_path)).stdout.split()[0])
    assert where.parent == tmp_path / "encephagen"


def test_compiled_code_is_found_again_by_the_next_process(tmp_path):
    code = (
        "import sys; from tests.engine.toy import balls; balls().step();"
        "drivers = [m for name, m in sys.modules.items() if name.startswith('driver_')];"
        "print(sum(sum(m.compiled.stats.cache_hits.values()) for m in drivers))"
    )
    hits = [python(code, ENCEPHAGEN_CACHE=str(tmp_path)).stdout.strip() for _ in range(2)]
    assert hits[0] == "0" and int(hits[1]) > 0


def test_a_cache_folder_that_cannot_be_made_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("in the way")
    code = "from tests.engine.toy import balls; r = balls(); r.step(); print('ran')"
    done = python(code, ENCEPHAGEN_CACHE=str(tmp_path / "file"))
    assert done.stdout.strip() == "ran", done.stderr


def test_the_engine_imports_none_of_the_folders_built_on_it():
    for path in sorted((ROOT / "engine").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}:{node.lineno}: relative import"
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top not in {"components", "systems", "tools", "tests", "encephagen"}, f"{path.name}: {name}"


@pytest.mark.parametrize("module", ["engine", "engine.world", "engine.schedule", "engine.kernel", "encephagen"])
def test_importing_the_engine_is_light(module):
    heavy = {"numba", "mujoco", "pydantic", "h5py", "scipy", "yaml", "moderngl", "pygame", "av", "matplotlib", "rich"}
    done = python(f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))")
    assert done.returncode == 0 and done.stdout.split() == [], f"import {module} pulls {done.stdout}{done.stderr}"


def test_columns_of_the_toy_are_what_the_kernels_saw():
    """The balls move: a test above that compares bytes compares something."""
    runner = balls()
    before = runner.world.tables["balls"][Ball.y].copy()
    run(runner, 50)
    assert (runner.world.tables["balls"][Ball.y] != before).all()


def test_an_entry_is_the_kernel_and_a_plain_function_stays_itself():
    assert kernels.entry(len, ()) is len
    by_entry, by_call = balls(), balls()
    for runner, way in ((by_entry, lambda c: kernels.entry(c.function, c.args)), (by_call, lambda c: c.function)):
        for _, call in runner.calls():
            way(call)(*call.args)
    ours, theirs = (r.world.tables["balls"] for r in (by_entry, by_call))
    assert all(np.array_equal(ours[c], theirs[c]) for c in ours.columns)
    assert not np.array_equal(ours[Ball.y], balls().world.tables["balls"][Ball.y])
    call = next(c for _, c in by_entry.calls() if c.system is fall)
    assert kernels.entry(call.function, call.args) is not call.function
