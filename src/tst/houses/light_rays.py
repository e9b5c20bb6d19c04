"""Which rays leave a light sample, and what they bring back. Compiled; Embree only says what they meet.

A sample has two sides: 0 along its normal, 1 behind. Kernels work on the samples `start` to `stop` of one side and fill
buffers of rays; those towards a lamp, the sun or a window carry the light that they bring if nothing stops them.
Shape letters: S samples, J points of each, N rays, L lamps, P triangles of window panes, K rays of a hemisphere.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tst.houses.sky import Sky, gradient

LIFT = 0.003
"""Metres that rays start above their surface."""
SPREAD_STEP = 5
"""Rays towards a light are few: they take every fifth point of their sample, which lie further apart."""
LEAST_LIGHT = 0.004
"""Irradiance below which a lamp is left out; a lit room has about 1."""
LEAST_DISTANCE2 = 0.06
"""Square metres: nothing is lit as if a lamp or a window were nearer than about 25 cm."""
BARRED = -1
"""`targets` of a ray that meets something which gives no light back, or the sky, which is added at once."""


class Rays(NamedTuple):
    """A buffer of rays: origin, direction float32 (N, 3), distance to be free float32 (N,), sample int32 (N,), the
    light each brings float32 (N, 3), and the pane it must pass, int32 (N,).
    """

    origin: np.ndarray
    direction: np.ndarray
    distance: np.ndarray
    sample: np.ndarray
    light: np.ndarray
    pane: np.ndarray


class Panes(NamedTuple):
    """Window panes: corners float32 (P, 3, 3), unit normals float32 (P, 3), areas float32 (P,)."""

    corners: np.ndarray
    normal: np.ndarray
    area: np.ndarray


def ray_buffer(count: int) -> Rays:
    """Room for `count` rays."""
    vectors = [np.empty((count, 3), np.float32) for _ in range(3)]
    indices = [np.empty(count, np.int32) for _ in range(2)]
    return Rays(vectors[0], vectors[1], np.empty(count, np.float32), indices[0], vectors[2], indices[1])


def hemisphere(count: int) -> np.ndarray:
    """Directions about +z, float32 (K, 3), as dense as the cosine of their angle with it."""
    k = np.arange(count) + 0.5
    radius, turn = np.sqrt(k / count), 2 * np.pi * k * 0.6180339887498949
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), np.sqrt(1 - k / count)], 1).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _start(points: np.ndarray, normal: np.ndarray, s: int, k: int, sign: float, origin: np.ndarray, n: int) -> None:
    """Let ray n start from the k-th point of sample s; a sample's rays take its points in turn."""
    point = points[s, k % points.shape[1]]
    for axis in range(3):
        origin[n, axis] = point[axis] + sign * LIFT * normal[s, axis]


@njit(cache=True, nogil=True, error_model="numpy")
def hemisphere_rays(
    points: np.ndarray, normal: np.ndarray, sign: float, chance: np.ndarray, pattern: np.ndarray, start: int, stop: int,
    origin: np.ndarray, direction: np.ndarray,
) -> None:  # fmt: skip
    """All directions that light comes from: `pattern` (K, 3) about each normal (S, 3), turned by `chance` (S,)
    revolutions. Rays start from `points` (S, J, 3).
    """
    count = len(pattern)
    for s in range(start, stop):
        x, y, z = sign * normal[s, 0], sign * normal[s, 1], sign * normal[s, 2]
        # An orthonormal basis without a singular direction (Duff et al., 2017).
        upper = 1.0 if z >= 0 else -1.0
        a = -1 / (upper + z)
        b = x * y * a
        ux, uy, uz = 1 + upper * x * x * a, upper * b, -upper * x
        vx, vy, vz = b, upper + y * y * a, -y
        cosine, sine = math.cos(2 * math.pi * chance[s]), math.sin(2 * math.pi * chance[s])
        for k in range(count):
            n = (s - start) * count + k
            p = cosine * pattern[k, 0] - sine * pattern[k, 1]
            q = sine * pattern[k, 0] + cosine * pattern[k, 1]
            r = pattern[k, 2]
            _start(points, normal, s, k, sign, origin, n)
            direction[n, 0] = p * ux + q * vx + r * x
            direction[n, 1] = p * uy + q * vy + r * y
            direction[n, 2] = p * uz + q * vz + r * z


