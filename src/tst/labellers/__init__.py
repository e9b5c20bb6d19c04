"""Labellers: trained models that add modalities to a Space; one file a kind, which registers itself."""

import importlib
import inspect
import pkgutil

from tst.errors import UserError
from tst.labellers.base import Labeller, Request


def _registry() -> dict[str, type[Labeller]]:
    found: dict[str, type[Labeller]] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for value in vars(module).values():
            if not inspect.isclass(value) or not issubclass(value, Labeller) or inspect.isabstract(value):
                continue
            if value.__module__ == module.__name__:
                assert not found.keys() & set(value.kinds), f"two labellers are called {value.kinds}"
                found |= dict.fromkeys(value.kinds, value)
    return found


LABELLERS: dict[str, type[Labeller]] = {}
"""By kind."""


def kind_of(name: str) -> str:
    """The kind of a labeller's name: the kind itself, or with a suffix (`dinov2-small`).

    Raises:
        UserError: there is no such labeller.
    """
    for kind in LABELLERS:
        if name == kind or name.startswith(f"{kind}-"):
            return kind
    known = ", ".join(LABELLERS)
    raise UserError(f"--with {name}: no labeller is called so. Choose one of {known}, with a suffix or without.")


__all__ = ["LABELLERS", "Labeller", "Request", "kind_of"]

LABELLERS.update(_registry())
