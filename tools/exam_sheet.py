"""Contact sheet of `encephagen exam`: each scene at its onset, peak and end, drawn by the view off-screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools import exam_traces
from tools.exam_figures import marks

BEGUN = 0.2  # of the largest movement: onset on the way up, end on the way down
REST_MS = 300.0  # before the stimulus, what movement is measured from
LINGER_MS = 3000.0  # after the item's window, in which its end is looked for


def signal_of(scene, traces: dict):
    """(probe, joints) that the pictures follow: the first item's if that looks at joints, else the first that does."""
    from systems.probes import KIND_OF

    by_name = {probe.name: probe for probe in scene.probes}
    for probe in (*(by_name[claim.probe] for claim in scene.expect), *scene.probes):
        if KIND_OF.get(probe.measure) == "angle":  # a latency may be of anything
            return probe, [str(name) for name in traces[f"names/{probe.name}"]]
    return None, []


def moments(scene, traces: dict) -> dict[str, int]:
    """Name -> sample of each picture: those that the scene wants, else onset, peak and end of the first movement."""
    ticks = np.asarray(traces["tick"], float)
    if scene.exam.pictures is not None:
        return {f"{at / 1000.0:.2f} s": int(np.abs(ticks - at).argmin()) for at in scene.exam.pictures}
    probe, _ = signal_of(scene, traces)
    if probe is None:
        return {}
    begin, stop = probe.windows[0][0], scene.duration if probe.windows[0][1] is None else probe.windows[0][1]
    starts = [start for start, _, _ in marks(scene) if 0.0 < start <= begin]
    start = max(starts) if starts else begin
    rest = (ticks >= start - REST_MS) & (ticks <= start)
    signals = np.asarray(traces[f"of/{probe.name}"], float)
    moved = np.abs(signals - signals[rest if rest.any() else slice(0, 1)].mean(axis=0)).max(axis=1)
    inside = np.flatnonzero((ticks >= max(start, 0.0)) & (ticks < stop))
    after = np.flatnonzero((ticks >= max(start, 0.0)) & (ticks < min(stop + LINGER_MS, ticks[-1] + 1)))
    peak = int(inside[moved[inside].argmax()])
    small = moved < BEGUN * moved[peak]
    before, later = after[(after < peak) & small[after]], after[(after > peak) & small[after]]
    onset = int(before[-1]) if before.size else int(inside[0])
    return {"onset": min(onset, peak), "peak": peak, "end": int(later[0]) if later.size else int(after[-1])}


def draw(runs: list, condition: str, path: Path) -> Path | None:
    """A row for each scene with a body whose time courses were kept; also a picture of each row beside the scene's
    results (pictures.png). None where there is none."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = []
    for one in runs:
        traces = exam_traces.kept(one.folder, condition)
        if traces is None or "qpos" not in traces or not len(traces["tick"]):
            continue
        pictures = photographed(one, condition, traces)
        if not pictures:
            continue
        figure, axes = plt.subplots(1, len(pictures), figsize=(4.0 * len(pictures), 3.55), layout="constrained")
        figure.suptitle(f"{one.name.replace('_', ' ')}: {one.scene.title}", fontsize=12, x=0.005, ha="left")
        for (name, picture), at in zip(pictures, np.atleast_1d(axes), strict=True):
            at.imshow(picture)
            at.set_title(name, fontsize=10, loc="left")
            at.axis("off")
        figure.savefig(one.folder / "pictures.png", dpi=100)
        plt.close(figure)
        rows.append((plt.imread(one.folder / "pictures.png")[..., :3] * 255).astype(np.uint8))
    if not rows:
        return None
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    plt.imsave(path, np.concatenate(rows))
    return path


def photographed(one, condition: str, traces: dict) -> list[tuple[str, np.ndarray]]:
    """(name and time, picture) of one scene; the last is the whole body at its peak if the others are close-ups."""
    from systems.view.still import Stills

    scene, source = one.conditions[condition]
    found = moments(one.scene, traces)
    if not found:
        return []  # nothing of it can be seen
    view = one.scene.exam.view or scene.view
    with Stills(scene, source, traces.get("muscles", ())) as stills:
        part = stills.part_of(signal_of(one.scene, traces)[1])
        if one.scene.exam.close_up is not None:
            part = stills.row(one.scene.exam.close_up)
        activation = traces.get("activation")
        frames = {name: stills.frame(traces["qpos"][k], None if activation is None else activation[k],
                                     int(traces["tick"][k])) for name, k in found.items()}  # fmt: skip
        cameras = stills.cameras(list(frames.values()), part, view)
        pictures = [(titled(name, frame.time_s), stills.draw(frame, camera))
                    for (name, frame), camera in zip(frames.items(), cameras, strict=True)]  # fmt: skip
        if part is not None:
            name = "peak" if "peak" in frames else list(frames)[len(frames) // 2]
            (whole,) = stills.cameras([frames[name]], None, view)
            pictures.append((f"whole body, {titled(name, frames[name].time_s)}", stills.draw(frames[name], whole)))
    return pictures


def titled(name: str, time_s: float) -> str:
    return name if name.endswith(" s") else f"{name}, {time_s:.2f} s"
