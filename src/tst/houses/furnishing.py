"""What stands in which room: one function a kind of room, from the large pieces to the small things."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tst.houses.furniture.piece import Fits, Piece
from tst.houses.placement import Placer, Thing, clear_of_openings, extent_along, facing, footprint
from tst.houses.plan import Room, RoomKind, Wall

Furnish = Callable[[Placer, Room], None]

ON_COUNTER = ("microwave", "toaster", "coffee machine", "kettle", "bowl", "bottle", "fruit", "box", "plant", "cup")
ON_TABLE = ("plate", "cup", "bowl", "bottle", "vase", "fruit", "book")
ON_DESK = ("book", "cup", "table lamp", "box", "clock", "plant")
ON_STORAGE = ("vase", "box", "plant", "clock", "book", "table lamp", "toy", "bowl")
ON_SHELF = ("book", "vase", "box", "toy", "clock", "plant")
COUNTER_HEIGHT = 0.9


def furnish(placer: Placer, room: Room) -> None:
    """Fill a room with the things of its kind, and hang its lamp."""
    ceiling_lamp(placer, room)
    ROOMS[room.kind](placer, room)
    if room.kind not in ("bathroom", "storage room"):
        for wall in room.walls:
            curtains(placer, room, wall)
        for _ in range(1 + int(room.area // 12)):
            picture(placer, room)
    if room.kind != "bathroom" and placer.chance(0.5):
        placer.against_wall(room, "radiator", z=0.08, tries=6, walls=[w for w in room.walls if w.openings])


def living_room(placer: Placer, room: Room) -> None:
    """Sofa, coffee table and rug facing a television; books, plants, a piano in some."""
    sofa = placer.against_wall(room, "sofa", tries=60, corner=0.1)
    if sofa is not None:
        seating_group(placer, room, sofa)
    television(placer, room, sofa)
    for category, probability in (("bookcase", 0.8), ("armchair", 0.6), ("piano", 0.2), ("dresser", 0.4)):
        if placer.chance(probability):
            thing = placer.against_wall(room, category)
            if category != "armchair":
                placer.on_top(thing, ON_SHELF if category == "bookcase" else ON_STORAGE, 3)
    placer.against_wall(room, "floor lamp", corner=0.8)
    for _ in range(1 + int(placer.chance(0.6))):
        placer.against_wall(room, "plant", corner=0.8, fits=lambda size: size[2] > 0.5)
    if room.area > 22 and placer.chance(0.5):
        dining_group(placer, room)
    wall_shelf(placer, room)


def seating_group(placer: Placer, room: Room, sofa: Thing) -> None:
    """Before a sofa: a coffee table and a rug, and an armchair beside them; cushions on it."""
    half = sofa.piece.size[1] / 2
    centre = np.array(sofa.position[:2])
    table = placer.draw("coffee table", lambda size: size[0] < sofa.piece.size[0])
    if table is not None:
        place = centre + sofa.front * (half + 0.42 + table.size[1] / 2)
        placed = placer.put(table, room, (*place, 0), sofa.yaw)
        placer.on_top(placed, ("book", "cup", "vase", "bowl", "plant", "fruit"), 1 + int(placer.rng.integers(3)))
    under(placer, room, "rug", centre + sofa.front * (half + 0.8), sofa.yaw)
    for side in (-1, 1):
        if placer.chance(0.4):
            chair = placer.draw("armchair")
            if chair is not None:
                across = np.array([-sofa.front[1], sofa.front[0]]) * side
                place = centre + sofa.front * (half + 0.75) + across * (1.1 + chair.size[1] / 2)
                placer.put(chair, room, (*place, 0), facing(-across) + placer.rng.normal() * 0.15)
    for support in sofa.piece.supports[:1]:
        for _ in range(int(placer.rng.integers(4))):
            pillow = placer.draw("pillow")
            if pillow is not None:
                placer.stand(pillow, sofa, support, turn=0.3)


def television(placer: Placer, room: Room, sofa: Thing | None) -> None:
    """On a stand across from the sofa, or hung over it."""
    opposite = None if sofa is None else [wall for wall in room.walls if wall.inward @ sofa.front < -0.9]
    near = None if sofa is None else np.array(sofa.position[:2])
    stand = placer.against_wall(room, "tv stand", walls=opposite or None, near=near)
    if stand is None:
        stand = placer.against_wall(room, "tv stand")
    if stand is None:
        return
    screen = placer.draw("television", lambda size: size[0] < stand.piece.size[0] * 1.1 and size[2] < 0.9)
    if screen is not None:
        x, y = stand.world(0, 0)
        top = stand.position[2] + stand.piece.size[2] + 0.002
        placer.put(screen, room, (x, y, top), stand.yaw, on=stand)
    placer.on_top(stand, ("book", "plant", "box", "vase", "clock"), 1 + int(placer.rng.integers(2)), turn=0.2)


def dining_room(placer: Placer, room: Room) -> None:
    """A laid table and a sideboard."""
    dining_group(placer, room)
    for _ in range(2):
        placer.on_top(placer.against_wall(room, "dresser"), ON_STORAGE, 3)
    placer.against_wall(room, "plant", corner=0.8, fits=lambda size: size[2] > 0.5)
    wall_shelf(placer, room)


def dining_group(placer: Placer, room: Room, fits: Fits | None = None) -> Thing | None:
    """A table with chairs of one model around it, away from the walls."""
    model = placer.draw("chair")
    for _ in range(25):
        table = placer.draw("dining table", fits)
        if table is None:
            return None
        yaw = 0.0 if placer.chance(0.5) else math.pi / 2
        margin = footprint(table.size, yaw) / 2 + 0.55
        low, high = room.inner.min(0) + margin, room.inner.max(0) - margin
        if (high < low).any():
            continue
        # Near the middle rather than anywhere: a table is walked around.
        x, y = (low + high) / 2 + placer.rng.uniform(-0.5, 0.5, 2) * (high - low) * 0.8
        placed = placer.put(table, room, (x, y, 0), yaw, margin=0.45)
        if placed is None:
            continue
        if placer.chance(0.4):
            under(placer, room, "rug", np.array([x, y]), yaw)
        if model is not None:
            chairs_around(placer, room, placed, model)
        laid = int(placer.rng.integers(2, 7))
        placer.on_top(placed, ON_TABLE, laid, turn=math.pi)
        return placed
    return None


def chairs_around(placer: Placer, room: Room, table: Thing, model: Piece) -> None:
    """Chairs along the long sides of a table and at its ends, pushed in by different amounts."""
    width, depth, _ = table.piece.size
    along = max(1, int((width - 0.1) // (model.size[0] + 0.08)))
    seats = [((k + 0.5) / along - 0.5) * (width - 0.1) for k in range(along)]
    places = [(x, side * depth / 2, 0.0, side) for side in (-1.0, 1.0) for x in seats]
    if width > 1.1 or along == 1:
        places += [(side * width / 2, 0.0, side, 0.0) for side in (-1, 1)]
    for x, y, dx, dy in places:
        if placer.chance(0.12):
            continue
        # A chair faces the table's middle; some of its seat is under the top.
        out = model.size[1] / 2 + float(placer.rng.uniform(-0.2, 0.15))
        position = table.world(x + dx * out, y + dy * out)
        towards = table.world(x - dx, y - dy) - table.world(x, y)
        placer.put(model, room, (*position, 0), facing(towards) + placer.rng.normal() * 0.07, at=table)


def kitchen(placer: Placer, room: Room) -> None:
    """A counter along one or two walls with all that belongs to it, and a table if there is room."""
    walls = sorted(room.walls, key=lambda wall: -stretches(wall)[0][1] + stretches(wall)[0][0])
    units = ["refrigerator", "kitchen cabinet", "kitchen sink", "kitchen cabinet", "stove", "dishwasher"]
    units += ["kitchen cabinet"] * 3 + (["washing machine"] if placer.chance(0.4) else [])
    if placer.chance(0.5):
        units = units[5::-1] + units[6:]  # the other way round
    run: list[Thing] = []
    for wall in walls[:2]:
        run += counter(placer, room, wall, units)
        if not units:
            break
    surfaces = [thing for thing in run if thing.category == "kitchen cabinet"]
    for thing in surfaces:
        placer.on_top(thing, ON_COUNTER, int(placer.rng.integers(3)), turn=0.25)
    for thing in run:
        if thing.category == "stove":
            placer.on_top(thing, ("pan", "kettle"), 1)
    over_counter(placer, room, run)
    placer.against_wall(room, "trash can", corner=0.9)
    if room.area > 9:
        small = room.area < 14
        dining_group(placer, room, (lambda size: max(size[:2]) < 1.3) if small else None)
    wall_clock(placer, room)


def stretches(wall: Wall) -> list[tuple[float, float]]:
    """Parts of a wall between its doors, in metres from its start, the longest first."""
    doors = sorted(extent_along(wall, opening) for opening in wall.openings if opening.kind != "window")
    ends = [(0.0, 0.0), *doors, (wall.length, wall.length)]
    parts = [(a[1] + 0.08 * bool(a[1]), b[0] - 0.08) for a, b in itertools.pairwise(ends)]
    return sorted(parts, key=lambda part: part[0] - part[1])


def counter(placer: Placer, room: Room, wall: Wall, units: list[str]) -> list[Thing]:
    """Stand kitchen units side by side along the longest free stretch of a wall; those placed leave `units`."""
    placed: list[Thing] = []
    low, high = stretches(wall)[0]
    at = low + 0.01
    for category in list(units):
        left = high - at
        piece = placer.draw(category, lambda size, left=left: size[0] <= left and size[1] < 0.8)  # type: ignore[misc]
        if piece is None:
            continue
        along = at + piece.size[0] / 2
        if not clear_of_openings(
            wall, along, piece.size[0], 0, min(piece.size[2], COUNTER_HEIGHT if piece.size[2] < 1.3 else 9)
        ):
            continue
        x, y = wall.start + wall.direction * along + wall.inward * (0.01 + piece.size[1] / 2)
        thing = placer.put(piece, room, (x, y, 0), facing(wall.inward))
        if thing is None and placed:
            break
        if thing is not None:
            placed.append(thing)
            units.remove(category)
        at += piece.size[0]
    return placed


def over_counter(placer: Placer, room: Room, run: Sequence[Thing]) -> None:
    """A hood over the stove, and cupboards over the rest."""
    for thing in run:
        if thing.piece.size[2] > 1.3:
            continue
        back = np.array(thing.position[:2]) - thing.front * thing.piece.size[1] / 2
        wall = min(
            room.walls, key=lambda wall: abs((back - wall.start) @ wall.inward) + 10 * (wall.inward @ thing.front < 0.9)
        )
        if thing.category == "stove":
            placer.against_wall(room, "range hood", walls=[wall], near=back, z=1.6, tries=5, gap=0.002)
        elif placer.chance(0.75):
            placer.against_wall(
                room,
                "upper cabinet",
                walls=[wall],
                near=back,
                z=1.45,
                tries=5,
                gap=0.002,
                fits=lambda size: size[0] < 1.0,
            )


def bedroom(placer: Placer, room: Room) -> None:
    """A bed with its tables, a wardrobe, a desk if there is room."""
    bed = placer.against_wall(room, "bed", tries=80, corner=0.2)
    if bed is not None:
        table = placer.draw("bedside table")
        for side in (-1, 1):
            if table is None:
                continue
            # Beside the headboard: the back of the piece is at +y.
            place = bed.world(
                side * (bed.piece.size[0] / 2 + table.size[0] / 2 + 0.05), (bed.piece.size[1] - table.size[1]) / 2
            )
            placed = placer.put(table, room, (*place, 0), bed.yaw)
            placer.on_top(placed, ("table lamp",), 1, turn=0.2)
            placer.on_top(placed, ("clock", "book", "cup"), 1, turn=0.3)
        if placer.chance(0.5):
            under(placer, room, "rug", np.array(bed.position[:2]) + bed.front * bed.piece.size[1] * 0.4, bed.yaw)
    placer.against_wall(room, "wardrobe", corner=0.7)
    placer.on_top(placer.against_wall(room, "dresser"), ON_STORAGE, 3)
    if placer.chance(0.55):
        desk_group(placer, room)
    for category, probability in (
        ("bookcase", 0.4),
        ("armchair", 0.3),
        ("plant", 0.5),
        ("floor lamp", 0.4),
        ("bench", 0.25),
    ):
        if placer.chance(probability):
            thing = placer.against_wall(room, category, corner=0.6)
            if category == "bookcase":
                placer.on_top(thing, ON_SHELF, 3)
    for category in ("toy", "box", "basket"):
        if placer.chance(0.4):
            placer.against_wall(room, category, corner=0.6)
    if placer.chance(0.5):
        hang(placer, room, "mirror", 0.7, 1.0)
    wall_shelf(placer, room)


def desk_group(placer: Placer, room: Room) -> None:
    """A desk with a computer, a chair before it."""
    desk = placer.against_wall(room, "desk", corner=0.3)
    if desk is None:
        return
    for support in desk.piece.supports[:1]:
        screen = placer.draw("laptop" if placer.chance(0.5) else "monitor")
        if screen is not None:
            placer.stand(screen, desk, support, turn=0.1, centred=True)
    placer.on_top(desk, ON_DESK, 1 + int(placer.rng.integers(3)))
    chair = placer.draw("office chair" if placer.chance(0.7) else "chair")
    if chair is not None:
        out = desk.piece.size[1] / 2 + chair.size[1] / 2 + float(placer.rng.uniform(0.0, 0.25))
        place = np.array(desk.position[:2]) + desk.front * out
        placer.put(chair, room, (*place, 0), facing(-desk.front) + placer.rng.normal() * 0.3)


def office(placer: Placer, room: Room) -> None:
    """Desk, books, an armchair to read in."""
    desk_group(placer, room)
    for _ in range(2):
        placer.on_top(placer.against_wall(room, "bookcase"), ON_SHELF, 3)
    if placer.chance(0.5):
        desk_group(placer, room)
    placer.against_wall(room, "armchair", corner=0.7)
    placer.against_wall(room, "plant", corner=0.8)
    placer.against_wall(room, "floor lamp", corner=0.8)
    placer.against_wall(room, "trash can", corner=0.8)
    under(placer, room, "rug", (room.inner.min(0) + room.inner.max(0)) / 2, 0.0)
    wall_shelf(placer, room)
    wall_clock(placer, room)


def bathroom(placer: Placer, room: Room) -> None:
    """Bath or shower, toilet, a basin under a mirror."""
    first = ("bathtub", "shower") if room.area > 4.2 and placer.chance(0.65) else ("shower", "bathtub")
    for category in first:
        if placer.against_wall(room, category, corner=0.9, gap=0.005, tries=40) is not None:
            break
    placer.against_wall(room, "toilet", tries=50, gap=0.005)
    basin = placer.against_wall(room, "washbasin", tries=50, gap=0.005)
    if basin is not None:
        wall = min(room.walls, key=lambda wall: -float(wall.inward @ basin.front))
        placer.against_wall(
            room,
            "mirror",
            z=1.15,
            near=np.array(basin.position[:2]),
            gap=0.003,
            tries=8,
            walls=[w for w in room.walls if w.inward @ basin.front > 0.9] or [wall],
            fits=lambda size: size[2] < 1.1,
        )
        placer.on_top(basin, ("cup", "bottle"), 2)
    hang(placer, room, "towel", 0.95, 1.2)
    if placer.chance(0.4):
        placer.against_wall(room, "washing machine")
    for category in ("basket", "trash can", "stool"):
        if placer.chance(0.5):
            placer.against_wall(room, category, corner=0.8)
    under(placer, room, "rug", room.inner.mean(0), 0.0, lambda size: max(size[:2]) < 1.3)
    placer.against_wall(room, "radiator", z=0.1, tries=6)


def hall(placer: Placer, room: Room) -> None:
    """Little: a place to sit, a mirror, a rug."""
    for category, probability in (("bench", 0.5), ("dresser", 0.5), ("plant", 0.5), ("stool", 0.3), ("box", 0.3)):
        if placer.chance(probability):
            thing = placer.against_wall(room, category, corner=0.5, fits=lambda size: size[1] < 0.5)
            if category == "dresser":
                placer.on_top(thing, ON_STORAGE, 2)
    hang(placer, room, "mirror", 0.6, 0.9)
    under(placer, room, "rug", room.inner.mean(0), 0.0)
    wall_clock(placer, room)


def storage_room(placer: Placer, room: Room) -> None:
    """Shelves, boxes, the washing machine."""
    for _ in range(2):
        placer.on_top(placer.against_wall(room, "bookcase"), ("box", "basket", "bottle", "toy"), 4)
    placer.against_wall(room, "washing machine", corner=0.8)
    for category in ("box", "box", "basket", "stool"):
        placer.against_wall(room, category, corner=0.8)


ROOMS: dict[RoomKind, Furnish] = {
    "living room": living_room,
    "dining room": dining_room,
    "kitchen": kitchen,
    "bedroom": bedroom,
    "office": office,
    "bathroom": bathroom,
    "hall": hall,
    "storage room": storage_room,
}


# What hangs or lies in any room


def ceiling_lamp(placer: Placer, room: Room) -> None:
    """In the middle of the room's largest part."""
    lamp = placer.draw("ceiling lamp", lambda size: size[2] < placer.plan.height - 1.95)
    if lamp is None:
        return
    low, high = room.inner.min(0), room.inner.max(0)
    steps = np.stack(
        np.meshgrid(*(np.linspace(a, b, 21)[1:-1] for a, b in zip(low, high, strict=True)), indexing="ij"), -1
    )
    points = steps.reshape(-1, 2)
    points = points[room.contains(points)]
    distance = room.distance(points)
    middle = points[distance > distance.max() - 0.15].mean(0)
    placer.put(lamp, room, (*middle, placer.plan.height - lamp.size[2] - 0.001), 0.0, solid=False)


