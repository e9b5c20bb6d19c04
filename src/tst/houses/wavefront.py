"""Wavefront OBJ and MTL: triangles with normals, texture coordinates and materials, read from bytes.

Axes and units are the file's own. Shape letters: T triangles, 3 corners of a triangle (first) or coordinates (last).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tst.errors import UserError
from tst.houses.mesh import Colour

ReadFile = Callable[[str], bytes | None]
"""A file that an OBJ names, by the name as written there; None if there is none."""

MOST_GLOSS = 0.4
"""Phong highlights of old models are far stronger than their materials'."""

MOST_CORNERS = 400
"""Of a concave polygon that is cut properly: the time grows with their cube."""


@dataclass(frozen=True)
class WavefrontMaterial:
    """One material of an MTL file.

    Attributes:
        colour: diffuse, sRGB.
        gloss: 0 to 1.
        opacity: 1 = solid.
        texture: file name of the diffuse texture as written.
    """

    colour: Colour = (0.8, 0.8, 0.8)
    gloss: float = 0.0
    opacity: float = 1.0
    texture: str | None = None


@dataclass(frozen=True, eq=False)
class Wavefront:
    """The triangles of an OBJ file.

    Attributes:
        points: float64 (T, 3, 3).
        normals: float64 (T, 3, 3), as in the file; zero where it has none.
        uv: float64 (T, 3, 2), v up; zero where the file has none.
        material: int64 (T,), index into `materials`.
        materials: those that are used.
    """

    points: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: tuple[WavefrontMaterial, ...]


def read_obj(data: bytes, name: str, read_file: ReadFile) -> Wavefront:
    """Read an OBJ file. Polygons are cut into triangles; lines and points are left out.

    Args:
        data: the file.
        name: of the file, for messages.
        read_file: gives its MTL files. A missing one leaves its materials grey.

    Raises:
        UserError: a number is damaged or not finite, a face names a vertex that is not there, or there are no faces.
    """
    numbers: dict[bytes, list[bytes]] = {b"v": [], b"vt": [], b"vn": []}
    counts = {b"v": 0, b"vt": 0, b"vn": 0}
    widths = {b"v": 3, b"vt": 2, b"vn": 3}
    corners: list[bytes] = []
    faces: list[tuple[int, int, int, int, int]] = []  # corners, material, vertices so far (v, vt, vn)
    material_names: dict[str, int] = {}
    known: dict[str, WavefrontMaterial] = {}
    current = 0
    for line in _lines(data):
        words = line.split()
        keyword = words[0]
        if keyword in numbers:
            width = widths[keyword]
            values = words[1 : 1 + width]
            if keyword == b"vt" and len(values) == 1:
                values.append(b"0")
            if len(values) != width:
                raise _broken(name, f"the line {_shown(line)} has too few numbers")
            numbers[keyword] += values
            counts[keyword] += 1
        elif keyword == b"f":
            if not material_names:
                material_names[""] = 0
            if len(words) > 3:
                corners += words[1:]
                faces.append((len(words) - 1, current, counts[b"v"], counts[b"vt"], counts[b"vn"]))
        elif keyword == b"usemtl":
            current = material_names.setdefault(_text(line[6:]), len(material_names))
        elif keyword == b"mtllib":
            for file in dict.fromkeys([_text(line[6:]), *map(_text, words[1:])]):
                text = read_file(file)
                if text is not None:
                    known.update(read_mtl(text))
    if not faces:
        raise _broken(name, "it has no faces")

    vertices = _numbers(name, numbers[b"v"], 3)
    if not np.isfinite(vertices).all():
        raise _broken(name, "a vertex is not a finite number")
    uv = np.nan_to_num(_numbers(name, numbers[b"vt"], 2), posinf=0.0, neginf=0.0)
    normals = np.nan_to_num(_numbers(name, numbers[b"vn"], 3), posinf=0.0, neginf=0.0)

    face = np.array(faces, np.int64)
    sizes = np.array([len(vertices), len(uv), len(normals)])
    index = _indices(name, corners, np.repeat(face[:, 2:], face[:, 0], axis=0), sizes)
    triangles = _triangulated(face[:, 0], vertices[index[:, 0]])
    corner = index[triangles]
    material = np.repeat(face[:, 1], face[:, 0] - 2)
    used, material = np.unique(material, return_inverse=True)
    names = list(material_names)
    return Wavefront(
        vertices[corner[..., 0]],
        _gathered(normals, corner[..., 2]),
        _gathered(uv, corner[..., 1]),
        material,
        tuple(known.get(names[k], WavefrontMaterial()) for k in used),
    )


