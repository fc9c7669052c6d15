"""Advance every membrane by one tick in substeps and mark the neurons that fired."""

import numba as nb
import numpy as np

from components.network import Threads
from components.neuron import Adaptation, Ampa, Gaba, GabaSlow, Membrane, Nmda
from components.timing import Substeps
from engine.kernel import kernel
from engine.system import system

B = 256  # neurons per block: the scratch rows of a block stay in the first-level cache
TINY = np.float32(1e-12)  # smaller drives are zero: denormal floats cost a hundred cycles each
V, C, D, R, TH, RE, RF, F = (B * k for k in range(8))
GE, DE, KE, AE, GI, DI, KI, AI, GS, DS, KS, AS = (B * k for k in range(8, 20))


@nb.njit(error_model="numpy")
def substeps_plain(x, steps):
    """One tick of a block without slow inhibition; `x` is the flat scratch [20 * B]. One vector loop per substep."""
    for sub in range(steps):
        stamp = np.float32(sub + 1)
        for k in range(B):
            ge = x[GE + k] + x[AE + k]
            gi = x[GI + k] + x[AI + k]
            u = x[C + k] + x[V + k] * x[D + k] + ge * x[KE + k] - gi * x[KI + k]
            x[GE + k] = ge * x[DE + k]
            x[GI + k] = gi * x[DI + k]
            left = x[R + k]
            reset = x[RE + k]
            stamped = x[F + k]
            hold = x[RF + k]
            u = u if left <= np.float32(0) else reset  # a held neuron sits at reset, below threshold
            hit = u >= x[TH + k]
            x[F + k] = stamp if hit else stamped
            x[V + k] = reset if hit else u
            x[R + k] = (hold if hit else left) - np.float32(1)


@nb.njit(error_model="numpy")
def substeps_with_slow(x, steps):
    """One tick of a block with slow inhibition (a loop of its own: a branch inside would cost the vector form)."""
    for sub in range(steps):
        stamp = np.float32(sub + 1)
        for k in range(B):
            ge = x[GE + k] + x[AE + k]
            gi = x[GI + k] + x[AI + k]
            u = x[C + k] + x[V + k] * x[D + k] + ge * x[KE + k] - gi * x[KI + k]
            x[GE + k] = ge * x[DE + k]
            x[GI + k] = gi * x[DI + k]
            gs = x[GS + k] + x[AS + k]
            u -= gs * x[KS + k]
            x[GS + k] = gs * x[DS + k]
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
        Substeps.count, Threads.bounds, Membrane.drive, Membrane.decay, Membrane.threshold, Membrane.reset,
        Membrane.refractory, Ampa.decay, Ampa.jump, Ampa.share, Gaba.decay, Gaba.jump, Gaba.share,
    ],
    optional_reads=[GabaSlow.decay, GabaSlow.jump, GabaSlow.share, Nmda.decay, Nmda.jump, Adaptation.decay,
                    Adaptation.step],
    writes=[Membrane.v, Membrane.refractory_left, Membrane.fired, Ampa.i, Ampa.arrived, Gaba.i, Gaba.arrived,
            Threads.ran],
    optional_writes=[GabaSlow.i, GabaSlow.arrived, Nmda.i, Adaptation.w],
)  # fmt: skip
@kernel
def lif_integrate(
    n, substeps, bounds, drive, decay, threshold, reset, refractory, e_decay, e_jump, e_share, i_decay, i_jump, i_share,
    s_decay, s_jump, s_share, n_decay, n_jump, a_decay, a_step,
    v, refractory_left, fired, e, e_arrived, i, i_arrived, ran, s, s_arrived, n_i, a_w,
):  # fmt: skip
    """Exact solution of the linear membrane per substep; every row array is [n], in the components' units.

    Arrivals are spread evenly over the tick's substeps. A neuron fires at most once a tick (refractory >= one tick).
    NMDA and adaptation are constant within a tick. Vector loops run over a flat scratch with constant row offsets.
    """
    parts = bounds.shape[0] - 1
    steps = substeps[0]
    blocks = (n + B - 1) // B
    for part in nb.prange(parts):
        ran[nb.get_thread_id()] += 1
        x = np.zeros(20 * B, np.float32)
        for block in range(blocks * part // parts, blocks * (part + 1) // parts):
            o = block * B
            m = min(B, n - o)
            if m < B:
                x[:] = np.float32(0)
                x[TH : TH + B] = np.float32(1e30)
            for k in range(m):
                x[V + k] = v[o + k]
            for k in range(m):
                x[C + k] = drive[o + k]
            if n_i is not None:
                for k in range(m):
                    n_i[o + k] = n_i[o + k] * n_decay[o + k] + np.float32(e_arrived[o + k]) * n_jump[o + k]
                for k in range(m):
                    x[C + k] += n_i[o + k]
            if a_w is not None:
                for k in range(m):
                    x[C + k] -= a_w[o + k]
            for k in range(m):
                x[D + k] = decay[o + k]
            for k in range(B):
                x[C + k] = x[C + k] * (np.float32(1) - x[D + k])
                x[F + k] = np.float32(0)
            for k in range(m):
                x[R + k] = refractory_left[o + k]
            for k in range(m):
                x[TH + k] = threshold[o + k]
            for k in range(m):
                x[RE + k] = reset[o + k]
            for k in range(m):
                x[RF + k] = refractory[o + k]
            for k in range(m):
                x[GE + k] = e[o + k]
                x[DE + k] = e_decay[o + k]
            for k in range(m):
                x[KE + k] = e_share[o + k]
                x[AE + k] = np.float32(e_arrived[o + k]) * e_jump[o + k]
            for k in range(m):
                x[GI + k] = i[o + k]
                x[DI + k] = i_decay[o + k]
            for k in range(m):
                x[KI + k] = i_share[o + k]
                x[AI + k] = np.float32(i_arrived[o + k]) * i_jump[o + k]
            e_arrived[o : o + m] = 0
            i_arrived[o : o + m] = 0
            if s is not None:
                for k in range(m):
                    x[GS + k] = s[o + k]
                    x[DS + k] = s_decay[o + k]
                for k in range(m):
                    x[KS + k] = s_share[o + k]
                    x[AS + k] = np.float32(s_arrived[o + k]) * s_jump[o + k]
                s_arrived[o : o + m] = 0
            if s is not None:
                substeps_with_slow(x, steps)
            else:
                substeps_plain(x, steps)
            for k in range(m):
                v[o + k] = x[V + k] if abs(x[V + k]) > TINY else np.float32(0)
            for k in range(m):
                refractory_left[o + k] = max(x[R + k], np.float32(0))
            for k in range(m):
                fired[o + k] = np.uint8(x[F + k])
            for k in range(m):
                e[o + k] = x[GE + k] if x[GE + k] > TINY else np.float32(0)
            for k in range(m):
                i[o + k] = x[GI + k] if x[GI + k] > TINY else np.float32(0)
            if s is not None:
                for k in range(m):
                    s[o + k] = x[GS + k] if x[GS + k] > TINY else np.float32(0)
            if a_w is not None:
                for k in range(m):
                    jump = a_step[o + k] if x[F + k] > np.float32(0) else np.float32(0)
                    a_w[o + k] = a_w[o + k] * a_decay[o + k] + jump
