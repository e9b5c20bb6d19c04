"""What is particular to NICE-SLAM's Replica: where its camera's parameters are, and the depth's unit."""

import shutil
from pathlib import Path

import pytest
from broken import zipped
from scene import Scene, assert_one_room
from writers import replica as writer

from tst.readers import read, replica


def test_the_camera_is_beside_the_room_in_it_or_known(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    beside = replica.read(source)
    camera = beside.frames[0].camera
    assert camera is not None and (camera.cx, camera.cy, camera.fx) == (600, 340, 600)
    assert beside.frames[0].depth_scale == pytest.approx(1000 / 6553.5) and "intrinsics" not in beside.notes
    shutil.move(source.parent / "cam_params.json", source / "cam_params.json")
    assert replica.read(source).frames[0].camera == camera
    (source / "cam_params.json").unlink()
    known = replica.read(source)
    assert known.frames[0].camera == camera and known.notes["intrinsics"].startswith("assumed")


def test_a_zip_is_read_like_the_folder(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    (walk,) = read("auto", zipped(source, inside="room0/"), tmp_path / "home").walks.values()
    assert walk.record.format == "replica"
    assert_one_room(walk)
