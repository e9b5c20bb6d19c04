"""The map itself: the cells of all mapped surfaces, and any quantity averaged in them.

Two passes over the frames: the first finds the cells, the second averages. So arrays have their size from the start,
nothing but the table grows, and several quantities share the cells. Finding cells again costs 0.1 microseconds a pixel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tst.errors import UserError
from tst.mapping.averages import Averages
from tst.mapping.cells import Cells
from tst.mapping.predictions import Probabilities
from tst.mapping.views import View, Views

BATCH = 16
"""Frames that are predicted at once."""
SAVE_EVERY = 16 * BATCH
"""Views between two calls of `save`."""


@dataclass(frozen=True, eq=False)
class SpaceMap:
    """Where surfaces are: the frames, and the cells that they show."""

    views: Views
    cells: Cells

    def rows(self, view: View) -> np.ndarray:
        """(H, W) int32 cells of the pixels of a view that count; -1 for the others."""
        chosen = view.weights_HW > 0
        return self.cells.find(view.points_HW3.reshape(-1, 3), chosen.ravel()).reshape(chosen.shape)


@dataclass(frozen=True, eq=False)
class Appearance:
    """What each cell looks like.

    Attributes:
        points_V3: mean position of its surface, float64 metres in the world.
        normals_V3: unit normals in the world, towards the cameras, float32; 0 where unknown.
        colours_V3: uint8.
        views_V: how many frames saw it, int32.
    """

    points_V3: np.ndarray  # noqa: N815
    normals_V3: np.ndarray  # noqa: N815
    colours_V3: np.ndarray  # noqa: N815
    views_V: np.ndarray  # noqa: N815


def build(views: Views) -> SpaceMap:
    """Find the occupied cells.

    Raises:
        UserError: no depth lies within reach, or there are far too many cells.
    """
    cells = Cells(views.config.cell)
    for _, view in views.each("mapping surfaces"):
        cells.insert(view.points_HW3.reshape(-1, 3), view.weights_HW.ravel() > 0)
    if not len(cells):
        reach = f"{views.config.near:g} to {views.config.far:g} m"
        raise UserError(f"{views.space.path}: no map can be made: no frame has depth within {reach}. See `tst check`.")
    return SpaceMap(views, cells)


def appearance(space_map: SpaceMap) -> Appearance:
    """Average positions, normals and colours."""
    cells, views = space_map.cells, space_map.views
    sums = Averages.empty(len(cells), 9)
    corners = cells.corners() * cells.side
    for number, view in views.each("mapping colours"):
        rows = space_map.rows(view)
        inside = view.points_HW3 - corners[rows]  # sums of small numbers stay exact in float32
        looks = np.concatenate([inside, view.normals_HW3, views.rgb(number)], 2, dtype=np.float32)
        sums.add(rows, view.weights_HW, looks)
    mean = sums.mean_VC
    length = np.linalg.norm(mean[:, 3:6], axis=1, keepdims=True)
    return Appearance(
        points_V3=views.origin + corners + mean[:, :3],
        normals_V3=mean[:, 3:6] / np.where(length > 0, length, 1),
        colours_V3=mean[:, 6:].round().astype(np.uint8),
        views_V=sums.views_V,
    )


def fuse(
    space_map: SpaceMap,
    probabilities: Probabilities,
    sums: Averages | None = None,
    start: int = 0,
    save: Callable[[Averages, int], None] | None = None,
) -> Averages:
    """Average class probabilities of all views in the map, with their votes.

    Args:
        space_map: the map.
        probabilities: of any frame of the Space.
        sums: goes on with these, from view `start` (0 .. F - 1) on.
        save: is called now and then with the sums and the next view, to go on from there.
    """
    sums = sums or Averages.empty(len(space_map.cells), len(probabilities.classes), votes=True)
    views = space_map.views
    for number, view, values_Chw in predicted(views, probabilities, f"fusing views of {views.space.name}", start):
        sums.add(space_map.rows(view), view.weights_HW, np.moveaxis(values_Chw, 0, -1))
        if save and (number + 1) % SAVE_EVERY == 0:
            save(sums, number + 1)
    return sums


def predicted(
    views: Views, probabilities: Probabilities, description: str, start: int = 0
) -> Iterator[tuple[int, View, np.ndarray]]:
    """`Views.each` with the (C, h, w) float32 probabilities of each; BATCH frames are predicted at once."""
    each = views.each(description, start)
    while batch := list(islice(each, BATCH)):
        found = probabilities([view.frame for _, view in batch])
        for (number, view), values_Chw in zip(batch, found, strict=True):
            yield number, view, values_Chw
