"""Analytic depth images with known normals."""

import numpy as np

from tst.space.camera import Camera

CAMERA = Camera(320, 240, 260.0, 262.0, 157.0, 123.0)


def quantised(metres: np.ndarray, step_mm: float = 1.0) -> np.ndarray:
    return np.rint(np.rint(metres * 1000 / step_mm) * step_mm).astype(np.uint16)


def plane(
    normal: tuple[float, float, float], distance: float, camera: Camera = CAMERA
) -> tuple[np.ndarray, np.ndarray]:
    """A plane through (0, 0, distance): depth in metres, and its unit normal towards the camera."""
    unit = np.array(normal) / np.linalg.norm(normal)
    depth = unit[2] * distance / (camera.rays() @ unit)
    return np.where(depth > 0, depth, np.inf), np.broadcast_to(unit, (*depth.shape, 3))


def sphere(centre: tuple[float, float, float], radius: float, camera: Camera = CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Depth in metres (inf beside it) and outward normals."""
    rays, middle = camera.rays(), np.array(centre)
    along, square = rays @ middle, (rays * rays).sum(-1)
    inside = along**2 - square * (middle @ middle - radius**2)
    depth = np.where(inside > 0, (along - np.sqrt(np.maximum(inside, 0))) / square, np.inf)
    points = rays * np.where(np.isfinite(depth), depth, 0)[..., None]
    return depth, (points - middle) / radius


def angles(normals: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees between unit vectors."""
    return np.degrees(np.arccos(np.clip((normals * truth).sum(-1), -1, 1)))
