"""Where the map is weak, seen from above: how sure the model is, how far its views agree, and where to walk next."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tst.inspection.coverage import ASSUMED_HEIGHT, FLOOR, FLOOR_BAND, LEVEL, SECTORS, TOP, UNKNOWN, FloorMap
from tst.inspection.gaps import Gap
from tst.inspection.places import describe
from tst.inspection.trajectory import trajectory
from tst.mapping.averages import Averages
from tst.mapping.space_map import Appearance, SpaceMap
from tst.space.level import level_axes, storeys

CELL = 0.1
"""Side in metres of a cell of the plan."""
FLOOR_BELOW = (0.2, 2.6)
"""Metres below the cameras between which their floor lies."""
LEAST_VIEWS = 2
"""Cells of the map that fewer frames saw say nothing of agreement, and may be specks."""
WEAKEST = 0.1
"""Share of what was seen that is weakest, by confidence and by agreement: a place is weak beside the rest of the space,
as models differ much in how sure they are."""
DOUBT = 0.7
"""From this confidence or agreement on no place is weak, however much better the others are."""
LEAST_AREA = 0.4
"""Square metres of a weak place worth going back for, as `inspection.gaps` has it."""
SMOOTH = 2.0
"""Cells over which the plan is smoothed before weak places are outlined: single cells are noise."""
MOST = 8
"""Places that are told."""


@dataclass(frozen=True, eq=False)
class WeakPlace:
    """A place to go back to.

    Attributes:
        mark: its number on the picture.
        area: square metres.
        at: (2,) metres east and south of the plan's corner.
        text: what is weak, where, and what to do.
    """

    mark: int
    area: float
    at: np.ndarray
    text: str


@dataclass(frozen=True, eq=False)
class Plan:
    """One storey from above; row 0 is the north, as in `inspection.coverage`.

    Attributes:
        name: of the storey.
        cell: metres.
        confidence, agreement: (H, W) float32 means of what stands there, in 0 .. 1; NaN where nothing was seen.
        path: (F, 2) metres of its cameras, east and south of the corner.
        places: the weak ones, the largest first.
    """

    name: str
    cell: float
    confidence: np.ndarray
    agreement: np.ndarray
    path: np.ndarray
    places: list[WeakPlace]


def weakness(space_map: SpaceMap, look: Appearance, sums: Averages) -> list[Plan]:
    """Plans of all storeys, the lowest first. Ceilings, and what is above eye height, are left out."""
    views = space_map.views
    axes = level_axes(views.poses)
    cameras = views.poses[:, :3, 3] @ axes.T
    storey = storeys(cameras[:, 2])
    points = look.points_V3 @ axes.T
    usable = sums.views_V >= min(LEAST_VIEWS, len(views))
    faces_up = usable & (look.normals_V3 @ axes[2] > LEVEL)  # ceilings of the storey below face down
    confidence, agreement = sums.mean_VC.max(1), sums.agreement_V
    used = np.unique(storey)
    floors: list[tuple[FloorMap, Plan]] = []
    for name, number in zip(_names(len(used)), used, strict=True):
        on_it = np.flatnonzero(storey == number)
        above = points[:, 2] - _ground(points[faces_up, 2], float(np.median(cameras[on_it, 2])))
        here = usable & (above > -FLOOR_BAND) & (above < TOP)
        if not here.any():
            continue
        floor, maps = _floor(name, points[here], [confidence[here], agreement[here]], cameras[on_it], on_it)
        floors.append((floor, Plan(floor.name or "plan", CELL, maps[0], maps[1], floor.path, [])))
    found = sorted(_weak(floors), key=lambda item: -item[0].size)
    for mark, (gap, floor, plan) in enumerate(found[:MOST], 1):
        plan.places.append(WeakPlace(mark, gap.size, gap.at, _words(gap, mark, floor, plan, space_map)))
    return [plan for _, plan in floors]


def _names(count: int) -> list[str]:
    if count == 1:
        return [""]
    return ["lower floor", "upper floor"] if count == 2 else [f"floor {number + 1}" for number in range(count)]


def _ground(heights: np.ndarray, camera: float) -> float:
    """Height of the floor: where most of what faces up lies below the cameras."""
    counts, edges = np.histogram(camera - heights, np.arange(*FLOOR_BELOW, 0.05))
    return camera - (float(edges[counts.argmax()]) + 0.025 if counts.any() else ASSUMED_HEIGHT)


def _floor(
    name: str, points: np.ndarray, values: list[np.ndarray], cameras: np.ndarray, numbers: np.ndarray
) -> tuple[FloorMap, list[np.ndarray]]:
    """A storey's plan of what was seen, and each of `values` averaged on it (H, W), NaN where there is nothing."""
    low, high = np.percentile(points[:, :2], [0.1, 99.9], axis=0)
    low, high = np.minimum(low, cameras[:, :2].min(0)), np.maximum(high, cameras[:, :2].max(0))
    west, north = low[0], high[1]
    column, row = ((points[:, 0] - west) / CELL).astype(int), ((north - points[:, 1]) / CELL).astype(int)
    width, height = int((high[0] - west) / CELL) + 1, int((north - low[1]) / CELL) + 1
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = row[inside] * width + column[inside]
    counts = np.bincount(flat, minlength=height * width)
    maps = []
    for value in values:
        mean = np.bincount(flat, value[inside], height * width) / np.maximum(counts, 1)
        maps.append(np.where(counts > 0, mean, np.nan).reshape(height, width).astype(np.float32))
    kind = np.where(counts > 0, FLOOR, UNKNOWN).astype(np.uint8).reshape(height, width)
    path = np.stack([cameras[:, 0] - west, north - cameras[:, 1]], 1)
    nothing = np.zeros((height, width), int)
    floor = FloorMap(
        name, CELL, west, north, kind, nothing, nothing, numbers, path, np.zeros(SECTORS), 0.0, floor_seen=True
    )
    return floor, maps


