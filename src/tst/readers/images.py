"""A folder of plain images: colour alone, without poses."""

import math
import re
import struct
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space.camera import Camera
from tst.space.images import DAMAGED, ORIENTATION_TAG

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
NOT_DECODED = {".heic", ".heif", ".dng", ".raw", ".cr2", ".nef", ".arw", ".avif", ".jxl"}
BESIDE = {".aae", ".db", ".ini"}
"""What phones and systems leave beside images."""
OTHER_FORMATS = re.compile(r"depth|semantic|instance|confidence|normals?|.*_domain_\w+|frame-\d+\.color")
"""Names of folders or files that plain images do not have."""
EXIF_IFD, FOCAL_35MM = 0x8769, 0xA405
DIAGONAL_35MM = math.hypot(36, 24)
LONGEST_ID = 100
BROKEN = (*DAMAGED, struct.error, KeyError, TypeError, OverflowError, ZeroDivisionError)


def recognise(source: Path) -> str | None:
    """A folder, or folders in a folder, that hold images and nothing else."""
    try:
        if not source.is_dir():
            return None
        paths = [path for path in _paths(source) if path.suffix.lower() not in BESIDE]
        folders = [path for path in source.iterdir() if path.is_dir() and path.name[0] != "."]
        names = [*(folder.name.lower() for folder in folders), *(path.stem.lower() for path in paths)]
        if not paths or any(OTHER_FORMATS.fullmatch(name) for name in names):
            return None
        plain = all(path.suffix.lower() in SUFFIXES | NOT_DECODED for path in paths)
        return f"nothing but images ({len(paths)})" if plain else None
    except OSError:
        return None


def read(source: Path, fov: float | None = None, focal: float | None = None) -> Recording:
    """Read the images of a folder and of the folders in it, in natural order (2 before 10).

    Images that an EXIF tag turns are turned. Without an option the focal length comes from EXIF, where it is there.

    Args:
        source: the folder, or one image.
        fov: horizontal field of view in degrees, of the upright images.
        focal: focal length in pixels instead.

    Raises:
        UserError: there are no images, or one is damaged.
    """
    if fov is not None and focal is not None:
        raise UserError("--fov and --focal say the same thing. Give one of them.")
    if fov is not None and not 0 < fov < 180:
        raise UserError(f"--fov: {fov} is not an angle of view. Use degrees between 0 and 180.")
    if focal is not None and not 0 < focal < math.inf:
        raise UserError(f"--focal: {focal} is not a focal length. Use pixels above 0.")
    paths = _paths(source) if source.is_dir() else [source]
    root = source.resolve() if source.is_dir() else source.resolve().parent
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    ids: set[str] = set()
    for path in sorted(paths, key=partial(_natural, source)):
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES | NOT_DECODED:
            continue
        name = _id(path.name if path == source else path.relative_to(source).as_posix(), ids)
        if suffix in NOT_DECODED:
            dropped.append(Dropped(name, None, f"{path.name} is {suffix[1:].upper()}, which is not read"))
            continue
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path}: links outside the folder. Put the file itself there.")
        width, height, turned, equivalent = _header(path)
        values = Values(str(path), partial(_upright, path)) if turned else path
        camera = None
        if fov is not None:
            camera = Camera.from_fov(width, height, fov)
        elif focal is not None or equivalent is not None:
            pixels = focal or (equivalent or 0) / DIAGONAL_35MM * math.hypot(width, height)
            camera = Camera(width, height, pixels, pixels, width / 2, height / 2)
        frames.append(Frame(name, {"rgb": values}, camera))
    if len(dropped) > len(frames):
        raise UserError(f"{source}: {len(dropped)} images: {dropped[0].reason}. Export them as JPEG or PNG.")
    if not frames:
        raise UserError(f"{source}: holds no images ({', '.join(sorted(SUFFIXES))}). Give the folder that has them.")
    notes = {}
    if fov is None and focal is None:
        known = sum(frame.camera is not None for frame in frames)
        notes["intrinsics"] = (
            f"{known} of {len(frames)} from the focal length in EXIF (35 mm equivalent, over the diagonal)"
            if known
            else "unknown: no EXIF says the focal length, and neither --fov nor --focal was given"
        )
    return Recording("images", source, frames, notes, dropped=dropped)


def _paths(source: Path) -> list[Path]:
    """Files in a folder and in its folders, but hidden ones."""
    inside = [path for path in source.iterdir() if path.name[0] != "."]
    for folder in [path for path in inside if path.is_dir()]:
        inside += [path for path in folder.iterdir() if path.name[0] != "."]
    return [path for path in inside if path.is_file()]


def _natural(source: Path, path: Path) -> list[tuple[tuple[int, int, str], ...]]:
    """A key in whose order the numbers in names count as numbers."""
    parts = path.parts[len(source.parts) :]
    return [
        tuple((0, int(bit), "") if bit.isdecimal() else (1, 0, bit.casefold()) for bit in re.split(r"(\d+)", part))
        for part in (*parts[:-1], path.stem, path.suffix)
    ]


def _id(name: str, taken: set[str]) -> str:
    """A frame's id from a relative path: short, without special characters, and unlike those that are taken."""
    stem = re.sub(r"[^\w.-]+", "-", name.rsplit(".", 1)[0].replace("/", "_")).strip(".-") or "image"
    while len(stem.encode()) > LONGEST_ID:
        stem = stem[1:]  # what tells images apart is at the end
    candidate, number = stem, 2
    while candidate.casefold() in taken:
        candidate, number = f"{stem}-{number}", number + 1
    taken.add(candidate.casefold())
    return candidate


def _header(path: Path) -> tuple[int, int, bool, float | None]:
    """Width and height upright, whether an EXIF tag turns the image, and the focal length in 35 mm equivalent."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Without it in the header, Pillow would look for it behind a PNG's pixels and decode them all.
            exif = Image.Exif() if image.format == "PNG" and "exif" not in image.info else image.getexif()
            orientation = exif.get(ORIENTATION_TAG, 1)
            equivalent = exif.get_ifd(EXIF_IFD).get(FOCAL_35MM)
            focal = float(equivalent) if equivalent else None
    except BROKEN as error:
        raise UserError(f"{path}: not an image ({type(error).__name__}). Restore the file, or remove it.") from None
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return width, height, orientation in range(2, 9), focal if focal is not None and 1 < focal < 2000 else None


def _upright(path: Path, _: int | None) -> np.ndarray:
    """The pixels, turned as the EXIF tag says."""
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except BROKEN as error:
        raise UserError(
            f"{path}: not a whole image ({type(error).__name__}). Restore the file, or remove it."
        ) from None
