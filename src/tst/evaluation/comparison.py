"""Models side by side on one evaluation space, with intervals, and the verdict in words.

All scores are percent points in [0, 100]; a score that does not exist is None (null in JSON).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.special import stdtrit

from tst.errors import UserError
from tst.evaluation.bootstrap import BLOCK, RESAMPLES, frame_blocks, interval, p_value, resampled_miou
from tst.evaluation.metrics import FrameConfusions, summarise
from tst.files import read_json, write_json

Interval = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PartScore(_Record):
    """mIoU on one part of the space, over the classes present there."""

    miou: float
    ci95: Interval
    frames: int


class Row(_Record):
    """One model. Names as in the paper: `scratch`, `multimodal scratch`, `TST-MAE`, `TST-MM`."""

    name: str
    miou: float  # mean over seeds
    ci95: Interval  # over single frames
    ci95_blocks: Interval  # over blocks of consecutive frames
    seeds: list[float]  # mIoU of each seed
    seed_sd: float | None  # sample standard deviation; None for one seed
    pixel_accuracy: float
    class_accuracy: float  # mean over the classes present
    per_class: dict[str, float | None]  # IoU, mean over seeds
    per_part: dict[str, PartScore]
    confusion: list[list[int]]  # (C, C) pixels, row = truth, summed over seeds
    transfer_val_miou: float | None = None  # on the validation part of the transfer set
    extra: dict[str, float | int | str | None] = {}  # pretrain_samples, pretrain_seconds, transfer_seconds, parameters


class Difference(_Record):
    """mIoU of `a` minus that of `b`, paired on the same frames."""

    a: str
    b: str
    difference: float
    ci95: Interval  # over single frames
    ci95_blocks: Interval  # over blocks of consecutive frames
    ci95_seeds: Interval | None  # over training runs (Welch's t); None unless both have two seeds or more
    p_value: float  # two-sided, over single frames, not corrected for several pairs
    per_part: dict[str, Interval] = {}  # 95 % interval over single frames of each part


class ClassShare(_Record):
    """How much of the labelled pixels a class holds, in percent."""

    name: str
    share: float
    present: bool


class Comparison(_Record):
    """All rows, and the difference of every pair (the later row minus the earlier one)."""

    schema_version: Literal[1] = 1
    space: str
    frames: int
    labelled_pixels: int
    parts: dict[str, int]  # frames of each part
    classes: list[ClassShare]
    rows: list[Row]
    differences: list[Difference]
    resamples: int
    block: int  # frames in a block
    bootstrap_seed: int

    @property
    def best(self) -> Row:
        """The row with the highest mIoU."""
        return max(self.rows, key=lambda row: row.miou)

    @property
    def baseline(self) -> Row:
        """`scratch`, or else the first row."""
        return next((row for row in self.rows if row.name == "scratch"), self.rows[0])

    @property
    def subject(self) -> Row:
        """The model that the report is about: `TST-MM`, or else the last row. Not chosen by its score."""
        return next((row for row in self.rows if row.name == "TST-MM"), self.rows[-1])

    def difference(self, a: str, b: str) -> Difference:
        """The difference a - b, whichever way round it is stored. KeyError if there is none."""
        for found in self.differences:
            if (found.a, found.b) == (a, b):
                return found
            if (found.a, found.b) == (b, a):
                return Difference(
                    a=a,
                    b=b,
                    difference=-found.difference,
                    ci95=_negated(found.ci95),
                    ci95_blocks=_negated(found.ci95_blocks),
                    ci95_seeds=_negated(found.ci95_seeds) if found.ci95_seeds else None,
                    p_value=found.p_value,
                    per_part={part: _negated(ci) for part, ci in found.per_part.items()},
                )
        raise KeyError((a, b))

    def save(self, path: Path) -> Path:
        """Write JSON atomically (`comparison.json` if `path` is a folder); returns the file."""
        path = path / "comparison.json" if path.is_dir() else path
        write_json(path, self.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, path: Path) -> "Comparison":
        """Read what `save` wrote.

        Raises:
            UserError: missing, or not a comparison.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(f"{path}: {where}: {first['msg']}. Evaluate again to make it anew.") from None


def _negated(ci: Interval) -> Interval:
    return -ci[1], -ci[0]


