"""Record3D: an .r3d file (a zip with LZFSE in it), or the folder of an EXR + JPG export."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken
import cv2
import lzfse
import numpy as np
import OpenEXR
from PIL import Image
from scene import Scene

from writers import Dropped

SIZE, DEPTH_SIZE = (96, 72), (64, 48)
NAME = "2026-03-30--20-51-15"


def write(
    folder: Path, scene: Scene, *, export: bool = False, portrait: bool = False, change: dict[str, Any] | None = None
) -> Path:
    """A recording; `portrait` as a phone held upright stores it. `change`: other metadata, or None to leave it out."""
    size, depth_size = (SIZE[::-1], DEPTH_SIZE[::-1]) if portrait else (SIZE, DEPTH_SIZE)
    width, height = size
    focal = width / 2
    rows = []
    files: dict[str, bytes] = {"icon": b"", "sound.m4a": b"sound"}
    for number in range(scene.frames):
        pose = scene.pose(number)
        axis = cv2.Rodrigues(pose[:3, :3])[0].ravel()
        angle = float(np.linalg.norm(axis))
        turn = [*(axis * np.sin(angle / 2) / max(angle, 1e-12)), np.cos(angle / 2)]
        rows.append([float(v) for v in (*turn, *pose[:3, 3])])
        jpeg = io.BytesIO()
        Image.fromarray(scene.view(number, *size)["rgb"]).save(jpeg, "JPEG", quality=95)
        depth = scene.view(number, *depth_size)["depth"].astype("<f4")
        if export:
            files[f"rgb/{number}.jpg"], files[f"depth/{number}.exr"] = jpeg.getvalue(), exr(folder, depth)
        else:
            files[f"rgbd/{number}.jpg"] = jpeg.getvalue()
            files[f"rgbd/{number}.depth"] = lzfse.compress(depth.tobytes())
            files[f"rgbd/{number}.conf"] = lzfse.compress(np.full(depth.shape, 2, np.uint8).tobytes())
    times = [scene.time(number) - scene.start for number in range(scene.frames)]
    metadata = {
        "w": width,
        "h": height,
        "dw": depth_size[0],
        "dh": depth_size[1],
        "fps": 60,
        "K": [focal, 0, 0, 0, focal, 0, width / 2, height / 2, 1],
        "perFrameIntrinsicCoeffs": [[focal, focal, width / 2, height / 2]] * scene.frames,
        "frameTimestamps": times,
        "initPose": [0, 0, 0, 1, 0, 0, 0],
        "poses": rows,
        "cameraType": 1,
    } | (change or {})
    metadata = {key: value for key, value in metadata.items() if value is not None}
    files["metadata.json" if export else "metadata"] = json.dumps(metadata).encode()
    if export:
        for name, data in files.items():
            path = folder / NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / NAME
    return packed(folder / f"{NAME}.r3d", files)


def packed(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def exr(folder: Path, depth: np.ndarray) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "one.exr"
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"R": depth}).write(str(path))
    data = path.read_bytes()
    path.unlink()
    return data


def member(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], None]:
    """Change a file inside the .r3d; None takes it out."""

    def damage(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        data = change(files.pop(name))
        packed(path, files if data is None else files | {name: data})

    return damage


def metadata(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Edit the metadata in place."""

    def change(data: bytes) -> bytes:
        value = json.loads(data)
        edit(value)
        return json.dumps(value).encode()

    return member("metadata", change)


def pose(number: int, column: int, value: object) -> Callable[[Path], None]:
    return metadata(lambda m: m["poses"][number].__setitem__(column, value))


def noise(data: bytes) -> bytes:
    return data[:40] + bytes(40) + data[80:]


def take_out(_: bytes) -> None:
    return None


def far_too_much(_: bytes) -> bytes:
    return lzfse.compress(bytes(5_000_000))


