"""Shapes of living-room, bedroom and office furniture: boards, legs, cushions, drawers and books.

Pieces are drawn with their front towards -y. Metres.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tst.houses.furniture.parts import bar_handle, front, knob, loft, oval, solid
from tst.houses.mesh import Material, Mesh, box, grid, join, lathe, mesh_of, quad
from tst.houses.styles import Style

Point = tuple[float, float, float]


def board(low: Sequence[float], high: Sequence[float], material: Material, skip: str = "") -> Mesh:
    """`mesh.box` whose wood grain runs along the longer edge of every face, and differs from board to board."""
    return grained(box(low, high, material, skip))


def grained(mesh: Mesh) -> Mesh:
    """A mesh of rectangles, such as boxes, with the texture along the longer edge of each."""
    faces = mesh.uv.reshape(-1, 6, 2)
    extent = faces.max(1) - faces.min(1)
    faces = np.where((extent[:, 1] > extent[:, 0])[:, None, None], faces[..., ::-1], faces)
    x, y, z = mesh.bounds[0]
    start = np.array([x * 3.7 + z * 1.9, y * 2.3 + z * 4.1])
    return replace(mesh, uv=(faces + start).astype(np.float32).reshape(-1, 3, 2))


def flat(mesh: Mesh) -> Mesh:
    """The mesh with sharp edges."""
    assert len(mesh.materials) == 1
    return mesh_of(mesh.points, mesh.materials[0], mesh.uv)


def bar(start: Point, end: Point, radius: float, material: Material, end_radius: float = 0.0, corner: int = 2) -> Mesh:
    """A closed round bar between two points, tapered to `end_radius` if given. Ends level if it stands, else square."""
    a, b = np.array(start), np.array(end)
    if b[2] < a[2]:
        a, b = b, a
        radius, end_radius = end_radius or radius, radius
    if b[2] - a[2] > 0.3 * np.linalg.norm(b - a):
        return solid(
            [oval(p[0], p[1], r, r, p[2], corner) for p, r in ((a, radius), (b, end_radius or radius))], material
        )
    length = float(np.linalg.norm(b - a))
    upright = solid([oval(0, 0, r, r, h, corner) for r, h in ((radius, 0.0), (end_radius or radius, length))], material)
    heading = math.atan2(b[1] - a[1], b[0] - a[0])
    tilt = math.acos(float(np.clip((b[2] - a[2]) / length, -1, 1)))
    return upright.turned(tilt, "y").turned(heading).moved(*a)


def pole(points: Sequence[Point], radius: float, material: Material, corner: int = 2) -> Mesh:
    """Bars from point to point: a frame of bent pipe."""
    return join(bar(a, b, radius, material, corner=corner) for a, b in itertools.pairwise(points))


def sweep(rings: Sequence[np.ndarray], material: Material) -> Mesh:
    """A closed solid through rings (S, 3) in any direction, seen from outside whichever way round they run."""
    mesh = solid(rings, material)
    a, b, c = mesh.points.swapaxes(0, 1)
    inside_out = np.einsum("tk,tk->", a, np.cross(b, c)) < 0
    return solid([ring[::-1] for ring in rings], material) if inside_out else mesh


def arched(
    x0: float, x1: float, y0: float, y1: float, low: float, high: float, arch: float, material: Material
) -> Mesh:
    """An upholstered or wooden back whose upper edge swings up: `high` at its ends, `arch` more in the middle."""
    radius, middle = (y1 - y0) / 2, (y0 + y1) / 2
    angle = np.linspace(0, math.pi, 6)
    rings = []
    for x in np.linspace(x0, x1, 15):
        top = high - radius + arch * math.sin(math.pi * (x - x0) / (x1 - x0)) ** 2
        y = np.array([y1, *(middle + radius * np.cos(angle)), y0])
        z = np.array([low, *(top + radius * np.sin(angle)), low])
        rings.append(np.stack([np.full(len(y), x), y, z], 1))
    return sweep(rings, material)


def corners(width: float, depth: float) -> list[tuple[float, float]]:
    """The corners of a rectangle about the origin."""
    return [(x * width / 2, y * depth / 2) for x in (-1, 1) for y in (-1, 1)]


def four_legs(width: float, depth: float, leg: Callable[[float, float], Mesh]) -> list[Mesh]:
    """`leg(x, y)` at the corners of a rectangle about the origin."""
    return [leg(x, y) for x, y in corners(width, depth)]


def splayed(height: float, radius: float, splay: float, material: Material) -> Callable[[float, float], Mesh]:
    """Round legs that taper downwards and lean outwards by `splay` metres; for `four_legs`."""

    def leg(x: float, y: float) -> Mesh:
        foot = (x + splay * math.copysign(1, x), y + splay * math.copysign(1, y), 0.0)
        return bar(foot, (x, y, height), radius * 0.55, material, radius)

    return leg


def square(height: float, thick: float, material: Material) -> Callable[[float, float], Mesh]:
    """Square legs; for `four_legs`."""
    half = thick / 2
    return lambda x, y: board([x - half, y - half, 0], [x + half, y + half, height], material)


TURNED = (
    (0.5, 0.0),
    (0.8, 0.05),
    (0.5, 0.12),
    (0.55, 0.3),
    (0.95, 0.55),
    (0.6, 0.7),
    (1.0, 0.74),
    (0.6, 0.79),
    (0.8, 0.82),
)
"""Profile of a turned leg: fractions of its radius and height."""


def turned_leg(height: float, radius: float, material: Material) -> Callable[[float, float], Mesh]:
    """Turned legs with a square block on top; for `four_legs`."""
    profile = [(0.0, 0.0), *((radius * r, height * h) for r, h in TURNED)]

    def leg(x: float, y: float) -> Mesh:
        block = board([x - radius, y - radius, height * 0.82], [x + radius, y + radius, height], material)
        return join([lathe(profile, material, 8).moved(x, y), block])

    return leg


def hairpin(height: float, material: Material, spread: float = 0.07) -> Callable[[float, float], Mesh]:
    """Legs of bent wire; for `four_legs`."""

    def leg(x: float, y: float) -> Mesh:
        inward_x, inward_y = -math.copysign(spread, x), -math.copysign(spread, y)
        foot = (x, y, 0.0)
        return join(
            [
                bar(foot, (x + 1.6 * inward_x, y, height), 0.006, material),
                bar(foot, (x, y + 1.6 * inward_y, height), 0.006, material),
            ]
        )

    return leg


def disc(x: float, y: float, radius: float, low: float, high: float, material: Material, bevel: float = 0.005) -> Mesh:
    """A round board."""
    rings = [(radius - bevel, low), (radius, low + bevel), (radius, high - bevel), (radius - bevel, high)]
    return solid([oval(x, y, r, r, h, 7) for r, h in rings], material)


def cushion(width: float, depth: float, height: float, material: Material, power: float = 4.0, count: int = 8) -> Mesh:
    """A stuffed cushion about the origin, lying; its seam is the rim at z = 0. `power` 2 is round, 8 nearly a box."""
    at = np.sin(np.linspace(-math.pi / 2, math.pi / 2, count + 1))
    u, v = np.meshgrid(at, at, indexing="ij")
    swell = np.sqrt(np.clip((1 - np.abs(u) ** power) * (1 - np.abs(v) ** power), 0, 1))
    # Corners of a stuffed cover stand out, the middles of its edges draw in.
    x = u * (1 - 0.05 * (1 - v**2)) * width / 2
    y = v * (1 - 0.05 * (1 - u**2)) * depth / 2
    uv = np.stack([x, y], -1)
    top = np.stack([x, y, swell * height / 2], -1)
    below = top * [1, 1, -1]
    normals = _grid_normals(top)
    return join(
        [
            grid(top, material, uv, normals),
            grid(below.swapaxes(0, 1), material, uv.swapaxes(0, 1), (normals * [1, 1, -1]).swapaxes(0, 1)),
        ]
    )


def _grid_normals(points: np.ndarray) -> np.ndarray:
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    return normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)


def draped(
    x0: float, x1: float, y0: float, y1: float, top: float, hem: float, material: Material, rng: np.random.Generator
) -> Mesh:
    """A duvet: a soft, slightly uneven top that hangs over the sides and the front down to the height `hem`."""
    rows, columns = 13, 15
    at = np.linspace(-1, 1, columns)
    # Most of the columns lie on top; the outermost hang down.
    side = np.clip((np.abs(at) - 0.72) / 0.28, 0, 1)
    end = np.clip((0.25 - np.linspace(0, 1, rows)) / 0.25, 0, 1)
    # What hangs flares a little, so that no two points of the grid fall together.
    x = (x0 + x1) / 2 + np.sign(at) * (
        (x1 - x0) / 2 * np.sin(np.clip(np.abs(at) / 0.86, 0, 1) * math.pi / 2) + 0.015 * side
    )
    y = y0 + (y1 - y0) * np.clip((np.linspace(0, 1, rows) - 0.17) / 0.83, 0, 1) - 0.015 * end
    drop = np.maximum(side[None] ** 1.6, end[:, None] ** 1.6)
    z = top - (top - hem) * drop + 0.012 * rng.uniform(-1, 1, (rows, columns)) * (1 - drop)
    points = np.stack([np.broadcast_to(x, z.shape), np.broadcast_to(y[:, None], z.shape), z], -1).swapaxes(0, 1)
    points[..., 2] = np.maximum(points[..., 2], hem)
    # Cloth is measured along its own surface, so that its pattern does not stretch where it hangs.
    across = np.concatenate([np.zeros((1, rows)), np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=2), 0)])
    along = np.concatenate([np.zeros((columns, 1)), np.cumsum(np.linalg.norm(np.diff(points, axis=1), axis=2), 1)], 1)
    return grid(points, material, np.stack([across, along], -1), _grid_normals(points))


def handle(kind: str, x: float, y: float, z: float, length: float, metal: Material, upright: bool = False) -> Mesh:
    """A handle in the middle of a front at depth `y`: `knob`, `bar` or `cup`."""
    if kind == "knob":
        return knob(x, y, z, metal)
    if kind == "cup":
        return solid(
            [oval(x, y, 0.04, 0.001, z - 0.012, 2, 0.022), oval(x, y, 0.03, 0.001, z + 0.014, 2, 0.006)], metal
        )
    dx, dz = (0.0, length / 2) if upright else (length / 2, 0.0)
    return bar_handle((x - dx, z - dz), (x + dx, z + dz), y, metal)


HANDLES = ("knob", "bar", "cup")
GAP = 0.008
"""Between the leaves and drawers of one front, in metres."""


def _behind(low: tuple[float, float], high: tuple[float, float], y: float) -> Mesh:
    """The dark that is seen in the gaps of a front."""
    size = (high[0] - low[0], high[1] - low[1])
    return quad((low[0], y + 0.016, low[1]), (size[0], 0, 0), (0, 0, size[1]), Material((0.05, 0.05, 0.05)))


def drawers(
    low: tuple[float, float],
    high: tuple[float, float],
    y: float,
    rows: int,
    columns: int,
    material: Material,
    metal: Material,
    kind: str = "knob",
    panelled: bool = False,
) -> list[Mesh]:
    """Drawer fronts with gaps and handles between two corners (x, z), their faces at depth `y`."""
    width, height = (high[0] - low[0]) / columns, (high[1] - low[1]) / rows
    parts = [_behind(low, high, y)]
    for column in range(columns):
        for row in range(rows):
            x0, z0 = low[0] + column * width, low[1] + row * height
            corner_a, corner_b = (x0 + GAP / 2, z0 + GAP / 2), (x0 + width - GAP / 2, z0 + height - GAP / 2)
            parts.append(grained(front(corner_a, corner_b, y, material, panelled)))
            field = y + 0.008 if panelled else y
            if width > 0.6 and kind != "bar":
                parts += [handle(kind, x0 + width * t, field, z0 + height / 2, 0.1, metal) for t in (0.25, 0.75)]
            else:
                parts.append(handle(kind, x0 + width / 2, field, z0 + height / 2, min(0.16, width * 0.4), metal))
    return parts


def doors(
    low: tuple[float, float],
    high: tuple[float, float],
    y: float,
    count: int,
    material: Material,
    metal: Material,
    kind: str = "knob",
    panelled: bool = False,
    hinged_right: bool = False,
) -> list[Mesh]:
    """Door leaves with gaps and handles between two corners (x, z), their faces at depth `y`, hinged in pairs.

    The first is hinged on its left, or on its right.
    """
    width, height = (high[0] - low[0]) / count, high[1] - low[1]
    parts = [_behind(low, high, y)]
    for k in range(count):
        x0, x1 = low[0] + k * width + GAP / 2, low[0] + (k + 1) * width - GAP / 2
        parts.append(grained(front((x0, low[1] + GAP / 2), (x1, high[1] - GAP / 2), y, material, panelled)))
        x = x0 + 0.035 if (k % 2 == 0) == hinged_right else x1 - 0.035
        long = float(np.clip(0.22 * height, 0.14, 0.4))
        parts.append(handle("knob" if kind == "cup" else kind, x, y, low[1] + height * 0.52, long, metal, upright=True))
    return parts


def books(
    rng: np.random.Generator, style: Style, x0: float, x1: float, y: float, depth: float, z: float, height: float
) -> list[Mesh]:
    """A row of books between `x0` and `x1` on a shelf at `z`, their spines near depth `y`, none above `z + height`."""
    parts: list[Mesh] = []
    colours = [style.accent(rng) for _ in range(3)] + [style.painted(rng), style.paper(rng), style.leather(rng)]
    x = x0
    while True:
        thick = float(rng.uniform(0.018, 0.05))
        if x + thick > x1:
            return parts
        tall = height * float(rng.uniform(0.68, 0.97))
        deep = min(depth, float(rng.uniform(0.13, 0.2)))
        start = y + float(rng.uniform(0, 0.02))
        cover = colours[int(rng.integers(len(colours)))]
        parts.append(box([x, start, z], [x + thick * 0.94, start + deep, z + tall], cover, skip="Yz"))
        if rng.random() < 0.4:
            label = z + tall * 0.72
            parts.append(
                box([x, start - 0.001, label], [x + thick * 0.94, start, label + 0.025], colours[-2], skip="YxXzZ")
            )
        x += thick
        if rng.random() < 0.04:
            x += float(rng.uniform(0.05, 0.15))


def pile(rng: np.random.Generator, style: Style, x: float, y: float, z: float, count: int) -> list[Mesh]:
    """Books lying on one another about a point."""
    parts = []
    for _ in range(count):
        thick = float(rng.uniform(0.015, 0.035))
        half_x, half_y = rng.uniform(0.09, 0.12), rng.uniform(0.06, 0.08)
        parts.append(
            box([-half_x, -half_y, 0], [half_x, half_y, thick], style.accent(rng))
            .turned(rng.normal() * 0.15)
            .moved(x, y, z)
        )
        z += thick
    return parts


def lamp_shade(bottom: float, top: float, low: float, high: float, material: Material, corner: int = 4) -> Mesh:
    """A lamp shade about the z axis, open below and above, with an inner side."""
    thick = 0.004
    outer = [(bottom, low), (top, high)]
    inner = [(top - thick, high), (bottom - thick, low), (bottom, low)]
    return loft([oval(0, 0, r, r, h, corner) for r, h in outer + inner], material)
