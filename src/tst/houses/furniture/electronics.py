"""What has a plug and stands about: screens, clocks, small kitchen appliances."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import (
    arc,
    cap,
    finished,
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
from tst.houses.mesh import Material, Mesh, box, cylinder, extrude, quad, rounded_box
from tst.houses.styles import Style

BLACK = plain(0.05, 0.05, 0.055, gloss=0.3)
SCREEN = plain(0.02, 0.022, 0.028, gloss=0.8)
STEEL = plain(0.70, 0.71, 0.72, gloss=0.5)
GREY = plain(0.45, 0.46, 0.47, gloss=0.2)
WHITE = plain(0.92, 0.92, 0.91, gloss=0.3)
DISPLAY = plain(0.25, 0.8, 0.55, glow=0.8)


def _screen_on(rng: np.random.Generator) -> Material:
    """A desktop in one colour, or a dark screen."""
    if rng.random() < 0.4:
        return SCREEN
    colour = rng.uniform(0.1, 0.55, 3)
    return plain(float(colour[0]), float(colour[1]), float(colour[2]) + 0.2, gloss=0.4, glow=0.5)


def _resized(rng: np.random.Generator, parts: list[Mesh]) -> list[Mesh]:
    size = float(rng.uniform(0.92, 1.1))
    return [part.scaled(size, size, size) for part in parts]


@piece("television", "pedestal", "two feet", "sound bar", "old")
def television(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A dark screen 0.7 to 1.4 m wide on a stand; "old" is a deep box."""
    width = float(rng.uniform(0.7, 1.4))
    height, x = width * 0.58, width / 2
    parts: list[Mesh] = []
    if variant == "old":
        width = float(rng.uniform(0.55, 0.7))
        height, x = width * 0.82, width / 2
        case = style.wood(rng) if rng.random() < 0.5 else style.plastic(rng)
        back = [
            rounded(-x * s, -height / 2 * s, x * s, height / 2 * s, z, 0.04)
            for s, z in ((0.55, 0), (0.7, 0.18), (1.0, 0.3))
        ]
        parts.append(to_front(solid(back, BLACK), 0, 0.3, height / 2 + 0.03))
        parts.append(rounded_box([-x, -0.06, 0.03], [x, 0.03, height + 0.03], case, 0.02))
        glass = [
            rounded(-x * s, -height / 2 * s, x * s * 0.66, height / 2 * s, z, 0.05)
            for s, z in ((0.86, 0), (0.84, 0.008), (0.5, 0.016))
        ]
        parts.append(to_front(solid(glass, SCREEN), 0, -0.058, height / 2 + 0.03))
        for z in (0.75, 0.6):
            parts.append(knob(x * 0.8, -0.06, 0.03 + height * z, STEEL, 0.022, 0.02))
        for z in np.linspace(0.15, 0.42, 7):
            parts.append(box([x * 0.68, -0.063, 0.03 + height * z], [x * 0.92, -0.059, 0.036 + height * z], BLACK))
        parts += [
            box([s * x * 0.8 - 0.02, -0.03, 0], [s * x * 0.8 + 0.02, 0.1, 0.035], BLACK, skip="Z") for s in (-1, 1)
        ]
        parts += [rod([(0, 0, height + 0.02), (s * 0.16, 0.02, height + 0.3)], 0.004, STEEL, 5) for s in (-1, 1)]
        return finished("television", variant, parts)
    lift = 0.07
    edge = 0.012
    parts += [
        box([-x, -0.02, lift], [x, 0.015, lift + height], BLACK),
        box([-x * 0.7, 0.015, lift + 0.05], [x * 0.7, 0.05, lift + height * 0.6], BLACK),
        quad([-x + edge, -0.0205, lift + edge * 1.6], [width - 2 * edge, 0, 0], [0, 0, height - 2.6 * edge], SCREEN),
        box([-0.02, -0.022, lift + 0.004], [0.02, -0.0202, lift + 0.012], STEEL, skip="Y"),
    ]
    metal = STEEL if rng.random() < 0.5 else BLACK
    if variant == "two feet":
        for s in (-1, 1):
            at = s * x * 0.72
            parts += [rod([(at, 0, lift + 0.02), (at + s * 0.02, dy, 0.008)], 0.009, metal, 6) for dy in (-0.12, 0.12)]
    else:
        ring = oval(0, 0.02, min(0.3, x * 0.5), 0.12, 0, 6)
        parts += [
            solid([ring, ring + np.array([0, 0, 0.012])], metal),
            box([-0.05, 0.02, 0.01], [0.05, 0.045, lift + 0.1], BLACK),
        ]
        if variant == "sound bar":
            parts.append(rounded_box([-x * 0.8, -0.17, 0], [x * 0.8, -0.1, 0.06], BLACK, 0.015))
    return finished("television", variant, parts)


