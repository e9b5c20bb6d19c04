"""How wide and how deep, and of which kind: 4M's sizes and one smaller; any other ViT's has its own `Size`."""

from dataclasses import dataclass
from typing import Literal, get_args

from tst.errors import UserError

# The MLP, and whether linears and norms have biases: 4M's two families, and those of other ViTs, all with biases (CLIP:
# quick_gelu; SigLIP: gelu_tanh; the largest DINOv2: swiglu).
Family = Literal["swiglu_nobias", "gelu", "quick_gelu", "gelu_tanh", "swiglu"]
FAMILIES: tuple[str, ...] = get_args(Family)


def has_bias(family: str) -> bool:
    """Whether linears and norms of a family have biases."""
    return family != "swiglu_nobias"


def is_gated(family: str) -> bool:
    """Whether a third matrix gates the MLP of a family."""
    return family in ("swiglu_nobias", "swiglu")


@dataclass(frozen=True)
class Size:
    """Width, heads (4M: 64 channels each) and depth."""

    name: str
    dim: int
    heads: int
    encoder_depth: int
    decoder_depth: int
    mlp_hidden: int = 0  # width inside the MLP where it is not 4M's

    def hidden(self, family: str) -> int:
        """Width inside the MLP: 4 D, or int(2 * 4 D / 3) where a third matrix gates it (1365 and such are meant)."""
        return self.mlp_hidden or (int(2 * 4 * self.dim / 3) if is_gated(family) else 4 * self.dim)


SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("nano", 192, 3, 6, 6),  # ours: trains on a laptop
        Size("tiny", 384, 6, 6, 6),
        Size("small", 512, 8, 8, 8),
        Size("base", 768, 12, 12, 12),
        Size("large", 1024, 16, 24, 24),
        Size("xlarge", 2048, 32, 24, 24),
    )
}


def get_size(size: str | Size) -> Size:
    """The size of that name.

    Raises:
        UserError: there is none.
    """
    if isinstance(size, Size):
        return size
    if size not in SIZES:
        raise UserError(f"size {size!r} is unknown. Choose one of: {', '.join(SIZES)}.")
    return SIZES[size]
