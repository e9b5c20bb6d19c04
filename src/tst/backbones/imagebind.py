"""ImageBind's image tower (Girdhar et al. 2023): a CLIP-like ViT-H whose names are mapped onto timm's plain ViT.

Read off facebookresearch/ImageBind, `imagebind/models/{imagebind_model,multimodal_preprocessors,transformer}.py`: an
image is shown twice along time to a 3D convolution, which is one 2D convolution with the kernel summed over time.

Shape suffixes: B batch, H height, W width, N tokens of the grid, D width of the model.
"""

import math
import re
from functools import partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.backbones.base import About, Backbone, Source
from tst.backbones.hub import load_strict, need
from tst.backbones.transformers_vit import CLIP

LICENCE = "CC-BY-NC-SA-4.0"
STEM = "modality_preprocessors.vision.rgbt_stem.proj.1.weight"
HEADS = 16  # of ViT-H; the weights do not tell
NAMES = [
    (r"modality_preprocessors\.vision\.cls_token", "cls_token"),
    (r"modality_preprocessors\.vision\.pos_embedding_helper\.pos_embed", "pos_embed"),
    (r"modality_preprocessors\.vision\.rgbt_stem\.proj\.1\.weight", "patch_embed.proj.weight"),
    (r"modality_trunks\.vision\.pre_transformer_layer\.0\.(weight|bias)", r"norm_pre.\1"),
    (r"modality_trunks\.vision\.blocks\.(\d+)\.norm_([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
    (r"modality_trunks\.vision\.blocks\.(\d+)\.attn\.in_proj_(weight|bias)", r"blocks.\1.attn.qkv.\2"),
    (r"modality_trunks\.vision\.blocks\.(\d+)\.attn\.out_proj\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    (r"modality_trunks\.vision\.blocks\.(\d+)\.(mlp\.fc[12]\.(?:weight|bias))", r"blocks.\1.\2"),
    (r"modality_heads\.vision\.0\.(weight|bias)", r"norm.\1"),
]
OTHER = r"modality_(preprocessors|trunks|heads|postprocessors)\.(?!vision\.)|modality_heads\.vision\.2\."


class ImageBind(Backbone):
    """ImageBind's image tower, up to the norm of its head."""

    family = "imagebind"

    def __init__(self, about: About, shape: dict[str, int]) -> None:
        super().__init__(about)
        self.shape = shape
        vision_transformer = need("timm.models.vision_transformer")
        self.patch, self.width = shape["patch"], shape["width"]
        self.model = vision_transformer.VisionTransformer(
            img_size=shape["grid"] * shape["patch"],
            patch_size=shape["patch"],
            embed_dim=shape["width"],
            depth=shape["depth"],
            num_heads=shape["heads"],
            mlp_ratio=shape["hidden"] / shape["width"],
            pre_norm=True,
            num_classes=0,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )

    @classmethod
    def accepts(cls, source: Source) -> bool:
        """By the name of the image stem."""
        return STEM in source.state

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """With the image tower's weights; the other modalities are passed over."""
        state: dict[str, Tensor] = {}
        for name, value in source.state.items():
            for pattern, ours in NAMES:
                if match := re.fullmatch(pattern, name):
                    state[match.expand(ours)] = value
                    break
            else:
                if not re.match(OTHER, name):
                    state[name] = value  # unknown: `load_strict` refuses it
        kernel_D3TPP = source.state[STEM]
        state["patch_embed.proj.weight"] = kernel_D3TPP.sum(2)
        positions = state.get("pos_embed", torch.zeros(1, 257, 1)).shape[1] - 1
        width, patch = kernel_D3TPP.shape[0], kernel_D3TPP.shape[-1]
        shape = {
            "width": width,
            "patch": patch,
            "grid": math.isqrt(positions),
            "depth": len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
            "heads": HEADS,
            "hidden": len(state.get("blocks.0.mlp.fc1.bias", torch.zeros(4 * width))),
        }
        backbone = cls(About(source.name, LICENCE, *CLIP), shape)
        load_strict(backbone.model, state, source.path)
        return backbone

    @classmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """By its shape."""
        return cls(about, spec["shape"])

    def own_spec(self) -> dict[str, Any]:
        """Width, depth and the like."""
        return {"shape": self.shape}

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks of the trunk."""
        return self.model.blocks

    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens after the norm of the head, (B, N, D)."""
        model = self.model
        x_BDHW = model.patch_embed.proj(x_B3HW)
        x_BND = torch.cat([model.cls_token.expand(len(x_BDHW), -1, -1), x_BDHW.flatten(2).transpose(1, 2)], 1)
        x_BND = x_BND + self._positions(x_BDHW.shape[2], x_BDHW.shape[3])
        x_BND = model.norm_pre(x_BND)
        for block in model.blocks:
            x_BND = block(x_BND)
        return model.norm(x_BND)[:, 1:]

    def _positions(self, height: int, width: int) -> Tensor:
        """ImageBind's own interpolation: by a factor, not to a size. It knows squares only; else a factor a side."""
        first, grid = self.model.pos_embed[:, :1], self.model.pos_embed[:, 1:]
        side = math.isqrt(grid.shape[1])
        if (height, width) == (side, side):
            return self.model.pos_embed
        x = grid.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        x = F.interpolate(x, scale_factor=(height / side, width / side), mode="bicubic")
        return torch.cat([first, x.flatten(2).transpose(1, 2)], 1)
