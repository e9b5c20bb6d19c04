"""Beds and pillows."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished, oval, revolve, solid
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.shapes import (
    arched,
    bar,
    board,
    cushion,
    draped,
    flat,
    four_legs,
    pole,
    splayed,
    square,
    sweep,
    turned_leg,
)
from tst.houses.mesh import Material, Mesh, ball, join, rounded_box
from tst.houses.styles import Style

Rng = np.random.Generator


def _bedding(rng: Rng, style: Style, width: float, length: float, low: float, pillows: int) -> tuple[list[Mesh], float]:
    """Mattress, duvet, pillows and perhaps a throw on a base at `low`; the foot end at -y. Also the duvet's height."""
    x, y = width / 2, length / 2
    sheet, cover, thick = style.linen(rng), style.linen(rng), float(rng.uniform(0.18, 0.24))
    top = low + thick
    duvet = top + 0.05
    upper = y - float(rng.uniform(0.42, 0.6))
    hem = low + float(rng.uniform(0.0, 0.1))
    parts = [rounded_box([-x, -y, low], [x, y, top], sheet, 0.05)]
    parts.append(draped(-x - 0.03, x + 0.03, -y - 0.02, upper, duvet, hem, cover, rng))
    # The turned-back edge of the duvet closes it towards the pillows.
    fold = rounded_box([-x * 0.97, upper - 0.2, top + 0.005], [x * 0.97, upper + 0.015, duvet + 0.015], sheet, 0.03)
    parts.append(fold)
    each = width / pillows
    for k in range(pillows):
        soft = cushion(min(0.72, each - 0.06), 0.42, 0.17, sheet if rng.random() < 0.7 else cover, 3.5)
        place = (-x + (k + 0.5) * each, y - 0.27, top + 0.1)
        parts.append(soft.turned(0.3, "x").turned(rng.normal() * 0.06).moved(*place))
    if rng.random() < 0.45:
        throw = style.fabric(rng)
        start = -y + length * 0.12
        parts.append(_runner(x + 0.045, start, start + length * 0.22, duvet + 0.018, hem + 0.05, throw))
    return parts, duvet


def _runner(x: float, y0: float, y1: float, top: float, hem: float, material: Material) -> Mesh:
    """A folded blanket across the foot of a bed."""
    across = np.array(
        [(-x, hem), (-x, top - 0.05), (-x + 0.05, top), (0, top + 0.005), (x - 0.05, top), (x, top - 0.05), (x, hem)]
    )
    thick = np.array(
        [(0.015, 0), (0.015, -0.005), (0.008, -0.015), (0, -0.02), (-0.008, -0.015), (-0.015, -0.005), (-0.015, 0)]
    )
    rings = []
    for outer, inset in zip(across, thick, strict=True):
        inner = outer + inset
        rings.append(
            np.array(
                [(outer[0], y0, outer[1]), (outer[0], y1, outer[1]), (inner[0], y1, inner[1]), (inner[0], y0, inner[1])]
            )
        )
    return flat(sweep(rings, material))


def _on_bed(width: float, length: float, z: float) -> Support:
    """The middle of the duvet: for a toy or a book."""
    return Support(-width * 0.3, -length * 0.05, width * 0.3, length * 0.14, z + 0.035, 0.6)


@piece("bed", "platform", "metal-framed", "upholstered", "four-poster", "single", "sleigh", "bunk", "day")
def bed(rng: Rng, style: Style, variant: str) -> Piece:
    """A bed for one or two, its head at the wall."""
    narrow = variant in ("single", "metal-framed", "bunk", "day")
    width = float(rng.choice([0.8, 0.9, 1.0]) if narrow else rng.choice([1.4, 1.6, 1.8]))
    length = float(rng.uniform(1.92, 2.04))
    build = {
        "platform": _platform,
        "metal-framed": _metal_bed,
        "upholstered": _soft_bed,
        "four-poster": _four_poster,
        "single": _single,
        "sleigh": _sleigh,
        "bunk": _bunk,
        "day": _day_bed,
    }[variant]
    parts, supports = build(rng, style, width, length)
    return finished("bed", {"single": "single bed", "day": "day bed"}.get(variant, variant), parts, supports)


Built = tuple[list[Mesh], list[Support]]


