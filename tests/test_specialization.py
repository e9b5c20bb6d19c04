"""The whole path on tiny captures: four models, one report, nothing twice, nothing leaked."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tiny_models as tiny
import tst.readers
import tst.tokenizers.views
from captures import CLASSES, write_labelled, write_nerfstudio
from tst.errors import UserError
from tst.evaluation.comparison import Comparison
from tst.evaluation.evaluate import EvaluateConfig
from tst.files import read_json
from tst.finetuning.self_training import SelfTrainConfig
from tst.finetuning.transfer import TransferConfig
from tst.loop import DivergedError, OptimConfig
from tst.presets import SpecializeConfig
from tst.pretraining.pretrain import PretrainConfig
from tst.runs import load_tensors
from tst.space import Space
from tst.space.space import Walk
from tst.specialization.specialize import specialize
from tst.tokenizers.tokenizer import TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig
from tst.tokenizers.views import ViewConfig

MODULE = importlib.import_module("tst.specialization.specialize")
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


ADAPTATION = CONFIG.pretrain.replace(adapt={"frozen_steps": 1})


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
        for name in ("derive", "tokenize", "pretrain", "transfer", "fingerprint", "evaluate", "report"):
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
    assert world.touched["report"] == {"other"}
    seen_by = {stage for stage, spaces in world.touched.items() if "other" in spaces}
    assert seen_by <= {"derive", "fingerprint", "evaluate", "report"}


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


# Generalists


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of generalists and specialists."""
    folder = tmp_path_factory.mktemp("others")
    tiny.write("vit_mae", folder / "mae")
    tiny.write("dinov2", folder / "dinov2")
    tiny.mask2former().save_pretrained(folder / "mask2former")
    tiny.segformer(["wall", "floor"]).save_pretrained(folder / "segformer")
    return {path.name: path for path in folder.iterdir()}


def test_generalists_are_further_rows_between_scratch_and_ours(world: World, others: dict[str, Path]) -> None:
    before, comparison = weights(world.out), (world.out / "comparison.json").read_bytes()
    found = world.specialize(
        CONFIG.replace(
            baseline=(f"mae={others['mae']}",),
            specialist=(f"mask2former={others['mask2former']}",),
            off_the_shelf=(f"segformer={others['segformer']}",),
        )
    )
    assert [row.name for row in found.rows] == [
        *("scratch", "multimodal scratch", "segformer off the shelf"),
        *("mae frozen", "mae fine-tuned", "mask2former fine-tuned", "TST-MAE", "TST-MM"),
    ]
    assert found.subject.name == "TST-MM" and found.baseline.name == "scratch"
    assert [row.miou for row in found.rows if row.name in ROWS] == [row.miou for row in world.comparison.rows]
    after = weights(world.out)
    assert before.items() <= after.items() and len(after) == len(before) + 4
    by_name = {row.name: row for row in found.rows}
    assert by_name["mae frozen"].extra["learning_rate"] == CONFIG.finetune.optim.lr
    assert by_name["segformer off the shelf"].transfer_val_miou is None
    assert not by_name["segformer off the shelf"].confusion[2][2], "no label stands for the ceiling"
    page = (world.out / "report.html").read_text(encoding="utf-8")
    warned = page[page.index('class="warnings"') : page.index("</ul>", page.index('class="warnings"'))]
    for said in (
        "mae fine-tuned must NOT be used commercially: weights of mae stand under CC-BY-NC-4.0",
        "segformer off the shelf must NOT be used commercially",
        "segformer off the shelf has no label for ceiling",
    ):
        assert said in warned, said
    assert "mask2former" not in warned and "weights of mask2former" in page
    tuned = read_json(world.out / "transfer" / "mae-fine-tuned" / "seed-0" / "config.json")["config"]
    assert tuned["layer_decay"] == 0.75 and not tuned["freeze"]
    assert read_json(world.out / "transfer" / "mae-frozen" / "seed-0" / "config.json")["config"]["freeze"]
    (world.out / "comparison.json").write_bytes(comparison)


