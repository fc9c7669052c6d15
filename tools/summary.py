"""What a run came to: the JSON of `run --json`, and the tables that people see."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from tools import common


def number(value: float) -> float | None:
    """A JSON number; None for what is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def results(sim, probes, args, *, device: str, load_s: float, first: int, video_s: float) -> dict:
    """The keys of design section 9, and some more."""
    from encephagen import __version__

    network = sim.network
    neurons = {"total": network.neuron_count if network else 0}
    rates: dict[str, float | None] = {}
    if network is not None:
        counts, seconds = probes.counts(), max(probes.counted_s, 1e-3)
        for name in network.structures:
            chosen = np.concatenate([np.arange(p.first, p.first + p.count)
                                     for p in network.populations if p.structure == name])  # fmt: skip
            neurons[name] = int(chosen.size)
            rates[name] = float(counts[chosen].sum() / chosen.size / seconds)
    return {
        "scene": sim.source.name,
        "title": sim.scene.title,
        "version": __version__,
        "seed": sim.seed,
        "device": device,
        "threads": sim.threads,
        "strict": sim.world.strict,
        "simulated_s": sim.time_s,
        "loaded_at_s": first / 1000.0 if first else None,
        "wall_s": sim.wall_s,
        "realtime_x": sim.realtime_x,
        "load_s": load_s,
        "video_s": video_s,
        "ticks": sim.tick,
        "tick_ms": sim.scene.clock.tick,
        "substeps": sim.scene.clock.substeps,
        "neurons": neurons,
        "synapses": network.synapse_count if network else 0,
        "rate_hz": rates,
        "spikes": {"total": int(probes.counts().sum()) if network else 0, "lost": int(sim.spikes.lost)},
        "spike_hash": sim.spike_hash,
        "body": body(sim, probes),
        "events": [{"at_s": tick / 1000.0, "what": label} for tick, label in sim.timeline.past],
        "probes": [probe_result(probes, p) for p in sim.scene.probes],
        "expect": [{"probe": c.probe, "value": number(c.value), "between": [number(c.low), number(c.high)],
                    "unit": c.unit, "pass": c.passed, "source": c.source} for c in probes.claims()],
    }  # fmt: skip


def probe_result(probes, probe) -> dict:
    from systems.probes import UNIT

    return {"name": probe.name, "measure": probe.measure, "of": probe.of, "value": number(probes.value(probe)),
            "unit": UNIT[probe.measure], "reached": probes.reached(probe)}  # fmt: skip


def body(sim, probes) -> dict | None:
    """The body at the end."""
    if sim.body is None:
        return None
    from systems.probes import posture

    fell = probes.fell_at_s
    now = posture(sim)
    return {
        "model": sim.body.name,
        "pose": sim.body.pose,
        "control_steps": sim.tick // sim.body.control_steps_ms,
        "physics_steps": sim.physics.steps,
        "fell_at_s": fell,
        "survived_s": sim.time_s if fell is None else fell,
        "height_m": now["height_m"],
        "joint_angle_rad": now["angle_rad"],
        "muscle_activation": sim.activation(),
    }


def coupling(sim, probes) -> dict | None:
    """Shares of excitatory charge, without the regions."""
    if sim.network is None or not any(p.cell.per == "region" for p in sim.network.populations):
        return None
    from systems.probes import coupling_shares

    found = coupling_shares(sim, probes.counts(), probes.counted_s)
    return {kind: number(share) for kind, share in found["mean"].items()} | {"driven": number(found["driven"])}


# tables -----------------------------------------------------------------------------------------------------------


def show(sim, probes, found: dict, args) -> None:
    """Print the summary."""
    out = common.console()
    out.print(f"{found['scene']}: {found['title']}", style="bold", soft_wrap=True)
    if sim.network is not None:
        out.print(rates(sim, found))
        out.print(groups(sim, probes))
    if found["events"]:
        out.print(events(sim, probes))
    if sim.body is not None:
        show_body(out, sim, found, args.verbose)
    if sim.scene.probes:
        out.print(measured(sim, found))
    if found.get("coupling"):
        c = found["coupling"]
        out.print("excitatory charge of cortical cells: " + ", ".join(
            f"{kind.replace('_', '-')} {100 * c[kind]:.0f} %" for kind in ("local", "long_range", "other", "background")
            if c[kind] is not None))  # fmt: skip
    if found["spikes"]["lost"]:
        out.print(f"{found['spikes']['lost']} spikes did not fit in the log", style="bold red")
    ran = found["simulated_s"] - (found["loaded_at_s"] or 0.0)
    line = f"{ran:g} s simulated in {found['wall_s']:.2f} s: {found['realtime_x']:.2f} x real time"
    line += f", {found['threads']} thread{'s' * (found['threads'] > 1)}, loaded in {found['load_s']:.1f} s"
    if found["video_s"]:
        line += f", video drawn in {found['video_s']:.1f} s"
    out.print(line)
    out.print(f"spike hash {found['spike_hash']}  seed {found['seed']}")


