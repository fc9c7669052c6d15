"""Hands for compiled code: threads that share out the parts of a driver's work, without Python and without sleep.

A job is a C function that is called once for each of its parts, `function(argument, number)`. Its parts are claimed one
by one by whoever is free: the thread that posted it takes them from the front, helpers from the back, so that each hand
mostly meets the parts it had last time, whose columns lie in its core's cache. Nobody waits for a helper that has not
begun: on a busy machine the poster does all of it itself. What a part does must not depend on who does it or when.

A block of whole numbers is all that hands share. For each of two slots (SECTION: the parts of a stretch of the tick;
ASIDE: what runs beside the ticks) it holds, in cache lines of their own, the claims (how many parts there are in bits
32 and up, claimed from the back in bits 16 to 31, from the front below), the job, and how many parts are done.
"""

from __future__ import annotations

import os
import platform
import threading
import time

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.kernel import entry, kernel

LINE = 8  # numbers in a cache line
SECTION, ASIDE = 0, 4 * LINE  # where the slots begin
FUNCTION, ARGUMENT, FIRST = LINE, LINE + 1, LINE + 2  # of a slot's job: what to call, with what, number of part 0
DONE = 2 * LINE
STOP = 3 * LINE  # not 0: helpers go to sleep
HANDS = 8 * LINE  # from here on a line for each hand: parts done, cycles that those of either slot took
TOOK = 1
FRONT, BACK = 1, 1 << 16  # one claim
MASK = (1 << 16) - 1
WINDOW = 128  # ticks that are timed together
LOST = 2  # times as long as the other way took: a window ends before its time
SOON, LATE = 8, 512  # windows after which the way that lost is tried again, at first and at last
PATIENCE = 64  # looks between giving the core to others who want it
IDLE = 1 << 14  # looks without work after which a helper goes to sleep: about half a millisecond
MACHINE = platform.machine().lower()
X86 = MACHINE in ("x86_64", "amd64", "i686", "x86")
WORD = ir.IntType(64)

rest = types.ExternalFunction("SwitchToThread" if os.name == "nt" else "sched_yield", types.int32())
"""Give the core to another thread that waits for one; at once back if there is none."""


def _place(context, builder, kind, values):
    return builder.gep(context.make_array(kind)(context, builder, values[0]).data, [values[1]])


@intrinsic
def look(typing, block, k):
    """block[k], and all that was written before it was (acquire)."""

    def generate(context, builder, signature, values):
        return builder.load_atomic(_place(context, builder, block, values), "acquire", 8)

    return types.int64(block, types.intp), generate


@intrinsic
def tell(typing, block, k, value):
    """block[k] = value, after all that was written before (release)."""

    def generate(context, builder, signature, values):
        builder.store_atomic(values[2], _place(context, builder, block, values), "release", 8)
        return context.get_dummy_value()

    return types.void(block, types.intp, types.int64), generate


@intrinsic
def claim(typing, block, k, amount):
    """block[k] += amount as one act; returns what it was."""

    def generate(context, builder, signature, values):
        return builder.atomic_rmw("add", _place(context, builder, block, values), values[2], "acq_rel")

    return types.int64(block, types.intp, types.int64), generate


@intrinsic
def call(typing, function, argument, number):
    """Call the C function at an address with two whole numbers (or addresses)."""

    def generate(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [WORD, WORD])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def pause(typing):
    """Tell the processor that this is a loop that waits."""

    def generate(context, builder, signature, values):
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cycles(typing):
    """The processor's time stamp; 0 where reading it is not allowed everywhere."""

    def generate(context, builder, signature, values):
        if not X86:
            return WORD(0)
        kind = ir.FunctionType(WORD, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), generate


