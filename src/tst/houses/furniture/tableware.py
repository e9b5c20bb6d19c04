"""What stands on tables and in kitchens: crockery, bottles, vases, fruit, pans."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished, plain, revolve, rod
from tst.houses.furniture.piece import Piece
from tst.houses.furniture.plants import leaves
from tst.houses.mesh import Material, Mesh, ball, cylinder
from tst.houses.styles import Style

GREEN_GLASS = plain(0.10, 0.24, 0.12, gloss=0.8)
BROWN_GLASS = plain(0.28, 0.13, 0.05, gloss=0.8)
STEM = plain(0.28, 0.42, 0.18)
PETALS = (
    (0.92, 0.35, 0.42),
    (0.95, 0.80, 0.25),
    (0.96, 0.94, 0.92),
    (0.70, 0.42, 0.75),
    (0.95, 0.55, 0.25),
    (0.85, 0.2, 0.2),
)


def _crockery(rng: np.random.Generator, style: Style) -> Material:
    return style.ceramic(rng) if rng.random() < 0.5 else style.accent(rng)


def _grown(profile: list[tuple[float, float]], scale: float) -> list[tuple[float, float]]:
    return [(radius * scale, height * scale) for radius, height in profile]


def _grown_all(parts: list[Mesh], scale: float) -> list[Mesh]:
    return [part.scaled(scale, scale, scale) for part in parts]


@piece("bowl", "deep", "wide", "footed", "conical")
def bowl(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """An empty bowl."""
    outer = {
        "deep": [(0.035, 0), (0.04, 0.006), (0.068, 0.03), (0.078, 0.07)],
        "wide": [(0.05, 0), (0.055, 0.006), (0.11, 0.03), (0.135, 0.06)],
        "footed": [(0.04, 0), (0.035, 0.02), (0.05, 0.028), (0.09, 0.055), (0.1, 0.09)],
        "conical": [(0.035, 0), (0.035, 0.008), (0.07, 0.04), (0.115, 0.08)],
    }[variant]
    inside = [(radius - 0.005, height + 0.001) for radius, height in outer[:1:-1]]
    profile = _grown(
        [(0, 0), *outer, *inside, (inside[-1][0] * 0.6, inside[-1][1] - 0.012), (0, 0.012 if len(outer) < 5 else 0.03)],
        rng.uniform(0.9, 1.3),
    )
    return finished("bowl", variant, [revolve(profile, _crockery(rng, style), 6)])


@piece("plate", "dinner", "coupe", "stack", "rimmed stack")
def plate(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """One plate, or several on each other."""
    skin, radius = _crockery(rng, style), float(rng.uniform(0.1, 0.14))
    if variant in ("dinner", "rimmed stack"):
        outer = [(0.55, 0.0), (0.6, 0.004), (0.68, 0.012), (1.0, 0.02)]
    else:
        outer = [(0.6, 0.0), (0.66, 0.003), (0.88, 0.01), (1.0, 0.024)]
    profile = [(radius * r, z) for r, z in outer]
    top = [(radius * r * 0.995, z + 0.003) for r, z in outer[::-1]]
    one = revolve([(0, 0), *profile, *top, (0, 0.004)], skin, 4 if "stack" in variant else 7)
    count = int(rng.integers(3, 6)) if "stack" in variant else 1
    parts = [one.moved(0, 0, 0.007 * k) for k in range(count)]
    if variant == "dinner" and rng.random() < 0.5:
        rim = style.accent(rng)
        parts.append(revolve([(radius * 0.995, 0.0235), (radius * 0.93, 0.0218)], rim, 7))
    return finished("plate", variant, parts)


def _handle(radius: float, low: float, high: float, material: Material) -> Mesh:
    middle, reach = (low + high) / 2, (high - low) / 2
    angle = np.linspace(-math.pi / 2, math.pi / 2, 7)
    path = np.stack([radius - 0.004 + 0.032 * np.cos(angle), 0 * angle, middle + reach * np.sin(angle)], 1)
    return rod(path, 0.005, material, 6)


@piece("cup", "mug", "cup and saucer", "tall mug", "wine glass", "espresso", "tumbler")
def cup(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A cup, mug or glass."""
    skin, size = _crockery(rng, style), float(rng.uniform(0.88, 1.12))
    drink = plain(0.16, 0.08, 0.04, gloss=0.4) if rng.random() < 0.5 else plain(0.42, 0.22, 0.08, gloss=0.4)
    if variant in ("wine glass", "tumbler"):
        glass = style.glass(rng)
        if variant == "tumbler":
            profile = [(0, 0), (0.032, 0), (0.038, 0.1), (0.036, 0.1), (0.03, 0.008), (0, 0.008)]
            water = cylinder(0.03, 0.009, 0.06, plain(0.75, 0.85, 0.88, gloss=0.6, opacity=0.5), 14, top=0.033)
            return finished("cup", variant, _grown_all([revolve(profile, glass, 4), water], size))
        base = [(0, 0), (0.035, 0), (0.034, 0.003), (0.006, 0.008), (0.004, 0.09), (0.012, 0.1)]
        bulb = [
            (0.012, 0.1),
            (0.034, 0.12),
            (0.04, 0.15),
            (0.034, 0.2),
            (0.0335, 0.2),
            (0.0385, 0.15),
            (0.033, 0.12),
            (0, 0.101),
        ]
        wine = revolve(
            [(0.01, 0.102), (0.031, 0.122), (0.036, 0.145), (0, 0.145)], plain(0.35, 0.03, 0.08, gloss=0.5), 4
        )
        return finished(
            "cup",
            variant,
            _grown_all(
                [revolve(base, plain(0.82, 0.88, 0.88, gloss=0.8, opacity=0.6), 4), revolve(bulb, glass, 4), wine], size
            ),
        )
    if variant in ("mug", "tall mug"):
        r, h = (0.042, 0.095) if variant == "mug" else (0.038, 0.12)
        profile = [(0, 0), (r - 0.003, 0), (r, 0.004), (r, h), (r - 0.004, h), (r - 0.004, h * 0.8)]
        parts = [revolve(profile, skin, 5), _handle(r, h * 0.2, h * 0.82, skin)]
        return finished(
            "cup", variant, _grown_all([*parts, revolve([(r - 0.004, h * 0.8), (0, h * 0.8)], drink, 5)], size)
        )
    scale = 1.0 if variant == "cup and saucer" else 0.75
    saucer = _grown([(0, 0), (0.04, 0), (0.075, 0.014), (0.074, 0.016), (0.04, 0.005), (0, 0.005)], scale)
    body = _grown([(0.022, 0.005), (0.026, 0.01), (0.04, 0.035), (0.045, 0.062), (0.042, 0.062), (0.04, 0.052)], scale)
    handle = _handle(0.043, 0.025, 0.055, skin).scaled(scale, scale, scale)
    coffee = revolve([(0.04 * scale, 0.052 * scale), (0, 0.052 * scale)], drink, 5)
    return finished(
        "cup", variant, _grown_all([revolve(saucer, skin, 5), revolve(body, skin, 5), handle, coffee], size)
    )


