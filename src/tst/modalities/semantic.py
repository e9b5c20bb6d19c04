"""Class masks: what all of them share, and the annotated one."""

import functools

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tst.modalities.base import Modality, mean_over_images

IGNORE = 255


@functools.cache
def palette() -> np.ndarray:
    """Colours of 256 classes, (256, 3) uint8: each the farthest (CIE Lab) from all before it; 255 is black."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 1, 3)
    lab = cv2.cvtColor(candidates.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[:, 0]
    chosen: list[int] = []
    # Black is taken, white and mid-grey read as "nothing" to people: stay away from all three.
    distance = np.min([np.linalg.norm(lab - grey, axis=1) for grey in ([0, 0, 0], [100, 0, 0], [55, 0, 0])], axis=0)
    for _ in range(255):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
    return np.concatenate([candidates[chosen, 0], np.zeros((1, 3), np.uint8)])


class ClassMask(Modality):
    """Class index of each pixel: uint8, 255 = unknown. Network values are the indices, predictions are logits."""

    unknown = IGNORE

    def valid(self, x_BCHW: Tensor) -> Tensor:
        """Everything but the ignored."""
        return x_BCHW != IGNORE

    def normalise(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The indices, 0 where ignored, and which are valid."""
        valid = self.valid(x_BCHW)
        return torch.where(valid, x_BCHW.float(), 0.0), valid

    def denormalise(self, z_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
        """Rounded indices."""
        return z_BCHW.float().round().clamp(0, IGNORE)

    def reconstruction_loss(self, prediction_BKHW: Tensor, target_B1HW: Tensor, valid_B1HW: Tensor) -> Tensor:
        """Cross-entropy of logits (B, K, H, W) over valid pixels; the target is the indices, all below K."""
        error_BHW = F.cross_entropy(prediction_BKHW, target_B1HW[:, 0].long(), reduction="none")
        return (error_BHW[:, None] * valid_B1HW).sum() / valid_B1HW.sum().clamp(min=1)

    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """Share of pixels with the right class, and mean IoU over the batch's classes."""
        valid = self.valid(target_BCHW)
        predicted, true = prediction_BCHW[valid].long(), target_BCHW[valid].long()
        confusion = torch.bincount(true * 256 + predicted, minlength=256 * 256).view(256, 256).double()
        overlap, present = confusion.diagonal(), confusion.sum(1) > 0
        iou = overlap[present] / (confusion.sum(0) + confusion.sum(1) - overlap)[present]
        accuracy = mean_over_images((prediction_BCHW == target_BCHW).float(), valid)
        return {"accuracy": accuracy, "miou": float(iou.mean()) if len(iou) else float("nan")}

    def draw(self, array: np.ndarray) -> np.ndarray:
        """One well-separated colour a class, ignored pixels black."""
        return palette()[array]


class Semantic(ClassMask):
    """Classes that people annotated, those of the Space's class list."""

    name = "semantic"
    order = 50
    is_label = True
