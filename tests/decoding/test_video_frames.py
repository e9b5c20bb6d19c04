"""Videos: the right frame, whatever the order of decoding, the clock or the damage."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tst.decoding.video import Video
from tst.errors import UserError

SIZE = (96, 64)


def grey(number: int) -> int:
    return 20 + 7 * number % 200


def write(
    path: Path, frames: int = 30, codec: str = "libx264", b_frames: int = 2, times: list[float] | None = None
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = 10
        stream.codec_context.time_base = Fraction(1, 600)
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), grey(number), np.uint8), format="rgb24")
            picture.pts = round(600 * (times[number] if times else number / 30))
            picture.time_base = Fraction(1, 600)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def level(image: np.ndarray) -> float:
    return float(image.mean())


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx265", "mp4"), ("libx264", "mkv")])
def test_every_frame_is_the_right_one(tmp_path: Path, codec: str, suffix: str) -> None:
    video = Video(write(tmp_path / f"walk.{suffix}", codec=codec), "walk")
    assert (len(video), video.width, video.height) == (30, *SIZE)
    np.testing.assert_allclose(np.diff(video.times), 1 / 30, atol=2e-3)
    assert video.rate == pytest.approx(30, rel=0.01)
    for number in range(30):
        assert level(video.frame(number)) == pytest.approx(grey(number), abs=4)


def test_skipping_and_starting_late(tmp_path: Path) -> None:
    path = write(tmp_path / "walk.mp4", frames=200)
    video = Video(path, "walk")
    for number in (0, 3, 4, 90, 91, 199):
        assert level(video.frame(number)) == pytest.approx(grey(number), abs=4)
    assert level(Video(path, "walk").frame(157)) == pytest.approx(grey(157), abs=4)


def test_uneven_clock(tmp_path: Path) -> None:
    times = [0.0, 0.02, 0.1, 0.4, 0.41]
    video = Video(write(tmp_path / "walk.mp4", 5, times=times), "walk")
    np.testing.assert_allclose(video.times - video.times[0], times, atol=2e-3)


def test_shrunk(tmp_path: Path) -> None:
    video = Video(write(tmp_path / "walk.mp4", 3), "walk")
    assert video.frame(0, 32).shape == (32, 48, 3)
    assert video.frame(1, 500).shape == (64, 96, 3)


def test_from_a_stream(tmp_path: Path) -> None:
    video = Video(io.BytesIO(write(tmp_path / "walk.mp4").read_bytes()), "archive/walk.mp4")
    assert level(video.frame(12)) == pytest.approx(grey(12), abs=4)


def test_damaged_pictures_are_told_and_later_ones_decode(tmp_path: Path) -> None:
    path = write(tmp_path / "walk.mkv", frames=40, b_frames=0)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = b"\xff" * 60
    path.write_bytes(data)
    video = Video(path, "walk.mkv")
    right = 0
    for number in range(len(video)):
        try:
            right += abs(level(video.frame(number)) - grey(number)) < 5
        except UserError as error:
            assert "walk.mkv, frame" in str(error) and "\n" not in str(error)
    assert right >= len(video) // 2


@pytest.mark.parametrize("data", [b"", b"not a video", b"\x00\x00\x00\x18ftypmp42" + bytes(300)])
def test_no_video(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "walk.mp4").write_bytes(data)
    with pytest.raises(UserError, match=r"walk.mp4: (not a whole video|holds no frames)"):
        Video(tmp_path / "walk.mp4", "walk.mp4")


def test_truncated_before_its_index(tmp_path: Path) -> None:
    path = write(tmp_path / "walk.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match="not a whole video"):
        Video(path, "walk.mp4")
