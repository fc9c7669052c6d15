"""A scene -> a world ready to tick. Runs once at start; names become numbers here and nowhere else."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import numpy as np

from components.body import (
    BodyState,
    Filling,
    Gullet,
    Light,
    Milk,
    Muscle,
    Retina,
    Spindle,
    TendonOrgan,
    TouchPatch,
    Vestibular,
)
from components.network import Inputs
from components.timing import Substeps
from engine.errors import UserError
from engine.schedule import Now
from engine.units import quantity, shown
from engine.world import World
from systems.flush_spikes import SpikeObserver
from systems.physics_step import Physics
from systems.sample_record import Sampler
from systems.spawn import network as net
from systems.spawn.body import load_body, read_body_file
from systems.spawn.connectome import evened, load_connectome, normalised
from systems.spawn.graph_null import null_graph
from systems.spawn.warm_start import warm_start
from systems.spawn.water import DEPTH
from systems.timeline import BLOBS, GRIPS, Action, Targets, Timeline, actions_of

CALIBRATION = Path(__file__).resolve().parents[2] / "assets" / "circuits" / "calibration"
GRAVITY = 9.81
# A direction the head turns or leans to: axis of the reading (x out of the nose, y out of the left ear, z out of the
# crown) and its sign. Leaning forward and upward push both load the otoliths against the reading's way.
DIRECTIONS = {
    "canal": {"forward": (1, 1), "backward": (1, -1), "left": (0, -1), "right": (0, 1), "turn_left": (2, 1),
              "turn_right": (2, -1)},
    "otolith": {"forward": (0, -1), "backward": (0, 1), "left": (1, -1), "right": (1, 1), "up": (2, 1),
                "down": (2, -1)},
}  # fmt: skip
ORGANS = {  # unit of the reading, largest motion followed, fast and slow time constant [ms] (sense_vestibular)
    "canal": (1.0, 10.0, 3.0, 5700.0),  # responses saturate above 500..600 deg/s
    "otolith": (GRAVITY, 2.0, 16.0, np.inf),
}
# Parts of an eye's image: its side, first column and columns; first row and rows. Crossed fibres are the first to grow
# up (Lewis & Maurer 1992), so each eye tells of the half of the field on its own side.
ACROSS = {"left_far": ("left", 0, 2), "left_near": ("left", 2, 2), "right_near": ("right", 4, 2),
          "right_far": ("right", 6, 2)}  # fmt: skip
ALOFT = {"up": (0, 4), "down": (4, 4)}
USED_TO_LIGHT_MS = 2000.0  # fast adaptation to light (Crawford 1947), slower at birth
TWITCH_TO_TETANUS = 0.25  # force of one spike of every motor neuron / full force (0.2..0.4; Close 1972, Physiol Rev 52)


def build_world(scene, source, seed: int, threads: int, strict: bool, calibrations: dict | None = None) -> World:
    """Every table, resource and object of the scene's world.

    `calibrations` (structure, or "body" -> contents as read_calibration returns them) takes the place of the shipped
    assets.
    """
    world = World(seed, threads=threads, strict=strict)
    world.set_array(Now.tick, np.zeros(1, np.int64))
    world.set_array(Substeps.count, np.array([scene.clock.substeps], np.int64))
    body = None
    if scene.body is not None:
        poses = read_body_file(scene.body.model).poses
        if scene.body.pose is not None and scene.body.pose not in poses:
            raise source.error(f'expected one of {", ".join(poses)}, got "{scene.body.pose}"', "body", "pose")
        try:
            body = load_body(scene.body.model, scene.body.pose, scene.body.water)
        except UserError as error:
            if str(error).startswith("water: "):
                raise source.error(str(error).removeprefix("water: "), "body", "water") from None
            raise
        if scene.body.noise:
            body = body.shaken(scene.body.noise, world.streams.generator("body/noise"))
    network = make_network(world, scene, source, body, calibrations or {}) if scene.brain is not None else None
    targets = Targets(network, body)
    if body is not None:
        attach_body(world, body, network, targets)
    plan = world.add_object(Timeline(targets))
    if scene.brain is not None:
        for number, selector in enumerate(scene.brain.silence):
            try:
                plan.add(Action(0, -1, "silence", selector))
            except UserError as error:
                raise source.error(str(error), "brain", "silence", number) from None
    for number, event in enumerate(scene.timeline):
        try:
            for action in actions_of(event, targets):
                plan.add(action)
        except UserError as error:
            raise source.error(str(error), "timeline", number) from None
    for number, action in enumerate(scene.actions):  # a name that is not there is an error now, not when it is done
        try:
            for each in actions_of(action.event(0.0), targets):
                plan.check(each)
            plan.actions.append(action)
        except UserError as error:
            if not left_out(action, network, body):
                raise source.error(str(error), "actions", number, "do") from None
    world.add_object(SpikeObserver())
    world.add_object(Sampler())
    return world


def left_out(action, network, body) -> bool:
    """Whether a scene's action is for a circuit that there is, but not in this scene, or for a world without water: it
    has inherited the action."""
    if action.do.tilt is not None and body is not None and body.water is not None:
        return True
    circuit = getattr(action.do.action, "population", "").split(".")[0]
    here = network.structures if network is not None else []
    return bool(circuit) and circuit not in here and (net.CIRCUITS / f"{circuit}.yaml").exists()


def make_network(world: World, scene, source, body, given: dict[str, dict]) -> net.Network:
    """Populations, neurons, background and synapses of the scene's circuits."""
    brain = scene.brain
    loaded: dict[str, list[net.Circuit]] = {"circuits": [], "stand_ins": []}
    for key, found in loaded.items():
        for number, name in enumerate(getattr(brain, key)):
            try:
                found.append(net.load_circuit(name)[0])
            except UserError as error:
                raise source.error(str(error), "brain", key, number) from None
    circuits, absent = loaded.values()
    bodily = [c for c in circuits if c.needs_body and any(x.per in ("muscle", "patch") for x in c.cells.values())]
    if bodily and body is None:
        raise source.error(
            f"{bodily[0].structure} has a population per muscle or patch; expected a body", "brain", "circuits"
        )
    parameters = net.parameters_of(
        [*circuits, *absent], brain.profile, brain.parameters, lambda m, k: source.error(m, "brain", "parameters", k)
    )
    network = net.Network(parameters=parameters, circuits=circuits, profile=brain.profile)
    if any(cell.per == "region" for c in (*circuits, *absent) for cell in c.cells.values()):
        network.connectome = load_connectome(brain.connectome, source.path.parent)
        if brain.null is not None:
            try:
                network.connectome = null_graph(network.connectome, brain.null, world.seed)
            except UserError as error:
                raise source.error(str(error), "brain", "null") from None
        coupling = normalised(network.connectome, parameters.get("homotopic", 0.3))
        network.weights = evened(coupling, parameters.get("even_input", 0.0))
    given = given | {name: own_calibration(source, name, path) for name, path in brain.calibrations.items()}
    calibrations = {
        c.structure: given[c.structure] if c.structure in given else read_calibration(c.structure, brain.profile)
        for c in circuits
    }
    circuits = [tuned(c, calibrations[c.structure]) for c in circuits]
    network.circuits = circuits
    scale = None
    if network.connectome is not None:
        rng = world.streams.generator("region_tau")
        scale = net.region_scales(network.connectome, brain.region_tau, rng)
    network.populations = net.expand(circuits, network.connectome, body, absent, brain.profile, scale)
    of_body = given["body"] if "body" in given else read_body_calibration(body.name) if body is not None else None
    make_cells(world, network, [*circuits, *absent], brain.profile, calibrations, scene.clock.substeps,
               background_factors(network, brain.background, source))  # fmt: skip
    for name, factor in (of_body or {}).get("gains", {}).items():
        network.calibrated_gains[name] = network.calibrated_gains.get(name, 1.0) * factor
    try:
        net.make_synapses(world, network, [*circuits, *absent], body, brain.gains, brain.learning)
    except UserError as error:
        raise source.error(str(error), "brain") from None
    start(world, network, brain.profile, scene.clock.substeps)
    return network


