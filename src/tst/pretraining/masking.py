"""Token budgets: which tokens of which modalities are visible, and which are predicted. For a whole batch at once.

As 4M-21 draws them, per sample: one pair of Dirichlet distributions out of a mixture, from it how many tokens of each
modality are inputs and how many are targets, then which positions. It departs from 4M in two ways:

* **Budgets are exact.** 4M cuts what a modality cannot take and so trains on fewer tokens than it counts; here the rest
  goes to the others that have room. Every sample has the same number of tokens, so nothing is padded and the encoder
  needs no mask.
* **Modalities that show the same content share positions** (`rgb@128` and `tok_rgb@128`; `share_positions`). Of such a
  group a position is used once: as pixels, as an input token or as a target. Else the model could be asked for the
  token of the very patch that it is shown, which is copying through the tokenizer and teaches nothing; a small budget
  cannot afford it.

Sequences take part in the draw, and their tokens are dropped in spans (`tst.sequences.spans`). How many tokens of a
sequence are left is chance; what it leaves of its budget goes to the image modalities, which must be able to fill the
budgets without any sequence. So here, too, nothing is padded.

Shape suffixes: B batch, M modalities of the table, G groups of modalities, P positions of a group, R remainder tokens,
C components of the mixture, I input tokens, T target tokens, L tokens of a sequence.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tst.errors import UserError
from tst.model.table import IMAGE_KINDS, ModalitySpec, check_table, input_slices, target_slices
from tst.sequences.spans import KEEPS, MOST_TOKENS, Keep, mask_spans
from tst.sequences.text import PAD

MIN_ALPHA = 1e-9
Alpha = float | dict[str, float]


class Component(BaseModel):
    """One pair of Dirichlet distributions.

    An alpha is one number for all modalities, or one for each by name (`tok_depth@128`, or `tok_depth`); those not
    named get 0. A small alpha puts nearly all tokens in one modality, a large one spreads them evenly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_alpha: Alpha = 1.0
    target_alpha: Alpha = 1.0
    weight: float = Field(default=1.0, ge=0.0, description="How often this pair is drawn, relative to the others.")
    keep: Keep = Field(
        default="random",
        description="Share of a sequence's tokens that stay inputs, if any do: random, all, or binary (all or none).",
    )