@nb.njit(error_model="numpy")
def take(block, slot, side, hand):
    """Claim one part of the slot's job and do it; False if none was left."""
    word = look(block, slot)
    if (word & MASK) + (word >> 16 & MASK) >= word >> 32:
        return False
    word = claim(block, slot, side)
    front, back, parts = word & MASK, word >> 16 & MASK, word >> 32
    if front + back >= parts:
        return False
    part = front if side == FRONT else parts - 1 - back
    started = cycles()
    call(block[slot + FUNCTION], block[slot + ARGUMENT], block[slot + FIRST] + part)
    own = HANDS + LINE * hand
    block[own + TOOK + slot // ASIDE] += cycles() - started
    block[own] += 1
    claim(block, slot + DONE, 1)
    return True


@nb.njit(error_model="numpy")
def post(block, slot, function, argument, first, parts):
    """Give the hands a job; the slot's last one must be finished."""
    block[slot + FUNCTION], block[slot + ARGUMENT], block[slot + FIRST] = function, argument, first
    tell(block, slot + DONE, 0)
    tell(block, slot, parts << 32)


@nb.njit(error_model="numpy")
def finish(block, slot):
    """Do what nobody has claimed of the slot's job, and wait for the rest."""
    while take(block, slot, FRONT, 0):
        pass
    parts, looks = look(block, slot) >> 32, 0
    while look(block, slot + DONE) < parts:
        pause()
        looks += 1
        if looks % PATIENCE == 0:
            rest()


@kernel
def begin(block, slot, function, argument, first, parts):
    """`post`, for Python."""
    post(block, slot, function, argument, first, parts)


@kernel
def complete(block, slot):
    """`finish`, for Python."""
    finish(block, slot)


@kernel
def now():
    """The processor's time stamp, for Python."""
    return cycles()


@kernel
def serve(block, hand):
    """A helper's life between two sleeps."""
    idle = 0
    while idle < IDLE and look(block, STOP) == 0:
        if take(block, ASIDE, BACK, hand) or take(block, SECTION, BACK, hand):
            idle = 0
        else:
            idle += 1
            pause()
            if idle % PATIENCE == 0:
                rest()


class Trial:
    """Whether help helps, found by trying: called before every tick, answers if helpers shall be up in it.

    Stretches of WINDOW ticks with help and without are timed, and the faster way is kept to; the other one is tried
    again later and later as long as it loses, and at once when this one takes LOST times as long, which also ends a
    stretch before its time. Small networks, and machines whose cores others want, are so left to one thread; what is
    computed does not depend on it.
    """

    def __init__(self, clock=time.perf_counter_ns):
        self._clock = clock
        self.helped = True
        self._cost: dict[bool, float] = {}  # of a tick [ns], by whether there was help
        self._ticks, self._spent, self._since = 0, 0, None  # of this window: ticks, time before the last pause, since
        self._left, self._again = 0, SOON  # windows until the next trial, and how many it will be the next time

    def __call__(self) -> bool:
        now = self._clock()
        if self._since is None:
            self._since = now
        took, other = self._spent + now - self._since, self._cost.get(not self.helped)
        lost = other is not None and took > LOST * other * WINDOW
        if self._ticks >= WINDOW or (lost and self._ticks):
            self._judge(took / self._ticks)
            self._ticks, self._spent, self._since = 0, 0, now
        self._ticks += 1
        return self.helped

    def pause(self) -> None:
        """No tick follows at once: the time until the next one does not count."""
        if self._since is not None:
            self._spent, self._since = self._spent + self._clock() - self._since, None

    def _judge(self, cost: float) -> None:
        """A window is over: keep to this way, or take the other one."""
        trial, other = self._left == 0, self._cost.get(not self.helped)
        self._cost[self.helped] = cost
        if other is None:  # the first window of all
            self.helped = not self.helped
        elif not trial:
            self._left = self._left - 1 if cost <= LOST * other else 0
            if self._left == 0:
                self.helped = not self.helped
        elif cost < other:  # it won
            self._left = self._again = SOON
        else:
            self.helped = not self.helped
            self._left, self._again = self._again, min(2 * self._again, LATE)


class Crew:
    """The posting thread (hand 0) and its helpers, which sleep when there is nothing to do for a while.

    `block` is the memory they share. Whoever posts calls `attend` before every tick, which has the helpers up or asleep
    as `trial` finds best; work is done all the same, if need be by the poster alone.
    """

    def __init__(self, hands: int):
        size = HANDS + LINE * hands
        memory = np.zeros(size + LINE, np.int64)
        first = -(memory.ctypes.data // 8) % LINE
        self.hands, self.block = hands, memory[first : first + size]
        self.trial = Trial()
        self._helpers: list[tuple[list[bool], threading.Lock]] = []
        self._begin = entry(begin.compiled, (self.block, 0, 0, 0, 0, 0))
        self._complete = entry(complete.compiled, (self.block, 0))

    def start(self) -> None:
        """Have the helpers' threads, asleep."""
        work = entry(serve.compiled, (self.block, 0))
        for hand in range(1, self.hands):
            asleep, lock = [True], threading.Lock()
            lock.acquire()
            self._helpers.append((asleep, lock))
            threading.Thread(target=_help, args=(work, self.block, hand, asleep, lock), daemon=True,
                             name=f"hand {hand}").start()  # fmt: skip

    def attend(self) -> bool:
        """Have the helpers up, or not, in the tick that comes; whether they are."""
        helped = self.trial()
        if helped:
            self.wake()
        else:
            self.block[STOP] = 1
        return helped

    def wake(self) -> None:
        """Helpers that sleep get up."""
        self.block[STOP] = 0
        for asleep, lock in self._helpers:
            if asleep[0]:
                asleep[0] = False
                lock.release()

    def start_aside(self, function: int, argument: int, number: int) -> None:
        """Have a C function called beside what follows; the last one must be finished."""
        self._begin(self.block, ASIDE, function, argument, number, 1)

    def finish_aside(self) -> None:
        """Wait for it, or do it here if nobody has begun."""
        self._complete(self.block, ASIDE)

    def done(self) -> list[int]:
        """Parts that each hand has done so far."""
        return self.block[HANDS::LINE].tolist()

    def took(self) -> list[tuple[int, int]]:
        """Cycles that each hand has spent on parts of sections, and aside; 0 where they cannot be told."""
        return [tuple(line[TOOK : TOOK + 2]) for line in self.block[HANDS:].reshape(-1, LINE).tolist()]

    def __del__(self):
        for asleep, lock in self._helpers:
            asleep.append(True)  # the end
            if asleep[0]:
                lock.release()


def _help(work, block, hand: int, asleep: list[bool], lock: threading.Lock) -> None:
    """What a helper's thread does; it holds nothing of the crew, so that the crew can go."""
    while True:
        lock.acquire()
        if len(asleep) > 1:
            return
        work(block, hand)
        asleep[0] = True
        if len(asleep) > 1:
            return
