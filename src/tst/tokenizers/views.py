"""Views: the crops and flips of each frame that tokens are made for, drawn once and shared by all modalities.

A token belongs to one crop: moving the crop by a pixel changes it, mirroring the image does not mirror the tokens. So
the crops are drawn first, `per_frame` for each frame, and every modality is tokenised for exactly those crops, normals
with their sign changed where the view is mirrored. Training then only gathers (docs/tokenizers.md has the measurement).
"""

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from tst.config import Config
from tst.files import digest
from tst.modalities import MODALITIES
from tst.modalities.crop import crop, random_boxes
from tst.space.cache import CachedFrames, frame_cache
from tst.space.space import Space

# Frames are kept half as large again as the network's input, so that a crop of 44 % of the area is not upsampled.
OVERSIZE = 1.5


class ViewConfig(Config):
    """Which crops of each frame are used."""

    resolution: PositiveInt = Field(128, multiple_of=16)
    """Side of the network's input, in pixels."""
    per_frame: PositiveInt = 24
    """Crops drawn for each frame; the first is the centred full square, never mirrored."""
    scale: tuple[float, float] = (0.3, 1.0)
    """Smallest and largest share of the frame's square that a crop covers."""
    ratio: tuple[float, float] = (0.8, 1.25)
    """Smallest and largest width : height of a crop, before it is resized to a square."""
    flip: bool = True
    """Mirror half of the crops."""
    seed: int = 0

    @property
    def short_side(self) -> int:
        """Short side of the cached frames, in pixels."""
        return round(self.resolution * OVERSIZE)


@dataclass(frozen=True)
class Views:
    """The drawn views of a Space's frames.

    Attributes:
        boxes_NV4: top, left, height, width as fractions of the frame, float32.
        flip_NV: mirrored or not, bool.
        key: content hash of frames' shapes and config.
    """

    boxes_NV4: Tensor  # noqa: N815
    flip_NV: Tensor  # noqa: N815
    key: str


def draw_views(extents_N2: np.ndarray, config: ViewConfig) -> Views:
    """Draw the views of N frames with the given extents (height, width)."""
    generator = torch.Generator().manual_seed(config.seed)
    extents = torch.from_numpy(np.ascontiguousarray(extents_N2)).float()
    count = len(extents)
    repeated = extents.repeat_interleave(config.per_frame, 0)
    boxes = random_boxes(repeated, scale=config.scale, ratio=config.ratio, generator=generator)
    boxes = boxes.view(count, config.per_frame, 4)
    flip = torch.rand(count, config.per_frame, generator=generator) < (0.5 if config.flip else 0.0)
    boxes[:, 0] = centre_boxes(extents)
    flip[:, 0] = False
    boxes = boxes / torch.cat([extents, extents], 1)[:, None]
    return Views(boxes.float(), flip, digest(extents_N2.tolist(), config.model_dump()))


def centre_boxes(extents_N2: Tensor) -> Tensor:
    """The largest centred square of each frame, (N, 4) in pixels."""
    side = extents_N2.amin(1)
    return torch.stack([(extents_N2[:, 0] - side) / 2, (extents_N2[:, 1] - side) / 2, side, side], 1)


def _tensor(array: np.memmap) -> Tensor:
    # Copy-on-write: torch warns of arrays that cannot be written, and nothing here writes.
    return torch.from_numpy(np.load(str(array.filename), mmap_mode="c"))


class FrameSource:
    """A Space's cached frames, ready to be cropped in batches.

    Arrays stay memory-mapped on the CPU; they are copied to an accelerator once where a quarter of its free memory
    holds them.
    """

    def __init__(
        self, space: Space, modalities: list[str], short_side: int, device: torch.device | str = "cpu"
    ) -> None:
        self.space, self.device = space, torch.device(device)
        self.cached: dict[str, CachedFrames] = {name: frame_cache(space, name, short_side) for name in modalities}
        self._arrays = {name: self._place(_tensor(cached.array)) for name, cached in self.cached.items()}
        self._sizes = {name: torch.from_numpy(cached.sizes).float() for name, cached in self.cached.items()}

    def _place(self, array: Tensor) -> Tensor:
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if array.numel() * array.element_size() < free / 4:
                return array.to(self.device)
        return array

    def __len__(self) -> int:
        return len(self.space)

    @property
    def extents_N2(self) -> np.ndarray:  # noqa: N802
        """Height and width of each frame at the cache's short side, in pixels."""
        return next(iter(self.cached.values())).extents

    @property
    def trainable(self) -> Tensor:
        """Indices of the frames outside the test split: what may be learnt from, without labels, as a transfer set.

        The val split is among them: without its labels it is further unlabelled data, and no model is measured on it.
        """
        return torch.from_numpy(np.flatnonzero(self.space.splits() != "test"))

    @property
    def key(self) -> dict[str, str]:
        """Content hash of each modality's frames."""
        return {name: cached.key for name, cached in self.cached.items()}

    def crop(self, modality: str, frames_B: Tensor, boxes_B4: Tensor, flip_B: Tensor, size: int) -> Tensor:
        """Cut `size` x `size` crops of stored values; of modalities with a `cell`, as many values as that leaves.

        Args:
            frames_B: frame indices, int64 on the CPU.
            boxes_B4: top, left, height, width as fractions of the frame.
            flip_B: mirror or not.

        Returns:
            (B, C, size / cell, size / cell) float32 on the device.
        """
        array = self._arrays[modality]
        batch = array[frames_B.to(array.device)].to(self.device, non_blocking=True)
        batch = batch[:, None] if batch.ndim == 3 else batch.movedim(-1, 1)
        sizes = self._sizes[modality][frames_B]
        boxes = boxes_B4 * torch.cat([sizes, sizes], 1)
        kind = MODALITIES[modality]
        return crop(batch, boxes.to(self.device), flip_B.to(self.device), size // kind.cell, kind)


Crops = tuple[Tensor, Tensor, Tensor]
"""Frames (B,), boxes (B, 4) as fractions of the frame, flips (B,): what `FrameSource.crop` takes."""


def draw_crops(source: FrameSource, frames: Tensor, count: int, views: ViewConfig, generator: torch.Generator) -> Crops:
    """Random crops of `count` random ones of `frames`."""
    chosen = frames[torch.randint(len(frames), (count,), generator=generator)]
    extents = torch.from_numpy(source.extents_N2[chosen.numpy()]).float()
    boxes = random_boxes(extents, scale=views.scale, ratio=views.ratio, generator=generator)
    flip = torch.rand(count, generator=generator) < (0.5 if views.flip else 0.0)
    return chosen, boxes / torch.cat([extents, extents], 1), flip


def centre_crops(source: FrameSource, frames: Tensor) -> Crops:
    """The largest centred square of each frame, as it is."""
    extents = torch.from_numpy(source.extents_N2[frames.numpy()]).float()
    boxes = centre_boxes(extents) / torch.cat([extents, extents], 1)
    return frames, boxes, torch.zeros(len(frames), dtype=torch.bool)
