"""Clocks: where one goes backwards, and whether a gyroscope's clock and axes are those of the poses."""

import numpy as np
from scipy.spatial.transform import Rotation

LONGEST_STEP = 0.25
"""Seconds between two poses beyond which the way between them is not known."""
TURNING = 0.1
"""rad/s; slower turns drown in the noise of poses."""
FEWEST = 4


def backwards(times: np.ndarray) -> np.ndarray:
    """(N,) bool: which of `times` (N,), seconds, are not later than all before them. NaN never is."""
    latest = np.fmax.accumulate(np.concatenate([[-np.inf], times]))[:-1]
    return times <= latest


def turns_alike(times: np.ndarray, gyro: np.ndarray, pose_times: np.ndarray, poses: np.ndarray) -> bool:
    """Whether a gyroscope turns about each axis as the poses do: only then are its axes, signs, unit and clock known.

    Args:
        times: (N,) seconds, ascending; gyro: (N, 3) rad/s in what should be the camera's axes.
        pose_times: (M,) seconds, ascending; poses: (M, 4, 4) camera-to-world.
    """
    if len(times) < FEWEST or len(pose_times) <= FEWEST:
        return False
    steps = np.diff(pose_times)
    turned = Rotation.from_matrix(poses[:-1, :3, :3].transpose(0, 2, 1) @ poses[1:, :3, :3]).as_rotvec()
    mean = (gyro[1:] + gyro[:-1]) / 2
    angle = np.concatenate([np.zeros((1, 3)), np.cumsum(mean * np.diff(times)[:, None], 0)])
    at = np.stack([np.interp(pose_times, times, angle[:, axis]) for axis in range(3)], 1)
    inside = (pose_times >= times[0]) & (pose_times <= times[-1])
    used = inside[:-1] & inside[1:] & (steps > 0) & (steps < LONGEST_STEP)
    used[used] = np.linalg.norm(turned[used], axis=1) / steps[used] > TURNING
    if np.count_nonzero(used) < FEWEST:
        return False
    expected = turned[used] / steps[used, None]
    measured = np.diff(at, axis=0)[used] / steps[used, None]
    return bool((((measured - expected) ** 2).sum(0) < 0.5 * (expected**2).sum(0)).all())
