"""The built-in parametric furniture: one builder a category, several shapes each, in the colours of a style.

A file of this package with builders in it needs nothing but to be here: importing the package registers them.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import tst.houses.furniture
from tst.houses.categories import CATEGORIES
from tst.houses.furniture.piece import Fits, Piece
from tst.houses.styles import Style

Build = Callable[[np.random.Generator, Style, str], Piece]


@dataclass(frozen=True)
class Builder:
    """How a category is built: `build(rng, style, variant)`, and the variants there are."""

    variants: tuple[str, ...]
    build: Build


BUILDERS: dict[str, Builder] = {}


def piece(category: str, *variants: str) -> Callable[[Build], Build]:
    """Register the builder of a category. At least two variants, so that both families of styles have one."""
    assert category in CATEGORIES and category not in BUILDERS and len(variants) >= 2, category

    def register(build: Build) -> Build:
        BUILDERS[category] = Builder(variants, build)
        return build

    return register


def load_builders() -> dict[str, Builder]:
    """All builders, by category."""
    for module in pkgutil.iter_modules(tst.houses.furniture.__path__):
        importlib.import_module(f"tst.houses.furniture.{module.name}")
    return BUILDERS


class BuiltinLibrary:
    """The built-in pieces in one style: a house's own stock, in which a model can occur again.

    Args:
        style: with its materials made.
        models: how many models of a category there are before they are used again.
        most: how many are built at most, for the sake of one that fits.
    """

    def __init__(self, style: Style, models: int = 6, most: int = 18) -> None:
        self.style, self.builders, self.models, self.most = style, load_builders(), models, most
        self._stock: dict[str, list[Piece]] = {}

    def only(self, categories: frozenset[str]) -> "BuiltinLibrary":
        """The same library with these categories alone."""
        library = BuiltinLibrary(self.style, self.models, self.most)
        library.builders = {name: builder for name, builder in self.builders.items() if name in categories}
        return library

    def categories(self) -> frozenset[str]:
        """What there is a builder for."""
        return frozenset(self.builders)

    def draw(self, category: str, rng: np.random.Generator, fits: Fits | None = None) -> Piece | None:
        """A piece of the category that `fits`; None if none of those that may be built does."""
        if category not in self.builders:
            return None
        stock = self._stock.setdefault(category, [])
        fitting = [piece for piece in stock if fits is None or fits(piece.size)]
        # Building is what costs time: a new model while there are few, later only if nothing fits.
        while len(stock) < (self.most if not fitting else self.models):
            made = self._build(category, rng)
            stock.append(made)
            if fits is None or fits(made.size):
                return made
        return fitting[int(rng.integers(len(fitting)))] if fitting else None

    def _build(self, category: str, rng: np.random.Generator) -> Piece:
        builder = self.builders[category]
        variants = self.style.shapes(builder.variants)
        return builder.build(rng, self.style, variants[int(rng.integers(len(variants)))])
