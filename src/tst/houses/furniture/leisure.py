"""Books, toys, and the piano."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import (
    finished,
    plain,
    revolve,
    rod,
    solid,
    to_front,
)
from tst.houses.furniture.piece import Piece, Support
from tst.houses.mesh import Material, Mesh, ball, box, cylinder, grid, join, quad, rounded_box
from tst.houses.styles import Style

BLACK = plain(0.06, 0.06, 0.065, gloss=0.2)

IVORY = plain(0.96, 0.95, 0.92, gloss=0.3)

EBONY = plain(0.03, 0.03, 0.03, gloss=0.4)

BRASS = plain(0.78, 0.62, 0.28, gloss=0.7)

WHITE_KEYS = 52

BLACK_AFTER = (0, 2, 3, 5, 6)
"""White keys of an octave, counted from C, that have a black key to their right, shifted so that A is 0."""


@piece("book", "single book", "row of books", "stack of books", "open book", "leaning row of books", "large book")
def book(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """One book or several, lying or standing."""
    if variant == "open book":
        return finished("book", variant, _open_book(rng, style))
    if variant in ("row of books", "leaning row of books"):
        parts: list[Mesh] = []
        at, count = 0.0, int(rng.integers(4, 9))
        for k in range(count):
            thick, tall, deep = (
                float(rng.uniform(0.015, 0.045)),
                float(rng.uniform(0.18, 0.26)),
                float(rng.uniform(0.13, 0.17)),
            )
            # Lying with its spine to -y, then stood up so that the spine still faces the front.
            volume = join(_volume(rng, style, tall, deep, thick)).turned(-math.pi / 2, "y")
            if variant.startswith("leaning") and k == count - 1:
                volume = volume.turned(math.radians(-14), "y")
                at += 0.012
            low = volume.bounds[0]
            parts.append(volume.moved(at - float(low[0]), -float(low[1]), -float(low[2])))
            at += float(volume.bounds[1][0] - low[0]) + 0.001
        return finished("book", variant, parts)
    count = int(rng.integers(2, 6)) if variant == "stack of books" else 1
    parts, z = [], 0.0
    large = 1.35 if variant == "large book" else 1.0
    wide = float(rng.uniform(0.2, 0.27)) * large
    for _ in range(count):
        thick = float(rng.uniform(0.018, 0.045))
        volume = join(_volume(rng, style, wide, wide * float(rng.uniform(0.66, 0.76)), thick))
        low, high = volume.bounds
        turned = volume.moved(-float(low[0] + high[0]) / 2, -float(low[1] + high[1]) / 2).turned(
            float(rng.normal(0, 0.12))
        )
        parts.append(turned.moved(0, 0, z))
        z += thick + 0.0005
        wide *= float(rng.uniform(0.86, 1.0))
    return finished("book", variant, parts)


def _volume(rng: np.random.Generator, style: Style, tall: float, deep: float, thick: float) -> list[Mesh]:
    """A closed book that lies flat: its spine at y = 0 faces the front, `tall` along x."""
    cover, pages, board = style.accent(rng), style.paper(rng), 0.003
    ink = style.paper(rng) if rng.random() < 0.6 else plain(0.85, 0.68, 0.3, gloss=0.4)
    parts = [
        box([0, 0, 0], [tall, deep, board], cover),
        box([0, 0, thick - board], [tall, deep, thick], cover),
        box([0, 0, board], [tall, board, thick - board], cover, skip="zZ"),
        box([0.004, board, board], [tall - 0.004, deep - 0.005, thick - board], pages, skip="yzZ"),
    ]
    a, b = sorted(rng.uniform(0.12, 0.88, 2) * tall)
    parts.append(quad([a, -0.0005, thick * 0.25], [max(b - a, 0.02), 0, 0], [0, 0, thick * 0.5], ink))
    if rng.random() < 0.6:
        parts.append(quad([tall * 0.2, deep * 0.2, thick + 0.0006], [tall * 0.6, 0, 0], [0, deep * 0.45, 0], ink))
    return parts


def _open_book(rng: np.random.Generator, style: Style) -> list[Mesh]:
    cover, pages, ink = style.accent(rng), style.paper(rng), plain(0.45, 0.45, 0.45)
    half, deep = float(rng.uniform(0.14, 0.18)), float(rng.uniform(0.2, 0.25))
    t = np.linspace(0, 1, 7)
    rise = 0.028 * np.sin(math.pi * np.clip(t * 0.8 + 0.08, 0, 1)) ** 0.8 + 0.004
    parts = [box([-half - 0.005, -deep / 2 - 0.005, 0], [half + 0.005, deep / 2 + 0.005, 0.004], cover)]
    for s in (-1, 1):
        x = s * half * t
        order = slice(None) if s > 0 else slice(None, None, -1)
        top = np.stack([np.stack([x, np.full(7, y), rise], 1) for y in (-deep / 2, deep / 2)], 1)[order]
        parts.append(grid(top, pages, np.zeros((7, 2, 2))))
        for y, back in ((-deep / 2, 0), (deep / 2, 1)):
            edge = np.stack([np.stack([x, np.full(7, y), z], 1) for z in (0 * t + 0.004, rise)], 1)[order]
            parts.append(grid(edge[::-1] if back else edge, pages, np.zeros((7, 2, 2))))
        parts.append(box([s * half - 0.001, -deep / 2, 0.004], [s * half + 0.001, deep / 2, float(rise[-1])], pages))
        for y in np.linspace(-deep * 0.38, deep * 0.38, 12):
            line = np.stack(
                [np.stack([x[1:-1], np.full(5, y + d), rise[1:-1] + 0.0008], 1) for d in (0, deep * 0.025)], 1
            )
            parts.append(grid(line[order], ink, np.zeros((5, 2, 2))))
    return parts


@piece("toy", "teddy bear", "building blocks", "ball", "car", "stacking rings", "train")
def toy(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A child's toy."""
    make = {
        "teddy bear": _teddy,
        "building blocks": _blocks,
        "ball": _beach_ball,
        "car": _car,
        "stacking rings": _rings,
        "train": _train,
    }[variant]
    size = float(rng.uniform(0.85, 1.2))
    return finished("toy", variant, [part.scaled(size, size, size) for part in make(rng, style)])


