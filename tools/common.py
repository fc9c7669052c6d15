"""What the commands share: opening a simulation, checking output files, running it to its end, writing JSON."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from engine.errors import UserError

INTERRUPTED = 130
CHUNK = 20  # ticks between looks at the clock and at Ctrl-C
DEVICE_CHUNK = 200  # ... on a device, which brings its columns back for each


# arguments ------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are one line, like every other mistake."""

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def whole(low: int, high: int):
    """An argument that is a whole number in a range."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got {text[:60]!r}")
        return value

    return read


def workers(text: str) -> int | str:
    """--workers: how many processes, or the address of a Dask scheduler."""
    if text.partition("://")[0] in ("tcp", "tls", "ws", "wss"):
        return text
    try:
        return whole(1, 256)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or an address like tcp://host:8786") from None


def add_scene(parser, *, optional: bool = False) -> None:
    """SCENE, the seed and the overrides, as every command takes them."""
    kind = {"nargs": "?", "default": "newborn"} if optional else {}
    parser.add_argument("scene", metavar="SCENE", help="name of a shipped scene, or path of a scene file", **kind)
    add_overrides(parser)


def add_overrides(parser) -> None:
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="change one key of the scene")
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), metavar="N", help="seed of every random stream")


def add_running(parser) -> None:
    parser.add_argument("--duration", metavar="TIME", help="simulated time to run to, e.g. 5s (else the scene's)")
    parser.add_argument("--device", default="auto", metavar="cpu|cuda|auto", help="where the kernels run")
    parser.add_argument("--threads", type=whole(1, 64), default=1, metavar="N", help="threads of the neural kernels")
    parser.add_argument("--strict", action=argparse.BooleanOptionalAction, default=True,
                        help="hand the columns a system only reads over read-only")  # fmt: skip


def add_quiet(parser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress, no tables")


def device_of(text: str) -> str:
    """`cpu` or `cuda`; `auto` is `cuda` where there is a GPU."""
    if text not in ("cpu", "cuda", "auto"):
        raise UserError(f"--device: expected cpu, cuda or auto, got {text[:60]!r}")
    if text == "cpu":
        return "cpu"
    from engine.cuda import missing

    reason = missing()
    if text == "cuda" and reason:
        raise UserError(f"--device cuda: there is no CUDA device here: {reason}; use --device cpu")
    return "cpu" if reason else "cuda"


# printing -------------------------------------------------------------------------------------------------------


def console(*, error: bool = False, width: int = 120):
    """A rich console; files and pipes get `width` columns."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else width, highlight=False, markup=False)


def table(title: str | None, *columns: str, right: tuple[str, ...] = ()):
    """An empty rich table; columns named in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def say(text: str, quiet: bool = False) -> None:
    """A line for the person at the terminal, on stderr."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def bytes_text(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


# files ----------------------------------------------------------------------------------------------------------


ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ("assets", "components", "engine", "scenes", "shaders", "systems", "tests", "tools")


def check_outputs(outputs: dict[str, str | None], inputs: dict[str, Path]) -> None:
    """Every output can be made, none lies on an input, on another output or on a file of the program.

    Asked before a long run starts.
    """
    chosen = {option: Path(path) for option, path in outputs.items() if path is not None}
    for option, path in chosen.items():
        if not outputs[option]:
            raise UserError(f"{option}: expected the name of a file, got nothing")
        try:
            _check_output(option, path, inputs)
        except OSError as error:
            raise UserError(f"{option} {_clipped(path)}: cannot be written ({error.strerror or error})") from error
    seen: list[tuple[str, Path]] = []
    for option, path in chosen.items():
        for other, taken in seen:
            if _same(path, taken):
                raise UserError(f"{option} {path}: is the file of {other} too")
        seen.append((option, path))


def _check_output(option: str, path: Path, inputs: dict[str, Path]) -> None:
    if not path.name or path.is_dir():
        raise UserError(f"{option} {path}: expected a file, found a folder")
    folder = path.parent
    if not folder.is_dir():
        raise UserError(f"{option} {path}: folder {folder} does not exist")
    if _is_stream(path) or (path.exists() and not path.is_file()):
        if option != "--json":
            raise UserError(f"{option} {path}: expected a file, found a device")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: folder {folder} is not writable")
    for name, source in inputs.items():
        if _same(path, source) or (path.exists() and source.is_dir() and _same(path.resolve().parent, source)):
            raise UserError(f"{option} {path}: would overwrite {name}")
    if path.exists() and any(path.resolve().is_relative_to(ROOT / part) for part in PROGRAM):
        raise UserError(f"{option} {path}: would overwrite a file of the program")


def _is_stream(path: Path) -> bool:
    """Whether a path names a device or an open file (/dev/stdout), which must be written to, never replaced."""
    parts = Path(os.path.abspath(path)).parts
    return parts[1:2] in (("dev",), ("proc",)) and parts[1:3] != ("dev", "shm")


def _clipped(path: Path) -> str:
    return str(path) if len(str(path)) <= 100 else f"{str(path)[:100]}..."


def _same(a: Path, b: Path) -> bool:
    try:
        return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))
    except OSError:
        return False


