"""How things in a house stand to each other, from their bounding boxes alone: what a caption may say of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tst.houses.placement import Thing

TABLES = frozenset({"desk", "dining table", "coffee table"})
SEATS = frozenset({"chair", "office chair", "stool", "bench"})
CONTAINERS = frozenset({"bookcase", "basket", "box", "kitchen sink", "washbasin", "bathtub"})
HUNG = frozenset({"picture", "mirror", "clock", "television"})
FLAT = frozenset({"rug"})
FRONTED = frozenset(
    {"sofa", "armchair", "tv stand", "bookcase", "wardrobe", "dresser", "desk", "piano", "bed", "stove", "refrigerator"}
)
FLOOR = 0.1


@dataclass(frozen=True)
class Placed:
    """A thing's category, place and box in plain numbers (arrays of three are slow)."""

    thing: "Thing"
    category: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @classmethod
    def of(cls, thing: "Thing") -> "Placed":
        """From a thing."""
        low, high = thing.bounds.tolist()
        return cls(thing, thing.category, tuple(low), tuple(high))

    @property
    def floor_area(self) -> float:
        """Of the footprint."""
        return (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])


def relations(a: Placed, b: Placed) -> Iterator[str]:
    """What can be said of `a` towards `b`: "on", "in", "under", "above", "at", "in front of", "next to"."""
    if a.thing.on == b.thing.instance:
        inside = b.category in CONTAINERS and a.low[2] < b.high[2] - 0.05
        yield "in" if inside else "on"
        return
    if b.thing.on == a.thing.instance or a.thing.room != b.thing.room:
        return
    overlap = _overlap(a, b, 0) * _overlap(a, b, 1)
    if _on_rug(a, b, overlap):
        yield "on"
    elif _is_under(a, b, overlap):
        yield "under"
    elif _is_above(a, b):
        yield "above"
    elif a.category in SEATS and b.category in TABLES and _gap(a, b) <= 0.3 and a.low[2] < FLOOR:
        yield "at"
    elif _in_front(a, b):
        yield "in front of"
    elif _next_to(a, b):
        yield "next to"


def on_the_wall(a: Placed) -> bool:
    """Whether it hangs on a wall."""
    return a.category in HUNG and a.thing.on is None and a.low[2] > 0.5


def _overlap(a: Placed, b: Placed, axis: int) -> float:
    return max(min(a.high[axis], b.high[axis]) - max(a.low[axis], b.low[axis]), 0.0)


def _gap(a: Placed, b: Placed) -> float:
    """Distance between the footprints; 0 if they overlap."""
    return math.hypot(*(max(a.low[k] - b.high[k], b.low[k] - a.high[k], 0.0) for k in (0, 1)))


def _on_rug(a: Placed, b: Placed, overlap: float) -> bool:
    return b.category in FLAT and a.category not in FLAT and _on_floor(a) and overlap >= 0.8 * a.floor_area


def _on_floor(a: Placed) -> bool:
    return a.thing.on is None and a.low[2] < FLOOR


def _is_under(a: Placed, b: Placed, overlap: float) -> bool:
    if a.category in FLAT:
        return b.category in TABLES and _on_floor(b) and overlap >= 0.5 * b.floor_area
    if overlap < 0.6 * a.floor_area:
        return False
    stacked = -0.02 <= b.low[2] - a.high[2] <= 0.6 and b.category != "ceiling lamp"
    return stacked or (b.category in TABLES and a.high[2] < b.high[2] - 0.02 and a.low[2] < FLOOR)


def _is_above(a: Placed, b: Placed) -> bool:
    if a.thing.on is not None or a.low[2] < 0.5 or b.low[2] > FLOOR or b.category in FLAT | {"curtain"}:
        return False
    if not -0.02 <= a.low[2] - b.high[2] <= 1.2 or _gap(a, b) > 0.25:
        return False
    along = 0 if a.high[0] - a.low[0] >= a.high[1] - a.low[1] else 1
    shorter = min(a.high[along] - a.low[along], b.high[along] - b.low[along])
    return _overlap(a, b, along) >= 0.6 * shorter


def _in_front(a: Placed, b: Placed) -> bool:
    if b.category not in FRONTED or not _on_floor(a) or not _on_floor(b):
        return False
    front = (math.sin(b.thing.yaw), -math.cos(b.thing.yaw))
    axis = 0 if abs(front[0]) > abs(front[1]) else 1
    if abs(front[axis]) < 0.99:  # askew: its box says too little
        return False
    side = 1 - axis
    gap = a.low[axis] - b.high[axis] if front[axis] > 0 else b.low[axis] - a.high[axis]
    middle = (a.low[side] + a.high[side]) / 2
    return (-0.4 if a.category in FLAT else -0.02) <= gap <= 0.9 and b.low[side] < middle < b.high[side]


def _next_to(a: Placed, b: Placed) -> bool:
    if a.thing.on != b.thing.on or (a.thing.on is None and max(a.low[2], b.low[2]) > FLOOR):
        return False
    if FLAT & {a.category, b.category} or _overlap(a, b, 0) * _overlap(a, b, 1) > 0:
        return False
    return _gap(a, b) <= (0.35 if a.thing.on is None else 0.15)


def all_relations(things: Sequence[Placed]) -> list[tuple[int, str, int]]:
    """Every relation between two of the things: (index of a, relation, index of b)."""
    return [
        (i, relation, j)
        for i, a in enumerate(things)
        for j, b in enumerate(things)
        if i != j
        for relation in relations(a, b)
    ]