def _bright(rng: np.random.Generator, count: int) -> list[Material]:
    colours = (
        (0.85, 0.15, 0.15),
        (0.15, 0.35, 0.80),
        (0.95, 0.78, 0.12),
        (0.20, 0.60, 0.25),
        (0.95, 0.50, 0.12),
        (0.55, 0.25, 0.65),
    )
    return [plain(*colours[int(k)], gloss=0.2) for k in rng.permutation(len(colours))[:count]]


def _teddy(rng: np.random.Generator, style: Style) -> list[Mesh]:
    fur = [(0.55, 0.35, 0.18), (0.72, 0.55, 0.36), (0.88, 0.82, 0.72)][int(rng.integers(3))]
    skin, light, dark = (
        plain(*fur),
        plain(*(min(1.0, 1.25 * c + 0.05) for c in fur)),
        plain(0.05, 0.04, 0.04, gloss=0.5),
    )

    def lump(
        radius: tuple[float, float, float], x: float, y: float, z: float, material: Material = skin, n: int = 10
    ) -> Mesh:
        return ball(1.0, material, n).scaled(*radius).moved(x, y, z)

    parts = [
        lump((0.085, 0.075, 0.1), 0, 0, 0.1),
        lump((0.05, 0.02, 0.06), 0, -0.06, 0.095, light),
        lump((0.075, 0.07, 0.068), 0, -0.005, 0.245),
    ]
    parts += [
        lump((0.032, 0.03, 0.025), 0, -0.068, 0.228, light),
        lump((0.011, 0.008, 0.008), 0, -0.098, 0.238, dark, 6),
    ]
    for s in (-1, 1):
        parts += [
            lump((0.028, 0.016, 0.028), s * 0.058, 0.0, 0.305),
            lump((0.017, 0.01, 0.017), s * 0.058, -0.011, 0.305, light, 6),
        ]
        parts.append(lump((0.009, 0.007, 0.009), s * 0.028, -0.066, 0.262, dark, 6))
        parts.append(lump((0.03, 0.03, 0.065), 0, 0, 0).turned(s * -0.7, "y").moved(s * 0.095, -0.03, 0.145))
        parts.append(lump((0.036, 0.075, 0.036), s * 0.06, -0.085, 0.036))
        parts.append(lump((0.027, 0.008, 0.03), s * 0.062, -0.155, 0.04, light, 8))
    return parts


