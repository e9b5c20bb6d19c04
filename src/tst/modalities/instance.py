"""Instances of objects."""

import colorsys
import functools

import numpy as np
from torch import Tensor

from tst.modalities.base import Modality, mean_over_images


@functools.cache
def palette() -> np.ndarray:
    """Colours of 65536 instances, (65536, 3) uint8: hues a golden ratio apart, so neighbours differ; 0 is black."""
    cycle = [
        colorsys.hsv_to_rgb(index * 0.6180339887 % 1.0, (0.9, 0.6, 0.75)[index % 3], (1.0, 0.85, 0.65)[index // 3 % 3])
        for index in range(1, 2048)
    ]
    colours = np.resize((np.array(cycle) * 255).round().astype(np.uint8), (65535, 3))
    return np.concatenate([np.zeros((1, 3), np.uint8), colours])


class Instance(Modality):
    """Number of the object each pixel belongs to: uint16, 0 = none. Network values are the numbers themselves."""

    name = "instance"
    order = 60
    dtype = np.dtype(np.uint16)
    is_label = True

    def valid(self, x_BCHW: Tensor) -> Tensor:
        """Wherever there is an object."""
        return x_BCHW != 0

    def normalise(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers, and where there is one."""
        return x_BCHW.float(), self.valid(x_BCHW)

    def denormalise(self, z_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
        """Rounded numbers."""
        return z_BCHW.float().round().clamp(0, 65535)

    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """Share of the objects' pixels with the right number."""
        same = (prediction_BCHW == target_BCHW).float()
        return {"accuracy": mean_over_images(same, self.valid(target_BCHW))}

    def draw(self, array: np.ndarray) -> np.ndarray:
        """One colour an object, none black."""
        return palette()[array]
