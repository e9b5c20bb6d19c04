"""What is particular to Record3D: both kinds of export, portrait and landscape, clock, intrinsics, old files."""

import io
from pathlib import Path
from typing import Any

import broken
import lzfse
import numpy as np
import OpenEXR
import pytest
from scene import FAULTS, Scene, assert_one_room
from writers import record3d as writer

from tst.decoding import exr
from tst.decoding import lzfse as decoder
from tst.errors import UserError
from tst.readers import read, record3d


def test_an_export_reads_as_the_file_does(tmp_path: Path) -> None:
    folder = writer.write(tmp_path / "a", Scene(), export=True)
    for number, source in enumerate((folder, broken.zipped(folder), broken.unzipped(writer.write(tmp_path, Scene())))):
        assert record3d.recognise(source)
        (walk,) = read("record3d", source, tmp_path / f"home{number}").walks.values()
        assert len(walk) == 6 and walk.record.format == "record3d"
        assert_one_room(walk)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_export_fails_that_proof(fault: str, tmp_path: Path) -> None:
    source = writer.write(tmp_path / "a", Scene().with_fault(fault), export=True)
    (walk,) = read("record3d", source, tmp_path / "home").walks.values()
    with pytest.raises(pytest.fail.Exception, match="disagree"):
        assert_one_room(walk)


@pytest.mark.parametrize("export", [False, True])
@pytest.mark.parametrize("roll", [0, 90])
def test_portrait_and_landscape(roll: float, export: bool, tmp_path: Path) -> None:
    """Images lie as they are seen, and depth with them; one that lies on its side all the same is turned."""
    source = writer.write(tmp_path / "a", Scene(roll=roll), portrait=True, export=export)
    (walk,) = read("record3d", source, tmp_path / "home").walks.values()
    camera = walk.camera(0)
    assert camera is not None and (camera.width, camera.height) == ((96, 72) if roll else (72, 96))
    assert walk.read("depth", 0).shape == ((48, 64) if roll else (64, 48))
    assert_one_room(walk)


