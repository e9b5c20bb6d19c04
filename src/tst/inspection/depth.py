"""Holes in the depth: how much is unknown, where in the picture, and on which surfaces."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from tst.inspection.trajectory import Trajectory, spread
from tst.progress import track

AREAS = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))
"""Names of the thirds of the picture, by rows."""
CONCENTRATED = 2.0
"""A third of the picture is named if its share of unknown pixels is this many times the picture's."""
DARK, LIGHT = 40, 225
"""Grey levels: black sofas swallow a sensor's light, lamps and glare outshine it."""
OVER_REPRESENTED = 1.6
"""Dark or light surfaces are named if they are this many times as frequent among unknown pixels as among all."""
SIDE = 96
"""Samples along the longer side of the picture."""
EMPTY = 0.98
"""Share of unknown pixels above which a frame has no depth to speak of."""


@dataclass(frozen=True)
class DepthHoles:
    """Unknown depth in a sample of frames.

    Attributes:
        checked: frames looked at.
        unknown: median over frames of the share of unknown pixels.
        worst: the 90th percentile.
        empty: share of the frames without any depth to speak of.
        where: the thirds of the picture that have most of them, in words; None if they are everywhere.
        on: "dark", "light" (surfaces) or None.
        worst_frame: id of the frame with most.
        frames, shares: index of each frame looked at, and its share of unknown pixels.
    """

    checked: int
    unknown: float
    worst: float
    empty: float
    where: str | None
    on: str | None
    worst_frame: str
    frames: np.ndarray = field(repr=False)
    shares: np.ndarray = field(repr=False)


def depth_holes(course: Trajectory, limit: int) -> DepthHoles:
    """Look at no more than `limit` frames."""
    walk = course.walk
    chosen = spread(np.arange(len(course)), limit)

    def look(index: int) -> tuple[np.ndarray, np.ndarray]:
        depth, rgb = walk.read("depth", index), walk.read("rgb", index)
        shrink = min(1.0, SIDE / max(depth.shape))
        size = max(3, round(depth.shape[1] * shrink)), max(3, round(depth.shape[0] * shrink))
        unknown = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT) == 0
        grey = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        tones = np.stack([grey < DARK, grey > LIGHT])
        thirds = [[block.mean() for block in np.array_split(rows, 3, 1)] for rows in np.array_split(unknown, 3)]
        return np.array(thirds), np.array([unknown.mean(), *(tones & unknown).mean((1, 2)), *tones.mean((1, 2))])

    with ThreadPoolExecutor(2) as pool:
        looks = list(track(pool.map(look, chosen.tolist()), f"depth of {walk.name}", len(chosen)))
    thirds = np.mean([item[0] for item in looks], 0)
    numbers = np.array([item[1] for item in looks])
    shares = numbers[:, 0]
    return DepthHoles(
        checked=len(chosen),
        unknown=float(np.median(shares)),
        worst=float(np.percentile(shares, 90)),
        empty=float((shares > EMPTY).mean()),
        where=_where(thirds),
        on=_on(numbers.mean(0)),
        worst_frame=walk.ids[chosen[shares.argmax()]],
        frames=chosen,
        shares=shares,
    )


def _where(thirds: np.ndarray) -> str | None:
    """In words, from the shares (3, 3) of unknown pixels."""
    most = thirds > CONCENTRATED * max(float(thirds.mean()), 1e-9)
    if not most.any():
        return None
    for axis, names in ((0, ("top", "middle", "bottom")), (1, ("left", "middle", "right"))):
        lines = np.asarray(most.all(1 - axis))
        if lines.any() and most.sum() == 3 * lines.sum():
            return " and ".join(name for name, line in zip(names, lines, strict=True) if line)
    return " and ".join(AREAS[row][column] for row, column in np.argwhere(most))


def _on(means: np.ndarray) -> str | None:
    """Which surfaces: from means of unknown, unknown and dark, unknown and light, dark, light."""
    unknown, unknown_dark, unknown_light, dark, light = means
    if unknown < 1e-3 or unknown > EMPTY:
        return None
    for name, both, alone in (("dark", unknown_dark, dark), ("light", unknown_light, light)):
        share = both / unknown
        if share > 0.2 and share > OVER_REPRESENTED * alone:
            return name
    return None
