"""From pixels and ids to vectors (encoder), and from vectors to logits (decoder). Names and shapes are 4M's.

Shape suffixes: B batch, C channels, H height, W width, N tokens, D width of the model, K selected tokens of the whole
batch.
"""

import torch
from torch import Tensor, nn

from tst.errors import UserError
from tst.model.table import ModalitySpec

SEQUENCE_ROWS = 512  # 4M means to cut to max_length but slices the wrong dimension: every checkpoint holds 512 rows
INIT_STD = 0.02


def sincos_2d(height: int, width: int, dim: int, temperature: float = 10_000.0) -> Tensor:
    """(1, height * width, dim) position embedding; channels [sin a, cos a, sin b, cos b].

    4M builds its grid width first, so on its (square) grids the axes are exchanged: `a`, which it calls w, counts rows,
    and `b` columns. We keep that for its weights' sake, but say it directly: 4M's own code would scramble the geometry
    of a grid that is not square.
    """
    assert dim % 4 == 0, f"width {dim} is not a multiple of 4"
    omega = 1.0 / temperature ** (torch.arange(dim // 4, dtype=torch.float32) / (dim // 4))
    row, column = torch.meshgrid(
        torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32), indexing="ij"
    )
    a, b = row.reshape(-1, 1) * omega, column.reshape(-1, 1) * omega
    return torch.cat([a.sin(), a.cos(), b.sin(), b.cos()], dim=1)[None]


def sincos_1d(length: int, dim: int, temperature: float = 10_000.0) -> Tensor:
    """(1, length, dim) position embedding of a sequence; channels [sin, cos]."""
    assert dim % 2 == 0, f"width {dim} is not a multiple of 2"
    omega = 1.0 / temperature ** (torch.arange(dim // 2, dtype=torch.float32) / (dim // 2))
    angle = torch.arange(length, dtype=torch.float32)[:, None] * omega
    return torch.cat([angle.sin(), angle.cos()], dim=1)[None]


def patchify(x_BCHW: Tensor, patch: int) -> Tensor:
    """(B, N, patch * patch * C), row by row, channel LAST inside a patch (4M's order, not that of a convolution)."""
    B, C, H, W = x_BCHW.shape
    x = x_BCHW.reshape(B, C, H // patch, patch, W // patch, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(B, (H // patch) * (W // patch), patch * patch * C)


class Embedding(nn.Module):
    """What encoder and decoder embeddings share: a position embedding and a modality embedding."""

    pos_emb: Tensor
    mod_emb: nn.Parameter

    def __init__(self, spec: ModalitySpec, dim: int) -> None:
        super().__init__()
        self.spec = spec
        if spec.kind == "global_tokens":
            self.pos_emb = nn.Parameter(torch.randn(1, spec.num_tokens, dim) * INIT_STD)
        elif spec.kind in ("sequence", "sequence_embedding"):
            if spec.max_length > SEQUENCE_ROWS:
                raise UserError(f"{spec.name}: max_length is {spec.max_length}. Give {SEQUENCE_ROWS} at most.")
            self.register_buffer("pos_emb", sincos_1d(SEQUENCE_ROWS, dim))
        else:
            self.register_buffer("pos_emb", sincos_2d(*spec.grid, dim))
        self.mod_emb = nn.Parameter(torch.randn(1, 1, dim) * INIT_STD)

    def all_emb(self) -> Tensor:
        """Position + modality embedding of every position: (1, N, D)."""
        return self.pos_emb[:, : self.spec.num_tokens] + self.mod_emb

    def emb(self, position_K: Tensor) -> Tensor:
        """Position + modality embedding of some positions: (K, D)."""
        return self.pos_emb[0].index_select(0, position_K) + self.mod_emb[0]


class EncoderEmbedding(Embedding):
    """Content of an input modality."""

    def __init__(self, spec: ModalitySpec, dim: int) -> None:
        super().__init__(spec, dim)
        if spec.kind == "pixels":
            self.proj = nn.Linear(spec.patch**2 * spec.channels, dim, bias=False)
            nn.init.xavier_uniform_(self.proj.weight)
        elif spec.kind == "sequence_embedding":
            self.emb_proj = nn.Linear(spec.channels, dim)
            nn.init.xavier_uniform_(self.emb_proj.weight)
            nn.init.zeros_(self.emb_proj.bias)
        else:
            self.token_emb = _table(spec.vocab, dim)

    def all_content(self, x: Tensor) -> Tensor:
        """Content of every token, (B, N, D): `x` is pixels (B, C, H, W) or ids (B, N), of sequences padded with 0."""
        rows = self._rows(x)
        return self.proj(rows) if self.spec.kind == "pixels" else self.token_emb(rows)

    def content(self, x: Tensor, row_K: Tensor) -> Tensor:
        """Content of the tokens `row_K` (sample * N + position), (K, D): selects first, works on these only."""
        rows = self._rows(x).flatten(0, 1).index_select(0, row_K)
        return self.proj(rows) if self.spec.kind == "pixels" else self.token_emb(rows)

    def _rows(self, x: Tensor) -> Tensor:
        spec = self.spec
        if spec.kind == "pixels":
            expected = (spec.channels, spec.grid[0] * spec.patch, spec.grid[1] * spec.patch)
            assert x.shape[1:] == expected, f"{spec.name}: got {tuple(x.shape)}, expected (B, {expected})"
            return patchify(x, spec.patch)
        if spec.kind == "sequence_embedding":
            raise NotImplementedError(f"{spec.name}: the forward pass of {spec.kind} modalities is not written yet.")
        assert x.ndim == 2 and x.shape[1] == spec.num_tokens, (
            f"{spec.name}: got {tuple(x.shape)}, expected (B, {spec.num_tokens}) ids"
        )
        return x


class DecoderEmbedding(Embedding):
    """Query of a target modality, and its logits.

    `token_emb` is never looked up for image tokens (their content is the mask token): it is there for sequences, for
    the contract, and, when tied, as the weight of `to_logits`. Position p of a sequence is the query that knows its
    token p and predicts token p + 1, so its ids are (B, num_tokens + 1).
    """

    def __init__(self, spec: ModalitySpec, dim: int, tie_logits: bool) -> None:
        super().__init__(spec, dim)
        self.token_emb = _table(spec.vocab, dim)
        self.to_logits = nn.Linear(dim, spec.vocab, bias=False)
        if tie_logits:
            self.to_logits.weight = self.token_emb.weight
        else:
            nn.init.xavier_uniform_(self.to_logits.weight)

    @property
    def is_sequence(self) -> bool:
        """Whether the targets are a sequence: given token by token, predicted from left to right."""
        return self.spec.kind == "sequence"

    def content(self, ids: Tensor, row_K: Tensor) -> Tensor:
        """Of a sequence, what the queries `row_K` (sample * N + position) know, (K, D)."""
        return self.token_emb(self._ids(ids).index_select(0, row_K + self._samples(row_K)))

    def label(self, ids: Tensor, row_K: Tensor) -> Tensor:
        """Ids (K,) that the queries `row_K` are to predict."""
        return self._ids(ids).index_select(0, row_K + self._samples(row_K) + 1 if self.is_sequence else row_K)

    def _samples(self, row_K: Tensor) -> Tensor:
        return row_K.div(self.spec.num_tokens, rounding_mode="floor")

    def _ids(self, ids: Tensor) -> Tensor:
        assert not self.is_sequence or ids.shape[1] == self.spec.num_tokens + 1, (
            f"{self.spec.name}: got {tuple(ids.shape)}, expected (B, {self.spec.num_tokens + 1}) ids"
        )
        return ids.flatten()


def _table(vocab: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(vocab, dim)
    nn.init.normal_(table.weight, std=INIT_STD)
    return table
