"""ScanNet++: a scene's iPhone video with LiDAR depth, or its DSLR photographs.

Source of what is known: github.com/scannetpp/scannetpp, common/scene_release.py (layout), iphone/prepare_iphone_data.py
(decoding), iphone/arkit_pcl.py (`aligned_pose` is camera-to-world, OpenCV axes; intrinsics are of the RGB and scale to
the depth), dslr/undistort.py, common/render.py. The scan's world has z up (issue 25: turned about z alone).
"""

import re
import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from tst.decoding import arkit
from tst.decoding.archives import Files
from tst.decoding.calibration import Calibration, colmap_cameras, colmap_images, opencv, pinhole
from tst.decoding.dropping import refuse_if_most
from tst.decoding.timing import backwards
from tst.decoding.video import Video
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space import images, poses
from tst.space.camera import Camera

UP = (0.0, 0.0, 1.0)
POSES = "pose_intrinsic_imu.json"
TRANSFORMS = "nerfstudio/transforms.json"
MODELS = ("colmap/images.txt", TRANSFORMS, "nerfstudio/transforms_undistorted.json")
DISTORTED = "resized_images"
UNDISTORTED = ("resized_undistorted_images", "undistorted_images")
DEPTH = (192, 256)
CHUNK = 1 << 16
REMEDY = "Download the scene again."


def recognise(source: Path) -> str | None:
    """iphone/pose_intrinsic_imu.json, or dslr/ with a model of its poses."""
    try:
        for name in (f"iphone/{POSES}", POSES, *(f"dslr/{model}" for model in MODELS)):
            if (source / name).is_file():
                return name
    except OSError:
        pass
    return None


def read(source: Path, camera: Literal["iphone", "dslr"] = "iphone") -> Recording:
    """Read one scene's folder, or its `iphone` or `dslr` folder alone.

    Args:
        source: the folder named by the scene's code, as downloaded or with frames extracted by ScanNet++'s toolkit.
        camera: `iphone` (video, LiDAR depth) or `dslr` (photographs by a fisheye lens, made pinhole while they are
            read; depth only where the toolkit has rendered it from the scan).

    Raises:
        UserError: a file is missing or damaged, or most frames have no pose.
    """
    if camera not in ("iphone", "dslr"):
        raise UserError(f"--camera: {camera!r} is not known. Use iphone or dslr.")
    files = Files(source)
    if camera == "dslr":
        root = "dslr/" if any(f"dslr/{name}" in files for name in MODELS) else ""
        return _dslr(source, files, root)
    root = "iphone/" if f"iphone/{POSES}" in files else ""
    if root + POSES not in files and any(f"dslr/{name}" in files for name in MODELS):
        raise UserError(f"{files.where('iphone/' + POSES)}: not found. Read the photographs with --camera dslr.")
    return _iphone(source, files, root)


def _iphone(source: Path, files: Files, root: str) -> Recording:
    table = files.json(files.require(root + POSES, REMEDY))
    where = files.where(root + POSES)
    entries = table if isinstance(table, dict) else {}
    numbered = {int(name[6:]): value for name, value in entries.items() if re.fullmatch(r"frame_[0-9]{1,9}", name)}
    if not numbered:
        raise UserError(f"{where}: has no frame_000000 and so on. {REMEDY}")
    colour = _colour(files, root)
    depth = _depth(files, root)
    notes: dict[str, Any] = {"imu": "left out: the axes and units of the data set's samples are not documented"}
    if colour.count not in (None, len(numbered)):
        notes["frames"] = f"{colour.where} has {colour.count} frames and {POSES} {len(numbered)}"

    frames: list[Frame] = []
    dropped: list[Dropped] = []
    numbered = dict(sorted(numbered.items()))
    times = np.array([_time(entry) for entry in numbered.values()])
    for (number, entry), time, late in zip(numbered.items(), times, backwards(times), strict=True):
        name = f"frame_{number:06d}"
        moment = float(time) if np.isfinite(time) else None
        pose, camera = _posed(entry, colour.size)
        values: dict[str, Path | Values] = {}
        if (rgb := colour.frame(number)) is not None:
            values["rgb"] = rgb
        if depth is not None and (found := depth.frame(number)) is not None:
            values["depth"] = found
        reason = "its clock goes backwards" if late else None if "rgb" in values else "no image"
        reason = reason or next((part for part in (pose, camera) if isinstance(part, str)), None)
        if reason or isinstance(pose, str) or isinstance(camera, str):
            # Extracting only some of the frames is usual: what was not extracted was not left out here.
            if "rgb" in values or not colour.chosen:
                dropped.append(Dropped(name, moment, str(reason)))
        else:
            frames.append(Frame(name, values, camera, pose, moment))
    refuse_if_most(dropped, len(frames) + len(dropped), where)
    return Recording("scannetpp", source, frames, notes, dropped=dropped, up=UP, continuous=True)


