"""The whole path on tiny captures: four models, one report, nothing twice, nothing leaked."""

import importlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tst.readers
import tst.tokenizers.views
from captures import CLASSES, write_labelled, write_nerfstudio
from tst.errors import UserError
from tst.evaluation.comparison import Comparison
from tst.evaluation.evaluate import EvaluateConfig
from tst.finetuning.transfer import TransferConfig
from tst.loop import OptimConfig
from tst.pretraining.pretrain import PretrainConfig
from tst.space import Space
from tst.space.space import Walk
from tst.specialization import SpecializeConfig, specialize
from tst.tokenizers.tokenizer import TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig
from tst.tokenizers.views import ViewConfig

MODULE = importlib.import_module("tst.specialization")  # `tst.specialize` itself may be the function
ROWS = ["scratch", "multimodal scratch", "TST-MAE", "TST-MM"]
VIEWS = ViewConfig(resolution=32, per_frame=2)
OPTIM = OptimConfig(batch_size=4, log_every=1)
CONFIG = SpecializeConfig(
    tokenize=TokenizeConfig(
        views=VIEWS,
        optim=OPTIM,
        steps=2,
        model=TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3)),
    ),
    pretrain=PretrainConfig(views=VIEWS, optim=OPTIM, steps=2, decoder_depth=0, all_to_all=False),
    mae=PretrainConfig(objective="mae", views=VIEWS, optim=OPTIM, steps=2, decoder_depth=1),
    finetune=TransferConfig(
        views=VIEWS, optim=OPTIM, epochs=2, validations=1, head_channels=8, head_cells=1, head_depth=1
    ),
    predict=EvaluateConfig(scale=1.2),
)


@dataclass
class World:
    folder: Path
    comparison: Comparison
    touched: dict[str, set[str]] = field(default_factory=dict)  # stage -> spaces whose files it asked for

    @property
    def out(self) -> Path:
        return self.folder / "run"

    def specialize(self, config: SpecializeConfig = CONFIG, **changes: Any) -> Comparison:
        return run(self.folder, config, **changes)


def run(folder: Path, config: SpecializeConfig = CONFIG, task: str = "segmentation", **changes: str) -> Comparison:
    places = {"space": "walk", "transfer": "labelled", "evaluate": "other", "out": "run"} | changes
    paths = {name: folder / place for name, place in places.items()}
    return specialize(paths.pop("space"), **paths, task=task, config=config, precision="32-true")


@contextmanager
def watched(touched: dict[str, set[str]], evaluation: Path) -> Iterator[None]:
    """Record which Spaces each stage asks for; while the stages that train run, the evaluation Space is not there."""
    stages = ["open"]
    file, cache = Walk.file, tst.tokenizers.views.frame_cache

    def note(space: Path) -> None:
        touched.setdefault(stages[-1], set()).add(space.name)

    def spy_file(self: Walk, modality: str, index: int) -> Path:
        note(self.path.parents[1])
        return file(self, modality, index)

    def spy_cache(space: Space, modality: str, short_side: int) -> Any:
        note(space.path)
        return cache(space, modality, short_side)

    def stage(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        trains = name in ("tokenize", "pretrain", "transfer")
        hidden = evaluation.with_name("hidden")

        def wrapped(*arguments: Any, **options: Any) -> Any:
            stages.append(name)
            if trains:
                evaluation.rename(hidden)
            try:
                return function(*arguments, **options)
            finally:
                if trains:
                    hidden.rename(evaluation)
                stages.pop()

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "file", spy_file)
        patch.setattr(tst.tokenizers.views, "frame_cache", spy_cache)
        for name in ("derive", "tokenize", "pretrain", "transfer", "fingerprint", "evaluate", "_report"):
            patch.setattr(MODULE, name, stage(name, getattr(MODULE, name)))
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("specialize")
    classes = folder / "classes.json"
    classes.write_text(json.dumps({"classes": CLASSES, "ignore_index": 255}))
    captures = folder / "captures"
    tst.readers.read("nerfstudio", write_nerfstudio(captures / "walk", labels=False), folder / "walk")
    tst.readers.read("labelled", write_labelled(captures / "labelled"), folder / "labelled")
    other = write_nerfstudio(captures / "other", frames=4, yaw=15.0)
    tst.readers.read("nerfstudio", other, folder / "other", classes=classes)
    touched: dict[str, set[str]] = {}
    with watched(touched, folder / "other"):
        comparison = run(folder)
    return World(folder, comparison, touched)


def weights(out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}


