import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_house import HOUSE

from tst.houses.imu import ImuNoise, simulate
from tst.houses.trajectory import Trajectory
from tst.houses.walks import walk_through


def arrays(table: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, *rest = (table[name].to_numpy() for name in table.column_names)  # type: ignore[attr-defined,index]
    return time, np.stack(rest[:3], 1), np.stack(rest[3:], 1)


def still(pitch: float = 0.0, roll: float = 0.0, seconds: float = 2.0) -> Trajectory:
    controls = np.tile([1.0, 2, 3, 0.7, pitch, roll], (int(seconds * 50) + 5, 1))
    return Trajectory.through(controls, 50.0, np.zeros(1))


def test_at_rest_it_reads_gravity_upwards_in_camera_axes() -> None:
    rng = np.random.default_rng(0)
    table = simulate(still(), rng, noise=None)
    assert table.column_names == ["time", "gyro_x", "gyro_y", "gyro_z", "accel_x", "accel_y", "accel_z"]
    time, gyro, accel = arrays(table)
    assert len(time) == 401 and time[-1] == pytest.approx(2.0)
    np.testing.assert_allclose(gyro, 0, atol=1e-12)
    np.testing.assert_allclose(accel, np.tile([0, -9.81, 0], (401, 1)), atol=1e-9)  # y is down
    down = arrays(simulate(still(pitch=-np.pi / 6), rng, noise=None))[2]
    np.testing.assert_allclose(down[0], [0, -9.81 * np.cos(np.pi / 6), -9.81 / 2], atol=1e-9)


def test_integrating_exact_readings_gives_the_trajectory() -> None:
    walk = walk_through(HOUSE, np.random.default_rng(2), 100)
    time, gyro, accel = arrays(simulate(walk, np.random.default_rng(0), noise=None))
    start, stop = 1000, 2600  # 8 s on the way
    rotation = Rotation.from_matrix(walk.at(time[start : start + 1])[0, :3, :3])
    position, velocity = walk.at(time[start : start + 1])[0, :3, 3], walk.velocity(time[start : start + 1])[0]
    step = 1 / 200
    for k in range(start, stop):
        turned = rotation * Rotation.from_rotvec((gyro[k] + gyro[k + 1]) / 2 * step)
        mean = (rotation.apply(accel[k]) + turned.apply(accel[k + 1])) / 2 + [0, 0, -9.81]
        position = position + velocity * step + mean * step**2 / 2
        velocity = velocity + mean * step
        rotation = turned
    pose = walk.at(time[stop : stop + 1])[0]
    assert np.linalg.norm(pose[:3, 3] - walk.at(time[start : start + 1])[0, :3, 3]) > 1.0
    assert np.linalg.norm(position - pose[:3, 3]) < 0.01
    assert np.degrees((rotation.inv() * Rotation.from_matrix(pose[:3, :3])).magnitude()) < 0.05


def test_noise_has_the_stated_density_walk_and_bias() -> None:
    quiet = ImuNoise(gyro_noise=0, gyro_walk=0, gyro_bias=0, accel_noise=0, accel_walk=0, accel_bias=0)
    _, gyro, accel = arrays(simulate(still(seconds=50), np.random.default_rng(0), 100, quiet.replace(gyro_noise=1e-2)))
    assert gyro.std() == pytest.approx(1e-2 * np.sqrt(100), rel=0.03)
    np.testing.assert_allclose(accel, np.tile([0, -9.81, 0], (len(accel), 1)), atol=1e-9)
    ends = [
        arrays(simulate(still(), np.random.default_rng(seed), 100, quiet.replace(accel_walk=0.1)))[2]
        for seed in range(150)
    ]
    drift = np.array([accel[200] - accel[0] for accel in ends])
    assert drift.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.12)  # two seconds
    biases = [
        arrays(simulate(still(), np.random.default_rng(seed), 10, quiet.replace(gyro_bias=0.2)))[1]
        for seed in range(150)
    ]
    assert np.ptp(biases, axis=1).max() < 1e-12
    assert np.std(biases) == pytest.approx(0.2, rel=0.12)
