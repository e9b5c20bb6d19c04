"""`tst view`: what is in the recording, read back with Rerun's own reader; and that nothing leaves the machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rerun.chunk import RrdReader

import tst.readers
from captures import CLASSES, ROOM
from tst.errors import UserError
from tst.modalities.semantic import palette
from tst.space import Space
from tst.viewing import view as module
from tst.viewing.cloud import Cloud
from tst.viewing.offline import offline
from tst.viewing.view import view


class Recording:
    """The columns of an .rrd by entity: "ARCHETYPE:field", a list a row; and the timelines, `time` in seconds."""

    def __init__(self, path: Path) -> None:
        reader = RrdReader(path)
        self.blueprints = len(reader.blueprints())
        self.tables: dict[str, list[pa.Table]] = {}
        for chunk in reader.stream().to_chunks():
            table = pa.Table.from_batches([chunk.to_record_batch()])
            if "time" in table.column_names:
                seconds = pa.array(table["time"].cast(pa.int64()).to_numpy() / 1e9)
                table = table.set_column(table.column_names.index("time"), "time", seconds)
            self.tables.setdefault(chunk.entity_path, []).append(table)

    def column(self, entity: str, name: str) -> list[Any]:
        found = [table[name].to_pylist() for table in self.tables[entity] if name in table.column_names]
        return [value for values in found for value in values if value is not None]

    def frames(self, entity: str, name: str) -> list[int]:
        """On the timeline `frame`, where `name` was logged."""
        tables = [table for table in self.tables[entity] if name in table.column_names]
        return sorted(row for table in tables for row in table["frame"].to_pylist())


@pytest.fixture
def labelled_walk(nerfstudio_walk: Callable[..., Path], tmp_path: Path) -> Space:
    """A Space with two labelled walks, one with an IMU."""
    classes = tmp_path / "classes.json"
    classes.write_text('{"classes": ["wall", "floor", "ceiling"]}')
    for name in ("one", "two"):
        tst.readers.read("nerfstudio", nerfstudio_walk(name), tmp_path / "space", classes=classes)
    add_imu(tmp_path / "space" / "walks" / "one")
    return Space.open(tmp_path / "space")


def change(walk: Path, column: str, values: list[Any]) -> None:
    """Replace a column of frames.parquet."""
    table = pq.read_table(walk / "frames.parquet")
    place = table.column_names.index(column)
    table = table.set_column(place, column, pa.array(values, table[column].type))
    pq.write_table(table, walk / "frames.parquet")


def add_imu(walk: Path, start: float = 0.0) -> None:
    times = np.arange(501) / 200
    values = {f"{kind}_{axis}": times * k for kind in ("gyro", "accel") for k, axis in enumerate("xyz")}
    (walk / "sensors").mkdir()
    pq.write_table(pa.table({"time": start + times, **values}), walk / "sensors" / "imu.parquet")


def test_cameras_are_at_their_poses(walk_space: Space, tmp_path: Path) -> None:
    out = view(walk_space, tmp_path / "walk.rrd")
    assert out == tmp_path / "walk.rrd"
    recording, walk = Recording(out), walk_space.walks["walk"]
    positions = np.array(recording.column("/walk/camera", "Transform3D:translation"))[:, 0]
    rotations = np.array(recording.column("/walk/camera", "Transform3D:mat3x3"))[:, 0].reshape(-1, 3, 3)
    poses = np.array([walk.pose(row) for row in range(len(walk))])
    np.testing.assert_allclose(positions, poses[:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(rotations.transpose(0, 2, 1), poses[:, :3, :3], atol=1e-6)  # stored by columns
    (strip,) = recording.column("/walk/path", "LineStrips3D:strips")[0]
    np.testing.assert_allclose(strip, poses[:, :3, 3], atol=1e-6)
    (matrix,) = recording.column("/walk/camera/depth", "Pinhole:image_from_camera")  # once: it does not change
    assert np.array(matrix).reshape(3, 3).T.tolist() == [[24, 0, 24], [0, 24, 20], [0, 0, 1]]
    assert recording.column("/walk/camera/rgb", "Pinhole:resolution") == [[[96, 80]]]
    right, down, forward = 3, 2, 5
    assert recording.column("/walk/camera/rgb", "Pinhole:camera_xyz") == [[[right, down, forward]]]
    up, back = 1, 6
    assert recording.column("/walk", "ViewCoordinates:xyz") == [[[right, up, back]]]
    assert recording.blueprints == 1


def test_pictures_are_the_stored_files(walk_space: Space, tmp_path: Path) -> None:
    recording, walk = Recording(view(walk_space, tmp_path / "walk.rrd") or Path()), walk_space.walks["walk"]
    for name, archetype in (("rgb", "EncodedImage"), ("depth", "EncodedDepthImage")):
        blobs = recording.column(f"/walk/camera/{name}", f"{archetype}:blob")
        assert [bytes(blob[0]) for blob in blobs] == [walk.file(name, row).read_bytes() for row in range(len(walk))]
        assert recording.frames(f"/walk/camera/{name}", f"{archetype}:blob") == list(range(len(walk)))
    assert recording.column("/walk/camera/depth", "EncodedDepthImage:meter") == [[1000]] * len(walk)
    assert recording.column("/walk/camera", "time") == [0, 0.5, 1, 1.5, 2, 2.5]


def test_points_are_on_the_walls(walk_space: Space, tmp_path: Path) -> None:
    recording = Recording(view(walk_space, tmp_path / "walk.rrd") or Path())
    below, above = (
        np.array(recording.column(f"/walk/{name}", "Points3D:positions")[0]) for name in ("points", "ceiling")
    )
    for points in (below, above):
        distances = np.abs(np.concatenate([points, ROOM - points], 1)).min(1)
        assert len(points) > 1000 and np.median(distances) < 0.002 and distances.max() < 0.02
    assert below[:, 1].max() < 1.4 + 0.31 and above[:, 1].min() > 1.4 + 0.29
    floor = np.array(recording.column("/walk/points", "Points3D:colors")[0])[below[:, 1] < 0.005]
    red, blue = floor >> 24 & 255, floor >> 8 & 255
    assert (red > blue).mean() > 0.95, "the floor is brown"


def test_labels_and_sensors(labelled_walk: Space, tmp_path: Path) -> None:
    recording = Recording(view(labelled_walk, tmp_path / "walk.rrd") or Path())
    walk = labelled_walk.walks["one"]
    ((classes,),) = recording.column("/one/camera/semantic", "AnnotationContext:context")
    described = {item["class_id"]: item["class_description"]["info"] for item in classes}
    assert [described[index]["label"] for index in range(3)] == CLASSES
    assert described[1]["color"] >> 8 == int.from_bytes(palette()[1].tobytes(), "big")
    masks = recording.column("/one/camera/semantic", "SegmentationImage:buffer")
    np.testing.assert_array_equal(np.array(masks[3][0], np.uint8), walk.read("semantic", 3).ravel())
    gyro = np.array(recording.column("/one/sensors/imu/gyro", "Scalars:scalars"))
    np.testing.assert_allclose(gyro, np.arange(501)[:, None] / 200 * [0, 1, 2])
    assert recording.column("/one/sensors/imu/gyro", "SeriesLines:names") == [["gyro_x", "gyro_y", "gyro_z"]]
    assert recording.frames("/one/sensors/imu/gyro", "Scalars:scalars") == [*np.repeat(range(5), 100), 5]
    assert "/two/camera/rgb" in recording.tables and not any(name.startswith("/two/s") for name in recording.tables)


def test_time_begins_with_the_walks_first_frame(walk_space: Space, tmp_path: Path) -> None:
    folder = walk_space.walks["walk"].path
    change(folder, "time", [None, *(1000 + np.arange(5) / 2)])
    add_imu(folder, start=999.0)
    recording = Recording(view(Space.open(walk_space.path), tmp_path / "walk.rrd") or Path())
    assert sorted(recording.column("/walk/camera", "time")) == [0, 0.5, 1, 1.5, 2]
    readings = recording.column("/walk/sensors/imu/gyro", "time")
    assert (readings[0], readings[-1]) == (-1, 1.5)
    assert recording.column("/walk/sensors/imu/gyro", "frame") == [1] * 300 + [2] * 100 + [3] * 100 + [4]


def test_readings_are_thinned(labelled_walk: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tst.viewing.recording.READINGS", 100)
    recording = Recording(view(labelled_walk, tmp_path / "walk.rrd") or Path())
    assert len(recording.column("/one/sensors/imu/accel", "Scalars:scalars")) == 84


def test_audio_is_shown_as_loudness(walk_space: Space, tmp_path: Path) -> None:
    folder = walk_space.walks["walk"].path / "sensors"
    folder.mkdir()
    samples = [np.full(16000, 8192, np.int16), np.full(8000, 16384, np.int16)]
    table = pa.table({"time": [0.0, 1.0], "samples": pa.array(samples, pa.list_(pa.int16()))})
    pq.write_table(table.replace_schema_metadata({"rate": "16000"}), folder / "audio.parquet")
    recording = Recording(view(walk_space, tmp_path / "walk.rrd") or Path())
    levels = np.array(recording.column("/walk/sensors/audio/samples", "Scalars:scalars"))[:, 0]
    np.testing.assert_allclose(levels, [0.25] * 20 + [0.5] * 10)


def test_a_frame_without_a_pose_is_nowhere(walk_space: Space, tmp_path: Path) -> None:
    poses = walk_space.walks["walk"].frames["pose"].to_pylist()
    change(walk_space.walks["walk"].path, "pose", [*poses[:2], None, *poses[3:]])
    recording = Recording(view(Space.open(walk_space.path), tmp_path / "walk.rrd") or Path())
    assert recording.frames("/walk/camera", "Transform3D:quaternion") == [2]
    assert [len(strip) for strip in recording.column("/walk/path", "LineStrips3D:strips")[0]] == [2, 3]
    assert len(recording.column("/walk/camera/rgb", "EncodedImage:blob")) == 6


def test_images_without_poses_or_times(labelled_space: Space, tmp_path: Path) -> None:
    recording = Recording(view(labelled_space, tmp_path / "walk.rrd") or Path())
    assert len(recording.column("/labelled/camera/instance", "SegmentationImage:buffer")) == 6
    assert not any(name in recording.tables for name in ("/labelled/path", "/labelled/points", "/labelled"))
    assert all("time" not in table.column_names for tables in recording.tables.values() for table in tables)


def test_which_frames_are_shown(labelled_walk: Space, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(name: str, **options: Any) -> list[int]:
        recording = Recording(view(labelled_walk, tmp_path / f"{name}.rrd", ["two"], **options) or Path())
        assert not any(entity.startswith("/one") for entity in recording.tables)
        return recording.frames("/two/camera/rgb", "EncodedImage:blob")

    assert shown("frames", frames=3) == [0, 2, 5]
    assert "two: 3 of 6 frames are shown; --frames N shows more, --every 1 all of them" in capsys.readouterr().err
    assert shown("every", every=4) == [0, 4]
    assert shown("all") == [0, 1, 2, 3, 4, 5] and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"walks": ["three"]}, "has no walk 'three'; there are: walk"),
        ({"frames": 0}, "--frames: 0 is not a number of frames"),
        ({"every": -1}, "--every: -1 is not"),
        ({"every": 2, "frames": 2}, "Give one of them"),
        ({"out": Path("walk.mp4")}, "ends in .rrd"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str, walk_space: Space, tmp_path: Path) -> None:
    options = {**options, "out": tmp_path / options.get("out", "walk.rrd")}
    with pytest.raises(UserError, match=message):
        view(walk_space, **options)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_nothing_is_overwritten_or_left_half_written(walk_space: Space, tmp_path: Path) -> None:
    out = tmp_path / "walk.rrd"
    out.write_text("mine")
    with pytest.raises(UserError, match="exists"):
        view(walk_space, out)
    assert out.read_text() == "mine"
    out.unlink()
    walk_space.walks["walk"].file("depth", 4).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"0004.png: not an image"):
        view(walk_space, out)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_full_disk_is_told_before(walk_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(UserError, match="0 MB are free, and about 50 MB needed"):
        view(walk_space, tmp_path / "walk.rrd")


def test_rerun_is_optional(walk_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(UserError, match=r"not installed. Install it: pip install 'tst\[view\]'"):
        view(walk_space, tmp_path / "walk.rrd")


# ---- the viewer, and the network


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A screen, as far as the environment says; Rerun's settings would be in `tmp_path`; counting is forced."""
    monkeypatch.setenv("DISPLAY", ":77")
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("FORCE_RERUN_ANALYTICS", "1")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, screen: None) -> Iterator[dict[str, Any]]:
    """What the viewer, which is not there, was started with; `code` and `error` are how it ends."""
    told: dict[str, Any] = {"code": 0, "error": b""}

    class Viewer:
        def __init__(self, command: list[str], stderr: Any, **options: Any) -> None:
            told.update(command=command, environment=dict(os.environ), exists=Path(command[-1]).is_file())
            stderr.write(told["error"])

        def wait(self) -> int:
            return int(told["code"])

    monkeypatch.setattr(subprocess, "Popen", Viewer)
    yield told


