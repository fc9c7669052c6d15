"""Add Poisson background events, drawn by counter, to the excitatory arrivals of this tick."""

import numpy as np

from components.network import Arrivals
from components.neuron import Background, BackgroundRates
from engine.draws import philox4x32
from engine.kernel import kernel
from engine.lanes import LANES, bits, ints, load, lowest, store, tally
from engine.schedule import Now, Parts
from engine.system import system

B = 128  # Philox blocks drawn together in one vector loop
MOST = 96  # events of a block in a tick; 32 are expected at the highest rate, and more than 96 less than once in 1e18


@system(
    reads=[Now.tick, Parts.own, Background.first, Background.count, Background.key0, Background.key1,
           Background.index, Background.rate_class, Background.psp, BackgroundRates.threshold,
           BackgroundRates.part],
    writes=[Arrivals.ampa],
)  # fmt: skip
@kernel
def background_noise(n, tick, own, first, count, key0, key1, index, rate_class, psp, threshold, part, ampa):
    """Events of one tick for every block of the background table, shape [n]: how many, then each one's neuron.

    A Poisson number of events, each given to one of 16 places at random, is an independent Poisson number at every
    place; places without a neuron keep theirs to themselves. The number is drawn by inversion. Draws are keyed by
    (population's key, tick, block in the population): nothing else moves them.
    """
    low = np.uint64(tick[0]) & np.uint64(0xFFFFFFFF)
    high = np.uint64(tick[0]) >> np.uint64(32)
    thresholds = threshold.ravel()
    words = np.empty(4 * B, np.uint32)  # one array: vector code for many would have to prove them apart
    begin, end = part[own[0]], part[own[1]]
    for base in range(begin, end, B):
        m = min(B, end - base)
        k0, k1, block = key0[base : base + m], key1[base : base + m], index[base : base + m]
        for q in range(m):
            w0, w1, w2, w3 = philox4x32(
                np.uint64(k0[q]), np.uint64(k1[q]), low, high, np.uint64(block[q]), np.uint64(0)
            )
            words[q] = w0
            words[B + q] = w1
            words[2 * B + q] = w2
            words[3 * B + q] = w3
        for q in range(m):
            row = base + q
            u = ints(np.int32(np.int64(words[q]) - (1 << 31)))
            at = rate_class[row] * MOST
            events = lowest(~bits(u > load(thresholds, at, LANES)))
            if events == LANES:
                for k in range(LANES, MOST, LANES):
                    if events == k:
                        events += lowest(~bits(u > load(thresholds, at + k, LANES)))
            to, size, amount = first[row], count[row], ints(psp[row])
            choice = np.uint64(words[B + q]) | np.uint64(words[2 * B + q]) << np.uint64(32)
            received = tally(choice, min(events, 15))
            if events > 15:
                received = received + tally(np.uint64(words[3 * B + q]), min(events - 15, 8))
                for k in range(23, events, 8):  # each further Philox block has room for eight
                    w0, w1, w2, w3 = philox4x32(
                        np.uint64(k0[q]), np.uint64(k1[q]), low, high, np.uint64(block[q]), np.uint64(k)
                    )
                    received = received + tally(w0, min(events - k, 8))
            store(ampa, to, size, load(ampa, to, size) + received * amount)


def event_thresholds(hz: np.ndarray) -> np.ndarray:
    """BackgroundRates.threshold [classes, 96] for events per neuron and second, shape [classes]."""
    expected = LANES * np.asarray(hz, float) / 1000.0
    below = np.empty((expected.size, MOST))
    chance = total = np.exp(
        -expected
    )  # of no event; the next follow from it (importing scipy takes longer than a load)
    for events in range(MOST):
        below[:, events] = total
        chance = chance * expected / (events + 1)
        total = np.minimum(total + chance, 1.0)
    return (np.clip(np.rint(below * 2.0**32) - 1, 0, 2**32 - 1) - 2**31).astype(np.int32)
