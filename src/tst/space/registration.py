"""Depth seen from where the colour camera is, and depth looked up between pixels."""

import math

import numba
import numpy as np

from tst.space.camera import Camera

STEP = 0.05
"""Neighbours whose depth differs by more than this share of it lie on two surfaces; nothing is interpolated there."""
ROUNDS = 2
NEAREST_MM = 1.0


# Not "fast", which would take it for granted that there are neither NaN nor infinity.
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz", "reassoc"})


def _bordered(depth: np.ndarray) -> np.ndarray:
    """`depth` (H, W) as float64 (H + 3, W + 1): its last column and row doubled, and two rows of 0 below."""
    height, width = depth.shape
    result = np.zeros((height + 3, width + 1))
    result[:height, :width] = depth
    result[height], result[:, width] = result[height - 1], result[:, width - 1]
    result[height, width] = result[height, width - 1]
    return result


@_compiled
def _places(x: np.ndarray, y: np.ndarray, bordered: np.ndarray, first: np.ndarray) -> None:
    """Of each place (x, y), (N,) pixels whose centres are at +0.5, the `first` of the four pixels round it in
    `bordered.ravel()`: in the rows of 0 for places outside. x and y become the shares of the right and lower pixels."""
    height, width = bordered.shape[0] - 3, bordered.shape[1] - 1
    nowhere = (height + 1) * (width + 1)
    for n in range(len(x)):
        inside = (x[n] >= 0) & (x[n] < width) & (y[n] >= 0) & (y[n] < height)
        u, v = x[n] - 0.5 if inside & (x[n] > 0.5) else 0.0, y[n] - 0.5 if inside & (y[n] > 0.5) else 0.0
        left, top = np.int32(u), np.int32(v)
        x[n], y[n] = u - left, v - top
        first[n] = top * np.int32(width + 1) + left if inside else np.int32(nowhere)


@_compiled
def _look_up(bordered: np.ndarray, first: np.ndarray, corners: np.ndarray) -> None:
    """The four pixels round each place into `corners` (4, N): upper left and right, lower left and right."""
    values, below = bordered.ravel(), bordered.shape[1]
    for n in range(len(first)):
        at = np.uint64(first[n])
        corners[0, n], corners[1, n] = values[at], values[at + np.uint64(1)]
        corners[2, n], corners[3, n] = values[at + np.uint64(below)], values[at + np.uint64(below + 1)]


@_compiled
def _between(right: np.ndarray, low: np.ndarray, corners: np.ndarray, result: np.ndarray) -> None:
    """Depth between `corners`: on one surface the inverse is interpolated, exact on planes; else the nearest."""
    for n in range(len(result)):
        p, q = right[n], low[n]
        a, b, c, d = corners[0, n], corners[1, n], corners[2, n], corners[3, n]
        upper_least, lower_least = a if a < b else b, c if c < d else d
        least = upper_least if upper_least < lower_least else lower_least
        upper_most, lower_most = a if a > b else b, c if c > d else d
        most = upper_most if upper_most > lower_most else lower_most
        smooth = (least > 0) & (most - least < STEP * most)
        upper, lower = b if p >= 0.5 else a, d if p >= 0.5 else c
        nearest = lower if q >= 0.5 else upper
        # 1 / ((1 - q) ((1 - p) / a + p / b) + q ((1 - p) / c + p / d)), with one division
        share = (1 - q) * c * d * (b + p * (a - b)) + q * a * b * (d + p * (c - d))
        result[n] = a * b * c * d / (share if smooth else 1.0) if smooth else nearest


@_compiled
def _sample_all(bordered: np.ndarray, x: np.ndarray, y: np.ndarray, result: np.ndarray) -> None:
    corners, first = np.empty((4, x.shape[1])), np.empty(x.shape[1], np.int32)
    for row in range(x.shape[0]):
        _places(x[row], y[row], bordered, first)
        _look_up(bordered, first, corners)
        _between(x[row], y[row], corners, result[row])


