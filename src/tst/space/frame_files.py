"""One frame from its source into the files of a walk: decoded, checked, made upright and pinhole, shrunk, stored."""

import io
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from tst.errors import UserError
from tst.space import orientation
from tst.space.camera import Camera
from tst.space.choosing import ReadConfig
from tst.space.images import DAMAGED, contents, decode
from tst.space.space import IGNORE_INDEX, check_aspect, check_labels

if TYPE_CHECKING:
    from tst.readers.base import Frame, Values

IMAGE_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
JPEG_QUALITY = 95
MOST_MM = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class ClassList:
    """Names of classes in order of their index, and the label that means none of them in the source's masks."""

    names: list[str]
    ignore_index: int = IGNORE_INDEX


@dataclass
class Picture:
    """A decoded modality of a frame. `encoded`: bytes of a file of just `array`: they are stored as they are."""

    array: np.ndarray
    where: str
    encoded: bytes | None = None
    suffix: str = ".png"


@dataclass
class Storing:
    """How the frames of one walk are stored; `notes` gathers what was done to them."""

    walk: Path
    config: ReadConfig
    classes: ClassList | None
    full_confidence: int
    notes: dict[str, Any]


def rgb_picture(
    source: "Path | Values | np.ndarray | bytes", where: str, frame: "Frame", config: ReadConfig
) -> Picture:
    """The frame's RGB, uint8 (H, W, 3), shrunk to the size that is stored, neither turned nor undistorted yet.

    Raises:
        UserError: it is damaged, or is no 8-bit colour.
    """
    value = _loaded(source, config.short_side)
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or 0 in value.shape:
            raise UserError(f"{where}: pixels are {value.dtype} {value.shape}, not 8-bit RGB. Export them as such.")
        picture = Picture(value, where, None, ".jpg")
    else:
        array, kind, mode = decode(value, where, turned=frame.turns != 0)
        if mode == "RGB" and kind in IMAGE_SUFFIXES:
            picture = Picture(array, where, value, IMAGE_SUFFIXES[kind])
        elif mode in ("RGB", "RGBA", "L", "LA", "P", "CMYK"):
            with Image.open(io.BytesIO(value)) as image:
                picture = Picture(np.asarray(image.convert("RGB")), where)
        else:
            raise UserError(f"{where}: pixels are {mode}, not 8-bit colour. Convert it to 8-bit RGB.")
    return _shrunk(picture, config.short_side, cv2.INTER_AREA)


def store(frame: "Frame", rgb: Picture, loaded: dict[str, Any], turns: int, to: Storing) -> dict[str, Any]:
    """Write all modalities of a frame; its row of frames.parquet, but for the sharpness.

    Args:
        frame: the frame.
        rgb: from `rgb_picture`.
        loaded: values that had to be loaded in order, by modality.
        turns: quarter turns clockwise.
        to: where and how.

    Raises:
        UserError: a file is damaged or does not fit the image.
    """
    height, width = rgb.array.shape[:2]
    camera = _fitted(frame, (height, width), to)
    pinhole = camera
    pose = frame.pose
    if frame.lens is not None and camera is not None:
        pinhole, x, y = frame.lens.maps(camera)
        rgb = Picture(cv2.remap(rgb.array, x, y, cv2.INTER_LINEAR), rgb.where, None, rgb.suffix)
    _write(_turned(rgb, turns), f"{to.walk}/rgb/{frame.id}")
    unsure = None
    for modality in sorted(frame.files):  # confidence goes before depth, which it decides on
        if modality == "rgb":
            continue
        source = loaded.get(modality, frame.files[modality])
        where = str(source) if isinstance(source, Path) else getattr(frame.files[modality], "where", frame.id)
        picture = _decoders[modality](_loaded(source, to.config.short_side), where, frame, to)
        if modality == "confidence":
            unsure = picture.array < np.uint8(math.ceil(to.config.confidence * 255))
        if modality == "depth" and unsure is not None:
            picture = _without_unsure(picture, unsure)
        if modality == "depth" and frame.depth_camera is not None:
            if frame.depth_to_rgb is None or pinhole is None:
                raise UserError(
                    f"{where}: the depth camera's place beside the colour camera is not known. Export both."
                )
            from tst.space.registration import registered  # numba takes its time to load, and few recordings need it

            array = registered(picture.array, frame.depth_camera, frame.depth_to_rgb, pinhole)
            picture = Picture(_millimetres(array, 1, to.notes), where)
        elif modality == "confidence" and frame.depth_camera is not None:
            continue  # it is not registered to the image, and has done its work
        else:
            check_aspect(where, modality, picture.array.shape[:2], (height, width))
            if frame.lens is not None and camera is not None:
                picture = _undistorted(picture, modality, frame, camera)
        picture = _shrunk(picture, to.config.short_side, cv2.INTER_NEAREST)
        if modality == "normals":
            picture = Picture(orientation.turned_normals(picture.array, turns), where) if turns else picture
        else:
            picture = _turned(picture, turns)
        _write(picture, f"{to.walk}/{modality}/{frame.id}")
    if turns:
        to.notes["turned"] = "images were turned upright by quarter turns, with their intrinsics and poses"
    if pinhole is not None:
        pinhole = orientation.turned_camera(pinhole, turns)
    if pose is not None and turns:
        pose = orientation.turned_pose(pose, turns)
    if turns % 2:
        height, width = width, height
    return {
        "id": frame.id,
        "time": frame.time,
        "width": width,
        "height": height,
        **{name: None if pinhole is None else getattr(pinhole, name) for name in ("fx", "fy", "cx", "cy")},
        "pose": None if pose is None else pose.ravel().tolist(),
        "part": frame.part,
        "split": frame.split,
        "turns": turns,
    }


