"""Omnidata's layout: DOMAIN/COMPONENT/BUILDING/point_I_view_J_domain_DOMAIN.png, point_info with Blender's camera."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from broken import ZIP_DAMAGE, Damage, absurd_png, cut, eight_bits, link_outside, renamed, without
from PIL import Image
from scene import Scene

from captures import FACE_CLASS

from . import Dropped

SIZE = 72
FOV = 75.0
TO_WORLD = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # the room has y up, Blender z
# Inward normals of the room's faces, world axes of the room.
FACE_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)


def euler(rotation: np.ndarray) -> list[float]:
    """Blender's XYZ Euler angles: R = Rz Ry Rx."""
    return [
        math.atan2(rotation[2, 1], rotation[2, 2]),
        -math.asin(rotation[2, 0]),
        math.atan2(rotation[1, 0], rotation[0, 0]),
    ]


def quaternion(angles: list[float]) -> list[float]:
    """(w, x, y, z) of XYZ Euler angles."""
    (cx, cy, cz), (sx, sy, sz) = ([f(angle / 2) for angle in angles] for f in (math.cos, math.sin))
    return [
        cx * cy * cz + sx * sy * sz,
        sx * cy * cz - cx * sy * sz,
        cx * sy * cz + sx * cy * sz,
        cx * cy * sz - sx * sy * cz,
    ]


def point_info(scene: Scene, number: int) -> dict[str, Any]:
    """Camera, pose and what else the annotator writes."""
    pose = TO_WORLD @ scene.pose(number)
    angles = euler(pose[:3, :3])
    return {
        "camera_uuid": "0007",
        "camera_location": pose[:3, 3].tolist(),
        "camera_rotation_final": angles,
        "camera_rotation_final_quaternion": quaternion(angles),
        "field_of_view_rads": math.radians(FOV),
        "resolution": SIZE,
        "point_uuid": f"{number // 2}",
        "view_id": number % 2,
        "nonfixated_points_in_view": [],
    }


def file(root: Path, domain: str, number: int, ending: str | None = None) -> Path:
    """The file of a view; two views a point."""
    ending = ending or ("point_info.json" if domain == "point_info" else f"{domain}.png")
    return root / domain / "replica" / "room_0" / f"point_{number // 2}_view_{number % 2}_domain_{ending}"


def write(folder: Path, scene: Scene, depth: str = "depth_zbuffer", toward: int = -1) -> Path:
    """`depth`: the domain that is written; `toward`: the sign in the blue channel of what faces the camera."""
    root = folder / "omnidata"
    for domain in ("rgb", depth, "normal", "mask_valid", "point_info", "segment_semantic"):
        file(root, domain, 0).parent.mkdir(parents=True)
    for number in range(scene.frames):
        seen = scene.view(number, SIZE, SIZE, FOV)
        Image.fromarray(seen["rgb"]).save(file(root, "rgb", number))
        metres = seen["depth"]
        if depth == "depth_euclidean":
            metres = np.linalg.norm(seen["points"] - scene.true_pose(scene.time(number))[:3, 3], axis=-1)
        units = np.rint(metres * 512).astype(np.uint16)
        units[:3, :4] = 65535
        Image.fromarray(units).save(file(root, depth, number))
        valid = np.where(units == 65535, 0, 255).astype(np.uint8)
        valid[-2:] = 0
        Image.fromarray(valid).save(file(root, "mask_valid", number, "depth_zbuffer.png"))
        normals = FACE_NORMALS[seen["face"]] @ scene.true_pose(scene.time(number))[:3, :3]  # right, up, back
        coded = np.rint((normals * [1, -1, toward] + 1) * 127.5)
        coded[units == 65535] = 128
        Image.fromarray(coded.astype(np.uint8)).save(file(root, "normal", number))
        Image.fromarray(FACE_CLASS[seen["face"]]).save(file(root, "segment_semantic", number, "segmentsemantic.png"))
        file(root, "point_info", number).write_text(json.dumps(point_info(scene, number)))
    return root


def info(number: int, **values: Any) -> Callable[[Path], None]:
    """Change a point_info."""

    def damage(root: Path) -> None:
        path = file(root, "point_info", number)
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


def every_info(**values: Any) -> Callable[[Path], None]:
    """Change all of them."""

    def damage(root: Path) -> None:
        for number in range(6):
            info(number, **values)(root)

    return damage


def resaved(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Change the pixels of an image."""

    def damage(root: Path) -> None:
        path = root / name
        Image.fromarray(change(np.asarray(Image.open(path)))).save(path)

    return damage


def no_views(root: Path) -> Path:
    (root / "empty").mkdir()
    return root / "empty"


def second_building(root: Path) -> None:
    path = file(root, "rgb", 0)
    other = path.parent.with_name("room_1")
    other.mkdir()
    (other / path.name).write_bytes(path.read_bytes())


def view(domain: str, ending: str | None = None) -> str:
    """The file of view 3, relative to the capture."""
    return file(Path(), domain, 3, ending).as_posix()


DAMAGE = {
    "no views": (no_views, r"has no point_I"),
    "two buildings": (second_building, r"holds 2 buildings \(replica/room_0, replica/room_1\).*--building"),
    "missing point_info": (
        lambda root: file(root, "point_info", 2).unlink(),
        Dropped(1, r"point_info.json: not found"),
    ),
    "missing image": (without(view("rgb")), Dropped(1, r"domain_rgb.png: not found")),
    "missing depth": (without(view("depth_zbuffer")), r"1 of 6 frames have no depth"),
    "NaN pose": (info(2, camera_location=[0, math.nan, 0]), Dropped(1, r"camera_location is missing or is not 3")),
    "quaternion 0": (info(2, camera_rotation_final_quaternion=[0, 0, 0, 0]), Dropped(1, r"quaternion 0")),
    "words for a pose": (info(2, camera_location="here"), Dropped(1, r"camera_location is missing")),
    "no field of view": (info(2, field_of_view_rads=0), Dropped(1, r"no camera")),
    "absurd resolution": (info(2, resolution=1e9), Dropped(1, r"no camera")),
    "most poses are none": (every_info(camera_location=None), r"6 of 6 frames.*camera_location is missing"),
    "no JSON": (cut(view("point_info")), Dropped(1, r"not valid JSON")),
    "corrupt PNG": (cut(view("rgb")), r"rgb.png: not a whole image"),
    "corrupt depth": (cut(view("depth_zbuffer")), r"depth_zbuffer.png: not a whole image"),
    "corrupt normals": (cut(view("normal")), r"normal.png: not a whole image"),
    "corrupt mask": (cut(view("mask_valid", "depth_zbuffer.png")), r"mask_valid.*not a whole image"),
    "8-bit depth": (eight_bits(view("depth_zbuffer")), r"no 16-bit depth"),
    "grey normals": (resaved(view("normal"), lambda a: a[..., 0]), r"no 8-bit RGB image of normals"),
    "small mask": (
        resaved(view("mask_valid", "depth_zbuffer.png"), lambda a: a[::2]),
        r"not as large as what it masks",
    ),
    "absurd size": (absurd_png(view("depth_zbuffer")), r"depth_zbuffer.png: not a whole image"),
    "a long name": (renamed, Dropped(0, "")),
    "a link outside": (link_outside(view("rgb")), r"links outside"),
    **ZIP_DAMAGE,
}
