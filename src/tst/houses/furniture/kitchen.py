"""Kitchens: fitted units under one worktop, what hangs over them, and the large appliances.

Units of one house go together: worktop, fronts and handles are those that `_Fittings` picks for the style, and all
lower units are 0.9 m high and 0.6 m deep. Even variants have flat fronts, odd ones panelled fronts.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import (
    arc,
    bar_handle,
    cap,
    darker,
    finished,
    front,
    knob,
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
from tst.houses.mesh import Material, Mesh, box, cylinder, quad, rounded_box
from tst.houses.styles import Style

DEPTH, HEIGHT = 0.6, 0.9
TOP = 0.04
"""Thickness of the worktop."""
FACE = -0.275
"""Depth at which fronts lie, so that handles stay behind the worktop's edge."""
PLINTH = 0.1
CLEARANCE = 0.5
"""Free height over a worktop: upper cabinets hang above."""

BLACK = plain(0.03, 0.03, 0.035, gloss=0.6)
DARK = plain(0.12, 0.12, 0.13, gloss=0.2)
STEEL = plain(0.68, 0.69, 0.70, gloss=0.5)
WHITE = plain(0.93, 0.93, 0.92, gloss=0.35)
RUBBER = plain(0.2, 0.2, 0.21)
DISPLAY = plain(0.3, 0.75, 0.85, glow=0.6)


@dataclass(frozen=True)
class _Fittings:
    """What all units of one house have in common."""

    front: Material
    worktop: Material
    metal: Material

    @classmethod
    def of(cls, style: Style) -> "_Fittings":
        # A fixed generator: the choice depends on the house's materials alone, so that all its units agree.
        rng = np.random.default_rng(0)
        painted, wood, stone, metal = style.painted(rng), style.wood(rng), style.stone(rng), style.metal(rng)
        return cls(painted if style.family == "in" or painted.colour[0] > 0.5 else wood, stone, metal)

    def carcass(self, width: float, *, worktop: bool = True, open_top: bool = False) -> list[Mesh]:
        half = width / 2
        parts = [
            box([-half, FACE + 0.02, PLINTH], [half, 0.3, HEIGHT - TOP], self.front, skip="Z" if open_top else ""),
            box([-half, -0.22, 0], [half, 0.3, PLINTH], DARK, skip="Zz"),
        ]
        if worktop:
            parts.append(box([-half, -0.3, HEIGHT - TOP], [half, 0.3, HEIGHT], self.worktop))
        return parts

    def drawer(self, x0: float, x1: float, z0: float, z1: float, panelled: bool) -> list[Mesh]:
        middle, z = (x0 + x1) / 2, z1 - min(0.05, (z1 - z0) / 2)
        parts = [front((x0, z0), (x1, z1), FACE, self.front, panelled and z1 - z0 > 0.18)]
        if panelled:
            return [*parts, knob(middle, FACE, (z0 + z1) / 2, self.metal)]
        reach = min(0.16, (x1 - x0) * 0.3)
        return [*parts, bar_handle((middle - reach, z), (middle + reach, z), FACE, self.metal)]

    def doors(self, x0: float, x1: float, z0: float, z1: float, panelled: bool, face: float, low: bool) -> list[Mesh]:
        """One door, or two above a width of 0.5 m; the handle is above on lower units, below on upper ones."""
        gap, parts = 0.002, []
        count = 2 if x1 - x0 > 0.5 else 1
        step = (x1 - x0) / count
        for k in range(count):
            a, b = x0 + k * step + gap, x0 + (k + 1) * step - gap
            parts.append(front((a, z0), (b, z1), face, self.front, panelled))
            x = b - 0.04 if k == 0 else a + 0.04
            z = z1 - 0.05 if low else z0 + 0.05
            if panelled:
                parts.append(knob(x, face, z, self.metal))
            else:
                parts.append(bar_handle((x, z), (x, z - 0.16 if low else z + 0.16), face, self.metal))
        return parts


def _worktop(x0: float, x1: float, y0: float = -0.28, y1: float = 0.28) -> Support:
    return Support(x0, y0, x1, y1, HEIGHT, CLEARANCE)


