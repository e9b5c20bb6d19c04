"""`tst pretrain`: masked modelling of all modalities (TST-MM) or of RGB alone (TST-MAE); paper Sec. 3.3, W.1."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.modalities.jitter import JitterConfig
from tst.model.fourm import FourM, model_state, parameter_groups
from tst.model.sizes import get_size
from tst.pretraining.batches import Batch, BatchMaker, TokenSource, model_table
from tst.pretraining.masking import MaskingConfig, TokenMasker, all_to_all, rgb_to_all
from tst.runs import Run, load_tensors, save_tensors
from tst.space.space import Space
from tst.tokenizers.tokenizer import Tokenizer
from tst.tokenizers.tokens import make_tokens
from tst.tokenizers.train import held_back_frames, load_tokenizer
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

Objective = Literal["mm", "mae"]
SizeName = Literal["nano", "tiny", "small", "base"]


class PretrainConfig(Config):
    """Multimodal masked modelling."""

    objective: Objective = "mm"
    """`mm`: every modality that has a tokenizer (TST-MM); `mae`: RGB alone (TST-MAE)."""
    size: SizeName = "nano"
    """Model size: nano, tiny, small or base."""
    views: ViewConfig = ViewConfig()
    optim: OptimConfig = OptimConfig()
    steps: PositiveInt = 3000
    """Optimiser steps."""
    num_input: NonNegativeInt = 0
    """Visible tokens a sample; 0 chooses: as many as one modality has for `mm`, a quarter of them for `mae`."""
    num_target: NonNegativeInt = 0
    """Predicted tokens a sample; 0 chooses: as many as one modality has for `mm`, all of the other modalities without
    `all_to_all`, and three quarters of one modality for `mae`."""
    rgb_to_all: NonNegativeFloat = 1.0
    """How often a sample sees (almost) only RGB, against 1.0 for 4M-21's four all-to-all pairs each."""
    all_to_all: bool = True
    """Draw 4M-21's all-to-all pairs as well; without them every input is RGB."""
    mix_in: float = Field(0.5, ge=0, lt=1)
    """Share of each batch that comes from the transfer set (paper App. L, V: one to one for small models)."""
    transfer_modalities: tuple[str, ...] = ("rgb", "depth", "normals", "edges")
    """What the transfer set contributes: the paper takes its RGB; where it has depth, geometry can be used too."""
    decoder_depth: NonNegativeInt | None = None
    """Decoder blocks; None takes as many as the size has. With 0 each target is read off the encoder at its own
    position, so that all that is learnt stays in the encoder, which is what is kept."""
    local_context: bool = True
    """Let a target start from what is visible at its own position (docs/model.md); False is 4M's decoder."""
    jitter: JitterConfig = JitterConfig()
    """Photometric changes of the RGB pixels; the targets are never changed."""
    repeats: PositiveInt = 1
    """Repeated sampling: views of one frame in a batch (paper Tab. 10: 4, to spare decoding; here none is needed)."""
    held_back: float = Field(0.05, gt=0, lt=1)
    """Share of the space's frames kept for the validation loss."""
    validate_every: PositiveInt = 500
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> "PretrainConfig":
        if self.decoder_depth == 0 and (self.objective == "mae" or not self.local_context):
            raise ValueError("decoder_depth 0 needs objective mm and local_context; give it 1 or more")
        if not self.all_to_all and not self.rgb_to_all:
            raise ValueError("all_to_all and rgb_to_all are both off, so no input could be drawn. Turn one on")
        return self

    def budgets(self, shared: int) -> tuple[int, int]:
        """Input and target tokens a sample; `shared`: how many modalities beside RGB every source has."""
        one = (self.views.resolution // 16) ** 2
        if self.objective == "mae":
            default_in, default_out = one // 4, one - one // 4
        else:
            default_in, default_out = one, one if self.all_to_all else one * max(shared, 1)
        return self.num_input or default_in, self.num_target or default_out


def pretrain(
    space: Space,
    tokenizers: Mapping[str, Path],
    out: Path,
    *,
    transfer: Space | None = None,
    config: PretrainConfig = PretrainConfig(),
    precision: Precision = "auto",
) -> Path:
    """Pre-train the encoder-decoder on `space` and return the run folder with `model.safetensors`.

    Args:
        tokenizers: run folders of the tokenizers, by modality (`tokenize` returns them).
        transfer: the labelled set whose frames are mixed in, those of its test split left out (its labels are never
            read here).

    Raises:
        UserError: RGB has no tokenizer, a tokenizer has another resolution, or the budgets cannot be met.
    """
    fabric = make_fabric(precision=precision)
    chosen = ("rgb",) if config.objective == "mae" else tuple(tokenizers)
    if "rgb" not in tokenizers:
        raise UserError("pre-training needs an RGB tokenizer. Run `tst tokenize` with rgb among its modalities.")
    if transfer is not None and config.mix_in and "rgb" not in config.transfer_modalities:
        raise UserError("the transfer set is mixed in by its RGB. Add rgb to --transfer-modalities, or set --mix-in 0.")
    loaded = {name: load_tokenizer(tokenizers[name]) for name in chosen}
    for name, tokenizer in loaded.items():
        if tokenizer.resolution != config.views.resolution:
            raise UserError(
                f"{tokenizers[name]}: was trained at {tokenizer.resolution} px, "
                f"but pre-training runs at {config.views.resolution} px. Use the same --views.resolution for both."
            )
    sources = token_sources(fabric, space, transfer if config.mix_in else None, loaded, config)
    inputs = {
        "frames": [source.rgb.key for source in sources],
        "tokens": [{name: tokens.key for name, tokens in source.tokens.items()} for source in sources],
    }
    # Before the run folder is claimed, so that the same --out serves once the budgets are mended.
    prepared = _prepare(sources, loaded, config)
    with Run(out, "pretrain", config.model_dump(mode="json"), inputs) as run:
        if run.summary:
            return Path(out)
        summary = _train(fabric, run, sources, loaded, config, *prepared)
        run.finish(summary)
    return Path(out)


def token_sources(
    fabric: Any, space: Space, transfer: Space | None, tokenizers: Mapping[str, Tokenizer], config: PretrainConfig
) -> list[TokenSource]:
    """The space, and the transfer set if it is mixed in, with the tokens of their views."""
    sources = []
    for item in [space] + ([transfer] if transfer is not None else []):
        allowed = (
            tokenizers if item is space else {n: t for n, t in tokenizers.items() if n in config.transfer_modalities}
        )
        present = {name: tokenizer for name, tokenizer in allowed.items() if name in item.modalities()}
        frames = FrameSource(item, list(present), config.views.short_side, fabric.device)
        views = draw_views(frames.extents_N2, config.views)
        tokens = {name: make_tokens(fabric, frames, tokenizer, views) for name, tokenizer in present.items()}
        sources.append(
            TokenSource(frames, views, tokens, torch.arange(len(frames)) if item is space else frames.trainable)
        )
    return sources


def _prepare(
    sources: list[TokenSource], tokenizers: Mapping[str, Tokenizer], config: PretrainConfig
) -> tuple[TokenMasker, BatchMaker, Tensor]:
    """Masker and batches, checked against each other, and the frames held back, which are taken from the sources."""
    vocabularies = {name: tokenizer.config.vocabulary for name, tokenizer in tokenizers.items()}
    resolution = config.views.resolution
    shared = set.intersection(*(set(source.tokens) for source in sources)) - {"rgb"}
    num_input, num_target = config.budgets(len(shared))
    masking = MaskingConfig(
        num_input=num_input,
        num_target=num_target,
        mixture=(*(all_to_all() if config.all_to_all else ()), *rgb_to_all(config.rgb_to_all)),
    )
    masker = TokenMasker(model_table(vocabularies, resolution), masking)
    held_back = held_back_frames(len(sources[0].frames), config.held_back)
    held_back_frames_ = sources[0].frames[held_back]
    sources[0].frames = sources[0].frames[~held_back]
    second = round(config.optim.batch_size * config.mix_in) if len(sources) > 1 else 0
    counts = [config.optim.batch_size - second, second][: len(sources)]
    maker = BatchMaker(sources, counts, vocabularies, resolution, config.jitter, config.repeats)
    masker.check(maker.available_BM)
    return masker, maker, held_back_frames_


def _train(
    fabric: Any,
    run: Run,
    sources: list[TokenSource],
    tokenizers: Mapping[str, Tokenizer],
    config: PretrainConfig,
    masker: TokenMasker,
    maker: BatchMaker,
    held_back: Tensor,
) -> dict[str, Any]:
    vocabularies = {name: tokenizer.config.vocabulary for name, tokenizer in tokenizers.items()}
    resolution = config.views.resolution
    table = model_table(vocabularies, resolution)
    torch.manual_seed(config.seed)
    size = get_size(config.size)
    if config.decoder_depth is not None:
        size = dataclasses.replace(size, decoder_depth=config.decoder_depth)
    model = FourM(size, table, local_context=config.local_context)
    optimizer = config.optim.optimizer(parameter_groups(model, config.optim.weight_decay))

    def step(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        batch = maker.draw(generator)
        selection = masker.sample(batch.available_BM, generator)
        output = model(batch.inputs, batch.inputs, selection.input_index_BI, selection.target_index_BT)
        return output.loss, {f"loss/{name}": value for name, value in output.losses.items()}

    fixed = _validation_batches(sources[0], held_back, vocabularies, resolution, config)

    def validate(model: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(config.seed)
        sums: dict[str, float] = {}
        total = 0
        for batch in fixed:
            selection = masker.sample(batch.available_BM, generator)
            output = model(batch.inputs, batch.inputs, selection.input_index_BI, selection.target_index_BT)
            size = len(batch.available_BM)
            total += size
            sums["val_loss"] = sums.get("val_loss", 0.0) + float(output.loss) * size
            for name, value in output.losses.items():
                sums[f"val_loss/{name}"] = sums.get(f"val_loss/{name}", 0.0) + float(value) * size
        return {name: value / total for name, value in sums.items()}

    model_, summary = fit(
        fabric,
        run,
        model,
        optimizer,
        step,
        steps=config.steps,
        config=config.optim,
        seed=config.seed,
        label=f"pretrain {config.objective}",
        validate=validate,
        validate_every=config.validate_every,
    )
    metadata = {
        "size": config.size,
        "decoder_depth": size.decoder_depth,
        "resolution": resolution,
        "vocabularies": vocabularies,
    }
    assert isinstance(model_, FourM)
    save_tensors(run.path / "model.safetensors", model_state(model_), metadata)
    frames = [len(source.frames) for source in sources]
    return summary | {"parameters": sum(p.numel() for p in model_.parameters()), "train_frames": frames}


def _validation_batches(
    source: TokenSource, frames: Tensor, vocabularies: dict[str, int], resolution: int, config: PretrainConfig
) -> list[Batch]:
    """Fixed batches of the held-back frames, two views each, without jitter."""
    where = frames.repeat_interleave(2)
    views = torch.from_numpy(np.tile([0, min(1, config.views.per_frame - 1)], len(frames)))
    batches = []
    for part in torch.arange(len(where)).split(64):
        maker = BatchMaker([source], [len(part)], vocabularies, resolution, None)
        batches.append(maker.assemble([where[part]], [views[part]], None))
    return batches


def load_pretrained(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and metadata (size, resolution, vocabularies) of a pre-training run."""
    return load_tensors(Path(folder) / "model.safetensors")
