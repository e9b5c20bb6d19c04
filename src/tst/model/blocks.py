"""Transformer blocks with 4M's names and shapes.

Shape suffixes: B batch, N queries, L keys, D width of the model, h heads, d channels of a head.
"""

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.model.sizes import Size, has_bias, is_gated


class LayerNorm(nn.Module):
    """LayerNorm whose missing bias is a zero buffer called `bias`: 4M's "no bias" checkpoints hold those zeros."""

    def __init__(self, dim: int, *, bias: bool, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        if bias:
            self.bias = nn.Parameter(torch.zeros(dim))
        else:
            self.register_buffer("bias", torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class DropPath(nn.Module):
    """Drop a residual branch for whole samples, with probability `rate`; what is kept is scaled up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x_BND: Tensor) -> Tensor:
        """`x_BND`, with some samples zero while training."""
        if not self.training or self.rate == 0.0:
            return x_BND
        keep = 1.0 - self.rate
        return x_BND * x_BND.new_empty(x_BND.shape[0], 1, 1).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        """The rate."""
        return f"{self.rate:g}"


class SelfAttention(nn.Module):
    """Attention among the tokens."""

    def __init__(self, dim: int, heads: int, *, bias: bool, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = linear(dim, 3 * dim, bias=bias, parts=3)
        self.proj = linear(dim, dim, bias=bias)
        self.q_norm = LayerNorm(dim // heads, bias=bias) if qk_norm else nn.Identity()
        self.k_norm = LayerNorm(dim // heads, bias=bias) if qk_norm else nn.Identity()

    def forward(self, x_BND: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: additive, or bool with True = may attend (the opposite of 4M's), broadcast to (B, h, N, N)."""
        B, N, D = x_BND.shape
        q_BhNd, k_BhNd, v_BhNd = self.qkv(x_BND).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        q_BhNd, k_BhNd = _normed(self.q_norm, self.k_norm, q_BhNd, k_BhNd, v_BhNd)
        y_BhNd = attention(q_BhNd, k_BhNd, v_BhNd, mask)
        return self.proj(y_BhNd.transpose(1, 2).reshape(B, N, D))


class CrossAttention(nn.Module):
    """Attention from the tokens to a context."""

    def __init__(self, dim: int, heads: int, *, bias: bool, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q = linear(dim, dim, bias=bias)
        self.kv = linear(dim, 2 * dim, bias=bias, parts=2)
        self.proj = linear(dim, dim, bias=bias)
        self.q_norm = LayerNorm(dim // heads, bias=bias) if qk_norm else nn.Identity()
        self.k_norm = LayerNorm(dim // heads, bias=bias) if qk_norm else nn.Identity()

    def forward(self, x_BND: Tensor, context_BLD: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask`: as for `SelfAttention`, broadcast to (B, h, N, L)."""
        B, N, D = x_BND.shape
        q_BhNd = self.q(x_BND).view(B, N, self.heads, D // self.heads).transpose(1, 2)
        k_BhLd, v_BhLd = (
            self.kv(context_BLD).view(B, context_BLD.shape[1], 2, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        )
        q_BhNd, k_BhLd = _normed(self.q_norm, self.k_norm, q_BhNd, k_BhLd, v_BhLd)
        y_BhNd = attention(q_BhNd, k_BhLd, v_BhLd, mask)
        return self.proj(y_BhNd.transpose(1, 2).reshape(B, N, D))


def attention(q_BhNd: Tensor, k_BhLd: Tensor, v_BhLd: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention, (B, h, N, d). `mask`: additive, or bool with True = may attend."""
    if q_BhNd.device.type != "cpu" or not q_BhNd.requires_grad:
        return F.scaled_dot_product_attention(q_BhNd, k_BhLd, v_BhLd, attn_mask=mask)
    # Training on the CPU: in bfloat16 the backward pass of torch's fused attention takes 4 times as long as plain
    # products (measured: 92 ms against 22 ms forward and backward, 64 samples of 64 tokens, 3 heads, one thread).
    scores_BhNL = (q_BhNd * q_BhNd.shape[-1] ** -0.5) @ k_BhLd.transpose(-2, -1)
    if mask is not None:
        scores_BhNL = scores_BhNL.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores_BhNL + mask
    return scores_BhNL.softmax(-1) @ v_BhLd


def _normed(q_norm: nn.Module, k_norm: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    # Under autocast a LayerNorm may return float32; SDPA wants one dtype.
    return q_norm(q).to(v.dtype), k_norm(k).to(v.dtype)


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI CLIP's `x * sigmoid(1.702 x)`."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "quick_gelu": quick_gelu,
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),
}


class Mlp(nn.Module):
    """`fc2(gelu(fc1 x))`."""

    def __init__(self, dim: int, hidden: int, activation: str = "gelu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.fc1 = linear(dim, hidden, bias=True)
        self.fc2 = linear(hidden, dim, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Per token."""
        return self.fc2(self.activation(self.fc1(x)))


class GatedMlp(nn.Module):
    """SwiGLU: `fc2(silu(fc1 x) * fc3 x)`."""

    def __init__(self, dim: int, hidden: int, *, bias: bool = False) -> None:
        super().__init__()
        self.fc1 = linear(dim, hidden, bias=bias)
        self.fc2 = linear(hidden, dim, bias=bias)
        self.fc3 = linear(dim, hidden, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Per token."""
        return self.fc2(F.silu(self.fc1(x)) * self.fc3(x))


class EncoderBlock(nn.Module):
    """`x += attn(norm1 x); x += mlp(norm2 x)`."""

    def __init__(self, size: Size, family: str, *, qk_norm: bool, drop_path: float, norm_eps: float = 1e-6) -> None:
        super().__init__()
        norm, attention, mlp = _parts(size, family, qk_norm, norm_eps)
        self.norm1 = norm()
        self.attn = attention(SelfAttention)
        self.norm2 = norm()
        self.mlp = mlp()
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BND: Tensor, mask: Tensor | None = None) -> Tensor:
        """Same shape; `mask` is that of `SelfAttention`."""
        x_BND = x_BND + self.drop_path(self.attn(self.norm1(x_BND), mask))
        return x_BND + self.drop_path(self.mlp(self.norm2(x_BND)))


class DecoderBlock(nn.Module):
    """`x += self_attn(norm1 x); x += cross_attn(query_norm x, context_norm context); x += mlp(norm2 x)`."""

    def __init__(self, size: Size, family: str, *, qk_norm: bool, drop_path: float, norm_eps: float = 1e-6) -> None:
        super().__init__()
        norm, attention, mlp = _parts(size, family, qk_norm, norm_eps)
        self.norm1 = norm()
        self.self_attn = attention(SelfAttention)
        self.query_norm = norm()
        self.context_norm = norm()
        self.cross_attn = attention(CrossAttention)
        self.norm2 = norm()
        self.mlp = mlp()
        self.drop_path = DropPath(drop_path)

    def forward(
        self, x_BND: Tensor, context_BLD: Tensor, mask: Tensor | None, context_mask: Tensor | None = None
    ) -> Tensor:
        """Same shape as `x_BND`; `mask` is for the self-attention, `context_mask` for that to the context."""
        x_BND = x_BND + self.drop_path(self.self_attn(self.norm1(x_BND), mask))
        context_BLD = self.context_norm(context_BLD)
        x_BND = x_BND + self.drop_path(self.cross_attn(self.query_norm(x_BND), context_BLD, context_mask))
        return x_BND + self.drop_path(self.mlp(self.norm2(x_BND)))


def linear(width_in: int, width_out: int, *, bias: bool, parts: int = 1) -> nn.Linear:
    """A Linear with xavier-uniform weights; a fused one (q, k, v) as the `parts` separate ones that it stands for."""
    layer = nn.Linear(width_in, width_out, bias=bias)
    limit = math.sqrt(6.0 / (width_out // parts + width_in))
    nn.init.uniform_(layer.weight, -limit, limit)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def drop_path_rates(last: float, depth: int) -> list[float]:
    """From 0 at the first block, linearly, to `last` at the last one."""
    return [last * i / max(depth - 1, 1) for i in range(depth)]


def _parts(
    size: Size, family: str, qk_norm: bool, norm_eps: float
) -> tuple[Callable[[], LayerNorm], Callable[[type], nn.Module], Callable[[], nn.Module]]:
    bias = has_bias(family)
    hidden = size.hidden(family)
    return (
        lambda: LayerNorm(size.dim, bias=bias, eps=norm_eps),
        lambda kind: kind(size.dim, size.heads, bias=bias, qk_norm=qk_norm),
        lambda: GatedMlp(size.dim, hidden, bias=bias) if is_gated(family) else Mlp(size.dim, hidden, family),
    )
