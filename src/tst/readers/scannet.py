"""ScanNet: a scan's .sens file, or the folders that are exported from one (also those of scannet_frames_25k).

Source of what is known: ScanNet/ScanNet, SensReader/src/sensorData.h (poses are the depth camera's, `saveToPointCloud`;
-inf where tracking was lost), SensReader/python/SensorData.py (the exported files), ScannerApp (Core Motion's IMU; the
principal point of an image of even size is (size - 1) / 2: pixel centres are whole numbers).
"""

import re
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from tst.decoding import arkit
from tst.decoding.archives import Files
from tst.decoding.calibration import pinhole
from tst.decoding.dropping import refuse_if_most
from tst.decoding.sens import Sens, SensFrame
from tst.decoding.timing import backwards, turns_alike
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space import images, poses
from tst.space.camera import Camera

UP = (0.0, 0.0, 1.0)
MICROSECOND = 1e-6
SAME_PIXEL = 0.25
"""Pixels of depth by which its view may differ from the colour camera's and still count as registered."""
REMEDY = "Download the scan again, or export it again."


def recognise(source: Path) -> str | None:
    """A .sens file, or the folders color/ and pose/ with intrinsics."""
    try:
        if source.suffix == ".sens" and source.is_file():
            return source.name
        if found := next(source.glob("*.sens"), None) if source.is_dir() else None:
            return found.name
        if (source / "color").is_dir() and (source / "pose").is_dir():
            for name in ("intrinsic", "intrinsics_color.txt"):
                if (source / name).exists():
                    return f"color/, pose/ and {name}"
    except OSError:
        pass
    return None


def read(source: Path) -> Recording:
    """Read one scan: a .sens file, a folder with one, or a folder with color/, depth/, pose/ and intrinsics.

    Raises:
        UserError: a file is missing or damaged, or most frames have no pose.
    """
    if source.is_dir():
        found = sorted(source.glob("*.sens"))
        if len(found) > 1:
            raise UserError(f"{source}: holds {len(found)} .sens files. Name one of them.")
        return _exported(source) if not found else _sens(found[0])
    return _exported(source) if source.suffix == ".zip" else _sens(source)


def _sens(path: Path) -> Recording:
    sens = Sens(path)
    camera = _camera(sens.colour_intrinsic, sens.colour_size, f"{path}: colour")
    depth_camera = _camera(sens.depth_intrinsic, sens.depth_size, f"{path}: depth")
    to_base = [
        poses.checked(matrix, f"{path}: the {name} extrinsic", REMEDY)
        for name, matrix in (("colour", sens.colour_extrinsic), ("depth", sens.depth_extrinsic))
    ]
    depth_to_rgb = poses.inverse(to_base[0]) @ to_base[1]
    rgb_to_depth = poses.inverse(depth_to_rgb)
    beside = not _registered(depth_camera, depth_to_rgb, camera)
    notes: dict[str, Any] = {}
    times = np.array([frame.colour_time for frame in sens.frames], np.float64) * MICROSECOND
    if not times.any():
        notes["time"] = "the file has none"
        times[:] = np.nan
    back = backwards(times)

    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, (entry, late) in enumerate(zip(sens.frames, back, strict=True)):
        name, time = f"{number:06d}", None if np.isnan(times[number]) else float(times[number])
        pose = _pose(entry.pose)
        if late or isinstance(pose, str):
            dropped.append(Dropped(name, time, "its clock goes backwards" if late else str(pose)))
            continue
        values: dict[str, Path | Values] = {
            "rgb": Values(f"{path}, colour of frame {number}", partial(_colour, sens, entry))
        }
        if entry.depth[1]:
            values["depth"] = Values(f"{path}, depth of frame {number}", partial(_depth, sens, entry))
        frame = Frame(name, values, camera, pose @ rgb_to_depth, time)
        frame.depth_scale = 1000 / sens.depth_shift
        if beside:
            frame.depth_camera, frame.depth_to_rgb = depth_camera, depth_to_rgb
        frames.append(frame)
    if sens.missing:
        cut = f"the file is cut off before it ({len(sens.frames)} frames are whole)"
        dropped += [Dropped(f"{len(sens.frames) + n:06d}", None, cut) for n in range(sens.missing)]
    refuse_if_most(dropped, len(frames) + len(dropped), str(path))
    sensors, why = _sensors(sens.imu, frames)
    notes |= why
    return Recording("scannet", path, frames, notes, sensors, dropped=dropped, up=UP, continuous=True)


def _colour(sens: Sens, entry: SensFrame, _: int | None) -> np.ndarray | bytes:
    return sens.colour_image(entry)


def _depth(sens: Sens, entry: SensFrame, _: int | None) -> np.ndarray:
    return sens.depth_image(entry)


def _sensors(imu: np.ndarray, frames: list[Frame]) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """The IMU and magnetometer, if they turn as the poses do; and notes."""
    if len(imu) == 0:
        return {}, {}
    times = imu["time"] * MICROSECOND
    with np.errstate(over="ignore", invalid="ignore"):
        gravity = np.median(np.linalg.norm(imu["gravity"], axis=1))
        own = np.median(np.linalg.norm(imu["acceleration"], axis=1))
        table, notes = arkit.imu(times, imu["gravity"] + imu["acceleration"], imu["rotation"])
        gyro = np.stack([table[f"gyro_{axis}"].to_numpy() for axis in "xyz"], 1)
        timed = [frame for frame in frames if frame.time is not None and frame.pose is not None]
        alike = turns_alike(
            table["time"].to_numpy(),
            gyro,
            np.array([frame.time for frame in timed], np.float64),
            np.array([frame.pose for frame in timed], np.float64).reshape(-1, 4, 4),
        )
    if not alike:
        return {}, {"imu": "left out: it does not turn as the poses do, so its axes or its clock are not known"}
    if not (abs(gravity - 1) < 0.05 and own < 0.5):  # Core Motion: gravity in g, and the device's own acceleration
        notes["imu"] = "acceleration left out: gravity is not 1 g"
        for axis in "xyz":
            column = table.schema.get_field_index(f"accel_{axis}")
            table = table.set_column(column, f"accel_{axis}", pa.nulls(len(table), pa.float64()))
    sensors = {"imu": table}
    field = imu["magnetic"] @ arkit.DEVICE_TO_CAMERA.T
    whole = np.isfinite(field).all(1) & ~backwards(times)
    if field[whole].any():
        columns = {f"mag_{axis}": field[whole, i] for i, axis in enumerate("xyz")}
        sensors["magnetometer"] = pa.table({"time": times[whole], **columns})
    return sensors, notes


