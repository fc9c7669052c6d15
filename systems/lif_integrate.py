"""Advance every membrane by one tick and mark the neurons that fired; substeps are taken where a spike is possible.

Within a tick the membrane is linear, so its end is known in closed form. A neuron that cannot reach threshold before
then (its free decay, its drive and all its excitation added up stay below) takes that one exact step; the others, a few
per cent, are gathered and take `substeps` exact steps with threshold, reset and refractoriness.
"""

import itertools

import numba as nb
import numpy as np

from components.network import Threads
from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, Membrane, Nmda, TickConstants
from components.timing import Substeps
from engine.kernel import kernel
from engine.system import system

B = 256  # neurons per block: the scratch rows of a block stay in the first-level cache
TINY = np.float32(1e-12)  # smaller drives are zero: denormal floats cost a hundred cycles each
# rows of the flat scratch; constant offsets let the compiler see that rows do not overlap
V, C, D, R, TH, RE, RF, F = (B * k for k in range(8))
GE, DE, KE, AE, GI, DI, KI, AI, GS, DS, KS, AS = (B * k for k in range(8, 20))
# constants of a run of alike neurons (TickConstants.rows): decay over a tick, then per receptor what remains of the
# drive, what it adds to v, what arrivals add to v, what remains of arrivals
DT, ED, EK, EA, EL, ID, IK, IA, IL, SD, SK, SA, SL = range(13)
# ... and per substep: decay, reset, refractory, then decay, share and jump of each receptor
FD, FRE, FRF, FED, FEK, FEJ, FID, FIK, FIJ, FSD, FSK, FSJ = range(13, 25)
ROWS = 25


@nb.njit(error_model="numpy")
def whole_tick(x, m, c):
    """One exact step of a tick for `m` alike neurons; `x` scratch, `c` [25] constants. F marks who may spike."""
    dt, kept = c[DT], np.float32(1) - c[DT]
    ed, ek, ea, el = c[ED], c[EK], c[EA], c[EL]
    id_, ik, ia, il = c[ID], c[IK], c[IA], c[IL]
    sd, sk, sa, sl = c[SD], c[SK], c[SA], c[SL]
    for k in range(m):
        v = x[V + k]
        ge, ae, gi, ai, gs, as_ = x[GE + k], x[AE + k], x[GI + k], x[AI + k], x[GS + k], x[AS + k]
        free = v * dt + x[C + k] * kept
        up = ge * ek + ae * ea
        down = gi * ik + ai * ia + gs * sk + as_ * sa
        bound = (v if v > free else free) + up
        far = (bound < x[TH + k]) & (x[R + k] <= np.float32(0))
        x[F + k] = np.float32(0) if far else np.float32(1)
        x[V + k] = free + up - down if far else v
        x[GE + k] = ge * ed + ae * el if far else ge
        x[GI + k] = gi * id_ + ai * il if far else gi
        x[GS + k] = gs * sd + as_ * sl if far else gs


@nb.njit(error_model="numpy")
def substeps_of(x, steps):
    """`steps` exact steps of a gathered block with threshold, reset and refractoriness; one vector loop per step."""
    for sub in range(steps):
        stamp = np.float32(sub + 1)
        for k in range(B):
            ge, gi, gs = x[GE + k], x[GI + k], x[GS + k]
            u = x[C + k] + x[V + k] * x[D + k] + ge * x[KE + k] - gi * x[KI + k] - gs * x[KS + k]
            x[GE + k] = ge * x[DE + k] + x[AE + k]
            x[GI + k] = gi * x[DI + k] + x[AI + k]
            x[GS + k] = gs * x[DS + k] + x[AS + k]
            left = x[R + k]
            reset = x[RE + k]
            stamped = x[F + k]
            hold = x[RF + k]
            u = u if left <= np.float32(0) else reset  # a held neuron sits at reset, below threshold
            hit = u >= x[TH + k]
            x[F + k] = stamp if hit else stamped
            x[V + k] = reset if hit else u
            x[R + k] = (hold if hit else left) - np.float32(1)


