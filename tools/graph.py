"""The picture of `encephagen tables --graph`: structures are discs, projections arrows, gains threads.

What is drawn is counted in the world as built: synapses by source structure, target structure and sign.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.errors import UserError

SUFFIXES = (".svg", ".png", ".pdf")
EXCITES, INHIBITS, GAIN, INK = "#c0392b", "#2166ac", "#1b8a4b", "#222222"
RING = (5.6, 4.5)  # half axes of the ellipse the discs stand on [inch]
SIZE = (18.0, 13.6)  # inch
DISC = (0.34, 0.85)  # smallest and largest radius [inch]
BEND = 0.16  # sideways swing of an arrow, as a part of its length
PULL = 0.45  # of arrows towards the centre, past the discs between their ends
LETTERS, LINES = (28, 52), 9  # of a list of cell types: beside a disc, above or below one


@dataclass
class Node:
    """A structure."""

    name: str
    neurons: int = 0
    within: int = 0  # synapses
    cells: dict[str, bool] = field(default_factory=dict)  # cell type -> whether it excites
    stand_in: bool = False


@dataclass
class Edge:
    """All synapses of one sign from one structure to another."""

    source: str
    target: str
    excites: bool
    synapses: int = 0
    changes: bool = False  # some are modulated or learn


@dataclass
class Graph:
    """What there is to draw."""

    nodes: dict[str, Node]
    edges: list[Edge]
    gains: list[tuple[str, str, str, bool]]  # modulating structure; source, target, sign of the modulated synapses


def check(path: str) -> None:
    """One-line UserError for a file that cannot be drawn."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"--graph {path}: expected a file that ends in {', '.join(SUFFIXES)}")


def graph_of(sim) -> Graph:
    """Count neurons and synapses by structure."""
    from components.network import Synapse
    from systems.spawn.network import fanout_of

    network, world = sim.network, sim.world
    nodes = {name: Node(name) for name in network.structures}
    names = list(nodes)
    structure = np.zeros(network.neuron_count, np.int64)
    for p in network.populations:
        structure[p.neurons] = names.index(p.structure)
        node = nodes[p.structure]
        node.neurons += p.count
        node.cells[p.cell_name] = p.cell.acts_on == "ampa"
        node.stand_in = p.stand_in
    changes = np.array([bool(p.spec.rule or p.spec.modulated) for p in network.projections], bool)
    edges: dict[tuple[str, str, bool], Edge] = {}
    gains: dict[tuple[str, str, str, bool], None] = {}
    for table_name, receptor in network.receptor_of.items():
        table, start = world.tables[table_name], fanout_of(world.tables[table_name])
        if not table[Synapse.weight].any():
            continue
        excites = receptor == "ampa"
        source = structure[np.repeat(np.arange(network.neuron_count), start[:, -1] - start[:, 0])]
        target = structure[table[Synapse.post]]
        number = network.projection_of[table_name].astype(np.int64)
        kinds, counts = np.unique(np.stack([source, target, number]), axis=1, return_counts=True)
        for (s, t, k), count in zip(kinds.T, counts, strict=True):
            key = names[s], names[t], excites
            for modulation in network.projections[k].spec.modulated:
                by = modulation.by.split(".", 1)[0]
                if by in nodes:
                    gains[by, *key] = None
            if s == t:
                nodes[names[s]].within += int(count)
                continue
            edge = edges.setdefault(key, Edge(*key))
            edge.synapses += int(count)
            edge.changes |= bool(changes[k])
    return Graph(nodes, list(edges.values()), list(gains))


# where things stand -------------------------------------------------------------------------------------------------


