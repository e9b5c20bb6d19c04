import colorsys

import numpy as np
import pytest
import torch

from tst.modalities import MODALITIES
from tst.modalities.crop import colour_jitter, crop, random_boxes

NAMES = list(MODALITIES)
NO = torch.tensor([False, False])


def images(name: str, height: int = 24, width: int = 36) -> torch.Tensor:
    modality = MODALITIES[name]
    top = {"depth": 60000, "instance": 60000}.get(name, np.iinfo(modality.dtype).max + 1)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, top, (2, modality.channels or 12, height, width), generator=generator).float()


@pytest.mark.parametrize("name", NAMES)
def test_the_full_frame_at_its_size_is_the_identity(name):
    x = images(name, 24, 24)
    boxes = torch.tensor([[0.0, 0, 24, 24]] * 2)
    result = crop(x, boxes, NO, 24, MODALITIES[name])
    assert result.shape == x.shape and result.dtype == torch.float32
    assert torch.allclose(result, x, atol=0.01, rtol=0)
    shifted = crop(images(name), torch.tensor([[0.0, 5, 24, 24]] * 2), NO, 24, MODALITIES[name])
    assert torch.allclose(shifted, images(name)[..., 5:29], atol=0.01, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_mirroring(name):
    modality, x = MODALITIES[name], images(name)
    boxes = torch.tensor([[2.3, 5.1, 15.7, 14.9], [0.0, 1.2, 20, 29.1]])  # no pixel centre on a border
    flip = torch.tensor([True, False])
    plain, mirrored = crop(x, boxes, NO, 17, modality), crop(x, boxes, flip, 17, modality)
    # Crop then flip = crop with flip.
    assert torch.equal(mirrored[0], modality.flip(plain)[0]) and torch.equal(mirrored[1], plain[1])
    # Crop then flip = flip then the mirrored crop.
    other = boxes.clone()
    other[:, 1] = x.shape[-1] - boxes[:, 1] - boxes[:, 3]
    assert torch.allclose(crop(modality.flip(x), other, NO, 17, modality), modality.flip(plain), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if MODALITIES[name].interpolation == "nearest"])
def test_nearest_never_mixes(name):
    x = images(name)
    result = crop(x, torch.tensor([[1.2, 3.4, 20.5, 22.2]] * 2), NO, 31, MODALITIES[name])
    for one, source in zip(result, x, strict=True):
        pixels = {tuple(pixel) for pixel in source.flatten(1).T.tolist()}
        assert {tuple(pixel) for pixel in one.flatten(1).T.tolist()} <= pixels


@pytest.mark.parametrize("name", NAMES)
def test_source_types_and_strides(name):
    modality, x = MODALITIES[name], images(name)
    boxes, flip = torch.tensor([[1.0, 2, 20, 25], [3, 4.5, 10, 10]]), torch.tensor([True, False])
    expected = crop(x, boxes, flip, 16, modality)
    dtype = getattr(torch, modality.dtype.name)
    channels_last = x.to(dtype).movedim(1, -1).contiguous().movedim(-1, 1)
    assert torch.equal(crop(channels_last, boxes, flip, 16, modality), expected)


