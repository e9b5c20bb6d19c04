"""ScanNet++: a scene's iPhone video (lossless here), LiDAR depth and poses; and its DSLR photographs by a fisheye lens.

After scannetpp/scannetpp: iphone/prepare_iphone_data.py (depth.bin), iphone/arkit_pcl.py (poses), COLMAP's text model.
"""

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import lz4.block
import numpy as np
from PIL import Image
from scene import Scene
from scipy.spatial.transform import Rotation

from captures import render
from writers import Dropped

SIZE, DEPTH_SIZE = (96, 72), (256, 192)
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
FISHEYE = (0.04, -0.01, 0.003, -0.001)
PHOTO, PHOTO_FOCAL = (120, 90), 55.0


def write(folder: Path, scene: Scene, kind: str = "lz4") -> Path:
    """Write a scene with an iPhone video; `kind` of depth.bin: lz4, deflate or stream."""
    root = folder / "0a5c013435"
    iphone = root / "iphone"
    iphone.mkdir(parents=True)
    entries: dict[str, Any] = {}
    focal = SIZE[0] / 2
    for number in range(scene.frames):
        entries[f"frame_{number:06d}"] = {
            "timestamp": scene.time(number),
            "pose": (np.eye(4) + 50).tolist(),  # ARKit's own, which must not be used
            "aligned_pose": (Z_UP @ scene.opencv_pose(number)).tolist(),
            "intrinsic": [[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]],
            "imu": {},
        }
    _film(iphone / "rgb.mkv", scene)
    (iphone / "pose_intrinsic_imu.json").write_text(json.dumps(entries))
    metres = [scene.view(number, *DEPTH_SIZE)["depth"].astype("<f4") for number in range(scene.frames)]
    (iphone / "depth.bin").write_bytes(depth_bin(metres, kind))
    return root


def _film(path: Path, scene: Scene) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=round(scene.rate))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        for number in range(scene.frames):
            picture = av.VideoFrame.from_ndarray(scene.view(number, *SIZE)["rgb"], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def depth_bin(metres: list[np.ndarray], kind: str) -> bytes:
    if kind == "stream":
        return _deflated(b"".join(depth.tobytes() for depth in metres))
    parts = []
    for depth in metres:
        whole = np.rint(depth * 1000).astype("<u2").tobytes()
        data = lz4.block.compress(whole, store_size=False) if kind == "lz4" else _deflated(depth.tobytes())
        parts += [struct.pack("<I", len(data)), data]
    return b"".join(parts)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def extract(root: Path, scene: Scene, numbers: list[int]) -> None:
    """What prepare_iphone_data.py makes of the video and depth.bin."""
    for name in ("rgb", "depth"):
        (root / "iphone" / name).mkdir()
    for number in numbers:
        stem = f"frame_{number:06d}"
        Image.fromarray(scene.view(number, *SIZE)["rgb"]).save(root / "iphone" / "rgb" / f"{stem}.jpg", quality=95)
        depth = np.rint(scene.view(number, *DEPTH_SIZE)["depth"] * 1000).astype(np.uint16)
        Image.fromarray(depth).save(root / "iphone" / "depth" / f"{stem}.png")


def write_dslr(folder: Path, scene: Scene, colmap: bool = True, transforms: bool = True, pinhole: bool = False) -> Path:
    """Write photographs with the toolkit's rendered depth, and their poses as COLMAP's model and transforms.json."""
    root = folder / "0a5c013435"
    dslr = root / "dslr"
    images = "resized_undistorted_images" if pinhole else "resized_images"
    for name in (images, "colmap", "nerfstudio", "render_depth"):
        (dslr / name).mkdir(parents=True)
    width, height = PHOTO
    frames, lines = [], ["# Image list with two lines of data per image:"]
    for number in range(scene.frames):
        name = f"DSC{number:05d}.JPG"
        rgb, depth = photograph(scene, number, pinhole)
        Image.fromarray(rgb).save(dslr / images / name, quality=95)
        Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(dslr / "render_depth" / f"DSC{number:05d}.png")
        pose = Z_UP @ scene.opencv_pose(number)
        extrinsic = np.linalg.inv(pose)
        x, y, z, w = Rotation.from_matrix(extrinsic[:3, :3]).as_quat()
        values = " ".join(f"{value:.9f}" for value in (w, x, y, z, *extrinsic[:3, 3]))
        lines += [f"{number + 1} {values} 1 {name}", "" if number % 2 else "10.5 20.5 -1 30.0 40.0 7"]
        turned = np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]) @ pose @ np.diag([1, -1, -1, 1])
        frames.append({"file_path": name, "transform_matrix": turned.tolist(), "is_bad": number == 1})
    model, distortion = ("PINHOLE", ()) if pinhole else ("OPENCV_FISHEYE", FISHEYE)
    numbers = " ".join(map(str, (PHOTO_FOCAL, PHOTO_FOCAL, width / 2, height / 2, *distortion)))
    if colmap:
        (dslr / "colmap" / "cameras.txt").write_text(f"# Camera list\n1 {model} {width} {height} {numbers}\n")
        (dslr / "colmap" / "images.txt").write_text("\n".join(lines) + "\n")
    if transforms:
        value = {
            "w": width,
            "h": height,
            "fl_x": PHOTO_FOCAL,
            "fl_y": PHOTO_FOCAL,
            "cx": width / 2,
            "cy": height / 2,
            "camera_model": model,
            **dict(zip(("k1", "k2", "k3", "k4"), distortion, strict=False)),
            "frames": frames[:-1],
            "test_frames": frames[-1:],
        }
        name = "transforms_undistorted.json" if pinhole else "transforms.json"
        (dslr / "nerfstudio" / name).write_text(json.dumps(value))
    return root


