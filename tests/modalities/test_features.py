"""Maps of features: directions survive storage and resizing, damaged files are refused, colours can be compared."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.modalities.features import FeatureMap

FEATURES: FeatureMap = MODALITIES["dinov2"]  # type: ignore[assignment]
GENERATOR = np.random.default_rng(0)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_packing_keeps_directions(dtype):
    features = (GENERATOR.normal(size=(5, 7, 384)) * 10.0 ** GENERATOR.uniform(-2, 2, (5, 7, 1))).astype(dtype)
    features[0, 0] = 0
    packed = FEATURES.pack(features)
    assert packed.dtype == np.int8 and packed.shape == features.shape
    assert (np.abs(packed).max(-1).ravel()[1:] == 127).all() and not packed[0, 0].any()
    unit = FEATURES.unpack(packed)
    assert unit.dtype == np.float32 and not unit[0, 0].any()
    np.testing.assert_allclose(np.linalg.norm(unit, axis=-1).ravel()[1:], 1, atol=1e-5)
    assert cosine(unit.reshape(-1, 384)[1:], features.reshape(-1, 384)[1:].astype(np.float64)).min() > 0.9995
    np.testing.assert_array_equal(FEATURES.pack(packed), packed)


def test_features_that_are_no_numbers_are_a_bug_of_the_labeller():
    with pytest.raises(AssertionError, match="not finite"):
        FEATURES.pack(np.full((2, 2, 4), np.nan, np.float32))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros((2, 2, 4), np.int8))
    return buffer.getvalue()


DAMAGED = {
    "empty": b"",
    "junk": b"junk",
    "cut short": npy(np.zeros((4, 4, 8), np.int8))[:-1],
    "header alone": npy(np.zeros((4, 4, 8), np.int8))[:40],
    "a shape beyond memory": npy(np.zeros((4, 4, 8), np.int8)).replace(b"(4, 4, 8), }   ", b"(400000,400000,8)}"[:15]),
    "a pickle": npy(np.array([{"a": 1}], dtype=object)),
    "an archive": archive(),
    "floats": npy(np.zeros((4, 4, 8), np.float32)),
    "flat": npy(np.zeros((4, 8), np.int8)),
    "no cells": npy(np.zeros((0, 4, 8), np.int8)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_named_in_one_line(damage: str, tmp_path: Path):
    path = tmp_path / "0001.npy"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(UserError, match=r"0001\.npy: .*run `tst label` again") as error:
        FEATURES.load(path)
    assert "\n" not in str(error.value)


def test_resizing_is_the_mean_direction_of_the_area():
    array = FEATURES.pack(GENERATOR.normal(size=(6, 8, 16)))
    array[2, 3] = 0
    fine = FEATURES.unpack(array).repeat(4, 0).repeat(5, 1)  # 24 x 40: areas of 4 x 5 cells are whole there
    expected = fine.reshape(4, 6, 5, 8, 16).mean((1, 3))
    assert cosine(FEATURES.unpack(FEATURES.resize(array, 4, 5)), expected).min() > 0.999
    larger = FEATURES.resize(array, 12, 8)
    np.testing.assert_array_equal(larger[::2], array)
    np.testing.assert_array_equal(larger[1::2], array)
    assert not FEATURES.resize(np.zeros_like(array), 3, 3).any()


def test_scores_and_loss_are_those_of_the_definition():
    target, prediction = (torch.from_numpy(GENERATOR.normal(size=(2, 9, 3, 4))).float() for _ in range(2))
    target[0, :, 0, 0] = 0
    z, valid = FEATURES.normalise(target)
    torch.testing.assert_close(z.square().sum(1)[valid[:, 0]], torch.full((23,), 9.0))
    a, b = prediction.movedim(1, -1)[valid[:, 0]], z.movedim(1, -1)[valid[:, 0]]
    angle = torch.cosine_similarity(a, b)
    error = (a - b).abs()
    smooth = torch.where(error < 1, error**2 / 2, error - 0.5).mean(1)
    torch.testing.assert_close(FEATURES.reconstruction_loss(prediction, z, valid), (1 - angle + smooth).mean())
    scores = FEATURES.reconstruction_metrics(prediction, target)
    unit_a, unit_b = torch.nn.functional.normalize(a), torch.nn.functional.normalize(b)
    residual, spread = ((x**2).sum() for x in (unit_a - unit_b, unit_b - unit_b.mean(0)))
    assert scores["r2"] == pytest.approx(float(1 - residual / spread), abs=1e-5)
    per_image = [float(part.mean()) for part in angle.split([11, 12])]
    assert scores["cosine"] == pytest.approx(np.mean(per_image), abs=1e-5)


def test_the_same_features_have_the_same_colours_in_all_pictures():
    parts = GENERATOR.normal(size=(4, 16))
    one, other = (FEATURES.pack(parts[GENERATOR.integers(0, 4, (5, 6))]) for _ in range(2))
    other[0, 0] = 0
    pictures = FEATURES.draw_together([one, other])
    assert [picture.shape for picture in pictures] == [(5, 6, 3)] * 2 and not pictures[1][0, 0].any()
    colours: dict[bytes, set[bytes]] = {}
    for array, picture in zip((one, other), pictures, strict=True):
        for vector, colour in zip(array.reshape(-1, 16), picture.reshape(-1, 3), strict=True):
            colours.setdefault(vector.tobytes(), set()).add(colour.tobytes())
    assert len(colours) == 5 and all(len(seen) == 1 for seen in colours.values())
    assert len({seen.copy().pop() for seen in colours.values()}) == 5
    for again, picture in zip(FEATURES.draw_together([one, other]), pictures, strict=True):
        np.testing.assert_array_equal(again, picture)
