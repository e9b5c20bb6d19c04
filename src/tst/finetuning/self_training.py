"""Self-training: a fine-tuned model learns what its own views of the space agree on, until it sees it in one image.

A round: predict every frame of the unlabelled walk, average the predictions in 3D (`tst.mapping`), keep what is sure,
and train on these pseudo-labels together with the true labels of other places. The student sees harder images than its
teacher did (colours, crops, hidden parts; Hoyer et al. 2023, masked image consistency), and the mean of its weights
over the steps (Tarvainen & Valpola 2017) is the teacher of the next round. Rounds end when the label-free score of the
model on the space no longer rises. No label of the space is read, and nothing of any other walk in it.

Further teachers may have a say in the pseudo-labels of every round: what the model never names it cannot learn from
itself.

```
OUT/
  round-1/labels/      what the given model says, fused      (tst.mapping.labels)
  round-1/model/       trained on that, and so on
  model.safetensors    of the round with the best label-free score; a model like any of `tst transfer`
```

Shape suffixes: B batch, H height, W width.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.files import atomic_path, read_json
from tst.finetuning.model import TaskModel, load_model, save_model
from tst.finetuning.transfer import labelled_crops, split_frames, validation_score
from tst.licences import merged
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.mapping.labels import FuseConfig, FusedLabels, fused_labels
from tst.mapping.predictions import CopiesConfig, Kept, Mean, Model
from tst.modalities import MODALITIES
from tst.modalities.crop import crop
from tst.modalities.jitter import JitterConfig
from tst.runs import Run
from tst.space.space import Space
from tst.tokenizers.views import FrameSource, ViewConfig, draw_crops

Score = Literal["kappa", "information", "self_miou"]


class SelfTrainConfig(Config):
    """Rounds of fusing and training."""

    rounds: PositiveInt = 3
    """Rounds at most."""
    steps: PositiveInt = 240
    """Optimiser steps of a round."""
    optim: OptimConfig = OptimConfig(lr=3e-4, batch_size=32, betas=(0.9, 0.999), ema=0.98)
    layer_decay: float = Field(0.75, gt=0, le=1)
    """Learning rate of each encoder layer relative to the one above it."""
    share: float = Field(0.5, gt=0, lt=1)
    """Share of each batch that comes from the space."""
    weight: NonNegativeFloat = 1.0
    """Of the loss on the space, beside that on the true labels."""
    views: ViewConfig = ViewConfig()
    """Range of the random crops; the resolution is the model's."""
    jitter: JitterConfig = JitterConfig(gamma=0.8)
    """Photometric changes of labelled images."""
    strong: JitterConfig = JitterConfig(
        brightness=0.5, contrast=0.5, saturation=0.5, hue=0.1, probability=0.9, grey=0.1, gamma=0.8
    )
    """Photometric changes of the space's images."""
    hidden: float = Field(0.3, ge=0, lt=1)
    """Share of each of the space's images that is hidden, in blocks; their labels stay, to be told from around them."""
    blocks: PositiveInt = 8
    """Blocks along one side of an image."""
    score: Score = "kappa"
    """Label-free score that decides on another round (docs/mapping.md)."""
    fuse: FuseConfig = FuseConfig()
    copies: CopiesConfig = CopiesConfig(scales=(1.0,))
    """Copies of a frame whose predictions are averaged."""
    seed: int = 0


def self_train(
    start: Path,
    space: Space,
    labelled: Space,
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    config: SelfTrainConfig = SelfTrainConfig(),
    precision: Precision = "auto",
) -> Path:
    """Train the model of a transfer further, on the unlabelled `space`; returns the run folder.

    Stopped, it goes on where it was.

    Args:
        start: run folder of a transfer.
        space: walks with depth and poses.
        labelled: what it was fine-tuned on.
        teachers: run folders of further models of the same classes (of a transfer, or off the shelf). The labels of
            each round come from the mean of what they and the round's own model say.

    Raises:
        UserError: the space cannot be mapped, or the labels or a teacher are of other classes than the model's.
    """
    out = Path(out)
    fabric = make_fabric(precision=precision)
    model, metadata = load_model(start)
    if labelled.classes != metadata["classes"]:
        raise UserError(f"{labelled.path}: its classes are not those of {start}. Use the Space it was fine-tuned on.")
    others = [Kept(Model(path, space, config.copies)) for path in teachers]

    def labels_by(folder: Path, number: int) -> FusedLabels:
        own = Model(folder, space, config.copies)
        said = Mean([own, *others]) if others else own
        return fused_labels(space, said, out / f"round-{number}" / "labels", config.fuse)

    given = Model(start, space, config.copies)
    inputs = {"start": given.identity, "space": given.identity["frames"]}
    if others:
        inputs["teachers"] = [other.identity for other in others]
    licences = merged(model.licences, *(other.licences for other in others))
    with Run(out, "selftrain", config.model_dump(mode="json"), inputs, licences) as run:
        if run.summary:
            return out
        teacher, rounds = Path(start), []
        labels = labels_by(teacher, 1)
        scores = [labels.summary["score"]]
        for number in range(1, config.rounds + 1):
            folder = out / f"round-{number}"
            teacher = _round(fabric, teacher, labels, space, labelled, folder / "model", config, number, licences)
            rounds.append(teacher)
            # Also tells how good the new model is, before any further round.
            labels = labels_by(teacher, number + 1)
            scores.append(labels.summary["score"])
            if scores[-1][config.score] <= scores[-2][config.score]:
                break
        best = max(range(len(scores)), key=lambda number: scores[number][config.score])
        kept = Path(start) if best == 0 else rounds[best - 1]
        with atomic_path(out / "model.safetensors") as temporary:
            shutil.copyfile(kept / "model.safetensors", temporary)
        done = [read_json(folder / "done.json") for folder in rounds]
        run.finish(
            {
                **(read_json(kept / "done.json") if best else {**done[0], **_validated(Path(start))}),
                "seconds": sum(item["seconds"] for item in done),
                "samples": sum(item["samples"] for item in done),
                "rounds": best,
                "scores": scores,
            }
        )
    return out


