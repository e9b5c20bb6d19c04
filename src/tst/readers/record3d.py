"""Record3D (iPhone, iPad): an .r3d file, or the folder of its "EXR + JPG" export.

Layout: the author's answers at github.com/marek-simonik/record3d (issues 7, 18, 27, 64, 67, 81, 83, 93): `metadata` in
JSON; rgbd/N.jpg, N.depth (LZFSE, float32 metres by rows), N.conf (LZFSE, 0 to 2); or rgb/N.jpg and depth/N.exr. Depth
is registered to the image and lies as it does, portrait or landscape; intrinsics are the image's, poses OpenGL's.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tst.decoding import arkit, exr, lzfse
from tst.decoding.archives import Files, holds
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space.camera import Camera
from tst.space.poses import OPENGL_TO_OPENCV

LARGEST_SIDE = 16384
LARGEST_DEPTH_SIDE = 4096
LIDAR = (256, 192)
NO_POSE = [0, 0, 0, 1, 0, 0, 0]


def recognise(source: Path) -> str | None:
    """The file metadata and rgbd/, in an .r3d file or unpacked; or metadata.json, rgb/ and depth/."""
    if holds(source, "metadata", "rgbd"):
        return "metadata and rgbd/"
    return "metadata.json, rgb/ and depth/" if holds(source, "metadata.json", "rgb", "depth") else None


def read(source: Path) -> Recording:
    """Read an .r3d file (also unpacked), or the folder of an EXR + JPG export (also as a zip).

    Raises:
        UserError: a file is missing or damaged, or more than half of the frames are unusable.
    """
    files = Files(source)
    exported = "metadata.json" in files
    name, folder = ("metadata.json", "rgb") if exported else ("metadata", "rgbd")
    metadata, where = files.json(name), files.where(name)
    poses = metadata.get("poses") if isinstance(metadata, dict) else None
    if not isinstance(poses, list):
        raise UserError(f'{where}: has no list "poses". Export the recording again.')
    width, height = _side(metadata, "w", where), _side(metadata, "h", where)
    times = _times(metadata, len(poses), where)
    intrinsics, notes = _intrinsics(metadata, len(poses), where)
    posed = any(pose != NO_POSE for pose in poses)
    if not posed:
        notes["poses"] = "none in the capture, as with the selfie camera"
    depth_shape = _depth_shape(metadata, (width, height), where)
    sure = bool(files.names(folder, ".conf"))
    without_pose = set(files.names(folder, ".jpg"))
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, time in enumerate(times):
        without_pose.discard(f"{folder}/{number}.jpg")
        images = _exported(files, number) if exported else _packed(files, number, depth_shape)
        pose = _pose(poses[number]) if posed else None
        camera = _camera(intrinsics[number], width, height)
        if not math.isfinite(time):
            reason = "its time is not a number"
        elif frames and time <= (frames[-1].time or 0):
            reason = "its clock goes backwards"
        elif missing := [what for what in ("rgb", "depth", *["confidence"] * sure) if what not in images]:
            reason = f"no {missing[0]} image"
        elif isinstance(camera, str):
            reason = camera
        elif isinstance(pose, str):
            reason = pose
        else:
            frames.append(Frame(f"{number:06d}", images, camera, pose, time, depth_scale=1000.0))
            continue
        dropped.append(Dropped(f"{number:06d}", time if math.isfinite(time) else None, reason))
    dropped += [Dropped(Path(name).stem, None, f"no pose in {Path(where).name}") for name in sorted(without_pose)]
    refuse_if_most(dropped, len(frames) + len(dropped), where)
    up = arkit.UP if posed and not _relative(frames[0].pose) else None
    if posed and up is None:
        notes["up"] = "unknown: this version of the app gives poses relative to the first image"
    return Recording("record3d", source, frames, notes, dropped=dropped, up=up, continuous=True, full_confidence=2)


def _packed(files: Files, number: int, shape: tuple[int, int]) -> dict[str, Path | Values]:
    """Images of a frame of an .r3d file; `shape` of the depth is (height, width)."""

    def values(name: str, dtype: str) -> Values:
        where, size = files.where(name), math.prod(shape) * np.dtype(dtype).itemsize

        def load(_: int | None) -> np.ndarray:
            # What LZFSE cannot shrink it stores as it is, in blocks with a short header.
            data = files.read(name, size + size // 16 + 4096)
            return lzfse.unpacked(data, size, where).view(dtype).reshape(shape)

        return Values(where, load)

    images: dict[str, Path | Values] = {}
    if (name := f"rgbd/{number}.jpg") in files:
        images["rgb"] = files.values(name)
    if (name := f"rgbd/{number}.depth") in files:
        images["depth"] = values(name, "<f4")
    if (name := f"rgbd/{number}.conf") in files:
        images["confidence"] = values(name, "u1")
    return images


def _exported(files: Files, number: int) -> dict[str, Path | Values]:
    """Images of a frame of an EXR + JPG export."""
    images: dict[str, Path | Values] = {}
    if (name := f"rgb/{number}.jpg") in files:
        images["rgb"] = files.values(name)
    if (name := f"depth/{number}.exr") in files:
        images["depth"] = files.values(name, partial(exr.channel, where=files.where(name)))
    return images


def _number(value: Any) -> float:
    """`value`, or NaN if it is no number."""
    try:
        return math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, OverflowError):
        return math.nan


def _side(metadata: dict[str, Any], key: str, where: str, largest: int = LARGEST_SIDE) -> int:
    value = _number(metadata.get(key))
    if not (1 <= value <= largest and value == int(value)):
        raise UserError(f'{where}: "{key}" is {str(metadata.get(key))[:40]}, no size of an image. Export it again.')
    return int(value)


def _depth_shape(metadata: dict[str, Any], size: tuple[int, int], where: str) -> tuple[int, int]:
    """(height, width); versions that do not say it have the LiDAR's, lying as the image does."""
    if "dw" not in metadata and "dh" not in metadata:
        return (min(LIDAR), max(LIDAR)) if size[0] > size[1] else (max(LIDAR), min(LIDAR))
    height, width = (_side(metadata, key, where, LARGEST_DEPTH_SIDE) for key in ("dh", "dw"))
    return height, width