def _fitted(frame: "Frame", size: tuple[int, int], to: Storing) -> Camera | None:
    """The frame's camera at the size of the stored image, before it is turned."""
    camera, (height, width) = frame.camera, size
    if camera is None or (camera.width, camera.height) == (width, height):
        return camera
    if abs(camera.width * height - width * camera.height) > 0.01 * width * camera.height:
        raise UserError(
            f"{frame.files['rgb'] if isinstance(frame.files['rgb'], Path) else frame.files['rgb'].where}: is "
            f"{width}x{height} and its intrinsics are for {camera.width}x{camera.height}. "
            "Restore the image at that size, or correct w and h."
        )
    to.notes["intrinsics scaled"] = f"from {camera.width}x{camera.height} to the images' {width}x{height}"
    return camera.resized(width, height)


def _loaded(source: Any, short_side: int | None) -> "bytes | np.ndarray":
    """An array, or the bytes of an image file: read once, to be decoded and to be stored."""
    if hasattr(source, "load"):
        return source.load(short_side)
    if not isinstance(source, Path):
        return source
    if source.suffix != ".npy":
        return contents(source)
    try:
        return np.load(source, allow_pickle=False)
    except DAMAGED as error:
        raise UserError(f"{source}: not a whole array ({error}). Restore the file, or remove its frame.") from None


def _shrunk(picture: Picture, short_side: int | None, how: int) -> Picture:
    height, width = picture.array.shape[:2]
    if short_side is None or min(height, width) <= short_side:
        return picture
    scale = short_side / min(height, width)
    size = (round(width * scale), round(height * scale))
    return Picture(cv2.resize(picture.array, size, interpolation=how), picture.where, None, picture.suffix)


def _turned(picture: Picture, turns: int) -> Picture:
    if turns % 4 == 0:
        return picture
    return Picture(orientation.turned(picture.array, turns), picture.where, None, picture.suffix)


def _undistorted(picture: Picture, modality: str, frame: "Frame", camera: Camera) -> Picture:
    assert frame.lens is not None
    height, width = picture.array.shape[:2]
    _, x, y = frame.lens.maps(camera.resized(width, height))
    if modality == "depth":
        from tst.space.registration import sample_depth

        array = np.rint(sample_depth(picture.array, x + 0.5, y + 0.5)).astype(np.uint16)
    else:
        border = IGNORE_INDEX if modality == "semantic" else 0
        array = cv2.remap(picture.array, x, y, cv2.INTER_NEAREST, borderValue=border)
    return Picture(array, picture.where)


