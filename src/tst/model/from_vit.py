"""Any plain ViT's weights as the RGB path of our encoder, exactly: DINOv2, CLIP, SigLIP, MAE, ViT, and timm's.

What our encoder has no place for is folded into what it has, so that its features are the original's:

* the class token, with its position embedding, becomes a register token;
* LayerScale goes into the weights and biases before it;
* the original's mean and deviation of pixels go into the patch projection, as ours are ImageNet's;
* the projection's bias becomes the modality embedding, which every patch gets too;
* learned positions replace our fixed ones, resampled to another grid as the original does.

Encoders that turn queries and keys by position (RoPE: DINOv3, EVA) or add relative positions (BEiT) cannot be held.

Shape suffixes: N tokens, D width, C channels, P side of a patch.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tst.errors import UserError
from tst.modalities.rgb import IMAGENET_MEAN, IMAGENET_STD
from tst.model.pretrained import Pretrained, Resampling
from tst.model.sizes import Family, Size
from tst.model.table import ModalitySpec
from tst.model.weights import read_config, read_weights

Triple = tuple[float, float, float]
IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Facts:
    """What the tensors do not tell. `pixels`: mean and deviation of values in 0..1."""

    kind: str
    heads: int
    norm_eps: float
    activation: Family
    pixels: tuple[Triple, Triple]
    resampling: Resampling
    licence: str


@dataclass(frozen=True)
class Type:
    """A `model_type` of transformers: values of a config that does not say otherwise, and what no config says."""

    norm_eps: float
    activation: str
    licence: str
    pixels: tuple[Triple, Triple] | None  # None: models of this type differ
    resampling: Resampling = "bicubic"


TYPES = {
    "dinov2": Type(1e-6, "gelu", "Apache-2.0", IMAGENET),
    "dinov2_with_registers": Type(1e-6, "gelu", "Apache-2.0", IMAGENET, "antialias"),
    "clip_vision_model": Type(1e-5, "quick_gelu", "MIT", CLIP),
    "siglip_vision_model": Type(1e-6, "gelu_pytorch_tanh", "Apache-2.0", HALF),
    "vit_mae": Type(1e-12, "gelu", "CC-BY-NC-4.0: non-commercial use only", IMAGENET),
    "vit": Type(1e-12, "gelu", "not stated", None),
    "deit": Type(1e-12, "gelu", "Apache-2.0", IMAGENET),
}
ACTIVATIONS: dict[str, Family] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
}
# Spellings of the same names; timm's are the ones that all are brought to. A name that gives "" is of no use here.
ENDING = r"\.(weight|bias)$"
SPELLINGS: dict[str, list[tuple[str, str]]] = {
    "embeddings.patch_embeddings.projection.weight": [
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.register_tokens$", "reg_token"),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection" + ENDING, r"patch_embed.proj.\1"),
        (r"^encoder\.layer\.(\d+)\.(?:norm1|layernorm_before)" + ENDING, r"blocks.\1.norm1.\2"),
        (r"^encoder\.layer\.(\d+)\.(?:norm2|layernorm_after)" + ENDING, r"blocks.\1.norm2.\2"),
        (r"^encoder\.layer\.(\d+)\.attention\.attention\.(q|k|v)(?:uery|ey|alue)" + ENDING, r"blocks.\1.attn.\2.\3"),
        (r"^encoder\.layer\.(\d+)\.attention\.output\.dense" + ENDING, r"blocks.\1.attn.proj.\2"),
        (r"^encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1$", r"blocks.\1.ls\2.gamma"),
        (r"^encoder\.layer\.(\d+)\.(?:mlp\.fc1|mlp\.weights_in|intermediate\.dense)" + ENDING, r"blocks.\1.mlp.fc1.\2"),
        (r"^encoder\.layer\.(\d+)\.(?:mlp\.fc2|mlp\.weights_out|output\.dense)" + ENDING, r"blocks.\1.mlp.fc2.\2"),
        (r"^layernorm" + ENDING, r"norm.\1"),
        (r"^(embeddings\.mask_token|pooler\.|classifier|decoder)", ""),
    ],
    "embeddings.patch_embedding.weight": [
        (r"^embeddings\.class_embedding$", "cls_token"),
        (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
        (r"^embeddings\.patch_embedding" + ENDING, r"patch_embed.proj.\1"),
        (r"^pre_layrnorm" + ENDING, r"norm_pre.\1"),
        (r"^encoder\.layers\.(\d+)\.layer_norm([12])" + ENDING, r"blocks.\1.norm\2.\3"),
        (r"^encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj" + ENDING, r"blocks.\1.attn.\2.\3"),
        (r"^encoder\.layers\.(\d+)\.self_attn\.out_proj" + ENDING, r"blocks.\1.attn.proj.\2"),
        (r"^encoder\.layers\.(\d+)\.(mlp\.fc[12])" + ENDING, r"blocks.\1.\2.\3"),
        (r"^post_layernorm" + ENDING, r"norm.\1"),
        (r"^(embeddings\.position_ids|head\.|visual_projection)", ""),
    ],
    "patch_embed.proj.weight": [
        (r"^(cls_token|reg_token|pos_embed)$", r"\1"),
        (r"^register_tokens$", "reg_token"),
        (r"^(patch_embed\.proj|norm_pre|norm)" + ENDING, r"\1.\2"),
        (r"^(blocks\.\d+\.(?:norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12]))" + ENDING, r"\1.\2"),
        (r"^(blocks\.\d+\.mlp)\.w12" + ENDING, r"\1.fc1.\2"),
        (r"^(blocks\.\d+\.mlp)\.w3" + ENDING, r"\1.fc2.\2"),
        (r"^(blocks\.\d+\.ls[12]\.gamma)$", r"\1"),
        (r"^(mask_token|head|attn_pool\.|decoder)", ""),
    ],
}


def read_vit(path: Path) -> Pretrained:
    """The weights of a ViT under our names.

    Args:
        path: folder of transformers (`config.json` with a `model_type`) or of timm (with an `architecture`), or a file
            with such a config beside it; without one, the weights of DINO's, DINOv2's or MAE's own repositories.

    Raises:
        UserError: it is another kind of network, has missing or unknown weights, or cannot be read.
    """
    path = Path(path)
    return parse_vit(path, read_weights(path)[0])


def parse_vit(path: Path, state: dict[str, Tensor]) -> Pretrained:
    """`read_vit` of tensors that were already read; its config is read beside them."""
    config = read_config(path)
    _refuse_turned(path, config)
    tensors = _timm_names(path, state)
    facts = _facts(path, config, tensors)
    try:
        size, options, pixels, converted = _convert(path, tensors, facts)
    except KeyError as error:
        raise UserError(f"{path}: lacks {error.args[0]}. The weights are not whole; download them again.") from None
    from tst.licences import entry, licence_of  # backbones are read by this module too

    what = f"{facts.kind} weights {path.name}"
    licence = entry(what, licence_of(path, facts.licence), "by the model's card or its authors; read the model's page")
    return Pretrained(path, facts.kind, size, options, (pixels,), converted, (licence,), facts.resampling)


# ---------------------------------------------------------------------------------------------------------------------
# Names and facts


def _refuse_turned(path: Path, config: dict[str, Any]) -> None:
    what = f"{config.get('model_type', '')} {config.get('architecture', '')}".lower()
    if "dinov3" in what or "eva" in what:
        raise UserError(
            f"{path}: {what.strip()} turns queries and keys by position (RoPE), which our encoder cannot hold exactly. "
            "Adapt DINOv2 (with or without registers) instead, or use it as a baseline."
        )


def _timm_names(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The ViT's tensors under timm's names; those of other parts of a bigger model are left out."""
    found = [
        (name.removesuffix(anchor), rules)
        for anchor, rules in SPELLINGS.items()
        for name in state
        if name == anchor or name.endswith(f".{anchor}")
    ]
    if not found:
        raise UserError(
            f"{path}: not a plain ViT ({', '.join(sorted(state)[:3])}, ...). Give one of {', '.join(TYPES)} in "
            "transformers' layout, or one of timm's vision transformers."
        )
    prefix, rules = found[0]
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        if not name.startswith(prefix):
            continue
        short = name.removeprefix(prefix)
        for pattern, replacement in rules:
            if match := re.match(pattern, short):
                if replacement:
                    named[match.expand(replacement)] = value
                break
        else:
            raise UserError(
                f"{path}: holds {name}, which a plain ViT does not have, so its features could not be kept. "
                "Choose another model."
            )
    return named


