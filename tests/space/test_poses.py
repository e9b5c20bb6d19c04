"""Poses: made, checked and interpolated."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tst.errors import UserError
from tst.space import poses


def test_checked_refuses_what_is_no_pose() -> None:
    good = np.eye(4)
    np.testing.assert_array_equal(poses.checked(good[:3].tolist(), "x"), good)
    scaled, mirrored, far, missing = np.eye(4) * 1.1, np.diag([1.0, 1, -1, 1]), np.eye(4), np.eye(4)
    far[0, 3], missing[1, 1] = 1e9, np.nan
    for bad, message in (
        (scaled, "not rigid"),
        (mirrored, "mirrored"),
        (far, "from the origin"),
        (missing, "not finite"),
        (np.full((4, 4), 1e200), "not rigid"),
        ("abc", "not 4x4"),
        (None, "not 4x4"),
        ([[1, 2], [3]], "not 4x4"),
    ):
        with pytest.raises(UserError, match=rf"^file, frame 3 .*{message}"):
            poses.checked(bad, "file, frame 3")


def test_quaternions() -> None:
    turn = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)
    pose = poses.from_quaternion(3.7 * turn.as_quat(), [1, 2, 3], "x")  # any length
    np.testing.assert_allclose(pose[:3, :3], turn.as_matrix())
    assert pose[:3, 3].tolist() == [1, 2, 3]
    for bad in ([0, 0, 0, 0], [1, 2, 3], [np.nan, 0, 0, 1], None):
        with pytest.raises(UserError):
            poses.from_quaternion(bad, [0, 0, 0], "x")


def test_inverse() -> None:
    pose = poses.from_quaternion([0.1, 0.2, 0.3, 0.9], [1, 2, 3], "x")
    np.testing.assert_allclose(poses.inverse(pose) @ pose, np.eye(4), atol=1e-12)


def test_interpolation_is_linear_and_never_extrapolates() -> None:
    def at(time: float) -> np.ndarray:
        return poses.from_quaternion(Rotation.from_rotvec([0, time, 0]).as_quat(), [time, 2 * time, 0], "x")

    times = np.array([0, 0.1, 0.2, 1.0, 1.1])
    wanted = np.array([-0.01, 0.0, 0.05, 0.13, 0.2, 0.5, 1.1, 1.2])
    result, known = poses.interpolated(times, np.array([at(t) for t in times]), wanted)
    assert known.tolist() == [False, True, True, True, True, False, True, False]
    for time, pose, ok in zip(wanted, result, known, strict=True):
        if ok:
            np.testing.assert_allclose(pose, at(time), atol=1e-12)
    assert not poses.interpolated(np.empty(0), np.empty((0, 4, 4)), wanted)[1].any()
    assert poses.interpolated(times[:1], np.eye(4)[None], np.array([0.0, 1.0]))[1].tolist() == [True, False]


def test_nearest_within_a_tolerance() -> None:
    times = np.array([0.0, 1.0, 2.0])
    assert poses.nearest(times, np.array([-0.3, 0.4, 0.6, 1.5, 5.0]), 0.45).tolist() == [0, 0, 1, -1, -1]
    assert poses.nearest(np.empty(0), np.array([1.0]), 1).tolist() == [-1]