def test_the_viewer_is_local_and_offline(walk_space: Space, started: dict[str, Any], tmp_path: Path) -> None:
    before = dict(os.environ)
    assert view(walk_space) is None
    command, environment = started["command"], started["environment"]
    assert command[-5:-1] == ["--bind", "127.0.0.1", "--port", "auto"]
    assert started["exists"] and not Path(command[-1]).exists(), "the recording is there while the viewer is"
    assert environment["CI"] == "true" and "FORCE_RERUN_ANALYTICS" not in environment
    assert environment["TELEMETRY_ENABLED"] == "false"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert environment[name] == "http://127.0.0.1:9", "nobody listens there"
    assert dict(os.environ) == before
    assert not (tmp_path / "settings").exists(), "Rerun made no identity to count under"


def test_a_viewer_that_fails_is_told(walk_space: Space, started: dict[str, Any]) -> None:
    started.update(code=1, error=b"starting\nError: no graphics card\n")
    with pytest.raises(UserError, match=r"\(Error: no graphics card\). Save a recording with `tst view .* --out"):
        view(walk_space)


@pytest.mark.skipif(sys.platform != "linux", reason="a window would open")
def test_the_real_viewer_fails_without_a_screen(
    walk_space: Space, screen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAYLAND_DISPLAY", "WAYLAND_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"viewer ended with an error \(.*X server.*\). Save a recording") as error:
        view(walk_space)
    assert "\n" not in str(error.value) and not (tmp_path / "settings").exists()


