"""Images are turned upright, and intrinsics, poses and normals with them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from captures import render
from tst.readers.base import Frame, Recording, Values
from tst.space import normal_maps, orientation
from tst.space.camera import Camera
from tst.space.ingest import add_walk
from tst.space.poses import OPENGL_TO_OPENCV

UP = np.array([0.0, 1.0, 0.0])


def held(roll: float, pitch: float = 0.0) -> np.ndarray:
    """An OpenCV pose in a y-up world, the device turned counter-clockwise by `roll` degrees as its holder sees it."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("YXZ", [30, pitch, roll], degrees=True).as_matrix()
    pose[:3, 3] = [2, 1.3, 2.5]
    return pose @ OPENGL_TO_OPENCV


@pytest.mark.parametrize("roll", [0, 90, 180, 270, 40, 130, -20])
@pytest.mark.parametrize("pitch", [-50, 0, 40])
def test_upright_means_that_up_is_up(roll: float, pitch: float) -> None:
    pose = held(roll, pitch)
    turns = orientation.quarter_turns(pose, UP)
    assert turns is not None
    x, y, _ = orientation.turned_pose(pose, turns)[:3, :3].T @ UP
    assert y < 0 and abs(x) <= abs(y) + 1e-9


def test_a_little_roll_does_not_flicker_and_looking_down_keeps_the_turn() -> None:
    assert [orientation.quarter_turns(held(roll), UP, 0) for roll in (-55, 44, 50, 58)] == [0] * 4
    assert orientation.quarter_turns(held(80), UP, 0) == orientation.quarter_turns(held(80), UP)
    assert orientation.quarter_turns(held(0, -88), UP, 3) == 3
    assert orientation.quarter_turns(held(0, -88), UP) is None


@pytest.mark.parametrize("roll", [0, 90, 180, 270])
def test_stored_frames_still_show_the_room(roll: float, tmp_path: Path) -> None:
    camera = Camera(96, 72, 48, 48, 48, 36)
    pose = held(roll, -10)
    seen = render(pose @ OPENGL_TO_OPENCV, 96, 72)
    files = {
        "rgb": Values("rgb", lambda _: seen["rgb"]),
        "depth": Values("depth", lambda _: np.rint(seen["depth"] * 1000).astype(np.uint16)),
    }
    frame = Frame("0", files, camera, pose)
    recording = Recording("test", tmp_path, [frame], up=(0, 1, 0))
    walk = add_walk(tmp_path / "home", recording, "walk", None, {}).walks["walk"]
    assert walk.size(0) == ((96, 72) if roll % 180 else (72, 96))
    stored, stored_pose = walk.camera(0), walk.pose(0)
    assert stored is not None and stored_pose is not None
    assert stored_pose[1, 1] < -0.9  # the camera's downward axis points down
    points = stored.unproject(walk.read("depth", 0) / 1000) @ stored_pose[:3, :3].T + stored_pose[:3, 3]
    turns = walk.frames["turns"][0].as_py()
    np.testing.assert_allclose(points, np.rot90(seen["points"], -turns), atol=0.005)


@pytest.mark.parametrize("turns", range(4))
def test_normals_turn_with_the_axes(turns: int) -> None:
    stored = normal_maps.encode(np.broadcast_to(np.array([0.6, 0.0, -0.8], np.float32), (4, 6, 3)))
    pose = held(0)
    before = normal_maps.decode(stored)[0, 0] @ pose[:3, :3].T
    turned = orientation.turned_normals(stored, turns)
    after = normal_maps.decode(turned)[0, 0] @ orientation.turned_pose(pose, turns)[:3, :3].T
    np.testing.assert_allclose(after, before, atol=0.02)


def test_four_turns_are_none() -> None:
    camera = Camera(96, 72, 50, 52, 47, 33)
    assert orientation.turned_camera(camera, 4) == camera
    np.testing.assert_allclose(orientation.turned_pose(held(30), 4), held(30), atol=1e-12)
