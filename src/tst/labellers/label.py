"""`tst label`: trained models label every frame of a Space, and what they write is a modality like any other."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Annotated, TypeVar

import lightning_fabric
import numpy as np
import torch
from pydantic import Field, PositiveInt

from tst.config import Config
from tst.errors import UserError
from tst.files import timestamp
from tst.labellers import LABELLERS, kind_of
from tst.labellers.base import Labeller, Request
from tst.labellers.batching import Batches, memory_limit
from tst.labellers.provenance import check_same, differences, entry_of
from tst.loop import Precision, make_fabric
from tst.progress import track
from tst.space.folders import made_and_locked
from tst.space.space import Space, Walk

T = TypeVar("T")
Frame = tuple[Walk, int]


class LabelConfig(Config):
    """How frames are labelled."""

    resolution: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Short side in pixels that frames are labelled at; by default each labeller's own. Networks of one size pay no
    heed."""
    batch_size: PositiveInt | None = None
    """Frames at once; by default found by trial on the first frames."""
    memory: float = Field(5.0, gt=0)
    """Gigabytes that the process may take while it looks for a batch size (on a CPU)."""
    precision: Precision = "auto"
    """bf16-mixed, 32-true, or auto: bfloat16 where the hardware multiplies it fast."""


@dataclass(frozen=True)
class Labelled:
    """What one labeller did.

    Attributes:
        modality: what it wrote.
        frames: labelled now.
        kept: frames that had a label.
        seconds: for `frames`, with reading and writing.
        batch_size: frames at once, in the end; 0 where other machines chose it.
        peak: most bytes of memory (of a GPU: its own) while labelling; 0 where other machines did it.
        bytes_per_frame: mean size of the stored labels; 0 where none were written now.
    """

    name: str
    modality: str
    licence: str
    frames: int
    kept: int
    seconds: float
    batch_size: int
    peak: int
    bytes_per_frame: float

    def __str__(self) -> str:
        if not self.frames:
            return f"{self.modality}: all {self.kept} frames have it"
        at_once = f", {self.batch_size} at once, {self.peak / 1e9:.2f} GB" if self.batch_size else ""
        return (
            f"{self.modality}: {self.frames} frames labelled ({self.kept} had it), "
            f"{self.frames / self.seconds:.2f} a second{at_once}, {self.bytes_per_frame / 1000:.1f} kB a frame"
        )


def label(
    space: Space,
    labellers: Sequence[str],
    *,
    config: LabelConfig = LabelConfig(),
    again: bool = False,
    download: bool = False,
    ray: str | None = None,
    workers: int = 2,
) -> list[Labelled]:
    """Label every frame that has no label yet; a stopped run goes on.

    Args:
        labellers: `NAME` or `NAME=PATH` each, such as `dinov2-small=weights/dinov2-small` (docs/labelling.md).
        again: remove labels that other weights or settings made, and label anew.
        download: fetch weights that are not on this machine; otherwise the network is never used.
        ray: label on a Ray cluster that shares this Space's folder and the weights: its address, or `local`.
        workers: of that cluster; each loads the weights once.

    Raises:
        UserError: a name is unknown, weights cannot be read, or labels of other weights or settings are there.
    """
    requests = [parse(text, config, download) for text in labellers]
    if not requests:
        raise UserError(f"{space.path}: nothing to label with. Give --with NAME=PATH (docs/labelling.md).")
    kinds = [request.kind for request in requests]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise UserError(f"--with {twice}: given twice; a Space has one {twice}. Keep one of them.")
    results = []
    for request in requests:
        labeller = LABELLERS[request.kind].load(request)
        with made_and_locked(labeller.folder(walk) for walk in space.walks.values()):
            results.append(_label(Space.open(space.path), labeller, request, config, again, ray, workers))
    return results


def parse(text: str, config: LabelConfig = LabelConfig(), download: bool = False) -> Request:
    """`NAME` or `NAME=PATH` as a request.

    Raises:
        UserError: no labeller is called so.
    """
    name, equals, path = text.partition("=")
    if equals and not path:
        raise UserError(f"--with {text}: no path after the equals sign. Give {name}=PATH, or the name alone.")
    return Request(kind_of(name), name, path or None, config.resolution, download)


