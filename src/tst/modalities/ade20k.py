"""Classes of ADE20K as a network sees them."""

from tst.modalities.semantic import ClassMask


class Ade20k(ClassMask):
    """Pseudo-labels: classes of ADE20K, numbered as in the Space's provenance; crops hold one for 4 x 4 pixels."""

    name = "ade20k"
    order = 130
    token_name = "tok_ade20k"
    cell = 4
