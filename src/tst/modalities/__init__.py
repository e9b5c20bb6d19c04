"""Modalities: one file each. A file in this folder that defines a `Modality` with a name registers itself."""

from tst.modalities.base import Modality
from tst.registry import instances_in

MODALITIES: dict[str, Modality] = {}

__all__ = ["MODALITIES", "Modality"]

MODALITIES.update(instances_in(__name__, Modality, "order"))
