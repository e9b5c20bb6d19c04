"""Floor lamps, table lamps and ceiling lamps."""

import math
from dataclasses import replace

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import arc, finished, oval, revolve, solid
from tst.houses.furniture.piece import Piece
from tst.houses.furniture.shapes import bar, disc, lamp_shade, pole
from tst.houses.mesh import Material, Mesh, ball, cylinder, join
from tst.houses.styles import Style

Rng = np.random.Generator
Point = tuple[float, float, float]


def _lamp(category: str, variant: str, parts: list[Mesh], light: Point) -> Piece:
    """The finished piece with its light, given in the axes of `parts`."""
    low, high = join(parts).bounds.astype(float)
    x, y, z = light
    moved = (x - float(low[0] + high[0]) / 2, y - float(low[1] + high[1]) / 2, z - float(low[2]))
    return replace(finished(category, variant, parts), light=moved)


def _bulb(style: Style, rng: Rng, radius: float = 0.035) -> Mesh:
    return ball(radius, style.shade(rng), 10)


def _dome(radius: float, height: float, outside: Material, inside: Material, corner: int = 5) -> Mesh:
    """A metal shade, open below, bright inside: its rim at z = 0."""
    angle = np.linspace(0, math.pi / 2 * 0.92, 6)
    outer = [(radius * math.cos(a), height * math.sin(a)) for a in angle]
    inner = [((radius - 0.006) * math.cos(a), (height - 0.006) * math.sin(a)) for a in angle[::-1]]
    return join(
        [
            revolve([(radius - 0.006, 0), *outer, (0, height)], outside, corner),
            revolve([(0, height - 0.006), *inner], inside, corner),
        ]
    )


