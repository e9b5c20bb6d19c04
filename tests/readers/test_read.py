"""The stage `read`: what a Space then holds, and that a failure leaves nothing behind."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captures import CLASSES, ROOM, render
from captures import look as pose_at
from tst.errors import UserError
from tst.readers import READERS, read
from tst.space import Space, frame_files
from tst.space.choosing import look, sharpness

Writer = Callable[..., Path]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under `folder`, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_registry_has_one_reader_a_file() -> None:
    assert set(READERS) >= {"nerfstudio", "labelled"}


def test_nerfstudio_round_trip(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()
    space = read("nerfstudio", source, tmp_path / "home")
    walk = space.walks["walk"]
    assert space.modalities() == ["rgb", "depth", "semantic", "instance"]
    assert (len(space), walk.ids, space.name) == (6, [f"{n:04d}" for n in range(6)], "home")
    assert space.path == tmp_path / "home"
    for folder, modality in [("images", "rgb"), ("depth", "depth"), ("semantic", "semantic"), ("instance", "instance")]:
        for index in range(6):
            stored = walk.file(modality, index)
            assert stored.read_bytes() == (source / folder / stored.name).read_bytes()
    assert walk.frames["time"].to_pylist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert walk.frames["part"].to_pylist() == ["ground"] * 3 + ["upper"] * 3
    assert walk.frames["split"].null_count == 6
    assert walk.read("rgb", 0).shape == (80, 96, 3)
    camera = walk.camera(0)
    assert camera is not None and (camera.width, camera.height, camera.fx, camera.cy) == (96, 80, 48.0, 40.0)
    space.check(full=True)


def test_axes_points_of_all_frames_lie_on_the_room(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    """Unprojected through OpenCV axes, every pixel of every frame lands where the renderer's ray hit the room."""
    walk = read("nerfstudio", nerfstudio_walk(), tmp_path / "home").walks["walk"]
    for index in range(len(walk)):
        camera, pose = walk.camera(index), walk.pose(index)
        assert camera is not None and pose is not None
        points = camera.unproject(walk.read("depth", index) / 1000) @ pose[:3, :3].T + pose[:3, 3]
        truth = render(pose_at([2 + 0.1 * index, 1.4, 2.5 - 0.1 * index], 30.0 * index, -8.0), 48, 40)["points"]
        assert np.abs(points - truth).max() < 0.01
        to_face = np.minimum(np.abs(points), np.abs(points - ROOM)).min(-1)
        assert to_face.max() < 0.01
        assert pose[1, 1] < 0  # the camera's y points down, the world's up


def test_depth_of_another_unit_becomes_millimetres(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    fine = read("nerfstudio", nerfstudio_walk("fine", unit=0.0002), tmp_path / "fine").walks["fine"]
    plain = read("nerfstudio", nerfstudio_walk("plain"), tmp_path / "plain").walks["plain"]
    difference = fine.read("depth", 2).astype(int) - plain.read("depth", 2)
    assert np.abs(difference).max() <= 1


def test_depth_as_float_metres_in_npy(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()
    transforms = json.loads((source / "transforms.json").read_text())
    transforms["depth_unit_scale_factor"] = 1.0
    for entry in transforms["frames"]:
        path = source / entry["depth_file_path"]
        metres = np.asarray(Image.open(path)).astype(np.float32) / 1000
        metres[0, :4] = [np.nan, np.inf, -1, 70]
        np.save(path.with_suffix(".npy"), metres)
        entry["depth_file_path"] = entry["depth_file_path"].replace(".png", ".npy")
    (source / "transforms.json").write_text(json.dumps(transforms))
    walk = read("nerfstudio", source, tmp_path / "home").walks["walk"]
    stored = walk.read("depth", 1)
    assert stored[0, :4].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(stored[1:], np.asarray(Image.open(source / "depth" / "0001.png"))[1:])
    assert "65.535" in walk.record.notes["depth"]


def test_labelled_round_trip(labelled_folder: Writer, tmp_path: Path) -> None:
    source = labelled_folder()
    space = read("labelled", source, tmp_path / "set", fov=60.0)
    walk = space.walks["labelled"]
    assert space.modalities() == ["rgb", "depth", "semantic", "instance"]
    assert (space.classes, space.ignore_index) == (CLASSES, 255)
    assert walk.frames["split"].to_pylist() == ["train"] * 4 + ["val"] * 2
    assert walk.pose(0) is None
    np.testing.assert_array_equal(walk.read("semantic", 3), np.asarray(Image.open(source / "semantic" / "im003.png")))
    assert walk.record.notes == {}
    assert walk.record.options == {"fov": 60.0, "classes": "classes.json"}
    assert (
        read("labelled", source, tmp_path / "set2").walks["labelled"].record.notes["intrinsics"].startswith("assumed")
    )
    camera = read("labelled", source, tmp_path / "set3", focal=70.0).walks["labelled"].camera(0)
    assert camera is not None and (camera.fx, camera.cx) == (70.0, 32.0)


def test_masks_are_stored_with_255_to_ignore(labelled_folder: Writer, tmp_path: Path) -> None:
    source = labelled_folder(classes=False)
    for path in (source / "semantic").iterdir():
        mask = np.asarray(Image.open(path)).copy()
        mask[mask == 255] = 77
        image = Image.fromarray(mask)
        image.putpalette(list(range(256)) * 3)  # a palette mask: its indices count, not its colours
        image.save(path)
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"ignore_index": 77, "classes": CLASSES}))
    space = read("labelled", source, tmp_path / "set", classes=classes)
    assert set(np.unique(space.walks["labelled"].read("semantic", 0))) <= {0, 1, 2, 255}
    assert (space.walks["labelled"].read("semantic", 0)[:2] == 255).all()
    space.check(full=True)


