"""Stray Scanner, as its Swift source writes: ARKit's pose times a half turn about x, Core Motion's signs and axes."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import broken
import cv2
import numpy as np
from PIL import Image
from scene import Scene, accel

from writers import Dropped

SIZE, DEPTH_SIZE = (96, 72), (64, 48)
IMU_RATE = 100


def write(
    folder: Path, scene: Scene, *, imu_unit: str = "m/s2", depth: str = "png", lost: Sequence[int] = (), first: int = 0
) -> Path:
    """A recording; `lost` images are not in the video, and depth images are numbered from `first`."""
    root = folder / "71de12f9"
    for name in ("depth", "confidence"):
        (root / name).mkdir(parents=True)
    focal = SIZE[0] / 2
    (root / "camera_matrix.csv").write_text(f"{focal}, 0.0, {SIZE[0] / 2}\n0.0, {focal}, {SIZE[1] / 2}\n0.0, 0.0, 1.0")
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    for number in range(scene.frames):
        pose = scene.pose(number) @ np.diag([1.0, -1, -1, 1])
        x, y, z = pose[:3, 3]
        numbers = ", ".join(repr(float(v)) for v in (x, y, z, *quaternion(pose[:3, :3])))
        lines.append(f"{scene.time(number)!r}, {first + number:06d}, {numbers}")
        seen = np.rint(scene.view(number, *DEPTH_SIZE)["depth"] * 1000).astype(np.uint16)
        stem = f"{first + number:06d}"
        if depth == "png":
            Image.fromarray(seen).save(root / "depth" / f"{stem}.png")
        else:
            np.save(root / "depth" / f"{stem}.npy", seen)
        Image.fromarray(np.full(seen.shape, 2, np.uint8)).save(root / "confidence" / f"{stem}.png")
    (root / "odometry.csv").write_text("\n".join(lines) + "\n")
    write_video(root / "rgb.mp4", scene, lost)
    write_imu(root / "imu.csv", scene, imu_unit)
    return root


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """(x, y, z, w)."""
    axis = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(axis))
    x, y, z = axis * (np.sin(angle / 2) / max(angle, 1e-12))
    return float(x), float(y), float(z), float(np.cos(angle / 2))


def write_video(path: Path, scene: Scene, lost: Sequence[int] = ()) -> None:
    """Frame n at (n - 1) / 60 seconds, and the video begins at 0: an edit list hides the first."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=60)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.options = {"crf": "8", "preset": "ultrafast", "bf": "0"}
        for number in range(scene.frames):
            if number in lost:
                continue
            picture = av.VideoFrame.from_ndarray(scene.view(number, *SIZE)["rgb"], format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 60)
            container.mux(video.encode(picture))
        container.mux(video.encode())
    data = bytearray(path.read_bytes())
    header = data.index(b"mdhd")
    (ticks,) = struct.unpack_from(">I", data, header + 16)
    edits = data.index(b"elst")
    struct.pack_into(">i", data, edits + 16, ticks // 60)  # media time at which playing begins
    path.write_bytes(data)


def write_imu(path: Path, scene: Scene, unit: str) -> None:
    """Gravity and the device's own acceleration along the device's axes: x right, y up, z out of the upright screen."""
    lines = ["timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z"]
    for step in range(round(scene.frames / scene.rate * IMU_RATE)):
        time = scene.start + step / IMU_RATE
        camera = scene.true_pose(time)[:3, :3]  # columns: ARKit's axes of the camera in the world
        device = np.stack([camera[:, 1], -camera[:, 0], camera[:, 2]], 1)
        later = scene.true_pose(time + 1e-4)[:3, :3]
        turned = np.stack([later[:, 1], -later[:, 0], later[:, 2]], 1)
        spin = cv2.Rodrigues(device.T @ turned)[0].ravel() / 1e-4
        force = camera @ np.diag([1.0, -1, -1]) @ accel(scene, time)  # in the world; 9.81 upwards at rest
        felt = -device.T @ force / (9.81 if unit == "g" else 1)
        lines.append(", ".join(repr(float(v)) for v in (time, *felt, *spin)))
    path.write_text("\n".join(lines) + "\n")


def line(number: int, *changes: tuple[int, object]) -> Callable[[Path], None]:
    """Change columns of a frame's line in the odometry (all lines for -1)."""

    def damage(root: Path) -> None:
        path = root / "odometry.csv"
        rows = [row.split(", ") for row in path.read_text().splitlines()]
        for index in range(1, len(rows)) if number < 0 else [number + 1]:
            for column, value in changes:
                rows[index][column] = str(value)
        path.write_text("\n".join(", ".join(row) for row in rows) + "\n")

    return damage


def repeated(root: Path) -> None:
    path = root / "odometry.csv"
    path.write_text(path.read_text() * 3)


def fewer_lines(root: Path) -> None:
    path = root / "odometry.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def lost_in_the_middle(root: Path) -> None:
    write_video(root / "rgb.mp4", Scene(), lost=[3])


QX, QY, QZ, QW = 5, 6, 7, 8
NO_ROTATION = [(column, 0) for column in (QX, QY, QZ, QW)]

DAMAGE = {
    **broken.ZIP_DAMAGE,
    "linked outside": (broken.link_outside("depth/000002.png"), r"links outside"),
    "no video": (broken.without("rgb.mp4"), r"rgb.mp4: not found"),
    "video cut off": (broken.cut("rgb.mp4", 0.7), r"rgb.mp4: not a whole video"),
    "a frame lost in the video": (lost_in_the_middle, Dropped(1, "not in rgb.mp4")),
    "no odometry": (broken.without("odometry.csv"), r"odometry.csv: not found"),
    "odometry of another recording": (repeated, r"has 20 lines and rgb.mp4 6 frames|is not numbers"),
    "odometry too short": (fewer_lines, Dropped(1, "no line in odometry.csv")),
    "odometry not text": (broken.replaced("odometry.csv", bytes(range(128, 256))), r"odometry.csv: is not text"),
    "odometry without quaternions": (
        broken.replaced("odometry.csv", b"a, b\n1, 2\n3, 4\n"),
        r"odometry.csv: line 2 has 2 numbers, not 9",
    ),
    "pose not finite": (line(2, (3, "nan")), Dropped(1, "pose has a value that is not finite")),
    "pose far away": (line(2, (3, 1e9)), Dropped(1, "1e.09 m from the origin")),
    "pose without rotation": (line(2, *NO_ROTATION), Dropped(1, "quaternion 0")),
    "pose not orthonormal": (line(2, (QW, 3)), Dropped(1, "the length 3.*, not 1")),
    "no pose finite": (line(-1, (3, "nan")), r"6 of 6 frames are unusable \(first: frame 000000"),
    "clock going backwards": (line(3, (0, 1000.05)), Dropped(1, "clock goes backwards")),
    "clock not finite": (line(3, (0, "inf")), Dropped(1, "time is not a number")),
    "frame number absurd": (line(3, (1, 1e300)), Dropped(1, "no depth image")),
    "no intrinsics": (broken.without("camera_matrix.csv"), r"camera_matrix.csv: not found"),
    "intrinsics zero": (broken.replaced("camera_matrix.csv", b"0,0,0\n0,0,0\n0,0,1\n"), r"focal lengths 0, 0"),
    "intrinsics cut off": (broken.replaced("camera_matrix.csv", b"48,0,48\n0,48,36\n"), r"not 3x3 numbers"),
    "depth missing": (broken.without("depth/000003.png"), Dropped(1, "no depth image")),
    "depth cut off": (broken.cut("depth/000003.png"), Dropped(1, "000003.png: not a whole image")),
    "depth with 8 bits": (broken.eight_bits("depth/000003.png"), Dropped(1, "8 bits")),
    "depth absurdly large": (broken.absurd_png("depth/000003.png"), Dropped(1, "000003.png")),
    "confidence missing": (broken.without("confidence/000003.png"), Dropped(1, "no confidence image")),
    "confidence out of range": (
        lambda root: Image.fromarray(np.full((48, 64), 200, np.uint8)).save(root / "confidence/000003.png"),
        Dropped(1, "confidence is 200"),
    ),
    "imu cut off": (
        broken.replaced("imu.csv", b"timestamp, a_x\n1000.0, 0.1, 0.2\n"),
        r"imu.csv: line 2 has 3 numbers, not 7",
    ),
    "a long foreign name": (broken.renamed, Dropped(0, "")),
}
