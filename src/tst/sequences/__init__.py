"""Sequence modalities: one file each. A file in this folder that defines a `SequenceModality` with a name registers."""

import importlib
import inspect
import pkgutil

from tst.sequences.base import SequenceModality


def _registry() -> dict[str, SequenceModality]:
    found: list[SequenceModality] = []
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            if not inspect.isclass(value) or not issubclass(value, SequenceModality) or inspect.isabstract(value):
                continue
            if value.__module__ == module.__name__:
                found.append(value())
    registry = {sequence.name: sequence for sequence in sorted(found, key=lambda sequence: sequence.name)}
    assert len(registry) == len(found), "two sequence modalities have one name"
    return registry


SEQUENCES: dict[str, SequenceModality] = {}

__all__ = ["SEQUENCES", "SequenceModality"]

SEQUENCES.update(_registry())
