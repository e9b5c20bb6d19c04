"""Averages against sums written out one by one."""

import numpy as np
import torch
import torch.nn.functional as F

from tst.mapping.averages import Averages


def views(count: int = 5, cells: int = 7, channels: int = 4) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    return [
        (
            random.integers(-1, cells, (12, 16)).astype(np.int32),
            np.where(random.random((12, 16)) < 0.2, 0, random.random((12, 16))).astype(np.float32),
            random.random((12, 16, channels), np.float32),
        )
        for _ in range(count)
    ]


def test_a_view_is_one_observation_whatever_its_number_of_pixels() -> None:
    sums = Averages.empty(7, 4, votes=True)
    seen = views()
    for rows, weights, values in seen:
        sums.add(rows, weights, values)
    for cell in range(7):
        means, of_view = [], []
        for rows, weights, values in seen:
            pixels = (rows == cell) & (weights > 0)
            if pixels.any():
                means.append((values[pixels] * weights[pixels][:, None]).sum(0) / weights[pixels].sum())
                of_view.append(weights[pixels].mean())
        mean = np.average(means, 0, of_view)
        spread = np.sqrt(np.average(((np.array(means) - mean) ** 2).sum(1), 0, of_view))
        np.testing.assert_allclose(sums.mean_VC[cell], mean, rtol=1e-4)
        np.testing.assert_allclose(sums.spread_V[cell], spread, rtol=1e-3, atol=1e-5)
        votes = np.bincount(np.argmax(means, 1), minlength=4)
        assert sums.views_V[cell] == len(means) and sums.votes_VC[cell].tolist() == votes.tolist()
        np.testing.assert_allclose(sums.agreement_V[cell], votes[mean.argmax()] / len(means), rtol=1e-6)


def test_values_of_another_size_are_interpolated_as_torch_does() -> None:
    values = np.random.default_rng(2).random((5, 6, 3), np.float32)
    sums = Averages.empty(20 * 24, 3)
    sums.add(np.arange(20 * 24, dtype=np.int32).reshape(20, 24), np.ones((20, 24), np.float32), values)
    batch = torch.from_numpy(values).movedim(-1, 0)[None]
    expected = F.interpolate(batch, (20, 24), mode="bilinear", align_corners=False)[0].flatten(1).T
    np.testing.assert_allclose(sums.mean_VC, expected, atol=1e-5)


def test_what_nobody_saw_is_nothing() -> None:
    sums = Averages.empty(3, 2, votes=True)
    sums.add(np.full((4, 4), 1, np.int32), np.zeros((4, 4), np.float32), np.ones((4, 4, 2), np.float32))
    assert not sums.views_V.any() and not sums.mean_VC.any() and not sums.spread_V.any() and not sums.agreement_V.any()
