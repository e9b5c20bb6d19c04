"""Fewer triangles for a mesh: quadric edge collapses, with normals and texture coordinates carried over.

Shape letters: T triangles, V vertices, 3 corners of a triangle (first) or coordinates (last).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from tst.houses.mesh import Mesh

CREASE_DEGREES = 40.0
WELD = 1e-5
"""Corners closer than this share of the mesh's diagonal are one vertex."""
ATTEMPTS = ((True, 3.0), (False, 3.0), (True, 4.0), (False, 4.0))
"""Whether borders are kept, and how fast the error that is allowed grows; tried in turn until the number is reached."""
LEAST_AREA = 0.93
"""Share of the surface that must be left: where it cannot go on, the library starts to eat up whole sides."""
ROUNDS = 4
THINNEST = 0.02
MOST_GROWTH = 2.5
LEAF, LEAVES = 8, 100
"""So many loose parts of so few triangles on average are foliage."""


def decimate(mesh: Mesh, triangles: int) -> Mesh:
    """The mesh with at most `triangles` triangles; the same object if it has no more.

    Materials are decimated one by one, so their borders stay. Twins (the same triangle seen from both sides) become
    one. Loose parts that cannot be made simpler, such as leaves, are thinned out; those that stay grow instead.
    """
    if len(mesh) <= triangles:
        return mesh
    size = max(float(np.linalg.norm(np.ptp(mesh.bounds, axis=0))), 1e-9)
    parts = [_Part.of(mesh, index, size) for index in np.unique(mesh.material)]
    parts = [part for part in parts if len(part.faces)]
    points, normals, uv, material = [], [], [], []
    for part, made in zip(parts, _simplified(parts, triangles), strict=True):
        points.append(made)
        normals.append(crease_normals(made, part.weld))
        uv.append(part.uv_at(made) if mesh.materials[part.material].texture else np.zeros((len(made), 3, 2)))
        material.append(np.full(len(made), part.material, np.int32))
    return Mesh(
        np.concatenate(points).astype(np.float32),
        np.concatenate(normals).astype(np.float32),
        np.concatenate(uv).astype(np.float32),
        np.concatenate(material),
        mesh.materials,
    )


def _simplified(parts: "list[_Part]", triangles: int) -> list[np.ndarray]:
    """The parts' triangles (T, 3, 3), at most `triangles` in all."""
    counts = np.array([len(part.faces) for part in parts])
    made = [part.vertices[part.faces] for part in parts]
    stuck = np.zeros(len(parts), bool)
    for _ in range(ROUNDS):
        # What one part cannot give up, the others must.
        left = triangles - sum(len(made[k]) for k in np.flatnonzero(stuck))
        free = np.flatnonzero(~stuck)
        if not len(free) or left < triangles // 10:
            break
        for k, target in zip(free, _shares(counts[free], left), strict=True):
            made[k] = parts[k].simplified(int(target))
            stuck[k] = len(made[k]) > target
        if sum(map(len, made)) <= triangles:
            return made
    shares = _shares(np.array([len(part) for part in made]), triangles)
    return [_forced(part, int(share), parts[k].weld) for k, (part, share) in enumerate(zip(made, shares, strict=True))]


def crease_normals(points: np.ndarray, weld: float, degrees: float = CREASE_DEGREES) -> np.ndarray:
    """Normals (T, 3, 3) of triangles (T, 3, 3), smooth except where neighbours meet at more than `degrees`.

    Corners within `weld` of each other are one vertex. Triangles wound the other way round than their neighbours do no
    harm.
    """
    cross = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]).astype(np.float64)
    area = np.linalg.norm(cross, axis=1, keepdims=True)
    flat = cross / np.maximum(area, 1e-30)
    _, vertex = welded(points.reshape(-1, 3), weld)
    order = np.argsort(vertex, kind="stable")
    valence = np.bincount(vertex)
    # All pairs of corners that share a vertex: each corner with each of its vertex.
    per_corner = valence[vertex[order]]
    first = np.repeat(np.arange(len(order)), per_corner)
    start = (np.cumsum(valence) - valence)[vertex[order]]
    offset = np.arange(len(first)) - np.repeat(np.cumsum(per_corner) - per_corner, per_corner)
    second = np.repeat(start, per_corner) + offset
    one, other = order[first] // 3, order[second] // 3
    near = np.einsum("pk,pk->p", flat[one], flat[other]) > math.cos(math.radians(degrees))
    matrix = sparse.csr_array(
        (np.ones(int(near.sum())), (order[first][near], other[near])), shape=(len(order), len(points))
    )
    total = matrix @ (flat * area)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    own = np.repeat(flat, 3, axis=0)
    return np.where(length > 1e-30, total / np.maximum(length, 1e-30), own).reshape(-1, 3, 3)


