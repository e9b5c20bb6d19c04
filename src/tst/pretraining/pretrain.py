"""`tst pretrain`: masked modelling of all modalities (TST-MM) or of RGB alone (TST-MAE); paper Sec. 3.3, W.1.

From scratch, or from weights that are already good (adaptation, paper Sec. 4.5); and the distillation control (App. R).

Shape suffixes: B batch, N tokens of a grid, D width of the model.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.licences import entry
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.modalities.jitter import JitterConfig
from tst.model.fourm import Encoder, FourM, Output, model_state
from tst.model.pretrained import Pretrained, initialise
from tst.model.sizes import Size, get_size
from tst.pretraining.adaptation import AdaptConfig, Thaw, adaptation_groups, cosine_distance, teacher_features
from tst.pretraining.batches import (
    TOKEN_PATCH,
    Batch,
    BatchMaker,
    TokenSource,
    grid_side,
    model_table,
    pixel_name,
)
from tst.pretraining.consistency import Consistency, WithProjector
from tst.pretraining.distillation import Loss, Student, Validate, distillation
from tst.pretraining.initial import architecture, read_initial, same_tokens
from tst.pretraining.masking import MaskingConfig, Selection, TokenMasker, all_to_all, rgb_to_all
from tst.pretraining.telling import measure_telling
from tst.runs import Run, load_tensors, save_tensors
from tst.sequences import SEQUENCES
from tst.sequences.text import FILE, TextTokenizer
from tst.space.space import Space
from tst.tokenizers.tokenizer import Tokenizer
from tst.tokenizers.tokens import make_tokens, tokenizer_key
from tst.tokenizers.train import held_back_frames, load_tokenizer
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

Objective = Literal["mm", "mae", "distil"]
SizeName = Literal["nano", "tiny", "small", "base"]


class PretrainConfig(Config):
    """Multimodal masked modelling."""

    objective: Objective = "mm"
    """`mm`: every modality that has a tokenizer, captions and boxes too (TST-MM); `mae`: RGB alone (TST-MAE);
    `distil`: features of `teacher` alone, without tokens."""
    size: SizeName = "nano"
    """Model size: nano, tiny, small or base; with `init` it is that of the initial weights."""
    init: Path | None = None
    """Weights to start from instead of random ones: a 4M checkpoint, a ViT (DINOv2, CLIP, SigLIP, MAE, timm) or a run
    folder of `tst pretrain` (docs/adaptation.md)."""
    adapt: AdaptConfig = AdaptConfig()
    """Schedule of the initial weights."""
    teacher: Path | None = None
    """Whose features `distil` learns: any weights that `init` takes."""
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
    """Decoder blocks; None takes as many as the size (or `init`) has. With 0 each target is read off the encoder at
    its own position, so that all that is learnt stays in the encoder, which is what is kept."""
    local_context: bool = True
    """Let a target start from what is visible at its own position (docs/model.md); False is 4M's decoder."""
    jitter: JitterConfig = JitterConfig()
    """Photometric changes of the RGB pixels; the targets are never changed."""
    repeats: PositiveInt = 1
    """Repeated sampling: views of one frame in a batch (paper Tab. 10: 4, to spare decoding; here none is needed)."""
    consistency: NonNegativeFloat = 0.0
    """Weight of a contrast between frames of the space: features of one place agree, those of others do not. Needs its
    depth and poses (docs/pretraining.md); `mm` only."""
    held_back: float = Field(0.05, gt=0, lt=1)
    """Share of the space's frames kept for the validation loss."""
    validate_every: PositiveInt = 500
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> "PretrainConfig":
        if self.decoder_depth == 0 and (self.objective == "mae" or not self.local_context):
            raise ValueError("decoder_depth 0 needs objective mm and local_context; give it 1 or more")
        if (self.teacher is not None) != (self.objective == "distil"):
            raise ValueError("objective distil needs a teacher, and only it has one. Give both, or neither")
        if self.consistency and self.objective != "mm":
            raise ValueError("consistency goes with objective mm. Set it to 0")
        if not self.all_to_all and not self.rgb_to_all:
            raise ValueError("all_to_all and rgb_to_all are both off, so no input could be drawn. Turn one on")
        return self

    def budgets(self, shared: int) -> tuple[int, int]:
        """Input and target tokens a sample; `shared`: how many modalities beside RGB every source has."""
        one = grid_side(self.views.resolution) ** 2
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

    Licences of the initial weights and of the teacher are told, and kept in provenance and metadata.

    Args:
        tokenizers: run folders of the tokenizers, by modality (`tokenize` returns them); `distil` needs none. Those of
            sequences that `space` lacks are left out.
        transfer: the labelled set whose frames are mixed in, those of its test split left out (its labels are never
            read here).

    Raises:
        UserError: RGB has no tokenizer, a tokenizer has another resolution, the budgets cannot be met, sequences have
            no decoder, or initial weights cannot be used.
    """
    fabric = make_fabric(precision=precision)
    chosen = {"mm": tuple(tokenizers), "mae": ("rgb",), "distil": ()}[config.objective]
    if "rgb" not in tokenizers and config.objective != "distil":
        raise UserError("pre-training needs an RGB tokenizer. Run `tst tokenize` with rgb among its modalities.")
    if transfer is not None and config.mix_in and "rgb" not in config.transfer_modalities:
        raise UserError("the transfer set is mixed in by its RGB. Add rgb to --transfer-modalities, or set --mix-in 0.")
    loaded = {name: load_tokenizer(tokenizers[name]) for name in chosen if name not in SEQUENCES}
    texts = {
        name: TextTokenizer.load(tokenizers[name] / FILE)
        for name in chosen
        if name in SEQUENCES and SEQUENCES[name].is_in(space)
    }
    for name, tokenizer in loaded.items():
        if tokenizer.resolution != config.views.resolution:
            raise UserError(
                f"{tokenizers[name]}: was trained at {tokenizer.resolution} px, "
                f"but pre-training runs at {config.views.resolution} px. Use the same --views.resolution for both."
            )
    given = {"init": config.init, "teacher": config.teacher}
    others = {role: read_initial(path) for role, path in given.items() if path is not None}
    if texts and not _size(config, others.get("init")).decoder_depth:
        raise UserError(
            f"{', '.join(texts)}: sequences are told by the decoder, and decoder_depth is 0. Set --decoder-depth 2 "
            "(`tst specialize`: --pretrain.decoder-depth 2), or leave them out of --tokenize.modalities."
        )
    sources = token_sources(fabric, space, transfer if config.mix_in else None, loaded, config, texts)
    inputs: dict[str, Any] = {
        "frames": [source.rgb.key for source in sources],
        "tokens": [{name: tokens.key for name, tokens in source.tokens.items()} for source in sources],
        **{role: weights.key for role, weights in others.items()},
    }
    if texts:
        inputs["sequences"] = [{name: item.key for name, item in source.sequences.items()} for source in sources]
    licences = [item for weights in others.values() for item in weights.licences]
    licences += _licences_of_labels([source.rgb.space for source in sources], {*loaded, *texts})
    # Before the run folder is claimed, so that the same --out serves once the budgets are mended.
    maker, held_back = _batches(sources, loaded, texts, config, others.get("init"))
    masker = None if config.objective == "distil" else _masker(sources, maker, config)
    with Run(out, "pretrain", config.model_dump(mode="json"), inputs, licences) as run:
        if run.summary:
            return Path(out)
        summary = _train(fabric, run, maker, held_back, masker, loaded, texts, config, others, licences)
        run.finish(summary)
    return Path(out)


def _licences_of_labels(spaces: Sequence[Space], learnt: Collection[str]) -> list[dict[str, str]]:
    """Of the modalities learnt from that other people's models made."""
    from tst.labellers.provenance import pseudo_labels  # loads every labeller

    files = {"boxes": "det"}  # what a labeller writes, where the modality is called otherwise
    found = [
        entry(f"{name} by {made['labeller']}", made["licence"], "pseudo-labels that this model learnt from")
        for space in spaces
        for name, made in pseudo_labels(space).items()
        if files.get(name, name) in learnt and "licence" in made
    ]
    return list({item["what"]: item for item in found}.values())


