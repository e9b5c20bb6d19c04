"""Classes of ADE20K as all views of a place see it together."""

from tst.modalities.semantic import ClassMask


class FusedAde20k(ClassMask):
    """Pseudo-labels: the class of ADE20K that a place has over all frames that saw it (`tst fuse`)."""

    name = "fused_ade20k"
    order = 131
    fuses = "ade20k"
    token_name = "tok_ade20k_fused"
    cell = 4
