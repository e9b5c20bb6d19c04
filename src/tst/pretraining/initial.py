"""What pre-training starts from, or learns from: a 4M checkpoint, a ViT, or a run of our own, told apart by content."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tst.errors import UserError
from tst.licences import tell
from tst.modalities import MODALITIES
from tst.model.checkpoints import is_4m, parse_4m
from tst.model.fourm import Encoder
from tst.model.from_vit import parse_vit
from tst.model.pretrained import Pretrained
from tst.model.sizes import Size, get_size
from tst.model.weights import read_config, read_weights
from tst.pretraining.batches import model_table
from tst.sequences import SEQUENCES


def read_initial(path: Path) -> Pretrained:
    """Weights of any kind that an encoder of ours can hold; their licences are told on standard error.

    Args:
        path: a run folder of `tst pretrain`, a 4M checkpoint, or a ViT's folder or file.

    Raises:
        UserError: it is none of them, or cannot be read.
    """
    path = Path(path)
    state, metadata = read_weights(path)
    pretrained = parse(path, state, metadata, read_config(path))
    for item in pretrained.licences:
        tell(item["what"], item["licence"])
    return pretrained


def parse(path: Path, state: dict[str, Tensor], metadata: dict[str, str], config: dict[str, Any]) -> Pretrained:
    """Weights that were read from `path`, told apart by what they hold.

    Args:
        metadata: of the safetensors file.
        config: of the `config.json` beside it.

    Raises:
        UserError: they are of no kind that an encoder of ours can hold.
    """
    if "tst" in metadata:
        return _of_run(path, state, json.loads(metadata["tst"]))
    if is_4m(state):
        return parse_4m(path, state, {**config, **metadata})
    return parse_vit(path, state)


def architecture(encoder: Encoder) -> dict[str, Any]:
    """What an encoder like this is built with, for a run's metadata: size, options, patch of the pixels."""
    size = encoder.size
    patches = [spec.patch for spec in encoder.modalities if spec.kind == "pixels"]
    return {"size": vars(size), "options": encoder.options, "patch": patches[0]}


def same_tokens(pretrained: Pretrained, keys: Mapping[str, str]) -> list[str]:
    """Stems of the token modalities whose ids mean what they meant to `pretrained` (for `initialise`).

    Args:
        keys: content key of each tokenizer in use (`tokenizer_key`; of sequences the text tokenizer's), by modality.
    """
    stems = _by_stem(keys)
    return [stem for stem, key in stems.items() if pretrained.tokenizers.get(stem) == key]


def _by_stem(keys: Mapping[str, str]) -> dict[str, str]:
    return {name if name in SEQUENCES else MODALITIES[name].token_name: key for name, key in keys.items()}


def _built_with(metadata: dict[str, Any]) -> tuple[Size, dict[str, Any], int]:
    known = metadata.get("encoder")
    if known is None:  # a run from before encoders could be of other kinds
        return get_size(metadata["size"]), {}, 16
    return Size(**known["size"]), known["options"], known["patch"]


def _of_run(path: Path, state: dict[str, Tensor], metadata: dict[str, Any]) -> Pretrained:
    if "vocabularies" not in metadata:
        raise UserError(f"{path}: is a run, but not of pre-training. Give the run folder of `tst pretrain`.")
    size, options, patch = _built_with(metadata)
    resolution = metadata["resolution"]
    texts = {name: metadata["text_tokenizer"] for name in metadata["vocabularies"] if name in SEQUENCES}
    return Pretrained(
        path=path,
        kind="tst",
        size=size,
        options=options,
        modalities=tuple(model_table(metadata["vocabularies"], resolution, patch)),
        state=state,
        licences=tuple(metadata.get("licences", ())),
        tokenizers=_by_stem({**metadata.get("tokenizers", {}), **texts}),
    )
