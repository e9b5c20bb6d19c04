"""What iPhones and iPads measure: ARKit's poses and Core Motion's IMU, in the axes of TST.

ARKit's world has y up. The wide camera's axes lie fixed in the device whatever way it is held: x along its long axis
from the front camera towards the home button, y up when that axis is level, z out of the screen (Apple's documentation
of ARCamera.transform). Core Motion's axes are those of the screen held upright: x right, y up, z out of it. It gives
gravity, not the force against it: lying on its back, a phone shows (0, 0, -1) g (documentation of CMAccelerometerData).
"""

import numpy as np
import pyarrow as pa

from tst.errors import UserError
from tst.space import poses

UP = (0.0, 1.0, 0.0)
DEVICE_TO_CAMERA = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
"""From Core Motion's axes to OpenCV's of the wide camera's image as the sensor lies (landscape)."""
STANDARD_GRAVITY = 9.80665
BETWEEN_UNITS = 4.0
"""A median acceleration below this is in g, above it in m/s2: most of it is always gravity."""


def pose(quaternion: object, position: object) -> np.ndarray | str:
    """(4, 4) from a quaternion (x, y, z, w) and a position in metres; or what is wrong with them, for `Dropped`.

    A length other than 1 means that the numbers are something else, or damaged.
    """
    try:
        result = poses.from_quaternion(quaternion, position, "the pose")
    except UserError as error:
        return reason(error)
    length = np.linalg.norm(np.array(quaternion, np.float64))
    return result if abs(length - 1) < 0.01 else f"the pose's quaternion has the length {length:.3g}, not 1"


def reason(error: UserError) -> str:
    """An error without its remedy, for a frame that is left out."""
    return str(error).split(". ")[0]


def imu(times: np.ndarray, acceleration: np.ndarray, rotation: np.ndarray) -> tuple[pa.Table, dict[str, str]]:
    """Core Motion's samples as the sensor `imu` (`space/sensors.py`), and notes on them.

    Samples that are not finite, or whose clock goes backwards, are left out.

    Args:
        times: (N,) seconds.
        acceleration: (N, 3) gravity and the device's own, in g or m/s2, device axes.
        rotation: (N, 3) rad/s, device axes.
    """
    notes: dict[str, str] = {}
    whole = np.isfinite(times) & np.isfinite(acceleration).all(1) & np.isfinite(rotation).all(1)
    latest = np.maximum.accumulate(np.where(whole, times, -np.inf))
    whole[1:] &= times[1:] > latest[:-1]
    if not whole.all():
        notes["imu"] = f"{np.count_nonzero(~whole)} of {len(times)} samples left out (not finite, or back in time)"
    times, acceleration, rotation = times[whole], acceleration[whole], rotation[whole]
    with np.errstate(over="ignore"):
        size = np.median(np.linalg.norm(acceleration, axis=1)) if len(times) else np.inf
    unit = STANDARD_GRAVITY if size < BETWEEN_UNITS else 1.0
    force = -unit * acceleration @ DEVICE_TO_CAMERA.T
    turning = rotation @ DEVICE_TO_CAMERA.T
    columns = {"time": times}
    columns |= {f"gyro_{axis}": turning[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"accel_{axis}": force[:, i] for i, axis in enumerate("xyz")}
    return pa.table(columns), notes
