"""One tokenizer: ids in range, a repeatable round trip, blind to unknown pixels, better than the mean."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from captures import look, render
from tst.errors import UserError
from tst.loop import OptimConfig
from tst.modalities import MODALITIES
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig, load_tokenizer, tokenize
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

FSQ = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
VQ = FSQ.replace(quantizer="vq", codebook_size=40)
quantizers = pytest.mark.parametrize("config", [FSQ, VQ], ids=["fsq", "vq"])


def make(modality: str, config: TokenizerModelConfig, resolution: int = 64) -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(modality, resolution, config)


def stored(modality: str, count: int = 4, size: int = 64) -> Tensor:
    frames = [render(look([1.5, 1.2, 2.0], 50.0 * number, -10.0), size, size) for number in range(count)]
    if modality == "rgb":
        return torch.stack([torch.from_numpy(frame["rgb"]).movedim(-1, 0).float() for frame in frames])
    return torch.stack([torch.from_numpy(frame["depth"] * 1000).round().float()[None] for frame in frames])


@quantizers
@pytest.mark.parametrize("modality", ["rgb", "depth"])
def test_encoding_and_decoding_is_the_forward_pass_in_two_halves(modality: str, config: TokenizerModelConfig) -> None:
    model = make(modality, config).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, valid = MODALITIES[modality].normalise(stored(modality))
    ids = model.encode(x, valid)
    assert ids.shape == (4, 16) and ids.dtype == torch.int64
    assert ids.min() >= 0 and ids.max() < config.vocabulary
    assert torch.equal(model.encode(x, valid), ids)
    with torch.no_grad():
        reconstruction, same_ids, auxiliary = model(x, valid)
    assert torch.equal(same_ids, ids) and auxiliary.ndim == 0 and auxiliary.isfinite()
    assert reconstruction.shape == x.shape
    torch.testing.assert_close(model.decode(ids), reconstruction, rtol=1e-4, atol=1e-5)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} changed in evaluation mode"


def test_the_vocabulary_is_the_product_of_the_levels_and_all_of_it_can_be_decoded() -> None:
    model = make("depth", FSQ, resolution=16).eval()
    assert FSQ.vocabulary == 48
    decoded = model.decode(torch.arange(48)[:, None])
    assert decoded.shape == (48, 1, 16, 16)
    assert len(decoded.flatten(1).unique(dim=0)) == 48


@quantizers
def test_values_of_unknown_pixels_change_neither_ids_nor_loss(config: TokenizerModelConfig) -> None:
    model = make("depth", config).eval()
    depth = stored("depth")
    depth[:, :, 10:30, 20:50] = 0
    x, valid = MODALITIES["depth"].normalise(depth)
    assert not valid[:, :, 10:30, 20:50].any() and valid.any()
    garbage = torch.where(valid, x, torch.randn(x.shape, generator=torch.Generator().manual_seed(3)) * 100)
    assert torch.equal(model.encode(garbage, valid), model.encode(x, valid))
    with torch.no_grad():
        reconstruction = model(x, valid)[0]
    loss = MODALITIES["depth"].reconstruction_loss
    assert torch.equal(loss(reconstruction, garbage, valid), loss(reconstruction, x, valid))
    spoilt = torch.where(valid, reconstruction, 1e6)
    assert torch.equal(loss(spoilt, x, valid), loss(reconstruction, x, valid))


def test_an_image_without_any_known_pixel_has_a_loss_of_zero() -> None:
    model = make("depth", FSQ)
    x, valid = MODALITIES["depth"].normalise(torch.zeros(2, 1, 64, 64))
    reconstruction = model(x, valid)[0]
    value = MODALITIES["depth"].reconstruction_loss(reconstruction, x, valid)
    value.backward()
    assert value == 0


@quantizers
def test_training_beats_predicting_the_mean_and_uses_several_codes(
    config: TokenizerModelConfig, walk_space: Space, tmp_path: Any
) -> None:
    views = ViewConfig(resolution=32, per_frame=4)
    settings = TokenizeConfig(
        modalities=("rgb",),
        views=views,
        model=config,
        optim=OptimConfig(lr=3e-3, batch_size=16, betas=(0.9, 0.99)),
        steps=100,
        held_back=0.2,
    )
    folder = tokenize(walk_space, tmp_path / "tokenizers", config=settings, precision="32-true")["rgb"]
    model = load_tokenizer(folder)
    source = FrameSource(walk_space, ["rgb"], views.short_side)
    drawn = draw_views(source.extents_N2, views)
    x, valid = MODALITIES["rgb"].normalise(
        source.crop("rgb", torch.arange(6), drawn.boxes_NV4[:, 0], drawn.flip_NV[:, 0], 32)
    )
    ids = model.encode(x, valid)
    error = (model.decode(ids) - x).square().mean()
    of_the_mean = (x.mean((0, 2, 3), keepdim=True) - x).square().mean()
    assert error < 0.8 * of_the_mean
    assert len(ids.unique()) > 1


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [({"width": 100}, "width 100 is not a multiple of 64"), ({"levels": (1, 2)}, r"\(1, 2\): each must be at least 2")],
)
def test_shapes_that_cannot_be_built_say_what_to_give_instead(changes: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        TokenizerModelConfig(**changes)
    with pytest.raises(UserError, match=remedy):
        TokenizerModelConfig().replace(**changes)
