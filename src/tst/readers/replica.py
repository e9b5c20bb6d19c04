"""Replica rooms as rendered for NICE-SLAM: results/frame000000.jpg, results/depth000000.png, traj.txt, cam_params.json.

What is known of the format, and from where: docs/captures/replica.md.
"""

import json
import re
from pathlib import Path
from typing import Any

from tst.decoding.archives import Files, holds
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording
from tst.space import poses
from tst.space.camera import Camera

FRAME = re.compile(r"results/frame(\d{1,9})\.(?:jpg|png)")
PARAMETERS = "cam_params.json"
KNOWN = {"w": 1200, "h": 680, "fx": 600.0, "fy": 600.0, "cx": 599.5, "cy": 339.5, "scale": 6553.5}
"""What cam_params.json holds for all rooms of that download; `scale`: depth units a metre."""


def recognise(source: Path) -> str | None:
    """traj.txt beside results/."""
    return "traj.txt and results/" if holds(source, "traj.txt", "results") else None


def read(source: Path) -> Recording:
    """Read one room: its folder, or a zip of it. cam_params.json may lie in it or, as in the download, beside it.

    Raises:
        UserError: traj.txt is missing or damaged, or most frames have no pose.
    """
    files = Files(source)
    numbers = {int(match[1]): name for name in files if (match := FRAME.fullmatch(name))}
    if not numbers:
        rooms = sorted({name.split("/")[0] for name in files if FRAME.fullmatch(name.partition("/")[2])})
        hint = f"Give one room: {', '.join(rooms[:8])}." if rooms else "Is this a room of NICE-SLAM's Replica.zip?"
        raise UserError(f"{source}: has no results/frame000000.jpg. {hint}")
    matrices = files.numbers("traj.txt", columns=16)[:, :16].reshape(-1, 4, 4)
    notes: dict[str, str] = {}
    camera, depth_scale = _camera(source, files, notes)
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for number, name in sorted(numbers.items()):
        frame_id = f"{number:06d}"
        if number >= len(matrices):
            dropped.append(Dropped(frame_id, None, f"traj.txt has only {len(matrices)} lines"))
            continue
        try:
            pose = poses.checked(matrices[number], f"traj.txt: the pose of frame {number}")
        except UserError as error:
            dropped.append(Dropped(frame_id, None, str(error)))
            continue
        values = {"rgb": files.values(name)}
        depth = re.sub(r"frame(\d+)\.\w+$", r"depth\1.png", name)
        if depth in files:
            values["depth"] = files.values(depth)
        frames.append(Frame(frame_id, values, camera, pose, depth_scale=depth_scale))
    refuse_if_most(dropped, len(numbers), str(source))
    return Recording("replica", source, frames, notes, dropped=dropped, up=(0.0, 0.0, 1.0), continuous=True)


def _camera(source: Path, files: Files, notes: dict[str, str]) -> tuple[Camera, float]:
    """The camera, and millimetres a depth unit."""
    beside = source.resolve().parent / PARAMETERS
    if PARAMETERS in files:
        where, value = files.where(PARAMETERS), files.json(PARAMETERS)
    elif beside.is_file():
        where = str(beside)
        try:
            with beside.open("rb") as file:
                value = json.loads(file.read(1 << 20))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{where}: not valid JSON ({error}). Restore the file from its source.") from None
    else:
        notes["intrinsics"] = f"assumed: those of NICE-SLAM's download (there is no {PARAMETERS})"
        where, value = PARAMETERS, {"camera": KNOWN}
    values = value.get("camera") if isinstance(value, dict) else None

    def number(name: str) -> float:
        found: Any = values.get(name) if isinstance(values, dict) else None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 1e6:
            raise UserError(f'{where}: "{name}" of "camera" is {found!r}, no number above 0. Correct it.')
        return float(found)

    width, height = round(number("w")), round(number("h"))
    # Whole numbers are the centres of pixels there, and 0.5 is ours: 599.5 of 1200 pixels is the middle.
    camera = Camera(width, height, number("fx"), number("fy"), number("cx") + 0.5, number("cy") + 0.5)
    return camera, 1000 / number("scale")
