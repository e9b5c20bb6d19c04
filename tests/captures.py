"""Tiny synthetic captures, written without any code of tst: a box room seen by a walking camera.

The room is 4 m x 2.5 m x 5 m (x, y up, z) with its floor at y = 0. Classes: 0 wall, 1 floor, 2 ceiling.
"""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

ROOM = np.array([4.0, 2.5, 5.0])
CLASSES = ["wall", "floor", "ceiling"]
# the six faces in the order x=0, x=4, y=0, y=2.5, z=0, z=5
FACE_CLASS = np.array([0, 0, 1, 2, 0, 0], np.uint8)
FACE_COLOUR = np.array([[200, 80, 70], [70, 150, 90], [150, 120, 80], [230, 230, 220], [80, 110, 190], [200, 180, 60]])


def look(position: list[float], yaw_degrees: float, pitch_degrees: float) -> np.ndarray:
    """(4, 4) OpenGL camera-to-world: x right, y up, looking along -z."""
    yaw, pitch = math.radians(yaw_degrees), math.radians(pitch_degrees)
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn @ nod, position
    return pose


def render(pose: np.ndarray, width: int, height: int, fov_x: float = 90.0) -> dict[str, np.ndarray]:
    """What a camera at the OpenGL `pose` sees: rgb uint8, depth in metres along the view axis, face index, points."""
    focal = width / 2 / math.tan(math.radians(fov_x) / 2)
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([(u - width / 2) / focal, -(v - height / 2) / focal, -np.ones_like(u)], -1) @ pose[:3, :3].T
    origin = pose[:3, 3]
    with np.errstate(divide="ignore"):
        distance = np.stack([(wall - origin) / rays for wall in (np.zeros(3), ROOM)], -1)  # (H, W, axis, side)
    distance = np.where(distance > 1e-9, distance, np.inf).reshape(height, width, 6)
    face, depth = distance.argmin(-1), distance.min(-1)  # rays have length 1 along the view axis, so this is z-depth
    points = origin + rays * depth[..., None]
    check = np.floor(points / 0.5 + 1e-6).astype(int).sum(-1) % 2  # half-metre tiles
    stripes = np.sin(points * 9).prod(-1) * 15
    rgb = FACE_COLOUR[face] * (0.75 + 0.25 * check[..., None]) + stripes[..., None]
    return {"rgb": rgb.clip(0, 255).astype(np.uint8), "depth": depth, "face": face, "points": points}


def write_nerfstudio(
    folder: Path,
    frames: int = 6,
    size: tuple[int, int] = (96, 80),
    depth_size: tuple[int, int] = (48, 40),
    unit: float = 0.001,
    labels: bool = True,
    yaw: float = 0.0,
) -> Path:
    """Write a walk round the room with transforms.json; sizes are (width, height), `unit` metres per depth unit."""
    for name in ("images", "depth", *(("semantic", "instance") if labels else ())):
        (folder / name).mkdir(parents=True)
    listed = []
    for number in range(frames):
        pose = look([2 + 0.1 * number, 1.4, 2.5 - 0.1 * number], yaw + 30.0 * number, -8.0)
        stem = f"{number:04d}"
        Image.fromarray(render(pose, *size)["rgb"]).save(folder / "images" / f"{stem}.jpg", quality=95)
        small = render(pose, *depth_size)
        depth = np.rint(small["depth"] / unit).astype(np.uint16)
        Image.fromarray(depth).save(folder / "depth" / f"{stem}.png")
        entry = {
            "file_path": f"images/{stem}.jpg",
            "depth_file_path": f"depth/{stem}.png",
            "transform_matrix": pose.tolist(),
            "time": 0.5 * number,
            "floor": "ground" if number < frames // 2 else "upper",
        }
        if labels:
            Image.fromarray(FACE_CLASS[small["face"]]).save(folder / "semantic" / f"{stem}.png")
            Image.fromarray((small["face"] + 1).astype(np.uint16)).save(folder / "instance" / f"{stem}.png")
            entry |= {"semantic_file_path": f"semantic/{stem}.png", "instance_file_path": f"instance/{stem}.png"}
        listed.append(entry)
    focal = size[0] / 2  # 90 degrees
    transforms = {"camera_model": "OPENCV", "w": size[0], "h": size[1], "fl_x": focal, "fl_y": focal}
    transforms |= {"cx": size[0] / 2, "cy": size[1] / 2, "depth_unit_scale_factor": unit, "frames": listed}
    (folder / "transforms.json").write_text(json.dumps(transforms))
    return folder


def write_labelled(folder: Path, frames: int = 6, size: tuple[int, int] = (64, 64), classes: bool = True) -> Path:
    """Write a labelled folder of the same room from other places: images, depth, masks, instances, split.csv."""
    for name in ("images", "depth", "semantic", "instance"):
        (folder / name).mkdir(parents=True)
    rows = ["id,split"]
    for number in range(frames):
        seen = render(look([1 + 0.2 * number, 1.2, 1.5], 55.0 * number, -12.0), *size, fov_x=60.0)
        mask = FACE_CLASS[seen["face"]]
        mask[:2] = 255
        name = f"im{number:03d}.png"
        Image.fromarray(seen["rgb"]).save(folder / "images" / name)
        Image.fromarray(np.rint(seen["depth"] * 1000).astype(np.uint16)).save(folder / "depth" / name)
        Image.fromarray(mask).save(folder / "semantic" / name)
        Image.fromarray((seen["face"] + 1).astype(np.uint16)).save(folder / "instance" / name)
        rows.append(f"im{number:03d},{'train' if number < frames - 2 else 'val'}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    if classes:
        (folder / "classes.json").write_text(json.dumps({"ignore_index": 255, "classes": CLASSES}))
    return folder
