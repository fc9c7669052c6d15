"""`encephagen play`: watch a scene. This version draws off-screen, into a video file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools import common


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    common.add_running(parser)
    parser.add_argument("--video", metavar="FILE", help="video to write (.mp4); SCENE.mp4 here if left out")
    common.add_quiet(parser)


def has_display() -> bool:
    """Whether a window could be opened."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def run(args) -> int:
    common.device_of(args.device)
    video = Path(args.video) if args.video is not None else Path(f"{Path(args.scene).stem}.mp4")
    common.check_outputs({"--video": str(video)}, {})
    sim, end = common.open_simulation(args)
    common.check_outputs({"--video": str(video)}, common.inputs_of(sim, None))
    from systems.view.play import Film

    film = Film(sim, video)
    if args.video is not None:
        why = ""
    elif has_display():
        why = "the window comes in a later version; "
    else:
        why = "no display; "
    common.say(f"{why}drawing off-screen into {video}", args.quiet)
    try:
        common.compile_kernels(sim, args.quiet)
        with common.Interrupt() as interrupt, common.progress_bar(end, 0, args.quiet) as progress:
            finished = common.drive(sim, end, interrupt, film=film, progress=progress)
        film.close()
    finally:
        film.abort()  # nothing is left to abort after a close
    if not finished:
        common.say(f"encephagen: interrupted at {sim.time_s:g} s of {end / 1000:g} s; kept: video {video}")
        return common.INTERRUPTED
    common.say(f"{video}: {film.writer.frame_count} pictures, {sim.time_s:g} s simulated in {sim.wall_s:.1f} s and "
               f"drawn in {film.wall_s:.1f} s", args.quiet)  # fmt: skip
    return 0
