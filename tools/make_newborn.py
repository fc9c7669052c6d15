"""Write assets/bodies/newborn.xml: `python -m tools.make_newborn`.

Every position below is given once, in metres, for the newborn standing upright in the anatomical zero pose: heels at
z = 0, vertex at z = 0.50, facing +x, left +y. Positive joint angles are what `flexor` says in newborn.yaml. Masses
and proportions: reference/newborn.md. Joint stiffness, damping and soft parts are our choice, made for a flexed
resting posture that gravity can disturb.
"""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from systems.spawn.body import BODY_FOLDER, read_body_file

BODY_KG = 3.4
HEAD_KG, TRUNK_KG, ARM_KG, LEG_KG = (share * BODY_KG for share in (0.25, 0.43, 0.05, 0.11))
BELLY_KG = 0.08 * TRUNK_KG  # the belly wall, which the diaphragm pushes out: newborns breathe with the belly
# A parked fingertip hovers 0.8 mm off the skin. Its armature (inertia without weight) lets 0.5 N touch down within
# 20 ms and keeps 20 N from shooting it through the lips within one step, as it would from further off.
PRESSER_KG, PRESSER_RADIUS, PRESSER_GAP = 0.0005, 0.004, 0.0008
SHORTENING_RAD_S = 20.0  # a muscle pulls less the faster it shortens, and not at all when its joint turns this fast
STRETCHED = 1.4  # a muscle that is being stretched holds at most this multiple of its isometric force

SKIN, BLUSH, LIP = "0.94 0.74 0.65 1", "0.945 0.715 0.63 1", "0.84 0.52 0.50 1"
NAPPY, WHITE, IRIS, DARK = "0.96 0.97 0.98 1", "0.97 0.97 0.97 1", "0.28 0.36 0.46 1", "0.10 0.08 0.09 1"
HAIR, NAIL, MOUTH, NIPPLE = "0.62 0.47 0.35 1", "0.97 0.82 0.77 1", "0.35 0.10 0.12 1", "0.86 0.56 0.50 1"

# joint stem: axis for the left side (the right side mirrors x and z turns), range [deg], stiffness [N m/rad],
# resting angle [deg], damping [N m s/rad], armature [kg m2]. Lower limits of knee, elbow, hip: newborn flexor tone.
JOINTS = {
    "neck_flexion": ("0 1 0", (-35, 50), 0.12, 12, 0.025, 2e-4),
    "neck_lateral": ("-1 0 0", (-40, 40), 0.12, 0, 0.025, 2e-4),
    "neck_rotation": ("0 0 1", (-85, 85), 0.04, 0, 0.015, 2e-4),
    "jaw": ("0 1 0", (0, 25), 0.12, -6, 0.003, 2e-5),
    "eye_yaw": ("0 0 1", (-40, 40), 3e-3, 0, 3e-4, 1e-6),
    "eye_pitch": ("0 1 0", (-30, 30), 3e-3, 0, 3e-4, 1e-6),
    "eye_lid": ("0 1 0", (0, 75), 6e-4, 0, 1.2e-5, 1e-6),
    "trunk_flexion": ("0 -1 0", (-25, 50), 2.0, 20, 0.12, 1e-3),
    "trunk_lateral": ("1 0 0", (-35, 35), 2.0, 0, 0.12, 1e-3),
    "trunk_rotation": ("0 0 -1", (-35, 35), 2.0, 0, 0.12, 1e-3),
    "breath": ("0 -1 0", (-3, 12), 1.0, 2, 0.12, 5e-4),
    "shoulder_flexion": ("0 -1 0", (-45, 160), 0.06, 25, 0.015, 3e-4),
    "shoulder_abduction": ("1 0 0", (-15, 120), 0.06, 50, 0.015, 3e-4),
    "shoulder_rotation": ("0 0 -1", (-90, 60), 0.03, -35, 0.008, 2e-4),
    "elbow": ("0 -1 0", (19, 145), 0.05, 95, 0.010, 2e-4),
    "wrist": ("-1 0 0", (-60, 75), 0.02, 10, 0.003, 5e-5),
    "fingers": ("-1 0 0", (-10, 100), 0.008, 55, 0.0012, 2e-5),
    "thumb": ("0.3 0 -1", (-15, 65), 0.004, 30, 0.0006, 1e-5),
    "hip_flexion": ("0 -1 0", (28, 140), 0.25, 85, 0.045, 1e-3),
    "hip_abduction": ("1 0 0", (-15, 75), 0.15, 30, 0.040, 1e-3),
    "hip_rotation": ("0 0 -1", (-70, 40), 0.08, -30, 0.020, 5e-4),
    "knee": ("0 1 0", (21, 145), 0.12, 95, 0.020, 5e-4),
    "ankle": ("0 -1 0", (-35, 60), 0.05, 15, 0.008, 1e-4),
    "ankle_inversion": ("-1 0 0", (-25, 40), 0.03, 10, 0.005, 1e-4),
    "toes": ("0 1 0", (-40, 50), 0.006, 8, 0.0010, 2e-5),
}

