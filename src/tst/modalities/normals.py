"""Surface normals from depth, also where depth is coarsely quantised.

A plane seen by a pinhole camera is linear in *inverse* depth, D = a u + b v + c, so a least-squares fit over a window
is exact whatever the slant. Windows of several sizes are fitted everywhere with box sums; each pixel then mixes those
that contain it (its own, and eight placed around it), weighted by how exact their normals should be. What makes a
window inexact:

- quantisation and noise: a step of height q at the end of a window of length L turns the plane by q / L;
- a misfit: the window straddles an edge or a crease, and the residual is larger than quantisation explains;
- the pixel itself does not lie on the window's plane.

The weight is the expected error to the power of minus 8, nearly a choice of the best. So coarse depth leads to large
windows, fine depth to small ones, and near a discontinuity or a crease to windows on the pixel's own side of it.
Nothing here depends on the sensor: the quantisation step is measured in the image.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from scipy.ndimage import minimum_filter1d
from torch import Tensor

from tst.errors import UserError
from tst.modalities.base import Modality, mean_over_images
from tst.space.normal_maps import encode

if TYPE_CHECKING:
    from tst.space.camera import Camera

# Window radii in pixels of a 320-pixel-wide image; the others scale with the width.
RADII = (2, 5, 11, 24)
# A normal that is expected to be worse than this (radians) is stored as unknown.
WORST_ERROR = 0.7


def quantisation(depth: np.ndarray) -> np.ndarray:
    """Step between neighbouring depth levels at each pixel, (H, W) float32 in the depth's unit.

    It is the smallest gap among the 16 nearest of the image's own levels, so that a sparse histogram is not taken for
    coarse depth, and steps may grow with distance, as a stereo camera's do.
    """
    levels = np.flatnonzero(np.bincount(depth.ravel(), minlength=2))
    levels = levels[levels > 0]
    if len(levels) < 2:
        return np.ones(depth.shape, np.float32)
    gaps = minimum_filter1d(np.diff(levels), min(17, len(levels) - 1), mode="nearest").astype(np.float32)
    table = np.ones(int(levels[-1]) + 1, np.float32)
    table[levels] = np.append(gaps, gaps[-1])
    return table[depth]


def plane_normals(depth: np.ndarray, camera: "Camera") -> tuple[np.ndarray, np.ndarray]:
    """Outward normals in camera axes (x right, y down, z forward) from a z-depth image.

    Args:
        depth: (H, W) uint16 millimetres, 0 = unknown.
        camera: of the same size as `depth`.

    Returns:
        normals (H, W, 3) float32, unit length or 0 where unknown; and the expected error in radians, (H, W) float32.
    """
    height, width = depth.shape
    valid = depth > 0
    metres = np.where(valid, depth, 1).astype(np.float64) / 1000
    step = quantisation(depth) / np.float32(1000)
    z = metres.astype(np.float32)

    # Weighted by z^4 a residual of D is one of z, in which depth is uniformly quantised.
    u = ((np.arange(width) + 0.5 - width / 2) / width)[None]
    v = ((np.arange(height) + 0.5 - height / 2) / width)[:, None]
    z2 = np.where(valid, metres * metres, 0.0)
    w, wd = z2 * z2, z2 * metres
    uw, vw = w * u, w * v
    sums = [w, uw, vw, wd, uw * u, uw * v, vw * v, wd * u, wd * v, z2, valid.astype(np.float64)]

    ray_x = ((np.arange(width) + 0.5 - camera.cx) / camera.fx).astype(np.float32)[None]
    ray_y = ((np.arange(height) + 0.5 - camera.cy) / camera.fy).astype(np.float32)[:, None]
    origin_u, origin_v = camera.cx / width - 0.5, (camera.cy - height / 2) / width
    pixel = z * np.float32(1 / np.sqrt(camera.fx * camera.fy))  # the size of a pixel on a facing surface
    disparity, z_squared = 1 / z, z * z
    tolerance = step * np.float32(0.6)
    total = np.zeros((3, height, width), np.float32)
    best = np.full((height, width), np.inf, np.float32)
    for radius in sorted({max(1, round(radius * width / 320)) for radius in RADII}):
        slope_u, slope_v, level, variance, count = _fit_windows(sums, radius, u, v)
        # In camera axes the plane is A x + B y + C = 1/z: (A, B, C) is the inward normal over the distance.
        plane = np.stack(
            [
                slope_u * (camera.fx / width),
                slope_v * (camera.fy / width),
                level + slope_u * origin_u + slope_v * origin_v,
            ]
        ).astype(np.float32)
        scale = 1 / np.sqrt(np.square(plane).sum(0) + np.float32(1e-12))
        length = (2 * radius + 1) * pixel
        unexplained = np.maximum(variance.astype(np.float32) - step * step * np.float32(0.1), 0)
        inexact = (0.64 * step * step + 12 * unexplained) / (length * length) + np.float32(0.015 + 0.002 * radius) ** 2
        inexact[count < 0.4 * (2 * radius + 1) ** 2] = 1e6
        turn = 2 / length
        offset = round(0.8 * radius)
        for dy in (-offset, 0, offset):
            for dx in (-offset, 0, offset):
                # The window's centre is at pixel + (dy, dx).
                to, at = _overlap(height, width, dy, dx)
                a, b, c = plane[:, *at]
                off = a * ray_x[:, to[1]]
                off += b * ray_y[to[0]]
                off += c
                off -= disparity[to]
                np.abs(off, out=off)
                off *= z_squared[to]
                off -= tolerance[to]
                np.maximum(off, 0, out=off)
                off *= turn[to]
                off *= off
                off += inexact[at]
                np.minimum(best[to], off, out=best[to])
                weight = np.minimum(off, np.float32(1e9))  # its fourth power must stay finite
                weight *= weight
                weight *= weight
                np.divide(scale[at], weight, out=weight)
                for axis, component in enumerate((a, b, c)):
                    total[axis][to] += weight * component
    norm = np.sqrt(np.square(total).sum(0))
    error = np.sqrt(best)
    known = valid & (error < WORST_ERROR) & (norm > 0)
    known &= cv2.blur(known.astype(np.float32), (5, 5)) > 0.4  # no lone pixels
    normals = np.where(known, -total / np.maximum(norm, np.float32(1e-30)), 0)
    return np.ascontiguousarray(np.moveaxis(normals, 0, -1)), error


def _fit_windows(sums: list[np.ndarray], radius: int, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Least squares of D = a u + b v + c over the window at each pixel: a, b, c, variance of z, count.

    Box sums are taken in float64: the centred moments are small differences of them.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    sums = [cv2.boxFilter(image, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT) for image in sums]
    w, u1, v1, d1, uu, uv, vv, ud, vd, dd, count = sums
    scale = 1 / np.maximum(w, 1e-9)
    for moment in sums[1:10]:
        np.multiply(moment, scale, out=moment)
    for second, one, other in ((uu, u1, u1), (uv, u1, v1), (vv, v1, v1), (ud, u1, d1), (vd, v1, d1), (dd, d1, d1)):
        np.subtract(second, one * other, out=second)
    determinant = uu * vv - uv * uv
    flat = determinant < 1e-3 * (radius / u.size) ** 4
    determinant[flat] = 1
    a = (ud * vv - vd * uv) / determinant
    b = (vd * uu - ud * uv) / determinant
    variance = np.maximum(dd - a * ud - b * vd, 0) * w / np.maximum(count, 1)
    count[flat] = 0
    return a, b, d1 - a * u1 - b * v1, variance, count


def _overlap(height: int, width: int, dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where an image and itself moved by (dy, dx) overlap."""
    to = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
    at = slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx))
    return to, at


