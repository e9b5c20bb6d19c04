"""Learned edges."""

from tst.modalities.edges import EdgeMap


class Hed(EdgeMap):
    """Outlines of objects by Holistically-nested Edge Detection (Xie and Tu, 2015): soft, several pixels wide."""

    name = "hed"
    order = 110
    token_name = "tok_hed"
    thin = False
