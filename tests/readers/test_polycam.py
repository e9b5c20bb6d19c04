"""What is particular to Polycam: corrected and plain keyframes, its blur score, names that are times, confidence."""

import shutil
from pathlib import Path

import broken
import numpy as np
import pytest
from PIL import Image
from scene import Scene, assert_one_room
from writers import polycam as writer

from tst.errors import UserError
from tst.readers import polycam, read
from tst.space.choosing import ReadConfig


def test_corrected_keyframes_are_taken_where_there_are_any(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    recording = polycam.read(source)
    assert "corrected" in recording.notes["keyframes"] and "distortion" not in recording.notes
    image = recording.frames[0].files["rgb"]
    assert isinstance(image, Path) and image.parent.name == "corrected_images"


def test_plain_keyframes_where_there_are_no_others(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), corrected=False)
    assert polycam.recognise(source)
    (walk,) = read("polycam", source, tmp_path / "home").walks.values()
    assert walk.record.notes["keyframes"] == "plain" and "distortion" in walk.record.notes
    assert_one_room(walk)


def test_plain_and_corrected_keyframes_are_not_mixed(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    for number in range(4):
        (source / writer.name("corrected_cameras", "json", number)).unlink()
    with pytest.raises(UserError, match="4 of 6 frames are unusable"):
        polycam.read(source)


def test_a_folder_of_empty_corrections_counts_as_none(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), corrected=False)
    (source / "keyframes/corrected_cameras").mkdir()
    assert len(polycam.read(source).frames) == 6


def test_the_zip_that_the_app_shares(tmp_path: Path) -> None:
    path = broken.zipped(writer.write(tmp_path / "capture", Scene()), inside="living room/")
    assert polycam.recognise(path)
    (walk,) = read("polycam", path, tmp_path / "home").walks.values()
    assert len(walk) == 6
    assert_one_room(walk)


def test_blurred_keyframes_are_dropped_unless_all_are_wanted(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    writer.edit(2, blur_score=12.5)(source)
    writer.edit(3, blur_score=None)(source)
    frames = polycam.read(source).frames
    assert frames[2].against == "Polycam's blur score is 12.5, below 25" and frames[3].against is None
    (walk,) = read("polycam", source, tmp_path / "home").walks.values()
    assert len(walk) == 5 and walk.dropped() == [(str(writer.stamp(2)), frames[2].against)]
    (walk,) = read("polycam", source, tmp_path / "all", config=ReadConfig(keep="all")).walks.values()
    assert len(walk) == 6


def test_names_are_microseconds_in_the_order_of_numbers(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    for path in (source / "keyframes").rglob(f"{writer.stamp(5)}.*"):
        shutil.copy(path, path.with_stem("thumb"))  # not a keyframe
    frames = polycam.read(source).frames
    assert [frame.time for frame in frames] == pytest.approx([9999.9, 10000, 10000.1, 10000.2, 10000.3, 10000.4])


def test_a_phone_held_upright_gives_upright_images(tmp_path: Path) -> None:
    (walk,) = read("polycam", writer.write(tmp_path / "c", Scene(roll=90)), tmp_path / "home").walks.values()
    camera = walk.camera(0)
    assert camera is not None and (camera.width, camera.height) == (72, 96)
    assert_one_room(walk)


def test_confidence_of_127_is_medium(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    levels = np.array([0, 127, 255], np.uint8)[np.arange(48 * 64).reshape(48, 64) % 3]
    Image.fromarray(levels).save(source / writer.name("confidence", "png", 0))
    (walk,) = read("polycam", source, tmp_path / "home", config=ReadConfig(confidence=0.9)).walks.values()
    np.testing.assert_array_equal(walk.read("depth", 0) > 0, levels == 255)
    (walk,) = read("polycam", source, tmp_path / "half", config=ReadConfig(confidence=0.49)).walks.values()
    np.testing.assert_array_equal(walk.read("depth", 0) > 0, levels > 0)


def test_intrinsics_are_each_keyframes_own(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    writer.edit(1, fx=50, cy=35.5)(source)
    camera = polycam.read(source).frames[1].camera
    assert camera is not None and (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 48, 48, 35.5)
