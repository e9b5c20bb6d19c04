"""Depth seen from where the colour camera is, and depth looked up between pixels."""

import math

import numba
import numpy as np

from tst.space.camera import Camera

STEP = 0.05
"""Neighbours whose depth differs by more than this share of it lie on two surfaces; nothing is interpolated there."""
ROUNDS = 2
NEAREST_MM = 1.0


@numba.njit(cache=True, nogil=True)
def _sample(depth: np.ndarray, x: float, y: float) -> float:
    """Depth at one place in pixels whose centres are at +0.5; 0 where unknown or outside."""
    height, width = depth.shape
    if not (0 <= x < width and 0 <= y < height):  # also NaN
        return 0.0
    u, v = min(max(x - 0.5, 0.0), width - 1.0), min(max(y - 0.5, 0.0), height - 1.0)
    left, top = int(u), int(v)
    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b, c, d = float(depth[top, left]), float(depth[top, right]), float(depth[low, left]), float(depth[low, right])
    least, most = min(a, b, c, d), max(a, b, c, d)
    if least > 0 and most - least < STEP * most:
        p, q = u - left, v - top
        return 1 / ((1 - q) * ((1 - p) / a + p / b) + q * ((1 - p) / c + p / d))
    return float(depth[int(y), int(x)])


@numba.njit(cache=True, nogil=True)
def _sample_all(depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result = np.empty(x.shape, np.float32)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            result[row, column] = _sample(depth, x[row, column], y[row, column])
    return result


def sample_depth(depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth at (x, y), each (H, W), in pixels whose centres are at +0.5: float32 (H, W), 0 where unknown or outside.

    Between four pixels of one surface the inverse is interpolated, which is exact on planes; else the nearest counts.
    """
    return _sample_all(depth, x.astype(np.float64), y.astype(np.float64))


@numba.njit(cache=True, nogil=True)
def _nearest_points(
    depth: np.ndarray, source: np.ndarray, target: np.ndarray, turn: np.ndarray, move: np.ndarray, seen: np.ndarray
) -> None:
    """Project every pixel of `depth` into `seen`, where the nearest stays; cameras are (fx, fy, cx, cy)."""
    height, width = seen.shape
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            z = float(depth[v, u])
            if z <= 0:
                continue
            x, y = (u + 0.5 - source[2]) / source[0] * z, (v + 0.5 - source[3]) / source[1] * z
            ahead = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z + move[2]
            if not ahead > NEAREST_MM:
                continue
            column = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z + move[0]) / ahead * target[0] + target[2]
            row = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z + move[1]) / ahead * target[1] + target[3]
            if 0 <= column < width and 0 <= row < height and ahead < seen[int(row), int(column)]:
                seen[int(row), int(column)] = ahead


@numba.njit(cache=True, nogil=True)
def _exact(
    depth: np.ndarray, source: np.ndarray, target: np.ndarray, turn: np.ndarray, move: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """From the rough depth `seen`, inf where there is none, the exact one of every pixel, 0 where unknown."""
    height, width = seen.shape
    result = np.zeros((height, width), np.float32)
    for v in range(height):
        for u in range(width):
            z = float(seen[v, u])
            if z == math.inf:  # between projected points: the nearest of the neighbours is a guess
                for b in range(max(v - 1, 0), min(v + 2, height)):
                    for a in range(max(u - 1, 0), min(u + 2, width)):
                        z = min(z, float(seen[b, a]))
            if z == math.inf:
                continue
            ray_x, ray_y = (u + 0.5 - target[2]) / target[0], (v + 0.5 - target[3]) / target[1]
            for _ in range(ROUNDS):
                x, y, ahead = ray_x * z - move[0], ray_y * z - move[1], z - move[2]
                back = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2] * ahead
                if not back > NEAREST_MM:
                    z = 0.0
                    break
                s = (turn[0, 0] * x + turn[1, 0] * y + turn[2, 0] * ahead) / back
                t = (turn[0, 1] * x + turn[1, 1] * y + turn[2, 1] * ahead) / back
                found = _sample(depth, s * source[0] + source[2], t * source[1] + source[3])
                forth = (turn[2, 0] * s + turn[2, 1] * t + turn[2, 2]) * found + move[2]
                if found <= 0 or abs(forth - z) > 0.2 * z + 1:
                    z = 0.0
                    break
                z = forth
            result[v, u] = z
    return result


def registered(depth_mm: np.ndarray, depth_camera: Camera, depth_to_rgb: np.ndarray, rgb_camera: Camera) -> np.ndarray:
    """The depth image that the colour camera would see, at the depth's own resolution and the colour image's aspect.

    Points are projected to know roughly what is seen where, the nearest winning; then each pixel's depth is found
    exactly by going back and forth between the cameras.

    Args:
        depth_mm: (H, W) millimetres along z, 0 = unknown.
        depth_camera: its intrinsics, at any size of its aspect.
        depth_to_rgb: (4, 4) from the depth camera's axes to the colour camera's, metres.
        rgb_camera: the colour camera's intrinsics.

    Returns:
        (H', W') float32 millimetres, 0 = unknown.
    """
    source = depth_camera.resized(depth_mm.shape[1], depth_mm.shape[0])
    scale = min(1.0, source.fx / rgb_camera.fx)
    target = rgb_camera.resized(max(1, round(rgb_camera.width * scale)), max(1, round(rgb_camera.height * scale)))
    own, wanted = (np.array([c.fx, c.fy, c.cx, c.cy]) for c in (source, target))
    turn, move = np.ascontiguousarray(depth_to_rgb[:3, :3]), depth_to_rgb[:3, 3] * 1000
    seen = np.full((target.height, target.width), np.inf, np.float32)
    _nearest_points(depth_mm, own, wanted, turn, move, seen)
    return _exact(depth_mm, own, wanted, turn, move, seen)
