"""Views and their tokens: tokens of a view are those of the very crop that the pixels are taken from."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tst.readers
from captures import write_nerfstudio
from tst.loop import make_fabric
from tst.modalities import MODALITIES
from tst.modalities.derive import derive
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.tokens import Tokens, make_tokens
from tst.tokenizers.views import FrameSource, ViewConfig, Views, draw_views

VIEWS = ViewConfig(resolution=32, per_frame=4)
MODEL = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
NAMES = ["rgb", "depth", "normals", "edges"]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    folder = tmp_path_factory.mktemp("views")
    return derive(tst.readers.read("nerfstudio", write_nerfstudio(folder / "walk", labels=False), folder / "space"))


@pytest.fixture(scope="module")
def source(space: Space) -> FrameSource:
    return FrameSource(space, NAMES, VIEWS.short_side)


@pytest.fixture(scope="module")
def views(source: FrameSource) -> Views:
    return draw_views(source.extents_N2, VIEWS)


def make_tokenizer(modality: str, seed: int = 0) -> Tokenizer:
    """Untrained, with latents spread over all levels, so that different pixels have different tokens."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer(modality, VIEWS.resolution, MODEL)
    with torch.no_grad():
        tokenizer.quant_proj.weight.mul_(3)
    return tokenizer.eval()


def tokens_of(source: FrameSource, tokenizer: Tokenizer, views: Views) -> Tokens:
    return make_tokens(make_fabric("cpu", "32-true"), source, tokenizer, views)


def encode(tokenizer: Tokenizer, stored: Tensor) -> Tensor:
    return tokenizer.encode(*MODALITIES[tokenizer.modality].normalise(stored))


def as_tensor(tokens: Tokens) -> Tensor:
    return torch.from_numpy(tokens.array.astype("int64"))


def test_the_first_view_is_the_centred_square_as_it_is(views: Views, source: FrameSource) -> None:
    height, width = source.extents_N2[0]
    side = min(height, width)
    expected = torch.tensor([0, (width - side) / 2 / width, 1, side / width], dtype=torch.float32)
    torch.testing.assert_close(views.boxes_NV4[:, 0], expected.expand(len(source), 4))
    assert not views.flip_NV[:, 0].any()


def test_views_lie_inside_their_frames_and_some_are_mirrored() -> None:
    extents = torch.tensor([[48, 64], [64, 48], [48, 48], [48, 90]]).numpy()
    views = draw_views(extents, VIEWS.replace(per_frame=20))
    start, end = views.boxes_NV4[..., :2], views.boxes_NV4[..., :2] + views.boxes_NV4[..., 2:]
    assert start.min() >= 0 and end.max() <= 1 + 1e-6
    pixels = views.boxes_NV4[..., 2:] * torch.from_numpy(extents).float()[:, None]
    share = pixels.prod(-1) / torch.from_numpy(extents).amin(1)[:, None] ** 2
    assert share.min() > 0.25 and share.max() < 1.01
    assert 0.3 < views.flip_NV[:, 1:].float().mean() < 0.7
    assert not draw_views(extents, VIEWS.replace(flip=False)).flip_NV.any()


@pytest.mark.parametrize("modality", NAMES)
def test_tokens_are_those_of_crops_cut_by_hand(modality: str, source: FrameSource, views: Views) -> None:
    tokenizer = make_tokenizer(modality)
    tokens = as_tensor(tokens_of(source, tokenizer, views))
    assert tokens.shape == (6, 4, 4)
    crops = [
        source.crop(modality, torch.tensor([n]), views.boxes_NV4[n, v][None], views.flip_NV[n, v][None], 32)
        for n in range(6)
        for v in range(4)
    ]
    assert torch.equal(tokens.flatten(0, 1), encode(tokenizer, torch.cat(crops)))
    assert len(tokens.unique()) > 4


@pytest.mark.parametrize("modality", NAMES)
def test_tokens_of_a_mirrored_view_are_those_of_the_flipped_crop(
    modality: str, source: FrameSource, views: Views
) -> None:
    tokenizer = make_tokenizer(modality)
    tokens = as_tensor(tokens_of(source, tokenizer, views))
    n, v = views.flip_NV.nonzero()[:8].unbind(1)
    still = torch.zeros(len(n), dtype=torch.bool)
    straight = source.crop(modality, n, views.boxes_NV4[n, v], still, 32)
    flipped = MODALITIES[modality].flip(straight)
    assert torch.equal(tokens[n, v], encode(tokenizer, flipped))
    assert not torch.equal(tokens[n, v], encode(tokenizer, straight))
    if modality == "normals":
        known = MODALITIES[modality].valid(flipped)[:, 0]
        torch.testing.assert_close(flipped[:, 0][known], 255 - straight.flip(-1)[:, 0][known])
        assert not torch.equal(encode(tokenizer, flipped), encode(tokenizer, straight.flip(-1)))


def test_the_same_tokens_are_made_once(source: FrameSource, views: Views) -> None:
    first = tokens_of(source, make_tokenizer("rgb"), views)
    path = Path(str(first.array.filename))
    before = path.stat().st_mtime_ns
    again = tokens_of(FrameSource(source.space, ["rgb"], VIEWS.short_side), make_tokenizer("rgb"), views)
    assert again.key == first.key and Path(str(again.array.filename)) == path
    assert path.stat().st_mtime_ns == before
    assert not again.array.flags.writeable
    assert again.vocabulary == 48


def test_other_weights_frames_or_views_make_other_tokens(space: Space, tmp_path: Path) -> None:
    shutil.copytree(space.path, tmp_path / "space")
    copied = Space.open(tmp_path / "space")

    def key(seed: int = 0, config: ViewConfig = VIEWS) -> str:
        source = FrameSource(copied, ["edges"], VIEWS.short_side)
        return tokens_of(source, make_tokenizer("edges", seed), draw_views(source.extents_N2, config)).key

    keys = [key(), key(seed=1), key(config=VIEWS.replace(seed=1))]
    file = copied.frames()[0][0].file("edges", 0)
    file.write_bytes(copied.frames()[0][0].file("edges", 1).read_bytes())
    keys.append(key())
    assert len(set(keys)) == 4
    assert len(list((copied.path / "cache").glob("tokens-edges-*.npy"))) == 4
