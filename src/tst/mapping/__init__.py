"""A 3D map of a Space: what posed views with depth say of each place, averaged; and what follows from it.

A sparse grid of cells (`cells`) over the surfaces that the walks' depth shows (`views`), any quantity averaged in it
(`averages`, `voxel_map`), read back from any camera (`look_up`), fused pseudo-labels (`labels`), a score without labels
(`score`), and places where the map is weak (`weakness`). docs/mapping.md has the rules and what was measured.

Shape letters: F frames, H height, W width, P points, V cells of the map, C channels or classes.
"""
