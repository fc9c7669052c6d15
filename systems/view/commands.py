"""What the window, its panels and the keyboard ask for: plain data, applied between two ticks or by the window itself.

Commands that change the world become timeline actions with a tick stamp (systems/view/player.py), so a played session
can be saved as a scene and replayed to the same spikes. Names of neurons, parts and actions come from circuits, bodies
and scenes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Command:
    """Anything that may be posted to the player or handed to the window."""


# time -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pause(Command):
    """Stop or go on; None: the other of the two."""

    on: bool | None = None


@dataclass(frozen=True)
class StepTicks(Command):
    """Advance by whole ticks, and stay paused."""

    n: int = 1


@dataclass(frozen=True)
class StepFrame(Command):
    """Advance by one picture (a thirtieth of a simulated second), and stay paused."""


@dataclass(frozen=True)
class Speed(Command):
    """Simulated seconds per wall second, 0.05 upwards; infinite: as fast as it goes."""

    x: float = 1.0


@dataclass(frozen=True)
class Rewind(Command):
    """Go back by simulated seconds."""

    seconds: float = 1.0


@dataclass(frozen=True)
class Reset(Command):
    """Back to the first tick, as the scene was loaded; what was played is forgotten."""


# files ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SaveState(Command):
    """Write a snapshot; None: a new name beside the others."""

    path: Path | None = None


@dataclass(frozen=True)
class LoadState(Command):
    """Take a snapshot up; None: the newest one saved here."""

    path: Path | None = None


@dataclass(frozen=True)
class SaveSession(Command):
    """Write what was played as a scene."""

    path: Path | None = None


@dataclass(frozen=True)
class Screenshot(Command):
    """Write the picture as a PNG."""

    path: Path | None = None


@dataclass(frozen=True)
class RecordVideo(Command):
    """Begin or finish an MP4; None: the other of the two."""

    on: bool | None = None
    path: Path | None = None


# hands ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act(Command):
    """One verb of the timeline from the next tick on: for `last_ms`, or with a `key` until Release(key).

    `value` is in the verb's own unit (N, N m, m, rad, mV); `point` [m] is where: on a part, in its own frame.
    A second Act with the key of one in force moves it (the point that a hand pulls towards, the patch under it).
    """

    verb: str
    of: str = ""
    value: float = 0.0
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0)
    point: tuple[float, float, float] | None = None
    last_ms: float | None = None
    key: str = ""
    target: tuple[float, float, float] | None = None  # where a grabbed point is drawn to [m], in the world


@dataclass(frozen=True)
class Release(Command):
    """End what was begun under this key."""

    key: str


@dataclass(frozen=True)
class SceneAction(Command):
    """Do what the scene's list of actions has under this name."""

    name: str


# brain ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stimulate(Command):
    """Drive the selected neurons by a current [mV, as of its settling point]; 0 ends what a player drives there."""

    selector: str
    drive: float = 20.0
    last_ms: float | None = None


@dataclass(frozen=True)
class Inhibit(Command):
    """Hold the selected neurons down by a current [mV, positive]; 0 ends it."""

    selector: str
    drive: float = 20.0
    last_ms: float | None = None


@dataclass(frozen=True)
class Lesion(Command):
    """Silence the selected neurons until they are restored."""

    selector: str


@dataclass(frozen=True)
class Restore(Command):
    """Undo the lesions of the selected neurons."""

    selector: str


# window ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Select(Command):
    """What the next brain command is about: a Pick of the stage, a selector ("region/cell", globs), or None."""

    pick: Any = None


@dataclass(frozen=True)
class Tool(Command):
    """What the mouse does on skin: touch, pinch, prick, stroke or grab."""

    name: str


@dataclass(frozen=True)
class Toggle(Command):
    """Switch one option of the picture or one panel, by its name in StageOptions or UiState; None: the other way."""

    option: str
    on: bool | None = None


@dataclass(frozen=True)
class Camera(Command):
    """Turn [deg], shift [share of the picture's height], zoom [factor], follow (None: as it is), or go home."""

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    right: float = 0.0
    up: float = 0.0
    zoom: float = 1.0
    follow: bool | None = None
    home: bool = False


@dataclass(frozen=True)
class Quit(Command):
    """Close the window."""
