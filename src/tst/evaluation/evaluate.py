"""`tst evaluate`: predict every labelled frame of a Space and count confusions."""

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor

from tst.config import Config
from tst.errors import UserError
from tst.evaluation import top_down
from tst.evaluation.metrics import FrameConfusions
from tst.evaluation.top_down import TopDownMaps
from tst.files import write_json
from tst.finetuning.model import load_model
from tst.loop import Precision, make_fabric
from tst.progress import track
from tst.space.space import Space
from tst.tokenizers.views import FrameSource


class EvaluateConfig(Config):
    """How whole frames are predicted."""

    scale: float = Field(1.0, ge=1, le=4)
    """Short side of the frame in units of the model's input: above 1 the frame is covered by overlapping windows, which
    suits wide-angle frames and a transfer set with a narrower field of view."""
    flip: bool = False
    """Average with the prediction of the mirrored image."""
    batch_size: PositiveInt = 32
    """Windows predicted at once."""


def window_starts(length: int, window: int) -> list[int]:
    """Starts of the fewest windows that cover `length`, evenly spread."""
    count = math.ceil(length / window - 1e-6)
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def _nearest(value: float) -> int:
    """Halves up, not to even: then the last window ends where the frame does."""
    return math.floor(value + 0.5)


class Predictor:
    """A task model with its way of covering whole frames.

    Args:
        path: run folder of a transfer, or its `model.safetensors`.
    """

    def __init__(self, path: Path, config: EvaluateConfig = EvaluateConfig(), precision: Precision = "auto") -> None:
        self.model, self.metadata = load_model(path)
        self.config = config
        self.fabric = make_fabric(precision=precision)
        self.model.to(self.fabric.device)

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return self.metadata["classes"]

    def covering(self, config: EvaluateConfig) -> Self:
        """The same model, which covers frames in another way."""
        other = copy.copy(self)
        other.config = config
        return other

    def sources(self, space: Space) -> FrameSource:
        """The frames of a Space at the size this model looks at."""
        missing = [name for name in self.model.inputs if name not in space.modalities()]
        if missing:
            raise UserError(f"{space.path}: the model also looks at {', '.join(missing)}, which this space lacks.")
        short_side = round(self.model.resolution * self.config.scale)
        return FrameSource(space, list(self.model.inputs), short_side, self.fabric.device)

    @torch.no_grad()
    def logits(self, source: FrameSource, frames_B: Tensor) -> Tensor:
        """Class logits (B, K, h, w) float32 of whole frames that share one extent, at the head's resolution."""
        extents = source.extents_N2[frames_B.numpy()]
        assert (extents == extents[0]).all(), "frames of one call share their extent"
        height, width = (int(side) for side in extents[0])
        size = self.model.resolution
        total: Tensor | None = None
        weight: Tensor | None = None
        for top in window_starts(height, size):
            for left in window_starts(width, size):
                box = torch.tensor([top / height, left / width, size / height, size / width])
                part = self._window(source, frames_B, box.expand(len(frames_B), 4))
                cell = size / part.shape[-1]
                if total is None or weight is None:
                    shape = (len(frames_B), part.shape[1], _nearest(height / cell), _nearest(width / cell))
                    total, weight = part.new_zeros(shape), part.new_zeros(shape[-2:])
                y, x = _nearest(top / cell), _nearest(left / cell)
                total[:, :, y : y + part.shape[2], x : x + part.shape[3]] += part
                weight[y : y + part.shape[2], x : x + part.shape[3]] += 1
        assert total is not None and weight is not None
        return total / weight

    def _window(self, source: FrameSource, frames_B: Tensor, boxes_B4: Tensor) -> Tensor:
        straight = self._look(source, frames_B, boxes_B4, mirrored=False)
        if not self.config.flip:
            return straight
        return (straight + self._look(source, frames_B, boxes_B4, mirrored=True).flip(-1)) / 2

    def _look(self, source: FrameSource, frames_B: Tensor, boxes_B4: Tensor, *, mirrored: bool) -> Tensor:
        flip, size = torch.full((len(frames_B),), mirrored), self.model.resolution
        stored = {name: source.crop(name, frames_B, boxes_B4, flip, size) for name in self.model.inputs}
        with self.fabric.autocast():
            return self.model(stored).float()


def evaluate(
    model: Path,
    space: Space,
    out: Path | None = None,
    *,
    config: EvaluateConfig = EvaluateConfig(),
    precision: Precision = "auto",
) -> FrameConfusions:
    """Predict all frames of a labelled Space; with `out`, also write `confusions.npz` and `scores.json` there, and
    `maps.npz` (where in the space it is right) if there are depth and poses.

    Logits are upsampled bilinearly to the size of the stored labels.

    Raises:
        UserError: the space has no labels, or other classes than the model.
    """
    predictor = Predictor(model, config, precision)
    if "semantic" not in space.modalities():
        raise UserError(f"{space.path}: has no semantic labels to evaluate on. Use a labelled space.")
    if space.classes != predictor.classes:
        raise UserError(
            f"{space.path}: its classes ({', '.join(space.classes or ['none'])}) are not those of {model} "
            f"({', '.join(predictor.classes)}). Read both spaces with the same --classes."
        )
    rows = space.frames()
    maps = TopDownMaps(space) if out is not None and TopDownMaps.possible(space) else None

    def masks() -> Iterator[tuple[str, str | None, np.ndarray, np.ndarray]]:
        for index, logits in predict_frames(predictor, space):
            walk, row = rows[index]
            truth = walk.read("semantic", row)
            predicted = upsample(logits, truth.shape)
            if maps is not None:
                maps.add(walk, row, predicted == truth, truth != space.ignore_index)
            yield f"{walk.name}/{walk.ids[row]}", walk.frames["part"][row].as_py(), predicted, truth

    result = FrameConfusions.from_masks(masks(), predictor.classes, space.ignore_index)
    if out is not None:
        result.save(Path(out) / "confusions.npz")
        if maps is not None:
            top_down.save(Path(out) / "maps.npz", maps.maps())
        write_json(Path(out) / "scores.json", scores(result))
    return result


def predict_frames(
    predictor: Predictor, space: Space, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield (frame index, logits (K, h, w) on the CPU) of the given frames of a Space, by default all, in order."""
    source = predictor.sources(space)
    chosen = list(range(len(space)) if frames is None else frames)
    batches: list[list[int]] = []
    for index in chosen:
        same = batches and (source.extents_N2[batches[-1][0]] == source.extents_N2[index]).all()
        if same and len(batches[-1]) < predictor.config.batch_size:
            batches[-1].append(index)
        else:
            batches.append([index])
    for batch in track(batches, f"predicting {space.name}"):
        yield from zip(batch, predictor.logits(source, torch.tensor(batch)).cpu(), strict=True)


def upsample(logits_KHW: Tensor, size: tuple[int, ...]) -> np.ndarray:
    """Class of each pixel at `size`, uint8 (H, W)."""
    full = F.interpolate(logits_KHW[None], size[-2:], mode="bilinear", align_corners=False)
    return full[0].argmax(0).to(torch.uint8).numpy()


def scores(result: FrameConfusions) -> dict[str, Any]:
    """The numbers of one evaluation, JSON-able: mIoU with its interval, per class, per part."""
    from tst.evaluation.comparison import compare

    row = compare({"model": [result]}, space="").rows[0]
    return row.model_dump(mode="json", exclude={"name", "extra", "transfer_val_miou"})
