"""Distillation, and nothing else: the control of paper App. R (is a teacher's knowledge worth more in the test space?).

A student of ours learns the teacher's patch features of the frames of one Space. Run once on the test space and once on
another, with all else the same, the difference is what the space's own images are worth.

Shape suffixes: B batch, N tokens, D width of the student, T width of the teacher.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from tst.model.fourm import Encoder
from tst.pretraining.adaptation import cosine_distance, teacher_features
from tst.pretraining.batches import Batch, BatchMaker

Loss = Callable[[nn.Module, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
Validate = Callable[[nn.Module], dict[str, float]]


class Student(nn.Module):
    """An encoder of pixels and a linear layer from its features to the teacher's; only the encoder is kept."""

    def __init__(self, encoder: Encoder, teacher_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.to_teacher = nn.Linear(encoder.dim, teacher_dim)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """What it takes the teacher's features for, (B, N, T)."""
        return self.to_teacher(self.encoder(inputs))


def distillation(
    teacher: Encoder,
    maker: BatchMaker,
    fixed: Sequence[Batch],
    before_step: Callable[[], object] = lambda: None,
) -> tuple[Loss, Validate]:
    """Loss of a training step and measure of the held-back frames: cosine distance to the teacher's features.

    Args:
        teacher: an encoder of pixels at the student's grid, on the device.
        fixed: the held-back batches.
        before_step: is called at the start of each training step.
    """

    def distance(model: nn.Module, batch: Batch) -> Tensor:
        (pixels,) = batch.inputs.values()
        return cosine_distance(model(batch.inputs), teacher_features(teacher, pixels))

    def loss(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        before_step()
        return distance(model, maker.draw(generator)), {}

    def validate(model: nn.Module) -> dict[str, float]:
        total = sum(len(batch.available_BM) for batch in fixed)
        return {"val_loss": sum(float(distance(model, batch)) * len(batch.available_BM) for batch in fixed) / total}

    return loss, validate
