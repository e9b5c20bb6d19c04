"""Folders of the TUM RGB-D benchmark: rgb.txt, depth.txt, groundtruth.txt and accelerometer.txt.

What is known of the format, and from where: docs/captures/tum_rgbd.md. Many tools write the same layout.
"""

import math
import re
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from scipy.spatial.transform import Rotation

from tst.decoding.archives import Files, holds
from tst.decoding.dropping import refuse_if_most
from tst.decoding.timing import backwards
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording
from tst.space import images, poses
from tst.space.camera import Camera
from tst.space.lens import Lens
from tst.space.sensors import SENSORS

DEPTH_SCALE = 1000 / 5000
"""Millimetres a unit."""
TOGETHER = 0.02
"""Seconds between a colour image and its depth at most, as in the benchmark's associate.py."""
LARGEST_GAP = 0.1
"""Seconds between two measured poses (100 Hz) beyond which the camera's place between them is not known."""
LATEST = 1e11
SIZE = (640, 480)
KINECTS = {
    "1": ((517.306408, 516.469215, 318.643040, 255.313989), (0.262383, -0.953104, -0.005358, 0.002628, 1.163314)),
    "2": ((520.908620, 521.007327, 325.141442, 249.701764), (0.231222, -0.784899, -0.003257, -0.000105, 0.917205)),
    "3": ((535.4, 539.2, 320.1, 247.6), None),  # its images come undistorted
}
"""fx, fy, cx, cy (pixel centres are whole numbers) and k1, k2, p1, p2, k3 of freiburg1, 2 and 3."""
ROS_DEFAULT = (525.0, 525.0, 319.5, 239.5)
GRAVITY_AGREES = 0.95
"""Cosine between the measured and the expected direction of gravity."""


def recognise(source: Path) -> str | None:
    """rgb.txt beside depth.txt or groundtruth.txt."""
    for name in ("groundtruth.txt", "depth.txt"):
        if holds(source, "rgb.txt", name):
            return f"rgb.txt and {name}"
    return None


def read(source: Path, intrinsics: tuple[float, float, float, float] | None = None) -> Recording:
    """Read a sequence: its folder, or a zip of it.

    Args:
        source: the sequence. Its name tells the Kinect: `...freiburg1...`, `fr2_...`.
        intrinsics: fx, fy, cx and cy of the images in pixels, for sequences of other cameras; the centre of the first
            pixel is (0, 0), as in OpenCV's calibration. Images are then taken as free of distortion.

    Raises:
        UserError: a list is missing or damaged, or most images have no depth or no pose.
    """
    files = Files(source)
    rgb = _listed(files, "rgb.txt")
    depth = sorted(_listed(files, "depth.txt")) if "depth.txt" in files else []
    first = next((name for _, name in rgb if name in files), None)
    if first is None:
        raise UserError(f"{files.where('rgb.txt')}: lists no image that is there. Unpack the whole sequence again.")
    notes: dict[str, str] = {}
    camera, lens = _camera(source, files, first, intrinsics, notes)
    trajectory = _trajectory(files)
    times = np.array([time for time, _ in rgb])
    late = backwards(times)
    nearest = poses.nearest(np.array([time for time, _ in depth]), times, TOGETHER)
    if trajectory is None:
        notes["poses"] = "none: the sequence has no groundtruth.txt"
        posed, known = np.empty((len(rgb), 0)), np.ones(len(rgb), bool)
    else:
        posed, known = poses.interpolated(*trajectory, times, LARGEST_GAP)
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, (time, name) in enumerate(rgb):
        frame_id = f"{time:.6f}"
        reason = None
        if name not in files:
            reason = f"{name} is missing"
        elif late[number]:
            reason = "the clock goes backwards"
        elif depth and (nearest[number] < 0 or depth[nearest[number]][1] not in files):
            reason = f"has no depth within {TOGETHER:g} s"
        elif not known[number]:
            reason = "has no pose: the motion capture lost the camera"
        if reason is not None:
            dropped.append(Dropped(frame_id, time, reason))
            continue
        values = {"rgb": files.values(name)}
        if depth:
            values["depth"] = files.values(depth[nearest[number]][1])
        pose = None if trajectory is None else posed[number]
        frames.append(Frame(frame_id, values, camera, pose, time, depth_scale=DEPTH_SCALE, lens=lens))
    refuse_if_most(dropped, len(rgb), str(source))
    sensors = _accelerometer(files, trajectory, notes)
    up = None if trajectory is None else (0.0, 0.0, 1.0)
    return Recording("tum_rgbd", source, frames, notes, sensors, dropped=dropped, up=up, continuous=True)


def _listed(files: Files, name: str) -> list[tuple[float, str]]:
    """Time and file of each line of a list, in its order."""
    entries = []
    for number, line in enumerate(files.text(name).splitlines(), 1):
        content = line.split("#")[0].split(maxsplit=1)
        if not content:
            continue
        try:
            time = round(float(content[0]), 6)  # microseconds, as in the names
        except ValueError:
            time = math.nan
        if len(content) < 2 or not abs(time) < LATEST:
            raise UserError(
                f"{files.where(name)}: line {number} ({line[:60]!r}) is not a time in seconds and a file. "
                "Correct or remove it."
            )
        entries.append((time, PurePosixPath(content[1].strip()).as_posix()))
    if not entries:
        raise UserError(f"{files.where(name)}: lists no images. Unpack the whole sequence again.")
    return entries


