"""Wardrobes, dressers, bookcases and wall shelves."""

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.shapes import (
    HANDLES,
    bar,
    board,
    books,
    doors,
    drawers,
    four_legs,
    pile,
    splayed,
    square,
    turned_leg,
)
from tst.houses.mesh import Material, Mesh, box, rounded_box
from tst.houses.styles import Style

Rng = np.random.Generator


def _case(x: float, y: float, low: float, high: float, body: Material, thick: float = 0.02) -> list[Mesh]:
    """A case open at the front: sides, back, floor and lid."""
    return [
        *[board([min(e, e + s), -y, low], [max(e, e + s), y, high], body) for e, s in ((-x, thick), (x, -thick))],
        board([-x + thick, y - 0.01, low], [x - thick, y, high], body),
        board([-x + thick, -y, low], [x - thick, y - 0.01, low + thick], body),
        board([-x + thick, -y, high - thick], [x - thick, y - 0.01, high], body),
    ]


def _cornice(x: float, y: float, z: float, material: Material) -> list[Mesh]:
    """A profiled lid that stands out at the front and the sides; 0.07 m high."""
    steps = ((0.0, 0.0, 0.025), (0.02, 0.025, 0.05), (0.04, 0.05, 0.07))
    return [board([-x - out, -y - out, z + a], [x + out, y, z + b], material) for out, a, b in steps]


@piece("wardrobe", "two-door", "panelled", "sliding", "open", "three-door", "mirrored")
def wardrobe(rng: Rng, style: Style, variant: str) -> Piece:
    """A tall cupboard for clothes."""
    tall, depth = float(rng.uniform(1.85, 2.15)), float(rng.uniform(0.55, 0.62))
    wide = {"two-door": (0.85, 1.1), "open": (0.95, 1.3), "panelled": (0.95, 1.2), "mirrored": (0.9, 1.3)}
    width = float(rng.uniform(*wide.get(variant, (1.35, 1.85))))
    wood, metal, x, y = style.wood(rng), style.metal(rng), width / 2, depth / 2
    body = style.painted(rng) if rng.random() < 0.5 else wood
    kind = HANDLES[int(rng.integers(2))]
    if variant == "open":
        return _open_wardrobe(rng, style, x, y, tall)
    low = 0.07
    face = -y - 0.022
    parts = [
        board([-x, -y, low], [x, y, tall], body),
        box([-x + 0.02, -y + 0.03, 0], [x - 0.02, y, low], metal, skip="Z"),
    ]
    top = tall
    if variant == "two-door":
        parts += doors((-x, low), (x, tall), face, 2, body, metal, "bar")
    elif variant == "panelled":
        parts += drawers((-x, low + 0.02), (x, low + 0.26), face, 1, 2, body, metal, "knob", True)
        parts += doors((-x, low + 0.27), (x, tall - 0.02), face, 2, body, metal, "knob", True)
        parts += _cornice(x, y, tall, body)
        top = tall + 0.07
    elif variant == "sliding":
        front = style.painted(rng)
        third = width / 3
        for k, material in enumerate((front, _mirror(), front) if rng.random() < 0.5 else (front, front, front)):
            shift = 0.025 if k == 1 else 0.0
            x0 = -x + k * third
            parts.append(
                box(
                    [x0 + 0.004, face - shift, low + 0.01],
                    [x0 + third - 0.004, face + 0.02 - shift, tall - 0.03],
                    material,
                )
            )
            edge = x0 + 0.02 if k != 2 else x0 + third - 0.035
            parts.append(
                box(
                    [edge, face - shift - 0.008, low + 0.01], [edge + 0.015, face - shift, tall - 0.03], metal, skip="Y"
                )
            )
        parts.append(board([-x, face - 0.03, tall - 0.03], [x, -y, tall], body))
    elif variant == "three-door":
        parts += drawers((-x / 3, low), (x / 3, low + 0.5), face, 2, 1, body, metal, kind)
        for start, end, z in ((-x, -x / 3, low), (-x / 3, x / 3, low + 0.5), (x / 3, x, low)):
            parts += doors((start, z), (end, tall), face, 1, body, metal, kind, hinged_right=start > 0)
    else:
        parts += doors((-x, low), (x, tall), face, 2, body, metal, "bar")
        for side in (-1, 1):
            a, b = sorted((side * 0.09, side * (x - 0.05)))
            parts.append(box([a, face - 0.004, low + 0.1], [b, face, tall - 0.06], _mirror(), skip="Y"))
    return finished("wardrobe", variant, parts, [Support(-x + 0.03, -y + 0.03, x - 0.03, y - 0.03, top, 0.4)])


