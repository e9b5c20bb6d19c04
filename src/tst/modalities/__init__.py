"""Modalities: one file each. A file in this folder that defines a `Modality` with a name registers itself."""

import importlib
import inspect
import pkgutil

from tst.modalities.base import Modality


def _registry() -> dict[str, Modality]:
    found: list[Modality] = []
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            if not inspect.isclass(value) or not issubclass(value, Modality) or inspect.isabstract(value):
                continue
            if value.__module__ == module.__name__ and hasattr(value, "name"):
                found.append(value())
    registry = {modality.name: modality for modality in sorted(found, key=lambda modality: modality.order)}
    assert len(registry) == len(found), "two modalities have one name"
    return registry


MODALITIES: dict[str, Modality] = {}

__all__ = ["MODALITIES", "Modality"]

MODALITIES.update(_registry())
