"""Self-training: what is hidden, which labels a crop has, when rounds end; labels of the space play no part."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tst.finetuning.self_training as module
import tst.readers
from captures import CLASSES, write_labelled, write_nerfstudio
from tst.errors import UserError
from tst.evaluation.evaluate import EvaluateConfig, evaluate
from tst.files import read_json
from tst.finetuning.model import load_model, save_model
from tst.finetuning.self_training import SelfTrainConfig, crop_labels, hide, self_train
from tst.finetuning.transfer import TransferConfig, transfer
from tst.loop import OptimConfig
from tst.mapping.labels import FuseConfig, FusedLabels, fused_labels
from tst.mapping.predictions import CopiesConfig, Mean, Model
from tst.mapping.views import MapConfig
from tst.runs import load_tensors
from tst.space import Space
from tst.tokenizers.views import FrameSource, ViewConfig

VIEWS = ViewConfig(resolution=32)
CONFIG = SelfTrainConfig(
    rounds=2,
    steps=2,
    optim=OptimConfig(lr=1e-3, batch_size=4, log_every=1, ema=0.5),
    views=VIEWS,
    fuse=FuseConfig(map=MapConfig(short_side=40, cell=0.2), least=0.0, least_views=2),
    copies=CopiesConfig(flip=False, scales=(1.0,)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spaces: `walk` with labels that nobody may read, `bare` without them, `labelled`; and the model `start`."""
    folder = tmp_path_factory.mktemp("selftrain")
    labelled = tst.readers.read("labelled", write_labelled(folder / "l"), folder / "labelled")
    tst.readers.read(
        "nerfstudio", write_nerfstudio(folder / "w", labels=True), folder / "walk", classes=classes(folder)
    )
    tst.readers.read("nerfstudio", write_nerfstudio(folder / "b", labels=False), folder / "bare")
    transfer(
        labelled,
        folder / "start",
        config=TransferConfig(
            views=VIEWS,
            optim=OptimConfig(batch_size=4, log_every=1),
            epochs=2,
            validations=1,
            head_channels=16,
            head_cells=2,
            head_depth=1,
        ),
        precision="32-true",
    )
    return folder


def classes(folder: Path) -> Path:
    path = folder / "classes.json"
    path.write_text(f'{{"classes": {CLASSES}, "ignore_index": 255}}'.replace("'", '"'))
    return path


def train(folder: Path, out: Path, space: str = "walk", config: SelfTrainConfig = CONFIG) -> Path:
    spaces = (Space.open(folder / space), Space.open(folder / "labelled"))
    return self_train(folder / "start", *spaces, out, config=config, precision="32-true")


def test_blocks_are_hidden_by_the_mean_in_the_share_asked_for() -> None:
    image = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    seen = hide(image, 0.3, 8, torch.Generator().manual_seed(1))
    changed = (seen != image).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.02)
    blocks = changed.view(64, 8, 4, 8, 4).float().mean((2, 4))
    assert ((blocks == 0) | (blocks == 1)).all()
    mean = image.mean((2, 3), keepdim=True).expand_as(image)
    torch.testing.assert_close(seen[changed[:, None].expand_as(seen)], mean[changed[:, None].expand_as(mean)])
    assert torch.equal(seen, hide(image, 0.3, 8, torch.Generator().manual_seed(1)))
    assert hide(image, 0.0, 8, torch.Generator()) is image


def test_a_crop_of_labels_is_that_of_the_frame(folder: Path) -> None:
    space = Space.open(folder / "walk")
    source = FrameSource(space, ["semantic"], 40)
    cached = source.cached["semantic"]
    labels = FusedLabels(
        folder, np.array(cached.array), np.array(cached.array), np.array(cached.array), cached.extents, {}
    )
    frames, flip = torch.tensor([0, 2, 2]), torch.tensor([False, True, False])
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.5, 0.6], [0.3, 0.0, 0.7, 0.4]])
    expected = source.crop("semantic", frames, boxes, flip, 24)
    assert torch.equal(crop_labels(labels, frames, boxes, flip, 24), expected)


