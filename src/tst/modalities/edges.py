"""Edges: what all kinds of them share, and Canny's of the RGB image."""

from typing import TYPE_CHECKING, ClassVar, Literal

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from tst.modalities.base import Modality, mean_over_images

if TYPE_CHECKING:
    from tst.space.camera import Camera

LOW_THRESHOLD, HIGH_THRESHOLD = 30, 60
BLUR_SIGMA = 1.0
# A resized or reconstructed value counts as an edge from here on. A one-pixel line that falls between two pixels gives
# each half of 255, so half of 255 itself would be a coin toss.
EDGE_LEVEL = 85


class EdgeMap(Modality):
    """Edges: uint8, the higher the surer; 0 where there is none. Everything is known. Networks see [-1, 1]."""

    thin: ClassVar[bool] = True
    """Lines are one pixel wide, of 255."""
    interpolation: ClassVar[Literal["bilinear", "nearest"]] = "bilinear"

    def resize(self, array: np.ndarray, height: int, width: int) -> np.ndarray:
        """Area average when shrinking; thin edges times the shrinkage, so that a line does not fade."""
        if height > array.shape[0] or width > array.shape[1]:
            return cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR)
        gain = (array.shape[0] * array.shape[1] / (height * width)) ** 0.5 if self.thin else 1.0
        mean = cv2.resize(array.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return np.rint(np.minimum(mean * gain, 255)).astype(np.uint8)

    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """F1 of edge pixels, a pixel matching if the other image has an edge within one pixel (8 neighbours)."""
        predicted, true = ((x.float() >= EDGE_LEVEL).float() for x in (prediction_BCHW, target_BCHW))
        near_true, near_predicted = (F.max_pool2d(x, 3, 1, 1) for x in (true, predicted))
        precision = (predicted * near_true).sum((1, 2, 3)) / predicted.sum((1, 2, 3)).clamp_min(1)
        recall = (true * near_predicted).sum((1, 2, 3)) / true.sum((1, 2, 3)).clamp_min(1)
        f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-6)
        has_any = (predicted + true).flatten(1).any(1)
        return {"edge_f1": mean_over_images(f1[:, None, None], has_any[:, None, None])}

    def draw(self, array: np.ndarray) -> np.ndarray:
        """White on black."""
        return np.repeat(array[..., None], 3, -1)


class Edges(EdgeMap):
    """Where brightness changes: uint8, 255 on an edge, 0 elsewhere; softer in between once resized.

    Grey image, Gaussian blur (sigma 1, 5x5), then Canny with L1 gradients of a 3x3 Sobel and thresholds 30 and 60, at
    the size of the RGB image. The usual thresholds, 100 and 200, leave bright plain rooms without edges
    (docs/modalities.md has the counts).
    """

    name = "edges"
    order = 40
    token_name = "tok_canny_edge"
    sources = ("rgb",)
    version = 2

    def derive(self, sources: dict[str, np.ndarray], camera: "Camera | None") -> np.ndarray:
        """Edges of `rgb`, at its size."""
        grey = cv2.cvtColor(sources["rgb"], cv2.COLOR_RGB2GRAY)
        return cv2.Canny(cv2.GaussianBlur(grey, (5, 5), BLUR_SIGMA), LOW_THRESHOLD, HIGH_THRESHOLD)
