"""AI2-THOR and ProcTHOR: axes, units, labels, sampling, files of several houses; with a fake simulator."""

import gc
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_ai2thor
import numpy as np
import pytest
from fake_ai2thor import Controller
from scene import Scene
from writers import ai2thor as houses

from captures import render
from tst.errors import UserError
from tst.readers import read
from tst.readers.ai2thor import CLASSES, UNLABELLED
from tst.readers.ai2thor import read as read_house
from tst.readers.base import Frame, Values

SMALL: dict[str, Any] = {"samples": 12, "width": 64, "height": 48}


@pytest.fixture(autouse=True)
def simulator() -> Iterator[None]:
    Controller.started.clear()
    fake_ai2thor.install()
    yield
    Controller.started.clear()


def loaded(frame: Frame, modality: str) -> np.ndarray:
    values = frame.files[modality]
    assert isinstance(values, Values) and values.in_order
    array = values.load(None)
    assert isinstance(array, np.ndarray)
    return array


def test_pose_and_depth_are_those_of_the_room(tmp_path: Path) -> None:
    """The pose that is told, given to the renderer of the room itself, shows what the simulator showed."""
    recording = read_house(houses.write(tmp_path / "home", Scene()), **SMALL)
    for frame in recording.frames:
        assert frame.pose is not None and frame.camera is not None
        truth = render(frame.pose @ np.diag([1.0, -1, -1, 1]), 64, 48, 90.0)
        assert (loaded(frame, "rgb") == truth["rgb"]).mean() > 0.99
        assert loaded(frame, "depth") * frame.depth_scale == pytest.approx(truth["depth"] * 1000, abs=1)
        assert np.linalg.det(frame.pose[:3, :3]) == pytest.approx(1)
        assert frame.pose[1, 3] == pytest.approx(fake_ai2thor.AGENT_HEIGHT + fake_ai2thor.CAMERA_HEIGHT)
    assert recording.up == (0.0, 1.0, 0.0)


def test_normals_classes_and_instances(tmp_path: Path) -> None:
    source = houses.write(tmp_path / "home", Scene())
    recording = read_house(source, **SMALL)
    for frame in recording.frames[:4]:
        assert frame.pose is not None
        face = render(frame.pose @ np.diag([1.0, -1, -1, 1]), 64, 48, 90.0)["face"]
        world = loaded(frame, "normals") / 127.5 - 1
        world[..., 2] *= -1  # stored blue is towards the camera
        error = np.abs(world @ frame.pose[:3, :3].T - fake_ai2thor.NORMALS[face])
        assert np.median(error) < 0.01
        labels = np.array([CLASSES.index(kind) for kind in fake_ai2thor.KINDS])[face]
        assert (loaded(frame, "semantic") == labels).mean() > 0.99
        numbers = np.array([1 + sorted(fake_ai2thor.OBJECTS).index(name) for name in fake_ai2thor.OBJECTS])[face]
        assert (loaded(frame, "instance") == numbers).mean() > 0.99
    mug = next(item for item in recording.annotations["objects"] if item["id"] == "Mug|1|1|-5")
    assert mug["class"] == "Mug"
    space = read("ai2thor", source, tmp_path / "space", **SMALL)
    assert space.classes == CLASSES
    assert set(space.modalities()) == {"rgb", "depth", "normals", "semantic", "instance"}


def test_an_unknown_class_and_a_broken_normal_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Controller._images

    def images(self: Controller) -> dict[str, Any]:
        result = seen(self)
        result["semantic_segmentation_frame"][:10] = (1, 2, 3)
        result["normals_frame"][:10] = (0, 0, 255)  # what the simulator clears its image with
        result["depth_frame"][:10] = 19.9
        return result

    monkeypatch.setattr(Controller, "_images", images)
    frame = read_house(houses.write(tmp_path / "home", Scene()), **SMALL).frames[0]
    assert (loaded(frame, "semantic")[:10] == UNLABELLED).all()
    assert (loaded(frame, "normals")[:10] == 0).all() and (loaded(frame, "depth")[:10] == 0).all()