class Images:
    """Frames extracted to `<folder>/frame_000000.<suffix>`."""

    chosen = True
    count = None

    def __init__(self, files: Files, names: list[str]):
        self._files = files
        self._by_stem = {PurePosixPath(name).stem: name for name in names}
        self.where = files.where(names[0])
        path = files.path(names[0])
        shape = images.size(path) if path else images.decode(files.read(names[0]), self.where)[0].shape[:2]
        self.size = (shape[1], shape[0])

    def frame(self, number: int) -> Path | Values | None:
        """Frame `number`, or None."""
        name = self._by_stem.get(f"frame_{number:06d}")
        return None if name is None else self._files.values(name)


class Film:
    """The frames of rgb.mkv (of older downloads: rgb.mp4)."""

    chosen = False

    def __init__(self, path: Path):
        self._video = Video(path, str(path))
        self.where, self.count = str(path), len(self._video)
        self.size = (self._video.width, self._video.height)

    def frame(self, number: int) -> Values | None:
        """Frame `number`, or None."""
        if number >= len(self._video):
            return None
        return Values(f"{self.where}, frame {number}", partial(self._video.frame, number), in_order=True)


class DepthBin:
    """Frames of depth.bin, of 256x192 pixels, in either of its kinds.

    - each frame by itself: its size (uint32), then LZ4 of uint16 millimetres or deflated float32 metres;
    - all frames as one deflated stream of float32 metres.
    """

    def __init__(self, path: Path):
        self._path = path
        self._places = self._index()
        self._restart()

    def frame(self, number: int) -> Values | None:
        """Frame `number`, or None. (How many one stream holds shows only when it is decoded.)"""
        if self._places and number >= len(self._places):
            return None
        load = self._single if self._places else self._streamed
        where = f"{self._path}, frame {number}"
        return Values(where, lambda _: load(number, where), in_order=not self._places)

    def _index(self) -> list[tuple[int, int]]:
        """Offset and size of each frame; empty for one stream."""
        largest = 2 * DEPTH[0] * DEPTH[1] * 4
        size = self._path.stat().st_size
        places: list[tuple[int, int]] = []
        with self._path.open("rb") as file:
            at = 0
            while at + 4 <= size:
                length = int.from_bytes(file.read(4), "little")
                if not 0 < length <= largest:
                    # Deflated data does not begin with two plausible sizes; a damaged list of frames does.
                    return places if len(places) > 1 else []
                if at + 4 + length > size:
                    break
                places.append((at + 4, length))
                at += 4 + length
                file.seek(at)
        return places

    def _single(self, number: int, where: str) -> np.ndarray:
        offset, length = self._places[number]
        with self._path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        pixels = DEPTH[0] * DEPTH[1]
        if (whole := _lz4(data, pixels * 2)) is not None:
            return np.frombuffer(whole, "<u2").reshape(DEPTH)
        try:
            whole = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, pixels * 4 + 1)
        except zlib.error:
            whole = b""
        if len(whole) != pixels * 4:
            raise UserError(f"{where}: is damaged. {REMEDY}")
        return _millimetres(whole)

    def _restart(self) -> None:
        self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        self._at = self._next = 0
        self._fault: str | None = None

    def _streamed(self, number: int, where: str) -> np.ndarray:
        if number < self._next:
            self._restart()
        data = b""
        with self._path.open("rb") as file:
            file.seek(self._at)
            while self._next <= number:
                if self._fault is None:
                    data = self._following(file)
                if self._fault is not None:  # nothing after it can be decoded either
                    raise UserError(f"{where}: the stream {self._fault}. {REMEDY}")
                self._next += 1
            self._at = file.tell()
        return _millimetres(data)

    def _following(self, file: IO[bytes]) -> bytes:
        """The bytes of the next frame of the stream; sets `_fault` where there is none."""
        wanted = DEPTH[0] * DEPTH[1] * 4
        data = b""
        while len(data) < wanted:
            given = self._decoder.unconsumed_tail or file.read(CHUNK)
            try:
                part = self._decoder.decompress(given, wanted - len(data))
            except zlib.error as error:
                self._fault = f"is damaged ({error})"
                return b""
            data += part
            if len(data) < wanted and (self._decoder.eof or not (part or given)):
                self._fault = "ends before it"
                return b""
        return data