@njit(cache=True, nogil=True, error_model="numpy")
def targets(
    hit: np.ndarray, u: np.ndarray, v: np.ndarray, distance: np.ndarray, direction: np.ndarray,
    solid: np.ndarray, corner: np.ndarray, normal: np.ndarray, count: int, out: np.ndarray, reach: np.ndarray,
) -> None:  # fmt: skip
    """What hemisphere rays meet, as 2 x sample + side into `out` (N,), and how far each sample sees (harmonic mean).

    `hit` (N,) indexes `solid`, which holds mesh triangles; beyond its end come triangles that only stop light.
    """
    for n in range(len(hit)):
        out[n] = BARRED
        if hit[n] < 0 or hit[n] >= len(solid):
            continue
        triangle = solid[hit[n]]
        nearest = 0
        if u[n] > 1 - u[n] - v[n] and u[n] >= v[n]:
            nearest = 1
        elif v[n] > 1 - u[n] - v[n] and v[n] > u[n]:
            nearest = 2
        s = corner[triangle, nearest]
        facing = direction[n, 0] * normal[s, 0] + direction[n, 1] * normal[s, 1] + direction[n, 2] * normal[s, 2]
        out[n] = 2 * s + (1 if facing > 0 else 0)
    for s in range(len(reach)):
        total = 0.0
        for n in range(s * count, (s + 1) * count):
            if hit[n] >= 0:
                total += 1 / max(distance[n], 0.01)
        reach[s] = count / max(total, 1e-3)


