"""Without a driver, or with one that is too old: one line that names what to install, exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Mesa's own switches")


def play(*words: str, **environment: str) -> subprocess.CompletedProcess:
    here = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "encephagen", "play", *words], capture_output=True, text=True, timeout=120,
        env={**here, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def told(done: subprocess.CompletedProcess) -> str:
    """The program's own line; what the driver's loader says before it is not ours."""
    assert done.returncode == 2 and "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("encephagen: error: ")]
    assert len(lines) == 1 and done.stderr.rstrip().endswith(lines[0])
    return lines[0]


@pytest.mark.parametrize("broken", [
    {"LIBGL_DRIVERS_PATH": "/nonexistent"}, {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent"},
    {"MESA_GL_VERSION_OVERRIDE": "2.1"},
], ids=["no driver", "no vendor", "too old"])  # fmt: skip
def test_off_screen(broken, tmp_path):
    line = told(play("walker", "--video", str(tmp_path / "a.mp4"), "--duration", "10ms", **broken))
    assert "OpenGL" in line and "apt-get install" in line
    assert not list(tmp_path.iterdir())
