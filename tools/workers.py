"""Trials in processes of their own, one thread each. A trial is one scene in one condition with one seed.

`Workers.results` is all the rest of the program sees: another way to run trials elsewhere needs that one method.
"""

from __future__ import annotations

import contextlib
import gc
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


@dataclass(frozen=True)
class Trial:
    """Which scene, in which condition, with which seed."""

    scene: str
    condition: str
    seed: int


def run_trial(scene, source, seed: int, stop) -> dict | None:
    """Values of the probes, spike hash and times of one run, None if `stop.asked`; UserError if the scene is wrong."""
    from systems.probes import Probes
    from systems.simulation import Simulation
    from tools.common import drive

    sim = Simulation(scene, source, seed=seed)
    probes = Probes(sim)
    if not drive(sim, round(scene.duration), stop, probes=probes):
        return None
    return {"probes": probes.values(), "spike_hash": sim.spike_hash, "wall_s": sim.wall_s, "load_s": sim.load_s}


class Orphaned:
    """`asked` once the process that started this one is gone."""

    def __init__(self):
        self._parent = os.getppid()

    @property
    def asked(self) -> bool:
        return os.getppid() != self._parent


def work(pipe, scenes: dict) -> None:
    """A worker: take trials from the pipe until it closes, answer ("done", result), ("wrong", text) or ("fault", text).

    `scenes` maps (scene, condition) to its model and source.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of it, and ends us
    stop = Orphaned()
    with contextlib.suppress(EOFError, OSError):
        while True:
            trial: Trial = pipe.recv()
            try:
                answer = "done", run_trial(*scenes[trial.scene, trial.condition], trial.seed, stop)
            except UserError as error:
                answer = "wrong", str(error)
            except Exception as error:
                answer = "fault", " ".join(f"{type(error).__name__}: {error}".split())[:300]
            if stop.asked:
                return
            pipe.send(answer)
            gc.collect()  # a world holds itself


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
