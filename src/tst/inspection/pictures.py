"""What the pictures themselves are like: blurred, dark, bright, burnt out. Needs neither depth nor poses."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from tst.inspection.trajectory import Trajectory, spread
from tst.modalities import MODALITIES
from tst.progress import track

SIDE = 256
"""Short side to which larger pictures are shrunk to be judged, pixels: what a network sees."""
LOW_SHARPNESS = 0.35
"""Of the walk's own median; a blur of two pixels takes away nine tenths of the sharpness. Bare walls are low, too."""
LOWEST_LOOKED_AT = 0.25
"""Share of the looked-at pictures that is taken from those of low sharpness."""
REBLUR = 1.5
"""Pixels (deviation) of the blur that the edges are compared with."""
WIDE_EDGES = 0.65
"""Share of the strongest gradients that survives REBLUR: 0.38 to 0.62 in sharp pictures of a scanned flat, of made
houses and of NYUv2, whatever they show; 0.65 to 0.9 after a blur of 1.2 pixels or a motion of 5 in any direction."""
STRONGEST = 99
"""Percentile above which a gradient is an edge."""
DARK, BRIGHT = 45, 235
"""Grey level that even the light quarter of a dark picture stays below, and even the dark quarter of a bright one
exceeds; white walls in daylight reach 230."""
WHITE = 254
CLIPPED = 0.25
"""Share of pixels at full white in a burnt-out picture: a lamp or a window is less."""


@dataclass(frozen=True)
class Pictures:
    """Blur and exposure of a walk, from a sample of its pictures.

    Attributes:
        checked: pictures looked at.
        blurred: share of all frames, estimated.
        low: frames (of all) whose stored sharpness is low for the walk.
        dark, bright, clipped: shares of the pictures looked at.
        worst: ids of the most blurred, at most five.
        darkest, brightest: id of an example, or None.
        frames, brightness, edges: index of each picture looked at, its mean grey level, and how wide its edges are.
    """

    checked: int
    blurred: float
    low: int
    dark: float
    bright: float
    clipped: float
    worst: list[str]
    darkest: str | None
    brightest: str | None
    frames: np.ndarray = field(repr=False)
    brightness: np.ndarray = field(repr=False)
    edges: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Look:
    """One picture: how wide its edges are, its mean, lower and upper quartile of grey levels, share of white pixels."""

    edges: float
    mean: float
    lower: float
    upper: float
    white: float


def pictures(course: Trajectory, limit: int) -> Pictures:
    """Look at no more than `limit` pictures: most spread over the walk, the rest among those of low sharpness."""
    median = np.nanmedian(course.sharpness) if np.isfinite(course.sharpness).any() else 0.0
    low = course.sharpness < LOW_SHARPNESS * median
    suspects = np.flatnonzero(low)
    evenly = spread(np.arange(len(course)), max(1, round(limit * (1 - LOWEST_LOOKED_AT))))
    chosen = np.union1d(evenly, spread(suspects, max(1, round(limit * LOWEST_LOOKED_AT))))
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda index: look(course.walk.read("rgb", int(index))), chosen)
        looks = list(track(results, f"pictures of {course.walk.name}", len(chosen)))
    edges = np.array([item.edges for item in looks])
    wide = edges > WIDE_EDGES
    even = np.isin(chosen, evenly)  # exposure is counted among these alone: blur and darkness go together
    dark = np.array([item.upper < DARK for item in looks])
    bright = np.array([item.lower > BRIGHT for item in looks])
    clipped = np.array([item.white > CLIPPED for item in looks])
    mean = np.array([item.mean for item in looks])
    order = np.argsort(-edges)
    return Pictures(
        checked=len(chosen),
        blurred=_share(wide, low[chosen], low),
        low=int(low.sum()),
        dark=float(dark[even].mean()),
        bright=float(bright[even].mean()),
        clipped=float(clipped[even].mean()),
        worst=[course.walk.ids[chosen[k]] for k in order if wide[k]][:5],
        darkest=course.walk.ids[chosen[mean.argmin()]] if dark.any() else None,
        brightest=course.walk.ids[chosen[mean.argmax()]] if (bright | clipped).any() else None,
        frames=chosen,
        brightness=mean,
        edges=edges,
    )


def _share(wide: np.ndarray, among_low: np.ndarray, low: np.ndarray) -> float:
    """Share of all frames that are blurred: the two kinds of frames were looked at in different shares."""
    total = 0.0
    for kind in (True, False):
        looked = wide[among_low == kind]
        if len(looked):
            total += float(looked.mean()) * float((low == kind).mean())
    return total


def look(rgb: np.ndarray) -> Look:
    """Judge one picture, uint8 (H, W, 3)."""
    scale = min(1.0, SIDE / min(rgb.shape[:2]))  # enlarged, a sharp picture would be a blurred one
    small = MODALITIES["rgb"].resize(rgb, max(8, round(rgb.shape[0] * scale)), max(8, round(rgb.shape[1] * scale)))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    lower, upper = np.percentile(grey, [25, 75])
    return Look(
        edges=edge_width(grey),
        mean=float(grey.mean()),
        lower=float(lower),
        upper=float(upper),
        white=float((small.min(2) >= WHITE).mean()),
    )


def edge_width(grey: np.ndarray) -> float:
    """Share of the strongest gradients that is left after a further blur, 0 to 1; uint8 (H, W).

    A sharp edge loses more than half, a blurred one little, whatever the picture shows. Of four directions the worst
    counts: motion blurs the edges across it only.
    """
    image = grey.astype(np.float32)
    survived = []
    before, after = _gradients(image), _gradients(cv2.GaussianBlur(image, (0, 0), REBLUR))
    for one, other in zip(before, after, strict=True):
        strong = one >= np.percentile(one, STRONGEST)
        survived.append(float(other[strong].sum() / max(float(one[strong].sum()), 1e-6)))
    return max(survived)


def _gradients(image: np.ndarray) -> list[np.ndarray]:
    x, y = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    return [np.abs(x), np.abs(y), np.abs(x + y), np.abs(x - y)]
