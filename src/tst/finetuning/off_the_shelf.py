"""A segmenter that somebody else trained, as it is: its labels are mapped to a Space's classes, nothing is learnt.

Shape suffixes: B batch, H height, W width, K classes of the Space, L labels of the segmenter.
"""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from tst.errors import UserError
from tst.files import digest
from tst.finetuning.class_names import class_groups
from tst.finetuning.model import Licences, TaskModel, save_model
from tst.finetuning.segmenters import SORTS, Segmenter, load_segmenter
from tst.finetuning.task import Task, tasks
from tst.licences import entry, tell
from tst.runs import Run

NEVER = -1e4
"""Score of a class that no label stands for."""


class OffTheShelf(TaskModel):
    """A segmenter and, for each class, the labels that stand for it.

    The score of a class is that of its best label. Labels that stand for no class take part in nothing, so a pixel gets
    the best of the Space's classes.
    """

    kind = "off the shelf"

    def __init__(self, task: Task, resolution: int, licences: Licences, segmenter: Segmenter, groups: list[list[int]]):
        super().__init__(task, resolution, licences)
        self.segmenter, self.label_groups = segmenter, groups

    def forward(self, stored: dict[str, Tensor], labels_B1HW: Tensor | None = None) -> Tensor:
        """See `TaskModel.forward`."""
        scores_BLHW = self.segmenter(stored["rgb"])
        never_BHW = torch.full_like(scores_BLHW[:, 0], NEVER)
        best = [scores_BLHW[:, group].amax(1) if group else never_BHW for group in self.label_groups]
        output = torch.stack(best, 1)
        return output if labels_B1HW is None else self.task.loss(output, labels_B1HW)

    def groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """Nothing is trained."""
        return []

    def spec(self) -> dict[str, Any]:
        """The segmenter's spec and the labels of each class."""
        return {
            "segmenter": {"sort": self.segmenter.sort, **self.segmenter.spec()},
            "label_groups": self.label_groups,
        }

    @classmethod
    def from_spec(cls, task: Task, resolution: int, licences: Licences, spec: dict[str, Any]) -> Self:
        """See `TaskModel.from_spec`."""
        own = dict(spec["segmenter"])
        return cls(task, resolution, licences, SORTS[own.pop("sort")].from_spec(own), spec["label_groups"])


def take_off_the_shelf(
    path: Path, classes: list[str], out: Path, *, name: str | None = None, mapping: Path | None = None
) -> Path:
    """Write a segmenter with its class mapping as a model that `tst evaluate` takes; its licence is told.

    Args:
        path: folder of a semantic-segmentation model of transformers, or a `.tflite` file with `labels.txt`.
        classes: of the Space.
        out: the run folder to write: `model.safetensors`, and `done.json` with what was mapped to what.
        name: what to call it; by default as the folder.
        mapping: JSON, see `tst.finetuning.class_names.class_groups`.

    Raises:
        UserError: it cannot be read, or its labels cannot be mapped.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found. Give the folder of a segmenter, or a .tflite file.")
    name = name or path.stem
    segmenter = load_segmenter(path)
    tell(name, segmenter.licence)
    groups = class_groups(segmenter.labels, classes, mapping)
    licences = [entry(f"weights of {name}", segmenter.licence, "evaluated as they are")]
    model = OffTheShelf(tasks()["segmentation"], segmenter.side, licences, segmenter, groups)
    key = digest({key: float(value.double().sum()) for key, value in model.state_dict().items()})
    with Run(out, "off the shelf", {"classes": classes, "groups": groups}, {"weights": key}, licences) as run:
        if not run.summary:
            save_model(run.path / "model.safetensors", model, classes)
            mapped = {each: [segmenter.labels[i] for i in group] for each, group in zip(classes, groups, strict=True)}
            run.finish({"seconds": 0.0, "samples": 0, "parameters": model.parameter_count or None, "mapped": mapped})
    return Path(out)
