"""What is particular to Stray Scanner: the IMU's units and axes, the phone's roll, the numbers of frames, old files."""

import zipfile
from pathlib import Path

import broken
import numpy as np
import pytest
from scene import Scene, accel, assert_one_room, gyro
from writers import stray as writer

from tst.decoding import npy
from tst.errors import UserError
from tst.readers import read, stray
from tst.space.choosing import ReadConfig


@pytest.mark.parametrize("unit", ["g", "m/s2"])
@pytest.mark.parametrize("roll", [0, 90])
def test_imu_is_in_camera_axes_and_si_units(unit: str, roll: float, tmp_path: Path) -> None:
    scene = Scene(roll=roll)
    recording = stray.read(writer.write(tmp_path, scene, imu_unit=unit))
    table = recording.sensors["imu"]
    assert table.num_rows == 60 and "imu axes" not in recording.notes
    for row in table.slice(5, 50).to_pylist()[::10]:
        turning = [row[f"gyro_{axis}"] for axis in "xyz"]
        force = [row[f"accel_{axis}"] for axis in "xyz"]
        np.testing.assert_allclose(turning, gyro(scene, row["time"]), atol=0.002)
        np.testing.assert_allclose(force, accel(scene, row["time"]), atol=0.01)
    assert recording.frames[3].time == pytest.approx(scene.time(3))


def test_imu_samples_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    lines = (source / "imu.csv").read_text().splitlines()
    lines[7] = lines[7].replace(lines[7].split(", ")[2], "nan")
    lines[20], lines[21] = lines[21], lines[20]
    (source / "imu.csv").write_text("\n".join(lines))
    recording = stray.read(source)
    times = recording.sensors["imu"]["time"].to_numpy()
    assert len(times) == 58 and (np.diff(times) > 0).all()
    assert recording.notes["imu"].startswith("2 of 60 samples left out")


def test_an_imu_in_other_axes_is_noted(tmp_path: Path) -> None:
    source = writer.write(tmp_path, Scene())
    rows = [line.split(", ") for line in (source / "imu.csv").read_text().splitlines()]
    (source / "imu.csv").write_text("\n".join(", ".join([*row[:4], row[5], row[4], row[6]]) for row in rows))
    assert stray.read(source).notes["imu axes"].startswith("not confirmed")


def test_a_phone_held_upright_gives_upright_images(tmp_path: Path) -> None:
    (walk,) = read("stray", writer.write(tmp_path / "capture", Scene(roll=90)), tmp_path / "home").walks.values()
    camera, pose = walk.camera(0), walk.pose(0)
    assert camera is not None and pose is not None
    assert (camera.width, camera.height) == (72, 96) and walk.read("depth", 0).shape == (64, 48)
    assert pose[1, 1] < -0.9  # the image's downward axis points down
    assert_one_room(walk)


def test_a_zip_reads_as_its_folder_does(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    for method, inside in ((zipfile.ZIP_DEFLATED, "71de12f9/"), (zipfile.ZIP_STORED, "")):
        path = broken.zipped(source, method, inside)
        assert stray.recognise(path)
        (walk,) = read("stray", path, tmp_path / f"home{method}").walks.values()
        assert len(walk) == 6
        assert_one_room(walk)


def test_numbers_of_a_continued_recording_start_later(tmp_path: Path) -> None:
    (walk,) = read("stray", writer.write(tmp_path / "c", Scene(), first=40), tmp_path / "home").walks.values()
    assert walk.frames["id"].to_pylist()[0] == "000000"
    assert_one_room(walk)


def test_depth_of_old_versions_is_npy(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), depth="npy")
    (walk,) = read("stray", source, tmp_path / "home").walks.values()
    assert_one_room(walk)


def test_a_lost_frame_does_not_shift_the_others(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene(), lost=[2])
    (walk,) = read("stray", source, tmp_path / "home").walks.values()
    assert walk.frames["id"].to_pylist() == ["000000", "000001", "000003", "000004", "000005"]
    assert_one_room(walk)


def test_unsure_depth_becomes_unknown(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    levels = np.arange(48 * 64).reshape(48, 64) % 3
    from PIL import Image

    Image.fromarray(levels.astype(np.uint8)).save(source / "confidence/000000.png")
    (walk,) = read("stray", source, tmp_path / "home", config=ReadConfig(confidence=0.9)).walks.values()
    np.testing.assert_array_equal(walk.read("depth", 0) > 0, levels == 2)
    np.testing.assert_array_equal(walk.read("confidence", 0), np.rint(levels * 127.5))


def test_intrinsics_and_notes(tmp_path: Path) -> None:
    recording = stray.read(writer.write(tmp_path, Scene()))
    camera = recording.frames[0].camera
    assert camera is not None and (camera.width, camera.height, camera.fx, camera.cx, camera.cy) == (96, 72, 48, 48, 36)
    assert recording.up == (0, 1, 0) and recording.continuous and recording.full_confidence == 2
    assert "last frame" in recording.notes["intrinsics"]


@pytest.mark.parametrize("shape", ["(99999999, 99999999)", "(48, 65)", "(-1, 4)"])
def test_absurd_arrays_are_refused_before_memory_is_asked_for(shape: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((48, 64), np.uint16))
    data = (tmp_path / "a.npy").read_bytes().replace(b"(48, 64)", shape.encode())
    with pytest.raises(UserError, match=r"a.npy: not a whole array"):
        npy.array(data, "a.npy")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(UserError, match="not a whole array"):
        npy.array((tmp_path / "a.npy").read_bytes(), "a.npy")