def make_cells(world: World, network: net.Network, circuits: list[net.Circuit], profile: str,
               calibrations: dict[str, dict | None], substeps: int,
               factors: dict[str, float] | None = None) -> None:  # fmt: skip
    """Neurons of the network's populations, their parts for threads, and their background times `factors`."""
    net.make_neurons(world, network, circuits, substeps)
    network.background_hz = background_rates(network, profile, calibrations)
    for name, factor in (factors or {}).items():
        network.background_hz[name] *= factor
    for found in calibrations.values():
        network.calibrated_gains.update(found.get("gains", {}) if found else {})
    net.make_background(world, network)
    net.share_rows(world, network)


def start(world: World, network: net.Network, profile: str, substeps: int) -> None:
    """What is left once synapses stand: offsets of afferents, activity under way."""
    for population in network.populations:
        if population.cell.sense is not None:
            k = np.arange(population.count, dtype=np.float32) + 0.5
            world[Inputs.spread][population.neurons] = population.cell.sense.spread * k / population.count
    warm_start(world, network, profile, substeps)
    world.add_object(network)


def background_factors(network: net.Network, globs: dict[str, float], source) -> dict[str, float]:
    """Population -> product of the scene's factors on its background; a glob that selects none is an error."""
    factors: dict[str, float] = {}
    for glob, factor in globs.items():
        found = [p.name for p in network.populations if fnmatch.fnmatchcase(p.name, glob) and p.cell.background]
        if not found:
            raise source.error(f"no population with a background matches {shown(glob)}", "brain", "background", glob)
        for name in found:
            factors[name] = factors.get(name, 1.0) * factor
    return factors