# pose: (trunk height z [m], quaternion, {joint stem: deg}, active equalities, seconds to settle)
LYING_UP, LYING_DOWN, STANDING = (2**-0.5, 0, -(2**-0.5), 0), (2**-0.5, 0, 2**-0.5, 0), (1, 0, 0, 0)
BENT_LEGS = {"hip_flexion": 35, "knee": 45, "ankle": 10, "hip_abduction": 5}
ON_THE_MAT = {"neck_flexion": 17, "trunk_flexion": 8}  # as it comes to rest there
POSES = {
    "supine": (0.06, LYING_UP, {}, (), 6.0),
    "prone": (0.09, LYING_DOWN, {"neck_rotation": 75, "hip_abduction": 55, "hip_flexion": 110}, (), 6.0),
    "held": (0.35, LYING_UP, {}, ("hold",), 6.0),
    "held_prone": (0.35, LYING_DOWN, {}, ("hold",), 6.0),
    "held_head": (0.35, LYING_UP, {}, ("hold", "hold_head"), 6.0),
    "head_mid": (0.042, LYING_UP, ON_THE_MAT, ("hold_head",), 6.0),
    "head_left_30": (0.042, LYING_UP, ON_THE_MAT | {"neck_rotation": 30}, ("hold_head",), 6.0),
    "head_left_70": (0.042, LYING_UP, ON_THE_MAT | {"neck_rotation": 70}, ("hold_head",), 6.0),
    "head_right_70": (0.042, LYING_UP, ON_THE_MAT | {"neck_rotation": -70}, ("hold_head",), 6.0),
    "upright": (0.31, STANDING, BENT_LEGS, ("hold",), 20.0),
    "upright_head": (0.31, STANDING, BENT_LEGS, ("hold", "hold_head"), 20.0),
}


def text(*numbers: float) -> str:
    """Numbers as MJCF writes them, at most six decimals."""
    return " ".join(f"{round(float(n), 6):.6g}" for n in np.ravel(numbers))


class Part:
    """One MJCF body under construction: takes standing coordinates, writes them relative to its origin."""

    def __init__(self, parent: "Part | ET.Element", name: str, origin, kg: float):
        base = parent.origin if isinstance(parent, Part) else np.zeros(3)
        element = parent.element if isinstance(parent, Part) else parent
        self.origin, self.kg, self.name = np.asarray(origin, float), kg, name
        self.element = ET.SubElement(element, "body", name=name, pos=text(self.origin - base))
        self.solid: list[tuple[ET.Element, float]] = []
        self.press_kg = 0.0

    def local(self, point) -> str:
        return text(np.asarray(point, float) - self.origin)

    def joint(self, stem: str, name: str, side: int = 1):
        axis, (low, high), stiffness, rest, damping, armature = JOINTS[stem]
        axis = np.array([float(a) for a in axis.split()])
        if side < 0 and not stem.startswith("eye"):  # eyes turn the same way on both sides
            axis *= (-1, 1, -1)
        ET.SubElement(
            self.element, "joint", name=name, axis=text(axis), range=text(low, high), stiffness=text(stiffness),
            springref=text(rest), damping=text(damping), armature=text(armature),
        )  # fmt: skip

    def geom(self, kind: str, size, at=None, ends=None, rgba=SKIN, name=None, touch=True, solid=True, euler=None):
        """A shape; `solid` ones share the mass of the part by volume, `touch` ones collide with the mat."""
        shape = {"type": kind, "size": text(size)}
        if ends is not None:
            a, b = (np.asarray(end, float) - self.origin for end in ends)
            shape["fromto"] = text(a, b)
            volume = np.pi * size**2 * (np.linalg.norm(b - a) + 4 / 3 * size)
        else:
            shape["pos"] = self.local(at)
            volume = 4 / 3 * np.pi * (np.prod(size) if kind == "ellipsoid" else np.max(size) ** 3)
        if euler is not None:
            shape["euler"] = text(euler)
        if name:
            shape = {"name": name} | shape
        if not touch:
            shape["class"] = "look"
        element = ET.SubElement(self.element, "geom", shape, rgba=rgba)
        if solid:
            self.solid.append((element, float(volume)))
        else:
            element.set("mass", "0")
        return element

    def patch(self, model: "Model", patch: str, skin: str, centre, radius: float, normal, site_size, site_at=None):
        """A touch patch on the geom `skin`: sensor volume, and the examiner's fingertip hovering over it."""
        normal = np.asarray(normal, float) / np.linalg.norm(normal)
        centre = np.asarray(centre, float)
        surface = centre + radius * normal
        kind = "sphere" if np.ndim(site_size) == 0 else "box"
        ET.SubElement(
            self.element, "site", name=f"touch_{patch}", type=kind, size=text(site_size),
            pos=self.local(surface if site_at is None else site_at), attrib={"class": "sense"},
        )  # fmt: skip
        tip = ET.SubElement(
            self.element, "body", name=f"press_{patch}",
            pos=self.local(surface + normal * (PRESSER_GAP + PRESSER_RADIUS)),
        )  # fmt: skip
        ET.SubElement(tip, "joint", name=f"press_{patch}", axis=text(-normal), attrib={"class": "presser"})
        ET.SubElement(tip, "geom", name=f"press_{patch}", attrib={"class": "presser"})
        self.press_kg += PRESSER_KG
        model.pairs.append((f"press_{patch}", skin))
        model.patches.append(patch)

    def weigh(self):
        """Share the part's mass, less the fingertips it carries, among its solid shapes by volume."""
        total = sum(volume for _, volume in self.solid)
        for element, volume in self.solid:
            element.set("mass", text((self.kg - self.press_kg) * volume / total))