def test_the_comparison_has_the_four_models(world: World) -> None:
    written = json.loads((world.out / "comparison.json").read_text())
    assert [row["name"] for row in written["rows"]] == ROWS
    assert Comparison.model_validate(written) == world.comparison
    assert written["space"] == "other" and written["frames"] == 4
    assert len(written["differences"]) == 6
    for row in world.comparison.rows:
        assert 0 <= row.miou <= 100 and len(row.seeds) == 1
        assert row.transfer_val_miou is not None
        assert sum(map(sum, row.confusion)) == written["labelled_pixels"] == 4 * 48 * 40
        seconds, samples = row.extra["pretrain_seconds"], row.extra["pretrain_samples"]
        assert samples == (8 if row.name.startswith("TST") else 0)
        assert (seconds > 0) == row.name.startswith("TST")  # type: ignore[operator]


def test_every_stage_left_a_finished_run(world: World) -> None:
    names = {path.parent.relative_to(world.out).as_posix() for path in world.out.rglob("done.json")}
    assert names == {
        *(f"tokenizers/{name}" for name in ("rgb", "depth", "normals", "edges")),
        *("pretrain/TST-MAE", "pretrain/TST-MM"),
        *(f"transfer/{row.replace(' ', '-')}/seed-0" for row in ROWS),
    }
    assert not list(world.out.rglob("checkpoint.safetensors"))
    assert not list(world.folder.rglob("*.tmp*"))


def test_the_report_stands_alone(world: World) -> None:
    page = (world.out / "report.html").read_text(encoding="utf-8")
    for row in ROWS:
        assert row in page
    loaded = re.findall(r"""(?:src|href|srcset|poster)\s*=\s*["']([^"']*)""", page)
    assert loaded and all(place.startswith(("data:", "#")) for place in loaded)
    assert not re.search(r"url\(\s*[\"']?(?!data:|#)", page)
    assert "@import" not in page and "<script src" not in page
    assert str(world.folder) not in page


def test_training_never_sees_the_evaluation_space(world: World) -> None:
    # The stages that train also ran while its folder was not there (`watched`).
    assert world.touched["tokenize"] == {"walk", "labelled"}
    assert world.touched["pretrain"] == {"walk", "labelled"}
    assert world.touched["transfer"] == {"labelled"}
    assert world.touched["evaluate"] == {"other"}
    assert world.touched["_report"] == {"other"}
    seen_by = {stage for stage, spaces in world.touched.items() if "other" in spaces}
    assert seen_by <= {"derive", "fingerprint", "evaluate", "_report"}


def test_a_second_time_nothing_is_trained_and_the_numbers_are_the_same(world: World) -> None:
    before = weights(world.out)
    assert len(before) == 4 + 2 + 4
    again = world.specialize()
    assert weights(world.out) == before
    assert again == world.comparison


def test_fewer_rows_need_nothing_new(world: World) -> None:
    before, comparison = weights(world.out), (world.out / "comparison.json").read_bytes()
    chosen = world.specialize(CONFIG.replace(rows=("scratch", "TST-MM")))
    assert [row.name for row in chosen.rows] == ["scratch", "TST-MM"]
    assert [row.miou for row in chosen.rows] == [world.comparison.rows[0].miou, world.comparison.rows[3].miou]
    assert weights(world.out) == before
    (world.out / "comparison.json").write_bytes(comparison)


def test_other_settings_or_spaces_in_the_same_folder_are_refused(world: World) -> None:
    with pytest.raises(UserError, match=r"other settings \(config.pretrain.steps: 2 -> 3\)"):
        world.specialize(CONFIG.replace(pretrain={"steps": 3}))
    with pytest.raises(UserError, match=r"other settings \(inputs.space: .*walk' -> .*labelled'\)"):
        world.specialize(space="labelled")


def test_evaluating_where_was_trained_is_refused(world: World) -> None:
    with pytest.raises(UserError, match=r"is the space that is trained on. Evaluate on another walk"):
        world.specialize(space="other", out="new")
    with pytest.raises(UserError, match=r"is the space whose labels are trained on. Evaluate on another"):
        world.specialize(evaluate="labelled", out="new")
    assert not (world.folder / "new").exists()


def test_spaces_of_other_classes_are_refused(world: World) -> None:
    with pytest.raises(UserError, match=r"need the same classes. Read both with the same --classes FILE"):
        world.specialize(evaluate="walk", space="labelled", out="new")


def test_stages_of_different_resolution_are_told_by_name() -> None:
    with pytest.raises(UserError, match=r"finetune.views.resolution 64. Give all of them the same"):
        CONFIG.replace(finetune={"views": {"resolution": 64}})


def test_an_unknown_task_is_told_before_anything_is_trained(world: World) -> None:
    with pytest.raises(UserError, match=r"--task flying: unknown. Choose one of .*segmentation"):
        world.specialize(task="flying", out="new")
    assert not (world.folder / "new").exists()
