"""The frame cache: a modality of all frames, decoded and resized once, in one memory-mapped array."""

import os
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tst.errors import UserError
from tst.files import atomic_path, digest
from tst.progress import track
from tst.space.folders import disk_full_is_told, locked
from tst.space.ingest import WORKERS
from tst.space.space import Space, Walk

if TYPE_CHECKING:
    from tst.modalities.base import Modality
    from tst.modalities.features import FeatureMap

VERSION = 1


@dataclass
class CachedFrames:
    """A modality of all frames of a Space, in order of walk name then row (that of `Space.frames`).

    array: (N, H, W), or (N, H, W, C) where C > 1, of the stored dtype. Frame n is in array[n, :h, :w] with
        (h, w) = sizes[n]; what lies beyond is `Modality.unknown` (0; 255 for class masks).
    extents: (N, 2) int32 height, width in pixels. The shorter is `short_side`; they follow the RGB image's aspect, so
        that all modalities of a frame have the same extent.
    sizes: (N, 2) int32 height, width of the frames in `array`, which span those extents: the same, or fewer where a
        value stands for several pixels (`Modality.cell`); maps of features are never finer than they are stored.
    key: changes whenever a source file, the size or the modality's version changes.
    """

    array: np.memmap
    extents: np.ndarray
    sizes: np.ndarray
    key: str

    def __len__(self) -> int:
        return len(self.array)

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` without the margin of the common canvas; a view."""
        height, width = self.sizes[index]
        return self.array[index, :height, :width]


def frame_cache(space: Space, modality: str, short_side: int, *, progress: bool = True) -> CachedFrames:
    """Open the cache of `modality` at `short_side`, building it first if it is not there or a source file changed.

    Two processes may ask at once: the second waits for the first.

    Raises:
        UserError: a frame lacks the modality or is damaged, its features have another width, or the disk is full.
    """
    from tst.modalities import MODALITIES
    from tst.modalities.features import FeatureMap

    if modality not in MODALITIES:
        raise UserError(f"{modality}: no such modality. Use one of: {', '.join(MODALITIES)}.")
    if short_side < 1:
        raise UserError(f"short side: {short_side} is not a size. Use a number of pixels above 0.")
    frames = space.frames()
    if not frames:
        raise UserError(f"{space.path}: has no frames. Read a capture into it.")
    files = [walk.file(modality, index) for walk, index in frames]
    extents = np.array([_extent(walk.size(index), short_side) for walk, index in frames], np.int32)
    kind = MODALITIES[modality]
    sizes = -(-extents // kind.cell)
    channels = kind.channels
    if isinstance(kind, FeatureMap):
        stored = _stored_shapes(kind, files)
        sizes, channels = np.minimum(sizes, stored[:, :2]), int(stored[0, 2])
    key = digest(VERSION, modality, kind.version, short_side, [_identity(space.path, file) for file in files])
    folder = space.path / "cache" / "frames"
    path = folder / f"{modality}-{short_side}-{key}.npy"
    shape = (len(frames), *sizes.max(axis=0).tolist(), *([channels] if kind.channels != 1 else []))
    cached = _open(path, shape, kind.dtype)
    if cached is None:
        with disk_full_is_told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                cached = _open(path, shape, kind.dtype)
                if cached is None:
                    _build(path, shape, kind, frames, sizes, progress)
                    _remove_outdated(path, modality, short_side)
                    cached = _open(path, shape, kind.dtype)
    assert cached is not None
    return CachedFrames(cached, extents, sizes, key)


def fingerprint(space: Space, modalities: Sequence[str]) -> str:
    """Content hash of the given modalities' files (name, size, time of change)."""
    frames = space.frames()
    return digest([_identity(space.path, walk.file(name, row)) for name in modalities for walk, row in frames])


def _extent(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(height, width) with the shorter = `short_side` and the aspect kept to half a pixel."""
    height, width = size
    scale = short_side / min(height, width)
    return round(height * scale), round(width * scale)


def _stored_shapes(kind: "FeatureMap", files: list[Path]) -> np.ndarray:
    """(N, 3) int32: cells down, cells across and width of each stored map."""
    with ThreadPoolExecutor(WORKERS) as pool:
        shapes = np.array(list(pool.map(lambda file: kind.open(file).shape, files)), np.int32)
    other = np.flatnonzero(shapes[:, 2] != shapes[0, 2])
    if len(other):
        raise UserError(
            f"{files[other[0]]}: vectors of {shapes[other[0], 2]} components, but {files[0]} has {shapes[0, 2]}. "
            "Remove the folder of one of them and label both walks with the same network."
        )
    return shapes


def _identity(root: Path, file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return file.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap | None:
    """The finished array at `path`; None where there is none or it is not what it must be (a damaged cache)."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if isinstance(array, np.memmap) and array.shape == shape and array.dtype == dtype else None


def reserved_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A new memory-mapped .npy whose space on the disk is reserved: a full disk must be an error here, not a SIGBUS."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _build(
    path: Path,
    shape: tuple[int, ...],
    kind: "Modality",
    frames: list[tuple[Walk, int]],
    sizes: np.ndarray,
    progress: bool,
) -> None:
    with atomic_path(path) as temporary:
        array = reserved_array(temporary, shape, kind.dtype)
        stop = threading.Event()

        def write(number: int) -> None:
            if stop.is_set():
                return
            walk, index = frames[number]
            height, width = (int(side) for side in sizes[number])
            if kind.unknown and (height, width) != shape[1:3]:
                array[number] = kind.unknown
            array[number, :height, :width] = kind.resize(walk.read(kind.name, index), height, width)

        with ThreadPoolExecutor(WORKERS) as pool:
            done = pool.map(write, range(len(frames)))
            try:
                for _ in track(done, f"caching {kind.name}", len(frames)) if progress else done:
                    pass
            finally:
                stop.set()
        array.flush()


def _remove_outdated(path: Path, modality: str, short_side: int) -> None:
    """Remove caches of the same name with another key; a process that still has one mapped keeps its pages."""
    for old in path.parent.glob(f"{modality}-{short_side}-*.npy"):
        if old != path and re.fullmatch(rf"{re.escape(modality)}-{short_side}-[0-9a-f]{{16}}\.npy", old.name):
            old.unlink(missing_ok=True)
