"""What is particular to Omnidata's layout: depth along rays, normals, masks, buildings, orders of folders."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from scene import Scene, assert_one_room
from writers import omnidata as writer

from captures import CLASSES
from tst.errors import UserError
from tst.readers import omnidata, read
from tst.space import normal_maps


def test_depth_along_rays_becomes_depth_along_the_axis(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), depth="depth_euclidean")
    (walk,) = read("omnidata", source, tmp_path / "home").walks.values()
    assert_one_room(walk)
    true = Scene().view(1, writer.SIZE, writer.SIZE, writer.FOV)["depth"]
    stored = walk.read("depth", 1) / 1000
    assert np.abs(stored - true)[stored > 0].max() < 0.002


def test_unknown_and_masked_depth_is_no_depth(tmp_path: Path) -> None:
    (walk,) = read("omnidata", writer.write(tmp_path / "capture", Scene()), tmp_path / "home").walks.values()
    depth = walk.read("depth", 0)
    assert (depth[:3, :4] == 0).all() and (depth[-2:] == 0).all() and (depth[3:-2] > 0).all()


@pytest.mark.parametrize("toward", [1, -1])
def test_normals_are_stored_as_ours_whichever_way_their_z_points(toward: int, tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), toward=toward)
    (walk,) = read("omnidata", source, tmp_path / "home").walks.values()
    for index in range(6):
        stored = walk.read("normals", index)
        assert not stored[:3, :4].any() and not stored[-2:].any()
        seen = Scene().view(index, writer.SIZE, writer.SIZE, writer.FOV)
        axes = Scene().true_pose(Scene().time(index))[:3, :3] @ np.diag([1.0, -1.0, -1.0])
        true = writer.FACE_NORMALS[seen["face"]] @ axes
        ours = normal_maps.decode(stored)
        known = stored.any(-1)
        assert ((ours * true).sum(-1)[known] > 0.999).all()
        assert known.mean() > 0.9


def test_euler_angles_without_a_quaternion(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    with_quaternions = omnidata.read(source)
    for path in source.glob("point_info/*/*/*.json"):
        info = json.loads(path.read_text())
        del info["camera_rotation_final_quaternion"], info["resolution"]
        path.write_text(json.dumps(info))
    for one, other in zip(with_quaternions.frames, omnidata.read(source).frames, strict=True):
        assert one.pose is not None and other.pose is not None
        np.testing.assert_allclose(one.pose, other.pose, atol=1e-9)
        assert other.camera is not None and other.camera.width == 512


@pytest.mark.parametrize("order", ["BUILDING/DOMAIN", "BUILDING_DOMAIN/DOMAIN", "DOMAIN/BUILDING"])
def test_other_orders_of_folders(order: str, tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    home = tmp_path / "other"
    for folder in sorted(source.iterdir()):
        target = home / order.replace("BUILDING", "allensville").replace("DOMAIN", folder.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "replica" / "room_0", target)
    assert len(omnidata.read(home).frames) == 6
    (walk,) = read("auto", home, tmp_path / "home").walks.values()
    assert_one_room(walk)


def test_one_building_of_several(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    writer.second_building(source)
    assert len(omnidata.read(source, building="room_0").frames) == 6
    with pytest.raises(UserError, match=r"--building: 'room_7' is no building of: replica/room_0, replica/room_1"):
        omnidata.read(source, building="room_7")


def test_masks_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    assert omnidata.read(source).notes["semantic"].startswith("left out")
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES}))
    space = read("omnidata", source, tmp_path / "home", classes=tmp_path / "classes.json", semantic=True)
    (walk,) = space.walks.values()
    seen = Scene().view(3, writer.SIZE, writer.SIZE, writer.FOV)
    assert space.classes == CLASSES and (walk.read("semantic", 3) == writer.FACE_CLASS[seen["face"]]).all()


def test_another_depth_scale(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    recording = omnidata.read(source, depth_scale=16 / 65536)
    assert recording.frames[0].depth_scale == pytest.approx(1000 / 4096)
    with pytest.raises(UserError, match="--depth-scale: 512 is not metres a unit"):
        omnidata.read(source, depth_scale=512)


def test_views_without_point_info(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    shutil.rmtree(source / "point_info")
    recording = omnidata.read(source, fov=writer.FOV)
    frame = recording.frames[0]
    assert frame.pose is None and frame.camera is not None and recording.up is None
    assert frame.camera.fx == pytest.approx(writer.SIZE / 2 / math.tan(math.radians(writer.FOV / 2)))
    assert "intrinsics" in omnidata.read(source).notes


def test_depth_along_rays_is_left_out_without_a_field_of_view(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene(), depth="depth_euclidean")
    shutil.rmtree(source / "point_info")
    recording = omnidata.read(source)
    assert "depth" not in recording.frames[0].files and "--fov" in recording.notes["depth"]
    assert "depth" in omnidata.read(source, fov=writer.FOV).frames[0].files