def ordered(graph: Graph) -> list[str]:
    """Structures around the ring, so that what is strongly joined stands close: exchanges, as long as one helps."""
    names = list(graph.nodes)
    n, index = len(names), {name: k for k, name in enumerate(names)}
    joined = np.zeros((n, n))
    for edge in graph.edges:
        joined[index[edge.source], index[edge.target]] += math.log10(10 + edge.synapses)
    joined += joined.T
    step = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
    step = np.minimum(step, n - step)

    def cost(order: list[int]) -> float:
        return float((joined[np.ix_(order, order)] * step).sum())

    order = list(range(n))
    best, better = cost(order), True
    while better:
        better = False
        for i, j in itertools.combinations(range(n), 2):
            for tried in (exchanged(order, i, j), turned(order, i, j)):
                if (now := cost(tried)) < best - 1e-9:
                    order, best, better = tried, now, True
    first = order.index(int(np.argmax([graph.nodes[name].neurons for name in names])))
    return [names[k] for k in (*order[first:], *order[:first])]


def exchanged(order: list[int], i: int, j: int) -> list[int]:
    out = list(order)
    out[i], out[j] = out[j], out[i]
    return out


def turned(order: list[int], i: int, j: int) -> list[int]:
    return [*order[:i], *reversed(order[i : j + 1]), *order[j + 1 :]]


def placed(order: list[str]) -> dict[str, np.ndarray]:
    """Positions [inch] from the centre, clockwise from the top, evenly along the ellipse."""
    if len(order) == 1:
        return {order[0]: np.zeros(2)}
    fine = np.linspace(0, 2 * math.pi, 3601)
    path = np.stack([RING[0] * np.sin(fine), RING[1] * np.cos(fine)], axis=1)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    wanted = along[-1] * np.arange(len(order)) / len(order)
    return {name: path[np.searchsorted(along, at)] for name, at in zip(order, wanted, strict=True)}


def radius(neurons: int, most: int) -> float:
    """Of a disc [inch]; its area grows with the logarithm of the neurons."""
    low, high = DISC
    share = math.log10(max(neurons, 10) / 10) / max(math.log10(most / 10), 1e-9) if most > 10 else 1.0
    return math.sqrt(low**2 + (high**2 - low**2) * min(max(share, 0.0), 1.0))


def width(synapses: int) -> float:
    """Of an arrow [points]: one more for ten times the synapses."""
    return 0.35 + max(0.0, math.log10(max(synapses, 1)) - 1.0) * 0.95


# drawing ------------------------------------------------------------------------------------------------------------


def draw(sim, path: str) -> None:
    """Write the picture."""
    check(path)
    if sim.network is None:
        raise UserError(f"--graph {path}: {sim.source.name} has no brain to draw")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    graph = graph_of(sim)
    at = placed(ordered(graph))
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "encephagen", "font.size": 8}):
        figure = plt.figure(figsize=SIZE)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-SIZE[0] / 2, SIZE[0] / 2), ylim=(-SIZE[1] / 2 - 0.1, SIZE[1] / 2 - 0.1), aspect="equal")
        axes.axis("off")
        arrows(axes, graph, at)
        threads(axes, graph, at)
        discs(axes, graph, at)
        legend(axes, sim, graph)
        kind = Path(path).suffix.lower()
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
        try:
            figure.savefig(path, dpi=110, metadata=metadata)
        except OSError as error:
            raise UserError(f"--graph {path}: cannot be written ({error.strerror or error})") from error
        finally:
            plt.close(figure)


