"""Triangle soups with materials: what furniture, walls and whole houses are made of.

Right-handed, z up, metres. A mesh is immutable; every operation returns a new one. Shape letters: T triangles,
3 corners of a triangle (first) or coordinates (last).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

Colour = tuple[float, float, float]
"""sRGB, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Texture:
    """An image that repeats over a surface.

    Attributes:
        pixels: uint8 (H, W, 3) or (H, W, 4), sRGB; where alpha is below 128 the surface is cut out.
        size: length of one repetition in the unit of the mesh's texture coordinates: metres for the shapes of this
            file, 1 for models that bring coordinates of their own.
    """

    pixels: np.ndarray
    size: float = 1.0


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks.

    Attributes:
        colour: multiplies the texture.
        gloss: strength of the mirror-like part, 0 (matt) to 1.
        opacity: below 0.95 the surface is seen through (glass, gauze); below 0.15 it is not drawn.
        glow: light that it gives off, as a multiple of its colour (a lamp shade: 1 to 4).
        pane: a window pane: it shows the world outside in the direction one looks, and lets all light through;
            labels and depth are the pane's.
    """

    colour: Colour = (0.8, 0.8, 0.8)
    texture: Texture | None = None
    gloss: float = 0.0
    opacity: float = 1.0
    glow: float = 0.0
    pane: bool = False


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with normals, texture coordinates and materials.

    Attributes:
        points: float32 (T, 3, 3).
        normals: float32 (T, 3, 3), unit length, one a corner; outward.
        uv: float32 (T, 3, 2), texture coordinates in the unit of `Texture.size`.
        material: int32 (T,), index into `materials`.
    """

    points: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: tuple[Material, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.points)

    @property
    def bounds(self) -> np.ndarray:
        """Lowest and highest corner, (2, 3)."""
        flat = self.points.reshape(-1, 3)
        return np.stack([flat.min(0), flat.max(0)])

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Mesh":
        """Shifted by metres."""
        return replace(self, points=self.points + np.array([x, y, z], np.float32))

    def turned(self, angle: float, axis: str = "z") -> "Mesh":
        """Rotated about a coordinate axis by `angle` radians, counter-clockwise seen from its tip."""
        c, s = math.cos(angle), math.sin(angle)
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        matrix = np.eye(3, dtype=np.float32)
        matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
        return replace(self, points=self.points @ matrix.T, normals=self.normals @ matrix.T)

    def scaled(self, x: float, y: float, z: float) -> "Mesh":
        """Stretched along the axes; factors above 0."""
        factors = np.array([x, y, z], np.float32)
        normals = self.normals / factors
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
        return replace(self, points=self.points * factors, normals=normals)


def join(meshes: Iterable[Mesh]) -> Mesh:
    """All triangles in one mesh; materials that are the same object stay one."""
    meshes = [mesh for mesh in meshes if len(mesh)]
    assert meshes, "nothing to join"
    materials: dict[int, int] = {}
    kept: list[Material] = []
    index = []
    for mesh in meshes:
        for material in mesh.materials:
            if id(material) not in materials:
                materials[id(material)] = len(kept)
                kept.append(material)
        table = np.array([materials[id(material)] for material in mesh.materials], np.int32)
        index.append(table[mesh.material])
    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate(index),
        tuple(kept),
    )


