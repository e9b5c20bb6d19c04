"""Vision transformers of timm, through its own code, which resamples positions: features are timm's at every size.

Shape suffixes: B batch, H height, W width, N tokens of the grid, D width of the model.
"""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from tst.backbones.base import About, Backbone, Source
from tst.backbones.hub import fetch, load_strict, need, read
from tst.errors import UserError
from tst.licences import UNKNOWN, licence_of

UNUSED = r"(head|head_dist|fc_norm|attn_pool|mask_token)\b"


def read_timm(name: str, *, download: bool) -> Source:
    """Weights of the model that timm calls `name`, from the hub's local cache, or those of FILE in `NAME@FILE`.

    Raises:
        UserError: timm knows no such model, or its weights are not on this machine.
    """
    timm = need("timm")
    name, _, file = name.partition("@")
    if not timm.is_model(name.partition(".")[0]):
        near = ", ".join(timm.list_models(f"*{name.partition('.')[0][:14]}*")[:3]) or "vit_small_patch14_dinov2"
        raise UserError(f"timm:{name}: timm {timm.__version__} has no such model. Similar ones: {near}.")
    if file:
        source = read(Path(file))
    else:
        published = timm.get_pretrained_cfg(name)
        if published is None or not published.hf_hub_id:
            raise UserError(f"timm:{name}: timm publishes no weights of it. Give a file: timm:{name}@FILE.")
        tag = f".{published.tag}" if published.tag else ""
        repository = published.hf_hub_id
        if repository.endswith("/"):  # the name of the model is to be put after it
            repository += f"{published.architecture}{tag}"
        source = read(fetch(f"timm:{name}", repository, download=download))
    config = source.config if "architecture" in source.config else {"architecture": name}
    return Source(source.path, f"timm:{name}", source.state, source.metadata, config)


class TimmViT(Backbone):
    """A vision transformer of timm."""

    family = "timm"

    def __init__(self, about: About, model: Any, made: dict[str, Any]) -> None:
        super().__init__(about)
        self.model, self.made = model, made
        self.patch, self.width = int(model.patch_embed.patch_size[0]), int(model.num_features)

    @classmethod
    def accepts(cls, source: Source) -> bool:
        """By the `architecture` of its config."""
        return "architecture" in source.config

    @classmethod
    def from_source(cls, source: Source) -> Self:
        """With the weights of `source`; classifiers are passed over."""
        made = {"architecture": source.config["architecture"], "arguments": source.config.get("model_args", {})}
        try:
            model = _make(made)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise UserError(
                f"{source.path}: {made['architecture']} is no vision transformer that timm can make "
                f"({str(error).splitlines()[0][:100]}). Choose a vit_*, deit_* or eva* model."
            ) from None
        load_strict(model, source.state, source.path, unused=UNUSED)
        told = {**model.pretrained_cfg, **source.config.get("pretrained_cfg", {})}
        licence = licence_of(source.path, str(told.get("license") or UNKNOWN))
        return cls(About(source.name, licence, tuple(told["mean"]), tuple(told["std"])), model, made)

    @classmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """By the name that timm knows it by."""
        return cls(about, _make(spec["made"]), spec["made"])

    def own_spec(self) -> dict[str, Any]:
        """The name that timm knows it by, and its arguments."""
        return {"made": self.made}

    @property
    def blocks(self) -> nn.ModuleList:
        """The blocks of the transformer."""
        return self.model.blocks

    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens after the last norm, (B, N, D)."""
        return self.model.forward_features(x_B3HW)[:, self.model.num_prefix_tokens :]


def _make(made: dict[str, Any]) -> Any:
    model = need("timm").create_model(
        made["architecture"], pretrained=False, num_classes=0, dynamic_img_size=True, **made["arguments"]
    )
    if not hasattr(model, "num_prefix_tokens") or not hasattr(model, "blocks"):
        raise TypeError("it has no blocks or no tokens")
    if not torch.cuda.is_available():
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False  # plain products: see hub.attention_kind
    return model
