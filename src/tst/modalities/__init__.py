"""Modalities: one file each. A file in this folder that defines a `Modality` with a name registers itself."""

from tst.modalities.base import Modality
from tst.registry import classes_in


def _registry() -> dict[str, Modality]:
    found: list[Modality] = [kind() for kind in classes_in(__name__, Modality) if hasattr(kind, "name")]
    registry = {modality.name: modality for modality in sorted(found, key=lambda modality: modality.order)}
    assert len(registry) == len(found), "two modalities have one name"
    return registry


MODALITIES: dict[str, Modality] = {}

__all__ = ["MODALITIES", "Modality"]

MODALITIES.update(_registry())
