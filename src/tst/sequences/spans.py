"""Span masking of sequences as in T5 and 4M (`simple_span_masking`, `sequence_mask` in `fourm/data/masking.py` of
ml-4m), for a whole batch at once.

Each token is kept with a probability that is drawn for each sample. Of the dropped ones, each run gives way in the
input to a sentinel [S_k], and stands in the target behind the same sentinel; k counts from 1, and the target closes
with the next sentinel: `a b c d` with `b c` dropped is `a [S_1] d` and `[S_1] b c [S_2]`.

Shape suffixes: B batch, L tokens of a sequence, I tokens of an input, T tokens of a target.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tst.sequences.text import FIRST_SENTINEL, PAD, SENTINELS

Keep = Literal["random", "all", "binary"]
KEEPS: tuple[Keep, ...] = ("random", "all", "binary")
DECAY = 0.9
MOST_TOKENS = 2 * (SENTINELS - 3)  # every other token dropped must not need more sentinels than there are


@dataclass(frozen=True)
class Spans:
    """Masked sequences, padded with [PAD]."""

    input_BI: Tensor  # noqa: N815
    input_length_B: Tensor  # noqa: N815
    target_BT: Tensor  # noqa: N815
    target_length_B: Tensor  # noqa: N815  # with the sentinel that it begins with: one more than there are predictions


def mask_spans(
    ids_BL: Tensor,
    input_budget_B: Tensor,
    target_budget_B: Tensor,
    keep_B: Tensor,
    generator: torch.Generator | None = None,
) -> Spans:
    """Drop tokens until the input is within its budget, then cut the target to its own.

    Args:
        ids_BL: int64, padded with [PAD].
        input_budget_B: input tokens at most, sentinels included. With 0 all is dropped and the input is empty.
        target_budget_B: target tokens at most, sentinels included, 1 or more.
        keep_B: number in `KEEPS` of how the probability to keep a token is drawn.
    """
    assert ids_BL.shape[1] <= MOST_TOKENS, ids_BL.shape
    B, L = ids_BL.shape
    there_BL = ids_BL != PAD
    length_B = there_BL.sum(1)
    random_B = torch.rand(B, generator=generator)
    probability_B = torch.stack([random_B, torch.ones(B), (random_B < 0.5).float()], 1).gather(1, keep_B[:, None])[:, 0]
    dropped_BL = there_BL.clone()
    todo = (input_budget_B > 0).nonzero()[:, 0]
    while len(todo):
        noise = torch.rand(len(todo), L, generator=generator)
        drop = there_BL[todo] & (noise > probability_B[todo, None])
        dropped_BL[todo] = drop
        runs = (drop & ~F.pad(drop, (1, -1))).sum(1)
        too_long = length_B[todo] - drop.sum(1) + runs > input_budget_B[todo]
        todo = todo[too_long]
        probability_B[todo] *= DECAY
    dropped = dropped_BL
    begins_BL = dropped & ~F.pad(dropped, (1, -1))
    run_BL = begins_BL.cumsum(1)  # the number of the run, from 1
    shown_BL = (there_BL & ~dropped) | begins_BL
    shown_BL &= (input_budget_B > 0)[:, None]
    values = torch.where(begins_BL, FIRST_SENTINEL + run_BL, ids_BL)
    input_BI = _scatter(values, shown_BL, shown_BL.cumsum(1) - 1, L)

    runs_B = begins_BL.sum(1)
    size = L + int(runs_B.max()) + 1 if B else 1
    place_BL = dropped.cumsum(1) + run_BL - 1
    target_BT = _scatter(ids_BL, dropped, place_BL, size)
    target_BT += _scatter(FIRST_SENTINEL + run_BL, begins_BL, place_BL - 1, size)
    target_length_B = dropped.sum(1) + runs_B + 1
    target_BT.scatter_(1, target_length_B[:, None] - 1, FIRST_SENTINEL + runs_B[:, None] + 1)
    target_BT, target_length_B = _cut(target_BT, target_length_B, runs_B, target_budget_B, generator)
    return Spans(input_BI, shown_BL.sum(1), target_BT, target_length_B)


def _scatter(values_BL: Tensor, chosen_BL: Tensor, place_BL: Tensor, size: int) -> Tensor:
    """(B, size) with the chosen values at their places and [PAD] elsewhere."""
    spare_BL = torch.where(chosen_BL, place_BL, size)  # a column that is cut off again
    return torch.full((len(values_BL), size + 1), PAD).scatter_(1, spare_BL, values_BL)[:, :size]


def _cut(
    target_BT: Tensor, length_B: Tensor, runs_B: Tensor, budget_B: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Targets within their budgets: from a random sentinel on, or from the first one after which all fits."""
    B, T = target_BT.shape
    random_B = torch.rand(B, generator=generator)
    if not (length_B > budget_B).any():
        return target_BT, length_B
    position_T = torch.arange(T)
    sentinel_BT = (target_BT >= FIRST_SENTINEL) & (target_BT < FIRST_SENTINEL + SENTINELS)
    sentinel_BT &= position_T < length_B[:, None]
    choices_B = runs_B.clamp(min=1)  # not the closing one
    pick_B = torch.minimum((random_B * choices_B).long(), choices_B - 1)
    picked_B = (sentinel_BT & (sentinel_BT.cumsum(1) == pick_B[:, None] + 1)).int().argmax(1)
    fits_BT = sentinel_BT & (length_B[:, None] - position_T <= budget_B[:, None])
    # 4M's reason for the second: from the drawn sentinel on, less would be left than the budget holds.
    start_B = torch.where(length_B - picked_B >= budget_B, picked_B, fits_BT.int().argmax(1))
    start_B = torch.where(length_B > budget_B, start_B, 0)
    cut_B = torch.minimum(length_B - start_B, budget_B)
    moved_BT = target_BT.gather(1, (position_T + start_B[:, None]).clamp(max=T - 1))
    return torch.where(position_T < cut_B[:, None], moved_BT, PAD), cut_B
