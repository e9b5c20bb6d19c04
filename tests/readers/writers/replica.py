"""Replica as NICE-SLAM renders it: results/frame*.jpg and depth*.png (6553.5 a metre), traj.txt, cam_params.json."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from broken import ZIP_DAMAGE, absurd_png, cut, eight_bits, link_outside, renamed, replaced, without
from PIL import Image
from scene import Scene

from . import Dropped

SIZE = (120, 68)
FOV = math.degrees(2 * math.atan(600 / 600))  # 600 pixels of 1200
CAMERA = {"w": 1200, "h": 680, "fx": 600.0, "fy": 600.0, "cx": 599.5, "cy": 339.5, "scale": 6553.5}
TO_WORLD = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # the room has y up, Replica z


def write(folder: Path, scene: Scene) -> Path:
    """The room `room0`, with its camera's parameters beside it."""
    root = folder / "Replica" / "room0"
    (root / "results").mkdir(parents=True)
    lines = []
    for number in range(scene.frames):
        seen = scene.view(number, *SIZE, FOV)
        Image.fromarray(seen["rgb"]).save(root / "results" / f"frame{number:06d}.jpg", quality=95)
        depth = np.rint(seen["depth"] * 6553.5).astype(np.uint16)
        Image.fromarray(depth).save(root / "results" / f"depth{number:06d}.png")
        pose = TO_WORLD @ scene.opencv_pose(number)
        lines.append(" ".join(f"{value:.18e}" for value in pose.ravel()))
    (root / "traj.txt").write_text("\n".join(lines) + "\n")
    (root.parent / "cam_params.json").write_text(json.dumps({"camera": CAMERA}))
    return root


def line(number: int, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change a line of traj.txt."""

    def damage(root: Path) -> None:
        lines = (root / "traj.txt").read_text().splitlines()
        lines[number] = " ".join(change(lines[number].split()))
        (root / "traj.txt").write_text("\n".join(lines) + "\n")

    return damage


def lines(count: int) -> Callable[[Path], None]:
    """Keep the first lines of traj.txt."""

    def damage(root: Path) -> None:
        (root / "traj.txt").write_text("\n".join((root / "traj.txt").read_text().splitlines()[:count]) + "\n")

    return damage


def parameters(**values: Any) -> Callable[[Path], None]:
    """Change cam_params.json."""
    return lambda root: (root.parent / "cam_params.json").write_text(json.dumps({"camera": CAMERA | values})) and None


DAMAGE = {
    "missing poses": (without("traj.txt"), r"traj.txt: not found"),
    "fewer poses than frames": (lines(4), Dropped(2, r"traj.txt has only 4 lines")),
    "too few poses": (lines(2), r"4 of 6 frames .*traj.txt has only 2 lines"),
    "NaN pose": (line(2, lambda values: ["nan", *values[1:]]), Dropped(1, r"not finite")),
    "scaled pose": (line(2, lambda values: [str(2 * float(v)) for v in values]), Dropped(1, r"not rigid")),
    "half a pose": (line(2, lambda values: values[:8]), r"traj.txt: line 3 has 8 numbers, not 16"),
    "words for a pose": (line(2, lambda values: ["lost"]), r"traj.txt: line 3 .*not numbers"),
    "zero focal length": (parameters(fx=0), r'cam_params.json: "fx" of "camera" is 0'),
    "no depth scale": (parameters(scale=None), r'cam_params.json: "scale" of "camera" is None'),
    "another aspect": (parameters(h=1200), r"damaged|intrinsics are for 1200x1200"),
    "no JSON": (replaced("../cam_params.json", b"{"), r"not valid JSON"),
    "corrupt JPEG": (cut("results/frame000003.jpg"), Dropped(1, r"damaged: .*not a whole image")),
    "corrupt depth": (cut("results/depth000003.png"), Dropped(1, r"damaged: .*not a whole image")),
    "missing depth": (without("results/depth000001.png"), Dropped(1, r"has no depth")),
    "8-bit depth": (eight_bits("results/depth000002.png"), Dropped(1, r"depth has 8 bits")),
    "a link outside": (link_outside("results/frame000001.jpg"), r"links outside"),
    "absurd size": (absurd_png("results/depth000003.png"), Dropped(1, r"damaged: .*not a whole image")),
    "a long name": (renamed, Dropped(0, "")),
    **ZIP_DAMAGE,
    "all rooms at once": (lambda root: root.parent, r"Give one room: room0"),
}
