"""Where things can stand on a model: level rectangles found in its triangles."""

import numpy as np

from tst.houses.furniture.piece import Support
from tst.houses.mesh import Mesh

LEVEL = 0.97
"""Least upward part of the normal of a level triangle."""
STEP = 0.008
"""Surfaces within this height of each other, in metres, are one level."""
HEADROOM = 0.12
SHORTEST = 0.1
"""Shorter rectangles, in metres, hold nothing."""
FREE = 1.0
"""Clearance of what has nothing above it, in metres."""
MOST = 8
CELLS = 64
FINEST = 0.01


def find_supports(mesh: Mesh) -> tuple[Support, ...]:
    """The largest free rectangle of each level of a piece, the largest first.

    Levels with something close above them count only where they are open to the front (-y): a shelf, not the inside of
    a cupboard.
    """
    low, high = mesh.bounds.astype(float)
    cell = max(float((high - low)[:2].max()) / CELLS, FINEST)
    shape = np.maximum(np.ceil((high - low)[:2] / cell).astype(int), 1)
    points, level = _sampled(mesh, cell)
    place = np.clip(((points[:, :2] - low[:2]) / cell).astype(int), 0, shape - 1)
    column = place[:, 0] * shape[1] + place[:, 1]
    found = []
    for height in _levels(mesh, (high - low)[0] * (high - low)[1]):
        on = np.zeros(shape.prod(), bool)
        on[column[level & (np.abs(points[:, 2] - height) < STEP)]] = True
        over = points[:, 2] > height + STEP
        roof = np.full(shape.prod(), np.inf)
        np.minimum.at(roof, column[over], points[over, 2])
        free = on & (roof > height + HEADROOM)
        i0, j0, i1, j1 = largest_rectangle(free.reshape(shape))
        clearance = min(float(roof.reshape(shape)[i0:i1, j0:j1].min(initial=np.inf)) - height, FREE)
        # Cells at the rim are only partly covered.
        x0, y0 = low[:2] + (np.array([i0, j0]) + 0.5) * cell
        x1, y1 = low[:2] + (np.array([i1, j1]) - 0.5) * cell
        if min(x1 - x0, y1 - y0) < SHORTEST:
            continue
        support = Support(float(x0), float(y0), float(x1), float(y1), height, clearance)
        if clearance >= FREE or _open_to_front(points, support, cell):
            found.append(support)
    found.sort(key=lambda support: -(support.x1 - support.x0) * (support.y1 - support.y0))
    return tuple(found[:MOST])


def largest_rectangle(free: np.ndarray) -> tuple[int, int, int, int]:
    """The rectangle of most cells that are all free, as (first row, first column, end row, end column)."""
    best, best_area = (0, 0, 0, 0), 0
    run = np.zeros(free.shape[1], int)
    for row in range(len(free)):
        run = np.where(free[row], run + 1, 0)
        stack: list[tuple[int, int]] = []  # start column and height, rising
        for column, height in enumerate([*run.tolist(), 0]):
            start = column
            while stack and stack[-1][1] >= height:
                start, tall = stack.pop()
                if tall * (column - start) > best_area:
                    best, best_area = (row - tall + 1, start, row + 1, column), tall * (column - start)
            stack.append((start, height))
    return best


def _levels(mesh: Mesh, footprint: float) -> list[float]:
    """Heights at which level triangles cover a good part of the footprint, from the top."""
    cross = np.cross(mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0]).astype(float)
    area = np.linalg.norm(cross, axis=1) / 2
    level = np.abs(cross[:, 2]) > 2 * LEVEL * area
    height, area = mesh.points[level, :, 2].mean(1).astype(float), area[level]
    order = np.argsort(-height, kind="stable")
    height, area = height[order], area[order]
    levels = []
    while len(height):
        group = height > height[0] - STEP
        if area[group].sum() > 0.15 * footprint:
            levels.append(float(height[group].max()))
        height, area = height[~group], area[~group]
    return levels


def _sampled(mesh: Mesh, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) spread over all triangles, no further apart than a cell, and which are of level ones (N,)."""
    points = mesh.points.astype(float)
    edges = np.linalg.norm(points - np.roll(points, 1, axis=1), axis=2)
    count = np.ceil(edges.max(1) / cell).astype(int) + 1
    cross = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    level = np.abs(cross[:, 2]) > LEVEL * np.linalg.norm(cross, axis=1)
    found, flags = [], []
    for steps in np.unique(count):
        chosen = np.flatnonzero(count == steps)
        i, j = np.meshgrid(np.arange(steps), np.arange(steps), indexing="ij")
        inside = i + j < steps
        a, b = i[inside] / max(steps - 1, 1), j[inside] / max(steps - 1, 1)
        weights = np.stack([1 - a - b, a, b], 1)
        found.append(np.einsum("sc,tck->tsk", weights, points[chosen]).reshape(-1, 3))
        flags.append(np.repeat(level[chosen], len(weights)))
    return np.concatenate(found), np.concatenate(flags)


def _open_to_front(points: np.ndarray, support: Support, cell: float) -> bool:
    """Whether one can reach in from -y: little stands before the middle of the rectangle."""
    low, high = support.z + 0.03, support.z + min(support.clearance, 0.4) - 0.03
    width = support.x1 - support.x0
    x0, x1 = support.x0 + 0.1 * width, support.x1 - 0.1 * width
    x, y, z = points.T
    before = (y < support.y0) & (x > x0) & (x < x1) & (z > low) & (z < high)
    columns, rows = max(int((x1 - x0) / cell), 1), max(int((high - low) / cell), 1)
    i = np.minimum(((x[before] - x0) / cell).astype(int), columns - 1)
    j = np.minimum(((z[before] - low) / cell).astype(int), rows - 1)
    return len(np.unique(i * rows + j)) < 0.3 * columns * rows
