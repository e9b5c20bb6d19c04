"""RGB images."""

from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tst.modalities.base import Modality

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def to_imagenet(x_B3HW: Tensor) -> Tensor:
    """Stored values 0..255 to ImageNet's mean 0 and deviation 1: the pixel input of encoders."""
    mean = torch.tensor(IMAGENET_MEAN, device=x_B3HW.device).view(3, 1, 1) * 255
    std = torch.tensor(IMAGENET_STD, device=x_B3HW.device).view(3, 1, 1) * 255
    return (x_B3HW.float() - mean) / std


def ssim(a_BCHW: Tensor, b_BCHW: Tensor, data_range: float = 255.0) -> Tensor:
    """Structural similarity of Wang et al. (2004), one value an image, (B,).

    Gaussian window 11x11 with sigma 1.5 (the largest odd window that fits, if the image is smaller), K = (0.01, 0.03),
    population variances, windows wholly inside the image, channels averaged.
    """
    size = min(11, *(side - 1 + side % 2 for side in a_BCHW.shape[-2:]))
    position = torch.arange(size, device=a_BCHW.device, dtype=torch.float32) - size // 2
    window = torch.exp(-(position**2) / (2 * 1.5**2))
    window = window / window.sum()
    channels = a_BCHW.shape[1]
    # Moments about mid-grey: float32 has no digits to spare for E[x^2] - E[x]^2 of bright flat images.
    a, b = a_BCHW.float() - data_range / 2, b_BCHW.float() - data_range / 2
    moments = torch.cat([a, b, a * a, b * b, a * b], 1)
    weight = window.expand(5 * channels, 1, 1, size)
    blurred = F.conv2d(F.conv2d(moments, weight, groups=5 * channels), weight.mT, groups=5 * channels)
    mean_a, mean_b, square_a, square_b, product = blurred.split(channels, 1)
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    mean_a, mean_b = mean_a + data_range / 2, mean_b + data_range / 2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean((1, 2, 3))


class Rgb(Modality):
    """What the camera saw: uint8, red green blue. Networks (tokenizers) see [-1, 1]."""

    name = "rgb"
    order = 10
    token_name = "tok_rgb"
    channels = 3
    interpolation: ClassVar[Literal["bilinear", "nearest"]] = "bilinear"
    extension = ".jpg"

    def _imread_flags(self) -> int:
        # The orientation tag is ignored: pixels, intrinsics and poses must agree, and readers refuse turned images.
        return cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION

    def _imwrite_options(self, path: Path) -> list[int]:
        return [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix.lower() in (".jpg", ".jpeg") else []

    def resize(self, array: np.ndarray, height: int, width: int) -> np.ndarray:
        """Area average when shrinking, bilinear when growing."""
        shrinks = height <= array.shape[0] and width <= array.shape[1]
        return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """PSNR in dB (an image's at most 100) and SSIM."""
        difference = (prediction_BCHW.float() - target_BCHW.float()) / 255
        error = difference.square().flatten(1).mean(1).clamp_min(1e-10)
        psnr = -10 * torch.log10(error)
        return {"psnr": float(psnr.mean()), "ssim": float(ssim(prediction_BCHW, target_BCHW).mean())}

    def draw(self, array: np.ndarray) -> np.ndarray:
        """The image itself."""
        return array.copy()
