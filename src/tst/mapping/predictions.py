"""Where class probabilities of frames come from: a model with mirrored and scaled copies, several, or an array."""

import hashlib
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tst.config import Config
from tst.errors import UserError
from tst.evaluation.evaluate import EvaluateConfig, Predictor
from tst.licences import merged
from tst.space.space import Space


class Probabilities(Protocol):
    """Class probabilities of any frames of a Space.

    Attributes:
        classes: class names.
        identity: what decides the values, JSON-able: a run folder resumes only with the same.
        licences: of what they derive from, as `tst.runs.Run` takes them.
    """

    classes: list[str]
    identity: dict[str, Any]
    licences: list[dict[str, str]]

    def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
        """(C, h, w) float32 of each frame, numbers in `Space.frames()`; any size of the frame's aspect, sums of 1."""
        ...


class Given:
    """Probabilities that are there already.

    Args:
        array_NChw: of all frames of the Space, in the order of `Space.frames()`; may be memory-mapped.
        classes: class names.
    """

    def __init__(self, array_NChw: np.ndarray, classes: Sequence[str]) -> None:
        assert array_NChw.ndim == 4 and array_NChw.shape[1] == len(classes)
        self.array, self.classes = array_NChw, list(classes)
        self.licences: list[dict[str, str]] = []
        hasher = hashlib.sha256()
        for part in array_NChw:
            hasher.update(part.tobytes())
        self.identity: dict[str, Any] = {"array": hasher.hexdigest()[:16], "shape": list(array_NChw.shape)}

    def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
        """See `Probabilities`."""
        return list(self.array[list(frames)].astype(np.float32))


class CopiesConfig(Config):
    """Copies of each frame whose predictions are averaged."""

    flip: bool = True
    """Also the mirrored frame."""
    scales: tuple[float, ...] = Field((1.0, 1.5), min_length=1)
    """Short sides of the frame in units of the model's input; above 1 it is covered by overlapping windows, which takes
    four times as long (`tst evaluate --scale`)."""


class Model:
    """Probabilities by a model: the mean over copies of the frame.

    Args:
        path: run folder of a transfer, or its `model.safetensors`.
        space: whose frames are predicted.
        config: which copies.

    Raises:
        UserError: the model is damaged, or looks at modalities that the Space lacks.
    """

    def __init__(self, path: Path, space: Space, config: CopiesConfig = CopiesConfig()) -> None:
        path = Path(path)
        one = Predictor(path)
        scaled = [one.covering(EvaluateConfig(scale=scale, flip=config.flip)) for scale in config.scales]
        self._scaled = [(predictor, predictor.sources(space)) for predictor in scaled]
        self.classes = one.classes
        self.licences: list[dict[str, str]] = one.metadata.get("licences", [])
        with (path / "model.safetensors" if path.is_dir() else path).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        self.identity: dict[str, Any] = {
            "weights": weights,
            **config.model_dump(mode="json"),
            "frames": self._scaled[0][1].key,
        }

    def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
        """See `Probabilities`."""
        extents = self._scaled[0][1].extents_N2
        found: list[np.ndarray] = []
        for _, same in groupby(frames, lambda frame: tuple(extents[frame])):
            batch_B = torch.tensor(list(same))
            maps = [predictor.logits(source, batch_B).softmax(1) for predictor, source in self._scaled]
            found += list(_mean(maps).cpu().numpy())
        return found


class Kept:
    """Probabilities that do not change from one fusion to the next: what was asked once is kept in memory.

    Args:
        source: where they come from; halved to float16, a frame of 16 classes takes about 0.1 MB.
    """

    def __init__(self, source: Probabilities) -> None:
        self._source, self._found = source, dict[int, np.ndarray]()
        self.classes, self.identity, self.licences = source.classes, source.identity, source.licences

    def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
        """See `Probabilities`."""
        if new := [frame for frame in frames if frame not in self._found]:
            self._found.update(zip(new, (item.astype(np.float16) for item in self._source(new)), strict=True))
        return [self._found[frame].astype(np.float32) for frame in frames]


class Mean:
    """The mean of what several say of a frame, at the finest size that one of them has.

    Args:
        sources: of the same classes.

    Raises:
        UserError: their classes differ.
    """

    def __init__(self, sources: Sequence[Probabilities]) -> None:
        self._sources = sources
        self.classes = sources[0].classes
        for source in sources[1:]:
            if source.classes != self.classes:
                raise UserError(
                    f"models of different classes cannot be averaged: {', '.join(self.classes)}; "
                    f"and {', '.join(source.classes)}. Fine-tune them on the same labelled Space."
                )
        self.identity: dict[str, Any] = {"mean": [source.identity for source in sources]}
        self.licences = merged(*(source.licences for source in sources))

    def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
        """See `Probabilities`."""
        said = zip(*(source(frames) for source in self._sources), strict=True)
        return [_mean([torch.from_numpy(item)[None] for item in items])[0].numpy() for items in said]


def _mean(maps: Sequence[Tensor]) -> Tensor:
    """Mean of (B, C, h, w) of any sizes, at the finest of them."""
    finest = max((item.shape[-2:] for item in maps), key=lambda size: size[0])
    total = sum(F.interpolate(item, finest, mode="bilinear", align_corners=False) for item in maps)
    assert isinstance(total, Tensor)
    return total / len(maps)


def check_classes(probabilities: Probabilities) -> None:
    """Refuse more classes than masks can hold."""
    if not 1 < len(probabilities.classes) <= 255:
        raise UserError(f"the model has {len(probabilities.classes)} classes; masks hold 2 to 255.")