def _validated(folder: Path) -> dict[str, Any]:
    done = read_json(folder / "done.json")
    return {name: value for name, value in done.items() if name.startswith("best_val_")}


def _round(
    fabric: Any,
    teacher: Path,
    labels: FusedLabels,
    space: Space,
    labelled: Space,
    out: Path,
    config: SelfTrainConfig,
    number: int,
    licences: list[dict[str, str]],
) -> Path:
    """Train on true and fused labels; the mean of the weights is kept."""
    model, metadata = load_model(teacher)
    model.licences = licences  # whoever made the labels has a part in what is learnt from them
    names, label = list(model.inputs), model.task.label
    views = config.views.replace(resolution=model.resolution)
    true = FrameSource(labelled, [*names, label], views.short_side, fabric.device)
    here = FrameSource(space, names, views.short_side, fabric.device)
    train, validation = split_frames(labelled, 0.15)
    usable = torch.from_numpy(_frames_with_labels(labels))
    inputs = {"labels": read_json(labels.path / "config.json")["inputs"], "frames": [true.key, here.key]}
    settings = config.model_dump(mode="json", exclude={"rounds", "score"})
    with Run(out, "selftrain round", settings, inputs, model.licences) as run:
        if run.summary:
            return out
        torch.manual_seed(config.seed)
        count = max(1, round(config.optim.batch_size * config.share))

        def loss(wrapped: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            labelled_count = config.optim.batch_size - count
            supervised = wrapped(*labelled_crops(model, true, train, labelled_count, views, config.jitter, generator))
            where = draw_crops(here, usable, count, views, generator)
            stored = {name: here.crop(name, *where, views.resolution) for name in names}
            stored["rgb"] = hide(config.strong.apply(stored["rgb"], generator), config.hidden, config.blocks, generator)
            fused = wrapped(stored, crop_labels(labels, *where, views.resolution).to(fabric.device))
            return supervised + config.weight * fused, {"true": supervised, "fused": fused}

        groups = model.groups(config.optim.lr, config.optim.weight_decay, config.layer_decay)
        trained, summary = fit(
            fabric,
            run,
            model,
            config.optim.optimizer(groups),
            loss,
            steps=config.steps,
            config=config.optim,
            seed=config.seed * 1000 + number,
            label=f"self-training, round {number}",
            validate=lambda model: validation_score(model, true, validation),  # type: ignore[arg-type]
        )
        assert isinstance(trained, TaskModel)
        save_model(out / "model.safetensors", trained, metadata["classes"], config=settings)
        metric = f"val_{model.task.metric}"
        run.finish(
            summary
            | {
                "parameters": trained.parameter_count,
                "train_frames": len(train),
                "validation_frames": len(validation),
                "space_frames": len(usable),
                f"best_{metric}": summary["last"][metric],  # of the weights that are kept
            }
        )
    return out


def _frames_with_labels(labels: FusedLabels) -> np.ndarray:
    """Frames of which anything is sure.

    Raises:
        UserError: none is.
    """
    found = np.flatnonzero([bool((item != 255).any()) for item in labels.labels])
    if not len(found):
        raise UserError(f"{labels.path}: no pixel is sure enough to learn from. Lower fuse.least or fuse.most.")
    return found


def crop_labels(labels: FusedLabels, frames_B: Tensor, boxes_B4: Tensor, flip_B: Tensor, size: int) -> Tensor:
    """Crops of pseudo-labels, (B, 1, size, size) float32, 255 where unsure; boxes are fractions of the frame."""
    chosen = frames_B.numpy()
    extents = torch.from_numpy(labels.extents[chosen]).float()
    array = torch.from_numpy(np.ascontiguousarray(labels.labels[chosen]))[:, None]
    return crop(array, boxes_B4 * torch.cat([extents, extents], 1), flip_B, size, MODALITIES["semantic"])


def hide(rgb_B3HW: Tensor, share: float, blocks: int, generator: torch.Generator) -> Tensor:
    """Replace random blocks of each image by the image's mean colour.

    Args:
        rgb_B3HW: stored values.
        share: of the blocks.
        blocks: along one side.
    """
    if not share:
        return rgb_B3HW
    batch, _, height, width = rgb_B3HW.shape
    hidden = torch.rand(batch, 1, blocks, blocks, generator=generator) < share
    rows = torch.arange(height) * blocks // height
    columns = torch.arange(width) * blocks // width
    hidden = hidden[:, :, rows][:, :, :, columns].to(rgb_B3HW.device)
    return torch.where(hidden, rgb_B3HW.mean((2, 3), keepdim=True), rgb_B3HW)
