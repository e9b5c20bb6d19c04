"""A walk's columns as arrays, and the views: frames different enough to count as another look at the space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from tst.space.space import Walk

VIEW_MOVED, VIEW_TURNED = 0.15, 8.0
"""Metres or degrees after which a frame is a further view: a video's next frame, 2 cm on, shows nothing new. At walking
pace that is about six views a second."""
CONTINUOUS = (0.6, 35.0)
"""Metres and degrees between neighbours, in the median, of a walk; above, frames were taken here and there and nothing
can be said about the way between them."""
OF_THE_SPREAD = 0.1
"""A step may also be this share of how far the positions spread: in the wrong unit a walk is still a walk."""
CONTINUOUS_SECONDS = 2.0
"""The same for walks that have times alone: slower than one frame in two seconds is a set of pictures."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where and when the frames of a walk were taken.

    Attributes:
        walk: the walk.
        times: (N,) seconds, NaN where unknown.
        poses: (N, 4, 4) camera-to-world, NaN where unknown.
        sharpness: (N,), NaN where unknown.
        parts: name of the part of each frame, or None.
        moved: (N - 1,) metres between neighbours, NaN where a pose is unknown.
        turned: (N - 1,) degrees between neighbours.
        continuous: whether the frames follow each other like a film's.
    """

    walk: Walk
    times: np.ndarray
    poses: np.ndarray
    sharpness: np.ndarray
    parts: list[str | None]
    moved: np.ndarray
    turned: np.ndarray
    continuous: bool

    @cached_property
    def posed(self) -> np.ndarray:
        """(N,) bool: whether each frame's pose is known."""
        return np.isfinite(self.poses[:, 0, 0])

    def __len__(self) -> int:
        return len(self.times)

    def name(self, index: int) -> str:
        """What to call frame `index`: its id, and its time in the walk where there is one."""
        since = self.times[index] - np.nanmin(self.times) if np.isfinite(self.times[index]) else np.nan
        when = f" ({int(since) // 60}:{int(since) % 60:02d})" if np.isfinite(since) else ""
        return f"frame {self.walk.ids[index]}{when}"

    def between(self, a: int, b: int) -> tuple[float | None, float | None]:
        """Metres and degrees from frame `a` to frame `b`; None where a pose is unknown."""
        first, second = self.poses[a], self.poses[b]
        if not (self.posed[a] and self.posed[b]):
            return None, None
        cosine = (np.sum(first[:3, :3] * second[:3, :3]) - 1) / 2
        return (
            float(np.linalg.norm(second[:3, 3] - first[:3, 3])),
            float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        )

    def views(self, limit: int) -> np.ndarray:
        """Indices of the views, at most `limit` of them, spread evenly. Frames without pose are none."""
        chosen = []
        last = None
        for index in np.flatnonzero(self.posed):
            pose = self.poses[index]
            if last is not None:
                moved = np.linalg.norm(pose[:3, 3] - last[:3, 3])
                cosine = (np.sum(pose[:3, :3] * last[:3, :3]) - 1) / 2
                if moved < VIEW_MOVED and cosine > np.cos(np.radians(VIEW_TURNED)):
                    continue
            chosen.append(index)
            last = pose
        return spread(np.array(chosen, int), limit)


def trajectory(walk: Walk) -> Trajectory:
    """Gather a walk's columns."""
    frames = walk.frames
    poses = np.full((len(walk), 4, 4), np.nan)
    for index, pose in enumerate(frames["pose"].to_pylist()):
        if pose is not None:
            poses[index] = np.reshape(pose, (4, 4))
    moved = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turned = np.full(len(moved), np.nan)
    known = np.isfinite(moved)
    between = np.einsum("nji,njk->nik", poses[:-1, :3, :3], poses[1:, :3, :3])[known]
    if len(between):
        turned[known] = np.degrees(Rotation.from_matrix(between).magnitude())
    times = frames["time"].to_numpy(zero_copy_only=False).astype(np.float64)
    return Trajectory(
        walk=walk,
        times=times,
        poses=poses,
        sharpness=frames["sharpness"].to_numpy(zero_copy_only=False).astype(np.float64),
        parts=frames["part"].to_pylist(),
        moved=moved,
        turned=turned,
        continuous=_continuous(times, poses, moved, turned),
    )


def _continuous(times: np.ndarray, poses: np.ndarray, moved: np.ndarray, turned: np.ndarray) -> bool:
    seconds = np.diff(times)
    if np.isfinite(seconds).any() and abs(np.nanmedian(seconds)) < CONTINUOUS_SECONDS:
        return True
    if not np.isfinite(moved).any():
        return False
    positions = poses[np.isfinite(poses[:, 0, 0]), :3, 3]
    across = np.percentile(np.linalg.norm(positions - np.median(positions, 0), axis=1), 90)
    return bool(
        np.nanmedian(moved) < max(CONTINUOUS[0], OF_THE_SPREAD * across) and np.nanmedian(turned) < CONTINUOUS[1]
    )


def spread(indices: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of `indices`, spread evenly over them."""
    if len(indices) <= limit:
        return indices
    return indices[np.linspace(0, len(indices) - 1, limit).round().astype(int)]
