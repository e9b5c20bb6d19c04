"""Numerics against a slow reference written here from the specification: loops, einsum, masks (True = masked)."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from slow_reference import TEST, decoder_blocks, dense, encoder_blocks, patch_of
from torch import Tensor

from tst.errors import UserError
from tst.model import (
    Encoder,
    FourM,
    ModalitySpec,
    fill_shared,
    layer_decay_groups,
    load_encoder,
    load_fourm,
    model_state,
    parameter_groups,
)
from tst.model.blocks import DropPath, EncoderBlock
from tst.model.embeddings import patchify, sincos_1d, sincos_2d
from tst.model.fourm import decays
from tst.model.sizes import Size

B = 3


def table() -> list[ModalitySpec]:
    return [
        ModalitySpec("rgb@32", "pixels", grid=(4, 4), patch=8, target=False),
        ModalitySpec("tok_rgb@32", "tokens", vocab=11, grid=(4, 4)),
        ModalitySpec("tok_depth@32", "tokens", vocab=7, grid=(2, 4)),
        ModalitySpec("tok_global", "global_tokens", vocab=5, grid=(2, 2)),
    ]


@pytest.fixture
def model() -> FourM:
    return make()


def make(**options: object) -> FourM:
    torch.manual_seed(0)
    model = FourM(TEST, table(), **options)  # type: ignore[arg-type]
    with torch.no_grad():  # initial values hide mistakes: ones, zeros, small embeddings
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def batch() -> dict[str, Tensor]:
    torch.manual_seed(1)
    inputs = {"rgb@32": torch.randn(B, 3, 32, 32)}
    for spec in table()[1:]:
        inputs[spec.name] = torch.randint(spec.vocab, (B, spec.num_tokens))
    return inputs


def choose(total: int, count: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(total, generator=generator)[:count] for _ in range(B)])


# The reference --------------------------------------------------------------------------------


def where(index: int, specs: list[ModalitySpec]) -> tuple[ModalitySpec, int]:
    for spec in specs:
        if index < spec.num_tokens:
            return spec, index
        index -= spec.num_tokens
    raise AssertionError(index)


def reference(
    state: dict[str, Tensor], inputs: dict[str, Tensor], input_index: Tensor, target_index: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Encoder features, and losses by modality."""
    ins = [spec for spec in table() if spec.input]
    outs = [spec for spec in table() if spec.target]
    features, terms = [], {}
    for b in range(len(input_index)):
        content, emb = [], []
        for index in input_index[b].tolist():
            spec, position = where(index, ins)
            prefix = f"encoder_embeddings.{spec.name}."
            if spec.kind == "pixels":
                content.append(state[prefix + "proj.weight"] @ patch_of(inputs[spec.name][b], spec, position))
            else:
                content.append(state[prefix + "token_emb.weight"][inputs[spec.name][b, position]])
            emb.append(state[prefix + "pos_emb"][0, position] + state[prefix + "mod_emb"][0, 0])
        x = torch.stack(content) + torch.stack(emb)
        registers = state["register_tokens"][0] if "register_tokens" in state else x[:0]
        x = torch.cat([registers, x])
        x = encoder_blocks(state, x)
        features.append(x[len(registers) :])
        context = dense(state, "decoder_proj_context", x) + torch.cat([torch.zeros_like(registers), torch.stack(emb)])

        chosen = [where(index, outs) for index in target_index[b].tolist()]
        y = torch.stack(
            [
                state["mask_token"][0, 0]
                + state[f"decoder_embeddings.{spec.name}.pos_emb"][0, position]
                + state[f"decoder_embeddings.{spec.name}.mod_emb"][0, 0]
                for spec, position in chosen
            ]
        )
        masked = torch.tensor([[one.name != other.name for other, _ in chosen] for one, _ in chosen])
        y = decoder_blocks(state, y, context, masked)
        for (spec, position), vector in zip(chosen, y, strict=True):
            logits = state[f"decoder_embeddings.{spec.name}.to_logits.weight"] @ vector
            terms.setdefault(spec.name, []).append(-logits.log_softmax(-1)[inputs[spec.name][b, position]])
    return torch.stack(features), {name: torch.stack(values).mean() for name, values in terms.items()}


