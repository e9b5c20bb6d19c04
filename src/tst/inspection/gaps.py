"""What is missing on a map: places seen too seldom, walls seen too seldom, and openings with nothing known behind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from tst.inspection.coverage import FLOOR, FREE, UNKNOWN, VIEWS, WALL, FloorMap

LEAST_AREA = 0.4
"""Square metres of ground worth going back for: less than half a chair's place is hidden somewhere in every room."""
LEAST_WALL = 1.2
"""Metres of wall worth going back for."""
LEAST_OPENING = 0.6
"""Metres: the narrowest door."""
LEAST_BEYOND = 1.5
"""Square metres of unknown ground behind an opening: less is a cupboard, or the inside of a piece of furniture."""
THIN = 0.3
"""Metres: thinner strips along walls and furniture are no gaps."""
MOST = 12
"""Gaps of a map that are told, the largest first."""
OPENING_DEPTH = 2.0
"""Square metres that a metre of opening is worth beside a gap's area: a room may lie behind."""

Kind = Literal["floor", "wall", "opening"]


@dataclass(frozen=True, eq=False)
class Gap:
    """A place to go back to.

    Attributes:
        kind: "floor" (ground seen too seldom), "wall" (the same of a wall), "opening" (seen up to here).
        size: square metres of floor, or metres of wall or opening.
        unseen: share of it that no view saw at all.
        at: (2,) metres east and south of the map's corner: the cell of it nearest to its middle.
        cells: (H, W) bool.
    """

    kind: Kind
    size: float
    unseen: float
    at: np.ndarray
    cells: np.ndarray

    @property
    def weight(self) -> float:
        """How much it matters, in square metres."""
        return self.size * {"floor": 1.0, "wall": 0.7, "opening": OPENING_DEPTH}[self.kind]


def gaps(plan: FloorMap) -> list[Gap]:
    """The gaps of one storey, those that matter most first."""
    found = [*_floor_gaps(plan), *_wall_gaps(plan), *_openings(plan)]
    return sorted(found, key=lambda gap: -gap.weight)[:MOST]


def _floor_gaps(plan: FloorMap) -> list[Gap]:
    weak = plan.inside & (plan.views < VIEWS)
    size = max(1, round(THIN / plan.cell))
    thick = ndimage.binary_opening(weak, np.ones((size, size)))
    found = []
    for cells in _patches(thick):
        area = plan.area(cells)
        if area >= LEAST_AREA:
            found.append(Gap("floor", area, float((plan.views[cells] == 0).mean()), _middle(plan, cells), cells))
    return found


def _wall_gaps(plan: FloorMap) -> list[Gap]:
    weak = (plan.kind == WALL) & (plan.views < VIEWS)
    found = []
    for cells in _patches(weak):
        length = _length(plan, cells)
        if length >= LEAST_WALL:
            found.append(Gap("wall", length, float((plan.views[cells] == 0).mean()), _middle(plan, cells), cells))
    return found


def _openings(plan: FloorMap) -> list[Gap]:
    """Where the floor that was seen ends without a wall."""
    border = 2
    kind = np.pad(plan.kind, border)
    solid = ndimage.binary_closing((kind != UNKNOWN) & (kind != FLOOR) & (kind != FREE), np.ones((3, 3)), iterations=2)
    unknown = (kind == UNKNOWN) & ~solid
    labels, count = ndimage.label(unknown)
    areas = np.bincount(labels.ravel(), minlength=count + 1) * plan.cell**2
    beyond = unknown & (areas[labels] >= LEAST_BEYOND)
    edge = np.isin(kind, (FLOOR, FREE)) & ndimage.binary_dilation(beyond)
    found = []
    for cells in _patches(edge[border:-border, border:-border]):
        length = _length(plan, cells)
        if length >= LEAST_OPENING:
            found.append(Gap("opening", length, 1.0, _middle(plan, cells), cells))
    return found


def _patches(cells: np.ndarray) -> list[np.ndarray]:
    """Connected parts, diagonals and single missing cells included."""
    labels, count = ndimage.label(ndimage.binary_dilation(cells, np.ones((3, 3))))
    return [cells & (labels == number) for number in range(1, count + 1)]


def _length(plan: FloorMap, cells: np.ndarray) -> float:
    """Metres along a line of cells: its extent, or more if it winds."""
    rows, columns = np.nonzero(cells)
    return float(max(np.hypot(np.ptp(rows), np.ptp(columns)) + 1, 0.5 * len(rows)) * plan.cell)


def _middle(plan: FloorMap, cells: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(cells)
    nearest = ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).argmin()
    return np.array([columns[nearest] + 0.5, rows[nearest] + 0.5]) * plan.cell
