"""Span masking, against 4M's loop written here sample by sample."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from tst.sequences.spans import DECAY, KEEPS, mask_spans
from tst.sequences.text import FIRST_SENTINEL, PAD

FIRST_WORD = 500


def words(lengths: list[int]) -> torch.Tensor:
    """Sequences of different tokens: token n is FIRST_WORD + n."""
    position = torch.arange(max(lengths))
    return torch.where(position < torch.tensor(lengths)[:, None], FIRST_WORD + position, PAD)


def full(value: int, batch: int) -> torch.Tensor:
    return torch.full((batch,), value)


def masked(
    lengths: list[int], budget_in: int, budget_out: int, keep: str = "random", seed: int = 0
) -> list[tuple[list[int], list[int]]]:
    batch = len(lengths)
    spans = mask_spans(
        words(lengths),
        full(budget_in, batch),
        full(budget_out, batch),
        full(KEEPS.index(keep), batch),  # type: ignore[arg-type]
        torch.Generator().manual_seed(seed),
    )
    result = []
    for b in range(batch):
        shown, told = int(spans.input_length_B[b]), int(spans.target_length_B[b])
        assert (spans.input_BI[b, shown:] == PAD).all() and (spans.target_BT[b, told:] == PAD).all()
        result.append((spans.input_BI[b, :shown].tolist(), spans.target_BT[b, :told].tolist()))
    return result


def merge(shown: list[int], told: list[int]) -> list[int]:
    """The sequence that input and target stand for together."""
    runs: dict[int, list[int]] = {}
    for token in told:
        if token < FIRST_WORD:
            runs[token] = last = []
        else:
            last.append(token)
    return [word for token in shown for word in (runs[token] if token < FIRST_WORD else [token])]


def reference(rng: np.random.Generator, length: int, budget_in: int, budget_out: int) -> tuple[list[int], list[int]]:
    """4M's `sequence_mask` with the scheme `random`."""

    def simple(keep: float) -> tuple[list[int], list[int]]:
        shown, told, count, before = [], [], 0, False
        for n in range(length):
            drop = rng.random() > keep
            if drop:
                if not before:
                    count += 1
                    shown.append(FIRST_SENTINEL + count)
                    told.append(FIRST_SENTINEL + count)
                told.append(FIRST_WORD + n)
            else:
                shown.append(FIRST_WORD + n)
            before = drop
        return shown, [*told, FIRST_SENTINEL + count + 1]

    if budget_in == 0:
        shown, told = [], simple(0.0)[1]
    else:
        keep = rng.random()
        shown, told = simple(keep)
        while len(shown) > budget_in:
            keep *= DECAY
            shown, told = simple(keep)
    if len(told) > budget_out:
        sentinels = [n for n, token in enumerate(told) if token < FIRST_WORD]
        start = sentinels[rng.integers(max(1, len(sentinels) - 1))]
        if len(told) - start < budget_out:
            start = next(n for n in sentinels if len(told) - n <= budget_out)
        told = told[start : start + budget_out]
    return shown, told


def test_input_and_target_together_are_the_sequence() -> None:
    lengths = [1, 2, 5, 20, 40] * 40
    for keep in KEEPS:
        for length, (shown, told) in zip(lengths, masked(lengths, 50, 100, keep), strict=True):
            assert merge(shown, told) == [FIRST_WORD + n for n in range(length)]
            sentinels = [token for token in told if token < FIRST_WORD]
            assert sentinels == [FIRST_SENTINEL + 1 + k for k in range(len(sentinels))]  # from [S_1], and a closing one
            assert told[-1] == sentinels[-1] and [t for t in shown if t < FIRST_WORD] == sentinels[:-1]


def test_without_input_all_is_one_span() -> None:
    for length, (shown, told) in zip([1, 4, 9], masked([1, 4, 9], 0, 100), strict=True):
        assert shown == []
        assert told == [FIRST_SENTINEL + 1, *range(FIRST_WORD, FIRST_WORD + length), FIRST_SENTINEL + 2]


def test_schemes() -> None:
    assert all(told == [FIRST_SENTINEL + 1] for _, told in masked([9] * 20, 100, 100, "all"))
    binary = [len(shown) for shown, _ in masked([9] * 400, 100, 100, "binary")]
    assert set(binary) == {1, 9} and 140 < binary.count(9) < 260


def test_a_sequence_that_is_not_there_gives_nothing() -> None:
    assert masked([0, 3], 5, 5)[0] == ([], [FIRST_SENTINEL + 1])


@pytest.mark.parametrize(("budget_in", "budget_out"), [(0, 6), (1, 12), (6, 30), (12, 5), (30, 1), (30, 12)])
def test_it_is_distributed_as_4ms(budget_in: int, budget_out: int) -> None:
    n, length = 4000, 24
    ours = masked([length] * n, budget_in, budget_out)
    rng = np.random.default_rng(0)
    theirs = [reference(rng, length, budget_in, budget_out) for _ in range(n)]
    assert all(len(shown) <= budget_in and len(told) <= budget_out for shown, told in ours)

    def measures(items: list[tuple[list[int], list[int]]]) -> list[list[int]]:
        return [
            [len(shown) for shown, _ in items],
            [len(told) for _, told in items],
            [sum(token < FIRST_WORD for token in told) for _, told in items],
            [told[0] for _, told in items],
            [max(told) for _, told in items],
        ]

    for one, other in zip(measures(ours), measures(theirs), strict=True):
        assert ks_2samp(one, other).statistic < 0.044  # 0.1 % threshold: 1.95 * sqrt(2 / 4000)


def test_a_seed_gives_the_same_and_samples_differ() -> None:
    lengths = [20] * 30
    assert masked(lengths, 10, 12, seed=3) == masked(lengths, 10, 12, seed=3)
    assert masked(lengths, 10, 12, seed=3) != masked(lengths, 10, 12, seed=4)
    assert len({tuple(told) for _, told in masked(lengths, 10, 12)}) > 10