def test_rounds_leave_a_model_like_any_other(folder: Path, tmp_path: Path) -> None:
    out = train(folder, tmp_path / "out")
    done = read_json(out / "done.json")
    assert done["rounds"] <= len(done["scores"]) - 1 <= 2 and 0 <= done["best_val_miou"] <= 100
    assert done["parameters"] and done["seconds"] > 0
    result = evaluate(out, Space.open(folder / "walk"), config=EvaluateConfig(), precision="32-true")
    assert len(result.ids) == len(Space.open(folder / "walk"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert train(folder, tmp_path / "out") == out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_rounds_end_when_the_score_falls_and_the_best_model_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.fused_labels
    told = iter([10.0, 20.0, 15.0])

    def scored(*arguments: Any, **options: Any) -> FusedLabels:
        labels = original(*arguments, **options)
        labels.summary["score"]["kappa"] = next(told)
        return labels

    monkeypatch.setattr(module, "fused_labels", scored)
    out = train(folder, tmp_path / "out", config=CONFIG.replace(rounds=5))
    assert read_json(out / "done.json")["rounds"] == 1
    assert not (out / "round-3" / "model").exists()
    kept, first = (load_tensors(path / "model.safetensors")[0] for path in (out, out / "round-1" / "model"))
    assert all(torch.equal(kept[name], first[name]) for name in first)


def test_where_no_round_helps_the_given_model_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, told = module.fused_labels, iter([10.0, 5.0])

    def scored(*arguments: Any, **options: Any) -> FusedLabels:
        labels = original(*arguments, **options)
        labels.summary["score"]["kappa"] = next(told)
        return labels

    monkeypatch.setattr(module, "fused_labels", scored)
    out = train(folder, tmp_path / "out")
    assert read_json(out / "done.json")["rounds"] == 0
    assert (out / "model.safetensors").read_bytes() == (folder / "start" / "model.safetensors").read_bytes()
    assert read_json(out / "done.json")["best_val_miou"] == read_json(folder / "start" / "done.json")["best_val_miou"]


def test_labels_of_the_space_play_no_part(folder: Path, tmp_path: Path) -> None:
    poisoned = tmp_path / "poisoned"
    shutil.copytree(folder / "walk", poisoned / "walk")
    shutil.copytree(folder / "start", poisoned / "start")
    shutil.copytree(folder / "labelled", poisoned / "labelled")
    shutil.rmtree(poisoned / "walk" / "cache", ignore_errors=True)
    for path in (poisoned / "walk").rglob("semantic/*"):
        path.write_bytes(b"poison")
    honest, other = (
        load_tensors(train(where, tmp_path / name) / "model.safetensors")[0]
        for where, name in ((folder, "honest"), (poisoned, "other"))
    )
    assert all(torch.equal(honest[name], other[name]) for name in honest)


def test_a_further_teacher_has_a_say_and_its_licence_goes_on(folder: Path, tmp_path: Path) -> None:
    spaces = (Space.open(folder / "walk"), Space.open(folder / "labelled"))
    start, metadata = load_model(folder / "start")
    torch.manual_seed(0)
    for parameter in start.parameters():  # a teacher of its own opinion
        parameter.data += 0.5 * torch.randn_like(parameter)
    start.licences = [{"what": "weights of another", "licence": "CC-BY-NC-4.0", "note": ""}]
    save_model(tmp_path / "other" / "model.safetensors", start, metadata["classes"])
    out = self_train(
        folder / "start",
        *spaces,
        tmp_path / "out",
        teachers=[tmp_path / "other"],
        config=CONFIG.replace(rounds=1),
        precision="32-true",
    )
    copies = CONFIG.copies
    models = [Model(path, spaces[0], copies) for path in (folder / "start", tmp_path / "other")]
    expected = fused_labels(spaces[0], Mean(models), tmp_path / "expected", CONFIG.fuse)
    alone = fused_labels(spaces[0], models[0], tmp_path / "alone", CONFIG.fuse)
    used = FusedLabels.open(out / "round-1" / "labels")
    assert (used.labels == expected.labels).mean() > 0.99  # but for what is kept in half precision
    assert (used.labels != alone.labels).mean() > 0.2
    for place in (out, out / "round-1" / "model"):
        assert [item["what"] for item in load_tensors(place / "model.safetensors")[1]["licences"]] == [
            "weights of another"
        ]
    with pytest.raises(UserError, match=r"teachers"):
        train(folder, tmp_path / "out", config=CONFIG.replace(rounds=1))


def test_a_space_that_cannot_be_mapped_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pose"):
        train(folder, tmp_path / "out", space="labelled")


def test_labels_of_other_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its classes are not those"):
        self_train(folder / "start", Space.open(folder / "walk"), Space.open(folder / "bare"), tmp_path / "out")
