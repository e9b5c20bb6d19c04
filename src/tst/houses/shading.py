"""What a sample looks like: its radiance and normal. Compiled.

Radiance is linear RGB. Shape letters: T triangles, V light vertices, N samples.
Arrays are taken out of their records once a frame: each mention of `record.array` in a loop costs a locked instruction.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tst.houses.appearance import Appearance, texture_at
from tst.houses.rasterise import Geometry, Lens, Pose, Samples, dot, planes_of, to_camera
from tst.houses.sky import Sky, Vector, outside_radiance

GRAZING = 1e-3
"""Least cosine between a normal and the direction to the camera."""
PANE_REFLECTION = 0.04


class Surface(NamedTuple):
    """What triangles carry: normals float32 (T, 3, 3), corner int32 (T, 3), irradiance float32 (V, 2, 3)."""

    normals: np.ndarray
    corner: np.ndarray
    irradiance: np.ndarray


class Point(NamedTuple):
    """A point on a triangle.

    Attributes:
        shares: of the triangle's corners, summing to 1.
        depth: along the camera's z.
        ray: from the camera, in world axes, of length 1 along the camera's z.
        normal: towards the camera, in world axes, unit length.
        side: 0 if the triangle's own normal is on the camera's side, else 1.
        cosine: between the ray and the flat triangle's normal.
        towards: between the ray and `normal`.
    """

    shares: Vector
    depth: float
    ray: Vector
    normal: Vector
    side: int
    cosine: float
    towards: float


@njit(cache=True, nogil=True, error_model="numpy")
def shade(
    geometry: Geometry, surface: Surface, look: Appearance, sky: Sky, pose: Pose, lens: Lens, samples: Samples,
    wanted: np.ndarray, radiance: np.ndarray, depth: np.ndarray, normals: np.ndarray,
) -> None:  # fmt: skip
    """Shade samples, by their places `wanted` int32 (N,) in the flattened lattice.

    Writes `radiance` (rows x columns, 3) at those places, `depth` (N,) and `normals` (N, 3) in camera axes; 0 for none.
    """
    points, uv, material, seen = geometry.points, geometry.uv, geometry.material, samples.triangle
    smooth, corner, irradiance = surface.normals, surface.corner, surface.irradiance
    materials, levels, texels, linear = look.materials, look.levels, look.texels, look.linear
    area = samples.pitch**2 / (lens.fx * lens.fy)
    columns = seen.shape[1]
    for n in range(len(wanted)):
        place = wanted[n]
        j, i = place // columns, place % columns
        t = seen[j, i]
        if t < 0:
            ray = _ray(pose, lens, i, j)
            r, g, b = outside_radiance(sky, ray[0], ray[1], ray[2])
            depth[n] = normals[n, 0] = normals[n, 1] = normals[n, 2] = 0
        else:
            point = _point(points, smooth, pose, lens, t, i, j)
            r, g, b = _radiance(
                points, uv, material, corner, irradiance, materials, levels, texels, linear, sky, area, t, point
            )
            depth[n], normal = point.depth, point.normal
            normals[n, 0], normals[n, 1], normals[n, 2] = dot(pose.x, normal), dot(pose.y, normal), dot(pose.z, normal)
        radiance[place, 0], radiance[place, 1], radiance[place, 2] = r, g, b


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _ray(pose: Pose, lens: Lens, i: int, j: int) -> Vector:
    """World direction of a sample, of length 1 along the camera's z."""
    x, y, ex, ey, ez = (i - lens.cx) / lens.fx, (j - lens.cy) / lens.fy, pose.x, pose.y, pose.z
    return x * ex[0] + y * ey[0] + ez[0], x * ex[1] + y * ey[1] + ez[1], x * ex[2] + y * ey[2] + ez[2]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _unit(v: Vector) -> Vector:
    scale = 1 / math.sqrt(max(dot(v, v), 1e-30))
    return v[0] * scale, v[1] * scale, v[2] * scale


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _mix(values: np.ndarray, t: int, axis: int, shares: Vector) -> float:
    """A number of triangle t's corners, `values` (T, 3, N), at a point."""
    return shares[0] * values[t, 0, axis] + shares[1] * values[t, 1, axis] + shares[2] * values[t, 2, axis]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _flat_normal(points: np.ndarray, t: int) -> Vector:
    """The cross product of a triangle's edges: twice its area long."""
    a0, a1, a2 = points[t, 1, 0] - points[t, 0, 0], points[t, 1, 1] - points[t, 0, 1], points[t, 1, 2] - points[t, 0, 2]
    b0, b1, b2 = points[t, 2, 0] - points[t, 0, 0], points[t, 2, 1] - points[t, 0, 1], points[t, 2, 2] - points[t, 0, 2]
    return a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _point(points: np.ndarray, normals: np.ndarray, pose: Pose, lens: Lens, t: int, i: int, j: int) -> Point:
    a, b, c = to_camera(points, t, 0, pose), to_camera(points, t, 1, pose), to_camera(points, t, 2, pose)
    _, planes = planes_of(a, b, c, lens)
    wa = max(0.0, planes.a + planes.ai * i + planes.aj * j)
    wb = max(0.0, planes.b + planes.bi * i + planes.bj * j)
    wc = max(0.0, planes.c + planes.ci * i + planes.cj * j)
    depth = 1 / (wa + wb + wc)
    shares = (wa * depth, wb * depth, wc * depth)
    ray = _ray(pose, lens, i, j)
    length = math.sqrt(dot(ray, ray))
    flat = _unit(_flat_normal(points, t))
    cosine = -dot(flat, ray) / length
    if cosine < 0:  # winding says nothing in downloaded models: the flat normal is the one on the camera's side
        flat, cosine = (-flat[0], -flat[1], -flat[2]), -cosine
    normal = (_mix(normals, t, 0, shares), _mix(normals, t, 1, shares), _mix(normals, t, 2, shares))
    side = 0
    if dot(normal, normal) < 1e-12:
        normal = flat
    elif dot(normal, flat) < 0:
        side, normal = 1, (-normal[0], -normal[1], -normal[2])
    normal = _unit(normal)
    towards = -dot(normal, ray) / length
    if towards < GRAZING:  # smooth normals lean away from the camera along the outline of a round thing
        lift = (GRAZING - towards) / length
        normal = _unit((normal[0] - lift * ray[0], normal[1] - lift * ray[1], normal[2] - lift * ray[2]))
        towards = GRAZING
    return Point(shares, depth, ray, normal, side, cosine, towards)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _radiance(
    points: np.ndarray, uv: np.ndarray, material: np.ndarray, corner: np.ndarray, irradiance: np.ndarray,
    materials: np.ndarray, levels: np.ndarray, texels: np.ndarray, linear: np.ndarray, sky: Sky,
    area: float, t: int, point: Point,
) -> Vector:  # fmt: skip
    """Light from a point of triangle t to the camera; a pixel covers `area` at a depth of 1."""
    look = materials[material[t]]
    # What a white matt surface would give off.
    light = _scaled(_light(irradiance, corner, t, point), 1 / math.pi)
    away = 1 - point.towards
    grazing = away * away * away * away * away
    if look.pane:
        share = PANE_REFLECTION + (1 - PANE_REFLECTION) * grazing
        view = outside_radiance(sky, point.ray[0], point.ray[1], point.ray[2])
        return _sum(_scaled(view, 1 - share), _scaled(light, share))
    colour = (float(look.colour[0]), float(look.colour[1]), float(look.colour[2]))
    if look.texture >= 0:
        footprint = look.repeats * _uv_footprint(points, uv, area, t, point)
        u, v = look.repeats * _mix(uv, t, 0, point.shares), look.repeats * _mix(uv, t, 1, point.shares)
        colour = _product(colour, texture_at(levels, texels, linear, look.texture, u, v, footprint))
    # Mirrors show no images here: a glossy surface gives back the light that reaches it, most of it at grazing angles.
    mirror = look.gloss * (0.12 + 0.5 * grazing)
    return _sum(_sum(_product(light, colour), _scaled(light, mirror)), _scaled(colour, look.glow))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _light(irradiance: np.ndarray, corner: np.ndarray, t: int, point: Point) -> Vector:
    a, b, c, side = corner[t, 0], corner[t, 1], corner[t, 2], point.side
    wa, wb, wc = point.shares
    return (
        wa * irradiance[a, side, 0] + wb * irradiance[b, side, 0] + wc * irradiance[c, side, 0],
        wa * irradiance[a, side, 1] + wb * irradiance[b, side, 1] + wc * irradiance[c, side, 1],
        wa * irradiance[a, side, 2] + wb * irradiance[b, side, 2] + wc * irradiance[c, side, 2],
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _uv_footprint(points: np.ndarray, uv: np.ndarray, area: float, t: int, point: Point) -> float:
    """Side of the square in texture coordinates that has the area a pixel covers."""
    flat = _flat_normal(points, t)
    du1, dv1 = uv[t, 1, 0] - uv[t, 0, 0], uv[t, 1, 1] - uv[t, 0, 1]
    du2, dv2 = uv[t, 2, 0] - uv[t, 0, 0], uv[t, 2, 1] - uv[t, 0, 1]
    density = abs(du1 * dv2 - du2 * dv1) / max(math.sqrt(dot(flat, flat)), 1e-12)  # of uv on a square metre
    return math.sqrt(density * area * point.depth * point.depth / max(point.cosine, 0.08))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _scaled(a: Vector, factor: float) -> Vector:
    return a[0] * factor, a[1] * factor, a[2] * factor


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _product(a: Vector, b: Vector) -> Vector:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]
