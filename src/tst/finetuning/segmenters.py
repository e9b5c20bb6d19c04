"""Segmenters as they come: pixels in, scores of their labels out. Semantic models of transformers, and LiteRT files.

Shape suffixes: B batch, H height, W width, L labels of the segmenter.
"""

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from tst.backbones.base import Triple, resize_square
from tst.backbones.hub import load_transformers, need, read, read_config, transformers_config
from tst.backbones.transformers_vit import IMAGENET, pixel_statistics
from tst.errors import UserError
from tst.finetuning.mask2former import semantic_scores
from tst.licences import UNKNOWN, licence_of

SIDE = 512
"""Pixels that a segmenter works at where nothing says otherwise: ADE20K's usual size."""
LICENCES = {
    "mask2former": "MIT",
    "segformer": "NVIDIA Source Code License for SegFormer: non-commercial",
}


class Segmenter(nn.Module, ABC):
    """A trained segmenter.

    Attributes:
        labels: L names.
        side: pixels along a side of its input.
    """

    sort: ClassVar[str]
    licence: str
    labels: list[str]
    side: int

    @abstractmethod
    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """Scores (B, L, h, w) float32 of stored RGB values 0..255; the highest one is the answer."""

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """What `from_spec` needs, JSON-able."""

    @classmethod
    @abstractmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """The segmenter with random weights."""


