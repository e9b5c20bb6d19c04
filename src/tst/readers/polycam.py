"""Polycam's raw data export (iPhone, iPad with LiDAR): keyframes/{images,cameras,depth,confidence} and corrected ones.

Layout and units: README of github.com/PolyCam/polyform; OpenGL camera axes as in its and nerfstudio's converters.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tst.decoding import arkit
from tst.decoding.archives import Files, holds
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space import poses
from tst.space.camera import Camera

ROOT = "keyframes"
BLURRED = 25.0
"""Polycam's score below which nerfstudio leaves an image out, too; lower is more blurred."""
LARGEST_SIDE = 16384
LARGEST_JSON = 1 << 20


def recognise(source: Path) -> str | None:
    """keyframes/images and keyframes/cameras (or corrected ones), in a folder or a zip."""
    for prefix in ("", "corrected_"):
        if holds(source, f"{ROOT}/{prefix}images", f"{ROOT}/{prefix}cameras"):
            return f"{ROOT}/{prefix}images and {ROOT}/{prefix}cameras"
    return None


def read(source: Path) -> Recording:
    """Read a raw export: its folder, or the zip that the app shares.

    The corrected keyframes are taken where Polycam has made them: their images have no distortion, and their poses no
    drift. Plain and corrected ones are never mixed, as their worlds differ.

    Raises:
        UserError: a file is missing or damaged, or more than half of the keyframes are unusable.
    """
    files = Files(source)
    plain, corrected = _stamps(files, ""), _stamps(files, "corrected_")
    prefix = "corrected_" if corrected else ""
    every = sorted(plain | corrected, key=lambda stamp: (len(stamp), stamp))
    notes: dict[str, Any] = {
        "keyframes": "corrected by Polycam: without distortion and drift" if corrected else "plain"
    }
    if not corrected:
        notes["distortion"] = "a little, left in the images, which are taken as pinhole; Polycam has not corrected them"
    present = [what for what in ("depth", "confidence") if files.names(f"{ROOT}/{what}", ".png")]
    if "depth" not in present:
        notes["depth"] = "none in the capture"
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for stamp in every:
        time = int(stamp) / 1e6
        try:
            images = _images(files, stamp, prefix, present)
            camera, pose, blur = _keyframe(files, f"{ROOT}/{prefix}cameras/{stamp}.json")
        except UserError as error:
            dropped.append(Dropped(stamp, time, arkit.reason(error)))
            continue
        against = f"Polycam's blur score is {blur:.3g}, below {BLURRED:g}" if blur < BLURRED else None
        frames.append(Frame(stamp, images, camera, pose, time, against=against))
    refuse_if_most(dropped, len(every), files.where(ROOT))
    return Recording("polycam", source, frames, notes, dropped=dropped, up=arkit.UP, continuous=True)


def _stamps(files: Files, prefix: str) -> set[str]:
    """Names of the keyframes, which are their microseconds."""
    names = {name.rsplit("/", 1)[1][: -len(".json")] for name in files.names(f"{ROOT}/{prefix}cameras", ".json")}
    return {name for name in names if name.isascii() and name.isdecimal() and len(name) < 20}


def _images(files: Files, stamp: str, prefix: str, present: list[str]) -> dict[str, Path | Values]:
    """Depth is in millimetres, and lies as the image does."""
    names = {"rgb": f"{prefix}images/{stamp}.jpg"} | {what: f"{what}/{stamp}.png" for what in present}
    for what, name in names.items():
        if f"{ROOT}/{name}" not in files:
            raise UserError(f"no {what} image ({name})")
    return {what: files.values(f"{ROOT}/{name}") for what, name in names.items()}


def _keyframe(files: Files, name: str) -> tuple[Camera, np.ndarray, float]:
    """Camera, OpenCV camera-to-world pose and blur score (infinite where there is none) from a camera's JSON."""
    if files.size(name) > LARGEST_JSON:
        raise UserError(f"{name} is larger than {LARGEST_JSON} bytes")
    value = files.json(name)
    if not isinstance(value, dict):
        raise UserError(f"{name} holds no camera")
    fx, fy, cx, cy, width, height = (_number(value, key, name) for key in ("fx", "fy", "cx", "cy", "width", "height"))
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE and 0 < fx < 1e6 and 0 < fy < 1e6):
        raise UserError(f"{name}: fx {fx:g}, fy {fy:g} and {width:g}x{height:g} pixels are not a camera's")
    rows = [[_number(value, f"t_{row}{column}", name) for column in range(4)] for row in range(3)]
    pose = poses.checked(rows, f"{name}: the pose") @ poses.OPENGL_TO_OPENCV
    blur = _number(value, "blur_score", name) if "blur_score" in value else math.inf
    return Camera(round(width), round(height), fx, fy, cx, cy), pose, blur


def _number(value: dict[str, Any], key: str, name: str) -> float:
    number = value.get(key)
    if type(number) is float:
        return number
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise UserError(f"{name}: {key} is {str(number)[:40]}, not a number")
    try:
        return float(number)
    except OverflowError:
        return math.inf
