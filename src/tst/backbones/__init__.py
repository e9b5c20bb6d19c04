"""Backbones: image encoders that others trained, behind one interface; one file a family, which registers itself."""

from pathlib import Path
from typing import Any

from tst.backbones.base import About, Backbone, Source
from tst.backbones.hub import locate, read
from tst.errors import UserError
from tst.licences import tell
from tst.registry import classes_in


def _registry() -> dict[str, type[Backbone]]:
    found: dict[str, type[Backbone]] = {}
    for kind in classes_in(__name__, Backbone):
        assert kind.family not in found, f"two families are called {kind.family}"
        found[kind.family] = kind
    return found


FAMILIES: dict[str, type[Backbone]] = {}


def load(spec: str | Path, *, name: str | None = None, download: bool = False) -> Backbone:
    """A pre-trained backbone in evaluation mode; its licence is told on standard error.

    Args:
        spec: a folder or file of weights (transformers, timm, ImageBind, 4M, the authors' own files of DINOv2 and MAE,
            a run folder of `tst pretrain`); a known name (`tst.backbones.names`) or `timm:NAME`, whose weights must be
            in the hub's local cache; or `timm:NAME@FILE` for weights of timm without a config beside them.
        name: what to call it; by default what `spec` says.
        download: fetch weights that are not on this machine.

    Raises:
        UserError: nothing is there, it would need a download, the file is damaged or a pickle that could run code, it
            is of no known family, or its weights do not fit its config.
    """
    text = str(spec)
    if text.startswith("timm:"):
        from tst.backbones.timm_vit import read_timm

        source = read_timm(text.removeprefix("timm:"), download=download)
    else:
        source = read(locate(text, download=download))
    if name or not Path(text).exists():
        source = Source(source.path, name or text.partition("@")[0], source.state, source.metadata, source.config)
    for family in FAMILIES.values():
        if family.accepts(source):
            backbone = family.from_source(source).eval()
            tell(backbone.name, backbone.licence)
            return backbone
    what = source.config.get("model_type") or source.config.get("architecture")
    kind = f"a {what}" if what else f"weights such as {', '.join(sorted(source.state)[:2])}"
    raise UserError(
        f"{source.path}: {kind}, which is no image encoder known here. Give a ViT of transformers (DINOv2, DINOv3, "
        "CLIP, SigLIP, MAE, ViT, SAM) or timm, ImageBind, 4M, or a run of tst pretrain."
    )


def rebuild(spec: dict[str, Any]) -> Backbone:
    """The backbone that `Backbone.spec` described, with random weights.

    Raises:
        UserError: this version has no such family, or a library is not installed.
    """
    spec = dict(spec)
    family, about = spec.pop("family"), spec.pop("about")
    if family not in FAMILIES:
        raise UserError(f"backbone family {family!r}: unknown to this version of tst. Install a newer one.")
    about = About(about["name"], about["licence"], tuple(about["mean"]), tuple(about["std"]))
    return FAMILIES[family].from_spec(about, spec)


__all__ = ["FAMILIES", "About", "Backbone", "Source", "load", "rebuild"]

FAMILIES.update(_registry())
