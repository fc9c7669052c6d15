"""Where panels are at first, and the file that remembers where a user put them."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from imgui_bundle import imgui

COMPACT = (1000, 600)  # below, fewer panels and smaller type
IN_FRONT = ("State", "Spikes", "Structures")  # of panels that share a place
VERSION = 1  # of the default layout: an older file is not read


def is_compact(size: tuple[int, int]) -> bool:
    return size[0] < COMPACT[0] or size[1] < COMPACT[1]


def config_folder() -> Path:
    """The user's own folder for settings of programs, on this platform."""
    if sys.platform == "win32":
        base = os.environ.get("APPDATA")
        return Path(base) / "encephagen" if base else Path.home() / "encephagen"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "encephagen"
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".config") / "encephagen"


def layout_file(compact: bool) -> Path:
    return config_folder() / f"layout{'_small' if compact else ''}_{VERSION}.ini"


def read_layout(path: Path) -> str | None:
    """The text of a layout, or None where there is none that can be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return text if "[Docking]" in text else None


def write_layout(path: Path, text: str) -> bool:
    """All or nothing; a folder that cannot be written costs the memory of the layout, not the session."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".layout.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError:
        return False
    return True


def build_default(dock: int, size: tuple[float, float], compact: bool, shown: set[str]) -> None:
    """Columns at both sides, spikes and traces below; the stage keeps the middle."""
    builder = imgui.internal
    builder.dock_builder_remove_node(dock)
    builder.dock_builder_add_node(dock, builder.DockNodeFlagsPrivate_.dock_space)
    builder.dock_builder_set_node_size(dock, size)

    def split(node: int, direction, share: float) -> tuple[int, int]:
        found = builder.dock_builder_split_node(node, direction, min(max(share, 0.05), 0.6))
        return found.id_at_dir, found.id_at_opposite_dir

    def put(node: int, *names: str) -> None:
        for name in names:
            builder.dock_builder_dock_window(name, node)

    if compact:
        right, middle = split(dock, imgui.Dir.right, 176.0 / size[0])
        put(right, "Structures", "Reflexes", "Brain", "State", "Joints")
        if "Spikes" in shown:
            bottom, middle = split(middle, imgui.Dir.down, 84.0 / size[1])
            put(bottom, "Spikes", "Traces")
    else:
        middle = dock
        if "Structures" in shown:
            right, middle = split(dock, imgui.Dir.right, 246.0 / size[0])
            upper, lower = split(right, imgui.Dir.up, 0.46)
            put(upper, "Structures")
            put(lower, "Brain")
        if shown & {"Reflexes", "State", "Joints"}:
            low, middle = split(middle, imgui.Dir.left, 246.0 / (size[0] - 246.0))
            if "Reflexes" in shown:
                top, low = split(low, imgui.Dir.up, 0.5)
                put(top, "Reflexes")
            put(low, "State", "Joints")
        if "Spikes" in shown:
            bottom, middle = split(middle, imgui.Dir.down, 184.0 / size[1])
            west, east = split(bottom, imgui.Dir.left, 0.55)
            put(west, "Spikes")
            put(east, "Traces")
    builder.dock_builder_finish(dock)
