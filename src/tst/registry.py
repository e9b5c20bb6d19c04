"""Registries that fill themselves: every file of a package may define classes of a kind."""

import importlib
import inspect
import pkgutil
from operator import attrgetter
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


def instances_in(package: str, base: type, order: str) -> dict[str, Any]:
    """By name, one instance of each of those that have a name, sorted by the attribute `order`."""
    found = [kind() for kind in classes_in(package, base) if hasattr(kind, "name")]
    registry = {item.name: item for item in sorted(found, key=attrgetter(order))}
    assert len(registry) == len(found), f"two in {package} have one name"
    return registry
