"""Putting pieces into rooms: where there is room for a thing, and what must stay free.

Positions are in world axes. A thing turned by `yaw` radians (counter-clockwise seen from above) faces
(sin yaw, -cos yaw), as pieces face -y.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from tst.houses.furniture.piece import Fits, Library, Piece, Support
from tst.houses.mesh import Mesh
from tst.houses.plan import Opening, Plan, Room, Wall

BODY_RADIUS = 0.25
"""Of a person who has to get through, in metres."""
CELL = 0.1
FREE_SHARE = 0.15
"""Of a room's floor that stays walkable."""
PLACES = 4
"""Places that are tried for a piece before another is drawn."""
TOUCH = 0.004
"""Overlap that does not count, so that things may touch."""


@dataclass(frozen=True, eq=False)
class Thing:
    """A piece in its place.

    Attributes:
        instance: number in instance masks, from 1.
        piece: what it is.
        room: index of its room.
        position: of the piece's origin, (x, y, z) in metres.
        yaw: turn about the vertical, radians.
        on: instance of the thing it stands on; None for floor, wall and ceiling.
    """

    instance: int
    piece: Piece
    room: int
    position: tuple[float, float, float]
    yaw: float
    on: int | None = None

    @property
    def category(self) -> str:
        """One of `categories.CATEGORIES`."""
        return self.piece.category

    @property
    def name(self) -> str:
        """Of the piece."""
        return self.piece.name

    @cached_property
    def bounds(self) -> np.ndarray:
        """Lowest and highest corner, (2, 3) float64, metres."""
        half = footprint(self.piece.size, self.yaw) / 2
        x, y, z = self.position
        return np.array([[x - half[0], y - half[1], z], [x + half[0], y + half[1], z + self.piece.size[2]]])

    @property
    def front(self) -> np.ndarray:
        """Unit vector (2,) that it faces along."""
        return np.array([math.sin(self.yaw), -math.cos(self.yaw)])

    def world(self, x: float, y: float) -> np.ndarray:
        """A point (x, y) of the piece's axes in world axes, (2,)."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([self.position[0] + c * x - s * y, self.position[1] + s * x + c * y])

    def mesh(self) -> Mesh:
        """Its triangles in world axes."""
        return self.piece.mesh.turned(self.yaw).moved(*self.position)


def footprint(size: Sequence[float], yaw: float) -> np.ndarray:
    """Width and depth of the axis-aligned box around a piece turned by `yaw`, (2,)."""
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    return np.array([c * size[0] + s * size[1], s * size[0] + c * size[1]])


def facing(direction: np.ndarray) -> float:
    """The yaw of a thing that faces along `direction` (2,)."""
    return math.atan2(direction[0], -direction[1])


def inside(room: Room, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether the rectangle lies in the room's floor."""
    low, high = low + TOUCH, high - TOUCH
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    if not room.contains(corners).all():
        return False
    # A corner of an L-shaped room may cut into a rectangle whose own corners are all inside.
    start, end = room.inner, np.roll(room.inner, -1, 0)
    edge_low, edge_high = np.minimum(start, end), np.maximum(start, end)
    return not bool(((edge_low < high) & (edge_high > low)).all(1).any())


