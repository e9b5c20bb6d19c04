"""The 7-Scenes data set: seq-XX/frame-XXXXXX.color.png, .depth.png and .pose.txt, of a Kinect.

What is known of the format, and from where: docs/captures/seven_scenes.md.
"""

import re
from functools import partial
from pathlib import Path

import numpy as np

from tst.decoding.archives import Files
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording
from tst.space import images, poses
from tst.space.camera import Camera

RGB_CAMERA = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
DEPTH_CAMERA = Camera(640, 480, 585.0, 585.0, 320.0, 240.0)
DEPTH_TO_RGB = np.array(
    [
        [9.9996518012567637e-01, 2.6765126468950343e-03, -7.9041012313000904e-03, -2.5558943178152542e-02],
        [-2.7409311281316700e-03, 9.9996302803027592e-01, -8.1504520778013286e-03, 1.0109636268061706e-04],
        [7.8819942130445332e-03, 8.1718328771890631e-03, 9.9993554558014031e-01, 2.0318321729487039e-03],
        [0, 0, 0, 1],
    ]
)
"""Of another Kinect, calibrated by LIRIS (Lyon); what works on this data set use it for want of its own."""
UNKNOWN = 65535
FRAME = re.compile(r"(?:(seq-\d{1,4})/)?(frame-\d{1,9})\.color\.png")
REMEDY = "Correct the pose, or remove the frame."


def recognise(source: Path) -> str | None:
    """frame-XXXXXX.color.png, in a sequence or a scene of them, in a folder or zipped."""
    try:
        if source.is_dir():
            if next(source.glob("frame-*.color.png"), None) or next(source.glob("seq-*/frame-*.color.png"), None):
                return "frame-XXXXXX.color.png"
            return "seq-XX.zip" if next(source.glob("seq-[0-9]*.zip"), None) else None
        return "frame-XXXXXX.color.png" if any(map(FRAME.fullmatch, Files(source))) else None
    except (OSError, UserError):
        return None


def read(source: Path) -> Recording:
    """Read a sequence (seq-XX, a folder or its zip) or a scene of several.

    Raises:
        UserError: there are no frames, or most of them are damaged.
    """
    files = Files(source)
    splits = _splits(files)
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for sequence, part, prefix, frame in _listed(files):
        name = f"{sequence}-{frame}" if sequence else frame
        try:
            pose = _pose(part, f"{prefix}{frame}.pose.txt")
        except UserError as error:
            dropped.append(Dropped(name, None, str(error)))
            continue
        values = {"rgb": part.values(f"{prefix}{frame}.color.png")}
        if (depth := f"{prefix}{frame}.depth.png") in part:
            values["depth"] = part.values(depth, partial(_depth, where=part.where(depth)))
        frames.append(
            Frame(
                name,
                values,
                RGB_CAMERA,
                pose,
                split=splits.get(sequence),
                depth_camera=DEPTH_CAMERA,
                depth_to_rgb=DEPTH_TO_RGB,
            )
        )
    refuse_if_most(dropped, len(frames) + len(dropped), str(source))
    notes = {"intrinsics": "nominal, and the offset between the cameras that of another Kinect: the set gives none"}
    return Recording("seven_scenes", source, frames, notes, dropped=dropped, continuous=True)


def _listed(files: Files) -> list[tuple[str, Files, str, str]]:
    """Sequence ("" for a single one), where its files are, what goes before their names, and name of each frame."""
    found = [(match[1] or "", files, match[2]) for name in files if (match := FRAME.fullmatch(name))]
    packed = [name for name in files if re.fullmatch(r"seq-\d+\.zip", name)]
    if not found and packed:
        for name in packed:
            path = files.path(name)
            if path is None:
                raise UserError(f"{files.source}: holds its sequences as zips ({name}). Unpack it once.")
            part = Files(path)
            found += [(name.removesuffix(".zip"), part, match[2]) for n in part if (match := FRAME.fullmatch(n))]
    if not found:
        raise UserError(f"{files.source}: has no frame-XXXXXX.color.png. Give a sequence (seq-XX) or a scene of them.")
    return [
        (sequence, part, f"{sequence}/" if part is files and sequence else "", frame)
        for sequence, part, frame in sorted(found, key=lambda item: (item[0], item[2]))
    ]


def _splits(files: Files) -> dict[str, str]:
    """Split of each sequence, by the scene's TrainSplit.txt and TestSplit.txt ("sequence1" a line)."""
    splits: dict[str, str] = {}
    for split, name in (("train", "TrainSplit.txt"), ("test", "TestSplit.txt")):
        if name in files:
            splits |= {f"seq-{int(number):02d}": split for number in re.findall(r"sequence(\d{1,4})", files.text(name))}
    return splits


def _pose(files: Files, name: str) -> np.ndarray:
    """Camera-to-world of the colour camera; the file has the depth camera's."""
    matrix = files.numbers(files.require(name, REMEDY))
    return poses.checked(matrix, files.where(name), REMEDY) @ poses.inverse(DEPTH_TO_RGB)


def _depth(data: bytes, where: str) -> np.ndarray:
    """Millimetres, 0 where unknown."""
    depth, _, _ = images.decode(data, where)
    return np.where(depth == UNKNOWN, 0, depth).astype(depth.dtype)