@njit(cache=True, nogil=True, error_model="numpy")
def add_sky(
    sky: Sky, direction: np.ndarray, rows: np.ndarray, count: int, start: int, side: int, out: np.ndarray
) -> None:
    """Add the sky that the hemisphere rays `rows` see in the open to the irradiance `out` (S, 2, 3)."""
    share = math.pi / count
    for n in rows:
        r, g, b = gradient(sky, direction[n, 0], direction[n, 1], direction[n, 2])
        light = out[start + n // count, side]
        light[0] += share * r
        light[1] += share * g
        light[2] += share * b


@njit(cache=True, nogil=True, error_model="numpy")
def lamp_rays(
    points: np.ndarray, normal: np.ndarray, sign: float, lamps: np.ndarray, power: np.ndarray, offsets: np.ndarray,
    start: int, stop: int, rays: Rays,
) -> int:  # fmt: skip
    """Rays towards lamps (L, 3), to several points of each; returns how many."""
    n = 0
    count = len(offsets)
    for s in range(start, stop):
        for lamp in range(len(lamps)):
            brightest = max(power[lamp, 0], power[lamp, 1], power[lamp, 2])
            for k in range(count):
                place = (k + lamp) * SPREAD_STEP
                _start(points, normal, s, place, sign, rays.origin, n)
                x = lamps[lamp, 0] + offsets[k, 0] - rays.origin[n, 0]
                y = lamps[lamp, 1] + offsets[k, 1] - rays.origin[n, 1]
                z = lamps[lamp, 2] + offsets[k, 2] - rays.origin[n, 2]
                distance2 = x * x + y * y + z * z
                distance = math.sqrt(distance2)
                cosine = sign * (x * normal[s, 0] + y * normal[s, 1] + z * normal[s, 2]) / max(distance, 1e-6)
                share = cosine / max(distance2, LEAST_DISTANCE2)
                if share * brightest < LEAST_LIGHT:
                    continue
                rays.direction[n, 0], rays.direction[n, 1], rays.direction[n, 2] = (
                    x / distance,
                    y / distance,
                    z / distance,
                )
                rays.distance[n], rays.sample[n] = distance, s
                for channel in range(3):
                    rays.light[n, channel] = power[lamp, channel] * share / count
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def sun_rays(
    points: np.ndarray, normal: np.ndarray, sign: float, suns: np.ndarray, irradiance: np.ndarray,
    start: int, stop: int, rays: Rays,
) -> int:  # fmt: skip
    """Rays towards points of the sun's disc, `suns` (J, 3) unit directions; returns how many."""
    n = 0
    for s in range(start, stop):
        for k in range(len(suns)):
            cosine = sign * (suns[k, 0] * normal[s, 0] + suns[k, 1] * normal[s, 1] + suns[k, 2] * normal[s, 2])
            if cosine <= 0:
                continue
            _start(points, normal, s, k * SPREAD_STEP, sign, rays.origin, n)
            rays.distance[n], rays.sample[n] = 1e6, s
            for channel in range(3):
                rays.direction[n, channel] = suns[k, channel]
                rays.light[n, channel] = irradiance[channel] * cosine / len(suns)
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def pane_rays(
    points: np.ndarray, normal: np.ndarray, sign: float, panes: Panes, sky: Sky, chance: np.ndarray, count: int,
    start: int, stop: int, rays: Rays,
) -> int:  # fmt: skip
    """Rays through `count` points of the window panes, more where a pane looms large; returns how many.

    `chance` (S,), 0 to 1, moves the points: the same ones everywhere would leave the same panes out everywhere.
    """
    n = 0
    weight = np.empty(len(panes.area))
    for s in range(start, stop):
        total = 0.0
        for p in range(len(panes.area)):
            weight[p] = _pane_weight(points, normal, s, sign, panes, p)
            total += weight[p]
        if total <= 0:
            continue
        pane, below = 0, 0.0
        for k in range(count):
            wanted = (k + chance[s]) / count * total
            while pane < len(weight) - 1 and below + weight[pane] < wanted:
                below += weight[pane]
                pane += 1
            # A point of the triangle, from a sequence that fills the unit square evenly.
            a, b = (chance[s] * 7 + k * 0.7548776662466927) % 1.0, (chance[s] * 53 + k * 0.5698402909980532) % 1.0
            if a + b > 1:
                a, b = 1 - a, 1 - b
            corners, origin = panes.corners[pane], rays.origin[n]
            _start(points, normal, s, k * SPREAD_STEP, sign, rays.origin, n)
            x = corners[0, 0] + a * (corners[1, 0] - corners[0, 0]) + b * (corners[2, 0] - corners[0, 0]) - origin[0]
            y = corners[0, 1] + a * (corners[1, 1] - corners[0, 1]) + b * (corners[2, 1] - corners[0, 1]) - origin[1]
            z = corners[0, 2] + a * (corners[1, 2] - corners[0, 2]) + b * (corners[2, 2] - corners[0, 2]) - origin[2]
            distance2 = x * x + y * y + z * z
            distance = math.sqrt(distance2)
            cosine = sign * (x * normal[s, 0] + y * normal[s, 1] + z * normal[s, 2]) / max(distance, 1e-6)
            if cosine <= 0:
                continue
            across = abs(x * panes.normal[pane, 0] + y * panes.normal[pane, 1] + z * panes.normal[pane, 2]) / distance
            density = weight[pane] / total / panes.area[pane]
            share = cosine * across / max(distance2, LEAST_DISTANCE2) / density / count
            r, g, b = gradient(sky, x, y, z)
            rays.direction[n, 0], rays.direction[n, 1], rays.direction[n, 2] = x / distance, y / distance, z / distance
            rays.distance[n], rays.sample[n], rays.pane[n] = 1e6, s, pane
            rays.light[n, 0], rays.light[n, 1], rays.light[n, 2] = share * r, share * g, share * b
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _pane_weight(points: np.ndarray, normal: np.ndarray, s: int, sign: float, panes: Panes, p: int) -> float:
    """About how much of the sample's sky the pane fills; 0 if all of it lies behind the sample's surface."""
    height = -1e9
    x = y = z = 0.0
    for k in range(3):
        dx = panes.corners[p, k, 0] - points[s, 0, 0]
        dy = panes.corners[p, k, 1] - points[s, 0, 1]
        dz = panes.corners[p, k, 2] - points[s, 0, 2]
        height = max(height, sign * (dx * normal[s, 0] + dy * normal[s, 1] + dz * normal[s, 2]))
        x, y, z = x + dx / 3, y + dy / 3, z + dz / 3
    if height <= 0:
        return 0.0
    distance2 = x * x + y * y + z * z
    distance = math.sqrt(distance2) + 1e-6
    cosine = sign * (x * normal[s, 0] + y * normal[s, 1] + z * normal[s, 2]) / distance
    across = abs(x * panes.normal[p, 0] + y * panes.normal[p, 1] + z * panes.normal[p, 2]) / distance
    # Not by the centre alone: a part of the pane may be seen when its centre is not.
    return panes.area[p] * max(cosine, 0.05) * max(across, 0.05) / max(distance2, panes.area[p])


@njit(cache=True, nogil=True, error_model="numpy")
def add_light(rays: Rays, count: int, free: np.ndarray, side: int, out: np.ndarray) -> None:
    """Add the light of the first `count` rays that are free to the irradiance `out` (S, 2, 3)."""
    for n in range(count):
        if free[n]:
            for channel in range(3):
                out[rays.sample[n], side, channel] += rays.light[n, channel]


@njit(cache=True, nogil=True, error_model="numpy")
def gather(target: np.ndarray, radiosity: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
    """Mean radiosity (2S, 3) of what each sample side sees, `target` (2S, K), into the rows start to stop of `out`."""
    count = target.shape[1]
    for row in range(start, stop):
        r = g = b = 0.0
        for k in range(count):
            seen = target[row, k]
            if seen != BARRED:
                r += radiosity[seen, 0]
                g += radiosity[seen, 1]
                b += radiosity[seen, 2]
        out[row, 0], out[row, 1], out[row, 2] = r / count, g / count, b / count


@njit(cache=True, nogil=True, error_model="numpy")
def smooth(
    light: np.ndarray,
    distance: np.ndarray,
    index: np.ndarray,
    reach: np.ndarray,
    start: int,
    stop: int,
    out: np.ndarray,
) -> None:
    """Average (S, 2, 3) over the neighbours (S, K) as far as light can hardly change: the `reach` (S, 2)."""
    for s in range(start, stop):
        for side in range(2):
            radius = min(0.6, max(0.2, reach[s, side]))
            r = g = b = total = 0.0
            for k in range(index.shape[1]):
                weight = 1 - distance[s, k] / radius
                if weight <= 0:
                    continue
                other = index[s, k]
                r += weight * light[other, side, 0]
                g += weight * light[other, side, 1]
                b += weight * light[other, side, 2]
                total += weight
            if total > 0:
                out[s, side, 0], out[s, side, 1], out[s, side, 2] = r / total, g / total, b / total
            else:
                out[s, side] = light[s, side]
