"""The order of the tick is part of the model: a change of it shows here, in review."""

import inspect

import pytest

from engine.component import Resource
from engine.kernel import Kernel
from systems.schedule import TICK

STORED = [
    ("input", "tick", ["timeline"]),
    (
        "sense",
        "body step",
        [
            "sense_spindles",
            "sense_tendon_organs",
            "sense_touch",
            "sense_vestibular",
            "sense_light",
            "sense_filling",
            "sum_drive",
        ],
    ),
    ("deliver", "tick", ["deliver_modulated", "deliver_spikes", "background_noise"]),
    ("integrate", "tick", ["low_threshold_burst", "nmda_arrivals", "lif_integrate", "collect_spikes"]),
    (
        "learn",
        "tick",
        [
            "stdp",
            "triplet_stdp",
            "three_factor",
            "eprop",
            "taught_depression",
            "heterosynaptic",
            "homeostasis",
            "depression",
            "facilitation",
        ],
    ),
    ("modulate", "tick", ["modulate"]),
    ("gate", "tick", ["reflex_gate"]),
    ("act", "tick", ["muscle_drive", "swallow"]),
    ("body", "body step", ["physics_step"]),
    ("observe", "block", ["flush_spikes"]),
    ("record", "sample", ["sample_record"]),
]
SYSTEMS = [s for phase in TICK for s in phase.systems]


def test_the_schedule_equals_the_stored_copy():
    assert [(p.name, p.every, [s.name for s in p.systems]) for p in TICK] == STORED


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.name)
def test_a_declaration_and_its_function_agree(system):
    """One parameter per declared column and object, after the row count; no column declared twice, none undescribed."""
    function = system.function.function if isinstance(system.function, Kernel) else system.function
    names = list(inspect.signature(function).parameters)
    columns = (*system.reads, *system.optional_reads, *system.writes, *system.optional_writes)
    assert len(names) == 1 + len(columns) + len(system.objects) and names[0] == "n"
    assert len(set(columns)) == len(columns), "a column is declared twice"
    assert function.__doc__


def test_names_are_unique_and_files_are_where_they_are_looked_for():
    names = [s.name for s in SYSTEMS]
    assert len(set(names)) == len(names)
    for s in SYSTEMS:
        module = s.function.__module__.removeprefix("systems.")
        assert module == s.name or s.name.startswith(module.split("_")[0]), f"{s.name} lives in {module}"


def test_nothing_is_read_in_a_tick_that_nobody_sets():
    """Every resource a system writes is read by someone: a system, or the front door."""
    written = {c for s in SYSTEMS for c in (*s.writes, *s.optional_writes) if issubclass(c.owner, Resource)}
    read = {c for s in SYSTEMS for c in (*s.reads, *s.optional_reads)}
    asked = {"Inputs.threshold", "Inputs.stimulus", "Inputs.sense", "Arrivals.ampa",  # shared by tables
             "Arcs.gain",  # shown by the view
             "BodyState.carry", "BodyState.holder", "BodyState.holder_turn"}  # the physics moves on  # fmt: skip
    assert {repr(c) for c in written - read} <= asked | {"SpikeLog.count"}
