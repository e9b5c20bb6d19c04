"""Do the label-free scores tell which model is better? python studies/label_free_scores.py RUN [RUN ...] --out FOLDER

RUN is a folder of `tst specialize`. All models in it that were fine-tuned or trained further are scored twice: by how
far their views of the unlabelled walk agree (docs/mapping.md), and by their mIoU on the labelled walk. Prints each
model, and for each score the rank correlation (Spearman, Kendall) with its 95 % interval over models; draws them. A
prediction that is the same everywhere, one that is random, and one that knows nothing but where the image is dark are
scored beside them: they show what a score can be fooled by. Stopped, the same command goes on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import kendalltau, spearmanr

from tst.evaluation.metrics import FrameConfusions, summarise
from tst.files import digest, read_json, write_json
from tst.mapping.predictions import CopiesConfig, Model, Probabilities
from tst.mapping.score import score
from tst.mapping.space_map import SpaceMap, build, fuse
from tst.mapping.views import MapConfig, Views
from tst.presets import SpecializeConfig
from tst.progress import track
from tst.space.cache import fingerprint
from tst.space.space import Space
from tst.specialization.specialize import evaluated

SCORES = ("kappa", "information", "self_miou", "consistency")


class Fooling:
    """Predictions that know nothing of the classes: `constant`, `random` (a class a frame), `dark` (by brightness)."""

    def __init__(self, kind: str, space: Space, classes: list[str]) -> None:
        self.kind, self.rows, self.classes = kind, space.frames(), classes
        self.identity: dict[str, Any] = {"kind": kind}
        self.licences: list[dict[str, str]] = []

    def __call__(self, frames: Sequence[int]) -> list[np.ndarray]:
        """See `Probabilities`."""
        return [np.moveaxis(np.eye(len(self.classes), dtype=np.float32)[self._says(frame)], -1, 0) for frame in frames]

    def _says(self, frame: int) -> np.ndarray:
        walk, row = self.rows[frame]
        height, width = walk.size(row)
        small = (32, round(32 * width / height))
        if self.kind == "constant":
            return np.zeros(small, np.int64)
        if self.kind == "random":
            return np.full(small, np.random.default_rng(frame).integers(len(self.classes)))
        grey = walk.read("rgb", row).mean(-1)
        rows, columns = (np.linspace(0, n - 1, m).astype(int) for n, m in zip(grey.shape, small, strict=True))
        return (grey[rows[:, None], columns] * len(self.classes) / 256).astype(np.int64)


def models_of(run: Path) -> dict[str, Path]:
    """Every finished model with a head in a run, by name."""
    found = sorted([*run.glob("transfer/*/seed-*"), *run.glob("*/*/seed-*/round-*/model")])
    names = {path: "/".join(part for part in path.relative_to(run).parts if part not in ("transfer", "model"))
             for path in found if (path / "done.json").exists()}  # fmt: skip
    return {name: path for path, name in names.items()}


def scores_of_self_training(run: Path) -> dict[str, dict[str, Any]]:
    """Scores that self-training has left of its models, by what was predicted with what (`Model.identity`)."""
    found = {}
    for folder in run.glob("*/*/seed-*/round-*/labels"):
        if (folder / "done.json").exists():
            identity = read_json(folder / "config.json")["inputs"]["probabilities"]
            found[digest(identity)] = read_json(folder / "done.json")["score"]
    return found


def agreement_of(space_map: SpaceMap, probabilities: Probabilities) -> dict[str, Any]:
    """Label-free scores on a map that is there."""
    return score(fuse(space_map, probabilities).votes_VC)


def correlations(table: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rank correlations of each score with mIoU, with bootstrap intervals over models; of those that vary."""
    miou = np.array([item["miou"] for item in table])
    random = np.random.default_rng(0)
    draws = random.integers(len(table), size=(2000, len(table)))
    found = {}
    for name in SCORES:
        values = np.array([item[name] for item in table])
        if not np.ptp(values) or not np.ptp(miou):
            continue
        usable = [draw for draw in draws if np.ptp(values[draw]) and np.ptp(miou[draw])]
        again = [spearmanr(values[draw], miou[draw]).statistic for draw in usable]
        low, high = np.nanpercentile(again, [2.5, 97.5])
        found[name] = {
            "spearman": float(spearmanr(values, miou).statistic),
            "ci95": (float(low), float(high)),
            "kendall": float(kendalltau(values, miou).statistic),
        }
    return found


