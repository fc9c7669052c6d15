"""`encephagen run`: a scene headless, with progress, summary, and on request a record, a video, a snapshot, JSON."""

from __future__ import annotations

import time
from pathlib import Path

from engine.errors import UserError
from tools import common

COUPLING_FROM_S = 5.0


def arguments(parser) -> None:
    common.add_scene(parser)
    common.add_running(parser)
    parser.add_argument("--video", metavar="FILE", help="draw the run into a video (.mp4)")
    parser.add_argument("--record", metavar="FILE", help="write spikes, rates, pose and more to an HDF5 file")
    parser.add_argument("--save", metavar="FILE", help="write a snapshot at the end")
    parser.add_argument("--load", metavar="FILE", help="continue from a snapshot")
    parser.add_argument("--batch", type=common.whole(1, 10_000), metavar="B",
                        help="B copies side by side, of a brain without a body: seeds from --seed on")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON; - is standard output")
    parser.add_argument("--verbose", "-v", action="store_true", help="also population groups, joints, coupling shares")
    common.add_quiet(parser)


def run(args) -> int:
    device = common.device_of(args.device)
    outputs = {"--video": args.video, "--record": args.record, "--save": args.save,
               "--json": None if args.json == "-" else args.json}  # fmt: skip
    common.check_outputs(outputs, {} if args.load is None else {"the snapshot it loads": Path(args.load)})
    if args.batch is not None:
        from tools import run_copies

        return run_copies.run(args)
    started = time.perf_counter()
    sim, end = common.open_simulation(args)
    common.check_outputs(outputs, common.inputs_of(sim, args.load))
    if args.load is not None:
        sim.load_state(args.load)
        if sim.tick >= end:
            raise UserError(f"--load {args.load}: is at {sim.time_s:g} s already, nothing is left of {end / 1000:g} s; "
                            "give a longer --duration")  # fmt: skip
    from systems.probes import Probes

    first = sim.tick
    probes = Probes(sim)
    recording = film = None
    finished = False
    try:
        if args.record is not None:
            recording = open_recording(sim, args.record)
        if args.video is not None:
            from systems.view.play import Film

            film = Film(sim, args.video)
        common.compile_kernels(sim, args.quiet)
        load_s = time.perf_counter() - started
        with common.Interrupt() as interrupt, common.progress_bar(end, first, args.quiet) as progress:
            finished = common.drive(sim, end, interrupt, film=film, probes=probes, progress=progress)
        if film is not None:
            film.close()
    finally:
        if film is not None:
            film.abort()  # nothing is left to abort after a close
        if recording is not None:
            recording.close(finished)
    if args.save is not None:
        sim.save(args.save)
    if not finished:
        return stopped(sim, end, args)
    from tools import summary

    results = summary.results(sim, probes, args, device=device, load_s=load_s, first=first,
                              video_s=film.wall_s if film else 0.0)  # fmt: skip
    if args.verbose or sim.time_s >= COUPLING_FROM_S:
        results["coupling"] = summary.coupling(sim, probes)
    if args.json is not None:
        common.write_json(args.json, results)
    if not args.quiet and args.json != "-":
        summary.show(sim, probes, results, args)
    return 1 if any(claim["pass"] is False for claim in results["expect"]) else 0


def open_recording(sim, path: str):
    """The record of this run, with the resolved scene and the versions in its attributes."""
    from importlib.metadata import version

    from encephagen import __version__
    from engine.scene import dump
    from systems.sample_record import Recording, config_text

    versions = {"encephagen": __version__} | {name: version(name) for name in ("numpy", "numba", "mujoco", "h5py")}
    return Recording(sim, path, config=config_text(dump(sim.scene)), versions=config_text(versions),
                     threads=sim.threads)  # fmt: skip


def stopped(sim, end: int, args) -> int:
    """The one line after Ctrl-C."""
    kept = [f"{what} {path}" for what, path in (("record", args.record), ("video", args.video),
                                                 ("snapshot", args.save)) if path is not None]  # fmt: skip
    left = f"; kept: {', '.join(kept)}" if kept else ""
    common.say(f"encephagen: interrupted at {sim.time_s:g} s of {end / 1000:g} s{left}")
    return common.INTERRUPTED
