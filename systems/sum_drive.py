"""Add up what drives each neuron besides synapses."""

from components.neuron import Membrane
from engine.kernel import kernel
from engine.system import system


@system(reads=[Membrane.tonic, Membrane.stimulus, Membrane.sense], writes=[Membrane.drive])
@kernel
def sum_drive(n, tonic, stimulus, sense, drive):
    """drive = tonic + stimulus + sense [mV], each [n]."""
    for k in range(n):
        drive[k] = tonic[k] + stimulus[k] + sense[k]
