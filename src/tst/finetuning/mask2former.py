"""Mask2Former (Cheng et al. 2022), a specialist of segmentation: fine-tuned whole, through its own loss.

Shape suffixes: B batch, C channels, H height, W width, Q queries, K classes.
"""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from tst.backbones.base import About
from tst.backbones.hub import load_transformers, need, read, transformers_config
from tst.backbones.transformers_vit import IMAGENET, pixel_statistics
from tst.errors import UserError
from tst.finetuning.model import Licences, TaskModel, decayed_groups
from tst.finetuning.task import Task, tasks
from tst.licences import entry, licence_of, tell

BACKBONE_RATE = 0.1
"""Learning rate of its backbone relative to the rest, as its authors train it."""
NEW = r"class_predictor\.|criterion\."


class Mask2Former(TaskModel):
    """A Mask2Former with the classes of a Space. Its outputs are the scores (B, K, h, w) of semantic inference."""

    kind = "mask2former"
    mean: Tensor
    std: Tensor

    def __init__(self, task: Task, resolution: int, licences: Licences, about: About, model: Any) -> None:
        super().__init__(task, resolution, licences)
        self.about, self.model = about, model
        for name, values in (("mean", about.mean), ("std", about.std)):
            self.register_buffer(name, 255 * torch.tensor(values).view(3, 1, 1), persistent=False)

    @classmethod
    def load(cls, folder: Path, classes: int, resolution: int) -> Self:
        """A pre-trained one with a new classifier; its licence is told on standard error.

        Raises:
            UserError: it is another model, is damaged, or its weights do not fit its config.
        """
        source = read(Path(folder))
        if source.config.get("model_type") != "mask2former":
            raise UserError(
                f"{folder}: {source.config.get('model_type') or 'a model without config.json'}, not a Mask2Former. "
                "Give a folder such as `hf download facebook/mask2former-swin-tiny-ade-semantic` makes."
            )
        config = transformers_config(source)
        config.id2label = {i: str(i) for i in range(classes)}
        config.label2id = {str(i): i for i in range(classes)}
        model_class = need("transformers").Mask2FormerForUniversalSegmentation
        model = load_transformers(model_class, config, source, missing=NEW)
        licence = licence_of(source.path, "MIT")
        tell(source.name, licence)
        about = About(source.name, licence, *pixel_statistics(source, IMAGENET))
        licences = [entry(f"weights of {about.name}", licence, "where this model started from")]
        return cls(tasks()["segmentation"], resolution, licences, about, model)

    def forward(self, stored: dict[str, Tensor], labels_B1HW: Tensor | None = None) -> Tensor:
        """See `TaskModel.forward`; the loss is Mask2Former's: matched masks and classes, at every decoder layer."""
        x_B3HW = (stored["rgb"].float() - self.mean) / self.std
        # Its sampling and matching mix dtypes under bfloat16, and gain nothing from it on a CPU.
        with torch.autocast(x_B3HW.device.type, enabled=False):
            if labels_B1HW is None:
                return semantic_scores(self.model(pixel_values=x_B3HW))
            masks, classes = self._targets(labels_B1HW[:, 0].long())
            loss = self.model(pixel_values=x_B3HW, mask_labels=masks, class_labels=classes).loss
            return loss.reshape(())

    def _targets(self, labels_BHW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """A mask for each class of each image."""
        classes = [label.unique() for label in labels_BHW]
        classes = [found[found < self.model.config.num_labels] for found in classes]
        masks = [(label == found[:, None, None]).float() for label, found in zip(labels_BHW, classes, strict=True)]
        return masks, classes

    def groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """Its backbone at a tenth of `lr`, as its authors do; no layer decay."""
        named = list(self.model.named_parameters())
        backbone = [item for item in named if "pixel_level_module.encoder." in item[0]]
        held = {id(parameter) for _, parameter in backbone}
        rest = [item for item in named if id(item[1]) not in held]
        return [
            *decayed_groups([backbone], BACKBONE_RATE * lr, weight_decay, 1.0),
            *decayed_groups([rest], lr, weight_decay, 1.0),
        ]

    def spec(self) -> dict[str, Any]:
        """The config of the library and the pixel statistics."""
        return {"about": vars(self.about), "config": self.model.config.to_dict()}

    @classmethod
    def from_spec(cls, task: Task, resolution: int, licences: Licences, spec: dict[str, Any]) -> Self:
        """See `TaskModel.from_spec`."""
        transformers = need("transformers")
        config = transformers.Mask2FormerConfig.from_dict(spec["config"])
        model = transformers.Mask2FormerForUniversalSegmentation(config)
        about = About(**{**spec["about"], "mean": tuple(spec["about"]["mean"]), "std": tuple(spec["about"]["std"])})
        return cls(task, resolution, licences, about, model)


def semantic_scores(output: Any) -> Tensor:
    """Scores (B, K, h, w) of the classes: each query's mask, weighted by its probability of the class."""
    classes_BQK = output.class_queries_logits.softmax(-1)[..., :-1]  # the last one is "nothing"
    return torch.einsum("bqk,bqhw->bkhw", classes_BQK, output.masks_queries_logits.sigmoid())
