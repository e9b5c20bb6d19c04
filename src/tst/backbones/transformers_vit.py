"""ViTs of Hugging Face's transformers, through the library's own code: DINOv2, DINOv3, CLIP, SigLIP, MAE, ViT.

Position grids are interpolated by that code, so features are the library's at every size.

Shape suffixes: B batch, H height, W width, N tokens of the grid, D width of the model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tst.backbones.base import About, Backbone, Source, Triple, largest_list
from tst.backbones.hub import attention_kind, load_transformers, need, read_config, transformers_config
from tst.licences import UNKNOWN, licence_of
from tst.modalities.rgb import IMAGENET_MEAN, IMAGENET_STD
from tst.model.embeddings import patchify

IMAGENET: tuple[Triple, Triple] = (IMAGENET_MEAN, IMAGENET_STD)
CLIP: tuple[Triple, Triple] = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _plain(model: Any, x_B3HW: Tensor) -> Tensor:
    return model(pixel_values=x_B3HW).last_hidden_state


def _interpolated(model: Any, x_B3HW: Tensor) -> Tensor:
    return model(pixel_values=x_B3HW, interpolate_pos_encoding=True).last_hidden_state


def _normed(model: Any, x_B3HW: Tensor) -> Tensor:
    # CLIP norms its class token alone, since it uses nothing else; the other tokens need it as much.
    return model.post_layernorm(_interpolated(model, x_B3HW))


def _unmasked(model: Any, x_B3HW: Tensor) -> Tensor:
    # MAE shuffles tokens by this noise and keeps the first ones: here all of them, in order.
    count = x_B3HW.shape[-1] * x_B3HW.shape[-2] // model.config.patch_size**2
    order_BN = torch.arange(count, device=x_B3HW.device).expand(len(x_B3HW), -1)
    return model(pixel_values=x_B3HW, noise=order_BN, interpolate_pos_encoding=True).last_hidden_state


def _packed(model: Any, x_B3HW: Tensor) -> Tensor:
    # SigLIP 2's "naflex" models take patches of any grid, each with its pixels channel last.
    patches_BND = patchify(x_B3HW, model.config.patch_size)
    grid = [side // model.config.patch_size for side in x_B3HW.shape[-2:]]
    return model(
        pixel_values=patches_BND,
        pixel_attention_mask=torch.ones(patches_BND.shape[:2], dtype=torch.long, device=x_B3HW.device),
        spatial_shapes=torch.tensor([grid] * len(x_B3HW)),
    ).last_hidden_state


@dataclass(frozen=True)
class Kind:
    """What a `model_type` needs beside its config.

    Attributes:
        model: class in transformers.
        licence: its authors' terms.
        pixels: mean and deviation where there is no `preprocessor_config.json`.
        run: from normalised pixels to tokens, class and register tokens first.
        unused: pattern of weights that checkpoints hold for other purposes.
        changes: values of the config that must be these.
        options: of the class.
    """

    model: str
    licence: str
    pixels: tuple[Triple, Triple]
    run: Callable[[Any, Tensor], Tensor]
    unused: str = "$^"
    changes: tuple[tuple[str, Any], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


TEXT = (
    r"text_model\.|text_projection|visual_projection|logit_(scale|bias)|embeddings\.position_ids|.*position_ids$|head\."
)
KINDS = {
    "dinov2": Kind("Dinov2Model", "Apache-2.0", IMAGENET, _plain, "classifier"),
    "dinov2_with_registers": Kind("Dinov2WithRegistersModel", "Apache-2.0", IMAGENET, _plain, "classifier"),
    "dinov3_vit": Kind(
        "DINOv3ViTModel",
        "DINOv3 License (Meta): its own terms, read them",
        IMAGENET,
        _plain,
        changes=(("pos_embed_rescale", None),),  # augments positions while training
    ),
    "clip_vision_model": Kind("CLIPVisionModel", "MIT", CLIP, _normed, TEXT),
    "siglip_vision_model": Kind(
        "SiglipVisionModel", "Apache-2.0", HALF, _interpolated, TEXT, changes=(("vision_use_head", False),)
    ),
    "siglip2_vision_model": Kind(
        "Siglip2VisionModel", "Apache-2.0", HALF, _packed, TEXT, changes=(("vision_use_head", False),)
    ),
    "vit_mae": Kind(
        "ViTMAEModel", "CC-BY-NC-4.0", IMAGENET, _unmasked, "decoder|mask_token", changes=(("mask_ratio", 0.0),)
    ),
    "vit": Kind("ViTModel", UNKNOWN, HALF, _interpolated, "classifier|pooler", options=(("add_pooling_layer", False),)),
}
WHOLE = {"clip": "clip_vision_model", "siglip": "siglip_vision_model", "siglip2": "siglip2_vision_model"}


class TransformersViT(Backbone):
    """A vision transformer of transformers."""

    family = "transformers"

    def __init__(self, about: About, model: Any) -> None:
        super().__init__(about)
        self.model = model
        self.kind = KINDS[model.config.model_type]
        self.patch, self.width = int(model.config.patch_size), int(model.config.hidden_size)

    @classmethod
    def accepts(cls, source: Source) -> bool:
        """By the `model_type` of its config."""
        model_type = source.config.get("model_type", "")
        return WHOLE.get(model_type, model_type) in KINDS

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """With the weights of `source`; text towers, decoders and classifiers beside them are passed over."""
        config = transformers_config(source)
        config = getattr(config, "vision_config", config)
        kind = KINDS[config.model_type]
        for name, value in kind.changes:
            setattr(config, name, value)
        model_class = getattr(need("transformers"), kind.model)
        model = load_transformers(model_class, config, source, unused=kind.unused, **dict(kind.options))
        mean, std = pixel_statistics(source, kind.pixels)
        return cls(About(source.name, licence_of(source.path, kind.licence), mean, std), model)

    @classmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """By the config of the library."""
        transformers = need("transformers")
        config = transformers.CONFIG_MAPPING[spec["config"]["model_type"]].from_dict(spec["config"])
        kind = KINDS[config.model_type]
        model_class = getattr(transformers, kind.model)
        config._attn_implementation = attention_kind(model_class)
        return cls(about, model_class(config, **dict(kind.options)))

    def own_spec(self) -> dict[str, Any]:
        """The config of the library."""
        return {"config": self.model.config.to_dict()}

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks of the encoder."""
        return largest_list(self.model)

    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens after the last norm, (B, N, D)."""
        count = (x_B3HW.shape[-2] // self.patch) * (x_B3HW.shape[-1] // self.patch)
        return self.kind.run(self.model, x_B3HW)[:, -count:]  # the grid comes last in all of these


def pixel_statistics(source: Source, default: tuple[Triple, Triple]) -> tuple[Triple, Triple]:
    """Mean and deviation of pixels in 0..1: those of `preprocessor_config.json` beside the weights, else `default`."""
    stated = read_config(source.path, "preprocessor_config.json")
    if "image_mean" not in stated or "image_std" not in stated:
        return default
    mean, std = (tuple(float(value) for value in stated[name]) for name in ("image_mean", "image_std"))
    return cast(Triple, mean), cast(Triple, std)
