"""What is particular to 7-Scenes: two cameras, sequences and scenes, unknown depth, splits."""

from pathlib import Path

import numpy as np
import pytest
from broken import zipped
from scene import Scene, assert_one_room
from writers import seven_scenes as writer

from tst.errors import UserError
from tst.readers import read, seven_scenes


def scene_of_two(folder: Path) -> Path:
    root = writer.write(folder, Scene()).parent.rename(folder.parent / "chess")
    writer.write(root / "other", Scene(start=2000.0)).rename(root / "seq-02")
    (root / "other").rmdir()
    (root / "TrainSplit.txt").write_text("sequence1\n")
    (root / "TestSplit.txt").write_text("sequence2\n")
    return root


def test_poses_become_those_of_the_colour_camera(tmp_path: Path) -> None:
    scene = Scene()
    frames = seven_scenes.read(writer.write(tmp_path, scene)).frames
    for number, frame in enumerate(frames):
        assert frame.pose is not None
        np.testing.assert_allclose(frame.pose, scene.opencv_pose(number), atol=1e-6)


def test_depth_is_what_the_colour_camera_would_see(tmp_path: Path) -> None:
    scene = Scene()
    (walk,) = read("seven_scenes", writer.write(tmp_path / "capture", scene), tmp_path / "home").walks.values()
    stored = walk.read("depth", 2) / 1000
    true = scene.view(2, stored.shape[1], stored.shape[0], writer.RGB_FOV)["depth"]
    known = stored > 0
    assert known.mean() > 0.7  # the depth camera sees less
    errors = np.abs(stored - true)[known]
    assert np.percentile(errors, 95) < 0.005


def test_unknown_depth_is_no_depth(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    values = seven_scenes.read(source).frames[0].files["depth"]
    depth = values.load(None)  # type: ignore[union-attr]
    assert (depth[:3, :5] == 0).all() and depth.max() < 6000


@pytest.mark.parametrize("packed", [False, True])
def test_a_scene_is_all_its_sequences(packed: bool, tmp_path: Path) -> None:
    source = scene_of_two(tmp_path / "capture")
    if packed:
        for part in sorted(source.glob("seq-*")):
            zipped(part, inside=f"{part.name}/")
            for path in part.iterdir():
                path.unlink()
            part.rmdir()
    recording = seven_scenes.read(source)
    assert [frame.id for frame in recording.frames[::6]] == ["seq-01-frame-000000", "seq-02-frame-000000"]
    assert {frame.id[:6]: frame.split for frame in recording.frames} == {"seq-01": "train", "seq-02": "test"}
    (walk,) = read("auto", source, tmp_path / "home").walks.values()
    assert len(walk) == 12
    assert_one_room(walk)


def test_a_zip_of_zips_must_be_unpacked(tmp_path: Path) -> None:
    source = scene_of_two(tmp_path / "capture")
    zipped(source / "seq-01")
    for path in source.rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"holds its sequences as zips \(seq-01.zip\)"):
        seven_scenes.read(zipped(source))