def read_mtl(data: bytes) -> dict[str, WavefrontMaterial]:
    """The materials of an MTL file by name. Damaged lines are left out: a colour is no reason to lose a model."""
    materials: dict[str, WavefrontMaterial] = {}
    name = ""
    specular, exponent = 0.0, 0.0
    for line in _lines(data):
        words = line.split()
        keyword = words[0].lower()
        if keyword == b"newmtl":
            name, specular, exponent = _text(line[6:]), 0.0, 0.0
            materials[name] = WavefrontMaterial()
            continue
        if name not in materials:
            continue
        if keyword == b"map_kd" and len(words) > 1:
            # Options such as `-s 1 1 1` come before the name; without any, the name may have spaces in it.
            file = words[-1] if words[1].startswith(b"-") else line[6:]
            materials[name] = replace(materials[name], texture=_text(file))
            continue
        values = _floats(words[1:])
        if not values:
            continue
        if keyword == b"kd" and len(values) == 3:
            red, green, blue = (min(max(value, 0.0), 1.0) for value in values)
            materials[name] = replace(materials[name], colour=(red, green, blue))
        elif keyword in (b"d", b"tr"):
            opacity = values[0] if keyword == b"d" else 1 - values[0]
            materials[name] = replace(materials[name], opacity=min(max(opacity, 0.0), 1.0))
        elif keyword in (b"ks", b"ns"):
            if keyword == b"ks":
                specular = max(values)
            else:
                exponent = values[0]
            gloss = min(max(specular * min(exponent, 128.0) / 128, 0.0), MOST_GLOSS)
            materials[name] = replace(materials[name], gloss=gloss)
    return materials


def _lines(data: bytes) -> list[bytes]:
    joined = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith(b"#")]


def _text(name: bytes) -> str:
    try:
        return name.strip().decode()
    except UnicodeDecodeError:
        return name.strip().decode("latin-1")


def _shown(line: bytes) -> str:
    return repr(line[:40].decode("latin-1"))


def _broken(name: str, what: str) -> UserError:
    return UserError(f"{name}: {what}. Export the model again.")


def _floats(words: Sequence[bytes]) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def _numbers(name: str, words: list[bytes], width: int) -> np.ndarray:
    try:
        return np.array(words, np.float64).reshape(-1, width)
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise _broken(name, f"{_shown(wrong)} is not a number") from None


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _indices(name: str, corners: list[bytes], so_far: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Indices from 0 of vertex, texture coordinate and normal of each corner, (N, 3); -1 for none."""
    # `a`, `a/b`, `a//c` and `a/b/c` all become three numbers, 0 for what is left out.
    parts = [(corner.replace(b"//", b"/0/") + b"/0/0").split(b"/")[:3] for corner in corners]
    try:
        written = np.array(parts, np.int64)
    except (ValueError, OverflowError):
        raise _broken(name, "a face has an index that is not a whole number") from None
    # They count from 1, negative ones back from the last vertex before the face.
    index = np.where(written < 0, so_far + written, written - 1)
    absent = written == 0
    absent[:, 0] = False
    wrong = ~absent & ((index < 0) | (index >= sizes))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        what = ("vertex", "texture coordinate", "normal")[column]
        raise _broken(name, f"a face names {what} {written[row, column]} of {sizes[column]}")
    return np.where(absent, -1, index)


def _triangulated(sizes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Places of the corners of each triangle, (T, 3), for polygons of `sizes` corners that follow each other.

    A polygon of n corners gives n - 2 triangles: a fan, or cut-off ears where it is concave.
    """
    start = np.cumsum(sizes) - sizes
    polygon = np.repeat(np.arange(len(sizes)), sizes - 2)
    first = np.cumsum(sizes - 2) - (sizes - 2)
    step = np.arange(len(polygon)) - first[polygon]
    triangles = start[polygon][:, None] + np.stack([np.zeros_like(step), step + 1, step + 2], 1)
    # Only a concave polygon has triangles of its fan on both sides.
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    total = np.add.reduceat(normal, first)
    turned = np.einsum("tk,tk->t", normal, total[polygon]) < -1e-9 * np.einsum("pk,pk->p", total, total)[polygon]
    for index in np.unique(polygon[turned & (sizes[polygon] <= MOST_CORNERS)]):
        low, size = start[index], sizes[index]
        ears = _ears(points[low : low + size], total[index])
        triangles[first[index] : first[index] + size - 2] = low + ears
    return triangles


def _ears(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Triangles (N - 2, 3) of one concave polygon (N, 3), by cutting ears off."""
    keep = [axis for axis in range(3) if axis != int(np.abs(normal).argmax())]
    x, y = points[:, keep].T.tolist()

    def side(i: int, j: int, k: int) -> float:
        return (x[j] - x[i]) * (y[k] - y[i]) - (y[j] - y[i]) * (x[k] - x[i])

    ring = list(range(len(points)))
    area = sum(x[i] * y[j] - x[j] * y[i] for i, j in zip(ring, ring[1:] + ring[:1], strict=True))
    sign = 1.0 if area > 0 else -1.0
    ears = []
    while len(ring) > 3:
        for place in range(len(ring)):
            i, j, k = ring[place - 1], ring[place], ring[(place + 1) % len(ring)]
            if sign * side(i, j, k) <= 0:
                continue
            others = (m for m in ring if m not in (i, j, k))
            if all(min(sign * side(i, j, m), sign * side(j, k, m), sign * side(k, i, m)) <= 0 for m in others):
                break
        else:
            place = 0  # a polygon that crosses itself: any cut will do
            i, j, k = ring[-1], ring[0], ring[1]
        ears.append((i, j, k))
        del ring[place]
    return np.array([*ears, ring])


def _gathered(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """`values[index]`, zero where the index is -1."""
    padded = np.concatenate([values, np.zeros((1, values.shape[1]))])
    return padded[index]
