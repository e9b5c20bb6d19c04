"""ScanNet: a .sens file, as SensReader/src/sensorData.h of ScanNet describes it. World z up; the depth camera sits
beside the colour camera, sees wider, and its pose is the one in the file."""

import io
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scene import Scene, accel, gyro

from captures import render
from writers import Dropped

SIZE, DEPTH_SIZE = (96, 72), (80, 60)
FOV, DEPTH_FOV = 80.0, 90.0
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
DEPTH_TO_COLOUR = np.array([[1.0, 0, 0, 0.04], [0, 1, 0, -0.005], [0, 0, 1, 0.01], [0, 0, 0, 1]])
TO_CV = np.diag([1.0, -1, -1, 1])
CAMERA_TO_DEVICE = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
"""An iPad's motion axes: x right, y up and z out of the screen held upright; its camera's image lies on its side."""
IMU_RATE = 200
FIRST_FRAME = struct.calcsize("<IQ12s") + 4 * 64 + struct.calcsize("<2i4IfQ")
FRAME_HEAD = 64 + 4 * 8


def intrinsic(size: tuple[int, int], fov: float) -> np.ndarray:
    """(4, 4) with pixel centres at whole numbers."""
    focal = size[0] / 2 / math.tan(math.radians(fov) / 2)
    matrix = np.eye(4)
    matrix[[0, 1], [0, 1]] = focal
    matrix[:2, 2] = (size[0] - 1) / 2, (size[1] - 1) / 2
    return matrix


