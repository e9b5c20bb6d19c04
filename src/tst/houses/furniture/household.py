"""What a household hangs up or throws in: towels, radiators, baskets, bins, boxes."""

import math

import numpy as np

from tst.houses import textures
from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import (
    CHROME,
    DARK,
    WHITE,
    arc,
    cap,
    darker,
    finished,
    loft,
    oval,
    plain,
    revolve,
    rod,
    rounded,
    solid,
    to_front,
    two_sided,
)
from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material, Mesh, box, cylinder, grid, quad, rounded_box
from tst.houses.styles import Style

KRAFT = plain(0.70, 0.54, 0.36)


@piece("towel", "on a rail", "on a ring", "on a double rail", "on a hook")
def towel(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A towel that hangs on the wall."""
    cloth, metal = style.fabric(rng), CHROME if rng.random() < 0.6 else style.metal(rng)
    width, height = float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.45, 0.7))
    if variant in ("on a rail", "on a double rail"):
        rail = width / 2 + 0.07
        parts = []
        bars = [(-0.075, height)] if variant == "on a rail" else [(-0.06, height), (-0.13, height - 0.09)]
        for k, (y, z) in enumerate(bars):
            parts.append(rod([(-rail, y, z), (rail, y, z)], 0.008, metal, 8))
            parts += [rod([(s * rail, y, z), (s * rail, 0, z)], 0.008, metal, 6) for s in (-1, 1)]
            shift = 0.0 if len(bars) == 1 else (-1) ** k * 0.04
            cover = cloth if k == 0 else style.linen(rng)
            parts.append(_draped(rng, shift, y, z, width * (1 - 0.25 * k), z - 0.28 * k, z * 0.75, cover))
        parts += [to_front(cylinder(0.02, 0, 0.008, metal, 10), s * rail, 0, bars[0][1]) for s in (-1, 1)]
        return finished("towel", variant, parts)
    # Gathered at the top, wider below.
    ring_z = height
    phase = rng.uniform(0, 2 * math.pi)
    rows, columns = 7, 15
    rings = []
    for t in np.linspace(0, 1, rows):
        spread = 0.035 + (width * 0.32 - 0.035) * (1 - t) ** 0.7
        angle = np.linspace(0, 2 * math.pi, columns, endpoint=False)
        fold = 1 + 0.22 * (1 - 0.6 * t) * np.sin(5 * angle + phase)
        ring = np.stack(
            [spread * fold * np.cos(angle), -0.05 + 0.036 * fold * np.sin(angle), np.full(columns, t * ring_z)], 1
        )
        rings.append(ring)
    parts = [solid(rings, cloth)]
    if variant == "on a ring":
        turn = np.linspace(0, 2 * math.pi, 17)
        hoop = np.stack([0.085 * np.cos(turn), np.full(17, -0.05), ring_z + 0.055 + 0.085 * np.sin(turn)], 1)
        parts += [
            rod(hoop, 0.006, metal, 6),
            to_front(cylinder(0.025, 0, 0.055, metal, 10, top=0.014), 0, 0, ring_z + 0.14),
        ]
    else:
        hook = [(0, 0, ring_z + 0.03), *arc((0, -0.03, ring_z), 0.03, 0, -180, "y", 6), (0, -0.065, ring_z + 0.02)]
        parts += [rod(hook, 0.007, metal, 6), to_front(cylinder(0.028, 0, 0.01, metal, 12), 0, 0, ring_z + 0.035)]
    return finished("towel", variant, parts)


def _draped(
    rng: np.random.Generator,
    x: float,
    y: float,
    z: float,
    width: float,
    front_drop: float,
    back_drop: float,
    cloth: Material,
) -> Mesh:
    """A cloth over a bar at (y, z): it hangs down before and behind it."""
    over = [(y - 0.014, z - front_drop), (y - 0.016, z - front_drop / 2), (y - 0.013, z)]
    over += [(y, z + 0.013), (y + 0.013, z), (y + 0.016, z - back_drop)]
    across = np.linspace(-width / 2, width / 2, 9)
    wave = 0.004 * np.sin(np.linspace(0, 5, 9) + rng.uniform(0, 6))
    points = np.array([[[x + a, p + w, q] for p, q in over] for a, w in zip(across, wave, strict=True)])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(np.array(over), axis=0), axis=1))])
    uv = np.stack(np.meshgrid(across, along, indexing="ij"), -1)
    return two_sided(grid(points, cloth, uv))


@piece("radiator", "panel", "column", "flat panel", "towel ladder")
def radiator(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A radiator on the wall, brackets and valve included."""
    white = WHITE if rng.random() < 0.7 else style.painted(rng)
    width, height = float(rng.choice([0.6, 0.8, 1.0, 1.2])), float(rng.choice([0.5, 0.6]))
    if variant == "towel ladder":
        width, height = 0.5, float(rng.uniform(0.9, 1.3))
        metal = CHROME if rng.random() < 0.5 else white
        x = width / 2
        parts = [rod([(s * (x - 0.02), -0.05, 0), (s * (x - 0.02), -0.05, height)], 0.019, metal, 8) for s in (-1, 1)]
        for k in range(int(height / 0.06)):
            if k % 6 != 5:
                z = 0.05 + k * 0.06
                parts.append(rod([(-x + 0.02, -0.055, z), (x - 0.02, -0.055, z)], 0.012, metal, 6))
        for z in (0.12, height - 0.12):
            parts += [rod([(s * (x - 0.02), -0.05, z), (s * (x - 0.02), 0.02, z)], 0.01, metal, 6) for s in (-1, 1)]
        return finished("radiator", variant, parts)
    x = width / 2
    parts = []
    if variant == "column":
        count = round(width / 0.06)
        for k in range(count):
            at = -x + (k + 0.5) * width / count
            for y in (-0.075, 0.0):
                parts.append(rod([(at, y, 0.03), (at, y, height - 0.03)], 0.014, white, 6))
            for z in (0.0, height - 0.045):
                ring = rounded(at - 0.029, -0.1, at + 0.029, 0.025, z, 0.025, 3)
                parts.append(solid([ring, ring + np.array([0, 0, 0.045])], white))
    else:
        parts.append(rounded_box([-x, 0.0, 0.01], [x, 0.03, height - 0.01], white, 0.006, 1))
        if variant == "panel":
            count = round(width / 0.05)
            ridge = np.linspace(-x, x, 4 * count + 1)
            deep = -0.06 - 0.006 * np.array([0, 1, 1, 0])[np.arange(4 * count + 1) % 4]
            face = np.stack([np.stack([ridge, deep, np.full_like(ridge, z)], 1) for z in (0.03, height - 0.03)], 1)
            parts.append(grid(face, white, np.zeros((*face.shape[:2], 2))))
        parts.append(rounded_box([-x, -0.06, 0], [x, -0.03, height], white, 0.006, 1))
        parts.append(box([-x - 0.003, -0.062, height - 0.015], [x + 0.003, 0.032, height + 0.006], white))
        parts += [box([s * x - 0.002, -0.05, 0.02], [s * x + 0.002, 0.02, height - 0.02], white) for s in (-1, 1)]
    parts += [
        box([s * x * 0.6 - 0.02, 0.0, height * 0.3], [s * x * 0.6 + 0.02, 0.06, height * 0.6], white) for s in (-1, 1)
    ]
    valve = cylinder(0.02, 0, 0.06, WHITE, 10).turned(math.pi / 2, "y")
    parts += [valve.moved(x, -0.03, height - 0.08)] if variant != "column" else [valve.moved(x, -0.03, 0.03)]
    return finished("radiator", variant, parts)


@piece("basket", "wicker", "fabric hamper", "square wicker", "wire")
def basket(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A laundry basket."""
    width, height = float(rng.uniform(0.34, 0.44)), float(rng.uniform(0.35, 0.6))
    r = width / 2
    shade = rng.uniform(0.75, 1.15)
    straw = (0.66 * shade, 0.50 * shade, 0.31 * shade)
    wicker = Material((1, 1, 1), textures.fabric(rng, straw, "check", size=0.1))
    if variant == "fabric hamper":
        cloth, wood = style.linen(rng), style.wood(rng)
        rings = [rounded(-r, -r * 0.8, r, r * 0.8, z, 0.04) for z in (0.06, height)]
        inside = [
            rounded(-r + 0.008, -r * 0.8 + 0.008, r - 0.008, r * 0.8 - 0.008, z, 0.035) for z in (height, height - 0.1)
        ]
        parts = [loft([*rings, *inside], cloth), cap(rings[0], cloth, up=False), cap(inside[-1], style.fabric(rng))]
        for s in (-1, 1):
            for t in (-1, 1):
                parts.append(
                    rod(
                        [(t * r, s * (r * 0.8 + 0.012), 0.0), (-t * r, s * (r * 0.8 + 0.012), height + 0.04)],
                        0.011,
                        wood,
                        6,
                    )
                )
        parts += [
            rod([(s * r, -r * 0.8, height + 0.02), (s * r, r * 0.8, height + 0.02)], 0.011, wood, 6) for s in (-1, 1)
        ]
        return finished("basket", variant, parts)
    if variant == "wire":
        metal, parts = style.metal(rng), []
        turn = np.linspace(0, 2 * math.pi, 17)
        for t in np.linspace(0, 1, 5):
            hoop = r * (0.78 + 0.22 * t)
            parts.append(
                rod(
                    np.stack([hoop * np.cos(turn), hoop * np.sin(turn), np.full(17, 0.006 + t * height)], 1),
                    0.005,
                    metal,
                    4,
                )
            )
        for angle in turn[:-1]:
            out = np.array([r * math.cos(angle), r * math.sin(angle), 0.0])
            foot, top = out * 0.78, out + np.array([0, 0, height])
            parts.append(rod([foot, top], 0.004, metal, 4))
        parts.append(cylinder(r * 0.78, 0.0, 0.01, metal, 16))
        parts.append(_laundry(style.linen(rng), r * 0.8, height * 0.1, height * 0.75))
        return finished("basket", variant, parts)
    # Wicker: bands that bulge in turn, so that the weave shows in light.
    rows = max(8, round(height / 0.035))
    square, rings = variant == "square wicker", []
    for k in range(2 * rows + 1):
        up = k / (2 * rows)
        spread = r * (0.82 + 0.18 * up) + (0.006 if k % 2 else 0.0)
        rings.append(
            rounded(-spread, -spread * 0.75, spread, spread * 0.75, up * height, 0.03, 4)
            if square
            else oval(0, 0, spread, spread, up * height)
        )
    top = rings[-1]
    scale = np.array([0.93, 0.93, 1.0])
    inside = [top * scale, top * scale * [0.95, 0.95, 0.75]]
    parts = [loft([*rings, *inside], wicker), cap(rings[0], wicker, up=False), cap(inside[-1], wicker)]
    if variant == "wicker" and rng.random() < 0.6:
        lid = [
            top * [1.02, 1.02, 1.0],
            top * [1.02, 1.02, 1.0] + [0, 0, 0.02],
            top * [0.5, 0.5, 1.0] + [0, 0, 0.045],
            top * [0.01, 0.01, 1] + [0, 0, 0.05],
        ]
        parts += [
            solid(lid, wicker),
            rod(
                [
                    (-0.05, 0, height + 0.04),
                    (-0.03, 0, height + 0.08),
                    (0.03, 0, height + 0.08),
                    (0.05, 0, height + 0.04),
                ],
                0.009,
                wicker,
                6,
            ),
        ]
    else:
        parts.append(_laundry(style.linen(rng), r * 0.8 * (0.75 if square else 1), height * 0.74, height * 0.97))
        parts.append(
            loft(
                [
                    top * [1.03, 1.03, 1.0] + [0, 0, -0.02],
                    top * [1.03, 1.03, 1.0] + [0, 0, 0.01],
                    top * scale + [0, 0, 0.01],
                ],
                wicker,
            )
        )
    return finished("basket", variant, parts)


def _laundry(cloth: Material, radius: float, low: float, high: float) -> Mesh:
    """A heap of cloth."""
    rings = []
    for t, scale in ((0.0, 1.0), (0.5, 0.95), (0.85, 0.7), (1.0, 0.3)):
        ring = oval(0, 0, radius * scale, radius * scale, low + t * (high - low))
        ring[:, 2] += 0.018 * np.sin(np.arange(len(ring)) * 1.3) * (t > 0)
        rings.append(ring)
    return solid(rings, cloth)


@piece("trash can", "pedal bin", "swing-top bin", "open bin", "wire bin")
def trash_can(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A bin, 0.25 to 0.65 m high."""
    skin = style.metal(rng) if rng.random() < 0.4 else style.plastic(rng)
    radius, height = float(rng.uniform(0.11, 0.15)), float(rng.uniform(0.28, 0.42))
    if variant == "pedal bin":
        steel = plain(0.7, 0.71, 0.72, gloss=0.6) if rng.random() < 0.6 else skin
        parts = [
            cylinder(radius + 0.004, 0, 0.03, DARK, 20),
            cylinder(radius, 0.03, height, steel, 20),
            cylinder(radius + 0.004, height, height + 0.02, DARK, 20),
            revolve([(radius, height + 0.02), (radius * 0.85, height + 0.045), (0, height + 0.06)], steel, 5),
            rounded_box([-0.035, -radius - 0.05, 0.005], [0.035, -radius + 0.02, 0.02], DARK, 0.006, 1),
        ]
        return finished("trash can", variant, parts)
    if variant == "swing-top bin":
        w, h = 0.15, float(rng.uniform(0.45, 0.6))
        rings = [rounded(-w * s, -w * 0.8 * s, w * s, w * 0.8 * s, z, 0.03) for s, z in ((0.85, 0), (1.0, h))]
        lid = darker(skin, 0.7)
        hood = [
            rounded(-w * 1.03 * a, -w * 0.83 * b, w * 1.03 * a, w * 0.83 * b, z, 0.03)
            for a, b, z in ((1, 1, h), (1, 1, h + 0.03), (0.97, 0.45, h + 0.15), (0.9, 0.2, h + 0.17))
        ]
        flap = quad([-w * 0.75, -w * 0.83 * 0.93 - 0.001, h + 0.047], [w * 1.5, 0, 0], [0, w * 0.83 * 0.43, 0.09], DARK)
        return finished("trash can", variant, [solid(rings, skin), solid(hood, lid), flap])
    taper = 0.8
    if variant == "wire bin":
        metal, turn = style.metal(rng), np.linspace(0, 2 * math.pi, 21)
        parts = [cylinder(radius * taper, 0, 0.012, metal, 20)]
        for t in (0.02, 0.25, 0.5, 0.75, 0.98):
            ring = radius * (taper + (1 - taper) * t)
            hoop = np.stack([ring * np.cos(turn), ring * np.sin(turn), np.full(21, t * height)], 1)
            parts.append(rod(hoop, 0.006 if t > 0.9 else 0.003, metal, 4))
        for angle in turn[:-1]:
            c, s = math.cos(angle), math.sin(angle)
            parts.append(
                rod([(radius * taper * c, radius * taper * s, 0), (radius * c, radius * s, height)], 0.003, metal, 4)
            )
    else:
        wall = [
            (radius * taper, 0),
            (radius, height - 0.015),
            (radius + 0.008, height - 0.015),
            (radius + 0.008, height),
        ]
        parts = [
            revolve([(0, 0), *wall, (radius - 0.006, height), (radius * taper - 0.002, 0.012), (0, 0.012)], skin, 5)
        ]
    paper = style.paper(rng)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.4, 0.4, 2) * radius
        crumple = rounded_box([-0.035, -0.035, -0.035], [0.035, 0.035, 0.035], paper, 0.02, 1)
        crumple = crumple.turned(float(rng.uniform(0, 1)), "x").turned(float(rng.uniform(0, 1)))
        parts.append(crumple.moved(float(x), float(y), height * 0.45 + float(rng.uniform(0, 0.1))))
    return finished("trash can", variant, parts)


@piece("box", "cardboard", "storage with lid", "open cardboard", "crate", "small gift", "small tin")
def carton(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A box for things; the small ones fit on shelves."""
    w, d, h = float(rng.uniform(0.35, 0.5)), float(rng.uniform(0.28, 0.36)), float(rng.uniform(0.22, 0.36))
    if variant.startswith("small"):
        w, d, h = float(rng.uniform(0.14, 0.22)), float(rng.uniform(0.11, 0.16)), float(rng.uniform(0.07, 0.13))
    x, y = w / 2, d / 2
    tape = plain(0.80, 0.68, 0.48, gloss=0.3)
    if variant == "cardboard":
        parts = [
            box([-x, -y, 0], [x, y, h], KRAFT),
            box([-x - 0.001, -0.025, h * 0.75], [x + 0.001, 0.025, h + 0.001], tape),
            quad([-x + 0.04, -y - 0.001, 0.04], [w * 0.3, 0, 0], [0, 0, h * 0.3], style.paper(rng)),
            box([-x, -0.001, h], [x, 0.001, h + 0.0015], plain(0.4, 0.3, 0.2), skip="z"),
        ]
        return finished("box", variant, parts)
    if variant == "open cardboard":
        parts = _tray(w, d, h, 0.005, KRAFT)
        for angle, wide, out, at in ((0, w, y, 0.0), (1, d, x, 0.0), (2, w, y, 0.0), (3, d, x, 0.0)):
            lean = float(rng.uniform(0.5, 1.1))
            flap = np.array(
                [
                    [
                        [-wide / 2, -out, h],
                        [-wide / 2 + 0.01, -out - 0.12 * math.cos(lean), h + 0.12 * math.sin(lean) * 0.5 + at],
                    ],
                    [
                        [wide / 2, -out, h],
                        [wide / 2 - 0.01, -out - 0.12 * math.cos(lean), h + 0.12 * math.sin(lean) * 0.5 + at],
                    ],
                ]
            )
            parts.append(two_sided(grid(flap, KRAFT, np.zeros((2, 2, 2)))).turned(angle * math.pi / 2))
        for _ in range(int(rng.integers(0, 4))):
            lump = rounded_box([-0.06, -0.05, -0.05], [0.06, 0.05, 0.05], style.accent(rng), 0.02, 1)
            px, py = float(rng.uniform(-0.6, 0.6)) * (x - 0.07), float(rng.uniform(-0.6, 0.6)) * (y - 0.06)
            parts.append(lump.moved(px, py, h - 0.05))
        return finished("box", variant, parts)
    if variant == "crate":
        wood, parts = style.wood(rng), [box([-x, -y, 0], [x, y, 0.012], style.wood(rng))]
        rows = 3
        for k in range(rows):
            low, high = 0.012 + k * (h - 0.012) / rows, 0.012 + (k + 0.75) * (h - 0.012) / rows
            for s in (-1, 1):
                parts.append(box([-x, s * (y - 0.006) - 0.006, low], [x, s * (y - 0.006) + 0.006, high], wood))
                parts.append(
                    box(
                        [s * (x - 0.006) - 0.006, -y + 0.012, low],
                        [s * (x - 0.006) + 0.006, y - 0.012, high],
                        wood,
                        "yY",
                    )
                )
        for sx in (-1, 1):
            for sy in (-1, 1):
                px, py = sx * (x - 0.024), sy * (y - 0.024)
                parts.append(box([px - 0.012, py - 0.012, 0.012], [px + 0.012, py + 0.012, h], wood, "z"))
        return finished("box", variant, parts)
    skin = style.accent(rng) if rng.random() < 0.6 else style.fabric(rng)
    if variant == "small gift":
        ribbon = style.paper(rng) if rng.random() < 0.5 else plain(0.85, 0.68, 0.3, gloss=0.3)
        parts = [
            box([-x, -y, 0], [x, y, h * 0.75], skin),
            box([-x - 0.004, -y - 0.004, h * 0.72], [x + 0.004, y + 0.004, h], skin),
            box([-0.012, -y - 0.005, 0], [0.012, y + 0.005, h + 0.001], ribbon),
            box([-x - 0.005, -0.012, 0], [x + 0.005, 0.012, h + 0.001], ribbon),
        ]
        turn = np.linspace(0, 2 * math.pi, 9)
        for s in (-1, 1):
            loop = np.stack(
                [s * 0.022 * (1 - np.cos(turn)), 0.012 * np.sin(turn), h + 0.012 + 0.01 * (1 - np.cos(turn))], 1
            )
            parts.append(rod(loop, 0.004, ribbon, 4))
        return finished("box", variant, parts)
    if variant == "small tin":
        rings = [rounded(-x, -y, x, y, z, 0.03) for z in (0, h * 0.8)]
        lid = [rounded(-x - 0.002, -y - 0.002, x + 0.002, y + 0.002, z, 0.03) for z in (h * 0.8, h - 0.004)]
        lid.append(rounded(-x + 0.004, -y + 0.004, x - 0.004, y - 0.004, h, 0.03))
        label = quad([-x * 0.6, -y - 0.001, h * 0.2], [w * 0.6, 0, 0], [0, 0, h * 0.4], style.paper(rng))
        return finished("box", variant, [solid(rings, skin), solid(lid, style.metal(rng)), label])
    parts = [
        box([-x + 0.008, -y + 0.008, 0], [x - 0.008, y - 0.008, h - 0.06], skin),
        rounded_box([-x, -y, h - 0.07], [x, y, h], skin if rng.random() < 0.5 else style.paper(rng), 0.008, 1),
        quad([-0.05, -y + 0.0065, h * 0.38], [0.1, 0, 0], [0, 0, 0.05], style.paper(rng)),
        rod(
            [
                (-0.035, -y + 0.008, h * 0.3),
                (-0.03, -y - 0.012, h * 0.3),
                (0.03, -y - 0.012, h * 0.3),
                (0.035, -y + 0.008, h * 0.3),
            ],
            0.005,
            style.metal(rng),
            6,
        ),
    ]
    return finished("box", variant, parts)


def _tray(w: float, d: float, h: float, thick: float, material: Material) -> list[Mesh]:
    """Four walls and a bottom."""
    x, y = w / 2, d / 2
    return [
        box([-x, -y, 0], [x, y, thick], material),
        box([-x, -y, thick], [x, -y + thick, h], material),
        box([-x, y - thick, thick], [x, y, h], material),
        box([-x, -y + thick, thick], [-x + thick, y - thick, h], material, "yY"),
        box([x - thick, -y + thick, thick], [x, y - thick, h], material, "yY"),
    ]