def sample_depth(depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth at (x, y), each (H, W), in pixels whose centres are at +0.5: float32 (H, W), 0 where unknown or outside.

    Between four pixels of one surface the inverse is interpolated, which is exact on planes; else the nearest counts.
    """
    result = np.empty(x.shape)
    _sample_all(_bordered(depth), x.astype(np.float64, order="C"), y.astype(np.float64, order="C"), result)
    return result.astype(np.float32)


@_compiled
def _project(
    z: np.ndarray,
    ray_x: np.ndarray,
    ray_y: float,
    target: np.ndarray,
    turn: np.ndarray,
    move: np.ndarray,
    at: np.ndarray,
) -> None:
    """Where the colour camera sees a row of depth: `at` (3, W) becomes column (-1: nowhere), row and depth there."""
    for u in range(len(z)):
        x, y, ahead = ray_x[u] * z[u], ray_y * z[u], z[u]
        depth = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * ahead + move[2]
        before = (z[u] > 0) & (depth > NEAREST_MM)
        inverse = 1 / (depth if before else 1.0)
        column = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * ahead + move[0]) * inverse * target[0] + target[2]
        at[0, u] = column if before else -1.0
        at[1, u] = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * ahead + move[1]) * inverse * target[1] + target[3]
        at[2, u] = depth


@_compiled
def _nearest_points(
    bordered: np.ndarray,
    ray_x: np.ndarray,
    ray_y: np.ndarray,
    target: np.ndarray,
    turn: np.ndarray,
    move: np.ndarray,
    seen: np.ndarray,
) -> None:
    """Project every pixel of the depth in `bordered`, along its ray, into `seen`, where the nearest stays."""
    height, width = seen.shape
    at = np.empty((3, len(ray_x)))
    for v in range(len(ray_y)):
        _project(bordered[v][:-1], ray_x, ray_y[v], target, turn, move, at)
        for u in range(len(ray_x)):
            column, row = at[0, u], at[1, u]
            if 0 <= column < width and 0 <= row < height:
                x, y = np.uint32(column), np.uint32(row)
                seen[y, x] = min(seen[y, x], at[2, u])


@_compiled
def _guessed(seen: np.ndarray, v: int, z: np.ndarray) -> None:
    """Row `v` of the rough depth, 0 where unknown; between projected points the nearest of the neighbours."""
    height, width = seen.shape
    for u in range(width):
        z[u] = seen[v, u]
        if z[u] == math.inf:
            for b in range(max(v - 1, 0), min(v + 2, height)):
                for a in range(max(u - 1, 0), min(u + 2, width)):
                    z[u] = min(z[u], seen[b, a])
            if z[u] == math.inf:
                z[u] = 0


@_compiled
def _back(
    z: np.ndarray,
    ray_x: np.ndarray,
    ray_y: float,
    source: np.ndarray,
    turn: np.ndarray,
    move: np.ndarray,
    at: np.ndarray,
) -> None:
    """Where the depth camera sees points of a row at depth `z`: `at` (3, W) becomes x and y in pixels (-1: nowhere),
    and how much further away the colour camera finds a point there for each millimetre that it is away."""
    for u in range(len(z)):
        x, y, ahead = ray_x[u] * z[u] - move[0], ray_y * z[u] - move[1], z[u] - move[2]
        back = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2] * ahead
        before = (z[u] > 0) & (back > NEAREST_MM)
        inverse = 1 / (back if before else 1.0)
        s = (turn[0, 0] * x + turn[1, 0] * y + turn[2, 0] * ahead) * inverse
        t = (turn[0, 1] * x + turn[1, 1] * y + turn[2, 1] * ahead) * inverse
        at[0, u] = s * source[0] + source[2] if before else -1.0
        at[1, u] = t * source[1] + source[3]
        at[2, u] = turn[2, 0] * s + turn[2, 1] * t + turn[2, 2]


@_compiled
def _forth(z: np.ndarray, found: np.ndarray, stretch: np.ndarray, move: np.ndarray) -> None:
    """Replace depth `z` of a row by what was found there, if that is about as far away."""
    for u in range(len(z)):
        forth = stretch[u] * found[u] + move[2]
        away = forth - z[u] if forth > z[u] else z[u] - forth
        z[u] = forth if (found[u] > 0) & (away <= 0.2 * z[u] + 1) else 0.0


@_compiled
def _exact(
    bordered: np.ndarray,
    ray_x: np.ndarray,
    ray_y: np.ndarray,
    source: np.ndarray,
    turn: np.ndarray,
    move: np.ndarray,
    seen: np.ndarray,
    result: np.ndarray,
) -> None:
    """From the rough depth `seen`, inf where there is none, the exact one along every ray, 0 where unknown.

    Row by row and step by step: but for the looking up, these become vector instructions.
    """
    width = len(ray_x)
    found, at, corners = np.empty(width), np.empty((3, width)), np.empty((4, width))
    first = np.empty(width, np.int32)
    for v in range(len(ray_y)):
        z = result[v]
        _guessed(seen, v, z)
        for _ in range(ROUNDS):
            _back(z, ray_x, ray_y[v], source, turn, move, at)
            _places(at[0], at[1], bordered, first)
            _look_up(bordered, first, corners)
            _between(at[0], at[1], corners, found)
            _forth(z, found, at[2], move)


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
    turn, move = np.array(depth_to_rgb[:3, :3], np.float64), depth_to_rgb[:3, 3] * 1000.0
    bordered = _bordered(depth_mm)  # float64 from here on, for kernels of one type: to compile them takes seconds
    seen, result = np.full((target.height, target.width), np.inf), np.empty((target.height, target.width))
    _nearest_points(bordered, *_rays(source), wanted, turn, move, seen)
    _exact(bordered, *_rays(target), own, turn, move, seen, result)
    return result.astype(np.float32)


def _rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """x of every column and y of every row at z = 1."""
    x, y = np.arange(camera.width) + 0.5 - camera.cx, np.arange(camera.height) + 0.5 - camera.cy
    return x / camera.fx, y / camera.fy