def token_sources(
    fabric: Any,
    space: Space,
    transfer: Space | None,
    tokenizers: Mapping[str, Tokenizer],
    config: PretrainConfig,
    texts: Mapping[str, TextTokenizer] = MappingProxyType({}),
) -> list[TokenSource]:
    """The space, and the transfer set if it is mixed in, with the tokens of their views; `texts`: of the sequences."""
    sources = []
    for item in [space] + ([transfer] if transfer is not None else []):
        takes = {*tokenizers, *texts} if item is space else set(config.transfer_modalities)
        captured = takes & set(item.modalities())
        present = {name: tokenizer for name, tokenizer in tokenizers.items() if name in captured}
        told = {name: text for name, text in texts.items() if name in takes and SEQUENCES[name].is_in(item)}
        geometry = ["depth"] if config.consistency and item is space and "depth" in item.modalities() else []
        shown = list(dict.fromkeys(("rgb", *present, *geometry)))
        frames = FrameSource(item, shown, config.views.short_side, fabric.device)
        views = draw_views(frames.extents_N2, config.views)
        tokens = {name: make_tokens(fabric, frames, tokenizer, views) for name, tokenizer in present.items()}
        sequences = {name: SEQUENCES[name].tokens(item, views, text) for name, text in told.items()}
        usable = torch.arange(len(frames)) if item is space else frames.trainable
        sources.append(TokenSource(frames, views, tokens, usable, sequences))
    return sources


