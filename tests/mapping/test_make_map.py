"""`tst map`: files that other programs read, and where the map is weak."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import plyfile
import pytest
import torch
from PIL import Image
from rerun.chunk import RrdReader
from room import poses

from captures import CLASSES, ROOM, render
from tst.errors import UserError
from tst.finetuning.encoder import EncoderModel
from tst.finetuning.model import HeadShape, save_model
from tst.finetuning.task import tasks
from tst.mapping.make import make_map
from tst.mapping.ply import write_ply
from tst.mapping.predictions import CopiesConfig, Given, Model
from tst.mapping.rerun_file import write_rerun
from tst.mapping.space_map import Appearance, appearance, build, fuse
from tst.mapping.views import MapConfig, Views
from tst.mapping.weakness import weakness
from tst.model import Encoder
from tst.pretraining.batches import model_table
from tst.space import Space

CONFIG = MapConfig(cell=0.1, short_side=72)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny random segmenter."""
    torch.manual_seed(0)
    shape = HeadShape(width=192, grid=2, classes=3, channels=16, depth=1, cells=2)
    made = EncoderModel(tasks()["segmentation"], 32, Encoder("nano", model_table({}, 32)), shape)
    save_model(tmp_path / "model.safetensors", made, CLASSES)
    return tmp_path / "model.safetensors"


def test_an_independent_reader_finds_every_property(room: Space, truth: Callable[..., Given], tmp_path: Path) -> None:
    space_map = build(Views(room, CONFIG))
    look_of, sums = appearance(space_map), fuse(space_map, truth(poses()))
    write_ply(tmp_path / "map.ply", look_of, sums, CLASSES)
    data = plyfile.PlyData.read(tmp_path / "map.ply")
    vertex = data["vertex"]
    assert not data.text and vertex.count == len(space_map.cells)
    points = np.stack([vertex[name] for name in "xyz"], 1)
    np.testing.assert_allclose(points, look_of.points_V3, atol=1e-4)
    np.testing.assert_allclose(np.stack([vertex[n] for n in ("nx", "ny", "nz")], 1), look_of.normals_V3)
    np.testing.assert_array_equal(np.stack([vertex[n] for n in ("red", "green", "blue")], 1), look_of.colours_V3)
    np.testing.assert_array_equal(vertex["views"], look_of.views_V)
    assert vertex["class"].dtype == np.uint8 and vertex["confidence"].dtype == np.float32
    floor = (points[:, 1] < 0.02) & (np.abs(points - ROOM / 2) < ROOM / 2 - 0.3)[:, [0, 2]].all(1)
    assert floor.sum() > 20 and (vertex["class"][floor] == 1).all()
    assert vertex["agreement"].min() >= 0 and vertex["agreement"].max() == 1
    assert "class 1 floor" in data.comments


def test_points_far_from_the_origin_are_written_less_an_offset(tmp_path: Path) -> None:
    points = np.array([[500000.123, 5000000.456, 30.5], [500001.123, 5000001.456, 31.5]])
    empty = np.zeros((2, 3), np.float32)
    write_ply(tmp_path / "far.ply", Appearance(points, empty, empty.astype(np.uint8), np.ones(2, np.int32)))
    data = plyfile.PlyData.read(tmp_path / "far.ply")
    offset = np.array(data.comments[1].split()[1:], float)
    read = np.stack([data["vertex"][name] for name in "xyz"], 1)
    np.testing.assert_allclose(read + offset, points, atol=1e-4)


def test_a_rerun_recording_has_the_layers(room: Space, truth: Callable[..., Given], tmp_path: Path) -> None:
    space_map = build(Views(room, CONFIG))
    look_of, sums = appearance(space_map), fuse(space_map, truth(poses()))
    write_rerun(tmp_path / "map.rrd", space_map, look_of, sums, CLASSES)
    chunks = RrdReader(tmp_path / "map.rrd").stream().to_chunks()
    paths = {chunk.entity_path for chunk in chunks}
    assert {f"/map/{name}" for name in ("colour", "class", "confidence", "agreement", "cameras")} <= paths


def test_views_that_contradict_each_other_are_a_weak_place(room: Space, truth: Callable[..., Given]) -> None:
    source = truth(poses(), sure=0.9)
    for number, camera in enumerate(poses()):  # beyond x = 3 m each view says something else
        seen = render(camera, 48, 36)
        source.array[number] = np.where(
            seen["points"][..., 0] > 3, np.roll(np.eye(3), number, 0)[0][:, None, None], source.array[number]
        )
    space_map = build(Views(room, CONFIG))
    plans = weakness(space_map, appearance(space_map), fuse(space_map, source))
    assert [plan.name for plan in plans] == ["plan"]
    assert np.nanmin(plans[0].agreement) < 0.5 < np.nanmedian(plans[0].agreement)
    places = plans[0].places
    assert places and places[0].area == max(place.area for place in places) > 1
    text = places[0].text
    assert "of the map from more sides" in text and "mark 1; nearest: frame 00" in text and "m²" in text
    height, width = plans[0].agreement.shape
    weak, sound = plans[0].agreement < 0.5, plans[0].agreement > 0.9
    centres = [np.argwhere(cells).mean(0) * plans[0].cell for cells in (weak, sound)]
    assert np.linalg.norm(centres[0] - centres[1]) > 0.8 and max(height, width) * plans[0].cell < 6


def test_mirrored_and_scaled_copies_are_averaged(room: Space, model: Path) -> None:
    plain = Model(model, room, CopiesConfig(flip=False, scales=(1.0,)))
    both = Model(model, room, CopiesConfig(flip=True, scales=(1.0, 1.5)))
    values = both(range(5))
    assert len(values) == 5 and values[0].dtype == np.float32
    np.testing.assert_allclose(values[3].sum(0), 1, atol=1e-4)
    assert values[0].shape[1] > plain([0])[0].shape[1]
    assert plain.classes == CLASSES and plain.identity != both.identity
    flipped = Model(model, room, CopiesConfig(flip=True, scales=(1.0,)))
    assert not np.allclose(flipped([2])[0], plain([2])[0])


def test_the_command_writes_a_map_and_a_plan_once(room: Space, model: Path, tmp_path: Path) -> None:
    copies = CopiesConfig(scales=(1.0,))
    made = make_map(room, tmp_path / "map.ply", model, CONFIG, copies)
    assert made.files == [tmp_path / "map.ply", tmp_path / "map.png"] and made.frames == 24
    assert made.scores is not None and 0 <= made.scores["kappa"] <= 100
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.width > 1000
    with pytest.raises(UserError, match=r"map\.ply: exists"):
        make_map(room, tmp_path / "map.ply", model, CONFIG, copies)
    with pytest.raises(UserError, match=r"a map is a \.ply"):
        make_map(room, tmp_path / "map.obj", None, CONFIG)
    bare = make_map(room, tmp_path / "bare.ply", None, CONFIG)
    assert bare.files == [tmp_path / "bare.ply"] and bare.scores is None
    assert "class" not in plyfile.PlyData.read(tmp_path / "bare.ply")["vertex"].data.dtype.names
