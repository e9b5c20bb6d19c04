"""From radiance to the picture: exposure, tone curve and averaging of samples. Compiled, but for the exposure."""

import numpy as np
from numba import njit

from tst.houses.colour import LUMINANCE

GREY = 0.25
"""What a frame of ordinary brightness is exposed to."""
ORDINARY = 0.15
"""Average radiance of such a frame."""
ADAPTATION = 0.75
"""How far the camera makes up for dark and bright rooms: 1 would show all alike."""
EXPOSURES = (0.1, 12.0)


def automatic_exposure(radiance: np.ndarray) -> float:
    """The exposure for a frame (..., 3), linear RGB: by the geometric mean, which a lamp or window hardly moves.

    Dark rooms are brightened only in part, so that they stay darker than bright ones.
    """
    mean = float(np.exp(np.log(np.maximum(radiance @ LUMINANCE, 1e-4)).mean()))
    return float(np.clip(GREY / ORDINARY * (ORDINARY / mean) ** ADAPTATION, *EXPOSURES))


@njit(cache=True, nogil=True, error_model="numpy")
def expose(colour: np.ndarray, places: np.ndarray, exposure: float) -> None:
    """Turn the radiance `colour` (samples, 3) at `places` (N,) into display-linear 0 to 1.

    A soft shoulder, like film: Narkowicz's fit of the ACES curve, without its toe.
    """
    for place in places:
        for channel in range(3):
            light = exposure * colour[place, channel]
            curve = light * (2.51 * light + 0.5) / (light * (2.43 * light + 1.1) + 0.35)
            colour[place, channel] = min(1.0, curve)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_between(triangle: np.ndarray, colour: np.ndarray, left: np.ndarray) -> int:
    """Give the samples between the pixels' centres the colour of the centres beside them that see the same triangle.

    `triangle` (rows, columns); `colour` (rows x columns, 3). The places of those that have no such centre, along edges,
    are written to `left`; returns how many.
    """
    rows, columns = triangle.shape
    count = 0
    for j in range(rows):
        for i in range(0, columns, 1 + (j & 1)):
            place = j * columns + i
            r = g = b = 0.0
            found = 0
            for y in range(j - 1 + (j & 1), min(j + 2, rows), 2):
                for x in range(i - 1 + (i & 1), min(i + 2, columns), 2):
                    if x >= 0 and y >= 0 and triangle[y, x] == triangle[j, i]:
                        found += 1
                        beside = y * columns + x
                        r, g, b = r + colour[beside, 0], g + colour[beside, 1], b + colour[beside, 2]
            if found:
                colour[place, 0], colour[place, 1], colour[place, 2] = r / found, g / found, b / found
            else:
                left[count] = place
                count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def develop(colour: np.ndarray, pitch: int, srgb: np.ndarray, out: np.ndarray) -> None:
    """Average the samples `colour` (rows, columns, 3) around each centre into uint8 `out` (H, W, 3).

    `srgb` (N,) is the encoded value of display-linear 0 to 1.
    """
    last = len(srgb) - 1
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            i, j = pitch * (column + 1) - 1, pitch * (row + 1) - 1
            for channel in range(3):
                value = colour[j, i, channel]
                if pitch == 2:
                    sides = colour[j - 1, i, channel] + colour[j + 1, i, channel]
                    sides += colour[j, i - 1, channel] + colour[j, i + 1, channel]
                    corners = colour[j - 1, i - 1, channel] + colour[j - 1, i + 1, channel]
                    corners += colour[j + 1, i - 1, channel] + colour[j + 1, i + 1, channel]
                    value = (4 * value + 2 * sides + corners) / 16
                out[row, column, channel] = srgb[int(value * last + 0.5)]
