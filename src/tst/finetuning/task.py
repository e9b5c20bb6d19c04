"""What a downstream task is. A new task is one file in this folder with a `TASK`."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from tst.modalities import MODALITIES
from tst.modalities.rgb import to_imagenet
from tst.model.fourm import Encoder
from tst.pretraining.batches import pixel_name, token_name
from tst.space.space import Space


class Task(ABC):
    """A task learnt from labels of other places, on top of the encoder."""

    name: str
    label: str
    """Modality that holds the labels."""
    metric: str
    """Name of the score on the transfer set's validation split, in percent; the best epoch has the highest."""

    @abstractmethod
    def head(self, width: int, grid: int, classes: int, channels: int, depth: int, cells: int) -> nn.Module:
        """The head: tokens (B, N, D) of a `grid` x `grid` map to the task's output."""

    @abstractmethod
    def loss(self, output: Tensor, labels_B1HW: Tensor) -> Tensor:
        """Training loss (scalar) against stored label values."""

    @abstractmethod
    def score(self, outputs: list[Tensor], labels: list[Tensor], space: Space) -> dict[str, float]:
        """Scores of batches of outputs against stored label values; has `metric` among its keys."""


@cache
def tasks() -> dict[str, Task]:
    """All tasks by name."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        task = getattr(importlib.import_module(f"{__package__}.{module.name}"), "TASK", None)
        if isinstance(task, Task):
            found[task.name] = task
    return found


class TaskModel(nn.Module):
    """Encoder, head and, where modalities beside RGB are inputs, their frozen tokenizers.

    Attributes:
        inputs: modalities it looks at, RGB first.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, tokenizers: dict[str, nn.Module], resolution: int) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.tokenizers = nn.ModuleDict(tokenizers).requires_grad_(False)
        self.resolution = resolution

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities it looks at, RGB first."""
        return ("rgb", *self.tokenizers)

    def train(self, mode: bool = True) -> "TaskModel":
        """As `nn.Module.train`, but the tokenizers stay as they are (a VQ codebook would go on learning)."""
        super().train(mode)
        self.tokenizers.eval()
        return self

    def forward(self, stored: dict[str, Tensor]) -> Tensor:
        """Predict from stored values of each input modality, (B, C, resolution, resolution) float32."""
        inputs = {pixel_name(self.resolution): to_imagenet(stored["rgb"])}
        with torch.no_grad():
            for name, tokenizer in self.tokenizers.items():
                ids_BN = tokenizer.encode(*MODALITIES[name].normalise(stored[name]))  # type: ignore[operator]
                inputs[token_name(name, self.resolution)] = ids_BN
        # Of several modalities' tokens the head sees the mean at each position.
        tokens_BND = self.encoder(inputs)
        count = len(inputs)
        if count > 1:
            batch, total, width = tokens_BND.shape
            tokens_BND = tokens_BND.view(batch, count, total // count, width).mean(1)
        return self.head(tokens_BND)
