"""Omnidata, Taskonomy and what Omnidata's annotator renders: point_I_view_J_domain_D.png in a folder for each domain.

What is known of the format, and from where: docs/captures/omnidata.md.
"""

import itertools
import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tst.decoding.archives import Files
from tst.decoding.dropping import refuse_if_most
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording
from tst.space import images, normal_maps, poses
from tst.space.camera import Camera

DEPTH_SCALE = 1 / 512
"""Metres a unit: 16 bits for 128 m."""
UNKNOWN = 65535
NAME = re.compile(r"point_(\d{1,9})_view_(\d{1,9})_domain_(\w+)\.(?:png|json)")
DOMAINS = {
    "rgb": "rgb",
    "depth_zbuffer": "depth_zbuffer",
    "depth_euclidean": "depth_euclidean",
    "normal": "normals",
    "mask_valid": "mask",
    "semantic": "semantic",
    "segment_semantic": "semantic",
    "segmentsemantic": "semantic",
    "point_info": "info",
    "fixatedpose": "info",
}
LARGEST_INFO = 1 << 24
LARGEST_SIDE = 1 << 14
RESOLUTION = 512
"""Pixels a side where point_info does not say; only the field of view counts, as views are square."""
SEARCHED = 5000
"""Files that are looked at to recognise the format."""
REMEDY = "Correct it, or remove the view."


def recognise(source: Path) -> str | None:
    """Names such as point_0_view_0_domain_rgb.png."""
    try:
        names = (path.name for path in source.rglob("*")) if source.is_dir() else (Path(n).name for n in Files(source))
        return next((name for name in itertools.islice(names, SEARCHED) if NAME.fullmatch(name)), None)
    except (OSError, UserError):
        return None


def read(
    source: Path,
    building: str | None = None,
    depth_scale: float = DEPTH_SCALE,
    fov: float | None = None,
    semantic: bool = False,
) -> Recording:
    """Read the views of one building: a folder (or a zip) of domains, in any of the orders that are in use.

    Args:
        source: the folder.
        building: which one, if the folder holds several.
        depth_scale: metres a unit of depth. 1/512 in Omnidata's and Taskonomy's downloads; what you rendered yourself
            with a maximum distance of M metres has M/65536.
        fov: horizontal field of view in degrees, for views without point_info.
        semantic: read the masks too; give their classes with --classes.

    Raises:
        UserError: there are no views, or several buildings, or most views are damaged.
    """
    if not 0 < depth_scale < 1:
        raise UserError(f"--depth-scale: {depth_scale} is not metres a unit. 1/512 is 0.001953125.")
    if fov is not None and not 0 < fov < 180:
        raise UserError(f"--fov: {fov} is not an angle of view. Use degrees between 0 and 180.")
    files = Files(source)
    views = _views(files, building)
    notes: dict[str, Any] = {}
    frames: list[Frame] = []
    dropped: list[Dropped] = []
    described = any("info" in view for view in views.values())
    size = None if described else _size(files, views)
    for (point, number), view in sorted(views.items()):
        name = f"point_{point}_view_{number}"
        camera, pose = None, None
        try:
            files.require(view.get("rgb", f"{name}_domain_rgb.png"), REMEDY)
            if described:
                camera, pose = _camera_and_pose(files, view.get("info", f"{name}_domain_point_info.json"))
            elif fov is not None and size is not None:
                camera = Camera.from_fov(*size, fov)
        except UserError as error:
            dropped.append(Dropped(name, None, str(error)))
            continue
        frames.append(Frame(name, _values(files, view, camera, semantic), camera, pose, depth_scale=depth_scale * 1000))
    refuse_if_most(dropped, len(views), str(source))
    if not described:
        notes["poses"] = "none: there is no point_info"
        if fov is None:
            notes["intrinsics"] = "unknown: there is no point_info, and no --fov was given"
    if not semantic and any("semantic" in view for view in views.values()):
        notes["semantic"] = "left out: read the masks with --semantic, and their names with --classes"
    if any("depth" in frame.files for frame in frames):
        notes["depth scale"] = f"{depth_scale:.6g} m a unit"
    elif any("depth_euclidean" in view for view in views.values()):
        notes["depth"] = "left out: depth along rays needs a field of view; give --fov"
    return Recording("omnidata", source, frames, notes, dropped=dropped, up=(0.0, 0.0, 1.0) if described else None)


def _views(files: Files, building: str | None) -> dict[tuple[int, int], dict[str, str]]:
    """By point and view: the file of each of DOMAINS."""
    found: dict[str, dict[tuple[int, int], dict[str, str]]] = {}
    for path in files:
        *folders, name = path.split("/")
        match = NAME.fullmatch(name)
        if match is None:
            continue
        # The folder decides: masks of validity are named like the depth they belong to.
        domain = next((folder for folder in reversed(folders) if folder in DOMAINS), match[3])
        if domain not in DOMAINS:
            continue
        # rgb/taskonomy/muleshoe, muleshoe/rgb and muleshoe_rgb/rgb are all in use.
        where = "/".join(folder.removesuffix(f"_{domain}") for folder in folders if folder != domain)
        found.setdefault(where, {}).setdefault((int(match[1]), int(match[2])), {})[DOMAINS[domain]] = path
    if not found:
        raise UserError(f"{files.source}: has no point_I_view_J_domain_rgb.png. Is this Omnidata's layout?")
    chosen = [where for where in found if building is None or building in (where, where.split("/")[-1])]
    if len(chosen) == 1:
        return found[chosen[0]]
    names = ", ".join(sorted(found)[:8]) + (", ..." if len(found) > 8 else "")
    if building is not None:
        raise UserError(f"--building: {building!r} is {'no' if not chosen else 'more than one'} building of: {names}.")
    raise UserError(f"{files.source}: holds {len(found)} buildings ({names}). Choose one with --building NAME.")


