"""Camera poses: making, checking and interpolating them. All are (4, 4) float64 camera-to-world, metres."""

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from tst.errors import UserError

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Right-multiplied: the camera's y and z change sign; the world stays as it is."""

RIGID_TOLERANCE = 1e-3
_NO_TURN, _LAST_ROW = np.eye(3), np.array([0.0, 0.0, 0.0, 1.0])
FURTHEST = 1e5
"""Metres from the origin beyond which a position cannot be meant."""


def checked(matrix: object, where: str, remedy: str = "Correct the pose, or remove the frame.") -> np.ndarray:
    """`matrix` (3x4 or 4x4 numbers) as a (4, 4) float64 rigid transform.

    Args:
        matrix: anything that numpy takes.
        where: the beginning of the message, such as "odometry.csv: the pose of frame 3".
        remedy: the end of the message.

    Raises:
        UserError: it is not finite, not rigid within RIGID_TOLERANCE, mirrored, or absurdly far away.
    """
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pose = np.empty(0)
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0.0, 0.0, 0.0, 1.0]])
    if pose.shape != (4, 4):
        raise UserError(f"{where} is not 4x4 numbers. {remedy}")
    if not np.isfinite(pose).all():
        raise UserError(f"{where} has a value that is not finite. {remedy}")
    rotation = pose[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(rotation.T @ rotation - _NO_TURN).max()
    if not error <= RIGID_TOLERANCE or np.abs(pose[3] - _LAST_ROW).max() > RIGID_TOLERANCE:
        raise UserError(f"{where} is not rigid (scaled or skewed by {error:.3g}). {remedy}")
    if np.linalg.det(rotation) < 0:
        raise UserError(f"{where} is mirrored (determinant -1). {remedy}")
    if np.abs(pose[:3, 3]).max() > FURTHEST:
        raise UserError(f"{where} is {np.abs(pose[:3, 3]).max():.3g} m from the origin. {remedy}")
    return pose


def from_quaternion(xyzw: object, position: object, where: str) -> np.ndarray:
    """(4, 4) from a quaternion (x, y, z, w), of any length but 0, and a position in metres.

    Raises:
        UserError: it is not one.
    """
    remedy = "Correct the pose, or remove the frame."
    try:
        quaternion, translation = np.array(xyzw, np.float64), np.array(position, np.float64)
    except (TypeError, ValueError, OverflowError):
        quaternion, translation = np.empty(0), np.empty(0)
    if quaternion.shape != (4,) or translation.shape != (3,):
        raise UserError(f"{where} is not a quaternion and a position. {remedy}")
    if not (np.isfinite(quaternion).all() and np.isfinite(translation).all()):
        raise UserError(f"{where} has a value that is not finite. {remedy}")
    length = np.abs(quaternion).max()
    if length < 1e-6:
        raise UserError(f"{where} has the quaternion 0, which is no rotation. {remedy}")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion / length).as_matrix()
    pose[:3, 3] = translation
    return checked(pose, where, remedy)


def inverse(pose: np.ndarray) -> np.ndarray:
    """The inverse of a rigid transform."""
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def interpolated(
    times: np.ndarray, poses: np.ndarray, at: np.ndarray, largest_gap: float = 0.25
) -> tuple[np.ndarray, np.ndarray]:
    """Poses at other moments: positions linearly, rotations by slerp.

    Args:
        times: (N,) seconds, ascending.
        poses: (N, 4, 4).
        at: (M,) seconds.
        largest_gap: between two known poses further apart than this, in seconds, nothing is known.

    Returns:
        (M, 4, 4) poses and (M,) bool: whether each is known. Nothing is extrapolated.
    """
    result = np.tile(np.eye(4), (len(at), 1, 1))
    if len(times) == 0:
        return result, np.zeros(len(at), bool)
    if len(times) == 1:
        known = np.abs(at - times[0]) < 1e-9
        result[known] = poses[0]
        return result, known
    after = np.clip(np.searchsorted(times, at, side="left"), 1, len(times) - 1)
    before = after - 1
    exact = (times[after] == at) | (times[before] == at)
    known = (at >= times[0]) & (at <= times[-1]) & (exact | (times[after] - times[before] <= largest_gap))
    share = ((at - times[before]) / np.maximum(times[after] - times[before], 1e-12)).clip(0, 1)
    distinct = np.concatenate([[True], np.diff(times) > 0])
    if distinct.sum() > 1:
        inside = at.clip(times[0], times[-1])
        slerp = Slerp(times[distinct], Rotation.from_matrix(poses[distinct, :3, :3]))
        result[:, :3, :3] = slerp(inside).as_matrix()
    else:
        result[:, :3, :3] = poses[0, :3, :3]
    result[:, :3, 3] = poses[before, :3, 3] * (1 - share[:, None]) + poses[after, :3, 3] * share[:, None]
    return result, known


def nearest(times: np.ndarray, at: np.ndarray, tolerance: float) -> np.ndarray:
    """Index into `times` (N,), ascending, of the one nearest to each of `at` (M,); -1 beyond `tolerance`, seconds."""
    if len(times) == 0:
        return np.full(len(at), -1)
    after = np.searchsorted(times, at).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    index = np.where(np.abs(times[before] - at) <= np.abs(times[after] - at), before, after)
    return np.where(np.abs(times[index] - at) <= tolerance, index, -1)