def _without_unsure(depth: Picture, unsure: np.ndarray) -> Picture:
    if unsure.shape != depth.array.shape:
        size = (depth.array.shape[1], depth.array.shape[0])
        unsure = cv2.resize(unsure.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if not unsure.any():
        return depth
    return Picture(np.where(unsure, 0, depth.array).astype(np.uint16), depth.where)


_entering = threading.Lock()
"""File systems let one thread at a time make a file in a folder; in the kernel others wait for it at full speed."""


def _write(picture: Picture, target: str) -> None:
    """Write the file `target`, without its suffix."""
    data = encoded(picture.array, picture.suffix) if picture.encoded is None else picture.encoded
    with _entering:
        file = open(f"{target}{picture.suffix}", "wb", buffering=0)  # noqa: PTH123, SIM115 (three a frame: be quick)
    with file:
        rest = memoryview(data)
        while rest:  # only a full disk takes less than all
            rest = rest[file.write(rest) :]


def save_png(path: Path, array: np.ndarray) -> None:
    """Write values without loss."""
    path.write_bytes(encoded(array, ".png"))


def encoded(array: np.ndarray, suffix: str) -> memoryview:
    """The bytes of an image file, JPEG or PNG, of RGB or one channel.

    By OpenCV, which takes an array as it is; Pillow copies it into an image of its own first. PNGs are lightly
    compressed: noisy depth shrinks hardly more otherwise, in twice the time.
    """
    stored = cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if array.ndim == 3 else array
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    written, data = cv2.imencode(suffix, stored, options)
    assert written
    return data.data


def _one_channel(value: "bytes | np.ndarray", where: str, what: str) -> tuple[np.ndarray, bool, str]:
    """One-channel values: the array, whether the file may be stored as it is, and its Pillow mode."""
    kind, mode = "array", "F"
    if isinstance(value, np.ndarray):
        array = value
    else:
        array, kind, mode = decode(value, where, turned=True)
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.ndim != 2 or kind == "JPEG" or array.dtype.kind not in "uif" or 0 in array.shape:
        detail = f"{kind}, {mode}, {array.shape[2] if array.ndim == 3 else 1} channels"
        raise UserError(f"{where}: is {detail}; {what} needs one channel without loss. Write it as a PNG of numbers.")
    return array, kind == "PNG", mode


def _millimetres(array: np.ndarray, scale: float, notes: dict[str, Any]) -> np.ndarray:
    if array.dtype == np.uint16 and scale == 1:
        return array
    with np.errstate(over="ignore"):  # what a damaged file holds becomes infinite, and then unknown
        millimetres = array.astype(np.float32) * np.float32(scale)
    known = (millimetres > 0) & (millimetres <= MOST_MM)  # neither of which is NaN
    if not known.all():
        if (millimetres > MOST_MM).any():
            notes["depth"] = "values beyond 65.535 m, the most that is stored, were set to unknown"
        millimetres = np.where(known, millimetres, np.float32(0))
    return np.rint(millimetres).astype(np.uint16)


def _depth(value: "bytes | np.ndarray", where: str, frame: "Frame", to: Storing) -> Picture:
    array, is_png, mode = _one_channel(value, where, "depth")
    if array.dtype == np.uint8:
        raise UserError(f"{where}: depth has 8 bits. Write it as a 16-bit PNG in millimetres.")
    if is_png and frame.depth_scale == 1 and mode.startswith("I;16"):
        return Picture(array, where, value if not isinstance(value, np.ndarray) else None)
    return Picture(_millimetres(array, frame.depth_scale, to.notes), where)


def _confidence(value: "bytes | np.ndarray", where: str, frame: "Frame", to: Storing) -> Picture:
    array, is_png, mode = _one_channel(value, where, "confidence")
    if array.dtype.kind == "f" or array.min() < 0 or array.max() > to.full_confidence:
        raise UserError(
            f"{where}: confidence is {array.max()}; this format has 0 to {to.full_confidence}. Restore the file."
        )
    if is_png and mode == "L" and to.full_confidence == 255:
        return Picture(array, where, value if not isinstance(value, np.ndarray) else None)
    levels = np.rint(np.minimum(np.arange(256) * (255 / to.full_confidence), 255)).astype(np.uint8)
    return Picture(cv2.LUT(array.astype(np.uint8, copy=False), levels), where)


def _semantic(value: "bytes | np.ndarray", where: str, frame: "Frame", to: Storing) -> Picture:
    array, is_png, mode = _one_channel(value, where, "semantic")
    if array.dtype.kind == "f" or array.min() < 0 or array.max() > IGNORE_INDEX:
        raise UserError(f"{where}: has label {array.max()}; labels are whole numbers from 0 to 255. Correct the mask.")
    ignore = IGNORE_INDEX
    if to.classes is not None:
        check_labels(Path(where), array, len(to.classes.names), to.classes.ignore_index)
        ignore = to.classes.ignore_index
    if is_png and mode == "L" and ignore == IGNORE_INDEX:
        return Picture(array, where, value if not isinstance(value, np.ndarray) else None)
    return Picture(np.where(array == ignore, IGNORE_INDEX, array).astype(np.uint8), where)


def _instance(value: "bytes | np.ndarray", where: str, frame: "Frame", to: Storing) -> Picture:
    array, is_png, mode = _one_channel(value, where, "instance")
    if array.dtype.kind == "f" or array.min() < 0 or array.max() > np.iinfo(np.uint16).max:
        raise UserError(f"{where}: instance numbers are whole, from 0 to 65535. Number the instances again.")
    if is_png and mode.startswith("I;16"):
        return Picture(array, where, value if not isinstance(value, np.ndarray) else None)
    return Picture(array.astype(np.uint16), where)


def _normals(value: "bytes | np.ndarray", where: str, frame: "Frame", to: Storing) -> Picture:
    if isinstance(value, np.ndarray):
        array, kind, mode = value, "PNG", "RGB" if value.ndim == 3 and value.dtype == np.uint8 else str(value.dtype)
    else:
        array, kind, mode = decode(value, where)
    if mode != "RGB" or kind != "PNG":
        raise UserError(f"{where}: is {kind}, {mode}; normals are 8-bit RGB PNGs. Write them as docs/spaces.md says.")
    return Picture(array, where, value if not isinstance(value, np.ndarray) else None)


_decoders = {
    "depth": _depth,
    "confidence": _confidence,
    "semantic": _semantic,
    "instance": _instance,
    "normals": _normals,
}