def _size(files: Files, views: dict[tuple[int, int], dict[str, str]]) -> tuple[int, int] | None:
    """(width, height) of the first image."""
    for view in views.values():
        if "rgb" in view:
            pixels, _, _ = images.decode(files.read(view["rgb"]), files.where(view["rgb"]))
            return pixels.shape[1], pixels.shape[0]
    return None


def _camera_and_pose(files: Files, name: str) -> tuple[Camera, np.ndarray]:
    """Intrinsics and pose of a point_info: Blender's camera (x right, y up, looking along -z) and world (z up)."""
    where = files.where(files.require(name, REMEDY))
    if files.size(name) > LARGEST_INFO:
        raise UserError(f"{where}: has {files.size(name)} bytes, more than a point_info. {REMEDY}")
    info = files.json(name)
    if not isinstance(info, dict):
        raise UserError(f"{where}: is not a point_info. {REMEDY}")

    def numbers(key: str, count: int) -> np.ndarray:
        try:
            values = np.array(info[key], np.float64).ravel()
        except (KeyError, TypeError, ValueError, OverflowError):
            values = np.empty(0)
        if len(values) != count or not np.isfinite(values).all():
            raise UserError(f"{where}: {key} is missing or is not {count} finite numbers. {REMEDY}")
        return values

    fov = math.degrees(numbers("field_of_view_rads", 1)[0])
    resolution = numbers("resolution", 1)[0] if "resolution" in info else RESOLUTION
    if not 1 < fov < 179 or not 1 <= resolution <= LARGEST_SIDE:
        raise UserError(f"{where}: {fov:.3g} degrees for {resolution:.6g} pixels are no camera. {REMEDY}")
    camera = Camera.from_fov(round(resolution), round(resolution), fov)
    if "camera_rotation_final_quaternion" in info:
        w, x, y, z = numbers("camera_rotation_final_quaternion", 4)
    else:
        x, y, z, w = Rotation.from_euler("xyz", numbers("camera_rotation_final", 3)).as_quat()
    pose = poses.from_quaternion((x, y, z, w), numbers("camera_location", 3), f"{where}: the pose")
    return camera, pose @ poses.OPENGL_TO_OPENCV


def _values(files: Files, view: dict[str, str], camera: Camera | None, semantic: bool) -> dict[str, Any]:
    """Where the values of a view are, by modality."""
    values = {"rgb": files.values(view["rgb"])}
    mask = view.get("mask")
    if "depth_zbuffer" in view:
        values["depth"] = files.values(view["depth_zbuffer"], partial(_depth, files, view["depth_zbuffer"], mask, None))
    elif "depth_euclidean" in view and camera is not None:
        name = view["depth_euclidean"]
        values["depth"] = files.values(name, partial(_depth, files, name, mask, camera))
    if "normals" in view:
        values["normals"] = files.values(view["normals"], partial(_normals, files, view["normals"], mask))
    if semantic and "semantic" in view:
        values["semantic"] = files.values(view["semantic"])
    return values


def _depth(files: Files, name: str, mask: str | None, camera: Camera | None, data: bytes) -> np.ndarray:
    """Depth along z in the file's units, 0 where unknown. `camera`: of depth along the rays, which is converted."""
    depth, _, _ = images.decode(data, files.where(name))
    if depth.ndim != 2 or depth.dtype == np.uint8:
        raise UserError(f"{files.where(name)}: is no 16-bit depth in one channel. Download it again.")
    depth = np.where((depth == UNKNOWN) | ~_valid(files, mask, depth.shape), 0, depth)
    if camera is None:
        return depth
    height, width = depth.shape
    return depth / np.linalg.norm(camera.resized(width, height).rays(), axis=-1)


def _normals(files: Files, name: str, mask: str | None, data: bytes) -> np.ndarray:
    """Normals as a Space stores them.

    The files hold (n + 1) / 2 with x right and y down; what is told about the direction of z differs. But a surface
    that is seen faces the camera, so the picture itself tells it.
    """
    stored, _, _ = images.decode(data, files.where(name))
    if stored.ndim != 3 or stored.dtype != np.uint8:
        raise UserError(f"{files.where(name)}: is no 8-bit RGB image of normals. Download it again.")
    normals = stored[..., :3].astype(np.float32) / 127.5 - 1
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = (length[..., 0] > 0.5) & _valid(files, mask, stored.shape[:2])
    normals = np.where(known[..., None], normals / np.maximum(length, 0.5), 0)
    if known.any() and np.median(normals[known, 2]) > 0:
        normals[..., 2] *= -1
    return normal_maps.encode(normals)


def _valid(files: Files, name: str | None, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: what the mask of validity, if there is one, leaves."""
    if name is None:
        return np.ones(shape, bool)
    mask, _, _ = images.decode(files.read(name), files.where(name))
    if mask.shape[:2] != shape:
        raise UserError(f"{files.where(name)}: is not as large as what it masks. Download it again.")
    return (mask if mask.ndim == 2 else mask[..., 0]) > 0
