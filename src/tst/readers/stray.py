"""Stray Scanner (iPhone, iPad): rgb.mp4, depth/, confidence/, odometry.csv, imu.csv, camera_matrix.csv.

Layout and units: docs/format.md of github.com/strayrobots/scanner, and its Swift source (OdometryEncoder:
camera-to-world in ARKit's world, OpenCV camera axes; DatasetEncoder, VideoEncoder, IMUEncoder).
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tst.decoding import arkit, npy, timing
from tst.decoding.archives import Files, holds
from tst.decoding.dropping import refuse_if_most
from tst.decoding.video import Video
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space.camera import Camera

VIDEO, ODOMETRY, MATRIX, IMU = "rgb.mp4", "odometry.csv", "camera_matrix.csv", "imu.csv"


def recognise(source: Path) -> str | None:
    """rgb.mp4, odometry.csv and camera_matrix.csv, in a folder or a zip."""
    return f"{VIDEO}, {ODOMETRY} and {MATRIX}" if holds(source, VIDEO, ODOMETRY, MATRIX) else None


def read(source: Path) -> Recording:
    """Read a recording of Stray Scanner: its folder, or that folder in a zip.

    Raises:
        UserError: a file is missing or damaged, or more than half of the frames are unusable.
    """
    files = Files(source)
    files.require(VIDEO)
    rows = files.numbers(ODOMETRY, columns=9, header=True)
    # The app puts the first frame before the start of the video, where players do not show it.
    video = Video(files.path(VIDEO) or files.open(VIDEO), files.where(VIDEO), hidden=True)
    if len(rows) > 2 * len(video) or len(video) > 2 * len(rows):
        raise UserError(
            f"{files.where(ODOMETRY)}: has {len(rows)} lines and {VIDEO} {len(video)} frames, which do not belong "
            "together. Copy the whole capture from the device again."
        )
    camera = _camera(files, video)
    notes: dict[str, Any] = {"intrinsics": f"{MATRIX} holds those of the last frame; taken for all"}
    present = [what for what in ("depth", "confidence") if files.names(what)]
    if "depth" not in present:
        notes["depth"] = "none in the capture"
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, (row, index) in enumerate(zip(rows, _in_video(len(rows), video), strict=True)):
        time, pose = float(row[0]), arkit.pose(row[5:9], row[2:5])
        images = _images(files, row[1])
        if not np.isfinite(time):
            reason = "its time is not a number"
        elif frames and time <= (frames[-1].time or 0):
            reason = "its clock goes backwards"
        elif index is None:
            reason = f"not in {VIDEO}"
        elif missing := [what for what in present if what not in images]:
            reason = f"no {missing[0]} image"
        elif isinstance(pose, str):
            reason = pose
        else:
            images["rgb"] = Values(f"{video.where}, frame {index}", partial(video.frame, index), in_order=True)
            frames.append(Frame(f"{number:06d}", images, camera, pose, time))
            continue
        dropped.append(Dropped(f"{number:06d}", time if np.isfinite(time) else None, reason))
    refuse_if_most(dropped, len(rows), files.where(ODOMETRY))
    dropped += [Dropped(f"{n:06d}", None, f"no line in {ODOMETRY}") for n in range(len(rows), len(video))]
    sensors = {}
    if IMU in files:
        samples = files.numbers(IMU, columns=7, header=True)
        sensors["imu"], noted = arkit.imu(samples[:, 0], samples[:, 1:4], samples[:, 4:7])
        notes |= noted
        poses = np.array([frame.pose for frame in frames])
        gyro = np.stack([sensors["imu"][f"gyro_{axis}"].to_numpy() for axis in "xyz"], 1)
        moments = np.array([frame.time for frame in frames])
        if not timing.turns_alike(sensors["imu"]["time"].to_numpy(), gyro, moments, poses):
            notes["imu axes"] = "not confirmed: the gyroscope does not turn as the poses do, or too little"
    return Recording(
        "stray", source, frames, notes, sensors, dropped=dropped, up=arkit.UP, continuous=True, full_confidence=2
    )


def _in_video(rows: int, video: Video) -> list[int | None]:
    """For each line of the odometry its frame of the video.

    The app writes both together, and gives the video's frames even times whatever the clock says. Where it could not
    add a frame, those times have a gap.
    """
    if rows == len(video):
        return list(range(rows))
    step = float(np.median(np.diff(video.times))) if len(video) > 1 else 1.0
    places = np.rint((video.times - video.times[0]) / step).astype(np.int64)
    found: list[int | None] = [None] * rows
    for index, place in enumerate(places):
        if place < rows:
            found[place] = index
    return found


def _images(files: Files, number: float) -> dict[str, Path | Values]:
    """Depth (millimetres; .npy in versions before 2022) and confidence of the frame with this number in its line."""
    if not 0 <= number < 1e9:
        return {}
    images = {}
    stem = f"{int(number):06d}"
    if (name := f"depth/{stem}.png") in files:
        images["depth"] = files.values(name)
    elif (name := f"depth/{stem}.npy") in files:
        images["depth"] = files.values(name, partial(npy.array, where=files.where(name)))
    if (name := f"confidence/{stem}.png") in files:
        images["confidence"] = files.values(name)
    return images


def _camera(files: Files, video: Video) -> Camera:
    matrix = files.numbers(MATRIX, columns=3)
    where = files.where(MATRIX)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise UserError(f"{where}: is not 3x3 numbers. Copy it from the device again.")
    (fx, _, cx), (_, fy, cy) = matrix[:2]
    if not (0 < fx < 1e6 and 0 < fy < 1e6 and 0 <= cx <= video.width and 0 <= cy <= video.height):
        raise UserError(
            f"{where}: focal lengths {fx:g}, {fy:g} and centre {cx:g}, {cy:g} do not fit images of "
            f"{video.width}x{video.height}. Copy it from the device again."
        )
    return Camera(video.width, video.height, float(fx), float(fy), float(cx), float(cy))
