"""Fine-tuning: heads of every task, splits, learning, inputs beside RGB, and models that load as they were saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import tst.readers
from captures import write_labelled
from tst.errors import UserError
from tst.evaluation.evaluate import evaluate
from tst.evaluation.metrics import summarise
from tst.files import read_json
from tst.finetuning.encoder import EncoderModel
from tst.finetuning.model import HeadShape, load_model, save_model
from tst.finetuning.task import tasks
from tst.finetuning.transfer import TransferConfig, split_frames, transfer
from tst.loop import OptimConfig
from tst.modalities.jitter import JitterConfig
from tst.model import Encoder, FourM, model_state
from tst.model.sizes import get_size
from tst.pretraining.batches import model_table
from tst.runs import read_metrics, save_tensors
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.train import save_tokenizer
from tst.tokenizers.views import ViewConfig

TOKENIZER = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
CONFIG = TransferConfig(
    views=ViewConfig(resolution=32),
    optim=OptimConfig(batch_size=4, log_every=1, betas=(0.9, 0.999)),
    epochs=2,
    validations=1,
    head_channels=16,
    head_cells=2,
    head_depth=1,
)
every_task = pytest.mark.parametrize("name", tasks())


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    folder = tmp_path_factory.mktemp("transfer")
    return tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "space")


@pytest.fixture(scope="module")
def depth_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("depth_tokenizer")
    save_tokenizer(folder / "tokenizer.safetensors", Tokenizer("depth", 32, TOKENIZER))
    return folder


def write_encoder(folder: Path, resolution: int = 32) -> FourM:
    """What a pre-training leaves, without the training."""
    torch.manual_seed(5)
    model = FourM(get_size("nano"), model_table({"rgb": 48}, resolution))
    metadata = {"size": "nano", "resolution": resolution, "vocabularies": {"rgb": 48}}
    save_tensors(folder / "model.safetensors", model_state(model), metadata)
    return model


def stored_batch(space: Space, modalities: tuple[str, ...], count: int = 3) -> dict[str, Tensor]:
    walk = space.frames()[0][0]
    batch = {}
    for name in modalities:
        frames = np.stack([walk.read(name, index)[:32, :32] for index in range(count)]).astype(np.float32)
        batch[name] = torch.from_numpy(frames).movedim(-1, 1) if frames.ndim == 4 else torch.from_numpy(frames)[:, None]
    return batch


def depth_model() -> EncoderModel:
    """A nano encoder that also looks at depth."""
    table = model_table({"depth": 48}, 32)
    tokenizers = {"depth": Tokenizer("depth", 32, TOKENIZER)}
    shape = HeadShape(width=192, grid=2, classes=3, channels=16, depth=1, cells=2)
    return EncoderModel(
        tasks()["segmentation"], 32, Encoder("nano", table, drop_path=0.1), shape, tokenizers=tokenizers
    )


# Tasks


def head_output(name: str) -> Tensor:
    torch.manual_seed(0)
    head = tasks()[name].head(width=64, grid=2, classes=3, channels=16, depth=1, cells=2)
    output = head(torch.randn(2, 4, 64))
    assert output.shape[:2] == (2, 3) and output.dtype == torch.float32 and output.isfinite().all()
    return output


def labels(size: int = 32) -> Tensor:
    return torch.randint(3, (2, 1, size, size), generator=torch.Generator().manual_seed(1)).float()


@every_task
def test_heads_give_cells_for_each_token_and_losses_and_scores_are_numbers(name: str, labelled_space: Space) -> None:
    task, output = tasks()[name], head_output(name)
    assert output.shape == (2, 3, 4, 4)
    loss = task.loss(output, labels())
    assert loss.ndim == 0 and loss.isfinite() and loss > 0
    loss.backward()
    score = task.score([output.detach(), output.detach()[:1]], [labels(), labels()[:1]], labelled_space)
    assert task.metric in score
    assert all(isinstance(value, float) and 0 <= value <= 100 for value in score.values())


@every_task
def test_ignored_pixels_have_no_part_in_the_loss(name: str) -> None:
    task, output = tasks()[name], head_output(name).detach().requires_grad_()
    ignored = labels()
    ignored[..., :16] = 255
    task.loss(output, ignored).backward()
    assert output.grad is not None
    assert not output.grad[..., :1].any() and output.grad[..., 2:].any()
    nothing = task.loss(output, torch.full_like(ignored, 255))
    assert nothing.isfinite() and nothing == 0


def test_segmentation_scores_the_labelled_pixels_alone(labelled_space: Space) -> None:
    truth = labels(8)
    logits = torch.nn.functional.one_hot(truth[:, 0].long(), 3).movedim(-1, 1).float()
    truth[:, :, :2] = 255
    logits[:, :, :2] = logits[:, :, :2].roll(1, 1)
    task = tasks()["segmentation"]
    assert task.score([logits], [truth], labelled_space) == {"miou": 100.0, "pixel_accuracy": 100.0}
    assert task.score([logits.roll(1, 1)], [truth], labelled_space) == {"miou": 0.0, "pixel_accuracy": 0.0}


# Parameters and splits


def test_layer_decay_groups_hold_every_weight_of_encoder_and_head_once() -> None:
    model = depth_model()
    encoder, head = model.encoder, model.head
    groups = model.groups(1e-3, 0.05, 0.75)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in [*encoder.parameters(), *head.parameters()]}
    assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}, "tokenizers are frozen"
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rates[id(next(head.parameters()))] == pytest.approx(1e-3)
    assert rates[id(next(encoder.encoder_embeddings.parameters()))] == pytest.approx(1e-3 * 0.75**7)
    assert rates[id(encoder.encoder[5].attn.qkv.weight)] == pytest.approx(1e-3 * 0.75)


def test_the_split_column_decides_where_it_has_both_parts(space: Space) -> None:
    train, validation = split_frames(space, 0.5)
    assert train.tolist() == [0, 1, 2, 3] and validation.tolist() == [4, 5]


@pytest.mark.parametrize("share", [0.15, 0.34, 0.5, 0.9])
def test_without_a_split_some_frames_of_all_validate(
    share: float, labelled_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = labelled_folder(frames=12)
    (folder / "split.csv").unlink()
    train, validation = split_frames(tst.readers.read("labelled", folder, tmp_path / "space"), share)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(12))
    assert abs(len(validation) / 12 - min(share, 0.5)) < 0.1


def test_one_frame_cannot_be_split(labelled_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = labelled_folder(frames=1)
    (folder / "split.csv").unlink()
    with pytest.raises(UserError, match="1 labelled frames are too few"):
        split_frames(tst.readers.read("labelled", folder, tmp_path / "space"), 0.5)


# The stage


def test_it_learns_a_tiny_space_by_heart(space: Space, tmp_path: Path) -> None:
    config = CONFIG.replace(
        epochs=50, validations=1, drop_path=0.0, layer_decay=1.0, jitter=JitterConfig(probability=0)
    ).replace(views={"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": False})
    out = transfer(space, tmp_path / "run", config=config, precision="32-true")
    losses = [row["loss"] for row in read_metrics(out / "metrics.jsonl")]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])
    result = summarise(evaluate(out, space, precision="32-true").matrices[:4])
    assert result.pixel_accuracy > result.share.max() + 5, "better than naming the commonest class"
    done = read_json(out / "done.json")
    assert done["train_frames"] == 4 and done["validation_frames"] == 2 and done["steps"] == 50
    assert done["best_val_miou"] == pytest.approx(done["last"]["val_miou"])
    assert done["last"].keys() >= {"loss", "val_miou", "val_pixel_accuracy"}


def test_a_finished_run_is_not_repeated_and_the_best_weights_are_kept(space: Space, tmp_path: Path) -> None:
    config = CONFIG.replace(epochs=4, validations=4)
    out = transfer(space, tmp_path / "run", config=config, precision="32-true")
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert transfer(space, tmp_path / "run", config=config, precision="32-true") == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    values = [row["val_miou"] for row in read_metrics(out / "metrics.jsonl") if "val_miou" in row]
    assert len(values) == 4 and read_json(out / "done.json")["best_val_miou"] == pytest.approx(max(values))


def test_modalities_beside_rgb_are_looked_at_and_their_tokenizer_stays_as_it_is(
    space: Space, depth_tokenizer: Path, tmp_path: Path
) -> None:
    out = transfer(space, tmp_path / "run", tokenizers={"depth": depth_tokenizer}, config=CONFIG, precision="32-true")
    model, metadata = load_model(out)
    assert isinstance(model, EncoderModel)
    assert model.inputs == ("rgb", "depth") and metadata["classes"] == space.classes
    stored = stored_batch(space, ("rgb", "depth"))
    with torch.no_grad():
        first = model(stored)
        other = model(stored | {"depth": stored["depth"].flip(0, -1)})
    assert first.shape == (3, 3, 4, 4)
    assert not torch.equal(first, other)
    trained = model.tokenizers["depth"].state_dict()
    torch.manual_seed(0)
    for name, value in Tokenizer("depth", 32, TOKENIZER).state_dict().items():
        assert torch.equal(trained[name], value), name


def test_the_encoder_starts_from_the_pre_trained_weights(space: Space, tmp_path: Path) -> None:
    pretrained = write_encoder(tmp_path / "encoder")
    config = CONFIG.replace(epochs=1, optim={"lr": 1e-9})
    model, _ = load_model(
        transfer(space, tmp_path / "run", encoder=tmp_path / "encoder", config=config, precision="32-true")
    )
    assert isinstance(model, EncoderModel)
    expected = pretrained.encoder_state()
    for name, value in model.encoder.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6, msg=name)


def test_other_pre_trained_weights_are_other_inputs_of_the_run(space: Space, tmp_path: Path) -> None:
    transfer(space, tmp_path / "run", config=CONFIG.replace(epochs=1), precision="32-true")
    write_encoder(tmp_path / "encoder")
    with pytest.raises(UserError, match="other settings"):
        transfer(space, tmp_path / "run", encoder=tmp_path / "encoder", config=CONFIG.replace(epochs=1))


def test_a_saved_model_predicts_the_same_when_it_is_loaded(space: Space, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = depth_model().eval()
    save_model(tmp_path / "model.safetensors", model, space.classes or [])
    stored = stored_batch(space, ("rgb", "depth"))
    with torch.no_grad():
        expected = model(stored)
        for path in (tmp_path, tmp_path / "model.safetensors"):
            assert torch.equal(load_model(path)[0](stored), expected)


# Errors


def test_an_encoder_of_another_resolution_is_refused_and_leaves_the_folder_free(space: Space, tmp_path: Path) -> None:
    write_encoder(tmp_path / "encoder", resolution=64)
    with pytest.raises(UserError, match="pre-trained with resolution 64, not 32"):
        transfer(space, tmp_path / "run", encoder=tmp_path / "encoder", config=CONFIG)
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_encoder_of_another_size_is_refused(space: Space, tmp_path: Path) -> None:
    write_encoder(tmp_path / "encoder")
    with pytest.raises(UserError, match="pre-trained with size nano, not tiny"):
        transfer(space, tmp_path / "run", encoder=tmp_path / "encoder", config=CONFIG.replace(size="tiny"))


def test_a_space_without_labels_is_refused(walk_space: Space, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="segmentation needs semantic, which this space lacks"):
        transfer(walk_space, tmp_path / "run", config=CONFIG)


def test_an_unknown_task_names_those_there_are(space: Space, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--task flying: unknown. Choose one of .*segmentation"):
        transfer(space, tmp_path / "run", config=CONFIG.replace(task="flying"))


def test_weights_of_another_stage_are_not_a_model(depth_tokenizer: Path) -> None:
    with pytest.raises(UserError, match=r"not a transferred model. Give the run folder of `tst transfer`"):
        load_model(depth_tokenizer / "tokenizer.safetensors")
