"""Adaptation: where pre-training starts from, what stays still, and what stays near; exact resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from world import CONFIG, World, run

from specified_models import DEPTH, PATCH, VIT_DIM, as_safetensors, written_by_specification
from tst.errors import UserError
from tst.files import read_json
from tst.model.from_vit import read_vit
from tst.presets import preset
from tst.pretraining.adaptation import AdaptConfig, cosine_distance
from tst.pretraining.batches import Batch, BatchMaker
from tst.pretraining.initial import read_initial
from tst.pretraining.pretrain import PretrainConfig, load_pretrained
from tst.runs import read_metrics, save_tensors


def adapting(vit: Path, **changes: Any) -> PretrainConfig:
    """Without a decoder, as on a CPU."""
    config = CONFIG.replace(init=vit, decoder_depth=0, all_to_all=False, steps=4)
    return config.replace(**{"adapt": {"frozen_steps": 2}, **changes})


def initial_part(weights: dict[str, Tensor], vit: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each initial weight: what it was, and what it is."""
    state = read_vit(vit).state
    before = {name.replace("rgb@42", "rgb@32"): value for name, value in state.items() if not name.endswith("pos_emb")}
    return {name: (value, weights[name]) for name, value in before.items()}


def test_while_frozen_only_the_new_parts_learn(world: World, vit: Path, tmp_path: Path) -> None:
    out = run(world, tmp_path / "run", adapting(vit, adapt={"frozen_steps": 4}))
    weights, _ = load_pretrained(out)
    assert all(before.equal(after) for before, after in initial_part(weights, vit).values())
    start, _ = load_pretrained(run(world, tmp_path / "start", adapting(vit, steps=1, optim={"lr": 1e-12})))
    name = "decoder_embeddings.tok_depth@32.token_emb.weight"
    assert not torch.allclose(weights[name], start[name])
    thawed, _ = load_pretrained(run(world, tmp_path / "thawed", adapting(vit)))
    moved = [name for name, (before, after) in initial_part(thawed, vit).items() if not before.equal(after)]
    assert {"encoder.0.attn.qkv.weight", "register_tokens", "encoder_embeddings.rgb@32.proj.weight"} <= set(moved)


def test_layers_near_the_input_learn_slower(world: World, vit: Path, tmp_path: Path) -> None:
    config = adapting(vit, adapt={"frozen_steps": 0, "layer_decay": 0.1}, optim={"weight_decay": 0.0, "clip": 0.0})
    weights, _ = load_pretrained(run(world, tmp_path / "run", config))
    moved = {name: (after - before).abs().max() for name, (before, after) in initial_part(weights, vit).items()}
    # Adam moves every weight by about the learning rate, which falls by 10 from layer to layer.
    first, second = moved["encoder.0.mlp.fc1.weight"], moved["encoder.1.mlp.fc1.weight"]
    assert 5 < second / first < 20 and 5 < first / moved["register_tokens"] < 20


