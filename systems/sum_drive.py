"""Add up what drives each neuron besides synapses."""

from components.neuron import Membrane, TickConstants
from engine.kernel import kernel
from engine.schedule import Parts
from engine.system import system


@system(
    reads=[Parts.own, TickConstants.part, TickConstants.run, Membrane.tonic, Membrane.stimulus, Membrane.sense],
    writes=[Membrane.drive],
)
@kernel
def sum_drive(n, own, part, run, tonic, stimulus, sense, drive):
    """drive = tonic + stimulus + sense [mV], each [n]."""
    first, last = run[part[own[0]]], run[part[own[1]]]
    a, b, c, total = tonic[first:last], stimulus[first:last], sense[first:last], drive[first:last]
    for k in range(total.shape[0]):
        total[k] = a[k] + b[k] + c[k]