def _mirror() -> Material:
    return Material((0.72, 0.77, 0.8), gloss=0.95)


def _open_wardrobe(rng: Rng, style: Style, x: float, y: float, tall: float) -> Piece:
    """A rail with clothes, a shelf over it and drawers under it."""
    wood, metal = style.wood(rng), style.metal(rng)
    parts = _case(x, y, 0.0, tall, wood, 0.025)
    shelf, chest = tall - 0.3, 0.42
    rail = shelf - 0.09
    parts.append(board([-x + 0.025, -y, shelf - 0.02], [x - 0.025, y - 0.01, shelf], wood))
    parts.append(bar((-x + 0.02, 0, rail), (x - 0.02, 0, rail), 0.013, metal))
    parts.append(box([-x + 0.025, -y + 0.02, 0.025], [x - 0.025, y - 0.01, chest], wood))
    parts += drawers((-x + 0.025, 0.03), (x - 0.025, chest), -y, 2, 2, wood, metal, "knob")
    at = -x + 0.1
    while at < x - 0.1:
        if rng.random() < 0.9:
            long = float(rng.uniform(0.55, min(1.05, rail - chest - 0.1)))
            cloth = (
                style.fabric(rng)
                if rng.random() < 0.5
                else style.accent(rng)
                if rng.random() < 0.5
                else style.linen(rng)
            )
            half = float(rng.uniform(0.16, 0.21))
            garment = rounded_box([-0.022, -half, rail - 0.05 - long], [0.022, half, rail - 0.05], cloth, 0.02, 1)
            parts.append(garment.turned(rng.normal() * 0.06).moved(at, 0))
            parts.append(bar((at, 0, rail - 0.06), (at, 0, rail + 0.012), 0.004, metal))
        at += float(rng.uniform(0.055, 0.075))
    free = Support(-x + 0.05, -y + 0.05, x - 0.05, y - 0.05, shelf, tall - shelf - 0.04)
    return finished("wardrobe", "open", parts, [Support(-x + 0.03, -y + 0.03, x - 0.03, y - 0.03, tall, 0.4), free])


