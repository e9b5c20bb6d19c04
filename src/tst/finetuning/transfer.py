"""`tst transfer`: fine-tune an encoder, pre-trained or not, on labels of other places (paper Sec. 3.4, W.2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.files import digest
from tst.finetuning.task import TaskModel, tasks
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.modalities.crop import random_boxes
from tst.modalities.jitter import JitterConfig
from tst.model.fourm import Encoder, layer_decay_groups, load_encoder
from tst.pretraining.batches import model_table
from tst.pretraining.pretrain import SizeName, load_pretrained
from tst.runs import Run, load_tensors, save_tensors
from tst.space.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.tokens import tokenizer_key
from tst.tokenizers.train import load_tokenizer
from tst.tokenizers.views import FrameSource, ViewConfig, centre_boxes


class TransferConfig(Config):
    """Fine-tuning of encoder and head; the same for every model compared."""

    task: str = "segmentation"
    size: SizeName = "nano"
    """Model size; must be that of the pre-trained encoder."""
    views: ViewConfig = ViewConfig()
    """Resolution, and range of the random crops."""
    optim: OptimConfig = OptimConfig(lr=1e-3, batch_size=32, betas=(0.9, 0.999))
    epochs: PositiveInt = 60
    """Passes over the transfer set's training frames."""
    validations: PositiveInt = 12
    """How often, evenly over the epochs, the model is measured on the transfer set's validation split."""
    validation_share: float = Field(0.15, gt=0, lt=1)
    """Share of the frames used for validation where the transfer set has no `val` split."""
    layer_decay: float = Field(0.75, gt=0, le=1)
    """Learning rate of each encoder layer relative to the one above it."""
    drop_path: float = Field(0.1, ge=0, lt=1)
    head_channels: PositiveInt = 384
    """Width of the ConvNeXt head (MultiMAE: 384)."""
    head_cells: PositiveInt = 4
    """Positions along one side of a token that the head works on (MultiMAE: 4)."""
    head_depth: PositiveInt = 4
    """ConvNeXt blocks in the head."""
    jitter: JitterConfig = JitterConfig()
    """Photometric changes of the RGB pixels."""
    seed: int = 0


def transfer(
    space: Space,
    out: Path,
    *,
    encoder: Path | None = None,
    tokenizers: Mapping[str, Path] | None = None,
    config: TransferConfig = TransferConfig(),
    precision: Precision = "auto",
) -> Path:
    """Fine-tune on the labelled `space` and return the run folder with `model.safetensors`.

    Args:
        encoder: run folder of a pre-training; None starts from scratch.
        tokenizers: of modalities that are inputs beside RGB ("multimodal scratch").

    Raises:
        UserError: the space has no labels or classes, the task is unknown, or the encoder does not fit.
    """
    if config.task not in tasks():
        raise UserError(f"--task {config.task}: unknown. Choose one of {', '.join(tasks())}.")
    task = tasks()[config.task]
    tokenizers = dict(tokenizers or {})
    missing = [name for name in ("rgb", task.label, *tokenizers) if name not in space.modalities()]
    if missing or not space.classes:
        what = ", ".join(missing) or "class names (--classes when it was read)"
        raise UserError(f"{space.path}: {config.task} needs {what}, which this space lacks.")
    fabric = make_fabric(precision=precision)
    loaded = {name: load_tokenizer(folder) for name, folder in tokenizers.items()}
    source = FrameSource(space, ["rgb", task.label, *tokenizers], config.views.short_side, fabric.device)
    weights = load_pretrained(encoder) if encoder else None
    if weights:
        for name, value in (("size", config.size), ("resolution", config.views.resolution)):
            if weights[1][name] != value:
                raise UserError(
                    f"{encoder}: was pre-trained with {name} {weights[1][name]}, not {value}. Use the same for both."
                )
    inputs = {
        "frames": source.key,
        "encoder": digest({k: float(v.double().sum()) for k, v in weights[0].items()}) if weights else None,
        "tokenizers": {name: tokenizer_key(item) for name, item in loaded.items()},
    }
    with Run(out, "transfer", config.model_dump(mode="json"), inputs) as run:
        if run.summary:
            return Path(out)
        model = _build(space, weights, loaded, config)
        summary = _train(fabric, run, model, source, config)
        run.finish(summary)
    return Path(out)


def _build(
    space: Space,
    weights: tuple[dict[str, Tensor], dict[str, Any]] | None,
    tokenizers: dict[str, Tokenizer],
    config: TransferConfig,
) -> TaskModel:
    torch.manual_seed(config.seed)
    resolution = config.views.resolution
    vocabularies = {name: item.config.vocabulary for name, item in tokenizers.items()}
    encoder = Encoder(config.size, model_table(vocabularies, resolution), drop_path=config.drop_path)
    if weights:
        load_encoder(encoder, weights[0])
    assert space.classes
    head = _head(encoder.dim, len(space.classes), config)
    return TaskModel(encoder, head, dict(tokenizers), resolution)


