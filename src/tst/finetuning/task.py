"""What a downstream task is. A new task is one file in this folder with a `TASK`."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path

from torch import Tensor, nn

from tst.space.space import Space


class Task(ABC):
    """A task learnt from labels of other places, on top of an encoder."""

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