def all_to_all(weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> tuple[Component, ...]:
    """4M-21's pairs for any modalities: alpha 0.01, 0.1, 1 and 10, from concentrated to even."""
    alphas = (0.01, 0.1, 1.0, 10.0)
    return tuple(
        Component(input_alpha=alpha, target_alpha=alpha, weight=weight)
        for alpha, weight in zip(alphas, weights, strict=True)
    )


def rgb_to_all(weight: float = 1.0, rgb: str = "rgb") -> tuple[Component, ...]:
    """4M-21's pair with pixels as the only input (others take what pixels cannot): the use the encoder is made for."""
    return (Component(input_alpha={rgb: 1000.0}, target_alpha=0.5, weight=weight),)


class MaskingConfig(BaseModel):
    """How many tokens, and from which mixture of distributions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_input: int = Field(default=128, ge=1, description="Visible tokens of a sample.")
    num_target: int = Field(default=128, ge=1, description="Predicted tokens of a sample.")
    mixture: tuple[Component, ...] = Field(
        default=(*all_to_all(), *rgb_to_all()),
        min_length=1,
        description="Pairs of Dirichlet distributions; one is drawn for each sample.",
    )
    share_positions: bool = Field(
        default=True,
        description="Use a position once among modalities that show the same (rgb and tok_rgb). False: 4M's behaviour.",
    )


@dataclass(frozen=True)
class Selection:
    """The tokens of a batch. Indices count along the slices of the model (`input_slices`, `target_slices`).

    Attributes:
        inputs, targets: by name, ids of the sequences as they are masked, (B, max_length) and (B, max_length + 1).
    """

    input_index_BI: Tensor  # noqa: N815
    target_index_BT: Tensor  # noqa: N815
    input_counts_BM: Tensor  # noqa: N815
    target_counts_BM: Tensor  # noqa: N815
    inputs: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """What was drawn: logarithms of the shares, up to a constant, and counts; of the modalities allowed."""

    log_BM: Tensor  # noqa: N815
    count_BM: Tensor  # noqa: N815
    allowed_BM: Tensor  # noqa: N815


@dataclass(frozen=True)
class _Masked:
    """The sequences of a batch: how many tokens they take, and their ids as they are masked, by name."""

    input_counts_BM: Tensor  # noqa: N815
    target_counts_BM: Tensor  # noqa: N815
    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]


class TokenMasker:
    """Draws selections for a modality table of images and sequences."""

    def __init__(self, specs: Sequence[ModalitySpec], config: MaskingConfig) -> None:
        self.specs = check_table(specs)
        self.config = config
        for spec in self.specs:
            if spec.kind not in (*IMAGE_KINDS, "sequence"):
                raise UserError(f"masking: {spec.name} is a {spec.kind}, which cannot be masked. Leave it out.")
            if spec.kind == "sequence" and spec.max_length > MOST_TOKENS:
                raise UserError(f"masking: {spec.name} has max_length {spec.max_length}. Give {MOST_TOKENS} at most.")
        inputs, targets = input_slices(self.specs), target_slices(self.specs)
        if not targets:
            raise UserError("masking: no modality is a target. Set target=True for at least one.")
        content = [spec.content if config.share_positions else spec.name for spec in self.specs]
        groups = list(dict.fromkeys(content))
        grids: dict[str, ModalitySpec] = {}
        for spec, key in zip(self.specs, content, strict=True):
            first = grids.setdefault(key, spec)
            if first.grid != spec.grid:
                raise UserError(
                    f"masking: {first.name} has a grid of {first.grid} and {spec.name}, which shows the same, "
                    f"{spec.grid}, so they cannot share positions. Use the same grid, or set share_positions=false."
                )
        self._group_M = torch.tensor([groups.index(key) for key in content])
        is_image = [grids[key].kind in IMAGE_KINDS for key in groups]
        # Of a sequence, no positions are drawn: as far as they go it has none.
        self._size_G = torch.tensor(
            [grids[key].num_tokens * image for key, image in zip(groups, is_image, strict=True)]
        )
        self._sequences = {m: spec for m, spec in enumerate(self.specs) if spec.kind == "sequence"}
        self._most_positions = max(spec.num_tokens for spec in self.specs)
        self._size_M = self._size_G[self._group_M]
        self._is_input_M = torch.tensor([spec.input for spec in self.specs])
        self._is_target_M = torch.tensor([spec.target for spec in self.specs])
        self._input_start_M = torch.tensor([inputs[s.name].start if s.input else 0 for s in self.specs])
        self._target_start_M = torch.tensor([targets[s.name].start if s.target else 0 for s in self.specs])
        self._member_MG = torch.nn.functional.one_hot(self._group_M, len(groups)).float()
        mixture = config.mixture
        self._input_alpha_CM = torch.tensor([self._alphas(c.input_alpha) for c in mixture])
        self._target_alpha_CM = torch.tensor([self._alphas(c.target_alpha) for c in mixture])
        self._weight_C = torch.tensor([c.weight for c in mixture])
        self._keep_C = torch.tensor([KEEPS.index(c.keep) for c in mixture])
        if not self._weight_C.sum() > 0:
            raise UserError("masking: the weights of the mixture are all 0. Give at least one a positive weight.")
        self._device = torch.device("cpu")
        self.check(torch.ones(1, len(self.specs), dtype=torch.bool))

    def _alphas(self, alpha: Alpha) -> list[float]:
        values = alpha.values() if isinstance(alpha, dict) else [alpha]
        for value in values:
            if not (value >= 0 and math.isfinite(value)):
                raise UserError(f"masking: alpha is {value}. Give a finite number, 0 or more.")
        if not isinstance(alpha, dict):
            return [max(alpha, MIN_ALPHA)] * len(self.specs)
        known = {spec.name for spec in self.specs} | {spec.stem for spec in self.specs}
        unknown = sorted(set(alpha) - known)
        if unknown:
            raise UserError(
                f"masking: an alpha names {', '.join(unknown)}, which is not in the modality table "
                f"({', '.join(spec.name for spec in self.specs)}). Correct the name."
            )
        return [max(alpha.get(s.name, alpha.get(s.stem, 0.0)), MIN_ALPHA) for s in self.specs]

    def _to(self, device: torch.device) -> None:
        if device != self._device:
            for name, value in list(vars(self).items()):
                if isinstance(value, Tensor):
                    setattr(self, name, value.to(device))
            self._device = device

    # -----------------------------------------------------------------------------------------------------------------

    def check(self, available_BM: Tensor) -> None:
        """Whether every sample can fill its budgets.

        Args:
            available_BM: bool, which modalities of the table each sample has.

        Raises:
            UserError: one cannot (names its modalities and the remedy).
        """
        self._to(available_BM.device)
        free_input_B, free_target_B = self._room(available_BM)
        config = self.config
        bad_B = (free_target_B < config.num_target) | (free_input_B < config.num_input)
        if not bad_B.any():
            return
        b = int(bad_B.nonzero()[0])
        have = [spec.name for spec, yes in zip(self.specs, available_BM[b].tolist(), strict=True) if yes]
        shared = self.config.share_positions and len(self._size_G) < len(self.specs)
        # `_room` counts the room for inputs that is left when the targets have theirs.
        raise UserError(
            f"masking: sample {b} of the batch has only {', '.join(have) or 'no modality'}: room for "
            f"{int(free_target_B[b])} target tokens, and beside {config.num_target} of them for "
            f"{max(int(free_input_B[b]), 0)} input tokens; the budgets are {config.num_input} inputs and "
            f"{config.num_target} targets. Lower num_input or num_target, or give it more modalities"
            + (" of images (sequences do not count)" if self._sequences else "")
            + (" (or set share_positions=false: rgb and tok_rgb now use each position once)." if shared else ".")
        )

    def _room(self, available_BM: Tensor) -> tuple[Tensor, Tensor]:
        """How many input tokens fit (when the targets have their room), and how many target tokens."""
        input_BG = self._any(available_BM & self._is_input_M) * self._size_G
        target_BG = self._any(available_BM & self._is_target_M) * self._size_G
        room_for_targets_B = target_BG.sum(1)
        contested_B = torch.minimum(
            (input_BG * (target_BG > 0)).sum(1), room_for_targets_B - self.config.num_target
        )  # inputs in groups that also hold targets
        return contested_B + (input_BG * (target_BG == 0)).sum(1), room_for_targets_B

    def _any(self, x_BM: Tensor) -> Tensor:
        """(B, G): whether any member of the group is set."""
        return (x_BM.float() @ self._member_MG) > 0

    # -----------------------------------------------------------------------------------------------------------------

    def sample(
        self,
        available_BM: Tensor,
        generator: torch.Generator | None = None,
        sequences: Mapping[str, Tensor] | None = None,
    ) -> Selection:
        """Draw the tokens of a batch.

        Args:
            available_BM: bool, which modalities of the table each sample has. Everything runs on its device; on the CPU
                the indices cost the accelerator no wait (see `tst.model.fourm.layout`).
            generator: of the same device; the same state gives the same selection.
            sequences: by name, ids (B, L) int64 of the whole sequences on the CPU, [EOS] included, padded; at most
                max_length of them. All padding: this sample has none.

        Raises:
            UserError: a sample cannot fill its budgets.
        """
        self.check(available_BM)
        config = self.config
        B = available_BM.shape[0]
        component_B = torch.multinomial(self._weight_C, B, replacement=True, generator=generator)

        wanted_in = self._draw(
            self._input_alpha_CM[component_B], available_BM & self._is_input_M, config.num_input, generator
        )
        wanted_out = self._draw(
            self._target_alpha_CM[component_B], available_BM & self._is_target_M, config.num_target, generator
        )
        masked = self._mask_sequences(
            wanted_in.count_BM, wanted_out.count_BM, self._keep_C[component_B], sequences or {}, generator
        )
        rest_in_B = config.num_input - masked.input_counts_BM.sum(1)
        rest_out_B = config.num_target - masked.target_counts_BM.sum(1)

        # Inputs: in the groups that also hold targets, enough room must be left for these.
        target_BG = self._any(available_BM & self._is_target_M)
        limit_B = (target_BG * self._size_G).sum(1) - rest_out_B
        room_BG = self._size_G.expand(B, -1)
        input_BM = self._fit(wanted_in, rest_in_B, room_BG, contested=(target_BG, limit_B))
        used_BG = (input_BM.float() @ self._member_MG).long()
        target_BM = self._fit(wanted_out, rest_out_B, room_BG - used_BG, contested=None)

        # One random permutation of positions per group: first its inputs, member after member, then its targets.
        permutation_BGP = self._permutations(B, generator)
        before_BM = self._before(input_BM)
        target_before_BM = used_BG[:, self._group_M] + self._before(target_BM)
        input_BM = input_BM + masked.input_counts_BM
        target_BM = target_BM + masked.target_counts_BM
        return Selection(
            self._index(input_BM, before_BM, permutation_BGP, self._input_start_M, config.num_input),
            self._index(target_BM, target_before_BM, permutation_BGP, self._target_start_M, config.num_target),
            input_BM,
            target_BM,
            masked.inputs,
            masked.targets,
        )

    def _mask_sequences(
        self,
        input_BM: Tensor,
        target_BM: Tensor,
        keep_B: Tensor,
        sequences: Mapping[str, Tensor],
        generator: torch.Generator | None,
    ) -> _Masked:
        """Span masking of every sequence within the budgets drawn for it (`input_BM`, `target_BM`)."""
        masked = _Masked(torch.zeros_like(input_BM), torch.zeros_like(target_BM), {}, {})
        for m, spec in self._sequences.items():
            most = spec.max_length
            ids_BL = sequences[spec.name]
            spans = mask_spans(ids_BL, input_BM[:, m], (target_BM[:, m] + 1).clamp(max=most + 1), keep_B, generator)
            if spec.input:
                masked.inputs[spec.name] = _padded(spans.input_BI, most)
                masked.input_counts_BM[:, m] = spans.input_length_B
            if spec.target:
                masked.targets[spec.name] = _padded(spans.target_BT, most + 1)
                masked.target_counts_BM[:, m] = spans.target_length_B - 1
        return masked

    def _draw(self, alpha_BM: Tensor, allowed_BM: Tensor, total: int, generator: torch.Generator | None) -> _Wanted:
        """4M's draw: shares from a Dirichlet distribution, counts with sum `total`."""
        log_BM = _log_gamma(alpha_BM, generator).masked_fill_(~allowed_BM, -math.inf)
        count_BM = (log_BM.softmax(1) * total).floor().long()
        # The remainder, one token at a time: each goes to the largest share of a fresh draw.
        remainder_B = total - count_BM.sum(1)
        most = int(remainder_B.max())  # less than the number of modalities
        if most:
            fresh_RBM = _log_gamma(alpha_BM.expand(most, -1, -1), generator)
            winner_RB = fresh_RBM.masked_fill_(~allowed_BM, -math.inf).argmax(2)
            wanted_RB = torch.arange(most, device=count_BM.device)[:, None] < remainder_B
            count_BM.scatter_add_(1, winner_RB.T, wanted_RB.T.long())
        return _Wanted(log_BM, count_BM, allowed_BM)

    def _fit(
        self, wanted: _Wanted, total_B: Tensor, room_BG: Tensor, *, contested: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Counts (B, M) of positions with sums `total_B`: what was drawn, as far as there is room, then the rest to
        the modalities that have some.

        Room: of a group, `room_BG`; and of some groups together: `contested` = which (B, G), how much (B).
        """
        log_BM = wanted.log_BM
        order_BM = log_BM.argsort(dim=1, descending=True)
        room_BM = torch.where(wanted.allowed_BM, self._size_M, 0)
        fitted_BM = self._fill(wanted.count_BM, order_BM, room_BG, contested)
        rest_B = total_B - fitted_BM.sum(1)
        if not rest_B.any():
            return fitted_BM
        # In proportion to the shares of those that still have room, twice; then to the largest shares, till all is out.
        for last in (False, False, True):
            used_BG = (fitted_BM.float() @ self._member_MG).long()
            left_BG = room_BG - used_BG
            free_BM = torch.minimum(room_BM - fitted_BM, left_BG[:, self._group_M])
            left = None
            if contested is not None:
                left = (contested[0], contested[1] - (used_BG * contested[0]).sum(1))
                open_BG = torch.where(contested[0], left[1][:, None], total_B[:, None])
                free_BM = torch.minimum(free_BM, open_BG[:, self._group_M])
            if last:
                extra_BM = self._fill(free_BM, order_BM, left_BG, left, rest_B)
            else:
                # No modality open: softmax gives NaN, which only happens where nothing is left to place.
                share_BM = log_BM.masked_fill(free_BM <= 0, -math.inf).softmax(1).nan_to_num_(0.0)
                want_BM = torch.minimum((share_BM * rest_B[:, None]).floor().long(), free_BM)
                extra_BM = self._fill(want_BM, order_BM, left_BG, left)
            fitted_BM = fitted_BM + extra_BM
            rest_B = total_B - fitted_BM.sum(1)
        return fitted_BM

    def _fill(
        self,
        want_BM: Tensor,
        order_BM: Tensor,
        room_BG: Tensor,
        contested: tuple[Tensor, Tensor] | None,
        total_B: Tensor | None = None,
    ) -> Tensor:
        """As much of `want_BM` as there is room for, served in `order_BM`.

        The limits are nested (modality, group, contested groups, all), so what the first j modalities can place
        together is a minimum of sums, level by level, and serving them greedily reaches the largest total.
        """
        sorted_BM = torch.minimum(want_BM, self._size_M).gather(1, order_BM)
        placed_BMG = torch.minimum((sorted_BM[:, :, None] * self._member_MG[order_BM]).cumsum(1), room_BG[:, None])
        if contested is None:
            placed_BM = placed_BMG.sum(2)
        else:
            both_BM = placed_BMG.sum(2)
            contested_BM = (placed_BMG * contested[0][:, None]).sum(2)
            placed_BM = both_BM - contested_BM + torch.minimum(contested_BM, contested[1][:, None])
        if total_B is not None:
            placed_BM = torch.minimum(placed_BM, total_B[:, None])
        placed_BM = placed_BM.long()
        step_BM = placed_BM.diff(dim=1, prepend=torch.zeros_like(placed_BM[:, :1]))
        return torch.zeros_like(want_BM).scatter_(1, order_BM, step_BM)

    def _permutations(self, B: int, generator: torch.Generator | None) -> Tensor:
        """(B, G, P) random orders of the positions of each group; those of a small group come first."""
        P = self._most_positions
        position_P = torch.arange(P, device=self._device)
        # Sort random numbers that carry their position in the low bits: no argsort; numpy's sort is 10 times faster.
        bits = P.bit_length()
        shape = (B, len(self._size_G), P)
        key_BGP = torch.randint(2**62, shape, generator=generator, device=self._device)
        key_BGP = (key_BGP >> bits << bits) | position_P
        if int(self._size_G.min()) < P:
            key_BGP = torch.where(position_P < self._size_G[:, None], key_BGP, key_BGP | 2**62)
        if self._device.type == "cpu":
            key_BGP.numpy().sort(axis=-1)
        else:
            key_BGP = key_BGP.sort(dim=-1).values
        order_BGP = key_BGP & (2**bits - 1)
        for m in self._sequences:
            order_BGP[:, self._group_M[m]] = position_P  # one after the other
        return order_BGP

    def _before(self, count_BM: Tensor) -> Tensor:
        """(B, M): tokens of earlier members of the same group."""
        group_BMG = count_BM[:, :, None] * self._member_MG
        earlier_BMG = group_BMG.cumsum(1) - group_BMG
        return earlier_BMG[:, torch.arange(len(self.specs), device=count_BM.device), self._group_M].long()

    def _index(self, count_BM: Tensor, before_BM: Tensor, order_BGP: Tensor, start_M: Tensor, total: int) -> Tensor:
        """(B, total) token index: slot after slot, modality after modality."""
        end_BM = count_BM.cumsum(1)
        slot = torch.arange(total, device=count_BM.device).expand(len(count_BM), -1).contiguous()
        modality = torch.searchsorted(end_BM, slot, right=True)  # (B, total)
        # Place in the flattened permutations of the sample: group * P + tokens of the group before it + rank in it.
        first_BM = self._group_M * order_BGP.shape[2] + before_BM - end_BM + count_BM
        position = order_BGP.flatten(1).gather(1, slot + first_BM.gather(1, modality))
        return position + start_M.expand_as(count_BM).gather(1, modality)


def _padded(ids_BL: Tensor, length: int) -> Tensor:
    """Filled up, or cut where there is nothing but padding."""
    return F.pad(ids_BL, (0, length - ids_BL.shape[1]), value=PAD)


def _log_gamma(alpha: Tensor, generator: torch.Generator | None) -> Tensor:
    """Logarithms of gamma variates; their softmax is a Dirichlet draw.

    G(a) = G(a + 1) * U^(1 / a): in logarithms, an alpha of 1e-9 neither underflows nor gives NaN.
    """
    boosted = torch._standard_gamma(alpha + 1.0, generator=generator).log_()
    uniform = torch.rand(alpha.shape, generator=generator, device=alpha.device).clamp_(min=1e-30)
    return boosted.add_(uniform.log_().div_(alpha))
