"""A tiny walk with captions and boxes."""

import json
from pathlib import Path
from typing import Any

import tst.readers
from captures import write_nerfstudio
from tst.space import Space

SIZE = (96, 80)
CAPTIONS = [
    ["A wall and a floor.", "A wall to the left of a floor."],
    ["The floor to the right of a wall."],
    [],
    ["A ceiling right next to a wall.", "A ceiling, a wall.", "A ceiling and a wall."],
    ["A wall."],
    ["A floor and a wall."],
]
# x, y, width, height in pixels, class, score
BOXES = [
    [(10, 10, 40, 30, 7, 1.0), (60, 5, 30, 70, 3, 0.9)],
    [(0, 0, 96, 80, 3, 0.61), (5, 50, 20, 20, 7, 0.59)],
    [],
    [(80, 60, 16, 20, 7, 1.0), (1, 2, 3, 4, 3, 1.0), (30, 30, 30, 30, 3, 1.0)],
    [(40, 20, 20, 20, 7, 1.0)],
    [(0, 70, 96, 10, 3, 1.0)],
]
CLASSES = {7: "ceiling light", 3: "wall"}


def write_annotations(space: Space) -> Space:
    """Into the Space's only walk, of six frames."""
    (walk,) = space.walks.values()
    images = [
        {"id": 100 + n, "file_name": f"{name}.jpg", "width": SIZE[0], "height": SIZE[1]}
        for n, name in enumerate(walk.ids)
    ]
    captions = [{"image_id": 100 + n, "caption": text} for n, texts in enumerate(CAPTIONS) for text in texts]
    boxes = [
        {"image_id": 100 + n, "bbox": box[:4], "category_id": box[4], "score": box[5]}
        for n, found in enumerate(BOXES)
        for box in found
    ]
    categories = [{"id": number, "name": name} for number, name in CLASSES.items()]
    write(space, "captions", {"images": images, "annotations": captions})
    write(space, "boxes", {"images": images, "annotations": boxes, "categories": categories})
    return space


def write(space: Space, name: str, value: Any) -> None:
    (walk,) = space.walks.values()
    folder = walk.path / "annotations"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))


def make_annotated(folder: Path) -> Space:
    """A Space of six frames."""
    capture = write_nerfstudio(folder / "capture", size=SIZE, labels=False)
    return write_annotations(tst.readers.read("nerfstudio", capture, folder / "space"))