def _head(width: int, classes: int, config: TransferConfig) -> nn.Module:
    grid = config.views.resolution // 16
    task = tasks()[config.task]
    return task.head(width, grid, classes, config.head_channels, config.head_depth, config.head_cells)


def split_frames(space: Space, validation_share: float) -> tuple[Tensor, Tensor]:
    """Indices of training and validation frames.

    By the `split` column (train, val); frames of any other split, such as test, take part in neither. Without a val
    split every k-th of the others validates.
    """
    names = space.splits()
    train, validation = np.flatnonzero(np.isin(names, ("train", ""))), np.flatnonzero(names == "val")
    if not len(validation):
        validates = np.arange(len(train)) % max(2, round(1 / validation_share)) == 1
        train, validation = train[~validates], train[validates]
    if not len(train) or not len(validation):
        raise UserError(f"{space.path}: {len(names)} labelled frames are too few to train and validate. Add some.")
    return torch.from_numpy(train), torch.from_numpy(validation)


def _train(fabric: Any, run: Run, model: TaskModel, source: FrameSource, config: TransferConfig) -> dict[str, Any]:
    task = tasks()[config.task]
    train, validation = split_frames(source.space, config.validation_share)
    steps_an_epoch = max(1, len(train) // config.optim.batch_size)
    steps = config.epochs * steps_an_epoch
    size = config.views.resolution

    def crops(frames: Tensor, boxes: Tensor, flip: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        stored = {name: source.crop(name, frames, boxes, flip, size) for name in model.inputs}
        return stored, source.crop(task.label, frames, boxes, flip, size)

    def step(wrapped: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = train[torch.randint(len(train), (config.optim.batch_size,), generator=generator)]
        extents = torch.from_numpy(source.extents_N2[frames.numpy()]).float()
        boxes = random_boxes(extents, scale=config.views.scale, ratio=config.views.ratio, generator=generator)
        flip = torch.rand(len(frames), generator=generator) < (0.5 if config.views.flip else 0.0)
        stored, labels = crops(frames, boxes / torch.cat([extents, extents], 1), flip)
        stored["rgb"] = config.jitter.apply(stored["rgb"], generator)
        return task.loss(wrapped(stored), labels), {}

    def validate(model: nn.Module) -> dict[str, float]:
        outputs, labels = [], []
        for frames in validation.split(64):
            extents = torch.from_numpy(source.extents_N2[frames.numpy()]).float()
            boxes = centre_boxes(extents) / torch.cat([extents, extents], 1)
            stored, label = crops(frames, boxes, torch.zeros(len(frames), dtype=torch.bool))
            outputs.append(model(stored))
            labels.append(label)
        return {f"val_{name}": value for name, value in task.score(outputs, labels, source.space).items()}

    groups = layer_decay_groups(
        model.encoder, model.head, config.optim.lr, config.optim.weight_decay, config.layer_decay
    )
    model_, summary = fit(
        fabric,
        run,
        model,
        config.optim.optimizer(groups),
        step,
        steps=steps,
        config=config.optim,
        seed=config.seed,
        label=f"transfer {run.path.parent.name}/{run.path.name}",
        validate=validate,
        validate_every=max(1, steps // config.validations),
        best=f"val_{task.metric}",
    )
    assert isinstance(model_, TaskModel)
    save_model(run.path / "model.safetensors", model_, source.space, config)
    parameters = sum(p.numel() for p in [*model_.encoder.parameters(), *model_.head.parameters()])
    return summary | {"parameters": parameters, "train_frames": len(train), "validation_frames": len(validation)}


def save_model(path: Path, model: TaskModel, space: Space, config: TransferConfig) -> None:
    """Write a task model as one self-contained safetensors file: weights, tokenizers, config, class names."""
    metadata = {
        "config": config.model_dump(mode="json"),
        "classes": space.classes,
        "tokenizers": {
            name: item.config.model_dump(mode="json")  # type: ignore[union-attr, operator]
            for name, item in model.tokenizers.items()
        },
    }
    save_tensors(path, {name: value.clone() for name, value in model.state_dict().items()}, metadata)


def load_model(path: Path) -> tuple[TaskModel, dict[str, Any]]:
    """Read a task model from its run folder or file.

    Returns:
        The model in evaluation mode, and its metadata: config, classes, tokenizers.
    """
    path = Path(path)
    tensors, metadata = load_tensors(path / "model.safetensors" if path.is_dir() else path)
    if "classes" not in metadata:
        raise UserError(f"{path}: not a transferred model. Give the run folder of `tst transfer`.")
    config = TransferConfig.model_validate(metadata["config"])
    resolution = config.views.resolution
    tokenizers = {
        name: Tokenizer(name, resolution, TokenizerModelConfig.model_validate(item))
        for name, item in metadata["tokenizers"].items()
    }
    vocabularies = {name: item.config.vocabulary for name, item in tokenizers.items()}
    encoder = Encoder(config.size, model_table(vocabularies, resolution))
    head = _head(encoder.dim, len(metadata["classes"]), config)
    model = TaskModel(encoder, head, dict(tokenizers), resolution)
    model.load_state_dict(tensors)
    return model.eval(), metadata
