"""Surface normals as stored images (docs/spaces.md)."""

import numpy as np


def encode(normals: np.ndarray) -> np.ndarray:
    """Outward unit normals in camera axes (0 = unknown) as uint8: R = +x right, G = +y down, B = towards the camera."""
    towards = normals * np.array([1, 1, -1], np.float32)
    stored = np.rint((towards + 1) * 127.5).clip(0, 255).astype(np.uint8)
    stored[~normals.any(-1)] = 0
    return stored


def decode(stored: np.ndarray) -> np.ndarray:
    """Outward unit normals in camera axes, float32, 0 where unknown: the inverse of `encode`."""
    normals = (stored.astype(np.float32) / 127.5 - 1) * np.array([1, 1, -1], np.float32)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    normals[~stored.any(-1)] = 0
    return normals
