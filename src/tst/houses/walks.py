"""Where the camera goes: dense sampling of a house, or a walk through all its rooms."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tst.houses.doors import leaves
from tst.houses.free_space import FreeSpace
from tst.houses.trajectory import Trajectory, look

if TYPE_CHECKING:
    from tst.houses.house import House
    from tst.houses.plan import Plan, Room

PERSON, ROBOT = (0.9, 1.7), (0.4, 1.0)
"""Heights of the camera in dense sampling."""
HEAD = 1.8
BODY = 0.2

# Dense sampling

ROUNDS = 8
"""Candidates for each frame, at most."""
NEAREST, USUAL = 0.5, 1.0
"""How far the middle of the view, and half of it, should see at least."""
SPREAD = np.tan(np.radians(24))


def dense_walk(house: "House", rng: np.random.Generator, frames: int, robot: bool = False) -> np.ndarray:
    """Camera-to-world poses (frames, 4, 4) all over the house, in no order: the paper's dense sampling.

    Rooms get frames in proportion to their area. Positions are uniform over the free floor, heights from 0.9 to 1.7 m
    (`robot`: 0.4 to 1.0 m), directions all around and mostly a little down. Views that end within arm's reach are
    avoided as far as a room allows.
    """
    low, high = ROBOT if robot else PERSON
    space = FreeSpace(house, BODY, height=high + 0.1)
    inside = np.bincount(space.room[space.free] + 1, minlength=len(house.plan.rooms) + 1)[1:]
    area = np.array([room.area for room in house.plan.rooms]) * (inside > 0)
    assert area.any(), "no room to stand in"
    counts = np.diff(np.rint(np.cumsum(area) / area.sum() * frames).astype(int), prepend=0)
    poses = []
    for room, count in zip(house.plan.rooms, counts.tolist(), strict=True):
        if not count:
            continue
        boxes = _obstacles(house, room)
        drawn, openness = np.zeros((0, 4, 4)), np.zeros(0)
        for _ in range(ROUNDS):
            position = np.column_stack([space.sample(rng, count, room.index), rng.uniform(low, high, count)])
            yaw = rng.uniform(0, 2 * np.pi, count)
            pitch = np.radians(np.clip(rng.normal(-8, 12, count), -45, 25))
            candidates = look(position, yaw, pitch, np.zeros(count))
            drawn = np.concatenate([drawn, candidates])
            openness = np.append(openness, _openness(room, house.plan, boxes, candidates))
            if (openness >= 1).sum() >= count:
                break
        # The first that are open enough; if too few are, the best of the others.
        poses.append(drawn[np.argsort(-np.minimum(openness, 1), kind="stable")[:count]])
    return np.concatenate(poses)[rng.permutation(frames)]


def _obstacles(house: "House", room: "Room") -> np.ndarray:
    """Boxes (B, 2, 3) around the things and open door leaves in a room."""
    boxes = [thing.bounds for thing in house.things if thing.room == room.index]
    for leaf in leaves(house.plan):
        if leaf.room == room.index:
            ends = np.stack([leaf.hinge, leaf.end])
            boxes.append(np.stack([[*ends.min(0), 0.0], [*ends.max(0), leaf.opening.head]]))
    return np.array(boxes).reshape(-1, 2, 3)


def _openness(room: "Room", plan: "Plan", boxes: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """How far poses (N, 4, 4) in a room see, (N,): at least 1 where the view is open."""
    grid = np.stack(np.meshgrid([-SPREAD, 0, SPREAD], [-SPREAD, 0, SPREAD], [1.0], indexing="ij"), -1).reshape(-1, 3)
    rays = np.einsum("nij,kj->nki", poses[:, :3, :3], grid / np.linalg.norm(grid, axis=1, keepdims=True))
    origin = np.broadcast_to(poses[:, None, :3, 3], rays.shape)
    distance = np.minimum(_to_shell(room, plan, origin, rays), _to_boxes(boxes, origin, rays))
    return np.minimum(distance[:, len(grid) // 2] / NEAREST, np.median(distance, axis=1) / USUAL)


def _to_boxes(boxes: np.ndarray, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance (...) along rays (..., 3) to the nearest of axis-aligned boxes (B, 2, 3); infinite if none is hit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (boxes - origin[..., None, None, :]) / rays[..., None, None, :]
    enter, leave = ends.min(-2).max(-1), ends.max(-2).min(-1)
    hit = (enter <= leave) & (leave > 0)
    return np.where(hit, np.maximum(enter, 0), np.inf).min(-1, initial=np.inf)


def _to_shell(room: "Room", plan: "Plan", origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance (...) along rays from inside a room to its walls, floor or ceiling; doors are open."""
    level = np.where(rays[..., 2] > 0, plan.height, 0.0)
    with np.errstate(divide="ignore"):
        nearest = np.abs((level - origin[..., 2]) / rays[..., 2])
    for wall in room.walls:
        across, along = (1, 0) if wall.start[1] == wall.end[1] else (0, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (wall.start[across] - origin[..., across]) / rays[..., across]
            at = origin[..., along] + distance * rays[..., along]
            height = origin[..., 2] + distance * rays[..., 2]
        ends = sorted((wall.start[along], wall.end[along]))
        hit = (distance > 0) & (at >= ends[0]) & (at <= ends[1])
        for opening in wall.openings:
            if opening.kind in ("door", "doorway"):
                hit &= ~((at > opening.low) & (at < opening.high) & (height < opening.head))
        nearest = np.where(hit, np.minimum(nearest, distance), nearest)
    return nearest


# A walk through

CONTROL_RATE = 50.0
AREA_A_POINT = 6.0
"""Square metres of floor for each point that a walk calls at."""


def walk_through(
    house: "House",
    rng: np.random.Generator,
    frames: int,
    *,
    rate: float = 30.0,
    robot: bool = False,
    height: float | None = None,
    speed: float = 0.6,
) -> Trajectory:
    """A smooth walk through all rooms, looking around, as with a phone in the hand or from a robot.

    It calls at a few points in each room, again and again at others until it lasts for `frames` at `rate` Hz; the
    frames are spread evenly over it, at multiples of 1 / `rate` seconds. Rooms that cannot be walked to are left out.

    Args:
        height: of the camera in metres; by default 1.4 to 1.6 for a person, 0.4 to 1.0 for a robot.
        speed: m/s on straight stretches; it is slower in turns.
    """
    if height is None:
        height = float(rng.uniform(*ROBOT)) if robot else float(rng.uniform(1.4, 1.6))
    space = FreeSpace(house, BODY, height=height + 0.1 if robot else HEAD)
    assert space.main.any(), "no room to stand in"
    way = _tour(house.plan, space, rng, frames / rate * speed)
    flat = _smoothed(space, _paced(way, speed / CONTROL_RATE))
    steps = np.arange(len(flat))
    moving = np.linalg.norm(np.gradient(flat, axis=0), axis=1) * CONTROL_RATE / speed
    hand = 0.15 if robot else 1.0
    shake = np.stack([_wander(rng, len(flat), 0.06) for _ in range(6)], 1) * hand
    position = np.column_stack([flat, np.full(len(flat), height)]) + 0.003 * shake[:, :3]
    angles = np.radians(0.35) * shake[:, 3:]
    angles[:, 0] += _heading(flat) + np.radians(28) * _wander(rng, len(flat), 1.6)
    angles[:, 1] += np.radians(-10 + 7 * _wander(rng, len(flat), 2.0))
    if not robot:
        stride = 2 * np.pi * 1.7 * steps / CONTROL_RATE
        position[:, 2] += 0.04 * _wander(rng, len(flat), 3.0) + 0.012 * moving * np.sin(stride)
        angles[:, 2] += np.radians(1.5 * _wander(rng, len(flat), 1.0) + 0.5 * moving * np.sin(stride / 2))
    controls = np.column_stack([position, angles])
    length = (len(controls) - 5) / CONTROL_RATE
    numbers = np.rint(np.linspace(0, np.floor(length * rate), frames))
    return Trajectory.through(controls, CONTROL_RATE, numbers / rate)


def _tour(plan: "Plan", space: FreeSpace, rng: np.random.Generator, length: float) -> np.ndarray:
    """A way (M, 2) past points in all rooms that can be reached, at least `length` metres long."""
    ways: list[np.ndarray] = []
    start, walked = None, 0.0
    while walked < length or start is None:
        calls = np.concatenate([_calls(space, room, rng) for room in plan.rooms])
        points = calls if start is None else np.concatenate([start[None], calls])
        costs, between = space.paths(points)
        order = _short_order(costs)
        for a, b in pairwise(order):
            ways.append(between[a][b])
            walked += float(np.linalg.norm(np.diff(between[a][b], axis=0), axis=1).sum())
        start = points[order[-1]]
        if len(points) < 2 or walked == 0:  # a house with one place to stand
            return np.concatenate([*ways, points[:1]])
    return np.concatenate(ways)


def _calls(space: FreeSpace, room: "Room", rng: np.random.Generator) -> np.ndarray:
    """Points (K, 2) of a room, apart from each other and where there is room; none if it cannot be reached."""
    cells = np.argwhere(space.main & (space.room == room.index))
    if not len(cells):
        return np.zeros((0, 2))
    clearance = space.clearance[tuple(cells.T)]
    cells = cells[clearance >= np.median(clearance)]
    centres = space.centres(cells)
    chosen = [centres[int(rng.integers(len(centres)))]]
    while len(chosen) < max(1, round(room.area / AREA_A_POINT)):
        apart = np.min([((centres - point) ** 2).sum(1) for point in chosen], axis=0)
        chosen.append(centres[int(rng.choice(np.argsort(-apart, kind="stable")[: max(1, len(centres) // 10)]))])
    return np.array(chosen)


def _short_order(costs: np.ndarray) -> list[int]:
    """A short way past all points from the first: nearest neighbour, then reversing stretches while it gets shorter."""
    order, left = [0], list(range(1, len(costs)))
    while left:
        order.append(left.pop(int(np.argmin(costs[order[-1], left]))))
    better = True
    while better:
        better = False
        for i in range(1, len(order) - 1):
            for j in range(i + 1, len(order)):
                old, new = costs[order[i - 1], order[i]], costs[order[i - 1], order[j]]
                if j + 1 < len(order):
                    old, new = old + costs[order[j], order[j + 1]], new + costs[order[i], order[j + 1]]
                if new < old - 1e-9:
                    order[i : j + 1] = order[i : j + 1][::-1]
                    better = True
    return order


def _paced(way: np.ndarray, step: float) -> np.ndarray:
    """Points at equal distances along a polyline, with a second of rest at both ends."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    keep = np.concatenate([[True], np.diff(along) > 0])
    at = np.arange(0, along[-1] + step, step)
    points = np.stack([np.interp(at, along[keep], way[keep, k]) for k in range(2)], 1)
    rest = int(CONTROL_RATE)
    return np.pad(points, ((rest, rest), (0, 0)), mode="edge")


def _smoothed(space: FreeSpace, points: np.ndarray) -> np.ndarray:
    """Smoothed in time (which slows down in turns), and pushed away from obstacles where that cut a corner."""
    for _ in range(12):
        points = gaussian_filter1d(points, 0.15 * CONTROL_RATE, axis=0, mode="nearest")
        for _ in range(3):
            lacking = np.maximum(space.radius - space.clearance_at(points), 0)
            if not lacking.any():
                break
            points = points + lacking[:, None] * _away(space, points)
    return points


def _away(space: FreeSpace, points: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 2) in which clearance grows."""
    step = 0.05
    slopes = [space.clearance_at(points + d) - space.clearance_at(points - d) for d in (np.eye(2) * step)]
    direction = np.stack(slopes, 1)
    return direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)


def _heading(points: np.ndarray) -> np.ndarray:
    """Direction of travel (N,), continuous, turning no faster than a person does."""
    step = np.gradient(points, axis=0)
    moving = np.linalg.norm(step, axis=1) > 1e-4
    angle = np.unwrap(np.arctan2(step[moving, 1], step[moving, 0])) if moving.any() else np.zeros(1)
    at = np.flatnonzero(moving) if moving.any() else np.zeros(1)
    return gaussian_filter1d(np.interp(np.arange(len(points)), at, angle), 1.2 * CONTROL_RATE, mode="nearest")


def _wander(rng: np.random.Generator, n: int, sigma: float) -> np.ndarray:
    """Smooth noise (n,) of mean 0 and deviation 1 that changes over about `sigma` seconds."""
    width = sigma * CONTROL_RATE
    margin = int(4 * width) + 1
    noise = gaussian_filter1d(rng.standard_normal(n + 2 * margin), width)[margin : n + margin]
    # The deviation of filtered white noise.
    return noise * np.sqrt(2 * np.sqrt(np.pi) * width)
