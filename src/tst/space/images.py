"""Decoding images strictly: a damaged one is an error, never a grey picture."""

import io
import os
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tst.errors import UserError

DAMAGED = (OSError, ValueError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError)
ORIENTATION_TAG = 0x0112
LARGEST_FILE = 1 << 29


def contents(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        UserError: it is missing, or larger than any image.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (three a frame: paths take their time)
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise UserError(
                    f"{path}: is larger than {LARGEST_FILE >> 20} MB. Restore the image, or remove its frame."
                )
            return file.read(size)
    except OSError as error:
        problem = "not found" if isinstance(error, FileNotFoundError) else f"not readable ({error.strerror})"
        raise UserError(f"{path}: {problem}. Restore the file, or remove its frame.") from None


def decode(source: Path | bytes, where: str | None = None, turned: bool = False) -> tuple[np.ndarray, str, str]:
    """Decode all of an image: its array, its format ("PNG", "JPEG", ...) and its Pillow mode ("RGB", "L", "I;16", ...).

    A palette image ("P") gives its indices.

    Args:
        source: a file, or its bytes.
        where: what to call bytes in messages.
        turned: the caller follows the EXIF tag that rotates an image by itself.

    Raises:
        UserError: missing, truncated or otherwise damaged, or rotated only by an EXIF tag (which some programs
            follow and some do not, so that intrinsics and masks would no longer fit).
    """
    where = where or str(source)
    try:
        with _opened(source) as image:
            image.load()
            rotation = image.getexif().get(ORIENTATION_TAG, 1)
            array, kind, mode = np.asarray(image), str(image.format), image.mode
    except FileNotFoundError:
        raise UserError(f"{where}: not found. Restore the file, or remove its frame.") from None
    except DAMAGED as error:
        reason = re.sub(r"<_io.BytesIO object at \w+>", "it", str(error)).replace("\n", " ") or type(error).__name__
        raise UserError(f"{where}: not a whole image ({reason}). Restore the file, or remove its frame.") from None
    if rotation not in (0, 1) and not turned:
        raise UserError(
            f"{where}: is rotated by an EXIF tag (orientation {rotation}). Rotate the pixels, for example with "
            "`mogrify -auto-orient`."
        )
    return array, kind, mode


def made_by(program: str, path: Path) -> bool:
    """Whether an image says that it was made by `program` (PNG's text `Software`)."""
    try:
        with _opened(path) as image:
            return image.info.get("Software") == program
    except DAMAGED:
        return False


def _opened(source: Path | bytes) -> Image.Image:
    """An image before it is decoded; Pillow refuses more than 179 million pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow warns at half of what it refuses
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def size(path: Path) -> tuple[int, int]:
    """(height, width), from the header alone.

    Raises:
        UserError: the file is missing or is not an image.
    """
    try:
        with _opened(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Restore the file, or remove its frame.") from None
    except DAMAGED as error:
        raise UserError(f"{path}: not an image ({error}). Restore the file, or remove its frame.") from None
