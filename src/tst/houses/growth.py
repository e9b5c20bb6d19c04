"""Grows regions on a grid until they fill it: rectangles first, then L-shapes.

After Lopes, Tutenel, Smelik, de Kraker and Bidarra, "A constrained growth method for procedural floor plan generation"
(GAME-ON 2010), which ProcTHOR (Deitke et al., NeurIPS 2022) uses too. Cells are (x, y).
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from scipy import ndimage

from tst.houses.rectilinear import corner_count, rectangles, trace

OVERFLOW = 1.35  # a region may outgrow its target by this factor while it is still a rectangle


def grow(
    free: np.ndarray,
    seeds: Sequence[tuple[int, int]],
    targets: Sequence[float],
    least: Sequence[int],
    corners: int,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Fill the `free` cells (X, Y) bool with one region a seed, of about `targets` cells each.

    Returns:
        int8 (X, Y), index of the region, -1 where not free; None if a region has no room for a square of `least` cells
        a side, or would need more than `corners` corners.
    """
    if len({*seeds}) < len(seeds) or not all(free[x, y] for x, y in seeds):
        return None
    boxes = _Boxes(free, seeds)
    boxes.grow([side**2 for side in least], rng)
    if any(min(x1 - x0, y1 - y0) < side for (x0, y0, x1, y1), side in zip(boxes.bounds, least, strict=True)):
        return None
    boxes.grow(targets, rng)
    boxes.grow([OVERFLOW * target for target in targets], rng)
    labels = np.full(free.shape, -1, np.int8)
    for k, (x0, y0, x1, y1) in enumerate(boxes.bounds):
        labels[x0:x1, y0:y1] = k
    return labels if _fill(labels, free & (labels < 0), targets, corners) else None


class _Boxes:
    """Rectangles of cells that grow a line at a time; plain integers, as most of a plan's time is spent here.

    `bounds` are lists [x0, y0, x1, y1], the ends exclusive.
    """

    def __init__(self, free: np.ndarray, seeds: Sequence[tuple[int, int]]) -> None:
        self.size = free.shape
        # Blocked cells as the bits of one number a column (over y) and a row (over x).
        self.blocked = [_bits(~free), _bits(~free.T)]
        self.bounds = [[x, y, x + 1, y + 1] for x, y in seeds]

    def grow(self, limits: Sequence[float], rng: np.random.Generator) -> None:
        """Move sides outward, those of a random box (the larger the limit the likelier), until no box can or may."""
        active = list(range(len(self.bounds)))
        steps = len(active) * (sum(self.size) + 1)
        weights = list(accumulate(limits))
        for choice, side in zip(rng.random(steps).tolist(), rng.integers(2, size=steps).tolist(), strict=True):
            k = active[bisect_right(weights, choice * weights[-1], hi=len(active) - 1)]
            if not self._grow_box(k, limits[k], side):
                active.remove(k)
                if not active:
                    return
                weights = list(accumulate(limits[k] for k in active))

    def _grow_box(self, k: int, limit: float, first: int) -> bool:
        """Move one side of a box, the longest that can be; `first` of two opposite ones, 0 the low one."""
        x0, y0, x1, y1 = box = self.bounds[k]
        width, depth = x1 - x0, y1 - y0
        for axis in (0, 1) if depth >= width else (1, 0):
            if width * depth + (depth if axis == 0 else width) > limit:
                continue
            for side in (first, 1 - first):
                if self._is_free(k, axis, box[axis + 2] if side else box[axis] - 1):
                    box[axis + 2 * side] += 1 if side else -1
                    return True
        return False

    def _is_free(self, k: int, axis: int, line: int) -> bool:
        """Whether the cells beside box k on a line (of constant x for axis 0) are free."""
        low, high = self.bounds[k][1 - axis], self.bounds[k][3 - axis]
        if not 0 <= line < self.size[axis] or (self.blocked[axis][line] >> low) & ((1 << (high - low)) - 1):
            return False
        return not any(
            box[axis] <= line < box[axis + 2] and box[1 - axis] < high and low < box[3 - axis] for box in self.bounds
        )


def _bits(mask: np.ndarray) -> list[int]:
    """One number a row of `mask` (N, M) bool, with bit j for column j."""
    return [int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little") for row in mask]


def _fill(labels: np.ndarray, left: np.ndarray, targets: Sequence[float], corners: int) -> bool:
    """Give the cells that are `left` to neighbours, a rectangle at a time, so that these stay as simple as can be."""
    parts, count = ndimage.label(left)
    for part in range(1, count + 1):
        outline = trace(parts == part)
        if outline is None:
            return False
        for x0, y0, x1, y1 in rectangles(outline):
            window = (slice(int(x0), int(x1)), slice(int(y0), int(y1)))
            best: tuple[int, float, int] | None = None
            for k in _neighbours(labels, window):
                merged = labels == k
                share = float(merged.sum() / targets[k])
                merged[window] = True
                option = (corner_count(merged), share, k)
                if option[0] <= corners and (best is None or option < best):
                    best = option
            if best is None:
                return False
            labels[window] = best[2]
    return True


def _neighbours(labels: np.ndarray, window: tuple[slice, slice]) -> list[int]:
    """Regions with a side in common with the cells of a window, ascending."""
    (x, y), (width, depth) = window, labels.shape
    rims = [
        labels[max(x.start - 1, 0) : x.start, y],
        labels[x.stop : min(x.stop + 1, width), y],
        labels[x, max(y.start - 1, 0) : y.start],
        labels[x, y.stop : min(y.stop + 1, depth)],
    ]
    found = np.unique(np.concatenate([rim.ravel() for rim in rims]))
    return [int(k) for k in found if k >= 0]