@piece("dresser", "chest", "commode", "wide", "tallboy")
def dresser(rng: Rng, style: Style, variant: str) -> Piece:
    """A chest of drawers."""
    sizes = {
        "chest": ((0.75, 1.0), (0.74, 0.9), 4, 1),
        "wide": ((1.3, 1.65), (0.72, 0.82), 3, 2),
        "tallboy": ((0.5, 0.65), (1.1, 1.3), 6, 1),
        "commode": ((0.9, 1.25), (0.8, 0.9), 3, 2),
    }
    wide, high, rows, columns = sizes[variant]
    width, tall, depth = float(rng.uniform(*wide)), float(rng.uniform(*high)), float(rng.uniform(0.4, 0.5))
    wood, metal, x, y = style.wood(rng), style.metal(rng), width / 2, depth / 2
    paint = style.painted(rng)
    body = paint if rng.random() < 0.5 else wood
    face = paint if rng.random() < 0.4 else body
    kind = HANDLES[int(rng.integers(3))]
    low = {"chest": 0.06, "wide": 0.17, "tallboy": 0.1, "commode": 0.13}[variant]
    thick = 0.022
    parts = [board([-x, -y + 0.02, low], [x, y, tall - thick], body)]
    out = 0.02 if variant in ("commode", "tallboy") else 0.0
    parts.append(board([-x - out, -y - out, tall - thick], [x + out, y, tall], wood if variant != "chest" else body))
    edge = 0.03 if variant == "commode" else 0.012
    start, end = (-x + edge, low + edge), (x - edge, tall - thick - edge)
    if variant == "tallboy":
        parts += drawers(start, end, -y, rows, columns, face, metal, kind)
        parts += four_legs(width - 0.06, depth - 0.06, square(low, 0.045, wood))
    elif variant == "commode":
        split = end[1] - (end[1] - start[1]) * 0.27
        parts += drawers(start, (end[0], split), -y, 2, 1, face, metal, kind, True)
        parts += drawers((start[0], split), end, -y, 1, columns, face, metal, kind, True)
        parts += four_legs(width - 0.1, depth - 0.1, turned_leg(low, 0.04, wood))
        parts.append(board([-x, -y, low], [x, -y + 0.02, low + edge], body))
    elif variant == "wide":
        parts += drawers(start, end, -y, rows, columns, face, metal, kind)
        parts += four_legs(width - 0.24, depth - 0.12, splayed(low, 0.022, 0.04, wood))
    else:
        parts += drawers(start, end, -y, rows, columns, face, metal, kind)
        parts.append(box([-x + 0.02, -y + 0.05, 0], [x - 0.02, y - 0.02, low], metal, skip="Z"))
    return finished("dresser", variant, parts, [Support(-x + 0.02, -y + 0.02, x - 0.02, y - 0.02, tall)])


@piece("bookcase", "tall", "ladder", "cubes", "steel-framed", "low", "library")
def bookcase(rng: Rng, style: Style, variant: str) -> Piece:
    """Shelves with books, and room for other things."""
    build = {"ladder": _ladder, "cubes": _cubes, "steel-framed": _steel_shelves}
    return build.get(variant, _shelves)(rng, style, variant)


def _filled(
    rng: Rng, style: Style, x0: float, x1: float, y: float, depth: float, z: float, free: float
) -> tuple[list[Mesh], Support | None]:
    """One shelf board's load: books along all of it, or along a part and room for things beside them, or room alone."""
    kind = rng.random()
    start = x0 + 0.005
    end = x1 if kind < 0.4 else x0 + (x1 - x0) * float(rng.uniform(0.35, 0.7)) if kind < 0.92 else x0
    parts = books(rng, style, start, end, y, depth, z, min(free, 0.34)) if end > start else []
    left = end + 0.02
    if x1 - left < 0.14:
        return parts, None
    if rng.random() < 0.3 and x1 - left > 0.3:
        parts += pile(rng, style, left + 0.13, y + 0.1, z, int(rng.integers(2, 5)))
        left += 0.28
    if x1 - 0.02 - left < 0.12:
        return parts, None
    return parts, Support(left, y, x1 - 0.02, y + depth - 0.02, z, free - 0.02)


def _shelves(rng: Rng, style: Style, variant: str) -> Piece:
    tall = float(rng.uniform(0.8, 1.05) if variant == "low" else rng.uniform(1.75, 2.1))
    width, depth = float(rng.uniform(0.75, 1.15)), float(rng.uniform(0.27, 0.33))
    x, y, wood, metal = width / 2, depth / 2, style.wood(rng), style.metal(rng)
    body = style.painted(rng) if rng.random() < 0.45 else wood
    low = 0.06
    parts = _case(x, y, low, tall, body)
    parts.append(box([-x + 0.01, -y + 0.02, 0], [x - 0.01, y, low], body, skip="Z"))
    base = low + 0.02
    if variant == "library":
        chest = float(rng.uniform(0.6, 0.75))
        parts.append(box([-x - 0.02, -y - 0.06, 0], [x + 0.02, y, chest], body))
        parts += doors((-x, low), (x, chest - 0.03), -y - 0.08, 2, body, metal, "knob", True)
        parts += _cornice(x, y, tall, body)
        base = chest
    rows = max(2, round((tall - base) / 0.36))
    step = (tall - 0.02 - base) / rows
    supports = []
    for row in range(rows):
        z = base + row * step
        if row:
            parts.append(board([-x + 0.02, -y + 0.005, z - 0.02], [x - 0.02, y - 0.01, z], body))
        load, support = _filled(rng, style, -x + 0.03, x - 0.03, -y + 0.02, depth - 0.05, z, step - 0.03)
        parts += load
        supports += [support] if support else []
    top = tall + (0.07 if variant == "library" else 0)
    supports.append(Support(-x + 0.02, -y + 0.02, x - 0.02, y - 0.02, top, 0.5))
    return finished("bookcase", variant, parts, supports)


