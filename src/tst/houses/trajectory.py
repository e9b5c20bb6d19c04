"""A camera's motion as a smooth function of time: poses at any time, and what an inertial sensor on it feels.

World axes have z up. Camera axes are OpenCV's: x right, y down, z forward. Lengths in metres, angles in radians.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline

DEGREE = 5

# The camera's axes (columns) in those of a body that looks along x with y left and z up.
CAMERA_IN_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def look(position: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Camera-to-world poses (N, 4, 4) from positions (N, 3) and angles (N,).

    `yaw` is counter-clockwise seen from above, 0 looks along world x; `pitch` above 0 looks up; `roll` above 0 leans
    the camera's top to the right.
    """
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch, roll))
    forward = np.stack([cy * cp, sy * cp, sp], -1)
    left = np.stack([-cy * sp * sr - sy * cr, -sy * sp * sr + cy * cr, cp * sr], -1)
    up = np.cross(forward, left)
    poses = np.tile(np.eye(4), (len(position), 1, 1))
    poses[:, :3, :3] = np.stack([-left, -up, forward], -1)
    poses[:, :3, 3] = position
    return poses


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A motion, and the times at which a camera took its frames.

    Attributes:
        spline: of (x, y, z, yaw, pitch, roll) over seconds from 0; acceleration and angular acceleration are
            continuous. Pitch stays away from straight up and down.
        times: (N,) of the frames, seconds.
    """

    spline: BSpline
    times: np.ndarray

    @classmethod
    def through(cls, controls: np.ndarray, rate: float, times: np.ndarray) -> "Trajectory":
        """The uniform B-spline with the given control points (M, 6), `rate` a second.

        It does not overshoot: each point is a weighted mean of six control points in a row.
        """
        knots = (np.arange(len(controls) + DEGREE + 1) - DEGREE) / rate
        return cls(BSpline(knots, controls, DEGREE), times)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.spline.t[-DEGREE - 1])

    @cached_property
    def poses(self) -> np.ndarray:
        """Camera-to-world poses of the frames, (N, 4, 4)."""
        return self.at(self.times)

    def at(self, times: np.ndarray) -> np.ndarray:
        """Camera-to-world poses (N, 4, 4) at times (N,)."""
        values = self.spline(times)
        return look(values[:, :3], *values[:, 3:].T)

    def velocity(self, times: np.ndarray) -> np.ndarray:
        """(N, 3) m/s in world axes."""
        return self.spline(times, 1)[:, :3]

    def acceleration(self, times: np.ndarray) -> np.ndarray:
        """(N, 3) m/s2 in world axes, without gravity."""
        return self.spline(times, 2)[:, :3]

    def angular_velocity(self, times: np.ndarray) -> np.ndarray:
        """(N, 3) rad/s in camera axes."""
        _, pitch, roll = self.spline(times)[:, 3:].T
        yaw_rate, pitch_rate, roll_rate = self.spline(times, 1)[:, 3:].T
        about_forward = roll_rate + yaw_rate * np.sin(pitch)
        about_left = -pitch_rate * np.cos(roll) + yaw_rate * np.sin(roll) * np.cos(pitch)
        about_up = pitch_rate * np.sin(roll) + yaw_rate * np.cos(roll) * np.cos(pitch)
        return np.stack([about_forward, about_left, about_up], -1) @ CAMERA_IN_BODY
