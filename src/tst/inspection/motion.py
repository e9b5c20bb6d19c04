"""The way the camera took: jumps of the tracking, cuts in the recording, poses that stand still while it moves."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tst.inspection.alignment import Disagreement, align
from tst.inspection.surfaces import surface
from tst.inspection.trajectory import Trajectory, spread
from tst.space.poses import inverse

SUSPECT_MOVED, SUSPECT_TURNED = 0.2, 25.0
"""Metres and degrees between neighbours above which a step is looked at, if it is SUSPECT_TIMES the usual one."""
SUSPECT_TIMES = 1.8
MOST_SUSPECTS = 60
"""Steps that are looked at in a walk, the longest first; a walk with more jumps is beyond saving anyway."""
FASTEST, FASTEST_TURN = 3.0, 400.0
"""Metres and degrees a second: someone who runs through a home, and a hand that whips round."""
FARTHEST, FARTHEST_TURN = 0.4, 45.0
"""The same between neighbours of walks without times, if it is also UNUSUAL times the usual step."""
UNUSUAL = 5.0
JUMP, JUMP_SHARE = 0.1, 0.4
"""Metres that the depth of two neighbours is apart, and that as a share of the step, for the step to be an error."""
SAMPLES = 64
"""Depth samples along the longer side."""
USUAL_PAIRS = 40
SAME_PICTURE = 1.15
"""A picture goes on from its neighbour if it differs no more than this, times the 90th percentile of the walk's."""
THUMBNAIL = (16, 12)
"""Pixels: coarse, so that a step's small shift of fine patterns changes little."""
STILL_MOVED, STILL_TURNED = 1e-6, 1e-3
"""Metres and degrees: no measured pose repeats so exactly."""
STILL_FRAMES = 5
STILL_CHANGE = 0.15
"""Change of the picture (of 1, its own contrast) over a run of equal poses that proves that the camera moved."""


@dataclass(frozen=True)
class Jump:
    """A step that cannot be, between the frames `before` and `after` (ids, and the index of the latter).

    `kind`: "jump" if the picture goes on and the pose does not; "cut" if both change: another place, or frames that are
    missing.
    """

    kind: Literal["jump", "cut"]
    before: str
    after: str
    index: int
    metres: float
    degrees: float
    seconds: float | None


@dataclass(frozen=True)
class Motion:
    """The way of a walk: its length in metres, median speed in m/s, jumps and cuts, and frames in runs of equal poses
    although the picture changes."""

    metres: float
    speed: float | None
    jumps: list[Jump]
    cuts: list[Jump]
    stuck: int


def motion(course: Trajectory, depth: bool) -> Motion | None:
    """Check every step of a continuous walk with poses; None for others.

    Args:
        course: the walk.
        depth: whether it has depth, by which a jump is told from a quick step.
    """
    if not course.continuous or not np.isfinite(course.moved).any():
        return None
    seconds = np.diff(course.times)
    suspects = _suspects(course)
    found = []
    if len(suspects):
        usual = _usual_change(course, suspects)
        found = [jump for index in suspects if (jump := _judge(course, int(index), depth, usual))]
    found.sort(key=lambda jump: jump.index)
    odd = {jump.index - 1 for jump in found}
    kept = [step for step in range(len(course.moved)) if step not in odd and np.isfinite(course.moved[step])]
    timed = [step for step in kept if seconds[step] > 0]
    return Motion(
        metres=float(course.moved[kept].sum()),
        speed=float(np.median(course.moved[timed] / seconds[timed])) if timed else None,
        jumps=[jump for jump in found if jump.kind == "jump"],
        cuts=[jump for jump in found if jump.kind == "cut"],
        stuck=_stuck(course),
    )


def _usual_step(course: Trajectory) -> tuple[float, float]:
    moved, turned = course.moved[course.moved > STILL_MOVED], course.turned[course.turned > STILL_TURNED]
    return (float(np.median(moved)) if len(moved) else 0.0, float(np.median(turned)) if len(turned) else 0.0)


def _suspects(course: Trajectory) -> np.ndarray:
    """Steps that are longer than usual, the longest first."""
    usual_moved, usual_turned = _usual_step(course)
    excess = np.fmax(
        course.moved / max(SUSPECT_MOVED, SUSPECT_TIMES * usual_moved),
        course.turned / max(SUSPECT_TURNED, SUSPECT_TIMES * usual_turned),
    )
    excess = np.nan_to_num(excess)
    order = np.argsort(-excess, kind="stable")[:MOST_SUSPECTS]
    return order[excess[order] > 1]


def _judge(course: Trajectory, step: int, depth: bool, usual: float) -> Jump | None:
    """What the step from frame `step` to the next is, if it cannot be."""
    walk = course.walk
    metres, degrees = float(course.moved[step]), float(course.turned[step])
    seconds = float(course.times[step + 1] - course.times[step])
    found = _compared(course, step) if depth else None
    if found and found.determined and found.error < JUMP:
        return None  # the depth bears it out: a quick step
    proven = found is not None and found.error > max(JUMP, JUMP_SHARE * metres)
    if not proven and not _implausible(course, metres, degrees, seconds):
        return None
    elsewhere = course.parts[step] != course.parts[step + 1]
    goes_on = proven or (not elsewhere and _change(course, step) <= SAME_PICTURE * usual)
    return Jump(
        kind="jump" if goes_on else "cut",
        before=walk.ids[step],
        after=walk.ids[step + 1],
        index=step + 1,
        metres=metres,
        degrees=degrees,
        seconds=seconds if np.isfinite(seconds) else None,
    )


def _implausible(course: Trajectory, metres: float, degrees: float, seconds: float) -> bool:
    if seconds > 0:
        return metres / seconds > FASTEST or degrees / seconds > FASTEST_TURN
    usual_moved, usual_turned = _usual_step(course)
    return metres > max(FARTHEST, UNUSUAL * usual_moved) or degrees > max(FARTHEST_TURN, UNUSUAL * usual_turned)


def _compared(course: Trajectory, step: int) -> Disagreement | None:
    """By how much the depth of two neighbours is apart; None where that cannot be told."""
    first, second = (surface(course.walk, index, SAMPLES) for index in (step, step + 1))
    if first is None or second is None:
        return None
    return align(first, second, inverse(course.poses[step + 1]) @ course.poses[step])


def _thumbnail(course: Trajectory, index: int) -> np.ndarray:
    """Colours, of mean 0 and deviation 1, so that exposure does not matter."""
    small = cv2.resize(course.walk.read("rgb", index), THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float64)
    return (small - small.mean()) / max(float(small.std()), 1.0)


def _change(course: Trajectory, step: int, steps: int = 1) -> float:
    return float(np.abs(_thumbnail(course, step) - _thumbnail(course, step + steps)).mean())


def _usual_change(course: Trajectory, suspects: np.ndarray) -> float:
    """How much pictures differ from their neighbours where nothing is wrong: the 90th percentile."""
    others = np.setdiff1d(np.flatnonzero(np.isfinite(course.moved)), suspects)
    if not len(others):
        return 0.0
    return float(np.percentile([_change(course, int(step)) for step in spread(others, USUAL_PAIRS)], 90))


def _stuck(course: Trajectory) -> int:
    """Frames in runs of exactly equal poses during which the picture changes."""
    still = (course.moved < STILL_MOVED) & (course.turned < STILL_TURNED)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(int)))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= STILL_FRAMES]
    return sum(b - a for a, b in runs[:MOST_SUSPECTS] if _change(course, a, b - a) > STILL_CHANGE)