@piece("kitchen cabinet", "drawers", "panelled drawers", "doors", "panelled doors")
def kitchen_cabinet(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A lower unit 0.4, 0.6 or 0.8 m wide with its piece of worktop."""
    fittings, panelled = _Fittings.of(style), variant.startswith("panelled")
    width = float(rng.choice([0.4, 0.6, 0.8]))
    x0, x1, low, high = -width / 2 + 0.002, width / 2 - 0.002, PLINTH + 0.003, HEIGHT - TOP - 0.006
    parts = fittings.carcass(width)
    if variant.endswith("drawers"):
        heights = np.array([0.2, 0.4, 0.4] if rng.random() < 0.6 else [0.18, 0.18, 0.28, 0.36])
        edges = high - (high - low) * np.concatenate([[0], np.cumsum(heights)])
        for upper, lower in itertools.pairwise(edges):
            parts += fittings.drawer(x0, x1, float(lower) + 0.002, float(upper) - 0.002, panelled)
    else:
        parts += fittings.drawer(x0, x1, high - 0.15, high, panelled)
        parts += fittings.doors(x0, x1, low, high - 0.154, panelled, FACE, low=True)
    return finished("kitchen cabinet", variant, parts, [_worktop(-width / 2, width / 2)])


@piece("upper cabinet", "doors", "panelled doors", "glass doors", "open shelf")
def upper_cabinet(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A wall unit 0.35 m deep."""
    fittings, panelled = _Fittings.of(style), variant.startswith("panelled")
    width, height = float(rng.choice([0.4, 0.6, 0.8])), float(rng.choice([0.6, 0.7]))
    half, back, face = width / 2, 0.175, -0.15
    if variant.endswith("doors") and variant != "glass doors":
        parts = [box([-half, face + 0.02, 0], [half, back, height], fittings.front)]
        parts += fittings.doors(-half, half, 0.003, height - 0.003, panelled, face, low=False)
        return finished("upper cabinet", variant, parts)

    board, skin = 0.018, fittings.front
    parts = [
        box([-half, face + 0.02, 0], [-half + board, back, height], skin),
        box([half - board, face + 0.02, 0], [half, back, height], skin),
        box([-half + board, back - 0.01, 0], [half - board, back, height], skin, skip="xX"),
    ]
    levels = (0.0, height / 2 - board / 2, height - board)
    for z in levels:
        parts.append(box([-half + board, face + 0.02, z], [half - board, back - 0.01, z + board], skin, skip="xXY"))
    for z in levels[:2]:
        for x in np.arange(-half + 0.08, half - 0.07, 0.11):
            parts += _crockery(rng, style, float(x), 0.02, z + board)
    if variant == "glass doors":
        glass = style.glass(rng)
        count = 2 if width > 0.5 else 1
        for k in range(count):
            a, b = -half + width * k / count + 0.002, -half + width * (k + 1) / count - 0.002
            parts += _frame(a, b, 0.003, height - 0.003, face, skin, 0.045)
            parts.append(
                box([a + 0.045, face + 0.008, 0.048], [b - 0.045, face + 0.012, height - 0.048], glass, "xXzZ")
            )
            x = b - 0.02 if k == 0 else a + 0.02
            parts.append(bar_handle((x, 0.05), (x, 0.2), face, fittings.metal))
    return finished("upper cabinet", variant, parts)


def _crockery(rng: np.random.Generator, style: Style, x: float, y: float, z: float) -> list[Mesh]:
    """A stack of plates, a cup or nothing, as part of a cabinet with glass doors or none."""
    kind = int(rng.integers(4))
    if kind == 0:
        return []
    material = style.ceramic(rng) if rng.random() < 0.6 else style.accent(rng)
    if kind == 1:
        high = 0.012 * int(rng.integers(3, 7))
        return [cylinder(0.045, 0, high, material, 10, top=0.052).moved(x, y, z)]
    return [cylinder(0.032, 0, 0.09, material, 10, top=0.04).moved(x, y, z)]


def _frame(x0: float, x1: float, z0: float, z1: float, y: float, material: Material, rail: float) -> list[Mesh]:
    """Four bars 2 cm thick around an opening."""
    return [
        box([x0, y, z0], [x0 + rail, y + 0.02, z1], material),
        box([x1 - rail, y, z0], [x1, y + 0.02, z1], material),
        box([x0 + rail, y, z0], [x1 - rail, y + 0.02, z0 + rail], material, skip="xX"),
        box([x0 + rail, y, z1 - rail], [x1 - rail, y + 0.02, z1], material, skip="xX"),
    ]


@piece("kitchen sink", "single bowl", "farmhouse", "double bowl", "round bowl")
def kitchen_sink(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A unit with one or two bowls and a tap in its worktop."""
    fittings, panelled = _Fittings.of(style), style.family == "out"
    width = 0.8 if variant != "round bowl" else float(rng.choice([0.6, 0.8]))
    half, high = width / 2, HEIGHT - TOP - 0.006
    parts = fittings.carcass(width, worktop=False, open_top=True)
    steel = STEEL if variant != "farmhouse" else style.ceramic(rng)
    y0, y1 = -0.2, 0.16
    if variant == "double bowl":
        holes = [(-0.34, 0.0), (0.03, 0.34)]
    elif variant == "round bowl":
        holes, y0, y1 = [(-0.19, 0.19)], -0.22, 0.16
    elif variant == "farmhouse":
        holes, y0 = [(-0.3, 0.3)], -0.255
    else:
        left = bool(rng.random() < 0.5)
        holes = [(-0.34, 0.06)] if left else [(-0.06, 0.34)]
    x0, x1 = holes[0][0], holes[-1][1]
    slab, top = HEIGHT - TOP, fittings.worktop
    parts += [
        box([-half, -0.3, slab], [x0, 0.3, HEIGHT], top),
        box([x1, -0.3, slab], [half, 0.3, HEIGHT], top),
        box([x0, y1, slab], [x1, 0.3, HEIGHT], top, skip="xX"),
    ]
    if variant == "farmhouse":
        parts.append(box([x0, -0.3, HEIGHT - 0.25], [x1, y0, HEIGHT + 0.004], steel))
        high -= 0.215
    else:
        parts.append(box([x0, -0.3, slab], [x1, y0, HEIGHT], top, skip="xX"))
        parts += fittings.drawer(-half + 0.002, half - 0.002, high - 0.15, high, panelled)[:1]
        high -= 0.154
    if variant == "double bowl":
        parts.append(box([0.0, y0, slab], [0.03, y1, HEIGHT], steel))
    for a, b in holes:
        parts += _bowl(a, b, y0, y1, steel, 0.19 if variant == "round bowl" else 0.05)
    if variant == "single bowl":
        drain = (0.1, 0.36) if left else (-0.36, -0.1)
        parts.append(box([drain[0], y0, HEIGHT], [drain[1], y1, HEIGHT + 0.004], steel, skip="z"))
        for x in np.linspace(drain[0] + 0.03, drain[1] - 0.03, 6):
            parts.append(
                box([x - 0.006, y0 + 0.04, HEIGHT + 0.004], [x + 0.006, y1 - 0.04, HEIGHT + 0.009], steel, "z")
            )
    parts += fittings.doors(-half, half, PLINTH + 0.003, high, panelled, FACE, low=True)
    parts += tap(
        (x0 + x1) / 2, 0.225, HEIGHT, fittings.metal if rng.random() < 0.5 else STEEL, float(rng.uniform(0.24, 0.34))
    )
    strips = [(-half, x0 - 0.015), (x1 + 0.015, half)] if variant != "single bowl" else []
    return finished("kitchen sink", variant, parts, [_worktop(a, b) for a, b in strips if b - a > 0.09])


def _bowl(x0: float, x1: float, y0: float, y1: float, material: Material, radius: float) -> list[Mesh]:
    """The inside of a sink with its rim, which covers the corners of the hole in the worktop."""

    def ring(inset: float, z: float) -> np.ndarray:
        return rounded(x0 + inset, y0 + inset, x1 - inset, y1 - inset, HEIGHT + z, max(radius - inset, 0.01))

    outer = rounded(x0 - 0.012, y0 - 0.012, x1 + 0.012, y1 + 0.012, HEIGHT, 0.012)
    lip = outer + np.array([0, 0, 0.005])
    rings = [outer, lip, ring(0.012, 0.005), ring(0.016, -0.03), ring(0.022, -0.15), ring(0.05, -0.18)]
    middle = ring(0.05, -0.18).mean(0)
    drain = cylinder(0.03, 0, 0.004, DARK, 12).moved(*middle)
    return [loft(rings, material), cap(rings[-1], material), drain]


def tap(x: float, y: float, z: float, material: Material, height: float = 0.28, reach: float = 0.18) -> list[Mesh]:
    """A swan-necked mixer that reaches to the front."""
    radius = reach / 2
    neck = arc((x, y - radius, z + height - radius), radius, 0, 180, "y", 10)
    path = [(x, y, z), (x, y, z + height - radius - 0.02), *neck, (x, y - reach, z + height - radius - 0.05)]
    lever = rod([(x + 0.02, y, z + 0.06), (x + 0.085, y, z + 0.085)], 0.006, material, 6)
    return [rod(path, 0.011, material, 8), cylinder(0.024, 0, 0.075, material, 10, top=0.02).moved(x, y, z), lever]


@piece("stove", "ceramic hob", "gas range", "built-in oven", "range cooker")
def stove(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Oven below, hob on top: glass with rings, or gas with grates."""
    fittings = _Fittings.of(style)
    width = float(rng.uniform(0.88, 0.95)) if variant == "range cooker" else 0.6
    half = width / 2
    if variant == "built-in oven":
        skin, top = fittings.front, fittings.worktop
    else:
        skin = {"ceramic hob": WHITE, "gas range": STEEL}.get(variant) or style.painted(rng)
        top = BLACK if variant == "ceramic hob" else STEEL
    panel = BLACK if variant == "built-in oven" else STEEL if variant == "range cooker" else skin
    parts = [
        box([-half, FACE + 0.02, PLINTH], [half, 0.3, HEIGHT - TOP], skin),
        box([-half, -0.22, 0], [half, 0.3, PLINTH], DARK, skip="Zz"),
        box([-half, -0.3, HEIGHT - TOP], [half, 0.3, HEIGHT], top),
        box([-half + 0.004, FACE, 0.74], [half - 0.004, FACE + 0.02, HEIGHT - TOP - 0.004], panel),
        box([-half + 0.004, FACE, PLINTH + 0.005], [half - 0.004, FACE + 0.02, 0.24], skin),
    ]
    ovens = [(-half, half)] if width < 0.8 else [(-half, 0.1), (0.1, half)]
    for a, b in ovens:
        door = STEEL if variant == "built-in oven" else skin
        parts.append(box([a + 0.004, FACE, 0.25], [b - 0.004, FACE + 0.02, 0.73], door))
        parts.append(box([a + 0.06, FACE - 0.004, 0.31], [b - 0.06, FACE, 0.62], BLACK, skip="Y"))
        parts.append(bar_handle((a + 0.05, 0.68), (b - 0.05, 0.68), FACE, STEEL, 0.008))
    light = panel.colour[0] > 0.4
    for x in np.linspace(-half + 0.07, half - 0.07, 6 if width < 0.8 else 8):
        if abs(x) > 0.09 or width > 0.8:
            parts.append(knob(float(x), FACE, 0.8, DARK if light else STEEL, 0.018, 0.02))
    if width < 0.8:
        parts.append(box([-0.06, FACE - 0.003, 0.775], [0.06, FACE, 0.825], BLACK, skip="Y"))
        parts.append(box([-0.025, FACE - 0.004, 0.79], [0.025, FACE - 0.003, 0.81], DISPLAY, skip="Y"))
    if variant in ("ceramic hob", "built-in oven"):
        parts += _ceramic_hob()
        height = HEIGHT + 0.008
    else:
        parts += _gas_hob(width)
        height = HEIGHT + 0.036
    if variant in ("gas range", "ceramic hob"):
        parts.append(box([-half, 0.28, HEIGHT], [half, 0.3, HEIGHT + 0.05], skin, skip="z"))
    places = [(-half + 0.03, -0.03), (0.03, half - 0.03)]
    return finished("stove", variant, parts, [Support(a, -0.27, b, 0.25, height, CLEARANCE) for a, b in places])


def _ceramic_hob() -> list[Mesh]:
    parts = [box([-0.28, -0.26, HEIGHT], [0.28, 0.24, HEIGHT + 0.006], BLACK, skip="z")]
    ring = plain(0.35, 0.33, 0.33, gloss=0.3)
    for x, y, radius in ((-0.14, -0.12, 0.09), (0.14, -0.12, 0.075), (-0.14, 0.12, 0.075), (0.14, 0.12, 0.1)):
        rings = [oval(x, y, r, r, HEIGHT + 0.007, 6) for r in (radius, radius - 0.008)]
        parts.append(loft(rings, ring))
        parts.append(loft([oval(x, y, r, r, HEIGHT + 0.007, 6) for r in (radius * 0.5, radius * 0.5 - 0.006)], ring))
    return parts


def _gas_hob(width: float) -> list[Mesh]:
    """Burners under cast-iron grates, 3.6 cm high."""
    iron, parts = plain(0.06, 0.06, 0.06), []
    columns = (-0.15, 0.15) if width < 0.8 else (-0.29, 0.0, 0.29)
    bar = 0.007
    for x in columns:
        for y in (-0.13, 0.12):
            burner = revolve([(0.045, 0), (0.045, 0.012), (0.03, 0.014), (0.03, 0.022), (0, 0.022)], iron, 3)
            parts.append(burner.moved(x, y, HEIGHT))
            for dx, dy in ((0.1, bar), (bar, 0.1)):
                z = HEIGHT + 0.024
                parts.append(box([x - dx, y - dy, z], [x + dx, y + dy, z + 0.012], iron))
        for edge in (-0.115, 0.115):
            low = [x + edge - bar, -0.26, HEIGHT]
            parts.append(box(low, [x + edge + bar, 0.25, HEIGHT + 0.036], iron, skip="z"))
    return parts


@piece("range hood", "chimney", "under-cabinet", "slanted glass", "bell")
def range_hood(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """An extractor with its lamp side down."""
    width = float(rng.choice([0.6, 0.9])) if variant != "under-cabinet" else 0.6
    half = width / 2
    steel = STEEL if rng.random() < 0.6 else style.metal(rng)
    if variant == "under-cabinet":
        parts = [
            box([-half, -0.2, 0.0], [half, 0.25, 0.05], steel),
            box([-half, -0.12, 0.05], [half, 0.25, 0.16], steel, skip="z"),
            box([-half + 0.02, -0.204, 0.015], [half - 0.02, -0.2, 0.035], DARK, skip="Y"),
            box([-0.12, -0.05, 0.16], [0.12, 0.25, float(rng.uniform(0.45, 0.65))], steel, skip="z"),
        ]
        return finished("range hood", variant, parts)
    flue = box([-0.13, -0.02, 0.22], [0.13, 0.25, float(rng.uniform(0.58, 0.75))], steel)
    if variant == "slanted glass":
        glass = plain(0.08, 0.09, 0.1, gloss=0.7)
        slope = _slope(-half, half, -0.25, 0.02, 0.13, 0.42, glass, 0.02)
        parts = [slope, box([-half * 0.9, 0.02, 0.05], [half * 0.9, 0.25, 0.4], steel), flue]
    elif variant == "bell":
        rings = [
            rounded(-half * s, 0.25 - 0.5 * d, half * s, 0.25, z, 0.05)
            for s, d, z in ((1, 1, 0), (1, 1, 0.05), (0.82, 0.86, 0.09), (0.55, 0.65, 0.17), (0.4, 0.55, 0.28))
        ]
        parts = [solid(rings, style.painted(rng)), flue]
    else:
        low, high = rounded(-half, -0.25, half, 0.25, 0.05, 0.001), rounded(-0.14, -0.03, 0.14, 0.25, 0.26, 0.001)
        parts = [box([-half, -0.25, 0], [half, 0.25, 0.05], steel), loft([low, high], steel), flue]
    for x in (-0.06, -0.02, 0.02, 0.06) if variant != "slanted glass" else ():
        parts.append(box([x - 0.01, -0.253, 0.018], [x + 0.01, -0.25, 0.034], DARK, skip="Y"))
    return finished("range hood", variant, parts)


def _slope(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, material: Material, thick: float) -> Mesh:
    """A board that leans back from its lower front edge."""
    board = box([x0, 0, 0], [x1, thick, float(np.hypot(y1 - y0, z1 - z0))], material)
    return board.turned(-float(np.arctan2(y1 - y0, z1 - z0)), "x").moved(0, y0, z0)


@piece("refrigerator", "bottom freezer", "retro", "french door", "top freezer")
def refrigerator(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A free-standing refrigerator; doors in white, steel or colour."""
    width, depth, height, edge = 0.6, 0.64, float(rng.uniform(1.75, 1.95)), 0.012
    skin = [WHITE, STEEL][int(rng.integers(2))]
    if variant == "retro":
        height, edge, skin = float(rng.uniform(1.45, 1.65)), 0.05, style.accent(rng)
    elif variant == "french door":
        width, skin = 0.9, STEEL if rng.random() < 0.7 else DARK
    elif variant == "top freezer":
        height = float(rng.uniform(1.55, 1.75))
    half, y0, y1 = width / 2, -depth / 2 + 0.03, depth / 2
    body = darker(skin, 0.8)
    metal = STEEL if skin is not STEEL else DARK
    parts = [rounded_box([-half, y0 + 0.055, 0.02], [half, y1, height], body, edge)]
    parts.append(box([-half + 0.03, y0 + 0.08, 0], [half - 0.03, y1 - 0.03, 0.03], DARK, skip="Z"))

    def door(x0: float, x1: float, z0: float, z1: float) -> Mesh:
        return rounded_box([x0 + 0.002, y0, z0 + 0.003], [x1 - 0.002, y0 + 0.055, z1 - 0.003], skin, edge)

    def handle(x: float, z0: float, z1: float) -> Mesh:
        return bar_handle((x, z0), (x, z1), y0, metal, 0.009, 0.02)

    if variant == "bottom freezer":
        split = 0.62
        parts += [door(-half, half, 0.04, split), door(-half, half, split, height)]
        parts += [handle(-half + 0.05, split - 0.35, split - 0.05), handle(-half + 0.05, split + 0.05, split + 0.5)]
        if rng.random() < 0.5:
            parts.append(box([-0.05, y0 - 0.002, height - 0.28], [0.05, y0, height - 0.22], BLACK, skip="Y"))
    elif variant == "french door":
        split = 0.68
        parts += [door(-half, 0, split, height), door(0, half, split, height), door(-half, half, 0.04, split)]
        parts += [handle(-0.04, split + 0.08, height - 0.3), handle(0.04, split + 0.08, height - 0.3)]
        parts.append(bar_handle((-half + 0.1, split - 0.07), (half - 0.1, split - 0.07), y0, metal, 0.009, 0.02))
        parts.append(box([-half + 0.13, y0 - 0.003, 1.15], [-half + 0.31, y0, 1.5], BLACK, skip="Y"))
    elif variant == "top freezer":
        split = height - 0.5
        parts += [door(-half, half, 0.04, split), door(-half, half, split, height)]
        parts += [handle(-half + 0.05, split - 0.4, split - 0.05), handle(-half + 0.05, split + 0.05, split + 0.25)]
    else:
        parts.append(door(-half, half, 0.06, height))
        parts.append(box([-half + 0.06, y0 - 0.008, 0.5], [half - 0.06, y0 - 0.0, 0.512], STEEL, skip="Y"))
        parts.append(bar_handle((-half + 0.07, height * 0.62), (-half + 0.07, height * 0.62 + 0.24), y0, STEEL, 0.013))
        parts.append(box([0.02, y0 - 0.006, height - 0.2], [0.18, y0, height - 0.17], STEEL, skip="Y"))
    top = [Support(-half + 0.06, y0 + 0.07, half - 0.06, y1 - 0.06, height, 0.6)] if height < 1.7 else []
    return finished("refrigerator", variant, parts, top)


@piece("dishwasher", "built-in", "panelled", "free-standing", "steel")
def dishwasher(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A front 0.6 m wide, or 0.45 m, under the worktop."""
    fittings, width = _Fittings.of(style), float(rng.choice([0.6, 0.6, 0.45]))
    edge = width / 2 - 0.004
    parts = fittings.carcass(width)
    skin = {"free-standing": WHITE, "steel": STEEL}.get(variant, fittings.front)
    panel = DARK if variant in ("built-in", "steel") else WHITE if variant == "free-standing" else STEEL
    high = HEIGHT - TOP - 0.006
    parts += [
        front((-edge, PLINTH + 0.003), (edge, high - 0.114), FACE, skin, variant == "panelled"),
        box([-edge, FACE, high - 0.11], [edge, FACE + 0.02, high], panel),
        bar_handle(
            (-width / 3, high - 0.15), (width / 3, high - 0.15), FACE, STEEL if skin is not STEEL else DARK, 0.008
        ),
        box([-0.05, FACE - 0.002, high - 0.07], [0.05, FACE, high - 0.035], BLACK, skip="Y"),
        box([-0.02, FACE - 0.003, high - 0.06], [0.02, FACE - 0.002, high - 0.045], DISPLAY, skip="Y"),
    ]
    for x in np.linspace(0.4 * edge, 0.8 * edge, 5):
        parts.append(knob(float(x), FACE, high - 0.052, RUBBER if panel is not DARK else STEEL, 0.006, 0.006))
    return finished("dishwasher", variant, parts, [_worktop(-width / 2, width / 2)])


@piece("washing machine", "front loader", "dark-door front loader", "steel front loader", "top loader")
def washing_machine(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A round door in a white or grey front, or a lid on top; as high as the kitchen's units."""
    slim = float(rng.uniform(0.96, 1.0))
    if variant == "top loader":
        parts = [
            rounded_box([-0.225, -0.3, 0.02], [0.225, 0.3, 0.86], WHITE, 0.015),
            rounded_box([-0.225, -0.3, 0.862], [0.225, 0.16, 0.89], WHITE, 0.012),
            rounded_box([-0.225, 0.165, 0.84], [0.225, 0.3, 0.9], plain(0.75, 0.77, 0.8, gloss=0.3), 0.012),
            box([-0.06, -0.304, 0.835], [0.06, -0.3, 0.855], DARK, skip="Y"),
            box([-0.2, -0.27, 0], [0.2, 0.27, 0.03], DARK, skip="Z"),
        ]
        parts += [cylinder(0.022, 0, 0.012, STEEL, 10).moved(x, 0.23, 0.899) for x in (-0.15, -0.08, 0.12)]
        return finished(
            "washing machine",
            variant,
            [part.scaled(slim, 1, 1) for part in parts],
            [Support(-0.19, -0.27, 0.19, 0.14, 0.89, CLEARANCE)],
        )
    skin = STEEL if variant.startswith("steel") else WHITE
    ring = DARK if variant.startswith("dark") else plain(0.78, 0.79, 0.8, gloss=0.6)
    face = -0.275
    parts = [
        rounded_box([-0.298, face, 0.02], [0.298, 0.3, 0.87], skin, 0.012),
        rounded_box([-0.3, face - 0.005, 0.87], [0.3, 0.3, 0.9], WHITE, 0.01),
        box([-0.27, face + 0.03, 0], [0.27, 0.27, 0.03], DARK, skip="Z"),
        box([-0.29, face - 0.004, 0.75], [0.29, face, 0.862], plain(0.82, 0.83, 0.84, gloss=0.3), skip="Y"),
        box([-0.28, face - 0.008, 0.765], [-0.1, face - 0.004, 0.85], skin, skip="Y"),
        box([0.08, face - 0.006, 0.79], [0.2, face - 0.004, 0.83], BLACK, skip="Y"),
        knob(0.0, face - 0.004, 0.807, STEEL, 0.03, 0.02),
    ]
    hoop = [(0.2, 0.0), (0.2, 0.012), (0.185, 0.022), (0.15, 0.022), (0.142, 0.012)]
    parts.append(to_front(revolve(hoop, ring, 6), 0, face, 0.43))
    pane = plain(0.1, 0.12, 0.15, gloss=0.8)
    parts.append(to_front(revolve([(0.142, 0.012), (0.1, 0.018), (0.05, 0.02), (0, 0.02)], pane, 6), 0, face, 0.43))
    parts.append(box([0.15, face - 0.024, 0.38], [0.175, face - 0.018, 0.48], DARK, skip="Y"))
    parts.append(quad([-0.27, face - 0.001, 0.04], [0.1, 0, 0], [0, 0, 0.08], plain(0.85, 0.85, 0.85)))
    return finished(
        "washing machine",
        variant,
        [part.scaled(slim, 1, 1) for part in parts],
        [Support(-0.25, -0.24, 0.25, 0.27, 0.9, CLEARANCE)],
    )
