"""What one frame's depth says: points and normals on a small grid, and where its pixels lie in another frame."""

from dataclasses import dataclass

import numpy as np

from tst.space.camera import Camera
from tst.space.space import Walk

SAME_SURFACE = 0.08
"""Neighbouring samples whose depth differs by more than this share of it lie on two surfaces: no normal there."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A frame's depth, sampled on a grid of the image's aspect.

    Attributes:
        camera: of the grid's size.
        points: (h, w, 3) metres, camera axes.
        normals: (h, w, 3) unit normals towards the camera, 0 where unknown.
        known: (h, w) bool, where depth is.
    """

    camera: Camera
    points: np.ndarray
    normals: np.ndarray
    known: np.ndarray


def surface(walk: Walk, index: int, side: int) -> Surface | None:
    """Frame `index` with `side` samples along the longer side; None without a camera or without any depth."""
    camera = walk.camera(index)
    if camera is None:
        return None
    depth = walk.read("depth", index)
    height, width = depth.shape
    shrink = min(1.0, side / max(height, width))
    columns, rows = max(2, round(width * shrink)), max(2, round(height * shrink))
    # The nearest pixel, never a mean: between a chair and the wall behind it is no surface.
    u = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    v = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    z = depth[v[:, None], u].astype(np.float64) / 1000
    if not z.any():
        return None
    full = camera.resized(width, height)
    points = np.empty((rows, columns, 3))
    points[..., 0] = z * (u + 0.5 - full.cx) / full.fx
    points[..., 1] = z * ((v + 0.5 - full.cy) / full.fy)[:, None]
    points[..., 2] = z
    return Surface(camera.resized(columns, rows), points, _normals(points, z), z > 0)


def _normals(points: np.ndarray, z: np.ndarray) -> np.ndarray:
    right, down = np.zeros_like(points), np.zeros_like(points)
    right[:, 1:-1] = points[:, 2:] - points[:, :-2]
    down[1:-1] = points[2:] - points[:-2]
    normals = np.cross(down, right)  # towards the camera, as y points down
    length = np.linalg.norm(normals, axis=2)
    smooth = np.zeros(z.shape, bool)
    neighbours = np.stack([z[1:-1, :-2], z[1:-1, 2:], z[:-2, 1:-1], z[2:, 1:-1]])
    middle = z[1:-1, 1:-1]
    smooth[1:-1, 1:-1] = (neighbours > 0).all(0) & (np.abs(neighbours - middle) < SAME_SURFACE * middle).all(0)
    return np.where((smooth & (length > 0))[..., None], normals / np.maximum(length, 1e-12)[..., None], 0.0)
