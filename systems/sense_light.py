"""Retinas: the light of the surroundings and of a panel that somebody shows -> drive of ganglion cells."""

import numpy as np

from components.body import BodyState, Light, Retina
from components.network import Inputs
from engine.kernel import kernel
from engine.schedule import Now
from engine.system import system

SIDE = 8  # an eye's image has 8 x 8 pixels, row by row from the upper left as the eye sees it
PITCH = 0.21  # tangent of a pixel: the image reaches 40 deg to each side
NEAREST = 0.1  # cosine below which a ray passes beside the panel's plane


@system(
    reads=[Now.tick, BodyState.sensors, Inputs.spread, Light.ambient, Light.ahead, Light.panel, Light.blobs,
           Retina.sensor, Retina.left, Retina.top, Retina.wide, Retina.sign, Retina.gain, Retina.adapt_step,
           Retina.first, Retina.count],
    writes=[Retina.adapted, Inputs.sense],
)  # fmt: skip
@kernel
def sense_light(
    n, tick, sensors, spread, ambient, ahead, panel, blobs, sensor, left, top, wide, sign, gain, adapt_step, first,
    count, adapted, sense,
):  # fmt: skip
    """Drive = gain x contrast, n = groups of cells; a cell is a pixel, or, in rows 0 wide, sees the diffuse light.

    Contrast (L - A) / (L + A) against the light A that the eye is used to; cells of sign -1 answer to what is darker.
    The panel is a rectangle far away that faces the eye, with dark blobs on it; where it is follows from the tick, what
    the eye sees of it from how the eye is turned (a quaternion among the sensor readings). Pixels are smoothed over
    their width. Sine and cosine by their series, to 1e-4 up to 90 deg, so that every machine rounds alike.
    """
    luminance, start, way, elevation = panel[0], panel[1], panel[2] - panel[1], panel[4]
    azimuth = start
    if way != 0.0 and panel[3] > 0.0:
        gone = panel[3] * (tick[0] - panel[7])  # in ways, there and back
        laps = np.int64(gone)
        gone -= laps
        if laps % 2 == 1:
            gone = 1.0 - gone
        azimuth = start + way * gone
    q = azimuth * azimuth
    sa = azimuth * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))))
    ca = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)))
    q = elevation * elevation
    se = elevation * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))))
    ce = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)))
    axes = np.empty((3, 3))  # of the panel, in the frame that looks straight ahead: away, left, up
    axes[0, 0], axes[0, 1], axes[0, 2] = ca * ce, sa * ce, se
    axes[1, 0], axes[1, 1], axes[1, 2] = -sa, ca, 0.0
    axes[2, 0], axes[2, 1], axes[2, 2] = -ca * se, -sa * se, ce
    seen = np.empty((3, 3))  # the same in the frame of an eye
    for g in range(n):
        light = ambient[0]
        used = adapted[g]
        adapted[g] = used + adapt_step[g] * (light - used)
        plain = sign[g] * ((light - used) / (light + used))
        shows = luminance > 0.0 and wide[g] > 0
        if shows:
            s = sensor[g]
            # world <- ahead by one quaternion, eye <- world by the inverse of another: their product
            aw, ax, ay, az = ahead[0], ahead[1], ahead[2], ahead[3]
            ew, ex, ey, ez = sensors[s], -sensors[s + 1], -sensors[s + 2], -sensors[s + 3]
            w = ew * aw - ex * ax - ey * ay - ez * az
            x = ew * ax + ex * aw + ey * az - ez * ay
            y = ew * ay - ex * az + ey * aw + ez * ax
            z = ew * az + ex * ay - ey * ax + ez * aw
            for k in range(3):
                u, v, t = axes[k, 0], axes[k, 1], axes[k, 2]
                seen[k, 0] = u + 2.0 * (y * (x * v - y * u) - z * (z * u - x * t) + w * (y * t - z * v))
                seen[k, 1] = v + 2.0 * (z * (y * t - z * v) - x * (x * v - y * u) + w * (z * u - x * t))
                seen[k, 2] = t + 2.0 * (x * (z * u - x * t) - y * (y * t - z * v) + w * (x * v - y * u))
        for k in range(count[g]):
            contrast = plain
            if shows:
                across = (3.5 - (left[g] + k % wide[g])) * PITCH
                upward = (3.5 - (top[g] + k // wide[g])) * PITCH
                depth = seen[0, 0] + across * seen[0, 1] + upward * seen[0, 2]
                if depth > NEAREST:
                    a = (seen[1, 0] + across * seen[1, 1] + upward * seen[1, 2]) / depth
                    b = (seen[2, 0] + across * seen[2, 1] + upward * seen[2, 2]) / depth
                    inside = min(max((panel[5] - abs(a)) / PITCH + 0.5, 0.0), 1.0)
                    inside *= min(max((panel[6] - abs(b)) / PITCH + 0.5, 0.0), 1.0)
                    dark = 0.0
                    for j in range(blobs.shape[0]):
                        if blobs[j, 2] > 0.0:
                            da, db = a - blobs[j, 0], b - blobs[j, 1]
                            away = (da * da + db * db) / (blobs[j, 2] * blobs[j, 2])
                            dark += max(blobs[j, 3] * (1.0 - away), 0.0)
                    here = light * (1.0 + inside * (luminance * (1.0 - min(dark, 1.0)) - 1.0))
                    contrast = sign[g] * ((here - used) / (here + used))
            contrast = contrast if contrast > 0.0 else 0.0  # never -0, which machines keep differently
            sense[first[g] + k] = np.float32(gain[g] * contrast) - spread[first[g] + k]
