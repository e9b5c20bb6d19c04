"""`tst specialize`: from a walk to a model specialised to that space, and a report of how much that helped."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
import tyro
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tst.backbones.hub import locate
from tst.backbones.timm_vit import read_timm
from tst.config import Config
from tst.errors import UserError
from tst.evaluation import top_down
from tst.evaluation.comparison import Comparison, compare
from tst.evaluation.evaluate import EvaluateConfig, Predictor, evaluate, predict_frames, upsample
from tst.evaluation.metrics import FrameConfusions
from tst.evaluation.report import Licence, Prediction, even_indices, write_report
from tst.files import digest, read_json
from tst.finetuning.off_the_shelf import take_off_the_shelf
from tst.finetuning.task import tasks
from tst.finetuning.transfer import TransferConfig, transfer
from tst.licences import is_non_commercial
from tst.loop import DivergedError, OptimConfig, Precision
from tst.modalities.derive import derive
from tst.modalities.jitter import JitterConfig
from tst.pretraining.pretrain import PretrainConfig, pretrain
from tst.runs import Run, code_version, read_metrics
from tst.space.cache import fingerprint
from tst.space.space import Space
from tst.tokenizers.tokenizer import TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig, tokenize
from tst.tokenizers.views import ViewConfig

RowName = Literal["scratch", "multimodal scratch", "TST-MAE", "TST-MM"]
PresetName = Literal["auto", "cpu", "gpu", "demo"]
Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
# What may change between two commands on one folder: rows are added, those that are there stay.
ADDABLE = {"seeds", "rows", "baseline", "baseline_resolution", "baseline_layer_decay"}
ADDABLE |= {"specialist", "off_the_shelf", "class_mapping"}


class SpecializeConfig(Config):
    """Everything `specialize` does, stage by stage."""

    tokenize: TokenizeConfig = TokenizeConfig()
    pretrain: PretrainConfig = PretrainConfig()
    """Of TST-MM."""
    mae: PretrainConfig = PretrainConfig(objective="mae")
    """Of TST-MAE."""
    finetune: TransferConfig = TransferConfig()
    predict: EvaluateConfig = EvaluateConfig()
    rows: tuple[RowName, ...] = ("scratch", "multimodal scratch", "TST-MAE", "TST-MM")
    """Models to compare."""
    seeds: PositiveInt = 1
    """Fine-tunings of each model, with seeds 0, 1, ..."""
    baseline: Repeated = ()
    """NAME=PATH of a generalist backbone (or a known NAME that is in the hub's cache): two rows, fine-tuned and frozen.
    Repeatable (docs/baselines.md)."""
    baseline_resolution: Annotated[int, Field(gt=0, multiple_of=16)] | None = None
    """Side in pixels of what generalists and specialists see; None takes that of the other models."""
    baseline_layer_decay: float = Field(0.75, gt=0, le=1)
    """Learning rate of each of a generalist's layers relative to the one above it."""
    specialist: Repeated = ()
    """NAME=PATH of a Mask2Former: one row, fine-tuned whole through its own loss. Repeatable."""
    off_the_shelf: Repeated = ()
    """NAME=PATH of a trained segmenter (transformers, or a .tflite file): one row, as it is. Repeatable."""
    class_mapping: Path | None = None
    """JSON {class: [labels]} of what off-the-shelf segmenters name; by default by name, for common indoor classes."""
    lr_trials: tuple[PositiveFloat, ...] = (1.0,)
    """Learning rates to try for every fine-tuned row, in units of `finetune.optim.lr`; the best on the transfer set's
    own validation split is used. One is not tried, but taken."""
    lr_trial_share: float = Field(0.2, gt=0, le=1)
    """Length of a trial in units of `finetune.epochs`; it has seed 0."""

    @model_validator(mode="after")
    def _agree(self) -> "SpecializeConfig":
        sides = {
            "tokenize": self.tokenize.views.resolution,
            "pretrain": self.pretrain.views.resolution,
            "mae": self.mae.views.resolution,
            "finetune": self.finetune.views.resolution,
        }
        if len(set(sides.values())) > 1:
            given = ", ".join(f"{name}.views.resolution {side}" for name, side in sides.items())
            raise ValueError(f"the stages need one resolution, but: {given}. Give all of them the same.")
        sizes = {self.pretrain.size, self.mae.size, self.finetune.size}
        if len(sizes) > 1:
            raise ValueError(f"pretrain.size, mae.size and finetune.size differ ({', '.join(sorted(sizes))})")
        if (self.pretrain.objective, self.mae.objective) != ("mm", "mae"):
            raise ValueError("pretrain.objective must stay mm, and mae.objective mae")
        if not self.lr_trials:
            raise ValueError("lr_trials is empty. Give one factor at least, such as 1.")
        names = [name for row in ("baseline", "specialist", "off_the_shelf") for name, _ in _named(getattr(self, row))]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: two models of one name. Give each its own: NAME=PATH.")
        return self


def _named(given: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, path) of each NAME=PATH; a bare NAME is both."""
    return [(name, path or name) for name, _, path in (item.partition("=") for item in given)]


def preset(name: PresetName = "auto") -> SpecializeConfig:
    """The settings of one dial: `cpu` (nano, 128 px), `gpu` (small, 224 px), `auto` by what the machine has.

    `demo` is the smallest that shows the effect: nano at 96 px, short runs, three rows, one seed.
    """
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() else "cpu"
    jitter = JitterConfig(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05, gamma=0.8)
    if name == "cpu":
        views = ViewConfig(resolution=128)
        return SpecializeConfig(
            tokenize=TokenizeConfig(
                views=views,
                steps=600,
                model=TokenizerModelConfig(encoder_depth=2, decoder_depth=2, levels=(8, 5, 5, 5)),
                optim=OptimConfig(lr=2e-3, batch_size=32, betas=(0.9, 0.99)),
            ),
            # Without a decoder, and with every target of every sample, 10^5 samples are enough to learn from
            # (docs/experiments.md); through a decoder the encoder keeps little of it.
            pretrain=PretrainConfig(
                size="nano",
                views=views,
                steps=3500,
                optim=OptimConfig(lr=1e-3, batch_size=32),
                decoder_depth=0,
                all_to_all=False,
                jitter=jitter,
            ),
            mae=PretrainConfig(
                objective="mae",
                size="nano",
                views=views,
                steps=4000,
                optim=OptimConfig(lr=1e-3, batch_size=32),
                decoder_depth=2,
                jitter=jitter,
            ),
            finetune=TransferConfig(
                size="nano",
                views=views,
                epochs=20,
                validations=8,
                layer_decay=1.0,
                head_channels=64,
                head_cells=2,
                jitter=jitter,
                optim=OptimConfig(lr=1e-3, batch_size=32, betas=(0.9, 0.999)),
            ),
            seeds=3,
            # A wide range: of up to 1, fine-tuned DINOv2-S took 0.3, scratch and frozen rows 1 (docs/baselines.md).
            lr_trials=(0.1, 0.3, 1.0, 3.0),
        )
    if name == "demo":
        views = ViewConfig(resolution=96, per_frame=8)
        smaller = preset("cpu")
        return smaller.replace(
            tokenize={"views": views, "steps": 300},
            pretrain={"views": views, "steps": 2000},
            mae={"views": views, "steps": 1400},
            finetune={"views": views, "epochs": 15, "validations": 5},
            rows=("scratch", "TST-MAE", "TST-MM"),
            seeds=1,
            lr_trials=(1.0,),
        )
    views = ViewConfig(resolution=224)
    pretraining = PretrainConfig(
        size="small",
        views=views,
        steps=60_000,
        optim=OptimConfig(lr=8e-4, batch_size=512, checkpoint_every=1000),
        num_input=128,
        num_target=128,
        repeats=4,
        rgb_to_all=12.0,
        jitter=jitter,
    )
    return SpecializeConfig(
        tokenize=TokenizeConfig(
            views=views,
            steps=8000,
            model=TokenizerModelConfig(width=512, encoder_depth=6, decoder_depth=6),
            optim=OptimConfig(lr=5e-4, batch_size=128),
        ),
        pretrain=pretraining,
        mae=pretraining.replace(objective="mae", num_input=0, num_target=0),
        finetune=TransferConfig(
            size="small",
            views=views,
            epochs=64,
            jitter=jitter,
            optim=OptimConfig(lr=1e-4, batch_size=32, betas=(0.9, 0.999)),
        ),
        seeds=3,
        lr_trials=(0.3, 1.0, 3.0),
    )


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
        pretrained: run folder of our own pre-training, if there is one.
    """

    row: str
    config: TransferConfig
    start: Mapping[str, Any] = field(default_factory=dict)
    pretrained: Path | None = None

    @property
    def folder(self) -> str:
        """Its name in the file system."""
        return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in self.row)


