"""What is particular to ScanNet++."""

import json
from pathlib import Path

import numpy as np
import pytest
from scene import FAULTS, Scene, assert_one_room
from writers import scannetpp

from tst.errors import UserError
from tst.readers import read, recognised
from tst.readers.scannetpp import read as reader

TO_CV = np.diag([1.0, -1, -1, 1])


@pytest.mark.parametrize("kind", ["lz4", "deflate", "stream"])
def test_each_kind_of_depth_bin(tmp_path: Path, kind: str) -> None:
    source = scannetpp.write(tmp_path / "capture", Scene(), kind)
    (walk,) = read("scannetpp", source, tmp_path / "space").walks.values()
    assert len(walk) == 6
    assert_one_room(walk)


def test_a_stream_of_depth_can_be_read_out_of_order(tmp_path: Path) -> None:
    scene = Scene()
    frames = reader(scannetpp.write(tmp_path, scene, "stream")).frames
    for number in (1, 4, 0):
        depth = frames[number].files["depth"].load(None)
        np.testing.assert_allclose(depth, scene.view(number, 256, 192)["depth"] * 1000, rtol=1e-6)


def test_a_cut_stream_of_depth_loses_the_frames_after(tmp_path: Path) -> None:
    source = scannetpp.write(tmp_path / "capture", Scene(), "stream")
    path = source / "iphone" / "depth.bin"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.9)])
    (walk,) = read("scannetpp", source, tmp_path / "space").walks.values()
    assert len(walk) == 5 and "ends before it" in walk.dropped()[0][1]


def test_poses_are_those_of_the_scan(tmp_path: Path) -> None:
    scene = Scene()
    recording = reader(scannetpp.write(tmp_path, scene))
    for number, frame in enumerate(recording.frames):
        np.testing.assert_allclose(frame.pose, scannetpp.Z_UP @ scene.true_pose(scene.time(number)) @ TO_CV, atol=1e-9)
    assert recording.up == (0, 0, 1) and not recording.sensors and "left out" in recording.notes["imu"]


def test_extracted_frames_go_before_the_video(tmp_path: Path) -> None:
    scene = Scene()
    source = scannetpp.write(tmp_path / "capture", scene)
    scannetpp.extract(source, scene, [0, 2, 4])
    recording = reader(source)
    assert [frame.id for frame in recording.frames] == ["frame_000000", "frame_000002", "frame_000004"]
    assert not recording.dropped
    (walk,) = read("scannetpp", source, tmp_path / "space").walks.values()
    assert_one_room(walk)


def test_the_iphone_folder_alone(tmp_path: Path) -> None:
    source = scannetpp.write(tmp_path, Scene(frames=2)) / "iphone"
    assert [found.format for found in recognised(source)] == ["scannetpp"]
    assert len(reader(source).frames) == 2


@pytest.mark.parametrize("colmap", [True, False])
def test_photographs_by_a_fisheye_become_pinhole(tmp_path: Path, colmap: bool) -> None:
    source = scannetpp.write_dslr(tmp_path / "capture", Scene(), colmap=colmap)
    assert [found.format for found in recognised(source)] == ["scannetpp"]
    (walk,) = read("scannetpp", source, tmp_path / "space", camera="dslr").walks.values()
    assert len(walk) == 6 and walk.read("rgb", 0).shape == (90, 120, 3)
    assert_one_room(walk)


@pytest.mark.parametrize("fault", FAULTS[:3])  # photographs have no clock
def test_faulty_photographs_fail_that_proof(tmp_path: Path, fault: str) -> None:
    source = scannetpp.write_dslr(tmp_path / "capture", Scene().with_fault(fault))
    (walk,) = read("scannetpp", source, tmp_path / "space", camera="dslr").walks.values()
    with pytest.raises(pytest.fail.Exception, match="disagree"):
        assert_one_room(walk)


def test_video_and_photographs_share_a_world(tmp_path: Path) -> None:
    scene = Scene()
    source = scannetpp.write_dslr(tmp_path, scene)
    iphone = scannetpp.write(tmp_path / "other", scene) / "iphone"
    iphone.rename(source / "iphone")
    photographs, video = reader(source, "dslr"), reader(source)
    for a, b in zip(photographs.frames, video.frames, strict=True):
        np.testing.assert_allclose(a.pose, b.pose, atol=1e-6)
    assert [frame.split for frame in photographs.frames] == ["train"] * 5 + ["test"]
    assert [frame.against is not None for frame in photographs.frames] == [False, True, *[False] * 4]


def test_without_colmap_the_world_is_that_of_the_transforms(tmp_path: Path) -> None:
    recording = reader(scannetpp.write_dslr(tmp_path, Scene(), colmap=False), "dslr")
    assert recording.up is None and "turned" in recording.notes["world"]


def test_without_transforms_all_is_in_the_model(tmp_path: Path) -> None:
    source = scannetpp.write_dslr(tmp_path / "capture", Scene(), transforms=False)
    (walk,) = read("scannetpp", source, tmp_path / "space", camera="dslr").walks.values()
    assert_one_room(walk)


def test_photographs_that_are_pinhole_already(tmp_path: Path) -> None:
    source = scannetpp.write_dslr(tmp_path, Scene(), pinhole=True)
    frame = reader(source, "dslr").frames[0]
    assert frame.lens is None and "depth" not in frame.files  # the rendered depth is the fisheye's


def test_a_scene_without_video_says_so(tmp_path: Path) -> None:
    source = scannetpp.write_dslr(tmp_path, Scene(frames=2))
    with pytest.raises(UserError, match="--camera dslr"):
        reader(source)
    with pytest.raises(UserError, match="--camera: 'panocam'"):
        reader(source, "panocam")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("colmap/cameras.txt", "1 OPENCV_FISHEYE 120 90 55 55 60", "with 3 parameters"),
        ("colmap/cameras.txt", "1 THIN_PRISM 120 90 55 55 60 45", "THIN_PRISM"),
        ("colmap/cameras.txt", "one camera", "is not a camera"),
        ("colmap/cameras.txt", "", "no camera"),
        ("colmap/images.txt", "1 1 0 0\n", "is not an image"),
        ("nerfstudio/transforms.json", "{}[", "not valid JSON"),
        ("nerfstudio/transforms.json", "[]", "not an object"),
        ("nerfstudio/transforms.json", '{"frames": 3}', "frames"),
        ("nerfstudio/transforms.json", '{"frames": [3]}', "no file_path"),
        ("nerfstudio/transforms.json", '{"fl_x": "wide"}', "not a number"),
        ("nerfstudio/transforms.json", '{"fl_x": 0, "fl_y": 0, "cx": 1, "cy": 1, "w": 2, "h": 2}', "focal length"),
    ],
)
def test_damaged_models(tmp_path: Path, name: str, text: str, message: str) -> None:
    source = scannetpp.write_dslr(tmp_path, Scene(frames=2))
    (source / "dslr" / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        reader(source, "dslr")
    assert "\n" not in str(caught.value)


def test_a_photograph_without_a_pose_is_listed(tmp_path: Path) -> None:
    source = scannetpp.write_dslr(tmp_path, Scene())
    path = source / "dslr" / "colmap" / "images.txt"
    lines = path.read_text().splitlines()
    lines[1] = "1 0 0 0 0 " + lines[1].split(" ", 5)[5]
    path.write_text("\n".join(lines))
    path = source / "dslr" / "nerfstudio" / "transforms.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "frames": []}))
    assert ["quaternion 0" in item.reason for item in reader(source, "dslr").dropped] == [True]
