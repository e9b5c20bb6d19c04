"""What makes a room a home: pictures, mirrors, rugs, curtains."""

import itertools
import math

import numpy as np

from tst.houses import textures
from tst.houses.furniture.builtin import piece
from tst.houses.furniture.parts import (
    CHROME,
    DARK,
    cap,
    finished,
    knob,
    loft,
    oval,
    plain,
    rod,
    rounded,
    to_front,
    two_sided,
)
from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material, Mesh, ball, box, cylinder, grid, join, quad
from tst.houses.styles import Style

BLACK = plain(0.06, 0.06, 0.065, gloss=0.2)

REFLECTION = plain(0.80, 0.84, 0.86, gloss=0.95)


@piece("picture", "landscape", "portrait", "square", "canvas", "triptych", "pair", "panorama", "gallery")
def picture(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """Framed prints, with a mount or without, or a canvas on its stretcher."""
    frame = [style.wood, style.metal, style.painted][int(rng.integers(3))](rng)
    if rng.random() < 0.25:
        frame = BLACK
    paper = style.paper(rng)
    size = float(rng.uniform(0.9, 1.25))
    mounted = bool(rng.random() < 0.55)

    def hung(x: float, z: float, width: float, height: float, framed: bool = True) -> list[Mesh]:
        parts = (
            _framed(rng, width, height, frame, paper if mounted else None) if framed else _canvas(rng, width, height)
        )
        return [part.moved(x, 0, z) for part in parts]

    if variant in ("triptych", "canvas"):
        if variant == "canvas":
            return finished("picture", variant, hung(0, 0, 0.8 * size, 0.55 * size, framed=False))
        wide, high, gap = 0.3 * size, 0.62 * size, 0.04
        parts = _canvas(rng, wide, high, parts=3, gap=gap) if rng.random() < 0.5 else []
        for k in range(3 if not parts else 0):
            parts += hung((k - 1) * (wide + gap), 0, wide, high)
        return finished("picture", variant, parts)
    if variant == "pair":
        wide, high = 0.34 * size, 0.46 * size
        return finished("picture", variant, hung(-wide * 0.58, 0, wide, high) + hung(wide * 0.58, 0, wide, high))
    if variant == "gallery":
        places = [(-0.26, 0.3, 0.4, 0.3), (0.2, 0.25, 0.38, 0.5), (-0.34, -0.06, 0.24, 0.32), (-0.09, 0.04, 0.2, 0.2)]
        return finished(
            "picture", variant, [part for x, z, w, h in places for part in hung(x * size, z * size, w * size, h * size)]
        )
    wide, high = {"landscape": (0.7, 0.5), "portrait": (0.48, 0.66), "square": (0.5, 0.5)}.get(variant, (1.1, 0.42))
    return finished("picture", variant, hung(0, 0, wide * size, high * size))


def _print(rng: np.random.Generator, x0: float, x1: float, z0: float, z1: float, y: float) -> Mesh:
    """A printed sheet that faces the front; the print is cropped to the sheet's format, never stretched."""
    return _crop(Material((1, 1, 1), textures.picture_print(rng)), x0, x1, z0, z1, y, (0.0, 1.0))


def _crop(
    material: Material, x0: float, x1: float, z0: float, z1: float, y: float, across: tuple[float, float]
) -> Mesh:
    aspect = (x1 - x0) / (z1 - z0) / (across[1] - across[0])
    u = np.array(across) if aspect >= 1 else 0.5 + (np.array(across) - 0.5) * aspect
    v = np.array([0.0, 1.0]) if aspect <= 1 else 0.5 + np.array([-0.5, 0.5]) / aspect
    points = np.array([[[x, y, z] for z in (z0, z1)] for x in (x0, x1)])
    return grid(points, material, np.stack(np.meshgrid(u, v, indexing="ij"), -1))


def _framed(
    rng: np.random.Generator, width: float, height: float, frame: Material, mount: Material | None
) -> list[Mesh]:
    wide = float(rng.uniform(0.012, 0.035))
    parts = [front_frame(width, height, wide, 0.025, frame)]
    x, inset = width / 2, wide + (min(width, height) * 0.13 if mount else 0.0)
    if mount:
        parts.append(
            quad([-x + wide * 0.9, -0.009, wide * 0.9], [width - 1.8 * wide, 0, 0], [0, 0, height - 1.8 * wide], mount)
        )
    parts.append(_print(rng, -x + inset, x - inset, inset, height - inset, -0.011))
    return parts


def _canvas(rng: np.random.Generator, width: float, height: float, parts: int = 1, gap: float = 0.0) -> list[Mesh]:
    """A print on a stretcher 3 cm deep; with several parts it goes on from one to the next."""
    cloth, edge = Material((1, 1, 1), textures.picture_print(rng)), plain(0.85, 0.83, 0.78)
    total = parts * width + (parts - 1) * gap
    meshes = []
    for k in range(parts):
        x0 = -total / 2 + k * (width + gap)
        meshes.append(box([x0, -0.03, 0], [x0 + width, 0, height], edge, skip="y"))
        along = ((x0 + total / 2) / total, (x0 + width + total / 2) / total)
        if parts == 1:
            meshes.append(_crop(cloth, x0, x0 + width, 0, height, -0.03, along))
        else:
            points = np.array([[[x, -0.03, z] for z in (0, height)] for x in (x0, x0 + width)])
            meshes.append(grid(points, cloth, np.stack(np.meshgrid(along, (0.15, 0.85), indexing="ij"), -1)))
    return meshes


@piece("mirror", "framed", "round", "cabinet", "oval", "frameless", "arched")
def mirror(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A mirror that hangs; its glass is a glossy light grey."""
    frame = [style.wood, style.metal, style.painted, style.accent][int(rng.integers(4))](rng)
    if variant in ("round", "oval", "arched"):
        rx = float(rng.uniform(0.25, 0.4))
        ry = rx if variant == "round" else rx * float(rng.uniform(1.3, 1.6))
        wide = float(rng.uniform(0.015, 0.035))

        def ring(inset: float, z: float) -> np.ndarray:
            if variant == "arched":
                # Round above, square below: the top of the outline is at +y before it is stood up.
                shape = rounded(-rx + inset, -ry + inset, rx - inset, ry - inset, z, rx, 8)
                low = shape[:, 1] < 0
                shape[low] = rounded(-rx + inset, -ry + inset, rx - inset, ry - inset, z, 0.004, 8)[low]
                return shape
            return oval(0, 0, rx - inset, ry - inset, z, 9)

        rim = [ring(0, 0), ring(0, 0.018), ring(wide * 0.3, 0.026), ring(wide, 0.022), ring(wide, 0.01)]
        glass = cap(ring(wide, 0.012), REFLECTION)
        return finished(
            "mirror", variant, [to_front(join([loft(rim, frame), cap(rim[0], frame, up=False), glass]), 0, 0, 0)]
        )
    width, height = float(rng.uniform(0.45, 0.9)), float(rng.uniform(0.6, 1.0))
    x = width / 2
    if variant == "cabinet":
        height = 0.65
        body = style.painted(rng)
        parts = [box([-x, -0.06, 0], [x, 0.075, height], body)]
        count = 2 if width > 0.6 else 1
        for k in range(count):
            a, b = -x + k * width / count + 0.002, -x + (k + 1) * width / count - 0.002
            parts.append(box([a, -0.075, 0.002], [b, -0.06, height - 0.002], REFLECTION))
            parts.append(knob(b - 0.03 if k == 0 else a + 0.03, -0.075, 0.06, CHROME, 0.009, 0.014))
        parts.append(
            box([-x * 0.7, -0.1, height + 0.01], [x * 0.7, -0.03, height + 0.03], plain(1, 0.97, 0.9, glow=0.8))
        )
        parts.append(box([-0.03, -0.06, height], [0.03, 0.0, height + 0.01], CHROME, skip="zZ"))
        return finished("mirror", variant, parts)
    if variant == "frameless":
        parts = [box([-x + 0.03, 0, 0.03], [x - 0.03, 0.02, height - 0.03], DARK, skip="y")]
        parts += [box([-x, -0.006, 0], [x, 0, height], REFLECTION)]
        parts.append(box([-x + 0.05, -0.03, 0.0], [x - 0.05, -0.006, 0.012], style.metal(rng), skip="Y"))
        return finished("mirror", variant, parts)
    wide = float(rng.uniform(0.03, 0.07))
    parts = [
        front_frame(width, height, wide, 0.03, frame),
        quad([-x, -0.012, 0], [width, 0, 0], [0, 0, height], REFLECTION),
    ]
    return finished("mirror", variant, parts)


def front_frame(width: float, height: float, wide: float, thick: float, material: Material) -> Mesh:
    """Four bevelled bars around an opening, from y = 0 (back) to -`thick`, standing on z = 0, with a back board."""
    x, h = width / 2, height

    def ring(inset: float, depth: float) -> np.ndarray:
        a, b = x - inset, h - inset
        return np.array([[-a, -depth, inset], [a, -depth, inset], [a, -depth, b], [-a, -depth, b]])

    rings = [
        ring(0, 0),
        ring(0, thick * 0.8),
        ring(wide * 0.25, thick),
        ring(wide * 0.7, thick),
        ring(wide, thick * 0.3),
    ]
    meshes = [quad([x, 0, 0], [-width, 0, 0], [0, 0, h], material)]
    for outer, inner in itertools.pairwise(rings):
        for k in range(4):
            corners = np.array([[outer[k], inner[k]], [outer[k - 3], inner[k - 3]]])
            side = np.linalg.norm(outer[k - 3] - outer[k])
            meshes.append(grid(corners, material, np.array([[[0, 0], [0, wide]], [[side, 0], [side, wide]]])))
    return join(meshes)


@piece("rug", "rectangular", "round", "runner", "oval", "bath mat", "small")
def rug(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A patterned rug 1 cm high; fringes on some."""
    wide, deep = {
        "rectangular": (float(rng.uniform(1.5, 2.4)), float(rng.uniform(1.1, 1.6))),
        "runner": (float(rng.uniform(1.4, 2.0)), float(rng.uniform(0.6, 0.75))),
        "oval": (float(rng.uniform(1.4, 2.0)), float(rng.uniform(1.0, 1.3))),
        "bath mat": (float(rng.uniform(0.6, 0.85)), float(rng.uniform(0.45, 0.55))),
        "small": (float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.55, 0.7))),
    }.get(variant, (1.6, 1.6))
    if variant == "round":
        wide = deep = float(rng.uniform(1.1, 1.9))
    colours = [(style.accent if rng.random() < 0.5 else style.paper)(rng).colour for _ in range(3)]
    pattern = textures.rug_pattern(
        rng, colours[0], colours[1], colours[2], "rings" if variant == "round" and rng.random() < 0.5 else ""
    )
    pile, side = Material((1, 1, 1), pattern), plain(*(0.75 * c for c in colours[0]))
    x, y, high = wide / 2, deep / 2, 0.01
    if variant in ("round", "oval"):
        ring = oval(0, 0, x, y, high, 10)
    else:
        ring = rounded(-x, -y, x, y, high, 0.012 if variant != "bath mat" else 0.06, 4)
    top = cap(ring, pile)
    uv = top.points[..., :2] / np.array([wide, deep], np.float32) + np.float32(0.5)
    parts = [
        Mesh(top.points, top.normals, uv * np.float32(pattern.size), top.material, top.materials),
        loft([ring * [1, 1, 0], ring], side),
        cap(ring * [1, 1, 0], side, up=False),
    ]
    if variant in ("rectangular", "runner") and rng.random() < 0.6:
        thread = style.paper(rng)
        for s in (-1, 1):
            for at in np.arange(-y + 0.02, y - 0.01, 0.04):
                low, high_ = sorted((s * x, s * (x + 0.05)))
                parts.append(quad([low, at - 0.006, 0.004], [high_ - low, 0, 0], [0, 0.012, 0], thread))
    return finished("rug", variant, parts)


