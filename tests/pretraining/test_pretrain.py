"""Pre-training: what is learnt from, what never is, and exact resume of the whole stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from world import CONFIG, NAMES, World, run

import tst.readers
import tst.space.cache
import tst.tokenizers.views
from captures import write_labelled
from tst.errors import UserError
from tst.files import read_json
from tst.modalities.derive import derive
from tst.model import Encoder, load_encoder
from tst.pretraining.batches import Batch, BatchMaker, model_table
from tst.pretraining.pretrain import load_pretrained, pretrain
from tst.runs import read_metrics
from tst.space import Space
from tst.space.space import Walk
from tst.tokenizers.train import held_back_frames


@dataclass
class Seen:
    frames: dict[str, list[list[Tensor]]]  # training, validation
    files: list[tuple[str, str]]  # space, modality

    def training(self, source: int) -> set[int]:
        return {int(n) for call in self.frames["training"] for n in call[source]}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Spies on the frames of every batch, and on every file and cache that is asked for."""
    found = Seen({"training": [], "validation": []}, [])
    assemble, file, cache = BatchMaker.assemble, Walk.file, tst.tokenizers.views.frame_cache

    def spy_assemble(
        self: BatchMaker, frames: list[Tensor], views: list[Tensor], generator: torch.Generator | None
    ) -> Batch:
        found.frames["training" if generator is not None else "validation"].append(frames)
        return assemble(self, frames, views, generator)

    def spy_file(self: Walk, modality: str, index: int) -> Path:
        found.files.append((self.path.parents[1].name, modality))
        return file(self, modality, index)

    def spy_cache(space: Space, modality: str, short_side: int):
        found.files.append((space.path.name, modality))
        return cache(space, modality, short_side)

    monkeypatch.setattr(BatchMaker, "assemble", spy_assemble)
    monkeypatch.setattr(Walk, "file", spy_file)
    monkeypatch.setattr(tst.tokenizers.views, "frame_cache", spy_cache)
    return found


def test_the_test_split_of_the_transfer_set_is_never_learnt_from(world: World, seen: Seen, tmp_path: Path) -> None:
    folder = write_labelled(tmp_path / "labelled")
    split = folder / "split.csv"
    split.write_text(split.read_text().replace("im000,train", "im000,test").replace("im003,train", "im003,test"))
    labelled = derive(tst.readers.read("labelled", folder, tmp_path / "with_test"))
    pretrain(
        world.space,
        world.tokenizers,
        tmp_path / "run",
        transfer=labelled,
        config=CONFIG.replace(steps=12),
        precision="32-true",
    )
    assert seen.training(1) == {1, 2, 4, 5}


@pytest.mark.parametrize("objective", ["mm", "mae"])
def test_it_learns_from_both_spaces_without_labels_or_frames_held_back(
    objective: str, world: World, seen: Seen, tmp_path: Path
) -> None:
    config = CONFIG.replace(objective=objective)
    out = run(world, tmp_path / "run", config)

    done = read_json(out / "done.json")
    assert done["steps"] == 3 and done["samples"] == 12 and done["train_frames"] == [4, 6]
    losses = {name for name in done["last"] if name.startswith("loss/")}
    assert losses == ({"loss/tok_rgb@32"} if objective == "mae" else losses) and losses
    validated = [row["step"] for row in read_metrics(out / "metrics.jsonl") if "val_loss" in row]
    assert validated == [2, 3]

    held_back = set(np.flatnonzero(held_back_frames(6, 0.3)).tolist())
    assert len(seen.frames["training"]) == 3
    assert all(len(frames) == 2 for call in seen.frames["training"] for frames in call)
    assert not seen.training(0) & held_back
    assert {int(n) for call in seen.frames["validation"] for n in call[0]} == held_back

    asked = set(seen.files)
    assert {name for space, name in asked if space == "labelled_space"} >= {"rgb"}
    assert not {name for _, name in asked} & {"semantic", "instance"}
    if objective == "mae":
        assert {name for _, name in asked} == {"rgb"}

    tensors, metadata = load_pretrained(out)
    assert metadata["size"] == "nano" and metadata["resolution"] == 32 and metadata["decoder_depth"] == 1
    assert set(metadata["vocabularies"]) == ({"rgb"} if objective == "mae" else set(NAMES))
    encoder = Encoder("nano", model_table({}, 32))
    before = encoder.encoder[0].attn.qkv.weight.detach().clone()
    assert load_encoder(encoder, tensors).missing == ()
    assert not torch.equal(encoder.encoder[0].attn.qkv.weight, before)
    features = encoder({"rgb@32": torch.zeros(1, 3, 32, 32)})
    assert features.shape == (1, 4, 192) and features.isfinite().all()


