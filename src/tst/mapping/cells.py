"""Which cells of space are occupied: a hash table from packed integer coordinates to rows 0 .. V - 1.

No dense grid: memory grows with the surface, not with the volume. Open addressing, in numba: 10 to 20 million points a
second on one core, against 2 with sorting (`numpy.unique`).
"""

import math

import numba
import numpy as np

from tst.errors import UserError

BITS = 21
"""Of each coordinate in a key: 2^20 cells to each side, 50 km at 5 cm."""
HALF = 1 << (BITS - 1)
FULL = 0.5
"""Share of the slots that are taken before the table doubles: a search then looks at 1.5 slots on average."""
MOST = 50_000_000
"""Cells beyond which depth or poses are wrong, or the cell is far too small: a house has a million."""


@numba.njit(cache=True, nogil=True)
def key_of(x: float, y: float, z: float) -> int:
    """Key of the cell at (x, y, z), in cells; -1 beyond what keys can tell."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    if not (-HALF <= i < HALF and -HALF <= j < HALF and -HALF <= k < HALF):  # also NaN
        return -1
    return ((int(i) + HALF) << (2 * BITS)) | ((int(j) + HALF) << BITS) | (int(k) + HALF)


@numba.njit(cache=True, nogil=True)
def slot_of(key: int, keys: np.ndarray) -> int:
    """The slot that holds `key`, or the empty one where it belongs. The number of slots is a power of two."""
    mask = len(keys) - 1
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != key and keys[slot] != -1:
        slot = (slot + 1) & mask
    return slot  # type: ignore[return-value]


@numba.njit(cache=True, nogil=True)
def row_of(x: float, y: float, z: float, keys: np.ndarray, rows: np.ndarray) -> int:
    """Row of the cell at (x, y, z), in cells; -1 if it is empty."""
    key = key_of(x, y, z)
    if key < 0:
        return -1
    slot = slot_of(key, keys)
    return rows[slot] if keys[slot] == key else -1


@numba.njit(cache=True, nogil=True)
def _insert(
    points: np.ndarray, chosen: np.ndarray, cell: float, keys: np.ndarray, rows: np.ndarray, count: int
) -> tuple[np.ndarray, int]:
    found = np.full(len(points), -1, np.int32)
    for p in range(len(points)):
        if not chosen[p]:
            continue
        key = key_of(points[p, 0] / cell, points[p, 1] / cell, points[p, 2] / cell)
        if key < 0:
            continue
        slot = slot_of(key, keys)
        if keys[slot] == -1:
            keys[slot] = key
            rows[slot] = count
            count += 1
        found[p] = rows[slot]
    return found, count


@numba.njit(cache=True, nogil=True)
def _find(points: np.ndarray, chosen: np.ndarray, cell: float, keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    found = np.full(len(points), -1, np.int32)
    for p in range(len(points)):
        if chosen[p]:
            found[p] = row_of(points[p, 0] / cell, points[p, 1] / cell, points[p, 2] / cell, keys, rows)
    return found


@numba.njit(cache=True, nogil=True)
def _moved(keys: np.ndarray, rows: np.ndarray, new_keys: np.ndarray, new_rows: np.ndarray) -> None:
    for old in range(len(keys)):
        if keys[old] != -1:
            slot = slot_of(keys[old], new_keys)
            new_keys[slot], new_rows[slot] = keys[old], rows[old]


class Cells:
    """Occupied cells, numbered in the order in which they were first met.

    Args:
        side: of a cell, metres.

    Attributes:
        keys: (slots,) int64 packed coordinates, -1 where empty.
        rows: (slots,) int32.
    """

    def __init__(self, side: float) -> None:
        self.side, self.count = side, 0
        self.keys, self.rows = np.full(1024, -1, np.int64), np.zeros(1024, np.int32)

    def __len__(self) -> int:
        return self.count

    def insert(self, points_P3: np.ndarray, chosen_P: np.ndarray) -> np.ndarray:
        """Rows (P,) int32 of the cells of points, made where they are not there; -1 where not `chosen`.

        Args:
            points_P3: float32 metres from the map's origin.
            chosen_P: bool.

        Raises:
            UserError: there are more cells than any space has.
        """
        needed = self.count + int(chosen_P.sum())
        if needed > FULL * len(self.keys):
            self._grow(needed)
        found, self.count = _insert(points_P3, chosen_P, self.side, self.keys, self.rows, self.count)
        if self.count > MOST:
            raise UserError(
                f"--cell {self.side:g}: the map has over {MOST:,} cells. Use larger ones, or see `tst check` for what "
                "is wrong with depth or poses."
            )
        return found

    def find(self, points_P3: np.ndarray, chosen_P: np.ndarray) -> np.ndarray:
        """Rows (P,) int32 of the cells of points; -1 where the cell is empty, or not `chosen`."""
        return _find(points_P3, chosen_P, self.side, self.keys, self.rows)

    def corners(self) -> np.ndarray:
        """(V, 3) int64 coordinates of each cell, in cells: it reaches from there to one more."""
        key = np.empty(self.count, np.int64)
        taken = self.keys != -1
        key[self.rows[taken]] = self.keys[taken]
        mask = (1 << BITS) - 1
        return np.stack([key >> (2 * BITS), (key >> BITS) & mask, key & mask], 1) - HALF

    def _grow(self, needed: int) -> None:
        slots = 1 << math.ceil(math.log2(needed / FULL))
        keys, rows = np.full(slots, -1, np.int64), np.zeros(slots, np.int32)
        _moved(self.keys, self.rows, keys, rows)
        self.keys, self.rows = keys, rows
