"""Dense features of a backbone on a grid of the whole frame, whatever its shape: DINOv2, CLIP, ImageBind.

Shape suffixes: B batch, H height, W width, h and w cells of the grid, D width of the backbone.
"""

from typing import Any, Self

import numpy as np

from tst import backbones
from tst.backbones import Backbone
from tst.errors import UserError
from tst.labellers.base import Labeller, Request, content_key, scaled
from tst.modalities import MODALITIES


class Features(Labeller):
    """The tokens after a backbone's last norm, stored as int8 by the modality's `pack`."""

    kinds = ("dinov2", "clip", "imagebind")
    default_resolution = 224
    mixed = True
    weights_hint = "a backbone of docs/baselines.md, such as the folder that `hf download facebook/dinov2-small` makes"

    def __init__(self, request: Request, backbone: Backbone) -> None:
        super().__init__(
            request,
            licence=backbone.licence,
            key=content_key(backbone.state_dict(), backbone.own_spec()),
            settings={"width": backbone.width, "patch": backbone.patch},
        )
        self.backbone = backbone

    @classmethod
    def load(cls, request: Request) -> Self:
        """See `Labeller.load`; a backbone of another kind is refused, since its features would get a wrong name."""
        backbone = backbones.load(request.path or request.name, name=request.name, download=request.download)
        kind = kind_of(backbone)
        if kind not in (None, request.kind):
            remedy = f"Name it {kind}={request.path}" if kind in cls.kinds else f"Give a {request.kind}"
            raise UserError(f"{request.name}={request.path}: is a {kind}, not a {request.kind}. {remedy}.")
        return cls(request, backbone)

    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """Packed features, int8 (h, w, D) each."""
        assert self.resolution is not None
        size = scaled(rgb_BHW3.shape[1:3], self.resolution, self.backbone.patch)
        features_BhwD = self.backbone.features(self.pixels(rgb_BHW3), size).float().cpu().numpy()
        modality: Any = MODALITIES[self.modality]
        return [modality.pack(features_hwD) for features_hwD in features_BhwD]


def kind_of(backbone: Backbone) -> str | None:
    """What a backbone is, as its weights' config tells; None where nothing does (bare files, our own runs)."""
    spec = backbone.own_spec()
    if backbone.family == "imagebind":
        return "imagebind"
    told = str(spec.get("config", {}).get("model_type", "") or spec.get("made", {}).get("architecture", ""))
    if not told:
        return None
    for kind in Features.kinds:
        if kind in told:
            return kind
    return told
