"""What is fine-tuned, evaluated and saved. A kind of model is one file in this folder with a subclass of `TaskModel`.

Shape suffixes: B batch, C channels, H height, W width, N tokens (row by row), D width, K classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from tst.errors import UserError
from tst.finetuning.task import Task, tasks
from tst.licences import is_non_commercial, tell
from tst.model.fourm import decays
from tst.registry import classes_in
from tst.runs import load_tensors, save_tensors

Licences = Sequence[dict[str, str]]


class TaskModel(nn.Module, ABC):
    """Stored values of square crops in, the task's output or its loss out.

    Attributes:
        kind: its name in a saved file.
        resolution: side in pixels of the crops.
        licences: of everything that it derives from, as `tst.runs.Run` takes them.
    """

    kind: ClassVar[str]

    def __init__(self, task: Task, resolution: int, licences: Licences = ()) -> None:
        super().__init__()
        self.task, self.resolution, self.licences = task, resolution, list(licences)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities it looks at, RGB first."""
        return ("rgb",)

    @property
    def parameter_count(self) -> int:
        """How many parameters it has, frozen ones too."""
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def forward(self, stored: dict[str, Tensor], labels_B1HW: Tensor | None = None) -> Tensor:
        """Predict from stored values of each input modality, (B, C, resolution, resolution) float32.

        Returns:
            The task's output (segmentation: logits (B, K, h, w)), or the loss (scalar) if there are labels.
        """

    @abstractmethod
    def groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """Groups of the parameters that are trained, for an optimiser."""

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """What `from_spec` needs to build it again, JSON-able."""

    @classmethod
    @abstractmethod
    def from_spec(cls, task: Task, resolution: int, licences: Licences, spec: dict[str, Any]) -> Self:
        """The model that `spec` describes, with random weights."""


@dataclass(frozen=True)
class HeadShape:
    """What a head is built with: `tst.finetuning.task.Task.head`."""

    width: int
    grid: int
    classes: int
    channels: int
    depth: int
    cells: int


class HeadedModel(TaskModel):
    """An encoder and the task's head. Subclasses set `trunk` and turn stored values into tokens.

    Args:
        freeze: train the head alone; the trunk stays as it is and makes no gradients.
    """

    trunk: nn.Module

    def __init__(self, task: Task, resolution: int, licences: Licences, shape: HeadShape, freeze: bool) -> None:
        super().__init__(task, resolution, licences)
        self.shape, self.freeze = shape, freeze
        self.head = task.head(**asdict(shape))

    @abstractmethod
    def tokens(self, stored: dict[str, Tensor]) -> Tensor:
        """Tokens (B, N, D) of a `shape.grid` x `shape.grid` map."""

    @abstractmethod
    def trunk_groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """Groups of the trunk's parameters for an optimiser."""

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`, but a frozen trunk stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.trunk.eval()
        return self

    def forward(self, stored: dict[str, Tensor], labels_B1HW: Tensor | None = None) -> Tensor:
        """See `TaskModel.forward`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            tokens_BND = self.tokens(stored)
        output = self.head(tokens_BND)
        return output if labels_B1HW is None else self.task.loss(output, labels_B1HW)

    def groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """The head at `lr`; the trunk's layers, unless they are frozen, at less the nearer to the input."""
        head = decayed_groups([list(self.head.named_parameters())], lr, weight_decay, 1.0)
        return head if self.freeze else [*self.trunk_groups(lr, weight_decay, layer_decay), *head]


def decayed_groups(
    layers: Sequence[Sequence[tuple[str, nn.Parameter]]], lr: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Optimiser groups: the last layer learns at `lr`, each one before it at `layer_decay` times less (BEiT's rule).

    Weight decay spares norms, biases and other vectors. Each group has a `name`.
    """
    groups = []
    for i, layer in enumerate(layers):
        for decayed in (True, False):
            found = [p for name, p in layer if p.requires_grad and decays(name, p) == decayed]
            if found:
                groups.append(
                    {
                        "name": f"layer{i}{'' if decayed else '_no_decay'}",
                        "params": found,
                        "lr": lr * layer_decay ** (len(layers) - 1 - i),
                        "weight_decay": weight_decay if decayed else 0.0,
                    }
                )
    return groups


@cache
def kinds() -> dict[str, type[TaskModel]]:
    """All kinds of models by name."""
    return {kind.kind: kind for kind in classes_in(__package__, TaskModel)}


def save_model(path: Path, model: TaskModel, classes: Sequence[str], **facts: Any) -> None:
    """Write a model as one self-contained safetensors file: weights, how to build it, class names, licences.

    Args:
        facts: more for its metadata, JSON-able.
    """
    metadata = {
        **facts,
        "classes": list(classes),
        "task": model.task.name,
        "resolution": model.resolution,
        "licences": model.licences,
        "model": {"kind": model.kind, **model.spec()},
    }
    save_tensors(path, {name: value.clone() for name, value in model.state_dict().items()}, metadata)


def load_model(path: Path) -> tuple[TaskModel, dict[str, Any]]:
    """Read a model from its run folder or file.

    Returns:
        The model in evaluation mode, and its metadata: classes, licences, and what `save_model` was given.

    Raises:
        UserError: it is no such file, is damaged, or was written by another version.
    """
    path = Path(path)
    tensors, metadata = load_tensors(path / "model.safetensors" if path.is_dir() else path)
    if "classes" not in metadata:
        raise UserError(f"{path}: not a transferred model. Give the run folder of `tst transfer`.")
    for item in metadata.get("licences", ()):
        if is_non_commercial(item["licence"]):
            tell(str(path), item["licence"])
    spec = dict(metadata.get("model", {}))
    kind = spec.pop("kind", None)
    if kind not in kinds():
        raise UserError(f"{path}: was written by another version of tst (kind {kind!r}). Run `tst transfer` again.")
    model = kinds()[kind].from_spec(tasks()[metadata["task"]], metadata["resolution"], metadata["licences"], spec)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()[:120]
        raise UserError(
            f"{path}: its weights do not fit what it says it is ({reason}). Use the versions of tst, transformers and "
            "timm that wrote it, or run `tst transfer` again."
        ) from None
    return model.eval(), metadata
