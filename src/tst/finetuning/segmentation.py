"""Semantic segmentation: a ConvNeXt head of depth 4 on the encoder (paper W.2, Tab. 12; MultiMAE's ConvNeXtAdapter).

Shape letters: B batch, N tokens, D width, C channels of the head, K classes, H, W pixels.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from tst.evaluation.metrics import summarise
from tst.finetuning.task import Task
from tst.space.space import Space


class ConvNeXtBlock(nn.Module):
    """7x7 depthwise convolution, layer norm, MLP of 4 times the width, residual (Liu et al. 2022).

    Without layer scale: started near zero, it would not open within a short fine-tuning.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        # Depthwise convolutions in bfloat16 are ten times slower than in float32 on CPUs with AMX.
        with torch.autocast(x_BCHW.device.type, enabled=x_BCHW.device.type != "cpu"):
            y = self.dwconv(x_BCHW.float() if x_BCHW.device.type == "cpu" else x_BCHW)
        y = self.pwconv2(F.gelu(self.pwconv1(self.norm(y.permute(0, 2, 3, 1)))))
        return x_BCHW + y.permute(0, 3, 1, 2)


class ConvNeXtHead(nn.Module):
    """Each token becomes cells x cells positions, ConvNeXt blocks mix them, a 1x1 convolution gives their logits."""

    def __init__(self, width: int, grid: int, classes: int, channels: int, depth: int, cells: int) -> None:
        super().__init__()
        self.grid, self.cells = grid, cells
        self.proj = nn.Linear(width, cells * cells * channels)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(channels) for _ in range(depth)))
        self.out = nn.Conv2d(channels, classes, 1)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Tokens (B, N, D) to logits (B, K, cells * grid, cells * grid) float32."""
        x = rearrange(
            self.proj(x_BND), "b (h w) (p q c) -> b c (h p) (w q)", h=self.grid, p=self.cells, q=self.cells
        ).contiguous(memory_format=torch.channels_last)
        return self.out(self.blocks(x)).float()


class Segmentation(Task):
    """Per-pixel classes; cross-entropy without the ignored pixels."""

    name = "segmentation"
    label = "semantic"
    metric = "miou"
    ignore = 255

    def head(self, width: int, grid: int, classes: int, channels: int, depth: int, cells: int) -> nn.Module:
        """ConvNeXt head."""
        return ConvNeXtHead(width, grid, classes, channels, depth, cells)

    def loss(self, output: Tensor, labels_B1HW: Tensor) -> Tensor:
        """Mean cross-entropy over labelled pixels; output is upsampled to half the labels' size."""
        # Every second label: upsampling 4 times costs more than the head, and neighbouring pixels say much the same.
        labels_BHW = labels_B1HW[:, 0, ::2, ::2].long()
        logits = F.interpolate(output, labels_BHW.shape[-2:], mode="bilinear", align_corners=False)
        total = F.cross_entropy(logits, labels_BHW, ignore_index=self.ignore, reduction="sum")
        return total / (labels_BHW != self.ignore).sum().clamp(min=1)

    def score(self, outputs: list[Tensor], labels: list[Tensor], space: Space) -> dict[str, float]:
        """Mean IoU over the classes present and pixel accuracy, in percent."""
        classes = outputs[0].shape[1]
        total = torch.zeros(classes * classes, dtype=torch.int64, device=outputs[0].device)
        for output, labels_B1HW in zip(outputs, labels, strict=True):
            logits = F.interpolate(output, labels_B1HW.shape[-2:], mode="bilinear", align_corners=False)
            truth = labels_B1HW[:, 0].long()
            kept = truth != self.ignore
            total += torch.bincount(truth[kept] * classes + logits.argmax(1)[kept], minlength=classes * classes)
        scores = summarise(total.view(classes, classes).cpu().numpy())
        return {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy}


TASK = Segmentation()