def background_rates(network: net.Network, profile: str, calibrations: dict[str, dict | None]) -> dict[str, float]:
    """Background events per second of each population: from its file, or from the profile's calibration asset."""
    rates = {}
    for p in network.populations:
        spec = p.cell.background
        if spec is None:
            continue
        if spec.rate != "calibrated":
            rates[p.name] = spec.rate
            continue
        if calibrations[p.structure] is None:
            raise UserError(f"{p.structure}_{profile}.json: no calibration of {p.structure} for profile {profile}; "
                            "make it with the calibration tool (README)")  # fmt: skip
        table = calibrations[p.structure]["background_hz"]
        cells = table.get(p.instance) or table.get("*")
        rates[p.name] = float(cells.get(p.cell_name, 0.0)) if cells else 0.0
    return rates


def read_calibration(structure: str, profile: str) -> dict | None:
    """background_hz: instance -> cell -> events per second (`*` for instances that were not calibrated, as of own
    connectomes); gains: projection -> factor; cells: cell -> tonic, adaptation_tau, adaptation_step; bounds: lowest and
    highest of each gain and `cell.key`. None if there is no asset for the profile or for any."""
    for name in (f"{structure}_{profile}.json", f"{structure}_any.json"):
        path = CALIBRATION / name
        if path.exists():
            return checked(json.loads(path.read_text()), name)
    return None


def own_calibration(source, circuit: str, file: str) -> dict:
    """A calibration that a scene brings along."""
    path = source.path.parent / file
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or "background_hz" not in found:
            raise ValueError("no background_hz in it")
        return checked(found, path.name)
    except (OSError, ValueError, UserError) as error:
        why = getattr(error, "strerror", None) or error
        raise source.error(f"{file}: expected a calibration, found {why}", "brain", "calibrations", circuit) from None