def _camera(
    source: Path,
    files: Files,
    image: str,
    intrinsics: tuple[float, float, float, float] | None,
    notes: dict[str, str],
) -> tuple[Camera, Lens | None]:
    pixels, _, _ = images.decode(files.read(image), files.where(image))
    height, width = pixels.shape[:2]
    if intrinsics is not None:
        fx, fy, cx, cy = intrinsics
        if not (all(map(math.isfinite, intrinsics)) and fx > 0 and fy > 0 and 0 < cx < width and 0 < cy < height):
            raise UserError(f"--intrinsics: {fx:g} {fy:g} {cx:g} {cy:g} are no fx fy cx cy of {width}x{height} pixels.")
        return Camera(width, height, fx, fy, cx + 0.5, cy + 0.5), None
    if abs(width * SIZE[1] - height * SIZE[0]) > 0.01 * width * SIZE[1]:
        raise UserError(
            f"{files.where(image)}: is {width}x{height}, so not of the benchmark's cameras. "
            "Give its intrinsics: --intrinsics FX FY CX CY."
        )
    kinect = re.search(r"(?:freiburg|fr)([123])(?![0-9])", source.resolve().name)
    if kinect is None:
        notes["intrinsics"] = "assumed: the Kinect's nominal ones (the folder's name does not say freiburg1, 2 or 3)"
        (fx, fy, cx, cy), distortion = ROS_DEFAULT, None
    else:
        (fx, fy, cx, cy), distortion = KINECTS[kinect[1]]
        notes["intrinsics"] = f"the benchmark's calibration of freiburg{kinect[1]}"
    # Whole numbers are the centres of pixels there, and 0.5 is ours.
    return Camera(*SIZE, fx, fy, cx + 0.5, cy + 0.5), None if distortion is None else Lens("pinhole", distortion)


def _trajectory(files: Files) -> tuple[np.ndarray, np.ndarray] | None:
    """Times (N,), ascending, and poses (N, 4, 4) of the colour camera; None without groundtruth.txt.

    Lines that are no pose are left out: between the others poses are interpolated, if the gap is small enough.
    """
    name = "groundtruth.txt"
    if name not in files:
        return None
    rows = files.numbers(name, columns=8)[:, :8]
    rows = rows[np.isfinite(rows).all(1)]
    rows = rows[
        (np.abs(rows[:, 4:]).max(1, initial=0) > 1e-6) & (np.abs(rows[:, 1:4]).max(1, initial=0) < poses.FURTHEST)
    ]
    _, first = np.unique(rows[:, 0], return_index=True)
    rows = rows[first]
    if len(rows) < 2:
        raise UserError(f"{files.where(name)}: holds no poses. Unpack it again; without the file, none are expected.")
    matrices = np.tile(np.eye(4), (len(rows), 1, 1))
    quaternions = rows[:, 4:] / np.abs(rows[:, 4:]).max(1, keepdims=True)
    matrices[:, :3, :3] = Rotation.from_quat(quaternions).as_matrix()
    matrices[:, :3, 3] = rows[:, 1:4]
    return rows[:, 0], matrices


def _accelerometer(
    files: Files, trajectory: tuple[np.ndarray, np.ndarray] | None, notes: dict[str, str]
) -> dict[str, pa.Table]:
    """The Kinect's accelerometer in camera axes, as the sensor `imu`.

    The direction of its axes is documented nowhere. They are parallel to the camera's, with y along y, so of the eight
    choices of signs that one counts which makes gravity point down in the motion capture's world.
    """
    name = "accelerometer.txt"
    if name not in files or trajectory is None:
        return {}
    rows = files.numbers(name, columns=4)[:, :4]
    rows = rows[np.isfinite(rows).all(1)]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    posed, known = poses.interpolated(*trajectory, rows[:, 0], LARGEST_GAP)
    if not known.any():
        return {}
    upwards = posed[known, 2, :3]  # the world's z axis in camera axes
    measured = rows[known, 1:] / np.maximum(np.linalg.norm(rows[known, 1:], axis=1, keepdims=True), 1e-9)
    choices = [np.array(signs) for signs in product((1.0, -1.0), repeat=3)]
    agreement = [float(np.median((measured * signs * upwards).sum(1))) for signs in choices]
    if max(agreement) < GRAVITY_AGREES:
        notes["accelerometer"] = "left out: no choice of its axes agrees with the poses about gravity"
        return {}
    rows[:, 1:] *= choices[int(np.argmax(agreement))]
    columns = {"time": pa.array(rows[:, 0])}
    for column in SENSORS["imu"]:
        axis = "xyz".index(column[-1])
        columns[column] = (
            pa.array(rows[:, 1 + axis]) if column.startswith("accel") else pa.nulls(len(rows), pa.float64())
        )
    return {"imu": pa.table(columns)}
