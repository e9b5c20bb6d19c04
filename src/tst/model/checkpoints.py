"""4M-21 and 4M-7 checkpoints, as Apple and EPFL publish them or as their training script writes them.

Everything is read off the names and shapes (docs/model.md says which); of the config beside them only the number of
heads is used. The weights are for non-commercial use, and so is what is derived from them.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tst.errors import UserError
from tst.model.embeddings import SEQUENCE_ROWS
from tst.model.fourm import FourM, check_state, fill_shared, load_fourm
from tst.model.pretrained import Pretrained
from tst.model.sizes import Family, Size
from tst.model.table import FOURM_21, ModalitySpec
from tst.model.weights import read_config, read_weights

LICENCE = {
    "licence": "Sample Code License v1.1 (EPFL, Apple): non-commercial use only",
    "note": "what is adapted from these weights may be used and passed on non-commercially only, with this notice",
}
KNOWN = {spec.name: spec for spec in FOURM_21}


def is_4m(state: dict[str, Tensor]) -> bool:
    """Whether weights have 4M's names."""
    return "mask_token" in state and any(name.startswith("encoder_embeddings.") for name in state)


def read_4m(path: Path) -> Pretrained:
    """A 4M checkpoint with all its modalities.

    Args:
        path: `.safetensors` (options in its metadata), `.pth` (a state dict, or the training script's with `model`), or
            a folder as `huggingface_hub` downloads it.

    Raises:
        UserError: it is not 4M's, lacks weights or has more, or cannot be read.
    """
    path = Path(path)
    state, metadata = read_weights(path)
    return parse_4m(path, state, {**read_config(path), **metadata})


def parse_4m(path: Path, state: dict[str, Tensor], config: dict[str, Any]) -> Pretrained:
    """`read_4m` of what was already read."""
    if not is_4m(state):
        raise UserError(f"{path}: not a 4M checkpoint ({_some(list(state))}). Give another file.")
    if "encoder.0.norm1.weight" not in state:
        raise UserError(f"{path}: lacks encoder.0.norm1.weight. The checkpoint is not whole; download it again.")
    state = fill_shared(state)
    dim = state["encoder.0.norm1.weight"].shape[0]
    hidden = state.get("encoder.0.mlp.fc1.weight")
    family: Family = "swiglu_nobias" if "encoder.0.mlp.fc3.weight" in state else "gelu"
    size = Size(
        name=f"4M {dim}",
        dim=dim,
        heads=_heads(config, dim, path),
        encoder_depth=_depth(state, "encoder"),
        decoder_depth=_depth(state, "decoder"),
        mlp_hidden=0 if hidden is None else hidden.shape[0],
    )
    registers = state.get("register_tokens")
    options: dict[str, Any] = {
        "family": family,
        "qk_norm": "encoder.0.attn.q_norm.weight" in state,
        "num_register_tokens": 0 if registers is None else registers.shape[1],
    }
    names = dict.fromkeys(name.split(".")[1] for name in state if re.match(r"(en|de)coder_embeddings\.", name))
    ordered = [*(name for name in KNOWN if name in names), *(name for name in names if name not in KNOWN)]
    modalities = tuple(_spec(path, state, name) for name in ordered)
    with torch.device("meta"):
        model = FourM(size, modalities, **options)
    try:
        check_state(model, state)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    licence = {"what": f"4M weights {path.name}", **LICENCE}
    return Pretrained(path, "4M", size, options, modalities, state, (licence,))


def build_4m(pretrained: Pretrained) -> FourM:
    """The whole encoder-decoder of a 4M checkpoint."""
    state = pretrained.state
    tied = all(
        state[name].equal(state[name.replace(".to_logits.", ".token_emb.")])
        for name in state
        if name.endswith(".to_logits.weight") and name.replace(".to_logits.", ".token_emb.") in state
    )
    shared = all(
        value.equal(state[twin])
        for name, value in state.items()
        if name.startswith("encoder_embeddings.") and name.endswith(".mod_emb")
        if (twin := name.replace("encoder_", "decoder_", 1)) in state
    )
    model = FourM(
        pretrained.size,
        pretrained.modalities,
        **pretrained.options,
        tie_logits=tied,
        share_modality_embeddings=shared,
    )
    load_fourm(model, state)
    return model


def _heads(config: dict[str, Any], dim: int, path: Path) -> int:
    given = str(config.get("num_heads", ""))  # a safetensors file's metadata holds strings
    heads = int(given) if given.isdigit() else dim // 64  # every published 4M has heads of 64 channels
    if heads < 1 or dim % heads:
        raise UserError(f"{path}: {heads} heads do not divide a width of {dim}. Correct num_heads in its config.")
    return heads


def _depth(state: dict[str, Tensor], side: str) -> int:
    numbers = [int(name.split(".")[1]) for name in state if re.match(rf"{side}\.\d+\.", name)]
    return max(numbers, default=-1) + 1


def _spec(path: Path, state: dict[str, Tensor], name: str) -> ModalitySpec:
    """The row of the modality table that the tensors of one modality stand for."""

    def tensor(what: str) -> Tensor | None:
        found = state.get(f"encoder_embeddings.{name}.{what}")
        return state.get(f"decoder_embeddings.{name}.{what}") if found is None else found

    proj, emb_proj, table, positions = (
        tensor(what) for what in ("proj.weight", "emb_proj.weight", "token_emb.weight", "pos_emb")
    )
    if positions is None or (proj is None and emb_proj is None and table is None):
        raise UserError(f"{path}: the tensors of modality {name} are not whole. Download the checkpoint again.")
    count = positions.shape[1]
    side = round(count**0.5)
    known = KNOWN.get(name)
    input_ = any(key.startswith(f"encoder_embeddings.{name}.") for key in state)
    target = any(key.startswith(f"decoder_embeddings.{name}.") for key in state)
    if proj is not None:
        patch = round((proj.shape[1] / 3) ** 0.5)
        return ModalitySpec(name, "pixels", grid=(side, side), patch=patch, target=False)
    if emb_proj is not None:
        length = known.max_length if known else count
        return ModalitySpec(name, "sequence_embedding", channels=emb_proj.shape[1], max_length=length, target=False)
    assert table is not None
    vocab = table.shape[0]
    if count == SEQUENCE_ROWS:
        length = known.max_length if known else SEQUENCE_ROWS
        return ModalitySpec(name, "sequence", vocab=vocab, max_length=length, input=input_, target=target)
    if side * side != count:
        raise UserError(f"{path}: modality {name} has {count} positions, no square grid. Use a published model.")
    return ModalitySpec(
        name,
        "global_tokens" if known and known.kind == "global_tokens" else "tokens",
        vocab=vocab,
        grid=(side, side),
        patch=known.patch if known else 16,
        input=input_,
        target=target,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