def _stages(run: Run, spaces: Mapping[str, Space], config: SpecializeConfig, precision: Precision) -> Comparison:
    out, space, labelled = run.path, spaces["space"], spaces["transfer"]
    assert labelled.classes
    # First, since it takes seconds, and a path that is wrong should not be found out after hours.
    shelf = {
        f"{name} off the shelf": take_off_the_shelf(
            Path(path), labelled.classes, out / "off-the-shelf" / name, name=name, mapping=config.class_mapping
        )
        for name, path in _named(config.off_the_shelf)
    }
    generalists = _generalists(config)
    for contender in generalists:
        _check_readable(contender)
    tokenizers = tokenize(
        space,
        out / "tokenizers",
        transfer=labelled,
        transfer_modalities=config.pretrain.transfer_modalities,
        config=config.tokenize,
        precision=precision,
    )
    objectives: dict[str, PretrainConfig] = {
        "TST-MM": config.pretrain,
        "TST-MAE": config.mae,
    }
    encoders: dict[str, Path] = {
        name: pretrain(
            space, tokenizers, out / "pretrain" / name, transfer=labelled, config=objective, precision=precision
        )
        for name, objective in objectives.items()
        if name in config.rows
    }
    shared = {name: folder for name, folder in tokenizers.items() if name in labelled.modalities() and name != "rgb"}
    beside = {"multimodal scratch": {"tokenizers": shared}}
    ours = [
        Contender(row, config.finetune, {"encoder": encoders.get(row), **beside.get(row, {})}, encoders.get(row))
        for row in config.rows
    ]
    # The report is about the last row: ours that were pre-trained come after all that they are measured against.
    contenders = [
        *(contender for contender in ours if not contender.pretrained),
        *generalists,
        *(contender for contender in ours if contender.pretrained),
    ]
    rates = {
        contender.row: _learning_rate(contender, labelled, out / "trials", config, precision)
        for contender in contenders
    }
    models: dict[str, list[Path]] = {contender.row: [] for contender in contenders}
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
            models[contender.row].append(folder)
    first = [contender.row for contender in ours if not contender.pretrained]
    order = [*first, *shelf, *(row for row in models if row not in first)]
    models |= {row: [folder] for row, folder in shelf.items()}
    measured = spaces["evaluate"]
    frames = fingerprint(measured, measured.modalities())  # once: it looks at every file
    evaluations = {
        row: [_evaluated(folder, measured, frames, config.predict, precision) for folder in models[row]]
        for row in order
    }
    return _report(out, spaces, config, tokenizers, encoders, models, evaluations, rates, precision)


