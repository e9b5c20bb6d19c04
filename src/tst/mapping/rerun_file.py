"""A map as a Rerun recording: colour, class, confidence and agreement as layers of points, and the cameras' path."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from tst.errors import UserError
from tst.files import atomic_path
from tst.mapping.averages import Averages
from tst.mapping.picture import COLOURS
from tst.mapping.space_map import Appearance, SpaceMap
from tst.modalities.semantic import palette
from tst.space.level import level_axes
from tst.viewing.offline import offline
from tst.viewing.view import INSTALL


def write_rerun(
    path: Path, space_map: SpaceMap, look: Appearance, sums: Averages | None = None, classes: Sequence[str] = ()
) -> None:
    """Write a map; `sums` are its class probabilities.

    Raises:
        UserError: Rerun is not installed.
    """
    with atomic_path(path) as temporary, offline():
        try:
            import rerun as rr
        except ImportError:
            raise UserError(f"{path}: Rerun is not installed. Install it: {INSTALL}, or write a .ply.") from None
        recording = rr.RecordingStream("tst")
        recording.save(temporary)
        try:
            poses = space_map.views.poses
            up = level_axes(poses)[2]
            axis = int(np.abs(up).argmax())
            coordinates = getattr(rr.ViewCoordinates, f"RIGHT_HAND_{'XYZ'[axis]}_{'UP' if up[axis] > 0 else 'DOWN'}")
            recording.log("map", coordinates, static=True)
            recording.log("map/cameras", rr.Points3D(poses[:, :3, 3], colors=(240, 150, 40), radii=0.02), static=True)
            radius = 0.6 * space_map.cells.side

            def layer(name: str, **style: Any) -> None:
                recording.log(f"map/{name}", rr.Points3D(look.points_V3, radii=radius, **style), static=True)

            layer("colour", colors=look.colours_V3)
            if sums is not None:
                named = [(number, name, palette()[number]) for number, name in enumerate(classes)]
                recording.log("map/class", rr.AnnotationContext(named), static=True)
                layer("class", class_ids=sums.total_VC.argmax(1).astype(np.uint16))
                shades = mpl.colormaps[COLOURS]
                layer("confidence", colors=shades(sums.mean_VC.max(1), bytes=True))
                layer("agreement", colors=shades(sums.agreement_V, bytes=True))
        finally:
            recording.disconnect()
