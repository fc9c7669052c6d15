"""Advance every membrane by one tick and mark the neurons that fired; substeps are taken where a spike is possible.

Within a tick the membrane is linear, so its end is known in closed form. A neuron that cannot reach threshold before
then (its free decay, its drive and all its excitation added up stay below) takes that one exact step; the others, a few
per cent, are gathered and take `substeps` exact steps with threshold, reset and refractoriness.
"""

import itertools

import numba as nb
import numpy as np

from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, Membrane, Nmda, TickConstants
from components.timing import Substeps
from engine.kernel import kernel
from engine.lanes import LANES, bits, first, floats, ints, load, lowest, put, store, where
from engine.schedule import Parts
from engine.system import system

B = 256  # neurons of a run at most, and gathered for substeps at a time
TINY = np.float32(1e-12)  # smaller drives are zero: denormal floats cost a hundred cycles each
# rows of the flat block of gathered neurons
V, C, D, R, TH, RE, RF, F = (B * k for k in range(8))
GE, DE, KE, AE, GI, DI, KI, AI, GS, DS, KS, AS = (B * k for k in range(8, 20))
# constants of a run of alike neurons (TickConstants.rows): decay over a tick, then per receptor what remains of the
# drive, what it adds to v, what arrivals add to v, what remains of arrivals
DT, ED, EK, EA, EL, ID, IK, IA, IL, SD, SK, SA, SL = range(13)
# ... and per substep: decay, reset, refractory, then decay, share and jump of each receptor
FD, FRE, FRF, FED, FEK, FEJ, FID, FIK, FIJ, FSD, FSK, FSJ = range(13, 25)
ROWS = 25


@nb.njit(error_model="numpy")
def take_substeps(x, count, steps):
    """`steps` exact steps of `count` gathered neurons with threshold, reset and refractoriness, in registers."""
    zero, one = floats(np.float32(0)), floats(np.float32(1))
    for k in range(0, count, LANES):
        v, c, d, left = load(x, V + k, 16), load(x, C + k, 16), load(x, D + k, 16), load(x, R + k, 16)
        threshold, reset, hold = load(x, TH + k, 16), load(x, RE + k, 16), load(x, RF + k, 16)
        ge, de, ke, ae = load(x, GE + k, 16), load(x, DE + k, 16), load(x, KE + k, 16), load(x, AE + k, 16)
        gi, di, ki, ai = load(x, GI + k, 16), load(x, DI + k, 16), load(x, KI + k, 16), load(x, AI + k, 16)
        gs, ds, ks, as_ = load(x, GS + k, 16), load(x, DS + k, 16), load(x, KS + k, 16), load(x, AS + k, 16)
        stamp = stamped = zero
        for _ in range(steps):
            stamp = stamp + one
            u = c + v * d + ge * ke - gi * ki - gs * ks
            ge, gi, gs = ge * de + ae, gi * di + ai, gs * ds + as_
            u = where(left <= zero, u, reset)  # a held neuron sits at reset, below threshold
            hit = u >= threshold
            stamped = where(hit, stamp, stamped)
            v = where(hit, reset, u)
            left = where(hit, hold, left) - one
        store(x, V + k, 16, v)
        store(x, R + k, 16, left)
        store(x, F + k, 16, stamped)
        store(x, GE + k, 16, ge)
        store(x, GI + k, 16, gi)
        store(x, GS + k, 16, gs)


