"""Intrinsics and distortion of ROS cameras (sensor_msgs/CameraInfo)."""

import math
from typing import Any

import numpy as np

from tst.decoding.calibration import pinhole
from tst.errors import UserError
from tst.space.camera import Camera
from tst.space.lens import Lens

LARGEST_DISTORTION = 1e4
SAME_VIEW = 0.01
"""Difference of two cameras' intrinsics, as a share of the focal length, up to which they are the same."""


def calibration(info: Any, rectified: bool, where: str) -> tuple[Camera, Lens | None]:
    """From a CameraInfo: K and D, or P for rectified images; of the part of the sensor that was read out."""
    fx, cx, fy, cy = (float(info.k[i]) for i in (0, 2, 4, 5))
    if rectified and info.p[0] > 0:
        fx, cx, fy, cy = (float(info.p[i]) for i in (0, 2, 5, 6))
    if fx == 0 and fy == 0:
        raise UserError(f"{where}: intrinsics are zero: the camera is not calibrated. Calibrate it, and record again.")
    roi = info.roi
    x, y = max(info.binning_x, 1), max(info.binning_y, 1)
    size = ((roi.width or info.width) / x, (roi.height or info.height) / y)
    # Whole numbers are the centres of pixels there, and 0.5 is ours.
    centre = ((cx + 0.5 - roi.x_offset) / x, (cy + 0.5 - roi.y_offset) / y)
    camera = pinhole(size, (fx / x, fy / y), centre, where)
    distortion = tuple(float(value) for value in info.d)
    fisheye = info.distortion_model in ("equidistant", "fisheye")
    if rectified or not (any(distortion) or (fisheye and distortion)):
        return camera, None
    counts = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,), "fisheye": (4,)}
    if len(distortion) not in counts.get(info.distortion_model, ()):
        raise UserError(
            f"{where}: distortion {info.distortion_model[:40]!r} with {len(distortion)} numbers is not known. "
            "Record rectified images (image_rect)."
        )
    lens = Lens("fisheye" if fisheye else "pinhole", distortion)
    try:
        small = camera.resized(64, max(1, round(64 * camera.height / camera.width)))
        undistorted, columns, _ = lens.maps(small)
        if (
            max(map(abs, distortion)) < LARGEST_DISTORTION
            and 0 < undistorted.fx < math.inf
            and np.isfinite(columns).all()
        ):
            return camera, lens
    except UserError:  # says the same without the file
        pass
    raise UserError(f"{where}: distortion {distortion} is no lens's. Calibrate the camera, and record again.")


def is_same_view(one: Camera, other: Camera) -> bool:
    """Whether two cameras see the same at any size."""
    if abs(one.width * other.height - one.height * other.width) > SAME_VIEW * one.width * other.height:
        return False
    other = other.resized(one.width, one.height)
    differences = np.subtract((one.fx, one.fy, one.cx, one.cy), (other.fx, other.fy, other.cx, other.cy))
    return bool(np.abs(differences).max() < SAME_VIEW * one.fx)
