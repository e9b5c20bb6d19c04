"""`det`: the boxes of a frame as text, from `annotations/boxes.json` in COCO's layout (houses, detectors).

Shape letters: N frames, V views of a frame, M boxes, Q boxes in views, L tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from tst.files import digest
from tst.sequences.annotations import BoxFile, read_annotations, read_boxes, walk_starts
from tst.sequences.base import SequenceModality, SequenceTokens
from tst.sequences.boxes import into_view, matches, parse, quantise
from tst.sequences.text import BINS, EOS, FIRST_COORDINATE, PAD, TextTokenizer
from tst.space.space import Space

if TYPE_CHECKING:
    from tst.tokenizers.views import Views

FRAMES_AT_ONCE = 1000


@dataclass(frozen=True)
class _Boxes:
    """All boxes of a Space: frame (M,), corners (M, 4) as fractions of the frame, class (M,); sorted by frame."""

    frame_M: np.ndarray  # noqa: N815
    box_M4: np.ndarray  # noqa: N815
    class_M: np.ndarray  # noqa: N815
    classes: list[str]


class Det(SequenceModality):
    """Boxes of a frame above a score; of what people or renderers annotated, all."""

    name: ClassVar[str] = "det"
    annotation: ClassVar[str] = "boxes"

    def class_names(self, space: Space) -> list[str]:
        """Of all walks, in the order of their categories."""
        names: dict[str, None] = {}
        for walk in space.walks.values():
            names |= dict.fromkeys(item.name for item in read_annotations(self.file(walk), BoxFile).categories)
        return list(names)

    def texts(self, space: Space) -> list[str]:
        """The class names: coordinates have their tokens anyway."""
        return self.class_names(space)

    def _boxes(self, space: Space) -> _Boxes:
        classes = {name: number for number, name in enumerate(self.class_names(space))}
        frame, corners, kinds = [], [], []
        walks = list(space.walks.values())
        for walk, start in zip(walks, walk_starts(walks), strict=True):
            for box in read_boxes(self.file(walk), walk):
                frame.append(start + box.row)
                corners.append(box.corners)
                kinds.append(classes[box.name])
        order = np.argsort(np.array(frame, np.int64), kind="stable")
        return _Boxes(
            np.array(frame, np.int64)[order],
            np.array(corners, np.float64).reshape(-1, 4)[order],
            np.array(kinds, np.int64)[order],
            list(classes),
        )

    def tokens(self, space: Space, views: "Views", tokenizer: TextTokenizer) -> SequenceTokens:
        """One row a view. A frame without boxes has a row, too: [EOS] alone says that there is nothing to be seen."""
        boxes = self._boxes(space)
        frames, per_frame = views.flip_NV.shape
        pieces = tokenizer.encode(boxes.classes)
        widest = max((len(ids) for ids in pieces), default=0)
        piece_CP = np.array([ids + [PAD] * (widest - len(ids)) for ids in pieces]).reshape(len(pieces), widest)
        parts = []
        for start in range(0, frames, FRAMES_AT_ONCE):
            stop = min(start + FRAMES_AT_ONCE, frames)
            chosen = slice(*np.searchsorted(boxes.frame_M, [start, stop]))
            parts.append(
                _rows(
                    boxes.frame_M[chosen] - start,
                    boxes.box_M4[chosen],
                    piece_CP[boxes.class_M[chosen]],
                    views.boxes_NV4[start:stop].numpy().astype(np.float64),
                    views.flip_NV[start:stop].numpy(),
                    self.max_length,
                )
            )
        longest = max(part.shape[1] for part in parts)
        ids = [np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=PAD) for part in parts]
        ids_RL = np.concatenate([np.full((1, longest), PAD, np.int32), *ids])
        return SequenceTokens(
            torch.from_numpy(ids_RL),
            torch.arange(1, frames * per_frame + 1, dtype=torch.int32).view(frames, per_frame, 1),
            torch.ones(frames, per_frame, dtype=torch.int32),
            digest(self.source_key(space), views.key, tokenizer.key),
        )

    def score(self, predicted: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """`recall` and `precision` of boxes at an IoU of 0.5 with the right class, over all frames together."""
        found = asked = given = 0
        for guess, texts in zip(predicted, references, strict=True):
            if texts:
                guessed, real = parse(guess), parse(texts[0])
                found += matches(guessed, real)
                asked, given = asked + len(real), given + len(guessed)
        return {"recall": found / max(asked, 1), "precision": found / max(given, 1)}


def _rows(
    frame_M: np.ndarray,
    box_M4: np.ndarray,
    piece_MP: np.ndarray,
    view_NV4: np.ndarray,
    flip_NV: np.ndarray,
    max_length: int,
) -> np.ndarray:
    """Ids (N * V, L) int32 of all views of some frames; boxes that do not fit in `max_length` are left out, the rest
    ends with [EOS]."""
    frames, per_frame = flip_NV.shape
    row_Q = (frame_M[:, None] * per_frame + np.arange(per_frame)).ravel()
    source_Q = np.repeat(np.arange(len(frame_M)), per_frame)
    corners_Q4, kept_Q = into_view(box_M4[source_Q], view_NV4.reshape(-1, 4)[row_Q], flip_NV.ravel()[row_Q])
    distance_Q = (corners_Q4[:, :2] ** 2).sum(1)
    order = np.lexsort((distance_Q, row_Q))
    order = order[kept_Q[order]]
    row_Q, source_Q, corners_Q4 = row_Q[order], source_Q[order], corners_Q4[order]
    coordinate_Q4 = quantise(corners_Q4) + FIRST_COORDINATE + BINS * np.arange(4)
    token_QT = np.concatenate([coordinate_Q4, piece_MP[source_Q]], 1)
    there_QT = token_QT != PAD
    length_Q = there_QT.sum(1)
    end_Q = length_Q.cumsum()
    first_Q = np.searchsorted(row_Q, row_Q)  # the first box of the same row
    start_Q = end_Q - length_Q - (end_Q - length_Q)[first_Q] if len(row_Q) else end_Q
    fits_Q = start_Q + length_Q < max_length
    total_R = np.zeros(frames * per_frame, np.int64)
    np.maximum.at(total_R, row_Q[fits_Q], (start_Q + length_Q)[fits_Q])
    ids = np.full((len(total_R), int(total_R.max(initial=0)) + 1), PAD, np.int32)
    place_QT = start_Q[:, None] + there_QT.cumsum(1) - 1
    chosen = there_QT & fits_Q[:, None]
    ids[np.broadcast_to(row_Q[:, None], chosen.shape)[chosen], place_QT[chosen]] = token_QT[chosen]
    ids[np.arange(len(total_R)), total_R] = EOS
    return ids