def _platform(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood, x, y, rim = style.wood(rng), width / 2, length / 2, float(rng.uniform(0.04, 0.14))
    low = float(rng.uniform(0.2, 0.28))
    head = float(rng.uniform(0.75, 0.95))
    soft, top = _bedding(rng, style, width - 0.04, length - 0.04, low, 2)
    parts = [
        board([-x - rim, -y - 0.06, low - 0.1], [x + rim, y, low], wood),
        board([-x - rim, y, 0.1], [x + rim, y + 0.04, head], wood),
        *four_legs(width - 0.2, length - 0.3, square(low - 0.1, 0.07, wood)),
    ]
    return parts + soft, [_on_bed(width, length, top)]


def _metal_bed(rng: Rng, style: Style, width: float, length: float) -> Built:
    metal, x, y, low = style.metal(rng), width / 2 + 0.02, length / 2 + 0.02, 0.3
    soft, top = _bedding(rng, style, width, length, low, 1)
    parts = [*soft, *(board([e - 0.012, -y, low - 0.05], [e + 0.012, y, low], metal) for e in (-x, x))]
    parts.append(board([-x, -y + 0.02, low - 0.02], [x, y - 0.02, low - 0.005], metal))
    for e, high in ((y, float(rng.uniform(0.9, 1.1))), (-y, float(rng.uniform(0.6, 0.72)))):
        bow = [
            (-x, e, 0),
            (-x, e, high - 0.12),
            (-x * 0.86, e, high),
            (x * 0.86, e, high),
            (x, e, high - 0.12),
            (x, e, 0),
        ]
        parts.append(pole(bow, 0.018, metal, 3))
        parts.append(bar((-x, e, low + 0.1), (x, e, low + 0.1), 0.012, metal))
        parts += [
            bar((s, e, low + 0.1), (s, e, high - 0.01), 0.009, metal) for s in np.linspace(-x * 0.75, x * 0.75, 6)
        ]
        parts += [ball(0.028, metal, 8).moved(s, e, high - 0.1) for s in (-x, x)]
    return parts, [_on_bed(width, length, top)]


def _soft_bed(rng: Rng, style: Style, width: float, length: float) -> Built:
    cover = style.fabric(rng) if rng.random() < 0.75 else style.leather(rng)
    x, y, low, head = width / 2 + 0.05, length / 2 + 0.03, 0.3, float(rng.uniform(0.95, 1.2))
    soft, top = _bedding(rng, style, width, length, low - 0.02, 2)
    parts = [
        rounded_box([-x, -y, 0.06], [x, y, low], cover, 0.03, 1),
        *four_legs(2 * x - 0.2, 2 * y - 0.2, splayed(0.07, 0.03, 0.0, style.wood(rng))),
    ]
    columns = int(rng.choice([1, 4, 6]))
    each = 2 * x / columns
    parts += [
        rounded_box([-x + k * each, y, 0.06], [-x + (k + 1) * each, y + 0.11, head], cover, 0.035)
        for k in range(columns)
    ]
    return parts + soft, [_on_bed(width, length, top)]


def _four_poster(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood, x, y, low = style.wood(rng), width / 2 + 0.03, length / 2 + 0.03, 0.32
    tall = float(rng.uniform(1.9, 2.05))
    soft, top = _bedding(rng, style, width, length, low, 2)
    parts = [
        *soft,
        *four_legs(2 * x, 2 * y, square(tall, 0.07, wood)),
        *[board([-x, e - 0.02, low - 0.16], [x, e + 0.02, low + 0.02], wood) for e in (-y, y)],
        *[board([e - 0.02, -y, low - 0.16], [e + 0.02, y, low + 0.02], wood) for e in (-x, x)],
        *[board([-x, e - 0.025, tall - 0.08], [x, e + 0.025, tall - 0.02], wood) for e in (-y, y)],
        *[board([e - 0.025, -y, tall - 0.08], [e + 0.025, y, tall - 0.02], wood) for e in (-x, x)],
        arched(-x, x, y - 0.02, y + 0.02, 0.3, 0.95, 0.14, wood),
    ]
    if rng.random() < 0.6:
        cloth = style.linen(rng)
        for sx in (-1, 1):
            for sy in (-1, 1):
                rows = [(0.06, 0.12), (0.035, 0.9), (0.05, 1.1), (0.07, tall - 0.06)]
                drape = solid([oval(0, 0, 0.035, r + 0.02, h, 4) for r, h in rows], cloth)
                parts.append(drape.moved(sx * (x + 0.02), sy * (y - 0.1)))
    return parts, [_on_bed(width, length, top)]


def _single(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood = style.painted(rng) if rng.random() < 0.5 else style.wood(rng)
    x, y, low = width / 2 + 0.02, length / 2 + 0.02, 0.3
    head, foot = float(rng.uniform(0.72, 0.85)), float(rng.uniform(0.36, 0.5))
    soft, top = _bedding(rng, style, width, length, low - 0.02, 1)
    parts = [
        *soft,
        board([-x, -y, low - 0.12], [x, y, low], wood),
        rounded_box([-x, y - 0.005, 0], [x, y + 0.03, head], wood, 0.012, 1),
        rounded_box([-x, -y - 0.03, 0], [x, -y + 0.005, foot], wood, 0.012, 1),
    ]
    return parts, [_on_bed(width, length, top)]


def _sleigh(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood, x, y, low = style.wood(rng), width / 2 + 0.02, length / 2, 0.3
    soft, top = _bedding(rng, style, width, length, low, 2)
    parts = [*soft, board([-x, -y - 0.04, 0.12], [x, y + 0.04, low], wood)]
    for sign, high in ((1, float(rng.uniform(0.95, 1.1))), (-1, float(rng.uniform(0.6, 0.7)))):
        # Head and foot curl outwards like the runners of a sleigh.
        heights = np.linspace(0, 1, 8)
        curl = 0.18 * heights**2.5
        outer = np.stack([y + 0.02 + curl, 0.02 + (high - 0.06) * heights], 1)
        inner = outer + np.array([0.045, -0.01])
        section = np.concatenate([outer, inner[::-1]])
        rings = [np.stack([np.full(len(section), e), sign * section[:, 0], section[:, 1]], 1) for e in (-x, x)]
        parts.append(_profile(rings, wood))
        roll = (sign * (y + 0.235), high - 0.05)
        parts.append(bar((-x - 0.01, *roll), (x + 0.01, *roll), 0.05, wood, corner=3))
    return parts, [_on_bed(width, length, top)]


def _profile(rings: list[np.ndarray], material: Material) -> Mesh:
    """A curved board between two equal outlines, made of strips; the second half of an outline runs back."""
    half = len(rings[0]) // 2
    pieces = []
    for k in range(half - 1):
        pick = [k, k + 1, -k - 2, -k - 1]
        pieces.append(flat(sweep([ring[pick] for ring in rings], material)))
    return join(pieces)


def _bunk(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood = style.painted(rng) if rng.random() < 0.4 else style.wood(rng)
    x, y, tall = width / 2 + 0.03, length / 2 + 0.03, float(rng.uniform(1.62, 1.75))
    low, high = 0.3, tall - 0.42
    parts = four_legs(2 * x, 2 * y, square(tall, 0.06, wood))
    supports = []
    for level in (low, high):
        soft, top = _bedding(rng, style, width, length, level, 1)
        parts += [*soft, board([-x, -y, level - 0.1], [x, y, level], wood)]
        supports = [_on_bed(width, length, top)]
    for e in (-y, y):
        for z in (0.55, 0.75, high + 0.2, tall - 0.06):
            parts.append(board([-x, e - 0.012, z - 0.03], [x, e + 0.012, z + 0.03], wood))
    for e in (-x, x):
        start = -y + (0.55 if e > 0 else 0.0)
        parts += [
            board([e - 0.012, start, z - 0.03], [e + 0.012, y, z + 0.03], wood) for z in (high + 0.2, tall - 0.06)
        ]
    ladder = x + 0.03
    for e in (-y + 0.1, -y + 0.5):
        parts.append(board([ladder, e - 0.02, 0], [ladder + 0.035, e + 0.02, tall], wood))
    parts += [
        board([ladder, -y + 0.1, z], [ladder + 0.03, -y + 0.5, z + 0.035], wood) for z in np.arange(0.3, high, 0.27)
    ]
    return parts, supports


def _day_bed(rng: Rng, style: Style, width: float, length: float) -> Built:
    wood = style.wood(rng)
    x, y, low, high = width / 2 + 0.03, length / 2 + 0.02, 0.3, float(rng.uniform(0.72, 0.85))
    soft, top = _bedding(rng, style, width, length, low, 1)
    parts = [*soft, board([-x, -y, low - 0.14], [x, y, low], wood)]
    parts += four_legs(2 * x, 2 * y, turned_leg(0.2, 0.035, wood))
    for e in (-y, y):
        parts += [
            mesh.moved(0, e)
            for mesh in four_legs(2 * x, 0.0, lambda a, b: turned_leg(high - 0.15, 0.03, wood)(a, b).moved(0, 0, 0.15))
        ][::2]
        parts.append(arched(-x, x, e - 0.02, e + 0.02, high - 0.1, high - 0.02, 0.1, wood))
        parts += [bar((s, e, low - 0.05), (s, e, high - 0.06), 0.011, wood) for s in np.linspace(-x * 0.8, x * 0.8, 7)]
    return parts, [_on_bed(width, length, top)]


@piece("pillow", "square", "bolster", "oblong", "round")
def pillow(rng: Rng, style: Style, variant: str) -> Piece:
    """A cushion that leans on something behind it."""
    material = style.accent(rng) if rng.random() < 0.35 else style.fabric(rng)
    if variant == "bolster":
        radius, half = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.2, 0.28))
        profile = [
            (0.0, -half),
            (0.02, -half + 0.005),
            (radius * 0.85, -half),
            (radius, -half + 0.03),
            (radius, half - 0.03),
            (radius * 0.85, half),
            (0.02, half - 0.005),
            (0.0, half),
        ]
        return finished("pillow", variant, [revolve(profile, material, 4).turned(math.pi / 2, "y")])
    if variant == "round":
        radius = float(rng.uniform(0.17, 0.22))
        profile = [
            (0.0, -0.045),
            (0.03, -0.06),
            (radius * 0.7, -0.055),
            (radius, 0.0),
            (radius * 0.7, 0.055),
            (0.03, 0.06),
            (0.0, 0.045),
        ]
        lying = join([revolve(profile, material, 5), ball(0.016, style.accent(rng), 6).moved(0, 0, 0.05)])
    else:
        side = float(rng.uniform(0.38, 0.48))
        tall = side if variant == "square" else float(rng.uniform(0.28, 0.34))
        lying = cushion(side + (0.0 if variant == "square" else 0.1), tall, float(rng.uniform(0.12, 0.17)), material, 3)
    return finished("pillow", variant, [lying.turned(math.radians(float(rng.uniform(66, 76))), "x")])
