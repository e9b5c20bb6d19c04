"""Batches: the pixels are the crop, the tokens are the cache's for the same frame and view."""

import pytest
import torch
from torch import Tensor

import tst.readers
from captures import write_labelled, write_nerfstudio
from tst.loop import make_fabric
from tst.modalities.derive import derive
from tst.modalities.jitter import JitterConfig
from tst.modalities.rgb import to_imagenet
from tst.pretraining.batches import Batch, BatchMaker, TokenSource, model_table, token_name
from tst.pretraining.pretrain import PretrainConfig, token_sources
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.views import ViewConfig

CONFIG = PretrainConfig(views=ViewConfig(resolution=32, per_frame=5), transfer_modalities=("rgb",))
MODEL = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
VOCABULARIES = {"rgb": 48, "depth": 48, "normals": 48}
NAMES = {name: token_name(name, 32) for name in VOCABULARIES}
JITTER = JitterConfig(probability=1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[TokenSource]:
    """The walk with three modalities, and the labelled set with RGB alone."""
    folder = tmp_path_factory.mktemp("batches")
    walk = tst.readers.read("nerfstudio", write_nerfstudio(folder / "walk", labels=False), folder / "space")
    labelled = tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "labelled_space")
    torch.manual_seed(0)
    tokenizers = {name: Tokenizer(name, 32, MODEL).eval() for name in VOCABULARIES}
    return token_sources(make_fabric("cpu", "32-true"), derive(walk), labelled, tokenizers, CONFIG)


def maker(sources: list[TokenSource], counts: list[int], jitter: JitterConfig | None = None, repeats: int = 1):
    return BatchMaker(sources, counts, VOCABULARIES, 32, jitter, repeats)


def draw(made: BatchMaker, seed: int = 0) -> Batch:
    return made.draw(torch.Generator().manual_seed(seed))


def cached_tokens(source: TokenSource, modality: str, frames: Tensor, views: Tensor) -> Tensor:
    array = source.tokens[modality].array
    return torch.tensor([array[n, v].astype(int).tolist() for n, v in zip(frames, views, strict=True)])


def test_pixels_are_the_crop_and_tokens_the_cache_of_the_same_frame_and_view(sources: list[TokenSource]) -> None:
    frames = [torch.tensor([0, 3, 5]), torch.tensor([1, 2])]
    views = [torch.tensor([0, 1, 4]), torch.tensor([2, 3])]
    batch = maker(sources, [3, 2]).assemble(frames, views, None)
    crops = [
        source.rgb.crop("rgb", n, source.views.boxes_NV4[n, v], source.views.flip_NV[n, v], 32)
        for source, n, v in zip(sources, frames, views, strict=True)
    ]
    assert torch.equal(batch.inputs["rgb@32"], to_imagenet(torch.cat(crops)))
    both = [cached_tokens(s, "rgb", n, v) for s, n, v in zip(sources, frames, views, strict=True)]
    assert torch.equal(batch.inputs["tok_rgb@32"], torch.cat(both))
    for modality in ("depth", "normals"):
        expected = cached_tokens(sources[0], modality, frames[0], views[0])
        assert torch.equal(batch.inputs[NAMES[modality]][:3], expected)


def test_the_inputs_are_those_of_the_model(sources: list[TokenSource]) -> None:
    made = maker(sources, [3, 2])
    table = model_table(VOCABULARIES, 32)
    batch = draw(made)
    assert list(batch.inputs) == [spec.name for spec in table] == ["rgb@32", *NAMES.values()]
    assert batch.available_BM.shape == (5, len(table))
    for spec in table[1:]:
        ids = batch.inputs[spec.name]
        assert ids.shape == (5, spec.num_tokens) == (5, made.tokens_count) and ids.dtype == torch.int64
        assert ids.min() >= 0 and ids.max() < spec.vocab


def test_what_a_source_lacks_is_marked_and_zero(sources: list[TokenSource]) -> None:
    batch = draw(maker(sources, [3, 2]))
    assert batch.available_BM.tolist() == [[True] * 4] * 3 + [[True, True, False, False]] * 2
    for modality in ("depth", "normals"):
        assert (batch.inputs[NAMES[modality]][3:] == 0).all()
        assert batch.inputs[NAMES[modality]][:3].any()


def test_a_source_may_give_nothing(sources: list[TokenSource]) -> None:
    batch = draw(maker(sources, [3, 0]))
    assert len(batch.inputs["rgb@32"]) == len(batch.available_BM) == 3


def drawn(sources: list[TokenSource], made: BatchMaker, monkeypatch: pytest.MonkeyPatch, seed: int) -> list[Tensor]:
    seen: list[Tensor] = []
    original = TokenSource.gather

    def spy(self: TokenSource, frames: Tensor, views: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        seen.extend([frames, views])
        return original(self, frames, views, size)

    with monkeypatch.context() as patch:
        patch.setattr(TokenSource, "gather", spy)
        draw(made, seed)
    return seen


def test_with_repeats_each_drawn_frame_appears_that_often_in_views_of_its_own(
    sources: list[TokenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    several_views = 0
    for seed in range(10):
        frames, views = drawn(sources[:1], maker(sources[:1], [12], repeats=4), monkeypatch, seed)
        groups = frames.view(3, 4)
        assert (groups == groups[:, :1]).all()
        several_views += sum(len(group.unique()) > 1 for group in views.view(3, 4))
    assert several_views > 20
    frames, _ = drawn(sources[:1], maker(sources[:1], [5], repeats=2), monkeypatch, 0)
    assert len(frames) == 5 and frames[0] == frames[1] and frames[2] == frames[3]


def test_only_the_given_frames_are_drawn(sources: list[TokenSource], monkeypatch: pytest.MonkeyPatch) -> None:
    source = sources[0]
    part = TokenSource(source.rgb, source.views, source.tokens, torch.tensor([1, 4]))
    frames = torch.cat([drawn([part], maker([part], [8]), monkeypatch, seed)[0] for seed in range(4)])
    assert set(frames.tolist()) == {1, 4}


def test_jitter_changes_pixels_but_never_tokens(sources: list[TokenSource]) -> None:
    plain, jittered = draw(maker(sources, [4, 4])), draw(maker(sources, [4, 4], JITTER))
    for name in NAMES.values():
        assert torch.equal(plain.inputs[name], jittered.inputs[name])
    changes = (plain.inputs["rgb@32"] - jittered.inputs["rgb@32"]).abs().amax((1, 2, 3))
    assert (changes > 0.01).all()


def test_the_same_generator_draws_the_same_batch_and_without_one_nothing_is_jittered(
    sources: list[TokenSource],
) -> None:
    made = maker(sources, [4, 4], JITTER)
    first, again, other = draw(made, 1), draw(made, 1), draw(made, 2)
    assert all(torch.equal(first.inputs[name], again.inputs[name]) for name in first.inputs)
    assert not torch.equal(first.inputs["rgb@32"], other.inputs["rgb@32"])
    where = [torch.arange(4)] * 2, [torch.zeros(4, dtype=torch.int64)] * 2
    still, plain = made.assemble(*where, None), maker(sources, [4, 4]).assemble(*where, None)
    assert torch.equal(still.inputs["rgb@32"], plain.inputs["rgb@32"])