DAMAGE = {
    **broken.ZIP_DAMAGE,
    "no metadata": (member("metadata", take_out), r"metadata: not found"),
    "metadata cut off": (member("metadata", lambda data: data[:-30]), r"metadata: not valid JSON"),
    "metadata a list": (member("metadata", lambda _: b"[1, 2]"), r'has no list "poses"'),
    "metadata with a number of 5,000 digits": (member("metadata", lambda _: b"1" * 5000), r"not valid JSON"),
    "metadata nested deeply": (member("metadata", lambda _: b"[" * 100_000), r"not valid JSON"),
    "no poses": (metadata(lambda m: m.update(poses=[])), r"frameTimestamps"),
    "not one frame": (
        metadata(lambda m: m.update(poses=[], frameTimestamps=[], perFrameIntrinsicCoeffs=[])),
        r"6 of 6 frames",
    ),
    "fewer times": (metadata(lambda m: m["frameTimestamps"].pop()), r'has 6 poses and 5 "frameTimestamps"'),
    "fewer intrinsics": (metadata(lambda m: m["perFrameIntrinsicCoeffs"].pop()), r"6 poses and other"),
    "no size": (metadata(lambda m: m.pop("w")), r'"w" is None, no size'),
    "size absurd": (metadata(lambda m: m.update(w=10**400)), r'"w" is 1000.*no size'),
    "depth size absurd": (metadata(lambda m: m.update(dw=10**9)), r'"dw" is 1000000000, no size'),
    "depth size wrong": (metadata(lambda m: m.update(dw=32)), r"unusable|damaged|not 6144 bytes"),
    "intrinsics zero": (
        metadata(lambda m: m.update(perFrameIntrinsicCoeffs=None, K=[0] * 9)),
        r"6 of 6 frames are unusable .*its intrinsics \[0, 0, 0, 0\]",
    ),
    "intrinsics of one frame": (
        metadata(lambda m: m["perFrameIntrinsicCoeffs"].__setitem__(2, [48, "x", 48, 36])),
        Dropped(1, "its intrinsics"),
    ),
    "pose not finite": (pose(2, 5, float("nan")), Dropped(1, "pose has a value that is not finite")),
    "pose of text": (pose(2, 5, "east"), Dropped(1, "pose has a value that is not finite")),
    "pose not orthonormal": (pose(2, 3, 2.0), Dropped(1, "length 2.*, not 1")),
    "pose of six numbers": (metadata(lambda m: m["poses"][2].pop()), Dropped(1, "not seven numbers")),
    "clock going backwards": (
        metadata(lambda m: m["frameTimestamps"].__setitem__(3, 0.05)),
        Dropped(1, "clock goes backwards"),
    ),
    "image missing": (member("rgbd/3.jpg", take_out), Dropped(1, "no rgb image")),
    "image cut off": (member("rgbd/3.jpg", lambda data: data[:500]), Dropped(1, "3.jpg: not a whole image")),
    "images without poses": (
        metadata(lambda m: [m[key].pop() for key in ("poses", "frameTimestamps", "perFrameIntrinsicCoeffs")]),
        Dropped(1, "no pose in metadata"),
    ),
    "depth missing": (member("rgbd/3.depth", take_out), Dropped(1, "no depth image")),
    "depth cut off": (member("rgbd/3.depth", lambda data: data[:-300]), Dropped(1, "3.depth: damaged LZFSE")),
    "depth damaged": (member("rgbd/3.depth", noise), Dropped(1, "3.depth: ")),
    "depth with 16 bits": (
        member("rgbd/3.depth", lambda _: lzfse.compress(np.ones((48, 64), np.float16).tobytes())),
        Dropped(1, "3.depth: 6144 bytes, not 12288"),
    ),
    "depth that unpacks to far more": (
        member("rgbd/3.depth", far_too_much),
        Dropped(1, "more bytes, not 12288"),
    ),
    "confidence missing": (member("rgbd/3.conf", take_out), Dropped(1, "no confidence image")),
    "a long foreign name": (broken.renamed, Dropped(0, "")),
}
