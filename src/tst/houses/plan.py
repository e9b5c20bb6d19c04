"""Floor plans: which rooms a house has, how they lie together, and where doors and windows are.

World axes: x and y on the floor, z up, metres. Outlines are rectilinear polygons, counter-clockwise seen from above.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

OUTSIDE = -1

RoomKind = Literal["living room", "kitchen", "bedroom", "bathroom", "hall", "office", "dining room", "storage room"]
OpeningKind = Literal["door", "doorway", "front door", "window"]


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: `door` has a leaf (which stands open), `doorway` has none, `front door` is closed and leads outside.
        rooms: the rooms on both sides, `OUTSIDE` for none.
        axis: 0 if the wall runs along x, 1 along y.
        at: the other coordinate of the wall's centre line.
        low, high: extent along the axis.
        sill, head: extent in height; the sill of a door is 0.
    """

    kind: OpeningKind
    rooms: tuple[int, int]
    axis: int
    at: float
    low: float
    high: float
    sill: float
    head: float


@dataclass(frozen=True)
class Wall:
    """The inner face of one straight wall of a room: walking from `start` to `end`, the room is on the left.

    `openings` are those of `Plan.openings` in it.
    """

    room: int
    start: tuple[float, float]
    end: tuple[float, float]
    openings: tuple[Opening, ...] = ()

    @property
    def length(self) -> float:
        """Metres."""
        return abs(self.end[0] - self.start[0]) + abs(self.end[1] - self.start[1])

    @property
    def direction(self) -> np.ndarray:
        """Unit vector (2,) from start to end."""
        return (np.array(self.end) - np.array(self.start)) / self.length

    @property
    def inward(self) -> np.ndarray:
        """Unit vector (2,) into the room."""
        x, y = self.direction
        return np.array([-y, x])


@dataclass(frozen=True, eq=False)
class Room:
    """One room.

    Attributes:
        index: place in `Plan.rooms`.
        kind: what it is for.
        outline: (N, 2) along the centre lines of its walls.
        inner: (N, 2) along the inner faces of its walls, the corners in the same order.
        walls: one for each edge of `inner`, from corner k to corner k + 1.
    """

    index: int
    kind: RoomKind
    outline: np.ndarray
    inner: np.ndarray
    walls: tuple[Wall, ...] = field(default=())

    @property
    def area(self) -> float:
        """Floor area between the inner faces, in square metres."""
        x, y = self.inner.T
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (..., 2) lie inside `inner`, bool (...)."""
        x, y = points[..., 0], points[..., 1]
        inside = np.zeros(x.shape, bool)
        for (x0, y0), (_, y1) in zip(self.inner, np.roll(self.inner, -1, 0), strict=True):
            if y0 != y1:  # only the upright edges cross a level ray
                inside ^= (x < x0) & ((y >= min(y0, y1)) & (y < max(y0, y1)))
        return inside

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Metres from points (..., 2) to the nearest wall, from either side of it, (...)."""
        start, end = self.inner, np.roll(self.inner, -1, 0)
        nearest = np.clip(points[..., None, :], np.minimum(start, end), np.maximum(start, end))
        return np.linalg.norm(points[..., None, :] - nearest, axis=-1).min(-1)


@dataclass(frozen=True, eq=False)
class Plan:
    """A floor plan.

    Attributes:
        rooms: at least one.
        openings: doors and windows; each door between two rooms is in it once.
        height: of the ceiling.
        thickness: of all walls.
    """

    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]
    height: float = 2.6
    thickness: float = 0.12
