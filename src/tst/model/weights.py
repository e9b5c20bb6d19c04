"""Read weights that others wrote (safetensors, shards, a pickle of nothing but tensors) and the config beside them."""

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from tst.errors import UserError

PICKLES = (".pth", ".pt", ".bin")
INDEX = "model.safetensors.index.json"


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Named tensors of a file or of a model folder (floats as float32), and a safetensors file's metadata.

    Args:
        path: a `.safetensors`, `.pth`, `.pt` or `.bin` file, or a folder with `model.safetensors` (whole or in shards)
            or `pytorch_model.bin`.

    Raises:
        UserError: nothing is there, the file is damaged, or it is a pickle of more than tensors.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path}: not found, and nothing is downloaded unasked. Give a folder or file, such as "
            f"`hf download facebook/dinov2-small --local-dir dinov2-small` makes."
        )
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for file in _files(path):
        more, about = _read_pickle(file) if file.suffix in PICKLES else _read_safetensors(file)
        tensors |= more
        metadata |= about
    if not tensors:
        raise UserError(f"{path}: holds no tensors. Give the weights of a model.")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}, metadata


def read_config(path: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON object in the folder `path`, or beside the file `path`; empty if there is none.

    Raises:
        UserError: it is not a JSON object.
    """
    file = (path if path.is_dir() else path.parent) / name
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not text
        raise UserError(f"{file}: not valid JSON ({error}). Copy it again from its source.") from None
    if not isinstance(config, dict):
        raise UserError(f"{file}: holds a {type(config).__name__}, not an object. Copy it again from its source.")
    return config


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix not in (".safetensors", *PICKLES):
            raise UserError(f"{path}: not a weights file. Give .safetensors, {', '.join(PICKLES)} or a folder.")
        return [path]
    if (path / INDEX).is_file():
        shards = read_config(path, INDEX).get("weight_map", {})
        return [path / name for name in sorted(set(shards.values()))]
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return [path / name]
    raise UserError(f"{path}: holds no model.safetensors. Give the folder of a model, or a weights file.")


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{file}: not found, though the index names it. Download the model again.") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{file}: damaged weights file ({error}). Download it again.") from None


def _read_pickle(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        # Training scripts put their options beside the weights; a Namespace can hold nothing that runs.
        with torch.serialization.safe_globals([argparse.Namespace]):
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:80] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{file}: cannot be loaded as plain tensors: damaged, or a pickle that could run code ({reason}). "
            "Download it again, or convert it to safetensors where you trust it."
        ) from None
    for key in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise UserError(f"{file}: holds a {type(loaded).__name__}, not named tensors. Give a model's weights.")
    return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}, {}
