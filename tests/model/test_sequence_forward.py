"""Sequences in the model, against a slow 4M written here from its description: masks, shifts, compressed attention."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from slow_reference import TEST, decoder_blocks, dense, encoder_blocks, patch_of
from torch import Tensor

from tst.errors import UserError
from tst.model import FourM, ModalitySpec
from tst.model.checkpoints import build_4m, parse_4m
from tst.model.generation import generate
from tst.sequences.text import EOS, FIRST_SENTINEL, PAD, SENTINELS

B, LENGTH, VOCAB = 3, 8, FIRST_SENTINEL + SENTINELS + 30
TABLE = [
    ModalitySpec("rgb@32", "pixels", grid=(4, 4), patch=8, target=False),
    ModalitySpec("caption", "sequence", vocab=VOCAB, max_length=LENGTH),  # among the others: order must not matter
    ModalitySpec("tok_depth@32", "tokens", vocab=7, grid=(4, 4)),
    ModalitySpec("det", "sequence", vocab=VOCAB, max_length=LENGTH),
]
# How many tokens of each sequence a sample shows, and how many it is to predict (the first is given).
SHOWN = {"caption": [3, 0, 8], "det": [2, 5, 0]}
TOLD = {"caption": [4, 9, 1], "det": [3, 2, 6]}


def make(**options: Any) -> FourM:
    torch.manual_seed(0)
    model = FourM(TEST, TABLE, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs and targets; sequences padded."""
    generator = torch.Generator().manual_seed(1)
    inputs = {"rgb@32": torch.randn(B, 3, 32, 32, generator=generator)}
    inputs["tok_depth@32"] = torch.randint(7, (B, 16), generator=generator)
    targets = {"tok_depth@32": inputs["tok_depth@32"]}
    for name in ("caption", "det"):
        for part, lengths, size in ((inputs, SHOWN, LENGTH), (targets, TOLD, LENGTH + 1)):
            ids = torch.randint(1, VOCAB, (B, size), generator=generator)
            there = torch.arange(size) < torch.tensor(lengths[name])[:, None]
            part[name] = torch.where(there, ids, PAD)
    return inputs, targets


IMAGE_IN = [[0, 5, 15], [1, 2], [7, 3, 4, 9]]
DEPTH_IN, DEPTH_OUT = [[3], [4, 5], []], [[7, 5], [6], [0, 1, 15]]


