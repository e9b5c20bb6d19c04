"""Which triangle each sample of a frame sees. Compiled.

Samples lie on a lattice; a `Lens` gives its pinhole geometry with sample (column i, row j) at the point (i, j). Camera
axes are OpenCV's. Nothing is clipped: in homogeneous coordinates the share of each corner in a triangle's point,
divided by the point's depth, is linear over the image even when corners lie behind the camera (Olano & Greer, 1997).
Shape letters: T triangles, C chunks of them, M materials.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tst.houses.appearance import INVISIBLE, Appearance, is_hole
from tst.houses.sky import Vector

NEAR = 0.01
"""Metres: what is nearer is not drawn."""
CHUNK = 512
OPAQUE = 0.95


class Lens(NamedTuple):
    """A pinhole camera over the lattice: sample (i, j) looks along ((i - cx) / fx, (j - cy) / fy, 1)."""

    fx: float
    fy: float
    cx: float
    cy: float


class Pose(NamedTuple):
    """Where the camera is and where its axes point, in world axes."""

    x: Vector
    y: Vector
    z: Vector
    eye: Vector


class Geometry(NamedTuple):
    """Triangles in chunks of neighbours: points float32 (T, 3, 3), uv float32 (T, 3, 2), material int32 (T,); first and
    one past the last triangle of each chunk, int64 (C,); its bounds, float32 (C, 3).
    """

    points: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Samples(NamedTuple):
    """The lattice: 1 / depth of the nearest surface, float32 (rows, columns), and its triangle, int32; 0 and -1: none.
    The centres of pixels are every `pitch`-th sample, from `pitch` - 1.
    """

    nearness: np.ndarray
    triangle: np.ndarray
    pitch: int


class Planes(NamedTuple):
    """The shares of a triangle's corners a, b, c over depth at the point (i, j): `a + ai * i + aj * j` and so on."""

    a: float
    ai: float
    aj: float
    b: float
    bi: float
    bj: float
    c: float
    ci: float
    cj: float