def photograph(scene: Scene, number: int, pinhole: bool) -> tuple[np.ndarray, np.ndarray]:
    """RGB and depth along the view axis, by OpenCV's fisheye model or by a pinhole."""
    width, height = PHOTO
    fov = 2 * np.degrees(np.arctan(width / 2 / PHOTO_FOCAL))
    if pinhole:
        seen = scene.view(number, width, height, fov)
        return seen["rgb"], seen["depth"]
    # The room is rendered by a wide pinhole, and each pixel of the fisheye looked up in that.
    big, big_focal = (600, 450), 100.0
    wide = render(scene.true_pose(scene.time(number)), *big, 2 * np.degrees(np.arctan(big[0] / 2 / big_focal)))
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    points = np.stack([(u - width / 2) / PHOTO_FOCAL, (v - height / 2) / PHOTO_FOCAL], -1).reshape(-1, 1, 2)
    rays = cv2.fisheye.undistortPoints(points, np.eye(3), np.array(FISHEYE)).reshape(height, width, 2)
    x = (rays[..., 0] * big_focal + big[0] / 2 - 0.5).astype(np.float32)
    y = (rays[..., 1] * big_focal + big[1] / 2 - 0.5).astype(np.float32)
    rgb = cv2.remap(wide["rgb"], x, y, cv2.INTER_LINEAR)
    depth = 1 / cv2.remap(1 / wide["depth"].astype(np.float32), x, y, cv2.INTER_LINEAR)
    return rgb, depth / 10 if scene.fault == "wrong unit" else depth


def _json(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "iphone" / "pose_intrinsic_imu.json"
        value = json.loads(path.read_text())
        changed = change(value)
        path.write_text(json.dumps(value if changed is None else changed))

    return damage


def _entry(number: int, key: str, value: Any) -> Callable[[Path], None]:
    return _json(lambda entries: entries[f"frame_{number:06d}"].__setitem__(key, value))


def _all(key: str, value: Any) -> Callable[[Path], None]:
    return _json(lambda entries: {name: {**entry, key: value} for name, entry in entries.items()})


def _cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "iphone" / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return damage


def _remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / "iphone" / name).unlink()


