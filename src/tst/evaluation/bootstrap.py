"""Bootstrap intervals of mIoU over the evaluated frames.

R resamples, M models, S seeds of a model, F frames, C classes; scores in percent points.

Every resample draws frames with replacement, the same ones for every model and seed; a model's score in it is the mean
of its seeds' mIoU. Which classes count is fixed by the full set; one of them that a resample happens to hold no pixel
of has no IoU there, and is left out of that resample's mean, for all models alike.

A walk's frames resemble their neighbours, so intervals over single frames are somewhat too narrow: `frame_blocks`
groups consecutive frames that are then drawn together. The intervals speak of the frames, not of training: the spread
over seeds is reported beside them.
"""

from collections.abc import Sequence

import numpy as np

from tst.evaluation.metrics import counts, iou_of_counts

RESAMPLES = 2000
BLOCK = 10  # frames; about one glance of a walk at two frames a second
_BUDGET = 4_000_000  # draws held in memory at once


def frame_blocks(ids: Sequence[str], parts: Sequence[str | None], length: int) -> np.ndarray:
    """Group consecutive frames: (F,) int64 block numbers from 0, blocks of `length` frames.

    A block ends early where the part or the walk (what stands before the last `/` of the id) changes.
    """
    assert length >= 1
    blocks = np.zeros(len(ids), np.int64)
    block, filled, before = -1, 0, None
    for i, (frame, part) in enumerate(zip(ids, parts, strict=True)):
        here = (frame.rpartition("/")[0], part)
        if filled in (0, length) or here != before:
            block, filled = block + 1, 0
        blocks[i] = block
        filled, before = filled + 1, here
    return blocks


def resampled_miou(
    models: Sequence[np.ndarray], *, blocks: np.ndarray | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Score every model on the same resampled frames.

    Args:
        models: for each model its confusions (S, F, C, C) or (F, C, C); S may differ.
        blocks: (F,) block of each frame (see `frame_blocks`); without it each frame is drawn by itself.
        resamples: R.
        seed: of the draws.

    Returns:
        (R, M) float64 mIoU, the mean over each model's seeds.
    """
    tables = []  # for each model (units, S * 3 * C) float64
    for matrices in models:
        table = counts(matrices[None] if matrices.ndim == 3 else matrices)  # (S, F, 3, C)
        seeds, frames, _, classes = table.shape
        flat = table.transpose(1, 0, 2, 3).reshape(frames, -1).astype(np.float64)
        if blocks is not None:
            summed = np.zeros((int(blocks.max()) + 1, flat.shape[1]))
            np.add.at(summed, blocks, flat)
            flat = summed
        tables.append((flat, seeds, classes))
    units = len(tables[0][0])
    assert units > 0 and all(len(table) == units for table, _, _ in tables), "models were scored on different frames"
    random = np.random.default_rng(seed)
    scores = np.empty((resamples, len(tables)))
    step = max(1, _BUDGET // units)
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        draws = random.multinomial(units, np.full(units, 1 / units), size=some).astype(np.float64)
        for m, (table, seeds, classes) in enumerate(tables):
            iou = iou_of_counts((draws @ table).reshape(len(draws), seeds, 3, classes))
            defined = ~np.isnan(iou)
            means = np.nansum(iou, -1) / np.maximum(defined.sum(-1), 1)  # (draws, S)
            scores[start : start + len(draws), m] = means.mean(-1)
    return scores


def interval(samples: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples (R,)."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float:
    """Two-sided bootstrap p-value of "no difference" from resampled differences (R,); at least 1 / (R + 1)."""
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(differences) + 1)))


def miou_interval(
    matrices: np.ndarray, *, blocks: np.ndarray | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of one model's mIoU; `matrices` (S, F, C, C) or (F, C, C)."""
    return interval(resampled_miou([matrices], blocks=blocks, resamples=resamples, seed=seed)[:, 0])


def difference_interval(
    a: np.ndarray, b: np.ndarray, *, blocks: np.ndarray | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of mIoU(a) - mIoU(b), paired: both are scored on the same resampled frames."""
    scores = resampled_miou([a, b], blocks=blocks, resamples=resamples, seed=seed)
    return interval(scores[:, 0] - scores[:, 1])
