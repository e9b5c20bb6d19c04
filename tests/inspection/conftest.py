"""A sound walk: two rounds through a box room, rendered without any code of tst; and copies with a defect put in."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tst.readers
from captures import look, render
from tst.inspection import agreement, loops
from tst.space import Space

FRAMES, ROUND = 120, 60
RATE = 2.5
SIZE = (96, 72)  # width, height


def pose(number: float) -> np.ndarray:
    """OpenGL camera-to-world: round the middle of the room, looking where it goes and a little down."""
    angle = 2 * math.pi * number / ROUND
    position = [2 + 1.0 * math.cos(angle), 1.4, 2.5 - 1.3 * math.sin(angle)]
    return look(position, math.degrees(angle) + 35 * math.sin(2 * angle), -15.0)


def write(folder: Path, poses: list[np.ndarray], times: bool = True) -> Path:
    """A nerfstudio capture of the room at `poses`."""
    for name in ("images", "depth"):
        (folder / name).mkdir(parents=True)
    listed: list[dict[str, Any]] = []
    for number, camera in enumerate(poses):
        seen = render(camera, *SIZE)
        Image.fromarray(seen["rgb"]).save(folder / "images" / f"{number:04d}.png")
        Image.fromarray(np.rint(seen["depth"] * 1000).astype(np.uint16)).save(folder / "depth" / f"{number:04d}.png")
        entry = {"file_path": f"images/{number:04d}.png", "depth_file_path": f"depth/{number:04d}.png"}
        listed.append(entry | {"transform_matrix": camera.tolist()} | ({"time": number / RATE} if times else {}))
    focal = SIZE[0] / 2
    top = {"w": SIZE[0], "h": SIZE[1], "fl_x": focal, "fl_y": focal, "cx": SIZE[0] / 2, "cy": SIZE[1] / 2}
    (folder / "transforms.json").write_text(json.dumps({**top, "camera_model": "OPENCV", "frames": listed}))
    return folder


@pytest.fixture(autouse=True)
def fewer_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute less for all tests."""
    monkeypatch.setattr(loops, "PAIRS", 40)
    monkeypatch.setattr(agreement, "PAIRS", 12)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """The walk as it should be. Do not change it: see `altered`."""
    folder = tmp_path_factory.mktemp("sound")
    return tst.readers.read("nerfstudio", write(folder / "walk", [pose(n) for n in range(FRAMES)]), folder / "space")


@pytest.fixture
def altered(sound: Space, tmp_path: Path) -> Callable[..., Space]:
    """Copies of the sound walk: `altered(columns=..., rgb=..., depth=..., frames=...)`.

    `columns(dict of lists)` changes frames.parquet in place, `rgb(number, array)` and `depth(number, array)` give other
    pixels, `frames` keeps the rows of those numbers.
    """

    def alter(
        columns: Callable[[dict[str, list[Any]]], None] | None = None,
        rgb: Callable[[int, np.ndarray], np.ndarray] | None = None,
        depth: Callable[[int, np.ndarray], np.ndarray] | None = None,
        frames: list[int] | None = None,
        without: tuple[str, ...] = (),
    ) -> Space:
        folder = tmp_path / f"altered-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(sound.path, folder)
        walk = folder / "walks" / "walk"
        for name, change in (("rgb", rgb), ("depth", depth)):
            for number, path in enumerate(sorted((walk / name).iterdir()) if change else []):
                with Image.open(path) as image:
                    array = np.asarray(image)
                Image.fromarray(change(number, array)).save(path)
        table = pq.read_table(walk / "frames.parquet")
        if frames is not None:
            table = table.take(frames)
        content = table.to_pydict()
        if columns is not None:
            columns(content)
        pq.write_table(pa.table(content, schema=table.schema), walk / "frames.parquet")
        about = json.loads((folder / "space.json").read_text())
        about["walks"]["walk"]["frames"] = len(content["id"])
        for name in without:
            shutil.rmtree(walk / name)
            about["walks"]["walk"]["modalities"].remove(name)
        (folder / "space.json").write_text(json.dumps(about))
        return Space.open(folder)

    return alter


@pytest.fixture
def capture(tmp_path: Path) -> Callable[..., Path]:
    """Writer of other walks: `capture(poses)` gives the capture's folder."""
    return lambda poses, **options: write(tmp_path / "capture", poses, **options)
