"""What a ROS 2 bag measured beside images: its numbers, and the tables made of them in the colour camera's axes.

Units and axes: REP 103, REP 145, and the comments of sensor_msgs.
"""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.spatial.transform import Rotation

from tst.decoding.ros_transforms import Transforms
from tst.space import poses

IMU, MAGNETOMETER = "sensor_msgs/msg/Imu", "sensor_msgs/msg/MagneticField"
LIGHT, GPS = "sensor_msgs/msg/Illuminance", "sensor_msgs/msg/NavSatFix"
QUATERNION = ("qx", "qy", "qz", "qw")
LARGEST = 1e9
"""No sensor measures more; larger numbers come from damaged messages."""
UNIT = 0.1
"""How far a quaternion's length may be from 1; what is further off was not measured."""
CLOSE = 0.05
"""Seconds between an attitude and a pose that are compared, and between two readings that are interpolated."""
AGREES = 10.0
"""Degrees between the IMU's orientation and the poses' up to which they are of one world but for the heading."""


@dataclass
class Rows:
    """What a sensor's topic measured: rows of numbers, the first of which is the time."""

    frame: str
    width: int
    numbers: "array[float]" = field(default_factory=lambda: array("d"))

    def ascending(self) -> np.ndarray:
        """(N, width), ascending in time; NaN where nothing was measured."""
        rows = np.frombuffer(self.numbers, np.float64).reshape(-1, self.width)
        _, first = np.unique(rows[:, 0], return_index=True)
        rows = rows[first].copy()
        with np.errstate(invalid="ignore"):
            rows[:, 1:][~(np.abs(rows[:, 1:]) <= LARGEST)] = np.nan
        return rows


def _imu(message: Any) -> tuple[float, ...]:
    """Gyroscope, accelerometer and orientation; a covariance that begins with -1 (or NaN) says that there is none."""
    gyro, accel, turn = message.angular_velocity, message.linear_acceleration, message.orientation
    return (
        *_measured((gyro.x, gyro.y, gyro.z), message.angular_velocity_covariance),
        *_measured((accel.x, accel.y, accel.z), message.linear_acceleration_covariance),
        *_measured((turn.x, turn.y, turn.z, turn.w), message.orientation_covariance),
    )


def _measured(values: tuple[float, ...], covariance: Any) -> tuple[float, ...]:
    return values if covariance[0] >= 0 else (math.nan,) * len(values)


def _magnetometer(message: Any) -> tuple[float, ...]:
    tesla = message.magnetic_field
    return tesla.x * 1e6, tesla.y * 1e6, tesla.z * 1e6


def _light(message: Any) -> tuple[float, ...]:
    return (message.illuminance,)


def _gps(message: Any) -> tuple[float, ...]:
    if message.status.status < 0:  # no fix
        return (math.nan,) * 4
    east, north = message.position_covariance[0], message.position_covariance[4]
    known = message.position_covariance_type > 0 and east >= 0 and north >= 0
    accuracy = math.sqrt((east + north) / 2) if known else math.nan
    return message.latitude, message.longitude, message.altitude, accuracy


MEASURED: dict[str, Callable[[Any], tuple[float, ...]]] = {
    IMU: _imu,
    MAGNETOMETER: _magnetometer,
    LIGHT: _light,
    GPS: _gps,
}


def tables(
    sensors: dict[str, dict[str, Rows]], tree: Transforms, camera: str, notes: dict[str, Any]
) -> dict[str, pa.Table]:
    """What was measured, as the tables of `space/sensors.py`.

    Args:
        sensors: rows by message type and topic.
        tree: knows how sensors are turned to the colour camera; those that it does not know keep their own axes.
        camera: frame of the colour camera.
        notes: gets what was left out or assumed.
    """
    made: dict[str, pa.Table] = {}
    imu = []
    for topic, rows in _chosen(sensors, IMU, notes):
        turn = _turn(rows, topic, tree, camera, notes)
        values = rows.ascending()
        values[:, 1:4], values[:, 4:7] = values[:, 1:4] @ turn.T, values[:, 4:7] @ turn.T
        # Drivers that send both in topics of their own leave the other one zero.
        if "gyro" in topic and "accel" not in topic:
            values[:, 4:7] = np.nan
        elif "accel" in topic and "gyro" not in topic:
            values[:, 1:4] = np.nan
        imu.append(values[:, :7])
        oriented = values[np.abs(np.linalg.norm(values[:, 7:], axis=1) - 1) < UNIT]
        if len(oriented):
            quaternions = (Rotation.from_quat(oriented[:, 7:]) * Rotation.from_matrix(turn.T)).as_quat()
            made["attitude"] = _table(oriented[:, 0], quaternions, QUATERNION)
    if imu:
        merged = imu[0] if len(imu) == 1 else _merged(*imu)
        columns = [f"{name}_{axis}" for name in ("gyro", "accel") for axis in "xyz"]
        made["imu"] = _table(merged[:, 0], merged[:, 1:], columns)
    for topic, rows in _chosen(sensors, MAGNETOMETER, notes):
        values = rows.ascending()
        turned = values[:, 1:] @ _turn(rows, topic, tree, camera, notes).T
        made["magnetometer"] = _table(values[:, 0], turned, ("mag_x", "mag_y", "mag_z"))
    for _, rows in _chosen(sensors, LIGHT, notes):
        values = rows.ascending()
        made["light"] = _table(values[:, 0], values[:, 1:], ("lux",))
    for _, rows in _chosen(sensors, GPS, notes):
        values = rows.ascending()
        values = values[np.isfinite(values[:, 1:3]).all(1)]
        if len(values):
            made["gps"] = _table(values[:, 0], values[:, 1:], ("latitude", "longitude", "altitude", "accuracy"))
    return made


