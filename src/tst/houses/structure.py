"""Turns a floor plan into meshes: floors, ceilings, walls with holes, doors, windows, and what stops light."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tst.houses.doors import LEAF, LINING, Leaf, keep_free, leaves
from tst.houses.furniture.parts import rod
from tst.houses.mesh import Material, Mesh, box, grid, join, mesh_of, quad
from tst.houses.plan import OUTSIDE, Opening, Plan, Room, Wall
from tst.houses.rectilinear import inset, rectangles
from tst.houses.surfaces import HouseSurfaces, RoomSurfaces

__all__ = ["Part", "Structure", "keep_free", "structure"]

SKIRTING = (0.012, 0.07)  # depth, height
CASING = (0.015, 0.06)  # of the boards around a door: depth, width
FRAME = 0.05  # width and depth of window frames
SILL_BOARD = (0.06, 0.03)  # how far it stands out, thickness
HANDLE_HEIGHT = 1.03
GAP = 0.012  # occluders stay this far inside walls, so that no point on a surface lies in one


@dataclass(frozen=True, eq=False)
class Part:
    """One thing of the building: a straight wall, a floor, a door. `category` is one of `categories.STRUCTURE`."""

    mesh: Mesh
    category: str
    name: str


@dataclass(frozen=True, eq=False)
class Structure:
    """A building.

    Attributes:
        parts: all that can be seen.
        occluders: float32 (O, 3, 3), triangles inside walls, above ceilings and below floors; they stop light only.
    """

    parts: tuple[Part, ...]
    occluders: np.ndarray


def structure(plan: Plan, surfaces: HouseSurfaces) -> Structure:
    """Build a plan; `surfaces.rooms` in the order of its rooms."""
    assert len(surfaces.rooms) == len(plan.rooms)
    parts = []
    for room, covering in zip(plan.rooms, surfaces.rooms, strict=True):
        name = f"{room.kind} {room.index}"
        parts.append(Part(_floor(plan, room, covering.floor), "floor", f"{name} floor"))
        parts.append(Part(_level(room.inner, plan.height, covering.ceiling, down=True), "ceiling", f"{name} ceiling"))
        for number in range(len(room.walls)):
            parts.append(Part(_wall(plan, room, number, covering), "wall", f"{name} wall {number}"))
    standing = {id(leaf.opening): leaf for leaf in leaves(plan)}
    for number, opening in enumerate(plan.openings):
        if opening.kind == "window":
            mesh, category = _window(plan, opening, surfaces), "window"
        elif opening.kind == "doorway":
            mesh, category = _doorway(plan, opening, surfaces), "wall"
        else:
            mesh, category = _door(plan, opening, standing.get(id(opening)), surfaces), "door"
        parts.append(Part(mesh, category, f"{opening.kind} {number}"))
    return Structure(tuple(parts), _occluders(plan))


# --- floors, ceilings, walls


def _level(polygon: np.ndarray, z: float, material: Material, down: bool = False) -> Mesh:
    return join(_level_rectangle(*rectangle, z, material, down) for rectangle in rectangles(polygon))


def _level_rectangle(x0: float, y0: float, x1: float, y1: float, z: float, material: Material, down: bool) -> Mesh:
    points = np.array([[[x0, y0, z], [x0, y1, z]], [[x1, y0, z], [x1, y1, z]]])
    if down:
        points = points[::-1]
    return grid(points, material, points[..., :2])


def _floor(plan: Plan, room: Room, material: Material) -> Mesh:
    """The floor, with its half of the floor in each door and of the reveals that windows down to it have."""
    meshes = [_level(room.inner, 0.0, material)]
    for wall in room.walls:
        for opening in wall.openings:
            if opening.sill > 0:
                continue
            depth = plan.thickness * (1.0 if opening.rooms[1] == OUTSIDE else 0.5)
            face = opening.at + _inward(wall) * plan.thickness / 2
            ys = sorted((face, face - _inward(wall) * depth))
            low, high = (opening.low, ys[0]), (opening.high, ys[1])
            if opening.axis == 1:
                low, high = low[::-1], high[::-1]
            meshes.append(_level_rectangle(*low, *high, 0.0, material, down=False))
    return join(meshes)


def _inward(wall: Wall) -> float:
    """+1 if the room is on the side of larger coordinates, else -1."""
    return float(wall.inward.sum())


def _wall(plan: Plan, room: Room, number: int, covering: RoomSurfaces) -> Mesh:
    """One inner face with holes; u runs to the right as seen from the room, v is the height."""
    wall = room.walls[number]
    holes = [(*sorted(_along(wall, np.array([o.low, o.high]))), o.sill, o.head) for o in wall.openings]
    tiled = covering.tiled_height if covering.tiles is not None else 0.0
    stations = np.unique([0.0, wall.length, *(s for hole in holes for s in hole[:2])])
    heights = np.unique([0.0, plan.height, min(tiled, plan.height), *(z for hole in holes for z in hole[2:])])
    meshes = []
    for s0, s1 in pairwise(stations):
        for z0, z1 in pairwise(heights):
            s, z = (s0 + s1) / 2, (z0 + z1) / 2
            if any(a < s < b and low < z < high for a, b, low, high in holes):
                continue
            material = covering.tiles if covering.tiles is not None and z < tiled else covering.wall
            meshes.append(_upright(wall, s0, s1, z0, z1, material))
    if tiled <= 0:  # tiles go down to the floor
        meshes += _skirting(room, number, [hole[:2] for hole in holes if hole[2] < SKIRTING[1]], covering.skirting)
    return join(meshes)


def _along(wall: Wall, coordinates: np.ndarray) -> np.ndarray:
    """Distance from the start of the wall, for coordinates along its axis."""
    axis = int(wall.start[0] == wall.end[0])
    return np.abs(coordinates - wall.start[axis])


def _upright(wall: Wall, s0: float, s1: float, z0: float, z1: float, material: Material) -> Mesh:
    start, along = np.array(wall.start), wall.direction
    right, left = start + s0 * along, start + s1 * along  # as seen from the room
    points = np.array([[[*left, z0], [*left, z1]], [[*right, z0], [*right, z1]]])
    u0, u1 = wall.length - s1, wall.length - s0
    return grid(points, material, np.array([[[u0, z0], [u0, z1]], [[u1, z0], [u1, z1]]]))


def _skirting(room: Room, number: int, gaps: Sequence[Sequence[float]], material: Material) -> list[Mesh]:
    wall, (depth, height) = room.walls[number], SKIRTING
    before, after = room.walls[number - 1], room.walls[(number + 1) % len(room.walls)]
    # Around a corner that stands out into the room the boards have to meet beyond it.
    s0 = -depth if before.inward @ wall.direction < 0 else 0.0
    s1 = wall.length + (depth if wall.inward @ after.direction < 0 else 0.0)
    meshes = []
    place = s0
    for low, high in [*sorted((a - CASING[1], b + CASING[1]) for a, b in gaps), (s1, s1)]:
        if low - place > 0.01:
            ends = np.array([wall.start + place * wall.direction, wall.start + low * wall.direction])
            ends[1] += depth * wall.inward
            corner = np.sort(ends, 0)
            meshes.append(box([*corner[0], 0.0], [*corner[1], height], material, skip="z"))
        place = max(place, high)
    return meshes


# --- openings, built along x about the wall's centre line y = 0 and then put in place


def _place(mesh: Mesh, opening: Opening) -> Mesh:
    """From the axes of the opening (x from its middle, y across the wall, z up) to the house.

    With `axis` 1 the mesh turns by a quarter, so its +y becomes the side of smaller coordinates.
    """
    middle = (opening.low + opening.high) / 2
    if opening.axis == 0:
        return mesh.moved(middle, opening.at)
    return mesh.turned(np.pi / 2).moved(opening.at, middle)


def _side_of(plan: Plan, opening: Opening, room: int) -> float:
    """On which side of the opening, in its own axes, a room is: +1 or -1."""
    wall = next(wall for wall in plan.rooms[room].walls if opening in wall.openings)
    return _inward(wall) * (1.0 if opening.axis == 0 else -1.0)


def _reveal(opening: Opening, thickness: float, material: Material) -> list[Mesh]:
    """The surfaces of the hole itself; below there is a floor, or for windows above it a sill."""
    half, depth = (opening.high - opening.low) / 2, thickness / 2
    z0, height = opening.sill, opening.head - opening.sill
    meshes = [
        quad([-half, -depth, z0], [0, thickness, 0], [0, 0, height], material),
        quad([half, depth, z0], [0, -thickness, 0], [0, 0, height], material),
        quad([-half, depth, opening.head], [2 * half, 0, 0], [0, -thickness, 0], material),
    ]
    if z0 > 0:
        meshes.append(quad([-half, -depth, z0], [2 * half, 0, 0], [0, thickness, 0], material))
    return meshes


def _doorway(plan: Plan, opening: Opening, surfaces: HouseSurfaces) -> Mesh:
    return _place(join(_reveal(opening, plan.thickness, surfaces.rooms[opening.rooms[0]].wall)), opening)


def _door(plan: Plan, opening: Opening, leaf: Leaf | None, surfaces: HouseSurfaces) -> Mesh:
    """Frame and leaf; without an open `leaf` it is closed and leads outside."""
    half, depth = (opening.high - opening.low) / 2, plan.thickness / 2
    out, wide = CASING
    material = surfaces.door_frame
    inner, head = half - LINING, opening.head - LINING
    frame = []
    for x0, x1 in ((-half, -inner), (inner, half)):
        frame.append(box([x0, -depth, 0], [x1, depth, opening.head], material, skip="yYzZ"))
    frame.append(box([-inner, -depth, head], [inner, depth, opening.head], material, skip="xXyYZ"))
    sides = [_side_of(plan, opening, room) for room in opening.rooms if room != OUTSIDE]
    for side in sides:
        # The boards cover the lining's edge too: a step there would be too narrow to be lit or drawn well.
        y, back = sorted((side * depth, side * (depth + out))), "y" if side > 0 else "Y"
        for x0, x1 in ((-half - wide, -inner), (inner, half + wide)):
            frame.append(box([x0, y[0], 0], [x1, y[1], opening.head + wide], material, skip="z" + back))
        frame.append(box([-inner, y[0], head], [inner, y[1], opening.head + wide], material, skip="xX" + back))
    placed = _place(join(frame), opening)
    width, height = 2 * inner, head
    panels = int(opening.low * 7) % 3
    if leaf is None:  # let into the frame all round, so that no daylight shows beside it
        closed = _leaf(width, height, panels, surfaces, spare=0.01)
        return join([placed, _place(closed.moved(-width / 2, -sides[0] * (depth - LEAF / 2 - 0.01)), opening)])
    # Opened, the leaf's thickness lies on the far side of the line through its hinge, clear of the wall behind it.
    made = _leaf(width, height, panels, surfaces).moved(0.0, -np.sign(leaf.angle) * LEAF / 2)
    return join([placed, made.turned(leaf.start + leaf.angle).moved(float(leaf.hinge[0]), float(leaf.hinge[1]))])


def _leaf(width: float, height: float, panels: int, surfaces: HouseSurfaces, spare: float = -0.004) -> Mesh:
    """A leaf along +x from its hinge at x = 0, its middle at y = 0, with handles on both faces.

    `panels`: 0 (flat), 1 (two raised fields) or 2 (one). `spare`: metres more at every edge.
    """
    half = LEAF / 2
    meshes = [box([-spare, -half, -spare], [width + spare, half, height + spare], surfaces.door)]
    fields = ([], [(0.2, 0.92), (1.1, height - 0.16)], [(0.2, height - 0.16)])[panels]
    for side in (-1.0, 1.0):
        y = side * half
        meshes += [_raised(0.13, width - 0.13, z0, z1, y, side, surfaces.door) for z0, z1 in fields]
        x, reach = width - 0.065, y + side * 0.045
        path = [[x, y, HANDLE_HEIGHT], [x, reach, HANDLE_HEIGHT], [x - 0.12, reach, HANDLE_HEIGHT]]
        meshes.append(rod(path, 0.009, surfaces.handle))
        plate = sorted((y, y + side * 0.007))
        low, high = [x - 0.02, plate[0], HANDLE_HEIGHT - 0.1], [x + 0.02, plate[1], HANDLE_HEIGHT + 0.06]
        meshes.append(box(low, high, surfaces.handle))
    return join(meshes)


def _raised(x0: float, x1: float, z0: float, z1: float, y: float, side: float, material: Material) -> Mesh:
    """A field with sloping edges on the face of a leaf at `y` that looks towards `side`."""
    rings = []
    for slope, height in ((0.0, 0.0), (0.035, 0.008)):
        a, b, c, d = x0 + slope, x1 - slope, z0 + slope, z1 - slope
        rings.append(np.array([[a, c], [b, c], [b, d], [a, d]]))
        rings[-1] = np.insert(rings[-1], 1, y + side * height, axis=1)[:: 1 if side < 0 else -1]
    outer, inner = rings
    triangles = [inner[[0, 1, 2]], inner[[0, 2, 3]]]
    for k in range(4):
        j = (k + 1) % 4
        triangles += [np.stack([outer[k], outer[j], inner[j]]), np.stack([outer[k], inner[j], inner[k]])]
    points = np.array(triangles)
    return mesh_of(points, material, points[..., [0, 2]])


def _window(plan: Plan, opening: Opening, surfaces: HouseSurfaces) -> Mesh:
    """Reveal, frame with mullions, panes and, if it does not reach the floor, a sill board."""
    half, depth = (opening.high - opening.low) / 2, plan.thickness / 2
    side = _side_of(plan, opening, opening.rooms[0])
    frame, width, y = surfaces.window_frame, FRAME, FRAME / 2
    z0, z1 = opening.sill, opening.head
    meshes = _reveal(opening, plan.thickness, frame)
    lights = max(1, round(2 * half / 0.75))
    posts = np.linspace(-half + width / 2, half - width / 2, lights + 1)
    meshes += [box([x - width / 2, -y, z0], [x + width / 2, y, z1], frame, skip="zZ") for x in posts]
    meshes += [box([-half, -y, z], [half, y, z + width], frame, skip="xX") for z in (z0, z1 - width)]
    for x0, x1 in zip(posts[:-1] + width / 2, posts[1:] - width / 2, strict=True):
        low, high = [x0, 0.0, z0 + width], [x1, 0.0, z1 - width]
        start, across = (low, x1 - x0) if side < 0 else ([high[0], 0.0, low[2]], x0 - x1)
        meshes.append(quad(start, [across, 0, 0], [0, 0, high[2] - low[2]], surfaces.pane))
    if opening.sill > 0.2:
        ys = sorted((side * y, side * (depth + SILL_BOARD[0])))
        meshes.append(box([-half - 0.04, ys[0], z0 - SILL_BOARD[1]], [half + 0.04, ys[1], z0 + 0.002], frame))
    return _place(join(meshes), opening)


# --- what stops light


def _occluders(plan: Plan) -> np.ndarray:
    black = Material()
    reach = plan.thickness / 2 - GAP
    meshes = []
    for axis, at, low, high in _wall_lines(plan):
        for s0, s1, z0, z1 in _solid(plan, axis, at, low - reach, high + reach):
            ends = np.array([[s0, at - reach], [s1, at + reach]])
            (x0, y0), (x1, y1) = ends if axis == 0 else ends[:, ::-1]
            meshes.append(box([x0, y0, z0], [x1, y1, z1], black))
    for room in plan.rooms:
        for x0, y0, x1, y1 in rectangles(inset(room.outline, -plan.thickness / 2)):
            meshes.append(box([x0, y0, plan.height + GAP], [x1, y1, plan.height + 0.1], black))
            meshes.append(box([x0, y0, -0.1], [x1, y1, -GAP], black))
    return mesh_of(join(meshes).points, black).points


def _wall_lines(plan: Plan) -> list[tuple[int, float, float, float]]:
    """The centre lines of all walls, (axis, at, low, high), those that touch or overlap made one."""
    edges = []
    for room in plan.rooms:
        for start, end in zip(room.outline, np.roll(room.outline, -1, 0), strict=True):
            axis = 0 if start[1] == end[1] else 1
            low, high = sorted((float(start[axis]), float(end[axis])))
            edges.append((axis, round(float(start[1 - axis]), 3), low, high))
    lines: list[tuple[int, float, float, float]] = []
    for axis, at, low, high in sorted(edges):
        if lines and lines[-1][:2] == (axis, at) and low <= lines[-1][3] + 1e-3:
            lines[-1] = (axis, at, lines[-1][2], max(high, lines[-1][3]))
        else:
            lines.append((axis, at, low, high))
    return lines


def _solid(plan: Plan, axis: int, at: float, low: float, high: float) -> list[tuple[float, float, float, float]]:
    """The stretch of a wall without its openings: rectangles (low, high, bottom, top)."""
    openings = [o for o in plan.openings if o.axis == axis and abs(o.at - at) < 0.002 and low < o.low and o.high < high]
    bottom, top = -0.05, plan.height + 0.05
    found, place = [], low
    for opening in sorted(openings, key=lambda o: o.low):
        found.append((place, opening.low - GAP, bottom, top))
        if opening.sill > 0:
            found.append((opening.low - GAP, opening.high + GAP, bottom, opening.sill - GAP))
        found.append((opening.low - GAP, opening.high + GAP, opening.head + GAP, top))
        place = opening.high + GAP
    return [*found, (place, high, bottom, top)]
