"""Light travelling in a house: rays from the samples, several threads at a time.

Shape letters: S samples, K rays of a hemisphere.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from tst.houses import light_rays
from tst.houses.colour import LINEAR_OF_BYTE, linear_of
from tst.houses.light_rays import Panes, Rays
from tst.houses.light_samples import LightSamples
from tst.houses.mesh import Material
from tst.houses.scene import Scene
from tst.houses.sky import sky_of

BLOCK = 2048
LAMP_RADIUS = 0.08
SUN_RADIUS = 0.03
"""Radians; wider than the true sun, so that the edge of its light is about as wide as light is dense."""
MOST_ALBEDO = 0.85
"""No surface gives back more, or light would hardly die out in a white room."""


def albedo_of(material: Material) -> np.ndarray:
    """The share of light that a surface gives back on average, linear RGB float32 (3,)."""
    colour = linear_of(np.array(material.colour))
    if material.texture is not None:
        pixels = material.texture.pixels.reshape(-1, material.texture.pixels.shape[2])
        colour = colour * LINEAR_OF_BYTE[pixels[:, :3]].mean(0, dtype=np.float32)
    return np.minimum(colour, MOST_ALBEDO)


def _stops_light(material: Material) -> bool:
    pixels = None if material.texture is None else material.texture.pixels
    cover = 1.0 if pixels is None or pixels.shape[2] == 3 else float((pixels[..., 3] >= 128).mean())
    return not material.pane and material.glow <= 0 and material.opacity * cover >= 0.5


class Transport:
    """What can be asked about the light in one scene.

    Attributes:
        sharp: float32 (S, 2, 3), irradiance from lamps and sun; `trace` fills all.
        soft: float32 (S, 2, 3), irradiance from the sky.
        target: int32 (S, 2, K), what each hemisphere ray meets: 2 x sample + side, or `light_rays.BARRED`.
        reach: float32 (S, 2), harmonic mean of the distances of what a sample sees.
    """

    def __init__(
        self, scene: Scene, samples: LightSamples, pane: np.ndarray, rays: int, rng: np.random.Generator
    ) -> None:
        mesh = scene.mesh
        self.scene, self.samples, self.rays = scene, samples, rays
        stops = np.array([_stops_light(material) for material in mesh.materials])
        self.solid = np.flatnonzero(stops[mesh.material]).astype(np.int32)
        self.solids = _embree(np.concatenate([mesh.points[self.solid], scene.occluders.reshape(-1, 3, 3)]))
        self.panes = _panes(pane)
        self.windows = _embree(self.panes.corners)
        self.sky = sky_of(scene.outside)
        self.chance = rng.random(len(samples.points), np.float32)
        self.pattern = light_rays.hemisphere(rays)
        self.pane_count = max(1, rays // 4)
        spread = light_rays.hemisphere(max(1, rays // 8)) * [1, 1, -1]
        self.lamp_offsets = (LAMP_RADIUS * spread).astype(np.float32)
        self.lamps = np.array([lamp.position for lamp in scene.lamps], np.float32).reshape(-1, 3)
        self.powers = np.array([lamp.power for lamp in scene.lamps], np.float32).reshape(-1, 3)
        suns = np.array(scene.outside.sun_direction) + SUN_RADIUS * rng.normal(size=(max(1, rays // 8), 3))
        self.suns = (suns / np.linalg.norm(suns, axis=1, keepdims=True)).astype(np.float32)
        self.sun = np.array(scene.outside.sun, np.float32)
        count = len(samples.points)
        self.sharp, self.soft = np.zeros((count, 2, 3), np.float32), np.zeros((count, 2, 3), np.float32)
        self.target = np.empty((count, 2, rays), np.int32)
        self.reach = np.empty((count, 2), np.float32)

    def trace(self, threads: int) -> None:
        """Follow all rays. The number of threads does not change the result."""
        each_block(self._trace_block, len(self.soft), threads)

    def handed_on(self, light: np.ndarray, albedo: np.ndarray, threads: int) -> np.ndarray:
        """Irradiance (S, 2, 3) by what surfaces give back under the irradiance `light`; `albedo` (S, 3)."""
        radiosity = (light * albedo[:, None]).reshape(-1, 3)
        target, out = self.target.reshape(len(radiosity), -1), np.empty_like(radiosity)
        each_block(lambda start, stop: light_rays.gather(target, radiosity, start, stop, out), len(out), threads)
        return out.reshape(light.shape)

    def _trace_block(self, start: int, stop: int) -> None:
        place = (self.samples.points, self.samples.normal)
        most = max(len(self.lamps) * len(self.lamp_offsets), len(self.suns), self.pane_count)
        buffer = light_rays.ray_buffer((stop - start) * most)
        for side, sign in enumerate((1.0, -1.0)):
            self._look_around(start, stop, side, sign)
            lamps = (self.lamps, self.powers, self.lamp_offsets)
            self._add(buffer, light_rays.lamp_rays(*place, sign, *lamps, start, stop, buffer), side)
            if self.sun.any():
                self._add(buffer, light_rays.sun_rays(*place, sign, self.suns, self.sun, start, stop, buffer), side)
            if len(self.panes.area):
                count = light_rays.pane_rays(
                    *place, sign, self.panes, self.sky, self.chance, self.pane_count, start, stop, buffer
                )
                self._add(buffer, count, side, through_pane=True)

    def _look_around(self, start: int, stop: int, side: int, sign: float) -> None:
        samples, count = self.samples, (stop - start) * self.rays
        origin, direction = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
        light_rays.hemisphere_rays(
            samples.points, samples.normal, sign, self.chance, self.pattern, start, stop, origin, direction
        )
        met = self.solids.run(origin, direction, output=True)
        target, reach = np.empty(count, np.int32), np.empty(stop - start, np.float32)
        light_rays.targets(
            met["primID"], met["u"], met["v"], met["tfar"], direction,
            self.solid, samples.corner, samples.normal, self.rays, target, reach,
        )  # fmt: skip
        self.target[start:stop, side], self.reach[start:stop, side] = target.reshape(-1, self.rays), reach
        open_air = np.flatnonzero(met["primID"] < 0)
        if len(open_air):  # the sky in a window is counted by the rays through its pane
            glazed = self.windows.run(origin[open_air], direction[open_air], query="OCCLUDED") >= 0
            light_rays.add_sky(self.sky, direction, open_air[~glazed], self.rays, start, side, self.soft)

    def _add(self, rays: Rays, count: int, side: int, through_pane: bool = False) -> None:
        if not count:
            return
        origin, direction = rays.origin[:count], rays.direction[:count]
        free = self.solids.run(origin, direction, dists=rays.distance[:count], query="OCCLUDED") < 0
        if (
            through_pane
        ):  # a pane of two faces, or one behind another, would let the same sky in twice: the first counts
            rows = np.flatnonzero(free)
            free[rows] = self.windows.run(origin[rows], direction[rows], query="INTERSECT") == rays.pane[rows]
        light_rays.add_light(rays, count, free, side, self.soft if through_pane else self.sharp)


def each_block(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Call `work(start, stop)` for blocks of rows, in several threads."""
    starts = range(0, count, BLOCK)
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda start: work(start, min(start + BLOCK, count)), starts):
            pass


def _embree(triangles: np.ndarray) -> EmbreeScene:
    scene = EmbreeScene(robust=True)
    if len(triangles) == 0:  # an empty scene answers nothing; a far speck makes it one that is never hit
        triangles = np.full((1, 3, 3), 1e6, np.float32) + np.eye(3, dtype=np.float32)
    TriangleMesh(scene, np.ascontiguousarray(triangles, np.float32))
    return scene


def _panes(corners: np.ndarray) -> Panes:
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(cross, axis=1)
    return Panes(np.ascontiguousarray(corners), cross / np.maximum(length, 1e-12)[:, None], length / 2)
