"""Fused modalities: nearer to the truth than single views, everywhere there, and never mixed with other values."""

from collections.abc import Callable

import numpy as np
import pytest
from room import Walk, poses

import tst.readers
from captures import CLASSES, FACE_CLASS, render
from tst.errors import UserError
from tst.labellers.provenance import pseudo_labels
from tst.mapping.fused_modality import FUSED, FuseModalityConfig, fuse_modality
from tst.mapping.views import MapConfig
from tst.modalities import MODALITIES
from tst.modalities.features import FeatureMap
from tst.space import Space

CONFIG = FuseModalityConfig(map=MapConfig(cell=0.1, short_side=72))
DIRECTIONS = np.random.default_rng(7).normal(size=(len(CLASSES), 12)).astype(np.float32)
SIZES = {"dinov2": (18, 24), "ade20k": (72, 96)}


def truth(source: str) -> list[np.ndarray]:
    """What every frame would have if the labeller were never wrong."""
    height, width = SIZES[source]
    labels = [FACE_CLASS[render(camera, width, height)["face"]] for camera in poses()]
    return [DIRECTIONS[item] if source == "dinov2" else item.astype(np.uint8) for item in labels]


def label(
    space: Space, source: str, frames: int = len(poses()), classes: tuple[str, ...] = tuple(CLASSES)
) -> list[np.ndarray]:
    """Write labels of which a quarter of the blocks is wrong; returns them."""
    random, modality = np.random.default_rng(0), MODALITIES[source]
    made = []
    for (walk, row), true in zip(space.frames(), truth(source)[:frames], strict=True):
        wrong = np.kron(random.random((6, 8)) < 0.25, np.ones(np.array(true.shape[:2]) // (6, 8), bool))
        other = random.permutation(true.reshape(-1, *true.shape[2:])).reshape(true.shape)
        value = np.where(wrong.reshape(true.shape[:2] + (1,) * (true.ndim - 2)), other, true)
        made.append(FeatureMap.pack(value) if isinstance(modality, FeatureMap) else value)
        folder = walk.folder(source)
        folder.mkdir(exist_ok=True)
        modality.save(folder / f"{walk.ids[row]}{modality.extension}", made[-1])
    entry = {"from": ["rgb"], "labeller": source, "licence": "CC-BY-NC-4.0", "non_commercial": True, "weights": "w"}
    space.record_derived({source: {**entry, "classes": list(classes) if source == "ade20k" else []}})
    return made


def nearness(source: str, values: list[np.ndarray]) -> float:
    """Mean cosine, or the share of pixels that are right."""
    if source == "ade20k":
        return float(np.mean([value == true for value, true in zip(values, truth(source), strict=True)]))
    pairs = zip(values, truth(source), strict=True)
    return float(np.mean([(FeatureMap.unpack(a) * FeatureMap.unpack(FeatureMap.pack(b))).sum(-1) for a, b in pairs]))


@pytest.mark.parametrize("source", SIZES)
def test_views_together_are_nearer_to_the_truth(source: str, read: Callable[..., Space]) -> None:
    space = read(Walk(poses()))
    own = label(space, source)
    name = fuse_modality(Space.open(space.path), source, CONFIG)
    space = Space.open(space.path)
    assert name == f"fused_{source}" and name in space.modalities()
    fused = [walk.read(name, row) for walk, row in space.frames()]
    assert [item.shape for item in fused] == [item.shape for item in own]
    # Half of what is wrong goes; what is left lies at edges, where cells hold two surfaces.
    assert 1 - nearness(source, fused) < 0.5 * (1 - nearness(source, own))
    made = pseudo_labels(space)[name]
    assert made["licence"] == "CC-BY-NC-4.0" and made["non_commercial"] and made["labeller"] == source
    space.check(full=True)


@pytest.mark.parametrize("source", SIZES)
def test_what_is_on_no_map_keeps_its_own(source: str, read: Callable[..., Space], labelled_folder, tmp_path) -> None:
    space = read(Walk(poses(4), depth=False), Walk(poses()[4:]))
    label(space, source)
    fuse_modality(Space.open(space.path), source, CONFIG.replace(least_views=99))
    space = Space.open(space.path)
    for walk, row in space.frames():
        np.testing.assert_array_equal(walk.read(f"fused_{source}", row), walk.read(source, row))
    photographs = tst.readers.read("labelled", labelled_folder(), tmp_path / "photographs")  # has no poses at all
    label(photographs, source, len(photographs))
    fuse_modality(Space.open(photographs.path), source)
    for walk, row in Space.open(photographs.path).frames():
        np.testing.assert_array_equal(walk.read(f"fused_{source}", row), walk.read(source, row))


def test_a_stopped_fusion_goes_on_and_others_are_refused(read: Callable[..., Space]) -> None:
    space = read(Walk(poses()))
    label(space, "ade20k")
    fuse_modality(space, "ade20k", CONFIG)
    folder = next(iter(space.walks.values())).folder("fused_ade20k")
    whole = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    times = {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())[5:]}
    for name in sorted(whole)[:5]:
        (folder / name).unlink()
    fuse_modality(Space.open(space.path), "ade20k", CONFIG)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == whole
    assert all((folder / name).stat().st_mtime_ns == time for name, time in times.items())
    with pytest.raises(UserError, match="other settings"):
        fuse_modality(Space.open(space.path), "ade20k", CONFIG.replace(least_views=5))
    entry = space.file.provenance["ade20k"]
    Space.open(space.path).record_derived({"ade20k": {**entry, "weights": "others"}})
    with pytest.raises(UserError, match="fused from other values"):
        fuse_modality(Space.open(space.path), "ade20k", CONFIG)
    fuse_modality(Space.open(space.path), "ade20k", CONFIG, again=True)


def test_masks_whose_classes_are_not_named_are_fused_too(read: Callable[..., Space]) -> None:
    space = read(Walk(poses()))
    own = label(space, "ade20k", classes=())
    fuse_modality(Space.open(space.path), "ade20k", CONFIG)
    fused = [walk.read("fused_ade20k", row) for walk, row in Space.open(space.path).frames()]
    assert nearness("ade20k", fused) > nearness("ade20k", own)


def test_what_cannot_be_fused_is_told(read: Callable[..., Space]) -> None:
    space = read(Walk(poses(4), depth=False))
    with pytest.raises(UserError, match="depth: cannot be fused"):
        fuse_modality(space, "depth")
    with pytest.raises(UserError, match="has no ade20k"):
        fuse_modality(space, "ade20k")
    label(space, "ade20k", 4)
    with pytest.raises(UserError, match="it has no depth"):
        fuse_modality(Space.open(space.path), "ade20k")


@pytest.mark.parametrize("source", FUSED)
def test_a_fused_modality_is_like_its_source(source: str) -> None:
    own, fused = MODALITIES[source], MODALITIES[FUSED[source]]
    assert (own.cell, own.channels, own.dtype, own.unknown) == (fused.cell, fused.channels, fused.dtype, fused.unknown)
    assert isinstance(fused, type(own).__mro__[1]) and fused.token_name not in ("", own.token_name)