OPTIONS = [{}, {"family": "gelu"}, {"qk_norm": True, "tie_logits": False}, {"num_register_tokens": 2}]


@pytest.mark.parametrize("options", OPTIONS, ids=["swiglu", "gelu", "qk_norm", "registers"])
def test_forward_against_the_reference(options: dict[str, object]) -> None:
    model, inputs = make(**options).double(), batch()
    inputs["rgb@32"] = inputs["rgb@32"].double()
    index, targets = choose(44, 15), choose(28, 12, 3)
    features, losses = reference(model.state_dict(), inputs, index, targets)
    torch.testing.assert_close(model.encode(inputs, index), features)
    output = model(inputs, inputs, index, targets, loss_only=False, return_logits=True)
    losses = {name: loss.float() for name, loss in losses.items()}  # the model's cross-entropy is float32, always
    torch.testing.assert_close(output.losses, losses)
    torch.testing.assert_close(output.loss, torch.stack(list(losses.values())).mean())
    assert sum(output.counts.values()) == B * 12
    for name in output.losses:
        assert output.logits[name].shape[0] == output.counts[name]
        guess = output.logits[name].argmax(-1) == output.labels[name]
        torch.testing.assert_close(output.accuracy[name], guess.float().mean())


def test_everything_that_should_learns_and_in_the_same_direction(model: FourM) -> None:
    model, inputs = model.double(), batch()
    inputs["rgb@32"] = inputs["rgb@32"].double()
    index, targets = choose(44, 15), choose(28, 12, 3)
    model(inputs, inputs, index, targets).loss.backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    idle = [name for name, grad in ours.items() if grad is None]
    assert idle == [], idle
    state = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    model.zero_grad()
    _, losses = reference(state, inputs, index, targets)
    torch.stack(list(losses.values())).mean().backward()
    torch.testing.assert_close(ours, {name: parameter.grad for name, parameter in model.named_parameters()})


def test_no_index_takes_all_tokens_of_what_is_given(model: FourM) -> None:
    inputs = batch()
    del inputs["tok_rgb@32"]
    index = torch.cat([torch.arange(16), torch.arange(32, 44)]).expand(B, -1)
    torch.testing.assert_close(model.encode(inputs), model.encode(inputs, index))
    assert model.encode(inputs).shape == (B, 28, 128)


def test_the_order_of_the_index_is_the_order_of_the_output(model: FourM) -> None:
    inputs, index = batch(), choose(44, 15)
    swap = torch.randperm(15)
    torch.testing.assert_close(model.encode(inputs, index)[:, swap], model.encode(inputs, index[:, swap]))


def test_targets_do_not_see_targets_of_other_modalities(model: FourM) -> None:
    inputs, index = batch(), choose(44, 15)
    both = torch.cat([torch.arange(3), torch.arange(16, 20)]).expand(B, -1)
    together = model(inputs, inputs, index, both).losses["tok_rgb@32"]
    alone = model(inputs, inputs, index, both[:, :3]).losses["tok_rgb@32"]
    torch.testing.assert_close(together, alone)


def test_loss_counts_only_modalities_that_have_targets(model: FourM) -> None:
    inputs, index = batch(), choose(44, 15)
    output = model(inputs, inputs, index, torch.arange(5).expand(B, -1))
    assert output.counts == {"tok_rgb@32": 5 * B}
    torch.testing.assert_close(output.loss, output.losses["tok_rgb@32"])


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_GPU)])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_bfloat16_is_close_to_float32(device: str, qk_norm: bool) -> None:
    model = make(qk_norm=qk_norm).to(device)
    inputs = {name: value.to(device) for name, value in batch().items()}
    index, targets = choose(44, 15), choose(28, 12, 3)  # on the CPU: allowed, and faster
    exact = model(inputs, inputs, index, targets)
    with torch.autocast(device, torch.bfloat16):
        rough = model(inputs, inputs, index.to(device), targets.to(device))
        with torch.no_grad():
            still = model(inputs, inputs, index, targets)
    assert rough.loss.dtype == torch.float32
    torch.testing.assert_close(rough.loss, exact.loss, rtol=0.03, atol=0.03)
    torch.testing.assert_close(still.loss, exact.loss, rtol=0.03, atol=0.03)
    exact.loss.backward()
    expected = model.encoder[0].attn.qkv.weight.grad.clone()
    model.zero_grad()
    rough.loss.backward()
    got = model.encoder[0].attn.qkv.weight.grad
    assert F.cosine_similarity(got.flatten(), expected.flatten(), dim=0) > 0.98