def compare(
    results: Mapping[str, Sequence[FrameConfusions]],
    *,
    space: str,
    transfer_val_miou: Mapping[str, float | None] | None = None,
    extra: Mapping[str, Mapping[str, float | int | str | None]] | None = None,
    resamples: int = RESAMPLES,
    block: int = BLOCK,
    seed: int = 0,
) -> Comparison:
    """Compare models scored on the same frames.

    Args:
        results: for each model name, in the order of the table, the confusions of each seed.
        space: name of the evaluation space.
        transfer_val_miou: percent points, for each model, on the transfer set's validation part.
        extra: facts of compute for each model (`pretrain_samples`, `pretrain_seconds`, `transfer_seconds`,
            `parameters`); a key that ends in `_seconds` is shown as a time.
        resamples: bootstrap resamples.
        block: frames in a block, for the intervals over blocks.
        seed: of the bootstrap.

    Raises:
        UserError: nothing to compare, no labelled pixel, or models scored on different frames, classes or labels.
    """
    names = list(results)
    if not names or not all(results.values()):
        raise UserError("compare: a model has no results. Evaluate every model first.")
    first = results[names[0]][0]
    truth = first.matrices.sum(-1)
    for name in names:
        for result in results[name]:
            both = f"{name} and {names[0]}"
            if result.ids != first.ids or result.parts != first.parts:
                raise UserError(f"{both} were scored on different frames. Evaluate both on the same space.")
            if result.class_names != first.class_names:
                raise UserError(f"{both} have different classes. Evaluate both with the same classes.")
            if (result.matrices.sum(-1) != truth).any():
                raise UserError(f"{both} saw different labels of the same frames. Evaluate both again.")
    if not truth.sum():
        raise UserError(f"{space}: no labelled pixel in {len(first.ids)} frames. Evaluate on a space with labels.")

    stacks = [np.stack([result.matrices for result in results[name]]) for name in names]  # each (S, F, C, C)
    blocks = frame_blocks(first.ids, first.parts, block)
    by_frame = resampled_miou(stacks, resamples=resamples, seed=seed)
    by_block = resampled_miou(stacks, blocks=blocks, resamples=resamples, seed=seed)
    parts = [part for part in dict.fromkeys(first.parts) if part is not None]
    of_part = {part: np.flatnonzero([p == part for p in first.parts]) for part in parts}
    of_part = {part: frames for part, frames in of_part.items() if truth[frames].sum()}
    by_part = {
        part: resampled_miou([stack[:, frames] for stack in stacks], resamples=resamples, seed=seed)
        for part, frames in of_part.items()
    }

    rows = []
    for m, (name, stack) in enumerate(zip(names, stacks, strict=True)):
        summaries = [summarise(matrices) for matrices in stack]
        scores = [summary.miou for summary in summaries]
        iou = np.mean([summary.iou for summary in summaries], 0)
        rows.append(
            Row(
                name=name,
                miou=float(np.mean(scores)),
                ci95=interval(by_frame[:, m]),
                ci95_blocks=interval(by_block[:, m]),
                seeds=scores,
                seed_sd=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                pixel_accuracy=float(np.mean([summary.pixel_accuracy for summary in summaries])),
                class_accuracy=float(np.mean([summary.mean_class_accuracy for summary in summaries])),
                per_class={c: _finite(value) for c, value in zip(first.class_names, iou, strict=True)},
                per_part={
                    part: PartScore(
                        miou=float(np.mean([summarise(matrices[frames]).miou for matrices in stack])),
                        ci95=interval(by_part[part][:, m]),
                        frames=len(frames),
                    )
                    for part, frames in of_part.items()
                },
                confusion=stack.sum((0, 1)).tolist(),
                transfer_val_miou=_finite((transfer_val_miou or {}).get(name)),
                extra={
                    key: _finite(value) if isinstance(value, float) else value
                    for key, value in (extra or {}).get(name, {}).items()
                },
            )
        )
    differences = [
        Difference(
            a=rows[i].name,
            b=rows[j].name,
            difference=rows[i].miou - rows[j].miou,
            ci95=interval(by_frame[:, i] - by_frame[:, j]),
            ci95_blocks=interval(by_block[:, i] - by_block[:, j]),
            ci95_seeds=_welch(rows[i].seeds, rows[j].seeds),
            p_value=p_value(by_frame[:, i] - by_frame[:, j]),
            per_part={part: interval(scores[:, i] - scores[:, j]) for part, scores in by_part.items()},
        )
        for i in range(len(rows))
        for j in range(i)
    ]
    total = summarise(first.matrices)
    return Comparison(
        space=space,
        frames=len(first.ids),
        labelled_pixels=int(truth.sum()),
        parts={part: len(frames) for part, frames in of_part.items()},
        classes=[
            ClassShare(name=name, share=float(share), present=bool(present))
            for name, share, present in zip(first.class_names, total.share, total.present, strict=True)
        ],
        rows=rows,
        differences=differences,
        resamples=resamples,
        block=block,
        bootstrap_seed=seed,
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _welch(a: Sequence[float], b: Sequence[float]) -> Interval | None:
    """95 % interval of mean(a) - mean(b) over training runs; None unless both have two runs or more."""
    if min(len(a), len(b)) < 2:
        return None
    difference = float(np.mean(a) - np.mean(b))
    va, vb = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    if va + vb == 0:
        return difference, difference
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = float(stdtrit(freedom, 0.975) * np.sqrt(va + vb))
    return difference - half, difference + half


def points(value: float, signed: bool = False) -> str:
    """Percent points for people: one decimal, a real minus sign."""
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    if float(text) == 0:
        text = "0.0"
    return text.replace("-", "−")


def _span(ci: Interval) -> str:
    return f"{points(ci[0])} to {points(ci[1])}"


def _shows(ci: Interval | None) -> bool:
    """Whether an interval keeps clear of zero; one that was not measured does not object."""
    return ci is None or ci[0] > 0 or ci[1] < 0


def verdict(comparison: Comparison) -> str:
    """State in one sentence what was found about the subject against the baseline.

    "Beats" needs all intervals (single frames, blocks of frames, training runs where there are several) clear of zero.
    """
    subject, baseline = comparison.subject, comparison.baseline
    where = f"on {comparison.frames} frame{'s' * (comparison.frames != 1)} of {comparison.space}"
    if subject is baseline:
        return (
            f"{subject.name} scores {points(subject.miou)} mIoU (95 % interval {_span(subject.ci95)}) {where}; "
            "nothing was compared with it."
        )
    found = comparison.difference(subject.name, baseline.name)
    better = found.difference > 0
    ci = found.ci95 if better else _negated(found.ci95)
    size = f"by {points(abs(found.difference))} points (95 % interval {_span(ci)}) {where}"
    if not _shows(found.ci95):
        return (
            f"No difference between {subject.name} and {baseline.name} could be shown: "
            f"{points(found.difference, signed=True)} points (95 % interval {_span(found.ci95)}) {where}."
        )
    if _shows(found.ci95_blocks) and _shows(found.ci95_seeds):
        return f"{subject.name} {'beats' if better else 'falls behind'} {baseline.name} {size}."
    return f"{subject.name} is {'ahead of' if better else 'behind'} {baseline.name} {size}, but not beyond doubt."


def caveats(comparison: Comparison) -> list[str]:
    """What a careful reader should know about the verdict, one sentence each."""
    notes = []
    subject, baseline = comparison.subject, comparison.baseline
    for row in comparison.rows:
        if row is subject or row is baseline:
            continue
        found = comparison.difference(subject.name, row.name)
        clear = all(_shows(ci) for ci in (found.ci95, found.ci95_blocks, found.ci95_seeds))
        end = "" if clear else "; a difference is not certain"
        size = f"{points(found.difference, signed=True)} points ({_span(found.ci95)})"
        notes.append(f"{subject.name} against {row.name}: {size}{end}.")
    if subject is not baseline:
        found = comparison.difference(subject.name, baseline.name)
        if _shows(found.ci95) and not _shows(found.ci95_blocks):
            notes.append(
                f"Neighbouring frames of a walk look alike. Drawn in blocks of {comparison.block}, the interval "
                f"against {baseline.name} is {_span(found.ci95_blocks)}, which includes zero."
            )
        if _shows(found.ci95) and not _shows(found.ci95_seeds) and found.ci95_seeds:
            notes.append(
                f"Training again with another seed changes the scores about as much: over the training runs, the "
                f"interval against {baseline.name} is {_span(found.ci95_seeds)}, which includes zero."
            )
    if any(len(row.seeds) == 1 for row in comparison.rows):
        some = "Each model" if all(len(row.seeds) == 1 for row in comparison.rows) else "At least one model"
        notes.append(f"{some} was trained once; how much another run would differ is not part of the intervals.")
    if comparison.frames < 50:
        notes.append(f"{comparison.frames} frames are few: the intervals themselves are rough.")
    return notes