def mesh_of(
    points: np.ndarray, material: Material, uv: np.ndarray | None = None, smooth: np.ndarray | None = None
) -> Mesh:
    """A mesh from triangles (T, 3, 3) with flat normals, or the given `smooth` ones (T, 3, 3). Slivers are dropped."""
    points = np.asarray(points, np.float32).reshape(-1, 3, 3)
    cross = _cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    flat = np.repeat((cross / np.maximum(length, 1e-20))[:, None], 3, 1)
    normals = flat if smooth is None else np.asarray(smooth, np.float32).reshape(-1, 3, 3)
    uv = np.zeros((len(points), 3, 2), np.float32) if uv is None else np.asarray(uv, np.float32).reshape(-1, 3, 2)
    keep = length[:, 0] > 1e-10
    index = np.zeros(int(keep.sum()), np.int32)
    return Mesh(points[keep], normals[keep].astype(np.float32), uv[keep], index, (material,))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of (N, 3); several times quicker than numpy's on the small arrays that furniture is made of."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def grid(points: np.ndarray, material: Material, uv: np.ndarray, normals: np.ndarray | None = None) -> Mesh:
    """A surface from a grid of points (M, N, 3) with `uv` (M, N, 2); seen from the side that (dM x dN) points to."""

    rows, columns = points.shape[:2]
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    b, c, d = a + columns, a + columns + 1, a + 1
    index = np.stack([a, b, c, a, c, d], 1).reshape(-1, 3)

    def corners(x: np.ndarray) -> np.ndarray:
        return x.reshape(rows * columns, -1)[index]

    return mesh_of(corners(points), material, corners(uv), None if normals is None else corners(normals))


def quad(
    origin: Sequence[float] | np.ndarray,
    across: Sequence[float] | np.ndarray,
    up: Sequence[float] | np.ndarray,
    material: Material,
) -> Mesh:
    """A rectangle with the corner `origin` and the edges `across` and `up`; it faces across x up. uv in metres."""
    p, a, b = (np.asarray(v, float) for v in (origin, across, up))
    width, height = np.linalg.norm(a), np.linalg.norm(b)
    points = np.array([[p, p + b], [p + a, p + a + b]])
    uv = np.array([[[0, 0], [0, height]], [[width, 0], [width, height]]])
    return grid(points, material, uv)


def box(low: Sequence[float], high: Sequence[float], material: Material, skip: str = "") -> Mesh:
    """An axis-aligned box between two corners. `skip` leaves faces out, by the letters of "xXyYzZ" (low, high side)."""
    low_ = np.asarray(low, np.float32)
    size = np.asarray(high, np.float32) - low_
    keep = np.repeat([name not in skip for name in _FACES], 2)
    keep &= np.repeat([size[a] > 0 and size[b] > 0 for a, b in _EDGES], 2)
    points, normals, uv, axes = (part[keep] for part in _UNIT_BOX)
    material_ = np.zeros(len(points), np.int32)
    return Mesh(low_ + points * size, normals.copy(), uv * size[axes][:, None], material_, (material,))


_FACES = "xXyYzZ"
_EDGES = ((1, 2), (1, 2), (0, 2), (0, 2), (0, 1), (0, 1))
"""Axes that each face's texture coordinates run along."""


def _unit_box() -> tuple[np.ndarray, ...]:
    """The unit cube: points, normals, texture coordinates and the axes they run along, faces as in `_FACES`."""
    x, y, z = np.eye(3)
    faces = [(y, -y, z), (x, y, z), (0 * x, x, z), (x + y, -x, z), (y, x, -y), (z, x, y)]
    whole = join(quad(*edges, Material()) for edges in faces)
    return whole.points, whole.normals, whole.uv, np.repeat(np.array(_EDGES), 2, 0)


_UNIT_BOX = _unit_box()