def _batches(
    sources: list[TokenSource],
    tokenizers: Mapping[str, Tokenizer],
    texts: Mapping[str, TextTokenizer],
    config: PretrainConfig,
    initial: Pretrained | None,
) -> tuple[BatchMaker, Tensor]:
    """Training batches, and the frames held back from them, which are taken from the first source."""
    held_back = held_back_frames(len(sources[0].frames), config.held_back)
    held_back_frames_ = sources[0].frames[held_back]
    sources[0].frames = sources[0].frames[~held_back]
    second = round(config.optim.batch_size * config.mix_in) if len(sources) > 1 else 0
    counts = [config.optim.batch_size - second, second][: len(sources)]
    vocabularies = {name: tokenizer.config.vocabulary for name, tokenizer in tokenizers.items()}
    vocabularies |= {name: text.vocabulary for name, text in texts.items()}
    patch = initial.pixels.patch if initial else TOKEN_PATCH
    resolution = config.views.resolution
    maker = BatchMaker(sources, counts, vocabularies, resolution, config.jitter, config.repeats, patch)
    return maker, held_back_frames_


def _masker(sources: list[TokenSource], maker: BatchMaker, config: PretrainConfig) -> TokenMasker:
    """Checked against what the sources have."""
    shared = set.intersection(*(set(source.tokens) for source in sources)) - {"rgb"}
    num_input, num_target = config.budgets(len(shared))
    masking = MaskingConfig(
        num_input=num_input,
        num_target=num_target,
        mixture=(*(all_to_all() if config.all_to_all else ()), *rgb_to_all(config.rgb_to_all)),
    )
    masker = TokenMasker(model_table(maker.vocabularies, config.views.resolution), masking)
    masker.check(maker.available_BM)
    return masker