def padded(rows: list[list[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])


def indices(model: FourM, *, shuffled: bool = False) -> tuple[Tensor, Tensor]:
    ins, outs = model.input_slices, model.target_slices
    shown, told = [], []
    for b in range(B):
        shown.append(
            [ins["rgb@32"].start + n for n in IMAGE_IN[b]]
            + [ins["caption"].start + n for n in range(SHOWN["caption"][b])]
            + [ins["tok_depth@32"].start + n for n in DEPTH_IN[b]]
            + [ins["det"].start + n for n in range(SHOWN["det"][b])]
        )
        told.append(
            [outs["tok_depth@32"].start + n for n in DEPTH_OUT[b]]
            + [outs["caption"].start + n for n in range(TOLD["caption"][b] - 1)]
            + [outs["det"].start + n for n in range(TOLD["det"][b] - 1)]
        )
    if shuffled:
        for row in (*shown, *told):
            row[:] = [row[i] for i in torch.randperm(len(row)).tolist()]
    return padded(shown), padded(told)


def reference(state: dict[str, Tensor], inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean cross-entropy by modality. One sample at a time, so that nothing is padded."""
    terms: dict[str, list[Tensor]] = {}
    for b in range(B):
        content, emb = [], []

        def add(name: str, x: Tensor, position: int, content: list[Tensor] = content, emb: list[Tensor] = emb) -> None:
            prefix = f"encoder_embeddings.{name}."
            content.append(x)
            emb.append(state[prefix + "pos_emb"][0, position] + state[prefix + "mod_emb"][0, 0])

        for position in IMAGE_IN[b]:
            weight = state["encoder_embeddings.rgb@32.proj.weight"]
            add("rgb@32", weight @ patch_of(inputs["rgb@32"][b], TABLE[0], position), position)
        for position in DEPTH_IN[b]:
            table = state["encoder_embeddings.tok_depth@32.token_emb.weight"]
            add("tok_depth@32", table[inputs["tok_depth@32"][b, position]], position)
        for name in ("caption", "det"):
            for position in range(SHOWN[name][b]):
                table = state[f"encoder_embeddings.{name}.token_emb.weight"]
                add(name, table[inputs[name][b, position]], position)
        x = torch.stack(content) + torch.stack(emb)
        registers = state["register_tokens"][0] if "register_tokens" in state else x[:0]
        x = torch.cat([registers, x])
        x = encoder_blocks(state, x)
        context = dense(state, "decoder_proj_context", x) + torch.cat([torch.zeros_like(registers), torch.stack(emb)])

        # Decoder tokens, labels, modality, and 4M's compressed attention mask.
        y, labels, kinds, compressed = [], [], [], []
        for n, position in enumerate(sorted(DEPTH_OUT[b])):
            prefix = "decoder_embeddings.tok_depth@32."
            y.append(
                state["mask_token"][0, 0] + state[prefix + "pos_emb"][0, position] + state[prefix + "mod_emb"][0, 0]
            )
            labels.append(targets["tok_depth@32"][b, position])
            kinds.append("tok_depth@32")
            compressed.append(len(DEPTH_OUT[b]) if n == 0 else 0)
        for name in ("caption", "det"):
            prefix = f"decoder_embeddings.{name}."
            ids = targets[name][b, : TOLD[name][b]]
            for position, (given, label) in enumerate(pairwise(ids)):
                y.append(
                    state[prefix + "token_emb.weight"][given]
                    + state[prefix + "pos_emb"][0, position]
                    + state[prefix + "mod_emb"][0, 0]
                )
                labels.append(label)
                kinds.append(name)
                compressed.append(1)
        reach = torch.tensor(compressed).cumsum(0)
        order = torch.arange(len(kinds))
        other = torch.tensor([[one != two for two in kinds] for one in kinds])
        masked = (order[None] >= reach[:, None]) | other
        z = torch.stack(y)
        z = decoder_blocks(state, z, context, masked)
        for kind, label, vector in zip(kinds, labels, z, strict=True):
            logits = state[f"decoder_embeddings.{kind}.to_logits.weight"] @ vector
            terms.setdefault(kind, []).append(-logits.log_softmax(-1)[label])
    return {name: torch.stack(values).mean().float() for name, values in terms.items()}


OPTIONS = [{}, {"family": "gelu"}, {"qk_norm": True, "tie_logits": False}, {"num_register_tokens": 2}]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=["swiglu", "gelu", "qk_norm", "registers"])
def test_sequences_of_any_length_agree_with_4m_sample_by_sample(options: dict[str, Any], shuffled: bool) -> None:
    model = make(**options).double()
    inputs, targets = batch()
    inputs["rgb@32"] = inputs["rgb@32"].double()
    index, target_index = indices(model, shuffled=shuffled)
    output = model(inputs, targets, index, target_index, loss_only=False)
    expected = reference(model.state_dict(), inputs, targets)
    assert output.losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(output.losses[name], value)
    assert output.counts == {"caption": 3 + 8, "det": 2 + 1 + 5, "tok_depth@32": 6}


def test_gradients_agree_and_reach_both_tables() -> None:
    model = make().double()
    inputs, targets = batch()
    inputs["rgb@32"] = inputs["rgb@32"].double()
    model(inputs, targets, *indices(model)).loss.backward()
    ours = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in ours.values())
    model.zero_grad()
    state = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    torch.stack(list(reference(state, inputs, targets).values())).mean().backward()
    torch.testing.assert_close(ours, {name: parameter.grad for name, parameter in model.named_parameters()})


def test_a_prediction_does_not_see_what_follows() -> None:
    model = make()
    inputs, targets = batch()
    index, target_index = indices(model)
    before = model(inputs, targets, index, target_index, return_logits=True).logits["caption"]
    changed = targets["caption"].clone()
    changed[1, 5:] = 17  # sample 1 predicts from its tokens 0 to 7
    after = model(inputs, targets | {"caption": changed}, index, target_index, return_logits=True).logits["caption"]
    torch.testing.assert_close(before[: 3 + 5], after[: 3 + 5])
    assert not torch.allclose(before[3 + 5 :], after[3 + 5 :], atol=1e-3)


def test_padding_changes_nothing() -> None:
    model = make()
    inputs, targets = batch()
    index, target_index = indices(model)
    more = torch.cat([torch.full((B, 2), -1), index, torch.full((B, 3), -1)], 1)
    more_targets = torch.cat([target_index, torch.full((B, 4), -1)], 1)
    torch.testing.assert_close(
        model(inputs, targets, more, more_targets).losses, model(inputs, targets, index, target_index).losses
    )
    with pytest.raises(AssertionError, match="nothing but padding"):
        model.encode(inputs, torch.tensor([[0, 1], [2, 3], [-1, -1]]))


def test_without_an_index_all_of_a_text_is_seen_and_its_padding_is_not() -> None:
    model = make()
    inputs, _ = batch()
    given = {"rgb@32": inputs["rgb@32"], "caption": inputs["caption"]}
    features = model.encode(given)
    for b, length in enumerate(SHOWN["caption"]):
        index = torch.arange(16 + length)[None]  # rgb, then caption
        alone = model.encode({name: value[b : b + 1] for name, value in given.items()}, index)
        torch.testing.assert_close(features[b, : 16 + length], alone[0])


def test_local_context_gives_sequences_nothing() -> None:
    inputs, targets = batch()
    outputs = {}
    for local in (False, True):
        model = make(local_context=local)
        outputs[local] = model(inputs, targets, *indices(model)).losses
    for name in ("caption", "det"):
        torch.testing.assert_close(outputs[True][name], outputs[False][name])
    assert not torch.allclose(outputs[True]["tok_depth@32"], outputs[False]["tok_depth@32"])


def test_local_context_of_images_is_the_same_as_without_sequences() -> None:
    model = make(local_context=True)
    index = torch.tensor([[0, 5, 15, 24 + 5, 24 + 3]])  # of rgb and depth; the caption's 8 lie between
    target_index = torch.tensor([[8 + 5, 8 + 2, 8 + 3]])
    x = torch.randn(1, 5, TEST.dim)
    found = model._at_positions(x, index, target_index)
    torch.testing.assert_close(found[0, 0], (x[0, 1] + x[0, 3]) / 2)
    assert not found[0, 1].any()
    torch.testing.assert_close(found[0, 2], x[0, 4])


def test_a_4m_checkpoint_takes_captions() -> None:
    options = {"tie_logits": False, "share_modality_embeddings": True}
    original = make(**options)
    again = build_4m(parse_4m_of(original)).eval()
    specs = {spec.name: spec for spec in again.modalities}
    assert specs["caption"].kind == "sequence" and specs["caption"].max_length == 256
    words = torch.zeros(B, 256, dtype=torch.long)
    words[:, :5] = torch.randint(1, VOCAB, (B, 5))
    inputs = {"caption": words}
    expected = original.encode({"caption": words[:, :LENGTH]})
    torch.testing.assert_close(again.encode(inputs)[:, :5], expected[:, :5])


def parse_4m_of(model: FourM) -> Any:
    from pathlib import Path

    return parse_4m(Path("4M.safetensors"), dict(model.state_dict()), {"num_heads": TEST.heads})


# Generation --------------------------------------------------------------------------------


def by_hand(model: FourM, inputs: dict[str, Tensor], length: int) -> Tensor:
    """Greedy, with the whole model at each token."""
    ids = torch.full((B, 1), FIRST_SENTINEL + 1)
    start = model.target_slices["det"].start
    for n in range(length):
        targets = {"det": torch.nn.functional.pad(ids, (0, LENGTH + 1 - ids.shape[1]))}
        index = (start + torch.arange(n + 1)).expand(B, -1)
        whole = torch.arange(16).expand(B, -1)
        logits = model(inputs, targets, whole, index, return_logits=True).logits["det"].view(B, n + 1, -1)[:, -1]
        logits[:, [PAD, *range(FIRST_SENTINEL, FIRST_SENTINEL + SENTINELS)]] = -torch.inf
        ids = torch.cat([ids, logits.argmax(-1)[:, None]], 1)
    return ids[:, 1:]


def test_greedy_generation_is_the_model_step_by_step() -> None:
    model = make()
    inputs = {"rgb@32": batch()[0]["rgb@32"]}
    expected = by_hand(model, inputs, LENGTH)
    ended = torch.zeros(B, dtype=torch.bool)
    for n in range(LENGTH):
        expected[ended, n] = PAD
        ended |= expected[:, n] == EOS
    assert torch.equal(generate(model, inputs, "det"), expected)
    assert torch.equal(generate(model, inputs, "det", 3), expected[:, :3])


def test_it_stops_where_the_sequence_ends() -> None:
    model = make()
    with torch.no_grad():
        model.decoder_embeddings["det"].to_logits.weight.zero_()
        model.decoder_embeddings["det"].to_logits.weight[EOS] = model.decoder_norm.weight
    inputs = {"rgb@32": batch()[0]["rgb@32"]}
    model.decoder_norm.bias.data.fill_(1.0)
    assert generate(model, inputs, "det").shape[1] < LENGTH or (generate(model, inputs, "det") == EOS).any()


def test_sampling_follows_the_generator_and_a_small_nucleus_is_greedy() -> None:
    model = make()
    inputs = {"rgb@32": batch()[0]["rgb@32"]}

    def sample(seed: int, top_p: float) -> Tensor:
        return generate(model, inputs, "caption", top_p=top_p, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(sample(0, 0.95), sample(0, 0.95))
    first, second = sample(0, 1.0), sample(1, 1.0)
    assert first.shape != second.shape or not torch.equal(first, second)
    assert torch.equal(sample(0, 1e-9), generate(model, inputs, "caption"))


def test_what_cannot_be_told_is_named() -> None:
    model = make()
    inputs = {"rgb@32": batch()[0]["rgb@32"]}
    with pytest.raises(UserError, match=r"tok_depth@32: not a sequence that this model predicts \(caption, det\)"):
        generate(model, inputs, "tok_depth@32")
    with pytest.raises(UserError, match=r"max_length is 600. Give 512 at most"):
        FourM(TEST, [TABLE[0], ModalitySpec("caption", "sequence", vocab=9, max_length=600)])
