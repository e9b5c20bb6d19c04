"""From evaluations to `report.html` and `comparison.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from tst.evaluation import top_down
from tst.evaluation.comparison import Comparison, compare
from tst.evaluation.evaluate import EvaluateConfig, Predictor, predict_frames, upsample
from tst.evaluation.metrics import FrameConfusions
from tst.evaluation.report import Licence, Prediction, even_indices, write_report
from tst.files import digest, read_json
from tst.finetuning.task import tasks
from tst.licences import is_non_commercial
from tst.loop import Precision
from tst.presets import SpecializeConfig
from tst.runs import code_version, read_metrics
from tst.space.space import Space
from tst.specialization.rows import Rate, before

NONE = {"samples": 0, "seconds": 0}
"""Of a row without pre-training."""


def report(
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
    """Compare the rows and write both files.

    Args:
        out: folder of the run.
        spaces: by role: space, transfer, evaluate.
        config: its settings.
        tokenizers: run folders by modality.
        encoders: run folders of the pre-trainings by row.
        models: run folders of the models by row, one for each seed.
        evaluations: folders of their evaluations, in the order of the rows.
        rates: learning rates by row.
        precision: of the pictures' predictions.
    """
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
                "pretrain_samples": pretrained.get(before(row), NONE)["samples"],
                "pretrain_seconds": pretrained.get(before(row), NONE)["seconds"],
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
        if before(row) in rates
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
