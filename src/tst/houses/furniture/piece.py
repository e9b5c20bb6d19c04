"""What every piece of furniture is, whatever it was made from, and how a house asks for one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tst.houses.mesh import Mesh


@dataclass(frozen=True)
class Support:
    """A level rectangle of a piece that small things can stand on, in the axes of the piece (metres).

    Attributes:
        x0, y0, x1, y1: the rectangle.
        z: its height.
        clearance: free height above it.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    z: float
    clearance: float = 1.0


@dataclass(frozen=True, eq=False)
class Piece:
    """One model.

    Attributes:
        category: one of `categories.CATEGORIES`.
        name: what a person would call it, e.g. "two-seat sofa"; the same name is the same model.
        mesh: origin at the middle of its footprint, at floor level (z = 0 is the underside); z up; its front (the side
            one sits, opens or looks at) faces -y, so its back (+y) goes to the wall. Things that hang on a wall have
            their back at the largest y; a ceiling lamp has its top at its highest z.
        size: width (x), depth (y), height (z) in metres: the bounds of the mesh.
        supports: where things can stand on it.
        light: position of a light source in the axes of the piece, or None.
        creator, licence: attribution, kept in every Space that shows the piece.
    """

    category: str
    name: str
    mesh: Mesh
    size: tuple[float, float, float]
    supports: tuple[Support, ...] = ()
    light: tuple[float, float, float] | None = None
    creator: str = "TST"
    licence: str = "Apache-2.0"
    tags: frozenset[str] = field(default=frozenset())


Fits = Callable[[tuple[float, float, float]], bool]
"""Whether a piece of this (width, depth, height) is wanted."""


class Library(Protocol):
    """A source of furniture."""

    def categories(self) -> frozenset[str]:
        """What it has."""
        ...

    def draw(self, category: str, rng: np.random.Generator, fits: Fits | None = None) -> Piece | None:
        """A piece of the category that `fits`, drawn at random; None if it has none."""
        ...