def test_grey_and_alpha_images_become_rgb(labelled_folder: Writer, tmp_path: Path) -> None:
    source = labelled_folder()
    for mode, name in (("L", "im000.png"), ("RGBA", "im001.png")):
        path = source / "images" / name
        Image.open(path).convert(mode).save(path)
    walk = read("labelled", source, tmp_path / "set").walks["labelled"]
    assert walk.read("rgb", 0).shape == walk.read("rgb", 1).shape == (64, 64, 3)


def test_sharpness_falls_with_blur(nerfstudio_walk: Writer) -> None:
    sharp = render(pose_at([2, 1.4, 2.5], 0, 0), 96, 80)["rgb"]
    blurred = np.asarray(Image.fromarray(sharp).resize((24, 20)).resize((96, 80)))
    assert 0 < sharpness(blurred) < sharpness(sharp) / 2


def test_provenance_holds_no_path_of_the_machine(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    space = read("nerfstudio", nerfstudio_walk(), tmp_path / "home")
    assert str(tmp_path) not in (space.path / "space.json").read_text()
    record = space.walks["walk"].record
    assert (record.format, record.source, record.frames) == ("nerfstudio", "walk", 6)


def test_second_walk_joins_and_the_first_is_not_touched(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    space = read("nerfstudio", nerfstudio_walk("monday"), tmp_path / "home")
    before = tree(space.path / "walks")
    with pytest.raises(UserError, match=r"already has a walk 'monday'.*--walk NAME"):
        read("nerfstudio", nerfstudio_walk("other", frames=2), tmp_path / "home", walk="monday")
    assert tree(space.path / "walks") == before
    space = read("nerfstudio", nerfstudio_walk("tuesday", frames=2, labels=False), tmp_path / "home")
    assert list(space.walks) == ["monday", "tuesday"] and len(space) == 8
    assert space.modalities() == ["rgb", "depth"]
    after = tree(space.path / "walks")
    assert {name: after[name] for name in before} == before


def test_walk_names_are_made_safe(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk("my walk: (1)")
    assert list(read("nerfstudio", source, tmp_path / "a").walks) == ["my-walk-1"]
    assert list(read("nerfstudio", source, tmp_path / "b", walk="../../x").walks) == ["x"]
    with pytest.raises(UserError, match="no usable name"):
        read("nerfstudio", source, tmp_path / "c", walk="..")


def test_class_lists_must_agree(labelled_folder: Writer, tmp_path: Path) -> None:
    read("labelled", labelled_folder(), tmp_path / "set")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"classes": [*CLASSES, "door"]}))
    with pytest.raises(UserError, match="not those of the Space"):
        read("labelled", labelled_folder("more"), tmp_path / "set", classes=other)
    with pytest.raises(UserError, match="--classes FILE"):
        read("labelled", labelled_folder("bare", classes=False), tmp_path / "set")
    read("labelled", labelled_folder("bare2", classes=False), tmp_path / "plain")
    with pytest.raises(UserError, match="without a class list"):
        read("labelled", labelled_folder("more2"), tmp_path / "plain")