def _blocks(rng: np.random.Generator, style: Style) -> list[Mesh]:
    colours, side, parts = _bright(rng, 5), 0.045, []
    places = [(-0.055, 0.0, 0), (0.0, 0.01, 0), (0.056, -0.005, 0), (-0.028, 0.0, 1), (0.03, 0.005, 1), (0.002, 0.0, 2)]
    for k, (x, y, level) in enumerate(places):
        turn = float(rng.normal(0, 0.12))
        shape = rounded_box([-side / 2, -side / 2, 0], [side / 2, side / 2, side], colours[k % 5], 0.004, 1)
        parts.append(shape.turned(turn).moved(x, y, level * side))
    roof = np.array([[-0.032, -side / 2, 0], [0.032, -side / 2, 0], [0, -side / 2, 0.035]])
    roof = np.stack([roof[:, 0], roof[:, 2], -roof[:, 1]], 1)
    low, high = roof * [1, 1, 0] + [0, 0, -side / 2], roof * [1, 1, 0] + [0, 0, side / 2]
    parts.append(solid([low, high], colours[4]).turned(math.pi / 2, "x").moved(0.002, 0, 3 * side))
    parts.append(cylinder(0.02, 0, side, colours[1], 12).moved(0.12, -0.05))
    return parts


def _beach_ball(rng: np.random.Generator, style: Style) -> list[Mesh]:
    radius, parts = float(rng.uniform(0.09, 0.14)), []
    colours = [*_bright(rng, 3)]
    white = plain(0.95, 0.95, 0.93, gloss=0.2)
    rows = np.linspace(-math.pi / 2, math.pi / 2, 13)
    for k in range(6):
        columns = np.linspace(k, k + 1, 5) * math.pi / 3
        unit = np.stack(
            [
                np.cos(rows) * np.cos(columns[:, None]),
                np.cos(rows) * np.sin(columns[:, None]),
                np.sin(rows) + 0 * columns[:, None],
            ],
            -1,
        )
        parts.append(grid(unit * radius, colours[k // 2] if k % 2 else white, np.zeros((5, 13, 2)), unit))
    return [part.turned(0.6, "x").moved(0, 0, radius) for part in parts]


def _wheel(x: float, y: float, radius: float, thick: float, tyre: Material, hub: Material) -> list[Mesh]:
    wheel = [cylinder(radius, 0, thick, tyre, 14), cylinder(radius * 0.5, thick, thick + 0.002, hub, 10)]
    side = 1 if y < 0 else -1
    return [part.turned(side * math.pi / 2, "x").moved(x, y, radius) for part in wheel]


def _car(rng: np.random.Generator, style: Style) -> list[Mesh]:
    body, hub = _bright(rng, 2)
    glass = plain(0.15, 0.2, 0.25, gloss=0.7)
    parts = [
        rounded_box([-0.12, -0.05, 0.02], [0.12, 0.05, 0.065], body, 0.015),
        rounded_box([-0.065, -0.043, 0.055], [0.055, 0.043, 0.11], body, 0.018),
        box([-0.05, -0.0445, 0.072], [0.04, 0.0445, 0.098], glass),
        box([-0.067, -0.035, 0.072], [0.057, 0.035, 0.098], glass),
    ]
    for x in (-0.075, 0.075):
        for y in (-0.045, 0.045):
            parts += _wheel(x, y, 0.028, 0.014, BLACK, hub)
    light = plain(0.98, 0.95, 0.7, gloss=0.5)
    parts += [ball(0.011, light, 6).moved(0.118, y, 0.045) for y in (-0.032, 0.032)]
    return parts


def _rings(rng: np.random.Generator, style: Style) -> list[Mesh]:
    colours = _bright(rng, 6)
    parts = [cylinder(0.07, 0, 0.018, colours[5], 16)]
    z = 0.018
    for k in range(5):
        r, thick = 0.068 - 0.008 * k, 0.016
        turn = np.linspace(-math.pi / 2, math.pi * 1.0, 8)
        profile = [(r - thick + thick * math.cos(a), z + thick + thick * math.sin(a)) for a in turn]
        parts.append(revolve(profile, colours[k], 4))
        z += 2 * thick - 0.003
    parts.append(ball(0.022, colours[5], 10).moved(0, 0, z + 0.012))
    parts.append(cylinder(0.012, 0.01, z, colours[5], 8))
    return parts


def _train(rng: np.random.Generator, style: Style) -> list[Mesh]:
    a, b, c = _bright(rng, 3)
    wood = style.wood(rng)
    parts = [
        box([-0.16, -0.03, 0.02], [-0.01, 0.03, 0.035], wood),
        cylinder(0.026, 0, 0.09, a, 14).turned(-math.pi / 2, "y").moved(-0.06, 0, 0.062),
        box([-0.062, -0.03, 0.035], [-0.012, 0.03, 0.11], b),
        box([-0.068, -0.035, 0.11], [-0.006, 0.035, 0.118], c),
        cylinder(0.009, 0.08, 0.115, BLACK, 8, top=0.014).moved(-0.13, 0),
        box([-0.01, -0.005, 0.024], [0.02, 0.005, 0.03], BLACK),
        box([0.02, -0.03, 0.02], [0.14, 0.03, 0.035], wood),
        box([0.025, -0.028, 0.035], [0.135, 0.028, 0.075], c),
    ]
    for x in (-0.135, -0.04, 0.045, 0.115):
        for y in (-0.03, 0.03):
            parts += _wheel(x, y, 0.02, 0.01, b if x < 0 else a, wood)
    parts.append(to_front(cylinder(0.012, 0, 0.002, plain(0.3, 0.35, 0.4, gloss=0.5), 10), -0.037, -0.03, 0.09))
    return parts


@piece("piano", "black upright", "wooden upright", "white upright", "digital")
def piano(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """An upright piano with its keys, a music desk and pedals; or a digital one on a frame."""
    if variant == "digital":
        return _digital(rng, style)
    skin = {"black upright": plain(0.04, 0.04, 0.045, gloss=0.8), "white upright": plain(0.93, 0.93, 0.92, gloss=0.7)}
    body = skin.get(variant) or style.wood(rng)
    x, y, high = 0.75, 0.3, float(rng.uniform(1.12, 1.28))
    bed = 0.62
    parts = [
        box([-x, -0.02, 0.0], [x, y, high - 0.03], body),
        box([-x - 0.015, -0.05, high - 0.03], [x + 0.015, y + 0.0, high], body),
        box([-x, -y, bed], [x, -0.02, bed + 0.05], body),
        box([-x, -0.055, bed + 0.13], [x, -0.02, bed + 0.2], body),
        box([-x * 0.93, -0.026, bed + 0.24], [x * 0.93, -0.02, high - 0.07], body, skip="Y"),
        box([-x * 0.93, -0.026, 0.14], [x * 0.93, -0.02, bed - 0.04], body, skip="Y"),
        box([-0.3, -0.09, bed + 0.2], [0.3, -0.055, bed + 0.215], body),
    ]
    for s in (-1, 1):
        a, b = sorted((s * x, s * (x - 0.055)))
        parts.append(box([a, -y, bed + 0.05], [b, -0.02, bed + 0.15], body))
        parts.append(box([a, -y + 0.01, 0.06], [b, -y + 0.065, bed], body))
        parts.append(box([a, -y, 0.0], [b, -0.02, 0.06], body))
    parts += _keys(0.69, -y + 0.012, -0.055, bed + 0.05)
    for px in (-0.09, 0.0, 0.09):
        parts.append(rod([(px, -0.02, 0.06), (px, -0.12, 0.05)], 0.012, BRASS, 6))
    if rng.random() < 0.6:
        sheet = style.paper(rng)
        for sx in (-0.2, 0.01):
            parts.append(box([sx, -0.07, bed + 0.216], [sx + 0.2, -0.066, bed + 0.48], sheet))
            for z in np.arange(bed + 0.25, bed + 0.46, 0.03):
                parts.append(quad([sx + 0.02, -0.0705, z], [0.16, 0, 0], [0, 0, 0.008], plain(0.35, 0.35, 0.35)))
    return finished("piano", variant, parts, [Support(-x + 0.03, 0.0, x - 0.03, y - 0.02, high, 0.8)])


def _keys(half: float, y0: float, y1: float, z: float) -> list[Mesh]:
    """52 white and 36 black keys between x = -`half` and `half`."""
    step, parts = 2 * half / WHITE_KEYS, []
    split = y0 + (y1 - y0) * 0.36
    for k in range(WHITE_KEYS):
        left = -half + k * step
        parts.append(box([left + 0.0007, y0, z], [left + step - 0.0007, y1, z + 0.02], IVORY, skip="zY"))
        if k % 7 in BLACK_AFTER and k < WHITE_KEYS - 1:
            at = left + step
            parts.append(box([at - 0.0065, split, z + 0.02], [at + 0.0065, y1, z + 0.034], EBONY, skip="zY"))
    return parts


def _digital(rng: np.random.Generator, style: Style) -> Piece:
    body = plain(0.07, 0.07, 0.075, gloss=0.3) if rng.random() < 0.6 else style.wood(rng)
    x, y, bed = 0.69, 0.2, 0.66
    parts = [
        box([-x, -y, bed], [x, y, bed + 0.06], body),
        box([-x, 0.0, bed + 0.06], [x, y, bed + 0.13], body),
        box([-x + 0.02, y - 0.05, 0.2], [x - 0.02, y - 0.03, 0.5], body),
        box([-0.3, 0.05, bed + 0.13], [0.3, 0.07, bed + 0.33], body),
    ]
    for s in (-1, 1):
        a, b = sorted((s * x, s * (x - 0.035)))
        parts += [box([a, -0.08, 0.03], [b, y, bed], body), box([a, -y, 0.0], [b, y, 0.03], body)]
        parts.append(box([a, -y, bed + 0.06], [b, 0.0, bed + 0.11], body))
    parts += _keys(0.65, -y + 0.012, 0.0, bed + 0.06)
    for px in (-0.45, -0.4, -0.35, 0.4):
        parts.append(cylinder(0.01, bed + 0.13, bed + 0.138, plain(0.6, 0.6, 0.62), 8).moved(px, 0.03))
    for px in (-0.07, 0.0, 0.07):
        parts.append(rod([(px, y - 0.05, 0.03), (px, y - 0.13, 0.03)], 0.01, BRASS, 6))
    parts.append(box([-0.12, y - 0.06, 0.0], [0.12, y - 0.03, 0.2], body))
    supports = [Support(a, 0.02, b, y - 0.02, bed + 0.13, 0.5) for a, b in ((-x + 0.02, -0.48), (0.43, x - 0.02))]
    return finished("piano", "digital", parts, supports)
