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
    gamma: NonNegativeFloat = 0.0
    """Values in [0, 1] are raised to exp(g) with g uniform in [-gamma, gamma]: exposure, without clipping."""

    def apply(self, x_B3HW: Tensor, generator: torch.Generator) -> Tensor:
        """Change stored RGB values (0 to 255)."""
        if not self.probability and not self.grey:
            return x_B3HW
        x_B3HW = colour_jitter(x_B3HW, **self.model_dump(exclude={"gamma"}), generator=generator)
        if not self.gamma:
            return x_B3HW
        random = torch.rand(len(x_B3HW), 2, generator=generator).to(x_B3HW.device)
        exponent = torch.exp((2 * random[:, 0] - 1) * self.gamma * (random[:, 1] < self.probability))
        return (x_B3HW / 255).pow_(exponent.view(-1, 1, 1, 1)).mul_(255)
