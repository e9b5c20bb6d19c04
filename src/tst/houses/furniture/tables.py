"""Dining tables, coffee tables, desks, bedside tables and television stands."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished, oval, solid
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.shapes import (
    HANDLES,
    bar,
    board,
    books,
    disc,
    doors,
    drawers,
    four_legs,
    hairpin,
    pile,
    pole,
    splayed,
    square,
    turned_leg,
)
from tst.houses.mesh import Material, Mesh, box, lathe
from tst.houses.styles import Style

Rng = np.random.Generator


def _top(x: float, y: float, z: float, inset: float = 0.02) -> Support:
    """The whole of a rectangular top of half extents `x`, `y`."""
    return Support(-x + inset, -y + inset, x - inset, y - inset, z)


def _round_top(radius: float, z: float) -> Support:
    """The square inside a round top."""
    half = radius * 0.68
    return Support(-half, -half, half, half, z)


def _apron(width: float, depth: float, low: float, high: float, material: Material, thick: float = 0.02) -> list[Mesh]:
    """The four boards under a table top, around a rectangle about the origin."""
    x, y, t = width / 2, depth / 2, thick / 2
    return [board([-x, e - t, low], [x, e + t, high], material, skip="Z") for e in (-y, y)] + [
        board([e - t, -y, low], [e + t, y, high], material, skip="Z") for e in (-x, x)
    ]


def _trestle(x: float, y: float, z: float, material: Material) -> list[Mesh]:
    """An A-shaped support across the table at `x`, for tops of half depth `y` with their underside at `z`."""
    parts = [board([x - 0.035, -y, z - 0.06], [x + 0.035, y, z], material)]
    for side in (-1, 1):
        parts += [bar((x - 0.1, side * y * 0.9, 0), (x, side * y * 0.75, z - 0.05), 0.022, material)]
        parts += [bar((x + 0.1, side * y * 0.9, 0), (x, side * y * 0.75, z - 0.05), 0.022, material)]
    parts.append(bar((x, -y * 0.8, z * 0.4), (x, y * 0.8, z * 0.4), 0.016, material))
    return parts


@piece("dining table", "rectangular", "trestle", "round", "farmhouse", "panel-ended", "steel-framed")
def dining_table(rng: Rng, style: Style, variant: str) -> Piece:
    """A table for two to eight."""
    tall, width, depth = float(rng.uniform(0.73, 0.77)), float(rng.uniform(1.15, 1.9)), float(rng.uniform(0.75, 0.95))
    wood, thick = style.wood(rng), float(rng.uniform(0.025, 0.045))
    x, y, under = width / 2, depth / 2, tall - thick
    if variant == "round":
        radius, foot = float(rng.uniform(0.45, 0.62)), float(rng.uniform(0.24, 0.32))
        paint = style.painted(rng) if rng.random() < 0.4 else wood
        profile = [
            (0, 0),
            (foot, 0),
            (foot, 0.02),
            (foot * 0.4, 0.06),
            (0.04, 0.16),
            (0.035, tall * 0.7),
            (0.12, under),
            (0, under),
        ]
        parts = [disc(0, 0, radius, under, tall, wood, 0.01), lathe(profile, paint, 14)]
        return finished("dining table", variant, parts, [_round_top(radius, tall)])
    parts = [board([-x, -y, under], [x, y, tall], wood)]
    if variant == "rectangular":
        parts += four_legs(width - 0.14, depth - 0.14, splayed(under, 0.036, 0.02, wood))
        parts += _apron(width - 0.14, depth - 0.14, under - 0.08, under, wood)
    elif variant == "trestle":
        for e in (-x * 0.68, x * 0.68):
            parts += _trestle(e, y - 0.08, under, wood)
        parts.append(board([-x * 0.68, -0.015, under * 0.4 - 0.03], [x * 0.68, 0.015, under * 0.4 + 0.03], wood))
    elif variant == "farmhouse":
        paint = style.painted(rng) if rng.random() < 0.5 else wood
        parts += four_legs(width - 0.16, depth - 0.16, turned_leg(under, 0.05, paint))
        parts += _apron(width - 0.16, depth - 0.16, under - 0.1, under, paint)
    elif variant == "panel-ended":
        parts += [
            board([e - thick / 2, -y, 0], [e + thick / 2, y, under], wood) for e in (-x + thick / 2, x - thick / 2)
        ]
        parts.append(board([-x + thick, -0.012, under - 0.16], [x - thick, 0.012, under], wood))
    else:
        metal = style.metal(rng)
        for e in (-x + 0.12, x - 0.12):
            parts.append(
                pole(
                    [
                        (e, -y + 0.06, 0.02),
                        (e, y - 0.06, 0.02),
                        (e, y - 0.16, under - 0.01),
                        (e, -y + 0.16, under - 0.01),
                        (e, -y + 0.06, 0.02),
                    ],
                    0.02,
                    metal,
                )
            )
        parts.append(bar((-x + 0.12, 0, 0.02), (x - 0.12, 0, 0.02), 0.018, metal))
    return finished("dining table", variant, parts, [_top(x, y, tall)])


@piece("coffee table", "two-tier", "crate", "round", "hairpin", "glass", "drum")
def coffee_table(rng: Rng, style: Style, variant: str) -> Piece:
    """A low table before a sofa."""
    tall, width, depth = float(rng.uniform(0.38, 0.47)), float(rng.uniform(0.85, 1.2)), float(rng.uniform(0.5, 0.65))
    wood, x, y = style.wood(rng), width / 2, depth / 2
    if variant in ("round", "drum"):
        radius = float(rng.uniform(0.34, 0.46))
        if variant == "round":
            parts = [disc(0, 0, radius, tall - 0.03, tall, style.stone(rng) if rng.random() < 0.3 else wood)]
            parts += four_legs(radius, radius, splayed(tall - 0.03, 0.02, 0.09, wood))
        else:
            paint = style.metal(rng) if rng.random() < 0.5 else style.painted(rng)
            rows = [
                (radius * 0.96, 0),
                (radius, 0.02),
                (radius, tall - 0.05),
                (radius * 0.97, tall - 0.03),
                (radius * 0.97, tall - 0.025),
            ]
            parts = [
                solid([oval(0, 0, r, r, h, 7) for r, h in rows], paint),
                disc(0, 0, radius, tall - 0.026, tall, wood),
            ]
        return finished("coffee table", variant, parts, [_round_top(radius, tall)])
    if variant == "glass":
        metal = style.metal(rng)
        parts = [box([-x, -y, tall - 0.012], [x, y, tall], style.glass(rng))]
        parts.append(box([-x + 0.05, -y + 0.05, 0.14], [x - 0.05, y - 0.05, 0.16], wood))
        parts += four_legs(width - 0.08, depth - 0.08, square(tall - 0.012, 0.03, metal))
        for e in (-y + 0.04, y - 0.04):
            parts.append(board([-x + 0.04, e - 0.012, tall - 0.036], [x - 0.04, e + 0.012, tall - 0.012], metal))
        for e in (-x + 0.04, x - 0.04):
            parts.append(board([e - 0.012, -y + 0.04, tall - 0.036], [e + 0.012, y - 0.04, tall - 0.012], metal))
        lower = Support(-x + 0.1, -y + 0.08, x - 0.1, y - 0.08, 0.16, tall - 0.21)
        return finished("coffee table", variant, parts, [_top(x, y, tall), lower])
    if variant == "crate":
        parts = [board([-x + 0.03, -y + 0.03, 0.06], [x - 0.03, y - 0.03, tall - 0.02], Material((0.12, 0.09, 0.07)))]
        for z in np.linspace(0.06, tall - 0.02, 4)[:-1]:
            high = z + (tall - 0.08) / 3 - 0.015
            parts += [board([-x, e - 0.015, z], [x, e + 0.015, high], wood) for e in (-y + 0.015, y - 0.015)]
            parts += [
                board([e - 0.015, -y + 0.03, z], [e + 0.015, y - 0.03, high], wood) for e in (-x + 0.015, x - 0.015)
            ]
        for edge in np.linspace(-y, y, 5)[:-1]:
            parts.append(board([-x, edge + 0.003, tall - 0.022], [x, edge + depth / 4 - 0.003, tall], wood))
        dark = style.metal(rng)
        parts += four_legs(width - 0.12, depth - 0.12, lambda a, b: disc(a, b, 0.035, 0, 0.061, dark))
        return finished("coffee table", variant, parts, [_top(x, y, tall)])
    if variant == "hairpin":
        parts = [board([-x, -y, tall - 0.04], [x, y, tall], wood)]
        parts += four_legs(width - 0.1, depth - 0.1, hairpin(tall - 0.04, style.metal(rng)))
        return finished("coffee table", variant, parts, [_top(x, y, tall)])
    parts = [
        board([-x, -y, tall - 0.03], [x, y, tall], wood),
        board([-x + 0.04, -y + 0.04, 0.12], [x - 0.04, y - 0.04, 0.14], wood),
    ]
    parts += four_legs(
        width - 0.08, depth - 0.08, square(tall - 0.03, 0.05, style.painted(rng) if rng.random() < 0.3 else wood)
    )
    parts += pile(rng, style, -x * 0.4, 0, 0.14, int(rng.integers(1, 4)))
    lower = Support(0, -y + 0.08, x - 0.08, y - 0.08, 0.14, tall - 0.18)
    return finished("coffee table", variant, parts, [_top(x, y, tall), lower])


@piece("desk", "pedestal", "trestle", "slim", "bureau", "panel", "steel-framed")
def desk(rng: Rng, style: Style, variant: str) -> Piece:
    """A table to work at."""
    tall, width, depth = float(rng.uniform(0.72, 0.76)), float(rng.uniform(1.1, 1.55)), float(rng.uniform(0.58, 0.72))
    wood, metal, x, y = style.wood(rng), style.metal(rng), width / 2, depth / 2
    under, kind = tall - 0.03, HANDLES[int(rng.integers(3))]
    body = style.painted(rng) if rng.random() < 0.4 else wood
    parts = [board([-x, -y, under], [x, y, tall], wood)]
    supports = [_top(x, y, tall)]
    if variant == "pedestal":
        for low, high in ((-x + 0.02, -x + 0.4), (x - 0.4, x - 0.02)) if width > 1.3 else ((x - 0.42, x - 0.02),):
            parts.append(board([low, -y + 0.04, 0.03], [high, y - 0.02, under], body))
            parts += drawers((low, 0.04), (high, under - 0.005), -y + 0.022, 3, 1, body, metal, kind)
        if width <= 1.3:
            parts.append(board([-x + 0.02, -y + 0.03, 0], [-x + 0.045, y - 0.02, under], body))
        parts.append(board([-x + 0.04, y - 0.06, 0.3], [x - 0.04, y - 0.04, under], body))
    elif variant == "trestle":
        for e in (-x * 0.65, x * 0.65):
            parts += _trestle(e, y - 0.06, under, body)
    elif variant == "slim":
        parts += four_legs(width - 0.1, depth - 0.1, splayed(under, 0.024, 0.02, wood))
        parts.append(board([-x + 0.05, -y + 0.04, under - 0.12], [x - 0.05, y - 0.04, under], body))
        parts += drawers((-x + 0.06, under - 0.115), (x - 0.06, under - 0.005), -y + 0.022, 1, 2, body, metal, kind)
    elif variant == "bureau":
        parts += four_legs(width - 0.1, depth - 0.1, turned_leg(under, 0.03, wood))
        parts.append(board([-x + 0.03, -y + 0.04, under - 0.14], [x - 0.03, y - 0.02, under], wood))
        parts += drawers(
            (-x + 0.04, under - 0.135), (x - 0.04, under - 0.005), -y + 0.022, 1, 3, wood, metal, "knob", True
        )
        high, back = tall + float(rng.uniform(0.28, 0.4)), y - 0.22
        parts += [
            board([-x + 0.02, back, high - 0.02], [x - 0.02, y, high], wood),
            board([-x + 0.02, y - 0.015, tall], [x - 0.02, y, high - 0.02], wood),
            *[
                board([e - 0.01, back + 0.005, tall], [e + 0.01, y - 0.015, high - 0.02], wood)
                for e in (-x + 0.03, -x * 0.34, x * 0.34, x - 0.03)
            ],
        ]
        parts += books(rng, style, -x + 0.06, -x * 0.36, back + 0.02, 0.17, tall, high - tall - 0.04)
        parts += drawers((x * 0.34 + 0.01, tall + 0.005), (x - 0.04, tall + 0.16), back + 0.02, 2, 1, wood, metal)
        supports = [
            Support(-x + 0.02, -y + 0.02, x - 0.02, back - 0.01, tall),
            Support(-x + 0.05, back + 0.02, x - 0.05, y - 0.02, high),
        ]
    elif variant == "panel":
        parts += [board([e - 0.0125, -y + 0.02, 0], [e + 0.0125, y, under], body) for e in (-x + 0.0125, x - 0.0125)]
        parts.append(board([-x + 0.025, y - 0.03, 0.25], [x - 0.025, y - 0.012, under], body))
        side = x - 0.34
        parts.append(board([side, -y + 0.04, under - 0.2], [x - 0.025, y - 0.03, under], body))
        parts += drawers((side, under - 0.2), (x - 0.025, under - 0.005), -y + 0.022, 2, 1, body, metal, "bar")
    else:
        for e in (-x + 0.05, x - 0.05):
            parts.append(
                pole(
                    [(e, -y + 0.05, 0), (e, -y + 0.05, under - 0.015), (e, y - 0.05, under - 0.015), (e, y - 0.05, 0)],
                    0.016,
                    metal,
                )
            )
        parts.append(bar((-x + 0.05, y - 0.05, 0.25), (x - 0.05, y - 0.05, 0.25), 0.012, metal))
        shelf = tall + float(rng.uniform(0.32, 0.42))
        parts += [bar((e, y - 0.05, tall - 0.01), (e, y - 0.05, shelf), 0.012, metal) for e in (-x + 0.05, x - 0.05)]
        parts.append(board([-x, y - 0.2, shelf], [x, y, shelf + 0.02], wood))
        parts += books(rng, style, -x + 0.05, -x * 0.2, y - 0.19, 0.17, shelf + 0.02, 0.26)
        supports = [
            Support(-x + 0.02, -y + 0.02, x - 0.02, y - 0.21, tall),
            Support(-x * 0.1, y - 0.19, x - 0.02, y - 0.01, shelf + 0.02),
        ]
    return finished("desk", variant, parts, supports)


@piece("bedside table", "two-drawer", "round", "open", "turned")
def bedside_table(rng: Rng, style: Style, variant: str) -> Piece:
    """A small table beside a bed."""
    width, depth, tall = float(rng.uniform(0.4, 0.5)), float(rng.uniform(0.36, 0.42)), float(rng.uniform(0.48, 0.6))
    wood, metal, x, y = style.wood(rng), style.metal(rng), width / 2, depth / 2
    body = style.painted(rng) if rng.random() < 0.5 else wood
    kind = HANDLES[int(rng.integers(3))]
    if variant == "round":
        radius, paint = float(rng.uniform(0.2, 0.24)), style.accent(rng) if rng.random() < 0.3 else body
        parts = [disc(0, 0, radius, tall - 0.025, tall, paint), disc(0, 0, radius * 0.75, 0.16, 0.18, paint)]
        for k in range(3):
            c, s = math.cos(2.1 * k + 0.5), math.sin(2.1 * k + 0.5)
            parts.append(
                bar(
                    (radius * 0.92 * c, radius * 0.92 * s, 0),
                    (radius * 0.62 * c, radius * 0.62 * s, tall - 0.02),
                    0.013,
                    metal,
                )
            )
        return finished("bedside table", variant, parts, [_round_top(radius, tall)])
    parts = [board([-x, -y, tall - 0.022], [x, y, tall], wood)]
    low = 0.12
    if variant == "two-drawer":
        parts.append(board([-x + 0.01, -y + 0.02, low], [x - 0.01, y, tall - 0.022], body))
        parts += drawers((-x + 0.012, low), (x - 0.012, tall - 0.024), -y, 2, 1, body, metal, kind)
        parts += four_legs(width - 0.08, depth - 0.08, splayed(low, 0.018, 0.015, wood))
        return finished("bedside table", variant, parts, [_top(x, y, tall)])
    mid = tall - 0.16
    parts.append(board([-x + 0.01, -y + 0.02, mid], [x - 0.01, y, tall - 0.022], body))
    parts += drawers(
        (-x + 0.012, mid + 0.002), (x - 0.012, tall - 0.024), -y, 1, 1, body, metal, kind, variant == "turned"
    )
    shelf = 0.14
    parts.append(board([-x + 0.02, -y + 0.03, shelf - 0.02], [x - 0.02, y - 0.01, shelf], body))
    parts += pile(rng, style, -x * 0.25, 0, shelf, int(rng.integers(1, 4)))
    if variant == "open":
        parts += [board([e - 0.01, -y + 0.02, 0], [e + 0.01, y, mid], body) for e in (-x + 0.02, x - 0.02)]
    else:
        parts += four_legs(width - 0.06, depth - 0.06, turned_leg(mid, 0.024, wood))
    return finished("bedside table", variant, parts, [_top(x, y, tall)])


@piece("tv stand", "lowboard", "steel-framed", "open", "sideboard")
def tv_stand(rng: Rng, style: Style, variant: str) -> Piece:
    """A low, wide piece that a television stands on."""
    width, depth = float(rng.uniform(1.2, 1.8)), float(rng.uniform(0.36, 0.44))
    wood, metal, x, y = style.wood(rng), style.metal(rng), width / 2, depth / 2
    paint = style.painted(rng) if rng.random() < 0.5 else wood
    if variant == "steel-framed":
        tall = float(rng.uniform(0.5, 0.6))
        levels = (0.1, tall * 0.5, tall - 0.03)
        parts = [board([-x, -y, z], [x, y, z + 0.03], wood) for z in levels]
        parts += four_legs(width - 0.03, depth - 0.03, square(tall - 0.001, 0.028, metal))
        free = levels[1] - 0.13
        parts += books(rng, style, -x + 0.06, -x + 0.06 + width * 0.25, -y + 0.06, 0.2, 0.13, free)
        shelf = Support(-x * 0.2, -y + 0.04, x - 0.06, y - 0.04, 0.13, free - 0.02)
        return finished("tv stand", variant, parts, [_top(x, y, tall, 0.035), shelf])
    low, tall = {"lowboard": (0.06, 0.42), "open": (0.1, 0.5), "sideboard": (0.16, 0.62)}[variant]
    tall = tall * float(rng.uniform(0.94, 1.1))
    parts = [
        board([-x, -y, tall - 0.025], [x, y, tall], wood),
        board([-x, -y + 0.02, low], [x, y, low + 0.02], paint),
        board([-x, y - 0.012, low], [x, y, tall - 0.025], paint),
        *[board([e - 0.01, -y + 0.005, low], [e + 0.01, y, tall - 0.025], paint) for e in (-x + 0.01, x - 0.01)],
    ]
    if variant == "sideboard":
        parts += four_legs(width - 0.2, depth - 0.12, splayed(low, 0.022, 0.03, wood))
    else:
        parts.append(box([-x + 0.05, -y + 0.05, 0], [x - 0.05, y - 0.03, low], style.metal(rng), skip="Z"))
    supports = [_top(x, y, tall)]
    inner = (-x + 0.02, x - 0.02)
    third = (inner[1] - inner[0]) / 3
    if variant == "open":
        middle = (low + tall) / 2
        a, b = inner[0] + third, inner[1] - third
        parts += [board([e - 0.01, -y + 0.01, low + 0.02], [e + 0.01, y - 0.012, tall - 0.025], paint) for e in (a, b)]
        parts.append(board([a + 0.01, -y + 0.02, middle - 0.01], [b - 0.01, y - 0.012, middle + 0.01], paint))
        for start, end in ((inner[0], a), (b, inner[1])):
            parts += drawers((start, low + 0.02), (end, tall - 0.03), -y, 2, 1, paint, metal, "bar")
            parts.append(box([start + 0.01, -y + 0.03, low + 0.02], [end - 0.01, y - 0.02, tall - 0.03], paint))
        supports.append(Support(a + 0.03, -y + 0.04, b - 0.03, y - 0.03, low + 0.02, middle - low - 0.05))
    else:
        count = 3 if variant == "lowboard" else 4
        parts.append(box([-x + 0.02, -y + 0.03, low + 0.02], [x - 0.02, y - 0.02, tall - 0.026], paint))
        parts += doors(
            (inner[0], low + 0.005), (inner[1], tall - 0.03), -y, count, paint, metal, "bar", variant == "sideboard"
        )
    return finished("tv stand", variant, parts, supports)
