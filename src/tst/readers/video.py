"""A plain video: colour and sound, without poses."""

import math
from functools import partial
from pathlib import Path

from tst.decoding.audio import audio
from tst.decoding.video import Video
from tst.errors import UserError
from tst.readers.base import Frame, Recording, Values
from tst.space.camera import Camera

SUFFIXES = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".3gp", ".mts", ".m2ts", ".mpg", ".mpeg"}


def recognise(source: Path) -> str | None:
    """A file with a video's suffix."""
    try:
        return f"a {source.suffix.lower()} file" if source.suffix.lower() in SUFFIXES and source.is_file() else None
    except OSError:
        return None


def read(source: Path, fov: float | None = None, focal: float | None = None) -> Recording:
    """Read a video file. Its sound becomes the sensor `audio`.

    Args:
        source: the file.
        fov: horizontal field of view in degrees, of the upright picture.
        focal: focal length in pixels instead.

    Raises:
        UserError: it is not a video, or is damaged.
    """
    if fov is not None and focal is not None:
        raise UserError("--fov and --focal say the same thing. Give one of them.")
    if fov is not None and not 0 < fov < 180:
        raise UserError(f"--fov: {fov} is not an angle of view. Use degrees between 0 and 180.")
    if focal is not None and not 0 < focal < math.inf:
        raise UserError(f"--focal: {focal} is not a focal length. Use pixels above 0.")
    if source.is_dir():
        raise UserError(f"{source}: is a folder. Give the video file itself.")
    video = Video(source, str(source))
    notes = {}
    camera = None
    if fov is not None:
        shown = video.height if video.turns % 2 else video.width
        focal = 0.5 * shown / math.tan(math.radians(fov) / 2)
    if focal is not None:
        camera = Camera(video.width, video.height, focal, focal, video.width / 2, video.height / 2)
    else:
        notes["intrinsics"] = "unknown: neither --fov nor --focal was given"
    frames = [
        Frame(
            f"{number:06d}",
            {"rgb": Values(f"{source}, frame {number}", partial(video.frame, number), in_order=True)},
            camera,
            time=float(time),
            turns=video.turns,
        )
        for number, time in enumerate(video.times)
    ]
    sound, note = audio(source)
    if note:
        notes["audio"] = note
    sensors = {} if sound is None else {"audio": sound}
    return Recording("video", source, frames, notes, sensors, continuous=True)
