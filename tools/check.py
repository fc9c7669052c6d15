"""`encephagen check`: is a scene right, down to the names of populations, muscles, patches and joints?"""

from __future__ import annotations

import sys

from engine.errors import UserError
from tools import common


def arguments(parser) -> None:
    parser.add_argument("scene", metavar="SCENE", nargs="*", help="scenes to check; all shipped ones if left out")
    common.add_overrides(parser)
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of scene files, for editors")
    common.add_quiet(parser)


def run(args) -> int:
    from systems.spawn.scene_model import Scene
    from tools.list import scenes as shipped

    if args.schema:
        import json

        from engine.scene import json_schema

        json.dump(json_schema(Scene), sys.stdout, indent=2)
        print()
        return 0
    scenes = args.scene or list(shipped())
    wrong = 0
    for scene in scenes:
        args.scene = scene
        try:
            text = check(args)
        except UserError as error:
            if len(scenes) == 1:
                raise
            common.say(f"encephagen: error: {error}")
            wrong += 1
        else:
            if not args.quiet:
                print(text)
    return 2 if wrong else 0


def check(args) -> str:
    """Build the whole world, of every condition too, so that every name is resolved; one line about it."""
    from systems.simulation import Simulation
    from systems.spawn.hold_rate import held_neurons, unheld
    from systems.spawn.scene_model import in_condition

    sim, _ = common.open_simulation(args)
    resolve(sim)
    experiment = sim.scene.experiment
    for name in experiment.conditions if experiment is not None else ():
        try:
            scene, source = in_condition(sim.scene, sim.source, name)
            made = Simulation(unheld(scene), source, seed=args.seed)
            resolve(made)
            if scene.brain is not None and scene.brain.hold_rate is not None:
                held_neurons(made, scene.brain.hold_rate.of)
        except UserError as error:
            raise UserError(str(error).removesuffix(f" (in condition {name})") + f" (in condition {name})") from None
    return described(sim)


def resolve(sim) -> None:
    """Every name that only a measurement or a record needs."""
    from systems.probes import Probes

    Probes(sim)
    for number, selector in enumerate(sim.scene.record.voltage_of):
        try:
            sim.timeline.targets.neurons(selector)
        except UserError as error:
            raise sim.source.error(str(error), "record", "voltage_of", number) from None


def described(sim) -> str:
    """One line about a scene that is right."""
    parts = [f"{sim.scene.duration / 1000:g} s"]
    if sim.network is not None:
        parts.append(f"{sim.network.neuron_count:,} neurons in {len(sim.network.populations)} populations, "
                     f"{sim.network.synapse_count:,} synapses")  # fmt: skip
    if sim.body is not None:
        parts.append(f"body {sim.body.name} with {len(sim.body.muscles)} muscles, {len(sim.body.patches)} patches")
    for many, what in ((sim.scene.timeline, "events"), (sim.scene.probes, "probes"), (sim.scene.expect, "claims")):
        if many:
            parts.append(f"{len(many)} {what}")
    if sim.scene.experiment is not None:
        e = sim.scene.experiment
        parts.append(f"experiment of {len(e.conditions)} conditions, {e.seeds} seeds, {len(e.claims)} claims")
    return f"{sim.source.name}: ok: {'; '.join(parts)}"
