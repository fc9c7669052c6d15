"""What a scanner saw of the brains a connectome is of: read once, for the probes that compare with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from systems.spawn.connectome import FOLDER, SHIPPED, Connectome


@dataclass(frozen=True)
class Functional:
    """Resting connectivity [regions, regions] in the connectome's order, of the subjects to fit on and the others."""

    fc: dict[str, np.ndarray]
    """`fit`, `test`, `all`."""
    fcd: dict[str, np.ndarray]
    """Quantiles of the correlations between windows (systems/bold.py), by the same names; empty if not known."""
    ceiling: dict[str, tuple[float, float, float]]
    """`plain`, `centred`: r of one subject with the mean of the others: mean, lowest, highest; empty if not known."""


def load_functional(connectome: Connectome) -> Functional | None:
    """Of a shipped connectome by its name; of one of your own its `fc`, the same for all uses; None without one."""
    name = connectome.name.split(",")[0]  # a null graph is called after what it was made of
    path = FOLDER / "functional" / SHIPPED[name][0] if name in SHIPPED else None
    if path is None or not path.is_file():
        same = connectome.fc
        return None if same is None else Functional(dict.fromkeys(("fit", "test", "all"), same), {}, {})
    return _shipped(path, connectome)


def _shipped(path: Path, connectome: Connectome) -> Functional:
    with np.load(path, allow_pickle=False) as box:
        at = {label: row for row, label in enumerate(box["labels"].tolist())}
        rows = [at[label] for label in connectome.labels]
        fc = {key: box[f"fc_{key}"][np.ix_(rows, rows)].astype(float) for key in ("fit", "test")}
        fcd = {key: box[f"fcd_{key}"].astype(float) for key in ("fit", "test")}
        ceiling = {"plain": tuple(map(float, box["ceiling"])), "centred": tuple(map(float, box["ceiling_centred"]))}
    fcd["all"] = (fcd["fit"] + fcd["test"]) / 2.0
    return Functional({**fc, "all": connectome.fc}, fcd, ceiling)
