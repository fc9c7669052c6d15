"""Report of `encephagen exam` as one HTML page that needs nothing beside it: tables, pictures, time courses."""

from __future__ import annotations

import base64
import math
from pathlib import Path

from tools.exam_figures import band_text, text_in_units
from tools.exam_lesions import ENOUGH, SAME

RED, YELLOW, GREEN = (226, 106, 98), (250, 224, 132), (120, 190, 130)  # of a share of 0, a half, 1


def write(path: Path, found: dict, runs: list, figures: dict[str, dict[str, Path]], body: str) -> None:
    """`figures` are item -> file, by scene; `found` is what the exam writes as JSON."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from systems.spawn.scene_model import ASSETS
    from tools import experiment

    scenes = {one.name: one for one in runs}
    pages = Environment(loader=FileSystemLoader(ASSETS / "exam"), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    lesions = found.get("lesions")
    text = pages.get_template("report.html").render(
        body=body, seeds=len(runs[0].seeds), first_seed=runs[0].seeds[0], last_seed=runs[0].seeds[-1],
        enough=f"{ENOUGH:.0%}", same=f"{SAME:.0%}", held=sum(i["pass"] for i in found["items"]),
        items=[item(i, scenes[i["scene"]]) for i in found["items"]],
        controls=[control(c, found["items"], scenes[c["scene"]]) for c in found["controls"]],
        warnings=found["warnings"], failed=found["failed"], about=found["about"],
        scenes=[pictured(one, figures.get(one.name, {})) for one in runs], lesions=lesions,
        columns=columns(lesions) if lesions else [], matrix=coloured(lesions) if lesions else [],
        verdicts_held=sum(v["pass"] for v in lesions["verdicts"]) if lesions else 0,
    )  # fmt: skip
    experiment.write(path, text)


def worded(name: str) -> str:
    return name.replace("_", " ")


def item(found: dict, one) -> dict:
    """An item with its numbers as people write them."""
    dimension = one.scene.outcome_dimensions[found["name"]]
    low, high = (text_in_units(bound, dimension) for bound in found["interval"])
    interval = f"{low} to {high}" if None not in found["interval"] else ""
    return {**found, "scene_text": worded(found["scene"]), "name_text": worded(found["name"]),
            "value_text": text_in_units(found["value"], dimension), "interval_text": interval,
            "band_text": band_text(found["band"], dimension),
            "share_text": f"{found['pass_fraction']:.2f} of {found['seeds']}",
            "values_text": ", ".join(text_in_units(value, dimension) for value in found["values"])}  # fmt: skip


def control(found: dict, items: list[dict], one) -> dict:
    """A control beside the item it is of."""
    dimension = one.scene.outcome_dimensions[found["item"]]
    whole = next(i for i in items if (i["scene"], i["name"]) == (found["scene"], found["item"]))
    return {**found, "scene_text": worded(found["scene"]), "item_text": worded(found["item"]),
            "value_text": text_in_units(found["value"], dimension),
            "whole_text": text_in_units(whole["value"], dimension),
            "band_text": band_text(whole["band"], dimension),
            "share_text": f"{found['pass_fraction']:.2f} of {found['seeds']}"}  # fmt: skip


def pictured(one, figures: dict[str, Path]) -> dict:
    """A scene with its pictures as text."""

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode() if path.is_file() else ""

    return {"name": one.name, "text": worded(one.name), "title": one.scene.title,
            "pictures": data(one.folder / "pictures.png"),
            "figures": [{"name": worded(name), "data": data(path)} for name, path in figures.items()]}  # fmt: skip


# the matrix -------------------------------------------------------------------------------------------------------


def columns(lesions: dict) -> list[dict]:
    """A column for each item, the first of a scene marked."""
    whole = next(iter(lesions["matrix"].values()))
    return [{"text": worded(scene if number == 0 else name), "first": number == 0, "scene": scene, "item": name}
            for scene, items in whole.items() for number, name in enumerate(items)]  # fmt: skip


def coloured(lesions: dict) -> list[dict]:
    """Rows of cells with their colours; a scene that was not run under a lesion is white."""
    rows, whole = [], next(iter(lesions["matrix"].values()))
    for name, scenes in lesions["matrix"].items():
        cells = []
        for column in columns(lesions):
            share = scenes.get(column["scene"], {}).get(column["item"])
            there = (whole[column["scene"]][column["item"]] or 0.0) >= ENOUGH - 1e-9
            cells.append({"text": "" if share is None else f"{share:.2g}", "colour": colour(share),
                          "gone": share == 0.0 and there})  # fmt: skip
        rows.append({"name": worded(name), "cells": cells})
    return rows


def colour(share: float | None) -> str:
    if share is None or math.isnan(share):
        return "#ffffff"
    low, high, part = (RED, YELLOW, 2 * share) if share < 0.5 else (YELLOW, GREEN, 2 * share - 1)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(low, high, strict=True))
