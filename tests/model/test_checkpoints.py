"""4M checkpoints, against a tiny one written by its specification (names, shapes, traps), and what is refused."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from specified_models import DEPTH, HEADS, SIDE, STREAMS, D, as_safetensors, positions, written_by_specification
from tst.errors import UserError
from tst.model import FourM, ModalitySpec
from tst.model.checkpoints import build_4m, read_4m
from tst.model.pretrained import initialise


def reference_features(state: dict[str, Tensor], image_3HW: Tensor) -> Tensor:
    """4M's RGB encoder by its specification."""
    patches = [
        image_3HW[:, y : y + 16, x : x + 16].permute(1, 2, 0).flatten()  # channel last inside a patch
        for y in range(0, image_3HW.shape[1], 16)
        for x in range(0, image_3HW.shape[2], 16)
    ]
    embedding = "encoder_embeddings.rgb@224."
    x = torch.stack(patches) @ state[embedding + "proj.weight"].T
    x = x + state[embedding + "pos_emb"][0] + state[embedding + "mod_emb"][0]

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (D,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    for i in range(DEPTH):
        block = f"encoder.{i}."
        q, k, v = (norm(block + "norm1", x) @ state[block + "attn.qkv.weight"].T).chunk(3, -1)
        heads = []
        for head in range(HEADS):
            part = slice(head * D // HEADS, (head + 1) * D // HEADS)
            weights = (q[:, part] @ k[:, part].T * (D // HEADS) ** -0.5).softmax(-1)
            heads.append(weights @ v[:, part])
        x = x + torch.cat(heads, -1) @ state[block + "attn.proj.weight"].T
        y = norm(block + "norm2", x)
        gate = F.silu(y @ state[block + "mlp.fc1.weight"].T) * (y @ state[block + "mlp.fc3.weight"].T)
        x = x + gate @ state[block + "mlp.fc2.weight"].T
    return norm("encoder_norm", x)


def as_training_script(folder: Path, state: dict[str, Tensor]) -> Path:
    path = folder / "checkpoint-final.pth"
    options = argparse.Namespace(model="fm_tiny", lr=1e-4)
    torch.save({"model": state, "epoch": 3, "args": options, "scaler": {}}, path)
    (folder / "config.json").write_text(json.dumps({"num_heads": HEADS}))
    return path


def as_folder(folder: Path, state: dict[str, Tensor]) -> Path:
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_heads": HEADS, "domains_in": [*STREAMS]}))
    return folder


@pytest.mark.parametrize("write", [as_safetensors, as_training_script, as_folder])
def test_every_tensor_of_every_modality_arrives(write: Callable[..., Path], tmp_path: Path) -> None:
    state = written_by_specification()
    pretrained = read_4m(write(tmp_path, state))
    model = build_4m(pretrained)
    assert (pretrained.size.dim, pretrained.size.heads, pretrained.size.encoder_depth) == (D, HEADS, DEPTH)
    own = model.state_dict()
    assert own.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(own[name], value), name
    kinds = {spec.name: spec.kind for spec in pretrained.modalities}
    assert kinds == {
        "rgb@224": "pixels",
        "tok_rgb@224": "tokens",
        "tok_depth@224": "tokens",
        "tok_clip@224": "tokens",
        "caption": "sequence",
        "tok_dinov2_global": "global_tokens",
    }
    (licence,) = pretrained.licences
    assert "non-commercial" in licence["licence"]


def test_its_features_are_those_of_the_specification(tmp_path: Path) -> None:
    state = written_by_specification()
    encoder = read_4m(as_safetensors(tmp_path, state)).rgb_encoder()
    image = torch.randn(3, SIDE * 16, SIDE * 16)
    with torch.no_grad():
        found = encoder({"rgb@224": image[None]})[0]
    torch.testing.assert_close(found, reference_features(state, image), atol=1e-5, rtol=1e-5)


def test_shared_tensors_that_a_file_holds_once_are_filled_from_the_other_name(tmp_path: Path) -> None:
    state = written_by_specification()
    once = {
        name: value
        for name, value in state.items()
        if not (name.startswith("decoder_") and name.endswith(".mod_emb")) and not name.endswith(".to_logits.weight")
    }
    own = build_4m(read_4m(as_safetensors(tmp_path, once))).state_dict()
    assert own.keys() == state.keys()
    assert own["decoder_embeddings.caption.mod_emb"].equal(state["encoder_embeddings.caption.mod_emb"])
    table = own["decoder_embeddings.tok_rgb@224.token_emb.weight"]
    assert own["decoder_embeddings.tok_rgb@224.to_logits.weight"].equal(table)


def test_at_another_resolution_positions_are_counted_anew_and_tables_of_other_ids_stay_fresh(tmp_path: Path) -> None:
    pretrained = read_4m(as_safetensors(tmp_path, written_by_specification()))
    table = [
        ModalitySpec("rgb@64", "pixels", grid=(4, 4), target=False),
        ModalitySpec("tok_rgb@64", "tokens", vocab=11, grid=(4, 4)),
        ModalitySpec("tok_normal@64", "tokens", vocab=6, grid=(4, 4)),
    ]
    model = FourM(pretrained.size, table, **pretrained.options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learned = initialise(model, pretrained)
    own = model.state_dict()
    assert own["encoder_embeddings.rgb@64.pos_emb"].equal(positions(4))
    origin = pretrained.state["encoder_embeddings.tok_rgb@224.mod_emb"]
    assert own["encoder_embeddings.tok_rgb@64.mod_emb"].equal(origin)
    fresh = {
        "encoder_embeddings.tok_rgb@64.token_emb.weight",
        "decoder_embeddings.tok_rgb@64.token_emb.weight",
        "encoder_embeddings.tok_normal@64.mod_emb",
    }
    assert not learned & fresh and all(own[name].equal(before[name]) for name in fresh)
    assert {"decoder.1.cross_attn.kv.weight", "decoder_proj_context.bias", "mask_token"} <= learned
    with_ids = initialise(FourM(pretrained.size, table, **pretrained.options), pretrained, ["tok_rgb"])
    assert with_ids - learned == {
        "encoder_embeddings.tok_rgb@64.token_emb.weight",
        "decoder_embeddings.tok_rgb@64.token_emb.weight",
        "decoder_embeddings.tok_rgb@64.to_logits.weight",
    }


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {key: value for key, value in state.items() if key != name}


DAMAGE: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "a norm of the encoder is missing": (without("encoder.0.norm1.weight"), r"lacks encoder.0.norm1.weight"),
    "a weight of the decoder is missing": (without("decoder.1.mlp.fc2.weight"), r"missing decoder.1.mlp.fc2.weight"),
    "positions are missing": (without("encoder_embeddings.rgb@224.pos_emb"), r"modality rgb@224 are not whole"),
    "an extra name": (lambda state: {**state, "encoder.0.extra": torch.ones(1)}, r"unknown encoder.0.extra"),
    "another network": (lambda state: {"conv1.weight": torch.ones(2)}, r"not a 4M checkpoint \(conv1.weight\)"),
    "a shape": (
        lambda state: {**state, "decoder_norm.weight": torch.ones(3)},
        r"decoder_norm.weight: the weights have shape \(3,\)",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_not_whole_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    damage, message = DAMAGE[what]
    path = as_safetensors(tmp_path, damage(written_by_specification()))
    with pytest.raises(UserError, match=message) as refused:
        read_4m(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


class Evil:
    def __reduce__(self) -> Any:
        return print, ("ran",)


def test_a_pickle_that_could_run_code_is_refused_and_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model": written_by_specification(), "args": Evil()}, path)
    with pytest.raises(UserError, match=r"could run code .* convert it to safetensors") as refused:
        read_4m(path)
    assert "\n" not in str(refused.value) and "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cut.safetensors", "noise.safetensors", "cut.pth", "noise.pth", "empty.pth"])
def test_a_damaged_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("cut"):
        whole = (as_safetensors if path.suffix == ".safetensors" else as_training_script)(
            tmp_path, written_by_specification()
        )
        path.write_bytes(whole.read_bytes()[:5000])
    else:
        path.write_bytes(b"noise" * 300 if name.startswith("noise") else b"")
    with pytest.raises(UserError, match=r"damaged.*(D|d)ownload it again") as refused:
        read_4m(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EPFL-VILAB/4M-21_B", r"not found, and nothing is downloaded unasked"),
        ("empty", r"holds no model.safetensors"),
        ("notes.txt", r"not a weights file"),
    ],
)
def test_what_is_not_there_is_said(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=message):
        read_4m(tmp_path / name)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    path = as_safetensors(tmp_path, written_by_specification(), {"num_heads": "5"})
    with pytest.raises(UserError, match=r"5 heads do not divide a width of 32"):
        read_4m(path)