class Placer:
    """Places things one after the other; a thing that was placed stays.

    Args:
        plan: the house.
        library: where pieces come from.
        keep_free: rectangles of floor, (2, 2) each, that stay empty: doors' swings and landings.
        rng: draws everything.
        first_instance: number of the first thing.
    """

    def __init__(
        self,
        plan: Plan,
        library: Library,
        keep_free: Sequence[np.ndarray],
        rng: np.random.Generator,
        first_instance: int,
    ) -> None:
        self.plan, self.library, self.rng = plan, library, rng
        self.things: list[Thing] = []
        self.next_instance = first_instance
        self._keep_free = np.array(keep_free, float).reshape(-1, 2, 2)
        self._rugs: list[np.ndarray] = []
        self._solid: dict[int, np.ndarray] = {}
        self._floors = [_Floor(plan, room) for room in plan.rooms]

    # Choosing

    def draw(self, category: str, fits: Fits | None = None) -> Piece | None:
        """A piece of the category, or None."""
        return self.library.draw(category, self.rng, fits)

    def chance(self, probability: float) -> bool:
        """True that often."""
        return bool(self.rng.random() < probability)

    # Placing

    def put(
        self,
        piece: Piece,
        room: Room,
        position: Sequence[float],
        yaw: float,
        *,
        on: Thing | None = None,
        at: Thing | None = None,
        solid: bool = True,
        margin: float = 0.0,
    ) -> Thing | None:
        """Place the piece if it collides with nothing and all ways stay open; None otherwise.

        Args:
            on: what it stands on.
            at: what it may be pushed under: a chair's table.
            solid: False for what one walks under or past (ceiling lamps, curtains): it blocks no way.
            margin: metres of air that are wanted around it.
        """
        x, y, z = (float(v) for v in position)
        thing = Thing(self.next_instance, piece, room.index, (x, y, z), yaw, None if on is None else on.instance)
        bounds = thing.bounds
        others = [
            box for instance, box in self._solid.items() if instance not in (on and on.instance, at and at.instance)
        ]
        if not apart(bounds, others, margin):
            return None
        if bounds[1, 2] > self.plan.height + TOUCH:
            return None
        if on is None:
            if not inside(room, bounds[0, :2], bounds[1, :2]):
                return None
            if solid and bounds[0, 2] < 1.9:
                if self._in_keep_free(bounds):
                    return None
                if bounds[0, 2] < 1.0 and not self._floors[room.index].stays_open(bounds):
                    return None
        self._add(thing)
        self._solid[thing.instance] = bounds
        if solid and on is None and bounds[0, 2] < 1.0:
            self._floors[room.index].block(bounds)
        return thing

    def lay(self, piece: Piece, room: Room, centre: np.ndarray, yaw: float) -> Thing | None:
        """Lay a rug on the floor: whatever stands there stands on it, only other rugs are in its way."""
        thing = Thing(self.next_instance, piece, room.index, (float(centre[0]), float(centre[1]), 0.001), yaw)
        bounds = thing.bounds
        if not inside(room, bounds[0, :2], bounds[1, :2]) or not apart(bounds, self._rugs):
            return None
        self._rugs.append(bounds)
        self._add(thing)
        return thing

    def _add(self, thing: Thing) -> None:
        self.things.append(thing)
        self.next_instance += 1

    def _in_keep_free(self, bounds: np.ndarray) -> bool:
        overlap = (bounds[0, :2] + TOUCH < self._keep_free[:, 1]) & (bounds[1, :2] - TOUCH > self._keep_free[:, 0])
        return bool(overlap.all(1).any())

    def against_wall(
        self,
        room: Room,
        category: str,
        *,
        fits: Fits | None = None,
        piece: Piece | None = None,
        walls: Sequence[Wall] | None = None,
        near: np.ndarray | None = None,
        gap: float = 0.015,
        z: float = 0.0,
        tries: int = 30,
        margin: float = 0.0,
        corner: float = 0.25,
    ) -> Thing | None:
        """Place a piece with its back to a wall, clear of doors and, if it is tall, of windows.

        Args:
            piece: this one instead of a drawn one.
            walls: where; all walls of the room by default, long ones more often.
            near: a point (2,) it should stand close to; anywhere along the wall by default.
            gap: metres between wall and back.
            z: height of its underside.
            corner: how often it goes to an end of the wall, where furniture likes to stand.
        """
        rng = self.rng
        chosen = list(walls if walls is not None else room.walls)
        model = piece
        for attempt in range(tries):
            if piece is None and attempt % PLACES == 0:  # building a piece costs more than trying a place
                model = self.draw(category, fits)
            if model is None:
                return None
            width, depth, height = model.size
            weights = np.array([max(wall.length - width, 0.0) for wall in chosen])
            if not weights.any():
                if piece is not None:
                    return None
                continue
            wall = chosen[int(rng.choice(len(chosen), p=weights / weights.sum()))]
            low, high = width / 2 + 0.02, wall.length - width / 2 - 0.02
            if high < low:
                continue
            if near is not None:
                along = float(np.clip((near - wall.start) @ wall.direction + rng.normal() * 0.1, low, high))
            elif rng.random() < corner:
                along = low if rng.random() < 0.5 else high
            else:
                along = float(rng.uniform(low, high))
            if not clear_of_openings(wall, along, width, z, z + height):
                continue
            x, y = wall.start + wall.direction * along + wall.inward * (gap + depth / 2)
            thing = self.put(model, room, (x, y, z), facing(wall.inward), margin=margin)
            if thing is not None:
                return thing
        return None

    def on_top(
        self, base: Thing | None, categories: Sequence[str], count: int, *, turn: float = 0.5, tries: int = 8
    ) -> list[Thing]:
        """Stand up to `count` small things, each of one of the categories, on the supports of a thing."""
        placed: list[Thing] = []
        if base is None or not base.piece.supports:
            return placed
        supports = base.piece.supports
        areas = np.array([(s.x1 - s.x0) * (s.y1 - s.y0) for s in supports])
        for _ in range(count):
            for _ in range(tries):
                support = supports[int(self.rng.choice(len(supports), p=areas / areas.sum()))]
                category = categories[int(self.rng.integers(len(categories)))]
                piece = self.draw(category, _fits_on(support))
                if piece is None:
                    continue
                thing = self.stand(piece, base, support, turn=turn)
                if thing is not None:
                    placed.append(thing)
                    break
        return placed

    def stand(
        self, piece: Piece, base: Thing, support: Support, *, turn: float = 0.5, centred: bool = False, yaw: float = 0.0
    ) -> Thing | None:
        """Stand one piece somewhere on a support, turned up to `turn` radians from the base's front; None if taken."""
        if not _fits_on(support)(piece.size):
            return None
        spot = spot_on(piece, base, support, self.rng, turn=turn, centred=centred, yaw=yaw)
        if spot is None:
            return None
        position, angle = spot
        return self.put(piece, self.plan.rooms[base.room], position, angle, on=base)


