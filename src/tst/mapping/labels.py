"""Fused pseudo-labels: what the map says of each pixel of the frames it was made of, and where it is sure enough.

A run folder (it depends on a model, so it is no part of the Space):

```
OUT/
  labels.npy       (N, H, W) uint8 class, 255 = unsure
  confidence.npy   (N, H, W) uint8 fused probability of that class, 255 = 1; also where unsure
  agreement.npy    (N, H, W) uint8 share of the views whose own class is the fused one, 255 = all
  extents.npy      (N, 2) int32 height and width of each frame in them; 0 for frames that are not on the map
  config.json, provenance.json, done.json      see tst.runs
```

Frames are in the order of `Space.frames()`, and have the extents of `frame_cache` at the same short side, so that they
lie pixel by pixel on its RGB.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt

from tst.config import Config
from tst.errors import UserError
from tst.files import atomic_path, digest, read_json
from tst.mapping.averages import Averages
from tst.mapping.look_up import look_up
from tst.mapping.predictions import Probabilities, check_classes
from tst.mapping.score import score
from tst.mapping.space_map import SpaceMap, build, fuse, predicted
from tst.mapping.views import MapConfig, View, Views
from tst.runs import Run
from tst.space.cache import reserved_array
from tst.space.space import IGNORE_INDEX, Space

CHUNK = 64
"""Frames that are thresholded at once."""


class FuseConfig(Config):
    """How pseudo-labels are made. A class keeps its surest pixels (Zou et al. 2018, class-balanced self-training): with
    one threshold for all, classes that a model is rarely sure of would vanish."""

    map: MapConfig = MapConfig()
    """The map."""
    share: float = Field(0.6, gt=0, le=1)
    """Share of each class's pixels that is kept, the surest ones."""
    least: float = Field(0.3, ge=0, le=1)
    """Fused probability below which none is kept, whatever the class."""
    most: float = Field(0.8, ge=0, le=1)
    """Fused probability from which all are kept, whatever the share."""
    least_views: PositiveInt = 3
    """Frames that must have seen a place."""
    single: bool = False
    """Control: where a frame is on the map, it keeps its own prediction instead of what the map says."""


@dataclass(frozen=True, eq=False)
class FusedLabels:
    """A finished run folder; arrays as in the module's docstring, memory-mapped and read-only.

    Attributes:
        summary: done.json: classes, thresholds, shares, the label-free score.
    """

    path: Path
    labels: np.ndarray
    confidence: np.ndarray
    agreement: np.ndarray
    extents: np.ndarray
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "FusedLabels":
        """Open a run folder.

        Raises:
            UserError: it is not finished, or damaged.
        """
        if not (path / "done.json").is_file():
            raise UserError(f"{path}: no finished pseudo-labels. Run the same fusion again.")
        try:
            names = ("labels", "confidence", "agreement", "extents")
            arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: damaged pseudo-labels ({error}). Remove the folder and fuse again.") from None
        return cls(path=path, **arrays, summary=read_json(path / "done.json"))

    @property
    def classes(self) -> list[str]:
        """Class names."""
        return self.summary["classes"]


def fused_labels(
    space: Space, probabilities: Probabilities, out: Path, config: FuseConfig = FuseConfig()
) -> FusedLabels:
    """Fuse a model's predictions on a Space's walks and give every mapped frame its pseudo-labels. No label is read.

    Stopped, it goes on where it was; finished, it is opened.

    Args:
        space: walks with depth and poses; the others are left out, and named in the summary.
        probabilities: of its frames.
        out: run folder.
        config: options.

    Raises:
        UserError: no walk can be mapped, or no place was seen by `least_views` frames.
    """
    check_classes(probabilities)
    out = Path(out)
    views = Views(space, config.map)
    inputs = {
        "depth": views.cached.key,
        "poses": digest(views.poses.round(6).tolist()),
        "probabilities": probabilities.identity,
        "classes": probabilities.classes,
    }
    with Run(out, "fuse", config.model_dump(mode="json"), inputs, probabilities.licences) as run:
        if run.summary is None:
            space_map = build(views)
            sums, start = _resumed(run) or (None, 0)

            def save(sums: Averages, number: int) -> None:
                run.save_checkpoint({k: torch.from_numpy(v) for k, v in sums.tensors().items()}, {"view": number})

            sums = fuse(space_map, probabilities, sums, start, save)
            save(sums, len(views))
            run.finish(_write(out, space_map, sums, probabilities, config))
    return FusedLabels.open(out)


def _resumed(run: Run) -> tuple[Averages, int] | None:
    saved = run.load_checkpoint()
    if saved is None:
        return None
    tensors, state = saved
    return Averages(**{name: tensor.numpy() for name, tensor in tensors.items()}), state["view"]


