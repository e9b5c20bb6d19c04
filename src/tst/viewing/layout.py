"""How the recording is laid out in the viewer: space on the left, images on the right, curves below; a tab a walk."""

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from tst.space.level import level_axes
from tst.space.sensors import curves, sensors
from tst.space.space import Walk

ONE_COLUMN = 3
"""Up to so many images are in one column; more in two."""
CURVES = 3
"""Plots beside each other; more become tabs."""
ABOVE, ASIDE = 1.0, 0.9
"""Times the extent of the path: where the space is looked at from."""
SMALLEST = 4.0
"""Metres: the extent of a path on which the camera hardly moved."""


def layout(walks: list[Walk]) -> rrb.Blueprint:
    """The blueprint for these walks, whose entities are as `recording.py` says."""
    tabs = [_walk(walk) for walk in walks]
    timed = any(walk.frames["time"].null_count < len(walk) for walk in walks)
    return rrb.Blueprint(
        rrb.Tabs(*tabs) if len(tabs) > 1 else tabs[0],
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(state="collapsed", timeline="time" if timed else "frame"),
    )


def _walk(walk: Walk) -> rrb.Container:
    root = rr.new_entity_path([walk.name])
    modalities = walk.modalities()
    images: rrb.Container | rrb.View = rrb.Grid(
        *(rrb.Spatial2DView(origin=f"{root}/camera/{name}", name=name) for name in modalities),
        grid_columns=1 if len(modalities) <= ONE_COLUMN else 2,
    )
    if walk.frames["pose"].null_count < len(walk):
        space = rrb.Spatial3DView(
            origin=root,
            name="space",
            eye_controls=_eye(walk),
            contents=[f"$origin/{part}" for part in ("path", "points", "ceiling", "camera", "camera/rgb")],
            overrides={f"{root}/ceiling": rrb.EntityBehavior(visible=False)},
        )
        images = rrb.Horizontal(space, images, column_shares=[2, 1] if len(modalities) <= ONE_COLUMN else [3, 2])
    plots = [
        rrb.TimeSeriesView(origin=rr.new_entity_path([walk.name, "sensors", name, group]), name=f"{name} {group}")
        for name in sensors(walk)
        for group in curves(name)
    ]
    if not plots:
        return rrb.Vertical(images, name=walk.name)
    below = rrb.Horizontal(*plots) if len(plots) <= CURVES else rrb.Tabs(*plots)
    return rrb.Vertical(images, below, row_shares=[3, 1], name=walk.name)


def _eye(walk: Walk) -> rrb.EyeControls3D:
    """Looking down on the walk from aside, into rooms whose ceilings are hidden."""
    poses = np.array([pose for row in range(len(walk)) if (pose := walk.pose(row)) is not None])
    _, aside, up = level_axes(poses)
    low, high = poses[:, :3, 3].min(0), poses[:, :3, 3].max(0)
    middle, extent = (low + high) / 2, max(SMALLEST, float(np.linalg.norm(high - low)))
    return rrb.EyeControls3D(position=middle + extent * (ABOVE * up - ASIDE * aside), look_target=middle, eye_up=up)