def _exported(source: Path) -> Recording:
    files = Files(source)
    colour = _numbered(files, "color", (".jpg", ".png"))
    if not colour:
        raise UserError(f"{files.where('color')}: no images, and no .sens file. {REMEDY}")
    depth, pose_files = _numbered(files, "depth", (".png",)), _numbered(files, "pose", (".txt",))
    chosen = "intrinsics_color.txt" in files  # scannet_frames_25k: every hundredth frame
    camera = depth_camera = None
    depth_to_rgb = np.eye(4)
    for what, listed in (("color", colour), ("depth", depth)):
        if listed:
            name = f"intrinsics_{what}.txt" if chosen else f"intrinsic/intrinsic_{what}.txt"
            intrinsic = _matrix(files, files.require(name, REMEDY))
            found = _camera(intrinsic, _size(files, next(iter(listed.values()))), files.where(name))
            camera, depth_camera = (found, None) if what == "color" else (camera, found)
        extrinsic = f"intrinsic/extrinsic_{what}.txt"
        if extrinsic in files:
            base = poses.checked(_matrix(files, extrinsic), files.where(extrinsic), REMEDY)
            depth_to_rgb = poses.inverse(base) if what == "color" else depth_to_rgb @ base
    assert camera is not None
    rgb_to_depth = poses.inverse(depth_to_rgb)
    beside = depth_camera is not None and not _registered(depth_camera, depth_to_rgb, camera)

    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, image in colour.items():
        name = PurePosixPath(image).stem
        pose: np.ndarray | str = "has no pose file"
        if number in pose_files:
            try:
                pose = _pose(_matrix(files, pose_files[number]))
            except UserError as error:
                pose = arkit.reason(error)
        if isinstance(pose, str):
            dropped.append(Dropped(name, None, pose))
            continue
        values = {"rgb": files.values(image)}
        if number in depth:
            values["depth"] = files.values(depth[number])
        frame = Frame(name, values, camera, pose @ rgb_to_depth)
        if beside:
            frame.depth_camera, frame.depth_to_rgb = depth_camera, depth_to_rgb
        frames.append(frame)
    refuse_if_most(dropped, len(colour), files.where("pose"))
    notes = {"time": "exported folders have none"}
    return Recording("scannet", source, frames, notes, dropped=dropped, up=UP, continuous=not chosen)


def _numbered(files: Files, folder: str, suffixes: tuple[str, ...]) -> dict[int, str]:
    """Files named by a number, in its order."""
    found: dict[int, str] = {}
    for name in files.names(folder, suffixes):
        if re.fullmatch(r"\d{1,9}", stem := PurePosixPath(name).stem) and stem.isascii():
            found.setdefault(int(stem), name)
    return dict(sorted(found.items()))


def _matrix(files: Files, name: str) -> np.ndarray:
    """A 3x3 or 4x4 matrix of a text file, as (4, 4)."""
    numbers = files.numbers(name)
    if numbers.shape not in ((3, 3), (4, 4)):
        raise UserError(f"{files.where(name)}: is not a 4x4 matrix. {REMEDY}")
    matrix = np.eye(4)
    matrix[: len(numbers), : len(numbers)] = numbers
    return matrix


def _size(files: Files, name: str) -> tuple[int, int]:
    """(width, height) of an image."""
    path = files.path(name)
    if path is not None:
        height, width = images.size(path)
    else:
        height, width = images.decode(files.read(name), files.where(name))[0].shape[:2]
    return width, height


def _camera(intrinsic: np.ndarray, size: tuple[int, int], where: str) -> Camera:
    """Intrinsics whose pixel centres are whole numbers."""
    centre = (intrinsic[0, 2] + 0.5, intrinsic[1, 2] + 0.5)
    return pinhole(size, (intrinsic[0, 0], intrinsic[1, 1]), centre, where)


def _pose(matrix: np.ndarray) -> np.ndarray | str:
    """The depth camera's pose, or what is wrong with it."""
    if np.isneginf(matrix[0, 0]):
        return "the scanner had lost track"
    try:
        return poses.checked(matrix, "the pose")
    except UserError as error:
        return arkit.reason(error)


def _registered(depth: Camera, depth_to_rgb: np.ndarray, colour: Camera) -> bool:
    """Whether the depth camera's view is the colour camera's, but for the resolution."""
    if not np.allclose(depth_to_rgb, np.eye(4), atol=1e-6):
        return False
    same = colour.resized(depth.width, depth.height)
    corners = np.array([[0, 0], [depth.width, depth.height]], np.float64)
    seen = (corners - [depth.cx, depth.cy]) / [depth.fx, depth.fy]
    return bool(np.abs(seen * [same.fx, same.fy] + [same.cx, same.cy] - corners).max() < SAME_PIXEL)