def test_without_a_screen_a_recording_is_proposed(walk_space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UserError, match=r"no screen on this machine. Save .* with `tst view .* --out FILE.rrd`"):
        view(walk_space)


def test_rerun_is_imported_and_used_offline(
    walk_space: Space, tmp_path: Path, screen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    load = module._rerun

    def noting() -> ModuleType:
        seen.append(os.environ["CI"])
        return load()

    monkeypatch.setattr(module, "_rerun", noting)
    view(walk_space, tmp_path / "walk.rrd")
    assert seen == ["true"] and not (tmp_path / "settings").exists()


def test_rerun_accepts_the_recording_and_counts_nothing(walk_space: Space, screen: None, tmp_path: Path) -> None:
    """The real program, which otherwise makes an identity in the settings and counts this."""
    out = view(walk_space, tmp_path / "walk.rrd")
    command = [sys.executable, "-m", "rerun_cli", "rrd", "verify", str(out)]
    with offline():
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "1 file verified without error" in done.stdout + done.stderr
    assert "anonymous usage data" not in done.stdout + done.stderr
    assert not (tmp_path / "settings").exists()


# ---- the cloud


def test_a_cloud_is_bounded_and_averages() -> None:
    rng = np.random.default_rng(0)
    cloud = Cloud(limit=500)
    for _ in range(20):
        points = rng.uniform(-3, 3, (1000, 3))
        points[:, 2] = 1.0
        cloud.add(points, np.full((1000, 3), 90, np.uint8))
    points, colours = cloud.result()
    assert 200 < len(points) <= 500 and cloud.side > 0.2
    np.testing.assert_allclose(points[:, 2], 1, atol=1e-6)
    assert (colours == 90).all() and np.abs(points.mean(0) - [0, 0, 1]).max() < 0.2


def test_points_of_one_voxel_become_their_mean() -> None:
    cloud = Cloud(limit=10)
    cloud.add(np.array([[0.001, 0, 0], [0.003, 0, 0], [1, 1, 1]]), np.array([[0, 0, 0], [100, 50, 0], [7, 7, 7]]))
    cloud.add(np.array([[0.005, 0, 0], [1e9, 0, 0], [np.nan, 0, 0]]), np.array([[200, 100, 0], [1, 1, 1], [1, 1, 1]]))
    points, colours = cloud.result()
    np.testing.assert_allclose(points, [[0.003, 0, 0], [1, 1, 1]], atol=1e-6)
    assert colours.tolist() == [[100, 50, 0], [7, 7, 7]]


def test_no_points_at_all() -> None:
    points, colours = Cloud(limit=10).result()
    assert points.shape == colours.shape == (0, 3)
