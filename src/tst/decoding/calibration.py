"""Calibrations as files hold them: pinhole intrinsics checked, and COLMAP's text model."""

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from tst.decoding import arkit
from tst.errors import UserError
from tst.space import poses
from tst.space.camera import Camera
from tst.space.lens import Lens

LARGEST_SIDE = 16384


def pinhole(size: Sequence[float], focal: Sequence[float], centre: Sequence[float], where: str) -> Camera:
    """A camera from (width, height), (fx, fy) and (cx, cy), pixels whose centres are at +0.5.

    Raises:
        UserError: the numbers are no camera's; begins with `where`.
    """
    if not all(math.isfinite(number) for number in (*size, *focal, *centre)):
        raise UserError(f"{where}: intrinsics have a value that is not finite. Restore the file.")
    width, height = round(size[0]), round(size[1])
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise UserError(f"{where}: intrinsics are for {width}x{height} pixels. Restore the file.")
    if not 0.01 * max(width, height) < min(focal) <= max(focal) < 100 * max(width, height):
        raise UserError(f"{where}: focal length is {focal[0]:g}, {focal[1]:g} pixels. Restore the file.")
    if not (0 < centre[0] < width and 0 < centre[1] < height):
        raise UserError(
            f"{where}: principal point ({centre[0]:g}, {centre[1]:g}) is outside the {width}x{height} pixels. "
            "Use images of the size that the intrinsics are for."
        )
    return Camera(width, height, float(focal[0]), float(focal[1]), float(centre[0]), float(centre[1]))


class Calibration(NamedTuple):
    """A camera and its lens (None: no distortion)."""

    camera: Camera
    lens: Lens | None


class Posed(NamedTuple):
    """An image of a COLMAP model: its name without folders, its camera, and its camera-to-world pose or why not."""

    name: str
    camera: int
    pose: np.ndarray | str


def opencv(model: str, size: Sequence[float], parameters: Sequence[float], where: str) -> Calibration:
    """A calibration from COLMAP's camera model and parameters (`fx fy cx cy` and the distortion), centres at +0.5.

    Raises:
        UserError: another model than PINHOLE, OPENCV and OPENCV_FISHEYE, or wrong numbers.
    """
    kinds = {"PINHOLE": 0, "OPENCV": 4, "OPENCV_FISHEYE": 4}
    if kinds.get(model) != len(parameters) - 4:
        raise UserError(
            f"{where}: {model} with {len(parameters)} parameters is not known. "
            "Use PINHOLE, OPENCV or OPENCV_FISHEYE, or undistort the images."
        )
    camera = pinhole(size, parameters[:2], parameters[2:4], where)
    distortion = tuple(float(value) for value in parameters[4:])
    if not all(math.isfinite(value) and abs(value) < 100 for value in distortion):
        raise UserError(f"{where}: distortion is {distortion}. Restore the file.")
    if not any(distortion) and model != "OPENCV_FISHEYE":
        return Calibration(camera, None)
    return Calibration(camera, Lens("fisheye" if model == "OPENCV_FISHEYE" else "pinhole", distortion))


def colmap_cameras(text: str, where: str) -> dict[int, Calibration]:
    """Cameras of COLMAP's `cameras.txt` by their number.

    Raises:
        UserError: a line is not a camera.
    """
    cameras = {}
    for number, line in _lines(text):
        words = line.split()
        try:
            key, model, size, parameters = int(words[0]), words[1], words[2:4], [float(word) for word in words[4:]]
            width, height = (float(word) for word in size)
        except (ValueError, IndexError):
            raise UserError(f"{where}: line {number} ({line[:60]!r}) is not a camera. Restore the file.") from None
        cameras[key] = opencv(model, (width, height), parameters, f"{where}: line {number}")
    if not cameras:
        raise UserError(f"{where}: holds no camera. Restore the file.")
    return cameras


def colmap_images(text: str, where: str) -> list[Posed]:
    """Images of COLMAP's `images.txt`: pairs of lines, of which the second (points) is left out.

    COLMAP writes world-to-camera quaternions (w first) and translations, OpenCV axes.

    Raises:
        UserError: a line is not an image.
    """
    result = []
    lines = _lines(text, blank=True)
    for number, line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        try:
            values, camera, name = [float(word) for word in words[1:8]], int(words[8]), words[9].strip()
        except (ValueError, IndexError):
            raise UserError(f"{where}: line {number} ({line[:60]!r}) is not an image. Restore the file.") from None
        pose: np.ndarray | str
        try:
            w, x, y, z, *offset = values
            pose = poses.inverse(poses.from_quaternion((x, y, z, w), offset, "its pose"))
        except UserError as error:
            pose = arkit.reason(error)
        result.append(Posed(PurePosixPath(name).name, camera, pose))
        next(lines, None)
    return result


def _lines(text: str, blank: bool = False) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("#") and (blank or line.strip()):
            yield number, line
