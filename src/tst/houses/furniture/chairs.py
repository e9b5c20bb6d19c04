"""Chairs, office chairs and stools."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import arc, finished, oval, solid
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.shapes import arched, bar, board, cushion, disc, four_legs, pole, splayed, square, sweep
from tst.houses.mesh import Material, Mesh, ball, cylinder, join, rounded_box
from tst.houses.styles import Style

Rng = np.random.Generator


@piece("chair", "slatted", "bistro", "upholstered", "ladder-back", "shell", "windsor")
def chair(rng: Rng, style: Style, variant: str) -> Piece:
    """A chair for a table."""
    width, depth, seat = float(rng.uniform(0.41, 0.47)), float(rng.uniform(0.42, 0.48)), float(rng.uniform(0.44, 0.47))
    build = {
        "slatted": _slatted,
        "bistro": _bistro,
        "upholstered": _upholstered,
        "ladder-back": _ladder_back,
        "shell": _shell,
        "windsor": _windsor,
    }[variant]
    parts = build(rng, style, width, depth, seat)
    free = Support(-width * 0.35, -depth * 0.35, width * 0.35, depth * 0.2, seat + 0.002, 0.3)
    # A dished seat is no place to stand things on.
    return finished("chair", variant, parts, [] if variant == "shell" else [free])


def _back_posts(width: float, depth: float, seat: float, top: float, lean: float, wood: Material) -> list[Mesh]:
    """Rear legs that go on as the posts of a leaning back."""
    parts = []
    for side in (-1, 1):
        x = side * (width / 2 - 0.02)
        y = depth / 2 - 0.02
        parts.append(bar((x, y + 0.03, 0), (x, y, seat), 0.017, wood, 0.021))
        parts.append(bar((x, y, seat - 0.01), (x, y + lean, top), 0.021, wood, 0.016))
    return parts


def _slatted(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    top, lean = float(rng.uniform(0.82, 0.92)), float(rng.uniform(0.05, 0.1))
    wood = style.wood(rng) if rng.random() < 0.7 else style.painted(rng)
    x, y = width / 2, depth / 2
    parts = [rounded_box([-x, -y - 0.02, seat - 0.03], [x, y, seat], wood, 0.012, 1)]
    parts += _back_posts(width, depth, seat, top, lean, wood)
    parts += [bar((e, -y + 0.02, 0), (e, -y + 0.02, seat - 0.02), 0.016, wood, 0.021) for e in (-x + 0.03, x - 0.03)]
    back = y - 0.02
    height = top - seat
    for e in np.linspace(-x + 0.07, x - 0.07, int(rng.integers(4, 7))):
        parts.append(bar((e, back + 0.01, seat + 0.04), (e, back + lean * 0.9, top - 0.05), 0.009, wood))
    rail = rounded_box([-x + 0.005, -0.014, 0], [x - 0.005, 0.014, 0.07], wood, 0.01, 1)
    parts.append(rail.turned(-math.atan2(lean, height), "x").moved(0, back + lean * 0.93, top - 0.06))
    parts += [
        board([-x + 0.03, e - 0.01, seat - 0.09], [x - 0.03, e + 0.01, seat - 0.025], wood)
        for e in (-y + 0.03, y - 0.03)
    ]
    parts += [board([e - 0.01, -y + 0.03, 0.2], [e + 0.01, y - 0.0, 0.225], wood) for e in (-x + 0.03, x - 0.03)]
    return parts


def _bistro(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    wood = style.wood(rng) if rng.random() < 0.6 else style.metal(rng)
    radius, top = width / 2, float(rng.uniform(0.84, 0.92))
    parts = [
        disc(0, 0, radius, seat - 0.03, seat, wood),
        *four_legs(width * 0.62, width * 0.62, splayed(seat - 0.02, 0.018, 0.05, wood)),
    ]
    ring = [(radius * 0.8 * math.cos(a), radius * 0.8 * math.sin(a), 0.2) for a in np.linspace(0, 2 * math.pi, 13)]
    parts.append(pole(ring, 0.009, wood))
    for reach, inset in ((1.0, 0.0), (0.62, 0.05)):
        half, height = radius * 0.85 * reach, top - inset - seat
        angle = np.linspace(0, math.pi, 13)
        across = -half * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6
        up = np.sin(angle) ** 0.7
        hoop = [
            (float(a), radius * 0.4 + (radius * 0.6 + 0.04) * float(u), seat - 0.02 + height * float(u))
            for a, u in zip(across, up, strict=True)
        ]
        parts.append(pole(hoop, 0.013 if reach == 1 else 0.009, wood, 2))
    return parts


def _upholstered(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    cover = style.leather(rng) if rng.random() < 0.4 else style.fabric(rng)
    wood = style.wood(rng) if rng.random() < 0.6 else style.metal(rng)
    top, x, y = float(rng.uniform(0.84, 1.0)), width / 2 + 0.01, depth / 2
    rest = rounded_box([-x + 0.01, -0.035, 0], [x - 0.01, 0.035, top - seat + 0.05], cover, 0.034)
    return [
        rounded_box([-x, -y - 0.02, seat - 0.09], [x, y, seat], cover, 0.04),
        rest.turned(-0.12, "x").moved(0, y - 0.035, seat - 0.05),
        *four_legs(width - 0.06, depth - 0.08, splayed(seat - 0.07, 0.02, 0.015, wood)),
    ]


def _ladder_back(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    top, lean = float(rng.uniform(0.96, 1.08)), float(rng.uniform(0.05, 0.09))
    wood, x, y = style.wood(rng), width / 2, depth / 2
    straw = style.paper(rng)
    parts = [
        cushion(width - 0.01, depth, 0.05, straw, 8, 6).moved(0, 0, seat - 0.025),
        *_back_posts(width, depth, seat, top, lean, wood),
        *[ball(0.022, wood, 8).moved(e, y - 0.02 + lean, top + 0.015) for e in (-x + 0.02, x - 0.02)],
        *[bar((e, -y + 0.02, 0), (e, -y + 0.02, seat), 0.02, wood) for e in (-x + 0.02, x - 0.02)],
    ]
    for t in np.linspace(0.22, 0.92, int(rng.integers(3, 5))):
        slat = arched(-x + 0.02, x - 0.02, -0.007, 0.007, 0, 0.05, 0.025, wood)
        parts.append(slat.moved(0, y - 0.02 + lean * t, seat + (top - seat) * t - 0.03))
    for z in (0.14, 0.28):
        parts += [bar((-x + 0.02, e, z + 0.03), (x - 0.02, e, z + 0.03), 0.01, wood) for e in (-y + 0.02, y - 0.0)]
        parts += [bar((e, -y + 0.02, z), (e, y, z), 0.01, wood) for e in (-x + 0.02, x - 0.02)]
    return parts


def _shell(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    skin = style.plastic(rng) if rng.random() < 0.6 else style.accent(rng)
    top, wood = float(rng.uniform(0.78, 0.86)), style.wood(rng)
    y = depth / 2
    # The profile of seat and back in one line, from the front edge to the upper edge: depth, height, half width, dish.
    line = np.array(
        [
            (-y - 0.02, seat - 0.03, 0.9, 0.0),
            (-y + 0.03, seat - 0.005, 0.98, 0.03),
            (-0.05, seat - 0.015, 1.05, 0.05),
            (y - 0.1, seat - 0.01, 1.08, 0.07),
            (y - 0.03, seat + 0.04, 1.06, 0.09),
            (y + 0.01, seat + 0.12, 1.0, 0.09),
            (y + 0.04, top - 0.12, 0.96, 0.07),
            (y + 0.06, top - 0.03, 0.82, 0.05),
            (y + 0.07, top, 0.6, 0.0),
        ]
    )
    direction = np.gradient(line[:, :2], axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    out = np.stack([-direction[:, 1], direction[:, 0]], 1)  # up from the seat, forward from the back
    across = np.linspace(-1, 1, 9)
    rings = []
    for (at_y, at_z, half, dish), (out_y, out_z) in zip(line, out, strict=True):
        edge = np.concatenate([across, across[::-1]])
        lift = dish * edge**2 - np.repeat([0.0, 0.01], len(across))
        rings.append(np.stack([edge * half * width / 2, at_y + out_y * lift, at_z + out_z * lift], 1))
    return [
        sweep(rings, skin),
        *four_legs(width * 0.5, depth * 0.5, splayed(seat - 0.02, 0.017, 0.08, wood)),
        *[
            bar(
                (s * width * 0.33, -depth * 0.33, 0.22),
                (-s * width * 0.33, depth * 0.33, 0.22),
                0.006,
                style.metal(rng),
            )
            for s in (-1, 1)
        ],
    ]


def _windsor(rng: Rng, style: Style, width: float, depth: float, seat: float) -> list[Mesh]:
    wood = style.wood(rng) if rng.random() < 0.6 else style.painted(rng)
    top, y = float(rng.uniform(0.86, 0.98)), depth / 2
    parts = [
        solid(
            [oval(0, 0, width / 2 + d, y + d, h, 6) for d, h in ((-0.03, seat - 0.04), (0, seat - 0.02), (0, seat))],
            wood,
        ),
        *four_legs(width * 0.6, depth * 0.6, splayed(seat - 0.03, 0.02, 0.07, wood)),
        *[bar((e, -depth * 0.36, 0.2), (e, depth * 0.36, 0.2), 0.01, wood) for e in (-width * 0.36, width * 0.36)],
        bar((-width * 0.36, 0, 0.2), (width * 0.36, 0, 0.2), 0.01, wood),
    ]
    angle = np.linspace(0, math.pi, 13)
    half, height = width / 2 - 0.03, top - seat
    hoop = [
        (
            -half * math.cos(a) * (1 + 0.12 * math.sin(a)),
            0.4 * y + (0.6 * y + 0.04) * math.sin(a) ** 0.6,
            seat - 0.01 + height * math.sin(a) ** 0.6,
        )
        for a in angle
    ]
    parts.append(pole(hoop, 0.012, wood))
    for t in np.linspace(-0.66, 0.66, 7):
        rise = (1 - t * t) ** 0.3
        start = (t * half, (y - 0.03) * math.sqrt(1 - t * t), seat - 0.01)
        parts.append(
            bar(start, (t * half * 1.1, 0.4 * y + (0.6 * y + 0.04) * rise, seat - 0.01 + height * rise), 0.006, wood)
        )
    return parts


def _star(metal: Material, radius: float, castor: Material) -> list[Mesh]:
    """The five-armed foot of a swivel chair, with castors."""
    parts = []
    for k in range(5):
        angle = 2 * math.pi * k / 5 + math.pi / 2
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        parts.append(bar((0.03 * math.cos(angle), 0.03 * math.sin(angle), 0.12), (x, y, 0.075), 0.022, metal, 0.014))
        wheel = solid([oval(0, 0, 0.028, 0.028, h, 3) for h in (-0.02, 0.02)], castor)
        parts.append(wheel.turned(math.pi / 2, "y").turned(angle + math.pi / 2).moved(x, y, 0.028))
        parts.append(cylinder(0.01, 0.03, 0.08, castor, 6).moved(x, y))
    return parts


@piece("office chair", "task", "wooden swivel", "executive", "armless")
def office_chair(rng: Rng, style: Style, variant: str) -> Piece:
    """A swivel chair on castors."""
    seat, width = float(rng.uniform(0.45, 0.52)), float(rng.uniform(0.47, 0.52))
    x = width / 2
    metal, dark = style.metal(rng), Material((0.1, 0.1, 0.11), gloss=0.3)
    parts = [cylinder(0.024, 0.1, seat - 0.07, metal, 10), cylinder(0.038, 0.06, 0.24, dark, 10)]
    if variant == "wooden swivel":
        wood = style.wood(rng)
        top = float(rng.uniform(0.84, 0.92))
        parts += _star(wood, 0.3, dark)
        parts.append(
            solid(
                [oval(0, 0, x + d, x + d, h, 6) for d, h in ((-0.02, seat - 0.04), (0, seat - 0.02), (0, seat))], wood
            )
        )
        parts.append(solid([oval(0, 0, r, r, h, 3) for r, h in ((0.03, seat - 0.1), (0.12, seat - 0.035))], dark))
        rail = arc((0, 0, 0), x, -200, 20, count=15)
        curve = [(px, -pz * 0.95, top - 0.12 + 0.1 * max(0.0, -pz / x)) for px, _, pz in rail]
        parts.append(pole(curve, 0.018, wood))
        for px, py, pz in curve[1:-1]:
            parts.append(bar((px * 0.92, py * 0.92, seat - 0.01), (px, py, pz), 0.008, wood))
        return finished("office chair", variant, parts, [Support(-0.15, -0.15, 0.15, 0.1, seat, 0.3)])
    leather = variant == "executive"
    cover = style.leather(rng) if leather else style.fabric(rng)
    parts += _star(metal if rng.random() < 0.6 else dark, float(rng.uniform(0.29, 0.33)), dark)
    parts.append(rounded_box([-0.1, -0.12, seat - 0.1], [0.1, 0.12, seat - 0.06], dark, 0.01, 1))
    parts.append(rounded_box([-x, -0.25, seat - 0.08], [x, 0.22, seat], cover, 0.038))
    tall = {"task": 0.5, "executive": 0.72, "armless": 0.38}[variant] * float(rng.uniform(0.92, 1.06))
    lift = {"task": 0.08, "executive": 0.0, "armless": 0.16}[variant]
    half = x - 0.03
    back = join(
        [
            rounded_box([-half, -0.04, lift], [half, 0.03, lift + tall * (0.75 if leather else 1)], cover, 0.034),
            *(
                [rounded_box([-half * 0.8, -0.06, tall * 0.7], [half * 0.8, 0.03, tall], cover, 0.044)]
                if leather
                else []
            ),
        ]
    )
    parts.append(back.turned(-0.14, "x").moved(0, 0.23, seat - 0.02))
    parts += [
        bar((0, 0.08, seat - 0.085), (0, 0.27, seat - 0.085), 0.02, dark),
        bar((0, 0.27, seat - 0.095), (0, 0.29 + 0.14 * lift, seat + lift + tall * 0.4), 0.02, dark),
    ]
    if variant != "armless":
        for side in (-1, 1):
            e = side * (x + 0.02)
            parts += [
                pole([(side * 0.12, 0.03, seat - 0.08), (e, 0.03, seat - 0.06), (e, 0.04, seat + 0.19)], 0.014, dark),
                rounded_box(
                    [e - 0.035, -0.14, seat + 0.19],
                    [e + 0.035, 0.13, seat + 0.225],
                    cover if leather else dark,
                    0.016,
                    1,
                ),
            ]
    return finished("office chair", variant, parts, [Support(-x * 0.7, -0.2, x * 0.7, 0.1, seat + 0.002, 0.17)])


@piece("stool", "round", "bar", "pouffe", "step")
def stool(rng: Rng, style: Style, variant: str) -> Piece:
    """A seat without a back."""
    wood, radius = style.wood(rng), float(rng.uniform(0.16, 0.2))
    if variant == "pouffe":
        radius, tall = float(rng.uniform(0.22, 0.28)), float(rng.uniform(0.36, 0.44))
        rows = [(-0.04, 0), (0, 0.04), (0.015, tall / 2), (0, tall - 0.04), (-0.05, tall - 0.004), (-0.12, tall)]
        cover = style.fabric(rng)
        parts = [solid([oval(0, 0, radius + d, radius + d, h, 6) for d, h in rows], cover)]
        parts.append(
            pole(
                [
                    (radius * 1.07 * math.cos(a), radius * 1.07 * math.sin(a), tall / 2)
                    for a in np.linspace(0, 2 * math.pi, 25)
                ],
                0.007,
                style.leather(rng),
            )
        )
        return finished("stool", variant, parts, [Support(-0.13, -0.13, 0.13, 0.13, tall + 0.001)])
    if variant == "step":
        width, depth, tall = (
            float(rng.uniform(0.38, 0.44)),
            float(rng.uniform(0.26, 0.32)),
            float(rng.uniform(0.42, 0.48)),
        )
        x, y = width / 2, depth / 2
        legs = four_legs(width - 0.1, depth - 0.08, square(tall - 0.02, 0.034, wood))
        parts = [rounded_box([-x, -y, tall - 0.03], [x, y, tall], wood, 0.01, 1), *legs]
        parts += [
            board([-x + 0.05, e - 0.01, tall - 0.1], [x - 0.05, e + 0.01, tall - 0.03], wood)
            for e in (-y + 0.04, y - 0.04)
        ]
        parts += [board([e - 0.01, -y + 0.04, 0.14], [e + 0.01, y - 0.04, 0.17], wood) for e in (-x + 0.05, x - 0.05)]
        return finished("stool", variant, parts, [Support(-x + 0.02, -y + 0.02, x - 0.02, y - 0.02, tall)])
    if variant == "bar":
        metal, tall = style.metal(rng), float(rng.uniform(0.64, 0.76))
        cover = style.leather(rng) if rng.random() < 0.5 else wood
        half = radius * 0.7
        parts = [disc(0, 0, radius, tall - 0.05, tall, cover, 0.015)]
        parts += four_legs(half * 1.4, half * 1.4, splayed(tall - 0.04, 0.014, 0.06, metal))
        ring = [(half * 1.42 * math.cos(a), half * 1.42 * math.sin(a), 0.26) for a in np.linspace(0, 2 * math.pi, 17)]
        parts.append(pole(ring, 0.009, metal))
        return finished("stool", variant, parts, [Support(-half, -half, half, half, tall)])
    tall = float(rng.uniform(0.42, 0.48))
    parts = [disc(0, 0, radius, tall - 0.035, tall, style.painted(rng) if rng.random() < 0.3 else wood, 0.01)]
    for k in range(3):
        angle = 2 * math.pi * k / 3 + math.pi / 6
        c, s = math.cos(angle), math.sin(angle)
        parts.append(
            bar(
                (radius * 0.95 * c, radius * 0.95 * s, 0),
                (radius * 0.6 * c, radius * 0.6 * s, tall - 0.03),
                0.014,
                wood,
                0.02,
            )
        )
    return finished(
        "stool", variant, parts, [Support(-radius * 0.65, -radius * 0.65, radius * 0.65, radius * 0.65, tall)]
    )
