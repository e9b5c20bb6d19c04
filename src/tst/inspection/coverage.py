"""What of the space was seen: a map from above for each storey, with the views and the directions of each cell."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tst.inspection.surfaces import Surface, surface
from tst.inspection.trajectory import Trajectory, spread
from tst.progress import track
from tst.space.level import STOREY, level_axes, storeys

CELL = 0.1
"""Side of a cell in metres: a table leg; larger in spaces of more than MOST_CELLS."""
MOST_CELLS = 3_000_000
"""In all storeys together; 33 bytes each."""
RANGE = 5.0
"""Metres beyond which a surface does not count as seen: hand-held sensors end there, and pixels get large."""
SAMPLES = 160
"""Depth samples along the longer side: closer than a cell at 5 m."""
RAY_STRIDE = 4
"""Every how many samples along each side a ray is followed through the air."""
FLOOR_VIEWS = 120
"""Views from which the height of a floor is taken."""
HIGHEST_FLOOR, LOWEST_FLOOR = 0.2, 2.6
"""Metres below the camera between which the floor lies: a robot's and a raised arm's."""
ASSUMED_HEIGHT = 1.4
"""Metres of the camera above a floor that was never seen."""
LEVEL, UPRIGHT = 0.94, 0.3
"""Vertical part of the normal of a level surface, at least, and of an upright one, at most (20 and 73 degrees)."""
FLOOR_BAND = 0.12
"""Metres about the floor's height that belong to it: carpets, thresholds, drift."""
TOP = 1.6
"""Metres above the floor up to which surfaces and free air count: eyes look over most furniture, and not over walls."""
WALL_LOW, WALL_STEP, WALL_STEPS = 0.2, 0.2, 9
"""Upright surfaces are counted in WALL_STEPS bands from 0.2 to 2 m above the floor."""
WALL_BANDS = 5
"""Bands that a wall shows: a metre in all. Tall cupboards count as well, and for a plan they are walls."""
SPECK = 0.15
"""Square metres: smaller pieces of ground, all by themselves, are noise behind a wall."""
VIEWS = 3
"""Views that a place needs: with two, a person who walks through or a reflection is half of the evidence."""
SECTORS = 8
"""Directions, of 45 degrees, from which a cell may be seen."""
DIRECTIONS = 3
"""Sectors that a place needs, for things there to be seen from more than one side."""
CUBE = 0.5
"""Side in metres of the cubes by which `loops` knows which views may see one surface; coarse, as drift moves things."""

UNKNOWN, FREE, FLOOR, THING, WALL = range(5)
"""Kinds of cells: FREE is air whose ground was not seen."""


@dataclass(frozen=True, eq=False)
class FloorMap:
    """One storey from above. Row 0 is the north: the highest second level coordinate.

    Attributes:
        name: of the storey.
        cell: side of a cell in metres.
        west, north: level coordinates of the map's top-left corner, metres.
        kind: (H, W) uint8, one of UNKNOWN to WALL.
        views: (H, W) how many views saw the ground (or what stands on it), or the wall.
        sectors: (H, W) from how many of SECTORS directions it was seen.
        frames: (F,) indices of the views that were taken here, in their order.
        path: (F, 2) their positions in metres, east and south of the map's corner.
        headings: (SECTORS,) how many views look north, north-west, ... (counter-clockwise).
        camera_height: metres of the cameras above the floor, median.
        floor_seen: whether the floor's height was measured; else it is assumed.
    """

    name: str
    cell: float
    west: float
    north: float
    kind: np.ndarray
    views: np.ndarray
    sectors: np.ndarray
    frames: np.ndarray
    path: np.ndarray
    headings: np.ndarray
    camera_height: float
    floor_seen: bool

    @property
    def inside(self) -> np.ndarray:
        """(H, W) bool: cells that people could stand in, or things stand in."""
        return (self.kind == FREE) | (self.kind == FLOOR) | (self.kind == THING)

    def area(self, cells: np.ndarray) -> float:
        """Square metres of a mask of cells."""
        return float(cells.sum()) * self.cell**2


@dataclass
class _View:
    """What one view adds: ids of cells of the grid, unique."""

    storey: int
    ground: np.ndarray
    floor: np.ndarray
    wall: np.ndarray
    bands: np.ndarray
    free: np.ndarray
    cubes: np.ndarray


