"""7-Scenes sequences: a Kinect's colour and depth cameras, which see different things, and the depth camera's poses."""

import math
from pathlib import Path

import numpy as np
from broken import ZIP_DAMAGE, Damage, absurd_png, cut, eight_bits, link_outside, renamed, replaced, without
from PIL import Image
from scene import Scene

from captures import render

from . import Dropped

SIZE = (96, 72)
RGB_FOV = math.degrees(2 * math.atan(320 / 525))
DEPTH_FOV = math.degrees(2 * math.atan(320 / 585))
# From the depth camera's axes (x right, y down, z forward) to the colour camera's; LIRIS's calibration of a Kinect.
DEPTH_TO_RGB = np.array(
    [
        [0.99996518012567637, 0.0026765126468950343, -0.0079041012313000904, -0.025558943178152542],
        [-0.0027409311281316700, 0.99996302803027592, -0.0081504520778013286, 0.00010109636268061706],
        [0.0078819942130445332, 0.0081718328771890631, 0.99993554558014031, 0.0020318321729487039],
        [0, 0, 0, 1],
    ]
)
TO_CV = np.diag([1.0, -1.0, -1.0, 1.0])


def write(folder: Path, scene: Scene) -> Path:
    """One sequence."""
    root = folder / "seq-01"
    root.mkdir(parents=True)
    for number in range(scene.frames):
        stem = root / f"frame-{number:06d}"
        Image.fromarray(scene.view(number, *SIZE, RGB_FOV)["rgb"]).save(f"{stem}.color.png")
        true = scene.true_pose(scene.time(number)) @ TO_CV @ DEPTH_TO_RGB
        seen = render(true @ TO_CV, *SIZE, DEPTH_FOV)
        unit = 100 if scene.fault == "wrong unit" else 1000
        depth = np.rint(seen["depth"] * unit).astype(np.uint16)
        depth[:3, :5] = 65535
        Image.fromarray(depth).save(f"{stem}.depth.png")
        pose = scene.opencv_pose(number) @ DEPTH_TO_RGB
        lines = ["\t ".join(f"{value:.7e}" for value in row) for row in pose]
        Path(f"{stem}.pose.txt").write_text("\t \n".join(lines) + "\t \n")
    return root


def rewrite(number: int, text: str) -> Damage:
    """Replace a pose."""
    return replaced(f"frame-{number:06d}.pose.txt", text.encode())


def all_poses(text: str) -> Damage:
    """Replace every pose."""

    def damage(root: Path) -> None:
        for path in root.glob("*.pose.txt"):
            path.write_text(text)

    return damage


def no_frames(root: Path) -> None:
    for path in root.glob("*.color.png"):
        path.unlink()


SCALED = "2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n"
MIRRORED = "1 0 0 0\n0 1 0 0\n0 0 -1 0\n0 0 0 1\n"
DAMAGE = {
    "no frames": (no_frames, r"has no frame-XXXXXX"),
    "missing pose": (without("frame-000002.pose.txt"), Dropped(1, r"frame-000002.pose.txt: not found")),
    "missing depth": (without("frame-000002.depth.png"), Dropped(1, r"has no depth")),
    "NaN pose": (rewrite(2, "nan 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"), Dropped(1, r"not finite")),
    "scaled pose": (rewrite(2, SCALED), Dropped(1, r"not rigid")),
    "mirrored pose": (rewrite(2, MIRRORED), Dropped(1, r"mirrored")),
    "half a pose": (rewrite(2, "1 0 0 0\n0 1 0"), Dropped(1, r"not 4x4")),
    "words for a pose": (rewrite(2, "tracking lost"), Dropped(1, r"not numbers")),
    "no pose is one": (all_poses(SCALED), r"6 of 6 frames.*not rigid"),
    "corrupt PNG": (cut("frame-000003.color.png"), Dropped(1, r"damaged: .*not a whole image")),
    "corrupt depth": (cut("frame-000003.depth.png"), Dropped(1, r"damaged: .*not a whole image")),
    "8-bit depth": (eight_bits("frame-000002.depth.png"), Dropped(1, r"depth has 8 bits")),
    "a link outside": (link_outside("frame-000001.color.png"), r"links outside"),
    "absurd size": (absurd_png("frame-000003.depth.png"), Dropped(1, r"damaged: .*not a whole image")),
    "a long name": (renamed, Dropped(0, "")),
    **ZIP_DAMAGE,
}
