"""Fused pseudo-labels: better than single views, sure where views agree, and the same after an interruption."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from room import Walk, poses

import tst.readers
from captures import CLASSES, FACE_CLASS, render, write_nerfstudio
from tst.errors import UserError
from tst.mapping import space_map as module
from tst.mapping.labels import FuseConfig, FusedLabels, fused_labels, thresholds
from tst.mapping.predictions import Given
from tst.mapping.views import MapConfig
from tst.space import Space

CONFIG = FuseConfig(map=MapConfig(cell=0.1, short_side=72), share=1.0, least=0.0, most=0.0, least_views=2)


def noisy(truth: Given) -> Given:
    """Each quarter of each frame is wrong as a whole with a chance of 30 %."""
    random = np.random.default_rng(0)
    array = truth.array.copy()
    height, width = array.shape[2] // 2, array.shape[3] // 2
    for frame in array:
        for top in (0, height):
            for left in (0, width):
                if random.random() < 0.3:
                    part = frame[:, top : top + height, left : left + width]
                    part[:] = np.roll(part, 1, axis=0)
    return Given(array, truth.classes)


def right(labels: np.ndarray) -> float:
    true = np.stack([FACE_CLASS[render(camera, 96, 72)["face"]] for camera in poses()])
    sure = labels != 255
    return float((labels[sure] == true[sure]).mean())


def test_labels_of_many_views_are_better_than_those_of_one(
    room: Space, truth: Callable[..., Given], tmp_path: Path
) -> None:
    single = noisy(truth(poses(), size=(96, 72)))
    found = fused_labels(room, single, tmp_path / "run", CONFIG)
    alone = right(single.array.argmax(1))
    assert found.labels.shape == (24, 72, 96) and (found.extents == [72, 96]).all()
    assert 0.65 < alone < 0.8 and right(found.labels) > alone + 0.1
    sure = found.labels != 255
    assert sure.mean() > 0.9 and found.summary["fused"] == pytest.approx(sure.mean())
    true = np.stack([FACE_CLASS[render(camera, 96, 72)["face"]] for camera in poses()])
    well = sure & (found.labels == true)
    wrong = sure & (found.labels != true)
    assert found.agreement[well].mean() > found.agreement[wrong].mean()
    assert found.confidence[well].mean() > found.confidence[wrong].mean()
    assert found.classes == CLASSES and set(found.summary["thresholds"]) == set(CLASSES)
    again = FusedLabels.open(tmp_path / "run")
    np.testing.assert_array_equal(again.labels, found.labels)


def test_the_control_keeps_what_each_frame_says(room: Space, truth: Callable[..., Given], tmp_path: Path) -> None:
    single = noisy(truth(poses(), size=(96, 72)))
    found = fused_labels(room, single, tmp_path / "single", CONFIG.replace(single=True))
    fused = fused_labels(room, single, tmp_path / "fused", CONFIG)
    sure = found.labels != 255
    np.testing.assert_array_equal(found.labels[sure], single.array.argmax(1)[sure])
    np.testing.assert_array_equal(sure, fused.labels != 255)  # the same pixels, so that only the values differ
    assert right(fused.labels) > right(found.labels) + 0.1 and found.summary["score"] == fused.summary["score"]


def test_an_interrupted_fusion_ends_as_one_that_was_not(
    room: Space, truth: Callable[..., Given], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 4)
    monkeypatch.setattr(module, "SAVE_EVERY", 8)
    source = noisy(truth(poses()))
    whole = fused_labels(room, source, tmp_path / "whole", CONFIG)

    class Stops:
        classes, identity, licences = source.classes, source.identity, source.licences
        calls: list[int] = []  # noqa: RUF012
        at = 3

        def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
            self.calls.extend(frames)
            if len(self.calls) > 4 * self.at:
                raise KeyboardInterrupt
            return source(frames)

    with pytest.raises(KeyboardInterrupt):
        fused_labels(room, Stops(), tmp_path / "stopped", CONFIG)
    with pytest.raises(UserError, match="no finished pseudo-labels"):
        FusedLabels.open(tmp_path / "stopped")
    goes_on = Stops()
    goes_on.calls, goes_on.at = [], 99
    found = fused_labels(room, goes_on, tmp_path / "stopped", CONFIG)
    assert goes_on.calls == list(range(8, 24))  # what was saved is not predicted again
    for name in ("labels", "confidence", "agreement", "extents"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert not list((tmp_path / "stopped").glob("*.tmp*")) and found.summary == whole.summary
    with pytest.raises(UserError, match="other settings"):
        fused_labels(room, source, tmp_path / "stopped", CONFIG.replace(share=0.5))


def test_no_label_of_the_space_is_read(truth: Callable[..., Given], tmp_path: Path) -> None:
    """The same walk with labels, with all of them wrong, and without: the same result."""
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"classes": CLASSES}))
    capture = write_nerfstudio(tmp_path / "capture", frames=8)
    results = []
    for name in ("labelled", "poisoned", "bare"):
        space = tst.readers.read("nerfstudio", capture, tmp_path / name, classes=classes)
        folder = space.path / "walks" / "capture" / "semantic"
        if name == "poisoned":
            for path in folder.iterdir():
                path.write_bytes(b"not an image")
        if name == "bare":
            shutil.rmtree(folder)
            contents = json.loads((space.path / "space.json").read_text())
            contents["walks"]["capture"]["modalities"].remove("semantic")
            (space.path / "space.json").write_text(json.dumps(contents))
        random = np.random.default_rng(0).random((8, 3, 20, 24), np.float32)
        source = Given(random / random.sum(1, keepdims=True), CLASSES)
        results.append(fused_labels(Space.open(space.path), source, tmp_path / f"run-{name}", CONFIG))
    for other in results[1:]:
        np.testing.assert_array_equal(other.labels, results[0].labels)
        np.testing.assert_array_equal(other.confidence, results[0].confidence)


def test_rare_classes_keep_their_share_and_nobody_guesses() -> None:
    counts = np.zeros((4, 256), np.int64)
    counts[0, 200:256] = 1000  # common and sure
    counts[1, 100:156] = 10  # rare and less sure
    counts[2, 20:70] = 5  # never sure
    config = FuseConfig(share=0.5, least=0.3, most=0.9)
    limits = thresholds(counts, config)
    assert limits.tolist() == [228, 128, 76, 230]
    kept = [counts[c, limits[c] :].sum() / max(counts[c].sum(), 1) for c in range(3)]
    assert kept == pytest.approx([0.5, 0.5, 0])
    assert thresholds(counts, config.replace(share=1.0)).tolist() == [200, 100, 76, 230]
    assert thresholds(counts, config.replace(most=0.6)).tolist() == [153, 128, 76, 153]


def test_frames_off_the_map_are_unsure_everywhere(
    read: Callable[..., Space], truth: Callable[..., Given], tmp_path: Path
) -> None:
    space = read(Walk(poses(4), depth=False), Walk(poses(8)))
    found = fused_labels(space, truth([*poses(4), *poses(8)]), tmp_path / "run", CONFIG)
    assert (found.labels[:4] == 255).all() and (found.extents[:4] == 0).all()
    assert (found.labels[4:] != 255).mean() > 0.5
    assert "no depth" in found.summary["left_out"][0] and found.summary["frames"] == 8


def test_a_single_frame_cannot_be_fused(
    read: Callable[..., Space], truth: Callable[..., Given], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no place was seen by 2 frames"):
        fused_labels(read(Walk(poses(1))), truth(poses(1)), tmp_path / "run", CONFIG)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY nonsense"])
def test_damaged_labels_are_told(damage: bytes, room: Space, truth: Callable[..., Given], tmp_path: Path) -> None:
    fused_labels(room, truth(poses()), tmp_path / "run", CONFIG)
    (tmp_path / "run" / "labels.npy").write_bytes(damage)
    with pytest.raises(UserError, match="damaged pseudo-labels"):
        FusedLabels.open(tmp_path / "run")
