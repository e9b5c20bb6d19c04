"""Which way is up, and which storey a camera is on: what maps of a space need to know.

The vertical is taken from the cameras, which people and robots hold upright, so any world axes do.
"""

import numpy as np

NEAR_AXIS = 0.95
"""Cosine within which the cameras' mean vertical is taken to be a world axis."""
STOREY = 1.8
"""Metres between the camera heights of two storeys, at least: less than any storey, more than from a crouch to a raised
arm."""
SPREAD = 0.35
"""Deviation in metres of the camera's height on one storey."""
FEWEST_ON_A_STOREY = 0.03
"""Share of the cameras that a storey holds, at least; fewer are on the stairs, or are errors."""
HEIGHT_STEP = 0.05
MOST_STEPS = 4000
"""Of HEIGHT_STEP, between the lowest and the highest camera; beyond that (wrong units) the steps grow."""


def level_axes(poses: np.ndarray) -> np.ndarray:
    """Rows: two level directions and the vertical, (3, 3), for poses (N, 4, 4) of cameras that are held upright."""
    up = -poses[:, :3, 1].mean(0)
    length = np.linalg.norm(up)
    up = up / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    axis = np.abs(up).argmax()
    if abs(up[axis]) > NEAR_AXIS:  # most captures have a vertical axis, and looking down at things tilts the mean
        up = np.eye(3)[axis] * np.sign(up[axis])
    # The world's own axis that lies flattest becomes the first, so that maps of one space look alike.
    first = np.eye(3)[np.abs(up).argmin()]
    first = first - (first @ up) * up
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first), up])


def storeys(heights: np.ndarray) -> np.ndarray:
    """Storey of each camera height (N,) in metres, counted from the lowest; int (N,).

    Storeys are where cameras gather: peaks of their density, far enough apart. Cameras on the stairs between belong to
    the nearer one.
    """
    from scipy.ndimage import gaussian_filter1d  # slow to load
    from scipy.signal import find_peaks

    low, high = heights.min(), heights.max()
    step = max(HEIGHT_STEP, (high - low) / MOST_STEPS)
    margin = int(4 * SPREAD / step) + 1  # a peak needs lower ground on both sides
    bins = ((heights - low) / step).round().astype(int) + margin
    counts = np.bincount(bins, minlength=bins.max() + 1 + margin).astype(float)
    density = gaussian_filter1d(counts, max(SPREAD / step, 1), mode="constant")
    peaks, _ = find_peaks(density, distance=max(STOREY / step, 1))
    levels = low + (peaks - margin) * step
    shares = (np.abs(heights[:, None] - levels) < STOREY / 2).mean(0)
    levels = levels[shares >= min(FEWEST_ON_A_STOREY, shares.max())]
    return np.abs(heights[:, None] - levels).argmin(1)
