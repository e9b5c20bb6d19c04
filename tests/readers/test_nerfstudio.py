"""Variants of transforms.json that are in use."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tst.readers import nerfstudio, read

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


def test_distortion_is_noted(nerfstudio_walk: Writer) -> None:
    source = nerfstudio_walk()
    assert nerfstudio.read(rewrite(source, lambda t: t.update(k1=0, p1=0.0))).notes == {}
    note = nerfstudio.read(rewrite(source, lambda t: t.update(k1=-0.05))).notes["distortion"]
    assert "-0.05" in note and "pinhole" in note


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