class Model:
    """The MJCF tree and the lists that its contact, actuator and sensor sections are written from."""

    def __init__(self):
        self.pairs, self.patches, self.parts = [], [], []

    def part(self, *args) -> Part:
        self.parts.append(Part(*args))
        return self.parts[-1]


def build() -> ET.Element:
    """The whole model but for its keyframes."""
    model = Model()
    root = ET.Element("mujoco", model="newborn")
    ET.SubElement(root, "compiler", angle="degree", autolimits="true", eulerseq="XYZ")
    ET.SubElement(
        root, "option", timestep="0.002", integrator="implicitfast", solver="Newton", iterations="8",
        ls_iterations="12", tolerance="1e-6", cone="pyramidal", jacobian="sparse",
    )  # fmt: skip
    visual = ET.SubElement(root, "visual")
    ET.SubElement(visual, "headlight", ambient="0.45 0.45 0.45", diffuse="0.45 0.45 0.45", specular="0.05 0.05 0.05")
    ET.SubElement(visual, "map", znear="0.01")
    ET.SubElement(visual, "global", offwidth="1280", offheight="960")
    ET.SubElement(root, "statistic", center="0 0 0.08", extent="0.5")
    default(root)
    asset = ET.SubElement(root, "asset")
    ET.SubElement(
        asset, "texture", name="quilt", type="2d", builtin="checker", rgb1="0.70 0.80 0.86", rgb2="0.76 0.85 0.90",
        width="256", height="256",
    )  # fmt: skip
    ET.SubElement(asset, "material", name="soft", specular="0.08", shininess="0.2")
    ET.SubElement(asset, "material", name="quilt", texture="quilt", texrepeat="8 8", specular="0", shininess="0")
    world = ET.SubElement(root, "worldbody")
    ET.SubElement(world, "light", pos="0.3 -0.4 1.5", dir="-0.2 0.25 -1", directional="true", diffuse="0.5 0.5 0.5")
    ET.SubElement(
        world, "geom", name="mat", type="plane", size="0.5 0.4 0.05", material="quilt", contype="1", conaffinity="0",
        rgba="0.75 0.84 0.90 1",
    )  # fmt: skip
    for name in ("holder", "holder_head"):
        ET.SubElement(world, "body", name=name, mocap="true")
    chest = make_trunk(model, world)
    make_head(model, chest)
    for name, side in (("left", 1), ("right", -1)):
        make_arm(model, chest, name, side)
        make_leg(model, model.parts[1], name, side)
    for part in model.parts:
        part.weigh()
    sections(root, model)
    return root


def default(root: ET.Element):
    """Contact softness of skin on mat, and the classes of parts that only look, sense or press."""
    top = ET.SubElement(root, "default")
    ET.SubElement(
        top, "geom", material="soft", contype="0", conaffinity="1", condim="3", friction="0.8 0.005 0.0001",
        solref="0.02 1", solimp="0.9 0.98 0.003",
    )  # fmt: skip
    ET.SubElement(top, "joint", type="hinge", limited="true", solreflimit="0.015 1")
    look = ET.SubElement(top, "default", {"class": "look"})
    ET.SubElement(look, "geom", contype="0", conaffinity="0", group="1")
    sense = ET.SubElement(top, "default", {"class": "sense"})
    ET.SubElement(sense, "site", group="4", rgba="0.2 0.7 0.9 0.3")
    presser = ET.SubElement(top, "default", {"class": "presser"})
    ET.SubElement(
        presser, "joint", type="slide", limited="true", range=text(-0.02, PRESSER_GAP + 0.005), stiffness="15",
        damping="1", armature="0.02", solreflimit="0.004 1",
    )  # fmt: skip
    ET.SubElement(
        presser, "geom", type="sphere", size=text(PRESSER_RADIUS), mass=text(PRESSER_KG), contype="0",
        conaffinity="0", group="3", rgba="0.3 0.6 0.9 0.9",
    )  # fmt: skip
    ET.SubElement(presser, "motor", ctrlrange="0 20", ctrllimited="true")


