"""Where a gap is and what to do there, in words that a person with the map, or without it, can follow."""

import numpy as np

from tst.inspection.coverage import VIEWS, FloorMap
from tst.inspection.gaps import Gap
from tst.inspection.report import Place
from tst.inspection.trajectory import Trajectory

CLOSE = 1.0
"""Metres from which looking is enough and walking closer is not needed."""
SIDES = (
    ("north-west corner", "north side", "north-east corner"),
    ("west side", "middle", "east side"),
    ("south-west corner", "south side", "south-east corner"),
)


def describe(gap: Gap, mark: int, plan: FloorMap, course: Trajectory) -> Place:
    """Say where `gap` of `plan` is; `mark` is its number on the picture."""
    where = f"the {_side(gap, plan)} of {floor_name(plan.name)}"
    distances = np.linalg.norm(plan.path - gap.at, axis=1)
    nearest = int(distances.argmin())
    frame, distance = int(plan.frames[nearest]), float(distances[nearest])
    rooms = {course.parts[int(index)] for index in plan.frames} - {None}
    landmark = f"nearest: {course.name(frame)}, {distance:.1f} m away"
    if len(rooms) > 1 and course.parts[frame]:
        landmark += f", in {course.parts[frame]}"
    return Place(
        mark=mark,
        kind=gap.kind,
        size=gap.size,
        where=where,
        frame=course.walk.ids[frame],
        distance=distance,
        advice=f"{_advice(gap, where, distance)} (mark {mark}; {landmark})",
        gap=gap,
    )


def _advice(gap: Gap, where: str, distance: float) -> str:
    seen = "no view" if gap.unseen == 1 else f"fewer than {VIEWS} views"
    if gap.kind == "opening":
        return f"look beyond {where}: what was seen ends there without a wall, over {gap.size:.1f} m"
    go = "look at" if distance < CLOSE else "walk closer to"
    if gap.kind == "wall":
        return f"{go} the wall at {where}: {gap.size:.1f} m of it were seen by {seen}"
    down = "look down at" if distance < CLOSE else "walk closer to"
    return f"{down} {where}: {gap.size:.1f} m² of floor were seen by {seen}"


def floor_name(name: str) -> str:
    """What to call a storey: "the upper floor", "floor “first”", or "the map" of the only one, which has no name."""
    return "the map" if not name else f"the {name}" if "floor" in name else f"floor “{name}”"


def _side(gap: Gap, plan: FloorMap) -> str:
    rows, columns = np.nonzero(plan.inside)
    low = np.array([columns.min(), rows.min()]) * plan.cell
    size = (np.array([columns.max(), rows.max()]) + 1) * plan.cell - low
    column, row = np.clip(((gap.at - low) / np.maximum(size, 1e-9) * 3).astype(int), 0, 2)
    return SIDES[row][column]
