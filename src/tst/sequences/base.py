"""What a sequence modality can do: find its strings in a Space, turn them into token ids for views, score guesses.

Shape letters: B batch, N frames, V views of a frame, K strings to choose from, R different strings, L tokens.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from tst.files import digest
from tst.sequences.text import PAD, TextTokenizer
from tst.space.space import Space, Walk

if TYPE_CHECKING:
    from tst.tokenizers.views import Views


@dataclass(frozen=True)
class SequenceTokens:
    """Token ids for every view of every frame, in memory.

    Attributes:
        ids_RL: int32, the different strings: ids, [EOS], then [PAD]. Row 0 is the empty one, all [PAD].
        choice_NVK: int32, rows that fit the view; the first `count_NV` of K count.
        count_NV: int32; 0 where a frame has no string in this view.
        key: content hash of the annotations, the views and the text tokenizer.
    """

    ids_RL: Tensor  # noqa: N815
    choice_NVK: Tensor  # noqa: N815
    count_NV: Tensor  # noqa: N815
    key: str

    def draw(self, frames_B: Tensor, views_B: Tensor, generator: torch.Generator | None) -> Tensor:
        """One string of each given view, (B, L) int64: a random one, or without a generator the first."""
        count_B = self.count_NV[frames_B, views_B]
        share_B = torch.zeros(len(count_B)) if generator is None else torch.rand(len(count_B), generator=generator)
        pick_B = torch.minimum((share_B * count_B).long(), (count_B - 1).clamp(min=0))
        row_B = torch.where(count_B > 0, self.choice_NVK[frames_B, views_B, pick_B], 0)
        return self.ids_RL[row_B].long()

    def all(self, frame: int, view: int) -> list[list[int]]:
        """Every string of one view, as ids without padding."""
        rows = self.choice_NVK[frame, view, : int(self.count_NV[frame, view])]
        return [[token for token in self.ids_RL[row].tolist() if token != PAD] for row in rows]


class SequenceModality(ABC):
    """One kind of text about a frame. An instance holds no state.

    Attributes:
        name: 4M's name, and the key in the registry.
        annotation: the strings come from `annotations/<annotation>.json` of each walk.
        max_length: tokens at most, [EOS] included; of a masked one, tokens at most in input and predictions at most.
    """

    name: ClassVar[str]
    annotation: ClassVar[str]
    max_length: ClassVar[int] = 256

    def file(self, walk: Walk) -> Path:
        """Where a walk's annotations are, or would be."""
        return walk.path / "annotations" / f"{self.annotation}.json"

    def is_in(self, space: Space) -> bool:
        """Whether all walks have the annotations."""
        return bool(space.walks) and all(self.file(walk).is_file() for walk in space.walks.values())

    def source_key(self, space: Space) -> str:
        """Content hash of the annotations."""
        return digest([hashlib.sha256(self.file(walk).read_bytes()).hexdigest() for walk in space.walks.values()])

    @abstractmethod
    def texts(self, space: Space) -> list[str]:
        """Strings that the text tokenizer learns its words from."""

    def class_names(self, space: Space) -> list[str]:
        """Names that get a token each, in the order of the annotations."""
        return []

    @abstractmethod
    def tokens(self, space: Space, views: "Views", tokenizer: TextTokenizer) -> SequenceTokens:
        """The strings of all views of all frames (in the order of `Space.frames`) as ids.

        Raises:
            UserError: the annotations are damaged, or of other frames.
        """

    @abstractmethod
    def score(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """How well strings fit those that frames really have, 0 to 1 each; frames without references do not count."""