def _ladder(rng: Rng, style: Style, variant: str) -> Piece:
    tall, width, foot = float(rng.uniform(1.65, 1.9)), float(rng.uniform(0.6, 0.8)), float(rng.uniform(0.4, 0.46))
    x, wood = width / 2, style.wood(rng)
    parts, supports = [], []
    # The poles lean: the shelves grow deeper downwards, their backs in one plane.
    for side in (-1, 1):
        e = side * (x - 0.015)
        parts += [
            bar((e, -foot, 0), (e, -0.06, tall), 0.018, wood),
            bar((e, -0.02, 0), (e, -0.02, tall * 0.93), 0.012, wood),
        ]
    levels = np.linspace(0.16, tall - 0.16, 5)
    for k, z in enumerate(levels):
        deep = 0.06 + (foot - 0.06) * (1 - z / tall) + 0.05
        parts.append(board([-x + 0.035, -deep, z - 0.022], [x - 0.035, 0, z], wood))
        free = float(levels[k + 1] - z - 0.04) if k < 4 else 0.4
        load, support = _filled(rng, style, -x + 0.045, x - 0.045, -deep + 0.02, deep - 0.03, float(z), min(free, 0.3))
        parts += load
        supports += [support] if support else []
    return finished("bookcase", variant, parts, supports)


def _cubes(rng: Rng, style: Style, variant: str) -> Piece:
    columns, rows, cell = int(rng.integers(2, 5)), int(rng.integers(2, 5)), float(rng.uniform(0.33, 0.37))
    width, tall, depth = columns * cell + 0.03, rows * cell + 0.03, 0.38
    x, y, body = width / 2, depth / 2, style.painted(rng)
    parts, supports = [], []
    parts += [board([-x + k * cell, -y, 0], [-x + k * cell + 0.03, y, tall], body) for k in range(columns + 1)]
    parts += [board([-x + 0.02, -y + 0.003, k * cell], [x - 0.02, y, k * cell + 0.03], body) for k in range(rows + 1)]
    parts.append(box([-x + 0.01, y - 0.012, 0.01], [x - 0.01, y - 0.002, tall - 0.01], body))
    for column in range(columns):
        for row in range(rows):
            x0, z = -x + column * cell + 0.03, row * cell + 0.03
            free = cell - 0.03
            if rng.random() < 0.3:
                crate = style.fabric(rng) if rng.random() < 0.5 else style.accent(rng)
                parts.append(box([x0 + 0.006, -y + 0.015, z], [x0 + free - 0.006, y - 0.03, z + free - 0.03], crate))
                middle = x0 + free / 2
                parts.append(
                    box(
                        [middle - 0.04, -y + 0.012, z + free * 0.65],
                        [middle + 0.04, -y + 0.015, z + free * 0.72],
                        style.metal(rng),
                        skip="Y",
                    )
                )
            else:
                load, support = _filled(rng, style, x0, x0 + free, -y + 0.04, depth - 0.1, z, free - 0.01)
                parts += load
                supports += [support] if support else []
    supports.append(Support(-x + 0.02, -y + 0.02, x - 0.02, y - 0.02, tall, 0.8))
    return finished("bookcase", variant, parts, supports)


