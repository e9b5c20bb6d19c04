"""The frame cache: right values, built once, renewed when a source changes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tst.readers
from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.space import Space, cache, frame_cache


def files(space: Space) -> list[str]:
    folder = space.path / "cache" / "frames"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    builds: list[str] = []
    original = cache._build

    def counted(path: Path, *arguments: object) -> None:
        builds.append(path.name)
        original(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "_build", counted)
    return builds


def test_values_shapes_and_order(walk_space: Space) -> None:
    for modality, shape, dtype in [("rgb", (6, 40, 48, 3), np.uint8), ("depth", (6, 40, 48), np.uint16)]:
        cached = frame_cache(walk_space, modality, 40)
        assert (cached.array.shape, cached.array.dtype) == (shape, dtype)
        assert cached.extents.dtype == np.int32 and (cached.extents == [40, 48]).all()
        for number, (walk, index) in enumerate(walk_space.frames()):
            expected = MODALITIES[modality].resize(walk.read(modality, index), 40, 48)
            np.testing.assert_array_equal(cached.frame(number), expected)
    assert not frame_cache(walk_space, "depth", 40).array.flags.writeable


def test_enlarging(walk_space: Space) -> None:
    assert frame_cache(walk_space, "rgb", 160).array.shape == (6, 160, 192, 3)


def test_walks_of_different_shape_share_a_canvas(nerfstudio_walk: Callable[..., Path], walk_space: Space) -> None:
    tall = nerfstudio_walk("a_tall", frames=2, size=(40, 80), depth_size=(20, 40))
    space = tst.readers.read("nerfstudio", tall, walk_space.path)
    space = tst.readers.read("nerfstudio", tall, walk_space.path, walk="z")
    cached = frame_cache(space, "rgb", 32)
    assert cached.array.shape == (10, 64, 38, 3)
    assert cached.extents.tolist() == [[64, 32]] * 2 + [[32, 38]] * 6 + [[64, 32]] * 2
    assert (cached.array[2, 32:] == 0).all() and cached.frame(0).any()
    np.testing.assert_array_equal(cached.frame(0), cached.frame(8))


def test_margin_of_masks_is_ignored(labelled_folder: Callable[..., Path], tmp_path: Path) -> None:
    tst.readers.read("labelled", labelled_folder("wide", size=(96, 64)), tmp_path / "set")
    space = tst.readers.read("labelled", labelled_folder("square"), tmp_path / "set")
    cached = frame_cache(space, "semantic", 32)
    assert cached.array.shape == (12, 32, 48)
    assert (cached.array[:6, :, 32:] == 255).all()


def test_built_once_and_renewed_when_a_source_changes(walk_space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = count_builds(monkeypatch)
    first = frame_cache(walk_space, "depth", 20)
    again = frame_cache(Space.open(walk_space.path), "depth", 20)
    assert (again.key, len(builds)) == (first.key, 1)
    file = walk_space.walks["walk"].file("depth", 3)
    Image.fromarray(np.full((40, 48), 1234, np.uint16)).save(file)
    renewed = frame_cache(walk_space, "depth", 20)
    assert renewed.key != first.key and len(builds) == 2
    assert (renewed.frame(3) == 1234).all()
    assert files(walk_space) == [f"depth-20-{renewed.key}.npy"]  # the outdated one is gone
    os.utime(file, ns=(1, 1))  # the same size, another time
    assert frame_cache(walk_space, "depth", 20).key != renewed.key
    monkeypatch.setattr(type(MODALITIES["depth"]), "version", 99)
    frame_cache(walk_space, "depth", 20)
    assert len(builds) == 4
    frame_cache(walk_space, "depth", 10)
    assert len(files(walk_space)) == 2


def test_damaged_cache_is_built_again(walk_space: Space) -> None:
    cached = frame_cache(walk_space, "depth", 20)
    path = walk_space.path / "cache" / "frames" / f"depth-20-{cached.key}.npy"
    expected = np.array(cached.array)
    path.unlink()
    path.write_bytes(b"junk")
    np.testing.assert_array_equal(frame_cache(walk_space, "depth", 20).array, expected)


def save_features(space: Space, shape: tuple[int, int, int], walk: str = "walk") -> None:
    generator = np.random.default_rng(0)
    for id_ in space.walks[walk].ids:
        path = space.walks[walk].folder("dinov2") / f"{id_}.npy"
        MODALITIES["dinov2"].save(path, generator.integers(-127, 128, shape).astype(np.int8))


def test_features_stay_cells_of_the_frame(walk_space: Space) -> None:
    save_features(walk_space, (10, 12, 16))
    cached = frame_cache(walk_space, "dinov2", 64)
    assert (cached.array.shape, cached.array.dtype) == ((6, 4, 5, 16), np.int8)  # one for 16 pixels
    assert (cached.extents == [64, 77]).all() and (cached.sizes == [4, 5]).all()
    expected = MODALITIES["dinov2"].resize(walk_space.walks["walk"].read("dinov2", 3), 4, 5)
    np.testing.assert_array_equal(cached.frame(3), expected)
    whole = frame_cache(walk_space, "dinov2", 400)
    assert whole.array.shape == (6, 10, 12, 16)  # no finer than they are stored
    np.testing.assert_array_equal(whole.frame(3), walk_space.walks["walk"].read("dinov2", 3))


def test_features_of_different_shapes_share_a_canvas_but_not_of_different_widths(
    nerfstudio_walk: Callable[..., Path], walk_space: Space
) -> None:
    tall = nerfstudio_walk("a_tall", frames=2, size=(40, 80), depth_size=(20, 40))
    space = tst.readers.read("nerfstudio", tall, walk_space.path)
    save_features(space, (10, 12, 16))
    save_features(space, (20, 10, 16), "a_tall")
    cached = frame_cache(space, "dinov2", 128)
    assert cached.array.shape == (8, 16, 10, 16)
    assert cached.sizes.tolist() == [[16, 8]] * 2 + [[8, 10]] * 6
    assert not cached.array[0, :, 8:].any() and cached.frame(0).any()
    save_features(space, (20, 10, 15), "a_tall")
    with pytest.raises(UserError, match=r"walk.dinov2.*: vectors of 16 components, but .*a_tall.* has 15"):
        frame_cache(space, "dinov2", 128)
    space.walks["walk"].file("dinov2", 2).write_bytes(b"x")
    with pytest.raises(UserError, match=r"0002\.npy"):
        frame_cache(space, "dinov2", 128)


def test_masks_of_labellers_keep_a_class_for_a_few_pixels(walk_space: Space) -> None:
    walk = walk_space.walks["walk"]
    for index, id_ in enumerate(walk.ids):
        MODALITIES["ade20k"].save(walk.folder("ade20k") / f"{id_}.png", np.full((40, 48), index, np.uint8))
    cached = frame_cache(walk_space, "ade20k", 40)
    assert cached.array.shape == (6, 10, 12) and (cached.extents == [40, 48]).all()
    assert (cached.frame(5) == 5).all()


OTHER_PROCESS = """
import sys
from tst.modalities import MODALITIES
from tst.space import Space, frame_cache
print("ready", flush=True)
print(frame_cache(Space.open(sys.argv[1]), "rgb", 64, progress=False).key)
"""


def test_processes_and_threads_at_once(walk_space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = count_builds(monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: frame_cache(walk_space, "depth", 64).key, range(4)))
    assert len(set(keys)) == 1 and len(builds) == 1
    other = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, walk_space.path], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    key = frame_cache(walk_space, "rgb", 64).key
    assert other.communicate(timeout=60)[0].strip() == key
    assert len(files(walk_space)) == 2


def test_disk_full_is_an_error_and_leaves_nothing(walk_space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tst.space.cache.os.posix_fallocate", refuse)
        with pytest.raises(UserError, match="disk is full"):
            frame_cache(walk_space, "depth", 20)
    assert files(walk_space) == []
    assert len(frame_cache(walk_space, "depth", 20)) == 6


def test_damaged_frame_is_named_and_leaves_nothing(walk_space: Space) -> None:
    walk_space.walks["walk"].file("depth", 4).write_bytes(b"x")
    with pytest.raises(UserError, match=r"0004\.png"):
        frame_cache(walk_space, "depth", 20)
    assert files(walk_space) == []


def test_wrong_arguments(walk_space: Space) -> None:
    with pytest.raises(UserError, match="no such modality"):
        frame_cache(walk_space, "smell", 20)
    with pytest.raises(UserError, match="not a size"):
        frame_cache(walk_space, "rgb", 0)
    with pytest.raises(UserError, match="tst derive"):
        frame_cache(walk_space, "edges", 20)
