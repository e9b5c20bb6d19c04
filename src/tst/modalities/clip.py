"""Features of CLIP."""

from tst.modalities.features import FeatureMap


class Clip(FeatureMap):
    """Patch features of CLIP's (or SigLIP's) image tower: near to words (Radford et al., 2021)."""

    name = "clip"
    order = 90
    token_name = "tok_clip"
