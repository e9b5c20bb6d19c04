"""Writing a recording into a Space: every file decoded and checked, and the walk published in one rename."""

import errno
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import tst
from tst.errors import UserError
from tst.files import write_json
from tst.progress import track
from tst.space.camera import Camera
from tst.space.folders import disk_full_is_told, locked, temporary_folder
from tst.space.images import DAMAGED, decode
from tst.space.space import FRAME_SCHEMA, IGNORE_INDEX, Space, SpaceFile, WalkRecord, check_aspect, check_labels

if TYPE_CHECKING:
    from tst.readers.base import Frame, Recording

SHARPNESS_SIDE = 256
WORKERS = min(2, os.cpu_count() or 1)
IMAGE_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}


@dataclass(frozen=True)
class ClassList:
    """Names of classes in order of their index, and the label that means none of them in the source's masks."""

    names: list[str]
    ignore_index: int = IGNORE_INDEX


def add_walk(
    path: Path, recording: "Recording", name: str, classes: ClassList | None, options: dict[str, Any]
) -> Space:
    """Write `recording` as the walk `name` of the Space at `path`, which is made if there is none.

    Masks are stored with 255 as the label to ignore, whatever it was in the source.

    Raises:
        UserError: the walk exists, the class list is another one, a file is damaged, or the disk is full. The Space
            is then as it was before.
    """
    if path.exists() and not (path.is_dir() and ((path / "space.json").is_file() or not any(path.iterdir()))):
        raise UserError(f"{path}: exists and is not a Space. Choose another folder.")
    name = re.sub(r"[^\w.-]+", "-", name).strip(".-")
    if not name:
        raise UserError(f"{recording.source}: gives no usable name for the walk. Choose one with --walk NAME.")
    existing = Space.open(path) if (path / "space.json").is_file() else None
    if existing is not None:
        _check_free(existing, name)
    names = _agreed_classes(existing, recording, classes)
    if len({tuple(sorted(frame.files)) for frame in recording.frames}) > 1:
        _refuse_uneven(recording)

    with disk_full_is_told(path), temporary_folder(path.parent, path.name) as temporary:
        walk = temporary / "walks" / name
        rows, notes = _write_frames(recording, walk, classes)
        pq.write_table(pa.Table.from_pylist(rows, FRAME_SCHEMA), walk / "frames.parquet")
        for sensor, table in recording.sensors.items():
            (walk / "sensors").mkdir(exist_ok=True)
            pq.write_table(table, walk / "sensors" / f"{sensor}.parquet")
        for kind, value in recording.annotations.items():
            write_json(walk / "annotations" / f"{kind}.json", value)
        record = WalkRecord(
            format=recording.format,
            source=(recording.source if recording.source.is_dir() else recording.source.parent).resolve().name,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            tst_version=tst.__version__,
            frames=len(rows),
            modalities=list(recording.frames[0].files),
            options=options,
            notes={**recording.notes, **notes},
        )
        if existing is None:
            contents = SpaceFile(name=path.resolve().name, classes=names)
            _enter(contents, name, record)
            contents.save(temporary / "space.json")
            Space.open(temporary)
            _publish_space(temporary, path, name)
        else:
            _publish_walk(walk, path, name, record, names)
    return Space.open(path)


def _enter(contents: SpaceFile, name: str, record: WalkRecord) -> None:
    contents.walks = dict(sorted({**contents.walks, name: record}.items()))
    contents.modalities = list(dict.fromkeys([*contents.modalities, *record.modalities]))


def _publish_space(temporary: Path, path: Path, walk: str) -> None:
    try:
        temporary.rename(path)  # replaces an empty folder, refuses any other
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UserError(f"{path}: another program made it meanwhile. Run the same command again for {walk}.") from None


def _publish_walk(walk: Path, path: Path, name: str, record: WalkRecord, classes: list[str] | None) -> None:
    """Move the walk into the Space, then enter it into space.json; both or neither."""
    with locked(path):  # two reads into one Space must not lose each other's entry
        space = Space.open(path)
        _check_free(space, name)
        target = path / "walks" / name
        walk.rename(target)
        try:
            space.file.classes = classes
            _enter(space.file, name, record)
            space.file.save(path / "space.json")
        except BaseException:
            target.rename(walk)
            raise


