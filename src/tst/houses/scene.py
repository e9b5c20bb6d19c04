"""A house as the renderer sees it: all its triangles with class and instance, its lamps, sun and sky.

World axes: z up, metres, the floor at z = 0. Light is linear RGB.
"""

from dataclasses import dataclass

import numpy as np

from tst.houses.mesh import Mesh

NO_CLASS = 255
"""Semantic label of what has no class: the world outside."""


@dataclass(frozen=True)
class Lamp:
    """A point light: `position` (3,) metres; `power` (3,) radiant intensity, linear RGB (1 lights 1 m away by 1)."""

    position: tuple[float, float, float]
    power: tuple[float, float, float]


@dataclass(frozen=True)
class Outside:
    """Daylight and the view.

    Attributes:
        sun_direction: points to the sun, unit length.
        sun: irradiance on a surface that faces the sun, linear RGB.
        zenith, horizon, ground: radiance of sky and ground, linear RGB; the sky goes from one to the other.
        panorama: uint8 (H, 2H, 3) sRGB, equirectangular, what window panes show: row 0 is up, the middle row
            the horizon, the column (azimuth / 2 pi) from +x counter-clockwise seen from above. None shows sky and
            ground alone.
    """

    sun_direction: tuple[float, float, float]
    sun: tuple[float, float, float]
    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    ground: tuple[float, float, float]
    panorama: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything there is to see.

    Attributes:
        mesh: T triangles, those of one instance in one run.
        instance: uint16 (T,), 0 = none (walls, floors, ceilings have numbers of their own too).
        semantic: uint8 (T,), index into `categories.CLASSES`.
        lamps: point lights.
        outside: sky and sun.
        occluders: float32 (O, 3, 3), triangles that stop light and are never seen: behind walls, above ceilings,
            so that no light leaks in along their edges.
    """

    mesh: Mesh
    instance: np.ndarray
    semantic: np.ndarray
    lamps: tuple[Lamp, ...]
    outside: Outside
    occluders: np.ndarray
