"""Adapting weights that are already good to a space: what learns when and how fast, and staying near the original.

Shape suffixes: B batch, I input tokens, N tokens, D width of the model.
"""

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from tst.config import Config
from tst.loop import OptimConfig
from tst.model.fourm import Encoder, decays, is_encoder_name


class AdaptConfig(Config):
    """A schedule that does not wreck the weights that training starts from; used with `init`."""

    lr: float = Field(0.1, gt=0, le=1)
    """Learning rate of the initial weights, relative to that of the new ones (`optim.lr`)."""
    layer_decay: float = Field(0.75, gt=0, le=1)
    """Learning rate of each initial encoder layer relative to the one above it."""
    frozen_steps: NonNegativeInt = 100
    """Steps at first in which only the new parts learn; then the initial ones warm up for as long as training did."""
    preserve: NonNegativeFloat = 0.0
    """Weight of the cosine distance between the encoder's features of a whole RGB image and the original's."""


def adaptation_groups(
    encoder: Encoder, head: nn.Module | None, initialised: frozenset[str], optim: OptimConfig, adapt: AdaptConfig
) -> list[dict[str, Any]]:
    """Groups for the optimiser: new parameters at `optim.lr`, initial ones slower and slower towards the input.

    Args:
        encoder: an `Encoder` or a whole `FourM`.
        head: new parameters beside it.
        initialised: names of parameters of `encoder` that are not new (`initialise`). Their groups hold `initial`, and
            `encoder` if they come before the features.
    """
    depth = len(encoder.encoder)
    groups: dict[tuple[bool, int, bool, bool], dict[str, Any]] = {}

    def add(initial: bool, layer: int, name: str, parameter: nn.Parameter) -> None:
        scale = adapt.lr * adapt.layer_decay ** (depth + 1 - layer) if initial else 1.0
        decayed, inside = decays(name, parameter), initial and is_encoder_name(name)
        group = groups.setdefault(
            (initial, layer, not decayed, inside),
            {
                "params": [],
                "lr": optim.lr * scale,
                "weight_decay": optim.weight_decay if decayed else 0.0,
                "initial": initial,
                "encoder": inside,
            },
        )
        group["params"].append(parameter)

    for name, parameter in encoder.named_parameters():
        initial = name in initialised
        add(initial, _layer(name, depth) if initial else depth + 1, name, parameter)
    for name, parameter in head.named_parameters() if head is not None else ():
        add(False, depth + 1, name, parameter)
    return [groups[key] for key in sorted(groups)]


def _layer(name: str, depth: int) -> int:
    """0 for what comes before the encoder's blocks, 1.. for the blocks, one more for all that comes after."""
    room, _, rest = name.partition(".")
    if room == "encoder":
        return int(rest.split(".")[0]) + 1
    return 0 if room in ("encoder_embeddings", "register_tokens", "encoder_pre_norm") else depth + 1


class Thaw:
    """Keeps the initial parameters still for `frozen_steps`, then lets their learning rate rise to its course.

    Args:
        optimizer: with the groups of `adaptation_groups`.
        frozen_steps: steps without them.
        rise: steps of the rise.
        step: number of the first step that will be taken (a resumed run's is not 0).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, frozen_steps: int, rise: int, step: int = 0) -> None:
        self.groups = [group for group in optimizer.param_groups if group["initial"]]
        self.frozen_steps = frozen_steps if self.groups else 0  # without initial weights nothing stands still
        self.rise, self.step = max(rise, 1), step

    def next(self) -> bool:
        """Set up the next step, after its learning rates were set; whether the initial parameters are still."""
        frozen = self.step < self.frozen_steps
        share = min(1.0, (self.step - self.frozen_steps + 1) / self.rise) if self.frozen_steps else 1.0
        for group in self.groups:
            group["lr"] *= 0.0 if frozen else share
            # No gradients into the encoder: three times as fast. The decoder keeps its own, as the loss of a step may
            # not reach any new parameter.
            for parameter in group["params"] if group["encoder"] else ():
                parameter.requires_grad_(not frozen)
        self.step += 1
        return frozen


def cosine_distance(features_BND: Tensor, target_BND: Tensor) -> Tensor:
    """One minus the cosine, mean over tokens (scalar, float32): 0 for the same direction, 2 for the opposite."""
    return 1.0 - F.cosine_similarity(features_BND.float(), target_BND.float(), dim=-1).mean()


def teacher_features(teacher: Encoder, pixels_B3HW: Tensor) -> Tensor:
    """Features (B, N, D) of an encoder of pixels, without gradients; pixels are resized to its patch size."""
    (spec,) = teacher.modalities
    side = (spec.grid[0] * spec.patch, spec.grid[1] * spec.patch)
    if pixels_B3HW.shape[-2:] != side:
        pixels_B3HW = F.interpolate(pixels_B3HW, side, mode="bilinear", antialias=True)
    with torch.no_grad():
        return teacher({spec.name: pixels_B3HW})
