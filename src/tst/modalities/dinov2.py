"""Features of DINOv2."""

from tst.modalities.features import FeatureMap


class Dinov2(FeatureMap):
    """Patch features of a DINOv2 ViT: of objects and their parts (Oquab et al., 2023)."""

    name = "dinov2"
    order = 80
    token_name = "tok_dinov2"