def _facts(path: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> Facts:
    if "architecture" in config:
        return _facts_of_timm(path, config)
    config = {**config, **config.get("vision_config", {})}
    kind = config.get("model_type", "")
    kind = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}.get(kind, kind)
    dim = tensors["patch_embed.proj.weight"].shape[0]
    if not config:
        if "blocks.0.attn.qkv.weight" not in tensors:
            raise UserError(f"{path}: has no config.json beside it. Copy it there from the model's page.")
        return _facts_of_repositories(tensors, dim)
    if kind not in TYPES:
        raise UserError(f"{path}: model type {kind!r} is not one that can be held. Choose one of: {', '.join(TYPES)}.")
    type_ = TYPES[kind]
    activation = config.get("hidden_act", type_.activation)
    if activation not in ACTIVATIONS:
        raise UserError(f"{path}: activation {activation!r} is unknown. Choose one of: {', '.join(ACTIVATIONS)}.")
    preprocessing = read_config(path, "preprocessor_config.json")
    pixels = type_.pixels
    if "image_mean" in preprocessing:
        pixels = (_triple(preprocessing["image_mean"]), _triple(preprocessing["image_std"]))
    if pixels is None:
        raise UserError(
            f"{path}: lacks preprocessor_config.json, which tells the mean and deviation of its pixels. "
            "Copy it from the model's page."
        )
    return Facts(
        kind=kind,
        heads=int(config.get("num_attention_heads", dim // 64)),
        norm_eps=float(config.get("layer_norm_eps", type_.norm_eps)),
        activation=ACTIVATIONS[activation],
        pixels=pixels,
        resampling=type_.resampling,
        licence=type_.licence,
    )


def _facts_of_timm(path: Path, config: dict[str, Any]) -> Facts:
    """What timm's own code says of the architecture."""
    try:
        import timm
    except ImportError:
        raise UserError(f"{path}: is a model of timm. Install it: pip install timm.") from None
    name = str(config["architecture"])
    try:
        with torch.device("meta"):
            model: Any = timm.create_model(name, pretrained=False, num_classes=0, **config.get("model_args", {}))
    except (RuntimeError, TypeError) as error:
        raise UserError(f"{path}: timm cannot make {name} ({error}). Install a newer timm.") from None
    if type(model).__name__ != "VisionTransformer":
        raise UserError(f"{path}: {name} is timm's {type(model).__name__}, not a plain ViT. Choose a vit_* model.")
    told = {**model.pretrained_cfg, **config.get("pretrained_cfg", {})}
    block = model.blocks[0]
    act = type(block.mlp.act).__name__
    approximate = getattr(block.mlp.act, "approximate", "none")
    activations: dict[str, Family] = {
        "GELU": "gelu" if approximate == "none" else "gelu_tanh",
        "GELUTanh": "gelu_tanh",
        "QuickGELU": "quick_gelu",
        "SiLU": "swiglu",
    }
    if act not in activations:
        raise UserError(f"{path}: {name} has activation {act}, which is unknown. Choose another model.")
    return Facts(
        kind=name,
        heads=block.attn.num_heads,
        norm_eps=block.norm1.eps,
        activation=activations[act],
        pixels=(_triple(told["mean"]), _triple(told["std"])),
        resampling="antialias",
        licence=str(told.get("license") or "not stated"),
    )


def _facts_of_repositories(tensors: dict[str, Tensor], dim: int) -> Facts:
    """Files of the authors' repositories: heads of 64 channels, ImageNet's pixels."""
    dinov2 = "blocks.0.ls1.gamma" in tensors
    resampling: Resampling = "antialias" if "reg_token" in tensors else "dinov2"
    return Facts(
        kind="dinov2" if dinov2 else "vit",
        heads=dim // 64,
        norm_eps=1e-6,
        activation="gelu",
        pixels=IMAGENET,
        resampling=resampling if dinov2 else "bicubic",
        licence="Apache-2.0" if dinov2 else "not stated",
    )


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


# ---------------------------------------------------------------------------------------------------------------------
# Conversion


def _convert(
    path: Path, tensors: dict[str, Tensor], facts: Facts
) -> tuple[Size, dict[str, Any], ModalitySpec, dict[str, Tensor]]:
    """Size, options, pixel modality and state of our encoder. A KeyError names a tensor that is missing."""
    weight_DCPP = tensors["patch_embed.proj.weight"]
    dim, channels, patch, _ = weight_DCPP.shape
    if channels != 3:
        raise UserError(f"{path}: takes {channels} channels, not red, green and blue. Choose another model.")
    if facts.heads < 1 or dim % facts.heads:
        raise UserError(f"{path}: {facts.heads} heads do not divide a width of {dim}. Correct its config.json.")
    positions_1ND = tensors["pos_embed"].reshape(1, -1, dim)
    prefixes = _prefixes(path, tensors, positions_1ND.shape[1])
    side = math.isqrt(positions_1ND.shape[1] - prefixes)
    pixels = ModalitySpec(f"rgb@{side * patch}", "pixels", grid=(side, side), patch=patch, target=False)
    depth = 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")), default=-1)
    hidden = tensors["blocks.0.mlp.fc2.weight"].shape[1]
    gated = tensors["blocks.0.mlp.fc1.weight"].shape[0] == 2 * hidden
    family: Family = "swiglu" if gated else facts.activation

    input_ = f"encoder_embeddings.{pixels.name}"
    proj_DK, bias_D = _projection(weight_DCPP, tensors.get("patch_embed.proj.bias"), facts.pixels)
    state = {
        f"{input_}.proj.weight": proj_DK,
        f"{input_}.mod_emb": bias_D.view(1, 1, dim),
        f"{input_}.pos_emb": positions_1ND[:, prefixes:],
    }
    special = [tensors[name].reshape(1, -1, dim) for name in ("cls_token", "reg_token") if name in tensors]
    registers = torch.cat(special, 1) if special else positions_1ND[:, :0]
    if registers.shape[1]:
        registers = registers.clone()
        registers[:, :prefixes] += positions_1ND[:, :prefixes]
        state["register_tokens"] = registers
    for i in range(depth):
        block = {name.removeprefix(f"blocks.{i}."): value for name, value in tensors.items() if _in_block(name, i)}
        try:
            state |= {f"encoder.{i}.{name}": value for name, value in _block(block, gated).items()}
        except KeyError as error:
            raise KeyError(f"blocks.{i}.{error.args[0]}") from None
    for theirs, ours in (("norm", "encoder_norm"), ("norm_pre", "encoder_pre_norm")):
        if theirs == "norm" or f"{theirs}.weight" in tensors:
            state |= {f"{ours}.{end}": tensors[f"{theirs}.{end}"] for end in ("weight", "bias")}
    options = {
        "family": family,
        "qk_norm": False,
        "num_register_tokens": registers.shape[1],
        "pre_norm": "encoder_pre_norm.weight" in state,
        "norm_eps": facts.norm_eps,
    }
    size = Size(f"{facts.kind} {dim}x{depth}", dim, facts.heads, depth, depth, mlp_hidden=hidden)
    return size, options, pixels, {name: value.contiguous() for name, value in state.items()}


def _prefixes(path: Path, tensors: dict[str, Tensor], count: int) -> int:
    """How many rows of the position embedding belong to class and register tokens."""
    classes = int("cls_token" in tensors)
    registers = tensors["reg_token"].shape[1] if "reg_token" in tensors else 0
    for prefixes in (0, classes, classes + registers):
        if math.isqrt(count - prefixes) ** 2 == count - prefixes:
            return prefixes
    raise UserError(f"{path}: its {count} positions are no square grid. Choose a model trained on square images.")


def _projection(weight_DCPP: Tensor, bias_D: Tensor | None, pixels: tuple[Triple, Triple]) -> tuple[Tensor, Tensor]:
    """The patch projection for pixels normalised by ImageNet's mean and deviation, channel last, and its bias."""
    mean, std = (torch.tensor(values) for values in pixels)
    scale = torch.tensor(IMAGENET_STD) / std
    shift = (torch.tensor(IMAGENET_MEAN) - mean) / std
    offset_D = (weight_DCPP * shift.view(1, 3, 1, 1)).sum((1, 2, 3))
    folded = (weight_DCPP * scale.view(1, 3, 1, 1)).permute(0, 2, 3, 1).flatten(1)
    return folded, offset_D if bias_D is None else offset_D + bias_D


def _block(block: dict[str, Tensor], gated: bool) -> dict[str, Tensor]:
    """One block: LayerScale folded, q, k and v fused, absent biases zero, a packed gate taken apart."""
    if "attn.qkv.weight" not in block:
        parts = [block[f"attn.{part}.weight"] for part in "qkv"]
        biases = [
            block.get(f"attn.{part}.bias", torch.zeros(len(weight))) for part, weight in zip("qkv", parts, strict=True)
        ]
        block = {**block, "attn.qkv.weight": torch.cat(parts), "attn.qkv.bias": torch.cat(biases)}
    state = {f"{norm}.{end}": block[f"{norm}.{end}"] for norm in ("norm1", "norm2") for end in ("weight", "bias")}
    for name, scale in (("attn.qkv", None), ("attn.proj", "ls1"), ("mlp.fc1", None), ("mlp.fc2", "ls2")):
        weight = block[f"{name}.weight"]
        bias = block.get(f"{name}.bias", torch.zeros(len(weight)))
        gamma = block.get(f"{scale}.gamma") if scale else None
        state[f"{name}.weight"] = weight if gamma is None else weight * gamma[:, None]
        state[f"{name}.bias"] = bias if gamma is None else bias * gamma
    if gated:
        for end in ("weight", "bias"):
            state[f"mlp.fc1.{end}"], state[f"mlp.fc3.{end}"] = state[f"mlp.fc1.{end}"].chunk(2)
    return state


def _in_block(name: str, index: int) -> bool:
    return name.startswith(f"blocks.{index}.")
