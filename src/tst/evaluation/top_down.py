"""Where in the space a model is right and wrong: pixels gathered on the floor plan, by depth and pose.

The vertical is taken from the cameras, which people and robots hold upright, so any world axes do. What is well above
the camera (ceilings) is left out, as a plan leaves it out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tst.files import atomic_path
from tst.space.level import level_axes, storeys
from tst.space.space import Space, Walk

CELL = 0.1
"""Side of a cell in metres."""
ABOVE_CAMERA = 0.3
PIXELS_A_SIDE = 80
"""Pixels looked at along each side of a frame: enough to fill cells, few enough to be quick."""


@dataclass(frozen=True, eq=False)
class TopDown:
    """Counts of one floor.

    Attributes:
        right, total: int64 (H, W), pixels that were right, and all that are labelled; row 0 is the highest second
            coordinate, as on a map.
        name: of the floor.
    """

    right: np.ndarray
    total: np.ndarray
    name: str

    def picture(self, scale: int = 5) -> np.ndarray:
        """Red where wrong, green-blue where right, paler where little was seen; uint8 (H, W, 3)."""
        share = self.right / np.maximum(self.total, 1)
        bad, middle, good = (np.array(c, float) for c in ((176, 72, 47), (238, 216, 170), (15, 110, 106)))
        colour = np.where(
            share[..., None] < 0.5,
            bad + (middle - bad) * 2 * share[..., None],
            middle + (good - middle) * (2 * share[..., None] - 1),
        )
        weight = np.clip(self.total / 4, 0, 1)[..., None]
        shown = (247 + (colour - 247) * weight).round().astype(np.uint8)
        return shown.repeat(scale, 0).repeat(scale, 1)


class TopDownMaps:
    """Gathers what a model gets right over a whole Space, one map a floor.

    Args:
        space: every frame has depth, a camera and a pose (see `possible`).
    """

    def __init__(self, space: Space) -> None:
        rows = space.frames()
        poses = np.array([walk.pose(row) for walk, row in rows])
        self._axes = level_axes(poses)
        self._floors = storeys(poses[:, :3, 3] @ self._axes[2])
        self._index = {(walk.name, row): k for k, (walk, row) in enumerate(rows)}
        self._points: dict[int, list[np.ndarray]] = {}

    @staticmethod
    def possible(space: Space) -> bool:
        """Whether the Space has what a map needs."""
        return "depth" in space.modalities() and all(
            walk.pose(row) is not None and walk.camera(row) is not None for walk, row in space.frames()
        )

    def add(self, walk: Walk, row: int, right: np.ndarray, counts: np.ndarray) -> None:
        """Enter one frame: `right` and `counts` (labelled at all), bool (H, W) of any size of the frame's aspect."""
        depth = walk.read("depth", row)
        camera, pose = walk.camera(row), walk.pose(row)
        assert camera is not None and pose is not None
        step = np.linspace(0, 1, PIXELS_A_SIDE, endpoint=False) + 0.5 / PIXELS_A_SIDE
        v, u = np.meshgrid(step, step, indexing="ij")

        def pick(array: np.ndarray) -> np.ndarray:
            return array[(v * array.shape[0]).astype(int), (u * array.shape[1]).astype(int)]

        z = pick(depth).astype(np.float64) / 1000
        points = camera.unproject(z) @ pose[:3, :3].T + pose[:3, 3]
        level = points @ self._axes.T
        keep = (z > 0) & pick(counts) & (level[..., 2] < pose[:3, 3] @ self._axes[2] + ABOVE_CAMERA)
        cells = np.floor(level[keep][:, :2] / CELL).astype(np.int64)
        floor = int(self._floors[self._index[walk.name, row]])
        self._points.setdefault(floor, []).append(np.column_stack([cells, pick(right)[keep]]))

    def maps(self) -> list[TopDown]:
        """One a floor, the lowest first."""
        result = []
        for floor in sorted(self._points):
            entries = np.concatenate(self._points[floor])
            if not len(entries):
                continue
            # A few far points (through a window, a speck of noise) must not blow the map up.
            low, high = np.percentile(entries[:, :2], [0.1, 99.9], axis=0).astype(int)
            inside = ((entries[:, :2] >= low) & (entries[:, :2] <= high)).all(1)
            x, y = (entries[inside, :2] - low).T
            shape = tuple(high - low + 1)
            total, right = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
            np.add.at(total, (x, y), 1)
            np.add.at(right, (x, y), entries[inside, 2])
            name = f"floor {floor + 1}" if len(self._points) > 1 else "plan"
            result.append(TopDown(right.T[::-1], total.T[::-1], name))
        return result


def save(path: Path, maps: list[TopDown]) -> None:
    """Write maps as one .npz, atomically."""
    arrays = {f"{index}/{kind}": getattr(item, kind) for index, item in enumerate(maps) for kind in ("right", "total")}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, names=np.array([item.name for item in maps]), **arrays)


def load(path: Path) -> list[TopDown]:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as data:
        return [
            TopDown(data[f"{index}/right"], data[f"{index}/total"], str(name))
            for index, name in enumerate(data["names"])
        ]