class TransformersSegmenter(Segmenter):
    """A model for semantic segmentation of transformers, or a Mask2Former."""

    sort = "transformers"

    def __init__(self, model: Any, spec: dict[str, Any]) -> None:
        super().__init__()
        self.model, self._spec = model, spec
        names = {int(index): name for index, name in model.config.id2label.items()}
        self.labels = [names[index] for index in sorted(names)]
        self.side, self.licence = spec["side"], spec["licence"]
        for name in ("mean", "std"):
            self.register_buffer(name, 255 * torch.tensor(spec[name]).view(3, 1, 1), persistent=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """With the weights of a folder.

        Raises:
            UserError: it is no such model, is damaged, or its weights do not fit its config.
        """
        source = read(folder)
        config = transformers_config(source)
        model_class = _model_class(config)
        if model_class is None:
            raise UserError(
                f"{folder}: a {config.model_type} does not segment. Give a model for semantic segmentation, such as "
                "openmmlab/upernet-convnext-tiny or facebook/mask2former-swin-tiny-ade-semantic."
            )
        model = load_transformers(model_class, config, source, unused=r"auxiliary_head|criterion", missing="criterion")
        mean, std = pixel_statistics(source, IMAGENET)
        size = read_config(source.path, "preprocessor_config.json").get("size", SIDE)
        side = int(size) if not isinstance(size, dict) else int(size.get("height") or size.get("shortest_edge") or SIDE)
        licence = licence_of(source.path, LICENCES.get(config.model_type, UNKNOWN))
        spec = {"config": config.to_dict(), "mean": mean, "std": std, "side": side, "licence": licence}
        return cls(model, spec)

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """See `Segmenter.forward`."""
        x_B3HW = (resize_square(rgb_B3HW.float(), self.side) - cast(Tensor, self.mean)) / cast(Tensor, self.std)
        output = self.model(pixel_values=x_B3HW)
        return (output.logits if hasattr(output, "logits") else semantic_scores(output)).float()

    def spec(self) -> dict[str, Any]:
        """Config of the library, pixel statistics, size, licence."""
        return self._spec

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """See `Segmenter.from_spec`."""
        config = need("transformers").CONFIG_MAPPING[spec["config"]["model_type"]].from_dict(spec["config"])
        mean, std = (cast(Triple, tuple(spec[name])) for name in ("mean", "std"))
        return cls(_model_class(config)(config), {**spec, "mean": mean, "std": std})


def _model_class(config: Any) -> Any:
    transformers = need("transformers")
    if config.model_type == "mask2former":
        return transformers.Mask2FormerForUniversalSegmentation
    return transformers.AutoModelForSemanticSegmentation._model_mapping.get(type(config), None)


class LiteSegmenter(Segmenter):
    """A LiteRT (TensorFlow Lite) file: pixels / 127.5 - 1 in, scores of labels out; it runs on the CPU, one by one.

    The file's bytes are its state, so that it is saved as any other model.
    """

    sort = "litert"

    def __init__(self, content: bytes, labels: list[str], licence: str) -> None:
        super().__init__()
        self.labels, self.licence = labels, licence
        self.register_buffer("content", torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self._interpreter: Any = None
        self.side = 0

    @classmethod
    def load(cls, path: Path) -> Self:
        """A `.tflite` file with `labels.txt` beside it (a line each; a number, and what stands before a tab, is
        dropped), or their folder.

        Raises:
            UserError: a file is missing or damaged, or the labels are not as many as its scores.
        """
        files = sorted(path.glob("*.tflite")) if path.is_dir() else [path]
        if len(files) != 1:
            raise UserError(f"{path}: holds {len(files)} .tflite files. Name the one to use.")
        names = files[0].with_name("labels.txt")
        if not names.is_file():
            raise UserError(f"{names}: not found; it must name the labels of {files[0].name}, one a line.")
        lines = names.read_text(encoding="utf-8").splitlines()
        labels = [re.sub(r"^(.*\t|\d+\s+)", "", line).strip() for line in lines if line]
        segmenter = cls(files[0].read_bytes(), labels, licence_of(files[0], UNKNOWN))
        try:
            found = segmenter.interpreter.get_output_details()[0]["shape"][-1]
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{files[0]}: not a LiteRT model ({str(error).splitlines()[0]}). Copy it again.") from None
        if found != len(labels):
            raise UserError(f"{names}: names {len(labels)} labels, but the model scores {found}. Copy it again.")
        segmenter.side = int(segmenter.interpreter.get_input_details()[0]["shape"][1])
        return segmenter

    @property
    def interpreter(self) -> Any:
        """Made when it is first needed.

        Raises:
            UserError: `ai-edge-litert` is not installed.
        """
        if self._interpreter is None:
            lite = need("ai_edge_litert.interpreter")
            content = cast(Tensor, self.content).cpu().numpy().tobytes()
            self._interpreter = lite.Interpreter(model_content=content, num_threads=torch.get_num_threads())
            self._interpreter.allocate_tensors()
        return self._interpreter

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """See `Segmenter.forward`; scores are averaged to a quarter of the side, as other segmenters give them."""
        lite = self.interpreter
        into, out = lite.get_input_details()[0]["index"], lite.get_output_details()[0]["index"]
        x_BHW3 = (resize_square(rgb_B3HW.float().cpu(), self.side) / 127.5 - 1).permute(0, 2, 3, 1)
        scores = []
        for x_HW3 in x_BHW3.numpy():
            lite.set_tensor(into, np.ascontiguousarray(x_HW3[None]))
            lite.invoke()
            scores_1LHW = torch.from_numpy(lite.get_tensor(out)).permute(0, 3, 1, 2)
            scores.append(nn.functional.adaptive_avg_pool2d(scores_1LHW, max(1, self.side // 4)))
        return torch.cat(scores).to(rgb_B3HW.device)

    def spec(self) -> dict[str, Any]:
        """Labels, size, licence, and how many bytes."""
        return {
            "labels": self.labels,
            "side": self.side,
            "licence": self.licence,
            "bytes": len(cast(Tensor, self.content)),
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """See `Segmenter.from_spec`."""
        segmenter = cls(bytes(spec["bytes"]), spec["labels"], spec["licence"])
        segmenter.side = spec["side"]
        return segmenter


SORTS: dict[str, type[Segmenter]] = {sort.sort: sort for sort in (TransformersSegmenter, LiteSegmenter)}


def load_segmenter(path: Path) -> Segmenter:
    """The segmenter in a folder or file.

    Raises:
        UserError: see `TransformersSegmenter.load`, `LiteSegmenter.load`.
    """
    path = Path(path)
    lite = path.suffix == ".tflite" or (path.is_dir() and bool(list(path.glob("*.tflite"))))
    return LiteSegmenter.load(path) if lite else TransformersSegmenter.load(path)