def _check_free(space: Space, name: str) -> None:
    if name in space.walks:
        raise UserError(f"{space.path}: already has a walk {name!r}. Choose another name with --walk NAME.")
    if (folder := space.path / "walks" / name).exists():
        raise UserError(
            f"{folder}: exists and is not in space.json (an earlier read was cut off). Remove this folder, or choose "
            "another name with --walk NAME."
        )


def _agreed_classes(space: Space | None, recording: "Recording", classes: ClassList | None) -> list[str] | None:
    """The Space's class list after this walk."""
    old = None if space is None else space.classes
    if classes is None:
        if old is not None and any("semantic" in frame.files for frame in recording.frames):
            raise UserError(
                f"{recording.source}: has masks, and the Space {space.path if space else ''} a class list. "
                "Give the classes of these masks with --classes FILE."
            )
        return old
    if old is not None and old != classes.names:
        raise UserError(
            f"{recording.source}: its classes are not those of the Space {space.path if space else ''}. "
            "Read it into a Space of its own, or map its masks to the same classes."
        )
    if old is None and space is not None and any("semantic" in w.record.modalities for w in space.walks.values()):
        raise UserError(
            f"{space.path}: its masks were read without a class list. Read them again with --classes into a new Space."
        )
    return classes.names


def _refuse_uneven(recording: "Recording") -> None:
    every = list(dict.fromkeys(modality for frame in recording.frames for modality in frame.files))
    for modality in every:
        without = [frame.id for frame in recording.frames if modality not in frame.files]
        if without:
            raise UserError(
                f"{recording.source}: {len(without)} of {len(recording.frames)} frames have no {modality} "
                f"(first: {without[0]}). Add it, or remove those frames."
            )


