"""Opening and checking Spaces: the wrong file is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tst.errors import UserError
from tst.space import Space

Damage = Callable[[Path], Any]
WALK = "walks/labelled"


def edit(**values: Any) -> Damage:
    def damage(space: Path) -> None:
        contents = json.loads((space / "space.json").read_text())
        (space / "space.json").write_text(json.dumps({**contents, **values}))

    return damage


def drop_column(space: Path) -> None:
    path = space / WALK / "frames.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["pose"]), path)


def drop_row(space: Path) -> None:
    path = space / WALK / "frames.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def cast_column(space: Path) -> None:
    path = space / WALK / "frames.parquet"
    table = pq.read_table(path)
    column = table.column_names.index("fx")
    pq.write_table(table.set_column(column, "fx", [["x"] * len(table)]), path)


OPEN: dict[str, tuple[Damage, str]] = {
    "no space.json": (lambda s: (s / "space.json").unlink(), "no space.json in it"),
    "not JSON": (lambda s: (s / "space.json").write_text("{"), "space.json: not valid JSON"),
    "newer": (edit(schema_version=2), "schema_version is 2 .*Update tst"),
    "wrong type": (edit(classes=3), "space.json: classes"),
    "unknown field": (edit(colour="blue"), "space.json: colour"),
    "not an object": (lambda s: (s / "space.json").write_text("[]"), "space.json: the file"),
    "no parquet": (lambda s: (s / WALK / "frames.parquet").unlink(), "frames.parquet: not found"),
    "bad parquet": (lambda s: (s / WALK / "frames.parquet").write_text("x"), "frames.parquet: not readable"),
    "column gone": (drop_column, "frames.parquet: has no column 'pose'"),
    "column of another type": (cast_column, "frames.parquet: wrong column types"),
    "row gone": (drop_row, "has 5 frames and space.json says 6"),
    "file gone": (lambda s: (s / WALK / "depth/im003.png").unlink(), r"depth: 1 of 6 .*first: im003"),
    "folder gone": (lambda s: (s / WALK / "depth").rename(s / "x"), "depth: 6 of 6"),
}


def put(name: str, array: np.ndarray) -> Damage:
    return lambda space: Image.fromarray(array).save(space / WALK / name)


def cut(name: str) -> Damage:
    def damage(space: Path) -> None:
        data = (space / WALK / name).read_bytes()
        (space / WALK / name).write_bytes(data[: len(data) // 2])

    return damage


CHECK: dict[str, tuple[Damage, bool, str]] = {
    "not an image": (lambda s: (s / WALK / "rgb/im001.png").write_text("x"), False, "im001.png: cannot be decoded"),
    "rgb of another size": (
        put("rgb/im001.png", np.zeros((32, 32, 3), np.uint8)),
        False,
        "is 32x32 and frames.parquet",
    ),
    "depth of another shape": (put("depth/im001.png", np.zeros((32, 40), np.uint16)), False, "shapes differ"),
    "truncated": (cut("rgb/im001.png"), True, "im001.png"),
    "depth of another type": (put("depth/im001.png", np.zeros((64, 64), np.uint8)), True, "depth/im001.png"),
    "label beyond": (put("semantic/im001.png", np.full((64, 64), 7, np.uint8)), True, "im001.png: has label 7"),
}


@pytest.mark.parametrize("case", OPEN)
def test_open_names_the_wrong_file(case: str, labelled_space: Space) -> None:
    damage, message = OPEN[case]
    damage(labelled_space.path)
    with pytest.raises(UserError, match=message) as caught:
        Space.open(labelled_space.path)
    assert "\n" not in str(caught.value) and str(labelled_space.path) in str(caught.value)


@pytest.mark.parametrize("case", CHECK)
def test_check_names_the_wrong_file(case: str, labelled_space: Space) -> None:
    damage, full_only, message = CHECK[case]
    damage(labelled_space.path)
    space = Space.open(labelled_space.path)
    if full_only:
        space.check()
    with pytest.raises(UserError, match=message):
        space.check(full=full_only)


def test_nowhere() -> None:
    with pytest.raises(UserError, match=r"no such folder.*tst read"):
        Space.open("nowhere/at/all")


def test_whole_space_passes(labelled_space: Space) -> None:
    labelled_space.check()
    labelled_space.check(full=True)


def test_space_json_is_the_documented_one(labelled_space: Space) -> None:
    contents = json.loads((labelled_space.path / "space.json").read_text())
    assert contents["schema_version"] == 1
    assert contents["units"] == {"pose": "metres", "depth": "millimetres", "time": "seconds"}
    assert contents["modalities"] == ["rgb", "depth", "semantic", "instance"]
    assert set(contents) == {
        "schema_version", "name", "units", "classes", "ignore_index", "modalities", "walks", "provenance",
    }  # fmt: skip


def test_half_derived_modality_does_not_count(labelled_space: Space) -> None:
    walk = labelled_space.walks["labelled"]
    edges = walk.folder("edges")
    edges.mkdir()
    for name in walk.ids[:-1]:
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(edges / f"{name}.png")
    assert "edges" not in labelled_space.modalities()
    with pytest.raises(UserError, match=r"im005.*not found.*tst derive"):
        walk.file("edges", 5)
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(edges / f"{walk.ids[-1]}.png")
    assert "edges" in labelled_space.modalities()
    assert walk.read("edges", 5).shape == (64, 64)
    labelled_space.record_derived({"edges": {"tst_version": "x"}})
    assert Space.open(labelled_space.path).file.provenance == {"edges": {"tst_version": "x"}}
