"""`tst info` and the contact sheet."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.space import Space
from tst.space.contact_sheet import show
from tst.space.info import info, render


def test_info_of_labelled_images(labelled_space: Space) -> None:
    facts = info(labelled_space)
    (walk,) = facts.walks
    masks = np.stack([labelled_space.walks["labelled"].read("semantic", index) for index in range(6)])
    assert facts.class_shares["floor"] == pytest.approx((masks == 1).sum() / (masks != 255).sum())
    assert sum(facts.class_shares.values()) == pytest.approx(1)
    assert facts.unlabelled_share == pytest.approx((masks == 255).mean())
    assert (walk.frames, walk.poses, walk.cameras, walk.seconds) == (6, 0, 6, None)
    assert walk.splits == {"train": 4, "val": 2}
    assert walk.modalities == {name: ["64x64"] for name in ("rgb", "depth", "semantic", "instance")}
    stored = sum(path.stat().st_size for path in (labelled_space.path / "walks").rglob("*") if path.is_file())
    assert (facts.bytes_frames, facts.bytes_cache) == (stored, 0)


def test_info_of_a_walk_is_readable(walk_space: Space) -> None:
    facts = info(walk_space)
    assert (facts.class_shares, facts.unlabelled_share) == ({}, None)
    assert facts.walks[0].seconds == 2.5
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(facts))
    text = console.export_text()
    for words in ("over 2.5 s", "96x80", "48x40", "poses", "every frame", "ground 3, upper 3", "nerfstudio"):
        assert words in text


def test_contact_sheet(labelled_space: Space) -> None:
    out = show(labelled_space, frames=4)
    assert out == labelled_space.path / "contact-sheet.png"
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (40 + 4 * 166 + 20 + 10, 90 + 4 * 166, 3)  # 4 labels fit in one line
    walk = labelled_space.walks["labelled"]
    picture = MODALITIES["semantic"].draw(walk.read("semantic", 0))
    tile = pixels[40 + 2 * 166 : 40 + 2 * 166 + 160, 90:250]
    np.testing.assert_array_equal(tile[80, 80], picture[32, 32])
    wall = MODALITIES["semantic"].draw(np.zeros((1, 1), np.uint8))[0, 0]
    assert (pixels[40 + 4 * 166 :] == wall).all(-1).any(), "the legend has the colour of class 0"
    assert show(labelled_space, frames=100) == out  # its own file is renewed


def test_contact_sheet_spares_other_files(walk_space: Space, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    Image.new("RGB", (4, 4)).save(mine)
    before = mine.read_bytes()
    with pytest.raises(UserError, match="not a contact sheet"):
        show(walk_space, mine)
    assert mine.read_bytes() == before
    with pytest.raises(UserError, match="is a PNG"):
        show(walk_space, tmp_path / "sheet.jpg")
    with pytest.raises(UserError, match="above 0"):
        show(walk_space, tmp_path / "sheet.png", frames=0)
    assert show(walk_space, tmp_path / "sheet.png", frames=1).is_file()