@piece("curtain", "lined pair", "eyelet pair", "sheer pair", "tied pair")
def curtain(rng: np.random.Generator, style: Style, variant: str) -> Piece:
    """A pair of curtains 2.2 m high on a rod, drawn open by a varying amount."""
    width, high = float(rng.uniform(1.2, 2.6)), 2.2
    cloth = style.fabric(rng)
    if variant == "sheer pair":
        cloth = Material(style.linen(rng).colour, opacity=0.75) if rng.random() < 0.5 else style.linen(rng)
    metal = style.metal(rng) if rng.random() < 0.6 else style.wood(rng)
    x, depth = width / 2, 0.06
    rail = high - 0.03
    parts: list[Mesh] = [rod([(-x + 0.03, 0, rail), (x - 0.03, 0, rail)], 0.012, metal, 8)]
    for s in (-1, 1):
        knobs = (
            ball(0.027, metal, 8)
            if variant != "eyelet pair"
            else cylinder(0.02, -0.03, 0.03, metal, 8).turned(math.pi / 2, "y")
        )
        parts.append(knobs.moved(s * (x - 0.03), 0, rail))
        parts.append(rod([(s * (x - 0.1), 0, rail), (s * (x - 0.1), depth, rail)], 0.007, metal, 6))
    panel = width * float(rng.uniform(0.19, 0.33))
    tied = variant == "tied pair"
    for s in (-1, 1):
        parts.append(
            _panel(rng, s, x - 0.06, panel, rail + 0.01 if variant == "eyelet pair" else rail - 0.015, tied, cloth)
        )
        if tied:
            band = [oval(0, 0, panel * 0.24, 0.058, z, 4) for z in (0.93, 0.99)]
            parts.append(loft(band, style.accent(rng)).moved(s * (x - 0.06 - panel * 0.3), 0, 0))
        elif variant == "lined pair":
            for k in range(5):
                hoop = np.linspace(0, 2 * math.pi, 9)
                ring = np.stack(
                    [np.full(9, s * (x - 0.08 - panel * k / 4.5)), 0.018 * np.cos(hoop), rail + 0.018 * np.sin(hoop)], 1
                )
                parts.append(rod(ring, 0.003, metal, 4))
    return finished("curtain", variant, parts)