def in_the_world_of(times: np.ndarray, matrices: np.ndarray, attitude: pa.Table, notes: dict[str, Any]) -> pa.Table:
    """The attitude turned into the world of some poses: the IMU's own world has a heading of its own.

    Args:
        times: (N,) seconds; matrices: (N, 4, 4) poses of the camera then.
        attitude: table of the camera's attitude in the IMU's world.
        notes: gets a note if the two do not agree whatever the heading; the table is then given as it is.
    """
    measured = attitude["time"].to_numpy()
    index = poses.nearest(measured, times, CLOSE)
    if (index < 0).all():
        return attitude
    turns = Rotation.from_quat(np.stack([attitude[name].to_numpy() for name in QUATERNION], 1))
    between = Rotation.from_matrix(matrices[index >= 0, :3, :3]) * turns[index[index >= 0]].inv()
    mean = between.mean()
    apart = math.degrees(float(np.median((mean.inv() * between).magnitude())))
    if apart > AGREES:
        notes["attitude"] = f"in the IMU's own world, which differs from that of the poses by {apart:.0f} degrees"
        return attitude
    return _table(measured, (mean * turns).as_quat(), QUATERNION)


def _chosen(sensors: dict[str, dict[str, Rows]], type_: str, notes: dict[str, Any]) -> list[tuple[str, Rows]]:
    """The only topic of a type, or the gyroscope's and the accelerometer's; if there are more, none, and a note."""
    topics = sensors.get(type_, {})
    whole = {name: rows for name, rows in topics.items() if "gyro" not in name and "accel" not in name}
    chosen = whole or topics
    if len(whole) > 1 or len(chosen) > 2:
        notes[f"{type_.removeprefix('sensor_msgs/msg/')} left out"] = f"several topics: {', '.join(sorted(chosen))}"
        return []
    return list(chosen.items())


def _merged(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rows (N, C) at the times of the gyroscope or the accelerometer, whichever is faster, with the other's values."""
    faster, slower = (one, other) if len(one) >= len(other) else (other, one)
    faster = faster.copy()
    after = np.searchsorted(slower[:, 0], faster[:, 0]).clip(1, max(len(slower) - 1, 1))
    if len(slower) > 1:
        inside = (faster[:, 0] >= slower[0, 0]) & (faster[:, 0] <= slower[-1, 0])
        near = inside & (slower[after, 0] - slower[after - 1, 0] <= CLOSE)
        for column in range(1, faster.shape[1]):
            if np.isnan(faster[:, column]).all():
                faster[near, column] = np.interp(faster[near, 0], slower[:, 0], slower[:, column])
    return faster


def _turn(rows: Rows, topic: str, tree: Transforms, camera: str, notes: dict[str, Any]) -> np.ndarray:
    """(3, 3) from a sensor's axes to the colour camera's."""
    to_camera = tree.fixed(rows.frame, camera)
    if to_camera is not None:
        return to_camera[:3, :3]
    notes[f"axes of {topic}"] = f"its own ({rows.frame!r}): tf_static does not tell how it is turned to the camera"
    return np.eye(3)


def _table(times: np.ndarray, values: np.ndarray, columns: Sequence[str]) -> pa.Table:
    """A sensor's table; what is not finite becomes null."""
    values = np.where(np.isfinite(values), values, np.nan)
    named = {column: pa.array(values[:, i], from_pandas=True) for i, column in enumerate(columns)}
    return pa.table({"time": pa.array(times), **named})
