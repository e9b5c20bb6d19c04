"""The discrete autoencoder of one image modality: patch-16 encoder, bottleneck, decoder (paper Sec. 4.1; 4M Sec. 3.1).

Shape letters: B batch, C channels in, K channels out, H height, W width (in values), N tokens (one for 16 x 16 pixels),
P values of a patch x channels, D width.
"""

import math
from typing import Literal

import torch
from einops import rearrange
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ, VectorQuantize

from tst.config import Config
from tst.modalities import MODALITIES
from tst.modalities.semantic import ClassMask
from tst.model.blocks import EncoderBlock, LayerNorm
from tst.model.embeddings import sincos_2d
from tst.model.sizes import Size

PATCH = 16
CLASS_WIDTH = 16


class TokenizerModelConfig(Config):
    """Shape of one tokenizer."""

    width: PositiveInt = 192
    """Width of encoder and decoder."""
    encoder_depth: PositiveInt = 2
    """Transformer blocks before the bottleneck."""
    decoder_depth: PositiveInt = 4
    """Transformer blocks after it."""
    quantizer: Literal["fsq", "vq"] = "fsq"
    """`fsq`: finite scalar quantisation (no codebook to collapse); `vq`: 4M's cosine codebook with EMA updates."""
    levels: tuple[int, ...] = (8, 8, 8, 5)
    """FSQ levels of each latent dimension; the vocabulary is their product."""
    codebook_size: PositiveInt = 4096
    """Vocabulary for `vq`."""

    @property
    def vocabulary(self) -> int:
        """Number of different tokens."""
        return math.prod(self.levels) if self.quantizer == "fsq" else self.codebook_size

    @model_validator(mode="after")
    def _check(self) -> "TokenizerModelConfig":
        if self.width % 64:
            raise ValueError(f"width {self.width} is not a multiple of 64 (heads are 64 wide)")
        if min(self.levels) < 2:
            raise ValueError(f"levels {self.levels}: each must be at least 2")
        return self


