import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tst.houses.trajectory import Trajectory, look


def wavy(seconds: float = 4.0, rate: float = 10.0) -> Trajectory:
    rng = np.random.default_rng(3)
    controls = np.cumsum(rng.normal(0, [0.05, 0.05, 0.01, 0.1, 0.03, 0.02], (int(seconds * rate) + 5, 6)), axis=0)
    return Trajectory.through(controls, rate, np.arange(0, seconds, 0.1))


def test_look_has_opencv_axes() -> None:
    zero = np.zeros(1)
    level = look(np.array([[1.0, 2, 3]]), zero, zero, zero)[0]
    np.testing.assert_allclose(level, [[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]], atol=1e-12)
    left = look(np.zeros((1, 3)), zero + np.pi / 2, zero, zero)[0]
    np.testing.assert_allclose(left[:3, 2], [0, 1, 0], atol=1e-12)
    up = look(np.zeros((1, 3)), zero, zero + np.radians(30), zero)[0]
    np.testing.assert_allclose(up[:3, 2], [np.cos(np.pi / 6), 0, 0.5], atol=1e-12)
    leaning = look(np.zeros((1, 3)), zero, zero, zero + np.radians(10))[0]
    top = -leaning[:3, 1]
    assert top @ level[:3, 0] == pytest.approx(np.sin(np.radians(10)))


def test_poses_are_rigid_and_never_upside_down() -> None:
    rotations = wavy().poses[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (40, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    assert (rotations[:, 2, 1] < 0).all()


def test_rates_are_the_derivatives_of_the_poses() -> None:
    trajectory, h = wavy(), 1e-4
    times = np.linspace(0.2, 3.8, 50)
    before, now, after = (trajectory.at(times + shift) for shift in (-h, 0, h))
    turned = Rotation.from_matrix(before[:, :3, :3].transpose(0, 2, 1) @ after[:, :3, :3]).as_rotvec() / (2 * h)
    np.testing.assert_allclose(trajectory.angular_velocity(times), turned, atol=1e-5)
    np.testing.assert_allclose(trajectory.velocity(times), (after - before)[:, :3, 3] / (2 * h), atol=1e-6)
    second = (after - 2 * now + before)[:, :3, 3] / h**2
    np.testing.assert_allclose(trajectory.acceleration(times), second, atol=1e-4)


def test_it_stays_between_its_control_points() -> None:
    controls = np.zeros((30, 6))
    controls[15:, 0] = 1.0
    trajectory = Trajectory.through(controls, 10.0, np.zeros(1))
    x = trajectory.at(np.linspace(0, trajectory.duration, 200))[:, 0, 3]
    assert trajectory.duration == pytest.approx(2.5)
    assert x.min() >= -1e-12 and x.max() <= 1 + 1e-12 and (np.diff(x) >= -1e-12).all()
