"""How wide and how deep: 4M's sizes and one smaller."""

from dataclasses import dataclass
from typing import Literal, get_args

from tst.errors import UserError

Family = Literal["swiglu_nobias", "gelu"]
FAMILIES: tuple[str, ...] = get_args(Family)


@dataclass(frozen=True)
class Size:
    """Width, heads (64 channels each) and depth."""

    name: str
    dim: int
    heads: int
    encoder_depth: int
    decoder_depth: int

    def hidden(self, family: str) -> int:
        """Width inside the MLP: 4 D, or int(2 * 4 D / 3) where a third matrix gates it (1365 and such are meant)."""
        return int(2 * 4 * self.dim / 3) if family == "swiglu_nobias" else 4 * self.dim


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
