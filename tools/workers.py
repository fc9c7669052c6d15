"""Trials in processes of their own, one thread each. A trial is one scene in one condition with one seed.

`results` is all the rest of the program sees of those who run them: `Workers` are processes of this machine, `Cluster`
the workers of a Dask scheduler.
"""

from __future__ import annotations

import contextlib
import gc
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait

from engine.errors import UserError

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
GRACE_S = 3.0  # for a worker to end before it is made to
CONNECT_S = 10  # for a scheduler to answer


@dataclass(frozen=True)
class Trial:
    """Which scene, in which condition, with which seed."""

    scene: str
    condition: str
    seed: int
    until: int | None = None  # tick at which it ends, if before the scene's end
    traced: bool = False  # whether its time courses are wanted
    ticks: int | None = None  # run no more than these, and measure every probe over them: a smoke trial
    exchange: tuple[str, ...] = ()  # two populations that change places in it


class Bench:
    """Runs trials one after another. A world is built once and put back to its start for scenes that differ from it by
    their lesions alone: building takes as long as 15 s of simulation, and a lesion is an action at tick 0 anyway."""

    def __init__(self):
        self._of: tuple | None = None  # (scene without its lesions, files, seed) of the world that is kept
        self._sim = self._marks = self._start = None

    def run(self, trial: Trial, scene, source, stop) -> dict | None:
        """Values of the probes (NaN where the window has not passed), spike hash and times of one run, with `traces` if
        the trial asks for them; None if `stop.asked`. UserError if the scene is wrong."""
        from systems.probes import Probes
        from systems.spawn.hold_rate import unheld
        from systems.spawn.scene_model import exchanged
        from tools.common import drive

        scene = exchanged(scene, trial.exchange)
        end = trial.until or round(scene.duration)
        if trial.ticks is not None:
            end, scene = min(end, trial.ticks), unheld(scene)
        started = time.perf_counter()
        sim = self._world(scene, source, trial.seed)
        load_s, wall_s = time.perf_counter() - started, sim.wall_s
        probes = Probes(sim, only=None if trial.ticks is None else end)
        try:
            if not drive(sim, end, stop, probes=probes):
                return None
            if trial.ticks is None:
                values = {p.name: probes.value(p) if probes.reached(p) else math.nan for p in sim.scene.probes}
            else:
                values = probes.values()
            found = {"probes": values, "held_background": sim.held_background, "spike_hash": sim.spike_hash,
                     "wall_s": sim.wall_s - wall_s, "load_s": load_s}  # fmt: skip
            if trial.traced:
                from tools.exam_traces import traces_of

                found["traces"] = traces_of(sim, probes)
            return found
        finally:
            probes.detach()

    def _world(self, scene, source, seed: int):
        """A simulation at tick 0, the scene's lesions set."""
        from engine.snapshot import Marks
        from systems.simulation import Simulation
        from systems.timeline import Action

        brain = scene.brain
        lesions = brain.silence if brain is not None and brain.hold_rate is None else []  # the rate is held with them
        whole = scene.model_copy(update={"brain": brain.model_copy(update={"silence": []})}) if lesions else scene
        wanted = (whole, source.files, seed)
        if self._of != wanted:
            self._of = self._sim = self._marks = self._start = None  # one world in memory, not two
            gc.collect()  # a world holds itself
            self._sim = Simulation(whole, source, seed=seed)
            self._marks = Marks(self._sim.runner)
            self._start, self._of = self._marks.mark(), wanted
        else:
            self._marks.recall(self._start)
        for number, selector in enumerate(lesions):
            try:
                self._sim.timeline.add(Action(0, -1, "silence", selector))
            except UserError as error:
                raise source.error(str(error), "brain", "silence", number) from None
        return self._sim


def attempt(bench: Bench, scene, source, trial: Trial, stop) -> tuple[str, object]:
    """("done", result), ("wrong", what is wrong with the scene) or ("fault", what went wrong)."""
    try:
        return "done", bench.run(trial, scene, source, stop)
    except UserError as error:
        return "wrong", str(error)
    except Exception as error:
        return "fault", fault(error)


