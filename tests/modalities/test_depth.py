import numpy as np
import pytest
import torch

from tst.modalities import MODALITIES
from tst.modalities.depth import EPSILON

DEPTH = MODALITIES["depth"]


def by_sorting(depth: torch.Tensor) -> tuple[float, float]:
    """4M's statistics, with a sort, of the log-depth of one image's valid pixels."""
    logarithm = depth[depth > 0].double().log().sort().values
    count = len(logarithm)
    kept = logarithm[int(0.1 * count) : int(0.9 * count)]
    return float(kept.mean()), float((kept.var(unbiased=False) + EPSILON).sqrt())


@pytest.mark.parametrize("holes", [0.0, 0.5])
def test_statistics_are_those_of_sorting(holes):
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(5, 1, 60, 60, generator=generator) * 2 + 6.5).exp().round()
    x[:, :, :3] = 40  # outliers
    x[:, :, -3:] = 60000
    x[torch.rand(x.shape, generator=generator) < holes] = 0
    mean, deviation = DEPTH.statistics(x)
    for index in range(len(x)):
        expected_mean, expected_deviation = by_sorting(x[index])
        assert mean[index].item() == pytest.approx(expected_mean, abs=1e-3)
        assert deviation[index].item() == pytest.approx(expected_deviation, rel=1e-2)


def test_holes_do_not_enter_and_do_not_become_distance_zero():
    x = torch.full((2, 1, 20, 20), 2000.0)
    x[:, :, 10:] = 3000
    holed = x.clone()
    holed[:, :, ::2] = 0
    z, _ = DEPTH.normalise(x)
    z_holed, valid = DEPTH.normalise(holed)
    assert torch.allclose(z_holed[valid], z[valid], atol=1e-4)
    assert (z_holed[~valid] == 0).all()
    array = holed[0, 0].numpy().astype(np.uint16)
    for size in ((7, 9), (10, 10), (40, 40)):
        assert set(np.unique(DEPTH.resize(array, *size))) <= {0, 2000, 3000}
    assert (DEPTH.resize(array, 10, 10) > 0).all()  # shrinking takes the known neighbour
    assert (DEPTH.denormalise(z, x) >= 1).all()


def test_scale_does_not_matter():
    x = torch.randint(500, 5000, (3, 1, 16, 16)).float()
    assert torch.allclose(DEPTH.normalise(x)[0], DEPTH.normalise(x * 4)[0], atol=0.02)


def test_an_object_at_the_lens_stays_bounded_and_comes_back():
    x = torch.full((1, 1, 20, 20), 3000.0) + torch.arange(20) * 20
    x[0, 0, :2, :2] = 1
    x[0, 0, -1, -1] = 65535
    z, _ = DEPTH.normalise(x)
    assert z.abs().max() < 10
    assert torch.equal(DEPTH.denormalise(z, x), x)


@pytest.mark.parametrize("known", [1, 2])
def test_few_known_pixels(known):
    x = torch.zeros(1, 1, 8, 8)
    x.view(-1)[:known] = 1500
    z, valid = DEPTH.normalise(x)
    assert torch.isfinite(z).all() and valid.sum() == known
    assert torch.equal(DEPTH.denormalise(z, x)[valid], x[valid])


def test_metrics():
    target = torch.full((1, 1, 2, 2), 1000.0)
    target[0, 0, 0, 0] = 0
    prediction = torch.tensor([[9.0, 1100.0], [900.0, 2000.0]]).view(1, 1, 2, 2)
    scores = DEPTH.reconstruction_metrics(prediction, target)
    assert scores["absrel"] == pytest.approx(1.2 / 3)
    assert scores["delta1"] == pytest.approx(2 / 3)
