"""What is particular to TUM RGB-D: whose camera it is, poses at the image's moment, the accelerometer's axes."""

from pathlib import Path

import numpy as np
import pytest
from broken import zipped
from scene import Scene, accel, assert_one_room
from writers import tum_rgbd as writer

from tst.errors import UserError
from tst.readers import read, tum_rgbd


def write_accelerometer(root: Path, scene: Scene, signs: list[float], bias: float = 0.0) -> None:
    times = scene.start + np.arange(60) / 100
    rows = [(time, *(accel(scene, time) * signs + bias)) for time in times]
    lines = ["# accelerometer data", *(" ".join(f"{value:.6f}" for value in row) for row in rows)]
    (root / "accelerometer.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "fx", "cx", "distorted"),
    [
        ("rgbd_dataset_freiburg1_desk", 517.306408, 319.143040, True),
        ("rgbd_dataset_freiburg2_xyz", 520.908620, 325.641442, True),
        ("fr3_office", 535.4, 320.6, False),
        ("rgbd_dataset_freiburg3", 535.4, 320.6, False),
        ("office", 525.0, 320.0, False),
        ("fr12_office", 525.0, 320.0, False),
    ],
)
def test_the_name_tells_the_camera(name: str, fx: float, cx: float, distorted: bool, tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene()).rename(tmp_path / name)
    recording = tum_rgbd.read(source)
    frame = recording.frames[0]
    assert frame.camera is not None
    assert (frame.camera.width, frame.camera.height) == (640, 480)
    assert (frame.camera.fx, frame.camera.cx) == pytest.approx((fx, cx))  # calibrations count from pixel centres
    assert (frame.lens is not None) == distorted
    assert recording.notes["intrinsics"].startswith("assumed" if fx == 525 else "the benchmark's")


def test_intrinsics_of_another_camera(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    focal = 525 / 640 * 96
    given = (focal, focal, 47.5, 35.5)
    camera = tum_rgbd.read(source, intrinsics=given).frames[0].camera
    assert camera is not None and (camera.width, camera.height, camera.cx, camera.cy) == (96, 72, 48, 36)
    (walk,) = read("tum_rgbd", source, tmp_path / "home", intrinsics=given).walks.values()
    assert_one_room(walk)
    with pytest.raises(UserError, match=r"--intrinsics: 0 .* are no fx fy cx cy of 96x72"):
        tum_rgbd.read(source, intrinsics=(0, focal, 47.5, 35.5))


def test_poses_are_those_of_the_image_not_of_the_nearest_measurement(tmp_path: Path) -> None:
    scene = Scene()
    recording = tum_rgbd.read(writer.write(tmp_path, scene))
    for number, frame in enumerate(recording.frames):
        assert frame.pose is not None and frame.time == pytest.approx(scene.time(number))
        true = writer.TO_WORLD @ scene.opencv_pose(number)
        np.testing.assert_allclose(frame.pose, true, atol=2e-4)
        nearest = writer.TO_WORLD @ scene.pose_at(scene.time(number) + 0.0037) @ np.diag([1, -1, -1, 1])
        assert np.abs(frame.pose - nearest).max() > 1e-3
    assert recording.up == (0, 0, 1)


@pytest.mark.parametrize("signs", [[1, 1, 1], [-1, -1, 1], [1, -1, -1]])
def test_the_accelerometer_is_in_camera_axes_whatever_its_own(signs: list[float], tmp_path: Path) -> None:
    scene = Scene(rate=2.0)  # a calm walk: gravity is most of what is measured
    source = writer.write(tmp_path, scene)
    write_accelerometer(source, scene, signs)
    table = tum_rgbd.read(source).sensors["imu"]
    assert table.num_rows == 60 and table["gyro_x"].null_count == 60
    for row in table.to_pylist()[5:50:9]:
        np.testing.assert_allclose([row[f"accel_{a}"] for a in "xyz"], accel(scene, row["time"]), atol=1e-4)


def test_an_accelerometer_that_contradicts_the_poses_is_left_out(tmp_path: Path) -> None:
    scene = Scene()
    source = writer.write(tmp_path, scene)
    write_accelerometer(source, scene, [1, 1, 1], bias=9.0)
    recording = tum_rgbd.read(source)
    assert recording.sensors == {} and recording.notes["accelerometer"].startswith("left out")


def test_without_ground_truth_there_are_no_poses(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    (source / "groundtruth.txt").unlink()
    recording = tum_rgbd.read(source)
    assert len(recording.frames) == 6 and all(frame.pose is None for frame in recording.frames)
    assert recording.notes["poses"].startswith("none") and recording.up is None


def test_a_zip_is_read_like_the_folder(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    archive = zipped(source, inside=f"{source.name}/")
    (walk,) = read("auto", archive, tmp_path / "home").walks.values()
    assert walk.record.format == "tum_rgbd"
    assert_one_room(walk)
