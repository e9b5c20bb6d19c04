"""The clock of a walk: gaps, and times that stand still or go backwards."""

from dataclasses import dataclass

import numpy as np

from tst.inspection.trajectory import Trajectory

GAP_SECONDS = 1.0
GAP_STEPS = 8.0
"""A gap is longer than GAP_SECONDS and than this many median steps (frames may have been kept once a second)."""
MISSED = (0.5, 30.0)
"""Metres or degrees that the camera moved during a gap for it to matter: who stands still misses nothing."""


@dataclass(frozen=True)
class Gap:
    """A time without frames, after `frame` (an id); `moved` in metres and `turned` in degrees, None where unknown."""

    frame: str
    seconds: float
    moved: float | None
    turned: float | None

    @property
    def missed(self) -> bool:
        """Whether the camera went on meanwhile, as far as is known."""
        return self.moved is None or self.turned is None or self.moved > MISSED[0] or self.turned > MISSED[1]


@dataclass(frozen=True)
class Clock:
    """Times of a walk: `seconds` long, `rate` frames a second in the median; frames earlier than or at the same time as
    the one before (counts); gaps, the longest first."""

    seconds: float
    rate: float
    backwards: int
    repeated: int
    gaps: list[Gap]


def clock(course: Trajectory) -> Clock | None:
    """None where fewer than two frames have a time."""
    timed = np.flatnonzero(np.isfinite(course.times))
    if len(timed) < 2:
        return None
    times = course.times[timed]
    steps = np.diff(times)
    median = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    gaps = []
    for number in np.flatnonzero(steps > max(GAP_SECONDS, GAP_STEPS * median)):
        a, b = timed[number], timed[number + 1]
        moved, turned = course.between(int(a), int(b))
        gaps.append(Gap(course.walk.ids[a], float(steps[number]), moved, turned))
    return Clock(
        seconds=float(times.max() - times.min()),
        rate=1 / median if median > 0 else 0.0,
        backwards=int((steps < 0).sum()),
        repeated=int((steps == 0).sum()),
        gaps=sorted(gaps, key=lambda gap: -gap.seconds),
    )
