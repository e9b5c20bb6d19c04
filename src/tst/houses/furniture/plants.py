"""House plants in pots: leaves are thin sheets, seen from both sides."""

import math

import numpy as np

from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import finished, plain, revolve, rod, two_sided
from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material, Mesh, grid, join, mesh_of
from tst.houses.styles import Style

SOIL = plain(0.16, 0.11, 0.08)
BARK = plain(0.42, 0.32, 0.22)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def leaves(
    base: np.ndarray,
    direction: np.ndarray,
    length: np.ndarray,
    width: float | np.ndarray,
    material: Material,
    *,
    droop: float = 0.4,
    fold: float = 0.25,
    rows: int = 2,
    widest: float = 0.4,
) -> Mesh:
    """K pointed leaves, folded along their midrib; each is a sheet of 8 * `rows` triangles.

    Args:
        base: (K, 3), where they grow.
        direction: (K, 3), of any length, where they start to.
        length: (K,) metres.
        width: metres, or (K,).
        material: of all.
        droop: how far the tip bends down, as a share of the length.
        fold: how far the edges rise above the midrib, as a share of half the width.
        rows: segments along.
        widest: where along the leaf it is widest, 0 to 1.
    """
    direction = _unit(np.asarray(direction, float))
    steep = np.abs(direction[:, 2:]) > 0.95
    level = np.where(steep, np.array([[1.0, 0.0, 0.0]]), np.cross(direction, [0.0, 0.0, 1.0]))
    side = _unit(level)
    up = np.cross(side, direction)
    t = np.linspace(0, 1, rows + 1)
    shape = np.where(
        t < widest,
        np.sin(math.pi / 2 * np.clip(t / widest, 0.12, 1)),
        np.cos(math.pi / 2 * (t - widest) / (1 - widest)),
    )
    half = np.broadcast_to(np.asarray(width, float), length.shape)[:, None] / 2 * shape[None]
    rib = base[:, None] + direction[:, None] * (length[:, None] * t)[..., None]
    rib[..., 2] -= droop * length[:, None] * t**2
    edge = up[:, None] * (fold * half)[..., None]
    left, right = rib - side[:, None] * half[..., None] + edge, rib + side[:, None] * half[..., None] + edge
    sheets = []
    for a, b in ((left, rib), (rib, right)):
        p, q, r, s = a[:, :-1], b[:, :-1], b[:, 1:], a[:, 1:]
        sheets.append(np.stack([np.stack([p, q, r], 2), np.stack([p, r, s], 2)], 2).reshape(-1, 3, 3))
    return two_sided(mesh_of(np.concatenate(sheets), material))


def pot(rng: np.random.Generator, style: Style, radius: float, height: float) -> list[Mesh]:
    """A pot of the radius at its rim with soil; its form and material are drawn."""
    skin = [style.ceramic, style.accent, style.plastic][int(rng.integers(3))](rng)
    if rng.random() < 0.25:
        skin = plain(0.72, 0.40, 0.27)
    r, h = radius, height
    form = int(rng.integers(3))
    if form == 0:
        outer = [(r * 0.7, 0), (r * 0.92, h * 0.8), (r, h * 0.8), (r, h)]
    elif form == 1:
        outer = [(r * 0.8, 0), (r, h * 0.3), (r, h * 0.9), (r * 0.95, h)]
    else:
        outer = [(r, 0), (r, h)]
    inner = outer[-1][0] * 0.92
    profile = [(0, 0), *outer, (inner, h), (inner, h * 0.88)]
    return [revolve(profile, skin, 5), revolve([(inner, h * 0.88), (0, h * 0.9)], SOIL, 5)]


def _around(rng: np.random.Generator, count: int, rise: float | np.ndarray, start: float = 0.0) -> np.ndarray:
    """Directions spread evenly around the vertical, (count, 3), rising by `rise` radians."""
    turn = start + 2.39996 * np.arange(count) + rng.uniform(-0.3, 0.3, count)
    rise_ = np.broadcast_to(np.asarray(rise, float), (count,))
    return np.stack([np.cos(rise_) * np.cos(turn), np.cos(rise_) * np.sin(turn), np.sin(rise_)], 1)


