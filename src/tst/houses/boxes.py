"""Detection labels from rendered instance masks, in COCO's format, and the things of a house in 3D.

How much of a thing is in the picture is measured in solid angle rather than in pixels: the camera may stand so close
that a corner is behind it, and then there is no image plane on which the whole thing has a finite area.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numba
import numpy as np
from scipy import ndimage

from tst.houses.categories import CATEGORIES

if TYPE_CHECKING:
    from tst.houses.furniture.piece import Piece
    from tst.houses.house import House
    from tst.houses.placement import Thing
    from tst.space.camera import Camera

MIN_AREA, MIN_PIXELS, MIN_VISIBILITY = 0.0005, 25, 0.15


def frame_boxes(
    instance: np.ndarray,
    things: Sequence["Thing"],
    camera: "Camera",
    pose: np.ndarray,
    min_area: float = MIN_AREA,
    min_visibility: float = MIN_VISIBILITY,
) -> list[dict[str, Any]]:
    """The boxes of the things in a frame, those with enough of them to be seen.

    Args:
        instance: uint16 (H, W), of the camera's size.
        things: of the house; walls and the like are not among them and get no box.
        pose: camera-to-world, (4, 4).
        min_area: smallest mask, as a share of the image (and at least 25 pixels).
        min_visibility: smallest share of the thing, as seen from here, that is neither hidden nor out of the picture.

    Returns:
        For each: `instance`, `category`, `bbox` [x, y, width, height] and `area` in pixels, of the visible mask;
        `visibility` 0 to 1 (an estimate, see `visible_share`); `truncated`, whether it touches the image's border.
    """
    assert instance.shape == (camera.height, camera.width), (instance.shape, camera)
    counts = np.bincount(instance.ravel())
    enough = max(min_area * instance.size, MIN_PIXELS)
    seen = [thing for thing in things if thing.instance < len(counts) and counts[thing.instance] >= enough]
    if not seen:
        return []
    angles = np.bincount(instance.ravel(), _pixel_angles(camera))[[thing.instance for thing in seen]]
    shares = visible_share(angles, seen, pose[:3, 3])
    extents = ndimage.find_objects(instance)
    boxes = []
    for thing, share in zip(seen, shares.tolist(), strict=True):
        if share < min_visibility:
            continue
        rows, columns = extents[thing.instance - 1]
        x, y, width, height = columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
        boxes.append(
            {
                "instance": thing.instance,
                "category": thing.category,
                "bbox": [float(x), float(y), float(width), float(height)],
                "area": int(counts[thing.instance]),
                "visibility": round(share, 3),
                "truncated": x == 0 or y == 0 or x + width == camera.width or y + height == camera.height,
            }
        )
    return boxes


@lru_cache(maxsize=4)
def _pixel_angles(camera: "Camera") -> np.ndarray:
    """Solid angle (H * W,) of each pixel, steradians."""
    rays = camera.rays()
    return (1 / (camera.fx * camera.fy * (rays**2).sum(2) ** 1.5)).ravel()


# Visibility

DIRECTIONS = 40
RASTER = 40
INSIDE = 4 * np.pi
FACES = np.array(
    [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]],
)
"""Corners of a box's faces (x low, x high, y low, ...); bit 0 of a corner's number is x, bit 1 y, bit 2 z."""
CORNERS = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)], float)


def visible_share(angles: np.ndarray, things: Sequence["Thing"], eye: np.ndarray) -> np.ndarray:
    """What share of each thing is in the picture, (N,), of all that could be seen of it from `eye` (3,).

    The latter is estimated as the solid angle of the thing's box times the share of the box's silhouette that the
    thing's own silhouette fills in that direction, which is measured on its mesh once (from far away; hence near
    things are off by some per cent, and so is what is cut out by a texture).

    Args:
        angles: (N,) solid angle of the visible pixels of each.
    """
    yaw = np.array([thing.yaw for thing in things])
    offset = eye - np.array([thing.position for thing in things])
    c, s = np.cos(yaw), np.sin(yaw)
    local = np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1], offset[:, 2]], 1)
    size = np.array([thing.piece.size for thing in things], float)
    low, high = size * [-0.5, -0.5, 0], size * [0.5, 0.5, 1]
    direction = local - (low + high) / 2
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    fill = _between_directions(np.stack([_fill(thing.piece) for thing in things]), direction)
    return np.minimum(angles / (box_angle(low, high, local) * fill), 1.0)


def box_angle(low: np.ndarray, high: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Solid angle (N,) of axis-aligned boxes (N, 3) seen from points (N, 3); a full sphere from inside.

    The sum over the faces that look at the eye, each as two triangles (Van Oosterom and Strackee).
    """
    corners = low[:, None] + CORNERS * (high - low)[:, None] - eye[:, None]
    corners /= np.maximum(np.linalg.norm(corners, axis=2, keepdims=True), 1e-9)
    faces = corners[:, FACES]
    outside = np.stack([eye < low, eye > high], 2).reshape(-1, 6)
    angle = np.zeros(outside.shape)
    for triangle in ((0, 1, 2), (0, 2, 3)):
        a, b, d = (faces[:, :, k] for k in triangle)
        volume = np.abs((a * np.cross(b, d)).sum(2))
        angle += 2 * np.arctan2(volume, 1 + (a * b).sum(2) + (b * d).sum(2) + (d * a).sum(2))
    total = (angle * outside).sum(1)
    return np.where(outside.any(1), np.maximum(total, 1e-9), INSIDE)


