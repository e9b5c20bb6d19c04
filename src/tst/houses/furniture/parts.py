"""Shapes that many pieces are put together from, and the last step of every builder.

Pieces are drawn with their front towards -y. Metres.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tst.houses.furniture.piece import Piece, Support
from tst.houses.mesh import Material, Mesh, box, grid, join, mesh_of, quad

CREASE = math.cos(math.radians(50))
"""Neighbouring bands of a loft that meet at a sharper angle keep their edge."""


def finished(
    category: str,
    variant: str,
    parts: Iterable[Mesh],
    supports: Sequence[Support] = (),
    tags: frozenset[str] = frozenset(),
) -> Piece:
    """The piece made of `parts`, moved so that its origin is where `Piece.mesh` wants it; the supports move along."""
    mesh = join(parts)
    low, high = mesh.bounds.astype(float)
    x, y, z = -(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]
    mesh = mesh.moved(x, y, z)
    width, depth, height = (mesh.bounds[1] - mesh.bounds[0]).astype(float)
    moved = tuple(Support(s.x0 + x, s.y0 + y, s.x1 + x, s.y1 + y, s.z + z, s.clearance) for s in supports)
    if category in variant:
        name = variant
    else:
        name = f"{category} {variant}" if variant.startswith(("on ", "with ")) else f"{variant} {category}"
    return Piece(category, name, mesh, (float(width), float(depth), float(height)), moved, tags=tags)


def oval(x: float, y: float, rx: float, ry: float, z: float, corner: int = 5, front: float = 0.0) -> np.ndarray:
    """An ellipse as a ring of a loft, (4 * corner, 3); `front` is another half-axis for its -y half."""
    angle = (np.arange(4 * corner) + 0.5) * (math.pi / 2 / corner)
    across, along = np.cos(angle), np.sin(angle)
    return np.stack([x + rx * across, y + np.where(along < 0, front or ry, ry) * along, np.full_like(angle, z)], 1)


def rounded(x0: float, y0: float, x1: float, y1: float, z: float, radius: float, corner: int = 5) -> np.ndarray:
    """A rectangle with round corners as a ring of a loft, (4 * corner, 3)."""
    radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    angle = np.linspace(0, math.pi / 2, corner)[None] + np.arange(4)[:, None] * (math.pi / 2)
    centre_x = np.array([x1 - radius, x0 + radius, x0 + radius, x1 - radius])[:, None]
    centre_y = np.array([y1 - radius, y1 - radius, y0 + radius, y0 + radius])[:, None]
    x, y = centre_x + radius * np.cos(angle), centre_y + radius * np.sin(angle)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], 1)


def loft(rings: Sequence[np.ndarray], material: Material) -> Mesh:
    """A surface through rings (S, 3), each counter-clockwise seen from above, from bottom to top seen from outside.

    Smooth around, and along wherever the rings bend little. Open at both ends unless the last ring is a point.
    """
    points = np.stack([np.asarray(ring, float) for ring in rings], 1)
    around = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    along = np.diff(points, axis=1)
    band = _unit(np.cross(around[:, :-1] + around[:, 1:], along))
    low, high = band.copy(), band.copy()
    bends_little = (band[:, :-1] * band[:, 1:]).sum(-1, keepdims=True) > CREASE
    mean = _unit(band[:, :-1] + band[:, 1:])
    low[:, 1:] = np.where(bends_little, mean, low[:, 1:])
    high[:, :-1] = np.where(bends_little, mean, high[:, :-1])

    points, low, high = (np.concatenate([x, x[:1]]) for x in (points, low, high))
    widest = np.argmax(np.linalg.norm(around, axis=2).sum(0))
    u = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points[:, widest], axis=0), axis=1))])
    v = np.concatenate([[0], np.cumsum(np.linalg.norm(along, axis=2).max(0))])
    uv = np.stack(np.meshgrid(u, v, indexing="ij"), -1)
    bands = []
    for k in range(len(rings) - 1):
        normals = np.stack([low[:, k], high[:, k]], 1)
        bands.append(grid(points[:, k : k + 2], material, uv[:, k : k + 2], normals))
    return join(bands)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)


def revolve(profile: Sequence[tuple[float, float]], material: Material, corner: int = 4) -> Mesh:
    """`mesh.lathe` that is also smooth along its profile of (radius, height); 4 * `corner` segments."""
    return loft([oval(0, 0, radius, radius, height, corner) for radius, height in profile], material)


def cap(ring: np.ndarray, material: Material, up: bool = True) -> Mesh:
    """The flat inside of a ring (S, 3), facing up or down."""
    following = np.roll(ring, -1, 0)
    centre = np.broadcast_to(ring.mean(0), ring.shape)
    triangles = np.stack([centre, ring, following] if up else [centre, following, ring], 1)
    return mesh_of(triangles, material, triangles[..., :2])


def solid(rings: Sequence[np.ndarray], material: Material) -> Mesh:
    """A loft closed below and above."""
    return join([loft(rings, material), cap(rings[0], material, up=False), cap(rings[-1], material)])


def rod(
    path: Sequence[Sequence[float] | np.ndarray] | np.ndarray,
    radius: float | np.ndarray,
    material: Material,
    segments: int = 8,
) -> Mesh:
    """A closed round bar along a polyline (N, 3) that may turn any way; `radius` in metres, or (N,)."""
    points = np.asarray(path, float)
    ahead = _unit(np.gradient(points, axis=0))
    side = np.empty_like(points)
    # The cross-section is carried along the path, so that it never twists.
    side[0] = np.cross(ahead[0], np.eye(3)[int(np.abs(ahead[0]).argmin())])
    for k in range(1, len(points)):
        side[k] = side[k - 1] - ahead[k] * (side[k - 1] @ ahead[k])
        side[k] = _unit(side[k])
    side = _unit(side)
    other = np.cross(ahead, side)
    angle = np.arange(segments) * (2 * math.pi / segments)
    out = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * other[:, None]
    sizes = np.broadcast_to(np.asarray(radius, float), (len(points),))
    return solid(list(points[:, None] + sizes[:, None, None] * out), material)


def two_sided(mesh: Mesh, thick: float = 0.0002) -> Mesh:
    """A sheet as two: itself and its back, `thick` metres apart, so that neither hides the other."""
    shift = mesh.normals * np.float32(thick / 2)
    back = Mesh((mesh.points - shift)[:, ::-1], -mesh.normals[:, ::-1], mesh.uv[:, ::-1], mesh.material, mesh.materials)
    return join([replace(mesh, points=mesh.points + shift), back])


def to_front(mesh: Mesh, x: float, y: float, z: float) -> Mesh:
    """Lay an upright shape so that its top looks to the front (-y), and put its origin at a point."""
    return mesh.turned(math.pi / 2, "x").moved(x, y, z)


def knob(x: float, y: float, z: float, material: Material, radius: float = 0.014, length: float = 0.022) -> Mesh:
    """A round knob on a front at depth `y`."""
    profile = [(radius * 0.55, 0.0), (radius * 0.5, length * 0.5), (radius, length * 0.7), (radius * 0.9, length)]
    return to_front(revolve([*profile, (0, length)], material, 2), x, y, z)


def bar_handle(
    start: tuple[float, float],
    end: tuple[float, float],
    y: float,
    material: Material,
    radius: float = 0.006,
    stand: float = 0.016,
) -> Mesh:
    """A bar between two points (x, z) before a front at depth `y`, on two posts; it reaches `stand + radius` out."""
    a, b = np.array([start[0], y - stand, start[1]]), np.array([end[0], y - stand, end[1]])
    post_a, post_b = a + (b - a) * 0.1, b + (a - b) * 0.1
    back = np.array([0.0, stand, 0.0])
    return join(
        [
            rod([a, b], radius, material, 6),
            rod([post_a + back, post_a], radius * 0.7, material, 4),
            rod([post_b + back, post_b], radius * 0.7, material, 4),
        ]
    )


def front(
    low: tuple[float, float],
    high: tuple[float, float],
    y: float,
    material: Material,
    panelled: bool,
    thick: float = 0.02,
) -> Mesh:
    """A door or drawer front between two corners (x, z), its face at depth `y`; `panelled` has a field in a frame."""
    (x0, z0), (x1, z1) = low, high
    if not panelled:
        return box([x0, y, z0], [x1, y + thick, z1], material)
    rail = min(0.06, (x1 - x0) / 4, (z1 - z0) / 4)
    bevel, inset = 0.016, y + 0.012

    def corners(by: float, depth: float) -> np.ndarray:
        a, b, c, d = x0 + by, x1 - by, z0 + by, z1 - by
        return np.array([[a, depth, c], [b, depth, c], [b, depth, d], [a, depth, d]])

    meshes = [box([x0, y, z0], [x1, y + thick, z1], material, skip="y")]
    edges = [corners(0, y), corners(rail, y), corners(rail + bevel, inset)]
    for outer, inner in itertools.pairwise(edges):
        for k in range(4):
            a, b, c, d = outer[k], outer[k - 3], inner[k - 3], inner[k]
            triangles = np.array([[a, b, c], [a, c, d]])
            meshes.append(mesh_of(triangles, material, triangles[..., [0, 2]]))
    (a, _, c), (b, _, d) = edges[-1][0], edges[-1][2]
    meshes.append(quad([a, inset, c], [b - a, 0, 0], [0, 0, d - c], material))
    return join(meshes)


def arc(
    centre: Sequence[float], radius: float, start: float, end: float, across: str = "x", count: int = 9
) -> list[tuple[float, float, float]]:
    """Points of an arc in an upright plane (`across` is its level axis) from angle to angle in degrees, 0 = outward."""
    x, y, z = centre
    points = []
    for angle in np.radians(np.linspace(start, end, count)):
        level, height = radius * math.cos(angle), radius * math.sin(angle)
        points.append((x + level, y, z + height) if across == "x" else (x, y + level, z + height))
    return points


def darker(material: Material, factor: float) -> Material:
    """The material without its texture, its colour multiplied."""
    red, green, blue = (factor * float(c) for c in material.colour)
    return Material((red, green, blue), gloss=material.gloss)


def plain(
    red: float, green: float, blue: float, gloss: float = 0.0, glow: float = 0.0, opacity: float = 1.0
) -> Material:
    """A material of one colour."""
    return Material((red, green, blue), gloss=gloss, glow=glow, opacity=opacity)


WHITE = plain(0.95, 0.95, 0.94, gloss=0.5)
CHROME = plain(0.75, 0.76, 0.78, gloss=0.8)
DARK = plain(0.1, 0.1, 0.11)
