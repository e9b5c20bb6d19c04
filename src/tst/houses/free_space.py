"""Where a body can stand and walk in a furnished house: an occupancy grid with clearance and shortest ways.

Grid arrays have shape (X, Y): the first index goes along world x. All lengths are in metres.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from tst.houses.doors import doorstep, leaves

if TYPE_CHECKING:
    from tst.houses.house import House
    from tst.houses.plan import Plan

CELL = 0.05
STEP_OVER = 0.05
COMFORT = 0.5
NOWHERE = -1


class FreeSpace:
    """Where an upright cylinder can be: inside rooms and doors, clear of every thing that reaches into its height.

    Things lower than 5 cm (rugs) are stepped over, things above its head do not matter. The front door is closed, the
    leaves of the others stand in their rooms.

    Attributes:
        radius: of the body.
        origin: (2,) world position of the grid's lowest corner.
        room: int16 (X, Y), the room each cell is in; -1 in walls, doors and outside.
        clearance: float32 (X, Y), distance to the nearest wall or thing, 0 inside them.
        free: bool (X, Y), where the body's axis can be: `clearance` of at least `radius`.
    """

    def __init__(self, house: "House", radius: float = 0.25, height: float = 1.8) -> None:
        self.radius, self.rooms = radius, len(house.plan.rooms)
        corners = np.concatenate([room.outline for room in house.plan.rooms])
        self.origin = corners.min(0) - house.plan.thickness - CELL
        size = np.ceil((corners.max(0) + house.plan.thickness + CELL - self.origin) / CELL).astype(int)
        self.room = self._rooms(house.plan, size)
        open_ = self.room != NOWHERE
        for opening in house.plan.openings:
            if opening.kind in ("door", "doorway"):
                open_[self._cells(doorstep(opening, house.plan.thickness, depth=CELL))] = True
        for thing in house.things:
            low, high = thing.bounds
            if high[2] > STEP_OVER and low[2] < height:
                open_[self._cells(np.stack([low[:2], high[:2]]))] = False
        for leaf in leaves(house.plan):
            line = leaf.hinge + np.linspace(0, 1, 50)[:, None] * (leaf.end - leaf.hinge)
            open_[tuple(((line - self.origin) / CELL).astype(int).T)] = False
        # Half a cell less: the transform measures between cell centres, but a blocked cell begins at its edge.
        distance = ndimage.distance_transform_edt(open_) * CELL - CELL / 2
        self.clearance = np.maximum(distance, 0).astype(np.float32)
        self.free = self.clearance >= radius

    def _rooms(self, plan: "Plan", size: np.ndarray) -> np.ndarray:
        grid = np.full(size, NOWHERE, np.int16)
        centres = self.centres(np.indices(tuple(size.tolist())).reshape(2, -1).T).reshape(*size, 2)
        for room in plan.rooms:
            cells = self._cells(np.stack([room.inner.min(0), room.inner.max(0)]))
            grid[cells][room.contains(centres[cells])] = room.index
        return grid

    def _cells(self, bounds: np.ndarray) -> tuple[slice, slice]:
        """The cells that a rectangle (2, 2) touches, as an index."""
        low = np.maximum(np.floor((bounds[0] - self.origin) / CELL + 1e-6), 0).astype(int)
        high = np.maximum(np.ceil((bounds[1] - self.origin) / CELL - 1e-6), 0).astype(int)
        return slice(low[0], high[0]), slice(low[1], high[1])

    def centres(self, cells: np.ndarray) -> np.ndarray:
        """World positions (..., 2) of the middle of cells (..., 2)."""
        return self.origin + (cells + 0.5) * CELL

    def clearance_at(self, points: np.ndarray) -> np.ndarray:
        """Clearance (...) at world positions (..., 2), interpolated; 0 outside the grid."""
        coordinates = np.moveaxis((points - self.origin) / CELL - 0.5, -1, 0)
        return ndimage.map_coordinates(self.clearance, coordinates, order=1, mode="constant")

    @cached_property
    def _regions(self) -> tuple[np.ndarray, int]:
        return ndimage.label(self.free)

    def reachable_rooms(self) -> list[set[int]]:
        """The rooms of each connected piece of free space, the largest piece first.

        A pocket between pieces of furniture is a piece of its own, so a room can be in several.
        """
        labels, count = self._regions
        size = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        inside = self.free & (self.room != NOWHERE)
        pairs = np.unique(np.stack([labels[inside], self.room[inside]]), axis=1).T
        found = [set[int]() for _ in range(count)]
        for label, room in pairs.tolist():
            found[label - 1].add(room)
        return [found[index] for index in np.argsort(-size, kind="stable") if found[index]]

    def all_rooms_reachable(self) -> bool:
        """Whether one can walk from every room to every other."""
        return any(len(rooms) == self.rooms for rooms in self.reachable_rooms())

    @cached_property
    def main(self) -> np.ndarray:
        """bool (X, Y): the connected piece of free space with the most rooms (the largest of them)."""
        labels, count = self._regions
        inside = np.where(self.room != NOWHERE, labels, 0)
        size = np.bincount(inside.ravel(), minlength=count + 1)
        kinds = np.unique(np.stack([inside[inside > 0], self.room[inside > 0]]), axis=1)
        rooms = np.bincount(kinds[0], minlength=count + 1)
        size[0] = rooms[0] = 0
        return labels == np.lexsort((size, rooms))[-1] if count else np.zeros_like(self.free)

    def sample(self, rng: np.random.Generator, n: int, room: int | None = None) -> np.ndarray:
        """`n` positions (n, 2), uniform over the free space (of one room, if given). There must be some."""
        cells = np.argwhere(self.free if room is None else self.free & (self.room == room))
        assert len(cells), f"no free space in room {room}"
        drawn = cells[rng.integers(len(cells), size=n)]
        return self.centres(drawn + rng.uniform(-0.5, 0.5, (n, 2)))

    @cached_property
    def _graph(self) -> tuple[np.ndarray, np.ndarray, sparse.csr_array]:
        """The main piece's cells (N, 2), their number by cell (X, Y), and the cost of a step between neighbours."""
        cells = np.argwhere(self.main)
        number = np.full(self.free.shape, -1, np.int32)
        number[self.main] = np.arange(len(cells))
        # Close to obstacles a metre costs up to four: ways keep to the middle of doors and halls.
        price = 1 + 3 * np.clip(1 - (self.clearance - self.radius) / COMFORT, 0, 1) ** 2
        rows, columns, costs = [], [], []
        for step in ((1, 0), (0, 1), (1, 1), (1, -1)):
            there = cells + step  # the grid's border is never free, so this stays inside
            target = number[there[:, 0], there[:, 1]]
            fine = target >= 0
            if step[0] and step[1]:  # no cutting of corners
                fine &= self.main[cells[:, 0] + step[0], cells[:, 1]] & self.main[cells[:, 0], cells[:, 1] + step[1]]
            rows.append(np.flatnonzero(fine))
            columns.append(target[fine])
            mean = (price[self.main][fine] + price[there[fine, 0], there[fine, 1]]) / 2
            costs.append(CELL * np.hypot(*step) * mean)
        shape = (len(cells), len(cells))
        graph = sparse.csr_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
        return cells, number, graph

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        """Numbers (N,) of the main piece's cells nearest to points (N, 2)."""
        cells = self._graph[0]
        return np.array([np.argmin(((self.centres(cells) - point) ** 2).sum(1)) for point in points], int)

    def path(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The way (M, 2) from `a` to `b`, a polyline of cell centres that keeps away from obstacles.

        Both ends are moved to the nearest cell of the main piece of free space, so there always is one.
        """
        return self.paths(np.stack([a, b]))[1][0][1]

    def paths(self, points: np.ndarray) -> tuple[np.ndarray, list[list[np.ndarray]]]:
        """Costs (N, N) of the ways between all points (N, 2), in metres where there is room, and the ways."""
        cells, _, graph = self._graph
        ends = self._nearest(np.asarray(points, float))
        costs, before = csgraph.dijkstra(graph, directed=False, indices=ends, return_predecessors=True)
        ways = [[self.centres(cells[_trace(row, int(end))]) for end in ends] for row in before]
        return costs[:, ends], ways


def _trace(before: np.ndarray, end: int) -> list[int]:
    way = [end]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return way[::-1]
