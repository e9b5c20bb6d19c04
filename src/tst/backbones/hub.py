"""Where weights come from: a folder, the local cache of the Hugging Face hub, and only when asked for the hub itself.

Also how weights enter a model of transformers: strictly, since a silently random weight would be a silently bad result.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tst.backbones.base import Source
from tst.backbones.names import HUB
from tst.errors import UserError
from tst.model.weights import read_config, read_weights

WANTED = ("*.json", "*.safetensors", "README.md")


def need(library: str) -> Any:
    """Import an optional library.

    Raises:
        UserError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(library)
    except ImportError:
        package = library.partition(".")[0].replace("_", "-")
        raise UserError(f"{package}: is needed for this model and not installed. Run: pip install {package}.") from None


def locate(name: str, *, download: bool) -> Path:
    """Folder or file of weights: a local path, or a known name in the hub's local cache.

    Args:
        name: a path, or a name of `names.HUB`.
        download: fetch what is not in the cache.

    Raises:
        UserError: there is no such path or name, or it would need a download.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name not in HUB:
        raise UserError(
            f"{name}: no such file or folder, and not a known name. Give a path, timm:NAME, or one of {', '.join(HUB)}."
        )
    return fetch(name, HUB[name], download=download)


def fetch(name: str, repository: str, *, download: bool) -> Path:
    """The folder of a hub repository in the local cache, downloaded only if `download`."""
    hub = need("huggingface_hub")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=WANTED, local_files_only=not download))
    except Exception as error:
        if download:
            raise UserError(
                f"{name}: cannot be downloaded from {repository} ({_first_line(error)}). Try later."
            ) from None
        raise UserError(
            f"{name}: not on this machine, and nothing is downloaded unasked. Run "
            f"`hf download {repository} --local-dir {name}` and give that folder (NAME={name})."
        ) from None


def read(path: Path, name: str | None = None) -> Source:
    """The weights and the config at `path`.

    Raises:
        UserError: nothing is there, a file is damaged, or it is a pickle of more than tensors.
    """
    state, metadata = read_weights(path)
    return Source(path, name or path.stem, state, metadata, read_config(path))


def transformers_config(source: Source) -> Any:
    """The config of a model of transformers.

    Raises:
        UserError: the file has values that do not fit.
    """
    transformers = need("transformers")
    kind = source.config.get("model_type", "")
    if kind not in transformers.CONFIG_MAPPING:
        raise UserError(f"{source.path}: model type {kind!r} is unknown to transformers. Install a newer transformers.")
    try:
        return transformers.CONFIG_MAPPING[kind].from_dict(source.config)
    except Exception as error:  # any kind that a config class raises
        raise UserError(
            f"{source.path}: its config.json is not that of a {kind} ({_first_line(error)}). Copy it again."
        ) from None


def load_transformers(
    model_class: Any, config: Any, source: Source, *, unused: str = "$^", missing: str = "$^", **options: Any
) -> Any:
    """A model of transformers with the weights of `source`, in float32 and evaluation mode.

    Args:
        unused: pattern of the names that the weights may have beside the model's.
        missing: pattern of the names that may be missing and start at random.
        options: of the model's class.

    Raises:
        UserError: a weight is missing, unknown, or has another shape.
    """
    import torch

    logging = need("transformers").utils.logging
    shown, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, info = model_class.from_pretrained(
            None,
            config=config,
            state_dict=dict(source.state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            attn_implementation=attention_kind(model_class),
            **options,
        )
    finally:
        logging.set_verbosity(shown)
        if bars:
            logging.enable_progress_bar()
    shapes = [str(item[0]) for item in info["mismatched_keys"]]
    check_names(
        source.path,
        missing=[name for name in info["missing_keys"] if not re.match(missing, name)],
        unknown=[name for name in info["unexpected_keys"] if not re.match(unused, name)],
        shapes=[name for name in shapes if not re.match(missing, name)],
    )
    return model.eval()


def attention_kind(model_class: Any) -> str:
    """Plain products on a CPU, where they train a third faster in bfloat16 than torch's fused attention."""
    import torch

    return "sdpa" if torch.cuda.is_available() and getattr(model_class, "_supports_sdpa", False) else "eager"


def load_strict(model: nn.Module, state: dict[str, Tensor], path: Path, *, unused: str = "$^") -> None:
    """As `load_state_dict`, for any model; names that match `unused` are passed over.

    Raises:
        UserError: a weight is missing, unknown, or has another shape.
    """
    own = model.state_dict()
    given = {name: value for name, value in state.items() if name in own or not re.match(unused, name)}
    check_names(
        path,
        missing=[name for name in own if name not in given],
        unknown=[name for name in given if name not in own],
        shapes=[name for name in own if name in given and given[name].shape != own[name].shape],
    )
    model.load_state_dict(given)


def check_names(path: Path, *, missing: list[str], unknown: list[str], shapes: list[str]) -> None:
    """Refuse weights that do not fit.

    Raises:
        UserError: any of the lists has names.
    """
    found = [
        f"{len(names)} {what} ({', '.join(sorted(names)[:2])}{', ...' if len(names) > 2 else ''})"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if found:
        raise UserError(
            f"{path}: the weights do not fit the model that its config.json describes: {'; '.join(found)}. "
            "Download both again, from one place."
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:100] if text else type(error).__name__
