"""Boxes: the SSD's output in COCO's terms, transformers' detectors as the library runs them."""

import itertools
from pathlib import Path
from typing import Any

import cv2
import label_weights
import numpy as np
import pytest
import torch
import transformers

from tst.errors import UserError
from tst.labellers import coco_boxes
from tst.labellers.base import Request
from tst.labellers.coco_boxes import COCO, CocoBoxes, TransformersDetector


class FakeSsd:
    """What OpenCV gives: rows of image, label, score, x1, y1, x2, y2 relative to the image."""

    rows = (
        (0, 65, 0.9, 0.25, 0.5, 0.75, 1.2),  # a bed, cut at the lower border
        (1, 62, 0.4, 0.0, 0.0, 0.5, 0.5),  # a chair
        (1, 63, 0.8, -0.1, 0.1, 0.2, 0.3),  # a couch
        (1, 12, 0.9, 0.0, 0.0, 0.5, 0.5),  # an id that COCO dropped
        (0, 1, 0.1, 0.0, 0.0, 1.0, 1.0),  # unsure
        (1, 1, 0.9, 1.1, 0.0, 1.2, 1.0),  # outside
    )

    def setInput(self, blob: np.ndarray) -> None:  # noqa: N802
        self.blob = blob

    def forward(self) -> np.ndarray:
        return np.array(self.rows, np.float32)[None, None]


def ssd(folder: Path) -> Path:
    folder.mkdir()
    (folder / "graph.pb").write_bytes(b"graph")
    (folder / "anything.pbtxt").write_bytes(b"text")
    return folder / "graph.pb"


def test_the_ssd_in_cocos_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeSsd()
    monkeypatch.setattr(cv2.dnn, "readNetFromTensorflow", lambda graph, text: network)
    labeller = CocoBoxes.load(Request("coco-boxes", "ssd", str(ssd(tmp_path / "ssd"))))
    frames = np.zeros((2, 40, 80, 3), np.uint8)
    frames[..., 0] = 200
    first, second = labeller.label(frames)
    assert network.blob.shape == (2, 3, 300, 300) and (network.blob[:, 0] == 200).all()  # red stays first
    assert first == [{"category": "bed", "score": 0.9, "bbox": [20.0, 20.0, 40.0, 20.0], "area": 800.0}]
    assert [(box["category"], box["bbox"]) for box in second] == [
        ("couch", [0.0, 4.0, 16.0, 8.0]),
        ("chair", [0.0, 0.0, 40.0, 20.0]),
    ]
    assert len(labeller.classes) == 80 and labeller.classes[0] == "person" and COCO[90] == "toothbrush"


def test_the_key_tells_files_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.dnn, "readNetFromTensorflow", lambda graph, text: FakeSsd())
    path = ssd(tmp_path / "ssd")
    one = CocoBoxes.load(Request("coco-boxes", "ssd", str(path))).key
    assert CocoBoxes.load(Request("coco-boxes", "other", str(path.parent))).key == one
    path.with_name("anything.pbtxt").write_bytes(b"another")
    assert CocoBoxes.load(Request("coco-boxes", "ssd", str(path))).key != one


@torch.no_grad()
def test_a_detector_of_transformers(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_boxes, "MIN_SCORE", 0.0)
    folder = weights["coco-boxes"]
    frames = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8)
    found = TransformersDetector(folder)(frames)
    model = transformers.YolosForObjectDetection.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    output = model(**processor(images=list(frames), return_tensors="pt"))
    scores, labels = output.logits.softmax(-1)[..., :-1].max(-1)
    x, y, width, height = (output.pred_boxes * torch.tensor([64, 48, 64, 48.0])).unbind(-1)
    expected: list[list[Any]] = []
    for b in range(2):
        rows = [
            (round(float(scores[b, q]), 4), model.config.id2label[int(labels[b, q])])
            for q in range(9)
            if int(labels[b, q])
            and min(float(x[b, q] + width[b, q] / 2), 64) - max(float(x[b, q] - width[b, q] / 2), 0) >= 1
            and min(float(y[b, q] + height[b, q] / 2), 48) - max(float(y[b, q] - height[b, q] / 2), 0) >= 1
        ]
        expected.append(sorted(rows, reverse=True))
    assert any(expected)
    told = [[(box["score"], box["category"]) for box in each] for each in found]
    assert [sorted(each, reverse=True) for each in told] == expected
    assert all(one["score"] >= two["score"] for each in found for one, two in itertools.pairwise(each))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "anything.pbtxt").unlink(), r"0 .pbtxt files beside it; it needs its own"),
        (lambda folder: (folder / "more.pbtxt").write_bytes(b""), r"2 .pbtxt files beside it"),
        (lambda folder: (folder / "more.pb").write_bytes(b""), r"holds 2 .pb files. Name the one to use"),
        (lambda folder: None, r"graph.pb: OpenCV cannot read this graph .*Copy both files again"),
    ],
)
def test_graphs_that_cannot_be_read(change: Any, said: str, tmp_path: Path) -> None:
    path = ssd(tmp_path / "ssd")
    change(path.parent)
    asked = path.parent if "Name the one" in said else path
    with pytest.raises(UserError, match=said) as error:
        CocoBoxes.load(Request("coco-boxes", "ssd", str(asked)))
    assert "\n" not in str(error.value)


def test_models_that_find_no_boxes(tmp_path: Path, weights: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"a dinov2 finds no boxes. Give a frozen SSD"):
        CocoBoxes.load(Request("coco-boxes", "x", str(weights["dinov2"])))
    folder = label_weights.write_yolos(tmp_path / "yolos")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"no usable preprocessor_config.json"):
        CocoBoxes.load(Request("coco-boxes", "x", str(folder)))
