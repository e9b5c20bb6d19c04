"""Semantic masks: a class index for each pixel, by any segmenter of ADE20K's or COCO's labels.

Shape suffixes: B batch, H height, W width, L labels of the segmenter.
"""

from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F

from tst.errors import UserError
from tst.finetuning.segmenters import Segmenter, load_segmenter
from tst.labellers.base import Labeller, Request, content_key, scaled, weights_path
from tst.licences import tell

NOTHING = {"others", "other", "background", "unlabeled", "void", "ignore"}
"""Labels that stand for no class: stored as unknown, and not counted."""
UNKNOWN = 255


class Masks(Labeller):
    """The label with the highest score, counted from 0 without those that stand for nothing; 255 unknown."""

    kinds = ("ade20k", "coco-masks")
    default_resolution = 256
    weights_hint = "the folder of a segmenter or Mask2Former of transformers, or a .tflite with labels.txt beside it"
    published: ClassVar[dict[str, str]] = {
        "ade20k": "facebook/mask2former-swin-small-ade-semantic",
        "coco-masks": "facebook/mask2former-swin-small-coco-panoptic",
    }

    def __init__(self, request: Request, segmenter: Segmenter) -> None:
        classes = [name for name in segmenter.labels if name not in NOTHING]
        spec = segmenter.spec()
        super().__init__(
            request,
            licence=segmenter.licence,
            key=content_key(segmenter.state_dict(), segmenter.sort, spec),
            settings={"side": segmenter.side},
            classes=classes,
        )
        self.segmenter = segmenter.eval()
        order = iter(range(len(classes)))
        numbers = [UNKNOWN if name in NOTHING else next(order) for name in segmenter.labels]
        self.numbers = np.array(numbers, np.uint8)

    @classmethod
    def load(cls, request: Request) -> Self:
        """See `Labeller.load`."""
        path = weights_path(cls, request)
        segmenter = load_segmenter(path)
        if len(segmenter.labels) > UNKNOWN:
            raise UserError(f"{path}: has {len(segmenter.labels)} labels, more than the {UNKNOWN} that fit a byte.")
        tell(request.name, segmenter.licence)
        return cls(request, segmenter)

    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """Masks, uint8 (H, W) each, at `resolution` or the frame's own size if that is smaller."""
        assert self.resolution is not None
        own = rgb_BHW3.shape[1:3]
        size = scaled(own, min(self.resolution, *own))
        scores_BLhw = self.segmenter(self.pixels(rgb_BHW3)).float()
        masks = []
        for scores_Lhw in scores_BLhw:  # one by one: enlarged scores of all labels are large
            full = F.interpolate(scores_Lhw[None], size, mode="bilinear", align_corners=False)
            masks.append(self.numbers[full[0].argmax(0).to(torch.int64).cpu().numpy()])
        return masks