@piece("floor lamp", "drum-shaded", "arc", "tripod", "reading", "paper", "torchiere")
def floor_lamp(rng: Rng, style: Style, variant: str) -> Piece:
    """A lamp that stands on the floor."""
    tall, metal, shade = float(rng.uniform(1.45, 1.7)), style.metal(rng), style.shade(rng)
    radius = float(rng.uniform(0.18, 0.24))
    foot = disc(0, 0, float(rng.uniform(0.13, 0.16)), 0, 0.02, metal)
    if variant == "paper":
        tall, half = float(rng.uniform(1.2, 1.5)), float(rng.uniform(0.13, 0.17))
        rows = []
        for k in range(13):
            z = 0.06 + (tall - 0.06) * k / 12
            rows.append((half * (1.0 if k % 2 else 0.94), z))
        parts = [solid([oval(0, 0, r, r, h, 5) for r, h in rows], shade)]
        parts += [
            bar((half * c, half * s, 0), (half * 0.9 * c, half * 0.9 * s, 0.08), 0.008, metal)
            for c, s in ((1, 0), (-0.5, 0.87), (-0.5, -0.87))
        ]
        return _lamp("floor lamp", variant, parts, (0, 0, tall * 0.6))
    if variant == "torchiere":
        tall = float(rng.uniform(1.65, 1.8))
        bowl = [
            (0.02, tall - 0.12),
            (0.1, tall - 0.09),
            (radius * 0.85, tall),
            (radius * 0.85 - 0.008, tall),
            (0.09, tall - 0.08),
            (0.0, tall - 0.1),
        ]
        parts = [foot, bar((0, 0, 0.01), (0, 0, tall - 0.1), 0.014, metal), revolve(bowl, shade, 5)]
        return _lamp("floor lamp", variant, parts, (0, 0, tall + 0.05))
    if variant == "arc":
        reach = float(rng.uniform(0.75, 0.95))
        curve = [(0.0, 0.0, 0.03), (0.0, 0.0, 0.6)]
        curve += [
            (reach / 2 - reach / 2 * math.cos(a), 0.0, 0.6 + (tall + 0.15 - 0.6) * math.sin(a))
            for a in np.linspace(0.2, 2.5, 11)
        ]
        end = curve[-1]
        parts = [disc(0, 0, 0.17, 0, 0.05, style.stone(rng)), pole(curve, 0.012, metal)]
        parts.append(_dome(0.17, 0.16, metal, shade).moved(end[0], 0, end[2] - 0.16))
        parts.append(_bulb(style, rng).moved(end[0], 0, end[2] - 0.12))
        return _lamp("floor lamp", variant, parts, (end[0], 0.0, end[2] - 0.2))
    if variant == "reading":
        tall = tall - 0.1
        parts = [
            foot,
            bar((0, 0, 0.01), (0, 0, tall - 0.25), 0.011, metal),
            bar((0, 0, tall - 0.26), (0.26, 0, tall), 0.009, metal),
        ]
        head = _dome(0.09, 0.15, metal, shade, 4).turned(0.5, "y")
        parts += [head.moved(0.22, 0, tall - 0.13), ball(0.02, metal, 8).moved(0, 0, tall - 0.25)]
        parts.append(_bulb(style, rng, 0.03).moved(0.24, 0, tall - 0.09))
        return _lamp("floor lamp", variant, parts, (0.2, 0.0, tall - 0.18))
    high = float(rng.uniform(0.24, 0.34))
    parts = [lamp_shade(radius, radius * float(rng.uniform(0.7, 1.0)), tall - high, tall, shade, 5)]
    parts.append(_bulb(style, rng).moved(0, 0, tall - high * 0.6))
    if variant == "tripod":
        wood = style.wood(rng)
        apex = tall - high - 0.04
        for k in range(3):
            c, s = math.cos(2.094 * k + 0.52), math.sin(2.094 * k + 0.52)
            parts.append(bar((0.27 * c, 0.27 * s, 0), (0.025 * c, 0.025 * s, apex), 0.013, wood, 0.017))
        parts += [
            disc(0, 0, 0.045, apex - 0.03, apex, metal),
            bar((0, 0, apex - 0.01), (0, 0, tall - high * 0.6), 0.009, metal),
        ]
    else:
        parts += [foot, bar((0, 0, 0.01), (0, 0, tall - high * 0.6), 0.012, metal, corner=2)]
    for k in range(3):
        c, s = math.cos(2.094 * k), math.sin(2.094 * k)
        parts.append(
            bar((0, 0, tall - high * 0.25), (radius * 0.72 * c, radius * 0.72 * s, tall - high * 0.25), 0.003, metal)
        )
    parts.append(bar((0, 0, tall - high * 0.62), (0, 0, tall - high * 0.24), 0.004, metal))
    return _lamp("floor lamp", variant, parts, (0, 0, tall - high / 2))


BASES = {
    "bottle": ((0.06, 0.0), (0.075, 0.04), (0.08, 0.12), (0.05, 0.19), (0.018, 0.23), (0.014, 0.28)),
    "gourd": (
        (0.045, 0.0),
        (0.05, 0.015),
        (0.085, 0.07),
        (0.075, 0.13),
        (0.035, 0.16),
        (0.05, 0.2),
        (0.02, 0.24),
        (0.012, 0.28),
    ),
}
"""Profiles of ceramic lamp bases, (radius, height) in metres."""