def fault(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


class Orphaned:
    """`asked` once the process that started this one is gone."""

    def __init__(self):
        self._parent = os.getppid()

    @property
    def asked(self) -> bool:
        return os.getppid() != self._parent


def work(pipe, scenes: dict) -> None:
    """A worker: take trials from the pipe until it closes, and answer what became of them.

    `scenes` maps (scene, condition) to its model and source.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of it, and ends us
    stop, bench = Orphaned(), Bench()
    with contextlib.suppress(EOFError, OSError):
        while True:
            trial: Trial = pipe.recv()
            answer = attempt(bench, *scenes[trial.scene, trial.condition], trial, stop)
            if stop.asked:
                return
            pipe.send(answer)


class Workers:
    """So many processes that run trials."""

    def __init__(self, scenes: dict, count: int):
        self.scenes, self.count = scenes, count
        self._processes: dict = {}  # our end of the pipe -> process
        self._busy: dict = {}  # our end of the pipe -> trial
        self._waiting: deque[Trial] = deque()

    def results(self, trials: Iterable[Trial], patience_s: float = 0.2) -> Iterator[tuple[Trial, str, object] | None]:
        """(trial, "done" | "wrong" | "fault", answer) as they come; None after `patience_s` without one."""
        self._waiting.extend(trials)
        for _ in range(min(self.count, len(self._waiting)) - len(self._processes)):
            self._start()
        while self._waiting or self._busy:
            for pipe in self._processes:
                if self._waiting and pipe not in self._busy:
                    with contextlib.suppress(OSError):  # it died while idle: its sentinel says so below
                        pipe.send(self._waiting[0])
                        self._busy[pipe] = self._waiting.popleft()
            sentinels = {process.sentinel: pipe for pipe, process in self._processes.items()}
            ready = wait([*self._busy, *sentinels], timeout=patience_s)
            if not ready:
                yield None
            for pipe in {sentinels.get(thing, thing) for thing in ready}:
                yield from self._answer(pipe)

    def _answer(self, pipe) -> Iterator[tuple[Trial, str, object]]:
        """What a worker says, or that it is gone: then another takes its place."""
        try:
            kind, answer = pipe.recv() if pipe.poll() else (None, None)
        except (EOFError, OSError):
            kind = None
        trial = self._busy.pop(pipe, None)
        if kind is not None:
            yield trial, kind, answer
            return
        process = self._processes.pop(pipe)
        pipe.close()
        process.join(GRACE_S)
        if trial is not None:
            code = process.exitcode
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            yield trial, "fault", f"the worker ended ({how})"
        if self._waiting:
            self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self.scenes), daemon=True)
        with one_thread(), no_interrupts():
            process.start()
        theirs.close()
        self._processes[ours] = process

    def stop(self) -> None:
        """End all of them, whatever they are doing."""
        for pipe, process in self._processes.items():
            process.terminate()
            pipe.close()
        limit = time.monotonic() + GRACE_S
        for process in self._processes.values():
            process.join(max(0.0, limit - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for held in (self._processes, self._busy, self._waiting):
            held.clear()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Willing:
    """Never asks to stop."""

    asked = False


class Cluster:
    """The workers of a Dask scheduler somewhere; each must have this very program."""

    def __init__(self, scenes: dict, address: str, program: str):
        try:
            import distributed
        except ImportError:
            raise UserError(f"--workers {address}: needs Dask: pip install 'encephagen[experiments]'") from None
        self.scenes, self.address = scenes, address
        self._futures: dict = {}  # future -> trial
        self._wait = distributed.wait
        try:
            self._client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"--workers {address}: no scheduler answers ({type(error).__name__})") from None
        try:
            self._check(program)
        except BaseException:
            self.stop()
            raise

    def _check(self, program: str) -> None:
        """Every worker runs what this process runs."""
        found = self._client.run(remote_program, on_error="return")
        if not found:
            raise UserError(f"--workers {self.address}: the scheduler has no workers")
        for worker, theirs in found.items():
            if isinstance(theirs, BaseException):
                raise UserError(f"--workers {self.address}: {worker} has no encephagen ({fault(theirs)})")
            if theirs != program:
                raise UserError(f"--workers {self.address}: {worker} has another encephagen ({theirs}, here {program})")

    def results(self, trials: Iterable[Trial], patience_s: float = 0.2) -> Iterator[tuple[Trial, str, object] | None]:
        """As `Workers.results`."""
        for trial in trials:
            pair = self.scenes[trial.scene, trial.condition]
            self._futures[self._client.submit(remote_trial, *pair, trial, pure=False)] = trial
        while self._futures:
            try:
                with self._client.as_current():
                    ready = self._wait(list(self._futures), timeout=patience_s, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                yield None
                continue
            for future in ready:
                trial, error = self._futures.pop(future), future.exception()  # of Dask's own: the worker was killed
                kind, answer = future.result() if error is None else ("fault", fault(error))
                future.release()
                yield trial, kind, answer

    def stop(self) -> None:
        """Take back what has not begun; trials under way end by themselves."""
        if self._futures:
            self._client.cancel(list(self._futures), force=True)
        self._client.close(timeout=GRACE_S)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def remote_trial(scene, source, trial: Trial) -> tuple[str, object]:
    """A trial in a worker of a cluster."""
    answer = attempt(Bench(), scene, source, trial, Willing())
    gc.collect()
    return answer


def remote_program() -> str:
    from tools.experiment import program_hash

    return program_hash()


@contextlib.contextmanager
def one_thread():
    """Environment in which a process that starts computes on one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def no_interrupts():
    """A process that starts here never sees Ctrl-C, which a terminal sends to all; to us it comes a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
