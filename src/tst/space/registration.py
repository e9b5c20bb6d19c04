"""Depth seen from where the colour camera is, and depth looked up between pixels."""

import cv2
import numpy as np

from tst.space.camera import Camera

STEP = 0.05
"""Neighbours whose depth differs by more than this share of it lie on two surfaces; nothing is interpolated there."""
ROUNDS = 3


def sample_depth(depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth at (x, y), in pixels whose centres are at +0.5: float32 of their shape, 0 where unknown or outside.

    Between four pixels of one surface the inverse is interpolated, which is exact on planes; else the nearest counts.
    """
    depth = depth.astype(np.float32)
    u, v = (x - 0.5).astype(np.float32), (y - 0.5).astype(np.float32)
    nearest = cv2.remap(depth, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    # The range of each 2x2 block, kept at its top-left pixel.
    block = np.ones((2, 2), np.uint8)
    least = cv2.erode(depth, block, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    most = cv2.dilate(depth, block, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    smooth = ((least > 0) & (most - least < STEP * most)).astype(np.uint8)
    whole = cv2.remap(smooth, np.floor(u), np.floor(v), cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
    inverse = 1 / np.where(depth > 0, depth, 1e6)
    between = cv2.remap(inverse, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(whole, 1 / np.maximum(between, 1e-9), nearest)


def registered(depth_mm: np.ndarray, depth_camera: Camera, depth_to_rgb: np.ndarray, rgb_camera: Camera) -> np.ndarray:
    """The depth image that the colour camera would see, at the depth's own resolution and the colour image's aspect.

    Points are projected to know roughly what is seen where, the nearest winning; then each pixel's depth is found
    exactly by going back and forth between the cameras.

    Args:
        depth_mm: (H, W) millimetres along z, 0 = unknown.
        depth_camera: its intrinsics, at any size of its aspect.
        depth_to_rgb: (4, 4) from the depth camera's axes to the colour camera's, metres.
        rgb_camera: the colour camera's intrinsics.

    Returns:
        (H', W') float32 millimetres, 0 = unknown.
    """
    source = depth_camera.resized(depth_mm.shape[1], depth_mm.shape[0])
    scale = min(1.0, source.fx / rgb_camera.fx)
    target = rgb_camera.resized(max(1, round(rgb_camera.width * scale)), max(1, round(rgb_camera.height * scale)))
    rotation, offset = depth_to_rgb[:3, :3], depth_to_rgb[:3, 3] * 1000
    points = source.unproject(depth_mm.astype(np.float64))[depth_mm > 0] @ rotation.T + offset
    points = points[points[:, 2] > 1]
    column = np.floor(points[:, 0] / points[:, 2] * target.fx + target.cx).astype(np.int64)
    row = np.floor(points[:, 1] / points[:, 2] * target.fy + target.cy).astype(np.int64)
    inside = (column >= 0) & (row >= 0) & (column < target.width) & (row < target.height)
    guess = np.full((target.height, target.width), np.inf, np.float32)
    np.minimum.at(guess, (row[inside], column[inside]), points[inside, 2])
    # Pixels between projected points take the nearest of their neighbours as a guess.
    filled = cv2.erode(guess, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=np.inf)
    z = np.where(np.isfinite(guess), guess, filled).astype(np.float64)
    known = np.isfinite(z)
    z = np.where(known, z, 0)
    rays = target.rays()
    for _ in range(ROUNDS):
        back = (rays * z[..., None] - offset) @ rotation
        ahead = known & (back[..., 2] > 1)
        depth = np.where(ahead, back[..., 2], 1)
        x = back[..., 0] / depth * source.fx + source.cx
        y = back[..., 1] / depth * source.fy + source.cy
        found = sample_depth(depth_mm, np.where(ahead, x, -10), np.where(ahead, y, -10)).astype(np.float64)
        seen = np.stack([(x - source.cx) / source.fx, (y - source.cy) / source.fy, np.ones_like(x)], -1)
        forth = (seen * found[..., None]) @ rotation[2] + offset[2]
        known &= (found > 0) & (np.abs(forth - z) < 0.2 * z + 1)
        z = np.where(known, forth, 0)
    return z.astype(np.float32)
