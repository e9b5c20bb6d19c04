"""ARKitScenes: one video of Apple's data set of iPad Pro scans (the raw or the 3dod download).

Source of what is known: github.com/apple/ARKitScenes, DATA.md, raw/README.md, threedod/benchmark_scripts/utils/
tenFpsDataLoader.py (world-to-camera trajectory, matching within 5 ms) and rectify_im.py (world z is up).
"""

from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from tst.decoding import arkit
from tst.decoding.archives import Files
from tst.decoding.calibration import pinhole
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording
from tst.space import poses
from tst.space.camera import Camera

TRAJECTORY = "lowres_wide.traj"
SAME_MOMENT = 0.005
"""Seconds by which the times of what was taken at one moment differ, at most."""
LARGEST_GAP = 0.25
"""Seconds between two poses, which come 10 times a second, beyond which nothing is interpolated."""


def recognise(source: Path) -> str | None:
    """A lowres_wide.traj, in the folder or zip or in the `..._frames` in it."""
    try:
        if source.is_dir():
            found = (source / TRAJECTORY).is_file() or any(source.glob(f"*_frames/{TRAJECTORY}"))
        else:
            found = any(name == TRAJECTORY or name.endswith(f"_frames/{TRAJECTORY}") for name in Files(source))
    except (OSError, UserError):
        return None
    return TRAJECTORY if found else None


def read(source: Path, images: Literal["lowres_wide", "vga_wide", "wide"] = "lowres_wide") -> Recording:
    """Read one video's folder.

    Args:
        source: the folder named by the video's number, its `..._frames`, or a zip of either.
        images: which of the wide camera's images: `lowres_wide` (256x192, 60 a second; all downloads have it),
            `vga_wide` (640x480, 30 a second) or `wide` (1920x1440).

    Raises:
        UserError: a file is missing or damaged, or most frames have no pose or no intrinsics.
    """
    if images not in ("lowres_wide", "vga_wide", "wide"):
        raise UserError(f"--images: {images!r} is not known. Use lowres_wide, vga_wide or wide.")
    files = Files(source)
    root = _root(files)
    names, times = _by_time(files, root + images, ".png")
    if not names:
        raise UserError(f"{files.where(root + images)}: no images. Download the asset {images} of this video.")
    known_poses, posed = _poses(files, root + TRAJECTORY, times)
    cameras, camera_times = _by_time(files, f"{root}{images}_intrinsics", ".pincam")
    camera_of = poses.nearest(camera_times, times, SAME_MOMENT)
    others = {}
    for modality, folder in {"depth": "lowres_depth", "confidence": "confidence"}.items():
        of, of_times = _by_time(files, root + folder, ".png")
        others[modality] = (of, poses.nearest(of_times, times, SAME_MOMENT))

    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for i, name in enumerate(names):
        stem = PurePosixPath(name).stem
        camera: Camera | str = "no intrinsics of its time"
        if camera_of[i] >= 0:
            camera = _camera(files, cameras[camera_of[i]])
        if isinstance(camera, str):
            dropped.append(Dropped(stem, float(times[i]), camera))
        elif not posed[i]:
            dropped.append(Dropped(stem, float(times[i]), f"no poses within {LARGEST_GAP} s of each other around it"))
        else:
            values = {"rgb": files.values(name)}
            values |= {m: files.values(of[index[i]]) for m, (of, index) in others.items() if index[i] >= 0}
            frames.append(Frame(stem, values, camera, known_poses[i], float(times[i])))
    refuse_if_most(dropped, len(names), files.where(root + images))
    notes: dict[str, Any] = {"poses": f"{TRAJECTORY}, interpolated to the images' times"}
    return Recording(
        "arkitscenes",
        source,
        frames,
        notes,
        dropped=dropped,
        up=(0.0, 0.0, 1.0),
        continuous=True,
        full_confidence=2,
    )


def _root(files: Files) -> str:
    """The folder of the trajectory, with its slash."""
    found = [name for name in files if name == TRAJECTORY or name.partition("/")[2] == TRAJECTORY]
    if not found:
        raise UserError(
            f"{files.where(TRAJECTORY)}: not found. Name the folder of one video, and download its lowres_wide.traj."
        )
    return found[0].removesuffix(TRAJECTORY)


def _by_time(files: Files, folder: str, suffix: str) -> tuple[list[str], np.ndarray]:
    """Names of `<video>_<seconds><suffix>` in a folder, and their times, (N,) ascending without repetition."""
    timed: dict[float, str] = {}
    for name in files.names(folder, suffix):
        stem = PurePosixPath(name).name.removesuffix(suffix)
        if stem.startswith("."):
            continue
        try:
            time = float(stem.rsplit("_", 1)[-1])
        except ValueError:
            time = np.nan
        if not abs(time) < 1e12:
            raise UserError(f"{files.where(name)}: its name does not end in a time in seconds. Rename or remove it.")
        timed.setdefault(time, name)
    times = sorted(timed)
    return [timed[time] for time in times], np.array(times, np.float64)


def _poses(files: Files, name: str, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Camera-to-world (M, 4, 4) at the times `at` (M,), and which are known."""
    rows = files.numbers(files.require(name, "Download the asset lowres_wide.traj of this video."), 7)[:, :7]
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(rows).all(1) & (np.abs(rows[:, 1:4]) < 10).all(1)
        whole &= (np.abs(rows[:, 4:]) < poses.FURTHEST).all(1)
    rows = rows[whole]
    _, first = np.unique(rows[:, 0], return_index=True)  # ascending
    rows = rows[first]
    if len(rows) == 0:
        raise UserError(f"{files.where(name)}: holds no poses. Download it again.")
    rotation = Rotation.from_rotvec(rows[:, 1:4]).as_matrix()  # world to camera
    known = np.tile(np.eye(4), (len(rows), 1, 1))
    known[:, :3, :3] = rotation.transpose(0, 2, 1)
    known[:, :3, 3] = -np.einsum("nji,nj->ni", rotation, rows[:, 4:])
    times = rows[:, 0]
    # The first and last image may be off the first and last pose by what the times in names are rounded by.
    inside = np.where(np.abs(at - at.clip(times[0], times[-1])) <= SAME_MOMENT, at.clip(times[0], times[-1]), at)
    return poses.interpolated(times, known, inside, LARGEST_GAP)


def _camera(files: Files, name: str) -> Camera | str:
    """The camera of a .pincam (`width height fx fy cx cy`), or what is wrong with it."""
    try:
        numbers = files.numbers(name, 6)
        if len(numbers) != 1:
            return f"{PurePosixPath(name).name} has {len(numbers)} lines, not 1"
        width, height, fx, fy, cx, cy = numbers[0, :6]
        return pinhole((width, height), (fx, fy), (cx, cy), PurePosixPath(name).name)
    except UserError as error:
        return arkit.reason(error)
