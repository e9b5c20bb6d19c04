"""Loop closure: frames far apart in time that see the same surface, and by how many centimetres they disagree on it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import theilslopes

from tst.inspection.alignment import align
from tst.inspection.surfaces import Surface, surface
from tst.inspection.trajectory import Trajectory
from tst.progress import track
from tst.space.poses import inverse

OVERLAP = 0.35
"""Share of the cubes of the view with fewer that both see."""
APART_VIEWS, APART_SECONDS = 40, 20.0
"""Between views of a loop, at least: more than a turn on the spot. Without times, 40 views."""
PAIRS = 160
BLOCKS = 16
"""Parts of the walk by time; pairs are taken from all combinations alike, so that no one place decides."""
SAMPLES = 64
FEWEST = 5
"""Pairs below which nothing is said."""
FEWEST_FOR_DRIFT = 20


@dataclass(frozen=True)
class Loops:
    """Disagreement of frames that see one surface at different times.

    Attributes:
        pairs: how many could be compared.
        error: median over the pairs of the distance between the surfaces, centimetres.
        worst: the 90th percentile.
        worst_pair: ids of the two frames that disagree most.
        drift: centimetres by which the error grows a minute (`per` = "minute") or in 100 frames (`per` = "100 frames");
            None if there are too few pairs.
        apart, errors, ends: of each pair: time apart (seconds, or frames without times), error in centimetres, and the
            indices (P, 2) of its frames.
    """

    pairs: int
    error: float
    worst: float
    worst_pair: tuple[str, str]
    drift: float | None
    per: str
    apart: np.ndarray = field(repr=False)
    errors: np.ndarray = field(repr=False)
    ends: np.ndarray = field(repr=False)


def loops(course: Trajectory, views: np.ndarray, seen: Sequence[np.ndarray]) -> Loops | None:
    """Compare frames that see the same surfaces; None if there are too few.

    Args:
        course: the walk.
        views: (V,) indices of frames.
        seen: for each view the cubes of `coverage.CUBE` it sees: int64 keys, unique.
    """
    timed = bool(np.isfinite(course.times[views]).all())
    chosen = _pairs(course, views, seen, timed)
    frames = np.unique(views[chosen])
    with ThreadPoolExecutor(2) as pool:
        loaded = pool.map(lambda index: surface(course.walk, int(index), SAMPLES), frames)
        surfaces = dict(zip(frames.tolist(), loaded, strict=True))

        def compare(pair: np.ndarray) -> float | None:
            a, b = views[pair].tolist()
            return _error(surfaces[a], surfaces[b], inverse(course.poses[b]) @ course.poses[a])

        results = list(track(pool.map(compare, chosen), f"loops of {course.walk.name}", len(chosen)))
    found = [k for k, error in enumerate(results) if error is not None]
    if len(found) < FEWEST:
        return None
    errors = np.array([results[k] for k in found], np.float64)
    ends = views[chosen[found]]
    apart = np.abs(np.diff(course.times[ends], axis=1)[:, 0]) if timed else np.diff(ends, axis=1)[:, 0].astype(float)
    worst = ends[errors.argmax()]
    unit = 60.0 if timed else 100.0
    enough = len(found) >= FEWEST_FOR_DRIFT and np.ptp(apart) > 0 and course.continuous
    return Loops(
        pairs=len(found),
        error=float(np.median(errors)),
        worst=float(np.percentile(errors, 90)),
        worst_pair=(course.walk.ids[worst[0]], course.walk.ids[worst[1]]),
        drift=float(theilslopes(errors, apart / unit)[0]) if enough else None,
        per="minute" if timed else "100 frames",
        apart=apart,
        errors=errors,
        ends=ends,
    )


def _error(first: Surface | None, second: Surface | None, to_second: np.ndarray) -> float | None:
    """Centimetres; None if they did not see the same surface, or too little of it to tell."""
    if first is None or second is None:
        return None
    found = align(first, second, to_second)
    return None if found is None or not found.determined else 100 * found.error


def _pairs(course: Trajectory, views: np.ndarray, seen: Sequence[np.ndarray], timed: bool) -> np.ndarray:
    """(P, 2) positions in `views`: those that share most, from all over the walk."""
    count = len(views)
    if count < 2:
        return np.empty((0, 2), int)
    keys, column = np.unique(np.concatenate(seen), return_inverse=True)
    row = np.repeat(np.arange(count), [len(item) for item in seen])
    sees = csr_matrix((np.ones(len(row), np.float32), (row, column)), (count, len(keys)))
    common = (sees @ sees.T).tocoo()
    sizes = np.maximum(np.asarray(sees.sum(1)).ravel(), 1)
    a, b = common.row, common.col
    share = common.data / np.minimum(sizes[a], sizes[b])
    far = b > a
    if course.continuous:
        far &= np.abs(course.times[views[b]] - course.times[views[a]]) > APART_SECONDS if timed else b - a > APART_VIEWS
    a, b, share = a[far & (share > OVERLAP)], b[far & (share > OVERLAP)], share[far & (share > OVERLAP)]
    block = (a * BLOCKS // count) * BLOCKS + b * BLOCKS // count
    order = np.lexsort([-share, block])
    rank = np.arange(len(order)) - np.searchsorted(block[order], block[order])  # within its block
    first = order[np.argsort(rank, kind="stable")][:PAIRS]
    return np.stack([a[first], b[first]], 1)
