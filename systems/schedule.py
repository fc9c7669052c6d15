"""The whole tick, top to bottom. Order is decided here and nowhere else."""

from engine.schedule import Phase
from systems.background_noise import background_noise
from systems.collect_spikes import collect_spikes
from systems.deliver_modulated import deliver_modulated
from systems.deliver_spikes import deliver_spikes
from systems.depression import depression
from systems.eprop import eprop
from systems.facilitation import facilitation
from systems.flush_spikes import flush_spikes
from systems.heterosynaptic import heterosynaptic
from systems.homeostasis import homeostasis
from systems.lif_integrate import lif_integrate
from systems.low_threshold_burst import low_threshold_burst
from systems.modulate import modulate
from systems.muscle_drive import muscle_drive
from systems.physics_step import physics_step
from systems.reflex_gate import reflex_gate
from systems.sample_record import sample_record
from systems.sense_filling import sense_filling
from systems.sense_light import sense_light
from systems.sense_muscles import sense_spindles, sense_tendon_organs
from systems.sense_touch import sense_touch
from systems.sense_vestibular import sense_vestibular
from systems.stdp import stdp
from systems.sum_drive import sum_drive
from systems.swallow import swallow
from systems.taught_depression import taught_depression
from systems.three_factor import three_factor
from systems.timeline import timeline
from systems.triplet_stdp import triplet_stdp

TICK = (
    #     phase       runs every   systems, in the order they run
    Phase("input", "tick", (timeline,)),  # events -> stimuli, forces, lesions
    # sensors, stimuli -> drive
    Phase(
        "sense",
        "body step",
        (sense_spindles, sense_tendon_organs, sense_touch, sense_vestibular, sense_light, sense_filling, sum_drive),
    ),
    Phase("deliver", "tick", (deliver_modulated, deliver_spikes, background_noise)),  # spike ring -> arrivals
    # arrivals -> v, spikes
    Phase("integrate", "tick", (low_threshold_burst, lif_integrate, collect_spikes)),
    # spikes, traces, a third factor -> weights
    Phase(
        "learn",
        "tick",
        (
            stdp,
            triplet_stdp,
            three_factor,
            eprop,
            taught_depression,
            heterosynaptic,
            homeostasis,
            depression,
            facilitation,
        ),
    ),
    Phase("modulate", "tick", (modulate,)),  # filtered spikes -> gains
    Phase("gate", "tick", (reflex_gate,)),  # gating populations -> gain of each reflex arc
    Phase("act", "tick", (muscle_drive, swallow)),  # motor-neuron spikes -> activation, milk
    Phase("body", "body step", (physics_step,)),  # activation -> pose, contacts
    Phase("observe", "block", (flush_spikes,)),  # spikes -> hash, histories, records
    Phase("record", "sample", (sample_record,)),  # columns -> record
    # settle is built into the runner: queued spawns and despawns, event queues cleared
)
