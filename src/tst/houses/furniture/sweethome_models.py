"""Models of Sweet Home 3D libraries as pieces: axes, size, materials, fewer triangles, supports and light."""

import io
import posixpath
import warnings
from dataclasses import replace

import numpy as np
from PIL import Image

from tst.errors import UserError
from tst.houses.decimation import crease_normals, decimate
from tst.houses.furniture.piece import Piece, Support
from tst.houses.furniture.supports import find_supports
from tst.houses.furniture.sweethome_archive import Archive, Model
from tst.houses.mesh import Material, Mesh, Texture
from tst.houses.wavefront import Wavefront, WavefrontMaterial, read_obj

TRIANGLES = 5000
TEXTURE_SIDE = 256
MOST_PIXELS = 64 * 2**20
MOST_REPEATS = 500
"""Of a texture on one triangle; some files have memory never written to where texture coordinates belong."""
UNSEEN = 0.15
"""Opacity below which a surface is not drawn."""
GLASS = 0.5
"""Least opacity of models that are mostly glass: from here on a pixel's depth and label are the glass's."""
LAMP_GLOW = 2.0

CARRIERS = frozenset(
    {
        *("bedside table", "dresser", "desk", "bench", "coffee table", "dining table", "bookcase", "shelf", "tv stand"),
        *("kitchen cabinet", "kitchen sink", "stove", "refrigerator", "washing machine", "dishwasher", "washbasin"),
        *("bed", "sofa", "armchair", "piano"),
    }
)
"""Categories on which things may stand."""
LAMPS = {"floor lamp": 0.85, "table lamp": 0.75, "ceiling lamp": 0.3}
"""Height of the light as a share of the lamp's, where the catalogue does not tell."""
WALL_HUNG = frozenset({"washbasin", "radiator"})
"""Some stand and some hang; all are placed from the floor, so the gap below belongs to the piece."""
TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From right, up, front to right, back, up."""


def piece_of(archive: Archive, model: Model, category: str) -> Piece:
    """Convert one model.

    Raises:
        UserError: its file is missing, damaged or of another format, or it has nothing to see.
    """
    if not model.path.lower().endswith(".obj"):
        raise UserError(f"{model.name}: {model.path} is not an OBJ file. Convert the model to OBJ.")
    data = archive.read(model.path)
    if data is None:
        raise UserError(f"{model.name}: {model.path} is not in {archive.file}. Download the library again.")
    folder = posixpath.dirname(model.path)
    source = read_obj(data, model.path, lambda file: archive.read(posixpath.join(folder, file)))
    mesh = _seen(_standing(source, model, _materials(archive, folder, source)))
    size = np.ptp(mesh.bounds, axis=0)
    mesh = _fitted(decimate(mesh, TRIANGLES), size)
    if category in WALL_HUNG:
        mesh = mesh.moved(z=model.elevation)
        size = size + np.array([0, 0, model.elevation])
    light = _light(mesh, model, category)
    if light is not None:
        mesh = _glowing(mesh, np.array(light))
    supports: tuple[Support, ...] = find_supports(mesh) if category in CARRIERS else ()
    return Piece(
        category,
        f"{model.name} ({model.id})",
        mesh,
        (float(size[0]), float(size[1]), float(size[2])),
        supports,
        light,
        model.creator,
        model.licence,
        frozenset({"hangs"} if model.elevation > 0 else ()),
    )


def _standing(source: Wavefront, model: Model, materials: tuple[Material, ...]) -> Mesh:
    """In our axes and of the catalogue's size, wound so that the file's normals are outward."""
    turn = TO_Z_UP @ model.rotation
    points = source.points @ turn.T
    extent = np.ptp(points.reshape(-1, 3), axis=0)
    wanted = np.array(model.size)
    if not np.isfinite(extent).all() or extent.max() <= 0:
        raise UserError(f"{model.name}: {model.path} has no extent. Export the model again.")
    # Flat along an axis: nothing to stretch.
    scale = np.where(extent > 1e-6 * extent.max(), wanted / np.maximum(extent, 1e-300), 1.0)
    points = (points - points.reshape(-1, 3).min(0)) * scale
    normals = source.normals @ turn.T / scale
    cross = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    backwards = np.einsum("tk,tk->t", cross, normals.sum(1)) < 0
    order = np.where(backwards[:, None], [0, 2, 1], [0, 1, 2])
    rows = np.arange(len(points))[:, None]
    points, normals, uv = points[rows, order], normals[rows, order], source.uv[rows, order]
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    if (length < 1e-9).any():
        smooth = crease_normals(points, 1e-5 * float(np.linalg.norm(wanted)))
        normals, length = np.where(length < 1e-9, smooth, normals), np.where(length < 1e-9, 1.0, length)
    uv = uv - np.floor(uv.min(1, keepdims=True))  # whole repetitions mean nothing and cost precision
    uv[uv.max((1, 2)) > MOST_REPEATS] = 0
    mesh = Mesh(
        points.astype(np.float32),
        (normals / length).astype(np.float32),
        uv.astype(np.float32),
        source.material.astype(np.int32),
        materials,
    )
    return _fitted(mesh, np.ptp(mesh.bounds, axis=0))


def _fitted(mesh: Mesh, size: np.ndarray) -> Mesh:
    """Stretched to `size`, the middle of its footprint at the origin."""
    extent = np.ptp(mesh.bounds, axis=0)
    factors = np.where(extent > 1e-9, size / np.maximum(extent, 1e-9), 1.0)
    mesh = mesh.scaled(*map(float, factors))
    low, high = mesh.bounds
    middle = (low + high) / 2
    return mesh.moved(-float(middle[0]), -float(middle[1]), -float(low[2]))


def _seen(mesh: Mesh) -> Mesh:
    """Without slivers and what cannot be seen; what is mostly glass has enough of it to be seen."""
    opacity = np.array([material.opacity for material in mesh.materials])[mesh.material]
    cross = np.cross(mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0])
    area = np.linalg.norm(cross, axis=1)
    keep = (opacity >= UNSEEN) & (area > 1e-10)
    if not keep.any():
        raise UserError("a model has nothing to see. Give its materials some opacity.")
    used, material = np.unique(mesh.material[keep], return_inverse=True)
    materials = tuple(mesh.materials[k] for k in used)
    if area[keep & (opacity < GLASS)].sum() > 0.4 * area[keep].sum():
        materials = tuple(replace(material, opacity=max(material.opacity, GLASS)) for material in materials)
    return Mesh(mesh.points[keep], mesh.normals[keep], mesh.uv[keep], material.astype(np.int32), materials)


def _materials(archive: Archive, folder: str, source: Wavefront) -> tuple[Material, ...]:
    textures: dict[str, Texture | None] = {}
    made = []
    for material in source.materials:
        texture = None
        if material.texture is not None:
            if material.texture not in textures:
                textures[material.texture] = _texture(archive, folder, material)
            texture = textures[material.texture]
        # Black times a texture is a mistake of the export.
        colour = (1.0, 1.0, 1.0) if texture is not None and max(material.colour) == 0 else material.colour
        made.append(Material(colour, texture, material.gloss, material.opacity))
    return tuple(made)


def _texture(archive: Archive, folder: str, material: WavefrontMaterial) -> Texture | None:
    """None where it is missing or damaged: the material's colour stands in."""
    path = (material.texture or "").replace("\\", "/")
    file = posixpath.basename(path)
    data = None
    try:
        # Some were exported with the whole path on their author's machine, or from a name with blanks in it.
        for name in (path, file, *file.split()[-1:]):
            data = data or archive.read(posixpath.join(folder, name))
    except UserError:
        return None
    pixels = None if data is None else read_texture(data)
    return None if pixels is None else Texture(pixels)


