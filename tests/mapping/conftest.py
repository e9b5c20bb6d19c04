"""A box room whose classes are known everywhere, seen by a walking camera; probabilities made of the truth."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from room import Walk, poses, write

import tst.readers
from captures import CLASSES, FACE_CLASS, render
from tst.inspection import agreement
from tst.mapping.predictions import Given
from tst.space import Space


@pytest.fixture(autouse=True)
def fewer_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute less for all tests."""
    monkeypatch.setattr(agreement, "PAIRS", 12)


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """The room in a Space of one walk. Do not change it."""
    folder = tmp_path_factory.mktemp("room")
    return tst.readers.read("nerfstudio", write(folder / "walk", poses()), folder / "space")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Space]:
    """`read(*walks)`: a Space of these (`room.Walk`)."""

    def make(*walks: Walk) -> Space:
        for number, walk in enumerate(walks):
            source = write(tmp_path / f"walk-{number}", **vars(walk))
            space = tst.readers.read("nerfstudio", source, tmp_path / "space")
        return space

    return make


@pytest.fixture
def truth() -> Callable[..., Given]:
    """`truth(cameras, sure=0.8)`: probabilities that give the right class `sure` and the others the rest."""

    def make(cameras: Sequence[np.ndarray], sure: float = 0.8, size: tuple[int, int] = (48, 36)) -> Given:
        labels = np.stack([FACE_CLASS[render(camera, *size)["face"]] for camera in cameras])
        rest = (1 - sure) / (len(CLASSES) - 1)
        array = np.where(np.arange(len(CLASSES))[:, None, None] == labels[:, None], sure, rest)
        return Given(array.astype(np.float32), CLASSES)

    return make