def test_a_killed_adaptation_resumes_to_the_weights_of_one_that_was_not(
    world: World, vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the frozen phase, and again after it."""
    config = adapting(vit, steps=7, adapt={"frozen_steps": 3, "preserve": 1.0}, optim={"checkpoint_every": 1})
    whole = run(world, tmp_path / "whole", config)
    draw, left = BatchMaker.draw, [0]

    def draws_until_killed(self: BatchMaker, generator: torch.Generator) -> Batch:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return draw(self, generator)

    for steps in (2, 3):
        left[0] = steps
        with monkeypatch.context() as patch:
            patch.setattr(BatchMaker, "draw", draws_until_killed)
            with pytest.raises(KeyboardInterrupt):
                run(world, tmp_path / "killed", config)
    resumed = run(world, tmp_path / "killed", config)
    expected, found = load_pretrained(whole)[0], load_pretrained(resumed)[0]
    assert expected.keys() == found.keys() and all(value.equal(found[name]) for name, value in expected.items())


@pytest.mark.parametrize("all_to_all", [False, True])
def test_preserving_keeps_the_features_near_the_originals(
    all_to_all: bool, world: World, vit: Path, tmp_path: Path
) -> None:
    """With all RGB visible the features are those of the step; with a mixture a pass of their own."""
    original = read_vit(vit).rgb_encoder((2, 2))
    pixels = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    distances = []
    for preserve in (0.0, 30.0):
        config = adapting(
            vit,
            steps=30,
            all_to_all=all_to_all,
            adapt={"frozen_steps": 0, "preserve": preserve, "lr": 1.0, "layer_decay": 1.0},
            optim={"lr": 3e-3},
        )
        out = run(world, tmp_path / f"{preserve}", config)
        encoder = read_initial(out).rgb_encoder()
        with torch.no_grad():
            distances.append(float(cosine_distance(encoder({"rgb@32": pixels}), original({"rgb@42": pixels}))))
        told = [row["preserve"] for row in read_metrics(out / "metrics.jsonl") if "preserve" in row]
        assert len(told) == (30 if preserve else 0)
        assert not told or (told[0] < 1e-5 < told[-1])  # the step's features are the original's before any step
    assert distances[1] < distances[0] / 3


def test_what_it_started_from_is_recorded_and_its_licence_told(
    world: World, vit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(world, tmp_path / "run", adapting(vit))
    _, metadata = load_pretrained(out)
    assert metadata["init"]["kind"] == "dinov2" and metadata["init"]["key"] == read_vit(vit).key
    assert metadata["licences"] == read_json(out / "provenance.json")["licences"]
    assert metadata["licences"][0]["licence"] == "Apache-2.0" in capsys.readouterr().err
    config = read_json(out / "config.json")
    assert config["config"]["init"] == str(vit) and config["inputs"]["init"] == metadata["init"]["key"]
    assert metadata["encoder"]["patch"] == PATCH and metadata["encoder"]["size"]["mlp_hidden"] == 64


def test_the_encoder_of_a_run_is_built_from_its_metadata(world: World, vit: Path, tmp_path: Path) -> None:
    for config in (adapting(vit), CONFIG):
        out = run(world, tmp_path / f"{config.init is None}", config)
        weights, metadata = load_pretrained(out)
        state = read_initial(out).rgb_encoder().state_dict()
        assert all(value.equal(weights[name]) for name, value in state.items())
    del metadata["encoder"]  # a run from before encoders could be of other kinds
    save_tensors(tmp_path / "old" / "model.safetensors", weights, metadata)
    old = read_initial(tmp_path / "old")
    assert old.size.name == "nano" and old.rgb_encoder().state_dict().keys() == state.keys()


def test_an_adapted_run_is_started_from_again(world: World, vit: Path, tmp_path: Path) -> None:
    """Tables of ids are taken over: the tokenizers are the same; at another grid learned positions are resampled."""
    first = run(world, tmp_path / "first", adapting(vit))
    still = adapting(first, adapt={"frozen_steps": 1}, optim={"lr": 1e-12}, steps=1)
    before, after = load_pretrained(first)[0], load_pretrained(run(world, tmp_path / "second", still))[0]
    assert before.keys() == after.keys()
    assert all(torch.allclose(value, after[name], atol=1e-9) for name, value in before.items())
    again = read_initial(first)
    assert again.kind == "tst" and again.licences == read_initial(vit).licences
    assert again.rgb_encoder((3, 3)).encoder_embeddings["rgb@32"].pos_emb.shape == (1, 9, VIT_DIM)


def test_tables_of_another_tokenizers_ids_start_fresh(world: World, vit: Path, tmp_path: Path) -> None:
    first = run(world, tmp_path / "first", adapting(vit))
    again = read_initial(first)
    assert set(again.tokenizers) == {"tok_rgb", "tok_depth", "tok_normal", "tok_canny_edge"}
    others = World(world.space, world.labelled, {**world.tokenizers, "depth": tmp_path / "depth"})
    save_changed(world.tokenizers["depth"], others.tokenizers["depth"])
    still = adapting(first, adapt={"frozen_steps": 1}, optim={"lr": 1e-12}, steps=1, seed=1)
    before, after = load_pretrained(first)[0], load_pretrained(run(others, tmp_path / "second", still))[0]
    changed = {name for name in before if not torch.allclose(before[name], after[name], atol=1e-9)}
    assert changed == {f"{side}_embeddings.tok_depth@32.token_emb.weight" for side in ("encoder", "decoder")}


def save_changed(folder: Path, other: Path) -> None:
    from tst.tokenizers.train import load_tokenizer, save_tokenizer

    tokenizer = load_tokenizer(folder)
    with torch.no_grad():
        tokenizer.proj.weight.mul_(1.01)
    save_tokenizer(other / "tokenizer.safetensors", tokenizer)


def test_a_run_that_is_not_of_pre_training_is_refused(tmp_path: Path, world: World) -> None:
    (tmp_path / "model.safetensors").write_bytes((world.tokenizers["rgb"] / "tokenizer.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"is a run, but not of pre-training"):
        read_initial(tmp_path)


def test_a_4m_checkpoint_is_adapted_with_its_decoder(world: World, tmp_path: Path) -> None:
    state = written_by_specification()
    path = as_safetensors(tmp_path, state)
    still = CONFIG.replace(init=path, decoder_depth=None, local_context=False, steps=1, optim={"lr": 1e-12})
    weights, metadata = load_pretrained(run(world, tmp_path / "run", still))
    assert metadata["decoder_depth"] == DEPTH and "non-commercial" in metadata["licences"][0]["licence"]
    taken = ("encoder.1.mlp.fc3.weight", "decoder.1.cross_attn.kv.weight", "decoder_proj_context.bias", "mask_token")
    assert all(torch.allclose(weights[name], state[name], atol=1e-9) for name in taken)
    shared = "encoder_embeddings.tok_depth@{}.mod_emb"
    assert torch.allclose(weights[shared.format(32)], state[shared.format(224)], atol=1e-9)


def test_the_papers_hyper_parameters_for_4m() -> None:
    config = preset("paper").adaptation
    tokens = config.steps * config.optim.batch_size * sum(config.budgets(1))
    assert abs(tokens / 100e9 - 1) < 1e-3
    assert config.optim.lr == pytest.approx(5e-5 * 4096 / 256) and config.adapt == AdaptConfig(
        lr=1.0, layer_decay=1.0, frozen_steps=0
    )