def test_adapted_weights_stand_beside_their_baseline_with_as_many_tokens(world: World, others: dict[str, Path]) -> None:
    comparison = (world.out / "comparison.json").read_bytes()
    config = CONFIG.replace(
        rows=("scratch",), baseline=(f"dino={others['dinov2']}",), adapted=(f"dino={others['dinov2']}",)
    )
    found = world.specialize(config.replace(adaptation=ADAPTATION), out="adapted")
    assert [row.name for row in found.rows] == ["scratch", "dino frozen", "dino fine-tuned", "dino adapted"]
    out = world.folder / "adapted"
    heads = [
        load_tensors(out / "transfer" / row / "seed-0" / "model.safetensors")[1]["model"]["head"]
        for row in ("dino-fine-tuned", "dino-adapted")
    ]
    assert heads[0] == heads[1]
    adapted = read_json(out / "pretrain" / "dino-adapted" / "config.json")["config"]
    assert adapted["views"]["resolution"] == 16 * heads[0]["grid"]
    assert Path(adapted["init"]) == others["dinov2"]
    (world.out / "comparison.json").write_bytes(comparison)


def test_what_learns_from_pseudo_labels_stands_beside_sensors_alone(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.folder / "walk", tmp_path / "walk")
    for walk in Space.open(tmp_path / "walk").walks.values():
        shutil.copytree(walk.folder("edges"), walk.folder("hed"))
    made = {"from": ["rgb"], "labeller": "hed-x", "weights": "w", "licence": "CC-BY-NC-4.0"}
    Space.open(tmp_path / "walk").record_derived({"hed": made})
    changes = {"space": str(tmp_path / "walk"), "out": "pseudo"}
    with pytest.raises(UserError, match=r"walk: has no dinov2. Run `tst label` or `tst fuse` for it, or change --ps"):
        world.specialize(CONFIG.replace(pseudo_labels=("dinov2",)), **changes)
    found = world.specialize(CONFIG.replace(rows=("TST-MM",), pseudo_labels=("hed",)), **changes)
    assert [row.name for row in found.rows] == ["TST-MM", "TST-MM + pseudo-labels"]
    runs = world.folder / "pseudo" / "pretrain"
    inputs = [read_json(runs / name / "config.json")["inputs"] for name in ("TST-MM", "TST-MM-pseudo-labels")]
    assert [sorted(item["tokens"][0]) for item in inputs] == [
        ["depth", "edges", "normals", "rgb"],
        ["depth", "edges", "hed", "normals", "rgb"],
    ]
    assert [sorted(item["tokens"][1]) for item in inputs] == [["depth", "edges", "normals", "rgb"]] * 2
    transfers = world.folder / "pseudo" / "transfer"
    sensors, pseudo = (
        read_json(transfers / row / "seed-0" / "provenance.json")["licences"]
        for row in ("TST-MM", "TST-MM-pseudo-labels")
    )
    assert not sensors and [item["what"] for item in pseudo] == ["hed by hed-x"]
    page = (world.folder / "pseudo" / "report.html").read_text(encoding="utf-8")
    assert "TST-MM + pseudo-labels must NOT be used commercially: hed by hed-x" in page


def test_a_row_that_trained_itself_further_stands_beside_the_one_it_came_from(
    world: World, others: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=r"--selftrain TST-XX: no such row. Choose of: all, scratch"):
        world.specialize(CONFIG.replace(rows=("scratch",), selftrain=("TST-XX",)), out="unknown")
    settings = SelfTrainConfig(
        rounds=1, steps=1, views=VIEWS, optim=OPTIM, copies={"flip": False, "scales": (1.0,)}, fuse={"least_views": 1}
    )
    config = CONFIG.replace(rows=("scratch", "TST-MM"), selftrain=("scratch",), selftraining=settings)
    found = world.specialize(config, out="selftrained")
    assert [row.name for row in found.rows] == ["scratch", "scratch + self-training", "TST-MM"]
    out = world.folder / "selftrained"
    assert (out / "selftrain" / "scratch" / "seed-0" / "model.safetensors").is_file()
    arguments = ["--rows", "scratch", "TST-MM", "--single-rounds", "1"]
    printed = study("fusion.py", str(out), *arguments)
    names = [row.name for row in Comparison.load(out / "fusion.json").rows]
    assert names == [
        "scratch",
        "its map, read with depth and pose",
        "scratch + single views, round 1",
        "scratch + single views, as chosen without labels",
        "scratch + fused views, round 1",
        "scratch + fused views, as chosen without labels",
        "TST-MM",
    ]
    assert all(f"| {name} | 1 |" in printed for name in names)
    before = weights(out)
    assert study("fusion.py", str(out), *arguments).endswith(printed.partition("\n| |")[2]) and weights(out) == before

    config = config.replace(
        rows=("scratch",), off_the_shelf=(f"segformer={others['segformer']}",), selftrain_teachers=("segformer",)
    )
    taught = world.specialize(config, out="selftrained")
    assert [row.name for row in taught.rows] == [
        *("scratch", "scratch + self-training", "scratch + self-training with segformer", "segformer off the shelf")
    ]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "scratch + self-training with segformer must NOT be used commercially" in page
    assert "scratch + self-training must NOT" not in page

    printed = study("fusion.py", str(out), "--rows", "scratch", "--teachers", "segformer")
    assert "| scratch + fused views with segformer, round 1 | 1 |" in printed
    assert "| segformer off the shelf | 1 |" in printed

    printed = study("label_free_scores.py", str(out), "--out", str(out / "scores"))
    kept = json.loads((out / "scores" / "correlations.json").read_text())
    assert {"scratch/seed-0", "selftrain/scratch/seed-0/round-1"} < {item["name"] for item in kept["models"]}
    by_kind = {item["name"]: item for item in kept["fooling"]}
    assert by_kind["constant"]["consistency"] == pytest.approx(100) and by_kind["constant"]["kappa"] == 0
    assert (out / "scores" / "label-free-scores.png").is_file()


