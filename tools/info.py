"""`encephagen info`: versions, the machine, what works here, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

from tools import common

BASE = ("numpy", "scipy", "numba", "mujoco", "gymnasium", "pyyaml", "pydantic", "pygame-ce", "moderngl",
        "imgui-bundle", "PyOpenGL", "av", "rich", "matplotlib", "h5py", "cmaes")  # fmt: skip
EXTRAS = {
    "cuda": ("cupy-cuda13x",),
    "experiments": ("distributed", "elephant", "scikit-learn", "tvb-data", "pynwb"),
    "bench": ("brian2", "nest-simulator"),
    "test": ("pytest", "hypothesis", "brian2", "ruff", "nvidia-cuda-nvrtc"),
}


def arguments(parser) -> None:
    common.add_quiet(parser)


def run(args) -> int:
    from encephagen import __version__

    missing = []
    rows = [("encephagen", f"{__version__} in {Path(__file__).resolve().parents[1]}"),
            ("python", f"{platform.python_version()} ({sys.executable})"),
            ("system", platform.platform()), ("cpu", f"{cpu_name()}, {os.cpu_count()} threads"),
            ("memory", memory())]  # fmt: skip
    have = {name: version(name) for name in BASE}
    rows.append(("libraries", ", ".join(f"{name} {found}" for name, found in have.items() if found)))
    lacking = [name for name, found in have.items() if not found]
    if lacking:
        missing.append(f"libraries {', '.join(lacking)}: pip install -e .")
    for extra, names in EXTRAS.items():
        lacking = [name for name in names if not version(name)]
        rows.append((f"extra {extra}", f"lacks {', '.join(lacking)}" if lacking else "complete"))
        if lacking and extra != "cuda":
            missing.append(f'extra {extra} ({", ".join(lacking)}): pip install -e ".[{extra}]"')
    rows.append(("kernels", kernels()))
    from engine.cuda import describe

    rows.append(("CUDA", describe()))
    text, advice = graphics()
    rows.append(("OpenGL", text))
    missing += advice
    display = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or "none, pictures are drawn off-screen"
    rows.append(("display", display))
    made = common.table(None, "", "")
    made.show_header = False
    for row in rows:
        made.add_row(*row)
    out = common.console()
    if not args.quiet:
        out.print(made)
    for line in missing:
        out.print(f"missing: {line}", soft_wrap=True)
    if not missing:
        out.print("nothing is missing")
    return 0


def version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def memory() -> str:
    try:
        return common.bytes_text(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return "unknown"


def kernels() -> str:
    """State of the kernel cache."""
    from engine.kernel import cache_dir, is_warm

    folder = cache_dir()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    state = f"compiled, {common.bytes_text(size)}" if is_warm() else "not compiled yet (the first run does it)"
    others = [path for path in folder.parent.glob("kernels-*") if path != folder]
    older = f"; {len(others)} of older versions beside it may be deleted" if others else ""
    return f"{state} in {folder}{older}"


def graphics() -> tuple[str, list[str]]:
    """What draws, and what to do if nothing does."""
    from engine.errors import UserError

    try:
        from systems.view.gl import offscreen_context

        context = offscreen_context()
    except UserError as error:
        return f"none: {error}", ["OpenGL 3.3 for videos and the window: apt install libegl1 libgl1-mesa-dri"]
    except ImportError as error:
        return f"none: {error}", ["OpenGL for videos and the window: pip install -e ."]
    about = context.info
    context.release()
    return f"{about['GL_RENDERER']}, {about['GL_VERSION']}", []
