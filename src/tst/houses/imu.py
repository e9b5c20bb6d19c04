"""What an inertial sensor that is fixed to the camera measures on a walk."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tst.config import Config

if TYPE_CHECKING:
    from tst.houses.trajectory import Trajectory

GRAVITY = np.array([0.0, 0.0, -9.81])


class ImuNoise(Config):
    """Errors of an inertial sensor; the defaults are those of a phone."""

    gyro_noise: float = 1.6e-4
    """White noise density of the gyroscope, rad/s/sqrt(Hz)."""
    gyro_walk: float = 2.2e-5
    """Random walk of its bias, rad/s2/sqrt(Hz)."""
    gyro_bias: float = 5e-3
    """Deviation of its constant bias, rad/s."""
    accel_noise: float = 2.8e-3
    """White noise density of the accelerometer, m/s2/sqrt(Hz)."""
    accel_walk: float = 8.6e-4
    """Random walk of its bias, m/s3/sqrt(Hz)."""
    accel_bias: float = 5e-2
    """Deviation of its constant bias, m/s2."""


def simulate(
    trajectory: "Trajectory", rng: np.random.Generator, rate: float = 200.0, noise: ImuNoise | None = ImuNoise()
) -> pa.Table:
    """Readings at `rate` Hz over the whole walk; `noise=None` gives exact ones.

    Columns, float64: `time` (s, of the same clock as the frames), `gyro_x`, `gyro_y`, `gyro_z` (angular velocity,
    rad/s), `accel_x`, `accel_y`, `accel_z` (specific force, m/s2: a sensor at rest reads 9.81 upwards), both in camera
    axes (x right, y down, z forward).
    """
    times = np.arange(int(trajectory.duration * rate + 1e-6) + 1) / rate
    gyro = trajectory.angular_velocity(times)
    force = trajectory.acceleration(times) - GRAVITY
    accel = np.einsum("nji,nj->ni", trajectory.at(times)[:, :3, :3], force)
    if noise is not None:
        gyro = gyro + _errors(rng, len(times), rate, noise.gyro_noise, noise.gyro_walk, noise.gyro_bias)
        accel = accel + _errors(rng, len(times), rate, noise.accel_noise, noise.accel_walk, noise.accel_bias)
    columns = {"time": times}
    for name, values in (("gyro", gyro), ("accel", accel)):
        columns |= {f"{name}_{axis}": values[:, k] for k, axis in enumerate("xyz")}
    return pa.table(columns)


def _errors(rng: np.random.Generator, n: int, rate: float, density: float, walk: float, bias: float) -> np.ndarray:
    """White noise, a bias that walks, and a constant bias, (n, 3)."""
    white = density * np.sqrt(rate) * rng.standard_normal((n, 3))
    walked = walk / np.sqrt(rate) * np.cumsum(rng.standard_normal((n, 3)), axis=0)
    return white + walked + bias * rng.standard_normal(3)
