"""How fast captures become Spaces: python benchmarks/read.py [--frames 3000] [--formats stray record3d ...]

Writes a capture of each format with the writers of the tests (960x720 images, 256x192 depth where the format has one of
its own), reads it, and prints frames a second and the share of the CPU time that is spent in decoding libraries (PyAV,
Pillow, OpenCV's encoders, zipfile, zlib, LZFSE, rosbags): the rest is ours to shrink. With --captures FOLDER captures
are kept there, and taken from there the next time.
"""

import argparse
import concurrent.futures.thread
import contextlib
import importlib
import io
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile
from rosbags.typesys.store import Typestore

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "readers")]

import scene  # noqa: E402
from writers.scannet import seen  # noqa: E402

import tst.decoding.lzfse  # noqa: E402
import tst.decoding.sens  # noqa: E402
import tst.decoding.video  # noqa: E402
import tst.readers.video  # noqa: E402
import tst.space.frame_files  # noqa: E402
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


@lru_cache(DIFFERENT_IMAGES)
def seen_by_scanner(number: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB, and depth in metres from a camera beside it, as `writers.scannet.seen` gives them."""
    rgb, depth = seen(scene.Scene(), number)
    return rgb, depth * (1 + np.random.default_rng(number).normal(0, 0.004, depth.shape))


@dataclass(frozen=True)
class LongWalk(scene.Scene):
    """A walk of any length whose images repeat."""

    def view(self, number: int, width: int, height: int, fov_x: float = 90.0) -> dict[str, np.ndarray]:
        return rendered(number % DIFFERENT_IMAGES, width, height, fov_x)

    def true_pose(self, time: float) -> np.ndarray:
        return super().true_pose(self.start + (time - self.start) % 2.0)


@dataclass
class Clock:
    """CPU seconds that Python's own threads spend inside codecs, and that those of the pool spend at all."""

    codecs: float = 0.0
    pool: float = 0.0
    _inside: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, owner: Any, name: str, kind: str = "codecs") -> None:
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

    def wrap_all(self) -> None:
        """Count what the readers decode and encode with, and the threads of the pool."""
        self.wrap(PIL.Image, "open")
        self.wrap(PIL.ImageFile.ImageFile, "load")
        self.wrap(PIL.Image.Image, "save")
        self.wrap(PIL.Image.Image, "tobytes")
        self.wrap(tst.space.frame_files, "encoded")
        self.wrap(tst.decoding.video.Video, "frame")
        self.wrap(tst.decoding.lzfse, "unpacked")
        self.wrap(tst.decoding.sens, "unpacked")
        self.wrap(zipfile.ZipFile, "open")
        self.wrap(zipfile.ZipExtFile, "read")
        self.wrap(tst.readers.video, "audio")
        self.wrap(Typestore, "deserialize_cdr")
        self.wrap(concurrent.futures.thread, "_worker", "pool")


@contextlib.contextmanager
def images_saved_once() -> Iterator[None]:
    """Let Pillow encode each different image once: a long walk repeats a few."""
    save, files = PIL.Image.Image.save, dict[Any, bytes]()

    def saved(image: PIL.Image.Image, to: Any, format: str | None = None, **options: Any) -> None:
        format = format or PIL.Image.registered_extensions()[Path(to).suffix]
        key = (image.tobytes(), image.size, image.mode, format, *options.items())
        if key not in files:
            buffer = io.BytesIO()
            save(image, buffer, format, **options)
            files[key] = buffer.getvalue()
        if hasattr(to, "write"):
            to.write(files[key])
        else:
            Path(to).write_bytes(files[key])

    PIL.Image.Image.save = saved  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PIL.Image.Image.save = save  # type: ignore[method-assign]


def capture(name: str, frames: int, folder: Path) -> Path:
    """A capture of the format `name` in `folder`, written there unless it is there already."""
    writer = importlib.import_module(f"writers.{name}")
    for constant, value in (("SIZE", SIZE), ("DEPTH_SIZE", DEPTH_SIZE), ("WIDTH", SIZE[0]), ("HEIGHT", SIZE[1])):
        if hasattr(writer, constant):
            setattr(writer, constant, value)
    if name == "scannet":
        writer.seen = lambda scene, number: seen_by_scanner(number % DIFFERENT_IMAGES)
    listed = folder / "source.txt"
    if not listed.exists():
        with images_saved_once():
            source = writer.write(folder / "capture", LongWalk(frames=frames))
        listed.write_text(str(source))
    return Path(listed.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    parser.add_argument("--captures", type=Path)
    options = parser.parse_args()
    clock = Clock()
    clock.wrap_all()
    print(f"{'format':<12}{'written':>9}{'read':>9}{'frames/s':>10}{'CPU ms':>9}{'codecs':>9}")
    # Spaces stay to the end: ext4 is slow at making files for a while after many were removed.
    with tempfile.TemporaryDirectory(dir=options.captures) as spaces:
        for name in options.formats:
            with tempfile.TemporaryDirectory(dir=options.captures) as temporary:
                folder = Path(temporary)
                if options.captures is not None:
                    folder = options.captures / f"{name}-{options.frames}"
                    folder.mkdir(exist_ok=True)
                start = time.perf_counter()
                source = capture(name, options.frames, folder)
                print(f"{name:<12}{time.perf_counter() - start:>8.0f}s", end="", flush=True)
                print(measured(name, source, Path(spaces) / name, clock), flush=True)


def measured(name: str, source: Path, target: Path, clock: Clock) -> str:
    """Read a capture into the Space `target`: seconds, frames a second, CPU time a frame, share in libraries."""
    options = getattr(sys.modules[f"writers.{name}"], "OPTIONS", {})
    clock.codecs = clock.pool = 0.0
    begun, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    space = read(name, source, target, config=ReadConfig(keep="all"), **options)
    seconds, cpu, own = time.perf_counter() - begun, time.process_time() - cpu, time.thread_time() - own
    native = max(0.0, cpu - own - clock.pool)  # threads of the libraries themselves
    share, frames = (clock.codecs + native) / cpu, len(space)
    return f"{seconds:>8.1f}s{frames / seconds:>10.0f}{1000 * cpu / frames:>9.2f}{share:>9.0%}"


if __name__ == "__main__":
    main()