def make_trunk(model: Model, world: ET.Element) -> Part:
    """Chest (free root) with the belly wall, and pelvis with nappy; circumference of the chest about 32 cm."""
    chest = model.part(world, "chest", (0, 0, 0.31), 0.62 * TRUNK_KG - BELLY_KG)
    ET.SubElement(chest.element, "freejoint", name="root")
    chest.geom("ellipsoid", (0.042, 0.056, 0.048), at=(0, 0, 0.327), name="chest")
    chest.geom("ellipsoid", (0.046, 0.054, 0.052), at=(0.004, 0, 0.272), name="abdomen", touch=False)
    chest.geom("ellipsoid", (0.0425, 0.0535, 0.060), at=(0.001, 0, 0.298), touch=False)
    chest.geom("ellipsoid", (0.036, 0.062, 0.017), at=(-0.002, 0, 0.348), touch=False)
    chest.geom("ellipsoid", (0.0240, 0.0535, 0.070), at=(-0.0172, 0, 0.300), touch=False)
    chest.geom("sphere", 0.0225, at=(-0.009, 0, 0.370), touch=False)
    for name, side in (("left", 1), ("right", -1)):
        y = side * 0.018
        skin = f"paraspinal_{name}"
        chest.geom("capsule", 0.011, ends=((-0.031, y, 0.270), (-0.031, y, 0.335)), name=skin)
        at = (-0.031, y, 0.302)
        size, site = (0.009, 0.0175, 0.052), (-0.040, y, 0.302)
        chest.patch(model, f"paraspinal_{name}", skin, at, 0.011, (-1, 0, 0), size, site)
        nipple = (0.0385, side * 0.022, 0.332)
        chest.geom("ellipsoid", (0.0015, 0.0045, 0.0045), at=nipple, rgba=NIPPLE, touch=False, solid=False)
    pelvis = model.part(chest, "pelvis", (0, 0, 0.245), 0.38 * TRUNK_KG)
    for stem in ("trunk_flexion", "trunk_lateral", "trunk_rotation"):
        pelvis.joint(stem, stem)
    pelvis.geom("ellipsoid", (0.046, 0.055, 0.042), at=(-0.001, 0, 0.207), rgba=NAPPY, name="pelvis")
    pelvis.geom("ellipsoid", (0.0455, 0.0545, 0.026), at=(0.001, 0, 0.225), rgba=NAPPY, touch=False, solid=False)
    belly = model.part(chest, "belly", (0.012, 0, 0.316), BELLY_KG)  # hinged at the lower end of the breastbone
    belly.joint("breath", "breath")
    belly.geom("sphere", 0.042, at=(0.012, 0, 0.268), name="belly")
    belly.geom("ellipsoid", (0.0025, 0.004, 0.004), at=(0.0530, 0, 0.262), rgba=BLUSH, touch=False, solid=False)
    belly.patch(model, "belly", "belly", (0.012, 0, 0.268), 0.042, (1, 0, 0), 0.022)
    return chest