@piece("bottle", "wine", "water", "oil", "milk")
def bottle(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A bottle with its label or cap; no brand on it."""
    scale = float(rng.uniform(0.92, 1.08))
    label = style.paper(rng) if rng.random() < 0.6 else style.accent(rng)
    if variant == "wine":
        glass = GREEN_GLASS if rng.random() < 0.6 else BROWN_GLASS
        profile = [(0, 0), (0.036, 0), (0.038, 0.006), (0.038, 0.19), (0.032, 0.215), (0.016, 0.24), (0.014, 0.29)]
        parts = [revolve(_grown(profile, scale), glass, 5)]
        parts.append(revolve(_grown([(0.0385, 0.07), (0.0385, 0.15)], scale), label, 5))
        foil = [(0.0148, 0.25), (0.0155, 0.3), (0, 0.3)]
        return finished("bottle", variant, [*parts, revolve(_grown(foil, scale), style.accent(rng), 4)])
    if variant == "water":
        plastic = plain(0.55, 0.75, 0.85, gloss=0.7, opacity=0.6)
        profile = [
            (0, 0),
            (0.034, 0),
            (0.038, 0.01),
            (0.038, 0.06),
            (0.034, 0.068),
            (0.038, 0.076),
            (0.038, 0.19),
            (0.013, 0.26),
            (0.013, 0.275),
        ]
        parts = [revolve(_grown(profile, scale), plastic, 5)]
        parts.append(revolve(_grown([(0.0386, 0.095), (0.0386, 0.165)], scale), label, 5))
        return finished(
            "bottle", variant, [*parts, cylinder(0.016 * scale, 0.27 * scale, 0.292 * scale, style.accent(rng), 12)]
        )
    if variant == "oil":
        oil = plain(0.72, 0.58, 0.12, gloss=0.8)
        profile = [(0, 0), (0.03, 0), (0.032, 0.005), (0.032, 0.15), (0.012, 0.19), (0.011, 0.24)]
        parts = [
            revolve(_grown(profile, scale), oil, 4),
            cylinder(0.013 * scale, 0.24 * scale, 0.262 * scale, plain(0.1, 0.1, 0.1), 10),
        ]
        return finished("bottle", variant, [*parts, revolve(_grown([(0.0325, 0.04), (0.0325, 0.11)], scale), label, 4)])
    milk = plain(0.95, 0.95, 0.92, gloss=0.5)
    profile = [(0, 0), (0.04, 0), (0.042, 0.006), (0.042, 0.12), (0.026, 0.17), (0.023, 0.2), (0.028, 0.215)]
    parts = [
        revolve(_grown(profile, scale), milk, 5),
        revolve(_grown([(0.0425, 0.04), (0.0425, 0.08)], scale), style.accent(rng), 5),
    ]
    return finished(
        "bottle",
        variant,
        [*parts, revolve(_grown([(0.0285, 0.215), (0.0285, 0.225), (0, 0.226)], scale), style.accent(rng), 4)],
    )


@piece("vase", "with flowers", "with tulips", "amphora", "empty bottle vase", "with branches", "with grasses")
def vase(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A vase, full or empty."""
    shape = {
        "amphora": [(0.05, 0), (0.06, 0.01), (0.1, 0.12), (0.09, 0.19), (0.045, 0.25), (0.05, 0.28), (0.062, 0.29)],
        "empty bottle vase": [
            (0.06, 0),
            (0.08, 0.02),
            (0.085, 0.08),
            (0.06, 0.13),
            (0.025, 0.17),
            (0.02, 0.27),
            (0.03, 0.29),
        ],
        "with tulips": [(0.045, 0), (0.048, 0.005), (0.05, 0.2), (0.058, 0.22)],
        "with grasses": [(0.05, 0), (0.07, 0.02), (0.075, 0.08), (0.05, 0.16), (0.035, 0.2), (0.045, 0.23)],
    }.get(variant, [(0.04, 0), (0.06, 0.03), (0.065, 0.09), (0.04, 0.16), (0.035, 0.19), (0.048, 0.21)])
    scale = float(rng.uniform(0.85, 1.15))
    shape = _grown(shape, scale)
    skin = _crockery(rng, style)
    rim, high = shape[-1]
    parts = [
        revolve([(0, 0), *shape, (rim - 0.005, high), (shape[-2][0] - 0.006, shape[-2][1]), (0, high * 0.75)], skin, 5)
    ]
    if variant in ("amphora", "empty bottle vase"):
        if variant == "amphora":
            for s in (-1, 1):
                path = [(s * 0.09, 0, 0.19), (s * 0.115, 0, 0.225), (s * 0.1, 0, 0.26), (s * 0.045, 0, 0.265)]
                parts.append(rod(np.array(path) * scale, 0.008, skin, 6))
        return finished("vase", variant, parts)
    parts += _bouquet(rng, style, variant, high, rim)
    return finished("vase", variant, parts)


def _bouquet(rng: np.random.Generator, style: Style, variant: str, high: float, rim: float) -> list[Mesh]:
    """Stems that fan out of a vase, with what grows at their ends."""
    count = {"with flowers": 8, "with tulips": 8, "with branches": 5}.get(variant, 16)
    green, parts = style.plant(rng), []
    colours = [plain(*PETALS[int(k)]) for k in rng.permutation(len(PETALS))[:2]]
    straw = plain(0.80, 0.70, 0.48)
    for k in range(count):
        angle = 2.4 * k + float(rng.uniform(-0.3, 0.3))
        lean = float(rng.uniform(0.1, 0.5)) * (k / count + 0.3)
        length = float(rng.uniform(0.16, 0.26)) * (1.35 if variant in ("with branches", "with grasses") else 1.0)
        out = np.array([math.cos(angle), math.sin(angle), 0.0])
        start = out * rim * 0.4 + [0, 0, high * 0.8]
        middle = start + out * lean * length * 0.4 + [0, 0, length * 0.55]
        tip = start + out * lean * length + [0, 0, length]
        parts.append(rod([start, middle, tip], 0.0025, straw if variant == "with grasses" else STEM, 4))
        colour = colours[k % 2]
        if variant == "with flowers":
            # Petals around a yellow heart, facing up and outward.
            side = np.linspace(0, 2 * math.pi, 7)[:-1]
            petal = np.stack([np.cos(side), np.sin(side), np.full(6, 0.45)], 1) + out * 0.25
            parts.append(leaves(np.repeat(tip[None], 6, 0), petal, np.full(6, 0.034), 0.026, colour, droop=0.3))
            parts.append(ball(0.009, plain(0.9, 0.72, 0.2), 6).moved(tip[0], tip[1], tip[2] + 0.008))
        elif variant == "with tulips":
            bud = revolve([(0, 0), (0.016, 0.008), (0.02, 0.024), (0.014, 0.045), (0.006, 0.042), (0, 0.03)], colour, 2)
            parts.append(bud.turned(lean * 0.5, "y").turned(angle).moved(*tip))
        elif variant == "with branches":
            at = np.linspace(0.3, 1.0, 7)[:, None]
            bases = middle + (tip - middle) * at
            turn = rng.uniform(0, 2 * math.pi, 7)
            towards = np.stack([np.cos(turn), np.sin(turn), rng.uniform(0.2, 0.8, 7)], 1)
            parts.append(leaves(bases, towards, rng.uniform(0.04, 0.06, 7), 0.035, green, droop=0.2))
        else:
            ear = revolve([(0, 0), (0.008, 0.015), (0.006, 0.05), (0, 0.075)], straw, 2)
            parts.append(ear.turned(lean, "y").turned(angle).moved(*tip))
    if variant in ("with flowers", "with tulips"):
        turn = rng.uniform(0, 2 * math.pi, 10)
        towards = np.stack([0.6 * np.cos(turn), 0.6 * np.sin(turn), np.ones(10)], 1)
        base = np.stack([0.5 * rim * np.cos(turn), 0.5 * rim * np.sin(turn), np.full(10, high * 0.9)], 1)
        parts.append(leaves(base, towards, rng.uniform(0.09, 0.15, 10), 0.028, green, droop=0.5))
    return parts


FRUIT = {
    "apples": ((0.75, 0.12, 0.10), (0.55, 0.68, 0.18), (0.82, 0.55, 0.16)),
    "oranges": ((0.93, 0.52, 0.08), (0.95, 0.58, 0.12), (0.90, 0.46, 0.06)),
    "lemons": ((0.95, 0.85, 0.20), (0.92, 0.80, 0.15), (0.70, 0.78, 0.22)),
}


@piece("fruit", "bowl of apples", "bananas and oranges", "apples", "bowl of lemons")
def fruit(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Fruit in a bowl, or lying together."""
    kind = "lemons" if "lemons" in variant else "oranges" if "oranges" in variant else "apples"
    colours = [plain(*colour, gloss=0.25) for colour in FRUIT[kind]]
    parts: list[Mesh] = []
    in_bowl = variant != "apples"
    if in_bowl:
        profile = [
            (0, 0),
            (0.05, 0),
            (0.055, 0.006),
            (0.11, 0.035),
            (0.13, 0.07),
            (0.125, 0.07),
            (0.1, 0.038),
            (0.045, 0.014),
            (0, 0.012),
        ]
        parts.append(revolve(profile, _crockery(rng, style), 5))
    ring = [(0.068 * math.cos(a), 0.068 * math.sin(a), 0.066) for a in np.linspace(0, 2 * math.pi, 6)[:-1]]
    places = [*ring, (0.0, 0.0, 0.062), (0.01, 0.0, 0.118)] if in_bowl else []
    if not in_bowl:
        places = [(0.045, 0.0, 0.036), (-0.035, 0.02, 0.036), (0.0, -0.06, 0.036), (0.02, 0.075, 0.036)][
            : int(rng.integers(2, 5))
        ]
    for k, (x, y, z) in enumerate(places):
        if kind == "apples":
            body = revolve(
                [
                    (0.006, -0.026),
                    (0.02, -0.033),
                    (0.033, -0.015),
                    (0.037, 0.008),
                    (0.026, 0.03),
                    (0.008, 0.027),
                    (0, 0.022),
                ],
                colours[int(rng.integers(3))],
                3,
            )
            one = [body, rod([(0, 0, 0.022), (0.003, 0, 0.04)], 0.0018, STEM, 3)]
        else:
            one = [
                ball(0.036, colours[int(rng.integers(3))], 10).scaled(
                    *((1.25, 0.9, 0.9) if kind == "lemons" else (1, 1, 1))
                )
            ]
        tilt, turn = (float(rng.uniform(-0.35, 0.35)), float(rng.uniform(0, 6))) if in_bowl else (0.0, 0.0)
        if variant == "bananas and oranges" and k >= 5:
            continue
        parts += [part.turned(tilt, "x").turned(turn).moved(x, y, z) for part in one]
    if variant == "bananas and oranges":
        yellow = plain(0.93, 0.78, 0.18, gloss=0.15)
        for k in range(4):
            bend = np.linspace(-1, 1, 8)
            path = np.stack([0.09 * bend, np.full(8, 0.0), 0.13 - 0.045 * bend**2], 1)
            thick = np.array([0.006, 0.013, 0.017, 0.018, 0.018, 0.017, 0.012, 0.006])
            parts.append(rod(path, thick, yellow, 6).moved(0, (k - 1.5) * 0.028, -0.004 * abs(k - 1.5)))
        parts.append(rod([(0.088, -0.04, 0.085), (0.088, 0.04, 0.085)], 0.012, plain(0.35, 0.25, 0.1), 6))
    low = min(part.bounds[0, 2] for part in parts)
    return finished("fruit", variant, [part.moved(0, 0, -float(low)) for part in parts])


@piece("pan", "frying pan", "saucepan", "pot with lid", "casserole")
def pan(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A pan or pot for the stove."""
    steel, iron = plain(0.72, 0.73, 0.74, gloss=0.6), plain(0.08, 0.08, 0.085, gloss=0.2)
    if variant == "frying pan":
        skin = iron if rng.random() < 0.7 else steel
        r = float(rng.uniform(0.11, 0.14))
        profile = [(0, 0), (r * 0.8, 0), (r, 0.045), (r - 0.004, 0.046), (r * 0.79, 0.005), (0, 0.005)]
        handle = rod([(r * 0.95, 0, 0.035), (r + 0.06, 0, 0.055), (r + 0.19, 0, 0.06)], 0.011, iron, 8)
        return finished("pan", variant, [revolve(profile, skin, 6), handle])
    skin = steel if variant != "casserole" else style.accent(rng)
    r, h = {"saucepan": (0.08, 0.09), "pot with lid": (0.11, 0.15)}.get(variant, (0.125, 0.11))
    parts = [
        revolve(
            [
                (0, 0),
                (r - 0.006, 0),
                (r, 0.008),
                (r, h - 0.004),
                (r + 0.003, h - 0.002),
                (r + 0.003, h),
                (r - 0.004, h),
                (r - 0.004, 0.01),
                (0, 0.01),
            ],
            skin,
            6,
        )
    ]
    if variant == "saucepan":
        parts.append(rod([(r, 0, h * 0.8), (r + 0.04, 0, h * 0.9), (r + 0.17, 0, h * 0.95)], 0.01, iron, 8))
    else:
        for s in (-1, 1):
            grip = [
                (s * r, -0.035, h * 0.75),
                (s * (r + 0.03), -0.03, h * 0.78),
                (s * (r + 0.03), 0.03, h * 0.78),
                (s * r, 0.035, h * 0.75),
            ]
            parts.append(rod(grip, 0.006, skin, 6))
    if variant != "saucepan" or rng.random() < 0.4:
        cover = (
            plain(0.75, 0.8, 0.8, gloss=0.8, opacity=0.5) if variant == "pot with lid" and rng.random() < 0.4 else skin
        )
        parts.append(revolve([(r + 0.004, h), (r + 0.004, h + 0.006), (r * 0.6, h + 0.022), (0, h + 0.028)], cover, 6))
        parts.append(
            revolve(
                [(0.008, h + 0.026), (0.008, h + 0.04), (0.02, h + 0.046), (0.018, h + 0.056), (0, h + 0.058)], iron, 3
            )
        )
    return finished("pan", variant, parts)
