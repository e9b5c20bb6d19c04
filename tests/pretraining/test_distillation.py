"""The distillation control: a student learns a teacher's features of a Space's frames, and nothing else."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from world import CONFIG, World

from specified_models import VIT_DIM
from tst.errors import UserError
from tst.model.from_vit import read_vit
from tst.pretraining.adaptation import teacher_features
from tst.pretraining.initial import read_initial
from tst.pretraining.pretrain import load_pretrained, pretrain
from tst.runs import read_metrics


@pytest.mark.parametrize("which", ["space", "labelled"])
def test_a_student_learns_the_teacher_on_either_space_without_tokenizers(
    which: str,
    world: World,
    vit: Path,
    tmp_path: Path,
) -> None:
    config = CONFIG.replace(
        objective="distil", teacher=vit, decoder_depth=None, steps=25, optim={"lr": 3e-3}, validate_every=5
    )
    space = getattr(world, which)
    out = pretrain(space, {}, tmp_path / "run", config=config, precision="32-true")
    rows = read_metrics(out / "metrics.jsonl")
    assert rows[0]["loss"] > 0.7 and max(rows[-1]["loss"], rows[-1]["val_loss"]) < 0.3
    weights, metadata = load_pretrained(out)
    assert metadata["objective"] == "distil" and metadata["teacher"]["kind"] == "dinov2"
    assert metadata["licences"][0]["licence"] == "Apache-2.0" and metadata["vocabularies"] == {}
    encoder = read_initial(out).rgb_encoder()
    assert encoder.size.name == "nano" and encoder.state_dict().keys() == weights.keys()
    assert not (space.path / "cache").exists() or not list((space.path / "cache").glob("tokens-*"))


def test_a_students_start_can_be_the_teacher_itself(world: World, vit: Path, tmp_path: Path) -> None:
    config = CONFIG.replace(objective="distil", teacher=vit, init=vit, decoder_depth=None, steps=2)
    _, metadata = load_pretrained(pretrain(world.space, {}, tmp_path / "run", config=config, precision="32-true"))
    assert metadata["encoder"]["patch"] == 14 and metadata["init"]["key"] == metadata["teacher"]["key"]


def test_a_teacher_sees_the_same_image_at_its_own_patch_size(vit: Path) -> None:
    teacher = read_vit(vit).rgb_encoder((2, 2))
    pixels = torch.randn(3, 3, 32, 32)
    features = teacher_features(teacher, pixels)
    resized = F.interpolate(pixels, (28, 28), mode="bilinear", antialias=True)
    assert features.shape == (3, 4, VIT_DIM) and not features.requires_grad
    torch.testing.assert_close(features, teacher({"rgb@42": resized}).detach())


@pytest.mark.parametrize("changes", [{"objective": "distil"}, {"teacher": Path("anything")}])
def test_a_teacher_and_the_objective_go_together(changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="objective distil needs a teacher, and only it has one"):
        CONFIG.replace(**changes)
