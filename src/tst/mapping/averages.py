"""A quantity averaged over the views of each cell.

A cell's pixels in one view are averaged first, and that mean then counts as *one* observation with the mean weight of
those pixels: neighbouring pixels of an image are wrong together, so a hundred of them are not a hundred witnesses, and
"views" are frames.
"""

from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True, eq=False)
class Averages:
    """Sums over the views of V cells.

    Attributes:
        total_VC: float32, weighted sum.
        square_V: float32, weighted sum of squared norms.
        weight_V: float32.
        views_V: int32, how many frames saw the cell.
        votes_VC: uint16, how many of them had their largest channel here; (0, 0) if nothing votes.
    """

    total_VC: np.ndarray  # noqa: N815
    square_V: np.ndarray  # noqa: N815
    weight_V: np.ndarray  # noqa: N815
    views_V: np.ndarray  # noqa: N815
    votes_VC: np.ndarray  # noqa: N815

    @classmethod
    def empty(cls, cells: int, channels: int, *, votes: bool = False) -> "Averages":
        """Nothing seen yet. 12 + 4 C bytes a cell, and 2 C more with votes."""
        return cls(
            np.zeros((cells, channels), np.float32),
            np.zeros(cells, np.float32),
            np.zeros(cells, np.float32),
            np.zeros(cells, np.int32),
            np.zeros((cells, channels) if votes else (0, 0), np.uint16),
        )

    def add(self, rows_HW: np.ndarray, weights_HW: np.ndarray, values_hwC: np.ndarray) -> None:
        """Enter one view.

        Args:
            rows_HW: int32 cell of each pixel, -1 for none.
            weights_HW: float32.
            values_hwC: float32, of any size of the frame's aspect; interpolated bilinearly.
        """
        assert rows_HW.shape == weights_HW.shape and values_hwC.shape[2] == self.total_VC.shape[1]
        values = np.ascontiguousarray(values_hwC, np.float32)
        rows = rows_HW.ravel()
        order = np.argsort(rows)  # by cell, so that each cell's mean in this view is made in one go
        order = order[np.searchsorted(rows, 0, sorter=order) :]
        sums = (self.total_VC, self.square_V, self.weight_V, self.views_V, self.votes_VC)
        _add(order, rows_HW, weights_HW, values, *sums)

    @property
    def mean_VC(self) -> np.ndarray:  # noqa: N802
        """Weighted mean, float32; 0 where no view was."""
        return self.total_VC / np.maximum(self.weight_V, 1e-12)[:, None]

    @property
    def spread_V(self) -> np.ndarray:  # noqa: N802
        """Weighted standard deviation between views, over all channels together, float32."""
        weight = np.maximum(self.weight_V, 1e-12)
        norm = np.einsum("vc,vc->v", self.total_VC, self.total_VC) / weight**2
        return np.sqrt(np.maximum(self.square_V / weight - norm, 0))

    @property
    def agreement_V(self) -> np.ndarray:  # noqa: N802
        """Share of the views whose own class is that of the mean, float32 in 0 .. 1; 0 where no view was."""
        fused = self.total_VC.argmax(1)
        return self.votes_VC[np.arange(len(fused)), fused] / np.maximum(self.views_V, 1).astype(np.float32)

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays by name, as `Averages(**tensors)` takes them."""
        return dict(vars(self))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _add(
    order: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    values: np.ndarray,
    total: np.ndarray,
    square: np.ndarray,
    weight: np.ndarray,
    views: np.ndarray,
    votes: np.ndarray,
) -> None:
    height, width = rows.shape
    h, w, channels = values.shape
    flat, weight_of = rows.ravel(), weights.ravel()
    mean = np.empty(channels, np.float32)
    start = 0
    while start < len(order):
        row = flat[order[start]]
        mean[:] = 0
        pixels, sum_weights = 0, 0.0
        while start < len(order) and flat[order[start]] == row:
            pixel = order[start]
            start += 1
            share = weight_of[pixel]
            if share <= 0:
                continue
            v, u = pixel // width, pixel % width
            y = min(max((v + 0.5) * h / height - 0.5, 0.0), h - 1.0)
            x = min(max((u + 0.5) * w / width - 0.5, 0.0), w - 1.0)
            top, left = int(y), int(x)
            low, right = min(top + 1, h - 1), min(left + 1, w - 1)
            q, p = np.float32(y - top), np.float32(x - left)
            one = np.float32(1)
            a, b = share * (one - q) * (one - p), share * (one - q) * p
            c, d = share * q * (one - p), share * q * p
            for k in range(channels):
                mean[k] += (
                    a * values[top, left, k]
                    + b * values[top, right, k]
                    + c * values[low, left, k]
                    + d * values[low, right, k]
                )
            pixels += 1
            sum_weights += share
        if pixels == 0:
            continue
        of_view = np.float32(sum_weights / pixels)
        norm, best = np.float32(0), 0
        for k in range(channels):
            mean[k] /= np.float32(sum_weights)
            norm += mean[k] * mean[k]
            if mean[k] > mean[best]:
                best = k
            total[row, k] += of_view * mean[k]
        square[row] += of_view * norm
        weight[row] += of_view
        views[row] += 1
        if votes.size:
            votes[row, best] += 1