def _depth_frame(root: Path) -> None:
    """Zeros in the middle of the third frame of depth.bin."""
    path = root / "iphone" / "depth.bin"
    data = bytearray(path.read_bytes())
    at = 0
    for _ in range(2):
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    length = int.from_bytes(data[at : at + 4], "little")
    data[at + 4 : at + 4 + length] = bytes(length)
    path.write_bytes(data)


def _corrupt_frame(root: Path) -> None:
    extract(root, Scene(), list(range(6)))
    path = root / "iphone" / "depth" / "frame_000002.png"
    path.write_bytes(path.read_bytes()[:300])


def _eight_bits(root: Path) -> None:
    extract(root, Scene(), list(range(6)))
    for path in (root / "iphone" / "depth").iterdir():
        Image.fromarray(np.zeros((192, 256), np.uint8)).save(path)


def _zip(root: Path) -> Path:
    return Path(shutil.make_archive(str(root), "zip", root))


def _linked(root: Path) -> None:
    (root / "iphone" / "rgb.mkv").unlink()
    (root / "iphone" / "rgb.mkv").symlink_to("/etc/hostname")


def _long_names(root: Path) -> None:
    extract(root, Scene(), list(range(6)))
    (root / "iphone" / "rgb" / ("größe-" + "x" * 200 + ".jpg")).write_bytes(b"not looked at")


def _shorter(root: Path) -> None:
    _film(root / "iphone" / "rgb.mkv", Scene(frames=5))


def _truncate_text(root: Path) -> None:
    path = root / "iphone" / "pose_intrinsic_imu.json"
    path.write_text(path.read_text()[:-40])


NAN_POSE = [[float("nan")] * 4] * 4
SKEWED = [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
DAMAGE = {
    "no poses": (_remove("pose_intrinsic_imu.json"), r"pose_intrinsic_imu\.json: not found"),
    "cut poses": (_truncate_text, "not valid JSON"),
    "poses of something else": (_json(lambda _: [1, 2]), "has no frame_000000"),
    "no video": (_remove("rgb.mkv"), r"rgb\.mkv: not found"),
    "cut video": (_cut("rgb.mkv", 0.5), r"rgb\.mkv|frames are unusable"),
    "empty video": (_cut("rgb.mkv", 0.0), r"rgb\.mkv"),
    "a link for a video": (_linked, "links outside"),
    "zipped video": (_zip, "Unpack it"),
    "a video of five frames": (_shorter, Dropped(1, "no image")),
    "absurd frame number": (
        _json(lambda entries: entries.update({"frame_999999999": entries.pop("frame_000005")})),
        Dropped(1, "no image"),
    ),
    "NaN pose": (_entry(2, "aligned_pose", NAN_POSE), Dropped(1, "not finite")),
    "skewed pose": (_entry(2, "aligned_pose", SKEWED), Dropped(1, "not rigid")),
    "endless number in a pose": (_entry(2, "aligned_pose", [[10**400] * 4] * 4), Dropped(1, "pose")),
    "no aligned pose": (_entry(2, "aligned_pose", None), Dropped(1, "4x4")),
    "no poses are aligned": (_all("aligned_pose", None), "6 of 6"),
    "zero intrinsics": (_all("intrinsic", [[0.0] * 3] * 3), "focal length is 0"),
    "intrinsics of another size": (_all("intrinsic", [[900, 0, 960], [0, 900, 720], [0, 0, 1]]), "principal point"),
    "intrinsics of words": (_entry(2, "intrinsic", "none"), Dropped(1, "3x3")),
    "clock backwards": (_entry(3, "timestamp", 3.0), Dropped(1, "clock goes backwards")),
    "cut depth": (_cut("depth.bin", 0.7), Dropped(2, "no depth")),
    "damaged depth": (_depth_frame, Dropped(1, "damaged")),
    "corrupt PNG": (_corrupt_frame, Dropped(1, "not a whole image")),
    "depth of 8 bits": (_eight_bits, "8 bits"),
    "long names": (_long_names, Dropped(0, "")),
}