class Tokenizer(nn.Module):
    """Maps a crop of one modality to a grid of token ids and back.

    The encoder also sees which pixels are valid, so that a hole is not read as a distance. Classes enter by a small
    learned vector each, and leave as logits.

    Args:
        modality: name in the registry.
        resolution: side of the crops in pixels; a crop has resolution / cell values a side (`Modality.cell`).
        outputs: values predicted for each pixel: classes of a mask, components of a feature; None: as many as the
            modality has channels.
    """

    def __init__(
        self, modality: str, resolution: int, config: TokenizerModelConfig, outputs: int | None = None
    ) -> None:
        super().__init__()
        kind = MODALITIES[modality]
        self.modality, self.resolution, self.config = modality, resolution, config
        self.outputs = outputs or kind.channels
        self.is_mask = isinstance(kind, ClassMask)
        assert self.outputs, f"{modality}: the number of components depends on the data"
        self.patch, self.grid = PATCH // kind.cell, resolution // PATCH
        inputs = CLASS_WIDTH if self.is_mask else self.outputs
        width = config.width
        size = Size("tokenizer", width, width // 64, config.encoder_depth, config.decoder_depth)

        def blocks(depth: int) -> nn.Sequential:
            return nn.Sequential(
                *(EncoderBlock(size, "swiglu_nobias", qk_norm=False, drop_path=0.0) for _ in range(depth))
            )

        self.register_buffer("pos_emb", sincos_2d(self.grid, self.grid, width), persistent=False)
        if self.is_mask:
            self.class_emb = nn.Embedding(self.outputs, CLASS_WIDTH)
        self.proj = nn.Linear(self.patch**2 * (inputs + 1), width)
        self.encoder = blocks(config.encoder_depth)
        self.encoder_norm = LayerNorm(width, bias=False)
        self.pos_emb: Tensor
        self.quantize: nn.Module
        if config.quantizer == "fsq":
            # Without it, latents start out nearly equal for all patches and a short training uses only a few codes;
            # spread to unit variance, tanh fills the levels from the first step (docs/tokenizers.md).
            self.spread = nn.BatchNorm1d(len(config.levels), affine=False)
            self.quant_proj = nn.Linear(width, len(config.levels))
            self.quantize = FSQ(levels=list(config.levels))
            self.post_quant_proj = nn.Linear(len(config.levels), width)
        else:
            self.quantize = VectorQuantize(
                dim=width,
                codebook_size=config.codebook_size,
                codebook_dim=32,
                use_cosine_sim=True,
                decay=0.99,
                commitment_weight=1.0,
                threshold_ema_dead_code=1,
            )
        self.decoder = blocks(config.decoder_depth)
        self.decoder_norm = LayerNorm(width, bias=False)
        self.out_proj = nn.Linear(width, self.patch**2 * self.outputs)

    def _features(self, x_BCHW: Tensor, valid_B1HW: Tensor) -> Tensor:
        """Latents before quantisation, (B, N, D)."""
        if self.is_mask:
            valid_B1HW = valid_B1HW & (x_BCHW < self.outputs)  # a class that training never met is as good as unknown
            x_BCHW = self.class_emb(torch.where(valid_B1HW, x_BCHW, 0)[:, 0].long()).movedim(-1, 1)
        x = torch.cat([x_BCHW * valid_B1HW, valid_B1HW.to(x_BCHW.dtype)], 1)
        x_BNP = rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=self.patch, q=self.patch)
        return self.encoder_norm(self.encoder(self.proj(x_BNP) + self.pos_emb))

    def _reconstruct(self, z_BND: Tensor) -> Tensor:
        """Quantised latents to predictions, (B, K, H, W) float32."""
        y_BNP = self.out_proj(self.decoder_norm(self.decoder(z_BND + self.pos_emb)))
        return rearrange(
            y_BNP, "b (h w) (p q c) -> b c (h p) (w q)", h=self.grid, p=self.patch, q=self.patch, c=self.outputs
        ).float()

    def forward(self, x_BCHW: Tensor, valid_B1HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, quantise and decode.

        Args:
            x_BCHW: network values (`Modality.normalise`), float32.
            valid_B1HW: which pixels count, bool.

        Returns:
            reconstruction (B, K, H, W): network values, or logits of the classes of a mask; token ids (B, N) int64;
            auxiliary loss of the bottleneck (scalar).
        """
        z_BND, ids_BN, auxiliary = self._bottleneck(self._features(x_BCHW, valid_B1HW))
        return self._reconstruct(z_BND), ids_BN, auxiliary

    def _bottleneck(self, z_BND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # In float32: rounding a bfloat16 latent would move it across level boundaries.
        with torch.autocast(z_BND.device.type, enabled=False):
            if isinstance(self.quantize, FSQ):
                latent_BNd = self.quant_proj(z_BND.float())
                latent_BNd = self.spread(latent_BNd.flatten(0, 1)).view_as(latent_BNd)
                quantised, ids = self.quantize(latent_BNd)
                return self.post_quant_proj(quantised), ids.long(), z_BND.new_zeros(())
            quantised, ids, loss = self.quantize(z_BND.float())
            return quantised, ids, loss.sum()

    @torch.no_grad()
    def encode(self, x_BCHW: Tensor, valid_B1HW: Tensor) -> Tensor:
        """Token ids (B, N) int64 of network values."""
        return self._bottleneck(self._features(x_BCHW, valid_B1HW))[1]

    @torch.no_grad()
    def decode(self, ids_BN: Tensor) -> Tensor:
        """Network values (B, C, H, W) of token ids; of a mask the likeliest classes."""
        if isinstance(self.quantize, FSQ):
            z_BND = self.post_quant_proj(self.quantize.indices_to_codes(ids_BN.to(torch.int32)))
        else:
            assert isinstance(self.quantize, VectorQuantize)
            z_BND = self.quantize.get_output_from_indices(ids_BN)
        y_BKHW = self._reconstruct(z_BND)
        return y_BKHW.argmax(1, keepdim=True).float() if self.is_mask else y_BKHW