def checked(found: dict, name: str) -> dict:
    """A calibration whose gains and constants lie within its own bounds."""
    values = dict(found.get("gains", {}))
    values |= {f"{c}.{key}": v for c, changes in found.get("cells", {}).items() for key, v in changes.items()}
    for key, (low, high) in found.get("bounds", {}).items():
        if not low <= values.get(key, low) <= high:
            raise UserError(f"{name}: {key}: expected {low:g} to {high:g}, got {values[key]:g}")
    return found


def tuned(circuit: net.Circuit, calibration: dict | None) -> net.Circuit:
    """The circuit with the constants of its cells as they were calibrated."""
    changes = (calibration or {}).get("cells", {})
    if not changes:
        return circuit
    cells = dict(circuit.cells)
    for name, values in changes.items():
        cell = cells[name]
        if "tonic" in values:
            cell = cell.model_copy(update={"tonic": values["tonic"]})
        adaptation = {k.removeprefix("adaptation_"): v for k, v in values.items() if k.startswith("adaptation_")}
        if adaptation:
            cell = cell.model_copy(update={"adaptation": cell.adaptation.model_copy(update=adaptation)})
        cells[name] = cell
    return circuit.model_copy(update={"cells": cells})


def read_body_calibration(name: str) -> dict | None:
    """gains: projection -> factor, as tuned for a body. None where the circuits hold for the body as they are."""
    path = CALIBRATION / f"body_{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def attach_body(world: World, body, network: net.Network | None, targets: Targets) -> None:
    """Physics, muscles and sense organs."""
    physics = world.add_object(Physics(body))
    model, data = physics.model, physics.data
    world.set_array(BodyState.sensors, np.array(data.sensordata, float))
    world.set_array(BodyState.ctrl, np.zeros(model.nu))
    world.set_array(BodyState.hand, np.zeros(model.nu))
    world.set_array(BodyState.joint_torque, np.zeros(model.nv))
    world.set_array(BodyState.wrench, np.zeros((model.nbody, 6)))
    world.set_array(BodyState.hold, np.array(data.eq_active, np.uint8))
    world.set_array(BodyState.holder, np.array(data.mocap_pos, float).reshape(-1, 3))
    world.set_array(BodyState.holder_turn, np.array(data.mocap_quat, float).reshape(-1, 4))
    world.set_array(BodyState.carry, np.zeros((model.nmocap, 11)))
    world.set_array(BodyState.grip, np.zeros((GRIPS, 10)))
    world.set_array(BodyState.gravity, np.array(model.opt.gravity, float))
    if body.eyes:
        address = body.sensor_address(next(iter(body.eyes.values())))[0]
        world.set_array(Light.ambient, np.ones(1))
        world.set_array(Light.ahead, world[BodyState.sensors][address : address + 4].copy())
        world.set_array(Light.panel, np.zeros(8))
        world.set_array(Light.blobs, np.zeros((BLOBS, 4)))
    targets.settle_in(world)
    if network is None:
        return
    pools: dict[str, list[net.Population]] = {}
    for p in network.populations:
        if p.cell.motor:
            pools.setdefault(p.instance, []).append(p)
    if crowded := next((name for name, found in pools.items() if len(found) > 2), None):
        raise UserError(f"muscle {crowded}: expected at most 2 motor pools, got {len(pools[crowded])}")
    muscles = [m for m in body.muscles if m.name in pools]
    if muscles:
        table = world.add_table("muscles", [Muscle], len(muscles))
        for row, muscle in enumerate(muscles):
            pool, *more = pools[muscle.name]
            table[Muscle.pool_first][row], table[Muscle.pool_count][row] = pool.first, pool.count
            for second in more:
                table[Muscle.more_first][row], table[Muscle.more_count][row] = second.first, second.count
            table[Muscle.decay][row] = np.exp(-1.0 / muscle.tau_ms)
            table[Muscle.twitch][row] = TWITCH_TO_TETANUS / sum(p.count for p in pools[muscle.name])
            table[Muscle.actuator][row], table[Muscle.ctrl_gain][row] = muscle.actuator_id, muscle.ctrl_gain
        physics.muscle_names = [m.name for m in muscles]
    if body.mouth:
        attach_mouth(world, body, network)
    groups = {"spindle": [], "tendon_organ": [], "touch": [], "water": [], "canal": [], "otolith": [], "light": [],
              "mouth": [], "stomach": []}  # fmt: skip
    for p in network.populations:
        if p.cell.sense is not None:
            organ = p.cell.sense.organ
            for kind in ("_primary", "_secondary", "_on", "_off"):
                organ = organ.removesuffix(kind)
            groups[organ].append(p)
    if groups["spindle"]:
        table = world.add_table("spindles", [Spindle], len(groups["spindle"]))
        for row, p in enumerate(groups["spindle"]):
            muscle, sense = body.muscle(p.instance), p.cell.sense
            low, high = muscle.length_range_m
            table[Spindle.length_sensor][row] = body.sensor_address(muscle.length_sensor)[0]
            table[Spindle.velocity_sensor][row] = body.sensor_address(muscle.velocity_sensor)[0]
            table[Spindle.rest_length][row], table[Spindle.length_range][row] = low, high - low
            table[Spindle.length_gain][row], table[Spindle.velocity_gain][row] = sense.gain, sense.velocity_gain
            table[Spindle.first][row], table[Spindle.count][row] = p.first, p.count
    if groups["tendon_organ"]:
        table = world.add_table("tendon_organs", [TendonOrgan], len(groups["tendon_organ"]))
        for row, p in enumerate(groups["tendon_organ"]):
            muscle = body.muscle(p.instance)
            table[TendonOrgan.force_sensor][row] = body.sensor_address(muscle.force_sensor)[0]
            table[TendonOrgan.force_scale][row] = muscle.force_sign * muscle.force_scale / muscle.max_force_n
            table[TendonOrgan.gain][row] = p.cell.sense.gain
            table[TendonOrgan.first][row], table[TendonOrgan.count][row] = p.first, p.count
    skin = [*groups["touch"], *(groups["water"] if body.water is not None else [])]
    if skin:
        table = world.add_table("touch_patches", [TouchPatch], len(skin))
        for row, p in enumerate(skin):
            patch, sense = body.patch(p.instance), p.cell.sense
            if sense.organ == "touch":
                sensor, half = body.sensor_address(patch.sensor)[0], quantity(sense.half_force, "force")
            else:
                sensor, half = body.sensor_address(DEPTH + p.instance)[0] + 2, sense.half_depth / 1000.0
            table[TouchPatch.sensor][row], table[TouchPatch.half_force][row] = sensor, half
            table[TouchPatch.gain][row] = sense.gain
            table[TouchPatch.first][row], table[TouchPatch.count][row] = p.first, p.count
            table[TouchPatch.presser][row] = patch.presser_actuator_id
    attach_head(world, body, [*groups["canal"], *groups["otolith"]])
    if body.eyes:
        attach_eyes(world, body, groups["light"])


