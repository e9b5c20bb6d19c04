"""What is particular to ARKitScenes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene import Scene, assert_one_room
from writers import arkitscenes

from tst.errors import UserError
from tst.readers import read, recognised
from tst.readers.arkitscenes import read as reader

TO_CV = np.diag([1.0, -1, -1, 1])


def test_poses_are_those_of_the_images_times(tmp_path: Path) -> None:
    scene = Scene(start=1000.004)  # between two poses
    recording = reader(arkitscenes.write(tmp_path, scene))
    assert [frame.time for frame in recording.frames] == pytest.approx([scene.time(n) for n in range(6)])
    for number, frame in enumerate(recording.frames):
        expected = arkitscenes.Z_UP @ scene.true_pose(scene.time(number)) @ TO_CV
        np.testing.assert_allclose(frame.pose, expected, atol=2e-4)


def test_the_largest_images_are_the_better_choice(tmp_path: Path) -> None:
    source = arkitscenes.write(tmp_path / "capture", Scene(), images="vga_wide")
    with pytest.raises(UserError, match="lowres_wide: no images"):
        read("arkitscenes", source, tmp_path / "space")
    (walk,) = read("arkitscenes", source, tmp_path / "space", images="vga_wide").walks.values()
    assert_one_room(walk)
    with pytest.raises(UserError, match="--images"):
        read("arkitscenes", source, tmp_path / "other", images="ultrawide")


def test_depth_belongs_to_an_image_within_5_ms(tmp_path: Path) -> None:
    near = reader(arkitscenes.write(tmp_path / "near", Scene(), late=0.004))
    assert all("depth" in frame.files and "confidence" in frame.files for frame in near.frames)
    far = reader(arkitscenes.write(tmp_path / "far", Scene(), late=0.02))
    assert not any("depth" in frame.files for frame in far.frames)


def test_images_held_upright_are_stored_upright(tmp_path: Path) -> None:
    source = arkitscenes.write(tmp_path / "capture", Scene(roll=90))
    space = read("arkitscenes", source, tmp_path / "space")
    (walk,) = space.walks.values()
    assert walk.read("rgb", 0).shape[:2] == (96, 72)
    assert_one_room(walk)
    for index in range(len(walk)):
        assert walk.pose(index)[2, 1] < -0.9  # the image's downward axis, in the world


def test_depth_that_is_not_sure_is_unknown(tmp_path: Path) -> None:
    source = arkitscenes.write(tmp_path / "capture", Scene())
    for path in source.glob("*_frames/confidence/*"):
        half = np.full((48, 64), 2, np.uint8)
        half[:, :32] = 0
        Image.fromarray(half).save(path)
    (walk,) = read("arkitscenes", source, tmp_path / "space").walks.values()
    depth = walk.read("depth", 0)
    assert (depth[:, :32] == 0).all() and (depth[:, 32:] > 0).all()


def test_the_raw_download_and_a_zip_are_read_alike(tmp_path: Path) -> None:
    source = arkitscenes.write(tmp_path / "capture", Scene())
    frames = source / f"{arkitscenes.VIDEO}_frames"
    zipped = Path(shutil.make_archive(str(tmp_path / "video"), "zip", source))
    expected = [frame.pose for frame in reader(source).frames]
    for other in (frames, zipped):
        assert [found.format for found in recognised(other)] == ["arkitscenes"]
        np.testing.assert_array_equal([frame.pose for frame in reader(other).frames], expected)
    (walk,) = read("arkitscenes", zipped, tmp_path / "space").walks.values()
    assert_one_room(walk)
