"""sRGB and linear light."""

import numpy as np

LINEAR_OF_BYTE = np.where(
    np.arange(256) / 255 <= 0.04045, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
).astype(np.float32)
"""Linear value of every sRGB byte, float32 (256,)."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear RGB in what the eye takes for brightness."""


def linear_of(srgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values from 0 to 1, any shape; float32."""
    srgb = np.clip(np.asarray(srgb, np.float32), 0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb_of(linear: np.ndarray) -> np.ndarray:
    """sRGB values of linear light from 0 to 1, any shape; float32."""
    linear = np.clip(np.asarray(linear, np.float32), 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)
