"""Weights to start from, whatever they were made by, under our names; and how they enter a model of ours.

Readers: `checkpoints.py` (4M), `from_vit.py` (any plain ViT), `tst.pretraining.initial` (our own runs, and the choice).

Shape suffixes: N tokens, D width of the model.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tst.errors import UserError
from tst.model.embeddings import sincos_2d
from tst.model.fourm import CORE, Encoder, fill_shared
from tst.model.sizes import Size
from tst.model.table import ModalitySpec

Resampling = Literal["bicubic", "antialias", "dinov2"]


@dataclass(frozen=True)
class Pretrained:
    """Weights from elsewhere.

    Attributes:
        kind: what they are, in a word ("4M", "dinov2", "tst").
        size, options: what an `Encoder` or `FourM` that holds them is built with.
        modalities: what the weights know.
        state: under the names of `FourM` (an encoder's alone will do), float32.
        licences: of everything they derive from, {"what", "licence", "note"}, as `Run` takes them.
        resampling: how learned positions are brought to another grid (`resample_positions`).
        tokenizers: content key of the tokenizer whose ids a token modality's tables stand for, by `ModalitySpec.stem`;
            where it is not known, ours differ.
    """

    path: Path
    kind: str
    size: Size
    options: dict[str, Any]
    modalities: tuple[ModalitySpec, ...]
    state: dict[str, Tensor]
    licences: tuple[dict[str, str], ...]
    resampling: Resampling = "bicubic"
    tokenizers: dict[str, str] = field(default_factory=dict)

    @property
    def pixels(self) -> ModalitySpec:
        """The pixel input.

        Raises:
            UserError: there is none.
        """
        for spec in self.modalities:
            if spec.kind == "pixels":
                return spec
        raise UserError(f"{self.path}: has no pixel input, so no RGB encoder. Choose other weights.")

    @property
    def key(self) -> str:
        """Content hash of the weights."""
        hasher = hashlib.sha256()
        for name, value in sorted(self.state.items()):
            hasher.update(name.encode() + value.contiguous().numpy().tobytes())
        return hasher.hexdigest()[:16]

    def rgb_encoder(self, grid: tuple[int, int] | None = None, *, drop_path: float = 0.0) -> Encoder:
        """An encoder of pixels with these weights, by default at the grid that they were trained at.

        It takes one modality, `pixels.name`: (B, 3, grid * patch) pixels normalised by `to_imagenet`, whatever mean and
        deviation the original used.
        """
        spec = _at(self.pixels, grid or self.pixels.grid)
        encoder = Encoder(self.size, [spec], **self.options, drop_path=drop_path)
        initialise(encoder, self)
        return encoder.eval()


@torch.no_grad()
def initialise(model: Encoder, pretrained: Pretrained, same_tokens: Collection[str] = ()) -> frozenset[str]:
    """Put into `model` what `pretrained` knows; the rest keeps its values.

    Modalities are matched by their names without the resolution. Positions follow to the model's grid: a sin-cos grid
    is computed for it, a learned one resampled. Tables of token ids are taken only where the ids mean the same.

    Args:
        model: built with the `size` (it may have fewer decoder blocks) and the `options` of `pretrained`.
        same_tokens: stems (`tok_depth`) of token modalities with the very tokenizer that `pretrained` learnt with.

    Returns:
        Names of the parameters and buffers that were set.

    Raises:
        UserError: a weight of the blocks is missing, or a shape differs.
    """
    own = model.state_dict()
    full = fill_shared(pretrained.state)
    sources = {spec.stem: spec for spec in pretrained.modalities}
    targets = {spec.name: spec for spec in model.modalities}
    found: dict[str, Tensor] = {}
    for name, value in own.items():
        room, _, rest = name.partition(".")
        if not room.endswith("_embeddings"):
            source = full.get(name)
            if source is None and room in CORE:
                raise UserError(f"{pretrained.path}: lacks {name}. The weights are not whole; download them again.")
        else:
            modality, _, what = rest.partition(".")
            target = targets[modality]
            origin = sources.get(target.stem)
            other_ids = what in ("token_emb.weight", "to_logits.weight") and not _same(target, same_tokens)
            source = None
            if origin is not None and not other_ids:
                source = full.get(f"{room}.{origin.name}.{what}")
                if source is not None and what == "pos_emb" and target.kind in ("pixels", "tokens"):
                    source = positions_at(source, origin.grid, target.grid, pretrained.resampling)
        if source is None:
            continue
        if source.shape != value.shape:
            raise UserError(
                f"{pretrained.path}: {name} has shape {tuple(source.shape)}, the model's {tuple(value.shape)}. "
                "Choose weights that fit."
            )
        found[name] = source
    model.load_state_dict(found, strict=False)
    return frozenset(found)


def resample_positions(
    pos_1ND: Tensor, grid: tuple[int, int], new_grid: tuple[int, int], resampling: Resampling = "bicubic"
) -> Tensor:
    """Learned positions (1, N, D) of one grid at another, as the original does it.

    `bicubic`: transformers (DINOv2, CLIP, SigLIP, MAE); `antialias`: timm, and transformers' DINOv2 with registers;
    `dinov2`: DINOv2's own repository, whose scale has an offset of 0.1.
    """
    if grid == new_grid:
        return pos_1ND
    x = pos_1ND.float().unflatten(1, grid).permute(0, 3, 1, 2)
    if resampling == "dinov2":
        scale = ((new_grid[0] + 0.1) / grid[0], (new_grid[1] + 0.1) / grid[1])
        x = F.interpolate(x, scale_factor=scale, mode="bicubic")
        assert x.shape[-2:] == new_grid
    else:
        x = F.interpolate(x, size=new_grid, mode="bicubic", antialias=resampling == "antialias")
    return x.flatten(2).transpose(1, 2)


def positions_at(pos_1ND: Tensor, grid: tuple[int, int], new_grid: tuple[int, int], resampling: Resampling) -> Tensor:
    """Positions (1, N, D) of one grid at another: sin-cos ones computed for it, learned ones resampled."""
    fixed = sincos_2d(*grid, pos_1ND.shape[-1])
    if fixed.shape == pos_1ND.shape and torch.allclose(fixed, pos_1ND, atol=1e-4):
        return sincos_2d(*new_grid, pos_1ND.shape[-1])  # counts from 0 at any size; interpolating would stretch it
    return resample_positions(pos_1ND, grid, new_grid, resampling)


def _same(spec: ModalitySpec, same_tokens: Collection[str]) -> bool:
    return spec.kind in ("pixels", "sequence_embedding") or spec.stem in same_tokens


def _at(spec: ModalitySpec, grid: tuple[int, int]) -> ModalitySpec:
    return ModalitySpec(spec.name, "pixels", grid=grid, patch=spec.patch, channels=spec.channels, target=False)