class _Grid:
    """Cells over all positions of the cameras and what they may see."""

    def __init__(self, positions: np.ndarray, storeys: int) -> None:
        low, high = positions.min(0) - RANGE, positions.max(0) + RANGE
        self.cell = max(CELL, math.sqrt(float(np.prod(high - low)) * storeys / MOST_CELLS))
        self.low = low
        self.shape = tuple(int(n) + 1 for n in (high - low) / self.cell)

    def ids(self, points: np.ndarray) -> np.ndarray:
        """Cells of points (N, 2): unique, ascending."""
        column, row = _distinct(np.floor((points - self.low) / self.cell).astype(np.int64)).T
        inside = (column >= 0) & (row >= 0) & (column < self.shape[0]) & (row < self.shape[1])
        return column[inside] * self.shape[1] + row[inside]

    def centres(self, ids: np.ndarray) -> np.ndarray:
        return self.low + (np.stack([ids // self.shape[1], ids % self.shape[1]], 1) + 0.5) * self.cell


@dataclass(frozen=True, eq=False)
class Coverage:
    """Maps of a walk, the lowest storey first; and for each view (indices of frames) the cubes that it sees."""

    maps: list[FloorMap]
    views: np.ndarray
    cubes: list[np.ndarray]


def coverage(course: Trajectory, limit: int) -> Coverage | None:
    """Map a walk from at most `limit` views; None if no frame has depth, camera and pose."""
    views = course.views(limit)
    if not len(views):
        return None
    poses = course.poses[views]
    axes = _along_walls(course, views, level_axes(poses))
    positions = poses[:, :3, 3] @ axes.T
    storey = storeys(positions[:, 2])
    floors = _floors(course, views, axes, positions, storey)
    heights = np.array([height for height, _ in floors])
    grid = _Grid(positions[:, :2], len(floors))
    maps = [_Gathered(grid) for _ in heights]

    def look(number: int) -> _View | None:
        seen = surface(course.walk, int(views[number]), SAMPLES)
        if seen is None:
            return None
        return _see(seen, poses[number], axes, grid, heights, int(storey[number]))

    cubes, used = [], []
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(look, range(len(views)))
        for number, view in enumerate(track(results, f"map of {course.walk.name}", len(views))):
            if view is not None:
                maps[view.storey].add(view, positions[number, :2])
                cubes.append(view.cubes)
                used.append(number)
    if not used:
        return None
    names = _names(course, views, storey)
    forward = (poses[:, :3, 2] @ axes.T)[:, :2]
    result = []
    for index, gathered in enumerate(maps):
        here = np.array([number for number in used if storey[number] == index], int)
        if len(here):
            above = float(np.median(positions[here, 2])) - floors[index][0]
            cameras = positions[here, :2], forward[here]
            result.append(gathered.finish(names[index], views[here], *cameras, above, floors[index][1]))
    return Coverage([item for item in result if item is not None], views[used], cubes)


def _along_walls(course: Trajectory, views: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The level axes, turned so that most walls run along the map, and a single map is wide."""
    total = np.zeros(2)
    for index in spread(views, FLOOR_VIEWS):
        seen = surface(course.walk, int(index), SAMPLES // 4)
        if seen is None:
            continue
        normals = seen.normals @ course.poses[index][:3, :3].T @ axes.T
        wall = seen.normals.any(2) & (np.abs(normals[..., 2]) < UPRIGHT)
        angle = 4 * np.arctan2(normals[wall][:, 1], normals[wall][:, 0])  # the four sides of a room are one direction
        total += [np.cos(angle).sum(), np.sin(angle).sum()]
    turn = np.arctan2(total[1], total[0]) / 4
    first = np.cos(turn) * axes[0] + np.sin(turn) * axes[1]
    turned = np.stack([first, np.cross(axes[2], first), axes[2]])
    across, along, height = np.ptp(course.poses[views, :3, 3] @ turned.T, axis=0)
    if along > across and height < STOREY:  # one map is best wide; several stand side by side
        turned = np.stack([turned[1], -turned[0], turned[2]])
    return turned


def _floors(
    course: Trajectory, views: np.ndarray, axes: np.ndarray, positions: np.ndarray, storey: np.ndarray
) -> list[tuple[float, bool]]:
    """Height of each storey's floor: where most level surface lies below the cameras; and whether there was any."""
    result = []
    for index in range(storey.max() + 1):
        numbers = np.flatnonzero(storey == index)
        heights, weights = [], []
        for number in spread(numbers, FLOOR_VIEWS):
            seen = surface(course.walk, int(views[number]), SAMPLES // 2)
            if seen is None:
                continue
            up = seen.normals @ course.poses[views[number]][:3, :3].T @ axes[2]
            height = seen.points @ course.poses[views[number]][:3, :3].T @ axes[2]  # above the camera
            chosen = (up > LEVEL) & (height < -HIGHEST_FLOOR) & (height > -LOWEST_FLOOR)
            heights.append(height[chosen] + positions[number, 2])
            weights.append(seen.points[chosen][:, 2] ** 2)  # a far pixel shows more of it
        camera = float(np.median(positions[numbers, 2]))
        every = np.concatenate(heights) if heights else np.empty(0)
        if len(every) < 50:
            result.append((camera - ASSUMED_HEIGHT, False))
            continue
        step = 0.02
        low = every.min()
        counts = np.bincount(((every - low) / step).astype(int), np.concatenate(weights))
        smooth = ndimage.gaussian_filter1d(counts, 2.0, mode="constant")
        result.append((float(low + (smooth.argmax() + 0.5) * step), True))
    return result


def _see(seen: Surface, pose: np.ndarray, axes: np.ndarray, grid: _Grid, floors: np.ndarray, storey: int) -> _View:
    """Sort one view's points by what they are."""
    rotation = axes @ pose[:3, :3]
    camera = axes @ pose[:3, 3]
    near = seen.known & (np.linalg.norm(seen.points, axis=2) < 1.5 * RANGE) & (seen.points[..., 2] < RANGE)
    points = seen.points[near] @ rotation.T + camera
    up = seen.normals[near] @ rotation[2]
    known = seen.normals[near].any(1)
    above = points[:, 2] - floors[storey]
    low = (above > -FLOOR_BAND) & (above < TOP)
    upright = known & (np.abs(up) < UPRIGHT)
    band = np.floor((above - WALL_LOW) / WALL_STEP).astype(int)
    wall = upright & (band >= 0) & (band < WALL_STEPS)
    bands = np.zeros(0, np.uint16)
    wall_ids = grid.ids(points[wall][:, :2])
    if len(wall_ids):
        bands = np.zeros(len(wall_ids), np.uint16)
        for number in range(WALL_STEPS):
            ids = grid.ids(points[wall & (band == number)][:, :2])
            bands[np.searchsorted(wall_ids, ids)] |= np.uint16(1 << number)
    cubes = _distinct(np.floor(points / CUBE).astype(np.int64)) + 2**19
    return _View(
        storey=storey,
        ground=grid.ids(points[low & ~upright][:, :2]),
        floor=grid.ids(points[low & (np.abs(above) < FLOOR_BAND) & ~(known & (up < LEVEL))][:, :2]),
        wall=wall_ids,
        bands=bands,
        free=_free(seen, near, rotation, camera, grid, floors[storey]),
        cubes=cubes @ np.array([2**40, 2**20, 1]),
    )


def _distinct(indices: np.ndarray) -> np.ndarray:
    """The distinct rows of whole numbers (N, D), ascending. Those of one view lie close together, so that marking a box
    is ten times faster than sorting."""
    if not len(indices):
        return indices
    low = indices.min(0)
    box = np.zeros(indices.max(0) - low + 1, bool)
    box[tuple((indices - low).T)] = True
    return np.argwhere(box) + low


def _free(
    seen: Surface, near: np.ndarray, rotation: np.ndarray, camera: np.ndarray, grid: _Grid, floor: float
) -> np.ndarray:
    """Cells through whose air, below eye height, the view looks."""
    stride = (slice(RAY_STRIDE // 2, None, RAY_STRIDE),) * 2
    ends = seen.points[stride][near[stride]] @ rotation.T  # from the camera
    length = np.linalg.norm(ends, axis=1)
    steps = np.arange(grid.cell / 2, 1.5 * RANGE, grid.cell)
    shares = steps[None] / np.maximum(length, 1e-6)[:, None]
    # The last cell is the surface itself, and the one before it may be, at the border of a cell.
    ray, step = np.nonzero(steps[None] < length[:, None] - 1.5 * grid.cell)
    along = camera + ends[ray] * shares[ray, step][:, None]
    above = along[:, 2] - floor
    return grid.ids(along[(above > FLOOR_BAND) & (above < TOP)][:, :2])


class _Gathered:
    """Counts of one storey's cells, flat."""

    def __init__(self, grid: _Grid) -> None:
        self.grid = grid
        size = grid.shape[0] * grid.shape[1]
        self.ground, self.floor, self.wall, self.free = (np.zeros(size, np.uint16) for _ in range(4))
        self.bands = np.zeros(size, np.uint16)
        self.sectors = np.zeros(size, np.uint8)

    def add(self, view: _View, camera: np.ndarray) -> None:
        """Count one view; no more than 2,400 views are taken, so 16 bits do."""
        for counts, ids in ((self.ground, view.ground), (self.floor, view.floor), (self.free, view.free)):
            counts[ids] += 1
        self.wall[view.wall] += 1
        self.bands[view.wall] |= view.bands
        for ids in (view.ground, view.wall):
            away = camera - self.grid.centres(ids)
            sector = np.floor(np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
            self.sectors[ids] |= (1 << sector).astype(np.uint8)

    def finish(
        self,
        name: str,
        frames: np.ndarray,
        positions: np.ndarray,
        forward: np.ndarray,
        camera_height: float,
        floor_seen: bool,
    ) -> FloorMap | None:
        """The map, cut to what belongs to the space; None if nothing was seen."""
        shape, cell = self.grid.shape, self.grid.cell
        ground, floor, free, wall_views = (
            counts.reshape(shape) for counts in (self.ground, self.floor, self.free, self.wall)
        )
        wall = _popcount(self.bands).reshape(shape) >= WALL_BANDS
        wall &= ~((floor > 0) & (floor > wall_views))
        few = min(2, len(frames))  # a single ray may be noise
        inside = ((free >= few) | (ground > 0)) & ~wall
        inside &= _connected(inside, np.floor((positions - self.grid.low) / cell).astype(int))
        labels, count = ndimage.label(inside)
        inside &= np.bincount(labels.ravel(), minlength=count + 1)[labels] * cell**2 >= SPECK
        wall &= ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=2)
        if not inside.any():
            return None
        kind = np.select(
            [wall, inside & (floor > 0), inside & (ground > 0), inside], [WALL, FLOOR, THING, FREE], UNKNOWN
        ).astype(np.uint8)
        views = np.where(wall, wall_views, np.where(inside, ground, 0))
        sectors = np.where(kind > FREE, _popcount(self.sectors).reshape(shape), 0)
        columns, rows = np.flatnonzero((kind > 0).any(1)), np.flatnonzero((kind > 0).any(0))
        cut = slice(columns[0], columns[-1] + 1), slice(rows[0], rows[-1] + 1)

        def as_map(array: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(array[cut].T[::-1])

        west, north = self.grid.low + np.array([columns[0], rows[-1] + 1]) * cell
        heading = np.arctan2(-forward[:, 0], forward[:, 1])  # from north, counter-clockwise
        sector = np.round(heading / (2 * np.pi) * SECTORS).astype(int) % SECTORS
        return FloorMap(
            name=name,
            cell=cell,
            west=float(west),
            north=float(north),
            kind=as_map(kind),
            views=as_map(views),
            sectors=as_map(sectors),
            frames=frames,
            path=np.stack([positions[:, 0] - west, north - positions[:, 1]], 1),
            headings=np.bincount(sector, minlength=SECTORS),
            camera_height=camera_height,
            floor_seen=floor_seen,
        )


def _popcount(bits: np.ndarray) -> np.ndarray:
    """Number of set bits of each, uint8."""
    return np.unpackbits(bits.astype("<u2").view(np.uint8).reshape(-1, 2), axis=1).sum(1, dtype=np.uint8)


def _connected(inside: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """The parts of `inside` that hold a camera, or lie within a step of such a part (a doorstep that was not seen)."""
    labels, _ = ndimage.label(ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=2))
    return np.isin(labels, np.unique(labels[cameras[:, 0], cameras[:, 1]])) & inside


def _names(course: Trajectory, views: np.ndarray, storey: np.ndarray) -> list[str]:
    """Names of the storeys: those of the parts where each part is a storey, else by their order."""
    count = int(storey.max()) + 1
    parts = [{course.parts[int(view)] for view in views[storey == index]} for index in range(count)]
    if all(len(part) == 1 for part in parts) and len(set.union(*parts)) == count and None not in set.union(*parts):
        return [f"{next(iter(part))}" for part in parts]
    if count == 1:
        return [""]
    if count == 2:
        return ["lower floor", "upper floor"]
    return [f"floor {index + 1} from below" for index in range(count)]
