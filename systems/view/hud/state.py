"""What the window tells the panels, beside the frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class UiState:
    """How things stand with the player and the window; the window sets it before each picture.

    `stage_rect` (x, y, width, height; pixels, y down) says that the stage's picture was made for this part of the
    window (take it from `Hud.stage_rect`); None: it was made for all of the window, of which only that part is seen.
    """

    paused: bool = False
    speed: float = 1.0
    selected: str | None = None  # a selector, `structure.instance.cell` with globs
    picked: Any = None  # the Pick under the last click
    tool: str = "touch"
    tools: tuple[str, ...] = ("touch", "pinch", "prick", "stroke", "grab")
    help_open: bool = False
    recording: bool = False
    message: str = ""
    actions: list[tuple[str, str]] = field(default_factory=list)  # of the scene: (name, key or "")
    help: list[tuple[str, str]] = field(default_factory=list)  # (keys, what they do)
    size: tuple[int, int] = (0, 0)
    stage_rect: tuple[int, int, int, int] | None = None
    legend: list[tuple[str, tuple[float, float, float]]] = field(default_factory=list)  # Stage.legend()
    labels: list[tuple[str, float, float, tuple[float, float, float]]] = field(default_factory=list)  # Stage.labels()
    fps: float | None = None
    dropped_s: float = 0.0  # wall time that the clock let go
    can_rewind_s: float | None = None
    panels: bool = True  # False: nothing but the stage and the bars