def test_without_a_transfer_set_only_the_space_is_used(world: World, seen: Seen, tmp_path: Path) -> None:
    out = run(world, tmp_path / "run", CONFIG.replace(steps=1), transfer=False)
    assert read_json(out / "done.json")["train_frames"] == [4]
    assert {space for space, _ in seen.files} == {"space"}
    assert all(len(call) == 1 and len(call[0]) == 4 for call in seen.frames["training"])


def test_a_finished_run_is_not_repeated(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.replace(steps=1)
    weights = run(world, tmp_path / "run", config, transfer=False) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    monkeypatch.setattr(BatchMaker, "draw", None)
    run(world, tmp_path / "run", config, transfer=False)
    assert weights.stat().st_mtime_ns == before


def test_a_killed_run_resumes_to_the_weights_of_one_that_was_not(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace(steps=6, optim={"ema": 0.9})
    whole = run(world, tmp_path / "whole", config)
    draw, calls = BatchMaker.draw, []

    def killed(self: BatchMaker, generator: torch.Generator) -> Batch:
        calls.append(1)
        if len(calls) == 6:  # five steps are done, and the last checkpoint is of the fourth
            raise KeyboardInterrupt
        return draw(self, generator)

    with monkeypatch.context() as patch:
        patch.setattr(BatchMaker, "draw", killed)
        with pytest.raises(KeyboardInterrupt):
            run(world, tmp_path / "killed", config)
    assert not (tmp_path / "killed" / "done.json").exists()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    resumed = run(world, tmp_path / "killed", config)

    expected, found = load_pretrained(whole)[0], load_pretrained(resumed)[0]
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(path / "metrics.jsonl")]
        for path in (whole, resumed)
    ]
    assert rows[0] == rows[1]


def test_tokenizers_of_another_resolution_are_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"trained at 32 px.*at 48 px. Use the same --views.resolution"):
        run(world, tmp_path / "run", CONFIG.replace(views={"resolution": 48}))


@pytest.mark.parametrize("objective", ["mm", "mae"])
def test_without_an_rgb_tokenizer_it_says_how_to_get_one(objective: str, world: World, tmp_path: Path) -> None:
    others = {name: path for name, path in world.tokenizers.items() if name != "rgb"}
    with pytest.raises(UserError, match=r"needs an RGB tokenizer. Run `tst tokenize`"):
        pretrain(world.space, others, tmp_path / "run", config=CONFIG.replace(objective=objective))


def test_a_transfer_set_without_its_rgb_is_refused_with_the_remedy(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Add rgb to --transfer-modalities, or set --mix-in 0"):
        run(world, tmp_path / "run", CONFIG.replace(transfer_modalities=("depth",)))


def test_budgets_that_rgb_alone_cannot_fill_name_the_remedy_and_leave_the_folder_free(
    world: World, tmp_path: Path
) -> None:
    config = CONFIG.replace(objective="mae", num_input=3, num_target=3, steps=1)
    with pytest.raises(UserError, match="Lower num_input or num_target"):
        run(world, tmp_path / "run", config)
    mixed = CONFIG.replace(transfer_modalities=("rgb",), steps=1)  # fits the walk, but not the transfer set's RGB
    with pytest.raises(UserError, match="Lower num_input or num_target"):
        run(world, tmp_path / "run", mixed)
    run(world, tmp_path / "run", config.replace(num_input=1))


def test_without_a_decoder_every_token_of_the_other_modalities_is_predicted(world: World, tmp_path: Path) -> None:
    config = CONFIG.replace(decoder_depth=0, all_to_all=False)
    out = run(world, tmp_path / "run", config)
    losses = {name for name in read_json(out / "done.json")["last"] if name.startswith("loss/")}
    assert losses == {"loss/tok_depth@32", "loss/tok_normal@32", "loss/tok_canny_edge@32"}
    tensors, metadata = load_pretrained(out)
    assert metadata["decoder_depth"] == 0
    assert not [name for name in tensors if name.startswith("decoder.")]
    assert config.budgets(3) == (4, 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder_depth": 0, "objective": "mae"}, "decoder_depth 0 needs"),
        ({"decoder_depth": 0, "local_context": False}, "decoder_depth 0 needs"),
        ({"all_to_all": False, "rgb_to_all": 0.0}, "both off"),
    ],
)
def test_settings_under_which_nothing_could_be_learnt_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CONFIG.replace(**changes)