def make_head(model: Model, chest: Part):
    """Head 12.5 cm high, 34 cm round; face, ears, eyes on two hinges each, lids, jaw."""
    head = model.part(chest, "head", (-0.008, 0, 0.377), HEAD_KG - 0.0588)
    for stem in ("neck_flexion", "neck_lateral", "neck_rotation"):
        head.joint(stem, stem)
    look = {"touch": False, "solid": False}
    head.geom("ellipsoid", (0.0585, 0.0495, 0.053), at=(-0.004, 0, 0.447), name="cranium")
    head.geom("capsule", 0.023, ends=((-0.008, 0, 0.377), (-0.006, 0, 0.415)), touch=False, name="neck")
    head.geom("ellipsoid", (0.034, 0.0420, 0.034), at=(0.017, 0, 0.416), touch=False, name="face")
    head.geom("ellipsoid", (0.0570, 0.0500, 0.0510), at=(-0.0095, 0, 0.4500), rgba=HAIR, **look)
    head.geom("ellipsoid", (0.0070, 0.0070, 0.0055), at=(0.0505, 0, 0.4215), rgba=BLUSH, **look)
    head.geom("ellipsoid", (0.0040, 0.0045, 0.0110), at=(0.0480, 0, 0.4300), euler=(0, -8, 0), **look)
    head.geom("ellipsoid", (0.0030, 0.0085, 0.0060), at=(0.0455, 0, 0.4020), rgba=MOUTH, **look)
    head.geom("capsule", 0.0024, ends=((0.0492, -0.0068, 0.4030), (0.0492, 0.0068, 0.4030)), rgba=LIP, name="lips",
              touch=False, solid=False)  # fmt: skip
    head.patch(model, "lips", "lips", (0.0492, 0, 0.4030), 0.0024, (1, 0, 0), 0.010)
    tongue = (0.0310, 0, 0.4005)  # felt by what lies in the mouth: a finger, a nipple
    head.geom("ellipsoid", (0.0050, 0.0065, 0.0028), at=tongue, rgba=LIP, name="tongue", touch=False, solid=False)
    head.patch(model, "tongue", "tongue", tongue, 0.0028, (0, 0, 1), 0.004)
    brow = np.array((0.0423, 0, 0.4550))  # where the hammer of the blink reflex taps, between the eyebrows
    head.geom("sphere", 0.0120, at=brow, name="glabella", touch=False, solid=False)
    head.patch(model, "glabella", "glabella", brow, 0.0120, (1, 0, 0.1), 0.008)
    for name, side in (("left", 1), ("right", -1)):
        skin, centre = f"cheek_{name}", np.array((0.0265, side * 0.0200, 0.4085))
        head.geom("sphere", 0.0200, at=centre, rgba=BLUSH, name=skin)
        head.patch(model, f"cheek_{name}", skin, centre, 0.0200, (0.80, side * 0.60, -0.05), 0.013)
        head.geom("ellipsoid", (0.0095, 0.0035, 0.0155), at=(-0.006, side * 0.0490, 0.425), rgba=BLUSH,
                  euler=(0, -10, side * 18), **look)  # fmt: skip
        head.geom("ellipsoid", (0.0055, 0.0035, 0.0100), at=(-0.004, side * 0.0505, 0.426), rgba="0.90 0.62 0.55 1",
                  euler=(0, -10, side * 18), **look)  # fmt: skip
        head.geom("capsule", 0.0010, ends=((0.0515, side * 0.0135, 0.4500), (0.0480, side * 0.0245, 0.4495)),
                  rgba=HAIR, **look)  # fmt: skip
        head.geom("ellipsoid", (0.0070, 0.0110, 0.0050), at=(0.0425, side * 0.0195, 0.4435),
                  euler=(0, 12, side * 12), **look)  # fmt: skip
        ET.SubElement(head.element, "site", name=f"ear_{name}", pos=head.local((-0.006, side * 0.053, 0.425)),
                      size="0.003", attrib={"class": "sense"})  # fmt: skip
        eye = model.part(head, f"eye_{name}", (0.0410, side * 0.0195, 0.4355), 0.004)
        for stem in ("eye_yaw", "eye_pitch"):
            eye.joint(stem, stem.replace("_", f"_{name}_"), side)
        x, y, z = eye.origin
        eye.geom("sphere", 0.0085, at=eye.origin, rgba=WHITE, touch=False)
        eye.geom("ellipsoid", (0.0022, 0.0050, 0.0050), at=(x + 0.0070, y, z), rgba=IRIS, **look)
        eye.geom("ellipsoid", (0.0014, 0.0024, 0.0024), at=(x + 0.0082, y, z), rgba=DARK, **look)
        eye.geom("sphere", 0.0007, at=(x + 0.0092, y + 0.0013, z + 0.0015), rgba=WHITE, **look)
        lid = model.part(head, f"lid_{name}", eye.origin, 0.0004)
        lid.joint("eye_lid", f"eye_{name}_lid", side)
        for degrees in (38, 56, 74, 92):  # slats above the open eye, under the brow; closed, they stand before it
            up = np.radians(degrees)
            at = eye.origin + 0.0072 * np.array((np.cos(up), 0, np.sin(up)))
            lid.geom("ellipsoid", (0.0028, 0.0092, 0.0028), at=at, touch=False, name=None)
        ET.SubElement(eye.element, "camera", name=f"eye_{name}", pos="0.0105 0 0", xyaxes="0 -1 0 0 0 1", fovy="90")
    ET.SubElement(head.element, "site", name="head", pos=head.local((-0.004, 0, 0.440)), size="0.004",
                  attrib={"class": "sense"})  # fmt: skip
    jaw = model.part(head, "jaw", (0.004, 0, 0.416), 0.050)
    jaw.joint("jaw", "jaw")
    jaw.geom("ellipsoid", (0.0230, 0.0290, 0.0165), at=(0.0215, 0, 0.3925), touch=False, name="jaw")
    jaw.geom("ellipsoid", (0.0095, 0.0130, 0.0100), at=(0.0370, 0, 0.3890), touch=False, name="chin")
    jaw.geom("capsule", 0.0025, ends=((0.0468, -0.0048, 0.3988), (0.0468, 0.0048, 0.3988)), rgba=LIP, **look)