def _label(
    space: Space, labeller: Labeller, request: Request, config: LabelConfig, again: bool, ray: str | None, workers: int
) -> Labelled:
    walks = [walk for walk in space.walks.values() if not labeller.captured(walk)]
    if not check_same(space, labeller):
        if not again:
            raise UserError(
                f"{space.path}: its {labeller.modality} were labelled otherwise ({differences(space, labeller)}). "
                "Give the same again, or --again to label anew."
            )
        for walk in walks:
            labeller.clear(walk)
    todo = [(walk, index) for walk in walks for index in labeller.missing(walk)]
    fabric = make_fabric(precision=config.precision)
    if todo:
        # Before the first file, so that a stopped run is never taken up with other weights or settings.
        made = {**entry_of(labeller), "precision": str(config.precision), "date": timestamp()}
        space.record_derived({labeller.modality: made})
    start, batches = time.perf_counter(), new_batches(fabric, config)
    if ray is None:
        sizes = label_frames(labeller.to(fabric.device), todo, fabric, batches)
    else:
        from tst.labellers.on_ray import label_on_ray

        sizes = label_on_ray(space, request, todo, config, address=ray, workers=workers)
    stored = list(track(sizes, f"labelling {labeller.modality} of {space.name}", len(todo)))
    seconds = time.perf_counter() - start
    for walk in walks:
        labeller.finish(walk)
    return Labelled(
        name=labeller.name,
        modality=labeller.modality,
        licence=labeller.licence,
        frames=len(todo),
        kept=len(space) - len(todo),
        seconds=seconds,
        batch_size=batches.size if ray is None else 0,
        peak=batches.peak if ray is None else 0,
        bytes_per_frame=sum(stored) / len(stored) if stored else 0.0,
    )


def new_batches(fabric: lightning_fabric.Fabric, config: LabelConfig) -> Batches:
    """The batch sizes of a device and a config."""
    return Batches(fabric.device, memory_limit(fabric.device, config.memory), config.batch_size)


def label_frames(
    labeller: Labeller, frames: Iterable[Frame], fabric: lightning_fabric.Fabric, batches: Batches
) -> Iterator[int]:
    """Label frames and yield the size in bytes of each file as it is written.

    The next frames are decoded, and the last labels written, while the network works. Frames of one size make a
    batch; the largest come first, so that a batch size found on them fits all.
    """

    def area(frame: Frame) -> tuple[int, int]:
        return frame[0].size(frame[1])

    in_order = sorted(frames, key=lambda frame: (-area(frame)[0] * area(frame)[1], area(frame)))
    with ThreadPoolExecutor(2) as pool:
        written: deque[Future[int]] = deque()
        try:
            for _, group in groupby(in_order, area):
                decoded = _ahead(pool, _decode, group, lambda: 2 * batches.size)
                while chunk := list(islice(decoded, batches.size)):
                    rgb_BHW3 = np.stack([rgb for _, rgb in chunk])
                    with batches.trial(len(chunk)), torch.inference_mode(), _precision(labeller, fabric):
                        labels = labeller.label(rgb_BHW3)
                    while written:  # of the batch before
                        yield written.popleft().result()
                    for (frame, _), value in zip(chunk, labels, strict=True):
                        written.append(pool.submit(_store, labeller, frame, value))
            while written:
                yield written.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _precision(labeller: Labeller, fabric: lightning_fabric.Fabric) -> contextlib.AbstractContextManager[None]:
    return fabric.autocast() if labeller.mixed else contextlib.nullcontext()


def _decode(frame: Frame) -> tuple[Frame, np.ndarray]:
    walk, index = frame
    return frame, walk.read("rgb", index)


def _store(labeller: Labeller, frame: Frame, value: object) -> int:
    walk, index = frame
    path = labeller.folder(walk) / f"{walk.ids[index]}{labeller.extension}"
    labeller.write(path, value)
    return path.stat().st_size


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[Frame], T], frames: Iterable[Frame], count: Callable[[], int]
) -> Iterator[T]:
    """`function` of each frame, in order, computed in the pool up to `count()` frames ahead."""
    coming, waiting = iter(frames), deque[Future[T]]()
    while True:
        for frame in islice(coming, max(1, count()) - len(waiting) if count() > len(waiting) else 0):
            waiting.append(pool.submit(function, frame))
        if not waiting:
            return
        yield waiting.popleft().result()
