"""`encephagen play`: a scene in a window, to look at and to touch; without a display it is drawn into a video file."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools import common


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    common.add_running(parser)
    parser.add_argument("--video", metavar="FILE", help="draw off-screen into a video (.mp4), no window; without a "
                        "display that happens anyway, into SCENE.mp4 here")  # fmt: skip
    parser.add_argument("--status", metavar="FILE", help=argparse.SUPPRESS)  # for tests: what the window shows, as JSON
    common.add_quiet(parser)


def run(args) -> int:
    common.device_of(args.device)
    from systems.view.play import has_display

    if args.video is None and has_display():
        return window(args)
    return film(args)


def window(args) -> int:
    """Play until the window is closed, or for `--duration`."""
    sim, end = common.open_simulation(args)
    from systems.view.window import Window

    common.compile_kernels(sim, args.quiet)
    until = end if args.duration is not None else None
    with common.Interrupt() as interrupt:
        shown = Window(sim, until=until, status=args.status)
        shown.run(lambda: interrupt.asked)
    player = shown.player
    common.say(f"played {sim.time_s:g} s at {player.overall_x:.2f} x real time and {shown.fps:.0f} pictures/s; "
               f"{player.clock.dropped_ns / 1e9:.2f} s of wall time could not be kept up with", args.quiet)  # fmt: skip
    if interrupt.asked:
        common.say(f"encephagen: interrupted at {sim.time_s:g} s")
        return common.INTERRUPTED
    return 0


def film(args) -> int:
    """Draw off-screen into a video file."""
    video = Path(args.video) if args.video is not None else Path(f"{Path(args.scene).stem}.mp4")
    common.check_outputs({"--video": str(video)}, {})
    sim, end = common.open_simulation(args)
    common.check_outputs({"--video": str(video)}, common.inputs_of(sim, None))
    from systems.view.play import Film

    film = Film(sim, video)
    why = "" if args.video is not None else "no display; "
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
