"""What an encoder of ours can hold: our own pre-training runs, 4M, and the files of DINOv2's and MAE's repositories.

Shape suffixes: B batch, H height, W width, N tokens of the grid, D width of the model.
"""

from typing import Any, Self, cast

from torch import Tensor, nn

from tst.backbones.base import About, Backbone, Source
from tst.errors import UserError
from tst.licences import UNKNOWN
from tst.modalities.rgb import IMAGENET_MEAN, IMAGENET_STD
from tst.model.checkpoints import is_4m
from tst.model.embeddings import EncoderEmbedding, patchify
from tst.model.fourm import Encoder
from tst.model.pretrained import Resampling, positions_at
from tst.model.sizes import Size
from tst.model.table import ModalitySpec
from tst.pretraining.initial import parse

REPOSITORIES = ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight")


class EncoderBackbone(Backbone):
    """The RGB path of an encoder of ours."""

    family = "encoder"

    def __init__(self, about: About, encoder: Encoder, resampling: Resampling) -> None:
        super().__init__(about)
        self.encoder, self.resampling = encoder, resampling
        self.pixels = encoder.modalities[0]
        self.patch, self.width = self.pixels.patch, encoder.dim

    @classmethod
    def accepts(cls, source: Source) -> bool:
        """By metadata of ours, or by names of weights that come without a config."""
        plain = not source.config and all(name in source.state for name in REPOSITORIES)
        return "tst" in source.metadata or is_4m(source.state) or plain

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """With the weights of the RGB path."""
        pretrained = parse(source.path, source.state, source.metadata, source.config)
        if pretrained.pixels.grid[0] != pretrained.pixels.grid[1]:
            raise UserError(f"{source.path}: was trained on images that are not square. Choose another model.")
        licences = [f"{item['licence']}" for item in pretrained.licences]
        about = About(source.name, "; ".join(dict.fromkeys(licences)) or UNKNOWN, IMAGENET_MEAN, IMAGENET_STD)
        return cls(about, pretrained.rgb_encoder(), pretrained.resampling)

    @classmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """By size, options and grid."""
        pixels = ModalitySpec(**{**spec["pixels"], "grid": tuple(spec["pixels"]["grid"])})
        return cls(about, Encoder(Size(**spec["size"]), [pixels], **spec["options"]), spec["resampling"])

    def own_spec(self) -> dict[str, Any]:
        """Size, options and grid."""
        encoder = self.encoder
        return {
            "size": vars(encoder.size),
            "options": encoder.options,
            "pixels": vars(self.pixels),
            "resampling": self.resampling,
        }

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks of the encoder."""
        return self.encoder.encoder

    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens after the last norm, (B, N, D); positions follow to the grid as the original's do."""
        grid = (x_B3HW.shape[-2] // self.patch, x_B3HW.shape[-1] // self.patch)
        embedding = cast(EncoderEmbedding, self.encoder.encoder_embeddings[self.pixels.name])
        positions_1ND = positions_at(embedding.pos_emb, self.pixels.grid, grid, self.resampling)
        content_BND = embedding.proj(patchify(x_B3HW, self.patch))
        x_BND = self.encoder.encode_tokens(content_BND + positions_1ND + embedding.mod_emb)
        return x_BND[:, self.encoder.num_register_tokens :]
