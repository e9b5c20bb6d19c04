"""Edges of SAM's masks (Kirillov et al. 2023), as 4M-21 and the paper's Sec. 4.5 use: Canny on the masks' boundaries.

Masks are made as by SAM's `SamAutomaticMaskGenerator` with one crop: a grid of points prompts the decoder, masks whose
predicted IoU or stability is low are dropped, then those whose box is that of a better one.

Shape suffixes: B batch, H height, W width, h and w of the decoder's masks, P points, K masks kept.
"""

from typing import Any, ClassVar, Self

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tst.backbones.base import Triple, resize
from tst.backbones.hub import load_transformers, need, read, transformers_config
from tst.backbones.transformers_vit import IMAGENET, pixel_statistics
from tst.errors import UserError
from tst.labellers.base import Labeller, Request, content_key, scaled, weights_path
from tst.licences import licence_of, tell

POINTS = 32
"""Points along a side of the grid; SAM's own."""
POINTS_AT_ONCE = 64
MIN_IOU, MIN_STABILITY, STABILITY_OFFSET, SAME_BOX = 0.88, 0.95, 1.0, 0.7


class SamEdges(Labeller):
    """255 on the boundary of a mask, 0 elsewhere, uint8."""

    kinds = ("sam-edges",)
    default_resolution = 512
    weights_hint = "the folder that `hf download facebook/sam-vit-huge` makes"
    published: ClassVar[dict[str, str]] = {
        "sam-edges": "facebook/sam-vit-huge",
        "sam-edges-large": "facebook/sam-vit-large",
        "sam-edges-base": "facebook/sam-vit-base",
    }

    def __init__(self, request: Request, model: Any, licence: str, statistics: tuple[Triple, Triple]) -> None:
        key = content_key(model.state_dict(), model.config.to_dict(), statistics)
        super().__init__(request, licence=licence, key=key, settings={"points": POINTS, "min_iou": MIN_IOU})
        self.model = model
        self.mean, self.std = (255 * torch.tensor(values).view(3, 1, 1) for values in statistics)

    @classmethod
    def load(cls, request: Request) -> Self:
        """See `Labeller.load`."""
        path = weights_path(cls, request)
        source = read(path)
        if (found := source.config.get("model_type")) != "sam":
            raise UserError(f"{path}: {found or 'a model without config.json'}, not a SAM. Give {cls.weights_hint}.")
        config = transformers_config(source)
        model = load_transformers(need("transformers").SamModel, config, source)
        licence = licence_of(path, "Apache-2.0")
        tell(request.name, licence)
        return cls(request, model, licence, pixel_statistics(source, IMAGENET))

    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """Edges, uint8 (H, W) each, at `resolution` or the frame's own size if that is smaller."""
        assert self.resolution is not None
        own = rgb_BHW3.shape[1:3]
        size = scaled(own, min(self.resolution, *own))
        side = self.model.config.vision_config.image_size
        inner = scaled(own, max(1, round(side * min(own) / max(own))))
        inner = (min(inner[0], side), min(inner[1], side))
        x_B3HW = (resize(self.pixels(rgb_BHW3), inner) - self.mean.to(self.device)) / self.std.to(self.device)
        x_B3HW = F.pad(x_B3HW, (0, side - inner[1], 0, side - inner[0]))
        embeddings = self.model.get_image_embeddings(x_B3HW)
        return [boundaries(self._masks(embedding[None], inner, size), size) for embedding in embeddings]

    def _masks(self, embedding: Tensor, inner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Masks (K, H, W) uint8 at `size` of one image, whose pixels fill `inner` of the encoder's square."""
        side = self.model.config.vision_config.image_size
        kept, scores, boxes = [], [], []
        for points_P2 in point_grid(inner, POINTS).to(self.device).split(POINTS_AT_ONCE):
            output = self.model(image_embeddings=embedding, input_points=points_P2[None, :, None])
            iou, logits = output.iou_scores.float().flatten(), output.pred_masks.float().flatten(0, 2)
            sure = iou > MIN_IOU
            if not bool(sure.any()):
                continue
            iou, logits_Khw = iou[sure], logits[sure]
            full = F.interpolate(logits_Khw[:, None], (side, side), mode="bilinear", align_corners=False)
            full = F.interpolate(full[..., : inner[0], : inner[1]], size, mode="bilinear", align_corners=False)[:, 0]
            inside, outside = ((full > offset).sum((1, 2)) for offset in (STABILITY_OFFSET, -STABILITY_OFFSET))
            stable = inside / outside.clamp(min=1) > MIN_STABILITY
            masks_KHW = (full > 0)[stable & (full > 0).any(-1).any(-1)]
            kept.append(masks_KHW)
            scores.append(iou[stable & (full > 0).any(-1).any(-1)])
            boxes.append(_boxes(masks_KHW))
        if not kept:
            return np.zeros((0, *size), np.uint8)
        best = need("torchvision").ops.nms(torch.cat(boxes).float(), torch.cat(scores), SAME_BOX)
        return torch.cat(kept)[best].to(torch.uint8).cpu().numpy()


def point_grid(inner: tuple[int, int], count: int) -> Tensor:
    """(P, 2) float32 x, y in pixels: the centres of `count` x `count` cells of an image of (height, width)."""
    step = (torch.arange(count) + 0.5) / count
    y, x = torch.meshgrid(step * inner[0], step * inner[1], indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def boundaries(masks_KHW: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """255 where Canny finds an edge of any of the masks (uint8 0 and 1), uint8 (H, W)."""
    edges = np.zeros(size, np.uint8)
    for mask_HW in masks_KHW:
        np.maximum(edges, cv2.Canny(mask_HW * np.uint8(255), 100, 200), out=edges)
    return edges


def _boxes(masks_KHW: Tensor) -> Tensor:
    """x1, y1, x2, y2 (K, 4) of masks that are not empty."""
    rows_KH, columns_KW = masks_KHW.any(2).int(), masks_KHW.any(1).int()
    height, width = masks_KHW.shape[1:]
    y1, x1 = rows_KH.argmax(1), columns_KW.argmax(1)
    y2, x2 = height - 1 - rows_KH.flip(1).argmax(1), width - 1 - columns_KW.flip(1).argmax(1)
    return torch.stack([x1, y1, x2, y2], 1)
