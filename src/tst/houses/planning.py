"""Draws floor plans: an outline, zones, rooms grown to target sizes, doors and windows; bad drafts are thrown away.

The recipe is ProcTHOR's (Deitke et al., NeurIPS 2022): rooms stand in a hierarchy of zones (public: living, cooking,
eating; private: the rest), and zones and rooms are grown on a grid. What it adds is a hall: a strip in the private zone
that its rooms are seeded along, so that they can all be reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tst.errors import UserError
from tst.houses.growth import grow
from tst.houses.openings import EPSILON, Placer, connect, more_doors, stretches
from tst.houses.plan import OUTSIDE, Opening, Plan, Room, RoomKind, Wall
from tst.houses.programme import PUBLIC, RULES, draw_kinds, draw_size, target_areas
from tst.houses.rectilinear import inset, largest_rectangle, narrowest, perimeter, signed_area, trace

CELL = 0.275
ATTEMPTS = 5000
STRICT_ATTEMPTS = 200  # after these, eight corners and stretched rooms will do
FILL_TRIES = 8  # ways to grow the rooms of a zone
HALL_TRIES = 8
AREA_ERROR = (0.55, 1.75)  # of a room's area, relative to its target
MAIN_PART = 0.6  # of an L-shaped room, in its largest rectangle
LEAST_DOOR = 1.15  # metres of contact that a door between two rooms takes


def make_plan(rng: np.random.Generator, *, rooms: int | None = None, area: float | None = None) -> Plan:
    """Draw a floor plan.

    Args:
        rng: decides everything not given.
        rooms: their number, 1 to 10; None draws it, about one for 14 m2.
        area: sum of the rooms' floor areas, 20 to 250 m2 and at least 9.5 m2 a room; None draws it.

    Raises:
        UserError: a parameter is out of range, or the rooms do not fit the area.
    """
    count, area = draw_size(rng, rooms, area)
    thickness = float(rng.choice([0.1, 0.12, 0.14]))
    height = round(float(rng.uniform(2.4, 3.0)), 2)
    for attempt in range(ATTEMPTS):
        if attempt % 50 == 0:  # some sets of rooms are harder than others
            kinds = draw_kinds(rng, count)
        strict = attempt < STRICT_ATTEMPTS
        targets = target_areas(kinds, area, rng)
        labels = _draw_rooms(kinds, targets, strict, rng)
        if labels is None:
            continue
        made = _rooms_of(labels, kinds, area, thickness)
        if made is None or not all(
            is_well_shaped(room, target, strict) for room, target in zip(made, targets, strict=True)
        ):
            continue
        openings = _draw_openings(made, strict, rng)
        if openings is not None:
            return Plan(with_walls(made, openings, thickness), openings, height, thickness)
    raise UserError(
        f"rooms={count}, area={area:g}: no floor plan found in {ATTEMPTS} attempts. Give a larger area, fewer rooms or "
        "another seed."
    )


# --- the grid: outline, zones, hall, rooms


def _draw_rooms(
    kinds: Sequence[RoomKind], targets: np.ndarray, strict: bool, rng: np.random.Generator
) -> np.ndarray | None:
    """Cells of the rooms, int8 (X, Y), -1 outside; None if this draft came to nothing."""
    cells = targets / CELL**2
    # Walls take floor area away: about their length times half their thickness, on a grid that knows no walls.
    cells = cells + 0.06 * 4 * np.sqrt(cells) / CELL
    free = _draw_outline(float(cells.sum()), rng)
    labels = np.full(free.shape, -1, np.int8)
    draft = _Draft(labels, kinds, cells, targets, strict)
    if "hall" not in kinds:
        return labels if draft.fill(free, [[k] for k in range(len(kinds))], None, rng) else None
    hall = kinds.index("hall")
    quiet = [k for k, kind in enumerate(kinds) if kind not in PUBLIC and k != hall]
    crowd = len(quiet) - 3  # a crowded private zone lends its small rooms to the public one
    quiet = [k for k in quiet if kinds[k] not in ("office", "storage room") or rng.random() >= 0.25 * crowd]
    public = [[k] for k in range(len(kinds)) if k not in quiet and k != hall]
    private = _suites(quiet, kinds)
    seeds = _spread_seeds(free, 2, rng, apart=0.5)
    if seeds is None:
        return None
    shares = [cells[[k for group in zone for k in group]].sum() for zone in (public, [*private, [hall]])]
    zones = grow(free, seeds, shares, [8, 8], 6, rng)
    if zones is None or not draft.fill(zones == 0, public, None, rng):
        return None
    for _ in range(HALL_TRIES):
        fronts = sum(np.sqrt(cells[group[0]]) for group in private)
        strip = _draw_hall(labels == kinds.index("living room"), zones == 1, float(cells[hall]), fronts, rng)
        if strip is None:
            return None
        if draft.fill((zones == 1) & ~strip, private, strip, rng):
            labels[strip] = hall
            return labels
    return None


def _suites(rooms: Sequence[int], kinds: Sequence[RoomKind]) -> list[list[int]]:
    """The rooms in groups: every bathroom after the first shares a zone with a bedroom of its own."""
    groups = [[k] for k in rooms]
    for bathroom in [k for k in rooms if kinds[k] == "bathroom"][1:]:
        groups.remove([bathroom])
        bedroom = next(group for group in groups if len(group) == 1 and kinds[group[0]] == "bedroom")
        bedroom.append(bathroom)
    return groups


@dataclass(frozen=True, eq=False)
class _Draft:
    """A plan in the making: `labels` int8 (X, Y) is filled in; targets in cells and in square metres."""

    labels: np.ndarray
    kinds: Sequence[RoomKind]
    cells: np.ndarray
    targets: np.ndarray
    strict: bool

    def fill(
        self, region: np.ndarray, groups: Sequence[list[int]], near: np.ndarray | None, rng: np.random.Generator
    ) -> bool:
        """Grow groups of one or two rooms in a region, seeded along the cells `near`; False if all tries were bad."""
        corners = 6 if self.strict and len(groups) > 1 else 8
        least = [self._least(group[0]) for group in groups]
        targets = [float(self.cells[group].sum()) for group in groups]
        for _ in range(FILL_TRIES):
            if near is None:
                seeds = _spread_seeds(region, len(groups), rng)
            else:
                seeds = _seeds_along(near, region, [self.cells[group[0]] ** 0.5 for group in groups], rng)
            grown = None if seeds is None else grow(region, seeds, targets, least, corners, rng)
            if grown is not None and all(
                self._fill_room(grown == k, group[0])
                if len(group) == 1
                else self._fill_suite(grown == k, group, near, rng)
                for k, group in enumerate(groups)
            ):
                return True
        return False

    def _fill_suite(
        self, region: np.ndarray, suite: list[int], near: np.ndarray | None, rng: np.random.Generator
    ) -> bool:
        """A bedroom, which touches `near`, and its bathroom, which need not."""
        for _ in range(FILL_TRIES):
            bedroom = _spread_seeds(region, 1, rng) if near is None else _seeds_along(near, region, [1.0], rng)
            bathroom = _spread_seeds(region, 1, rng)
            if bedroom is None or bathroom is None or bedroom == bathroom:
                continue
            least = [self._least(k) for k in suite]
            grown = grow(region, bedroom + bathroom, self.cells[suite].tolist(), least, 6, rng)
            if grown is not None and all(self._fill_room(grown == k, room) for k, room in enumerate(suite)):
                return True
        return False

    def _fill_room(self, mask: np.ndarray, room: int) -> bool:
        outline = trace(mask)
        if outline is None:
            return False
        made = Room(room, self.kinds[room], outline, inset(outline * CELL, 0.06))
        if not is_well_shaped(made, self.targets[room], self.strict):
            return False
        self.labels[mask] = room
        return True

    def _least(self, room: int) -> int:
        """Cells that the room must at least be wide, with its walls."""
        return int(np.ceil((RULES[self.kinds[room]].width + 0.12) / CELL))


def _draw_outline(cells: float, rng: np.random.Generator) -> np.ndarray:
    """A rectangle of so many cells, often with one or two corners cut out, (X, Y) bool."""
    area = cells * CELL**2
    cuts = int(rng.choice(3, p=[0.4, 0.4, 0.2] if area > 70 else [0.6, 0.4, 0.0] if area > 40 else [1.0, 0.0, 0.0]))
    fractions = rng.uniform(0.2, 0.45, (cuts, 2))
    whole = cells / (1 - fractions.prod(1).sum())
    aspect = float(rng.uniform(1.0, 1.75))
    width, depth = round((whole * aspect) ** 0.5), round((whole / aspect) ** 0.5)
    free = np.ones((width, depth), bool)
    corner = rng.permutation(4)[:cuts]
    for which, (x, y) in zip(corner, fractions, strict=True):
        dx, dy = round(x * width), round(y * depth)
        xs = slice(0, dx) if which % 2 == 0 else slice(width - dx, width)
        ys = slice(0, dy) if which // 2 == 0 else slice(depth - dy, depth)
        free[xs, ys] = False
    return free if rng.random() < 0.5 else free.T


def _spread_seeds(
    region: np.ndarray, count: int, rng: np.random.Generator, apart: float = 0.0
) -> list[tuple[int, int]] | None:
    """Cells far from each other (Mitchell's best candidates); None if too few.

    `apart`: least distance of the first two, relative to the square root of the region's area.
    """
    cells = np.argwhere(region)
    if len(cells) < count:
        return None
    seeds = cells[rng.integers(len(cells), size=1)]
    while len(seeds) < count:
        candidates = cells[rng.integers(len(cells), size=6)]
        distance = np.abs(candidates[:, None] - seeds[None]).sum(2).min(1)
        seeds = np.concatenate([seeds, candidates[[distance.argmax()]]])
    if count > 1 and np.abs(seeds[0] - seeds[1]).sum() < apart * region.sum() ** 0.5:
        return None
    return [(int(x), int(y)) for x, y in seeds]


def _seeds_along(
    strip: np.ndarray, region: np.ndarray, widths: Sequence[float], rng: np.random.Generator
) -> list[tuple[int, int]] | None:
    """Cells of a region around a rectangular strip, with room for the widths between them; None if too few."""
    cells = np.argwhere(strip)
    (x0, y0), (x1, y1) = cells.min(0).tolist(), cells.max(0).tolist()
    around = [(x, y0 - 1) for x in range(x0, x1 + 1)] + [(x1 + 1, y) for y in range(y0, y1 + 1)]
    around += [(x, y1 + 1) for x in range(x1, x0 - 1, -1)] + [(x0 - 1, y) for y in range(y1, y0 - 1, -1)]
    inside = [(x, y) for x, y in around if 0 <= x < region.shape[0] and 0 <= y < region.shape[1] and region[x, y]]
    if len(inside) < len(widths):
        return None
    order = rng.permutation(len(widths))
    ends = np.cumsum(np.asarray(widths)[order])
    middles = (ends - 0.5 * np.asarray(widths)[order]) / ends[-1] + rng.random()
    seeds: list[tuple[int, int]] = [(0, 0)] * len(widths)
    for k, middle in zip(order, middles, strict=True):
        seeds[k] = inside[int(middle % 1 * len(inside))]
    return seeds


def _draw_hall(
    living: np.ndarray, private: np.ndarray, cells: float, fronts: float, rng: np.random.Generator
) -> np.ndarray | None:
    """A strip of the private zone that touches the living room and leaves no slivers beside it, (X, Y) bool.

    Of about `cells` cells, or longer where rooms of total width `fronts` line it.
    """
    sliver, contact = round(1.8 / CELL), round(LEAST_DOOR / CELL) + 1
    for _ in range(6):
        across = bool(rng.integers(2))
        zone, other = (private.T, living.T) if across else (private, living)
        width = int(rng.integers(5, 7)) if rng.random() < 0.8 else int(rng.integers(7, 9))
        length = round(max(cells / width, 0.45 * fronts) * float(rng.uniform(0.8, 1.3)))
        if length < width or length > zone.shape[0] or width > zone.shape[1]:
            continue
        count = (zone.shape[0] - length + 1, zone.shape[1] - width + 1)
        along, over = _sums(np.pad(other, 1), length, 1), _sums(np.pad(other, 1), 1, width)
        beside = [along[1:, :-2], along[1:, width + 1 :], over[:-2, 1:], over[length + 1 :, 1:]]
        touching = np.max([sums[: count[0], : count[1]] for sums in beside], axis=0) >= contact
        places = np.argwhere((_sums(zone, length, width) == length * width) & touching)
        for x, y in places[rng.permutation(len(places))[:20]]:
            box = (slice(x, x + length), slice(y, y + width))
            if not _leaves_sliver(zone, box, sliver):
                strip = np.zeros_like(zone)
                strip[box] = True
                return strip.T if across else strip
    return None


def _sums(mask: np.ndarray, width: int, depth: int) -> np.ndarray:
    """Number of set cells in every window of that size, (X - width + 1, Y - depth + 1) int."""
    table = np.pad(mask.astype(int).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return table[width:, depth:] - table[:-width, depth:] - table[width:, :-depth] + table[:-width, :-depth]


def _leaves_sliver(zone: np.ndarray, box: tuple[slice, slice], sliver: int) -> bool:
    """Whether zone cells beside the box make a band too narrow for a room."""
    x, y = box
    sides = (zone[: x.start, y][::-1], zone[x.stop :, y], zone[x, : y.start].T[::-1], zone[x, y.stop :].T)
    for side in sides:
        if side.shape[0] == 0:
            continue
        free = np.where(side.all(0), side.shape[0], side.argmin(0))  # cells until the zone ends, for every line
        if ((free > 0) & (free < sliver)).any():
            return True
    return False


# --- from cells to metres


def _rooms_of(labels: np.ndarray, kinds: Sequence[RoomKind], area: float, thickness: float) -> list[Room] | None:
    """Rooms with exactly the wanted floor area in all; None if a region is no simple polygon."""
    outlines = [trace(labels == k) for k in range(len(kinds))]
    if any(outline is None for outline in outlines):
        return None
    polygons = [outline.astype(float) for outline in outlines if outline is not None]
    # A polygon's area is A c^2 - P t / 2 c + t^2 in cells of size c, once its edges moved in by t / 2.
    a = sum(signed_area(polygon) for polygon in polygons)
    b = -thickness / 2 * sum(perimeter(polygon) for polygon in polygons)
    c = thickness**2 * len(polygons) - area
    cell = float((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a))
    rooms = []
    for index, (kind, polygon) in enumerate(zip(kinds, polygons, strict=True)):
        outline = np.round(polygon * cell, 4)
        rooms.append(Room(index, kind, outline, inset(outline, thickness / 2)))
    return rooms


def is_well_shaped(room: Room, target: float, strict: bool) -> bool:
    """Whether the room is wide enough for its kind and, if `strict`, of good proportions and about the target area."""
    rule = RULES[room.kind]
    x0, y0, x1, y1 = largest_rectangle(room.inner)
    short, long = sorted((x1 - x0, y1 - y0))
    if short < rule.width or narrowest(room.inner) < rule.arm:
        return False
    slack = 1.0 if strict else 1.5
    if short * long < MAIN_PART / slack * room.area:
        return False
    low, high = AREA_ERROR
    return long / short <= rule.aspect * slack and low / slack <= room.area / target <= high * slack


def _draw_openings(rooms: list[Room], strict: bool, rng: np.random.Generator) -> tuple[Opening, ...] | None:
    walls = stretches(rooms)
    pairs = connect(rooms, walls, strict)
    if pairs is None:
        return None
    placer = Placer(rooms, walls, rng)
    if not placer.front_door() or not all(placer.door(a, b) for a, b in pairs):
        return None
    for a, b in more_doors(rooms, walls, pairs, rng):
        placer.door(a, b)  # one that finds no place is left out
    placer.windows()
    return tuple(placer.placed)


def with_walls(rooms: Sequence[Room], openings: Sequence[Opening], thickness: float) -> tuple[Room, ...]:
    """The rooms with their walls, each with the openings that are in it."""
    result = []
    for room in rooms:
        walls = []
        for start, end in zip(room.inner, np.roll(room.inner, -1, 0), strict=True):
            axis = 0 if start[1] == end[1] else 1
            low, high = sorted((start[axis], end[axis]))
            inside = tuple(
                opening
                for opening in openings
                if room.index in opening.rooms
                and opening.axis == axis
                and abs(abs(opening.at - start[1 - axis]) - thickness / 2) < EPSILON
                and low <= opening.low
                and opening.high <= high
            )
            walls.append(Wall(room.index, (float(start[0]), float(start[1])), (float(end[0]), float(end[1])), inside))
        result.append(replace(room, walls=tuple(walls)))
    return tuple(result)


# --- what must hold for every plan


def validate(plan: Plan) -> list[str]:
    """What is wrong with a plan, one line each; empty if nothing is."""
    problems = []
    reached, waiting = {0}, [0]
    while waiting:
        here = waiting.pop()
        for opening in plan.openings:
            if here in opening.rooms and opening.kind in ("door", "doorway"):
                new = [k for k in opening.rooms if k not in reached]
                reached.update(new)
                waiting += new
    problems += [f"room {k} cannot be reached" for k in range(len(plan.rooms)) if k not in reached]
    for room in plan.rooms:
        rule = RULES[room.kind]
        x0, y0, x1, y1 = largest_rectangle(room.inner)
        if min(x1 - x0, y1 - y0) < rule.width or narrowest(room.inner) < rule.arm:
            problems.append(f"{room.kind} {room.index} is too narrow")
        if len(room.inner) > 8:
            problems.append(f"{room.kind} {room.index} has {len(room.inner)} corners")
        if np.abs(room.inner - inset(room.outline, plan.thickness / 2)).max() > EPSILON:
            problems.append(f"the inside of {room.kind} {room.index} is not half a wall inside its outline")
    return problems + _overlaps(plan) + _misplaced(plan)


def _overlaps(plan: Plan) -> list[str]:
    """Rooms whose outlines cover the same floor, tested on a 5 cm grid."""
    corners = np.concatenate([room.outline for room in plan.rooms])
    low, high = corners.min(0), corners.max(0)
    axes = [np.arange(a + 0.0251, b, 0.05) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    count = sum(replace(room, inner=room.outline).contains(points).astype(int) for room in plan.rooms)
    return ["rooms overlap"] if np.max(count) > 1 else []


def _misplaced(plan: Plan) -> list[str]:
    problems = []
    for number, opening in enumerate(plan.openings):
        name = f"{opening.kind} {number} of rooms {opening.rooms}"
        for k in opening.rooms:
            if k == OUTSIDE:
                continue
            walls = [wall for wall in plan.rooms[k].walls if opening in wall.openings]
            if len(walls) != 1:
                problems.append(f"{name} is in {len(walls)} walls of room {k}")
        if (opening.kind in ("front door", "window")) != (opening.rooms[1] == OUTSIDE):
            problems.append(f"{name} does not lead where it should")
        if not 0 <= opening.sill < opening.head <= plan.height or opening.high - opening.low < 0.75:
            problems.append(f"{name} has impossible measures")
        for other in plan.openings[:number]:
            same = other.axis == opening.axis and abs(other.at - opening.at) < plan.thickness
            if same and min(other.high, opening.high) - max(other.low, opening.low) > -0.1 + EPSILON:
                problems.append(f"{name} overlaps {other.kind} of rooms {other.rooms}")
    for room in plan.rooms:
        for wall in room.walls:
            axis = 0 if wall.start[1] == wall.end[1] else 1
            low, high = sorted((wall.start[axis], wall.end[axis]))
            if any(o.low < low + 0.1 - EPSILON or o.high > high - 0.1 + EPSILON for o in wall.openings):
                problems.append(f"an opening of room {room.index} is too near a corner")
    return problems