def _train(
    fabric: Any,
    run: Run,
    maker: BatchMaker,
    held_back: Tensor,
    masker: TokenMasker | None,
    tokenizers: Mapping[str, Tokenizer],
    texts: Mapping[str, TextTokenizer],
    config: PretrainConfig,
    others: Mapping[str, Pretrained],
    licences: list[dict[str, str]],
) -> dict[str, Any]:
    initial, teacher = others.get("init"), others.get("teacher")
    resolution = config.views.resolution
    keys = {name: tokenizer_key(tokenizer) for name, tokenizer in tokenizers.items()}
    torch.manual_seed(config.seed)
    table = model_table(maker.vocabularies, resolution, maker.patch)
    size, options = _size(config, initial), initial.options if initial else {}
    encoder = (
        FourM(size, table, **options, local_context=config.local_context) if masker else Encoder(size, table, **options)
    )
    learned = frozenset[str]()
    if initial:
        told_by = {name: text.key for name, text in texts.items()}
        learned = initialise(encoder, initial, same_tokens(initial, keys | told_by))
    model: nn.Module = encoder
    head: nn.Module | None = None
    agreeing: Consistency | None = None
    if teacher:
        model = Student(encoder, teacher.size.dim)
        head = model.to_teacher
    elif config.consistency:
        model = WithProjector(encoder, encoder.dim)
        head = model.projector
        agreeing = Consistency(maker, head)
    optimizer = config.optim.optimizer(adaptation_groups(encoder, head, learned, config.optim, config.adapt))
    checkpoint = run.load_checkpoint()
    thaw = Thaw(
        optimizer,
        frozen_steps=config.adapt.frozen_steps,
        rise=round(config.optim.warmup * config.steps),
        step=checkpoint[1]["step"] if checkpoint else 0,
    )
    fixed = _validation_batches(maker, held_back, config)
    if teacher:
        frozen = _frozen(teacher, resolution, fabric.device)
        loss, validate = distillation(frozen, maker, fixed, thaw.next)
    else:
        assert masker
        original = _frozen(initial, resolution, fabric.device) if initial and config.adapt.preserve else None
        loss = _masked_loss(fabric, encoder, maker, masker, thaw, config, original, agreeing)
        validate = _masked_validation(masker, fixed, config.seed)
    _, summary = fit(
        fabric,
        run,
        model,
        optimizer,
        loss,
        steps=config.steps,
        config=config.optim,
        seed=config.seed,
        label=f"pretrain {config.objective}",
        validate=validate,
        validate_every=config.validate_every,
    )
    metadata = {
        "size": size.name,
        "decoder_depth": size.decoder_depth,
        "resolution": resolution,
        "vocabularies": maker.vocabularies,
        "encoder": architecture(encoder),
        "objective": config.objective,
        "tokenizers": keys,
        **{role: {"path": str(item.path), "kind": item.kind, "key": item.key} for role, item in others.items()},
        "licences": licences,
    }
    told: dict[str, Any] = {}
    if texts:
        assert isinstance(encoder, FourM)
        text = next(iter(texts.values()))  # one for all
        text.save(run.path / FILE)
        metadata["text_tokenizer"] = text.key
        told["told"] = measure_telling(encoder, maker.sources[0], held_back, text, resolution, run.path)
    state = model_state(encoder) if isinstance(encoder, FourM) else encoder.state_dict()
    save_tensors(run.path / "model.safetensors", state, metadata)
    frames = [len(source.frames) for source in maker.sources]
    return summary | told | {"parameters": sum(p.numel() for p in model.parameters()), "train_frames": frames}


def _size(config: PretrainConfig, initial: Pretrained | None) -> Size:
    size = initial.size if initial else get_size(config.size)
    if config.decoder_depth is not None:
        size = dataclasses.replace(size, decoder_depth=config.decoder_depth)
    return size


def _frozen(weights: Pretrained, resolution: int, device: torch.device) -> Encoder:
    """The original as it was, at the grid of the views: what to stay near, or to learn from."""
    side = grid_side(resolution)
    return weights.rgb_encoder((side, side)).requires_grad_(False).to(device)