def _millimetres(metres: bytes) -> np.ndarray:
    """float32 (H, W) of the bytes of a frame; what is not a number, or beyond one, stays so."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.frombuffer(metres, "<f4").reshape(DEPTH) * np.float32(1000)


def _lz4(data: bytes, size: int) -> bytes | None:
    """LZ4 block `data` of `size` bytes; None if it is not one."""
    try:
        from lz4 import block
    except ImportError:
        raise UserError("depth.bin needs the package lz4. Install it with `pip install lz4`.") from None
    try:
        whole = block.decompress(data, uncompressed_size=size)
    except block.LZ4BlockError:
        return None
    return whole if len(whole) == size else None


def _colour(files: Files, root: str) -> Images | Film:
    if names := files.names(f"{root}rgb", (".jpg", ".png")):
        return Images(files, names)
    name = next((root + name for name in ("rgb.mkv", "rgb.mp4") if root + name in files), None)
    if name is None:
        raise UserError(f"{files.where(root + 'rgb.mkv')}: not found, and no folder rgb. {REMEDY}")
    return Film(_unpacked(files, name))


def _depth(files: Files, root: str) -> Images | DepthBin | None:
    if names := files.names(f"{root}depth", ".png"):
        return Images(files, names)
    return DepthBin(_unpacked(files, f"{root}depth.bin")) if f"{root}depth.bin" in files else None


def _unpacked(files: Files, name: str) -> Path:
    path = files.path(name)
    if path is None:
        raise UserError(f"{files.where(name)}: is in a zip, where it cannot be read frame by frame. Unpack it.")
    return path


def _time(entry: Any) -> float:
    value = entry.get("timestamp") if isinstance(entry, dict) else None
    return float(value) if isinstance(value, float | int) and abs(value) < 1e15 else np.nan


def _posed(entry: Any, size: tuple[int, int]) -> tuple[np.ndarray | str, Camera | str]:
    """A frame's pose and camera, or what is wrong with them."""
    if not isinstance(entry, dict) or "aligned_pose" not in entry:
        return "no aligned_pose", ""
    pose: np.ndarray | str
    camera: Camera | str
    try:
        pose = poses.checked(entry["aligned_pose"], "the pose")
    except UserError as error:
        pose = arkit.reason(error)
    try:
        k = np.array(entry.get("intrinsic"), np.float64)
        if k.shape != (3, 3):
            return pose, "the intrinsics are not 3x3 numbers"
        camera = pinhole(size, (k[0, 0], k[1, 1]), (k[0, 2], k[1, 2]), "the frame")
    except UserError as error:
        camera = arkit.reason(error)
    except (TypeError, ValueError, OverflowError):
        camera = "the intrinsics are not 3x3 numbers"
    return pose, camera


class Photo(NamedTuple):
    """What is known of a photograph: its pose (or why not), and marks of the data set."""

    pose: np.ndarray | str
    split: str | None = None
    bad: bool = False


