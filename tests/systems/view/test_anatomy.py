"""Places of neurons: every population of every shipped scene has one, on its side, in its region, at its segment."""

import fnmatch
from types import SimpleNamespace

import numpy as np
import pytest

from engine.scene import load_scene
from systems.spawn import network as net
from systems.spawn.body import load_body
from systems.spawn.connectome import load_connectome
from systems.spawn.scene_model import SCENES, Scene
from systems.view.anatomy import Surface, lay_out, read_places, side_of

SHIPPED = sorted(path.relative_to(SCENES).with_suffix("").as_posix() for path in SCENES.rglob("*.yaml"))


def network_of(name: str) -> net.Network:
    """A scene's populations with their neurons numbered, without synapses."""
    scene, source = load_scene(name, Scene, [SCENES])
    brain = scene.brain
    circuits, absent = ([net.load_circuit(k)[0] for k in names] for names in (brain.circuits, brain.stand_ins))
    body = load_body(scene.body.model, scene.body.pose) if scene.body else None
    connectome = load_connectome(brain.connectome, source.path.parent)
    made = net.Network(connectome=connectome, circuits=circuits)
    made.populations = net.expand(circuits, connectome, body, absent, brain.profile)
    for p in made.populations:
        p.first, made.neuron_count = made.neuron_count, made.neuron_count + p.count
    return made


@pytest.fixture(scope="module")
def newborn():
    network = network_of("newborn")
    return network, lay_out(network)


@pytest.mark.parametrize("scene", SHIPPED)
def test_every_population_has_a_place_and_every_cell_of_the_cord_a_segment(scene):
    places = read_places()
    for p in network_of(scene).populations:
        place = places.find(p.name)
        assert place is not None, p.name
        if place.cord:
            levels = place.levels or any(fnmatch.fnmatchcase(p.instance, glob) for glob in places.cord.levels)
            assert levels, f"{p.name}: no segment"
        if place.surface:
            assert p.cell.per == "region", p.name


def test_cells_stand_on_their_own_side(newborn):
    network, anatomy = newborn
    assert anatomy.unplaced == [] and np.isfinite(anatomy.at).all()
    hemisphere = dict(zip(network.connectome.labels, network.connectome.hemisphere, strict=True))
    for p in network.populations:
        side = {"L": -1.0, "R": 1.0}[hemisphere[p.instance]] if p.cell.per == "region" else side_of(p.instance)
        x = anatomy.at[p.neurons, 0]
        if side and p.cell.per != "region":
            assert (x * side > 0).all(), p.name
        elif side:  # the surface's inner wall reaches up to a millimetre or two over the midline
            assert (x * side > -2.5).all() and np.mean(x * side > 0) > 0.9, p.name
        elif p.count > 1:
            assert (x < 0).any() and (x > 0).any(), p.name


def test_a_regions_cells_are_nearest_to_its_own_centre(newborn):
    """By hand: of the centres of the same hemisphere, the own one is the nearest for all but cells on a patch's rim."""
    network, anatomy = newborn
    connectome = network.connectome
    centre = np.array(connectome.position_mm, float)
    right = np.array([h == "R" for h in connectome.hemisphere])
    own = []
    for p in network.populations:
        if p.cell.per != "region":
            continue
        k = connectome.labels.index(p.instance)
        rivals = np.flatnonzero(right == right[k])
        away = np.linalg.norm(anatomy.at[p.neurons][:, None] - centre[rivals], axis=2)
        own.append(np.mean(rivals[away.argmin(axis=1)] == k))
    assert np.mean(own) > 0.9


def test_the_cord_is_ordered_by_segments(newborn):
    """The elbow's flexors (C5, C6) lie above its extensors (C7, C8), the toes' muscles (L5..S2) far below both."""
    network, anatomy = newborn
    cord = anatomy.cord
    share = cord.length_mm / len(cord.segments)

    def height(glob):
        return anatomy.at[network.neurons(glob), 2]

    top = cord.top_mm[2]
    flexors, extensors, toes = (height(f"*.{m}.motor") for m in ("elbow_*_flexor", "elbow_*_extensor", "toes_*"))
    assert flexors.max() <= top - 4 * share and flexors.min() >= top - 6 * share
    assert flexors.min() >= extensors.max() and extensors.min() > toes.max() + 8 * share


def test_a_population_stays_where_it_is_when_others_come_and_go(newborn):
    network, anatomy = newborn
    some = [p for p in network.populations if p.cell.per != "region"][::7]
    few = SimpleNamespace(populations=[], connectome=None, neuron_count=0)
    for p in some:
        few.populations.append(net.Population(p.structure, p.instance, p.cell_name, p.cell, first=few.neuron_count))
        few.neuron_count += p.count
    alone = lay_out(few)
    for p, q in zip(some, few.populations, strict=True):
        assert np.array_equal(anatomy.at[p.neurons], alone.at[q.neurons])


def test_a_population_nobody_placed_is_drawn_and_named(newborn):
    network, _ = newborn
    cell = network.populations[0].cell
    stranger = SimpleNamespace(
        populations=[net.Population("mine", "all", "cell", cell, first=0)], connectome=None, neuron_count=cell.count
    )
    found = lay_out(stranger)
    assert found.unplaced == ["mine.all.cell"] and np.isfinite(found.at).all()


def test_surface_is_closed_and_faces_outwards():
    """Euler: V - E + F = 2 for each half; the volume inside is that of an adult's halves (0.4 to 0.75 l each)."""
    surface = Surface.load()
    for faces, vertices in ((surface.faces, 10_242), (surface.faces_coarse, 2_562)):
        for side in (-1.0, 1.0):
            mine = faces[surface.side[faces[:, 0]] == side]
            edges = np.unique(
                np.sort(np.concatenate([mine[:, [0, 1]], mine[:, [1, 2]], mine[:, [2, 0]]]), axis=1), axis=0
            )
            assert len(np.unique(mine)) - len(edges) + len(mine) == 2 and len(np.unique(mine)) == vertices
            a, b, c = (surface.at[mine[:, k]] for k in range(3))
            volume_l = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0 / 1e6
            assert 0.35 < volume_l < 0.75