def rates(sim, found: dict):
    made = common.table("structures", "structure", "neurons", "rate", right=("neurons", "rate"))
    for name, hz in found["rate_hz"].items():
        made.add_row(name, f"{found['neurons'][name]:,}", f"{hz:.2f} Hz")
    made.add_row("total", f"{found['neurons']['total']:,}", f"{found['synapses']:,} synapses")
    return made


def groups(sim, probes):
    """Populations of one cell type together: mean, extremes, the band of the profile."""
    counts, seconds = probes.counts(), max(probes.counted_s, 1e-3)
    profile = sim.scene.brain.profile
    members = defaultdict(list)
    for p in sim.network.populations:
        members[p.structure, p.cell_name].append(p)
    made = common.table("population groups", "group", "populations", "cells each", "mean", "lowest", "highest", "band",
                        right=("populations", "cells each", "mean", "lowest", "highest"))  # fmt: skip
    for (structure, cell), found in members.items():
        hz = np.array([counts[p.neurons].mean() / seconds for p in found])
        band = found[0].cell.bands.get(profile)
        text = ""
        if band is not None:
            inside = int(((hz >= band.rate[0]) & (hz <= band.rate[1])).sum())
            text = f"{band.rate[0]:g} to {band.rate[1]:g} Hz: {inside} of {len(found)}"
        made.add_row(f"{structure}.{cell}", str(len(found)), str(found[0].count), f"{hz.mean():.2f} Hz",
                     f"{hz.min():.2f}", f"{hz.max():.2f}", text)  # fmt: skip
    return made


def events(sim, probes):
    from systems.probes import followed

    made = common.table("events, and what followed within 0.3 s", "at", "event", "followed by", right=("at",))
    for tick, label in sim.timeline.past[-40:]:
        made.add_row(f"{tick / 1000:g} s", label, "; ".join(followed(sim, probes, tick)) or "nothing notable")
    return made


def show_body(out, sim, found: dict, verbose: bool) -> None:
    state = found["body"]
    heights = ", ".join(f"{part} {100 * height:.1f} cm" for part, height in state["height_m"].items())
    fell = ""
    if sim.body.fell is not None:
        fell = f"; fell at {state['fell_at_s']:g} s" if state["fell_at_s"] is not None else "; did not fall"
    out.print(f"body {state['model']} ({state['pose']}): {heights}{fell}")
    active = sorted(state["muscle_activation"].items(), key=lambda item: -item[1])
    if active:
        made = common.table("strongest muscles", "muscle", "activation", right=("activation",))
        for name, value in active if verbose else active[:6]:
            made.add_row(name, f"{value:.3f}")
        out.print(made)
    if verbose:
        made = common.table("joints", "joint", "angle", right=("angle",))
        for name, angle in state["joint_angle_rad"].items():
            made.add_row(name, f"{math.degrees(angle):.1f} deg")
        out.print(made)


def measured(sim, found: dict):
    claims = {claim["probe"]: claim for claim in found["expect"]}
    made = common.table("probes", "probe", "of", "value", "expected", "holds", right=("value",))
    for probe in found["probes"]:
        claim = claims.get(probe["name"])
        value = "not reached" if not probe["reached"] else "none" if probe["value"] is None else ""
        value = value or f"{probe['value']:.4g} {probe['unit']}"
        expected, holds = "", ""
        if claim is not None:
            low, high = ("..." if x is None else f"{x:.4g}" for x in claim["between"])
            expected = f"{low} to {high} {claim['unit']}"
            holds = {True: "yes", False: "NO", None: ""}[claim["pass"]]
        made.add_row(probe["name"], f"{probe['measure']} {probe['of']}", value, expected, holds)
    return made
