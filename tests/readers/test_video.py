"""What is particular to plain videos: the clock, turned pictures, the field of view, sound."""

import math
from pathlib import Path

import av
import numpy as np
import pytest
from scene import Scene
from writers import video as writer

from tst.errors import UserError
from tst.readers import read, video


def turned(path: Path) -> Path:
    """The video with a display matrix that asks for a quarter turn clockwise, as phones write it."""
    data = bytearray(path.read_bytes())
    track = data.index(b"tkhd")
    at = track + 4 + 40 + (12 if data[track + 4] == 1 else 0)
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, writer.SIZE[1] << 16, 0, 1 << 30]
    for k, value in enumerate(matrix):
        data[at + 4 * k : at + 4 * k + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path


def test_times_are_the_videos(tmp_path: Path) -> None:
    frames = video.read(writer.write(tmp_path / "capture", Scene())).frames
    assert [frame.time for frame in frames] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert all(frame.camera is None and frame.pose is None for frame in frames)


def test_pictures_are_those_of_the_scene(tmp_path: Path) -> None:
    (walk,) = read("auto", writer.write(tmp_path / "capture", Scene()), tmp_path / "home").walks.values()
    assert walk.record.format == "video"
    for number in range(6):
        true = Scene().view(number, *writer.SIZE)["rgb"]
        assert np.abs(walk.read("rgb", number).astype(int) - true).mean() < 8


def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path) -> None:
    source = turned(writer.write(tmp_path / "capture", Scene()))
    recording = video.read(source, fov=60.0)
    assert {frame.turns for frame in recording.frames} == {1}
    (walk,) = read("video", source, tmp_path / "home", fov=60.0).walks.values()
    stored, camera = walk.read("rgb", 0), walk.camera(0)
    true = np.rot90(Scene().view(0, *writer.SIZE)["rgb"], -1)
    assert stored.shape == true.shape and np.abs(stored.astype(int) - true).mean() < 8
    assert camera is not None and camera.fx == pytest.approx(36 / math.tan(math.radians(30)))  # of 72 pixels


def test_sound_is_a_sensor(tmp_path: Path) -> None:
    table = video.read(writer.write(tmp_path / "capture", Scene())).sensors["audio"]
    assert table.schema.metadata == {b"rate": b"16000"}
    times = table["time"].to_numpy()
    samples = [np.array(block, np.int16) for block in table["samples"].to_pylist()]
    whole = np.concatenate(samples)
    assert abs(len(whole) / 16000 - 3) < 0.1 and abs(times[0]) < 0.1
    for time, block, after in zip(times, samples, [*times[1:], None], strict=True):
        assert after is None or after == pytest.approx(time + len(block) / 16000, abs=0.01)
    at = int((2.25 - times[0]) * 16000)
    spectrum = np.abs(np.fft.rfft(whole[at - 4000 : at + 4000]))
    assert spectrum.argmax() * 2 == pytest.approx(writer.TONE, abs=2)
    silence = whole[: int((1.4 - times[0]) * 16000)]
    assert np.abs(silence).max() < 300 < np.abs(whole).max()  # the tone begins after 1.5 s, and not before


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    recording = video.read(writer.write(tmp_path / "capture", Scene(), sound=False))
    assert recording.sensors == {} and "audio" not in recording.notes


def test_damaged_sound_ends_where_the_damage_is(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.size]
    data = bytearray(source.read_bytes())
    for packet in packets[len(packets) // 2 :]:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    source.write_bytes(data)
    recording = video.read(source)
    assert recording.notes["audio"].startswith("damaged after 1.")
    assert 1 < sum(map(len, recording.sensors["audio"]["samples"].to_pylist())) / 16000 < 2
    assert len(recording.frames) == 6


def test_options(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    camera = video.read(source, focal=70.0).frames[0].camera
    assert camera is not None and (camera.width, camera.fx, camera.cy) == (96, 70, 36)
    with pytest.raises(UserError, match="--fov and --focal"):
        video.read(source, fov=60.0, focal=80.0)