def make_arm(model: Model, chest: Part, name: str, side: int):
    """Arm 20 cm long; palm towards the thigh, thumb forward in the zero pose."""
    y = side * 0.060
    upper = model.part(chest, f"upper_arm_{name}", (-0.002, y, 0.350), 0.50 * ARM_KG)
    for stem in ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation"):
        upper.joint(stem, f"{stem}_{name}", side)
    x = -0.002
    upper.geom("ellipsoid", (0.0190, 0.0188, 0.0290), at=(x, y - side * 0.003, 0.339), touch=False)
    upper.geom("capsule", 0.0175, ends=((x, y, 0.345), (x, y, 0.283)), name=f"upper_arm_{name}")
    fore = model.part(upper, f"forearm_{name}", (x, y, 0.275), 0.31 * ARM_KG)
    fore.joint("elbow", f"elbow_{name}", side)
    fore.geom("sphere", 0.0158, at=(x, y, 0.275), touch=False)
    fore.geom("capsule", 0.0145, ends=((x, y, 0.268), (x, y, 0.222)), name=f"forearm_{name}")
    fore.geom("ellipsoid", (0.0170, 0.0165, 0.0300), at=(x, y, 0.258), touch=False)
    hand = model.part(fore, f"hand_{name}", (x, y, 0.210), 0.15 * ARM_KG)
    hand.joint("wrist", f"wrist_{name}", side)
    inner = -side  # palm faces this way along y
    hand.geom("sphere", 0.0120, at=(x, y, 0.210), touch=False)
    hand.geom("ellipsoid", (0.0160, 0.0090, 0.0185), at=(x, y, 0.194), touch=False)
    hand.geom("capsule", 0.0080, ends=((x - 0.007, y, 0.192), (x + 0.007, y, 0.192)), name=f"palm_{name}")
    at = (x, y, 0.192)
    hand.patch(model, f"palm_{name}", f"palm_{name}", at, 0.0080, (0, inner, 0), (0.018, 0.007, 0.020),
               (x, y + inner * 0.005, 0.192))  # fmt: skip
    fingers = model.part(hand, f"fingers_{name}", (x, y, 0.180), 0.03 * ARM_KG)
    fingers.joint("fingers", f"fingers_{name}", side)
    for i, (dx, length) in enumerate(((0.0120, 0.0125), (0.0042, 0.0140), (-0.0036, 0.0132), (-0.0108, 0.0108))):
        knuckle = (x + dx, y, 0.180)
        middle = (x + 1.08 * dx, y + inner * 0.002, 0.180 - length)
        tip = (x + 1.10 * dx, y + inner * 0.0085, 0.180 - 1.72 * length)
        grip = {"name": f"finger_{name}"} if i == 1 else {}
        fingers.geom("capsule", 0.0042, ends=(knuckle, middle), touch=i == 1, **grip)
        fingers.geom("capsule", 0.0039, ends=(middle, tip), touch=False)
        nail = (tip[0], tip[1] - inner * 0.0026, tip[2] - 0.0020)
        fingers.geom("ellipsoid", (0.0022, 0.0012, 0.0022), at=nail, rgba=NAIL, touch=False, solid=False)
    thumb = model.part(hand, f"thumb_{name}", (x + 0.012, y + inner * 0.003, 0.200), 0.01 * ARM_KG)
    thumb.joint("thumb", f"thumb_{name}", side)
    a = thumb.origin
    b, c = a + (0.0085, inner * 0.003, -0.0085), a + (0.012, inner * 0.005, -0.018)
    thumb.geom("capsule", 0.0050, ends=(a, b), touch=False)
    thumb.geom("capsule", 0.0042, ends=(b, c), touch=False)