@system(
    reads=[
        Substeps.count, Parts.own, TickConstants.part, TickConstants.run, TickConstants.rows, Membrane.drive,
        Membrane.threshold,
    ],
    optional_reads=[Nmda.decay, Nmda.jump, Adaptation.decay, Adaptation.step],
    writes=[
        Membrane.v, Membrane.refractory_left, Membrane.fired, Ampa.i, Ampa.arrived, Gaba.i, Gaba.arrived,
    ],
    optional_writes=[GabaSlow.i, GabaSlow.arrived, Nmda.i, Adaptation.w],
)  # fmt: skip
@kernel
def lif_integrate(
    n, substeps, own, part, run, constants, drive, threshold, n_decay, n_jump, a_decay, a_step,
    v, refractory_left, fired, e, e_arrived, i, i_arrived, s, s_arrived, n_i, a_w,
):  # fmt: skip
    """Exact solution of the linear membrane; every row array is [n], in the components' units.

    Arrivals are spread evenly over the ends of the tick's substeps. A neuron fires at most once a tick (refractory
    >= one tick). NMDA and adaptation are constant within a tick.
    """
    begin, end = part[own[0]], part[own[1]]
    if begin == end:
        return
    fired[run[begin] : run[end]] = 0
    zero, one, tiny, none = floats(np.float32(0)), floats(np.float32(1)), floats(TINY), ints(np.int32(0))
    x, into, near = np.empty(20 * B, np.float32), np.empty(LANES, np.float32), np.empty(B, np.int64)
    if s is None:
        x[GS:] = np.float32(0)
    found = 0
    for r in range(begin, end):
        c = constants[r]
        dt = floats(c[DT])
        kept = one - dt
        ed, ek, ea, el = floats(c[ED]), floats(c[EK]), floats(c[EA]), floats(c[EL])
        id_, ik, ia, il = floats(c[ID]), floats(c[IK]), floats(c[IA]), floats(c[IL])
        sd, sk, sa, sl = floats(c[SD]), floats(c[SK]), floats(c[SA]), floats(c[SL])
        for k in range(run[r], run[r + 1], LANES):
            m = min(LANES, run[r + 1] - k)
            u, ge, gi, towards = load(v, k, m), load(e, k, m), load(i, k, m), load(drive, k, m)
            ae, ai = floats(load(e_arrived, k, m)), floats(load(i_arrived, k, m))
            if n_i is not None:
                slow = load(n_i, k, m) * load(n_decay, k, m) + ae * load(n_jump, k, m)
                store(n_i, k, m, slow)
                towards = towards + slow
            if a_w is not None:
                w = load(a_w, k, m)
                towards = towards - w
                w = w * load(a_decay, k, m)
                store(a_w, k, m, where(w > tiny, w, zero))
            free = u * dt + towards * kept
            up = ge * ek + ae * ea
            down = gi * ik + ai * ia
            if s is not None:
                gs, as_ = load(s, k, m), floats(load(s_arrived, k, m))
                down = down + (gs * sk + as_ * sa)
            far = where(u > free, u, free) + up < load(threshold, k, m)
            far = far & (load(refractory_left, k, m) <= zero) & first(m)
            close = bits(far) ^ bits(first(m))
            if close:
                store(into, 0, LANES, towards)
                while close:
                    lane = lowest(close)
                    close &= close - np.uint64(1)
                    j = k + lane
                    near[found] = j
                    x[V + found] = v[j]
                    x[D + found] = c[FD]
                    x[C + found] = into[lane] * (np.float32(1) - c[FD])
                    x[R + found] = refractory_left[j]
                    x[TH + found] = threshold[j]
                    x[RE + found] = c[FRE]
                    x[RF + found] = c[FRF]
                    x[GE + found] = e[j]
                    x[DE + found] = c[FED]
                    x[KE + found] = c[FEK]
                    x[AE + found] = np.float32(e_arrived[j]) * c[FEJ]
                    x[GI + found] = i[j]
                    x[DI + found] = c[FID]
                    x[KI + found] = c[FIK]
                    x[AI + found] = np.float32(i_arrived[j]) * c[FIJ]
                    if s is not None:
                        x[GS + found] = s[j]
                        x[DS + found] = c[FSD]
                        x[KS + found] = c[FSK]
                        x[AS + found] = np.float32(s_arrived[j]) * c[FSJ]
                    found += 1
            u = free + up - down
            put(v, k, far, where((u > tiny) | (u < zero - tiny), u, zero))
            ge, gi = ge * ed + ae * el, gi * id_ + ai * il
            put(e, k, far, where(ge > tiny, ge, zero))
            put(i, k, far, where(gi > tiny, gi, zero))
            store(e_arrived, k, m, none)
            store(i_arrived, k, m, none)
            if s is not None:
                gs = gs * sd + as_ * sl
                put(s, k, far, where(gs > tiny, gs, zero))
                store(s_arrived, k, m, none)
            if found > B - LANES or (found and k + LANES >= run[end]):
                for q in range(found, -(-found // LANES) * LANES):  # what fills the last register
                    for row in range(20):
                        x[row * B + q] = np.float32(0)
                take_substeps(x, found, substeps[0])
                for q in range(found):
                    j = near[q]
                    v[j] = x[V + q]
                    refractory_left[j] = max(x[R + q], np.float32(0))
                    fired[j] = np.uint8(x[F + q])
                    e[j] = x[GE + q]
                    i[j] = x[GI + q]
                    if s is not None:
                        s[j] = x[GS + q]
                    if a_w is not None and x[F + q] > np.float32(0):
                        a_w[j] += a_step[j]
                found = 0


def tick_constants(table, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(TickConstants.run, TickConstants.rows) of a neuron table, from its per-substep columns.

    A run is at most 256 neighbours with the same constants. Rows hold the exact result of `steps` substeps for a unit
    of v, of each receptor's drive, and of each receptor's arrivals.
    """
    columns = [table[Membrane.decay], table[Membrane.reset], table[Membrane.refractory]]
    for component in (Ampa, Gaba, GabaSlow):
        if component in table:
            columns += [table[component.decay], table[component.share], table[component.jump]]
    alike = np.stack(columns)
    starts = [0, *(np.flatnonzero((alike[:, 1:] != alike[:, :-1]).any(axis=0)) + 1), table.row_count]
    run = [k for a, b in itertools.pairwise(starts) for k in range(a, b, B)] + [table.row_count]
    run = np.array(run, np.int32)
    first = run[:-1]
    rows = np.zeros((first.size, ROWS))
    decay = table[Membrane.decay][first].astype(float)
    rows[:, DT] = decay**steps
    for row, column in ((FD, Membrane.decay), (FRE, Membrane.reset), (FRF, Membrane.refractory)):
        rows[:, row] = table[column][first]
    for receptor, component in enumerate((Ampa, Gaba, GabaSlow)):
        if component not in table:
            continue
        d, share, jump = (table[c][first].astype(float) for c in (component.decay, component.share, component.jump))
        drive_v, drive_g = np.zeros(first.size), np.ones(first.size)
        arrive_v, arrive_g = np.zeros(first.size), np.zeros(first.size)
        for _ in range(steps):
            drive_v = drive_v * decay + drive_g * share
            drive_g = drive_g * d
            arrive_v = arrive_v * decay + arrive_g * share
            arrive_g = arrive_g * d + jump
        rows[:, FED + 3 * receptor : FED + 3 * receptor + 3] = np.stack([d, share, jump], axis=1)
        rows[:, ED + 4 * receptor : ED + 4 * receptor + 4] = np.stack([drive_g, drive_v, arrive_v, arrive_g], axis=1)
    return run, rows.astype(np.float32)