@piece("table lamp", "ceramic", "desk", "globe", "candlestick")
def table_lamp(rng: Rng, style: Style, variant: str) -> Piece:
    """A lamp that stands on furniture."""
    metal, shade = style.metal(rng), style.shade(rng)
    radius, scale = float(rng.uniform(0.11, 0.145)), float(rng.uniform(0.8, 1.1))
    if variant == "globe":
        ball_radius = float(rng.uniform(0.08, 0.11))
        base = style.wood(rng) if rng.random() < 0.5 else style.stone(rng)
        parts = [disc(0, 0, ball_radius * 0.75, 0, 0.05, base, 0.008), cylinder(0.03, 0.04, 0.075, metal, 10)]
        parts.append(ball(ball_radius, shade, 16).moved(0, 0, 0.06 + ball_radius))
        return _lamp("table lamp", variant, parts, (0, 0, 0.06 + ball_radius))
    if variant == "desk":
        paint = style.accent(rng) if rng.random() < 0.5 else metal
        elbow, tip = (0.0, 0.1, 0.24 * scale), (0.0, -0.06, 0.4 * scale)
        parts = [
            disc(0, 0.04, 0.085, 0, 0.02, paint),
            bar((0, 0.04, 0.02), elbow, 0.007, paint),
            bar(elbow, tip, 0.007, paint),
        ]
        parts += [ball(0.015, metal, 8).moved(*elbow), ball(0.013, metal, 8).moved(*tip)]
        parts.append(_dome(0.065, 0.11, paint, shade, 4).turned(-0.5, "x").moved(0, tip[1] - 0.04, tip[2] - 0.09))
        parts.append(_bulb(style, rng, 0.025).moved(0, tip[1] - 0.035, tip[2] - 0.055))
        return _lamp("table lamp", variant, parts, (0, tip[1] - 0.05, tip[2] - 0.12))
    if variant == "ceramic":
        names = sorted(BASES)
        profile = [(r * scale, h * scale) for r, h in BASES[names[int(rng.integers(len(names)))]]]
        glaze = style.ceramic(rng) if rng.random() < 0.4 else style.accent(rng)
        stem = profile[-1][1]
        parts = [revolve([(0, 0), *profile], glaze, 4)]
        slope = float(rng.uniform(0.65, 0.95))
    else:
        wood, stem = style.wood(rng) if rng.random() < 0.6 else metal, 0.28 * scale
        turned = (
            (0.07, 0.0),
            (0.075, 0.02),
            (0.03, 0.04),
            (0.018, 0.08),
            (0.03, 0.12),
            (0.016, 0.16),
            (0.022, 0.22),
            (0.012, 0.28),
        )
        parts = [revolve([(0, 0), *((r, h * scale) for r, h in turned)], wood, 4)]
        slope = float(rng.uniform(0.35, 0.5))
    high = float(rng.uniform(0.15, 0.2))
    parts += [
        lamp_shade(radius, radius * slope, stem, stem + high, shade, 5),
        cylinder(0.006, stem - 0.01, stem + high * 0.8, metal, 6),
    ]
    parts.append(_bulb(style, rng, 0.028).moved(0, 0, stem + high * 0.45))
    top = stem + high * 0.8
    parts += [
        bar((0, 0, top), (radius * slope * c, radius * slope * s, top), 0.002, metal)
        for c, s in ((1, 0), (-0.5, 0.87), (-0.5, -0.87))
    ]
    return _lamp("table lamp", variant, parts, (0, 0, stem + high / 2))


