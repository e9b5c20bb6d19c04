"""Doors and windows of a floor plan: which rooms are connected, and where the openings are in the walls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tst.houses.plan import OUTSIDE, Opening, OpeningKind, Room, RoomKind

CORNER = 0.1  # metres between an opening and a corner of a room, and between two openings
DOOR_HEAD = 2.05
WINDOW_HEAD = 2.1
EPSILON = 1e-6

# Rooms that one walks through on the way to others.
HUBS: tuple[RoomKind, ...] = ("hall", "living room", "kitchen", "dining room")
# Where the door of a room leads, best first. The first bathroom is for everyone, further ones belong to bedrooms.
DOORS: dict[RoomKind, tuple[RoomKind, ...]] = {
    "living room": (),
    "hall": ("living room", "dining room", "kitchen"),
    "kitchen": ("living room", "dining room", "hall"),
    "dining room": ("kitchen", "living room", "hall"),
    "bedroom": ("hall", "living room"),
    "bathroom": ("hall", "living room", "bedroom"),
    "office": ("hall", "living room", "dining room"),
    "storage room": ("hall", "kitchen", "living room", "dining room"),
}
FRONT: tuple[RoomKind, ...] = ("hall", "living room", "kitchen", "dining room")
OPEN_PLAN: tuple[RoomKind, ...] = ("living room", "kitchen", "dining room")


@dataclass(frozen=True)
class Stretch:
    """A part of a wall that two rooms share (or one room and the outside), between their inner corners."""

    rooms: tuple[int, int]
    axis: int
    at: float
    low: float
    high: float

    @property
    def length(self) -> float:
        """Metres."""
        return self.high - self.low


def stretches(rooms: Sequence[Room]) -> list[Stretch]:
    """All of them: each pair of rooms once, the lower index first; outside walls with `OUTSIDE` second."""
    edges = [edge for room in rooms for edge in _edges(room)]
    found = []
    for room, axis, at, inward, outline, inner in edges:
        beyond = []
        for other, other_axis, other_at, other_inward, other_outline, other_inner in edges:
            if other_axis != axis or other_inward == inward or abs(other_at - at) > EPSILON or other == room:
                continue
            if min(outline[1], other_outline[1]) - max(outline[0], other_outline[0]) < EPSILON:
                continue
            beyond.append(other_outline)
            low, high = max(inner[0], other_inner[0]), min(inner[1], other_inner[1])
            if other > room and high - low > EPSILON:
                found.append(Stretch((room, other), axis, at, low, high))
        place = inner[0]
        for low, high in [*sorted(beyond), (inner[1], inner[1])]:
            if low - place > EPSILON:
                found.append(Stretch((room, OUTSIDE), axis, at, place, min(low, inner[1])))
            place = max(place, high)
    return found


Span = tuple[float, float]


def _edges(room: Room) -> list[tuple[int, int, float, bool, Span, Span]]:
    """(room, axis, at, whether the room is on the side of larger coordinates, extent of the outline, of the inside)."""
    found = []
    for k in range(len(room.outline)):
        start, end = room.outline[k], room.outline[(k + 1) % len(room.outline)]
        axis = 0 if start[1] == end[1] else 1
        forward = end[axis] > start[axis]
        ends = sorted((float(start[axis]), float(end[axis])))
        inner = sorted((float(room.inner[k][axis]), float(room.inner[(k + 1) % len(room.inner)][axis])))
        found.append(
            (room.index, axis, float(start[1 - axis]), forward == (axis == 0), (ends[0], ends[1]), (inner[0], inner[1]))
        )
    return found


def connect(rooms: Sequence[Room], walls: Sequence[Stretch], strict: bool) -> list[tuple[int, int]] | None:
    """Which pairs of rooms have a door: a tree that follows `DOORS`, the room that one comes from second.

    None if the rooms touch too little; with `strict` also if a bedroom or the first bathroom misses an existing hall.
    """
    width = 0.8 + 2 * CORNER
    touching = {wall.rooms for wall in walls if wall.length >= width}
    kinds = [room.kind for room in rooms]
    hall = "hall" in kinds

    def options(room: int) -> list[int]:
        others = [k for k in range(len(rooms)) if (min(k, room), max(k, room)) in touching]
        order = DOORS[kinds[room]]
        return sorted((k for k in others if kinds[k] in order), key=lambda k: (order.index(kinds[k]), k))

    pairs: list[tuple[int, int]] = []
    reached = {kinds.index("living room")}
    waiting = [k for k in range(len(rooms)) if kinds[k] in HUBS and k not in reached]
    while waiting:
        step = next(((k, other) for k in waiting for other in options(k) if other in reached), None)
        if step is None:
            return None
        pairs.append(step)
        reached.add(step[0])
        waiting.remove(step[0])
    ensuite: list[int] = []
    first = _shared_bathroom(kinds, options)
    for room, kind in enumerate(kinds):
        if kind in HUBS:
            continue
        choices = options(room)
        if kind == "bathroom" and room != first:
            own = [k for k in choices if kinds[k] == "bedroom" and k not in ensuite]
            choices = own or [k for k in choices if kinds[k] != "bedroom"]
            ensuite += own[:1]
        elif kind == "bathroom" and len(rooms) > 3:
            choices = [k for k in choices if kinds[k] != "bedroom"]
        if not choices or (strict and hall and kind in ("bedroom", "bathroom") and kinds[choices[0]] == "living room"):
            return None
        pairs.append((room, choices[0]))
    return pairs


def _shared_bathroom(kinds: Sequence[RoomKind], options: Callable[[int], list[int]]) -> int:
    """The bathroom whose door leads to the best place; -1 if there is none."""
    bathrooms = [k for k, kind in enumerate(kinds) if kind == "bathroom" and options(k)]
    order = DOORS["bathroom"]
    return min(bathrooms, key=lambda k: (order.index(kinds[options(k)[0]]), k), default=-1)


def more_doors(
    rooms: Sequence[Room], walls: Sequence[Stretch], pairs: list[tuple[int, int]], rng: np.random.Generator
) -> list[tuple[int, int]]:
    """A few doors more, between rooms that one walks through anyway: homes have rounds."""
    added: list[tuple[int, int]] = []
    for wall in walls:
        a, b = wall.rooms
        if b == OUTSIDE or wall.length < 1.3 or any({a, b} == set(pair) for pair in pairs + added):
            continue
        both = {rooms[a].kind, rooms[b].kind}
        likely = {frozenset({"hall", "kitchen"}): 0.5, frozenset({"hall", "living room"}): 0.9}
        odds = likely.get(frozenset(both), 0.4 if both <= set(OPEN_PLAN) else 0.0)
        if rng.random() < odds:
            added.append((a, b))
    return added


class Placer:
    """Puts openings into walls, none over another."""

    def __init__(self, rooms: Sequence[Room], walls: Sequence[Stretch], rng: np.random.Generator) -> None:
        self.rooms, self.walls, self.rng = rooms, walls, rng
        self.placed: list[Opening] = []

    def door(self, a: int, b: int) -> bool:
        """A door, or where rooms flow into each other a doorway; False if there is no place for it."""
        rooms = (min(a, b), max(a, b))
        walls = [wall for wall in self.walls if wall.rooms == rooms]
        kinds = {self.rooms[k].kind for k in rooms}
        rng = self.rng
        if kinds <= set(OPEN_PLAN) and rng.random() < 0.75:
            width, kind = float(rng.uniform(1.2, 2.2)), "doorway"
        elif kinds == {"hall", "living room"} and rng.random() < 0.35:
            width, kind = float(rng.uniform(0.9, 1.4)), "doorway"
        else:
            width, kind = (
                (0.8 if "bathroom" in kinds or "storage room" in kinds else 0.85 + 0.05 * rng.integers(2)),
                "door",
            )
        longest = max((wall.length for wall in walls), default=0.0)
        width = max(0.8, min(width, longest - 2 * CORNER - 0.05))
        return self._place_door(walls, kind, width)  # type: ignore[arg-type]

    def front_door(self) -> bool:
        """The way out, from the first kind of `FRONT` with a wall to the outside."""
        order = sorted((room for room in self.rooms if room.kind in FRONT), key=lambda room: FRONT.index(room.kind))
        for room in order:
            walls = [wall for wall in self.walls if wall.rooms == (room.index, OUTSIDE)]
            if self._place_door(walls, "front door", 0.9):
                return True
        return False

    def _place_door(self, walls: Sequence[Stretch], kind: OpeningKind, width: float) -> bool:
        rng = self.rng
        options = []
        for wall in walls:
            low, high = wall.low + CORNER, wall.high - CORNER - width
            if high < low - EPSILON:
                continue
            near = min(float(rng.uniform(0.02, 0.15)), max(high - low, 0.0))
            for place in (low + near, high - near, float(rng.uniform(low, max(low, high)))):
                options.append(Opening(kind, wall.rooms, wall.axis, wall.at, place, place + width, 0.0, DOOR_HEAD))
        options = [options[k] for k in rng.permutation(len(options)) if self._is_free(options[k])]
        if not options:
            return False
        self.placed.append(max(options, key=self._clearance))
        return True

    def _clearance(self, option: Opening) -> float:
        """Distance to the nearest other door, up to the 1.5 m beyond which it does not matter."""
        centre = _centre(option)
        others = [np.abs(_centre(other) - centre).max() for other in self.placed]
        return round(min([1.5, *others]), 1)

    def _is_free(self, option: Opening, gap: float = CORNER) -> bool:
        return not any(
            other.axis == option.axis
            and abs(other.at - option.at) < EPSILON
            and other.low - gap < option.high
            and option.low - gap < other.high
            for other in self.placed
        )

    def windows(self) -> None:
        """Windows in the walls to the outside, by the kind of room."""
        for room in self.rooms:
            style = WINDOWS[room.kind]
            walls = [w for w in self.walls if w.rooms == (room.index, OUTSIDE) and w.length >= style.width[0] + 0.3]
            walls.sort(key=lambda wall: -wall.length)
            tall = self.rng.random() < style.tall
            if self.rng.random() >= style.odds:
                continue
            for number, wall in enumerate(walls[: style.walls]):
                if number == 0 or self.rng.random() < 0.7:
                    self._windows_of_wall(wall, style, tall and number == 0)

    def _windows_of_wall(self, wall: Stretch, style: "WindowStyle", tall: bool) -> None:
        rng = self.rng
        count = max(1, int(wall.length // style.spacing))
        pitch = wall.length / count
        width = float(min(rng.uniform(*style.width), pitch - 0.3))
        sill = float(rng.choice([0.0, 0.3])) if tall else style.sill
        shift = float(rng.uniform(-0.25, 0.25)) * max(0.0, pitch - width - 0.4)
        for k in range(count):
            centre = wall.low + (k + 0.5) * pitch + shift
            for move in (0.0, -0.6, 0.6, -1.2, 1.2):
                low, high = centre + move - width / 2, centre + move + width / 2
                option = Opening("window", wall.rooms, wall.axis, wall.at, low, high, sill, WINDOW_HEAD)
                if low >= wall.low + CORNER and high <= wall.high - CORNER and self._is_free(option, 0.25):
                    self.placed.append(option)
                    break


@dataclass(frozen=True)
class WindowStyle:
    """Windows of a kind of room: odds of any, most walls with some, widths, wall for each, sill, odds of tall ones."""

    odds: float
    walls: int
    width: tuple[float, float]
    spacing: float
    sill: float
    tall: float = 0.0


WINDOWS: dict[RoomKind, WindowStyle] = {
    "living room": WindowStyle(1.0, 3, (1.4, 2.2), 3.2, 0.9, 0.35),
    "dining room": WindowStyle(1.0, 2, (1.2, 2.0), 3.2, 0.9, 0.2),
    "kitchen": WindowStyle(1.0, 2, (0.9, 1.5), 3.4, 1.1),
    "bedroom": WindowStyle(1.0, 2, (1.1, 1.8), 3.4, 0.9, 0.08),
    "office": WindowStyle(1.0, 2, (1.0, 1.6), 3.0, 0.9),
    "bathroom": WindowStyle(0.85, 1, (0.8, 0.9), 6.0, 1.2),
    "hall": WindowStyle(0.5, 1, (0.8, 1.0), 8.0, 0.9),
    "storage room": WindowStyle(0.25, 1, (0.8, 0.8), 8.0, 1.2),
}


def _centre(opening: Opening) -> np.ndarray:
    centre = np.array([(opening.low + opening.high) / 2, opening.at])
    return centre if opening.axis == 0 else centre[::-1]
