"""Features of ImageBind."""

from tst.modalities.features import FeatureMap


class ImageBind(FeatureMap):
    """Patch features of ImageBind's image tower (Girdhar et al., 2023)."""

    name = "imagebind"
    order = 100
    token_name = "tok_imagebind"
