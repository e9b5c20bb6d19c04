"""Whole frames by windows: covered, averaged where they overlap, counted at the size of the labels."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor, nn

import tst.readers
from tst.config import Config
from tst.errors import UserError
from tst.evaluation.evaluate import EvaluateConfig, Predictor, evaluate, predict_frames, scores, upsample, window_starts
from tst.evaluation.metrics import FrameConfusions
from tst.finetuning.encoder import EncoderModel
from tst.finetuning.model import HeadShape, save_model
from tst.finetuning.task import tasks
from tst.loop import make_fabric
from tst.model import Encoder
from tst.pretraining.batches import model_table
from tst.space import Space


@settings(deadline=None)
@given(length=st.integers(32, 400), window=st.sampled_from([16, 32]))
def test_windows_cover_the_length_with_as_few_as_can_be(length: int, window: int) -> None:
    starts = window_starts(length, window)
    assert starts[0] == 0 and starts[-1] == length - window
    assert all(0 < b - a <= window for a, b in itertools.pairwise(starts))
    assert len(starts) == -(-length // window)


class Fake(nn.Module):
    """Predicts from a window: where in the window a cell is (`place`), or the mean colour of the cell."""

    inputs = ("rgb",)

    def __init__(self, resolution: int, cells: int, place: bool) -> None:
        super().__init__()
        self.resolution, self.cells, self.place = resolution, cells, place

    def forward(self, stored: dict[str, Tensor]) -> Tensor:
        rgb = stored["rgb"]
        if not self.place:
            return F.adaptive_avg_pool2d(rgb, self.cells)
        ramp = torch.arange(self.cells, dtype=torch.float32)
        return torch.stack([ramp[:, None] + 0 * ramp, ramp + 0 * ramp[:, None]]).expand(len(rgb), -1, -1, -1)


def predictor(model: Fake, config: EvaluateConfig) -> Predictor:
    made = Predictor.__new__(Predictor)
    made.model, made.config, made.fabric = model, config, make_fabric("cpu", "32-true")  # type: ignore[assignment]
    made.metadata = {"classes": ["wall", "floor", "ceiling"]}
    return made


def test_overlapping_windows_are_averaged(walk_space: Space) -> None:
    found = predictor(Fake(32, 16, place=True), EvaluateConfig(scale=1.5))
    source = found.sources(walk_space)
    height, width = source.extents_N2[0]
    assert (height, width) == (48, 58)
    logits = found.logits(source, torch.tensor([0, 3]))
    assert logits.shape == (2, 2, 24, 29)
    total, count = np.zeros((2, 24, 29)), np.zeros((24, 29))
    for top in (0, 16):  # in pixels; a cell is 2 of them
        for left in (0, 26):
            for y in range(16):
                for x in range(16):
                    total[:, top // 2 + y, left // 2 + x] += (y, x)
                    count[top // 2 + y, left // 2 + x] += 1
    assert count.min() == 1 and count.max() == 4
    np.testing.assert_allclose(logits[0].numpy(), total / count, rtol=1e-6)
    assert torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_what_a_window_sees_ends_up_where_it_was(scale: float, walk_space: Space) -> None:
    found = predictor(Fake(32, 16, place=False), EvaluateConfig(scale=scale))
    source = found.sources(walk_space)
    for index, logits in predict_frames(found, walk_space, [0, 2, 5]):
        frame = torch.from_numpy(source.cached["rgb"].frame(index).astype(np.float32)).movedim(-1, 0)
        expected = F.avg_pool2d(frame[None], 2)[0]
        assert logits.shape[1:] == (round(source.extents_N2[index][0] / 2), round(source.extents_N2[index][1] / 2))
        height, width = expected.shape[1:]
        # At scale 1 the frame is 38 wide and the window starts at pixel 6: an odd size would end half-way in a cell.
        torch.testing.assert_close(logits[:, :height, :width], expected, rtol=0, atol=0.5)


@pytest.mark.parametrize(
    ("resolution", "cells", "scale", "size"), [(48, 3, 1.5, (72, 72)), (48, 3, 1.17, (56, 63)), (16, 1, 2.5, (40, 56))]
)
def test_cells_that_do_not_divide_the_frame_still_cover_it(
    resolution: int,
    cells: int,
    scale: float,
    size: tuple[int, int],
    labelled_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    space = tst.readers.read("labelled", labelled_folder(frames=1, size=size[::-1]), tmp_path / "space")
    found = predictor(Fake(resolution, cells, place=True), EvaluateConfig(scale=scale))
    ((_, logits),) = predict_frames(found, space)
    assert logits.isfinite().all()
    assert upsample(logits, size).shape == size


def test_frames_of_several_shapes_are_predicted_in_order(
    nerfstudio_walk: Callable[..., Path], walk_space: Space
) -> None:
    tall = nerfstudio_walk("tall", frames=3, size=(40, 60), depth_size=(20, 30))
    space = tst.readers.read("nerfstudio", tall, walk_space.path)
    found = predictor(Fake(32, 16, place=True), EvaluateConfig(batch_size=4))
    predicted = list(predict_frames(found, space))
    assert [index for index, _ in predicted] == list(range(9))
    shapes = [tuple(logits.shape[1:]) for _, logits in predicted]
    assert set(shapes) == {(24, 16), (16, 19)} and shapes.count((24, 16)) == 3


def test_windows_larger_than_the_frame_are_refused() -> None:
    with pytest.raises(UserError, match=r"scale = 0.5: Input should be greater than or equal to 1"):
        EvaluateConfig().replace(scale=0.5)
    assert isinstance(EvaluateConfig(scale=1), Config)


# The stage


def write_model(folder: Path, space: Space) -> Path:
    """An untrained model of the space's classes."""
    torch.manual_seed(0)
    assert space.classes
    shape = HeadShape(width=192, grid=2, classes=len(space.classes), channels=16, depth=1, cells=2)
    model = EncoderModel(tasks()["segmentation"], 32, Encoder("nano", model_table({}, 32)), shape)
    save_model(folder / "model.safetensors", model, space.classes)
    return folder


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_flipping_a_mirrored_image_gives_the_mirrored_prediction(
    scale: float, labelled_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = labelled_folder(frames=3)
    straight = tst.readers.read("labelled", folder, tmp_path / "straight")
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            ImageOps.mirror(image).save(path)
    mirrored = tst.readers.read("labelled", folder, tmp_path / "mirrored")
    plain = Predictor(write_model(tmp_path / "model", straight), EvaluateConfig(scale=scale), "32-true")
    both = plain.covering(EvaluateConfig(scale=scale, flip=True))
    frames = torch.arange(3)

    def predicted(predictor: Predictor, space: Space) -> Tensor:
        return predictor.logits(predictor.sources(space), frames)

    one, other = predicted(plain, straight), predicted(plain, mirrored).flip(-1)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(predicted(both, straight), (one + other) / 2)
    assert torch.equal(predicted(both, mirrored).flip(-1), predicted(both, straight))


@pytest.mark.parametrize("size", [(64, 64), (48, 32), (36, 60)])
def test_every_labelled_pixel_is_counted_once(
    size: tuple[int, int], labelled_folder: Callable[..., Path], tmp_path: Path
) -> None:
    space = tst.readers.read("labelled", labelled_folder(frames=3, size=size), tmp_path / "space")
    result = evaluate(write_model(tmp_path / "model", space), space, tmp_path / "out", precision="32-true")
    assert result.ids == [f"labelled/im{number:03d}" for number in range(3)]
    for number, (walk, index) in enumerate(space.frames()):
        truth = walk.read("semantic", index)
        known = truth != 255
        assert 0 < known.sum() < truth.size
        assert result.matrices[number].sum() == known.sum()
        assert result.matrices[number].sum(1).tolist() == np.bincount(truth[known], minlength=3).tolist()
    assert np.array_equal(FrameConfusions.load(tmp_path / "out" / "confusions.npz").matrices, result.matrices)
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert written == json.loads(json.dumps(scores(result)))
    assert 0 <= written["miou"] <= 100 and list(written["per_class"]) == space.classes


def test_overlapping_windows_count_no_pixel_twice(labelled_space: Space, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", labelled_space)
    whole = evaluate(model, labelled_space, precision="32-true")
    finer = evaluate(model, labelled_space, config=EvaluateConfig(scale=1.6), precision="32-true")
    assert np.array_equal(whole.matrices.sum(2), finer.matrices.sum(2))


def test_other_classes_are_refused_with_the_remedy(
    labelled_space: Space, labelled_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = labelled_folder("other", frames=1)
    (folder / "classes.json").write_text(json.dumps({"classes": ["wall", "ground", "ceiling"]}))
    other = tst.readers.read("labelled", folder, tmp_path / "other")
    with pytest.raises(UserError, match=r"wall, ground, ceiling.*wall, floor, ceiling.*same --classes"):
        evaluate(write_model(tmp_path / "model", labelled_space), other)


def test_a_space_without_labels_is_refused(labelled_space: Space, walk_space: Space, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no semantic labels to evaluate on"):
        evaluate(write_model(tmp_path / "model", labelled_space), walk_space)


def test_a_space_that_lacks_an_input_of_the_model_is_refused(walk_space: Space) -> None:
    model = Fake(32, 16, place=True)
    model.inputs = ("rgb", "edges")
    with pytest.raises(UserError, match="the model also looks at edges, which this space lacks"):
        predictor(model, EvaluateConfig()).sources(walk_space)
