"""What is particular to ScanNet."""

from pathlib import Path

import numpy as np
import pytest
from scene import Scene, accel, assert_one_room, gyro
from writers import scannet

from tst.errors import UserError
from tst.readers import read, recognised
from tst.readers.scannet import read as reader
from tst.space.sensors import SENSORS

TO_CV = np.diag([1.0, -1, -1, 1])


def test_the_pose_is_the_colour_cameras_and_depth_is_beside_it(tmp_path: Path) -> None:
    scene = Scene()
    recording = reader(scannet.write(tmp_path / "a", scene))
    frame = recording.frames[2]
    np.testing.assert_allclose(frame.pose, scannet.Z_UP @ scene.true_pose(scene.time(2)) @ TO_CV, atol=1e-5)
    np.testing.assert_allclose(frame.depth_to_rgb, scannet.DEPTH_TO_COLOUR, atol=1e-6)
    assert frame.camera is not None and frame.depth_camera is not None
    assert (frame.camera.cx, frame.camera.cy) == (48, 36)  # the middle of 96x72
    assert frame.depth_camera.fx == pytest.approx(40)  # 90 degrees of 80 pixels
    assert frame.time == pytest.approx(scene.time(2))


def test_registered_depth_is_left_where_it_is(tmp_path: Path) -> None:
    source = scannet.write(tmp_path / "a", Scene(), registered=True)
    assert reader(source).frames[0].depth_camera is None
    (walk,) = read("scannet", source, tmp_path / "space").walks.values()
    assert walk.read("depth", 0).shape == (60, 80)
    assert_one_room(walk)


def test_raw_images_and_other_units(tmp_path: Path) -> None:
    source = scannet.write(tmp_path / "a", Scene(), shift=4000.0, raw=True)
    (walk,) = read("scannet", source, tmp_path / "space").walks.values()
    assert_one_room(walk)


def test_the_imu_is_in_camera_axes(tmp_path: Path) -> None:
    scene = Scene()
    sensors = reader(scannet.write(tmp_path / "a", scene)).sensors
    assert set(sensors) == {"imu", "magnetometer"}
    for name, table in sensors.items():
        assert table.column_names == ["time", *SENSORS[name]]
        assert (np.diff(table["time"].to_numpy()) > 0).all()
    for row in sensors["imu"].to_pylist()[20::40]:
        np.testing.assert_allclose([row[f"gyro_{a}"] for a in "xyz"], gyro(scene, row["time"]), atol=1e-3)
        np.testing.assert_allclose([row[f"accel_{a}"] for a in "xyz"], accel(scene, row["time"]), atol=2e-2)
    row = sensors["magnetometer"].to_pylist()[30]
    to_world = scene.true_pose(row["time"])[:3, :3] @ TO_CV[:3, :3]
    np.testing.assert_allclose(to_world @ [row[f"mag_{a}"] for a in "xyz"], [20, -40, 5], atol=1e-3)


@pytest.mark.parametrize("device", [np.eye(3), -scannet.CAMERA_TO_DEVICE, 57.3 * scannet.CAMERA_TO_DEVICE])
def test_an_imu_that_turns_otherwise_is_left_out(tmp_path: Path, device: np.ndarray) -> None:
    recording = reader(scannet.write(tmp_path / "a", Scene(), device=device))
    assert not recording.sensors and "does not turn as the poses do" in recording.notes["imu"]


def test_exported_folders(tmp_path: Path) -> None:
    source = scannet.export(tmp_path / "a", Scene())
    assert [found.format for found in recognised(source)] == ["scannet"]
    assert reader(source).continuous
    (walk,) = read("scannet", source, tmp_path / "space").walks.values()
    assert_one_room(walk)


def test_frames_25k_are_chosen_frames(tmp_path: Path) -> None:
    source = scannet.export(tmp_path / "a", Scene(), chosen=True)
    recording = reader(source)
    assert not recording.continuous and [frame.id for frame in recording.frames][:2] == ["000000", "000100"]
    (walk,) = read("scannet", source, tmp_path / "space").walks.values()
    assert_one_room(walk)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("intrinsic/intrinsic_color.txt", None, "intrinsic_color.txt: not found"),
        ("intrinsic/intrinsic_color.txt", "1 2 3", "not a 4x4 matrix"),
        ("intrinsic/intrinsic_depth.txt", "0 0 0\n0 0 0\n0 0 1", "focal length is 0"),
        ("intrinsic/extrinsic_depth.txt", "2 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1", "not rigid"),
    ],
)
def test_damaged_folders(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    source = scannet.export(tmp_path / "a", Scene())
    if text is None:
        (source / name).unlink()
    else:
        (source / name).write_text(text)
    with pytest.raises(UserError, match=message):
        reader(source)


def test_poses_of_an_export_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    source = scannet.export(tmp_path / "a", Scene())
    (source / "pose" / "1.txt").write_text("\n".join(["-inf -inf -inf -inf"] * 4))
    (source / "pose" / "2.txt").write_text("no pose")
    (source / "pose" / "3.txt").unlink()
    recording = reader(source)
    assert [item.id for item in recording.dropped] == ["1", "2", "3"]
    assert "lost track" in recording.dropped[0].reason
    (source / "pose" / "4.txt").unlink()
    with pytest.raises(UserError, match="4 of 6 frames"):
        reader(source)


def test_a_folder_of_several_scans_is_not_one(tmp_path: Path) -> None:
    source = scannet.write(tmp_path / "a", Scene(frames=2))
    (source.parent / "scene0000_01.sens").write_bytes(source.read_bytes())
    assert reader(source).frames
    with pytest.raises(UserError, match=r"2 \.sens files"):
        reader(source.parent)


def test_long_names_with_umlauts(tmp_path: Path) -> None:
    source = scannet.write(tmp_path / "a", Scene(frames=2))
    source = source.rename(source.with_name("größe-" + "x" * 200 + ".sens"))
    space = read("scannet", source, tmp_path / "space")
    assert len(space) == 2
