"""Boxes as text, in the grammar of 4M's `det`: `v0=xmin v1=ymin v2=xmax v3=ymax class`, box after box.

Coordinates are 0 to 999 relative to the view (4M: `round(fraction * 999)`); boxes are sorted by the distance of their
top-left corner to the view's (`DetectionTransform` in `fourm/data/modality_transforms.py` of ml-4m).

Shape letters: M boxes, P predicted boxes.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tst.sequences.text import AXES, AXES_OF_4M_7, BINS

MIN_LEFT = 0.2
"""A box is kept in a crop if this share of its area is: less cannot be told for what it is."""


class Box(NamedTuple):
    """A box in a view: fractions of its width and height, and a class name."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    name: str


def into_view(box_M4: np.ndarray, view_M4: np.ndarray, flip_M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as they appear in a crop that may be mirrored.

    Args:
        box_M4: xmin, ymin, xmax, ymax as fractions of the frame.
        view_M4: top, left, height, width of the crop as fractions of the frame.
        flip_M: whether the crop is mirrored.

    Returns:
        Boxes (M, 4) as fractions of the view, clipped to it, and which (M,) have enough left to be kept.
    """
    start_M2, size_M2 = view_M4[:, [1, 0]], view_M4[:, [3, 2]]
    low_M2, high_M2 = (box_M4[:, :2] - start_M2) / size_M2, (box_M4[:, 2:] - start_M2) / size_M2
    whole_M = (high_M2 - low_M2).clip(0).prod(1)
    low_M2, high_M2 = low_M2.clip(0, 1), high_M2.clip(0, 1)
    left_M = (high_M2 - low_M2).prod(1)
    kept_M = (left_M > 0) & (left_M >= MIN_LEFT * whole_M)
    low_x, high_x = low_M2[:, 0].copy(), high_M2[:, 0].copy()
    low_M2[:, 0] = np.where(flip_M, 1 - high_x, low_x)
    high_M2[:, 0] = np.where(flip_M, 1 - low_x, high_x)
    return np.concatenate([low_M2, high_M2], 1), kept_M


def quantise(box_M4: np.ndarray) -> np.ndarray:
    """Fractions of a view as coordinates 0 to 999, int64."""
    return np.rint(box_M4 * (BINS - 1)).astype(np.int64)


def to_text(boxes: Sequence[Box]) -> str:
    """Boxes in the grammar, sorted."""
    ordered = sorted(boxes, key=lambda box: box.xmin**2 + box.ymin**2)
    parts = []
    for box in ordered:
        coordinates = quantise(np.array([box[:4]]))[0].tolist()
        parts += [f"{axis}={value}" for axis, value in zip(AXES, coordinates, strict=True)] + [box.name]
    return " ".join(parts)


_START = "|".join((AXES[0], AXES_OF_4M_7[0]))
_BOX = re.compile(
    r"\s+".join(rf"(?<!\w)(?:{ours}|{theirs})=([0-9]{{1,3}})" for ours, theirs in zip(AXES, AXES_OF_4M_7, strict=True))
    + rf"\s+((?:(?!(?<!\w)(?:{_START})=)[^\n])*)"
)


def parse(text: str) -> list[Box]:
    """The boxes that a string holds; what is not whole, has no class or no area is passed over. Never fails."""
    found = []
    for match in _BOX.finditer(text):
        xmin, ymin, xmax, ymax = (int(value) / (BINS - 1) for value in match.groups()[:4])
        name = _clean(match.group(5))
        if name and xmin < xmax and ymin < ymax:
            found.append(Box(xmin, ymin, xmax, ymax, name))
    return found


def _clean(name: str) -> str:
    """A class name without what a guess may have left behind it: half a box."""
    words = []
    for word in name.split():
        if "=" in word:
            break
        words.append(word)
    return " ".join(words)


def iou(one: Sequence[Box], other: Sequence[Box]) -> np.ndarray:
    """Intersection over union of each pair, (len(one), len(other))."""
    a, b = (np.array([box[:4] for box in boxes], float).reshape(-1, 4) for boxes in (one, other))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def matches(predicted: Sequence[Box], reference: Sequence[Box], threshold: float = 0.5) -> int:
    """How many reference boxes have a predicted one of their class with at least this IoU, each used once."""
    same = np.array([[p.name == r.name for r in reference] for p in predicted]).reshape(len(predicted), len(reference))
    overlap = np.where(same, iou(predicted, reference), 0.0)
    found = 0
    while overlap.size and overlap.max() >= threshold:
        p, r = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[p], overlap[:, r] = 0, 0
        found += 1
    return found
