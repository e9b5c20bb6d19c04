"""`tst specialize`: from a walk to a model specialised to that space, and a report of how much that helped."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from tst.backbones.hub import locate
from tst.backbones.timm_vit import read_timm
from tst.errors import UserError
from tst.evaluation import top_down
from tst.evaluation.comparison import Comparison, compare
from tst.evaluation.evaluate import EvaluateConfig, Predictor, evaluate, predict_frames, upsample
from tst.evaluation.metrics import FrameConfusions
from tst.evaluation.report import Licence, Prediction, even_indices, write_report
from tst.files import digest, read_json
from tst.finetuning.off_the_shelf import take_off_the_shelf
from tst.finetuning.self_training import self_train
from tst.finetuning.task import tasks
from tst.finetuning.transfer import TransferConfig, transfer
from tst.licences import is_non_commercial
from tst.loop import DivergedError, Precision
from tst.modalities.derive import derive
from tst.presets import SpecializeConfig, named, preset
from tst.pretraining.batches import TOKEN_PATCH
from tst.pretraining.initial import read_initial
from tst.pretraining.pretrain import PretrainConfig, pretrain
from tst.runs import Run, code_version, read_metrics
from tst.sequences import SEQUENCES
from tst.space.cache import fingerprint
from tst.space.space import Space
from tst.tokenizers.train import tokenize

# What may change between two commands on one folder: rows are added, those that are there stay.
ADDABLE = {"seeds", "rows", "baseline", "baseline_resolution", "baseline_layer_decay"}
ADDABLE |= {"specialist", "off_the_shelf", "class_mapping", "adapted", "pseudo_labels"}
ADDABLE |= {"selftrain", "selftrain_teachers"}
SELFTRAINED = " + self-training"
NONE = {"samples": 0, "seconds": 0}


def specialize(
    space: str | Path,
    *,
    transfer: str | Path,
    evaluate: str | Path,
    out: str | Path,
    task: str = "segmentation",
    config: SpecializeConfig | None = None,
    precision: Precision = "auto",
) -> Comparison:
    """Run every stage, compare the models on the evaluation space, write `report.html` and `comparison.json`.

    Every stage is skipped if its run folder is complete and resumed if it was stopped, so the same command goes on
    where it was killed.

    Args:
        space: Space with the unlabelled walk to specialise to.
        transfer: labelled Space of other places.
        evaluate: labelled Space to measure on; nothing of it reaches any training or choice.
        out: folder for all run folders and the report.
        task: downstream task.
        config: settings; `preset("auto")` by default.

    Raises:
        UserError: a Space lacks what is needed, or `out` belongs to other settings.
    """
    config = config or preset("auto")
    if task not in tasks():
        raise UserError(f"--task {task}: unknown. Choose one of {', '.join(tasks())}.")
    config = config.replace(finetune={"task": task})
    out = Path(out)
    spaces = {"space": Space.open(space), "transfer": Space.open(transfer), "evaluate": Space.open(evaluate)}
    _check(spaces)
    for name, item in spaces.items():
        spaces[name] = derive(item)
    inputs = {name: str(item.path) for name, item in spaces.items()}
    with Run(out, "specialize", config.model_dump(mode="json", exclude=ADDABLE), inputs) as run:
        return _stages(run, spaces, config, precision)


def _check(spaces: Mapping[str, Space]) -> None:
    labelled, measured = spaces["transfer"], spaces["evaluate"]
    if not labelled.classes or labelled.classes != measured.classes:
        raise UserError(
            f"{measured.path} and {labelled.path} need the same classes. Read both with the same --classes FILE."
        )
    if spaces["space"].path.resolve() == measured.path.resolve():
        raise UserError(f"{measured.path}: is the space that is trained on. Evaluate on another walk.")
    if labelled.path.resolve() == measured.path.resolve():
        raise UserError(f"{measured.path}: is the space whose labels are trained on. Evaluate on another.")


@dataclass(frozen=True)
class Contender:
    """A row of the comparison that is fine-tuned.

    Attributes:
        start: what `transfer` starts from: encoder, backbone, specialist, tokenizers.
    """

    row: str
    config: TransferConfig
    start: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Its name in the file system."""
        return folder_of(self.row)


