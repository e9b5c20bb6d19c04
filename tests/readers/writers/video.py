"""A plain video with sound: H.264 in MP4, its clock not starting at 0."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from broken import renamed
from scene import Scene

from . import Dropped

SIZE = (96, 72)
FAULTS = ()
SOUND_RATE = 44100
TONE = 440.0
RATE = 2
"""Frames a second: without poses, frames that follow each other more quickly are not all kept."""


def write(folder: Path, scene: Scene, sound: bool = True) -> Path:
    """A picture every half second; silence, then a tone."""
    folder.mkdir(parents=True)
    path = folder / "walk.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.options = {"crf": "12", "preset": "ultrafast", "g": "1"}
        voice = container.add_stream("aac", rate=SOUND_RATE) if sound else None
        for number in range(scene.frames):
            picture = av.VideoFrame.from_ndarray(scene.view(number, *SIZE)["rgb"], format="rgb24")
            picture.pts = number
            picture.time_base = Fraction(1, RATE)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        if voice is not None:
            count = scene.frames * SOUND_RATE // RATE
            wave = (8000 * np.sin(2 * np.pi * TONE * np.arange(count) / SOUND_RATE)).astype(np.int16)
            wave[: count // 2] = 0
            for at in range(0, count, 1024):
                block = np.repeat(wave[at : at + 1024], 2)[None]
                frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
                container.mux(voice.encode(frame))
            container.mux(voice.encode())
    return path


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the file."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def damaged_picture(path: Path) -> None:
    """Overwrite one picture; all are coded by themselves."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    data = bytearray(path.read_bytes())
    data[packets[3].pos : packets[3].pos + packets[3].size] = bytes(packets[3].size)
    path.write_bytes(data)


DAMAGE = {
    "cut off": (damaged(lambda data: data[: len(data) * 6 // 10]), r"walk.mp4: not a whole video"),
    "empty": (damaged(lambda data: b""), r"walk.mp4: not a whole video"),
    "not a video": (damaged(lambda data: b"no video" * 1000), r"walk.mp4: not a whole video"),
    "an unknown codec": (damaged(lambda data: data.replace(b"avc1", b"xxxx")), r"walk.mp4: its codec is unknown"),
    "a damaged picture": (damaged_picture, Dropped(1, r"damaged: .*frame 3: (cannot be decoded|is damaged)")),
    "a folder": (lambda path: path.parent, r"is a folder"),
    "a long name": (renamed, Dropped(0, "")),
}
