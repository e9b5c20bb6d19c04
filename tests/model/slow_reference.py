"""Parts of a slow 4M, written from the specification: loops, einsum, masks (True = masked). One sample at a time."""

import math

import torch
from torch import Tensor

from tst.model import ModalitySpec
from tst.model.sizes import Size

TEST = Size("test", 128, 2, 2, 2)


def norm(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    unit = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    return unit * state[f"{name}.weight"] + state[f"{name}.bias"]


def dense(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = torch.einsum("...i,oi->...o", x, state[f"{name}.weight"])
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def attend(state: dict[str, Tensor], name: str, q: Tensor, k: Tensor, v: Tensor, masked: Tensor | None) -> Tensor:
    """One sample, (N, D), head after head."""
    heads = []
    for head in range(TEST.heads):
        part = slice(64 * head, 64 * head + 64)
        qh, kh = q[:, part], k[:, part]
        if f"{name}.q_norm.weight" in state:
            qh, kh = norm(state, f"{name}.q_norm", qh), norm(state, f"{name}.k_norm", kh)
        score = torch.einsum("nd,ld->nl", qh, kh) * 64**-0.5
        if masked is not None:
            score = score.masked_fill(masked, -torch.finfo(score.dtype).max)
        heads.append(torch.einsum("nl,ld->nd", score.softmax(-1), v[:, part]))
    return dense(state, f"{name}.proj", torch.cat(heads, -1))


def self_attention(state: dict[str, Tensor], name: str, x: Tensor, masked: Tensor | None = None) -> Tensor:
    q, k, v = dense(state, f"{name}.qkv", x).chunk(3, -1)
    return attend(state, name, q, k, v, masked)


def mlp(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    hidden = dense(state, f"{name}.fc1", x)
    if f"{name}.fc3.weight" in state:
        hidden = hidden * torch.sigmoid(hidden) * dense(state, f"{name}.fc3", x)
    else:
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    return dense(state, f"{name}.fc2", hidden)


def encoder_blocks(state: dict[str, Tensor], x: Tensor) -> Tensor:
    for i in range(TEST.encoder_depth):
        x = x + self_attention(state, f"encoder.{i}.attn", norm(state, f"encoder.{i}.norm1", x))
        x = x + mlp(state, f"encoder.{i}.mlp", norm(state, f"encoder.{i}.norm2", x))
    return norm(state, "encoder_norm", x)


def decoder_blocks(state: dict[str, Tensor], y: Tensor, context: Tensor, masked: Tensor) -> Tensor:
    for i in range(TEST.decoder_depth):
        name = f"decoder.{i}"
        y = y + self_attention(state, f"{name}.self_attn", norm(state, f"{name}.norm1", y), masked)
        q = dense(state, f"{name}.cross_attn.q", norm(state, f"{name}.query_norm", y))
        k, v = dense(state, f"{name}.cross_attn.kv", norm(state, f"{name}.context_norm", context)).chunk(2, -1)
        y = y + attend(state, f"{name}.cross_attn", q, k, v, None)
        y = y + mlp(state, f"{name}.mlp", norm(state, f"{name}.norm2", y))
    return norm(state, "decoder_norm", y)


def patch_of(image: Tensor, spec: ModalitySpec, position: int) -> Tensor:
    row, column = divmod(position, spec.grid[1])
    values = [
        image[channel, row * spec.patch + y, column * spec.patch + x]
        for y in range(spec.patch)
        for x in range(spec.patch)
        for channel in range(3)
    ]
    return torch.stack(values)