def _directions() -> np.ndarray:
    """Directions (DIRECTIONS, 3) spread evenly over half a sphere: a silhouette is the same from both sides."""
    k = np.arange(DIRECTIONS) + 0.5
    z, turn = k / DIRECTIONS, np.pi * (3 - np.sqrt(5)) * k
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], 1)


VIEWS = _directions()


def _between_directions(fills: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Interpolate fills (N, DIRECTIONS) at directions (N, 3)."""
    near = np.abs(direction @ VIEWS.T)
    weight = np.exp(40 * (near - near.max(1, keepdims=True)))
    return (fills * weight).sum(1) / weight.sum(1)


_fills: "WeakKeyDictionary[Piece, np.ndarray]" = WeakKeyDictionary()


def _fill(piece: "Piece") -> np.ndarray:
    """Share of its box's silhouette that a piece fills, from each of `VIEWS`, (DIRECTIONS,); remembered."""
    if piece not in _fills:
        size = np.array(piece.size)
        corners = (CORNERS - [0.5, 0.5, 0]) * size
        triangles = piece.mesh.points.astype(np.float64)
        box = corners[FACES][:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
        fill = np.empty(DIRECTIONS)
        for k, view in enumerate(VIEWS):
            across = np.array([-view[1], view[0], 0.0]) / np.hypot(*view[:2])
            plane = np.stack([across, np.cross(view, across)], 1)
            flat = corners @ plane
            start, scale = flat.min(0), RASTER / np.maximum(np.ptp(flat, axis=0), 1e-6)
            covered, whole = (_covered((mesh @ plane - start) * scale, RASTER) for mesh in (triangles, box))
            fill[k] = (covered + 1) / (whole + 1)
        _fills[piece] = np.clip(fill, 0.02, 1)
    return _fills[piece]


@numba.njit(cache=True)
def _covered(triangles: np.ndarray, cells: int) -> int:
    """How many cells of a square grid have their centre in one of the triangles (T, 3, 2), in cells."""
    grid = np.zeros((cells, cells), np.bool_)
    for t in range(len(triangles)):
        ax, ay = triangles[t, 0, 0], triangles[t, 0, 1]
        bx, by = triangles[t, 1, 0], triangles[t, 1, 1]
        dx, dy = triangles[t, 2, 0], triangles[t, 2, 1]
        area = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
        if abs(area) < 1e-12:
            continue
        for i in range(max(int(np.ceil(min(ax, bx, dx) - 0.5)), 0), min(int(max(ax, bx, dx) + 0.5), cells)):
            for j in range(max(int(np.ceil(min(ay, by, dy) - 0.5)), 0), min(int(max(ay, by, dy) + 0.5), cells)):
                if grid[i, j]:
                    continue
                x, y = i + 0.5, j + 0.5
                u = ((x - ax) * (dy - ay) - (y - ay) * (dx - ax)) / area
                v = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    grid[i, j] = True
    return grid.sum()


# Files


def coco(
    images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]], categories: Sequence[str] = CATEGORIES
) -> dict[str, Any]:
    """A COCO detection file's contents.

    Args:
        images: with `id` (from 1), `file_name`, `width` and `height`.
        annotations: the boxes of `frame_boxes`, each with the `image_id` of its image besides.
        categories: names; their ids count from 1 in this order. Every annotation's category must be one of them.
    """
    ids = {name: index for index, name in enumerate(categories, 1)}
    return {
        "images": list(images),
        "annotations": [
            {
                "id": number,
                "image_id": box["image_id"],
                "category_id": ids[box["category"]],
                "iscrowd": 0,
                **{key: value for key, value in box.items() if key not in ("image_id", "category")},
            }
            for number, box in enumerate(annotations, 1)
        ],
        "categories": [{"id": index, "name": name} for name, index in ids.items()],
    }


def objects(house: "House") -> list[dict[str, Any]]:
    """Everything in a house in 3D, for JSON: metres and radians, world axes.

    `size` is width, depth and height before it is turned by `yaw` (it faces -y at yaw 0); `bounds` its lowest and
    highest corner; `room` an index; `on` the instance of what it stands on, or None.
    """
    return [
        {
            "instance": thing.instance,
            "category": thing.category,
            "name": thing.name,
            "room": thing.room,
            "room_kind": house.plan.rooms[thing.room].kind,
            "position": [round(float(x), 4) for x in thing.position],
            "yaw": round(float(thing.yaw), 5),
            "size": [round(float(x), 4) for x in thing.piece.size],
            "bounds": thing.bounds.round(4).tolist(),
            "on": thing.on,
        }
        for thing in house.things
    ]
