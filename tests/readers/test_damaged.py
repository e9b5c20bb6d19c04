"""Damaged captures: one line that names the file and the remedy, and no Space."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captures import CLASSES
from tst.errors import UserError
from tst.readers import read

Writer = Callable[..., Path]
Damage = Callable[[Path], Any]


def edit(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Change transforms.json."""

    def damage(source: Path) -> None:
        transforms = json.loads((source / "transforms.json").read_text())
        change(transforms)
        (source / "transforms.json").write_text(json.dumps(transforms))

    return damage


def frame(key: str, value: Any) -> Damage:
    return edit(lambda transforms: transforms["frames"][2].update({key: value}))


def top(key: str, value: Any) -> Damage:
    return edit(lambda transforms: transforms.update({key: value}))


def pose(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(transforms: dict[str, Any]) -> None:
        matrix = np.array(transforms["frames"][2]["transform_matrix"])
        transforms["frames"][2]["transform_matrix"] = change(matrix).tolist()

    return edit(damage)


def with_value(index: tuple[int, int], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(matrix: np.ndarray) -> np.ndarray:
        matrix[index] = value
        return matrix

    return change


def truncate(name: str, keep: float = 0.6) -> Damage:
    def damage(source: Path) -> None:
        data = (source / name).read_bytes()
        (source / name).write_bytes(data[: int(len(data) * keep)])

    return damage


def save(name: str, array: np.ndarray) -> Damage:
    return lambda source: Image.fromarray(array).save(source / name)


def rotate_by_tag(source: Path) -> None:
    image = Image.open(source / "images/0002.jpg")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(source / "images/0002.jpg", exif=exif)


def link_outside(source: Path) -> None:
    (source.parent / "secret.jpg").write_bytes((source / "images/0002.jpg").read_bytes())
    (source / "images/0002.jpg").unlink()
    (source / "images/0002.jpg").symlink_to(source.parent / "secret.jpg")


NERFSTUDIO: dict[str, tuple[Damage, str]] = {
    "image missing": (lambda s: (s / "images/0002.jpg").unlink(), "0002.jpg not found"),
    "image truncated": (truncate("images/0002.jpg"), "0002.jpg: not a whole image"),
    "image empty": (truncate("images/0002.jpg", 0), "0002.jpg: not a whole image"),
    "image is text": (lambda s: (s / "images/0002.jpg").write_text("hello"), "0002.jpg: not a whole image"),
    "image rotated by a tag": (rotate_by_tag, "0002.jpg: is rotated by an EXIF tag"),
    "image of another shape": (save("images/0002.jpg", np.zeros((96, 80, 3), np.uint8)), "intrinsics are for 96x80"),
    "depth missing": (lambda s: (s / "depth/0002.png").unlink(), "0002.png not found"),
    "depth truncated": (truncate("depth/0002.png"), "0002.png: not a whole image"),
    "depth not listed": (edit(lambda t: t["frames"][2].pop("depth_file_path")), "1 of 6 frames have no depth"),
    "depth of another shape": (save("depth/0002.png", np.ones((40, 50), np.uint16)), "depth is 50x40 .*shapes differ"),
    "depth with 8 bits": (save("depth/0002.png", np.ones((40, 48), np.uint8)), "depth has 8 bits"),
    "depth in colour": (save("depth/0002.png", np.ones((40, 48, 3), np.uint8)), "needs one channel"),
    "mask of another shape": (save("semantic/0002.png", np.zeros((48, 40), np.uint8)), "semantic is 40x48"),
    "mask in colour": (save("semantic/0002.png", np.zeros((40, 48, 3), np.uint8)), "needs one channel"),
    "pose NaN": (pose(with_value((0, 3), float("nan"))), "frame 2 .*not finite"),
    "pose infinite": (pose(with_value((0, 3), float("inf"))), "not finite"),
    "pose scaled": (pose(lambda m: m * np.array([1.01, 1.01, 1.01, 1])), "not rigid"),
    "pose skewed": (pose(with_value((0, 1), 0.3)), "not rigid"),
    "pose mirrored": (pose(lambda m: m * np.array([-1, 1, 1, 1])), "mirrored"),
    "pose projective": (pose(with_value((3, 0), 0.5)), "not rigid"),
    "pose missing": (edit(lambda t: t["frames"][2].pop("transform_matrix")), "transform_matrix is not 4x4"),
    "pose is words": (frame("transform_matrix", [["a"] * 4] * 4), "transform_matrix is not 4x4"),
    "pose ragged": (frame("transform_matrix", [[1, 0], [0]]), "transform_matrix is not 4x4"),
    "focal zero": (top("fl_x", 0), "fl_x is 0.0. Correct the intrinsics"),
    "focal of a frame zero": (frame("fl_y", 0), "frame 2 .*fl_y is 0.0"),
    "focal not a number": (top("fl_x", "256"), "fl_x is '256', not a number"),
    "focal absent": (edit(lambda t: t.pop("fl_x")), "neither fl_x nor camera_angle_x"),
    "panorama": (top("camera_model", "EQUIRECTANGULAR"), "cannot be|not one that tst can undistort"),
    "absurd lens": (top("k1", -1e6), "cannot be undone"),
    "depth unit zero": (top("depth_unit_scale_factor", 0), "depth_unit_scale_factor is 0"),
    "time not a number": (frame("time", "noon"), "time is 'noon'"),
    "path escapes": (frame("file_path", "../../etc/passwd"), "outside the capture's folder"),
    "absolute path": (frame("depth_file_path", "/etc/passwd"), "outside the capture's folder"),
    "link escapes": (link_outside, "outside the capture's folder"),
    "path not text": (frame("depth_file_path", 7), "file name 7 is not text"),
    "file_path absent": (edit(lambda t: t["frames"][2].pop("file_path")), "frame 2 has no file_path"),
    "duplicate id": (frame("file_path", "images/0001.jpg"), "also named '0001'"),
    "no frames": (top("frames", []), "has no frames"),
    "frames not a list": (top("frames", 3), 'no list "frames"'),
    "not JSON": (lambda s: (s / "transforms.json").write_text("{"), "transforms.json: not valid JSON"),
    "JSON of another kind": (lambda s: (s / "transforms.json").write_text("[1]"), 'no list "frames"'),
    "no transforms.json": (lambda s: (s / "transforms.json").unlink(), "transforms.json: not found"),
    "label beyond the classes": (save("semantic/0002.png", np.full((40, 48), 9, np.uint8)), "0002.png: has label 9"),
}

LABELLED: dict[str, tuple[Damage, str]] = {
    "no images": (lambda s: [p.unlink() for p in (s / "images").iterdir()], "images: no images"),
    "no folder images": (lambda s: (s / "images").rename(s / "pictures"), "images: not found"),
    "depth missing": (lambda s: (s / "depth/im002.png").unlink(), r"im002.png: not found \(1 of 6"),
    "mask missing": (lambda s: (s / "semantic/im002.png").unlink(), "im002.png: not found"),
    "image missing": (lambda s: (s / "images/im002.png").unlink(), "has no image"),
    "two images of a name": (save("images/im002.jpg", np.zeros((64, 64, 3), np.uint8)), "has the same name"),
    "image truncated": (truncate("images/im002.png"), "im002.png: not a whole image"),
    "image not an image": (lambda s: (s / "images/im002.png").write_text("x"), "im002.png: not an image"),
    "16-bit grey image": (save("images/im002.png", np.zeros((64, 64), np.uint16)), "not 8-bit colour"),
    "mask with 16 bits": (save("semantic/im002.png", np.full((64, 64), 300, np.uint16)), "has label 300"),
    "label beyond the classes": (save("semantic/im002.png", np.full((64, 64), 3, np.uint8)), "label 3 and there are 3"),
    "split unknown": (lambda s: (s / "split.csv").write_text("id,split\nim000,dev\n"), "line 2: split is 'dev'"),
    "split of no image": (lambda s: (s / "split.csv").write_text("id,split\nxx,val\n"), "no image 'xx'"),
    "split incomplete": (lambda s: (s / "split.csv").write_text("id,split\nim000,val\n"), "5 images have no line"),
    "split twice": (lambda s: (s / "split.csv").write_text("id,split\nim000,val\nim000,train\n"), "in two splits"),
    "split without header": (lambda s: (s / "split.csv").write_text("im000,val\nim001,val\n"), "must be `id,split`"),
    "split not text": (lambda s: (s / "split.csv").write_bytes(b"id,split\n\xff\xfe,val\n"), "not readable as CSV"),
    "classes not a list": (lambda s: (s / "classes.json").write_text('{"classes": 16}'), "no list of names"),
    "classes twice": (lambda s: (s / "classes.json").write_text('{"classes": ["a", "a"]}'), "occurs twice"),
    "ignore_index wrong": (
        lambda s: (s / "classes.json").write_text('{"classes": ["a"], "ignore_index": -1}'),
        "ignore_index is -1",
    ),
}


def refused(format: str, source: Path, message: str, tmp_path: Path, **options: Any) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(format, source, tmp_path / "space", **options)
    text = str(caught.value)
    assert "\n" not in text
    assert re.search(r"\. [A-Z`].*[.?]$", text), f"no remedy: {text}"
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("captures", "classes.json")] == []


@pytest.mark.parametrize("case", NERFSTUDIO)
def test_nerfstudio(case: str, nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()
    damage, message = NERFSTUDIO[case]
    damage(source)
    (tmp_path / "classes.json").write_text(json.dumps({"classes": CLASSES}))
    refused("nerfstudio", source, message, tmp_path, classes=tmp_path / "classes.json")


@pytest.mark.parametrize("case", LABELLED)
def test_labelled(case: str, labelled_folder: Writer, tmp_path: Path) -> None:
    source = labelled_folder()
    damage, message = LABELLED[case]
    damage(source)
    refused("labelled", source, message, tmp_path)