def make_leg(model: Model, pelvis: Part, name: str, side: int):
    """Leg 18 cm from hip to heel, foot 7.7 cm; the sole is three patches: heel, lateral edge, ball."""
    y = side * 0.031
    thigh = model.part(pelvis, f"thigh_{name}", (0.002, y, 0.190), 0.59 * LEG_KG)
    for stem in ("hip_flexion", "hip_abduction", "hip_rotation"):
        thigh.joint(stem, f"{stem}_{name}", side)
    x = 0.002
    thigh.geom("capsule", 0.0245, ends=((x, y, 0.178), (x, y, 0.128)), name=f"thigh_{name}")
    thigh.geom("ellipsoid", (0.0280, 0.0285, 0.0400), at=(x, y + side * 0.001, 0.163), touch=False)
    thigh.geom("ellipsoid", (0.0292, 0.0297, 0.0230), at=(x, y, 0.186), rgba=NAPPY, touch=False, solid=False)
    thigh.geom("sphere", 0.0195, at=(x, y, 0.107), touch=False)
    shank = model.part(thigh, f"shank_{name}", (x, y, 0.105), 0.28 * LEG_KG)
    shank.joint("knee", f"knee_{name}", side)
    shank.geom("sphere", 0.0190, at=(x, y, 0.105), touch=False)
    shank.geom("capsule", 0.0165, ends=((x, y, 0.095), (x, y, 0.038)), name=f"shank_{name}")
    shank.geom("ellipsoid", (0.0200, 0.0198, 0.0370), at=(x - 0.003, y, 0.078), touch=False)
    foot = model.part(shank, f"foot_{name}", (x - 0.002, y, 0.027), 0.11 * LEG_KG)
    foot.joint("ankle", f"ankle_{name}", side)
    foot.joint("ankle_inversion", f"ankle_inversion_{name}", side)
    out = side  # towards the little toe
    foot.geom("ellipsoid", (0.0175, 0.0150, 0.0175), at=(x - 0.003, y, 0.0235), touch=False)
    foot.geom("ellipsoid", (0.0122, 0.0122, 0.0190), at=(-0.0085, y, 0.0200), touch=False)
    foot.geom("ellipsoid", (0.0270, 0.0145, 0.0120), at=(0.013, y, 0.0160), touch=False, euler=(0, 10, 0))
    heel, edge, ball = (-0.0120, y, 0.0125), (0.0120, y + out * 0.0075, 0.0105), (0.0320, y, 0.0095)
    foot.geom("sphere", 0.0125, at=heel, name=f"sole_heel_{name}")
    foot.geom("capsule", 0.0098, ends=((0.000, y + out * 0.006, 0.0105), (0.025, y + out * 0.009, 0.0102)),
              name=f"sole_lateral_{name}")  # fmt: skip
    foot.geom("capsule", 0.0095, ends=((0.0325, y - out * 0.0095, 0.0095), (0.0305, y + out * 0.0105, 0.0095)),
              name=f"sole_ball_{name}")  # fmt: skip
    down = (0, 0, -1)
    foot.patch(model, f"sole_heel_{name}", f"sole_heel_{name}", heel, 0.0125, down, (0.0130, 0.016, 0.010),
               (-0.0145, y, 0.006))  # fmt: skip
    foot.patch(model, f"sole_lateral_{name}", f"sole_lateral_{name}", edge, 0.0098, down, (0.0120, 0.016, 0.010),
               (0.0110, y + out * 0.006, 0.006))  # fmt: skip
    foot.patch(model, f"sole_ball_{name}", f"sole_ball_{name}", ball, 0.0095, down, (0.0105, 0.023, 0.010),
               (0.0340, y, 0.006))  # fmt: skip
    toes = model.part(foot, f"toes_{name}", (0.0385, y, 0.0090), 0.02 * LEG_KG)
    toes.joint("toes", f"toes_{name}", side)
    sizes = ((-0.0110, 0.0085, 0.0062), (-0.0030, 0.0085, 0.0044), (0.0035, 0.0070, 0.0041), (0.0092, 0.0050, 0.0038))
    for dy, length, radius in (*sizes, (0.0142, 0.0022, 0.0036)):
        back, tip = (0.0350, y + out * dy, radius + 0.0010), (0.0385 + length, y + out * dy, radius)
        toes.geom("capsule", radius, ends=(back, tip), touch=False)
        nail = (tip[0] + radius * 0.55, tip[1], tip[2] + radius * 0.62)
        toes.geom("ellipsoid", radius * np.array((0.4, 0.5, 0.25)), at=nail, rgba=NAIL, touch=False, solid=False)


