"""The map as an oracle: right on another walk wherever it was seen, whatever the model there says itself."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from room import poses

import tst.readers
from captures import CLASSES, write_nerfstudio
from tst.evaluation.metrics import summarise
from tst.mapping.oracle import read_map
from tst.mapping.predictions import Given
from tst.mapping.space_map import build, fuse
from tst.mapping.views import MapConfig, Views
from tst.space import Space


@pytest.fixture
def labelled(tmp_path: Path) -> Space:
    """Another walk in the same room, with labels."""
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"classes": CLASSES}))
    return tst.readers.read(
        "nerfstudio", write_nerfstudio(tmp_path / "other", frames=6), tmp_path / "l", classes=classes
    )


@pytest.mark.parametrize("depth", [True, False])
def test_the_map_is_right_where_the_model_is_not(
    depth: bool, room: Space, labelled: Space, truth: Callable[..., Given]
) -> None:
    views = Views(room, MapConfig(cell=0.1, short_side=72))
    space_map = build(views)
    sums = fuse(space_map, truth(poses(), size=(96, 72)))
    ignorant = Given(np.full((len(labelled), len(CLASSES), 9, 12), 1 / len(CLASSES), np.float32), CLASSES)
    alone, none = read_map(None, ignorant, labelled)
    found, share = read_map((space_map, sums), ignorant, labelled, depth=depth)
    assert none == 0 and share > 0.7
    assert summarise(found.matrices).miou > summarise(alone.matrices).miou + 40
    confusion = found.matrices.sum(0)  # the ignorant always say the first class: all other answers are the map's
    assert np.diag(confusion)[1:].sum() > 0.95 * confusion[:, 1:].sum()


def test_where_the_map_is_empty_the_model_speaks(room: Space, labelled: Space, truth: Callable[..., Given]) -> None:
    views = Views(room, MapConfig(cell=0.1, short_side=72))
    space_map = build(views)
    sums = fuse(space_map, truth(poses(), size=(96, 72)))
    views.origin = views.origin + 100.0  # as if the other walk were elsewhere
    random = np.random.default_rng(0).random((len(labelled), len(CLASSES), 9, 12), np.float32)
    own = Given(random / random.sum(1, keepdims=True), CLASSES)
    found, share = read_map((space_map, sums), own, labelled)
    alone, _ = read_map(None, own, labelled)
    assert share == 0
    np.testing.assert_allclose(found.matrices, alone.matrices, atol=0.02 * alone.matrices.sum())