def _write_frames(
    recording: "Recording", walk: Path, classes: ClassList | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Write every file of the recording under `walk`; the rows of frames.parquet, and notes."""
    for modality in recording.frames[0].files:
        (walk / modality).mkdir(parents=True)
    notes: dict[str, Any] = {}
    write = partial(_write_frame, walk=walk, classes=classes, notes=notes)
    with ThreadPoolExecutor(WORKERS) as pool:  # Pillow and OpenCV release the interpreter's lock
        results = pool.map(write, recording.frames)
        try:
            rows = list(track(results, f"reading {walk.name}", len(recording.frames)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows, notes


def _write_frame(frame: "Frame", walk: Path, classes: ClassList | None, notes: dict[str, Any]) -> dict[str, Any]:
    rgb = _write_rgb(frame.files["rgb"], walk / "rgb" / frame.id)
    height, width = rgb.shape[:2]
    camera = frame.camera
    if camera is not None and (camera.width, camera.height) != (width, height):
        if abs(camera.width * height - width * camera.height) > 0.01 * width * camera.height:
            raise UserError(
                f"{frame.files['rgb']}: is {width}x{height} and its intrinsics are for {camera.width}x{camera.height}. "
                "Restore the image at that size, or correct w and h."
            )
        notes["intrinsics scaled"] = f"from {camera.width}x{camera.height} to the images' {width}x{height}"
        camera = camera.resized(width, height)
    for modality, source in frame.files.items():
        target = walk / modality / frame.id
        if modality == "depth":
            size = _write_depth(source, target, frame.depth_scale, notes)
        elif modality == "semantic":
            size = _write_semantic(source, target, classes)
        elif modality == "instance":
            size = _write_instance(source, target)
        elif modality == "normals":
            size = _write_normals(source, target)
        else:
            continue
        check_aspect(source, modality, size, (height, width))
    return {
        "id": frame.id,
        "time": frame.time,
        "width": width,
        "height": height,
        **_intrinsics(camera),
        "pose": None if frame.pose is None else frame.pose.ravel().tolist(),
        "sharpness": sharpness(rgb),
        "part": frame.part,
        "split": frame.split,
    }


def _intrinsics(camera: Camera | None) -> dict[str, float | None]:
    return {name: None if camera is None else getattr(camera, name) for name in ("fx", "fy", "cx", "cy")}


def sharpness(rgb: np.ndarray) -> float:
    """Variance of the Laplacian of the grey image at short side 256: low for a blurred frame. `rgb` uint8 HxWx3."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = SHARPNESS_SIDE / min(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _write_rgb(source: Path, target: Path) -> np.ndarray:
    """Copy, or convert to PNG what is not plain 8-bit RGB in a PNG or a JPEG; the pixels, uint8 HxWx3."""
    array, kind, mode = decode(source)
    if mode == "RGB" and kind in IMAGE_SUFFIXES:
        shutil.copyfile(source, target.with_name(target.name + IMAGE_SUFFIXES[kind]))
        return array
    if mode not in ("RGB", "RGBA", "L", "LA", "P", "CMYK"):
        raise UserError(f"{source}: pixels are {mode}, not 8-bit colour. Convert it to 8-bit RGB.")
    with Image.open(source) as image:
        array = np.asarray(image.convert("RGB"))
    _save_png(target, array)
    return array


def _save_png(target: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(target.with_name(target.name + ".png"), compress_level=3)


def _one_channel(source: Path, what: str) -> tuple[np.ndarray, bool, str]:
    """Decode one-channel values: the array, whether the file may be copied as it is, and its Pillow mode."""
    if source.suffix == ".npy":
        try:
            array, kind, mode = np.load(source, allow_pickle=False), "NPY", "F"
        except DAMAGED as error:
            raise UserError(f"{source}: not a whole array ({error}). Restore the file, or remove its frame.") from None
        array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    else:
        array, kind, mode = decode(source)
    if array.ndim != 2 or kind == "JPEG" or array.dtype.kind not in "uif":
        detail = f"{kind}, {mode}, {array.shape[2] if array.ndim == 3 else 1} channels"
        raise UserError(f"{source}: is {detail}; {what} needs one channel without loss. Write it as a PNG of numbers.")
    return array, kind == "PNG", mode


def _write_depth(source: Path, target: Path, scale: float, notes: dict[str, Any]) -> tuple[int, int]:
    array, is_png, mode = _one_channel(source, "depth")
    if array.dtype == np.uint8:
        raise UserError(f"{source}: depth has 8 bits. Write it as a 16-bit PNG in millimetres.")
    if is_png and scale == 1 and mode.startswith("I;16"):
        shutil.copyfile(source, target.with_name(target.name + ".png"))
        return array.shape[0], array.shape[1]
    millimetres = np.nan_to_num(array.astype(np.float64) * scale, nan=0.0, posinf=np.inf, neginf=0.0)
    far = millimetres > np.iinfo(np.uint16).max
    if far.any():
        notes["depth"] = "values beyond 65.535 m, the most that is stored, were set to unknown"
    millimetres[far | (millimetres < 0)] = 0
    _save_png(target, np.rint(millimetres).astype(np.uint16))
    return array.shape[0], array.shape[1]


def _write_semantic(source: Path, target: Path, classes: ClassList | None) -> tuple[int, int]:
    array, is_png, mode = _one_channel(source, "semantic")
    if array.dtype.kind == "f" or array.min() < 0 or array.max() > IGNORE_INDEX:
        raise UserError(f"{source}: has label {array.max()}; labels are whole numbers from 0 to 255. Correct the mask.")
    ignore = IGNORE_INDEX
    if classes is not None:
        check_labels(source, array, len(classes.names), classes.ignore_index)
        ignore = classes.ignore_index
    if is_png and mode == "L" and ignore == IGNORE_INDEX:
        shutil.copyfile(source, target.with_name(target.name + ".png"))
    else:
        _save_png(target, np.where(array == ignore, IGNORE_INDEX, array).astype(np.uint8))
    return array.shape[0], array.shape[1]


def _write_normals(source: Path, target: Path) -> tuple[int, int]:
    array, kind, mode = decode(source)
    if mode != "RGB" or kind != "PNG":
        raise UserError(f"{source}: is {kind}, {mode}; normals are 8-bit RGB PNGs. Write them as docs/spaces.md says.")
    shutil.copyfile(source, target.with_name(target.name + ".png"))
    return array.shape[0], array.shape[1]


def _write_instance(source: Path, target: Path) -> tuple[int, int]:
    array, is_png, mode = _one_channel(source, "instance")
    if array.dtype.kind == "f" or array.min() < 0 or array.max() > np.iinfo(np.uint16).max:
        raise UserError(f"{source}: instance numbers are whole, from 0 to 65535. Number the instances again.")
    if is_png and mode.startswith("I;16"):
        shutil.copyfile(source, target.with_name(target.name + ".png"))
    else:
        _save_png(target, array.astype(np.uint16))
    return array.shape[0], array.shape[1]
