"""Bathrooms: toilets, tubs, showers, basins."""

import itertools
import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.kitchen import tap
from tst.houses.furniture.parts import (
    CHROME,
    DARK,
    WHITE,
    bar_handle,
    cap,
    finished,
    front,
    loft,
    oval,
    plain,
    revolve,
    rod,
    rounded,
    solid,
    to_front,
)
from tst.houses.furniture.piece import Piece, Support
from tst.houses.mesh import Material, Mesh, box, cylinder, grid, join, rounded_box
from tst.houses.styles import Style

WATER = plain(0.72, 0.82, 0.84, gloss=0.7)


@piece("toilet", "close-coupled", "back-to-wall", "square close-coupled", "on a wall panel")
def toilet(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A bowl with seat and lid; with a cistern behind, or before a panel that hides it."""
    square = variant.startswith("square") or variant == "on a wall panel"
    skin = style.ceramic(rng)
    # The bowl reaches from y = -0.34 to 0.12; wall side at 0.34.
    reach, half, rim = float(rng.uniform(0.25, 0.29)), 0.185, 0.40

    def ring(scale: float, z: float, shift: float = 0.0) -> np.ndarray:
        if square:
            x, y0, y1 = half * scale, -reach * scale - 0.07, 0.19 * scale - 0.07
            return rounded(-x, y0 + shift, x, y1 + shift, z, 0.11 * scale)
        return oval(0, -0.07 + shift, half * scale, 0.19 * scale, z, front=reach * scale)

    foot = [ring(0.62, 0.0, 0.05), ring(0.6, 0.05, 0.05), ring(0.62, 0.16, 0.04), ring(0.86, 0.29, 0.01), ring(1, 0.38)]
    rings = [*foot, ring(1, rim), ring(0.78, rim), ring(0.72, rim - 0.06), ring(0.45, rim - 0.16)]
    if variant == "on a wall panel":
        rings[:5] = [ring(0.55, 0.09, 0.06), ring(0.75, 0.13, 0.03), ring(0.95, 0.26), ring(1, 0.38)]
    parts = [loft(rings, skin), cap(rings[0], skin, up=False), cap(ring(0.5, rim - 0.14), WATER)]
    open_lid = bool(rng.random() < 0.35)
    seat = [ring(1.03, rim + 0.004), ring(1.03, rim + 0.02), ring(0.99, rim + 0.026), ring(0.7, rim + 0.026)]
    if open_lid:
        parts.append(loft([*seat, ring(0.68, rim + 0.004)], WHITE))
        lid = solid([ring(1.0, 0.0), ring(1.0, 0.018), ring(0.96, 0.022)], WHITE)
        hinge = 0.1
        lid = lid.moved(0, -hinge, 0).turned(-math.radians(86), "x").moved(0, hinge, rim + 0.035)
        parts.append(lid)
    else:
        parts.append(loft(seat, WHITE))
        parts.append(solid([ring(1.02, rim + 0.03), ring(1.02, rim + 0.044), ring(0.95, rim + 0.052)], WHITE))
    parts += [
        cylinder(0.012, 0, 0.05, CHROME, 8).turned(math.pi / 2, "y").moved(x, 0.105, rim + 0.02) for x in (-0.1, 0.05)
    ]

    if variant == "on a wall panel":
        panel = style.painted(rng) if rng.random() < 0.5 else style.wood(rng)
        parts.append(box([-0.3, 0.1, 0], [0.3, 0.25, 1.1], panel))
        parts.append(box([-0.31, 0.09, 1.1], [0.31, 0.25, 1.125], style.stone(rng)))
        parts.append(box([-0.12, 0.093, 0.88], [0.12, 0.1, 1.04], CHROME, skip="Y"))
        parts += [box([x, 0.09, 0.9], [x + 0.1, 0.094, 1.02], WHITE, skip="Y") for x in (-0.11, 0.01)]
        top = [Support(-0.29, 0.11, 0.29, 0.24, 1.125, 0.6)]
        return finished("toilet", variant, parts, top)
    parts.append(rounded_box([-0.13, 0.0, 0], [0.13, 0.2, rim - 0.005], skin, 0.03))
    if variant == "back-to-wall":
        # The cistern is in a low box that spans the piece.
        parts.append(rounded_box([-0.24, 0.13, 0], [0.24, 0.33, 0.82], skin, 0.015))
        parts.append(box([-0.25, 0.12, 0.82], [0.25, 0.33, 0.845], style.wood(rng)))
        parts.append(to_front(cylinder(0.03, 0, 0.01, CHROME, 12), 0, 0.13, 0.72))
        return finished("toilet", variant, parts, [Support(-0.24, 0.13, 0.24, 0.32, 0.845, 0.6)])
    radius = 0.02 if square else 0.05
    parts.append(rounded_box([-0.19, 0.14, rim - 0.02], [0.19, 0.33, 0.78], skin, radius))
    parts.append(rounded_box([-0.2, 0.13, 0.775], [0.2, 0.335, 0.815], skin, 0.018))
    parts.append(cylinder(0.028, 0, 0.008, CHROME, 12).moved(0, 0.235, 0.813))
    return finished("toilet", variant, parts)


@piece("bathtub", "built-in", "free-standing oval", "panelled", "claw-foot")
def bathtub(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A tub 1.5 to 1.8 m long, its taps at one end."""
    skin = style.ceramic(rng)
    length, depth, height = float(rng.choice([1.5, 1.6, 1.7, 1.8])), float(rng.uniform(0.7, 0.8)), 0.57
    x, y = length / 2, depth / 2
    if variant in ("built-in", "panelled"):

        def inner(inset: float, slope: float, z: float) -> np.ndarray:
            return rounded(-x + inset, -y + inset, x - inset - slope, y - inset, z, 0.2)

        outer = [rounded(-x, -y, x, y, z, 0.015) for z in (height - 0.05, height - 0.008, height)]
        basin = [
            inner(0.065, 0.05, height),
            inner(0.08, 0.07, height - 0.03),
            inner(0.11, 0.16, 0.3),
            inner(0.15, 0.24, 0.16),
        ]
        rings = [*outer, *basin, inner(0.24, 0.3, 0.13)]
        apron = skin if variant == "built-in" else style.wood(rng)
        parts = [loft(rings, skin), cap(rings[-1], skin)]
        parts.append(box([-x + 0.012, -y + 0.012, 0], [x - 0.012, y, height - 0.05], apron, skip="Z"))
        if variant == "panelled":
            count = 4
            for k in range(count):
                a, b = -x + 0.012 + k * (length - 0.024) / count, -x + 0.012 + (k + 1) * (length - 0.024) / count
                parts.append(front((a + 0.004, 0.03), (b - 0.004, height - 0.07), -y + 0.001, apron, True, 0.011))
        parts += tap(-x + 0.2, y - 0.03, height, CHROME, 0.16, 0.16)
        drain = inner(0.24, 0.3, 0.131).mean(0) - [length * 0.25, 0, 0]
    else:
        feet = variant == "claw-foot"
        lift = 0.14 if feet else 0.0

        def shell(scale: float, z: float, shift: float = 0.0) -> np.ndarray:
            return oval(shift, 0, x - scale, y - scale, z, 7)

        high = height + (0.1 if feet else 0.02)
        outside = [shell(0.16, lift), shell(0.12, lift + 0.04), shell(0.07, lift + 0.2), shell(0.03, high - 0.04)]
        roll = [shell(0.0, high - 0.02), shell(0.0, high), shell(0.015, high + 0.012), shell(0.035, high)]
        inside = [shell(0.06, high - 0.1), shell(0.1, lift + 0.24), shell(0.16, lift + 0.1), shell(0.24, lift + 0.07)]
        body = style.accent(rng) if feet and rng.random() < 0.5 else skin
        parts = [solid(outside, body), loft([outside[-1], *roll, *inside], skin), cap(inside[-1], skin)]
        if feet:
            metal = style.metal(rng)
            for fx in (-x * 0.62, x * 0.62):
                for fy in (-y * 0.5, y * 0.5):
                    leg = [(fx, fy, lift + 0.1), (fx * 1.06, fy * 1.2, lift * 0.6), (fx * 1.02, fy * 1.1, 0.02)]
                    parts += [rod(leg, 0.025, metal, 6), cylinder(0.035, 0, 0.03, metal, 8).moved(fx * 1.02, fy * 1.1)]
        # A floor-standing filler behind the tub.
        spout = [
            (-0.1, y + 0.04, 0),
            (-0.1, y + 0.04, high + 0.16),
            (-0.1, y + 0.0, high + 0.2),
            (-0.1, y - 0.14, high + 0.2),
        ]
        parts += [
            rod(spout, 0.014, CHROME, 8),
            rod([(-0.1, y + 0.04, high + 0.1), (-0.02, y + 0.04, high + 0.1)], 0.01, CHROME, 6),
        ]
        drain = np.array([0, 0, lift + 0.07])
    parts.append(cylinder(0.03, 0, 0.004, CHROME, 12).moved(*drain))
    return finished("bathtub", variant, parts)


@piece("shower", "square cabin", "round-front cabin", "framed cabin", "half-open")
def shower(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A tray with glass around, the shower on the wall behind."""
    size = float(rng.choice([0.8, 0.9])) if variant != "half-open" else 1.0
    half, height, tray = size / 2, float(rng.uniform(1.9, 2.05)), 0.08 if variant != "half-open" else 0.04
    glass, metal = (
        plain(0.80, 0.90, 0.90, gloss=0.8, opacity=0.3),
        CHROME if variant != "framed cabin" else style.metal(rng),
    )
    ceramic = style.ceramic(rng)
    thick, bar = 0.008, 0.014

    if variant == "round-front cabin":
        turn = np.linspace(math.pi, 2 * math.pi, 13)
        bow = np.stack([half * np.cos(turn), 0.55 * half * np.sin(turn) - 0.45 * half], 1)
        path = np.concatenate([[[-half, half]], bow, [[half, half]]])
    else:
        path = np.array([[-half, half], [-half, -half], [half, -half], [half, half]])
        if variant == "half-open":
            path = path[:3] if rng.random() < 0.5 else path[1:]
    outline = np.concatenate([path, [[half, half]]]) if variant == "half-open" and path[0, 0] < 0 else path
    if variant == "round-front cabin":
        ring = np.concatenate([outline, np.zeros((len(outline), 1))], 1)
        parts = [solid([ring, ring + np.array([0, 0, tray])], ceramic)]
    else:
        parts = [rounded_box([-half, -half, 0], [half, half, tray], ceramic, 0.01, 1)]
    parts.append(box([-half + 0.07, -half * 0.5, tray], [half - 0.07, half - 0.07, tray + 0.003], WHITE, skip="z"))
    parts.append(cylinder(0.05, 0, 0.006, CHROME, 12).moved(0, 0, tray))

    inset = path * (1 - 0.016 / half)
    rows = np.array([tray, height])
    for a, b in itertools.pairwise(inset):
        along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        normal = np.array([along[1], -along[0]]) * thick
        for start, end in ((a, b), (b - normal, a - normal)):
            wall = np.array([[[*p, z] for z in rows] for p in (start, end)])
            parts.append(grid(wall, glass, np.zeros((2, 2, 2))))
    for z in (tray + bar / 2, height - bar / 2):
        parts.append(rod(np.concatenate([inset, np.full((len(inset), 1), z)], 1), bar, metal, 6))
    posts = [inset[0], inset[-1]] if variant == "round-front cabin" else list(inset)
    if variant == "framed cabin":
        posts += [np.array([0.0, inset[:, 1].min()])]
        for z in (0.75, 1.4):
            parts.append(rod(np.concatenate([inset, np.full((len(inset), 1), z)], 1), 0.008, metal, 6))
    parts += [rod([[*p, tray], [*p, height]], bar, metal, 6) for p in posts]
    low = float(inset[:, 1].min())
    if variant != "half-open":
        parts.append(bar_handle((0.05, 0.9), (0.05, 1.25), low, metal, 0.009, 0.022))
    parts += _shower_head(half, rng.random() < 0.5)
    return finished("shower", variant, parts)


def _shower_head(back: float, rain: bool) -> list[Mesh]:
    """Mixer, riser and head on the wall at y = `back`."""
    wall = back - 0.03
    head = revolve([(0.0, 0.0), (0.1 if rain else 0.06, 0.0), (0.1 if rain else 0.06, 0.012), (0.015, 0.03)], CHROME, 4)
    parts = [box([-0.1, wall - 0.03, 1.05], [0.1, wall + 0.03, 1.1], CHROME)]
    parts += [to_front(cylinder(0.025, 0, 0.04, CHROME, 10), x, wall - 0.03, 1.075) for x in (-0.09, 0.09)]
    if rain:
        bend = [(0, wall, 1.1), (0, wall, 1.9), (0, wall - 0.06, 1.96), (0, wall - 0.3, 1.96)]
        return [*parts, rod(bend, 0.011, CHROME, 8), head.moved(0, wall - 0.3, 1.92)]
    hose = [
        (-0.03, wall - 0.03, 1.05),
        (-0.08, wall - 0.06, 0.85),
        (-0.14, wall - 0.05, 1.1),
        (-0.05, wall - 0.04, 1.66),
    ]
    parts += [rod([(0, wall, 1.1), (0, wall, 1.85)], 0.01, CHROME, 8), rod(hose, 0.007, CHROME, 6)]
    return [
        *parts,
        head.turned(math.radians(-35), "x").moved(0, wall - 0.12, 1.72),
        rod([(0, wall, 1.68), (0, wall - 0.12, 1.75)], 0.012, CHROME, 6),
    ]


@piece("washbasin", "vanity", "pedestal", "counter bowl", "wall-hung", "double vanity", "console")
def washbasin(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A basin with its tap; the parts below stand on the floor."""
    skin, metal = style.ceramic(rng), CHROME if rng.random() < 0.6 else style.metal(rng)
    if variant in ("vanity", "double vanity", "counter bowl"):
        return _vanity(rng, style, variant, skin, metal)
    width, depth, top = float(rng.uniform(0.5, 0.62)), 0.46, 0.85
    x, y = width / 2, depth / 2
    if variant == "console":
        width, x = 0.75, 0.375
    soft = 0.16 if variant == "pedestal" else 0.06

    def ring(inset: float, z: float, radius: float = soft, back: float = 0.0) -> np.ndarray:
        return rounded(-x + inset, -y + inset, x - inset, y - back, z, radius)

    under = [
        ring(0.12, top - 0.17),
        ring(0.05, top - 0.11),
        ring(0.0, top - 0.05),
        ring(0.0, top - 0.006),
        ring(0.006, top),
    ]
    bowl = [ring(0.04, top, soft, 0.12), ring(0.05, top - 0.03, soft, 0.13), ring(0.11, top - 0.11, 0.1, 0.16)]
    parts = [solid(under[:-1], skin), loft([under[-2], under[-1], *bowl], skin), cap(bowl[-1], skin)]
    parts[0] = join([loft(under[:-1], skin), cap(under[0], skin, up=False)])
    if variant == "pedestal":
        rings = [
            oval(0, 0.06, r, r * 0.9, z)
            for r, z in ((0.12, 0), (0.11, 0.04), (0.08, 0.2), (0.085, 0.5), (0.12, top - 0.15))
        ]
        parts.append(solid(rings, skin))
    elif variant == "console":
        for fx in (-x + 0.04, x - 0.04):
            for fy in (-y + 0.04, y - 0.04):
                parts.append(rod([(fx, fy, 0), (fx, fy, top - 0.1)], 0.014, metal, 8))
        for z in (0.22,):
            parts.append(box([-x + 0.04, -y + 0.04, z], [x - 0.04, y - 0.04, z + 0.018], style.wood(rng)))
        parts.append(rod([(-x + 0.03, -y + 0.03, 0.62), (x - 0.03, -y + 0.03, 0.62)], 0.009, metal, 6))
        towel = style.fabric(rng)
        parts.append(box([-0.13, -y + 0.017, 0.32], [0.13, -y + 0.021, 0.63], towel))
        parts.append(box([-0.13, -y + 0.039, 0.38], [0.13, -y + 0.043, 0.63], towel))
    if variant != "pedestal":
        # The trap: its pipe goes into the floor.
        pipe = [
            (0, 0.05, top - 0.15),
            (0, 0.05, top - 0.32),
            (0, 0.12, top - 0.36),
            (0, 0.16, top - 0.32),
            (0, 0.16, 0.0),
        ]
        parts += [rod(pipe, 0.02, CHROME, 8), cylinder(0.035, top - 0.3, top - 0.2, CHROME, 10).moved(0, 0.05)]
    parts.append(cylinder(0.02, 0, 0.003, CHROME, 10).moved(0, -0.03, top - 0.11))
    parts += tap(0, y - 0.05, top, metal, 0.17, 0.13)
    supports = [Support(a, y - 0.11, b, y - 0.01, top, 0.3) for a, b in ((-x + 0.03, -0.04), (0.1, x - 0.03))]
    return finished("washbasin", variant, parts, supports)


def _vanity(rng: np.random.Generator, style: Style, variant: str, skin: Material, metal: Material) -> Piece:
    """A cabinet with one or two basins in its top, or a bowl on it."""
    width = 1.2 if variant == "double vanity" else float(rng.choice([0.6, 0.8, 0.9]))
    x, y, top = width / 2, 0.24, 0.85 if variant != "counter bowl" else 0.76
    body = style.wood(rng) if rng.random() < 0.5 else style.painted(rng)
    stone = style.stone(rng) if variant == "counter bowl" else skin
    parts = [
        box([-x + 0.005, -y + 0.03, 0.16], [x - 0.005, y, top - 0.04], body, skip="Z"),
        box([-x + 0.03, -y + 0.09, 0], [x - 0.03, y, 0.16], DARK, skip="Zz"),
    ]
    split = (top + 0.12) / 2
    count = 2 if width > 1 else 1
    for k in range(count):
        a, b = -x + 0.007 + k * width / count, -x - 0.007 + (k + 1) * width / count
        for z0, z1 in ((0.165, split - 0.002), (split + 0.002, top - 0.045)):
            parts.append(front((a, z0), (b, z1), -y + 0.01, body, False))
            parts.append(
                bar_handle(
                    ((a + b) / 2 - 0.08, z1 - 0.05), ((a + b) / 2 + 0.08, z1 - 0.05), -y + 0.022, metal, 0.006, 0.012
                )
            )
    centres = (-0.3, 0.3) if count == 2 else (0.0,)
    supports = [Support(-x + 0.01, y - 0.12, x - 0.01, y - 0.01, top, 0.3)]
    if variant == "counter bowl":
        parts.append(box([-x, -y, top - 0.04], [x, y, top], stone))
        profile = [
            (0.1, 0.0),
            (0.15, 0.03),
            (0.185, 0.08),
            (0.195, 0.125),
            (0.187, 0.127),
            (0.17, 0.08),
            (0.12, 0.03),
            (0, 0.022),
        ]
        parts.append(revolve(profile, skin, 6).moved(0, -0.025, top))
        parts += tap(0, y - 0.045, top, metal, 0.27, 0.14)
        supports = [Support(a, -y + 0.03, b, y - 0.03, top, 0.35) for a, b in ((-x + 0.01, -0.2), (0.2, x - 0.01))]
        return finished("washbasin", variant, parts, supports if x > 0.35 else ())
    # The top is cut around the basins: strips beside them, and a loft that leads into each.
    edges = np.linspace(-x, x, count + 1)
    for k, centre in enumerate(centres):
        a, b = edges[k], edges[k + 1]
        wide = min(0.24, (b - a) / 2 - 0.05)
        outer = [rounded(a, -y, b, y, z, 0.002) for z in (top - 0.04, top)]
        bowl = [
            rounded(centre - wide + s, -y + 0.05 + s, centre + wide - s, y - 0.13 - s, z, 0.07)
            for s, z in ((0, top), (0.012, top - 0.03), (0.05, top - 0.11))
        ]
        parts += [loft([*outer, *bowl], stone), cap(bowl[-1], stone)]
        parts += tap(centre, y - 0.06, top, metal, 0.18, 0.13)
        parts.append(cylinder(0.02, 0, 0.003, CHROME, 10).moved(centre, -0.04, top - 0.11))
    taken = [(c - 0.04, c + 0.1) for c in centres]
    free = zip([-x + 0.02, *(b for _, b in taken)], [*(a for a, _ in taken), x - 0.02], strict=True)
    return finished("washbasin", variant, parts, [Support(a, y - 0.12, b, y - 0.01, top, 0.3) for a, b in free])