def inputs_of(sim, load: str | None) -> dict[str, Path]:
    """Files that the run reads, by what they are."""
    from systems.spawn.body import BODY_FOLDER
    from systems.spawn.network import CIRCUITS

    found = {f"the scene {path.name}": path for path in sim.source.files}
    if load is not None:
        found["the snapshot it loads"] = Path(load)
    if sim.scene.brain is not None:
        for name in sim.scene.brain.circuits:
            found[f"the circuit {name}"] = CIRCUITS / f"{name}.yaml"
        for folder in (Path(), sim.source.path.parent):
            found[f"the connectome ({folder})"] = folder / sim.scene.brain.connectome
    if sim.body is not None:
        found["the body"] = BODY_FOLDER / f"{sim.body.name}.yaml"
    return found


def write_json(path: str, data: dict) -> None:
    """`data` as JSON, all or nothing; `-` is standard output."""
    import json
    import tempfile

    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    target = Path(path)
    try:
        if _is_stream(target) or (target.exists() and not target.is_file()):
            with target.open("a") as file:  # a device or a pipe
                file.write(text)
            return
        target = target.resolve()  # a link stays a link
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


# a simulation ---------------------------------------------------------------------------------------------------


def milliseconds(duration: str) -> int:
    """`--duration` in ticks."""
    from engine.units import quantity

    try:
        ms = quantity(duration, "time")
    except UserError as error:
        raise UserError(f"--duration: {error}") from None
    if ms <= 0 or ms != round(ms):
        raise UserError(f"--duration: expected a whole number of ticks of 1 ms above zero, got {duration}")
    return round(ms)


def open_simulation(args, *, timed: bool = False):
    """The simulation that the arguments ask for, and the tick to run to.

    A shorter `--duration` stops early and leaves the story as it is; a longer one makes the scene longer.
    """
    from engine.scene import load_scene
    from systems.simulation import Simulation
    from systems.spawn.scene_model import SCENES, Scene, check_files

    overrides = list(args.set)
    wanted = milliseconds(args.duration) if getattr(args, "duration", None) is not None else None
    scene, source = load_scene(args.scene, Scene, [SCENES, Path.cwd()], overrides)
    if wanted is not None and wanted > scene.duration:
        scene, source = load_scene(args.scene, Scene, [SCENES, Path.cwd()], [*overrides, f"duration={wanted} ms"])
    check_files(scene, source)
    device = None
    if device_of(getattr(args, "device", "cpu")) == "cuda":
        from engine.cuda import Cuda

        device = Cuda()
    seed = args.seed
    load = getattr(args, "load", None)
    if load is not None and seed is None:
        from engine import snapshot

        seed = int(snapshot.attributes(load)["seed"])
    sim = Simulation(scene, source, seed=seed, threads=getattr(args, "threads", 1),
                     strict=getattr(args, "strict", True), timed=timed, device=device)  # fmt: skip
    return sim, round(scene.duration) if wanted is None else wanted


def compile_kernels(sim, quiet: bool = True) -> float:
    """Compile every kernel this world needs, or take it from the cache, before the clock starts; seconds it took."""
    from engine.kernel import is_warm

    started = time.perf_counter()
    if sim.device != "cpu":
        return 0.0
    calls = [call for _, call in sim.runner.calls() if hasattr(call.function, "py_func")]
    message = "compiling the kernels (once per version and machine, about half a minute)"
    late = threading.Timer(2.0, say, (message, quiet))  # other threads or strictness than before: compiled anew
    late.daemon = True
    if calls and not is_warm():
        say(message, quiet)
    elif calls:
        late.start()
    try:
        sim.runner.prepare()
    finally:
        late.cancel()
    return time.perf_counter() - started


class Interrupt:
    """Within it, the first Ctrl-C (or SIGTERM) only sets `asked`; the second one stops at once."""

    def __init__(self):
        self.asked = False
        self._before: dict = {}

    def _handle(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def drive(sim, end: int, interrupt: Interrupt, *, film=None, probes=None, progress=None) -> bool:
    """Run to tick `end` in whole ticks; False if interrupted. Pictures and falls are looked at when they are due."""
    control = sim.body.control_steps_ms if sim.body is not None and sim.body.fell is not None else 0
    while sim.tick < end:
        if interrupt.asked:
            return False
        if film is not None and sim.tick >= film.next_tick:
            film.shoot()
        stops = [end, sim.tick + (CHUNK if sim.device == "cpu" else DEVICE_CHUNK)]
        if film is not None:
            stops.append(film.next_tick)
        if control and probes is not None:
            stops.append((sim.tick // control + 1) * control)
        sim.run(min(stops) - sim.tick)
        if control and probes is not None and sim.tick % control == 0:
            probes.look()
        if progress is not None:
            progress(sim)
    return True


@contextlib.contextmanager
def progress_bar(end: int, first: int, quiet: bool):
    """A function to call with the simulation; draws simulated time and real-time factor where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(40), TextColumn("{task.fields[clock]}"), TextColumn("{task.fields[speed]}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console(error=True), transient=True, refresh_per_second=8) as bars:
        task = bars.add_task("", total=end, completed=first, clock="", speed="")

        def show(sim) -> None:
            speed = f"{sim.realtime_x:.2f} x real time" if sim.realtime_x else ""
            bars.update(task, completed=sim.tick, clock=f"{sim.time_s:.2f} of {end / 1000:g} s", speed=speed)

        yield show