@piece("laptop", "silver", "dark")
def laptop(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """An open laptop."""
    width, depth = float(rng.uniform(0.30, 0.38)), float(rng.uniform(0.21, 0.25))
    x, y, high = width / 2, depth / 2, 0.016
    case = (
        STEEL
        if variant == "silver"
        else style.plastic(rng)
        if rng.random() < 0.5
        else plain(0.16, 0.16, 0.18, gloss=0.3)
    )
    key = BLACK if variant == "silver" else plain(0.08, 0.08, 0.09)
    deck = rounded(-x, -y, x, y, 0, 0.012, 3)
    parts = [solid([deck, deck + np.array([0, 0, high])], case)]
    step, rows = (width - 0.05) / 13, 5
    for row in range(rows):
        at = y - 0.035 - row * 0.021
        spans = [(0, 3), (3, 9), (9, 13)] if row == rows - 1 else [(k, k + 1) for k in range(13)]
        for a, b in spans:
            left = -x + 0.025 + a * step
            parts.append(
                box([left + 0.0015, at - 0.018, high], [left + (b - a) * step - 0.0015, at, high + 0.0025], key, "zY")
            )
    parts.append(quad([-0.05, -y + 0.012, high + 0.001], [0.1, 0, 0], [0, 0.06, 0], GREY))
    tall = depth * 0.96
    lid = [
        box([-x, 0, 0], [x, 0.007, tall], case),
        quad([-x + 0.004, -0.0006, 0.004], [width - 0.008, 0, 0], [0, 0, tall - 0.008], BLACK),
        quad([-x + 0.012, -0.0014, 0.022], [width - 0.024, 0, 0], [0, 0, tall - 0.036], _screen_on(rng)),
    ]
    lean = -math.radians(float(rng.uniform(8, 25)))
    parts += [part.turned(lean, "x").moved(0, y - 0.004, high) for part in lid]
    return finished("laptop", variant, parts)


@piece("monitor", "slim", "pivot", "wide", "bulky")
def monitor(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A computer screen on its stand."""
    width = float(rng.uniform(0.5, 0.62)) if variant != "wide" else float(rng.uniform(0.7, 0.82))
    height, x = (width * 0.57 if variant != "wide" else width * 0.43), width / 2
    case = BLACK if rng.random() < 0.6 else STEEL
    lift, edge, thick = 0.13, 0.01 if variant != "bulky" else 0.022, 0.02 if variant != "bulky" else 0.05
    parts = [
        rounded_box([-x, -thick, lift], [x, 0.012, lift + height], case, 0.006, 1),
        quad(
            [-x + edge, -thick - 0.0006, lift + edge * 1.8],
            [width - 2 * edge, 0, 0],
            [0, 0, height - 2.8 * edge],
            _screen_on(rng),
        ),
        box([-0.09, 0.012, lift + height * 0.3], [0.09, 0.035, lift + height * 0.7], BLACK),
    ]
    if variant in ("slim", "wide"):
        parts.append(rounded_box([-0.025, 0.035, 0.006], [0.025, 0.055, lift + height * 0.55], STEEL, 0.006, 1))
        parts.append(rounded_box([-0.12, -0.09, 0], [0.12, 0.1, 0.01], STEEL, 0.005, 1))
    else:
        parts.append(cylinder(0.02, 0.01, lift + height * 0.5, case, 10).moved(0, 0.05))
        ring = oval(0, 0.03, 0.13, 0.11, 0, 6)
        parts.append(solid([ring, ring + np.array([0, 0, 0.014])], case))
    return finished("monitor", variant, parts)


@piece("clock", "round wall", "square wall", "alarm", "digital alarm")
def clock(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """On the wall (less than 6 cm deep) or on a table (at least 9 cm deep)."""
    rim = [style.wood, style.metal, style.accent, style.plastic][int(rng.integers(4))](rng)
    paper = plain(0.97, 0.97, 0.95, gloss=0.2)
    hours = float(rng.uniform(0, 12))
    if variant == "digital alarm":
        parts = [rounded_box([-0.09, -0.05, 0], [0.09, 0.05, 0.075], rim, 0.012, 1)]
        parts.append(quad([-0.08, -0.0505, 0.01], [0.16, 0, 0], [0, 0, 0.055], SCREEN))
        digits = [int(hours) // 10, int(hours) % 10, int(hours * 6) % 6, int(hours * 60) % 10]
        for digit, at in zip(digits, (-0.068, -0.034, 0.01, 0.044), strict=True):
            parts += _seven_segments(digit, at, 0.018, 0.024, 0.04)
        parts += [box([-0.003, -0.0515, z], [0.003, -0.0505, z + 0.006], DISPLAY, skip="Y") for z in (0.028, 0.042)]
        return finished("clock", variant, parts)
    radius = float(rng.uniform(0.13, 0.18)) if "wall" in variant else 0.055
    deep = 0.04 if "wall" in variant else 0.05
    if variant == "square wall":
        case = [rounded(-radius, -radius, radius, radius, z, 0.03) for z in (0, deep)]
        inner = [rounded(-s, -s, s, s, z, 0.02) for s, z in ((radius - 0.02, deep), (radius - 0.022, deep - 0.01))]
    else:
        case = [oval(0, 0, radius, radius, z, 6) for z in (0, deep)]
        inner = [oval(0, 0, s, s, z, 6) for s, z in ((radius * 0.9, deep), (radius * 0.88, deep - 0.01))]
    face = deep - 0.01
    dial = [loft([*case, *inner], rim), cap(case[0], rim, up=False), cap(inner[-1], paper)]
    for k in range(12):
        angle = k * math.pi / 6
        tick = box([-0.02 * radius, 0.68 * radius, face], [0.02 * radius, 0.82 * radius, face + 0.001], BLACK, skip="z")
        dial.append(tick.turned(angle))
    for angle, length, wide in ((hours / 12, 0.45, 0.035), (hours % 1, 0.68, 0.022)):
        hand = box([-wide * radius, -0.1 * radius, face + 0.002], [wide * radius, length * radius, face + 0.004], BLACK)
        dial.append(hand.turned(-angle * 2 * math.pi))
    dial.append(cylinder(0.05 * radius, face, face + 0.006, rim, 8))
    if "wall" in variant:
        return finished("clock", variant, [to_front(part, 0, 0, 0) for part in dial])
    z = radius + 0.02
    parts = [to_front(part, 0, 0.02, z) for part in dial]
    for s in (-1, 1):
        bell = revolve([(0.026, 0), (0.024, 0.012), (0.012, 0.021), (0, 0.023)], rim, 3).turned(s * 0.6, "y")
        parts.append(bell.moved(s * 0.034, 0, z + 0.052))
        parts += [rod([(s * 0.03, dy, z - 0.04), (s * 0.045, dy * 1.8, 0)], 0.006, rim, 6) for dy in (-0.025, 0.025)]
    parts.append(rod(arc((0, 0, z + 0.062), 0.03, 20, 160, "x", 7), 0.003, rim, 5))
    return finished("clock", variant, parts)


def _seven_segments(digit: int, x: float, z: float, wide: float, high: float) -> list[Mesh]:
    """A lit digit on the front of the digital clock."""
    lit = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")[digit]
    t, y = 0.004, -0.0515
    segments = {
        "a": (0.0, high - t, wide, t),
        "b": (wide - t, high / 2, t, high / 2),
        "c": (wide - t, 0.0, t, high / 2),
        "d": (0.0, 0.0, wide, t),
        "e": (0.0, 0.0, t, high / 2),
        "f": (0.0, high / 2, t, high / 2),
        "g": (0.0, high / 2 - t / 2, wide, t),
    }
    bars = [segments[name] for name in lit]
    return [quad([x + a, y, z + b], [w, 0, 0], [0, 0, h], DISPLAY) for a, b, w, h in bars]


@piece("microwave", "black", "white", "steel", "retro")
def microwave(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Door with a dark window at the left, panel at the right."""
    width, depth, height = float(rng.uniform(0.44, 0.5)), 0.36, float(rng.uniform(0.26, 0.3))
    x, y = width / 2, -depth / 2
    skin = {"black": BLACK, "white": WHITE, "steel": STEEL}.get(variant) or style.accent(rng)
    split = x - 0.11
    panel = BLACK if variant in ("steel", "black") else WHITE
    parts = [
        rounded_box([-x, y + 0.02, 0.012], [x, depth / 2, height], skin, 0.008 if variant != "retro" else 0.03, 1),
        rounded_box([-x + 0.003, y, 0.02], [split - 0.002, y + 0.03, height - 0.006], skin, 0.006, 1),
        box([split + 0.002, y + 0.006, 0.02], [x - 0.003, y + 0.03, height - 0.006], panel),
        box([-x + 0.035, y - 0.002, 0.055], [split - 0.05, y, height - 0.04], SCREEN, skip="Y"),
        box([split + 0.018, y + 0.003, height - 0.06], [x - 0.018, y + 0.006, height - 0.025], SCREEN, skip="Y"),
        box([split + 0.04, y + 0.002, height - 0.05], [x - 0.03, y + 0.003, height - 0.036], DISPLAY, skip="Y"),
        rod([(split - 0.022, y - 0.016, 0.05), (split - 0.022, y - 0.016, height - 0.04)], 0.007, STEEL, 6),
    ]
    for z in (0.06, height - 0.05):
        parts.append(box([split - 0.026, y - 0.016, z], [split - 0.018, y, z + 0.01], STEEL, skip="Y"))
    button = GREY if panel is BLACK else plain(0.75, 0.76, 0.77)
    if variant in ("retro", "white"):
        parts += [knob((split + x) / 2, y + 0.006, z, STEEL, 0.022, 0.02) for z in (0.07, 0.14)]
    else:
        for row in range(4):
            for column in range(3):
                low = [split + 0.02 + column * 0.025, y + 0.004, 0.04 + row * 0.032]
                parts.append(box(low, [low[0] + 0.018, y + 0.006, low[2] + 0.02], button, skip="Y"))
    for sx in (-x + 0.04, x - 0.04):
        parts += [cylinder(0.015, 0, 0.015, BLACK, 8).moved(sx, sy) for sy in (y + 0.06, -y - 0.05)]
    return finished("microwave", variant, parts, [Support(-x + 0.04, y + 0.06, x - 0.04, -y - 0.04, height, 0.2)])


@piece("toaster", "steel", "coloured", "slim", "four slots")
def toaster(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Two slots on top, a lever at the end."""
    skin = STEEL if variant in ("steel", "slim") else style.accent(rng)
    width, depth, height = (0.38, 0.14, 0.19) if variant == "slim" else (0.28, 0.17, 0.19)
    if variant == "four slots":
        width, depth = 0.3, 0.28
    x, y, base = width / 2, depth / 2, 0.02
    soft = 0.04 if variant != "slim" else 0.015
    parts = [
        rounded_box([-x, -y, base], [x, y, height], skin, soft),
        box([-x + 0.015, -y + 0.015, 0], [x - 0.015, y - 0.015, base + soft], BLACK, skip="Z"),
    ]
    rows = {"four slots": 4, "slim": 1}.get(variant, 2)
    toast = plain(0.62, 0.40, 0.18)
    bread = bool(rng.random() < 0.4)
    for k in range(rows):
        at = (k - (rows - 1) / 2) * 0.055
        parts.append(box([-x + 0.045, at - 0.017, height], [x - 0.045, at + 0.017, height + 0.003], STEEL, skip="z"))
        parts.append(quad([-x + 0.05, at - 0.012, height + 0.0035], [width - 0.1, 0, 0], [0, 0.024, 0], BLACK))
        if bread:
            parts.append(
                rounded_box([-0.06, at - 0.008, height - 0.03], [0.06, at + 0.008, height + 0.035], toast, 0.008, 1)
            )
    end = x
    parts += [
        box([end - 0.001, -0.008, 0.05], [end + 0.002, 0.008, 0.14], BLACK),
        rounded_box([end, -0.022, 0.12], [end + 0.028, 0.022, 0.14], BLACK, 0.006, 1),
        cylinder(0.016, 0, 0.012, BLACK, 10).turned(math.pi / 2, "y").moved(end - 0.001, 0.05, 0.06),
    ]
    return finished("toaster", variant, _resized(rng, parts))


@piece("kettle", "steel electric", "enamel", "plastic electric", "whistling")
def kettle(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Spout to the left, handle to the right (electric) or over the lid."""
    if variant.endswith("electric"):
        skin = STEEL if variant.startswith("steel") else style.plastic(rng)
        profile = [(0.078, 0.022), (0.08, 0.03), (0.076, 0.1), (0.064, 0.19), (0.058, 0.205)]
        parts = [
            cylinder(0.085, 0, 0.02, BLACK, 20),
            revolve(profile, skin, 5),
            revolve([(0.058, 0.205), (0.045, 0.218), (0.012, 0.222), (0.014, 0.24), (0, 0.243)], BLACK, 5),
        ]
        grip = [(0.06, 0, 0.2), (0.1, 0, 0.205), (0.125, 0, 0.17), (0.12, 0, 0.09), (0.078, 0, 0.05)]
        parts.append(rod(grip, 0.012, BLACK, 8))
        spout = extrude([(-0.098, 0.0), (-0.05, -0.03), (-0.05, 0.03)], 0.165, 0.204, skin)
        parts.append(spout)
        return finished("kettle", variant, _resized(rng, parts))
    skin = style.accent(rng) if variant == "enamel" else STEEL
    profile = [(0, 0), (0.095, 0), (0.105, 0.02), (0.1, 0.07), (0.075, 0.115), (0.045, 0.13)]
    parts = [
        revolve(profile, skin, 5),
        revolve(
            [(0.046, 0.128), (0.04, 0.138), (0.01, 0.143), (0.015, 0.16), (0, 0.165)],
            BLACK if variant == "enamel" else skin,
            4,
        ),
        rod([(-0.085, 0, 0.06), (-0.125, 0, 0.1), (-0.15, 0, 0.135)], 0.017, skin, 8),
        rod([(-0.08, 0, 0.1), *arc((0, 0, 0.13), 0.085, 170, 10, "x", 9), (0.08, 0, 0.1)], 0.009, BLACK, 8),
    ]
    return finished("kettle", variant, _resized(rng, parts))


@piece("coffee machine", "drip", "espresso", "capsule", "bean-to-cup")
def coffee_machine(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A drip machine with its pot, an espresso machine, a capsule machine or an automatic one."""
    skin = BLACK if rng.random() < 0.5 else style.plastic(rng)
    coffee = plain(0.12, 0.06, 0.03, gloss=0.5)
    if variant == "drip":
        parts = [
            rounded_box([-0.1, -0.13, 0], [0.1, 0.12, 0.035], skin, 0.012, 1),
            rounded_box([-0.1, 0.03, 0.03], [0.1, 0.12, 0.34], skin, 0.015, 1),
            rounded_box([-0.1, -0.12, 0.23], [0.1, 0.12, 0.34], skin, 0.02, 1),
            cylinder(0.065, 0.035, 0.04, GREY, 16).moved(0, -0.045),
            revolve([(0.055, 0.04), (0.068, 0.07), (0.066, 0.11)], coffee, 5).moved(0, -0.045),
            revolve(
                [(0.066, 0.11), (0.062, 0.15), (0.045, 0.185)], plain(0.75, 0.78, 0.78, gloss=0.8, opacity=0.45), 5
            ).moved(0, -0.045),
            cylinder(0.047, 0.185, 0.2, BLACK, 14).moved(0, -0.045),
            rod([(0, -0.095, 0.18), (0, -0.14, 0.17), (0, -0.14, 0.09), (0, -0.112, 0.08)], 0.009, BLACK, 6),
            box([-0.03, -0.125, 0.27], [0.03, -0.12, 0.3], DISPLAY, skip="Y"),
        ]
        return finished("coffee machine", variant, _resized(rng, parts))
    if variant == "capsule":
        skin = style.accent(rng)
        body = [
            rounded(-0.06 * s, y0, 0.06 * s, 0.15, z, 0.04)
            for s, y0, z in ((1, 0.0, 0.0), (1, 0.0, 0.16), (1, -0.12, 0.19), (1, -0.13, 0.25), (0.8, -0.1, 0.275))
        ]
        parts = [
            solid(body, skin),
            rounded_box([-0.055, -0.14, 0], [0.055, 0.0, 0.03], BLACK, 0.008, 1),
            cylinder(0.018, 0.155, 0.19, BLACK, 10).moved(0, -0.07),
            cylinder(0.03, 0.03, 0.095, WHITE, 12, top=0.036).moved(0, -0.07),
            rod(
                [(-0.045, 0.05, 0.24), (-0.045, -0.08, 0.295), (0.045, -0.08, 0.295), (0.045, 0.05, 0.24)],
                0.007,
                STEEL,
                6,
            ),
        ]
        return finished("coffee machine", variant, _resized(rng, parts))
    steel = STEEL if variant == "espresso" else skin
    wide, high = (0.15, 0.33) if variant == "espresso" else (0.13, 0.36)
    parts = [
        rounded_box([-wide, -0.16, 0], [wide, 0.16, 0.05], steel, 0.01, 1),
        rounded_box([-wide, 0.0, 0.04], [wide, 0.16, high], steel, 0.012, 1),
        rounded_box([-wide, -0.15, 0.21], [wide, 0.16, high], steel, 0.012, 1),
        box([-wide + 0.02, -0.15, 0.05], [wide - 0.02, -0.01, 0.053], BLACK, skip="z"),
        cylinder(0.032, 0.075, 0.125, WHITE, 12, top=0.04).moved(0.0, -0.075, -0.02),
    ]
    if variant == "espresso":
        parts += [
            cylinder(0.035, 0.175, 0.21, STEEL, 14).moved(0, -0.075),
            rod([(0, -0.1, 0.185), (0, -0.2, 0.175)], 0.012, BLACK, 8),
            rod([(0.11, -0.1, 0.21), (0.11, -0.13, 0.13), (0.115, -0.14, 0.09)], 0.006, STEEL, 6),
            knob(-0.1, -0.15, 0.27, BLACK, 0.02, 0.02),
            to_front(cylinder(0.028, 0, 0.006, WHITE, 14), 0.0, -0.15, 0.275),
            knob(0.1, -0.15, 0.27, BLACK, 0.02, 0.02),
        ]
        parts += [
            cylinder(0.033, 0, 0.06, style.ceramic(rng), 10, top=0.038).moved(x, 0.08, high) for x in (-0.08, 0.0, 0.08)
        ]
    else:
        parts += [
            box([-0.06, -0.154, 0.27], [0.06, -0.15, 0.33], SCREEN, skip="Y"),
            box([-0.03, -0.156, 0.29], [0.03, -0.154, 0.31], DISPLAY, skip="Y"),
            rounded_box([-0.03, -0.13, 0.15], [0.03, -0.05, 0.215], BLACK, 0.008, 1),
            rounded_box(
                [-wide + 0.02, 0.0, high], [wide - 0.02, 0.14, high + 0.05], plain(0.2, 0.15, 0.12, gloss=0.6), 0.012, 1
            ),
        ]
    return finished("coffee machine", variant, _resized(rng, parts))
