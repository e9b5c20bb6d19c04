"""Classes of COCO as a network sees them."""

from tst.modalities.semantic import ClassMask


class CocoMasks(ClassMask):
    """Pseudo-labels: classes of COCO (4M's semseg), numbered as in the Space's provenance; crops hold one for 4 x 4."""

    name = "coco_masks"
    order = 140
    token_name = "tok_semseg"
    cell = 4