def _weak(floors: list[tuple[FloorMap, Plan]]) -> Iterator[tuple[Gap, FloorMap, Plan]]:
    """Connected places where the model is least sure, or views agree least."""
    weak = [np.zeros(floor.kind.shape, bool) for floor, _ in floors]
    for kind in ("confidence", "agreement"):
        smooth = [_smooth(getattr(plan, kind)) for _, plan in floors]
        seen = [values[floor.inside] for values, (floor, _) in zip(smooth, floors, strict=True)]
        limit = min(DOUBT, float(np.quantile(np.concatenate(seen), WEAKEST))) if seen else DOUBT
        for values, cells, (floor, _) in zip(smooth, weak, floors, strict=True):
            np.logical_or(cells, floor.inside & (values < limit), out=cells)
    for all_weak, (floor, plan) in zip(weak, floors, strict=True):
        labels, count = ndimage.label(all_weak)
        for number in range(1, count + 1):
            cells = labels == number
            if floor.area(cells) >= LEAST_AREA:
                rows, columns = np.nonzero(cells)
                nearest = ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).argmin()
                at = np.array([columns[nearest] + 0.5, rows[nearest] + 0.5]) * CELL
                yield Gap("floor", floor.area(cells), 0.0, at, cells), floor, plan


def _smooth(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    weight = ndimage.gaussian_filter(known.astype(float), SMOOTH)
    return ndimage.gaussian_filter(np.where(known, values, 0.0), SMOOTH) / np.maximum(weight, 1e-9)


def _words(gap: Gap, mark: int, floor: FloorMap, plan: Plan, space_map: SpaceMap) -> str:
    """What is weak, where, and what to do; places are told as `tst check` tells them."""
    views = space_map.views
    best = None
    rows = views.space.frames()
    for name, walk in views.walks.items():
        mine = np.array([rows[frame][0].name == name for frame in views.frames[floor.frames]])
        if not mine.any():
            continue
        own = np.array([rows[frame][1] for frame in views.frames[floor.frames[mine]]])
        place = describe(gap, mark, replace(floor, frames=own, path=floor.path[mine]), trajectory(walk))
        if best is None or place.distance < best.distance:
            best = place
    assert best is not None
    agree, sure = (float(np.nanmean(values[gap.cells])) for values in (plan.agreement, plan.confidence))
    go = "look at" if best.distance < 1 else "walk closer to"
    return (
        f"{go} {best.where} from more sides: views agree to {agree:.0%} on {gap.size:.1f} m² there, and the model is "
        f"{sure:.0%} sure (mark {mark}; nearest: frame {best.frame}, {best.distance:.1f} m away)"
    )
