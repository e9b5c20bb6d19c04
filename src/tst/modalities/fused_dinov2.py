"""DINOv2's features as all views of a place have them together."""

from tst.modalities.features import FeatureMap


class FusedDinov2(FeatureMap):
    """Features of DINOv2 averaged in 3D over all frames that saw a place (`tst fuse`)."""

    name = "fused_dinov2"
    order = 81
    fuses = "dinov2"
    token_name = "tok_dinov2_fused"