def welded(points: np.ndarray, weld: float) -> tuple[np.ndarray, np.ndarray]:
    """Distinct points (V, 3) and the index (N,) of each of the points (N, 3) among them."""
    cells = np.round(points.astype(np.float64) / weld).astype(np.int64)
    # One number a cell sorts much faster than rows.
    cells -= cells.min(0)
    extent = cells.max(0) + 1
    key = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    return points[first].astype(np.float64), index


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """How many triangles each part gets: half of all dealt out equally, the rest in proportion to what a part has."""
    equal = np.minimum(counts, total // (2 * len(counts)))
    wanted = counts - equal
    return equal + np.minimum(wanted, wanted * (total - equal.sum()) // max(wanted.sum(), 1))


@dataclass(frozen=True, eq=False)
class _Part:
    """The triangles of one material: `faces` (T, 3) of `vertices` (V, 3), with `points` (T, 3, 3), `uv` (T, 3, 2)."""

    material: int
    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    uv: np.ndarray
    weld: float

    @classmethod
    def of(cls, mesh: Mesh, index: int, size: float) -> "_Part":
        chosen = mesh.material == index
        points, uv = mesh.points[chosen].astype(np.float64), mesh.uv[chosen].astype(np.float64)
        weld = size * WELD
        vertices, corner = welded(points.reshape(-1, 3), weld)
        faces = corner.reshape(-1, 3)
        ordered = np.sort(faces, axis=1)
        whole = (ordered[:, 0] != ordered[:, 1]) & (ordered[:, 1] != ordered[:, 2])
        _, first = np.unique(ordered[whole], axis=0, return_index=True)
        kept = np.flatnonzero(whole)[np.sort(first)]
        return cls(int(index), vertices, faces[kept], points[kept], uv[kept], weld)

    def simplified(self, target: int) -> np.ndarray:
        """Triangles (T, 3, 3), `target` of them if the shape allows, else more."""
        import fast_simplification  # only those who convert models need it

        best = self.vertices[self.faces]
        if len(best) <= target:
            return best
        low, scale, block, cell = self._blocks()
        least = LEAST_AREA * _area(best).sum()
        for keep_borders, aggression in ATTEMPTS:
            points, faces = fast_simplification.simplify(
                (self.vertices - low[block]) * scale[block] + cell[block],
                self.faces.astype(np.int32),
                target_count=target,
                agg=aggression,
                preserve_border=keep_borders,
            )
            # A collapsed edge stays near its block, so the nearest one is its own.
            owner = cKDTree(cell + 0.5).query(points)[1]
            points = (np.asarray(points, np.float64) - cell[owner]) / scale[owner] + low[owner]
            made = points[np.asarray(faces, np.int64)]
            if len(made) < len(best) and _area(made).sum() > least:
                best = made
            if len(best) <= target:
                break
        return best

    def _blocks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Loose parts as cubes on a grid: `(vertices - low[block]) * scale[block] + cell[block]`.

        The library refuses to make slivers, so it cannot simplify a slat; as a cube it can, and thin directions count
        for more. Lengths are shares of the mesh's diagonal, as its limits are absolute.
        """
        block = np.zeros(len(self.vertices), np.int64)
        _, number = np.unique(components(self.faces), return_inverse=True)
        block[self.faces] = number[:, None]
        count = int(number.max()) + 1
        low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
        np.minimum.at(low, number, self.vertices[self.faces].min(1))
        np.maximum.at(high, number, self.vertices[self.faces].max(1))
        longest = (high - low).max(1, keepdims=True)
        scale = longest / np.maximum(high - low, THINNEST * longest) * (WELD / self.weld)
        side = math.ceil(count ** (1 / 3))
        cell = 4.0 * np.stack(np.unravel_index(np.arange(count), (side, side, side)), 1)
        return low, scale, block, cell

    def uv_at(self, made: np.ndarray) -> np.ndarray:
        """Texture coordinates (T, 3, 2) of the triangles `made` (T, 3, 3), from the original ones that lie nearest.

        All corners of a triangle take theirs from one chart, a connected region of the texture: across a seam the
        texture would smear over the whole triangle.
        """
        chart = self._charts()
        nearest = cKDTree(self.points.mean(1)).query(made.mean(1))[1]
        # The chart as a fourth coordinate, far apart, keeps corners within it; a small pull to the middle of the
        # triangle chooses the side where a chart meets itself, as around a cylinder.
        far = 10 * float(np.linalg.norm(np.ptp(self.vertices, axis=0))) + 1.0
        pull = 0.1 * float(np.median(np.linalg.norm(self.points - np.roll(self.points, 1, axis=1), axis=2)))
        original = _pulled(self.points, pull).reshape(-1, 3)
        tree = cKDTree(np.column_stack([original, np.repeat(chart, 3) * far]))
        wanted = np.column_stack([_pulled(made, pull).reshape(-1, 3), np.repeat(chart[nearest], 3) * far])
        corner = tree.query(wanted)[1]
        # From that corner on along its triangle.
        triangle = corner // 3
        edges = np.stack([self.points[triangle, k] - self.points[triangle, 0] for k in (1, 2)], 1)
        turns = np.stack([self.uv[triangle, k] - self.uv[triangle, 0] for k in (1, 2)], 1)
        step = made.reshape(-1, 3) - self.points.reshape(-1, 3)[corner]
        along = np.einsum("nij,nj->ni", np.linalg.pinv(edges.transpose(0, 2, 1), rcond=1e-3), step)
        # No further than the triangle's own size: beyond, a sliver's direction means nothing.
        along = np.clip(along, -1, 1)
        return (self.uv.reshape(-1, 2)[corner] + np.einsum("ni,nij->nj", along, turns)).reshape(-1, 3, 2)

    def _charts(self) -> np.ndarray:
        """Number (T,) of each triangle's chart."""
        keys = np.column_stack([self.faces.reshape(-1), np.round(self.uv.reshape(-1, 2) * 4096).astype(np.int64)])
        _, vertex = np.unique(keys, axis=0, return_inverse=True)
        return components(vertex.reshape(-1, 3))


def components(faces: np.ndarray) -> np.ndarray:
    """Number (T,) of the connected component of each of the faces (T, 3)."""
    count = int(faces.max()) + 1
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = sparse.coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    return label[faces[:, 0]]


def _pulled(points: np.ndarray, distance: float) -> np.ndarray:
    """Corners (T, 3, 3) moved towards the middle of their triangle, at most half the way."""
    inward = points.mean(1, keepdims=True) - points
    length = np.linalg.norm(inward, axis=2, keepdims=True)
    return points + inward * np.minimum(distance / np.maximum(length, 1e-30), 0.5)


def _area(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)


def _forced(points: np.ndarray, target: int, weld: float) -> np.ndarray:
    """At most `target` of the triangles (T, 3, 3), whatever it costs."""
    if len(points) <= target:
        return points
    label = components(welded(points.reshape(-1, 3), weld)[1].reshape(-1, 3))
    loose = len(np.unique(label))
    foliage = loose >= LEAVES and len(points) < LEAF * loose
    return _thinned(points, label, target) if foliage else _clustered(points, target, weld)


def _clustered(points: np.ndarray, target: int, weld: float) -> np.ndarray:
    """Corners in one cell of a grid become one, in the coarsest grid that is needed."""
    cell = 100 * weld
    while True:
        _, vertex = welded(points.reshape(-1, 3), cell)
        total = np.bincount(vertex)[:, None]
        middle = np.stack([np.bincount(vertex, points[..., k].reshape(-1)) for k in range(3)], 1) / total
        faces = vertex.reshape(-1, 3)
        ordered = np.sort(faces, axis=1)
        whole = np.flatnonzero((ordered[:, 0] != ordered[:, 1]) & (ordered[:, 1] != ordered[:, 2]))
        _, first = np.unique(ordered[whole], axis=0, return_index=True)
        if len(first) <= target:
            return middle[faces[whole[np.sort(first)]]]
        cell *= 1.2


def _thinned(points: np.ndarray, label: np.ndarray, target: int) -> np.ndarray:
    """At most `target` triangles: the large ones of the loose parts, and an even choice of the small, which grow."""
    _, label, size = np.unique(label, return_inverse=True, return_counts=True)
    extent = np.bincount(label, _area(points))
    large = extent > 10 * np.median(extent)
    kept = np.zeros(len(size), bool)
    left = target
    for part in np.flatnonzero(large)[np.argsort(-extent[large], kind="stable")]:
        if size[part] <= left:
            kept[part] = True
            left -= size[part]
    small = np.flatnonzero(~large)
    share = min(1.0, left / max(size[small].sum(), 1))
    running = np.cumsum(size[small]) * share
    for part in small[np.floor(running) > np.floor(running - size[small] * share)]:
        if size[part] <= left:
            kept[part] = True
            left -= size[part]
    covered = extent[small][kept[small]].sum()
    growth = np.where(large, 1.0, min(math.sqrt(extent[small].sum() / max(covered, 1e-30)), MOST_GROWTH))
    stay = kept[label]
    points, label = points[stay], label[stay]
    summed = np.stack([np.bincount(label, points[..., k].sum(1), len(size)) for k in range(3)], 1)
    middle = (summed / (3 * size)[:, None])[label][:, None]
    return middle + growth[label][:, None, None] * (points - middle)