def _times(metadata: dict[str, Any], count: int, where: str) -> list[float]:
    """Seconds from the start of the recording; older versions only have a frame rate."""
    stamps = metadata.get("frameTimestamps")
    if stamps is None:
        fps = _number(metadata.get("fps"))
        if not 0 < fps < 10_000:
            raise UserError(f'{where}: has neither "frameTimestamps" nor a frame rate "fps". Export it again.')
        return [number / fps for number in range(count)]
    if not isinstance(stamps, list) or len(stamps) != count:
        found = len(stamps) if isinstance(stamps, list) else "no list of"
        raise UserError(f'{where}: has {count} poses and {found} "frameTimestamps". Export the recording again.')
    return [_number(stamp) for stamp in stamps]


def _intrinsics(metadata: dict[str, Any], count: int, where: str) -> tuple[list[Any], dict[str, Any]]:
    """What is given as (fx, fy, cx, cy) of each frame, and notes; older versions only have a matrix, by columns."""
    each = metadata.get("perFrameIntrinsicCoeffs")
    if each:
        if not isinstance(each, list) or len(each) != count:
            raise UserError(f'{where}: has {count} poses and other "perFrameIntrinsicCoeffs". Export it again.')
        return each, {}
    matrix = metadata.get("K")
    if not isinstance(matrix, list) or len(matrix) != 9:
        raise UserError(f'{where}: "K" is not nine numbers. Export the recording again.')
    return [[matrix[0], matrix[4], matrix[6], matrix[7]]] * count, {"intrinsics": "of the first frame; taken for all"}


def _camera(given: Any, width: int, height: int) -> Camera | str:
    fx, fy, cx, cy = [_number(v) for v in given] if isinstance(given, list) and len(given) == 4 else [math.nan] * 4
    if not (0 < fx < 1e6 and 0 < fy < 1e6 and 0 <= cx <= width and 0 <= cy <= height):
        return f"its intrinsics {str(given)[:60]} do not fit an image of {width}x{height}"
    return Camera(width, height, fx, fy, cx, cy)


def _pose(given: Any) -> np.ndarray | str:
    if not isinstance(given, list) or len(given) != 7:
        return "its pose is not seven numbers"
    numbers = [_number(value) for value in given]
    pose = arkit.pose(numbers[:4], numbers[4:])
    return pose if isinstance(pose, str) else pose @ OPENGL_TO_OPENCV


def _relative(first: np.ndarray | None) -> bool:
    """Whether the first pose is no rotation: no hand holds a phone so straight."""
    return first is not None and np.abs(first[:3, :3] - OPENGL_TO_OPENCV[:3, :3]).max() < 1e-6
