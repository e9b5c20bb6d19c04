"""A generalist backbone and a head: fine-tuned with layer decay, or frozen (paper Sec. 4.2: the generalists)."""

from dataclasses import asdict
from typing import Any, Self, cast

from torch import Tensor

from tst.backbones import Backbone, rebuild
from tst.finetuning.model import HeadedModel, HeadShape, Licences, decayed_groups
from tst.finetuning.task import Task


class BackboneModel(HeadedModel):
    """A backbone of any family and the task's head."""

    kind = "backbone"

    def __init__(
        self,
        task: Task,
        resolution: int,
        backbone: Backbone,
        shape: HeadShape,
        *,
        freeze: bool = False,
        licences: Licences = (),
    ) -> None:
        super().__init__(task, resolution, licences, shape, freeze)
        assert (shape.width, shape.grid) == (backbone.width, backbone.grid(resolution)), "a head for this backbone"
        self.trunk = backbone.requires_grad_(not freeze)

    @property
    def backbone(self) -> Backbone:
        """The trunk."""
        return cast(Backbone, self.trunk)

    def tokens(self, stored: dict[str, Tensor]) -> Tensor:
        """Tokens (B, N, D) of the image, resized to the nearest multiple of the backbone's patch."""
        return self.backbone(stored["rgb"])

    def trunk_groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """By the backbone's layers."""
        return decayed_groups(self.backbone.layers(), lr, weight_decay, layer_decay)

    def spec(self) -> dict[str, Any]:
        """The backbone's spec and the head's shape."""
        return {"backbone": self.backbone.spec(), "head": asdict(self.shape)}

    @classmethod
    def from_spec(cls, task: Task, resolution: int, licences: Licences, spec: dict[str, Any]) -> Self:
        """See `TaskModel.from_spec`."""
        return cls(task, resolution, rebuild(spec["backbone"]), HeadShape(**spec["head"]), licences=licences)
