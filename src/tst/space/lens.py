"""Lens distortion, and undoing it: images become those of a pinhole camera."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from tst.errors import UserError
from tst.space.camera import Camera

LEAST_INSIDE = 0.5
"""Share of the pinhole image that must show something of the original; no real lens is near it."""


@dataclass(frozen=True)
class Lens:
    """Distortion as OpenCV's: `pinhole` (k1, k2, p1, p2[, k3[, k4, k5, k6]]) or `fisheye` (k1, k2, k3, k4)."""

    kind: Literal["pinhole", "fisheye"]
    coefficients: tuple[float, ...]

    def maps(self, camera: Camera) -> tuple[Camera, np.ndarray, np.ndarray]:
        """The pinhole camera that replaces `camera`, and for each of its pixels where it lies in the image, for
        `cv2.remap`. A fisheye is cut to the part that a pinhole can show, at the same size.

        Raises:
            UserError: no lens has these coefficients.
        """
        try:
            pinhole, x, y = _maps(self, camera)
        except cv2.error:
            pinhole = None
        if pinhole is not None:
            inside = (x > -1) & (y > -1) & (x < camera.width) & (y < camera.height)
            focal = all(0 < f < 100 * camera.width for f in (pinhole.fx, pinhole.fy))
        if pinhole is None or not focal or inside.mean() < LEAST_INSIDE:
            raise UserError(
                f"The lens distortion {self.coefficients} cannot be undone. Correct the coefficients, or set them to 0."
            )
        return pinhole, x, y


@lru_cache(4)
def _maps(lens: Lens, camera: Camera) -> tuple[Camera, np.ndarray, np.ndarray]:
    size = (camera.width, camera.height)
    # OpenCV's pixel centres are whole numbers, ours are at +0.5.
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    distortion = np.array(lens.coefficients)
    if lens.kind == "fisheye":
        new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(matrix, distortion, size, np.eye(3), balance=0)
        x, y = cv2.fisheye.initUndistortRectifyMap(matrix, distortion, np.eye(3), new, size, cv2.CV_32FC1)
    else:
        new, _ = cv2.getOptimalNewCameraMatrix(matrix, distortion, size, 0)  # 0: no empty border
        x, y = cv2.initUndistortRectifyMap(matrix, distortion, np.eye(3), new, size, cv2.CV_32FC1)
    pinhole = Camera(*size, float(new[0, 0]), float(new[1, 1]), float(new[0, 2]) + 0.5, float(new[1, 2]) + 0.5)
    return pinhole, x, y
