"""The modality table: what the model can see and what it can predict, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tst.errors import UserError

Kind = Literal["pixels", "tokens", "global_tokens", "sequence", "sequence_embedding"]
IMAGE_KINDS: tuple[str, ...] = ("pixels", "tokens", "global_tokens")


@dataclass(frozen=True)
class ModalitySpec:
    """One row of the table.

    `name` is the name in the state dict, as in 4M: `tok_depth@128` is the tokens of depth at 128 pixels.
    """

    name: str
    kind: Kind
    vocab: int = 0  # number of ids; 0 for pixels and sequence_embedding
    grid: tuple[int, int] = (0, 0)  # tokens in height, in width; unused by sequences
    patch: int = 16  # pixels along the side of a token
    channels: int = 3  # of one pixel; for sequence_embedding the width of one vector
    max_length: int = 0  # tokens of a sequence
    input: bool = True
    target: bool = True

    def __post_init__(self) -> None:
        where = f"modality {self.name!r}"
        if not self.name or "." in self.name:
            raise UserError(f"{where}: a name must not be empty nor contain a dot. Rename it.")
        if self.kind not in get_args(Kind):
            raise UserError(f"{where}: kind {self.kind!r} is unknown. Choose one of: {', '.join(get_args(Kind))}.")
        if self.kind in ("pixels", "sequence_embedding") and self.target:
            raise UserError(f"{where}: {self.kind} can be an input only. Set target=False.")
        if not (self.input or self.target):
            raise UserError(f"{where}: neither input nor target. Set one of them, or leave it out of the table.")
        if self.kind in ("tokens", "global_tokens", "sequence") and self.vocab < 1:
            raise UserError(f"{where}: vocab is {self.vocab}. Give the number of token ids.")
        if self.num_tokens < 1:
            raise UserError(f"{where}: no tokens. Give a grid (image) or a max_length (sequence).")

    @property
    def num_tokens(self) -> int:
        """Length of its slice of the token axis."""
        return self.grid[0] * self.grid[1] if self.kind in IMAGE_KINDS else self.max_length

    @property
    def stem(self) -> str:
        """The name without the resolution: `tok_depth` of `tok_depth@128`."""
        return self.name.split("@")[0]

    @property
    def content(self) -> str:
        """What it shows, and at what resolution: `rgb@128` and `tok_rgb@128` both show `rgb@128`."""
        return self.name.removeprefix("tok_")


def check_table(modalities: Iterable[ModalitySpec]) -> list[ModalitySpec]:
    """The table as a list; names must differ.

    Raises:
        UserError: a name occurs twice, or nothing can be an input.
    """
    table = list(modalities)
    names = [spec.name for spec in table]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"modality table: {', '.join(twice)} occurs more than once. Keep one of each.")
    if not any(spec.input for spec in table):
        raise UserError("modality table: no modality is an input. Set input=True for at least one.")
    return table


def input_slices(modalities: Sequence[ModalitySpec]) -> dict[str, slice]:
    """Where each input modality lies on the token axis that an input index counts along."""
    return _slices([spec for spec in modalities if spec.input])


def target_slices(modalities: Sequence[ModalitySpec]) -> dict[str, slice]:
    """Where each target modality lies on the token axis that a target index counts along."""
    return _slices([spec for spec in modalities if spec.target])


def _slices(specs: Sequence[ModalitySpec]) -> dict[str, slice]:
    result, start = {}, 0
    for spec in specs:
        result[spec.name] = slice(start, start + spec.num_tokens)
        start += spec.num_tokens
    return result


def _image(name: str, vocab: int, side: int = 14, patch: int = 16) -> ModalitySpec:
    return ModalitySpec(name, "tokens", vocab=vocab, grid=(side, side), patch=patch)


def _global(name: str) -> ModalitySpec:
    return ModalitySpec(name, "global_tokens", vocab=8192, grid=(4, 4), patch=56)


def _text(name: str, max_length: int) -> ModalitySpec:
    return ModalitySpec(name, "sequence", vocab=30_000, max_length=max_length)


FOURM_21: tuple[ModalitySpec, ...] = (
    ModalitySpec("rgb@224", "pixels", grid=(14, 14), target=False),
    _image("tok_rgb@224", 16_384),
    _image("tok_depth@224", 8192),
    _image("tok_normal@224", 8192),
    _image("tok_semseg@224", 4096),
    _image("tok_clip@224", 8192),
    _image("tok_dinov2@224", 8192, side=16, patch=14),
    _image("tok_imagebind@224", 8192, side=16, patch=14),
    _global("tok_dinov2_global"),
    _global("tok_imagebind_global"),
    _image("tok_canny_edge@224", 8192),
    _image("tok_sam_edge@224", 8192),
    _text("caption", 256),
    _text("det", 256),
    ModalitySpec("t5_caption", "sequence_embedding", channels=4096, max_length=77, target=False),
    _text("metadata", 40),
    _text("human_poses", 263),
    _text("color_palette", 23),
    _text("sam_instance", 290),
)
"""4M-21's table, in its order."""
