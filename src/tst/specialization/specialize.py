"""`tst specialize`: from a walk to a model specialised to that space, and a report of how much that helped."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tst.errors import UserError
from tst.evaluation.comparison import Comparison
from tst.evaluation.evaluate import EvaluateConfig, evaluate
from tst.files import digest, read_json
from tst.finetuning.off_the_shelf import take_off_the_shelf
from tst.finetuning.self_training import self_train
from tst.finetuning.task import tasks
from tst.finetuning.transfer import transfer
from tst.loop import DivergedError, Precision
from tst.modalities.derive import derive
from tst.presets import SpecializeConfig, named, preset
from tst.pretraining.pretrain import pretrain
from tst.runs import Run
from tst.sequences import SEQUENCES
from tst.space.cache import fingerprint
from tst.space.space import Space
from tst.specialization.report import report
from tst.specialization.rows import (
    SELFTRAINED,
    Contender,
    Pretraining,
    Rate,
    before,
    check_readable,
    folder_of,
    generalists,
    pretrainings,
    selftrained,
    trained,
    untrained,
    with_teachers,
)
from tst.tokenizers.train import tokenize

# What may change between two commands on one folder: rows are added, those that are there stay.
ADDABLE = {"seeds", "rows", "baseline", "baseline_resolution", "baseline_layer_decay"}
ADDABLE |= {"specialist", "off_the_shelf", "class_mapping", "adapted", "pseudo_labels"}
ADDABLE |= {"selftrain", "selftrain_teachers"}


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


def _stages(run: Run, spaces: Mapping[str, Space], config: SpecializeConfig, precision: Precision) -> Comparison:
    out, space, labelled = run.path, spaces["space"], spaces["transfer"]
    # First what takes seconds: a path that is wrong should not be found out after hours.
    shelf = _off_the_shelf(labelled, out / "off-the-shelf", config)
    if absent := sorted(set(config.pseudo_labels) - set(space.modalities())):
        raise UserError(
            f"{space.path}: has no {', '.join(absent)}. Run `tst label` or `tst fuse` for it, "
            "or change --pseudo-labels."
        )
    others = generalists(config)
    for contender in others:
        check_readable(contender)
    plans = pretrainings(config)
    going_on = selftrained(config, others, plans)
    tokenizers = _tokenizers(space, labelled, plans, out, config, precision)
    encoders = _encoders(space, labelled, plans, tokenizers, out / "pretrain", config, precision)
    ours = tokenizers[config.tokenize.views.resolution]
    fresh = untrained(labelled, ours, encoders, config)
    # The report is about the last row: ours that were pre-trained come after all that they are measured against.
    contenders = [*fresh, *others, *trained(plans, encoders, config)]
    rates = {
        contender.row: _learning_rate(contender, labelled, out / "trials", config, precision)
        for contender in contenders
    }
    models = _models(space, labelled, contenders, going_on, shelf, rates, out, config, precision)
    first = [contender.row for contender in fresh]
    first += [row for row in models if before(row) in first and row not in first]
    order = [*first, *shelf, *(row for row in models if row not in first)]
    models |= {row: [folder] for row, folder in shelf.items()}
    evaluations = _evaluations(spaces["evaluate"], {row: models[row] for row in order}, config.predict, precision)
    shown = {name: folder for name, folder in ours.items() if name not in SEQUENCES}
    return report(out, spaces, config, shown, encoders, models, evaluations, rates, precision)


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
        teachers[with_teachers(config.selftrain_teachers)] = [
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