def seen(scene: Scene, number: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB from the colour camera, and depth in metres from the depth camera."""
    colour = scene.true_pose(scene.time(number))
    beside = colour @ TO_CV @ DEPTH_TO_COLOUR @ TO_CV
    depth = render(beside, *DEPTH_SIZE, DEPTH_FOV)["depth"]
    return render(colour, *SIZE, FOV)["rgb"], depth / 10 if scene.fault == "wrong unit" else depth


def depth_pose(scene: Scene, number: int) -> np.ndarray:
    return Z_UP @ scene.opencv_pose(number) @ DEPTH_TO_COLOUR


def imu_sample(scene: Scene, time: float, device: np.ndarray) -> bytes:
    """Rotation, own acceleration (g), field, attitude, gravity (g), time. Apple's signs: gravity points down, and the
    device's own acceleration is what would be gravity in its place."""
    to_world = scene.true_pose(time)[:3, :3] @ TO_CV[:3, :3]
    gravity = to_world.T @ [0, -1, 0]
    own = -accel(scene, time) / 9.80665 - gravity
    field = to_world.T @ [20.0, -40.0, 5.0]
    rows = (device @ gyro(scene, time), device @ own, device @ field, np.zeros(3), device @ gravity)
    return struct.pack("<15dQ", *np.concatenate(rows), round(time * 1e6))


def write(
    folder: Path,
    scene: Scene,
    shift: float = 1000.0,
    device: np.ndarray = CAMERA_TO_DEVICE,
    raw: bool = False,
    registered: bool = False,
) -> Path:
    """Write a scan. `raw`: nothing is compressed; `registered`: depth is seen from the colour camera."""
    folder.mkdir(parents=True)
    path = folder / "scene0000_00.sens"
    out = io.BytesIO()
    out.write(struct.pack("<IQ12s", 4, 12, b"StructureSen"))
    depth_fov, extrinsic = (FOV, np.eye(4)) if registered else (DEPTH_FOV, DEPTH_TO_COLOUR)
    for matrix in (intrinsic(SIZE, FOV), np.eye(4), intrinsic(DEPTH_SIZE, depth_fov), extrinsic):
        out.write(matrix.astype("<f4").tobytes())
    out.write(struct.pack("<2i4IfQ", 0 if raw else 2, 0 if raw else 1, *SIZE, *DEPTH_SIZE, shift, scene.frames))
    assert out.tell() == FIRST_FRAME
    for number in range(scene.frames):
        rgb, depth = seen(scene, number)
        pose = depth_pose(scene, number)
        if registered:
            depth, pose = scene.view(number, *DEPTH_SIZE, FOV)["depth"], Z_UP @ scene.opencv_pose(number)
        units = np.rint(depth * shift).astype("<u2").tobytes()
        colour = io.BytesIO()
        Image.fromarray(rgb).save(colour, "JPEG", quality=95)
        data = (rgb.tobytes(), units) if raw else (colour.getvalue(), zlib.compress(units))
        time = round(scene.time(number) * 1e6)
        out.write(pose.astype("<f4").tobytes())
        out.write(struct.pack("<4Q", time, time + 5, *map(len, data)))
        out.writelines(data)
    times = np.arange(-0.1, scene.frames / scene.rate, 1 / IMU_RATE) + scene.start
    out.write(struct.pack("<Q", len(times)))
    out.writelines(imu_sample(scene, time, device) for time in times)
    path.write_bytes(out.getvalue())
    return path


def export(folder: Path, scene: Scene, chosen: bool = False) -> Path:
    """Write the folders that ScanNet's reader.py exports; `chosen`: as in scannet_frames_25k."""
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir(parents=True)
    for number in range(scene.frames):
        rgb, depth = seen(scene, number)
        stem = f"{100 * number:06d}" if chosen else f"{number}"
        Image.fromarray(rgb).save(folder / "color" / f"{stem}.jpg", quality=95)
        Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(folder / "depth" / f"{stem}.png")
        np.savetxt(folder / "pose" / f"{stem}.txt", depth_pose(scene, number), fmt="%f")
    for what, size, fov in (("color", SIZE, FOV), ("depth", DEPTH_SIZE, DEPTH_FOV)):
        matrix = intrinsic(size, fov)
        np.savetxt(folder / "intrinsic" / f"intrinsic_{what}.txt", matrix, fmt="%f")
        if chosen:
            np.savetxt(folder / f"intrinsics_{what}.txt", matrix, fmt="%f")
    np.savetxt(folder / "intrinsic" / "extrinsic_color.txt", np.eye(4), fmt="%f")
    np.savetxt(folder / "intrinsic" / "extrinsic_depth.txt", DEPTH_TO_COLOUR, fmt="%f")
    return folder


def frame_offset(data: bytes, number: int) -> int:
    """Where frame `number` begins."""
    at = FIRST_FRAME
    for _ in range(number):
        colour, depth = struct.unpack_from("<2Q", data, at + 80)
        at += FRAME_HEAD + colour + depth
    return at


def _patched(number: int, offset: int, layout: str, *values: float) -> Callable[[Path], None]:
    """Overwrite at `offset` of frame `number` (-1: of the file)."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        start = 0 if number < 0 else frame_offset(data, number)
        struct.pack_into(layout, data, start + offset, *values)
        path.write_bytes(data)

    return damage


def _cut(size: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:size])

    return damage


def _cut_in_frame(number: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: frame_offset(data, number) + 200])

    return damage


def _in_depth(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = frame_offset(data, 2)
    (colour,) = struct.unpack_from("<Q", data, at + 80)
    data[at + FRAME_HEAD + colour : at + FRAME_HEAD + colour + 40] = bytes(40)
    path.write_bytes(data)


SIZES = FIRST_FRAME - struct.calcsize("<4IfQ")
DAMAGE = {
    "empty": (_cut(0), "cut off after 0 bytes"),
    "cut in the header": (_cut(200), "cut off after 200 bytes"),
    "cut early": (_cut_in_frame(2), "2 whole frames of the 6"),
    "cut in the last frame": (_cut_in_frame(5), Dropped(1, r"cut off before it \(5 frames")),
    "version 3": (_patched(-1, 0, "<I", 3), "version 4"),
    "a name of 2^60 bytes": (_patched(-1, 4, "<Q", 1 << 60), "version 4"),
    "2^60 frames": (_patched(-1, FIRST_FRAME - 8, "<Q", 1 << 60), "whole frames of the 1152921504606846976"),
    "absurd size": (_patched(-1, SIZES, "<2I", 1 << 30, 1 << 30), "claims images"),
    "zero intrinsics": (_patched(-1, 24, "<f", 0.0), "focal length is 0"),
    "NaN intrinsics": (_patched(-1, 24, "<f", math.nan), "not finite"),
    "skewed extrinsic": (_patched(-1, 24 + 192, "<f", 3.0), "depth extrinsic is not rigid"),
    "no depth shift": (_patched(-1, FIRST_FRAME - 12, "<f", 0.0), "0 units a metre"),
    "Occipital's codec": (_patched(-1, SIZES - 4, "<i", 2), "Occipital's codec"),
    "unknown colour": (_patched(-1, SIZES - 8, "<i", 7), r"unknown kind \(7\)"),
    "lost track": (_patched(2, 0, "<16f", *[-math.inf] * 16), Dropped(1, "lost track")),
    "NaN pose": (_patched(2, 0, "<f", math.nan), Dropped(1, "not finite")),
    "skewed pose": (_patched(2, 0, "<f", 5.0), Dropped(1, "not rigid")),
    "clock backwards": (_patched(3, 64, "<Q", 999_000_000), Dropped(1, "clock goes backwards")),
    "colour of 2^60 bytes": (_patched(3, 80, "<Q", 1 << 60), Dropped(3, "cut off")),
    "damaged depth": (_in_depth, Dropped(1, "a depth image is damaged")),
    "damaged colour": (_patched(2, FRAME_HEAD, "<2Q", 0, 0), Dropped(1, "not a whole image")),
    "no depth in one": (_patched(5, 88, "<Q", 0), Dropped(1, "no depth")),
}
