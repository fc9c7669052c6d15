"""Counter-based draws inside kernels: Philox4x32-7 (Salmon et al. 2011, SC'11: seven rounds pass
BigCrush), four 32-bit words per block."""

import numba as nb
import numpy as np

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


@nb.njit(inline="always")
def philox4x32(k0, k1, c0, c1, c2, c3):
    """Four independent uniform 32-bit words (held in uint64) for key (k0, k1) and counter (c0..c3), all uint64."""
    for _ in range(7):
        p0 = M0 * c0
        p1 = M1 * c2
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1 & LOW, (p0 >> SHIFT) ^ c3 ^ k1, p0 & LOW
        k0 = (k0 + W0) & LOW
        k1 = (k1 + W1) & LOW
    return c0, c1, c2, c3