@system(
    reads=[
        Substeps.count, Threads.bounds, TickConstants.run, TickConstants.rows, Membrane.drive, Membrane.threshold,
    ],
    optional_reads=[Nmda.decay, Nmda.jump, Adaptation.decay, Adaptation.step],
    writes=[
        Membrane.v, Membrane.refractory_left, Membrane.fired, Ampa.i, Ampa.arrived, Gaba.i, Gaba.arrived, Threads.ran,
    ],
    optional_writes=[GabaSlow.i, GabaSlow.arrived, Nmda.i, Adaptation.w],
)  # fmt: skip
@kernel
def lif_integrate(
    n, substeps, bounds, run, constants, drive, threshold, n_decay, n_jump, a_decay, a_step,
    v, refractory_left, fired, e, e_arrived, i, i_arrived, ran, s, s_arrived, n_i, a_w,
):  # fmt: skip
    """Exact solution of the linear membrane; every row array is [n], in the components' units.

    Arrivals are spread evenly over the ends of the tick's substeps. A neuron fires at most once a tick (refractory
    >= one tick). NMDA and adaptation are constant within a tick.
    """
    parts = bounds.shape[0] - 1
    steps = substeps[0]
    runs = run.shape[0] - 1
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        x = np.zeros(20 * B, np.float32)
        first = runs * part // parts
        last = runs * (part + 1) // parts
        near = np.empty(run[last] - run[first], np.int32)
        run_of = np.empty(run[last] - run[first], np.int32)
        found = 0
        for r in range(first, last):
            o = run[r]
            m = run[r + 1] - o
            p = o + m  # slices, not offsets: a loop over plain `k` needs no sign check and becomes vector code
            va, ea, ia, ca = v[o:p], e[o:p], i[o:p], drive[o:p]
            for k in range(m):
                x[V + k] = va[k]
            for k in range(m):
                x[C + k] = ca[k]
            counts = e_arrived[o:p]
            for k in range(m):
                x[AE + k] = np.float32(counts[k])
            if n_i is not None:
                na, nd, nj = n_i[o:p], n_decay[o:p], n_jump[o:p]
                for k in range(m):
                    na[k] = na[k] * nd[k]
                for k in range(m):
                    na[k] += x[AE + k] * nj[k]
                for k in range(m):
                    x[C + k] += na[k]
            if a_w is not None:
                wa, wd = a_w[o:p], a_decay[o:p]
                for k in range(m):
                    x[C + k] -= wa[k]
                for k in range(m):
                    w = wa[k] * wd[k]
                    wa[k] = w if w > TINY else np.float32(0)
            held, th = refractory_left[o:p], threshold[o:p]
            for k in range(m):
                x[R + k] = held[k]
            for k in range(m):
                x[TH + k] = th[k]
            for k in range(m):
                x[GE + k] = ea[k]
            for k in range(m):
                x[GI + k] = ia[k]
            counts = i_arrived[o:p]
            for k in range(m):
                x[AI + k] = np.float32(counts[k])
            if s is not None:
                sa = s[o:p]
                for k in range(m):
                    x[GS + k] = sa[k]
                counts = s_arrived[o:p]
                for k in range(m):
                    x[AS + k] = np.float32(counts[k])
            whole_tick(x, m, constants[r])
            for k in range(m):
                va[k] = x[V + k] if abs(x[V + k]) > TINY else np.float32(0)
            for k in range(m):
                ea[k] = x[GE + k] if x[GE + k] > TINY else np.float32(0)
            for k in range(m):
                ia[k] = x[GI + k] if x[GI + k] > TINY else np.float32(0)
            if s is not None:
                sa = s[o:p]
                for k in range(m):
                    sa[k] = x[GS + k] if x[GS + k] > TINY else np.float32(0)
            fired[o:p] = 0
            for k in range(m):
                near[found] = o + k
                run_of[found] = r
                found += x[F + k] > np.float32(0)
        for at in range(0, found, B):
            m = min(B, found - at)
            x[:] = np.float32(0)
            x[TH : TH + B] = np.float32(1e30)
            for k in range(m):
                j = near[at + k]
                into = drive[j]
                if n_i is not None:
                    into += n_i[j]
                if a_w is not None:
                    into -= a_w[j] / a_decay[j]
                x[V + k] = v[j]
                c = constants[run_of[at + k]]
                x[D + k] = c[FD]
                x[C + k] = into * (np.float32(1) - c[FD])
                x[R + k] = refractory_left[j]
                x[TH + k] = threshold[j]
                x[RE + k] = c[FRE]
                x[RF + k] = c[FRF]
                x[GE + k] = e[j]
                x[DE + k] = c[FED]
                x[KE + k] = c[FEK]
                x[AE + k] = np.float32(e_arrived[j]) * c[FEJ]
                x[GI + k] = i[j]
                x[DI + k] = c[FID]
                x[KI + k] = c[FIK]
                x[AI + k] = np.float32(i_arrived[j]) * c[FIJ]
                if s is not None:
                    x[GS + k] = s[j]
                    x[DS + k] = c[FSD]
                    x[KS + k] = c[FSK]
                    x[AS + k] = np.float32(s_arrived[j]) * c[FSJ]
            substeps_of(x, steps)
            for k in range(m):
                j = near[at + k]
                v[j] = x[V + k]
                refractory_left[j] = max(x[R + k], np.float32(0))
                fired[j] = np.uint8(x[F + k])
                e[j] = x[GE + k]
                i[j] = x[GI + k]
                if s is not None:
                    s[j] = x[GS + k]
                if a_w is not None and x[F + k] > np.float32(0):
                    a_w[j] += a_step[j]
        e_arrived[run[first] : run[last]] = 0
        i_arrived[run[first] : run[last]] = 0
        if s is not None:
            s_arrived[run[first] : run[last]] = 0


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
