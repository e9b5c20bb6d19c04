"""The pinhole camera: OpenCV axes (x right, y down, z forward), pixel centres at +0.5."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; every number is in pixels of an image of `width` x `height`.

    The centre of the top-left pixel is (0.5, 0.5), so a crop or a resize scales `cx` like any length.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def resized(self, width: int, height: int) -> "Camera":
        """The same camera for an image resized to `width` x `height`."""
        x, y = width / self.width, height / self.height
        return Camera(width, height, self.fx * x, self.fy * y, self.cx * x, self.cy * y)

    @classmethod
    def from_fov(cls, width: int, height: int, fov_x_degrees: float) -> "Camera":
        """Square pixels, a centred principal point and a horizontal field of view in degrees."""
        focal = 0.5 * width / math.tan(math.radians(fov_x_degrees) / 2)
        return cls(width, height, focal, focal, width / 2, height / 2)

    def rays(self) -> np.ndarray:
        """(height, width, 3) float64: the camera-axes point at z = 1 that each pixel centre sees."""
        x = (np.arange(self.width) + 0.5 - self.cx) / self.fx
        y = (np.arange(self.height) + 0.5 - self.cy) / self.fy
        rays = np.ones((self.height, self.width, 3))
        rays[..., 0], rays[..., 1] = x[None, :], y[:, None]
        return rays

    def unproject(self, depth: np.ndarray) -> np.ndarray:
        """Points in camera axes, (H, W, 3), in the unit of `depth` (H, W, along z; any size of the same aspect)."""
        height, width = depth.shape
        return self.resized(width, height).rays() * depth[..., None]
