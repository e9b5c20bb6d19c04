"""TUM RGB-D folders: lists of times and files, depth 5000 a metre, poses at a higher rate than the images."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from broken import ZIP_DAMAGE, absurd_png, cut, eight_bits, link_outside, renamed, without
from PIL import Image
from scene import Scene

from . import Dropped

SIZE = (96, 72)
FOV = math.degrees(2 * math.atan(320 / 525))  # the nominal Kinect: 525 pixels of 640x480
POSE_RATE = 100.0
DEPTH_LATER = 0.012
"""Seconds by which the depth's clock is behind the colour's."""
# The motion capture's world has z up, the room y.
TO_WORLD = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def quaternion(rotation: np.ndarray) -> list[float]:
    """(x, y, z, w) of a rotation matrix."""
    w = math.sqrt(max(0.0, 1 + np.trace(rotation))) / 2
    if w > 1e-3:
        x, y, z = (rotation[[2, 0, 1], [1, 2, 0]] - rotation[[1, 2, 0], [2, 0, 1]]) / (4 * w)
        return [x, y, z, w]
    x, y, z = (math.sqrt(max(0.0, 1 + 2 * rotation[k, k] - np.trace(rotation))) / 2 for k in range(3))
    return [x, math.copysign(y, rotation[0, 1] + rotation[1, 0]), math.copysign(z, rotation[0, 2] + rotation[2, 0]), w]


def pose_line(scene: Scene, time: float) -> str:
    """`timestamp tx ty tz qx qy qz qw` of the colour camera."""
    pose = TO_WORLD @ scene.pose_at(time) @ np.diag([1.0, -1.0, -1.0, 1.0])
    values = [*pose[:3, 3], *quaternion(pose[:3, :3])]
    return " ".join([f"{time:.4f}", *(f"{value:.7f}" for value in values)])


def write(folder: Path, scene: Scene) -> Path:
    """A sequence whose name does not tell the camera."""
    root = folder / "rgbd_dataset_room"
    for name in ("rgb", "depth"):
        (root / name).mkdir(parents=True)
    lists: dict[str, list[str]] = {"rgb": [], "depth": []}
    for number in range(scene.frames):
        seen, time = scene.view(number, *SIZE, FOV), scene.time(number)
        Image.fromarray(seen["rgb"]).save(root / "rgb" / f"{time:.6f}.png")
        Image.fromarray(np.rint(seen["depth"] * 5000).astype(np.uint16)).save(
            root / "depth" / f"{time + DEPTH_LATER:.6f}.png"
        )
        lists["rgb"].append(f"{time:.6f} rgb/{time:.6f}.png")
        lists["depth"].append(f"{time + DEPTH_LATER:.6f} depth/{time + DEPTH_LATER:.6f}.png")
    for name, lines in lists.items():
        header = [f"# {name} images", "# file: 'room.bag'", "# timestamp filename"]
        (root / f"{name}.txt").write_text("\n".join([*header, *lines]) + "\n")
    count = int((scene.frames + 1) / scene.rate * POSE_RATE)
    times = scene.start - 0.5 / scene.rate + (np.arange(count) + 0.37) / POSE_RATE
    lines = ["# ground truth trajectory", "# timestamp tx ty tz qx qy qz qw"]
    (root / "groundtruth.txt").write_text("\n".join([*lines, *(pose_line(scene, t) for t in times)]) + "\n")
    return root


def edit(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change the lines of a text file that are no comments."""

    def damage(root: Path) -> None:
        lines = (root / name).read_text().splitlines()
        comments = [line for line in lines if line.startswith("#")]
        rest = [line for line in lines if not line.startswith("#")]
        (root / name).write_text("\n".join([*comments, *change(rest)]) + "\n")

    return damage


def poses_between(first: float, last: float, values: str | None) -> Callable[[Path], None]:
    """Replace the poses of a span of time (seconds from the start), or remove them."""

    def change(lines: list[str]) -> list[str]:
        start = float(lines[0].split()[0])
        result = []
        for line in lines:
            time = line.split()[0]
            if not first <= float(time) - start <= last:
                result.append(line)
            elif values is not None:
                result.append(f"{time} {values}")
        return result

    return edit("groundtruth.txt", change)


DAMAGE = {
    **ZIP_DAMAGE,
    "missing list": (without("rgb.txt"), r"rgb.txt: not found"),
    "empty list": (edit("rgb.txt", lambda lines: []), r"rgb.txt: lists no images"),
    "a line without a file": (edit("rgb.txt", lambda lines: [*lines, "1000.9"]), r"rgb.txt: line 10 .*not a time"),
    "absurd time": (edit("rgb.txt", lambda lines: ["1e300 rgb/x.png", *lines]), r"rgb.txt: line 4 .*not a time"),
    "missing images": (without("rgb/1000.200000.png"), Dropped(1, r"rgb/1000.200000.png is missing")),
    "missing depth": (without("depth/1000.212000.png"), Dropped(1, r"no depth within 0.02 s")),
    "most depth is missing": (edit("depth.txt", lambda lines: lines[:2]), r"4 of 6 frames .*no depth within"),
    "paths that lead outside": (
        edit("rgb.txt", lambda lines: [*lines[:5], "1000.5 ../../../etc/passwd"]),
        Dropped(1, r"passwd is missing"),
    ),
    "a link outside": (link_outside("rgb/1000.100000.png"), r"links outside"),
    "corrupt PNG": (cut("rgb/1000.300000.png"), Dropped(1, r"damaged: .*not a whole image")),
    "corrupt depth": (cut("depth/1000.312000.png"), Dropped(1, r"damaged: .*not a whole image")),
    "8-bit depth": (eight_bits("depth/1000.212000.png"), Dropped(1, r"depth has 8 bits")),
    "NaN poses": (poses_between(0.2, 0.4, " ".join(["nan"] * 7)), Dropped(2, r"has no pose")),
    "quaternions 0": (poses_between(0.2, 0.4, "1 1 1 0 0 0 0"), Dropped(2, r"has no pose")),
    "poses far away": (poses_between(0.2, 0.4, "1e9 1 1 0 0 0 1"), Dropped(2, r"has no pose")),
    "the motion capture lost it": (poses_between(0.2, 0.4, None), Dropped(2, r"has no pose")),
    "no poses": (poses_between(-1, 1e9, None), r"groundtruth.txt: holds no poses"),
    "words for poses": (poses_between(0.2, 0.4, "a b c d e f g"), r"groundtruth.txt: line \d+ .*not numbers"),
    "clock going backwards": (
        edit("rgb.txt", lambda lines: [*lines[:4], lines[5], lines[4]]),
        Dropped(1, r"clock goes backwards"),
    ),
    "absurd size": (absurd_png("rgb/1000.300000.png"), Dropped(1, r"damaged: .*not a whole image")),
    "a long name": (renamed, Dropped(0, "")),
}