def curtains(placer: Placer, room: Room, wall: Wall) -> None:
    """Before some windows, from above the frame to the floor or the sill."""
    for opening in wall.openings:
        if opening.kind != "window" or not placer.chance(0.45):
            continue
        start, end = extent_along(wall, opening)
        width = end - start
        piece = placer.draw("curtain", lambda size, width=width: width <= size[0] <= width + 0.7)  # type: ignore[misc]
        if piece is None or piece.size[0] > wall.length:
            continue
        along = float(np.clip((start + end) / 2, piece.size[0] / 2, wall.length - piece.size[0] / 2))
        x, y = wall.start + wall.direction * along + wall.inward * (0.03 + piece.size[1] / 2)
        top = min(opening.head + 0.15, placer.plan.height - 0.03)
        placer.put(piece, room, (x, y, max(top - piece.size[2], 0.01)), facing(wall.inward), solid=False)


def picture(placer: Placer, room: Room) -> None:
    """At eye height on a free piece of wall."""
    hang(placer, room, "picture", 1.05, 1.45)


def wall_shelf(placer: Placer, room: Room) -> None:
    """A shelf with things on it."""
    if placer.chance(0.4):
        placer.on_top(hang(placer, room, "shelf", 1.2, 1.7), ON_SHELF, 3, turn=0.2)


def wall_clock(placer: Placer, room: Room) -> None:
    """Some rooms have one."""
    if placer.chance(0.4):
        piece = placer.draw("clock", lambda size: size[1] < 0.09)
        if piece is not None:
            placer.against_wall(room, "clock", piece=piece, z=1.75, gap=0.003, tries=8)


def hang(placer: Placer, room: Room, category: str, low: float, high: float) -> Thing | None:
    """On a wall, its underside between two heights."""
    return placer.against_wall(
        room, category, z=float(placer.rng.uniform(low, high)), gap=0.003, tries=12, corner=0.0, margin=0.02
    )


def under(
    placer: Placer, room: Room, category: str, centre: np.ndarray, yaw: float, fits: Fits | None = None
) -> Thing | None:
    """A rug on the floor around a point; smaller ones are tried where it does not fit. Furniture may stand on it."""
    for _ in range(6):
        piece = placer.draw(category, fits)
        if piece is None:
            return None
        half = footprint(piece.size, yaw) / 2 + 0.03
        low, high = room.inner.min(0) + half, room.inner.max(0) - half
        if (high < low).any():
            continue
        thing = placer.lay(piece, room, np.clip(centre, low, high), yaw)
        if thing is not None:
            return thing
    return None
