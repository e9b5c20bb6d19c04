"""Labellers: trained models that add modalities to a Space; one file a kind, which registers itself."""

from tst.errors import UserError
from tst.labellers.base import Labeller, Request
from tst.registry import classes_in


def _registry() -> dict[str, type[Labeller]]:
    found: dict[str, type[Labeller]] = {}
    for kind in classes_in(__name__, Labeller):
        assert not found.keys() & set(kind.kinds), f"two labellers are called {kind.kinds}"
        found |= dict.fromkeys(kind.kinds, kind)
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
