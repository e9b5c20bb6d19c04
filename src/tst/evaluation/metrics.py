"""Segmentation scores from per-frame confusion matrices.

F frames, C classes, H height, W width. Scores are percent points in [0, 100]; a score that is undefined is nan.
mIoU is the mean, over the classes present in the truth of the evaluated set, of the IoU over all its pixels together.
"""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tst.errors import UserError
from tst.files import atomic_path


def confusion(prediction_HW: np.ndarray, truth_HW: np.ndarray, classes: int, ignore: int = 255) -> np.ndarray:
    """Count pixels by class: (C, C) int64, row = truth, column = prediction; the truth's `ignore` pixels are left out.

    Args:
        prediction_HW: integer class of each pixel, in [0, classes) wherever the truth is not `ignore`.
        truth_HW: integer class of each pixel, in [0, classes) or `ignore`.
        classes: C.
        ignore: the label of pixels that do not count.

    Raises:
        UserError: the shapes differ, or a label lies outside the classes.
    """
    if prediction_HW.shape != truth_HW.shape:
        raise UserError(
            f"prediction {prediction_HW.shape} and truth {truth_HW.shape} differ in size. Resize the prediction first."
        )
    kept = truth_HW != ignore
    truth = truth_HW[kept].astype(np.int64)
    prediction = prediction_HW[kept].astype(np.int64)
    for what, labels in (("truth", truth), ("prediction", prediction)):
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            wrong = labels.max() if labels.max() >= classes else labels.min()
            raise UserError(
                f"{what}: label {wrong} is outside the {classes} classes (ignore is {ignore}). Check the class list."
            )
    return np.bincount(truth * classes + prediction, minlength=classes * classes).reshape(classes, classes)


def counts(matrices: np.ndarray) -> np.ndarray:
    """All that IoU needs: (..., C, C) confusion -> (..., 3, C) pixels right, of the truth, and predicted."""
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    return np.stack([right, matrices.sum(-1), matrices.sum(-2)], axis=-2)


def iou_of_counts(counts_3C: np.ndarray) -> np.ndarray:
    """IoU in percent: (..., 3, C) -> (..., C) float64, nan for classes without truth."""
    right, truth, predicted = (counts_3C[..., i, :].astype(np.float64) for i in range(3))
    iou = np.full(right.shape, np.nan)
    np.divide(100 * right, truth + predicted - right, out=iou, where=truth > 0)
    return iou


@dataclass(frozen=True)
class Summary:
    """Scores of a set of frames, in percent points; arrays are (C,), nan for classes absent from the truth."""

    miou: float
    pixel_accuracy: float
    mean_class_accuracy: float
    iou: np.ndarray
    class_accuracy: np.ndarray
    share: np.ndarray  # of the labelled pixels that are of this class; 0 where absent
    present: np.ndarray  # bool


def summarise(matrices: np.ndarray) -> Summary:
    """Score (C, C) or (..., C, C) confusions taken together (summed over the leading axes)."""
    total = matrices.reshape(-1, *matrices.shape[-2:]).sum(0)
    right, truth, _ = counts(total).astype(np.float64)
    iou = iou_of_counts(counts(total))
    present = truth > 0
    accuracy = np.full(len(truth), np.nan)
    np.divide(100 * right, truth, out=accuracy, where=present)
    pixels = truth.sum()
    return Summary(
        miou=float(iou[present].mean()) if pixels else float("nan"),
        pixel_accuracy=float(100 * right.sum() / pixels) if pixels else float("nan"),
        mean_class_accuracy=float(accuracy[present].mean()) if pixels else float("nan"),
        iou=iou,
        class_accuracy=accuracy,
        share=100 * truth / max(pixels, 1),
        present=present,
    )


@dataclass
class FrameConfusions:
    """One model's confusions on every evaluated frame: the record from which all scores are made.

    Frames stand in the order of the walk, so that neighbours are consecutive. Ids are best `walk/frame`.
    """

    matrices: np.ndarray  # (F, C, C) int64
    ids: list[str]  # (F,)
    parts: list[str | None]  # (F,) a floor, a room
    class_names: list[str]  # (C,)

    def __post_init__(self) -> None:
        frames, classes = len(self.ids), len(self.class_names)
        self.matrices = np.asarray(self.matrices, np.int64).reshape(-1, classes, classes)
        assert len(self.matrices) == frames == len(self.parts), "one confusion, id and part for each frame"
        assert not (self.matrices < 0).any()

    @classmethod
    def from_masks(
        cls,
        frames: Iterable[tuple[str, str | None, np.ndarray, np.ndarray]],
        class_names: Sequence[str],
        ignore: int = 255,
    ) -> "FrameConfusions":
        """Count an iterable of (id, part, prediction_HW, truth_HW).

        Raises:
            UserError: as `confusion` does; names the frame.
        """
        matrices, ids, parts = [], [], []
        for frame, part, prediction_HW, truth_HW in frames:
            try:
                matrices.append(confusion(prediction_HW, truth_HW, len(class_names), ignore))
            except UserError as error:
                raise UserError(f"frame {frame}: {error}") from None
            ids.append(frame)
            parts.append(part)
        return cls(np.array(matrices, np.int64), ids, parts, list(class_names))

    def save(self, path: Path) -> None:
        """Write an .npz atomically (plain arrays, no pickle)."""
        assert path.suffix == ".npz"
        with atomic_path(path) as temporary:
            np.savez_compressed(
                temporary,
                matrices=self.matrices,
                ids=np.array(self.ids, dtype=np.str_),
                parts=np.array([part or "" for part in self.parts], dtype=np.str_),
                class_names=np.array(self.class_names, dtype=np.str_),
            )

    @classmethod
    def load(cls, path: Path) -> "FrameConfusions":
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
                ids, parts, names = (file[key].tolist() for key in ("ids", "parts", "class_names"))
                return cls(file["matrices"], ids, [part or None for part in parts], names)
        except FileNotFoundError:
            raise UserError(f"{path}: not found. Evaluate the model first.") from None
        except (OSError, ValueError, KeyError, EOFError, AssertionError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a file of confusions ({error}). Delete it and evaluate again.") from None