def test_times_are_the_stamps_or_else_the_rate(tmp_path: Path) -> None:
    stamped = record3d.read(writer.write(tmp_path / "a", Scene()))
    assert [frame.time for frame in stamped.frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    rated = record3d.read(writer.write(tmp_path / "b", Scene(), change={"frameTimestamps": None, "fps": 30}))
    assert [frame.time for frame in rated.frames] == pytest.approx([n / 30 for n in range(6)])
    with pytest.raises(UserError, match='neither "frameTimestamps" nor a frame rate'):
        record3d.read(writer.write(tmp_path / "c", Scene(), change={"frameTimestamps": None, "fps": 0}))


def test_intrinsics_of_each_frame_or_else_the_matrix_by_columns(tmp_path: Path) -> None:
    each = [[48 + n, 50 + n, 47.5, 35.5] for n in range(6)]
    recording = record3d.read(writer.write(tmp_path / "a", Scene(), change={"perFrameIntrinsicCoeffs": each}))
    camera = recording.frames[2].camera
    assert camera is not None and (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 52, 47.5, 35.5)
    change: dict[str, Any] = {"perFrameIntrinsicCoeffs": None, "K": [48, 0, 0, 0, 49, 0, 47, 35, 1]}
    recording = record3d.read(writer.write(tmp_path / "b", Scene(), change=change))
    camera = recording.frames[2].camera
    assert camera is not None and (camera.fx, camera.fy, camera.cx, camera.cy) == (48, 49, 47, 35)
    assert "first frame" in recording.notes["intrinsics"]


def test_intrinsics_follow_images_of_another_size(tmp_path: Path) -> None:
    change = {"w": 192, "h": 144, "perFrameIntrinsicCoeffs": [[96, 96, 96, 72]] * 6}
    (walk,) = read("record3d", writer.write(tmp_path / "a", Scene(), change=change), tmp_path / "home").walks.values()
    camera = walk.camera(0)
    assert camera is not None and (camera.width, camera.fx, camera.cy) == (96, 48, 36)
    assert_one_room(walk)


def test_depth_of_versions_that_do_not_say_its_size_is_the_lidars(tmp_path: Path) -> None:
    old = record3d.read(writer.write(tmp_path / "a", Scene(), change={"dw": None, "dh": None}))
    depth = old.frames[0].files["depth"]
    assert not isinstance(depth, Path)
    with pytest.raises(UserError, match="12288 bytes, not 196608 bytes"):
        depth.load(None)
    assert record3d._depth_shape({}, (720, 960), "") == (256, 192)
    assert record3d._depth_shape({}, (960, 720), "") == (192, 256)


def test_the_selfie_camera_has_no_poses(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "a", Scene(), change={"poses": [[0, 0, 0, 1, 0, 0, 0]] * 6})
    recording = record3d.read(source)
    assert recording.frames[0].pose is None and recording.up is None and "selfie" in recording.notes["poses"]


def test_poses_from_the_first_image_on_say_nothing_of_up(tmp_path: Path) -> None:
    rows = [[0, 0, 0, 1, 0.1 * n, 0, 0] for n in range(6)]
    recording = record3d.read(writer.write(tmp_path / "a", Scene(), change={"poses": rows}))
    assert recording.up is None and "first image" in recording.notes["up"]
    assert record3d.read(writer.write(tmp_path / "b", Scene())).up == (0, 1, 0)


def test_holes_in_depth_and_confidence(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "a", Scene())
    depth = np.full((48, 64), 1.5, "<f4")
    depth[:8] = np.nan
    writer.member("rgbd/0.depth", lambda _: lzfse.compress(depth.tobytes()))(source)
    sure = np.full((48, 64), 2, np.uint8)
    sure[-8:] = 0
    writer.member("rgbd/0.conf", lambda _: lzfse.compress(sure.tobytes()))(source)
    (walk,) = read("record3d", source, tmp_path / "home").walks.values()
    stored = walk.read("depth", 0)
    assert (stored[8:-8] == 1500).all() and (stored[:8] == 0).all() and (stored[-8:] == 0).all()


def test_a_made_up_lzfse_file_takes_no_more_memory_than_it_may() -> None:
    data = lzfse.compress(bytes(20_000_000))
    assert len(data) < 20_000
    with pytest.raises(UserError, match="a: more bytes, not 1000 bytes"):
        decoder.unpacked(data, 1000, "a")
    for bad in (b"", b"bvx2", data[:100]):
        with pytest.raises(UserError, match="a: "):
            decoder.unpacked(bad, 1000, "a")
    np.testing.assert_array_equal(decoder.unpacked(lzfse.compress(b"abc"), 3, "a"), [97, 98, 99])


def test_exr_channels(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).random((48, 64), np.float32)

    def written(channels: dict[str, np.ndarray]) -> bytes:
        stream = tmp_path / "a.exr"
        OpenEXR.File({"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(
            str(stream)
        )
        return stream.read_bytes()

    np.testing.assert_array_equal(exr.channel(written({"Y": depth}), "a"), depth)
    np.testing.assert_array_equal(exr.channel(written({"R": depth, "G": depth * 2, "B": depth * 3}), "a"), depth)
    np.testing.assert_allclose(exr.channel(written({"Z": depth.astype(np.float16)}), "a"), depth, atol=1e-3)
    whole = written({"R": depth})
    window = whole.index(b"dataWindow\0box2i\0") + 21
    huge = whole[: window + 8] + b"\xff\xff\xff\x3f" + whole[window + 12 :]
    for bad in (b"", whole[:60], whole[:-500], huge, written({"G": depth, "B": depth})):
        with pytest.raises(UserError, match="a: not a whole EXR image"):
            exr.channel(bad, "a")
    assert io.BytesIO(whole).read(4) == b"v/1\x01"
