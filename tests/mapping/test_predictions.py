"""Several sources of class probabilities together, and what is remembered of one."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tst.errors import UserError
from tst.mapping.predictions import Given, Kept, Mean

CLASSES = ["wall", "floor", "lamp"]


def given(seed: int, height: int, width: int) -> Given:
    array = np.random.default_rng(seed).random((5, 3, height, width), np.float32)
    return Given(array / array.sum(1, keepdims=True), CLASSES)


def test_the_mean_is_at_the_finest_size_and_sums_to_one() -> None:
    coarse, fine = given(0, 3, 4), given(1, 6, 8)
    found = Mean([coarse, fine])([4, 1])
    enlarged = F.interpolate(torch.from_numpy(coarse.array), (6, 8), mode="bilinear", align_corners=False).numpy()
    for item, frame in zip(found, (4, 1), strict=True):
        np.testing.assert_allclose(item, (enlarged[frame] + fine.array[frame]) / 2, atol=1e-6)
        np.testing.assert_allclose(item.sum(0), 1, atol=1e-5)


def test_the_mean_is_known_by_what_it_is_made_of() -> None:
    one, two = given(0, 3, 4), given(1, 3, 4)
    one.licences = [{"what": "a", "licence": "MIT", "note": ""}]
    two.licences = [*one.licences, {"what": "b", "licence": "CC-BY-NC-4.0", "note": ""}]
    both = Mean([one, two])
    assert both.identity != Mean([one, one]).identity and both.identity == Mean([given(0, 3, 4), two]).identity
    assert [item["what"] for item in both.licences] == ["a", "b"]


def test_models_of_other_classes_are_refused() -> None:
    other = Given(given(0, 3, 4).array, ["wall", "floor", "door"])
    with pytest.raises(UserError, match="cannot be averaged: wall, floor, lamp; and wall, floor, door"):
        Mean([given(0, 3, 4), other])


def test_what_was_asked_once_is_not_asked_again() -> None:
    source = given(0, 3, 4)
    asked: list[list[int]] = []

    class Watched(Given):
        def __call__(self, frames: Sequence[int]) -> Sequence[np.ndarray]:
            asked.append(list(frames))
            return super().__call__(frames)

    kept = Kept(Watched(source.array, CLASSES))
    for frames in ([3, 1], [1, 2, 3], [2]):
        for item, frame in zip(kept(frames), frames, strict=True):
            assert item.dtype == np.float32
            np.testing.assert_allclose(item, source.array[frame], atol=1e-3)
    assert asked == [[3, 1], [2]]
    assert kept.classes == CLASSES and kept.identity == source.identity