def draw(table: list[dict[str, Any]], fooling: list[dict[str, Any]], path: Path) -> None:
    """Scatter plots, one a score; a colour for each kind of model."""
    kinds = list(dict.fromkeys(item["kind"] for item in table))
    colours = mpl.colormaps["tab10"]
    figure = Figure(figsize=(3.5 * len(SCORES) + 2, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(SCORES), sharey=True), SCORES, strict=True):
        for number, kind in enumerate(kinds):
            chosen = [item for item in table if item["kind"] == kind]
            x, y = ([item[key] for item in chosen] for key in (name, "miou"))
            axes.scatter(x, y, color=colours(number % 10), s=24, label=kind)
        for number, item in enumerate(fooling):  # their names one below the other: some lie together
            axes.axvline(item[name], color="0.6", linewidth=1, linestyle=":")
            where = {"x": item[name], "y": 0.98 - 0.13 * number, "transform": axes.get_xaxis_transform()}
            axes.text(**where, s=f" {item['name']}", rotation=90, fontsize=7, va="top", color="0.4")
        axes.set_xlabel(f"{name} without labels")
    figure.axes[0].set_ylabel("mIoU on the labelled walk")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), fontsize=7, loc="outside right center")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = read_json(options.runs[0] / "config.json")
    space, labelled = (Space.open(config["inputs"][name]) for name in ("space", "evaluate"))
    settings = SpecializeConfig.model_validate(config["config"])
    copies = CopiesConfig(flip=True, scales=(1.0,))
    space_map = build(Views(space, MapConfig()))
    frames = fingerprint(labelled, labelled.modalities())
    models = {name: path for run in options.runs for name, path in models_of(run).items()}
    known = {key: value for run in options.runs for key, value in scores_of_self_training(run).items()}
    table = []
    for name, path in track(list(models.items()), "models"):
        kept = options.out / f"{digest(name, read_json(path / 'done.json'))}.json"
        if not kept.exists():
            model = Model(path, space, copies)
            found = known.get(digest(model.identity)) or agreement_of(space_map, model)
            confusions = FrameConfusions.load(evaluated(path, labelled, frames, settings.predict) / "confusions.npz")
            miou = summarise(confusions.matrices).miou
            write_json(kept, {"name": name, "kind": kind_of(name), "miou": miou, **found})
        table.append(read_json(kept))
    classes = labelled.classes or []
    fooling = [
        {"name": kind, **agreement_of(space_map, Fooling(kind, space, classes))}
        for kind in ("constant", "random", "dark")
    ]
    print(f"| model | mIoU | {' | '.join(SCORES)} |\n|---|---|{'---|' * len(SCORES)}")
    for item in sorted(table, key=lambda item: item["miou"]) + fooling:
        scores = " | ".join(f"{item[name]:.2f}" if name == "information" else f"{item[name]:.1f}" for name in SCORES)
        print(f"| {item['name']} | {item.get('miou', float('nan')):.1f} | {scores} |")
    found = correlations(table)
    for name, value in found.items():
        low, high = value["ci95"]
        print(
            f"{name:<12} Spearman {value['spearman']:+.2f} ({low:+.2f} to {high:+.2f}), Kendall {value['kendall']:+.2f}"
        )
    write_json(options.out / "correlations.json", {"models": table, "fooling": fooling, "correlations": found})
    draw(table, fooling, options.out / "label-free-scores.png")


def kind_of(name: str) -> str:
    """Model without seed and round."""
    return name.partition("/seed-")[0]


if __name__ == "__main__":
    main()