def _panel(
    rng: np.random.Generator, side: int, outer: float, width: float, high: float, tied: bool, cloth: Material
) -> Mesh:
    """One wavy panel from z = 0 to `high`; it starts at x = `side` * `outer` and is as `width` metres wide."""
    folds = max(4, round(width / 0.085))
    columns = 6 * folds + 1
    t = np.linspace(0, 1, columns)
    phase = float(rng.uniform(0, 2 * math.pi))
    levels = np.array([0.0, 0.25, 0.44, 0.6, 0.85, 1.0]) if tied else np.array([0.0, 0.5, 1.0])
    squeeze = np.array([0.75, 0.6, 0.42, 0.6, 0.95, 1.0]) if tied else np.array([1.06, 1.0, 1.0])
    sheet = []
    for level, scale in zip(levels, squeeze, strict=True):
        deep = 0.035 * (1.0 - 0.35 * level) * (1 if not tied else 0.6 + 0.4 * scale)
        wave = deep * np.sin(2 * math.pi * folds * t + phase + 0.6 * (1 - level) * np.sin(5 * t))
        along = outer - width * scale * (t if side > 0 else 1 - t)
        x = side * along
        sheet.append(np.stack([x, wave, np.full(columns, level * high)], 1))
    points = np.stack(sheet, 1)
    if side > 0:
        points = points[::-1]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points[:, 0], axis=0), axis=1))])
    uv = np.stack(np.meshgrid(length, levels * high, indexing="ij"), -1)
    across, along = np.gradient(points, axis=0), np.gradient(points, axis=1)
    normals = np.cross(across, along)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return two_sided(grid(points, cloth, uv, normals))