def apart(bounds: np.ndarray, others: list[np.ndarray], margin: float = 0.0) -> bool:
    """Whether a box overlaps none of the others, with `margin` metres of air around it."""
    if not others:
        return True
    every = np.array(others)
    gap = TOUCH - np.array([margin, margin, 0])
    overlap = (bounds[0] + gap < every[:, 1]) & (bounds[1] - gap > every[:, 0])
    return not bool(overlap.all(1).any())


def spot_on(
    piece: Piece,
    base: Thing,
    support: Support,
    rng: np.random.Generator,
    *,
    turn: float = 0.5,
    centred: bool = False,
    yaw: float = 0.0,
) -> tuple[tuple[float, float, float], float] | None:
    """A position and a yaw for the piece on the support of `base`; None if it is too large once turned."""
    inner = yaw + float(rng.uniform(-turn, turn))
    room = np.array([support.x1 - support.x0, support.y1 - support.y0]) - footprint(piece.size, inner)
    if (room < 0).any():
        return None
    offset = rng.uniform(-0.5, 0.5, 2) * room * (0.0 if centred else 1.0)
    x, y = base.world((support.x0 + support.x1) / 2 + offset[0], (support.y0 + support.y1) / 2 + offset[1])
    return (float(x), float(y), base.position[2] + support.z + 0.002), base.yaw + inner


def _fits_on(support: Support) -> Fits:
    width, depth = support.x1 - support.x0, support.y1 - support.y0

    def fits(size: tuple[float, float, float]) -> bool:
        return size[0] <= width and size[1] <= depth and size[2] <= support.clearance

    return fits


def clear_of_openings(wall: Wall, along: float, width: float, low: float, high: float) -> bool:
    """Whether a thing centred at `along` metres from the wall's start hides no door, and no window by much."""
    for opening in wall.openings:
        start, end = extent_along(wall, opening)
        if along + width / 2 <= start - 0.05 or along - width / 2 >= end + 0.05:
            continue
        if opening.kind != "window" or (high > opening.sill + 0.3 and low < opening.head):
            return False
    return True


def extent_along(wall: Wall, opening: Opening) -> tuple[float, float]:
    """Where the opening begins and ends, in metres from the wall's start."""
    origin, sign = wall.start[opening.axis], wall.direction[opening.axis]
    ends = sorted(((opening.low - origin) * sign, (opening.high - origin) * sign))
    return ends[0], ends[1]


class _Floor:
    """Which cells of a room's floor a person can stand on, and whether all its doors still reach each other."""

    def __init__(self, plan: Plan, room: Room) -> None:
        low, high = room.inner.min(0), room.inner.max(0)
        x, y = (np.arange(math.ceil((b - a) / CELL)) * CELL + a + CELL / 2 for a, b in zip(low, high, strict=True))
        self._points = np.stack(np.meshgrid(x, y, indexing="ij"), -1)
        floor = room.contains(self._points)
        reach = int(BODY_RADIUS / CELL)
        self._free = ndimage.binary_erosion(floor, iterations=reach)
        self._enough = FREE_SHARE * max(int(self._free.sum()), 1)
        self._doors = []
        for wall in room.walls:
            for opening in wall.openings:
                if opening.kind != "window":
                    middle = np.array(wall.start) + wall.direction * (sum(extent_along(wall, opening)) / 2)
                    self._doors.append(middle + wall.inward * (BODY_RADIUS + 0.2))

    def _without(self, bounds: np.ndarray) -> np.ndarray:
        near = (self._points > bounds[0, :2] - BODY_RADIUS) & (self._points < bounds[1, :2] + BODY_RADIUS)
        return self._free & ~near.all(-1)

    def block(self, bounds: np.ndarray) -> None:
        self._free = self._without(bounds)

    def stays_open(self, bounds: np.ndarray) -> bool:
        free = self._without(bounds)
        labels, count = ndimage.label(free)
        if not count:
            return False
        sizes = np.bincount(labels.ravel())
        at_doors = set()
        for door in self._doors:
            distance = np.abs(self._points - door).max(-1)
            near = labels[(distance < 0.25) & free]
            if not near.size:
                return False
            at_doors.add(int(np.bincount(near).argmax()))
        if len(at_doors) > 1:
            return False
        main = at_doors.pop() if at_doors else int(sizes[1:].argmax()) + 1
        return bool(sizes[main] >= self._enough)