def _steel_shelves(rng: Rng, style: Style, variant: str) -> Piece:
    tall, width, depth = float(rng.uniform(1.6, 1.9)), float(rng.uniform(0.9, 1.3)), float(rng.uniform(0.32, 0.38))
    x, y, wood, metal = width / 2, depth / 2, style.wood(rng), style.metal(rng)
    parts = four_legs(width - 0.03, depth - 0.03, square(tall, 0.03, metal))
    levels = np.linspace(0.12, tall - 0.03, 5)
    for e in (-x + 0.015, x - 0.015):
        parts += [board([e - 0.01, -y + 0.03, z - 0.045], [e + 0.01, y - 0.03, z - 0.025], metal) for z in levels]
    parts += [
        bar((-x + 0.03, y - 0.015, 0.15), (x - 0.03, y - 0.015, tall - 0.1), 0.006, metal),
        bar((x - 0.03, y - 0.008, 0.15), (-x + 0.03, y - 0.008, tall - 0.1), 0.006, metal),
    ]
    supports = []
    for k, z in enumerate(levels):
        parts.append(board([-x, -y, z - 0.03], [x, y, z], wood))
        if k == len(levels) - 1:
            continue
        free = float(levels[k + 1] - z - 0.05)
        load, support = _filled(rng, style, -x + 0.05, x - 0.05, -y + 0.03, depth - 0.09, float(z), free)
        parts += load
        supports += [support] if support else []
    return finished("bookcase", variant, parts, supports)


@piece("shelf", "floating", "bracketed", "box", "rope-hung")
def shelf(rng: Rng, style: Style, variant: str) -> Piece:
    """A shelf that hangs on a wall, with a few books."""
    width, depth = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.18, 0.24))
    x, wood, metal = width / 2, style.wood(rng), style.metal(rng)
    body = style.painted(rng) if rng.random() < 0.4 else wood
    if variant == "box":
        tall = float(rng.uniform(0.3, 0.38))
        parts = [mesh.moved(0, -depth / 2) for mesh in _case(x, depth / 2, 0, tall, body)]
        parts.append(board([-0.01, -depth + 0.003, 0.02], [0.01, -0.01, tall - 0.02], body))
        parts += books(rng, style, -x + 0.03, -0.05, -depth + 0.02, 0.17, 0.02, tall - 0.06)
        supports = [
            Support(0.03, -depth + 0.02, x - 0.04, -0.02, 0.02, tall - 0.06),
            Support(-x + 0.02, -depth + 0.02, x - 0.02, -0.01, tall, 0.4),
        ]
        return finished("shelf", variant, parts, supports)
    thick = 0.035 if variant == "floating" else 0.025
    levels = [0.2]
    if variant == "rope-hung":
        levels = [0.03, 0.36]
    parts = [board([-x, -depth, z - thick], [x, 0, z], body) for z in levels]
    if variant == "bracketed":
        for e in (-x * 0.66, x * 0.66):
            parts += [
                box([e - 0.012, -0.008, 0], [e + 0.012, 0, 0.2 - thick], metal),
                box([e - 0.012, -depth + 0.03, 0.2 - thick - 0.008], [e + 0.012, 0, 0.2 - thick], metal),
                bar((e, -0.008, 0.02), (e, -depth + 0.05, 0.2 - thick - 0.004), 0.008, metal),
            ]
    elif variant == "rope-hung":
        rope = style.paper(rng)
        for e in (-x + 0.03, x - 0.03):
            for y in (-depth + 0.02, -0.02):
                parts.append(bar((e, y, 0.0), (e, y, 0.36), 0.006, rope))
                parts.append(bar((e, y, 0.36), (e * 0.9, -0.01, 0.62), 0.006, rope))
    supports = []
    for k, z in enumerate(levels):
        free = 0.26 if k + 1 == len(levels) else 0.28
        end = -x + width * float(rng.uniform(0.2, 0.5))
        parts += books(rng, style, -x + 0.05, end, -depth + 0.02, depth - 0.03, z, 0.25)
        supports.append(Support(end + 0.02, -depth + 0.03, x - 0.12, -0.03, z, free))
    return finished("shelf", variant, parts, supports)
