"""Variants of transforms.json that are in use."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from captures import ROOM, look
from tst.readers import nerfstudio, read
from tst.space.poses import OPENGL_TO_OPENCV

Writer = Callable[..., Path]


def rewrite(source: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    transforms = json.loads((source / "transforms.json").read_text())
    change(transforms)
    (source / "transforms.json").write_text(json.dumps(transforms))
    return source


def test_camera_angle_of_blender(nerfstudio_walk: Writer) -> None:
    def change(transforms: dict[str, Any]) -> None:
        for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
            del transforms[key]
        transforms["camera_angle_x"] = math.pi / 2
        for entry in transforms["frames"]:
            entry["file_path"] = "./" + entry["file_path"].removesuffix(".jpg")

    camera = nerfstudio.read(rewrite(nerfstudio_walk(), change)).frames[0].camera
    assert camera is not None
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx) == pytest.approx((96, 80, 48, 48, 48))


def test_intrinsics_of_a_frame_go_first(nerfstudio_walk: Writer) -> None:
    source = rewrite(nerfstudio_walk(), lambda t: t["frames"][1].update(fl_x=50.0, cx=47.0))
    first, second, *_ = nerfstudio.read(source).frames
    assert first.camera is not None and second.camera is not None
    assert (first.camera.fx, first.camera.cx) == (48.0, 48.0)
    assert (second.camera.fx, second.camera.cx, second.camera.fy) == (50.0, 47.0, 48.0)


def test_intrinsics_follow_downscaled_images(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()
    for path in (source / "images").iterdir():
        Image.open(path).resize((48, 40)).save(path)
    walk = read("nerfstudio", source, tmp_path / "home").walks["walk"]
    camera = walk.camera(0)
    assert camera is not None and (camera.width, camera.fx, camera.cy) == (48, 24.0, 20.0)
    assert walk.record.notes["intrinsics scaled"] == "from 96x80 to the images' 48x40"


@pytest.mark.parametrize("model", ["OPENCV", "OPENCV_FISHEYE"])
def test_distortion_is_undone(nerfstudio_walk: Writer, tmp_path: Path, model: str) -> None:
    source = nerfstudio_walk(frames=2, size=(192, 160), depth_size=(192, 160), labels=False)
    coefficients = np.array([0.08, -0.02, 0.0, 0.0])
    matrix = np.array([[96.0, 0, 95.5], [0, 96, 79.5], [0, 0, 1]])
    u, v = np.meshgrid(np.arange(192.0), np.arange(160.0))
    undistort = cv2.fisheye.undistortPoints if model == "OPENCV_FISHEYE" else cv2.undistortPoints
    straight = undistort(np.stack([u, v], -1).reshape(-1, 1, 2), matrix, coefficients).reshape(160, 192, 2)
    rays = np.concatenate([straight, np.ones((160, 192, 1))], -1)
    for number in range(2):  # the depth images as that lens sees the room, exactly
        pose = look([2 + 0.1 * number, 1.4, 2.5 - 0.1 * number], 30.0 * number, -8.0) @ OPENGL_TO_OPENCV
        directions = rays @ pose[:3, :3].T
        with np.errstate(divide="ignore"):
            walls = np.stack([(wall - pose[:3, 3]) / directions for wall in (np.zeros(3), ROOM)], -1)
        depth = np.where(walls > 1e-9, walls, np.inf).reshape(160, 192, 6).min(-1)
        Image.fromarray(np.rint(depth * 1000).astype(np.uint16)).save(source / "depth" / f"{number:04d}.png")
    rewrite(source, lambda t: t.update(camera_model=model, k1=0.08, k2=-0.02))
    walk = read("nerfstudio", source, tmp_path / "home").walks["walk"]
    for number in range(2):
        camera, pose = walk.camera(number), walk.pose(number)
        assert camera is not None and pose is not None
        points = camera.unproject(walk.read("depth", number) / 1000) @ pose[:3, :3].T + pose[:3, 3]
        off = np.minimum(np.abs(points), np.abs(points - ROOM)).min(-1)
        known = walk.read("depth", number) > 0
        assert known.mean() > 0.95 and np.percentile(off[known], 95) < 0.01


def test_file_lists_are_splits_and_the_json_itself_is_a_source(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    lists = {"train_filenames": ["images/0000.jpg"], "val_filenames": ["images/0001.jpg"]}
    source = rewrite(nerfstudio_walk(), lambda t: t.update(lists))
    walk = read("nerfstudio", source / "transforms.json", tmp_path / "home").walks["walk"]
    assert walk.frames["split"].to_pylist() == ["train", "val", None, None, None, None]


def test_three_row_poses(nerfstudio_walk: Writer) -> None:
    source = nerfstudio_walk()
    whole = nerfstudio.read(source).frames[0].pose
    cut = nerfstudio.read(rewrite(source, lambda t: t["frames"][0]["transform_matrix"].pop())).frames[0].pose
    assert whole is not None and cut is not None and (whole == cut).all()
