"""Triangles small enough to carry light at their corners, in an order that the renderer can cull."""

from dataclasses import replace

import numpy as np

from tst.houses.mesh import Mesh
from tst.houses.scene import Scene


def subdivide(scene: Scene, spacing: float) -> Scene:
    """The same surfaces with no edge longer than `spacing` metres.

    Triangles of an instance stay in one run; inside it they are sorted by place, so that a few hundred in a row lie
    close together. Neighbours stay edge to edge: whether an edge is halved depends on that edge alone.
    """
    mesh = scene.mesh
    points, normals, uv, parent = _halve(mesh, spacing)
    run = np.concatenate([[0], np.cumsum(np.diff(scene.instance.astype(np.int64)) != 0)])
    order = np.lexsort((_morton(points.mean(1)), run[parent]))
    parent = parent[order]
    mesh = Mesh(points[order], normals[order], uv[order], mesh.material[parent], mesh.materials)
    return replace(scene, mesh=mesh, instance=scene.instance[parent], semantic=scene.semantic[parent])


def _halve(mesh: Mesh, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Halve the longest edge of every triangle until all fit: points, normals, uv and the triangle each came from."""
    pending: tuple[np.ndarray, ...] = (mesh.points, mesh.normals, mesh.uv, np.arange(len(mesh)))
    done = []
    while len(pending[0]):
        points = pending[0]
        length2 = ((np.roll(points, -1, 1) - points) ** 2).sum(2)  # of the edge from corner k to corner k + 1
        fits = length2.max(1) <= spacing * spacing
        done.append(tuple(array[fits] for array in pending))
        first = length2[~fits].argmax(1)
        rows = np.arange(len(first))
        halves = []
        for array in (array[~fits] for array in pending[:3]):
            a, b, c = (array[rows, (first + k) % 3] for k in range(3))
            middle = (a + b) / 2
            halves.append(np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)]))
        halves[1] /= np.maximum(np.linalg.norm(halves[1], axis=2, keepdims=True), 1e-12)
        pending = (*halves, np.tile(pending[3][~fits], 2))
    points, normals, uv, parent = (np.concatenate(arrays) for arrays in zip(*done, strict=True))
    return points, normals, uv, parent


def _morton(points: np.ndarray) -> np.ndarray:
    """Place along a space-filling curve, of points (N, 3)."""
    low, high = points.min(0), points.max(0)
    cell = ((points - low) / max(float((high - low).max()), 1e-6) * 1023).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    return code
