"""Local context: a target starts from what is visible at its own position."""

import pytest
import torch
from torch import Tensor, nn

from tst.errors import UserError
from tst.model import FourM, ModalitySpec
from tst.model.sizes import Size

TEST = Size("test", 128, 2, 2, 2)
B, N, INPUTS, TARGETS = 3, 16, 9, 12


def table(depth_grid: tuple[int, int] = (4, 4)) -> list[ModalitySpec]:
    return [
        ModalitySpec("rgb@32", "pixels", grid=(4, 4), patch=8, target=False),
        ModalitySpec("tok_rgb@32", "tokens", vocab=11, grid=(4, 4)),
        ModalitySpec("tok_depth@32", "tokens", vocab=7, grid=depth_grid),
    ]


def make(*, local_context: bool, registers: int = 0) -> FourM:
    torch.manual_seed(0)
    model = FourM(TEST, table(), local_context=local_context, num_register_tokens=registers)
    with torch.no_grad():  # initial values hide mistakes: a context of nearly nothing
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def batch() -> tuple[dict[str, Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = {"rgb@32": torch.randn(B, 3, 32, 32, generator=generator)}
    for spec in table()[1:]:
        inputs[spec.name] = torch.randint(spec.vocab, (B, N), generator=generator)

    def choose(total: int, count: int) -> Tensor:
        return torch.stack([torch.randperm(total, generator=generator)[:count] for _ in range(B)])

    return inputs, choose(3 * N, INPUTS), choose(2 * N, TARGETS)


def reference(x_BID: Tensor, input_index_BI: Tensor, target_index_BT: Tensor) -> tuple[Tensor, Tensor]:
    """By a plain loop: the mean at each target's position, and whether anything is visible there."""
    mean = torch.zeros(B, TARGETS, x_BID.shape[-1])
    visible = torch.zeros(B, TARGETS, dtype=torch.bool)
    for b in range(B):
        for t in range(TARGETS):
            position = int(target_index_BT[b, t]) % N
            found = [x_BID[b, i] for i in range(INPUTS) if int(input_index_BI[b, i]) % N == position]
            if found:
                mean[b, t], visible[b, t] = torch.stack(found).mean(0), True
    return mean, visible


def decoder_input(model: FourM) -> tuple[Tensor, Tensor]:
    """What the first decoder block gets, and the encoder's output as the decoder sees it."""
    seen: dict[str, Tensor] = {}

    def keep_input(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen["x"] = arguments[0]

    def keep_output(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        seen["context"] = output

    model.decoder[0].register_forward_pre_hook(keep_input)
    model.decoder_proj_context.register_forward_hook(keep_output)
    inputs, input_index, target_index = batch()
    with torch.no_grad():
        model(inputs, inputs, input_index, target_index)
    return seen["x"], seen["context"]


def test_the_mean_at_each_position_agrees_with_a_plain_loop() -> None:
    _, input_index, target_index = batch()
    x = torch.randn(B, INPUTS, TEST.dim, generator=torch.Generator().manual_seed(2))
    expected, visible = reference(x, input_index, target_index)
    counts = [torch.bincount(row % N).max() for row in input_index]
    assert visible.any() and not visible.all() and max(counts) > 1, "the sample shows all three cases"
    torch.testing.assert_close(make(local_context=True)._at_positions(x, input_index, target_index), expected)


@pytest.mark.parametrize("registers", [0, 2])
def test_a_target_gets_the_context_visible_at_its_place_and_elsewhere_the_mask_token_alone(registers: int) -> None:
    local, context = decoder_input(make(local_context=True, registers=registers))
    plain, same_context = decoder_input(make(local_context=False, registers=registers))
    assert torch.equal(context, same_context)
    _, input_index, target_index = batch()
    expected, visible = reference(context[:, registers:], input_index, target_index)
    torch.testing.assert_close((local - plain)[visible], expected[visible], rtol=1e-4, atol=1e-5)
    assert expected[visible].abs().mean() > 0.01
    assert torch.equal(local[~visible], plain[~visible])


def test_it_has_no_weights_of_its_own() -> None:
    with_it, without = (make(local_context=value).state_dict() for value in (True, False))
    assert {name: value.shape for name, value in with_it.items()} == {n: v.shape for n, v in without.items()}


@pytest.mark.parametrize("local_context", [True, False])
def test_gradients_reach_the_encoder_by_it_alone(local_context: bool) -> None:
    model = make(local_context=local_context)
    model.decoder = nn.ModuleList()  # no cross-attention: nothing but the local context is left
    inputs, input_index, target_index = batch()
    model(inputs, inputs, input_index, target_index).loss.backward()
    reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.encoder.parameters()]
    assert all(reached) if local_context else not any(reached)


def test_unequal_grids_are_refused_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"one grid for all modalities. Set it to False"):
        FourM(TEST, table(depth_grid=(2, 4)), local_context=True)
    FourM(TEST, table(depth_grid=(2, 4)), local_context=False)
