"""Sequences among the token budgets: totals stay exact, what a sequence leaves goes to the images."""

import pytest
import torch

from tst.errors import UserError
from tst.model.table import ModalitySpec, input_slices, target_slices
from tst.pretraining.masking import Component, MaskingConfig, Selection, TokenMasker, all_to_all, rgb_to_all
from tst.sequences.text import EOS, FIRST_SENTINEL, PAD

GRID, LENGTH, B = (4, 4), 12, 200
SPECS = [
    ModalitySpec("rgb@64", "pixels", grid=GRID, target=False),
    ModalitySpec("tok_rgb@64", "tokens", vocab=9, grid=GRID),
    ModalitySpec("tok_depth@64", "tokens", vocab=9, grid=GRID),
    ModalitySpec("tok_normal@64", "tokens", vocab=9, grid=GRID),
    ModalitySpec("caption", "sequence", vocab=600, max_length=LENGTH),
    ModalitySpec("det", "sequence", vocab=600, max_length=LENGTH),
]
CAPTION, DET = 4, 5


def texts(seed: int = 0) -> dict[str, torch.Tensor]:
    """Captions of 0 to 9 words and boxes of 11, with [EOS]; a sample without words has no caption."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(300, 600, (B, 10), generator=generator)
    length = torch.randint(0, 10, (B, 1), generator=generator)
    words = torch.where(torch.arange(10) < length, words, PAD).scatter(1, length, EOS)
    words[length[:, 0] == 0] = PAD
    boxes = torch.randint(300, 600, (B, 12), generator=generator)
    boxes[:, -1] = EOS
    return {"caption": words, "det": boxes}


def everything() -> torch.Tensor:
    return torch.ones(B, len(SPECS), dtype=torch.bool)


def select(config: MaskingConfig, available: torch.Tensor | None = None, seed: int = 0) -> Selection:
    available = everything() if available is None else available
    return TokenMasker(SPECS, config).sample(available, torch.Generator().manual_seed(seed), texts())


def whole(shown: list[int], told: list[int]) -> list[int]:
    runs: dict[int, list[int]] = {}
    for token in told:
        if FIRST_SENTINEL <= token < 204:
            runs[token] = last = []
        else:
            last.append(token)
    return [t for token in shown for t in (runs[token] if FIRST_SENTINEL <= token < 204 else [token])]


MIXTURE = (*all_to_all(), *rgb_to_all(), Component(keep="all"), Component(keep="binary"))


@pytest.mark.parametrize(("num_input", "num_target"), [(16, 16), (8, 40), (20, 12), (1, 1)])
def test_totals_are_exact_and_indices_fit_the_counts(num_input: int, num_target: int) -> None:
    config = MaskingConfig(num_input=num_input, num_target=num_target, mixture=MIXTURE)
    chosen = select(config)
    for index, counts, slices, total in (
        (chosen.input_index_BI, chosen.input_counts_BM, input_slices(SPECS), num_input),
        (chosen.target_index_BT, chosen.target_counts_BM, target_slices(SPECS), num_target),
    ):
        assert index.shape == (B, total) and (counts.sum(1) == total).all()
        for m, spec in enumerate(SPECS):
            part = slices.get(spec.name, slice(0, 0))
            mine = (index >= part.start) & (index < part.stop)
            assert torch.equal(mine.sum(1), counts[:, m])
            if spec.kind == "sequence":  # one after the other, from the first
                for b in range(B):
                    assert (index[b][mine[b]] - part.start).tolist() == list(range(int(counts[b, m])))
        assert all(len(set(row.tolist())) == total for row in index)
    if num_target > 1:
        assert chosen.target_counts_BM[:, CAPTION].any() and chosen.target_counts_BM[:, DET].any()


def test_ids_are_the_sequence_with_spans_dropped() -> None:
    config = MaskingConfig(num_input=12, num_target=36, mixture=(Component(input_alpha=1.0, target_alpha=10.0),))
    chosen, given = select(config), texts()
    checked = 0
    for name, m in (("caption", CAPTION), ("det", DET)):
        assert chosen.inputs[name].shape == (B, LENGTH) and chosen.targets[name].shape == (B, LENGTH + 1)
        for b in range(B):
            shown = chosen.inputs[name][b, : chosen.input_counts_BM[b, m]].tolist()
            told = chosen.targets[name][b, : chosen.target_counts_BM[b, m] + 1].tolist()
            assert PAD not in shown + told and FIRST_SENTINEL < told[0] < 204  # begins with a sentinel after [S_0]
            assert not chosen.inputs[name][b, len(shown) :].any() and not chosen.targets[name][b, len(told) :].any()
            spans = sum(FIRST_SENTINEL <= token < 204 for token in shown)
            if shown and sum(FIRST_SENTINEL <= token < 204 for token in told) == spans + 1:  # the target was not cut
                assert whole(shown, told) == given[name][b][given[name][b] != PAD].tolist()
                checked += 1
    assert checked > 50


def test_a_sample_without_a_caption_has_none() -> None:
    available = everything()
    available[::2, DET] = False
    chosen = select(MaskingConfig(num_input=16, num_target=16, mixture=(Component(target_alpha=10.0),)), available)
    empty = (texts()["caption"] == PAD).all(1)
    assert empty.any()
    for counts in (chosen.input_counts_BM, chosen.target_counts_BM):
        assert not counts[empty, CAPTION].any() and not counts[::2, DET].any()
        assert counts[1::2, DET].any()


def test_with_only_rgb_visible_a_caption_is_told_from_its_beginning() -> None:
    chosen = select(MaskingConfig(num_input=16, num_target=30, mixture=rgb_to_all()))
    assert (chosen.input_counts_BM[:, 0] == 16).all()
    told = chosen.targets["caption"]
    some = chosen.target_counts_BM[:, CAPTION] > 0
    assert (told[some, 0] == FIRST_SENTINEL + 1).all()
    assert torch.equal(told[some, 1], texts()["caption"][some, 0])


def test_a_longest_sequence_wholly_masked_is_cut_by_its_closing_sentinel() -> None:
    config = MaskingConfig(
        num_input=1, num_target=40, mixture=(Component(input_alpha={"rgb": 1.0}, target_alpha={"det": 1000.0}),)
    )
    chosen = select(config)
    assert (chosen.target_counts_BM[:, DET] == LENGTH).all()
    assert (chosen.targets["det"][:, -1] == EOS).all()


def test_without_sequences_the_draw_is_what_it_was() -> None:
    images = SPECS[:4]
    config = MaskingConfig(num_input=16, num_target=16)
    alone = TokenMasker(images, config).sample(everything()[:, :4], torch.Generator().manual_seed(0))
    assert not alone.inputs and not alone.targets


def test_images_must_be_able_to_fill_the_budgets() -> None:
    few = [SPECS[0], SPECS[1], SPECS[4]]
    with pytest.raises(UserError, match=r"room for 16 target tokens.*sequences do not count"):
        TokenMasker(few, MaskingConfig(num_input=16, num_target=16))
    TokenMasker(few, MaskingConfig(num_input=8, num_target=8))


def test_a_seed_gives_the_same_sequences() -> None:
    config = MaskingConfig(num_input=16, num_target=16)
    one, two, other = (select(config, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.targets["det"], two.targets["det"]) and torch.equal(one.inputs["det"], two.inputs["det"])
    assert not torch.equal(one.inputs["det"], other.inputs["det"])
