"""Baked light: how much falls on every surface of a house, computed once, so that frames are drawn in milliseconds."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tst.errors import UserError
from tst.files import write_bytes
from tst.houses import light_rays
from tst.houses.light_samples import interpolate, light_samples, light_vertices, neighbours
from tst.houses.light_transport import Transport, albedo_of
from tst.houses.mesh import Material, Mesh, Texture
from tst.houses.scene import Lamp, Outside, Scene
from tst.houses.subdivide import subdivide

NEIGHBOURS = 20
"""Samples that soft light is averaged over."""
ALIGNED = 0.7
"""Least cosine between the normals of samples that are averaged."""
MIXED = 6
"""Samples that the light of a vertex is mixed from."""
HIDDEN = 0.1
"""Metres: a sample that sees no further (harmonic mean) lies behind or under something."""
HIDDEN_REACH = 0.4
CONTACT = 0.7
"""Share of its neighbours' light, from within `HIDDEN_REACH` metres, that a hidden sample takes."""


@dataclass(frozen=True, eq=False)
class BakedScene:
    """A scene with its light.

    Attributes:
        scene: the mesh is subdivided; the triangles of an instance are in one run.
        corner: int32 (T, 3), the light vertex of each corner.
        irradiance: float32 (V, 2, 3), linear RGB on both sides of a surface: 0 where its normal points, 1 behind.
    """

    scene: Scene
    corner: np.ndarray
    irradiance: np.ndarray

    def save(self, folder: str | Path) -> None:
        """Write the arrays as .npy files and the rest as `scene.json`, which comes last: then the folder is whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        scene, mesh = self.scene, self.scene.mesh
        textures: dict[int, Texture] = {}
        for material in mesh.materials:
            if material.texture is not None:
                textures.setdefault(id(material.texture), material.texture)
        arrays = {
            "points": mesh.points,
            "normals": mesh.normals,
            "uv": mesh.uv,
            "material": mesh.material,
            "instance": scene.instance,
            "semantic": scene.semantic,
            "occluders": scene.occluders,
            "corner": self.corner,
            "irradiance": self.irradiance,
            "texels": np.concatenate([t.pixels.reshape(-1) for t in textures.values()] or [np.zeros(0, np.uint8)]),
        }
        if scene.outside.panorama is not None:
            arrays["panorama"] = scene.outside.panorama
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        number = {key: place for place, key in enumerate(textures)}
        document = {
            "textures": [{"shape": t.pixels.shape, "size": t.size} for t in textures.values()],
            "materials": [
                {
                    **_fields(material, "texture"),
                    "texture": None if material.texture is None else number[id(material.texture)],
                }
                for material in mesh.materials
            ],
            "lamps": [asdict(lamp) for lamp in scene.lamps],
            "outside": _fields(scene.outside, "panorama"),
        }
        write_bytes(folder / "scene.json", json.dumps(document, default=float).encode())

    @classmethod
    def load(cls, folder: str | Path) -> "BakedScene":
        """Open what `save` wrote. Arrays stay in the file (memory-mapped, read-only): processes share them.

        Raises:
            UserError: a file is missing or damaged.
        """
        folder = Path(folder)
        try:
            return cls._load(folder, json.loads((folder / "scene.json").read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder}: not a whole baked scene ({error}). Delete the folder and bake it again."
            ) from None

    @classmethod
    def _load(cls, folder: Path, document: dict[str, Any]) -> "BakedScene":
        def array(name: str) -> np.ndarray:
            return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

        texels, start, textures = array("texels"), 0, []
        for texture in document["textures"]:
            stop = start + int(np.prod(texture["shape"]))
            textures.append(Texture(texels[start:stop].reshape(texture["shape"]), texture["size"]))
            start = stop
        materials = []
        for fields in document["materials"]:
            number = fields.pop("texture")
            texture = None if number is None else textures[number]
            materials.append(Material(**{**fields, "colour": tuple(fields["colour"]), "texture": texture}))
        panorama = array("panorama") if (folder / "panorama.npy").exists() else None
        outside = Outside(**{key: tuple(value) for key, value in document["outside"].items()}, panorama=panorama)
        lamps = tuple(Lamp(tuple(lamp["position"]), tuple(lamp["power"])) for lamp in document["lamps"])
        mesh = Mesh(array("points"), array("normals"), array("uv"), array("material"), tuple(materials))
        scene = Scene(mesh, array("instance"), array("semantic"), lamps, outside, array("occluders"))
        return cls(scene, array("corner"), array("irradiance"))


def _fields(record: Material | Outside, *without: str) -> dict[str, Any]:
    """The fields of a dataclass by name, arrays and other objects left as they are."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__ if name not in without}


def bake(
    scene: Scene, *, rays: int = 48, bounces: int = 3, spacing: float = 0.25, seed: int = 0, threads: int | None = None
) -> BakedScene:
    """Compute the light of lamps, sun and sky, and what surfaces hand on to each other.

    Args:
        scene: what is glowing, glass or gauze stops no light; panes let the sky in.
        rays: that each sample looks around with; lamps, sun and windows get a part of that each.
        bounces: how often light is handed on.
        spacing: metres; light is kept at least this densely.
        seed: of the rays' directions.
        threads: how many cores may be used; None = all.
    """
    rng = np.random.default_rng(seed)
    threads = threads or os.cpu_count() or 1
    is_pane = np.array([material.pane for material in scene.mesh.materials])
    pane = scene.mesh.points[is_pane[scene.mesh.material]]  # before it is cut up: each piece costs every sample time
    scene = subdivide(scene, spacing)
    samples = light_samples(scene.mesh, scene.instance)
    transport = Transport(scene, samples, pane, rays, rng)
    transport.trace(threads)
    albedo = np.array([albedo_of(material) for material in scene.mesh.materials])[samples.material]
    distance, index = neighbours(samples.place, samples.place, NEIGHBOURS, threads)
    # Not between the faces of a board: one may be in the sun, the other in the dark.
    aligned = np.einsum("skc,sc->sk", samples.normal[index], samples.normal)
    distance[aligned < ALIGNED] = np.inf
    near = (distance, index, transport.reach)
    soft = _smoothed(transport.soft, *near)
    for _ in range(bounces):
        soft = _smoothed(transport.soft + transport.handed_on(transport.sharp + soft, albedo, threads), *near)
    light = _uncovered(transport.sharp + soft, *near)
    place, corner = light_vertices(scene.mesh, scene.instance)
    irradiance = interpolate(light, *neighbours(samples.place, place, MIXED, threads))
    return BakedScene(scene, corner, irradiance)


def _smoothed(light: np.ndarray, distance: np.ndarray, index: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Few rays make neighbours differ by chance: average soft light (S, 2, 3) where it cannot change quickly."""
    out = np.empty_like(light)
    light_rays.smooth(light, distance, index, reach, 0, len(light), out)
    return out


def _uncovered(light: np.ndarray, distance: np.ndarray, index: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Give samples that lie hidden behind or under other things a part of their neighbours' light.

    They are dark, and the triangles between them and those in sight would be drawn half dark: a jagged seam.
    """
    hidden = reach < HIDDEN
    weight = np.maximum(0, 1 - distance / HIDDEN_REACH)[..., None] * ~hidden[index]
    total = weight.sum(1)
    around = (weight[..., None] * light[index]).sum(1) / np.maximum(total, 1e-9)[..., None]
    return np.where((hidden & (total > 0))[..., None], np.maximum(light, CONTACT * around), light)
