"""Which way doors open, and the floor that they need."""

from dataclasses import dataclass

import numpy as np

from tst.houses.plan import Opening, Plan, Room

LEAF = 0.04  # thickness of a leaf
LINING = 0.03  # of the frame inside an opening, on both sides
LANDING = 0.8  # depth of the floor kept free on both sides of a door, in door widths
EPSILON = 1e-6
PASSAGE = 0.62
"""What must be left beside an open leaf to get past it, metres."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A door leaf that stands open.

    Attributes:
        opening: the door.
        room: the room that it opens into.
        hinge: (2,), the line that it turns about, on the face of the wall.
        start: direction of the closed leaf as seen from its hinge, radians counter-clockwise from +x.
        angle: how far it stands open, radians, below 0 if it turns clockwise.
        width: metres.
        swing: (2, 2), low and high corner of the floor that it sweeps when opened to a right angle.
    """

    opening: Opening
    room: int
    hinge: np.ndarray
    start: float
    angle: float
    width: float
    swing: np.ndarray

    @property
    def end(self) -> np.ndarray:
        """Where its free edge is, (2,)."""
        direction = self.start + self.angle
        return self.hinge + self.width * np.array([np.cos(direction), np.sin(direction)])


def leaves(plan: Plan) -> list[Leaf]:
    """The leaves of all doors between rooms, in the order of `plan.openings`.

    A leaf opens into the smaller of its rooms and rests against the nearer wall, unless it would hit another leaf.
    """
    placed: list[Leaf] = []
    for number, opening in enumerate(plan.openings):
        if opening.kind == "door":
            options = _options(plan, opening, number)
            placed.append(min(options, key=lambda option: _cost(plan, option, placed)))
    return placed


def _options(plan: Plan, opening: Opening, number: int) -> list[Leaf]:
    """Hinged at either end, into either room."""
    width = opening.high - opening.low - 2 * LINING
    # Doors do not all stand open equally far; the same door always does.
    wide = np.radians(72 + 37 * number % 20)
    found = []
    for room in opening.rooms:
        side = _side(plan.rooms[room], opening, plan.thickness)
        face = opening.at + side * plan.thickness / 2
        for end, along in ((opening.low + LINING, 1.0), (opening.high - LINING, -1.0)):
            sweep = np.array([[end, face], [end + along * width, face + side * width]])
            hinge, direction, turn = sweep[0], np.array([along, 0.0]), along * side
            if opening.axis == 1:
                sweep, hinge, direction, turn = sweep[:, ::-1], hinge[::-1], direction[::-1], -turn
            start = float(np.arctan2(direction[1], direction[0]))
            found.append(Leaf(opening, room, hinge, start, float(turn * wide), width, np.sort(sweep, 0)))
    return found


def _side(room: Room, opening: Opening, thickness: float) -> float:
    """+1 if the room lies on the side of larger coordinates, else -1."""
    middle = np.array([(opening.low + opening.high) / 2, opening.at + thickness / 2 + 0.01])
    return 1.0 if room.contains(middle if opening.axis == 0 else middle[::-1]) else -1.0


def _cost(plan: Plan, leaf: Leaf, placed: list[Leaf]) -> float:
    room = plan.rooms[leaf.room]
    points = np.array([[x, y] for x in leaf.swing[:, 0] for y in leaf.swing[:, 1]])
    points = points + 0.02 * np.sign(leaf.swing.mean(0) - points)
    hits = 0.0 if room.contains(points).all() else 100.0
    hits += 20.0 * sum(_overlap(leaf.swing, other.swing) > EPSILON for other in placed)
    for opening in plan.openings:
        if opening is not leaf.opening and opening.kind != "window":
            hits += 10.0 * (_overlap(leaf.swing, doorstep(opening, plan.thickness)) > EPSILON)
    # In a corridor the leaf would leave too little to get past it.
    hits += 30.0 * (_reach(room, leaf.opening) < leaf.width + PASSAGE)
    other = plan.rooms[next(k for k in leaf.opening.rooms if k != leaf.room)]
    into = 3.0 * (room.kind == "hall") + 1.0 * (room.area > other.area)
    axis = leaf.opening.axis
    ends = [w for w in room.walls if leaf.opening in w.openings]
    wall = sorted((ends[0].start[axis], ends[0].end[axis])) if ends else [0.0, 0.0]
    return hits + into + 0.5 * min(abs(leaf.hinge[axis] - wall[0]), abs(leaf.hinge[axis] - wall[1]))


def _reach(room: Room, opening: Opening) -> float:
    """Metres from a door to the wall across the room."""
    across, middle = 1 - opening.axis, (opening.low + opening.high) / 2
    distances = [
        abs(wall.start[across] - opening.at)
        for wall in room.walls
        if wall.start[across] == wall.end[across]
        and opening not in wall.openings
        and min(wall.start[opening.axis], wall.end[opening.axis]) < middle
        and max(wall.start[opening.axis], wall.end[opening.axis]) > middle
    ]
    return min((distance for distance in distances if distance > 0.3), default=np.inf)  # nearer: in the door's own line


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.clip(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0, None).prod())


def doorstep(opening: Opening, thickness: float, depth: float = 0.3) -> np.ndarray:
    """Floor in a door and `depth` metres before it on both sides, (2, 2) low and high corner."""
    reach = thickness / 2 + depth
    corners = np.array([[opening.low, opening.at - reach], [opening.high, opening.at + reach]])
    return corners if opening.axis == 0 else corners[:, ::-1]


def keep_free(plan: Plan) -> list[np.ndarray]:
    """Floor that furniture must leave free: (2, 2) rectangles of low and high corners, metres.

    The swing of each leaf, and a landing before both sides of each door and doorway.
    """
    free = [leaf.swing for leaf in leaves(plan)]
    for opening in plan.openings:
        if opening.kind != "window":
            free.append(doorstep(opening, plan.thickness, LANDING * (opening.high - opening.low)))
    return free