def test_what_is_not_there_is_refused(model: FourM) -> None:
    inputs = batch()
    index, targets = choose(44, 15), choose(28, 12)
    with pytest.raises(AssertionError, match=r"outside 0\.\.43"):
        model.encode(inputs, index + 40)
    with pytest.raises(AssertionError, match="not given"):
        model.encode({"rgb@32": inputs["rgb@32"]}, index)
    with pytest.raises(AssertionError, match="not inputs of this model"):
        model.encode({"rgb@64": inputs["rgb@32"]})
    with pytest.raises(AssertionError, match=r"rgb@32: got"):
        model.encode({"rgb@32": inputs["rgb@32"][..., :16]})
    with pytest.raises(AssertionError, match="not given"):
        model(inputs, {}, index, targets)
    vectors = ModalitySpec("t5_caption", "sequence_embedding", channels=5, max_length=6, target=False)
    with pytest.raises(NotImplementedError, match="t5_caption"):
        FourM(TEST, [*table(), vectors]).encode({"t5_caption": torch.zeros(B, 6, 5)})


def test_mistakes_in_the_table_are_named() -> None:
    with pytest.raises(UserError, match="more than once"):
        FourM(TEST, [*table(), table()[1]])
    with pytest.raises(UserError, match="no modality is a target"):
        FourM(TEST, table()[:1])
    with pytest.raises(UserError, match="no modality is an input"):
        Encoder(TEST, [ModalitySpec("tok_x", "tokens", vocab=3, grid=(1, 1), input=False)])
    with pytest.raises(UserError, match="nano"):
        FourM("huge", table())
    with pytest.raises(UserError, match="gelu"):
        FourM(TEST, table(), family="relu")  # type: ignore[arg-type]
    for wrong in (
        {"name": "a.b", "kind": "tokens", "vocab": 3, "grid": (1, 1)},
        {"name": "rgb", "kind": "pixels", "grid": (1, 1)},
        {"name": "x", "kind": "tokens", "grid": (1, 1)},
        {"name": "x", "kind": "tokens", "vocab": 3},
        {"name": "x", "kind": "words", "vocab": 3, "grid": (1, 1)},
        {"name": "x", "kind": "tokens", "vocab": 3, "grid": (1, 1), "input": False, "target": False},
    ):
        with pytest.raises(UserError, match=str(wrong["name"])):
            ModalitySpec(**wrong)  # type: ignore[arg-type]


# Embeddings --------------------------------------------------------------------------------


def test_sincos_2d_is_4ms_on_square_grids() -> None:
    h = w = 3
    grid_w, grid_h = torch.meshgrid(torch.arange(w), torch.arange(h), indexing="ij")  # width first: 4M's trap
    omega = torch.tensor([1 / 10_000 ** (j / 4) for j in range(4)])
    angle_w, angle_h = grid_w.reshape(-1, 1) * omega, grid_h.reshape(-1, 1) * omega
    expected = torch.cat([angle_w.sin(), angle_w.cos(), angle_h.sin(), angle_h.cos()], 1)[None]
    torch.testing.assert_close(sincos_2d(h, w, 16), expected)


def test_sincos_2d_keeps_the_geometry_of_other_grids() -> None:
    square, wide = sincos_2d(5, 5, 16).view(5, 5, 16), sincos_2d(2, 5, 16).view(2, 5, 16)
    torch.testing.assert_close(wide, square[:2])


