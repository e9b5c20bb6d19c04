"""Sequences from a model, token by token: the captions and boxes of an image.

Shape letters: B batch, L tokens, V vocabulary.
"""

import torch
from torch import Tensor

from tst.errors import UserError
from tst.model.fourm import FourM
from tst.sequences.text import EOS, FIRST_SENTINEL, PAD, SENTINELS

START = FIRST_SENTINEL + 1
"""[S_1]: in a sequence that is masked from its beginning, all of it is the first span."""


@torch.no_grad()
def generate(
    model: FourM,
    inputs: dict[str, Tensor],
    name: str,
    max_length: int | None = None,
    *,
    top_p: float = 0.0,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Guess a whole sequence from inputs of which it is none.

    The inputs are encoded once. Every token then runs the decoder over all tokens before it: no keys are kept, which
    would pay from some hundred tokens on.

    Args:
        inputs: by name, as `FourM.encode` takes them.
        name: a target modality that is a sequence.
        max_length: tokens at most; by default as many as the modality can have.
        top_p: nucleus sampling among the likeliest tokens that together have this probability (4M uses 0.8 or so);
            0 takes the likeliest one, always.
        temperature: of the sampling; below 1 the likely ones become likelier.
        generator: of the sampling, on the CPU.

    Returns:
        Ids (B, L) int64 on the CPU, up to and with [EOS], then [PAD].

    Raises:
        UserError: the model has no such target, or no decoder to see the inputs by.
    """
    spec = next((spec for spec in model.modalities if spec.name == name and spec.kind == "sequence"), None)
    if spec is None or name not in model.target_slices:
        texts = [item.name for item in model.modalities if item.kind == "sequence" and item.target]
        raise UserError(f"{name}: not a sequence that this model predicts ({', '.join(texts) or 'it has none'}).")
    if not len(model.decoder):
        raise UserError(f"{name}: the model has no decoder, so it cannot tell sequences. Pre-train with one.")
    context = model.contextualise(inputs)
    batch = len(context.tokens)
    ids_BL = torch.full((batch, 1), START, device=model.device)
    ended_B = torch.zeros(batch, dtype=torch.bool, device=model.device)
    for _ in range(min(max_length or spec.num_tokens, spec.num_tokens)):
        logits_BV = model.continue_sequence(context, name, ids_BL)
        # What is not of the sequence itself cannot follow: padding, other sentinels.
        logits_BV[:, PAD] = float("-inf")
        logits_BV[:, FIRST_SENTINEL : FIRST_SENTINEL + SENTINELS] = float("-inf")
        next_B = _choose(logits_BV, top_p, temperature, generator)
        ids_BL = torch.cat([ids_BL, torch.where(ended_B, PAD, next_B)[:, None]], 1)
        ended_B |= next_B == EOS
        if bool(ended_B.all()):
            break
    return ids_BL[:, 1:].cpu()


def _choose(logits_BV: Tensor, top_p: float, temperature: float, generator: torch.Generator | None) -> Tensor:
    """One token a sample, (B,)."""
    if not top_p:
        return logits_BV.argmax(-1)
    share_BV, token_BV = (logits_BV / temperature).softmax(-1).sort(-1, descending=True)
    share_BV[share_BV.cumsum(-1) - share_BV > top_p] = 0  # the likeliest one always stays
    place_B1 = torch.multinomial(share_BV.cpu(), 1, generator=generator).to(token_BV.device)
    return token_BV.gather(1, place_B1)[:, 0]
