"""What must hold of every house, as a list of what does not."""

import numpy as np

from tst.houses.free_space import FreeSpace
from tst.houses.house import House
from tst.houses.placement import Thing, inside

SLACK = 0.01
"""Overlap that does not count, in metres."""


def defects(house: House) -> list[str]:
    """Overlapping things, things outside their rooms, rooms that cannot be walked to; empty for a good house."""
    found = [f"{a.name} ({a.instance}) overlaps {b.name} ({b.instance})" for a, b in collisions(house)]
    for thing in house.things:
        room = house.plan.rooms[thing.room]
        low, high = thing.bounds
        if thing.on is None and not inside(room, low[:2] + SLACK, high[:2] - SLACK):
            found.append(f"{thing.name} ({thing.instance}) is not inside the {room.kind}")
        if low[2] < -SLACK or high[2] > house.plan.height + SLACK:
            found.append(f"{thing.name} ({thing.instance}) is not between floor and ceiling")
    if not FreeSpace(house).all_rooms_reachable():
        found.append("a room cannot be walked to")
    return found


def collisions(house: House) -> list[tuple[Thing, Thing]]:
    """Pairs of things whose boxes overlap, other than those that are meant to."""
    bounds = np.array([thing.bounds for thing in house.things]).reshape(-1, 2, 3)
    overlap = (bounds[:, None, 0] < bounds[None, :, 1] - SLACK) & (bounds[:, None, 1] > bounds[None, :, 0] + SLACK)
    pairs = np.argwhere(np.triu(overlap.all(2), 1))
    things = [(house.things[i], house.things[j]) for i, j in pairs]
    return [(a, b) for a, b in things if not _meant(a, b)]


def _meant(a: Thing, b: Thing) -> bool:
    """Things stand on rugs and in shelves, and chairs are pushed under tables."""
    pair = {a.category, b.category}
    return "rug" in pair or a.on == b.instance or b.on == a.instance or pair == {"chair", "dining table"}