def test_classes_fit_a_space() -> None:
    assert len(set(CLASSES)) == len(CLASSES) < UNLABELLED


def test_samples_are_spread_over_the_places_and_repeat_with_the_seed(tmp_path: Path) -> None:
    source = houses.write(tmp_path / "home", Scene())

    def poses(seed: int) -> np.ndarray:
        return np.array([frame.pose for frame in read_house(source, seed=seed, **SMALL).frames])

    first = poses(0)
    _, counts = np.unique(first[:, [0, 2], [3, 3]].round(3), axis=0, return_counts=True)
    assert (counts == 2).all() and len(counts) == len(fake_ai2thor.PLACES)
    down = np.degrees(np.arcsin(-first[:, 1, 2]))
    assert (np.abs(down) <= 30).all() and down.min() < -10 and down.max() > 10
    assert (poses(0) == first).all() and not (poses(1) == first).all()


def test_each_view_is_rendered_once(tmp_path: Path) -> None:
    recording = read_house(houses.write(tmp_path / "home", Scene()), **SMALL)
    (controller,) = Controller.started
    before = controller.renders
    for frame in recording.frames:
        for modality in frame.files:
            loaded(frame, modality)
    assert controller.renders - before == len(recording.frames)


def test_the_simulator_is_stopped(tmp_path: Path) -> None:
    recording = read_house(houses.write(tmp_path / "home", Scene()), **SMALL)
    (controller,) = Controller.started
    assert not controller.stopped
    del recording
    gc.collect()
    assert controller.stopped


def test_field_of_view_is_horizontal(tmp_path: Path) -> None:
    recording = read_house(houses.write(tmp_path / "home", Scene()), samples=1, width=96, height=48, fov=90.0)
    assert Controller.started[0].fov == pytest.approx(2 * np.degrees(np.arctan(0.5)))
    camera = recording.frames[0].camera
    assert camera is not None and (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((48, 48, 48, 24))


def test_a_scene_by_name(tmp_path: Path) -> None:
    path = tmp_path / "FloorPlan1.json"
    path.write_text('{"scene": "FloorPlan1"}')
    assert len(read_house(path, **SMALL).frames) == 12


@pytest.mark.parametrize("name", ["houses.jsonl", "houses.jsonl.gz", "houses.json"])
def test_files_of_several_houses(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    several = [houses.house("nowhere"), houses.house()]
    data = json.dumps(several) if name.endswith(".json") else "\n".join(map(json.dumps, several)) + "\n"
    path.write_bytes(gzip.compress(data.encode()) if name.endswith(".gz") else data.encode())
    assert len(read_house(path, house=1, **SMALL).frames) == 12
    for number in (-1, 2):
        with pytest.raises(UserError, match=f"has no house {number}"):
            read_house(path, house=number, **SMALL)


def test_a_gzip_bomb_and_a_cut_off_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "houses.jsonl.gz"
    monkeypatch.setattr("tst.readers.ai2thor.LARGEST_HOUSE", 10_000)
    path.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(UserError, match="line 1 is longer than any house"):
        read_house(path)
    path.write_bytes(gzip.compress(json.dumps(houses.house()).encode())[:-20])
    with pytest.raises(UserError, match="not valid JSON"):
        read_house(path)


@pytest.mark.parametrize("option", ["samples", "width", "fov", "horizon"])
def test_absurd_options(option: str, tmp_path: Path) -> None:
    source = houses.write(tmp_path / "home", Scene())
    with pytest.raises(UserError, match=f"--{option}: 1000000000 is not from"):
        read_house(source, **{**SMALL, option: 10**9})


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai2thor.controller", None)
    with pytest.raises(UserError, match="pip install ai2thor"):
        read_house(houses.write(tmp_path / "home", Scene()))