class Normals(Modality):
    """The direction that each surface faces, in camera axes.

    Stored as uint8 (n + 1) / 2 * 255 with R = +x right, G = +y down, B = towards the camera; (0, 0, 0) = unknown.
    Networks see [-1, 1], 0 where unknown.
    """

    name = "normals"
    order = 30
    token_name = "tok_normal"
    channels = 3
    sources = ("depth",)
    version = 2

    def derive(self, sources: dict[str, np.ndarray], camera: "Camera | None") -> np.ndarray:
        """Normals of `depth`, at its size."""
        if camera is None:
            raise UserError("normals: the camera is unknown. Read the capture again and give its field of view.")
        depth = sources["depth"]
        normals, _ = plane_normals(depth, camera.resized(depth.shape[1], depth.shape[0]))
        return encode(normals)

    def valid(self, x_BCHW: Tensor) -> Tensor:
        """Wherever a normal is known."""
        return (x_BCHW > 0).any(1, keepdim=True)

    def flip_values(self, x_BCHW: Tensor) -> Tensor:
        """Left becomes right: red is inverted where known."""
        red = torch.where(self.valid(x_BCHW), 255 - x_BCHW[:, :1], x_BCHW[:, :1])
        return torch.cat([red, x_BCHW[:, 1:]], 1)

    def denormalise(self, z_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
        """Stored values of the unit vectors in the direction of z."""
        unit = z_BCHW.float() / z_BCHW.float().norm(dim=1, keepdim=True).clamp_min(1e-6)
        return ((unit + 1) * 127.5).round().clamp(0, 255)

    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """Mean angle in degrees."""
        predicted, true = (x.float() / 127.5 - 1 for x in (prediction_BCHW, target_BCHW))
        sine = torch.linalg.cross(predicted, true, dim=1).norm(dim=1)
        angle = torch.atan2(sine, (predicted * true).sum(1)).rad2deg()
        return {"angle": mean_over_images(angle, self.valid(target_BCHW)[:, 0])}

    def draw(self, array: np.ndarray) -> np.ndarray:
        """The stored colours."""
        return array.copy()
