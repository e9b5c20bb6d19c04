"""What the map says of each pixel of a camera: at the pixel's own surface, or without depth at what its ray meets."""

from dataclasses import dataclass

import numba
import numpy as np

from tst.mapping.averages import Averages
from tst.mapping.cells import Cells, row_of
from tst.space.camera import Camera

STEP = 0.5
"""Of a cell, between two places that are looked at along a ray: no cell is passed but at its corners."""


@dataclass(frozen=True, eq=False)
class Found:
    """What the map holds at P places.

    Attributes:
        values_PC: float32, 0 where nothing is near.
        views_P: int32, frames that saw the place (the most of the cells around it); 0 where nothing is near.
        agreement_P: float32, share of those views whose own class is the largest of `values_PC`; 0 without votes.
    """

    values_PC: np.ndarray  # noqa: N815
    views_P: np.ndarray  # noqa: N815
    agreement_P: np.ndarray  # noqa: N815


def look_up(cells: Cells, sums: Averages, points_P3: np.ndarray, known_P: np.ndarray) -> Found:
    """Read averages at places, interpolated between the eight cells around each.

    A cell counts by its nearness (trilinear) times its weight: that is the mean over all observations nearby, and a
    cell that was seen once at a grazing angle hardly pulls on its neighbours. Empty cells do not count, so a place
    whose own cell is empty takes its neighbours' mean. The place itself decides which surface is read, so what is
    hidden behind it is never read, and nothing is where depth says that there is air.

    Args:
        cells: of the map.
        sums: what to read.
        points_P3: float32 metres from the map's origin.
        known_P: bool; the others are left empty.
    """
    return Found(
        *_look_up(
            points_P3, known_P, cells.side, cells.keys, cells.rows, sums.total_VC, sums.weight_V, sums.views_V,
            sums.votes_VC,
        )
    )  # fmt: skip


def cast(
    cells: Cells,
    views_V: np.ndarray,
    camera: Camera,
    pose: np.ndarray,
    origin: np.ndarray,
    *,
    near: float,
    far: float,
    least_views: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Depth that the map would show from a camera: rays are followed until they meet a cell, the nearest first.

    Args:
        cells: of the map.
        views_V: frames that saw each cell; those seen by fewer than `least_views` are passed through, as specks of
            noise in the air would hide what is behind.
        camera: its size is that of the answer.
        pose: (4, 4) camera-to-world.
        origin: (3,) of the map.
        near, far: metres along z between which rays are followed.

    Returns:
        Points (H * W, 3) float32 metres from the map's origin, and which rays met anything (H * W,) bool.
    """
    turn, move = np.ascontiguousarray(pose[:3, :3]), pose[:3, 3] - origin
    rays = camera.rays().reshape(-1, 3) @ turn.T
    return _cast(rays, move, cells.side, cells.keys, cells.rows, views_V, near, far, least_views)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _look_up(
    points: np.ndarray,
    known: np.ndarray,
    side: float,
    keys: np.ndarray,
    rows: np.ndarray,
    total: np.ndarray,
    weight: np.ndarray,
    views: np.ndarray,
    votes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    channels = total.shape[1]
    values = np.zeros((len(points), channels), np.float32)
    seen = np.zeros(len(points), np.int32)
    agree = np.zeros(len(points), np.float32)
    around, shares = np.empty(8, np.int32), np.empty(8, np.float32)
    for p in range(len(points)):
        if not known[p]:
            continue
        x, y, z = points[p, 0] / side - 0.5, points[p, 1] / side - 0.5, points[p, 2] / side - 0.5
        i, j, k = np.floor(x), np.floor(y), np.floor(z)
        count, together = 0, np.float32(0)
        for corner in range(8):
            a, b, c = corner >> 2, (corner >> 1) & 1, corner & 1
            row = row_of(i + a, j + b, k + c, keys, rows)
            if row < 0 or weight[row] <= 0:
                continue
            near = (x - i if a else 1 - x + i) * (y - j if b else 1 - y + j) * (z - k if c else 1 - z + k)
            around[count], shares[count] = row, near
            together += near * weight[row]
            seen[p] = max(seen[p], views[row])
            count += 1
        if together <= 0:
            seen[p] = 0
            continue
        best = 0
        for n in range(count):
            for channel in range(channels):
                values[p, channel] += shares[n] * total[around[n], channel]
        for channel in range(channels):
            values[p, channel] /= together
            if values[p, channel] > values[p, best]:
                best = channel
        if votes.size:
            own, every = np.float32(0), np.float32(0)
            for n in range(count):
                own += shares[n] * votes[around[n], best]
                every += shares[n] * views[around[n]]
            agree[p] = own / every
    return values, seen, agree


@numba.njit(cache=True, nogil=True)
def _cast(
    rays: np.ndarray,
    start: np.ndarray,
    side: float,
    keys: np.ndarray,
    rows: np.ndarray,
    views: np.ndarray,
    near: float,
    far: float,
    least: int,
) -> tuple[np.ndarray, np.ndarray]:
    points = np.zeros((len(rays), 3), np.float32)
    met = np.zeros(len(rays), np.bool_)
    for p in range(len(rays)):
        length = (rays[p, 0] ** 2 + rays[p, 1] ** 2 + rays[p, 2] ** 2) ** 0.5
        step = STEP * side / length
        z = near
        while z < far:
            x, y, h = start[0] + rays[p, 0] * z, start[1] + rays[p, 1] * z, start[2] + rays[p, 2] * z
            row = row_of(x / side, y / side, h / side, keys, rows)
            if row >= 0 and views[row] >= least:
                # The surface lies somewhere within the cell: half a cell on is its middle, on average.
                z += step
                for i in range(3):
                    points[p, i] = start[i] + rays[p, i] * z
                met[p] = True
                break
            z += step
    return points, met