def curve(graph: Graph, at: dict, source: str, target: str, excites: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(start, control point, end) of an arrow, from rim to rim; the way back and the other sign swing elsewhere."""
    most = max(node.neurons for node in graph.nodes.values())
    start, end = at[source], at[target]
    along = end - start
    aside = np.array([along[1], -along[0]])
    inwards = -(start + end) / 2
    bend = BEND if excites else BEND + 0.13
    control = (start + end) / 2 + bend * aside + PULL * inwards
    out, back = control - start, control - end
    start = start + out / np.hypot(*out) * radius(graph.nodes[source].neurons, most)
    end = end + back / np.hypot(*back) * (radius(graph.nodes[target].neurons, most) + 0.04)
    return start, control, end


def arrows(axes, graph: Graph, at: dict) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    for edge in sorted(graph.edges, key=lambda e: -e.synapses):
        points = curve(graph, at, edge.source, edge.target, edge.excites)
        line = width(edge.synapses)
        shape = Outline(points, [Outline.MOVETO, Outline.CURVE3, Outline.CURVE3])
        colour = EXCITES if edge.excites else INHIBITS
        style = (0, (3.5, 1.6)) if edge.changes else "solid"
        axes.add_patch(FancyArrowPatch(path=shape, arrowstyle="-", linewidth=line, linestyle=style, color=colour,
                                       alpha=0.62, capstyle="butt", zorder=2))  # fmt: skip
        head(axes, points, 0.13 + 0.028 * line, colour, blunt=not edge.excites)


def head(axes, points, length: float, colour: str, *, blunt: bool) -> None:
    """An arrow head at the end of a curve; a bar for inhibition."""
    from matplotlib.patches import Polygon

    _, control, end = points
    along = (end - control) / np.hypot(*(end - control))
    aside = np.array([-along[1], along[0]])
    if blunt:
        corners = [end + 0.55 * length * aside, end - 0.55 * length * aside,
                   end - 0.55 * length * aside - 0.05 * along, end + 0.55 * length * aside - 0.05 * along]  # fmt: skip
    else:
        corners = [end + 0.02 * along, end - length * along + 0.42 * length * aside,
                   end - length * along - 0.42 * length * aside]  # fmt: skip
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, edgecolor="none", zorder=3))


def threads(axes, graph: Graph, at: dict) -> None:
    """Gains: a thin thread from the modulating structure to the middle of the arrow it acts on, or to the disc."""
    from matplotlib.patches import Circle, FancyArrowPatch
    from matplotlib.path import Path as Outline

    most = max(node.neurons for node in graph.nodes.values())
    for by, source, target, excites in graph.gains:
        start = at[by]
        if source != target:
            a, c, b = curve(graph, at, source, target, excites)
            end = 0.25 * a + 0.5 * c + 0.25 * b
        elif target == by:
            continue  # inside the disc
        else:
            away = start - at[target]
            end = at[target] + away / np.hypot(*away) * (radius(graph.nodes[target].neurons, most) + 0.05)
        away = end - start
        start = start + away / max(np.hypot(*away), 1e-9) * radius(graph.nodes[by].neurons, most)
        control = (start + end) / 2 + 0.08 * np.array([-away[1], away[0]])
        shape = Outline([start, control, end], [Outline.MOVETO, Outline.CURVE3, Outline.CURVE3])
        axes.add_patch(FancyArrowPatch(path=shape, arrowstyle="-", linewidth=0.7, color=GAIN, alpha=0.8, zorder=4))
        axes.add_patch(Circle(end, 0.055, facecolor=GAIN, edgecolor="white", linewidth=0.5, zorder=5))


def discs(axes, graph: Graph, at: dict) -> None:
    from matplotlib.patches import Circle

    most = max(node.neurons for node in graph.nodes.values())
    for name, node in graph.nodes.items():
        centre, size = at[name], radius(node.neurons, most)
        axes.add_patch(Circle(centre, size, facecolor="#f4f1ea", edgecolor=INK, linewidth=1.1, zorder=6,
                              linestyle="dashed" if node.stand_in else "solid"))  # fmt: skip
        axes.text(*centre, f"{node.neurons:,}", ha="center", va="center", fontsize=9, zorder=7, color=INK)
        out = centre / max(np.hypot(*centre), 1e-9) if np.hypot(*centre) else np.array([0.0, 1.0])
        labelled(axes, node, centre, size, out)


def labelled(axes, node: Node, centre: np.ndarray, size: float, out: np.ndarray) -> None:
    """Name, synapses within and cell types, outside the ring."""
    lines = wrapped(node.cells, LETTERS[int(abs(out[0]) < 0.3)])
    step = 0.185
    height = 0.24 + step * (1 + len(lines))
    anchor = centre + out * (size + 0.12)
    side = 0.0 if abs(out[0]) < 0.3 else math.copysign(1.0, out[0])
    horizontal = {0.0: "center", 1.0: "left", -1.0: "right"}[side]
    top = anchor[1] + height * (0.5 + 0.5 * float(np.clip(2.2 * out[1], -1, 1)))
    axes.text(anchor[0], top, node.name, ha=horizontal, va="top", fontsize=11, fontweight="bold", color=INK, zorder=8)
    within = f"{short(node.within)} synapses within" if node.within else "no synapses within"
    within = "stands in for an absent circuit" if node.stand_in else within
    axes.text(anchor[0], top - 0.25, within, ha=horizontal, va="top", fontsize=7.5, color="#666666", zorder=8)
    for number, line in enumerate(lines):
        y = top - 0.25 - step * (1 + number)
        coloured(axes, anchor[0], y, line, horizontal)


def wrapped(cells: dict[str, bool], letters: int) -> list[list[tuple[str, bool]]]:
    """Cell types in lines of about equal length."""
    lines: list[list[tuple[str, bool]]] = [[]]
    limit = max(letters, math.ceil(sum(len(c) + 2 for c in cells) / LINES))
    for cell, excites in cells.items():
        if lines[-1] and sum(len(c) + 2 for c, _ in lines[-1]) + len(cell) > limit:
            lines.append([])
        lines[-1].append((cell, excites))
    return lines


def coloured(axes, x: float, y: float, line: list[tuple[str, bool]], horizontal: str) -> None:
    """One line of cell types, each in the colour of its sign."""
    from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea

    words = [TextArea(cell, textprops={"color": EXCITES if excites else INHIBITS, "fontsize": 7.5})
             for cell, excites in line]  # fmt: skip
    box = HPacker(children=words, align="baseline", pad=0, sep=5)
    align = {"left": 0.0, "center": 0.5, "right": 1.0}[horizontal]
    axes.add_artist(AnnotationBbox(box, (x, y), frameon=False, pad=0, box_alignment=(align, 1.0), zorder=8))


def short(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count / 1e3:.1f} k" if count >= 1000 else str(count)


def legend(axes, sim, graph: Graph) -> None:
    from matplotlib.lines import Line2D

    left, top = -SIZE[0] / 2 + 0.3, SIZE[1] / 2 - 0.35
    axes.text(left, top, f"{sim.source.name}: structures and projections", fontsize=15, fontweight="bold", va="top")
    between = sum(edge.synapses for edge in graph.edges)
    axes.text(left, top - 0.36, f"{sim.network.neuron_count:,} neurons, {short(sim.network.synapse_count)} synapses, "
              f"{short(between)} of them between structures", fontsize=9, va="top", color="#444444")  # fmt: skip
    entries = [
        Line2D([], [], color=EXCITES, linewidth=2, marker=">", markersize=6, label="excites"),
        Line2D([], [], color=INHIBITS, linewidth=2, marker="|", markersize=9, markeredgewidth=2, label="inhibits"),
        Line2D([], [], color=INK, linewidth=1.6, linestyle=(0, (3.5, 1.6)), label="some of it modulated or learning"),
        Line2D([], [], color=GAIN, linewidth=0.8, marker="o", markersize=5, label="gain, driven by spikes"),
        *(Line2D([], [], color="#888888", linewidth=width(n), label=f"{n:,} synapses") for n in (100, 10_000)),
        Line2D([], [], color=INK, marker="o", markerfacecolor="#f4f1ea", linestyle="none", markersize=11,
               label="neurons (area: logarithm)"),
    ]  # fmt: skip
    axes.legend(handles=entries, loc="lower left", bbox_to_anchor=(0.012, 0.012), frameon=False, fontsize=9,
                handlelength=3.2)  # fmt: skip
