"""A hand-made house for tests: living room, bedroom and hall in a row of doors, with a little furniture."""

from dataclasses import dataclass, field

import numpy as np

from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material, box
from tst.houses.placement import Thing
from tst.houses.plan import OUTSIDE, Opening, Plan, Room, Wall

THICKNESS = 0.12


@dataclass(frozen=True, eq=False)
class House:
    plan: Plan
    things: tuple[Thing, ...] = field(default=())


def room(index: int, kind: str, x0: float, y0: float, x1: float, y1: float, openings: tuple[Opening, ...] = ()) -> Room:
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)
    half = THICKNESS / 2
    inner = outline + half * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    walls = []
    for k in range(4):
        start, end = inner[k], inner[(k + 1) % 4]
        axis, at = (0, outline[k][1]) if k % 2 == 0 else (1, outline[k][0])
        mine = tuple(o for o in openings if index in o.rooms and o.axis == axis and o.at == at)
        walls.append(Wall(index, tuple(start.tolist()), tuple(end.tolist()), mine))
    return Room(index, kind, outline, inner, tuple(walls))


def thing(
    instance: int,
    category: str,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    room: int = 0,
    on: int | None = None,
    yaw: float = 0.0,
) -> Thing:
    """A box with the given bounds; `yaw` in quarter turns."""
    bounds = np.array([low, high], float)
    middle, size = bounds.mean(0), bounds[1] - bounds[0]
    size = size[[1, 0, 2]] if round(yaw / (np.pi / 2)) % 2 else size
    mesh = box(size * [-0.5, -0.5, 0], size * [0.5, 0.5, 1], Material())
    piece = Piece(category, category, mesh, tuple(size.tolist()))
    return Thing(instance, piece, room, (middle[0], middle[1], low[2]), yaw, on)


DOORS = (
    Opening("door", (0, 1), 1, 5.0, 1.0, 1.9, 0.0, 2.05),
    Opening("doorway", (0, 2), 0, 4.0, 2.0, 3.0, 0.0, 2.1),
    Opening("front door", (2, OUTSIDE), 0, 6.0, 1.0, 1.9, 0.0, 2.05),
    Opening("window", (0, OUTSIDE), 0, 0.0, 1.5, 3.0, 0.9, 2.1),
)

PLAN = Plan(
    (
        room(0, "living room", 0, 0, 5, 4, DOORS),
        room(1, "bedroom", 5, 0, 9, 4, DOORS),
        room(2, "hall", 0, 4, 5, 6, DOORS),
    ),
    DOORS,
)

THINGS = (
    thing(11, "sofa", (0.1, 1.0, 0), (1.0, 3.0, 0.8), yaw=np.pi / 2),
    thing(12, "coffee table", (1.5, 1.5, 0), (2.1, 2.5, 0.4)),
    thing(13, "rug", (1.2, 1.0, 0), (3.2, 3.0, 0.01)),
    thing(14, "ceiling lamp", (2.3, 1.8, 2.1), (2.7, 2.2, 2.6)),
    thing(15, "cup", (1.7, 1.8, 0.4), (1.8, 1.9, 0.5), on=12),
    thing(16, "bed", (7.0, 1.0, 0), (8.9, 2.6, 0.6), room=1, yaw=-np.pi / 2),
    thing(17, "bedside table", (8.5, 2.7, 0), (8.9, 3.1, 0.5), room=1, yaw=-np.pi / 2),
    thing(18, "table lamp", (8.6, 2.8, 0.5), (8.8, 3.0, 0.9), room=1, on=17),
    thing(19, "picture", (0.07, 1.6, 1.2), (0.1, 2.4, 1.8), yaw=np.pi / 2),
)

HOUSE = House(PLAN, THINGS)
