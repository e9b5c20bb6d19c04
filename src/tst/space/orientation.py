"""Turning images upright: a phone is held as the hand likes, and its images are stored as its sensor lies."""

import numpy as np

from tst.space import normal_maps
from tst.space.camera import Camera

STEEP = 0.9
"""Looking up or down more steeply than this (cosine), a camera has no upright side; the frame before decides."""
KEEP_WITHIN = 60.0
"""Degrees of roll up to which the turn of the frame before is kept, so that a walk does not flicker about 45."""


def quarter_turns(pose: np.ndarray, up: np.ndarray, before: int | None = None) -> int | None:
    """How often the image must be turned clockwise by 90 degrees to be upright: 0 to 3.

    Args:
        pose: (4, 4) camera-to-world, OpenCV camera axes.
        up: the world's upward direction, (3,).
        before: the frame before's turns.

    Returns:
        None if it cannot be told: the camera looks up or down, and there is no frame before.
    """
    x, y, z = pose[:3, :3].T @ (up / np.linalg.norm(up))
    if abs(z) > STEEP:
        return before
    roll = np.degrees(np.arctan2(-x, -y)) % 360  # 0: up is up; 90: up is on the left
    if before is not None and abs((roll - 90 * before + 180) % 360 - 180) < KEEP_WITHIN:
        return before
    return round(roll / 90) % 4


def turned_camera(camera: Camera, turns: int) -> Camera:
    """The camera of the image turned clockwise."""
    for _ in range(turns % 4):
        camera = Camera(camera.height, camera.width, camera.fy, camera.fx, camera.height - camera.cy, camera.cx)
    return camera


def turned_pose(pose: np.ndarray, turns: int) -> np.ndarray:
    """The pose of the camera whose image was turned clockwise; OpenCV camera axes."""
    once = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return pose @ np.linalg.matrix_power(once, turns % 4)


def turned(array: np.ndarray, turns: int) -> np.ndarray:
    """The image (H, W[, C]) turned clockwise."""
    return np.ascontiguousarray(np.rot90(array, -turns)) if turns % 4 else array


def turned_normals(stored: np.ndarray, turns: int) -> np.ndarray:
    """A stored normal map turned clockwise: its vectors turn with the camera's axes."""
    if turns % 4 == 0:
        return stored
    normals = normal_maps.decode(turned(stored, turns))
    for _ in range(turns % 4):
        normals = np.stack([-normals[..., 1], normals[..., 0], normals[..., 2]], -1)
    return normal_maps.encode(normals)
