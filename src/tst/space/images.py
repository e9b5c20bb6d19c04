"""Decoding image files strictly: a damaged file is an error, never a grey picture."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tst.errors import UserError

DAMAGED = (OSError, ValueError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError)


def decode(path: Path) -> tuple[np.ndarray, str, str]:
    """Decode all of `path`: its array, its format ("PNG", "JPEG", ...) and its Pillow mode ("RGB", "L", "I;16", ...).

    A palette image ("P") gives its indices.

    Raises:
        UserError: missing, truncated or otherwise damaged, or rotated only by an EXIF tag (which some programs
            follow and some do not, so that intrinsics and masks would no longer fit).
    """
    try:
        with Image.open(path) as image:
            image.load()
            rotation = image.getexif().get(0x0112, 1)
            array, kind, mode = np.asarray(image), str(image.format), image.mode
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Restore the file, or remove its frame.") from None
    except DAMAGED as error:
        raise UserError(f"{path}: not a whole image ({error}). Restore the file, or remove its frame.") from None
    if rotation not in (0, 1):
        raise UserError(
            f"{path}: is rotated by an EXIF tag (orientation {rotation}). Rotate the pixels, for example with "
            "`mogrify -auto-orient`."
        )
    return array, kind, mode


def size(path: Path) -> tuple[int, int]:
    """(height, width), from the header alone.

    Raises:
        UserError: the file is missing or is not an image.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Restore the file, or remove its frame.") from None
    except DAMAGED as error:
        raise UserError(f"{path}: not an image ({error}). Restore the file, or remove its frame.") from None