def attach_mouth(world: World, body, network: net.Network) -> None:
    """Milk in mouth and stomach: one row of Gullet per motor pool of swallowing, of Filling per afferent population."""
    for column in (Milk.offered, Milk.mouth, Milk.stomach):
        world.set_array(column, np.zeros(1))
    pools = [p for p in network.populations if p.cell.gullet is not None]
    if pools:
        table = world.add_table("gullets", [Gullet], len(pools))
        for row, p in enumerate(pools):
            opener, nipple = body.muscle(body.mouth.opener), body.patch(body.mouth.patch)
            table[Gullet.opener_sensor][row] = body.sensor_address(opener.velocity_sensor)[0]
            table[Gullet.nipple_sensor][row] = body.sensor_address(nipple.sensor)[0]
            table[Gullet.first][row], table[Gullet.count][row] = p.first, p.count
            table[Gullet.decay][row] = np.exp(-1.0 / p.cell.gullet.tau)
            table[Gullet.twitch][row] = TWITCH_TO_TETANUS
            table[Gullet.empties][row] = p.cell.gullet.empties / 1000.0
    feel = [p for p in network.populations if p.cell.sense is not None and p.cell.sense.organ in ("mouth", "stomach")]
    if feel:
        table = world.add_table("fillings", [Filling], len(feel))
        for row, p in enumerate(feel):
            table[Filling.of_stomach][row] = p.cell.sense.organ == "stomach"
            table[Filling.gain][row], table[Filling.half_volume][row] = p.cell.sense.gain, p.cell.sense.half_volume
            table[Filling.first][row], table[Filling.count][row] = p.first, p.count