def geometry_of(points: np.ndarray, uv: np.ndarray, material: np.ndarray, instance: np.ndarray) -> Geometry:
    """Cut triangles into chunks of at most `CHUNK`, each of one instance (T,)."""
    runs = np.concatenate([[0], np.flatnonzero(np.diff(instance.astype(np.int64))) + 1, [len(instance)]])
    starts = np.concatenate([np.arange(a, b, CHUNK) for a, b in itertools.pairwise(runs)])
    stops = np.append(starts[1:], len(instance))
    low, high = (f.reduceat(f.reduce(points, 1), starts) for f in (np.minimum, np.maximum))
    return Geometry(points, uv, material, starts, stops, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def rasterise(geometry: Geometry, look: Appearance, pose: Pose, lens: Lens, samples: Samples) -> None:
    """Fill `samples`. Chunks are drawn from near to far, so that those behind others can be skipped."""
    samples.nearness[:] = 0
    samples.triangle[:] = -1
    for chunk in np.argsort(_distances(geometry, pose.eye)):
        if _is_in_sight(geometry, chunk, pose, lens, samples):
            for triangle in range(geometry.start[chunk], geometry.stop[chunk]):
                if look.materials[geometry.material[triangle]].opacity >= INVISIBLE:
                    _draw(geometry, look, triangle, pose, lens, samples)


@njit(cache=True, nogil=True, error_model="numpy")
def _distances(geometry: Geometry, eye: Vector) -> np.ndarray:
    """Squared distances of the chunks' bounds from the camera."""
    out = np.zeros(len(geometry.start))
    for chunk in range(len(out)):
        for axis in range(3):
            gap = max(geometry.low[chunk, axis] - eye[axis], eye[axis] - geometry.high[chunk, axis], 0.0)
            out[chunk] += gap * gap
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _is_in_sight(geometry: Geometry, chunk: int, pose: Pose, lens: Lens, samples: Samples) -> bool:
    """Whether the bounds of a chunk reach into the view and in front of what is drawn; never wrongly False."""
    low, high, nearness = geometry.low[chunk], geometry.high[chunk], samples.nearness
    rows, columns = nearness.shape
    near, far = 1e30, -1e30
    left, right, top, bottom = 1e30, -1e30, 1e30, -1e30
    beyond_left = beyond_right = beyond_top = beyond_bottom = 0
    for corner in range(8):
        dx = (high[0] if corner & 1 else low[0]) - pose.eye[0]
        dy = (high[1] if corner & 2 else low[1]) - pose.eye[1]
        dz = (high[2] if corner & 4 else low[2]) - pose.eye[2]
        x, y, z = dot(pose.x, (dx, dy, dz)), dot(pose.y, (dx, dy, dz)), dot(pose.z, (dx, dy, dz))
        near, far = min(near, z), max(far, z)
        i, j = lens.fx * x + lens.cx * z, lens.fy * y + lens.cy * z  # times z, so that this holds behind the camera
        beyond_left += i < 0
        beyond_right += i > (columns - 1) * z
        beyond_top += j < 0
        beyond_bottom += j > (rows - 1) * z
        if z > NEAR:
            left, right, top, bottom = min(left, i / z), max(right, i / z), min(top, j / z), max(bottom, j / z)
    if far <= NEAR or max(beyond_left, beyond_right, beyond_top, beyond_bottom) == 8:
        return False
    if near <= NEAR:
        return True
    nearest = np.float32(1 / near)
    for j in range(max(0, math.ceil(top)), min(rows - 1, math.floor(bottom)) + 1):
        for i in range(max(0, math.ceil(left)), min(columns - 1, math.floor(right)) + 1):
            if nearness[j, i] < nearest:
                return True
    return False


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def dot(a: Vector, b: Vector) -> float:
    """Dot product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def to_camera(points: np.ndarray, triangle: int, corner: int, pose: Pose) -> Vector:
    """A corner of a triangle in camera axes."""
    eye = pose.eye
    away = (
        points[triangle, corner, 0] - eye[0],
        points[triangle, corner, 1] - eye[1],
        points[triangle, corner, 2] - eye[2],
    )
    return dot(pose.x, away), dot(pose.y, away), dot(pose.z, away)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(geometry: Geometry, look: Appearance, triangle: int, pose: Pose, lens: Lens, samples: Samples) -> None:
    points = geometry.points
    a, b, c = (
        to_camera(points, triangle, 0, pose),
        to_camera(points, triangle, 1, pose),
        to_camera(points, triangle, 2, pose),
    )
    if max(a[2], b[2], c[2]) <= NEAR:
        return
    nearness, seen, pitch = samples.nearness, samples.triangle, samples.pitch
    rows, columns = nearness.shape
    whole = min(a[2], b[2], c[2]) > NEAR
    if whole:
        ia, ib, ic = lens.fx * a[0] / a[2], lens.fx * b[0] / b[2], lens.fx * c[0] / c[2]
        left, right = lens.cx + min(ia, ib, ic), lens.cx + max(ia, ib, ic)
        if right < 0 or left > columns - 1:
            return
        ja, jb, jc = lens.fy * a[1] / a[2], lens.fy * b[1] / b[2], lens.fy * c[1] / c[2]
        top, bottom = lens.cy + min(ja, jb, jc), lens.cy + max(ja, jb, jc)
        i0, i1 = math.ceil(max(left, 0.0)), math.floor(min(right, columns - 1.0))
        j0, j1 = math.ceil(max(top, 0.0)), math.floor(min(bottom, rows - 1.0))
    else:
        if _is_beside(a, b, c, lens.fx, lens.cx, 0, columns - 1) or _is_beside(a, b, c, lens.fy, lens.cy, 1, rows - 1):
            return
        i0, i1, j0, j1 = 0, columns - 1, 0, rows - 1
    if i0 > i1 or j0 > j1:
        return
    is_facing, planes = planes_of(a, b, c, lens)
    if not is_facing:
        return
    surface = look.materials[geometry.material[triangle]]
    plain = whole and surface.opacity >= OPAQUE and not surface.cutout
    # Samples on an edge belong to both neighbours: rounding must not leave a gap between them.
    slack = 1e-12 * (abs(planes.a) + abs(planes.b) + abs(planes.c))
    slope = planes.ai + planes.bi + planes.ci
    for j in range(j0, j1 + 1):
        low, high = _narrowed(float(i0), float(i1), planes.a + planes.aj * j + slack, planes.ai)
        low, high = _narrowed(low, high, planes.b + planes.bj * j + slack, planes.bi)
        low, high = _narrowed(low, high, planes.c + planes.cj * j + slack, planes.ci)
        if low > high:
            continue
        base = planes.a + planes.b + planes.c + (planes.aj + planes.bj + planes.cj) * j
        for i in range(math.ceil(low), math.floor(high) + 1):
            here = np.float32(base + slope * i)  # as it is kept, so that of equal depths the first stays
            if here > nearness[j, i] and (plain or _covers(geometry, look, triangle, planes, here, pitch, i, j)):
                nearness[j, i] = here
                seen[j, i] = triangle


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def planes_of(a: Vector, b: Vector, c: Vector, lens: Lens) -> tuple[bool, Planes]:
    """Planes of a triangle with corners in camera axes; False if it is seen edge-on."""
    bc = (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0])
    ca = (c[1] * a[2] - c[2] * a[1], c[2] * a[0] - c[0] * a[2], c[0] * a[1] - c[1] * a[0])
    ab = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    volume = a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2]
    scale = 1 / volume if volume != 0 else 0.0
    x, y = scale / lens.fx, scale / lens.fy
    return volume != 0, Planes(
        scale * bc[2] - x * bc[0] * lens.cx - y * bc[1] * lens.cy, x * bc[0], y * bc[1],
        scale * ca[2] - x * ca[0] * lens.cx - y * ca[1] * lens.cy, x * ca[0], y * ca[1],
        scale * ab[2] - x * ab[0] * lens.cx - y * ab[1] * lens.cy, x * ab[0], y * ab[1],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _narrowed(low: float, high: float, base: float, slope: float) -> tuple[float, float]:
    """The part of low <= i <= high in which base + slope * i >= 0; low > high if there is none."""
    if slope > 0:
        return max(low, -base / slope), high
    if slope < 0:
        return low, min(high, -base / slope)
    return (low, high) if base >= 0 else (1.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _covers(
    geometry: Geometry,
    look: Appearance,
    triangle: int,
    planes: Planes,
    nearness: np.float32,
    pitch: int,
    i: int,
    j: int,
) -> bool:
    """Whether a triangle that need not cover all its samples covers this one."""
    material = geometry.material[triangle]
    surface = look.materials[material]
    if nearness > 1 / NEAR or not _is_solid(surface.opacity, pitch, i, j):
        return False
    if not surface.cutout:
        return True
    uv = geometry.uv
    wa = (planes.a + planes.ai * i + planes.aj * j) / nearness
    wb = (planes.b + planes.bi * i + planes.bj * j) / nearness
    wc = (planes.c + planes.ci * i + planes.cj * j) / nearness
    u = wa * uv[triangle, 0, 0] + wb * uv[triangle, 1, 0] + wc * uv[triangle, 2, 0]
    v = wa * uv[triangle, 0, 1] + wb * uv[triangle, 1, 1] + wc * uv[triangle, 2, 1]
    return not is_hole(look, material, u, v)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_solid(opacity: float, pitch: int, i: int, j: int) -> bool:
    """Screen-door transparency: whether a surface shows at a sample. Labels and depth follow the centres of pixels,
    which show it from half opacity on; the other samples fill in the steps between.
    """
    if pitch == 1 or (i & 1 and j & 1):
        return opacity >= 0.5
    if i & 1:
        return opacity >= 0.375
    return opacity >= (0.85 if j & 1 else INVISIBLE)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_beside(
    a: Vector, b: Vector, c: Vector,
    focal: float, centre: float, axis: int, last: int,
) -> bool:  # fmt: skip
    """Whether a triangle lies wholly on one side of the view, wherever it crosses the camera's plane."""
    pa, pb, pc = focal * a[axis] + centre * a[2], focal * b[axis] + centre * b[2], focal * c[axis] + centre * c[2]
    before = pa < 0 and pb < 0 and pc < 0
    return before or (pa > last * a[2] and pb > last * b[2] and pc > last * c[2])
