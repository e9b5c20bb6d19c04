"""Photometric changes: off means off, each image its own, within range, repeatable."""

import pytest
import torch
from torch import Tensor

from tst.modalities.jitter import JitterConfig

NOTHING = JitterConfig(brightness=0, contrast=0, saturation=0, hue=0, probability=1)
STRONG = JitterConfig(brightness=1, contrast=1, saturation=1, hue=0.5, probability=1, gamma=2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 3, 12, 10, generator=generator(9)) * 255


@pytest.mark.parametrize("gamma", [0.0, 0.8])
def test_switched_off_it_changes_nothing(gamma: float) -> None:
    assert torch.equal(JitterConfig(probability=0, gamma=gamma).apply(images(), generator()), images())


def test_amounts_of_zero_change_nothing() -> None:
    torch.testing.assert_close(NOTHING.apply(images(), generator()), images(), rtol=0, atol=0.01)


@pytest.mark.parametrize("config", [JitterConfig(probability=1), NOTHING.replace(gamma=0.5)])
def test_each_image_of_a_batch_changes_in_its_own_way(config: JitterConfig) -> None:
    changed = config.apply(images(1).expand(6, -1, -1, -1), generator())
    for one in range(6):
        for other in range(one):
            assert (changed[one] - changed[other]).abs().max() > 1


def test_only_the_asked_for_share_is_changed() -> None:
    x = images(1).expand(200, -1, -1, -1)
    different = (JitterConfig(probability=0.3).apply(x, generator()) - x).abs().amax((1, 2, 3)) > 0.1
    assert 0.15 < different.float().mean() < 0.45


def test_values_stay_between_0_and_255_and_the_input_is_left_alone() -> None:
    x = torch.cat([images(), torch.zeros(3, 3, 12, 10), torch.full((3, 3, 12, 10), 255.0)])
    before = x.clone()
    for seed in range(10):
        changed = STRONG.apply(x, generator(seed))
        assert changed.isfinite().all() and changed.min() >= 0 and changed.max() <= 255
    assert torch.equal(x, before)


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    first = STRONG.apply(images(), generator(1))
    assert torch.equal(first, STRONG.apply(images(), generator(1)))
    assert not torch.equal(first, STRONG.apply(images(), generator(2)))


def test_grey_images_have_equal_channels() -> None:
    changed = NOTHING.replace(probability=0, grey=1).apply(images(), generator())
    torch.testing.assert_close(changed[:, 0], changed[:, 1], rtol=0, atol=0.05)
    torch.testing.assert_close(changed[:, 0], changed[:, 2], rtol=0, atol=0.05)


def test_gamma_brightens_or_darkens_in_order_and_keeps_black_and_white() -> None:
    ramp = torch.linspace(0, 255, 64).expand(16, 3, 1, -1)
    changed = NOTHING.replace(gamma=1.0).apply(ramp, generator())
    assert (changed.diff(dim=-1) >= -1e-3).all()
    torch.testing.assert_close(changed[..., 0], ramp[..., 0], rtol=0, atol=0.05)
    torch.testing.assert_close(changed[..., -1], ramp[..., -1], rtol=0, atol=0.05)
    difference = (changed - ramp)[..., 4:-4]
    brighter, darker = (difference > 0).flatten(1).all(1), (difference < 0).flatten(1).all(1)
    assert (brighter ^ darker).all() and brighter.any() and darker.any()
