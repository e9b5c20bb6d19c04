"""Where light is measured (samples) and where it is kept (vertices).

Rays are dear, so they start from samples: few, one for each small cell and facing. A sample stands for the surface
around it, not for a point, or the edges of shadows would be drawn as saw teeth. The renderer interpolates between the
corners of triangles, so light is kept for every vertex, mixed from the samples around it.
Shape letters: T triangles, S samples, J points of each, V vertices, K neighbours.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from tst.houses.mesh import Mesh

CELL = 0.06
"""Metres: one sample for each cell of this size, facing, material and instance."""
TURN = 0.12
"""Metres that a difference of 1 between unit normals counts for when neighbours are looked for."""
SPREAD = 16
"""Points of a sample."""


@dataclass(frozen=True, eq=False)
class LightSamples:
    """Points on surfaces.

    Attributes:
        points: float32 (S, J, 3), inside the triangles around it: at a corner it might lie in the next wall.
        normal: float32 (S, 3), unit length.
        material: int32 (S,).
        place: float32 (S, 7), position, facing and instance as one vector, for distances between samples.
        corner: int32 (T, 3), the sample of each corner.
    """

    points: np.ndarray
    normal: np.ndarray
    material: np.ndarray
    place: np.ndarray
    corner: np.ndarray


def light_samples(mesh: Mesh, instance: np.ndarray) -> LightSamples:
    """Samples of a mesh; `instance` (T,)."""
    points, normals = mesh.points.reshape(-1, 3), mesh.normals.reshape(-1, 3)
    # Off the round numbers that walls and boards lie at, or rounding would split their corners between two cells.
    cells = np.floor((points + np.float32(CELL * 0.37)) / np.float32(CELL)).astype(np.int64)
    facing = np.rint(normals).astype(np.int64)
    key = [*cells.T, *facing.T, np.repeat(mesh.material, 3), np.repeat(instance, 3)]
    first, index = _groups(key)
    return LightSamples(
        _points_around(mesh.points, first, index),
        normals[first],
        mesh.material[first // 3],
        _place(points[first], normals[first], instance[first // 3]),
        index.reshape(-1, 3).astype(np.int32),
    )


def _points_around(points: np.ndarray, first: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Points (S, J, 3) in the triangles whose corners (3T,) belong to each sample, denser near the corner."""
    corners = np.argsort(index, kind="stable")  # those of sample 0, then those of sample 1, ...
    count = np.bincount(index)
    start = np.cumsum(count) - count
    out = np.empty((len(first), SPREAD, 3), np.float32)
    for j in range(SPREAD):
        corner = corners[start + j * count // SPREAD]
        triangle, a = corner // 3, corner % 3
        away, turn = 0.1 + 0.6 * ((j + 0.5) * 0.7548776662466927 % 1) ** 0.8, (j + 0.5) * 0.5698402909980532 % 1
        origin, b, c = (points[triangle, (a + k) % 3] for k in range(3))
        out[:, j] = origin + np.float32(away * (1 - turn)) * (b - origin) + np.float32(away * turn) * (c - origin)
    return out


def light_vertices(mesh: Mesh, instance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the same place and facing made one: `place` (V, 7) and the vertex of each corner, int32 (T, 3)."""
    points, normals = mesh.points.reshape(-1, 3), mesh.normals.reshape(-1, 3)
    near = np.rint(points * 1000).astype(np.int64)  # a millimetre, and about 10 degrees
    facing = np.rint(normals * 6).astype(np.int64)
    first, index = _groups([*near.T, *facing.T, np.repeat(instance, 3)])
    place = _place(points[first], normals[first], instance[first // 3])
    return place, index.reshape(-1, 3).astype(np.int32)


def neighbours(samples: np.ndarray, places: np.ndarray, count: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` of `samples` nearest to each of `places`: distances float32 (N, K), indices int32 (N, K)."""
    count = min(count, len(samples))
    distance, index = KDTree(samples).query(places, k=np.arange(1, count + 1), workers=threads)
    return distance.astype(np.float32), index.astype(np.int32)


def interpolate(values: np.ndarray, distance: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Values at vertices (V, ...) from those at samples (S, ...), by the (V, K) nearest of them."""
    weight = np.exp(-(np.square(distance) - np.square(distance[:, :1])) / CELL**2)
    weight /= weight.sum(1, keepdims=True)
    out = np.zeros((len(index), *values.shape[1:]), np.float32)
    for k in range(index.shape[1]):  # one neighbour at a time: all at once would take a gigabyte
        out += weight[:, k].reshape(-1, *[1] * (values.ndim - 1)) * values[index[:, k]]
    return out


def _place(points: np.ndarray, normals: np.ndarray, instance: np.ndarray) -> np.ndarray:
    apart = instance.astype(np.float32)[:, None] * 1000  # no light from another thing, however near
    return np.concatenate([points, normals * np.float32(TURN), apart], 1)


def _groups(columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Equal rows of integer columns: the first row of each group, and the group of each row."""
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:  # sorting one 64-bit hash is several times quicker than sorting rows
        key = (key ^ column.astype(np.int64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    return first, index
