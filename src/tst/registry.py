"""Registries that fill themselves: every file of a package may define classes of a kind."""

import importlib
import inspect
import pkgutil
from typing import Any


def classes_in(package: str, base: type) -> list[Any]:
    """The concrete subclasses of `base` defined in the modules of a package (a dotted name), in order of the files."""
    found = []
    for module_info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{module_info.name}")
        for value in vars(module).values():
            if not inspect.isclass(value) or not issubclass(value, base) or inspect.isabstract(value):
                continue
            if value.__module__ == module.__name__:
                found.append(value)
    return found