@piece(
    "plant",
    "fig tree",
    "snake plant",
    "monstera",
    "rubber plant",
    "succulent",
    "cactus",
    "palm",
    "fern",
    "ivy",
    "orchid",
)
def plant(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A plant in its pot: four kinds over a metre high, the rest for tables and shelves."""
    grow = {
        "fig tree": _fig_tree,
        "snake plant": _snake_plant,
        "monstera": _monstera,
        "rubber plant": _rubber_plant,
        "succulent": _succulent,
        "cactus": _cactus,
        "palm": _palm,
        "fern": _fern,
        "ivy": _ivy,
        "orchid": _orchid,
    }[variant]
    return finished("plant", variant, grow(rng, style))


def _fig_tree(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """A slim trunk with a round crown of small leaves."""
    height, radius, high = float(rng.uniform(1.25, 1.75)), 0.17, 0.28
    greens = [style.plant(rng), style.plant(rng)]
    crown = np.array([0, 0, height - 0.38])
    trunk = np.array([[0, 0, high * 0.85], [0.02, 0.01, height * 0.4], [-0.015, -0.01, height * 0.6], crown])
    parts = [*pot(rng, style, radius, high), rod(trunk, 0.017, BARK, 7)]
    for direction in _around(rng, 7, rng.uniform(0.1, 1.0, 7)):
        parts.append(rod([crown - [0, 0, 0.12], crown + direction * 0.14, crown + direction * 0.27], 0.006, BARK, 5))
    for green in greens:
        count = 85
        towards = _around(rng, count, np.arcsin(rng.uniform(-0.75, 1.0, count)), float(rng.uniform(0, 6)))
        reach = rng.uniform(0.12, 0.33, count)[:, None] * np.array([1.0, 1.0, 1.05])
        tilt = towards + rng.normal(0, 0.45, (count, 3))
        parts.append(leaves(crown + towards * reach, tilt, rng.uniform(0.08, 0.13, count), 0.05, green, droop=0.5))
    return parts


def _snake_plant(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """Stiff upright blades, yellow along their edges."""
    tall = bool(rng.random() < 0.6)
    radius, high, count = (0.15, 0.26, 22) if tall else (0.08, 0.12, 10)
    length = float(rng.uniform(0.85, 1.05) if tall else rng.uniform(0.22, 0.32))
    green, edge = style.plant(rng), plain(0.80, 0.78, 0.42)
    parts = pot(rng, style, radius, high)
    for direction in _around(rng, count, rng.uniform(1.2, 1.5, count)):
        long, wide = length * float(rng.uniform(0.55, 1.0)), (0.075 if tall else 0.035) * float(rng.uniform(0.8, 1.1))
        base = np.array([*(direction[:2] * radius * float(rng.uniform(0.8, 2.0))), high * 0.88])
        turn = float(rng.uniform(0, math.pi))
        t = np.linspace(0, 1, 7)
        half = wide / 2 * np.where(t < 0.7, 0.75 + 0.36 * t, 1.0 - 0.98 * (np.clip(t - 0.7, 0, 1) / 0.3) ** 1.6)
        twist = turn + 0.5 * t
        across = np.stack([np.cos(twist), np.sin(twist), 0 * t], 1)
        spine = base + direction * (long * t)[:, None]
        for scale, colour, thick in ((1.0, edge, 0.0002), (0.78, green, 0.003)):
            rows = np.stack([spine + across * (half * scale * s)[:, None] for s in (-1, 1)])
            parts.append(two_sided(grid(rows, colour, np.zeros((2, 7, 2))), thick))
    return parts


def _monstera(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """Large slit leaves on arching stalks."""
    radius, high = 0.17, 0.28
    size = float(rng.uniform(0.95, 1.2))
    greens = [style.plant(rng), style.plant(rng)]
    parts, count = pot(rng, style, radius, high), 15
    rise = np.linspace(1.5, 0.85, count)
    for k, direction in enumerate(_around(rng, count, rise)):
        reach = size * float(rng.uniform(0.4, 0.55)) * (1.3 if rise[k] > 1.15 else 0.85)
        base = np.array([0, 0, high * 0.88])
        out = _unit(np.array([direction[0], direction[1], 0]))
        end = base + direction * reach + out * 0.04
        parts.append(rod([base, base + direction * reach * 0.6, end], 0.006, greens[0], 5))
        parts.append(
            _slit_leaf(end, out, size * float(rng.uniform(0.27, 0.36)), float(rng.uniform(0.5, 1.0)), greens[k % 2])
        )
    return parts


def _slit_leaf(base: np.ndarray, out: np.ndarray, length: float, dip: float, material: Material) -> Mesh:
    """A heart-shaped leaf with deep slits between the veins, hanging from its stalk by `dip` radians."""
    t = np.linspace(0, 1, 12)
    outline = 0.5 * np.sin(math.pi * np.clip(t * 0.9 + 0.12, 0, 1)) ** 0.7
    outline[-1] = 0.0
    slit = np.where((np.arange(12) % 2 == 0) & (t > 0.15) & (t < 0.9), 0.45, 1.0)
    sheets = []
    forward = out * math.cos(dip) - np.array([0, 0, math.sin(dip)])
    side = np.cross(out, [0, 0, 1.0])
    up = np.cross(side, forward)
    for s in (-1, 1):
        back = np.where(t < 0.2, -0.14 * (1 - t / 0.2), 0.0)
        rib = base + forward * (length * t)[:, None] - up * (0.18 * length * t**2)[:, None]
        edge = rib + (side * s) * (length * outline * slit)[:, None] + forward * (length * back)[:, None]
        edge = edge - up * (0.25 * length * outline**2)[:, None] + forward * (0.12 * length * outline * slit)[:, None]
        sheets.append(np.stack([rib, edge] if s > 0 else [edge, rib]))
    return two_sided(join([grid(sheet, material, np.zeros((2, 12, 2))) for sheet in sheets]))


def _rubber_plant(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """A few upright stems with large oval leaves all the way up."""
    height, high = float(rng.uniform(1.1, 1.6)), 0.26
    green = style.plant(rng)
    parts = pot(rng, style, 0.16, high)
    for k in range(3):
        turn = k * 2.1 + float(rng.uniform(0, 0.5))
        foot = np.array([0.05 * math.cos(turn), 0.05 * math.sin(turn), high * 0.88])
        top = np.array([0.14 * math.cos(turn), 0.14 * math.sin(turn), height * (1.0 - 0.16 * k) - 0.1])
        parts.append(rod([foot, (foot + top) / 2 + [0.02, 0, 0], top], 0.009, BARK, 6))
        count = 22
        at = np.linspace(0.18, 1.0, count)
        towards = _around(rng, count, np.linspace(0.25, 1.1, count), turn)
        length = np.linspace(0.23, 0.15, count)
        parts.append(
            leaves(
                foot + (top - foot) * at[:, None], towards, length, length * 0.5, green, droop=0.35, rows=4, widest=0.5
            )
        )
    return parts


def _succulent(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """A rosette of thick leaves in a low pot."""
    radius, high = float(rng.uniform(0.05, 0.075)), float(rng.uniform(0.06, 0.08))
    green, parts = style.plant(rng), pot(rng, style, radius, high)
    count = 26
    rise = np.linspace(1.35, 0.2, count)
    length = radius * np.linspace(0.55, 1.35, count)
    for direction, long in zip(_around(rng, count, rise), length, strict=True):
        # A leaf is a flattened spindle.
        body = revolve([(0, 0), (0.55, 0.2), (1.0, 0.6), (0.7, 0.88), (0, 1.0)], green, 2)
        body = body.scaled(float(long) * 0.26, float(long) * 0.13, float(long))
        turn = math.atan2(direction[1], direction[0])
        lean = math.pi / 2 - math.asin(direction[2])
        parts.append(body.turned(math.pi / 2).turned(lean, "y").turned(turn).moved(0, 0, high * 0.92))
    return parts


def _cactus(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """A ribbed column with arms, or a ball with a flower."""
    radius, high = 0.065, 0.085
    green = style.plant(rng)
    parts = pot(rng, style, radius, high)
    ribs = 10

    def ribbed(size: float, height: float) -> Mesh:
        turn = np.linspace(0, 2 * math.pi, 2 * ribs + 1)
        rows = np.array([[0.75, 0.0], [1.0, 0.15], [1.0, 0.75], [0.75, 0.93], [0.05, 1.0]])
        wave = np.where(np.arange(2 * ribs + 1) % 2, 0.82, 1.0)
        ring = np.stack([np.cos(turn) * wave, np.sin(turn) * wave], 1)
        points = np.concatenate(
            [size * rows[None, :, :1] * ring[:, None], np.broadcast_to(height * rows[None, :, 1:], (len(turn), 5, 1))],
            2,
        )
        return grid(points, green, np.zeros((*points.shape[:2], 2)))

    if rng.random() < 0.6:
        tall = float(rng.uniform(0.2, 0.36))
        parts.append(ribbed(0.035, tall).moved(0, 0, high * 0.85))
        for s, z in ((-1, 0.42), (1, 0.58)):
            at = high * 0.85 + tall * z
            elbow = [(s * 0.02, 0, at), (s * 0.055, 0, at + 0.005), (s * 0.07, 0, at + 0.03)]
            parts += [rod(elbow, 0.017, green, 8), ribbed(0.02, tall * 0.35).moved(s * 0.07, 0, at + 0.02)]
    else:
        parts.append(ribbed(0.055, 0.1).moved(0, 0, high * 0.85))
        bloom = plain(0.93, 0.35, 0.55)
        towards = _around(rng, 8, 0.7)
        parts.append(leaves(np.tile([[0, 0, high * 0.85 + 0.097]], (8, 1)), towards, np.full(8, 0.032), 0.016, bloom))
    return parts


def _palm(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """Feathered fronds that arch out of one point."""
    height, high, radius = float(rng.uniform(1.15, 1.6)), 0.27, 0.16
    green, stem = style.plant(rng), plain(0.40, 0.45, 0.22)
    parts, count = pot(rng, style, radius, high), 13
    rise = np.linspace(1.5, 1.05, count)
    for k, direction in enumerate(_around(rng, count, rise)):
        long = (height - high) * float(rng.uniform(0.85, 1.05)) * (1.0 - 0.15 * k / count)
        t = np.linspace(0, 1, 15)
        out = _unit(np.array([direction[0], direction[1], 0]))
        rib = np.array([0, 0, high * 0.88]) + direction * (long * t)[:, None] + out * (0.18 * long * t**2)[:, None]
        rib[:, 2] -= 0.32 * long * t**2.2
        parts.append(rod(rib[::2], 0.005, stem, 4))
        ahead = _unit(np.gradient(rib, axis=0))
        side = _unit(np.cross(ahead, [0, 0, 1.0]))
        for s in (-1, 1):
            sel = slice(4, None)
            size = 0.22 * np.sin(math.pi * np.clip(t[sel] * 0.85 + 0.12, 0, 1)) + 0.05
            parts.append(leaves(rib[sel], ahead[sel] * 0.8 + side[sel] * s, size, 0.028, green, droop=0.35, rows=2))
    return parts


def _fern(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """A bush of fronds that hang over the pot."""
    radius, high = float(rng.uniform(0.09, 0.13)), float(rng.uniform(0.12, 0.17))
    green, parts, count = style.plant(rng), pot(rng, style, radius, high), 26
    rise = rng.uniform(0.5, 1.4, count)
    for direction, angle in zip(_around(rng, count, rise), rise, strict=True):
        long = radius * float(rng.uniform(2.2, 3.0))
        t = np.linspace(0, 1, 17)
        rib = np.array([0, 0, high * 0.9]) + direction * (long * t)[:, None]
        rib[:, 2] -= (0.45 + 0.25 * math.sin(angle)) * long * t**2
        rib[:, 2] = np.maximum(rib[:, 2], 0.01)
        ahead = _unit(np.gradient(rib, axis=0))
        side = _unit(np.cross(ahead, [0, 0, 1.0]) + 1e-6)
        leaflet = radius * (0.5 - 0.42 * t) * np.where(np.arange(len(t)) % 2, 1.0, 0.3)
        for s in (-1, 1):
            edge = rib + (side * s + ahead * 0.4) * leaflet[:, None]
            sheet = np.stack([rib, edge] if s > 0 else [edge, rib])
            parts.append(two_sided(grid(sheet, green, np.zeros((2, len(t), 2)))))
    return parts


def _ivy(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """Tendrils full of heart-shaped leaves that fall over the pot's rim."""
    radius, high = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.16, 0.24))
    greens = [style.plant(rng), style.plant(rng)]
    parts = pot(rng, style, radius, high)
    for k, direction in enumerate(_around(rng, 10, 0.0)):
        drop = float(rng.uniform(0.3, 0.95)) * high
        t = np.linspace(0, 1, 7)
        reach = radius * (1.5 * np.sin(math.pi / 2 * np.minimum(t * 2, 1)))
        tendril = direction * reach[:, None] * [1, 1, 0]
        tendril[:, 2] = (
            high * 0.9 + 0.06 * np.sin(math.pi * np.minimum(t * 1.6, 1)) - drop * np.clip(t - 0.35, 0, 1) ** 1.2
        )
        parts.append(rod(tendril, 0.002, greens[0], 3))
        bases = np.repeat(tendril[1:], 2, 0)
        towards = direction * [1, 1, 0] + rng.normal(0, 0.6, bases.shape) + [0, 0, 0.15]
        parts.append(
            leaves(bases, towards, rng.uniform(0.04, 0.06, len(bases)), 0.045, greens[k % 2], droop=0.6, widest=0.3)
        )
    towards = _around(rng, 22, rng.uniform(0.4, 1.3, 22))
    base = towards * radius * 0.5 * [1, 1, 0] + [0, 0, high * 0.9]
    parts.append(leaves(base, towards, rng.uniform(0.06, 0.1, 22), 0.05, greens[1], droop=0.5, widest=0.3))
    # Tendrils may end a little below the pot's foot where it stands low.
    low = max(0.0, *(-float(part.bounds[0, 2]) for part in parts))
    return [part if k < 2 else part.moved(0, 0, low) for k, part in enumerate(parts)]