def _dslr(source: Path, files: Files, root: str) -> Recording:
    folder = next((root + name for name in (DISTORTED, *UNDISTORTED) if files.names(root + name)), None)
    if folder is None:
        raise UserError(f"{files.where(root + DISTORTED)}: no images. Download the asset dslr/{DISTORTED}.")
    pinhole_already = folder != root + DISTORTED
    transforms_name = root + (MODELS[2] if pinhole_already else TRANSFORMS)
    transforms = files.json(transforms_name) if transforms_name in files else {}
    where = files.where(transforms_name)
    photos = _transforms(transforms, where)
    model = root + "colmap/"
    up: tuple[float, float, float] | None = None
    cameras: dict[int, Calibration] = {}
    used: dict[str, int] = {}
    if model + "images.txt" in files:
        # COLMAP's model is in the scan's world; that of transforms.json is turned.
        up = UP
        cameras = colmap_cameras(files.text(files.require(model + "cameras.txt")), files.where(model + "cameras.txt"))
        for name, camera, pose in colmap_images(files.text(model + "images.txt"), files.where(model + "images.txt")):
            photos[name] = photos.get(name, Photo(pose))._replace(pose=pose)
            used[name] = camera
    elif not photos:
        raise UserError(f"{where}: not found, nor {model}images.txt, so that no photograph has a pose. {REMEDY}")
    shared = _calibration(transforms, where) if "fl_x" in transforms else None
    if shared is None and (pinhole_already or not cameras):
        raise UserError(f"{where}: gives no intrinsics (fl_x and so on). {REMEDY}")
    rendered = {} if pinhole_already else {PurePosixPath(n).stem: n for n in files.names(root + "render_depth", ".png")}

    frames: list[Frame] = []
    dropped: list[Dropped] = []
    for image in files.names(folder):
        path = PurePosixPath(image)
        if path.suffix.lower() not in (".jpg", ".png") or path.name.startswith("."):
            continue
        photo = photos.get(path.name, Photo("no pose in the data set"))
        calibration = shared or cameras.get(used.get(path.name, -1))
        if isinstance(photo.pose, str) or calibration is None:
            dropped.append(Dropped(path.stem, None, str(photo.pose) if isinstance(photo.pose, str) else "no camera"))
            continue
        values = {"rgb": files.values(image)}
        if path.stem in rendered:
            values["depth"] = files.values(rendered[path.stem])
        frame = Frame(path.stem, values, calibration.camera, photo.pose, split=photo.split, lens=calibration.lens)
        frame.against = "marked as bad by the data set" if photo.bad else None
        frames.append(frame)
    refuse_if_most(dropped, len(frames) + len(dropped), files.where(folder))
    notes = {"world": "the scan's" if up else "that of transforms.json, turned against the scan's"}
    if rendered:
        notes["depth"] = "rendered from the scan by ScanNet++'s toolkit, not measured by the camera"
    return Recording("scannetpp", source, frames, notes, dropped=dropped, up=up)


def _transforms(transforms: Any, where: str) -> dict[str, Photo]:
    """Photographs of a transforms.json by file name: OpenGL camera axes."""
    photos: dict[str, Photo] = {}
    if not isinstance(transforms, dict):
        raise UserError(f"{where}: is not an object. {REMEDY}")
    for key, split in (("frames", "train"), ("test_frames", "test")):
        entries = transforms.get(key, [])
        if not isinstance(entries, list):
            raise UserError(f"{where}: {key} is not a list of frames. {REMEDY}")
        for entry in entries:
            name = entry.get("file_path") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                raise UserError(f"{where}: an entry of {key} has no file_path. {REMEDY}")
            pose: np.ndarray | str
            try:
                pose = poses.checked(entry.get("transform_matrix"), "the pose") @ poses.OPENGL_TO_OPENCV
            except UserError as error:
                pose = arkit.reason(error)
            photos[PurePosixPath(name).name] = Photo(pose, split, entry.get("is_bad") is True)
    return photos


def _calibration(transforms: dict[str, Any], where: str) -> Calibration:
    try:
        size = [float(transforms[key]) for key in ("w", "h")]
        numbers = [float(transforms[key]) for key in ("fl_x", "fl_y", "cx", "cy")]
        model = str(transforms.get("camera_model", "PINHOLE"))
        keys = {"OPENCV": ("k1", "k2", "p1", "p2"), "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4")}.get(model, ())
        numbers += [float(transforms.get(key, 0)) for key in keys]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: w, h, fl_x, fl_y, cx, cy or the distortion is not a number. {REMEDY}") from None
    return opencv(model, size, numbers, where)
