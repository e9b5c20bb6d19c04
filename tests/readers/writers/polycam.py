"""Polycam's raw export: keyframes named by their microseconds, plain ones and ones that Polycam has corrected."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken
import numpy as np
from PIL import Image
from scene import Scene

from writers import Dropped

SIZE, DEPTH_SIZE = (96, 72), (64, 48)
START = 9_999_900_000
"""Microseconds of the first keyframe: the others have a digit more."""


def stamp(number: int) -> int:
    return START + 100_000 * number


def write(folder: Path, scene: Scene, *, corrected: bool = True, blur: float = 80.0) -> Path:
    """Keyframes; the plain ones have drifted poses where there are corrected ones."""
    root = folder / "raw data" / "keyframes"
    for name in ("depth", "confidence"):
        (root / name).mkdir(parents=True)
    for prefix in ("", "corrected_") if corrected else ("",):
        (root / f"{prefix}images").mkdir()
        (root / f"{prefix}cameras").mkdir()
        for number in range(scene.frames):
            drift = 0.2 * number if corrected and not prefix else 0.0
            values = camera(scene.pose(number), drift, blur)
            (root / f"{prefix}cameras" / f"{stamp(number)}.json").write_text(json.dumps(values))
            image = Image.fromarray(scene.view(number, *SIZE)["rgb"])
            image.save(root / f"{prefix}images" / f"{stamp(number)}.jpg", quality=95)
    for number in range(scene.frames):
        depth = np.rint(scene.view(number, *DEPTH_SIZE)["depth"] * 1000).astype(np.uint16)
        Image.fromarray(depth).save(root / "depth" / f"{stamp(number)}.png")
        Image.fromarray(np.full(depth.shape, 255, np.uint8)).save(root / "confidence" / f"{stamp(number)}.png")
    (root.parent / "mesh_info.json").write_text('{"alignmentTransform": []}')
    return root.parent


def camera(pose: np.ndarray, drift: float, blur: float) -> dict[str, Any]:
    """A camera's JSON; t_ij by rows, OpenGL axes."""
    values = {f"t_{row}{column}": float(pose[row, column]) for row in range(3) for column in range(4)}
    values["t_03"] += drift
    intrinsics = {"fx": SIZE[0] / 2, "fy": SIZE[0] / 2, "cx": SIZE[0] / 2, "cy": SIZE[1] / 2}
    return {**values, **intrinsics, "width": SIZE[0], "height": SIZE[1], "blur_score": blur, "center_depth": 2.0}


def edit(number: int, **changes: object) -> Callable[[Path], None]:
    """Change values of a keyframe's corrected camera (of all for -1); None takes one out."""

    def damage(root: Path) -> None:
        for path in sorted((root / "keyframes/corrected_cameras").iterdir()):
            if number < 0 or path.stem == str(stamp(number)):
                values = json.loads(path.read_text()) | changes
                path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return damage


def name(folder: str, suffix: str, number: int = 3) -> str:
    return f"keyframes/{folder}/{stamp(number)}.{suffix}"


def no_keyframes(root: Path) -> None:
    for path in root.glob("keyframes/*cameras/*"):
        path.unlink()


DAMAGE = {
    **broken.ZIP_DAMAGE,
    "linked outside": (broken.link_outside(name("depth", "png")), r"links outside"),
    "no keyframes": (no_keyframes, r"keyframes: holds no frames"),
    "camera missing": (broken.without(name("corrected_cameras", "json")), Dropped(1, "no.* camera|not found")),
    "camera cut off": (broken.cut(name("corrected_cameras", "json")), Dropped(1, "not valid JSON")),
    "camera a list": (broken.replaced(name("corrected_cameras", "json"), b"[1]"), Dropped(1, "holds no camera")),
    "camera absurdly large": (
        broken.replaced(name("corrected_cameras", "json"), b"[" * 2_000_000),
        Dropped(1, "is larger than 1048576 bytes"),
    ),
    "pose not finite": (edit(2, t_13=float("nan")), Dropped(1, "pose has a value that is not finite")),
    "pose absurd": (edit(2, t_13=10**400), Dropped(1, "pose has a value that is not finite")),
    "pose not orthonormal": (edit(2, t_11=1.5), Dropped(1, "the pose is not rigid")),
    "pose mirrored": (
        edit(2, t_00=-1, t_01=0, t_02=0, t_10=0, t_11=1, t_12=0, t_20=0, t_21=0, t_22=1),
        Dropped(1, "mirrored"),
    ),
    "pose missing": (edit(2, t_13=None), Dropped(1, "t_13 is None, not a number")),
    "no rigid pose": (edit(-1, t_11=7), r"6 of 6 frames are unusable \(first: frame 9999900000: .*not rigid"),
    "intrinsics zero": (edit(2, fx=0), Dropped(1, "fx 0, fy 48 and 96x72 pixels are not a camera's")),
    "all intrinsics zero": (edit(-1, fx=0), r"6 of 6 frames are unusable"),
    "image missing": (broken.without(name("corrected_images", "jpg")), Dropped(1, "no rgb image")),
    "image cut off": (broken.cut(name("corrected_images", "jpg")), Dropped(1, "jpg: not a whole image")),
    "depth missing": (broken.without(name("depth", "png")), Dropped(1, "no depth image")),
    "depth cut off": (broken.cut(name("depth", "png")), Dropped(1, "png: not a whole image")),
    "depth with 8 bits": (broken.eight_bits(name("depth", "png")), Dropped(1, "8 bits")),
    "depth absurdly large": (broken.absurd_png(name("depth", "png")), Dropped(1, r"\.png")),
    "confidence missing": (broken.without(name("confidence", "png")), Dropped(1, "no confidence image")),
    "a long foreign name": (broken.renamed, Dropped(0, "")),
}
