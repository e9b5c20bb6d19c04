"""Photometric changes of RGB, as a config."""

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from tst.config import Config
from tst.modalities.crop import colour_jitter


class JitterConfig(Config):
    """Random changes of colour, for each image its own."""

    brightness: NonNegativeFloat = 0.4
    contrast: NonNegativeFloat = 0.4
    saturation: NonNegativeFloat = 0.2
    hue: NonNegativeFloat = 0.05
    probability: float = Field(0.8, ge=0, le=1)
    """Share of the images changed; 0 turns jitter off."""
    grey: float = Field(0.0, ge=0, le=1)
    """Share of the images made grey."""

    def apply(self, x_B3HW: Tensor, generator: torch.Generator) -> Tensor:
        """Change stored RGB values (0 to 255)."""
        if not self.probability and not self.grey:
            return x_B3HW
        return colour_jitter(x_B3HW, **self.model_dump(), generator=generator)
