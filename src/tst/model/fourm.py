"""The 4M encoder-decoder: masked modelling over any set of modalities. State-dict names and shapes are 4M's.

Shape suffixes: B batch, C channels, H height, W width, N tokens of a modality, I input tokens, T target tokens, D width
of the model, K selected tokens of the whole batch (B * I or B * T, or those of one modality), V vocabulary.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.errors import UserError
from tst.model.blocks import DecoderBlock, EncoderBlock, LayerNorm, drop_path_rates
from tst.model.embeddings import INIT_STD, DecoderEmbedding, EncoderEmbedding
from tst.model.sizes import FAMILIES, Family, Size, get_size, has_bias
from tst.model.table import ModalitySpec, check_table, input_slices, target_slices


@dataclass
class Output:
    """What `FourM.forward` returns. `losses`, `counts` and the optional ones hold the modalities that have targets."""

    loss: Tensor
    losses: dict[str, Tensor]
    counts: dict[str, int]
    accuracy: dict[str, Tensor] = field(default_factory=dict)  # share of tokens guessed exactly; loss_only=False
    logits: dict[str, Tensor] = field(default_factory=dict)  # (K, V), sample after sample; return_logits=True
    labels: dict[str, Tensor] = field(default_factory=dict)  # (K,), beside logits
    encoded: Tensor | None = None  # (B, I, D) features of the input tokens after encoder_norm, in the index's order


@dataclass(frozen=True)
class Segment:
    """The selected tokens of one modality: its part of the sorted tokens, their row (b * N + n) and position (n)."""

    part: slice
    row: Tensor
    position: Tensor


@dataclass(frozen=True)
class Layout:
    """A selection of tokens sorted by modality: each modality is embedded, or scored, in one go and without padding."""

    order: Tensor  # (K,) sorted -> flat (sample-major) place
    place: Tensor  # (K,) flat place -> sorted
    modality: Tensor  # (B, T) number of the modality of each token, from 1; 0 = padding
    segments: dict[str, Segment]  # those with tokens, in model order
    padding: int  # how many tokens are padding: the first of the sorted ones

    def unsort(self, x_KD: Tensor) -> Tensor:
        """Sorted (K, D) to (B, T, D)."""
        return x_KD.index_select(0, self.place).unflatten(0, self.modality.shape)


def layout(index_BT: Tensor, slices: Mapping[str, slice], device: torch.device) -> Layout:
    """Sort a selection by modality. Index -1 is padding.

    The sort runs where the index is, and the sizes of the segments must reach Python: with an index on the CPU, the GPU
    need not wait.
    """
    names = list(slices)
    starts = [slices[name].start for name in names]
    lengths = [slices[name].stop - slices[name].start for name in names]
    bounds = torch.tensor([*starts, starts[-1] + lengths[-1]], device=index_BT.device)
    # Before the first slice: 0; in slice m: m + 1; past the last: M + 1.
    modality_BT = torch.bucketize(index_BT.contiguous(), bounds, right=True)
    modality_K = modality_BT.flatten()
    counts = torch.bincount(modality_K, minlength=len(names) + 2).tolist()
    outside = counts[-1] > 0 or (counts[0] > 0 and int(index_BT.min()) < -1)
    assert not outside, f"a token index is outside 0..{int(bounds[-1]) - 1}"
    order_K = modality_K.to(torch.int16).argsort(stable=True)
    place_K = torch.empty_like(order_K).scatter_(0, order_K, torch.arange(len(order_K), device=order_K.device))
    sample_K = order_K.div(index_BT.shape[1], rounding_mode="floor")
    index_K = index_BT.flatten().index_select(0, order_K)
    segments = {}
    start = counts[0]
    for name, first, length, count in zip(names, starts, lengths, counts[1:-1], strict=True):
        if count:
            part = slice(start, start + count)
            position_K = index_K[part] - first
            row_K = sample_K[part] * length + position_K
            segments[name] = Segment(part, _to(row_K, device), _to(position_K, device))
            start += count
    return Layout(_to(order_K, device), _to(place_K, device), _to(modality_BT, device), segments, counts[0])


def _to(x: Tensor, device: torch.device) -> Tensor:
    return x.to(device, non_blocking=True)


class Encoder(nn.Module):
    """The encoder alone (4M's FMViT, for any input modalities): what is transferred.

    `modalities` that are not inputs are passed over. `drop_path` is the rate at the last block, linear over depth.
    `pre_norm` (CLIP: a norm before the first block) and `norm_eps` are there to hold other ViTs exactly.
    """

    def __init__(
        self,
        size: str | Size,
        modalities: Iterable[ModalitySpec],
        *,
        family: Family = "swiglu_nobias",
        qk_norm: bool = False,
        num_register_tokens: int = 0,
        pre_norm: bool = False,
        norm_eps: float = 1e-6,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if family not in FAMILIES:
            raise UserError(f"family {family!r} is unknown. Choose one of: {', '.join(FAMILIES)}.")
        self.size = get_size(size)
        self.modalities = check_table(modalities)
        self.options: dict[str, Any] = {
            "family": family,
            "qk_norm": qk_norm,
            "num_register_tokens": num_register_tokens,
            "pre_norm": pre_norm,
            "norm_eps": norm_eps,
        }
        self.num_register_tokens = num_register_tokens
        self.input_slices = input_slices(self.modalities)
        dim = self.size.dim
        if num_register_tokens:
            self.register_tokens = nn.Parameter(torch.randn(1, num_register_tokens, dim) * INIT_STD)
        if pre_norm:
            self.encoder_pre_norm = LayerNorm(dim, bias=has_bias(family), eps=norm_eps)
        self.encoder_embeddings = nn.ModuleDict(
            {spec.name: EncoderEmbedding(spec, dim) for spec in self.modalities if spec.input}
        )
        self.encoder = nn.ModuleList(
            EncoderBlock(self.size, family, qk_norm=qk_norm, drop_path=rate, norm_eps=norm_eps)
            for rate in drop_path_rates(drop_path, self.size.encoder_depth)
        )
        self.encoder_norm = LayerNorm(dim, bias=has_bias(family), eps=norm_eps)

    @property
    def dim(self) -> int:
        """Width of the model."""
        return self.size.dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder_norm.weight.device

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """All tokens of the given modalities, in model order: (B, N, D)."""
        return self.encode(inputs)

    def encode(self, inputs: dict[str, Tensor], index_BI: Tensor | None = None) -> Tensor:
        """Features of the selected tokens, after `encoder_norm`.

        Args:
            inputs: by name, normalised pixels (B, C, H, W) or ids (B, N), of sequences padded with 0.
            index_BI: which tokens, counted along the slices `input_slices` of all input modalities, given or not; -1 is
                padding. None: every token of the given modalities, in model order.

        Returns:
            (B, I, D), without register tokens. What stands at padding means nothing.
        """
        x_BID, emb, keys = self._embed_inputs(inputs, index_BI)
        return self.encode_tokens(x_BID + emb, keys)[:, self.num_register_tokens :]

    def encode_tokens(self, x_BID: Tensor, keys: Tensor | None = None) -> Tensor:
        """Features of tokens that are embedded already: blocks and norm.

        Args:
            x_BID: content and position and modality embedding of each token.
            keys: mask added to the attention, (B, 1, 1, registers + I), -inf at padding; None: there is none.

        Returns:
            (B, registers + I, D), register tokens first.
        """
        if self.num_register_tokens:
            x_BID = torch.cat([self.register_tokens.expand(x_BID.shape[0], -1, -1), x_BID], dim=1)
        if self.options["pre_norm"]:
            x_BID = self.encoder_pre_norm(x_BID)
        x_BID = _stream(x_BID)
        for block in self.encoder:
            x_BID = block(x_BID, keys)
        return self.encoder_norm(x_BID)

    def encoder_state(self) -> dict[str, Tensor]:
        """The state of the encoder alone (no decoder), under 4M's names."""
        return {name: value for name, value in self.state_dict().items() if is_encoder_name(name)}

    def _embed_inputs(self, inputs: dict[str, Tensor], index_BI: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Content (B, I, D), position + modality embedding (B or 1, I, D), and where there is padding the attention
        mask (B, 1, 1, registers + I) that hides it."""
        unknown = [name for name in inputs if name not in self.input_slices]
        assert not unknown, f"not inputs of this model: {unknown}; it takes {list(self.input_slices)}"
        assert inputs, "no inputs"
        modules = cast(dict[str, EncoderEmbedding], self.encoder_embeddings)
        given = [name for name in self.input_slices if name in inputs]
        if index_BI is None and any(modules[name].spec.kind == "sequence" for name in given):
            index_BI = self._whole(inputs)
        if index_BI is None:
            content = [modules[name].all_content(inputs[name]) for name in given]
            return _cat(content, 1), _cat([modules[name].all_emb() for name in given], 1), None
        chosen = layout(index_BI, self.input_slices, self.device)
        absent = [name for name in chosen.segments if name not in inputs]
        assert not absent, f"the index selects tokens of {absent}, which were not given"
        content, emb = [], []
        for name, segment in chosen.segments.items():
            content.append(modules[name].content(inputs[name], segment.row))
            emb.append(modules[name].emb(segment.position))
        keys = None
        if chosen.padding:
            assert (index_BI >= 0).any(1).all(), "a sample has nothing but padding"
            nothing = emb[0].new_zeros(chosen.padding, self.dim)
            content, emb = [nothing, *content], [nothing, *emb]
            there_BI = F.pad(chosen.modality > 0, (self.num_register_tokens, 0), value=True)
            keys = _additive(there_BI[:, None, None], nothing)
        return chosen.unsort(_cat(content, 0)), chosen.unsort(_cat(emb, 0)), keys

    def _whole(self, inputs: dict[str, Tensor]) -> Tensor:
        """Index of every token of the given modalities in model order; the padding of sequences is padding."""
        modules = cast(dict[str, EncoderEmbedding], self.encoder_embeddings)
        parts = []
        for name, place in self.input_slices.items():
            if name in inputs:
                all_N = torch.arange(place.start, place.stop, device=self.device)
                there = inputs[name] != 0 if modules[name].spec.kind == "sequence" else all_N.new_ones(1)
                parts.append(torch.where(there.bool(), all_N, -1).expand(len(inputs[name]), -1))
        return _cat(parts, 1)


@dataclass(frozen=True)
class Context:
    """What the decoder knows of the inputs, register tokens first: (B, registers + I, D) each.

    Attributes:
        encoded: after `encoder_norm`.
        projected: after `decoder_proj_context`.
        tokens: with position and modality embedding, which the decoder attends to.
        keys: attention mask that hides padding, if there is any.
    """

    encoded: Tensor
    projected: Tensor
    tokens: Tensor
    keys: Tensor | None


class FourM(Encoder):
    """The encoder-decoder that is pre-trained: from some tokens of some modalities to other tokens.

    Args (besides those of Encoder):
        share_modality_embeddings: one `mod_emb` for encoder and decoder.
        tie_logits: the decoder's `token_emb` is the weight of `to_logits` (4M's training script; its released
            checkpoints hold separate ones, so adapting those needs False).
        local_context: a target starts from the mean of what the encoder knows at its own position, where anything is
            visible there, beside the mask token. Ours, without weights: 4M's targets find their place by
            cross-attention alone, which takes longer to learn than a small budget lasts (docs/model.md). Tokens of a
            sequence have no place in the image, and no part in it. False for 4M's checkpoints.
    """

    def __init__(
        self,
        size: str | Size,
        modalities: Iterable[ModalitySpec],
        *,
        family: Family = "swiglu_nobias",
        qk_norm: bool = False,
        num_register_tokens: int = 0,
        pre_norm: bool = False,
        norm_eps: float = 1e-6,
        share_modality_embeddings: bool = True,
        tie_logits: bool = True,
        drop_path: float = 0.0,
        decoder_drop_path: float = 0.0,
        local_context: bool = False,
    ) -> None:
        super().__init__(
            size,
            modalities,
            family=family,
            qk_norm=qk_norm,
            num_register_tokens=num_register_tokens,
            pre_norm=pre_norm,
            norm_eps=norm_eps,
            drop_path=drop_path,
        )
        dim = self.size.dim
        self.share_modality_embeddings = share_modality_embeddings
        self.tie_logits = tie_logits
        self.local_context = local_context
        if local_context and len({spec.grid for spec in self.modalities if spec.kind != "sequence"}) > 1:
            raise UserError("local_context needs one grid for all modalities. Set it to False.")
        self.target_slices = target_slices(self.modalities)
        if not self.target_slices:
            raise UserError("modality table: no modality is a target. Set target=True for at least one.")
        self.mask_token = nn.Parameter(torch.randn(1, 1, dim) * INIT_STD)
        self.decoder_proj_context = nn.Linear(dim, dim)  # with bias, in every family
        nn.init.xavier_uniform_(self.decoder_proj_context.weight)
        nn.init.zeros_(self.decoder_proj_context.bias)
        self.decoder_embeddings = nn.ModuleDict(
            {spec.name: DecoderEmbedding(spec, dim, tie_logits) for spec in self.modalities if spec.target}
        )
        if share_modality_embeddings:
            for name, embedding in self.decoder_embeddings.items():
                if name in self.encoder_embeddings:
                    embedding.mod_emb = self.encoder_embeddings[name].mod_emb
        self.decoder = nn.ModuleList(
            DecoderBlock(self.size, family, qk_norm=qk_norm, drop_path=rate, norm_eps=norm_eps)
            for rate in drop_path_rates(decoder_drop_path, self.size.decoder_depth)
        )
        self.decoder_norm = LayerNorm(dim, bias=has_bias(family), eps=norm_eps)

    def forward(  # type: ignore[override]
        self,
        inputs: dict[str, Tensor],
        targets: dict[str, Tensor],
        input_index_BI: Tensor,
        target_index_BT: Tensor,
        *,
        loss_only: bool = True,
        return_logits: bool = False,
    ) -> Output:
        """Predict the target tokens from the input tokens.

        Args:
            inputs: by name, normalised pixels (B, C, H, W) or ids (B, N), of sequences as they are masked.
            targets: by name, ids (B, N); of sequences (B, N + 1), see `DecoderEmbedding`.
            input_index_BI: which tokens are visible, counted along `input_slices`. -1 is padding; every sample must see
                something.
            target_index_BT: which are predicted, counted along `target_slices`; of a sequence each from those that are
                selected before it. -1 is padding. Both may be on the CPU (see `layout`).
            loss_only: False computes accuracies too.
            return_logits: also return logits and labels.
        """
        context = self.contextualise(inputs, input_index_BI)
        local_BTD = None
        if self.local_context:
            visible_BID = context.projected[:, self.num_register_tokens :]
            local_BTD = self._at_positions(visible_BID, input_index_BI, target_index_BT)

        chosen = layout(target_index_BT, self.target_slices, self.device)
        absent = [name for name in chosen.segments if name not in targets]
        assert not absent, f"the index selects targets of {absent}, which were not given"
        y_KD = self._decode(context, chosen, targets, target_index_BT, local_BTD)
        output = Output(y_KD.new_zeros(()), {}, {}, encoded=context.encoded[:, self.num_register_tokens :])
        modules = cast(dict[str, DecoderEmbedding], self.decoder_embeddings)
        for name, segment in chosen.segments.items():
            logits_KV = modules[name].to_logits(y_KD[segment.part])
            label_K = modules[name].label(targets[name], segment.row)
            output.losses[name] = F.cross_entropy(logits_KV.float(), label_K)
            output.counts[name] = len(segment.row)
            if not loss_only:
                output.accuracy[name] = (logits_KV.detach().argmax(-1) == label_K).float().mean()
            if return_logits:
                output.logits[name], output.labels[name] = logits_KV, label_K
        # Loss "mod": the mean inside each modality, then over the modalities that HAVE targets in this batch. 4M
        # divides by all modalities of the batch: there, one that drew no target scales the whole loss down.
        output.loss = torch.stack(list(output.losses.values())).mean()
        return output

    def contextualise(self, inputs: dict[str, Tensor], index_BI: Tensor | None = None) -> Context:
        """What the decoder knows of the inputs; arguments as for `encode`."""
        x_BID, emb_BID, keys = self._embed_inputs(inputs, index_BI)
        encoded = self.encode_tokens(x_BID + emb_BID, keys)
        projected = self.decoder_proj_context(encoded)
        registers = self.num_register_tokens  # they carry no position or modality embedding
        tokens = projected + (F.pad(emb_BID, (0, 0, registers, 0)) if registers else emb_BID)
        return Context(encoded, projected, tokens, keys)

    def continue_sequence(self, context: Context, name: str, ids_BL: Tensor) -> Tensor:
        """Logits (B, V) of the token that follows the first ones of a target sequence."""
        module = cast(DecoderEmbedding, self.decoder_embeddings[name])
        length = ids_BL.shape[1]
        assert module.is_sequence and length <= module.spec.num_tokens, (name, ids_BL.shape)
        emb_LD = module.emb(torch.arange(length, device=ids_BL.device))
        causal_LL = torch.ones(length, length, dtype=torch.bool, device=ids_BL.device).tril()
        y_BLD = self._blocks(module.token_emb(ids_BL) + emb_LD, context, _additive(causal_LL, context.tokens))
        return module.to_logits(y_BLD[:, -1]).float()

    def _at_positions(self, x_BID: Tensor, input_index_BI: Tensor, target_index_BT: Tensor) -> Tensor:
        """For each target the mean of the visible tokens at its own position, of any modality, else 0: (B, T, D)."""
        size = next(spec.num_tokens for spec in self.modalities if spec.kind != "sequence")  # of all grids
        where_BI = self._positions(input_index_BI, self.input_slices, size).to(x_BID.device)
        sums_BND = x_BID.new_zeros(len(x_BID), size + 1, self.dim)
        sums_BND = sums_BND.scatter_add(1, where_BI[..., None].expand_as(x_BID), x_BID)
        count_BN = x_BID.new_zeros(len(x_BID), size + 1).scatter_add(1, where_BI, x_BID.new_ones(where_BI.shape))
        mean_BND = F.pad((sums_BND / count_BN.clamp(min=1)[..., None])[:, :size], (0, 0, 0, 1))
        at_BT = self._positions(target_index_BT, self.target_slices, size).to(x_BID.device)
        return mean_BND.gather(1, at_BT[..., None].expand(-1, -1, self.dim))

    def _positions(self, index_BK: Tensor, slices: Mapping[str, slice], size: int) -> Tensor:
        """Place in the image of each token, and `size` for what has none: tokens of sequences, padding."""
        nowhere = [spec.name for spec in self.modalities if spec.kind == "sequence" and spec.name in slices]
        if not nowhere:
            return torch.where(index_BK < 0, size, index_BK.remainder(size))
        table = [torch.arange(place.stop - place.start) for place in slices.values()]
        for number, name in enumerate(slices):
            if name in nowhere:
                table[number].fill_(size)
        return torch.cat([*table, torch.tensor([size])]).to(index_BK.device)[index_BK]  # -1: the last one

    def _decode(
        self,
        context: Context,
        chosen: Layout,
        targets: Mapping[str, Tensor],
        index_BT: Tensor,
        local_BTD: Tensor | None,
    ) -> Tensor:
        """Features of the targets, sorted by modality: (K, D)."""
        modules = cast(dict[str, DecoderEmbedding], self.decoder_embeddings)
        nothing = [self.mask_token.new_zeros(chosen.padding, self.dim)] if chosen.padding else []
        emb = [modules[name].emb(segment.position) for name, segment in chosen.segments.items()]
        content: Tensor = self.mask_token
        if any(modules[name].is_sequence for name in chosen.segments):
            known = [
                modules[name].content(targets[name], segment.row)
                if modules[name].is_sequence
                else self.mask_token[0].expand(len(segment.row), -1)
                for name, segment in chosen.segments.items()
            ]
            content = chosen.unsort(_cat([*nothing, *known], 0))
        x_BTD = content + chosen.unsort(_cat([*nothing, *emb], 0))
        if local_BTD is not None:
            x_BTD = x_BTD + local_BTD
        x_BTD = self._blocks(x_BTD, context, self._target_mask(chosen, index_BT, context.tokens))
        return x_BTD.flatten(0, 1).index_select(0, chosen.order)

    def _target_mask(self, chosen: Layout, index_BT: Tensor, like: Tensor) -> Tensor | None:
        """Targets see targets of their own modality (`decoder_sep_mask`), in a sequence only those before them."""
        modules = cast(dict[str, DecoderEmbedding], self.decoder_embeddings)
        causal = [number for number, name in enumerate(self.target_slices, 1) if modules[name].is_sequence]
        causal = causal if any(modules[name].is_sequence for name in chosen.segments) else []
        if len(chosen.segments) + (chosen.padding > 0) == 1 and not causal:
            return None
        allowed_BTT = chosen.modality[:, :, None] == chosen.modality[:, None, :]
        if causal:
            index_BT = _to(index_BT, like.device)
            both_ways_BT = ~torch.isin(chosen.modality, torch.tensor(causal, device=like.device))
            allowed_BTT &= both_ways_BT[:, :, None] | (index_BT[:, None, :] <= index_BT[:, :, None])
        return _additive(allowed_BTT[:, None], like)

    def _blocks(self, x_BTD: Tensor, context: Context, mask: Tensor | None) -> Tensor:
        """Decoder blocks and norm."""
        x_BTD = _stream(x_BTD)
        for block in self.decoder:
            x_BTD = block(x_BTD, context.tokens, mask, context.keys)
        return self.decoder_norm(x_BTD)

    def rgb_encoder(self, *, drop_path: float = 0.0) -> Encoder:
        """A copy of the encoder that takes pixels only: what is fine-tuned."""
        pixels = [spec for spec in self.modalities if spec.kind == "pixels"]
        if not pixels:
            raise UserError("the model has no pixel input, so it has no RGB encoder. Pre-train with rgb as an input.")
        with torch.device(self.device):
            encoder = Encoder(self.size, pixels, **self.options, drop_path=drop_path)
        load_encoder(encoder, self.encoder_state())
        return encoder


def _stream(x_BND: Tensor) -> Tensor:
    """The residual stream; on the CPU in the dtype of the products, else every block casts back and forth."""
    if x_BND.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return x_BND.to(torch.get_autocast_dtype("cpu"))
    return x_BND


def _cat(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _additive(allowed: Tensor, like: Tensor) -> Tensor:
    """0 where allowed, else -inf, in the dtype that attention runs in: made once, not once a block."""
    kind = like.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype
    return torch.zeros(allowed.shape, dtype=dtype, device=like.device).masked_fill_(~allowed, float("-inf"))


# ---------------------------------------------------------------------------------------------------------------------
# Checkpoints


@dataclass(frozen=True)
class LoadReport:
    """What a state dict did not hold, and what of it was not used."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


# Of an encoder, all but the embeddings of its inputs.
CORE = ("encoder", "encoder_norm", "encoder_pre_norm", "register_tokens")


def is_encoder_name(name: str) -> bool:
    """Whether a state-dict name belongs to the encoder."""
    return _room(name) in (*CORE, "encoder_embeddings")


def _room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def fill_shared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the second name of shared tensors, which a safetensors file may lack.

    `mod_emb` of encoder and decoder, and `token_emb` and `to_logits` of the decoder, fill each other.
    """
    full = dict(state)
    for name, value in state.items():
        side, _, rest = name.partition("_embeddings.")
        if name.endswith(".mod_emb") and side in ("encoder", "decoder"):
            other = "decoder" if side == "encoder" else "encoder"
            twin = f"{other}_embeddings.{rest}"
            if any(key.startswith(twin.removesuffix("mod_emb")) for key in state):  # the other side has this modality
                full.setdefault(twin, value)
        elif side == "decoder" and name.endswith(".to_logits.weight"):
            full.setdefault(name.replace(".to_logits.", ".token_emb."), value)
        elif side == "decoder" and name.endswith(".token_emb.weight"):
            full.setdefault(name.replace(".token_emb.", ".to_logits."), value)
    return full


def model_state(model: FourM) -> dict[str, Tensor]:
    """The state to write with safetensors, which refuses shared tensors.

    `mod_emb` is stored under both names; of a tied pair of tables only `token_emb` is (`fill_shared` gives the other).
    """
    state = model.state_dict()
    if model.tie_logits:
        state = {name: value for name, value in state.items() if not name.endswith(".to_logits.weight")}
    if model.share_modality_embeddings:
        shared = [name for name in state if name.startswith("decoder_") and name.endswith(".mod_emb")]
        state.update({name: state[name].clone() for name in shared})
    return {name: value.contiguous() for name, value in state.items()}


def load_fourm(model: FourM, state: Mapping[str, Tensor]) -> None:
    """Load a whole state, strictly.

    Raises:
        UserError: a name is missing or unknown, or a shape differs.
    """
    model.load_state_dict(check_state(model, state))


def check_state(model: FourM, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with both names of shared tensors, if it is whole; the model may be on the meta device.

    Raises:
        UserError: a name is missing or unknown, or a shape differs.
    """
    own = model.state_dict()
    full = fill_shared(state)
    missing = [name for name in own if name not in full]
    unexpected = [name for name in full if name not in own]
    if missing or unexpected:
        raise UserError(
            f"the weights do not fit the model: missing {_some(missing)}; unknown {_some(unexpected)}. "
            "Build the model with the modalities, the size and the options of the checkpoint."
        )
    _check_shapes(own, full)
    return full


def load_encoder(
    encoder: Encoder, state: Mapping[str, Tensor], *, rename: Mapping[str, str] | None = None
) -> LoadReport:
    """Load the encoder's part of a state.

    Args:
        encoder: is changed in place.
        state: of a FourM or of an Encoder; the decoder and other modalities are not used (`unexpected`).
        rename: input modality in `state` -> in the encoder, for example {"rgb@128": "rgb@256"}. Positions of a renamed
            modality are the encoder's own.

    Returns:
        `missing`: embeddings of input modalities that `state` lacks, which keep their values.

    Raises:
        UserError: a weight of the blocks or of the norm is missing or unknown, or a shape differs.
    """
    own = encoder.state_dict()
    full = fill_shared(state)
    for old, new in (rename or {}).items():
        before, after = f"encoder_embeddings.{old}.", f"encoder_embeddings.{new}."
        if not any(name.startswith(before) for name in full):
            raise UserError(f"the weights hold no input modality {old!r}, so it cannot be renamed. Check the name.")
        for name in [name for name in full if name.startswith(before)]:
            value = full.pop(name)
            full[after + name.removeprefix(before)] = (
                own[after + "pos_emb"] if name.endswith(".pos_emb") and after + "pos_emb" in own else value
            )
    missing = [name for name in own if is_encoder_name(name) and name not in full]
    unexpected = [name for name in full if name not in own]
    for what, names in (("missing", missing), ("unknown", unexpected)):
        wrong = [name for name in names if _room(name) in CORE]
        if wrong:
            raise UserError(
                f"the weights do not fit the encoder ({encoder.size.name}, {encoder.size.encoder_depth} blocks): "
                f"{what} {_some(wrong)}. Build it with the size and the options of the checkpoint."
            )
    found = {name: value for name, value in full.items() if name in own and is_encoder_name(name)}
    _check_shapes(own, found)
    encoder.load_state_dict(found, strict=False)
    return LoadReport(tuple(missing), tuple(unexpected))


def _check_shapes(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    for name, value in own.items():
        if name in state and state[name].shape != value.shape:
            raise UserError(
                f"{name}: the weights have shape {tuple(state[name].shape)}, the model {tuple(value.shape)}. "
                "Build the model with the size and the modalities of the checkpoint."
            )


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# ---------------------------------------------------------------------------------------------------------------------
# Groups of parameters for the optimiser


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: not to norms, biases, gammas (4M's rule) and other vectors, but to embeddings."""
    parts = name.split(".")
    norm = any(_is_norm(part) for part in parts[:-1])
    return not (norm or parts[-1] in ("bias", "gamma") or parameter.ndim <= 1)


def _is_norm(part: str) -> bool:
    # norm, norm1, q_norm, encoder_norm; not a modality called tok_normal@128
    return part.rstrip("0123456789").split("_")[-1] == "norm"


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimiser: with and without weight decay. Frozen parameters are left out."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"name": "decay", "params": [p for n, p in named if decays(n, p)], "weight_decay": weight_decay},
        {"name": "no_decay", "params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def layer_decay_groups(
    encoder: Encoder, head: nn.Module | None, lr: float, weight_decay: float, decay: float
) -> list[dict[str, Any]]:
    """Groups for fine-tuning: the learning rate shrinks by `decay` from block to block towards the input (BEiT's rule).

    The head and `encoder_norm` learn at `lr`, block i of n (from 0) at `lr * decay ** (n - i)`, the embeddings at
    `lr * decay ** (n + 1)`. Each group also holds `lr_scale` (for schedules that set `lr` anew) and a `name`. A decoder
    is left out.
    """
    depth = len(encoder.encoder)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}

    def add(layer: int, name: str, parameter: nn.Parameter) -> None:
        if not parameter.requires_grad:
            return
        decayed = decays(name, parameter)
        scale = decay ** (depth + 1 - layer)
        group = groups.setdefault(
            (layer, decayed),
            {
                "name": f"layer{layer}{'' if decayed else '_no_decay'}",
                "params": [],
                "lr": lr * scale,
                "lr_scale": scale,
                "weight_decay": weight_decay if decayed else 0.0,
            },
        )
        group["params"].append(parameter)

    for name, parameter in encoder.named_parameters():
        if not is_encoder_name(name):
            continue
        room, _, rest = name.partition(".")
        if room == "encoder":
            add(int(_room(rest)) + 1, name, parameter)
        else:
            add(depth + 1 if room == "encoder_norm" else 0, name, parameter)
    for name, parameter in head.named_parameters() if head is not None else ():
        add(depth + 1, name, parameter)
    return [groups[key] for key in sorted(groups)]
