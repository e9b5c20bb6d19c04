"""`tst info` and the contact sheet."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from tst.errors import UserError
from tst.files import write_json
from tst.modalities import MODALITIES
from tst.space import Space
from tst.space.contact_sheet import FRAME, show
from tst.space.info import SensorInfo, info, render


def printed(space: Space) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(info(space)))
    return console.export_text()


def add_sensor(space: Space, name: str, columns: dict[str, object], metadata: dict[str, str] | None = None) -> None:
    folder = space.walks["walk"].path / "sensors"
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / f"{name}.parquet")


@pytest.fixture
def measured(walk_space: Space) -> Space:
    """A walk with light (100 Hz, from half a second on, a hole of half a second) and three seconds of audio."""
    times = 0.5 + np.delete(np.arange(250), slice(100, 150)) / 100
    add_sensor(walk_space, "light", {"time": times, "lux": times * 100})
    samples = pa.array([np.arange(8000, dtype=np.int16)] * 3)
    add_sensor(walk_space, "audio", {"time": [0.0, 1.0, 2.0], "samples": samples}, {"rate": "8000"})
    return walk_space


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
    assert (facts.walks[0].sensors, facts.walks[0].dropped, facts.walks[0].furniture) == ({}, {}, {})
    text = printed(walk_space)
    for words in ("over 2.5 s", "96x80", "48x40", "poses", "every frame", "ground 3, upper 3", "nerfstudio"):
        assert words in text


def test_info_of_sensors(measured: Space) -> None:
    (walk,) = info(measured).walks
    assert walk.sensors["light"] == SensorInfo(200, pytest.approx(100), pytest.approx(2.49))
    assert walk.sensors["audio"] == SensorInfo(24000, 8000.0, 3.0)
    text = printed(measured)
    assert "200 readings at 100 Hz over 2.5 s" in text and "24000 readings at 8000 Hz over 3.0 s" in text


def test_info_of_frames_that_were_left_out(walk_space: Space) -> None:
    path = walk_space.walks["walk"].path / "dropped.parquet"
    reasons = ["blurred (sharpness 3.1)", "damaged: a.png: cut off", "blurred (sharpness 2)", *"uvwxy"]
    pq.write_table(pa.table({"id": [f"{k}" for k in range(8)], "time": [0.5] * 8, "reason": reasons}), path)
    (walk,) = info(walk_space).walks
    assert walk.dropped == {"blurred": 2, "damaged": 1, **dict.fromkeys("uvwxy", 1)}
    assert "8 frames: 2 blurred, 1 damaged, 1 u, 1 v, 1 w, 2 for other reasons" in printed(walk_space)


def test_info_of_furniture(walk_space: Space) -> None:
    notes = walk_space.walks["walk"].record.notes
    notes["furniture"] = {"TST, Apache-2.0": ["bed", "sofa"], "A. Maker, CC-BY": ["harp"]}
    (walk,) = info(walk_space).walks
    assert walk.furniture == notes["furniture"] and "furniture" not in walk.provenance["notes"]
    text = printed(walk_space)
    assert "2 kinds by TST, Apache-2.0" in text and "1 kind by A. Maker, CC-BY" in text


def test_contact_sheet_of_sensors(measured: Space) -> None:
    frames, curves, foot = 6, 70, 10
    with Image.open(show(measured)) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[0] == 40 + 2 * 166 + 2 * curves + foot  # rgb, depth; light, audio
    width = (pixels.shape[1] - 90) // frames
    row = pixels[40 + 2 * 166 : 40 + 2 * 166 + 64]
    dark = [(row[:, 90 + width * k + 3 : 90 + width * (k + 1) - 9].max(-1) < 150).any(0) for k in range(frames)]
    # Windows of a second, at 0, 0.5, ..., 2.5 s; light is known from 0.5 s to 1.49 s and from 2 s to 2.99 s.
    shares = [columns.mean() for columns in dark]
    assert shares[0] == 0 and shares[3] > 0.95
    assert shares[2] == pytest.approx(0.5, abs=0.06) and shares[4] == pytest.approx(0.5, abs=0.06)
    higher = [np.argwhere(row[:, 90 + width * k + width - 12].max(-1) < 150).mean() for k in (2, 3)]
    assert higher[1] < higher[0], "more light, higher up"


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


def test_boxes_are_drawn_on_the_contact_sheet(labelled_space: Space) -> None:
    def box(image: int, x: float, y: float, score: float) -> dict[str, object]:
        return {"image_id": image, "category_id": 7, "bbox": [x, y, 16, 32], "score": score}

    def drawn() -> np.ndarray:
        with Image.open(show(labelled_space, frames=6)) as image:
            return (np.asarray(image.convert("RGB")) == FRAME).all(-1)[40:, 90:]

    assert not drawn().any()
    images = [{"id": n, "file_name": f"im{n:03d}.png", "width": 64, "height": 64} for n in range(6)]
    boxes = [box(0, 16, 16, 0.9), box(1, 16, 16, 0.5), box(2, 40, 0, 1.0)]
    boxes += [box(2, 40, 0, 1.0) | {"bbox": (60, 40, 1e12, -1e12)}]  # no box
    contents = {"images": images, "annotations": boxes, "categories": [{"id": 7, "name": "chair"}]}
    write_json(labelled_space.walks["labelled"].path / "annotations" / "boxes.json", contents)
    yellow = drawn()
    assert not yellow[160:].any(), "other modalities are as before"
    tiles = [yellow[:160, 166 * n : 166 * n + 160] for n in range(6)]
    assert [tile.any() for tile in tiles] == [True, False, True, False, False, False]  # the second is unsure
    outline = np.zeros((160, 160), bool)
    outline[40:120, 40:81] = True
    outline[41:119, 41:80] = False
    assert tiles[0][outline].mean() > 0.95 and tiles[0][60:110, 45:75].sum() == 0
    assert tiles[0][30:40, 40:60].mean() > 0.4, "its name stands above it"
    assert tiles[2][:10, 100:].mean() > 0.2, "or at the top, where there is no room above"


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
