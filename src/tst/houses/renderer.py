"""Frames of a baked house, every modality of a pixel from the same ray.

A frame is sampled on a lattice with a sample at every pixel's centre and, with 2 samples a pixel and axis, others half
a pixel apart: depth, normals and labels come from the centres, colour is the average of the samples around them
(weights 1 2 1).

Compiled code is cached beside the source, or in the user's cache folder where that is read-only; where neither can be
written (a container without a home), set NUMBA_CACHE_DIR to a folder that can.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tst.houses.appearance import appearance_of
from tst.houses.colour import srgb_of
from tst.houses.film import automatic_exposure, develop, expose, fill_between
from tst.houses.light import BakedScene
from tst.houses.rasterise import Lens, Pose, Samples, geometry_of, rasterise
from tst.houses.scene import NO_CLASS
from tst.houses.shading import Surface, shade
from tst.houses.sky import sky_of
from tst.space.camera import Camera

Arrays = TypeVar("Arrays", bound=tuple)


@dataclass(frozen=True, eq=False)
class View:
    """One frame.

    Attributes:
        rgb: uint8 (H, W, 3), sRGB.
        depth: float32 (H, W), metres along the camera's z axis; 0 where nothing is.
        normals: float32 (H, W, 3) in camera axes (x right, y down, z forward), unit length, on the camera's side of the
            surface (normal . ray < 0); 0 where nothing is.
        semantic: uint8 (H, W), 255 where nothing is.
        instance: uint16 (H, W), 0 where nothing is.
    """

    rgb: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray


class Renderer:
    """Draws one house with one camera.

    Args:
        baked: the house.
        camera: any intrinsics and resolution.
        samples: for each pixel and axis, 1 or 2 (anti-aliased).
    """

    def __init__(self, baked: BakedScene, camera: Camera, *, samples: int = 2) -> None:
        assert samples in (1, 2), samples
        scene, mesh = baked.scene, baked.scene.mesh
        self.camera = camera
        material = _array(mesh.material, np.int32)
        instance = _array(scene.instance, np.uint16)
        self.instance, self.semantic = instance, _array(scene.semantic, np.uint8)
        geometry = geometry_of(_array(mesh.points, np.float32), _array(mesh.uv, np.float32), material, instance)
        surface = Surface(
            _array(mesh.normals, np.float32), _array(baked.corner, np.int32), _array(baked.irradiance, np.float32)
        )
        look, sky = appearance_of(mesh.materials), sky_of(scene.outside)
        self.world = (_locked(geometry), _locked(surface), _locked(look), _locked(sky))
        # Pixel x has its centre at x + 0.5, which is sample pitch * (x + 1) - 1.
        offset = samples - 1 - samples * 0.5
        self.lens = Lens(
            float(camera.fx * samples),
            float(camera.fy * samples),
            float(camera.cx * samples + offset),
            float(camera.cy * samples + offset),
        )
        shape = (samples * camera.height + samples - 1, samples * camera.width + samples - 1)
        self.samples = Samples(np.empty(shape, np.float32), np.empty(shape, np.int32), samples)
        self.colour = np.empty((*shape, 3), np.float32)
        self.centres = np.arange(self.colour[..., 0].size, dtype=np.int32).reshape(shape)[samples - 1 :: samples]
        self.centres = np.ascontiguousarray(self.centres[:, samples - 1 :: samples]).reshape(-1)
        self.between = np.empty(self.colour[..., 0].size, np.int32)
        self.srgb = np.rint(srgb_of(np.linspace(0, 1, 8192)) * 255).astype(np.uint8)

    def render(self, pose: np.ndarray, exposure: float | None = None) -> View:
        """Draw a frame.

        Args:
            pose: (4, 4) camera-to-world, OpenCV camera axes, metres.
            exposure: radiance is multiplied by it; None = chosen from the frame, as a phone camera does.
        """
        pose = np.asarray(pose, np.float64)
        place = Pose(*(tuple(pose[:3, k].tolist()) for k in range(4)))
        shape = (self.camera.height, self.camera.width)
        rgb, depth, normals = (
            np.empty((*shape, 3), np.uint8),
            np.empty(shape, np.float32),
            np.empty((*shape, 3), np.float32),
        )
        colour = self.colour.reshape(-1, 3)
        geometry, _, look, _ = self.world
        rasterise(geometry, look, place, self.lens, self.samples)
        frame = (*self.world, place, self.lens, self.samples)
        shade(*frame, self.centres, colour, depth.reshape(-1), normals.reshape(-1, 3))
        if exposure is None:
            exposure = automatic_exposure(colour[self.centres])
        expose(colour, self.centres, float(exposure))
        if self.samples.pitch > 1:
            left = self.between[: fill_between(self.samples.triangle, colour, self.between)]
            shade(*frame, left, colour, np.empty(len(left), np.float32), np.empty((len(left), 3), np.float32))
            expose(colour, left, float(exposure))
        develop(self.colour, self.samples.pitch, self.srgb, rgb)
        triangle = self.samples.triangle.reshape(-1)[self.centres].reshape(shape)
        seen = triangle >= 0
        semantic = np.where(seen, self.semantic[triangle], np.uint8(NO_CLASS))
        return View(rgb, depth, normals, semantic, np.where(seen, self.instance[triangle], np.uint16(0)))


def _array(values: np.ndarray, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(values), dtype)


def _locked(arrays: Arrays) -> Arrays:
    """The same arrays, read-only: memory-mapped ones are, and compiled code is made anew for each kind of array."""
    views = [value.view() if isinstance(value, np.ndarray) else value for value in arrays]
    for view in views:
        if isinstance(view, np.ndarray):
            view.flags.writeable = False
    return type(arrays)(*views)