def rounded_box(
    low: Sequence[float], high: Sequence[float], material: Material, radius: float = 0.03, segments: int = 2
) -> Mesh:
    """A box with rounded edges and smooth normals: cushions, upholstery, appliances. `radius` in metres."""
    low_, high_ = np.asarray(low, float), np.asarray(high, float)
    radius = min(radius, *((high_ - low_) / 2 * 0.999))
    n = 2 * segments + 2
    # Directions of a cube's face, spread evenly in angle near the edges; pushed out from the inner box by the radius.
    angle = np.concatenate([np.linspace(-45, 0, segments + 1), np.linspace(0, 45, segments + 1)])
    tangent = np.tan(np.radians(angle))
    sign = np.where(np.arange(n) <= segments, -1.0, 1.0)
    inner_low, inner_high = low_ + radius, high_ - radius
    meshes = []
    for axis in range(3):
        for direction in (-1.0, 1.0):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            if direction < 0:
                a, b = b, a
            vector = np.zeros((n, n, 3))
            vector[..., axis] = direction
            vector[..., a], vector[..., b] = tangent[:, None], tangent[None, :]
            vector /= np.linalg.norm(vector, axis=2, keepdims=True)
            core = np.zeros((n, n, 3))
            core[..., axis] = direction
            core[..., a], core[..., b] = sign[:, None], sign[None, :]
            points = np.where(core < 0, inner_low, inner_high) + radius * vector
            meshes.append(grid(points, material, points[..., [a, b]], vector))
    return join(meshes)


def lathe(profile: Sequence[tuple[float, float]], material: Material, segments: int = 16, smooth: bool = True) -> Mesh:
    """A solid of revolution about z. `profile` is (radius, height) from bottom to top, in metres, seen from outside."""
    profile_ = np.asarray(profile, float)
    angle = np.linspace(0, 2 * math.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    points = np.concatenate(
        [profile_[None, :, :1] * ring[:, None], np.broadcast_to(profile_[None, :, 1:], (len(ring), len(profile_), 1))],
        2,
    )
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile_, axis=0), axis=1))])
    around = angle * max(profile_[:, 0].max(), 1e-6)
    uv = np.stack(np.meshgrid(around, along, indexing="ij"), -1)
    if not smooth:
        return grid(points, material, uv)
    # One normal an edge of the profile, so that its corners stay sharp while the round stays smooth.
    meshes = []
    for k, edge in enumerate(np.diff(profile_, axis=0)):
        length = np.linalg.norm(edge)
        if length < 1e-9:
            continue
        out, up = edge[1] / length, -edge[0] / length
        normal = np.concatenate([ring * out, np.full((len(ring), 1), up)], 1)
        normals = np.repeat(normal[:, None], 2, 1)
        meshes.append(grid(points[:, k : k + 2], material, uv[:, k : k + 2], normals))
    return join(meshes)


def cylinder(radius: float, low: float, high: float, material: Material, segments: int = 16, top: float = -1.0) -> Mesh:
    """An upright closed cylinder about z from height `low` to `high`; `top` is the radius above, if another."""
    top = radius if top < 0 else top
    return lathe([(0, low), (radius, low), (top, high), (0, high)], material, segments)


def ball(radius: float, material: Material, segments: int = 12) -> Mesh:
    """A sphere about the origin."""
    rows = np.linspace(-math.pi / 2, math.pi / 2, max(4, segments // 2) + 1)
    columns = np.linspace(0, 2 * math.pi, segments + 1)
    latitude, longitude = rows[None, :], columns[:, None]
    unit = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude) + 0 * longitude],
        -1,
    )
    uv = np.stack(np.meshgrid(columns * radius, rows * radius, indexing="ij"), -1)
    return grid(unit * radius, material, uv, unit)


def extrude(outline: Sequence[tuple[float, float]], low: float, high: float, material: Material) -> Mesh:
    """A prism over a convex outline (x, y), counter-clockwise seen from above, from height `low` to `high`."""
    flat = np.asarray(outline, float)
    count = len(flat)
    meshes = []
    for k in range(count):
        a, b = flat[k], flat[(k + 1) % count]
        meshes.append(quad([*a, low], [*(b - a), 0.0], [0.0, 0.0, high - low], material))
    for height, order in ((high, 1), (low, -1)):
        ring = np.concatenate([flat, np.full((count, 1), height)], 1)[::order]
        fan = np.stack([np.repeat(ring[:1], count - 2, 0), ring[1:-1], ring[2:]], 1)
        meshes.append(mesh_of(fan, material, fan[..., :2]))
    return join(meshes)