def sections(root: ET.Element, model: Model):
    """Contact pairs, the examiner's hands, muscles and fingertips, and every sensor."""
    contact = ET.SubElement(root, "contact")
    for tip, skin in model.pairs:
        ET.SubElement(contact, "pair", geom1=tip, geom2=skin, condim="1", solref="0.006 1", solimp="0.97 0.99 0.001")
    # What a newborn's limbs meet: the other leg, the trunk, the face. All other parts pass through one another.
    meetings = [("thigh_left", "thigh_right"), ("shank_left", "shank_right")]
    meetings += [("sole_ball_left", "sole_ball_right"), ("sole_heel_left", "sole_heel_right")]
    for side in ("left", "right"):
        meetings += [(f"palm_{side}", "belly"), (f"palm_{side}", f"cheek_{side}"), (f"forearm_{side}", "belly")]
    for one, other in meetings:
        ET.SubElement(contact, "pair", geom1=one, geom2=other, condim="1", solref="0.02 1", solimp="0.9 0.95 0.003")
    equality = ET.SubElement(root, "equality")
    for name, hand, body in (("hold", "holder", "chest"), ("hold_head", "holder_head", "head")):
        ET.SubElement(equality, "weld", name=name, body1=hand, body2=body, active="false",
                      relpose="0 0 0 1 0 0 0", solref="0.01 1")  # fmt: skip
    tendon, actuator, sensor = (ET.SubElement(root, tag) for tag in ("tendon", "actuator", "sensor"))
    for pair in read_body_file("newborn").pairs():
        for role, sign, torque in (("flexor", -1, pair.flexor_nm), ("extensor", 1, pair.extensor_nm)):
            name = f"{pair.name}_{role}"
            fixed = ET.SubElement(tendon, "fixed", name=name)
            ET.SubElement(fixed, "joint", joint=pair.joint, coef=text(sign * pair.arm_m))
            # Gain in newtons and gear -1: the force sensor reads the pull in newtons, the gain sees shortening speed.
            force = torque / pair.arm_m
            ET.SubElement(actuator, "general", name=name, tendon=name, gear="-1", ctrlrange="0 1", gaintype="affine",
                          gainprm=text(force, 0, -force / (SHORTENING_RAD_S * pair.arm_m)),
                          forcerange=text(0, STRETCHED * force))  # fmt: skip
            ET.SubElement(sensor, "tendonpos", name=f"{name}_length", tendon=name)
            ET.SubElement(sensor, "tendonvel", name=f"{name}_velocity", tendon=name)
            ET.SubElement(sensor, "actuatorfrc", name=f"{name}_force", actuator=name)
    for patch in model.patches:
        ET.SubElement(actuator, "motor", name=f"press_{patch}", joint=f"press_{patch}", attrib={"class": "presser"})
        ET.SubElement(sensor, "touch", name=f"touch_{patch}", site=f"touch_{patch}")
    for side in ("left", "right"):
        ET.SubElement(sensor, "framequat", name=f"eye_{side}", objtype="xbody", objname=f"eye_{side}")
    ET.SubElement(sensor, "gyro", name="head_gyro", site="head")
    ET.SubElement(sensor, "accelerometer", name="head_accel", site="head")


def settle(xml: str) -> list[dict[str, str]]:
    """Let every pose come to rest, limp, and return its keyframe."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(xml)
    keys = []
    for name, (height, quat, angles, active, seconds) in POSES.items():
        data = mujoco.MjData(model)
        data.qpos[:3], data.qpos[3:7] = (0, 0, height), quat
        for j in range(model.njnt):
            joint = model.joint(j)
            stem = joint.name.replace("_left", "").replace("_right", "")
            if stem in JOINTS:
                data.qpos[joint.qposadr[0]] = np.radians(angles.get(stem, JOINTS[stem][3]))
        mujoco.mj_kinematics(model, data)
        if name.startswith("upright"):  # lowered until the legs fold a little and the soles bear some weight
            soles = [i for i in range(model.ngeom) if model.geom(i).name.startswith("sole_")]
            data.qpos[2] -= min(data.geom_xpos[i, 2] - model.geom_size[i, 0] for i in soles) + 0.015
            mujoco.mj_kinematics(model, data)
        for hand, body in ((0, "chest"), (1, "head")):
            data.mocap_pos[hand], data.mocap_quat[hand] = data.body(body).xpos, data.body(body).xquat
        for equality in active:
            data.eq_active[model.equality(equality).id] = 1
        for _ in range(int(seconds / model.opt.timestep)):
            mujoco.mj_step(model, data)
        keys.append({
            "name": name, "qpos": text(data.qpos), "mpos": text(data.mocap_pos), "mquat": text(data.mocap_quat),
        })  # fmt: skip
    return keys


def main():
    root = build()
    keyframes = settle(ET.tostring(root, encoding="unicode"))
    keyframe = ET.SubElement(root, "keyframe")
    for key in keyframes:
        ET.SubElement(keyframe, "key", key)
    ET.indent(root)
    note = "<!-- Generated by `python -m tools.make_newborn`; edit that program or newborn.yaml, not this file. -->\n"
    Path(BODY_FOLDER, "newborn.xml").write_text(note + ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