@piece("ceiling lamp", "drum", "dome", "flush", "chandelier", "globe", "cage")
def ceiling_lamp(rng: Rng, style: Style, variant: str) -> Piece:
    """A lamp that hangs from the ceiling; its top is its highest point."""
    metal, shade = style.metal(rng), style.shade(rng)
    if variant == "flush":
        radius = float(rng.uniform(0.15, 0.23))
        bowl = [(0, 0), (radius * 0.5, 0.008), (radius * 0.85, 0.03), (radius * 0.96, 0.07)]
        parts = [revolve(bowl, shade, 6), disc(0, 0, radius, 0.065, 0.1, metal)]
        return _lamp("ceiling lamp", variant, parts, (0, 0, -0.06))
    drop = float(rng.uniform(0.42, 0.6))
    parts = [
        revolve([(0, drop - 0.035), (0.03, drop - 0.035), (0.05, drop - 0.01), (0.05, drop)], metal, 4),
        disc(0, 0, 0.05, drop - 0.004, drop, metal, 0.001),
    ]
    if variant == "drum":
        radius, high = float(rng.uniform(0.17, 0.24)), float(rng.uniform(0.17, 0.24))
        parts += [
            lamp_shade(radius, radius * float(rng.uniform(0.85, 1)), 0, high, shade, 6),
            cylinder(0.004, high * 0.5, drop - 0.03, metal, 6),
        ]
        parts += [
            bar((0, 0, high * 0.9), (radius * 0.86 * c, radius * 0.86 * s, high * 0.9), 0.003, metal)
            for c, s in ((1, 0), (-0.5, 0.87), (-0.5, -0.87))
        ]
        parts.append(_bulb(style, rng, 0.04).moved(0, 0, high * 0.5))
        return _lamp("ceiling lamp", variant, parts, (0, 0, high * 0.4))
    if variant == "dome":
        radius, high = float(rng.uniform(0.17, 0.23)), float(rng.uniform(0.14, 0.2))
        paint = style.accent(rng) if rng.random() < 0.4 else metal
        parts += [
            _dome(radius, high, paint, shade, 6),
            cylinder(0.004, high - 0.01, drop - 0.03, metal, 6),
            cylinder(0.02, high - 0.01, high + 0.05, metal, 8),
        ]
        parts.append(_bulb(style, rng, 0.04).moved(0, 0, 0.06))
        return _lamp("ceiling lamp", variant, parts, (0, 0, -0.03))
    if variant == "globe":
        radius = float(rng.uniform(0.12, 0.18))
        parts += [
            ball(radius, shade, 18).moved(0, 0, radius),
            cylinder(0.005, 2 * radius - 0.01, drop - 0.03, metal, 6),
            cylinder(0.03, 2 * radius - 0.015, 2 * radius + 0.03, metal, 10),
        ]
        return _lamp("ceiling lamp", variant, parts, (0, 0, radius))
    if variant == "cage":
        radius, high = float(rng.uniform(0.11, 0.15)), float(rng.uniform(0.22, 0.28))
        parts += [cylinder(0.004, high, drop - 0.03, metal, 6), cylinder(0.025, high - 0.06, high + 0.01, metal, 8)]
        for k in range(8):
            c, s = math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)
            rib = [(0.02, high), (radius * 0.6, high * 0.85), (radius, high * 0.35), (radius * 0.75, 0.006)]
            parts.append(pole([(r * c, r * s, h) for r, h in rib], 0.004, metal, 1))
        for r, h in ((radius, high * 0.35), (radius * 0.75, 0.006)):
            parts.append(
                pole([(r * math.cos(a), r * math.sin(a), h) for a in np.linspace(0, 2 * math.pi, 17)], 0.004, metal, 1)
            )
        parts.append(_bulb(style, rng, 0.05).moved(0, 0, high * 0.55))
        return _lamp("ceiling lamp", variant, parts, (0, 0, high * 0.5))
    arms, reach = int(rng.integers(5, 7)), float(rng.uniform(0.22, 0.3))
    body = [(0, 0.0), (0.015, 0.01), (0.035, 0.05), (0.02, 0.1), (0.03, 0.14), (0.012, 0.2), (0.008, drop - 0.03)]
    parts.append(revolve(body, metal, 3))
    for k in range(arms):
        c, s = math.cos(2 * math.pi * k / arms), math.sin(2 * math.pi * k / arms)
        curve = [(r * c, r * s, z) for r, _, z in arc((reach / 2 + 0.01, 0, 0.1), reach / 2, 180, 360, count=6)]
        curve[-1] = (curve[-1][0], curve[-1][1], 0.12)
        parts.append(pole(curve, 0.007, metal))
        x, y = curve[-1][0], curve[-1][1]
        parts += [
            disc(x, y, 0.03, 0.118, 0.126, metal, 0.002),
            cylinder(0.01, 0.12, 0.18, style.paper(rng), 6).moved(x, y),
        ]
        parts.append(
            lamp_shade(0.05, 0.028, 0.17, 0.24, shade, 3).moved(x, y)
            if reach > 0.26
            else ball(0.022, shade, 8).moved(x, y, 0.19)
        )
    return _lamp("ceiling lamp", variant, parts, (0, 0, 0.05))
