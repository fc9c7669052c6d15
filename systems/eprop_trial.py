"""e-prop in its canonical form, for LIF and adapting LIF cells (Bellec et al. 2020, Nat Commun 11:3625), and its
yardstick, back-propagation through time. The rule of projections in the tick is systems/eprop.py.

Kernels over one trial of a discrete-time network, in the paper's units (threshold `th`, time step 1 ms). A synapse's
eligibility needs what its two ends do; a learning signal per output reaches the target through feedback weights. All
synapses onto cells, from inputs and from each other, are one matrix `w` [cells, sources]; sources fire `x` [steps,
sources], the cells among them a step late. Signs are the source's (Dale's law), weights are magnitudes.
"""

import numpy as np

from engine.kernel import kernel


@kernel
def forward(inputs, w, sign, w_out, alpha, kappa, rho, beta, th, gamma, refractory, x, z, psi, y):
    """One trial: fills x [steps, inputs + cells], z and psi [steps, cells], y [steps, outputs]; all start at rest.

    v = alpha v + w x - th z_before; a = rho a + z_before; z = v >= th + beta a; psi is gamma / th at the threshold,
    0 at one `th` from it and in the refractory steps; y = kappa y + w_out z. `inputs` [steps, inputs].
    """
    steps, given = inputs.shape
    cells, outputs = z.shape[1], y.shape[1]
    v, a = np.zeros(cells, w.dtype), np.zeros(cells, w.dtype)
    hold = np.zeros(cells, np.int64)
    for t in range(steps):
        for i in range(given):
            x[t, i] = inputs[t, i]
        for j in range(cells):
            x[t, given + j] = z[t - 1, j] if t > 0 else w.dtype.type(0)
        for j in range(cells):
            before = x[t, given + j]
            v[j] = alpha * v[j] - th * before
            a[j] = rho * a[j] + before
        for i in range(given + cells):
            if x[t, i] != 0:
                for j in range(cells):
                    v[j] += sign[i] * w[j, i]
        for j in range(cells):
            level = th + beta[j] * a[j]
            z[t, j] = psi[t, j] = 0
            if hold[j] > 0:
                hold[j] -= 1
                continue
            psi[t, j] = gamma / th * max(w.dtype.type(1) - abs(v[j] - level) / th, w.dtype.type(0))
            if v[j] >= level:
                z[t, j] = 1
                hold[j] = refractory
        for k in range(outputs):
            drive = kappa * y[t - 1, k] if t > 0 else w.dtype.type(0)
            for j in range(cells):
                drive += sign[given + j] * w_out[k, j] * z[t, j]
            y[t, k] = drive


@kernel
def errors(y, label, first, error):
    """Softmax minus target [steps, outputs] in the answer, steps `first` on, per step of it; returns (loss, answer)."""
    steps, outputs = y.shape
    loss, total = 0.0, np.zeros(outputs)
    error[:] = 0
    for t in range(first, steps):
        top = y[t].max()
        total += y[t]
        norm = 0.0
        for k in range(outputs):
            norm += np.exp(y[t, k] - top)
        for k in range(outputs):
            error[t, k] = (np.exp(y[t, k] - top) / norm - (k == label)) / (steps - first)
        loss -= (y[t, label] - top - np.log(norm)) / (steps - first)
    return loss, np.argmax(total)


@kernel
def eprop_gradient(x, sign, z, psi, error, feedback, alpha, kappa, rho, beta, regular, gradient):
    """Add one trial's e-prop gradient to `gradient` [cells, sources].

    xbar = alpha xbar + x; e = psi (xbar - beta eps), eps = psi xbar + (rho - psi beta) eps of the step before; what
    reaches the outputs is filtered as they are, ebar = kappa ebar + e. The learning signal of cell j is
    sum_k feedback[j, k] error[k]; `regular` [cells] is added for every e: it moves rates towards theirs.
    """
    steps, sources = x.shape
    cells, outputs = z.shape[1], error.shape[1]
    xbar = np.zeros(sources, x.dtype)
    ebar = np.zeros((cells, sources), x.dtype)
    eps = np.zeros((cells, sources), x.dtype)
    for t in range(steps):
        for i in range(sources):
            xbar[i] = alpha * xbar[i] + x[t, i]
        for j in range(cells):
            signal = x.dtype.type(0)
            for k in range(outputs):
                signal += feedback[j, k] * error[t, k]
            p, r, b = psi[t, j], regular[j], beta[j]
            for i in range(sources):
                e = p * (xbar[i] - b * eps[j, i])
                if b != 0:
                    eps[j, i] = p * xbar[i] + (rho - p * b) * eps[j, i]
                ebar[j, i] = kappa * ebar[j, i] + e
                gradient[j, i] += sign[i] * (signal * ebar[j, i] + r * e)


@kernel
def bptt_gradient(x, w, sign, z, psi, error, w_out, alpha, kappa, rho, beta, regular, gradient):
    """Add one trial's gradient by back-propagation through time, with the same psi; the reset is not differentiated."""
    steps, sources = x.shape
    cells, outputs = z.shape[1], error.shape[1]
    given = sources - cells
    dy = np.zeros(outputs, x.dtype)
    dv, da, dz = np.zeros(cells, x.dtype), np.zeros(cells, x.dtype), np.zeros(cells, x.dtype)
    for t in range(steps - 1, -1, -1):
        for k in range(outputs):
            dy[k] = error[t, k] + kappa * dy[k]
        for j in range(cells):
            dz[j] = regular[j] + da[j]
            for k in range(outputs):
                dz[j] += sign[given + j] * w_out[k, j] * dy[k]
        for m in range(cells):
            if dv[m] != 0:
                for j in range(cells):
                    dz[j] += sign[given + j] * w[m, given + j] * dv[m]
        for j in range(cells):
            dv[j] = psi[t, j] * dz[j] + alpha * dv[j]
            da[j] = rho * da[j] - beta[j] * psi[t, j] * dz[j]
        for i in range(sources):
            if x[t, i] != 0:
                for j in range(cells):
                    gradient[j, i] += sign[i] * dv[j]


@kernel
def output_gradient(z, sign, error, kappa, gradient):
    """Add one trial's gradient of the output weights [outputs, cells]: exact, and local too."""
    steps, cells = z.shape
    zbar = np.zeros(cells, z.dtype)
    for t in range(steps):
        for j in range(cells):
            zbar[j] = kappa * zbar[j] + z[t, j]
        for k in range(error.shape[1]):
            if error[t, k] != 0:
                for j in range(cells):
                    gradient[k, j] += sign[j] * error[t, k] * zbar[j]
