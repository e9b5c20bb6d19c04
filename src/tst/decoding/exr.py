"""OpenEXR images of one channel."""

import io

import numpy as np
import OpenEXR

from tst.errors import UserError

LARGEST_SIDE = 8192
MOST_CHANNELS = 4


def channel(data: bytes, where: str) -> np.ndarray:
    """The only channel of an EXR file, or the one named R or Z: float32 (H, W).

    Raises:
        UserError: it is damaged, too large or has other channels.
    """
    try:
        with OpenEXR.File(io.BytesIO(data), header_only=True) as file:
            low, high = file.header()["dataWindow"]
            names = [part.name for part in file.header()["channels"]]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
        if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE and 0 < len(names) <= MOST_CHANNELS):
            raise ValueError(f"{width}x{height} pixels, {len(names)} channels")
        name = names[0] if len(names) == 1 else next(name for name in ("R", "Z") if name in names)
        with OpenEXR.File(io.BytesIO(data), separate_channels=True) as file:
            pixels = file.channels()[name].pixels
        if pixels.shape != (height, width):
            raise ValueError(f"channel {name} has the shape {pixels.shape}")
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, StopIteration, MemoryError) as error:
        detail = " ".join(str(error).split())[:80] or type(error).__name__
        raise UserError(f"{where}: not a whole EXR image of depth ({detail}). Export the recording again.") from None
    return pixels.astype(np.float32)