def _orchid(rng: np.random.Generator, style: Style) -> list[Mesh]:
    """Two arching stems of pale flowers over broad leaves."""
    radius, high = 0.06, 0.11
    green = style.plant(rng)
    colour = [(0.95, 0.93, 0.95), (0.88, 0.45, 0.70), (0.96, 0.88, 0.55)][int(rng.integers(3))]
    bloom, heart = plain(*colour), plain(0.75, 0.25, 0.45)
    parts = pot(rng, style, radius, high)
    towards = _around(rng, 6, np.linspace(0.8, 0.25, 6))
    parts.append(
        leaves(
            np.tile([[0, 0, high * 0.9]], (6, 1)), towards, np.full(6, 0.16), 0.06, green, droop=0.4, rows=4, widest=0.6
        )
    )
    for k in range(2):
        turn, tall = k * 2.6 + float(rng.uniform(0, 1)), float(rng.uniform(0.3, 0.4))
        out = np.array([math.cos(turn), math.sin(turn), 0])
        t = np.linspace(0, 1, 10)
        stem = (
            np.array([0, 0, high * 0.88])
            + out * (0.18 * t**2)[:, None]
            + np.array([0, 0, 1.0]) * (tall * np.sin(t * 1.9))[:, None]
        )
        parts.append(rod(stem, 0.0025, green, 5))
        for at in stem[5:]:
            spread = np.linspace(0, 2 * math.pi, 6)[:-1]
            side = np.array([-out[1], out[0], 0])
            petals = np.cos(spread)[:, None] * side + np.sin(spread)[:, None] * np.array([0, 0, 1.0]) + out * 0.3
            parts.append(leaves(np.tile(at + out * 0.01, (5, 1)), petals, np.full(5, 0.035), 0.03, bloom, droop=0.0))
            parts.append(
                leaves(
                    np.tile(at + out * 0.012, (3, 1)),
                    petals[:3] * 0.4 + out,
                    np.full(3, 0.014),
                    0.012,
                    heart,
                    droop=0.2,
                )
            )
    return parts