def _generalists(config: SpecializeConfig) -> list[Contender]:
    changes: dict[str, Any] = {"layer_decay": config.baseline_layer_decay}
    if config.baseline_resolution:
        changes["views"] = {"resolution": config.baseline_resolution}
    tuned = config.finetune.replace(**changes)
    found = []
    for name, path in _named(config.baseline):
        found.append(Contender(f"{name} frozen", tuned.replace(freeze=True), {"backbone": path}))
        found.append(Contender(f"{name} fine-tuned", tuned, {"backbone": path}))
    for name, path in _named(config.specialist):
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


@dataclass(frozen=True)
class Rate:
    """The learning rate of a row, and what each one that was tried scored on the transfer set's validation split."""

    chosen: float
    tried: Mapping[float, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        tried = ", ".join(f"{lr:g}: {'diverged' if s is None else f'{s:.1f}'}" for lr, s in self.tried.items())
        return f"{self.chosen:g}" + (f" (validation after a short trial: {tried})" if tried else "")


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


def _evaluated(folder: Path, space: Space, frames: str, config: EvaluateConfig, precision: Precision) -> Path:
    """Folder with the evaluation of one model, once for the same settings, model and `frames` (a fingerprint)."""
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
                "pretrain_samples": pretrained[row]["samples"] if row in pretrained else 0,
                "pretrain_seconds": pretrained[row]["seconds"] if row in pretrained else 0,
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
            "stage": f"transfer {row} ({len(items)} seed{'s' if len(items) > 1 else ''})",
            "seconds": sum(item["seconds"] for item in items),
            "samples": sum(item["samples"] for item in items),
        }
        for row, items in done.items()
        if row in rates
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