def _write(
    out: Path, space_map: SpaceMap, sums: Averages, probabilities: Probabilities, config: FuseConfig
) -> dict[str, Any]:
    """Write the arrays; returns the summary."""
    views, classes = space_map.views, probabilities.classes
    extents = np.zeros((len(views.space), 2), np.int32)
    extents[views.frames] = views.extents
    shape = (len(extents), *extents.max(0).tolist())
    counts = np.zeros((len(classes), 256), np.int64)  # pixels by class and confidence
    pixels = hits = 0
    with contextlib.ExitStack() as stack:
        labels, confidence, agreement = (
            _array(stack.enter_context(atomic_path(out / f"{name}.npy")), shape, fill)
            for name, fill in (("labels", IGNORE_INDEX), ("confidence", 0), ("agreement", 0))
        )
        for view, own_Chw in _views(views, probabilities, config):
            height, width = view.known_HW.shape
            at = view.frame, slice(height), slice(width)
            known = view.known_HW.ravel()
            found = look_up(space_map.cells, sums, view.points_HW3.reshape(-1, 3), known)
            values_PC = found.values_PC if own_Chw is None else _enlarged(own_Chw, (height, width))
            fused = values_PC.argmax(1)
            sure = np.rint(255 * values_PC.max(1)).clip(0, 255).astype(np.uint8)
            seen = found.views_P >= config.least_views
            counts += np.bincount(fused[seen] * 256 + sure[seen], minlength=counts.size).reshape(counts.shape)
            labels[at] = np.where(seen, fused, IGNORE_INDEX).reshape(height, width)
            confidence[at] = np.where(seen, sure, 0).reshape(height, width)
            agreement[at] = np.rint(255 * found.agreement_P * seen).reshape(height, width)
            pixels, hits = pixels + known.size, hits + int(seen.sum())
        if not hits:
            raise UserError(
                f"{views.space.path}: no place was seen by {config.least_views} frames: nothing can be fused. "
                "Record more views of each place, or lower least_views."
            )
        limits = thresholds(counts, config)
        kept = np.zeros(len(classes), np.int64)
        for start in range(0, len(labels), CHUNK):
            part = slice(start, start + CHUNK)
            limit = np.append(limits, np.full(256 - len(limits), 256))[labels[part]]
            labels[part][confidence[part] < limit] = IGNORE_INDEX
            kept += np.bincount(labels[part].ravel(), minlength=256)[: len(classes)]
        for array in (labels, confidence, agreement):
            array.flush()
    with atomic_path(out / "extents.npy") as temporary:
        np.save(temporary, extents)
    return {
        "classes": classes,
        "frames": len(views),
        "left_out": views.notes,
        "cells": len(space_map.cells),
        "fused": hits / pixels,
        "kept": int(kept.sum()) / pixels,
        "thresholds": dict(zip(classes, (limits / 255).round(3).tolist(), strict=True)),
        "shares": dict(zip(classes, (kept / max(kept.sum(), 1)).round(5).tolist(), strict=True)),
        "score": score(sums.votes_VC),
    }


def _views(views: Views, probabilities: Probabilities, config: FuseConfig) -> Iterator[tuple[View, np.ndarray | None]]:
    """Each view, for the control with what it says by itself, (C, h, w) float32."""
    if config.single:
        for _, view, values_Chw in predicted(views, probabilities, "labelling frames"):
            yield view, values_Chw
    else:
        for _, view in views.each("labelling frames"):
            yield view, None


def _enlarged(values_Chw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values of each pixel, (H * W, C) float32."""
    full = F.interpolate(torch.from_numpy(values_Chw)[None], size, mode="bilinear", align_corners=False)[0]
    return full.flatten(1).T.numpy()


def thresholds(counts_C256: np.ndarray, config: FuseConfig) -> np.ndarray:
    """Least confidence (0 .. 255) that each class keeps, (C,) int64.

    The one at which the class keeps `share` of its pixels (the quantile 1 - share of their confidence), but within
    `least` .. `most`: a class that a model is never sure of is not filled up with guesses, and one that it is always
    sure of keeps all of what is sure.

    Args:
        counts_C256: pixels of each class by confidence.
        config: the rule.
    """
    from_above = counts_C256[:, ::-1].cumsum(1)[:, ::-1]  # pixels at least as sure as that
    wanted = config.share * from_above[:, :1]
    highest = 255 - (from_above >= np.maximum(wanted, 1))[:, ::-1].argmax(1)  # the highest that keeps enough
    highest = np.where(from_above[:, 0] > 0, highest, 255)
    return np.clip(highest, np.rint(255 * config.least), np.rint(255 * max(config.most, config.least))).astype(np.int64)


def _array(path: Path, shape: tuple[int, ...], fill: int) -> np.memmap:
    array = reserved_array(path, shape, np.dtype(np.uint8))
    array[:] = fill
    return array
