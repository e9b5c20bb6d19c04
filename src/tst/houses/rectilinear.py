"""Polygons whose edges all run along x or y: the outlines of rooms.

A polygon is (N, 2), counter-clockwise, corners only, so that upright and level edges take turns.
"""

import numpy as np

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def trace(mask: np.ndarray) -> np.ndarray | None:
    """The outline of the cells of `mask` (X, Y) bool, (N, 2) int in units of cells.

    None if the cells are none, have a hole, lie apart or meet at a corner only.
    """
    around = _cells_around_vertices(mask)
    a, b, c, d = around
    count = a.astype(np.int8) + b + c + d
    if ((count == 2) & (a == d)).any():
        return None
    corners = np.argwhere((count == 1) | (count == 3))
    if len(corners) == 0:
        return None
    partner = []
    for axis in (0, 1):  # along each line of corners, the first is joined to the second, the third to the fourth
        order = np.lexsort((corners[:, axis], corners[:, 1 - axis]))
        other = np.empty(len(corners), np.intp)
        other[order[::2]], other[order[1::2]] = order[1::2], order[::2]
        partner.append(other)
    walk: list[int] = []
    k = 0
    while not walk or k != 0:
        level = partner[0][k]
        walk += [k, level]
        k = partner[1][level]
    if len(walk) != len(corners):
        return None
    outline = corners[walk]
    return outline if signed_area(outline) > 0 else outline[::-1]


def corner_count(mask: np.ndarray) -> int:
    """Number of corners of the outline of `mask` (X, Y), 4 for a rectangle; cells that meet at a corner add 2."""
    a, b, c, d = _cells_around_vertices(mask)
    odd = a ^ b ^ c ^ d
    return int(odd.sum() + 2 * ((a == d) & (b == c) & (a != b)).sum())


def _cells_around_vertices(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    padded = np.pad(mask, 1)
    return padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]


def signed_area(polygon: np.ndarray) -> float:
    """Area, above 0 if counter-clockwise."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def perimeter(polygon: np.ndarray) -> float:
    """Length of all edges."""
    return float(np.abs(np.roll(polygon, -1, 0) - polygon).sum())


def inset(polygon: np.ndarray, distance: float) -> np.ndarray:
    """The polygon with every edge moved inward; the corners keep their order. Outward if `distance` is below 0."""
    edge = np.sign(np.roll(polygon, -1, 0) - polygon)
    inward = np.stack([-edge[:, 1], edge[:, 0]], 1)
    return polygon + distance * (inward + np.roll(inward, 1, 0))


def blocks(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The polygon on the grid of its own coordinates: xs (X + 1,), ys (Y + 1,), inside (X, Y) bool."""
    xs, ys = np.unique(polygon[:, 0]), np.unique(polygon[:, 1])
    x, y = (xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2
    start, end = polygon, np.roll(polygon, -1, 0)
    upright = start[:, 0] == end[:, 0]
    at = start[upright, 0]
    low, high = np.sort([start[upright, 1], end[upright, 1]], 0)
    crossed = (x[:, None, None] < at) & (y[None, :, None] > low) & (y[None, :, None] < high)
    return xs, ys, crossed.sum(2) % 2 == 1


def rectangles(polygon: np.ndarray) -> list[Rectangle]:
    """The polygon cut into few rectangles, from left to right."""
    xs, ys, inside = blocks(polygon)
    done = ~inside
    found: list[Rectangle] = []
    for i in range(len(xs) - 1):
        for j in range(len(ys) - 1):
            if done[i, j]:
                continue
            top = j
            while top < len(ys) - 1 and not done[i, top]:
                top += 1
            right = i
            while right < len(xs) - 1 and not done[right, j:top].any():
                right += 1
            done[i:right, j:top] = True
            found.append((float(xs[i]), float(ys[j]), float(xs[right]), float(ys[top])))
    return found


def largest_rectangle(polygon: np.ndarray) -> Rectangle:
    """The inscribed rectangle with the longest shorter side; among those, the largest."""
    xs, ys, inside = blocks(polygon)
    best, found = (-1.0, -1.0), (0.0, 0.0, 0.0, 0.0)
    for i in range(len(xs) - 1):
        for right in range(i + 1, len(xs)):
            for j in range(len(ys) - 1):
                for top in range(j + 1, len(ys)):
                    if not inside[i:right, j:top].all():
                        break
                    width, depth = xs[right] - xs[i], ys[top] - ys[j]
                    if (min(width, depth), width * depth) > best:
                        best = (min(width, depth), width * depth)
                        found = (float(xs[i]), float(ys[j]), float(xs[right]), float(ys[top]))
    return found


def narrowest(polygon: np.ndarray) -> float:
    """Width of the narrowest arm or passage."""
    xs, ys, inside = blocks(polygon)
    widths = np.minimum(_runs(inside, np.diff(xs)), _runs(inside.T, np.diff(ys)).T)
    return float(widths[inside].min())


def _runs(inside: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For every block, the length of the unbroken row of blocks along axis 0 that it is in."""
    result = np.zeros(inside.shape)
    for column in range(inside.shape[1]):
        start = 0
        while start < len(lengths):
            end = start
            while end < len(lengths) and inside[end, column]:
                end += 1
            result[start:end, column] = lengths[start:end].sum()
            start = max(end, start + 1)
    return result
