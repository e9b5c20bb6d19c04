"""Materials and textures as arrays that compiled code can read."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tst.houses.colour import LINEAR_OF_BYTE, linear_of, srgb_of
from tst.houses.mesh import Material, Texture
from tst.houses.sky import Vector

LEVELS = 10
INVISIBLE = 0.15
"""Opacity below which a surface is not drawn at all."""


MATERIAL = np.dtype(
    [
        ("colour", np.float32, 3),
        ("gloss", np.float32),
        ("opacity", np.float32),
        ("glow", np.float32),
        ("repeats", np.float32),
        ("texture", np.int32),
        ("pane", np.bool_),
        ("cutout", np.bool_),
    ],
    align=True,
)
"""A material: `colour` is linear, `repeats` the repetitions of the texture for one unit of uv, `texture` -1 for none,
`cutout` whether the texture has holes.
"""
LEVEL = np.dtype([("width", np.int32), ("height", np.int32), ("first", np.int64)])
"""A mip level: its size, 0 beyond the last, and its first texel."""


class Appearance(NamedTuple):
    """All materials (M) and textures (X) of a scene.

    Attributes:
        materials: MATERIAL (M,).
        levels: LEVEL (X, LEVELS).
        texels: uint8 (N, 4), sRGB and alpha, rows from the top.
        linear: float32 (256,), linear value of an sRGB byte.
    """

    materials: np.ndarray
    levels: np.ndarray
    texels: np.ndarray
    linear: np.ndarray


def appearance_of(materials: tuple[Material, ...]) -> Appearance:
    """Pack materials; a texture that several share is kept once."""
    textures: dict[int, tuple[int, Texture]] = {}
    for material in materials:
        if material.texture is not None:
            textures.setdefault(id(material.texture), (len(textures), material.texture))
    levels = np.zeros((max(1, len(textures)), LEVELS), LEVEL)
    texels, start = [np.zeros((1, 4), np.uint8)], 1
    for number, texture in textures.values():
        for level, pixels in enumerate(_mip_levels(texture.pixels)):
            levels[number, level] = (pixels.shape[1], pixels.shape[0], start)
            texels.append(pixels.reshape(-1, 4))
            start += len(texels[-1])
    table = np.zeros(len(materials), MATERIAL)
    for row, material in zip(table, materials, strict=True):
        row["colour"] = linear_of(np.array(material.colour))
        for name in ("gloss", "opacity", "glow", "pane"):
            row[name] = getattr(material, name)
        if material.pane:  # it shows the outside itself, and is what labels and depth see
            row["opacity"] = 1
        row["texture"] = -1
        if material.texture is not None:
            pixels = material.texture.pixels
            row["texture"] = textures[id(material.texture)][0]
            row["repeats"] = 1 / material.texture.size
            row["cutout"] = pixels.shape[2] == 4 and pixels[..., 3].min() < 128
    return Appearance(table, levels, np.concatenate(texels), LINEAR_OF_BYTE)


def _mip_levels(pixels: np.ndarray) -> list[np.ndarray]:
    """The texture at full, half, quarter ... size, uint8 (h, w, 4); averaged in linear light, holes left out."""
    alpha = pixels[..., 3:] if pixels.shape[2] == 4 else np.full((*pixels.shape[:2], 1), 255, np.uint8)
    levels = [np.concatenate([pixels[..., :3], alpha], 2)]
    weight = alpha.astype(np.float32) / 255
    light = LINEAR_OF_BYTE[pixels[..., :3]] * weight
    while len(levels) < LEVELS and max(light.shape[:2]) > 1:
        light, weight = _half(light), _half(weight)
        colour = srgb_of(light / np.maximum(weight, 1e-6))
        levels.append((np.concatenate([colour, weight], 2) * 255 + 0.5).astype(np.uint8))
    return levels


def _half(image: np.ndarray) -> np.ndarray:
    for axis in range(2):
        size = image.shape[axis]
        if size > 1:
            image = np.take(image, range(size // 2 * 2), axis)
            shape = (*image.shape[:axis], size // 2, 2, *image.shape[axis + 1 :])
            image = image.reshape(shape).mean(axis + 1)
    return image


@njit(cache=True, nogil=True, error_model="numpy")
def is_hole(look: Appearance, material: int, u: float, v: float) -> bool:
    """Whether the texture is cut out at texture coordinates (u, v)."""
    surface = look.materials[material]
    level = look.levels[surface.texture, 0]
    u, v = u * surface.repeats, v * surface.repeats
    column = min(int((u - math.floor(u)) * level.width), level.width - 1)
    row = min(int((1 - (v - math.floor(v))) * level.height), level.height - 1)
    return look.texels[level.first + row * level.width + column, 3] < 128


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def texture_at(
    levels: np.ndarray, texels: np.ndarray, linear: np.ndarray, texture: int, u: float, v: float, footprint: float
) -> Vector:
    """Linear colour of a texture at (u, v), in repetitions; `footprint`: how much of a repetition a pixel covers."""
    finest = levels[texture, 0]
    covered = footprint * math.sqrt(finest.width * finest.height)
    depth = min(int(math.log2(max(covered, 1.0)) + 0.5), LEVELS - 1)
    while levels[texture, depth].width == 0:
        depth -= 1
    level = levels[texture, depth]
    width, height, first = level.width, level.height, level.first
    x, y = (u - math.floor(u)) * width - 0.5, (1 - (v - math.floor(v))) * height - 0.5
    left, top = math.floor(x), math.floor(y)
    right_share, low_share = x - left, y - top
    x0, y0 = _wrapped(int(left), width), _wrapped(int(top), height)
    x1, y1 = _wrapped(x0 + 1, width), _wrapped(y0 + 1, height)
    wa, wb = (1 - right_share) * (1 - low_share), right_share * (1 - low_share)
    wc, wd = (1 - right_share) * low_share, right_share * low_share
    a, b, c, d = first + y0 * width + x0, first + y0 * width + x1, first + y1 * width + x0, first + y1 * width + x1
    return (
        wa * linear[texels[a, 0]] + wb * linear[texels[b, 0]] + wc * linear[texels[c, 0]] + wd * linear[texels[d, 0]],
        wa * linear[texels[a, 1]] + wb * linear[texels[b, 1]] + wc * linear[texels[c, 1]] + wd * linear[texels[d, 1]],
        wa * linear[texels[a, 2]] + wb * linear[texels[b, 2]] + wc * linear[texels[c, 2]] + wd * linear[texels[d, 2]],
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _wrapped(index: int, count: int) -> int:
    """From -1 to count, into 0 to count - 1."""
    if index < 0:
        return index + count
    return index - count if index >= count else index