def test_sincos_1d() -> None:
    emb = sincos_1d(6, 8)[0]
    for position in range(6):
        angles = [position / 10_000 ** (j / 4) for j in range(4)]
        expected = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
        torch.testing.assert_close(emb[position], expected)


def test_patches_are_channel_last_and_fit_a_convolution() -> None:
    x = torch.randn(2, 3, 16, 24)
    weight = torch.randn(5, 8 * 8 * 3)
    kernel = weight.view(5, 8, 8, 3).permute(0, 3, 1, 2)
    expected = F.conv2d(x, kernel, stride=8).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patchify(x, 8) @ weight.T, expected, rtol=1e-4, atol=1e-4)


def test_initial_values() -> None:
    torch.manual_seed(0)
    model = FourM("nano", table())
    state = model.state_dict()
    for name, parts, inside in (("encoder.0.attn.qkv", 3, 192), ("decoder.0.cross_attn.kv", 2, 192)):
        limit = math.sqrt(6 / (192 + inside))  # of each of q, k, v by itself
        assert limit * 0.99 < state[f"{name}.weight"].abs().max() <= limit
        assert state[f"{name}.weight"].shape[0] == parts * 192
    assert abs(state["decoder_embeddings.tok_rgb@32.token_emb.weight"].std() - 0.02) < 0.002
    assert abs(state["mask_token"].std() - 0.02) < 0.005
    assert not state["decoder_proj_context.bias"].any()


def test_drop_path() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    y = drop(x)
    assert ((y == 0) | (y - 1 / 0.75).abs().lt(1e-6)).all()
    assert (y == y[:, :1, :1]).all()  # whole samples
    assert abs((y[:, 0, 0] == 0).float().mean() - 0.25) < 0.03
    assert drop.eval()(x) is x
    encoder = Encoder("nano", table(), drop_path=0.2)
    rates = [block.drop_path.rate for block in encoder.encoder if isinstance(block, EncoderBlock)]
    assert rates == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.2])


# Checkpoints --------------------------------------------------------------------------------


def test_rgb_encoder_gives_the_same_features(model: FourM) -> None:
    rgb = {"rgb@32": batch()["rgb@32"]}
    encoder = model.rgb_encoder(drop_path=0.1).eval()
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"encoder_embeddings", "encoder", "encoder_norm"}
    torch.testing.assert_close(encoder(rgb), model.encode(rgb))
    assert encoder(rgb).shape == (B, 16, 128)
    with torch.no_grad():
        encoder.encoder_norm.weight.zero_()
    assert model.encoder_norm.weight.any()  # a copy


def test_load_encoder_reports_and_refuses(model: FourM) -> None:
    state = model.state_dict()
    encoder = Encoder(TEST, table()[:1])
    report = load_encoder(encoder, state)
    assert report.missing == ()
    assert "mask_token" in report.unexpected
    assert "encoder_embeddings.tok_rgb@32.token_emb.weight" in report.unexpected

    other = ModalitySpec("tok_new@32", "tokens", vocab=3, grid=(2, 2))
    report = load_encoder(Encoder(TEST, [table()[0], other]), state)
    names = ("mod_emb", "pos_emb", "token_emb.weight")
    assert report.missing == tuple(f"encoder_embeddings.tok_new@32.{name}" for name in names)

    with pytest.raises(UserError, match=r"missing encoder.2.norm1.weight"):
        load_encoder(Encoder(Size("deep", 128, 2, 3, 2), table()[:1]), state)
    with pytest.raises(UserError, match=r"unknown encoder.1.norm1.weight"):
        load_encoder(Encoder(Size("shallow", 128, 2, 1, 2), table()[:1]), state)
    with pytest.raises(UserError, match=r"encoder_embeddings.rgb@32.mod_emb: the weights have shape \(1, 1, 128\)"):
        load_encoder(Encoder(Size("wide", 192, 3, 2, 2), table()[:1]), state)
    with pytest.raises(UserError, match="register_tokens"):
        load_encoder(Encoder(TEST, table()[:1], num_register_tokens=1), state)