def test_pixel_centres():
    ramp = torch.arange(32.0).expand(1, 3, 32, 32)
    # Half size: each result pixel is the mean of two; double size: quarter steps.
    half = crop(ramp, torch.tensor([[0.0, 0, 32, 32]]), NO[:1], 16, MODALITIES["rgb"])
    assert torch.allclose(half[0, 0, 0], torch.arange(16.0) * 2 + 0.5, atol=1e-3)
    double = crop(ramp, torch.tensor([[0.0, 8, 8, 8]]), NO[:1], 16, MODALITIES["rgb"])
    expected = (torch.arange(16.0) * 0.5 + 7.75).clamp(8, 15)
    assert torch.allclose(double[0, 0, 0], expected, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_box_is_looked_at(name):
    x = torch.zeros(1, MODALITIES[name].channels or 12, 32, 32)
    x[..., 20:, :] = x[..., 20:] = 200
    for size in (7, 20, 50):
        assert not crop(x, torch.tensor([[0.0, 0, 20, 20]]), NO[:1], size, MODALITIES[name]).any()


def test_chunks_make_no_difference(monkeypatch):
    x, boxes = torch.rand(9, 3, 20, 20) * 255, torch.tensor([[1.0, 2, 15, 16]] * 9)
    flip = torch.arange(9) % 2 == 0
    whole = crop(x, boxes, flip, 8, MODALITIES["rgb"])
    monkeypatch.setattr("tst.modalities.crop.CHUNK_ELEMENTS", 2500)
    assert torch.equal(crop(x, boxes, flip, 8, MODALITIES["rgb"]), whole)


def test_random_boxes():
    extents = torch.tensor([[192, 256], [300, 100]]).repeat(2000, 1)
    boxes = random_boxes(extents, (0.2, 1.0), (0.75, 4 / 3), torch.Generator().manual_seed(0))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= extents[:, 0] + 1e-3).all() and (left + width <= extents[:, 1] + 1e-3).all()
    area = height * width / extents.amin(1).float() ** 2
    ratio = width / height
    assert area.max() <= 1.0001 and (ratio > 0.74).all() and (ratio < 1.34).all()
    uncut = (height < extents[:, 0]) & (width < extents[:, 1])
    assert area[uncut].min() >= 0.1999
    assert 0.5 < area.mean() < 0.61 and abs(ratio.log().mean()) < 0.03
    again = random_boxes(extents, (0.2, 1.0), (0.75, 4 / 3), torch.Generator().manual_seed(0))
    assert torch.equal(boxes, again)
    whole = random_boxes(extents, (1, 1), (1, 1))
    assert (whole[:, 2:] == extents.amin(1, keepdim=True)).all()


def jitter(x: torch.Tensor, **options: float) -> torch.Tensor:
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    return colour_jitter(x, **{**off, **options}, generator=torch.Generator().manual_seed(3))  # type: ignore[arg-type]


def test_jitter_of_nothing_is_nothing():
    x = torch.rand(4, 3, 8, 8) * 255
    assert torch.allclose(jitter(x), x, atol=1e-2)
    strong = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    assert torch.allclose(jitter(x, probability=0, **strong), x, atol=1e-2)
    assert torch.allclose(jitter(x / 255, maximum=1.0, **strong), jitter(x, **strong) / 255, atol=1e-5)


def test_each_image_has_its_own_jitter():
    x = (torch.rand(1, 3, 8, 8) * 100 + 70).expand(16, -1, -1, -1)
    for name in ("brightness", "contrast", "saturation", "hue"):
        result = jitter(x, **{name: 0.2})
        assert (result >= 0).all() and (result <= 255).all()
        changed = (result - x).abs().amax((1, 2, 3))
        assert (changed > 0.01).all() and len(changed.unique()) == 16
    part = jitter(x.repeat(50, 1, 1, 1), brightness=0.4, probability=0.3)
    assert 0.25 < ((part - x[:1]).abs().amax((1, 2, 3)) > 0.05).float().mean() < 0.35


def test_what_each_part_keeps():
    x = torch.rand(8, 3, 8, 8) * 100 + 70
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    grey = (x * luma).sum(1)
    brighter = jitter(x, brightness=0.3) / x
    assert torch.allclose(brighter, brighter[:, :1, :1, :1].expand_as(x), atol=1e-3)
    assert torch.allclose((jitter(x, contrast=0.2) * luma).sum((1, 2, 3)), grey.sum((1, 2)), rtol=1e-4)
    for option in ({"saturation": 0.3}, {"hue": 0.1}):
        assert torch.allclose((jitter(x, **option) * luma).sum(1), grey, atol=0.2)
    greyed = jitter(x, grey=1.0)
    assert torch.allclose(greyed, grey[:, None].expand_as(x), atol=0.1)


def test_hue_turns():
    x = torch.tensor([180.0, 110, 110]).view(1, 3, 1, 1).repeat(64, 1, 4, 4)
    result = jitter(x, hue=0.1)[:, :, 0, 0] / 255
    hues = [((colorsys.rgb_to_hsv(*pixel)[0] + 0.5) % 1) - 0.5 for pixel in result.tolist()]
    assert min(hues) < -0.05 and max(hues) > 0.05 and max(map(abs, hues)) < 0.15