def _masked_loss(
    fabric: Any,
    raw: Encoder,
    maker: BatchMaker,
    masker: TokenMasker,
    thaw: Thaw,
    config: PretrainConfig,
    original: Encoder | None,
    agreeing: Consistency | None,
) -> Loss:
    """Cross-entropy of the targets; and while the encoder learns, nearness to the original and consistency."""

    def loss(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frozen = thaw.next()
        batch = maker.draw(generator)
        output, selection = _predict(model, batch, masker, generator)
        parts = {f"loss/{name}": value for name, value in output.losses.items()}
        if frozen or (original is None and agreeing is None):
            return output.loss, parts
        pixels, total = batch.inputs[pixel_name(maker.resolution)], output.loss
        with fabric.autocast():
            features_BND = _rgb_features(raw, output, selection, pixels, pixel_name(maker.resolution))
            if original is not None:
                parts["preserve"] = cosine_distance(features_BND, teacher_features(original, pixels))
                total = total + config.adapt.preserve * parts["preserve"]
            if agreeing is not None:
                parts["consistency"] = agreeing.loss(raw, features_BND, batch, generator)
                total = total + config.consistency * parts["consistency"]
        return total, parts

    return loss


def _predict(
    model: nn.Module, batch: Batch, masker: TokenMasker, generator: torch.Generator, *, loss_only: bool = True
) -> tuple[Output, Selection]:
    """The model's output for a masked batch, and what was masked."""
    selection = masker.sample(batch.available_BM, generator, batch.sequences)
    device = next(iter(batch.inputs.values())).device
    inputs, targets = (
        {name: ids.to(device, non_blocking=True) for name, ids in part.items()}
        for part in (selection.inputs, selection.targets)
    )
    index_BI, index_BT = selection.input_index_BI, selection.target_index_BT
    return model(batch.inputs | inputs, batch.inputs | targets, index_BI, index_BT, loss_only=loss_only), selection


def _rgb_features(raw: Encoder, output: Output, selection: Selection, pixels_B3HW: Tensor, name: str) -> Tensor:
    """Features (B, N, D) of the whole image and nothing else: those just computed if that is what was visible."""
    part = raw.input_slices[name]
    index_BI = selection.input_index_BI
    if index_BI.shape[1] != part.stop - part.start or int(index_BI.max()) >= part.stop:
        return raw.encode({name: pixels_B3HW})
    assert part.start == 0 and output.encoded is not None  # pixels come first in the table
    order_BND = index_BI.argsort(1).to(output.encoded.device)[..., None].expand_as(output.encoded)
    return output.encoded.gather(1, order_BND)


def _masked_validation(masker: TokenMasker, fixed: Sequence[Batch], seed: int) -> Validate:
    def validate(model: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(seed)
        sums: dict[str, float] = {}
        total = 0
        for batch in fixed:
            output, _ = _predict(model, batch, masker, generator, loss_only=not batch.sequences)
            size = len(batch.available_BM)
            total += size
            sums["val_loss"] = sums.get("val_loss", 0.0) + float(output.loss) * size
            for name, value in output.losses.items():
                sums[f"val_loss/{name}"] = sums.get(f"val_loss/{name}", 0.0) + float(value) * size
            for name in output.accuracy.keys() & batch.sequences.keys():
                sums[f"val_right/{name}"] = sums.get(f"val_right/{name}", 0.0) + float(output.accuracy[name]) * size
        return {name: value / total for name, value in sums.items()}

    return validate


def _validation_batches(maker: BatchMaker, frames: Tensor, config: PretrainConfig) -> list[Batch]:
    """Fixed batches of the held-back frames, two views each, without jitter."""
    where = frames.repeat_interleave(2)
    views = torch.from_numpy(np.tile([0, min(1, config.views.per_frame - 1)], len(frames)))
    batches = []
    for part in torch.arange(len(where)).split(64):
        still = BatchMaker(
            maker.sources[:1], [len(part)], maker.vocabularies, maker.resolution, None, patch=maker.patch
        )
        batches.append(still.assemble([where[part]], [views[part]], None))
    return batches


def load_pretrained(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and metadata (size, resolution, vocabularies, encoder, licences) of a pre-training run.

    `tst.pretraining.initial.read_initial` gives the encoder that holds them.
    """
    return load_tensors(Path(folder) / "model.safetensors")
