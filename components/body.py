"""Muscles and sense organs: where the nervous system meets the body."""

from engine.component import Component, Resource, column


class Muscle(Component):
    """One row per muscle. Activation is a first-order response to the spikes of the muscle's motor pool."""

    pool_first = column("i4", unit="neuron", doc="First motor neuron of the pool in the global index.")
    pool_count = column("i4", unit="neuron", doc="Motor neurons in the pool.")
    more_first = column("i4", unit="neuron", doc="First motor neuron of the muscle's second pool, if it has one.")
    more_count = column("i4", unit="neuron", doc="Motor neurons in the second pool, 0 if there is none.")
    decay = column("f4", unit="1", doc="exp(-tick / tau_activation).")
    twitch = column("f4", unit="1", doc="Mean activation added by a spike; units grow over the pool.")
    activation = column("f4", unit="1", doc="0 (slack) .. 1 (maximum force).")
    actuator = column("i4", unit="1", doc="Actuator the muscle drives.")
    ctrl_gain = column("f4", unit="1", doc="Control added per unit activation; the sign is the pulling direction.")


class Spindle(Component):
    """One row per muscle-spindle or tendon-organ afferent group: a sensor, and the neurons it drives."""

    length_sensor = column("i4", unit="1", doc="Address of the muscle-length reading.")
    velocity_sensor = column("i4", unit="1", doc="Address of the lengthening-velocity reading.")
    rest_length = column("f4", unit="m", doc="Length at which the spindle is just taut.")
    length_range = column("f4", unit="m", doc="Longest minus shortest length the joint allows.")
    length_gain = column("f4", unit="mV", doc="Drive per unit stretch (fraction of length_range).")
    velocity_gain = column("f4", unit="mV", doc="Drive per (range/s)^(5/8) of lengthening.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")


class TendonOrgan(Component):
    """One row per tendon-organ group."""

    force_sensor = column("i4", unit="1", doc="Address of the actuator-force reading.")
    force_scale = column("f4", unit="1/N", doc="Signed 1 / maximum force; a pull of this muscle reads positive.")
    gain = column("f4", unit="mV", doc="Drive at maximum force.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")


class Vestibular(Component):
    """One row per group of afferents of a semicircular canal or an otolith organ that signal one direction.

    Two leaky integrators in a row; `slow` follows `fast`, and what `slow` takes away makes a band-pass of it.
    """

    sensor = column("i4", unit="1", doc="Address of the reading of the axis.")
    scale = column("f4", unit="1/SI", doc="Signed: rad/s (canals) or g (otoliths) towards the direction per reading.")
    limit = column("f4", unit="rad/s or g", doc="Largest motion the organ follows.")
    gain = column("f4", unit="mV", doc="Drive per rad/s or per g.")
    fast_step = column("f4", unit="1", doc="1 - exp(-body step / tau_fast): inertia of cupula or otolith.")
    slow_step = column("f4", unit="1", doc="1 - exp(-body step / tau_slow): the cupula springs back; 0: it does not.")
    fast = column("f8", unit="rad/s or g", doc="What the organ has followed.")
    slow = column("f8", unit="rad/s or g", doc="What it has got used to.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")


class TouchPatch(Component):
    """One row per patch of skin and what is felt there: pressure, or water over it."""

    sensor = column("i4", unit="1", doc="Address of the reading: contact force, or depth under the water's surface.")
    gain = column("f4", unit="mV", doc="Drive far above `half_force`; half of it there.")
    half_force = column("f4", unit="N or m", doc="Force, or depth, of half-maximal drive.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")
    presser = column("i4", unit="1", init=-1, doc="Actuator of the examiner's fingertip, -1 if there is none.")


class Milk(Resource):
    """What is drunk: drawn from a nipple into the mouth, squeezed from there into the stomach."""

    offered = column("f8", unit="mL/m", doc="Milk drawn per metre by which the opener of the jaw shortens; 0: no milk; "
                     "shape [1].")  # fmt: skip
    mouth = column("f8", unit="mL", doc="Milk in the mouth; shape [1].")
    stomach = column("f8", unit="mL", doc="Milk in the stomach; shape [1].")