def test_load_encoder_at_another_resolution(model: FourM) -> None:
    large = ModalitySpec("rgb@48", "pixels", grid=(6, 6), patch=8, target=False)
    encoder = Encoder(TEST, [large])
    positions = encoder.encoder_embeddings["rgb@48"].pos_emb.clone()
    assert load_encoder(encoder, model.state_dict(), rename={"rgb@32": "rgb@48"}).missing == ()
    embedding = encoder.encoder_embeddings["rgb@48"]
    torch.testing.assert_close(embedding.proj.weight, model.encoder_embeddings["rgb@32"].proj.weight)
    torch.testing.assert_close(embedding.pos_emb, positions)
    with pytest.raises(UserError, match="rgb@64"):
        load_encoder(encoder, model.state_dict(), rename={"rgb@64": "rgb@48"})


@pytest.mark.parametrize("tied", [True, False])
def test_a_file_without_the_second_name_of_shared_tensors(tied: bool, tmp_path: Path) -> None:
    model = make(tie_logits=tied)
    save_file(model_state(model), tmp_path / "model.safetensors")
    state = load_file(tmp_path / "model.safetensors")
    assert ("decoder_embeddings.tok_rgb@32.to_logits.weight" in state) != tied
    for side in ("encoder", "decoder"):
        less = {n: v for n, v in state.items() if n != f"{side}_embeddings.tok_rgb@32.mod_emb"}
        again = FourM(TEST, table(), tie_logits=tied)
        load_fourm(again, less)
        torch.testing.assert_close(again.state_dict(), model.state_dict())
    assert "decoder_embeddings.rgb@32.mod_emb" not in fill_shared(state)  # rgb has no decoder side
    with pytest.raises(UserError, match="missing mask_token"):
        load_fourm(model, {n: v for n, v in state.items() if n != "mask_token"})


# Groups of parameters --------------------------------------------------------------------------------


def test_weight_decay_follows_4ms_rule() -> None:
    specs = [*table(), ModalitySpec("tok_normal@32", "tokens", vocab=3, grid=(2, 2))]
    model = FourM(TEST, specs, family="gelu", qk_norm=True, num_register_tokens=1)
    for name, parameter in model.named_parameters():
        spared = "norm." in name or ".norm" in name or name.endswith((".bias", ".gamma"))
        assert decays(name, parameter) != spared, name
    groups = parameter_groups(model, 0.05)
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    torch.optim.AdamW(groups, lr=1e-3)


def test_layer_decay_groups(model: FourM) -> None:
    head = torch.nn.Sequential(torch.nn.Linear(128, 4), torch.nn.LayerNorm(4))
    encoder = model.rgb_encoder()
    encoder.encoder[0].attn.proj.weight.requires_grad_(False)
    groups = layer_decay_groups(encoder, head, 1.0, 0.05, 0.5)
    of = {id(p): group for group in groups for p in group["params"]}
    assert len(of) == sum(len(group["params"]) for group in groups)
    trained = [p for p in (*encoder.parameters(), *head.parameters()) if p.requires_grad]
    assert set(of) == {id(p) for p in trained}

    def rate(parameter: Tensor) -> tuple[float, float]:
        group = of[id(parameter)]
        assert group["lr"] == group["lr_scale"]
        return group["lr"], group["weight_decay"]

    assert rate(head[0].weight) == (1.0, 0.05)
    assert rate(head[1].weight) == (1.0, 0.0)
    assert rate(encoder.encoder_norm.weight) == (1.0, 0.0)
    assert rate(encoder.encoder[1].mlp.fc1.weight) == (0.5, 0.05)
    assert rate(encoder.encoder[0].norm1.weight) == (0.25, 0.0)
    assert rate(encoder.encoder_embeddings["rgb@32"].proj.weight) == (0.125, 0.05)
    inside = {id(p) for group in layer_decay_groups(model, None, 1.0, 0.05, 0.5) for p in group["params"]}
    assert id(model.mask_token) not in inside
