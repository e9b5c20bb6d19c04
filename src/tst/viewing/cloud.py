"""A coloured point cloud of a whole walk in bounded memory."""

import numpy as np

from tst.space.space import Walk

SIDE = 0.02
"""Of the voxels, metres, to begin with."""
GROWTH = 1.4
PIXELS = 20_000
"""Of each frame, at most."""
REACH = 2**20
"""Voxels from the origin; points beyond are left out."""


class Cloud:
    """Points and colours averaged in voxels, which grow whenever there are more than `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.side = limit, SIDE
        self._pending: list[np.ndarray] = [np.empty((0, 7))]  # x, y, z, red, green, blue, weight: sums

    def add(self, points: np.ndarray, colours: np.ndarray) -> None:
        """Enter points (N, 3) in metres and their colours (N, 3) uint8."""
        self._pending.append(np.column_stack([points, colours, np.ones(len(points))]))
        if sum(map(len, self._pending)) > 2 * self.limit:
            self._merge()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Points, float32 (M, 3), and colours, uint8 (M, 3); M is at most `limit`."""
        self._merge()
        means = self._pending[0][:, :6] / self._pending[0][:, 6:]
        return means[:, :3].astype(np.float32), means[:, 3:].round().astype(np.uint8)

    def _merge(self) -> None:
        sums = np.concatenate(self._pending)
        while True:
            cells = np.floor(sums[:, :3] / sums[:, 6:] / self.side)
            inside = (np.abs(cells) < REACH).all(1)
            sums = sums[inside]
            x, y, z = cells[inside].astype(np.int64).T + REACH
            _, voxel = np.unique((x * 2 * REACH + y) * 2 * REACH + z, return_inverse=True)
            count = int(voxel.max()) + 1 if len(voxel) else 0
            sums = np.stack([np.bincount(voxel, column, count) for column in sums.T], 1)
            if count <= self.limit:
                break
            self.side *= GROWTH
        self._pending = [sums]


def frame_points(walk: Walk, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in the world, (N, 3) metres, and colours (N, 3) uint8, of an even choice of a frame's known pixels.

    None of either if the frame has no pose or no camera.

    Raises:
        UserError: a file is damaged.
    """
    pose, camera = walk.pose(row), walk.camera(row)
    if pose is None or camera is None:
        return np.empty((0, 3)), np.empty((0, 3), np.uint8)
    depth, rgb = walk.read("depth", row), walk.read("rgb", row)
    height, width = depth.shape
    camera = camera.resized(width, height)
    step = max(1, int(np.ceil(np.sqrt(height * width / PIXELS))))
    v, u = np.meshgrid(np.arange(step // 2, height, step), np.arange(step // 2, width, step), indexing="ij")
    v, u = v[depth[v, u] > 0], u[depth[v, u] > 0]
    z = depth[v, u] / 1000
    points = np.stack([(u + 0.5 - camera.cx) / camera.fx * z, (v + 0.5 - camera.cy) / camera.fy * z, z], 1)
    colours = rgb[
        ((v + 0.5) * rgb.shape[0] / height).astype(int),
        ((u + 0.5) * rgb.shape[1] / width).astype(int),
    ]
    return points @ pose[:3, :3].T + pose[:3, 3], colours
