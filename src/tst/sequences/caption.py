"""`caption`: sentences about a frame, from `annotations/captions.json` in COCO's layout."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch

from tst.files import digest
from tst.sequences.annotations import CaptionFile, frame_rows, read_annotations, walk_starts
from tst.sequences.base import SequenceModality, SequenceTokens
from tst.sequences.text import EOS, PAD, TextTokenizer
from tst.space.space import Space

if TYPE_CHECKING:
    from tst.tokenizers.views import Views

_SIDES = re.compile(r"\b(left|right|leftmost|rightmost|clockwise|anticlockwise|counterclockwise)\b", re.IGNORECASE)


def names_a_side(text: str) -> bool:
    """Whether a sentence may be wrong of the mirrored image."""
    return _SIDES.search(text) is not None


class Caption(SequenceModality):
    """Sentences about a frame.

    Crops do not change a sentence (4M's choice: it may speak of what is cut off). A sentence that names a side is not
    used where the view is mirrored, rather than having its words exchanged: "the lamp right next to the bed" speaks of
    no side, and would become wrong. A mirrored view of a frame all of whose sentences name a side has none.
    """

    name: ClassVar[str] = "caption"
    annotation: ClassVar[str] = "captions"

    def _of_frames(self, space: Space) -> list[list[str]]:
        """The sentences of each frame, in the order of `Space.frames`."""
        told: list[list[str]] = [[] for _ in range(len(space))]
        walks = list(space.walks.values())
        for walk, start in zip(walks, walk_starts(walks), strict=True):
            path = self.file(walk)
            contents = read_annotations(path, CaptionFile)
            rows = frame_rows(path, contents.images, walk)
            for item in contents.annotations:
                if item.image_id in rows and item.caption.strip():
                    told[start + rows[item.image_id]].append(item.caption)
        return told

    def texts(self, space: Space) -> list[str]:
        """All sentences."""
        return [text for texts in self._of_frames(space) for text in texts]

    def tokens(self, space: Space, views: "Views", tokenizer: TextTokenizer) -> SequenceTokens:
        """Each sentence as one row, shared by the views of its frame."""
        told = self._of_frames(space)
        texts = list(dict.fromkeys(text for texts in told for text in texts))
        row = {text: number for number, text in enumerate(texts, 1)}
        encoded = [[*ids, EOS][: self.max_length] for ids in tokenizer.encode(texts)]
        longest = max((len(ids) for ids in encoded), default=1)
        ids_RL = torch.tensor([[PAD] * longest, *(ids + [PAD] * (longest - len(ids)) for ids in encoded)])
        most = max((len(texts) for texts in told), default=1) or 1

        def rows(allowed: Sequence[Sequence[str]]) -> tuple[torch.Tensor, torch.Tensor]:
            table = [[row[text] for text in texts] + [0] * (most - len(texts)) for texts in allowed]
            counts = [len(texts) for texts in allowed]
            return torch.tensor(table, dtype=torch.int32), torch.tensor(counts, dtype=torch.int32)

        plain_NK, plain_N = rows(told)
        mirrored_NK, mirrored_N = rows([[text for text in texts if not names_a_side(text)] for texts in told])
        flip_NV = views.flip_NV
        return SequenceTokens(
            ids_RL.to(torch.int32),
            torch.where(flip_NV[:, :, None], mirrored_NK[:, None], plain_NK[:, None]),
            torch.where(flip_NV, mirrored_N[:, None], plain_N[:, None]),
            digest(self.source_key(space), views.key, tokenizer.key),
        )

    def score(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """`words`: F1 of the words, of the sentence that fits best; mean over frames."""
        best = [
            max(_word_f1(guess, text) for text in texts)
            for guess, texts in zip(predicted, references, strict=True)
            if texts
        ]
        return {"words": sum(best) / len(best) if best else 0.0}


def _word_f1(guess: str, text: str) -> float:
    one, other = (Counter(re.findall(r"\w+", value.lower())) for value in (guess, text))
    shared = (one & other).total()
    return 2 * shared / max(one.total() + other.total(), 1)