def read_texture(data: bytes) -> np.ndarray | None:
    """A picture as uint8 (H, W, 3) or, if it has holes, (H, W, 4), no side above `TEXTURE_SIDE`; None if damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked here; the rest is up to the library's author
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                whole = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    scale = min(1.0, TEXTURE_SIDE / max(whole.size))
    side = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
    if side != whole.size:
        whole = whole.resize(side, Image.Resampling.BOX)
    pixels = np.array(whole)
    hole = pixels[..., 3] < 128
    if not hole.any() or hole.all():
        return pixels[..., :3].copy()
    # What lies in the holes shows at their rims when the texture is filtered.
    pixels[hole, :3] = pixels[~hole, :3].mean(0).astype(np.uint8)
    return pixels


def _light(mesh: Mesh, model: Model, category: str) -> tuple[float, float, float] | None:
    if category not in LAMPS:
        return None
    low, high = mesh.bounds.astype(float)
    if model.light is None:
        return 0.0, 0.0, float(LAMPS[category] * high[2])
    place = np.array(model.light) - [model.size[0] / 2, model.size[1] / 2, 0]
    x, y, z = np.clip(place, low, high)
    return float(x), float(y), float(z)


def _glowing(mesh: Mesh, light: np.ndarray) -> Mesh:
    """With the pale material nearest to the light, its shade or bulb, glowing."""
    cross = np.cross(mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0])
    distance = np.linalg.norm(mesh.points.mean(1) - light, axis=1)
    weight = np.linalg.norm(cross, axis=1) / np.maximum(distance, 0.02) ** 2
    share = np.bincount(mesh.material, weight, len(mesh.materials))
    share *= [max(material.colour) > 0.4 for material in mesh.materials]
    if share.max() <= 0:
        return mesh
    index = int(share.argmax())
    shade = mesh.materials[index]
    glowing = replace(shade, gloss=0.0, glow=LAMP_GLOW)
    materials = tuple(glowing if k == index else material for k, material in enumerate(mesh.materials))
    return replace(mesh, materials=materials)
