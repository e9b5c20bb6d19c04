"""How fast captures become Spaces: python benchmarks/read.py [--frames 3000] [--formats stray record3d ...]

Writes a capture of each format with the writers of the tests (960x720 images, 256x192 depth where the format has one of
its own), reads it, and prints frames a second and the share of the CPU time that is spent in decoding libraries (PyAV,
Pillow, OpenCV's encoders, zipfile, LZFSE): the rest is ours to shrink.
"""

import argparse
import importlib
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "readers")]

import scene  # noqa: E402

import tst.decoding.lzfse  # noqa: E402
import tst.decoding.sens  # noqa: E402
import tst.decoding.video  # noqa: E402
import tst.readers.video  # noqa: E402
import tst.space.frame_files  # noqa: E402
import tst.space.ingest  # noqa: E402
from tst.readers import read  # noqa: E402
from tst.space.choosing import ReadConfig  # noqa: E402

FORMATS = ("stray", "record3d", "polycam", "scannet", "tum_rgbd", "ros2", "video")
SIZE, DEPTH_SIZE = (960, 720), (256, 192)
DIFFERENT_IMAGES = 12


@lru_cache(4 * DIFFERENT_IMAGES)
def rendered(number: int, width: int, height: int, fov_x: float) -> dict[str, np.ndarray]:
    """An image of a short walk; the speed of reading does not depend on what is seen, but noise keeps PNGs honest."""
    seen = scene.Scene().view(number, width, height, fov_x)
    noise = np.random.default_rng(number).normal(0, 0.004, seen["depth"].shape)
    return {**seen, "depth": seen["depth"] * (1 + noise)}


@dataclass(frozen=True)
class LongWalk(scene.Scene):
    """A walk of any length whose images repeat."""

    def view(self, number: int, width: int, height: int, fov_x: float = 90.0) -> dict[str, np.ndarray]:
        return rendered(number % DIFFERENT_IMAGES, width, height, fov_x)

    def true_pose(self, time: float) -> np.ndarray:
        return super().true_pose(self.start + (time - self.start) % 2.0)


@dataclass
class Clock:
    """CPU seconds that Python's own threads spend inside codecs, and at all in the pool."""

    codecs: float = 0.0
    pool: float = 0.0
    _inside: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, owner: Any, name: str, kind: str) -> None:
        """Count the calls of `owner.name`; of nested ones of a kind the outermost."""
        function: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            if getattr(self._inside, kind, False):
                return function(*args, **options)
            setattr(self._inside, kind, True)
            start = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                setattr(self._inside, kind, False)
                with self._lock:
                    setattr(self, kind, getattr(self, kind) + time.thread_time() - start)

        setattr(owner, name, counted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    options = parser.parse_args()
    clock = Clock()
    clock.wrap(PIL.Image, "open", "codecs")
    clock.wrap(PIL.ImageFile.ImageFile, "load", "codecs")
    clock.wrap(PIL.Image.Image, "save", "codecs")
    clock.wrap(PIL.Image.Image, "tobytes", "codecs")
    clock.wrap(tst.space.frame_files, "encoded", "codecs")
    clock.wrap(tst.decoding.video.Video, "frame", "codecs")
    clock.wrap(tst.decoding.lzfse, "unpacked", "codecs")
    clock.wrap(zipfile.ZipExtFile, "read", "codecs")
    clock.wrap(tst.readers.video, "audio", "codecs")
    clock.wrap(tst.space.ingest._Steps, "_look", "pool")
    clock.wrap(tst.space.ingest._Steps, "_store", "pool")
    print(f"{'format':<12}{'written':>9}{'read':>9}{'frames/s':>10}{'codecs':>9}")
    for name in options.formats:
        writer = importlib.import_module(f"writers.{name}")
        for constant, value in (("SIZE", SIZE), ("DEPTH_SIZE", DEPTH_SIZE), ("WIDTH", SIZE[0]), ("HEIGHT", SIZE[1])):
            if hasattr(writer, constant):
                setattr(writer, constant, value)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            source = writer.write(Path(folder) / "capture", LongWalk(frames=options.frames))
            written = time.perf_counter() - start
            clock.codecs = clock.pool = 0.0
            begun, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
            space = read(
                name,
                source,
                Path(folder) / "space",
                config=ReadConfig(keep="all"),
                **getattr(writer, "OPTIONS", {}),
            )
            seconds, cpu, own = time.perf_counter() - begun, time.process_time() - cpu, time.thread_time() - own
            native = max(0.0, cpu - own - clock.pool)  # threads of the libraries themselves
            share = (clock.codecs + native) / cpu
            print(
                f"{name:<12}{written:>8.0f}s{seconds:>8.1f}s{len(space) / seconds:>10.0f}{share:>9.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
