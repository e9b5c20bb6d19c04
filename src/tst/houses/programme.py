"""Which rooms a house has and how large each should be: the specification that a floor plan is drawn to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tst.errors import UserError
from tst.houses.plan import RoomKind

ROOMS = (1, 10)
AREA = (20.0, 250.0)
AREA_PER_ROOM = 9.5  # square metres; below it bedrooms of 2.6 m and living rooms of 3.2 m no longer fit together


@dataclass(frozen=True)
class RoomRule:
    """What a kind of room should be like.

    Attributes:
        area: usual floor area, square metres.
        elasticity: its area grows as the area of the house to this power (a palace's bathroom is not a hall).
        width: least side of the largest square in it, metres.
        arm: least width of any other part of it.
        aspect: greatest aspect ratio of its largest rectangle.
        most: how many a house may have.
    """

    area: float
    elasticity: float
    width: float
    arm: float
    aspect: float
    most: int


RULES: dict[RoomKind, RoomRule] = {
    "living room": RoomRule(25.0, 1.1, 3.2, 1.5, 2.0, 1),
    "kitchen": RoomRule(11.0, 0.8, 2.0, 1.5, 2.2, 1),
    "dining room": RoomRule(13.0, 0.9, 2.5, 1.5, 2.0, 1),
    "bedroom": RoomRule(13.0, 0.9, 2.6, 1.4, 1.9, 4),
    "bathroom": RoomRule(5.5, 0.6, 1.6, 1.1, 2.5, 3),
    "hall": RoomRule(7.0, 0.7, 1.1, 1.05, 9.0, 1),
    "office": RoomRule(9.5, 0.8, 2.2, 1.4, 2.0, 1),
    "storage room": RoomRule(4.0, 0.5, 1.2, 1.1, 2.5, 1),
}

PUBLIC: tuple[RoomKind, ...] = ("living room", "kitchen", "dining room")

# What may come next once a house has a living room, kitchen, bedroom, bathroom and hall, with weights.
EXTRAS: dict[RoomKind, float] = {
    "bedroom": 5.0,
    "bathroom": 2.0,
    "office": 1.6,
    "dining room": 1.6,
    "storage room": 1.2,
}


def least_area(rooms: int) -> float:
    """The smallest house with so many rooms, square metres."""
    return max(AREA[0], AREA_PER_ROOM * rooms)


def draw_size(rng: np.random.Generator, rooms: int | None, area: float | None) -> tuple[int, float]:
    """Number of rooms and area, those not given drawn to fit the others.

    Raises:
        UserError: a value is out of range, or so many rooms do not fit the area.
    """
    if rooms is not None and not ROOMS[0] <= rooms <= ROOMS[1]:
        raise UserError(f"rooms={rooms}: a house has {ROOMS[0]} to {ROOMS[1]} rooms. Give a number in this range.")
    if area is not None and not AREA[0] <= area <= AREA[1]:
        raise UserError(f"area={area:g}: a house has {AREA[0]:g} to {AREA[1]:g} m2. Give an area in this range.")
    if rooms is not None and area is not None and area < least_area(rooms):
        raise UserError(
            f"rooms={rooms}, area={area:g}: {rooms} rooms need {least_area(rooms):g} m2 or more. "
            f"Give a larger area or at most {int(area // AREA_PER_ROOM)} rooms."
        )
    if rooms is None:
        counts = list(range(ROOMS[0], ROOMS[1] + 1))
        weights = np.array([1, 1.5, 3, 5, 7, 8, 7, 5, 3, 2])
        if area is not None:  # about 14 m2 a room, as in homes that people live in
            weights = np.exp(-0.5 * (np.log(area / (14.0 * np.array(counts))) / 0.3) ** 2) + 1e-6
            weights[[area < least_area(count) for count in counts]] = 0
        rooms = int(rng.choice(counts, p=weights / weights.sum()))
    if area is None:
        area = float(np.clip(14.5 * rooms * np.exp(rng.normal(0, 0.22)), 1.15 * least_area(rooms), AREA[1]))
    return rooms, area


def draw_kinds(rng: np.random.Generator, rooms: int) -> list[RoomKind]:
    """The kinds of a house of so many rooms, the living room first."""
    kinds: list[RoomKind] = ["living room"]
    small: dict[int, list[tuple[float, list[RoomKind]]]] = {
        1: [(1.0, [])],
        2: [(0.4, ["kitchen"]), (0.35, ["bedroom"]), (0.25, ["bathroom"])],
        3: [(0.4, ["bedroom", "bathroom"]), (0.3, ["kitchen", "bathroom"]), (0.3, ["kitchen", "bedroom"])],
        4: [(1.0, ["kitchen", "bedroom", "bathroom"])],
    }
    weights, choices = zip(*small[min(rooms, 4)], strict=True)
    kinds += choices[int(rng.choice(len(choices), p=weights))]
    if rooms >= 6 or (rooms == 5 and rng.random() < 0.7):
        kinds.append("hall")
    while len(kinds) < rooms:
        bedrooms, bathrooms = kinds.count("bedroom"), kinds.count("bathroom")
        options = {
            kind: weight / (1 + 0.5 * kinds.count(kind))
            for kind, weight in EXTRAS.items()
            if kinds.count(kind) < RULES[kind].most and (kind != "bathroom" or bathrooms <= bedrooms // 2)
        }
        odds = np.array(list(options.values()))
        kinds.append(list(options)[int(rng.choice(len(odds), p=odds / odds.sum()))])
    return kinds


def target_areas(kinds: Sequence[RoomKind], area: float, rng: np.random.Generator) -> np.ndarray:
    """Area of each room, (len(kinds),) square metres, `area` in all."""
    base = np.array([RULES[kind].area for kind in kinds]) * rng.uniform(0.88, 1.15, len(kinds))
    elasticity = np.array([RULES[kind].elasticity for kind in kinds])
    low, high = 1e-3, 1e3
    for _ in range(60):  # bisection for the one scale at which the areas add up
        scale = (low * high) ** 0.5
        low, high = (low, scale) if (base * scale**elasticity).sum() > area else (scale, high)
    return base * low**elasticity