def study(script: str, *arguments: str) -> str:
    """What a script of `studies/` prints."""
    path = Path(__file__).parents[1] / "studies" / script
    done = subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_row_has_the_same_trials_of_learning_rates_and_keeps_the_best(
    world: World, others: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace(
        rows=("scratch",), baseline=(f"mae={others['mae']}",), lr_trials=(0.1, 1.0), lr_trial_share=0.5
    )
    found = world.specialize(config, out="trials")
    out = world.folder / "trials"
    for row in found.rows:
        trials = sorted((out / "trials" / row.name.replace(" ", "-")).iterdir())
        scores = {}
        for path in trials:
            tried = read_json(path / "config.json")["config"]
            assert (tried["epochs"], tried["seed"]) == (1, 0)
            scores[tried["optim"]["lr"]] = read_json(path / "done.json")["best_val_miou"]
            assert not (path / "model.safetensors").exists()
        assert sorted(scores) == pytest.approx([1e-4, 1e-3])
        best = max(scores.values())
        assert scores[row.extra["learning_rate"]] == best  # type: ignore[index]
    assert "learning rate of mae frozen" in (out / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr("tst.finetuning.transfer._train", lambda *arguments: pytest.fail("trained again"))
    assert world.specialize(config, out="trials") == found


def test_a_rate_that_diverges_loses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MODULE.transfer

    def breaks(*arguments: Any, config: TransferConfig, **options: Any) -> Path:
        if config.optim.lr > 1e-3:
            raise DivergedError("run: the loss is not finite at step 2. Lower the learning rate.")
        return original(*arguments, config=config, **options)

    monkeypatch.setattr(MODULE, "transfer", breaks)
    config = CONFIG.replace(rows=("scratch",), lr_trials=(10.0, 1.0))
    assert world.specialize(config, out="diverged").rows[0].extra["learning_rate"] == 1e-3
    with pytest.raises(UserError, match=r"scratch: no learning rate of 0.01, 0.1 works. Lower --lr-trials"):
        world.specialize(config.replace(lr_trials=(10.0, 100.0)), out="all")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": ("nothing=/no/such",)}, r"/no/such: no such file or folder"),
        ({"specialist": ("nothing=/no/such",)}, r"/no/such: no such file or folder"),
        ({"off_the_shelf": ("nothing=/no/such",)}, r"/no/such: not found"),
        ({"baseline": ("timm:vit_tinny",)}, r"timm .* has no such model"),
    ],
)
def test_weights_that_are_not_there_are_told_before_anything_is_trained(
    changes: dict[str, Any], said: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "tokenize", lambda *arguments, **options: pytest.fail("trained"))
    with pytest.raises(UserError, match=said):
        world.specialize(CONFIG.replace(**changes), out="early")


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match=r"a: two models of one name. Give each its own: NAME=PATH"):
        CONFIG.replace(baseline=("a=x",), off_the_shelf=("a=y",))


def test_teachers_of_self_training_are_those_that_are_there() -> None:
    with pytest.raises(UserError, match=r"selftrain_teachers b: not in off_the_shelf, of which there are: a"):
        CONFIG.replace(off_the_shelf=("a=y",), selftrain=("scratch",), selftrain_teachers=("b",))
    with pytest.raises(UserError, match=r"selftrain_teachers needs rows that are self-trained"):
        CONFIG.replace(off_the_shelf=("a=y",), selftrain_teachers=("a",))
