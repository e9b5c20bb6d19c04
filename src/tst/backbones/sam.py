"""SAM's image encoder, of transformers: a ViTDet with windows and relative positions, and its neck.

transformers' own code takes images of one size; at others the absolute positions are interpolated bicubically, as in
ViTDet (Li et al. 2022; detectron2's `get_abs_pos`), and the relative ones as the library does.

Shape suffixes: B batch, H height, W width, N tokens of the grid, D width.
"""

from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn

from tst.backbones.base import About, Backbone, Source
from tst.backbones.hub import attention_kind, load_transformers, need, transformers_config
from tst.backbones.transformers_vit import IMAGENET, pixel_statistics
from tst.licences import licence_of

UNUSED = r"(shared_image_embedding|prompt_encoder|mask_decoder)\."


class SamEncoder(Backbone):
    """The image encoder of a SAM checkpoint."""

    family = "sam"

    def __init__(self, about: About, model: Any) -> None:
        super().__init__(about)
        self.model = model.vision_encoder
        config = self.model.config
        self.patch, self.width = int(config.patch_size), int(config.output_channels)

    @classmethod
    def accepts(cls, source: Source) -> bool:
        """By the `model_type` of its config."""
        return source.config.get("model_type") in ("sam", "sam_vision_model")

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """With the weights of `source`; prompt encoder and mask decoder are passed over."""
        config = transformers_config(source)
        config = getattr(config, "vision_config", config)
        model = load_transformers(need("transformers").SamVisionModel, config, source, unused=UNUSED)
        mean, std = pixel_statistics(source, IMAGENET)
        return cls(About(source.name, licence_of(source.path, "Apache-2.0"), mean, std), model)

    @classmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """By the config of the library."""
        transformers = need("transformers")
        config = transformers.SamVisionConfig.from_dict(spec["config"])
        config._attn_implementation = attention_kind(transformers.SamVisionModel)
        return cls(about, transformers.SamVisionModel(config))

    def own_spec(self) -> dict[str, Any]:
        """The config of the library."""
        return {"config": self.model.config.to_dict()}

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks before the neck."""
        return self.model.layers

    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens after the neck, (B, N, D)."""
        x_BHWD = self.model.patch_embed.projection(x_B3HW).permute(0, 2, 3, 1)
        if self.model.pos_embed is not None:
            positions_1HWD = self.model.pos_embed
            if positions_1HWD.shape[1:3] != x_BHWD.shape[1:3]:
                positions_1DHW = positions_1HWD.permute(0, 3, 1, 2)
                size = x_BHWD.shape[1:3]
                positions_1HWD = F.interpolate(positions_1DHW, size, mode="bicubic", align_corners=False)
                positions_1HWD = positions_1HWD.permute(0, 2, 3, 1)
            x_BHWD = x_BHWD + positions_1HWD
        for block in self.model.layers:
            x_BHWD = block(x_BHWD)
        return self.model.neck(x_BHWD).flatten(2).transpose(1, 2)
