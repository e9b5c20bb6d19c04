"""Edges of SAM's masks."""

from tst.modalities.edges import EdgeMap


class SamEdges(EdgeMap):
    """Borders between the masks that Segment Anything finds: 255 on a border, one pixel wide, as in 4M-21."""

    name = "sam_edges"
    order = 120
    token_name = "tok_sam_edge"
