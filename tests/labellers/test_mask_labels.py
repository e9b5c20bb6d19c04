"""Masks: the segmenter's best label, numbered without those that stand for nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import label_weights
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tst.errors import UserError
from tst.finetuning.segmenters import load_segmenter
from tst.labellers.base import Request
from tst.labellers.masks import Masks


def frames(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)


@pytest.mark.parametrize("kind", ["ade20k", "coco-masks"])
@torch.no_grad()
def test_masks_are_the_best_label_of_each_pixel(kind: str, weights: dict[str, Path]) -> None:
    labeller = Masks.load(Request(kind, kind, str(weights[kind]), 24))
    masks = labeller.label(frames())
    scores = load_segmenter(weights[kind])(torch.from_numpy(frames()).permute(0, 3, 1, 2).float())
    best = F.interpolate(scores, (24, 32), mode="bilinear", align_corners=False).argmax(1).numpy()
    assert [mask.shape for mask in masks] == [(24, 32)] * 2 and masks[0].dtype == np.uint8
    if kind == "ade20k":  # its label 0 is the background
        assert labeller.classes == ["wall", "floor"]
        best = np.where(best == 0, 255, best - 1)
    else:
        assert labeller.classes == ["thing 0", "thing 1", "thing 2"]
    assert np.array_equal(np.stack(masks), best)


def _other_model(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def _corrupt(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:400])


def _no_labels(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"TFL3")
    for file in folder.glob("*.json"):
        file.unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_model, "a bert does not segment"),
        (_corrupt, "damaged weights file"),
        (_no_labels, r"labels.txt: not found; it must name the labels of model.tflite"),
    ],
)
def test_what_cannot_be_read(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    folder = label_weights.write_segformer(tmp_path / "segformer")
    change(folder)
    with pytest.raises(UserError, match=said) as error:
        Masks.load(Request("ade20k", "ade20k", str(folder)))
    assert "\n" not in str(error.value)
