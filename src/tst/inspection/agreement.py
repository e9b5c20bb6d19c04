"""Whether depth and poses belong together: points of a frame, seen from the next, must be where that one measured them.

Wrong units, swapped axes, inverted poses and depth of another camera all fail this. A wrong unit is found by the factor
of the positions with which the frames agree.
"""

from dataclasses import dataclass

import numpy as np

from tst.inspection.surfaces import Surface, surface
from tst.inspection.trajectory import Trajectory, spread
from tst.space.poses import inverse

PAIRS = 48
LOOKED_AHEAD = 10
"""Frames, at most, between the two of a pair: far enough for the distance between them to matter."""
MOST_TURNED = 20.0
"""Degrees between the two, so that they see the same things."""
SAMPLES = 48
WITHIN, WITHIN_SHARE = 0.02, 0.02
"""Metres, and share of the depth, within which two frames agree on a point: twice a sensor's noise."""
OVERLAP = 0.25
"""Share of the points that the second frame sees, at least, if the poses are right."""
AGREES = 0.4
"""Share of the points that agree in a sound recording, at least. 0.6 (depth in steps of 4 cm) to 0.95 is usual: the
rest is hidden from the second frame, at edges, or noise. With wrong axes it is 0.05 to 0.2."""
DOUBTFUL = 0.7
"""Share below which factors are tried: a scale that is off by a fifth leaves 0.2 to 0.55."""
SCALES = np.exp(np.arange(np.log(1 / 2000), np.log(2000), 0.06))
"""Factors that are tried: 6 % apart, which agreement notices; the best is then refined."""
REFINED = np.exp(np.linspace(-0.06, 0.06, 13))
BETTER = 0.25
"""By how much more the frames must agree with a factor than without, and than if the camera had stood still, for it to
be believed."""
UNITS = {0.001: "millimetres", 0.01: "centimetres", 0.1: "decimetres", 0.0254: "inches", 0.3048: "feet"}
SAME_UNIT = 1.04
"""Factor within which the found one is taken for a unit's."""


@dataclass(frozen=True)
class Agreement:
    """Neighbouring frames of a walk, `pairs` of them.

    Attributes:
        pairs: how many were compared.
        share: of their points that agree, mean over the pairs.
        factor: by which positions must be multiplied to agree with the depth, if they do not; None if none helps.
        unit: the unit that this is, if it is a usual one.
    """

    pairs: int
    share: float
    factor: float | None
    unit: str | None

    @property
    def fits(self) -> bool:
        """Whether depth and poses belong together as they are."""
        return self.share >= AGREES and self.factor is None


def agreement(course: Trajectory) -> Agreement | None:
    """None if the walk is not continuous, or too few frames have depth, camera and pose."""
    pairs = _pairs(course)
    if len(pairs) < 2:
        return None
    share = _agree(pairs, 1.0)
    factor = _factor(pairs, share) if share < DOUBTFUL else None
    return Agreement(len(pairs), share, factor, _unit(factor))


def _factor(pairs: list[tuple[Surface, Surface, np.ndarray]], share: float) -> float | None:
    """By which positions must be multiplied for the frames to agree; None if no factor helps."""
    best = SCALES[np.argmax([_agree(pairs, scale) for scale in SCALES])]
    shares = [_agree(pairs, scale) for scale in best * REFINED]
    enough = max(share, _agree(pairs, 0.0)) + BETTER
    return float(best * REFINED[np.argmax(shares)]) if max(shares) > enough else None


def _unit(factor: float | None) -> str | None:
    if factor is None:
        return None
    near = min(UNITS, key=lambda unit: abs(np.log(unit / factor)))
    return UNITS[near] if abs(np.log(near / factor)) < np.log(SAME_UNIT) else None


def _pairs(course: Trajectory) -> list[tuple[Surface, Surface, np.ndarray]]:
    """Surfaces of two frames, and (4, 4) from the first camera to the second; those that moved most."""
    if not course.continuous:
        return []
    candidates = []
    for first in spread(np.flatnonzero(course.posed), 3 * PAIRS).tolist():
        for second in range(min(first + LOOKED_AHEAD, len(course) - 1), first, -1):
            moved, turned = course.between(first, second)
            if moved is not None and turned is not None and turned < MOST_TURNED:
                candidates.append((moved, first, second))
                break
    usual = np.median([moved for moved, _, _ in candidates]) if candidates else 0.0
    chosen = [pair for pair in candidates if pair[0] >= 0.5 * usual]
    result = []
    for number in spread(np.arange(len(chosen)), PAIRS):
        _, first, second = chosen[number]
        a, b = surface(course.walk, first, SAMPLES), surface(course.walk, second, SAMPLES)
        if a is not None and b is not None:
            result.append((a, b, inverse(course.poses[second]) @ course.poses[first]))
    return result


def _agree(pairs: list[tuple[Surface, Surface, np.ndarray]], scale: float) -> float:
    """Mean share of points that agree if positions are multiplied by `scale`."""
    shares = []
    for first, second, relative in pairs:
        points = first.points[first.known] @ relative[:3, :3].T + scale * relative[:3, 3]
        camera, z = second.camera, points[:, 2]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            u = np.floor(camera.fx * points[:, 0] / z + camera.cx)
            v = np.floor(camera.fy * points[:, 1] / z + camera.cy)
            inside = (z > 0.05) & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
        row, column = v[inside].astype(int), u[inside].astype(int)
        met = second.points[row, column, 2]
        there = met > 0
        agree = there & (np.abs(met - z[inside]) < WITHIN + WITHIN_SHARE * z[inside])
        shares.append(agree.sum() / max(there.sum(), OVERLAP * len(points), 1))
    return float(np.mean(shares))