def test_a_full_disk_leaves_no_space_and_the_same_command_goes_on(
    nerfstudio_walk: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, written = nerfstudio_walk(), []
    original = frame_files._write

    def write(picture: frame_files.Picture, target: Path) -> None:
        if len(written) == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        original(picture, target)

    with monkeypatch.context() as patch:
        patch.setattr(frame_files, "_write", write)
        with pytest.raises(UserError, match="disk is full"):
            read("nerfstudio", source, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    assert len(read("nerfstudio", source, tmp_path / "home")) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captures", "home"]


def test_failure_while_publishing_takes_the_walk_back(
    nerfstudio_walk: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read("nerfstudio", nerfstudio_walk("monday"), tmp_path / "home")
    before = tree(tmp_path / "home")
    tuesday = nerfstudio_walk("tuesday")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tst.files.os.fsync", refuse)
        with pytest.raises(UserError, match="disk is full"):
            read("nerfstudio", tuesday, tmp_path / "home")
    assert tree(tmp_path / "home") == before
    assert len(read("nerfstudio", tuesday, tmp_path / "home")) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captures", "home"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, "kill"])
def test_an_interrupted_read_goes_on_and_gives_the_same(nerfstudio_walk: Writer, tmp_path: Path, stop: Any) -> None:
    source = nerfstudio_walk(frames=30)
    script = (
        "import os, sys, tst.readers, tst.space.ingest as i\n"
        "def stop(frame, *rest, go=i.store):\n"
        "    if frame.id == '0020': "
        + ("os.kill(os.getpid(), 9)" if stop == "kill" else "raise KeyboardInterrupt")
        + "\n"
        "    return go(frame, *rest)\n"
        "i.store = stop\n"
        "tst.readers.read('nerfstudio', sys.argv[1], sys.argv[2])"
    )
    stopped = subprocess.run(
        [sys.executable, "-c", script, source, tmp_path / "home"], check=False, capture_output=True
    )
    assert stopped.returncode != 0
    (remains,) = (path for path in tmp_path.iterdir() if path.name.startswith(".home."))
    assert not (tmp_path / "home").exists()
    done = len((remains / "journal.jsonl").read_text().splitlines())
    assert 0 < done <= 20
    with (remains / "journal.jsonl").open("a") as journal:
        journal.write('{"row": {"id": "00')  # a kill in the middle of a line
    looked = []

    def count(rgb: np.ndarray, posed: bool) -> Any:
        looked.append(rgb)
        return look(rgb, posed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tst.space.ingest.look", count)
        read("nerfstudio", source, tmp_path / "home")
    assert len(looked) == 30 - done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captures", "home"]
    read("nerfstudio", source, tmp_path / "other")
    assert tree(tmp_path / "home" / "walks") == tree(tmp_path / "other" / "walks")


def test_a_read_that_runs_already_is_told(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()

    def again(rgb: np.ndarray, posed: bool) -> Any:
        with pytest.raises(UserError, match="running already"):
            read("nerfstudio", source, tmp_path / "home")
        return look(rgb, posed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tst.space.ingest.look", again)
        read("nerfstudio", source, tmp_path / "home")


def test_remains_of_an_abandoned_read_are_swept(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    source = nerfstudio_walk()
    for name, age in (("old", 2 * 86400), ("young", 600)):
        (tmp_path / f".home.{name}.reading").mkdir()
        os.utime(tmp_path / f".home.{name}.reading", (time.time() - age,) * 2)
    read("nerfstudio", source, tmp_path / "home")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".home.young.reading", "captures", "home"]


def test_cut_off_walk_is_told(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    read("nerfstudio", nerfstudio_walk("monday"), tmp_path / "home")
    (tmp_path / "home" / "walks" / "tuesday").mkdir()
    with pytest.raises(UserError, match=r"tuesday: exists and is not in space.json.*Remove"):
        read("nerfstudio", nerfstudio_walk("tuesday"), tmp_path / "home")


def test_walks_read_at_once_all_arrive(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    read("nerfstudio", nerfstudio_walk("w0", frames=2), tmp_path / "home")
    sources = [nerfstudio_walk(f"w{n}", frames=2) for n in range(1, 5)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda source: read("nerfstudio", source, tmp_path / "home"), sources))
    assert list(Space.open(tmp_path / "home").walks) == ["w0", "w1", "w2", "w3", "w4"]


def test_a_folder_of_the_users_is_not_taken(nerfstudio_walk: Writer, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="is not a Space"):
        read("nerfstudio", nerfstudio_walk(), tmp_path / "mine")
    assert tree(tmp_path / "mine") == {"thesis.txt": b"x"}
    (tmp_path / "empty").mkdir()
    assert len(read("nerfstudio", tmp_path / "captures" / "walk", tmp_path / "empty")) == 6


def test_wrong_arguments(labelled_folder: Writer, nerfstudio_walk: Writer, tmp_path: Path) -> None:
    for arguments, options, message in [
        (("vhs", tmp_path), {}, "no such capture format"),
        (("labelled", tmp_path / "nowhere"), {}, "nowhere: not found"),
        (("labelled", labelled_folder()), {"fov": 60.0, "focal": 50.0}, "Give one of them"),
        (("labelled", tmp_path / "captures" / "labelled"), {"fov": 180.0}, "between 0 and 180"),
        (("labelled", tmp_path / "captures" / "labelled"), {"focal": -1.0}, "above 0"),
        (("nerfstudio", nerfstudio_walk()), {"fov": 60.0}, "--fov: a nerfstudio capture has its own"),
    ]:
        with pytest.raises(UserError, match=message):
            read(*arguments, tmp_path / "space", **options)
    assert not (tmp_path / "space").exists()