def folder_of(row: str) -> str:
    """A row's name in the file system."""
    return re.sub(r"[^\w.]+", "-", row)


def _before(row: str) -> str:
    """The row that a row of self-training started from; of others, itself."""
    return row.partition(SELFTRAINED)[0]


@dataclass(frozen=True)
class Pretraining:
    """A pre-training of ours, which gives the row of the same name its encoder."""

    row: str
    config: PretrainConfig
    pseudo_labels: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Of its views, and so of its tokenizers."""
        return self.config.views.resolution


@dataclass(frozen=True)
class Rate:
    """The learning rate of a row, and what each one that was tried scored on the transfer set's validation split."""

    chosen: float
    tried: Mapping[float, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        tried = ", ".join(f"{lr:g}: {'diverged' if s is None else f'{s:.1f}'}" for lr, s in self.tried.items())
        return f"{self.chosen:g}" + (f" (validation after a short trial: {tried})" if tried else "")


def _stages(run: Run, spaces: Mapping[str, Space], config: SpecializeConfig, precision: Precision) -> Comparison:
    out, space, labelled = run.path, spaces["space"], spaces["transfer"]
    # First what takes seconds: a path that is wrong should not be found out after hours.
    shelf = _off_the_shelf(labelled, out / "off-the-shelf", config)
    if absent := sorted(set(config.pseudo_labels) - set(space.modalities())):
        raise UserError(
            f"{space.path}: has no {', '.join(absent)}. Run `tst label` or `tst fuse` for it, "
            "or change --pseudo-labels."
        )
    generalists = _generalists(config)
    for contender in generalists:
        _check_readable(contender)
    plans = _pretrainings(config)
    going_on = _selftrained(config, generalists, plans)
    tokenizers = _tokenizers(space, labelled, plans, out, config, precision)
    encoders = _encoders(space, labelled, plans, tokenizers, out / "pretrain", config, precision)
    ours = tokenizers[config.tokenize.views.resolution]
    untrained = _untrained(labelled, ours, encoders, config)
    # The report is about the last row: ours that were pre-trained come after all that they are measured against.
    contenders = [*untrained, *generalists, *_trained(plans, encoders, config)]
    rates = {
        contender.row: _learning_rate(contender, labelled, out / "trials", config, precision)
        for contender in contenders
    }
    models = _models(space, labelled, contenders, going_on, shelf, rates, out, config, precision)
    first = [contender.row for contender in untrained]
    first += [row for row in models if _before(row) in first and row not in first]
    order = [*first, *shelf, *(row for row in models if row not in first)]
    models |= {row: [folder] for row, folder in shelf.items()}
    evaluations = _evaluations(spaces["evaluate"], {row: models[row] for row in order}, config.predict, precision)
    shown = {name: folder for name, folder in ours.items() if name not in SEQUENCES}
    return _report(out, spaces, config, shown, encoders, models, evaluations, rates, precision)


def _off_the_shelf(labelled: Space, out: Path, config: SpecializeConfig) -> dict[str, Path]:
    """Run folders by row of the models that are used as they are."""
    assert labelled.classes
    return {
        f"{name} off the shelf": take_off_the_shelf(
            Path(path), labelled.classes, out / name, name=name, mapping=config.class_mapping
        )
        for name, path in named(config.off_the_shelf)
    }


def _tokenizers(
    space: Space,
    labelled: Space,
    plans: Sequence[Pretraining],
    out: Path,
    config: SpecializeConfig,
    precision: Precision,
) -> dict[int, dict[str, Path]]:
    """Run folders by resolution and modality: at the resolution asked for, and at those of the pre-trainings."""
    usual = config.tokenize.views.resolution
    return {
        resolution: tokenize(
            space,
            out / ("tokenizers" if resolution == usual else f"tokenizers-{resolution}"),
            transfer=labelled,
            # Also the labels of the transfer set: its tokens are learnt from too.
            transfer_modalities=(*config.pretrain.transfer_modalities, *config.pseudo_labels),
            config=config.tokenize.replace(
                modalities=(*config.tokenize.modalities, *config.pseudo_labels), views={"resolution": resolution}
            ),
            precision=precision,
        )
        for resolution in dict.fromkeys([usual, *(plan.resolution for plan in plans)])
    }


def _encoders(
    space: Space,
    labelled: Space,
    plans: Sequence[Pretraining],
    tokenizers: Mapping[int, Mapping[str, Path]],
    out: Path,
    config: SpecializeConfig,
    precision: Precision,
) -> dict[str, Path]:
    """Run folders by row of the pre-trainings."""
    found = {}
    for plan in plans:
        chosen = (*config.tokenize.modalities, *plan.pseudo_labels)
        found[plan.row] = pretrain(
            space,
            {name: folder for name, folder in tokenizers[plan.resolution].items() if name in chosen},
            out / folder_of(plan.row),
            transfer=labelled,
            config=plan.config,
            precision=precision,
        )
    return found


def _untrained(
    labelled: Space, tokenizers: Mapping[str, Path], encoders: Mapping[str, Path], config: SpecializeConfig
) -> list[Contender]:
    """Rows that start from random weights."""
    shared = {
        name: folder
        for name, folder in tokenizers.items()
        if name in labelled.modalities() and name in config.tokenize.modalities and name != "rgb"
    }
    return [
        Contender(row, config.finetune, {"tokenizers": shared} if row == "multimodal scratch" else {})
        for row in config.rows
        if row not in encoders
    ]


def _trained(plans: Sequence[Pretraining], encoders: Mapping[str, Path], config: SpecializeConfig) -> list[Contender]:
    """Rows that start from a pre-training; those that were adapted are fine-tuned as what they were adapted from."""
    return [
        Contender(plan.row, _as_baseline(config), {"backbone": encoders[plan.row]})
        if plan.config.init
        else Contender(plan.row, config.finetune, {"encoder": encoders[plan.row]})
        for plan in plans
    ]


def _models(
    space: Space,
    labelled: Space,
    contenders: Sequence[Contender],
    going_on: Sequence[str],
    shelf: Mapping[str, Path],
    rates: Mapping[str, Rate],
    out: Path,
    config: SpecializeConfig,
    precision: Precision,
) -> dict[str, list[Path]]:
    """Run folders by row, one for each seed; after a row in `going_on`, the rows of its self-training."""
    teachers: dict[str, list[Path]] = {"": []}  # by what is appended to the row's name
    if config.selftrain_teachers:
        teachers[f" with {', '.join(config.selftrain_teachers)}"] = [
            shelf[f"{name} off the shelf"] for name in config.selftrain_teachers
        ]
    found: dict[str, list[Path]] = {}
    for contender in contenders:
        found[contender.row] = []
        if contender.row in going_on:
            found |= {contender.row + SELFTRAINED + suffix: [] for suffix in teachers}
    # Seed by seed, so that a first complete comparison stands early.
    for seed in range(config.seeds):
        for contender in contenders:
            folder = transfer(
                labelled,
                out / "transfer" / contender.folder / f"seed-{seed}",
                **contender.start,
                config=contender.config.replace(seed=seed, optim={"lr": rates[contender.row].chosen}),
                precision=precision,
            )
            found[contender.row].append(folder)
            if contender.row not in going_on:
                continue
            settings = config.selftraining.replace(seed=seed)
            for suffix, paths in teachers.items():
                trained = self_train(
                    folder,
                    space,
                    labelled,
                    out / "selftrain" / folder_of(contender.row + suffix) / f"seed-{seed}",
                    teachers=paths,
                    config=settings,
                    precision=precision,
                )
                found[contender.row + SELFTRAINED + suffix].append(trained)
    return found


def _pretrainings(config: SpecializeConfig) -> list[Pretraining]:
    """Those of the rows asked for; what learns from pseudo-labels stands beside the same with sensors alone."""
    known = {"TST-MAE": config.mae, "TST-MM": config.pretrain}
    found = [Pretraining(row, known[row]) for row in config.rows if row in known]
    side = config.baseline_resolution or config.finetune.views.resolution
    for name, path in named(config.adapted):
        weights = locate(path, download=False)
        grid = max(1, round(side / read_initial(weights).pixels.patch))
        settings = config.adaptation.replace(init=weights, views={"resolution": TOKEN_PATCH * grid})
        found.append(Pretraining(f"{name} adapted", settings))
    if not config.pseudo_labels:
        return found
    more = []
    for plan in found:
        more.append(plan)
        if plan.config.objective == "mm":
            contributed = (*plan.config.transfer_modalities, *config.pseudo_labels)
            settings = plan.config.replace(transfer_modalities=contributed)
            more.append(Pretraining(f"{plan.row} + pseudo-labels", settings, config.pseudo_labels))
    return more


def _selftrained(config: SpecializeConfig, generalists: Sequence[Contender], plans: Sequence[Pretraining]) -> list[str]:
    """Rows that get a second one.

    Raises:
        UserError: a name is not that of a row.
    """
    others = [contender.row for contender in generalists if "specialist" not in contender.start]
    known = list(dict.fromkeys([*config.rows, *others, *(plan.row for plan in plans)]))
    if unknown := sorted(set(config.selftrain) - {*known, "all"}):
        raise UserError(f"--selftrain {', '.join(unknown)}: no such row. Choose of: all, {', '.join(known)}.")
    return known if "all" in config.selftrain else [row for row in known if row in config.selftrain]


def _as_baseline(config: SpecializeConfig) -> TransferConfig:
    """How generalists, and what was adapted from them, are fine-tuned."""
    changes: dict[str, Any] = {"layer_decay": config.baseline_layer_decay}
    if config.baseline_resolution:
        changes["views"] = {"resolution": config.baseline_resolution}
    return config.finetune.replace(**changes)


def _generalists(config: SpecializeConfig) -> list[Contender]:
    tuned = _as_baseline(config)
    found = []
    for name, path in named(config.baseline):
        found.append(Contender(f"{name} frozen", tuned.replace(freeze=True), {"backbone": path}))
        found.append(Contender(f"{name} fine-tuned", tuned, {"backbone": path}))
    for name, path in named(config.specialist):
        found.append(Contender(f"{name} fine-tuned", tuned, {"specialist": Path(path)}))
    return found


def _check_readable(contender: Contender) -> None:
    """Whether its weights can be had.

    Raises:
        UserError: they are not there.
    """
    path = contender.start.get("backbone") or contender.start["specialist"]
    if str(path).startswith("timm:"):
        read_timm(str(path).removeprefix("timm:"), download=False)
    else:
        locate(str(path), download=False)


def _learning_rate(
    contender: Contender, labelled: Space, out: Path, config: SpecializeConfig, precision: Precision
) -> Rate:
    """The best of the rates to try, by short fine-tunings with seed 0. Trials that are done are not repeated."""
    peak = contender.config.optim.lr
    rates = [peak * factor for factor in config.lr_trials]
    if len(rates) == 1:
        return Rate(rates[0])
    epochs = max(1, round(contender.config.epochs * config.lr_trial_share))
    score = f"best_val_{tasks()[contender.config.task].metric}"
    tried: dict[float, float | None] = {}
    for lr in rates:
        short = contender.config.replace(seed=0, epochs=epochs, validations=1, optim={"lr": lr})
        folder = out / contender.folder / f"lr-{lr:g}"
        try:
            transfer(labelled, folder, **contender.start, config=short, precision=precision)
        except DivergedError:
            tried[lr] = None
            continue
        tried[lr] = read_json(folder / "done.json")[score]
        with contextlib.suppress(FileNotFoundError):  # only the score is needed, and a backbone is large
            (folder / "model.safetensors").unlink()
    known = {lr: value for lr, value in tried.items() if value is not None}
    if not known:
        raise UserError(f"{contender.row}: no learning rate of {', '.join(map(str, tried))} works. Lower --lr-trials.")
    return Rate(max(known, key=lambda lr: known[lr]), tried)


def _evaluations(
    space: Space, models: Mapping[str, list[Path]], config: EvaluateConfig, precision: Precision
) -> dict[str, list[Path]]:
    """Folders by row with the evaluation of each model."""
    frames = fingerprint(space, space.modalities())  # once: it looks at every file
    return {
        row: [evaluated(folder, space, frames, config, precision) for folder in folders]
        for row, folders in models.items()
    }


def evaluated(folder: Path, space: Space, frames: str, config: EvaluateConfig, precision: Precision = "auto") -> Path:
    """Folder with the evaluation of a model, made once for the same settings, model and `frames` (a fingerprint)."""
    key = digest(config.model_dump(mode="json"), read_json(folder / "done.json"), frames)
    path = folder / f"evaluate-{key}"
    if not (path / "scores.json").exists():
        evaluate(folder, space, path, config=config, precision=precision)
    return path


def _report(
    out: Path,
    spaces: Mapping[str, Space],
    config: SpecializeConfig,
    tokenizers: Mapping[str, Path],
    encoders: Mapping[str, Path],
    models: Mapping[str, list[Path]],
    evaluations: Mapping[str, list[Path]],
    rates: Mapping[str, Rate],
    precision: Precision,
) -> Comparison:
    results = {
        row: [FrameConfusions.load(path / "confusions.npz") for path in paths] for row, paths in evaluations.items()
    }
    # As for the pictures: those of the first seed.
    maps = {row: top_down.load(file) for row, paths in evaluations.items() if (file := paths[0] / "maps.npz").exists()}
    done = {row: [read_json(folder / "done.json") for folder in models[row]] for row in evaluations}
    pretrained = {row: read_json(folder / "done.json") for row, folder in encoders.items()}
    score = f"best_val_{tasks()[config.finetune.task].metric}"
    comparison = compare(
        results,
        space=spaces["evaluate"].name,
        transfer_val_miou={
            row: float(np.mean([item[score] for item in items])) if score in items[0] else None
            for row, items in done.items()
        },
        extra={
            row: {
                "pretrain_samples": pretrained.get(_before(row), NONE)["samples"],
                "pretrain_seconds": pretrained.get(_before(row), NONE)["seconds"],
                "transfer_seconds": float(np.mean([item["seconds"] for item in items])),
                "parameters": items[0]["parameters"],
                "learning_rate": rates[row].chosen if row in rates else None,
            }
            for row, items in done.items()
        },
    )
    comparison.save(out / "comparison.json")
    compute = [
        {"stage": f"tokenizer {name}", "seconds": summary["seconds"], "samples": summary["samples"]}
        for name, folder in tokenizers.items()
        for summary in [read_json(folder / "done.json")]
    ]
    compute += [
        {"stage": f"pre-training {row}", "seconds": item["seconds"], "samples": item["samples"]}
        for row, item in pretrained.items()
    ]
    compute += [
        {
            "stage": f"fine-tuning {row} ({len(items)} seed{'s' if len(items) > 1 else ''})",
            "seconds": sum(item["seconds"] for item in items),
            "samples": sum(item["samples"] for item in items),
        }
        for row, items in done.items()
        if _before(row) in rates
    ]
    licences = {row: read_json(folders[0] / "provenance.json")["licences"] for row, folders in models.items()}
    device = read_json(out / "provenance.json")["device"]
    write_report(
        out,
        comparison,
        title=f"{spaces['space'].name}: did specialising help?",
        curves={row: read_metrics(folder / "metrics.jsonl") for row, folder in encoders.items()},
        tokenizers=[
            {
                "modality": name,
                "metrics": read_json(folder / "done.json")["metrics"],
                "picture": folder / "reconstruction.png",
            }
            for name, folder in tokenizers.items()
        ],
        predictions=_pictures(spaces["evaluate"], {row: models[row] for row in evaluations}, config.predict, precision),
        maps=maps,
        ignore=spaces["evaluate"].ignore_index,
        data=_facts(spaces),
        compute=[{**item, "device": device} for item in compute],  # type: ignore[typeddict-item]
        licences=[
            *(line for role, item in spaces.items() for line in _licences(role, item)),
            *{item["what"]: item for items in licences.values() for item in items}.values(),
        ],
        warnings=_warnings(licences, done),
        provenance={
            **code_version(),
            "config": digest(config.model_dump(mode="json")),
            "command": read_json(out / "provenance.json")["command"],
            "seeds": list(range(config.seeds)),
            **{f"learning rate of {row}": str(rate) for row, rate in rates.items() if rate.tried},
        },
    )
    return comparison


def _warnings(licences: Mapping[str, list[dict[str, str]]], done: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """What must be known before the scores: who may use which model, and what a model cannot name."""
    found = [
        f"{row} must NOT be used commercially: {item['what']} stand under {item['licence']}."
        for row, items in licences.items()
        for item in items
        if is_non_commercial(item["licence"])
    ]
    for row, items in done.items():
        unnamed = [name for name, labels in items[0].get("mapped", {}).items() if not labels]
        if unnamed:
            found.append(f"{row} has no label for {', '.join(unnamed)}, and can never be right there.")
    return found


def _licences(role: str, space: Space) -> list[Licence]:
    """Of a Space's data; for houses, whose furniture it shows."""
    makers: dict[str, set[str]] = {}
    for walk in space.walks.values():
        for maker, models in walk.record.notes.get("furniture", {}).items():
            makers.setdefault(maker, set()).update(models)
    if not makers:
        return [{"what": f"{role}: {space.name}", "licence": "not stated", "note": "data the user gave"}]
    return [
        {
            "what": f"{role}: {space.name}",
            "licence": maker.rpartition(", ")[2],
            "note": f"{len(models)} models of furniture by {maker.rpartition(', ')[0]}",
        }
        for maker, models in sorted(makers.items())
    ]


def _facts(spaces: Mapping[str, Space]) -> dict[str, Any]:
    roles = {"space": "specialised to", "transfer": "labels from", "evaluate": "measured on"}
    return {
        roles[role]: f"{item.name}: {len(item)} frames in {len(item.walks)} walk(s); {', '.join(item.modalities())}"
        for role, item in spaces.items()
    }


def _pictures(
    space: Space, models: Mapping[str, list[Path]], config: EvaluateConfig, precision: Precision
) -> list[Prediction]:
    """Frames at even distances along the walk with the truth and the first seed's predictions."""
    rows = space.frames()
    chosen = even_indices(len(rows))
    pictures: list[Prediction] = []
    for index in chosen:
        walk, row = rows[index]
        pictures.append(
            {
                "id": f"{walk.name}/{walk.ids[row]}",
                "part": walk.frames["part"][row].as_py(),
                "rgb": walk.read("rgb", row),
                "truth": walk.read("semantic", row),
                "predictions": {},
            }
        )
    for name, folders in models.items():
        predictor = Predictor(folders[0], config, precision)
        for picture, (_, logits) in zip(pictures, predict_frames(predictor, space, chosen), strict=True):
            predictions = cast(dict[str, np.ndarray], picture["predictions"])
            predictions[name] = upsample(logits, picture["truth"].shape)
    return pictures
