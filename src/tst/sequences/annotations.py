"""Annotations of a walk in COCO's layouts (`annotations/boxes.json`, `captions.json`), checked and typed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from tst.config import describe
from tst.errors import UserError
from tst.files import read_json
from tst.space.space import Walk

MIN_SCORE = 0.6  # 4M's


class CocoImage(BaseModel):
    """An image; `file_name` is the frame's id, an extension is passed over."""

    id: int
    file_name: str
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)


class CocoCategory(BaseModel):
    """A class."""

    id: int
    name: str = Field(min_length=1)


class CocoBox(BaseModel):
    """A box: x, y, width and height in pixels of the image; what people annotated has no score."""

    image_id: int
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    score: FiniteFloat = 1.0
    iscrowd: int = 0


class CocoCaption(BaseModel):
    """A sentence about an image."""

    image_id: int
    caption: str


class BoxFile(BaseModel):
    """The contents of a boxes.json."""

    images: list[CocoImage]
    annotations: list[CocoBox]
    categories: list[CocoCategory]


class CaptionFile(BaseModel):
    """The contents of a captions.json."""

    images: list[CocoImage]
    annotations: list[CocoCaption]


Contents = TypeVar("Contents", bound=BaseModel)


def read_annotations(path: Path, kind: type[Contents]) -> Contents:
    """Read and check one file.

    Raises:
        UserError: missing, damaged, or in another layout.
    """
    value = read_json(path)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = describe(error).split("; ")[0]
        raise UserError(f"{path}: not in COCO's layout ({first}). Make the annotations again.") from None


def frame_rows(path: Path, images: list[CocoImage], walk: Walk) -> dict[int, int]:
    """Row of the walk's frame by the id of its image; images of frames that the walk left out are passed over.

    Raises:
        UserError: two images have one id, or none is of this walk.
    """
    rows = {name: row for row, name in enumerate(walk.ids)}
    found: dict[int, int] = {}
    for image in images:
        row = rows.get(image.file_name, rows.get(Path(image.file_name).stem))
        if image.id in found:
            raise UserError(f"{path}: two images have the id {image.id}. Make the annotations again.")
        if row is not None:
            found[image.id] = row
    if walk.ids and not found:
        raise UserError(f"{path}: none of its {len(images)} images is a frame of {walk.path}. Give this walk's own.")
    return found


@dataclass(frozen=True)
class Box:
    """A thing seen in a frame: row in the walk, (left, top, right, bottom) as fractions of the frame, class name."""

    row: int
    corners: tuple[float, float, float, float]
    name: str


def read_boxes(path: Path, walk: Walk) -> list[Box]:
    """Boxes of a walk with a score of MIN_SCORE or more; of what people or renderers annotated, all.

    Raises:
        UserError: missing, damaged, or of another walk.
    """
    contents = read_annotations(path, BoxFile)
    rows = frame_rows(path, contents.images, walk)
    sizes = {image.id: (image.width, image.height) for image in contents.images}
    names = {item.id: item.name for item in contents.categories}
    found = []
    for item in contents.annotations:
        if item.image_id not in rows or item.iscrowd or item.score < MIN_SCORE:
            continue
        width, height = sizes[item.image_id]
        if not (width and height):
            raise UserError(f"{path}: image {item.image_id} has no width or height. Make the boxes again.")
        if item.category_id not in names:
            raise UserError(f"{path}: category {item.category_id} is not listed. Make the boxes again.")
        x, y, w, h = item.bbox
        corners = (x / width, y / height, (x + w) / width, (y + h) / height)
        found.append(Box(rows[item.image_id], corners, names[item.category_id]))
    return found


def walk_starts(walks: list[Walk]) -> list[int]:
    """Index of each walk's first frame in `Space.frames`."""
    return np.cumsum([0, *(len(walk) for walk in walks)])[:-1].tolist()
