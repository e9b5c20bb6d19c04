"""How far two frames are from agreeing: the small motion that lays the surface one saw onto what the other saw.

A plain difference of depths is blind along a wall (a drift of 10 cm sideways changes nothing there) and full of edges;
the motion that best removes the differences (point-to-plane ICP) uses all walls at once, and averages the noise out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from tst.inspection.surfaces import Surface

NEAR = ((0.15, 0.05),) * 3
FAR = ((1.0, 0.5), (0.6, 0.3), (0.4, 0.15), (0.3, 0.08), (0.3, 0.05), (0.3, 0.05), (0.3, 0.05), (0.3, 0.05))
"""Rounds of the two attempts: from small errors, and from large ones. Metres within which points are compared (wide
enough for a drift of most of a metre, then so narrow that a table no longer counts as the floor below it), and the
distance at which a point counts half (what only one of the frames saw does not pull in the end). Neither follows the
usual distance of the pair's points: if most lie on walls along which it drifted, that is nothing, and the few that tell
would be outliers."""
CLEARLY = 1.03
"""By how many more points a large error must explain to be believed: a chance fit of clutter does not."""
SETTLED = 2e-4
"""Change of a round (radians and metres) after which no further one is needed."""
SAME_DIRECTION = 0.7
"""Cosine between the normals of points that are compared."""
FEWEST_POINTS = 150
"""Compared points that a pair needs: one in 27 of a square grid of 64."""
WEAK = 0.02
"""Motions that the compared surfaces determine this much less than the average point-to-plane distance does (along a
single wall) are taken to be none."""
DETERMINED = 0.04
"""Share of the compared points that face along the least seen direction: below it, a shift that way goes unnoticed."""
FITS = 0.04
"""Metres: what is left between two frames after alignment, in the median, if they saw the same surface; sensor noise at
3 m is half of that."""


@dataclass(frozen=True)
class Disagreement:
    """Two frames of one surface.

    Attributes:
        left: median distance between the surfaces that no motion removes, metres: noise.
        error: how far alignment moved the compared points, root mean square, metres.
        points: how many were compared.
        determined: whether the surfaces face enough ways to notice an error in any direction.
    """

    left: float
    error: float
    points: int
    determined: bool


def align(first: Surface, second: Surface, to_second: np.ndarray) -> Disagreement | None:
    """Lay `first` onto `second`.

    Args:
        first, second: what the frames saw.
        to_second: (4, 4) from the first camera's axes to the second's, as the poses say.

    Returns:
        None if they share too little, or no motion makes them agree (they did not see the same surface).
    """
    usable = first.normals.any(2)
    start = first.points[usable] @ to_second[:3, :3].T + to_second[:3, 3]
    facing = first.normals[usable] @ to_second[:3, :3].T
    near, far = (_attempt(rounds, start, facing, second) for rounds in (NEAR, FAR))
    best = far if near is None or (far is not None and far.score > CLEARLY * near.score) else near
    if best is None or best.left > FITS:
        return None
    met = start[best.index]
    error = float(np.sqrt(np.mean(np.sum((_moved(best.motion, met) - met) ** 2, 1))))
    return Disagreement(best.left, error, len(best.index), best.least > DETERMINED)


@dataclass(frozen=True, eq=False)
class _Met:
    """Points of the first frame that meet the second's surface: how well, and along how many directions."""

    motion: np.ndarray
    index: np.ndarray
    score: float
    left: float
    least: float


def _attempt(
    rounds: tuple[tuple[float, float], ...], start: np.ndarray, facing: np.ndarray, second: Surface
) -> _Met | None:
    motion = np.eye(4)
    for number, (gate, spread) in enumerate(rounds):
        pairs = _compared(_moved(motion, start), facing @ motion[:3, :3].T, second, gate)
        if pairs is None:
            return None
        step = _step(pairs.points, pairs.normals, pairs.distance, _weight(pairs.distance, spread))
        motion = step @ motion
        if rounds[number:] == rounds[-1:] * (len(rounds) - number) and np.abs(step - np.eye(4)).max() < SETTLED:
            break
    return _met(motion, start, facing, second)


def _met(motion: np.ndarray, start: np.ndarray, facing: np.ndarray, second: Surface) -> _Met | None:
    gate, spread = FAR[-1]
    pairs = _compared(_moved(motion, start), facing @ motion[:3, :3].T, second, gate)
    if pairs is None:
        return None
    weight = _weight(pairs.distance, spread)
    directions = (pairs.normals * weight[:, None]).T @ pairs.normals / max(float(weight.sum()), 1e-9)
    return _Met(
        motion=motion,
        index=pairs.index,
        score=float(weight.sum()),
        left=float(np.median(np.abs(pairs.distance))),
        least=float(np.linalg.eigvalsh(directions)[0]),
    )


def _moved(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ motion[:3, :3].T + motion[:3, 3]


def _weight(distance: np.ndarray, spread: float) -> np.ndarray:
    """Cauchy's."""
    return 1 / (1 + (distance / spread) ** 2)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Points of the first frame (by `index`), and by how far and along which normals they miss the second's surface."""

    index: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    distance: np.ndarray


def _compared(points: np.ndarray, normals: np.ndarray, second: Surface, gate: float) -> _Pairs | None:
    """The points (N, 3) that meet the second frame's surface within `gate`; None if they are too few."""
    camera = second.camera
    z = points[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.floor(camera.fx * points[:, 0] / z + camera.cx)
        v = np.floor(camera.fy * points[:, 1] / z + camera.cy)
        inside = (z > 0.1) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    index = np.flatnonzero(inside)
    column, row = u[index].astype(int), v[index].astype(int)
    target, normal = second.points[row, column], second.normals[row, column]
    near = np.abs(target[:, 2] - z[index]) < gate
    same = near & (np.einsum("ij,ij->i", normal, normals[index]) > SAME_DIRECTION)
    if same.sum() < FEWEST_POINTS:
        return None
    index, normal = index[same], normal[same]
    return _Pairs(index, points[index], normal, np.einsum("ij,ij->i", target[same] - points[index], normal))


def _step(points: np.ndarray, normals: np.ndarray, distance: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(4, 4): the small motion that moves `points` by `distance` along `normals`, least squares."""
    centre = np.average(points, axis=0, weights=weight)
    arm = points - centre
    size = max(float(np.sqrt(np.average(np.sum(arm**2, 1), weights=weight))), 1e-6)  # turns and shifts in one unit
    rows = np.concatenate([np.cross(arm / size, normals), normals], 1)
    matrix = (rows * weight[:, None]).T @ rows / weight.sum()
    values, vectors = np.linalg.eigh(matrix)
    right = vectors.T @ ((rows * weight[:, None]).T @ distance / weight.sum())
    solution = vectors @ np.where(values > WEAK, right / np.maximum(values, WEAK), 0.0)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(solution[:3] / size).as_matrix()
    motion[:3, 3] = centre + solution[3:] - motion[:3, :3] @ centre
    return motion
