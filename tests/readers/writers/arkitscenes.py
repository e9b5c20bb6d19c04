"""ARKitScenes: one video of the 3dod download. World z up; trajectory world-to-camera, axis and angle."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scene import Scene

from writers import Dropped

VIDEO = "40753679"
SIZE, DEPTH_SIZE = (96, 72), (64, 48)
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""From the scene's world (y up) to that of the data set."""
STEP = 0.01
"""Seconds between poses (the data set has 0.1, and slower cameras)."""


def write(folder: Path, scene: Scene, images: str = "lowres_wide", late: float = 0.0) -> Path:
    """Write a video; `late` is added to the depth's times, seconds."""
    root = folder / VIDEO
    frames = root / f"{VIDEO}_frames"
    for name in (images, f"{images}_intrinsics", "lowres_depth", "confidence"):
        (frames / name).mkdir(parents=True)
    for number in range(scene.frames):
        stem = f"{VIDEO}_{scene.time(number):.3f}"
        Image.fromarray(scene.view(number, *SIZE)["rgb"]).save(frames / images / f"{stem}.png")
        focal = SIZE[0] / 2
        (frames / f"{images}_intrinsics" / f"{stem}.pincam").write_text(
            f"{SIZE[0]} {SIZE[1]} {focal} {focal} {SIZE[0] / 2} {SIZE[1] / 2}\n"
        )
        stem = f"{VIDEO}_{scene.time(number) + late:.3f}"
        depth = scene.view(number, *DEPTH_SIZE)["depth"] * 1000
        Image.fromarray(np.rint(depth).astype(np.uint16)).save(frames / "lowres_depth" / f"{stem}.png")
        Image.fromarray(np.full(DEPTH_SIZE[::-1], 2, np.uint8)).save(frames / "confidence" / f"{stem}.png")
    lines = []
    for step in range(round((scene.frames - 1) / scene.rate / STEP) + 1):
        time = scene.start + step * STEP
        pose = Z_UP @ scene.pose_at(time) @ np.diag([1.0, -1, -1, 1])
        extrinsic = np.linalg.inv(pose)
        axis = cv2.Rodrigues(extrinsic[:3, :3])[0].ravel()
        lines.append(" ".join(f"{value:.9f}" for value in (time, *axis, *extrinsic[:3, 3])))
    (frames / "lowres_wide.traj").write_text("\n".join(lines) + "\n")
    return root


def _edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = next(root.glob(f"*_frames/{name}"))
        path.write_text(change(path.read_text()))

    return damage


def _all_pincams(text: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for path in root.glob("*_frames/*_intrinsics/*"):
            path.write_text(text)

    return damage


def _file(folder: str, number: int, data: bytes | None) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = sorted(root.glob(f"*_frames/{folder}/*"))[number]
        if data is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2] + data)

    return damage


def _gap(text: str) -> str:
    """No poses from 0.05 s before the third frame's time until 0.25 s after."""
    lines = text.splitlines()
    return "\n".join([*lines[:15], *lines[45:]])


def _nan(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(line if 8 < k < 40 else line.split()[0] + " nan nan nan 0 0 0" for k, line in enumerate(lines))


def _shuffled(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(lines[::-1])


def _eight_bits(root: Path) -> None:
    for path in root.glob("*_frames/lowres_depth/*"):
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)


def _zip(root: Path) -> Path:
    path = Path(shutil.make_archive(str(root), "zip", root.parent, root.name))
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def _long_name(root: Path) -> None:
    frames = next(root.glob("*_frames"))
    frames.rename(frames.with_name("größe-" + "x" * 200 + "_frames"))
    path = next(root.glob("*_frames/lowres_wide/*"))
    path.rename(path.with_name("überlang_" + "9" * 200 + ".png"))


def _link(root: Path) -> None:
    path = next(root.glob("*_frames/lowres_wide/*"))
    path.unlink()
    path.symlink_to("/etc/hostname")


DAMAGE = {
    "no trajectory": (lambda root: next(root.glob("*_frames/*.traj")).unlink(), r"lowres_wide\.traj: not found"),
    "trajectory of words": (_edit("*.traj", lambda text: text + "# end\nhello\n"), r"lowres_wide\.traj: line \d+"),
    "empty trajectory": (_edit("*.traj", lambda _: ""), "holds no poses"),
    "no images": (lambda root: shutil.rmtree(next(root.glob("*_frames/lowres_wide"))), "no images"),
    "zero intrinsics": (_all_pincams("96 72 0 0 48 36"), "6 of 6 frames .*focal length"),
    "absurd size": (_all_pincams("1e9 1e9 48 48 48 36"), "6 of 6 frames .*pixels"),
    "one without intrinsics": (_file("lowres_wide_intrinsics", 2, None), Dropped(1, "no intrinsics")),
    "one with empty intrinsics": (_file("lowres_wide_intrinsics", 2, b"\n3 4"), Dropped(1, "line")),
    "a gap in the poses": (_edit("*.traj", _gap), Dropped(3, "no poses within")),
    "NaN poses": (_edit("*.traj", _nan), Dropped(3, "no poses within")),
    "no depth for one": (_file("lowres_depth", 2, None), Dropped(1, "no depth")),
    "a cut image": (_file("lowres_wide", 2, b""), Dropped(1, "not a whole image")),
    "a cut depth image": (_file("lowres_depth", 2, b""), Dropped(1, "not a whole image")),
    "depth of 8 bits": (_eight_bits, "8 bits"),
    "poses in wrong order": (_edit("*.traj", _shuffled), Dropped(0, "")),
    "a cut zip": (_zip, "not a whole zip"),
    "long name that is no time": (_long_name, "does not end in a time"),
    "a link to outside": (_link, "links outside"),
}