class Gullet(Component):
    """One row per motor pool of swallowing. Activation is a first-order response to its spikes, as of a muscle."""

    opener_sensor = column("i4", unit="1", doc="Address of the lengthening velocity of the jaw's opener.")
    nipple_sensor = column("i4", unit="1", doc="Address of the contact force of what is in the mouth.")
    first = column("i4", unit="neuron", doc="First motor neuron in the global index.")
    count = column("i4", unit="neuron", doc="Motor neurons.")
    decay = column("f4", unit="1", doc="exp(-tick / tau_activation).")
    twitch = column("f4", unit="1", doc="Activation added by a spike of every motor neuron.")
    empties = column("f4", unit="mL/tick", doc="Milk that full activation squeezes on.")
    activation = column("f4", unit="1", doc="0 (slack) .. 1 (maximum force).")


class Filling(Component):
    """One row per group of afferents that feel how full mouth or stomach is."""

    of_stomach = column("u1", unit="flag", doc="1: stomach, 0: mouth.")
    gain = column("f4", unit="mV", doc="Drive far above `half_volume`; half of it there.")
    half_volume = column("f4", unit="mL", doc="Volume of half-maximal drive.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")


class Retina(Component):
    """One row per group of ganglion cells: a part of one eye's image, a cell for each pixel, or its diffuse light."""

    sensor = column("i4", unit="1", doc="Address of the quaternion by which the eye is turned in the world.")
    left = column("i4", unit="pixel", doc="First column of the image.")
    top = column("i4", unit="pixel", doc="First row of the image.")
    wide = column("i4", unit="pixel", doc="Columns; 0: the cells see no image but the diffuse light.")
    sign = column("f4", unit="1", doc="1: cells answer to what is brighter than usual, -1: to what is darker.")
    gain = column("f4", unit="mV", doc="Drive at a contrast of 1.")
    adapt_step = column("f4", unit="1", doc="1 - exp(-body step / tau): the eye gets used to the light.")
    adapted = column("f8", unit="1", init=1.0, doc="Light the eye is used to.")
    first = column("i4", unit="neuron", doc="First afferent in the table that carries them.")
    count = column("i4", unit="neuron", doc="Afferents.")


class Light(Resource):
    """What there is to see; set by the timeline. Luminances are multiples of the usual light of the room."""

    ambient = column("f8", unit="1", doc="Light of the surroundings; shape [1].")
    ahead = column("f8", unit="1", doc="Quaternion of what is straight ahead (x), left (y) and up (z) for the panel: "
                   "as the eyes look when the scene starts; shape [4].")  # fmt: skip
    panel = column("f8", unit="1, rad, 1/tick, 1, tick", doc="Luminance (0: no panel), azimuth from and to, ways per "
                   "tick, elevation, tangents of half its width and height, tick it appeared; shape [8].")  # fmt: skip
    blobs = column("f8", unit="1", doc="Dark blobs on it: place to the left and up, radius (0: none), depth; tangents; "
                   "shape [blobs, 4].")  # fmt: skip


class BodyState(Resource):
    """What crosses between the neural systems, the outside world and the physics."""

    sensors = column("f8", unit="SI", doc="All sensor readings; written by physics_step; shape [sensor values].")
    ctrl = column("f8", unit="1", doc="Muscle control of every actuator; written by muscle_drive; shape [actuators].")
    hand = column("f8", unit="N", doc="The examiner's control of the fingertip actuators; shape [actuators].")
    joint_torque = column("f8", unit="N m", doc="Torque the outside world applies to each degree of freedom; [dof].")
    wrench = column("f8", unit="N, N m", doc="Force and torque the outside world applies to each part; [parts, 6].")
    hold = column("u1", unit="flag", doc="Constraints by which the examiner holds the body; shape [constraints].")
    holder = column("f8", unit="m", doc="Where the examiner's holding hands are; shape [hands, 3].")
    holder_turn = column("f8", unit="1", doc="How those hands are turned, as quaternions; shape [hands, 4].")
    carry = column("f8", unit="m, 1, flag, m/s", doc="Where they carry what they hold: place, quaternion, 1: take "
                   "hold of it where it is, 2: on the way, 0: there, how they move on; [hands, 11].")  # fmt: skip
    grip = column("f8", unit="SI", doc="Forces at points of parts: part (0: none), point on it [m], target [m] "
                  "or force [N], spring [N/m] (0: a plain force), damping [N s/m], most [N]; "
                  "shape [grips, 10].")  # fmt: skip
    gravity = column("f8", unit="m/s2", doc="Pull of gravity in the world; shape [3].")