def attach_eyes(world: World, body, populations: list[net.Population]) -> None:
    """One row of Retina per population of ganglion cells."""
    if not populations:
        return
    table = world.add_table("retinas", [Retina], len(populations))
    for row, p in enumerate(populations):
        organ, sense = p.cell.sense.organ, p.cell.sense
        across, _, aloft = p.instance.rpartition("_")
        if organ == "light":
            known, found, side, left, columns, top, pixels = body.eyes, p.instance in body.eyes, p.instance, 0, 0, 0, 0
        else:
            known = [f"{a}_{b}" for a in ACROSS for b in ALOFT]
            found = p.instance in known
            side, left, columns = ACROSS.get(across, ("left", 0, 0))
            top, rows = ALOFT.get(aloft, (0, 0))
            pixels = columns * rows
        if not found:
            raise UserError(f"{p.name}: expected cells per one of {', '.join(known)}, as they feel {organ}")
        if pixels and p.count != pixels:
            raise UserError(f"{p.name}: expected {pixels} cells, one for each pixel, got {p.count}")
        table[Retina.sensor][row] = body.sensor_address(body.eyes[side])[0]
        table[Retina.left][row], table[Retina.top][row], table[Retina.wide][row] = left, top, columns
        table[Retina.sign][row] = -1.0 if organ == "light_off" else 1.0
        table[Retina.gain][row] = sense.gain
        table[Retina.adapt_step][row] = 1.0 - np.exp(-body.step_ms / USED_TO_LIGHT_MS)
        table[Retina.first][row], table[Retina.count][row] = p.first, p.count


def attach_head(world: World, body, populations: list[net.Population]) -> None:
    """One row of Vestibular per afferent population; it starts used to what the head feels at the start."""
    if not populations:
        return
    table = world.add_table("vestibular", [Vestibular], len(populations))
    sensors = world[BodyState.sensors]
    for row, p in enumerate(populations):
        organ = p.cell.sense.organ
        if p.instance not in DIRECTIONS[organ]:
            known = ", ".join(DIRECTIONS[organ])
            raise UserError(f"{p.name}: expected cells per one of {known}, as they feel {organ}")
        axis, sign = DIRECTIONS[organ][p.instance]
        unit, limit, fast_ms, slow_ms = ORGANS[organ]
        address = body.sensor_address(body.gyro if organ == "canal" else body.accel)[0] + axis
        table[Vestibular.sensor][row], table[Vestibular.scale][row] = address, sign / unit
        table[Vestibular.limit][row], table[Vestibular.gain][row] = limit, p.cell.sense.gain
        table[Vestibular.fast_step][row] = 1.0 - np.exp(-body.step_ms / fast_ms)
        table[Vestibular.slow_step][row] = 1.0 - np.exp(-body.step_ms / slow_ms)
        table[Vestibular.fast][row] = np.clip(sensors[address] * sign / unit, -limit, limit)
        table[Vestibular.first][row], table[Vestibular.count][row] = p.first, p.count
