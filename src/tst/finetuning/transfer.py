"""`tst transfer`: fine-tune an encoder, ours or a generalist's, on labels of other places (paper Sec. 3.4, W.2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from tst import backbones
from tst.config import Config
from tst.errors import UserError
from tst.files import digest
from tst.finetuning.backbone import BackboneModel
from tst.finetuning.encoder import EncoderModel
from tst.finetuning.mask2former import Mask2Former
from tst.finetuning.model import HeadShape, TaskModel, save_model
from tst.finetuning.task import tasks
from tst.licences import entry
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.modalities.jitter import JitterConfig
from tst.model.fourm import Encoder
from tst.model.pretrained import Pretrained, initialise
from tst.model.sizes import SIZES
from tst.pretraining.batches import grid_side, model_table
from tst.pretraining.initial import read_initial, same_tokens
from tst.pretraining.pretrain import SizeName
from tst.runs import Run
from tst.space.space import Space
from tst.tokenizers.tokens import tokenizer_key
from tst.tokenizers.train import load_tokenizer
from tst.tokenizers.views import FrameSource, ViewConfig, centre_crops, draw_crops


class TransferConfig(Config):
    """Fine-tuning of encoder and head; the same for every model compared."""

    task: str = "segmentation"
    size: SizeName = "nano"
    """Model size; must be that of the pre-trained encoder. A backbone has its own."""
    freeze: bool = False
    """Train the head alone, on the features as they are."""
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
    backbone: str | Path | None = None,
    specialist: Path | None = None,
    tokenizers: Mapping[str, Path] | None = None,
    config: TransferConfig = TransferConfig(),
    precision: Precision = "auto",
) -> Path:
    """Fine-tune on the labelled `space` and return the run folder with `model.safetensors`.

    Without any of `encoder`, `backbone` and `specialist` an encoder of ours starts from scratch.

    Args:
        encoder: run folder of a pre-training.
        backbone: what `tst.backbones.load` takes: a known name, `timm:NAME`, or a folder or file of weights.
        specialist: folder of a Mask2Former, which is fine-tuned whole, through its own loss.
        tokenizers: of modalities that are inputs beside RGB ("multimodal scratch"), for an encoder of ours.

    Raises:
        UserError: the space has no labels or classes, the task is unknown, or the weights do not fit or cannot be read.
    """
    tokenizers = dict(tokenizers or {})
    given = [
        name for name, value in (("encoder", encoder), ("backbone", backbone), ("specialist", specialist)) if value
    ]
    if len(given) > 1 or (tokenizers and given not in ([], ["encoder"])):
        raise UserError(
            f"transfer: {' and '.join([*given, *(['tokenizers'] if tokenizers else [])])} exclude each other."
        )
    if config.task not in tasks():
        raise UserError(f"--task {config.task}: unknown. Choose one of {', '.join(tasks())}.")
    task = tasks()[config.task]
    missing = [name for name in ("rgb", task.label, *tokenizers) if name not in space.modalities()]
    if missing or not space.classes:
        what = ", ".join(missing) or "class names (--classes when it was read)"
        raise UserError(f"{space.path}: {config.task} needs {what}, which this space lacks.")
    fabric = make_fabric(precision=precision)
    torch.manual_seed(config.seed)
    if backbone:
        model, key = _backbone_model(backbone, space.classes, config)
    elif specialist:
        model, key = _specialist_model(specialist, space.classes, config)
    else:
        model, key = _encoder_model(encoder, tokenizers, space.classes, config)
    source = FrameSource(space, ["rgb", task.label, *tokenizers], config.views.short_side, fabric.device)
    inputs = {"frames": source.key, **key}
    with Run(out, "transfer", config.model_dump(mode="json"), inputs, model.licences) as run:
        if run.summary:
            return Path(out)
        summary = _train(fabric, run, model, source, config)
        run.finish(summary)
    return Path(out)


Built = tuple[TaskModel, dict[str, Any]]  # a model, and what of it decides the result of a run


def _encoder_model(
    folder: Path | None, tokenizers: Mapping[str, Path], classes: list[str], config: TransferConfig
) -> Built:
    loaded = {name: load_tokenizer(path) for name, path in tokenizers.items()}
    keys = {name: tokenizer_key(item) for name, item in loaded.items()}
    vocabularies = {name: item.config.vocabulary for name, item in loaded.items()}
    resolution = config.views.resolution
    pretrained = read_initial(folder) if folder else None
    if pretrained:
        _check_fits(pretrained, config)
        table = model_table(vocabularies, resolution, pretrained.pixels.patch)
        encoder = Encoder(pretrained.size, table, **pretrained.options, drop_path=config.drop_path)
        initialise(encoder, pretrained, same_tokens(pretrained, keys))
    else:
        encoder = Encoder(config.size, model_table(vocabularies, resolution), drop_path=config.drop_path)
    key = {"encoder": pretrained.key if pretrained else None, "tokenizers": keys}
    shape = _head_shape(encoder.dim, grid_side(resolution), classes, config)
    model = EncoderModel(
        tasks()[config.task],
        resolution,
        encoder,
        shape,
        tokenizers=loaded,
        freeze=config.freeze,
        licences=pretrained.licences if pretrained else (),
    )
    return model, key


def _check_fits(pretrained: Pretrained, config: TransferConfig) -> None:
    """A run of ours must be of the size and resolution of the models that it is compared with."""
    if pretrained.size.name in SIZES and pretrained.size.name != config.size:  # others are as large as they are
        name, theirs, ours = "size", pretrained.size.name, str(config.size)
    elif pretrained.kind == "tst" and pretrained.pixels.grid[0] != grid_side(config.views.resolution):
        name, theirs, ours = "resolution", pretrained.pixels.name.split("@")[1], str(config.views.resolution)
    else:
        return
    raise UserError(f"{pretrained.path}: was pre-trained with {name} {theirs}, not {ours}. Use the same for both.")


def _backbone_model(spec: str | Path, classes: list[str], config: TransferConfig) -> Built:
    backbone = backbones.load(spec)
    key = {"backbone": _weights_key(backbone.state_dict())}
    if not config.freeze:
        backbone.drop_blocks(config.drop_path)
    resolution = config.views.resolution
    shape = _head_shape(backbone.width, backbone.grid(resolution), classes, config)
    licences = [entry(f"weights of {backbone.name}", backbone.licence, "where this model started from")]
    task = tasks()[config.task]
    return BackboneModel(task, resolution, backbone, shape, freeze=config.freeze, licences=licences), key


def _specialist_model(folder: Path, classes: list[str], config: TransferConfig) -> Built:
    if config.task != "segmentation" or config.freeze:
        raise UserError(f"{folder}: a specialist is fine-tuned whole, for segmentation. Leave out --freeze and --task.")
    model = Mask2Former.load(folder, len(classes), config.views.resolution)
    return model, {"specialist": _weights_key(model.state_dict())}


def _weights_key(state: Mapping[str, Tensor]) -> str:
    return digest({name: float(value.double().sum()) for name, value in state.items()})


def _head_shape(width: int, grid: int, classes: list[str], config: TransferConfig) -> HeadShape:
    return HeadShape(width, grid, len(classes), config.head_channels, config.head_depth, config.head_cells)


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


def labelled_crops(
    model: TaskModel,
    source: FrameSource,
    frames: Tensor,
    count: int,
    views: ViewConfig,
    jitter: JitterConfig,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], Tensor]:
    """Random crops of labelled frames to train on: what the model looks at, as stored but for the jitter; and labels.

    Args:
        frames: to draw from.
        count: how many crops.
    """
    where = draw_crops(source, frames, count, views, generator)
    stored = {name: source.crop(name, *where, views.resolution) for name in model.inputs}
    stored["rgb"] = jitter.apply(stored["rgb"], generator)
    return stored, source.crop(model.task.label, *where, views.resolution)


def validation_score(model: TaskModel, source: FrameSource, frames: Tensor) -> dict[str, float]:
    """The task's scores on the centred squares of labelled frames, named `val_...`."""
    outputs, labels = [], []
    for part in frames.split(64):
        where = centre_crops(source, part)
        outputs.append(model({name: source.crop(name, *where, model.resolution) for name in model.inputs}))
        labels.append(source.crop(model.task.label, *where, model.resolution))
    return {f"val_{name}": value for name, value in model.task.score(outputs, labels, source.space).items()}


def _train(fabric: Any, run: Run, model: TaskModel, source: FrameSource, config: TransferConfig) -> dict[str, Any]:
    task = tasks()[config.task]
    train, validation = split_frames(source.space, config.validation_share)
    steps_an_epoch = max(1, len(train) // config.optim.batch_size)
    steps = config.epochs * steps_an_epoch

    def step(wrapped: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        count = config.optim.batch_size
        stored, labels = labelled_crops(model, source, train, count, config.views, config.jitter, generator)
        return wrapped(stored, labels), {}

    groups = model.groups(config.optim.lr, config.optim.weight_decay, config.layer_decay)
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
        validate=lambda model: validation_score(cast(TaskModel, model), source, validation),
        validate_every=max(1, steps // config.validations),
        best=f"val_{task.metric}",
    )
    assert isinstance(model_, TaskModel)
    assert source.space.classes
    path = run.path / "model.safetensors"
    save_model(path, model_, source.space.classes, config=config.model_dump(mode="json"))
    return summary | {
        "parameters": model_.parameter_count,
        "train_frames": len(train),
        "validation_frames": len(validation),
    }
