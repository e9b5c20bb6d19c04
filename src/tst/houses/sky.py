"""Daylight as arrays that compiled code can read: the sky's gradient and the view from the windows."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tst.houses.colour import LINEAR_OF_BYTE, LUMINANCE
from tst.houses.scene import Outside

VIEW_GAIN = 0.3
"""Windows show a panorama this much darker than the sky it stands for, or most of it would be blown out."""


Vector = tuple[float, float, float]
"""Three numbers. Compiled code keeps them in registers, which it does not do with an array."""


class Sky(NamedTuple):
    """The world outside.

    Attributes:
        zenith, horizon, ground: radiance.
        panorama: uint8 (H, 2H, 3), or (0, 0, 3) for none.
        gain: radiance of white in the panorama.
        linear: float32 (256,), linear value of an sRGB byte.
    """

    zenith: Vector
    horizon: Vector
    ground: Vector
    panorama: np.ndarray
    gain: float
    linear: np.ndarray


def sky_of(outside: Outside) -> Sky:
    """The panorama is made as bright as the sky: a photograph does not know its own exposure."""
    zenith, horizon, ground = (
        (float(r), float(g), float(b)) for r, g, b in (outside.zenith, outside.horizon, outside.ground)
    )
    panorama = outside.panorama
    if panorama is None:
        return Sky(zenith, horizon, ground, np.zeros((0, 0, 3), np.uint8), 0.0, LINEAR_OF_BYTE)
    upper = LINEAR_OF_BYTE[panorama[: max(1, len(panorama) // 2)]].mean((0, 1)) @ LUMINANCE
    gain = VIEW_GAIN * float((np.array(zenith) + horizon) @ LUMINANCE) / 2 / max(float(upper), 0.02)
    return Sky(zenith, horizon, ground, np.ascontiguousarray(panorama), gain, LINEAR_OF_BYTE)


@njit(cache=True, nogil=True, error_model="numpy")
def gradient(sky: Sky, x: float, y: float, z: float) -> Vector:
    """Radiance of sky and ground in a direction (any length): what lights the house."""
    height = z / math.sqrt(x * x + y * y + z * z)
    up = math.sqrt(max(height, 0.0))
    down = min(1.0, max(0.0, -8.0 * height))
    sky_share = (1 - up) * (1 - down)
    return (
        sky_share * sky.horizon[0] + up * sky.zenith[0] + down * sky.ground[0],
        sky_share * sky.horizon[1] + up * sky.zenith[1] + down * sky.ground[1],
        sky_share * sky.horizon[2] + up * sky.zenith[2] + down * sky.ground[2],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def outside_radiance(sky: Sky, x: float, y: float, z: float) -> Vector:
    """What one sees outside in a direction (any length): the panorama, or the gradient where there is none."""
    panorama, table, gain = sky.panorama, sky.linear, sky.gain
    rows, columns = panorama.shape[0], panorama.shape[1]
    if rows == 0:
        return gradient(sky, x, y, z)
    across = math.atan2(y, x) / (2 * math.pi) % 1.0 * columns - 0.5
    down = (0.5 - math.atan2(z, math.sqrt(x * x + y * y)) / math.pi) * rows - 0.5
    left, top = math.floor(across), math.floor(down)
    right_share, low_share = across - left, down - top
    c0, c1 = int(left) % columns, (int(left) + 1) % columns
    r0, r1 = min(max(int(top), 0), rows - 1), min(max(int(top) + 1, 0), rows - 1)
    a, b, c, d = panorama[r0, c0], panorama[r0, c1], panorama[r1, c0], panorama[r1, c1]
    wa, wb = (1 - right_share) * (1 - low_share), right_share * (1 - low_share)
    wc, wd = (1 - right_share) * low_share, right_share * low_share
    return (
        gain * (wa * table[a[0]] + wb * table[b[0]] + wc * table[c[0]] + wd * table[d[0]]),
        gain * (wa * table[a[1]] + wb * table[b[1]] + wc * table[c[1]] + wd * table[d[1]]),
        gain * (wa * table[a[2]] + wb * table[b[2]] + wc * table[c[2]] + wd * table[d[2]]),
    )
