"""What the map itself is worth on another, labelled walk: an oracle, since it takes each frame's depth and pose.

A network that sees one image is measured beside it. Labels only measure.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from tst.evaluation.metrics import FrameConfusions
from tst.mapping.averages import Averages
from tst.mapping.look_up import cast, look_up
from tst.mapping.predictions import Probabilities
from tst.mapping.space_map import SpaceMap
from tst.mapping.views import MapConfig, Views
from tst.space.space import Space

BEYOND = 4.0
"""Metres by which rays are followed further than surfaces are mapped: a camera may see across a room."""


def read_map(
    map_and_sums: tuple[SpaceMap, Averages] | None, own: Probabilities, labelled: Space, *, depth: bool = True
) -> tuple[FrameConfusions, float]:
    """Confusions on a labelled walk of what the map says; where it says nothing, of the model's own answer.

    Args:
        map_and_sums: averages of class probabilities, of walks in the same world; None measures the model alone.
        own: of the labelled walk's frames.
        labelled: walks with labels, depth and poses.
        depth: read the map at each pixel's own depth; otherwise along its ray.

    Returns:
        The confusions, and the share of all pixels that the map has.
    """
    views = Views(labelled, map_and_sums[0].views.config if map_and_sums else MapConfig())
    rows = labelled.frames()
    hits: list[float] = []

    def masks() -> Iterator[tuple[str, str | None, np.ndarray, np.ndarray]]:
        for number, view in views.each("reading the map" if map_and_sums else "measuring the model"):
            walk, row = rows[view.frame]
            truth = walk.read("semantic", row)
            height, width = view.known_HW.shape
            values = torch.from_numpy(own([view.frame])[0])[None]
            if map_and_sums:
                space_map, sums = map_and_sums
                if depth:
                    moved = (views.origin - space_map.views.origin).astype(np.float32)
                    points, known = (view.points_HW3 + moved).reshape(-1, 3), view.known_HW.ravel()
                else:
                    camera = walk.camera(row)
                    assert camera is not None
                    near, far = space_map.views.config.near, space_map.views.config.far + BEYOND
                    camera, origin = camera.resized(width, height), space_map.views.origin
                    pose = views.poses[number]
                    points, known = cast(space_map.cells, sums.views_V, camera, pose, origin, near=near, far=far)
                found = look_up(space_map.cells, sums, points, known)
                hit = found.views_P > 0
                hits.append(float(hit.mean()))
                values = F.interpolate(values, (height, width), mode="bilinear")[0].flatten(1).T
                values = torch.where(torch.from_numpy(hit)[:, None], torch.from_numpy(found.values_PC), values)
                values = values.T.reshape(1, -1, height, width)
            full = F.interpolate(values, truth.shape, mode="bilinear")[0].argmax(0).numpy()
            yield f"{walk.name}/{walk.ids[row]}", walk.frames["part"][row].as_py(), full, truth

    result = FrameConfusions.from_masks(masks(), own.classes, labelled.ignore_index)
    return result, float(np.mean(hits)) if hits else 0.0
