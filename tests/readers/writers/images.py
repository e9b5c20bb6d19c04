"""Folders of plain images: two folders of JPEGs and PNGs, as cameras name them."""

from pathlib import Path

import numpy as np
from broken import absurd_png, cut, link_outside
from PIL import Image
from scene import Scene

SIZE = (96, 72)
FOLDERS = ("Küche", "flur " + "lang" * 50)
SUFFIXES = (".png", ".JPG")
FAULTS = ()


def write(folder: Path, scene: Scene) -> Path:
    """Three images in each of two folders."""
    root = folder / "Küche und Flur"
    for number in range(scene.frames):
        path = root / image(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene.view(number, *SIZE)["rgb"]).save(path)
    return root


def image(number: int) -> str:
    """An image, relative to the capture."""
    folder, suffix = FOLDERS[number >= 3], SUFFIXES[number % 2]
    return f"{folder}/IMG_{number + 8} (1){suffix}"


def sixteen_bits(root: Path) -> None:
    path = root / image(2)
    Image.fromarray(np.asarray(Image.open(path))[..., 0].astype(np.uint16) * 257).save(path)


def no_images(root: Path) -> None:
    for path in root.glob("*/*"):
        path.unlink()


def not_decoded(root: Path) -> None:
    for number in range(6):
        (root / image(number)).rename(root / f"IMG_{number}.HEIC")


DAMAGE = {
    "corrupt PNG": (cut(image(2), 0.6), r"IMG_10 \(1\).png: not a whole image"),
    "corrupt JPEG": (cut(image(3), 0.6), r"IMG_11 \(1\).JPG: not a whole image"),
    "empty file": (cut(image(3), 0), r"IMG_11 \(1\).JPG: not an image"),
    "16 bits": (sixteen_bits, r"IMG_10.*not 8-bit colour"),
    "absurd size": (absurd_png(image(2)), r"IMG_10.*not an image"),
    "a link outside": (link_outside(image(1)), r"links outside"),
    "no images": (no_images, r"holds no images"),
    "HEIC": (not_decoded, r"6 images: IMG_\d.HEIC is HEIC, which is not read"),
}
