"""nerfstudio's transforms.json (also instant-ngp's and Blender's): OpenGL camera axes, metres."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tst.errors import UserError
from tst.files import read_json
from tst.readers.base import Frame, Recording
from tst.space import images, poses
from tst.space.camera import Camera
from tst.space.lens import Lens

FILES = {"depth": "depth_file_path", "semantic": "semantic_file_path", "instance": "instance_file_path"}
PINHOLE_LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")  # in OpenCV's order
FISHEYE_LENS = ("k1", "k2", "k3", "k4")
UNKNOWN_CAMERAS = ("THIN_PRISM", "EQUIRECT", "OMNI", "ORTHO", "SPHER", "VR180", "PANO")


def recognise(source: Path) -> str | None:
    """A transforms.json."""
    if source.name == "transforms.json" or (source / "transforms.json").is_file():
        return "transforms.json"
    return None


def read(source: Path) -> Recording:
    """Read a folder with a transforms.json, or that file itself.

    Raises:
        UserError: the file is not one, or a frame is unusable; names it and the remedy.
    """
    path = source / "transforms.json" if source.is_dir() else source
    root, transforms = path.parent, read_json(path)
    listed = transforms.get("frames") if isinstance(transforms, dict) else None
    if not isinstance(listed, list):
        raise UserError(f'{path}: has no list "frames". Is this a nerfstudio transforms.json?')
    if not listed:
        raise UserError(f"{path}: has no frames. Record or export the walk again.")
    splits = {
        Path(name).as_posix(): split
        for split in ("train", "val", "test")
        for name in transforms.get(f"{split}_filenames", [])
    }
    frames: dict[str, Frame] = {}
    for number, entry in enumerate(listed):
        where = f"{path}: frame {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("file_path"), str):
            raise UserError(f"{where} has no file_path. Add it, or remove the frame.")
        where = f"{where} ({entry['file_path']})"
        image = _inside(root, entry["file_path"], where)
        if image.stem in frames:
            raise UserError(f"{where}: another frame is also named {image.stem!r}. Rename one of the files.")
        files = {"rgb": image}
        files |= {name: _inside(root, entry[key], where) for name, key in FILES.items() if entry.get(key)}
        values = {**transforms, **entry}  # what a frame says goes before what the file says
        time = values.get("time", values.get("timestamp"))
        part = entry.get("part", entry.get("floor"))
        frames[image.stem] = Frame(
            id=image.stem,
            files=files,
            camera=_camera(values, image, where),
            pose=_pose(entry, where),
            time=None if time is None else _number(time, "time", where),
            part=None if part is None else str(part),
            split=splits.get(Path(entry["file_path"]).as_posix()),
            depth_scale=_depth_scale(values, where),
            lens=_lens(values, where),
        )
    return Recording("nerfstudio", source, list(frames.values()))


def _inside(root: Path, name: Any, where: str) -> Path:
    """The file `name` of the capture: an escape from its folder would let a downloaded capture copy any file."""
    if not isinstance(name, str):
        raise UserError(f"{where}: the file name {name!r} is not text. Correct it.")
    path = root / name
    if not path.suffix:  # Blender's files leave it out
        path = next((path.with_suffix(s) for s in (".png", ".jpg") if path.with_suffix(s).is_file()), path)
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{where}: {name!r} is outside the capture's folder. Move the file into it.")
    if not path.is_file():
        raise UserError(f"{where}: {path} not found. Restore the file, or remove the frame.")
    return path


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where}: {name} is {value!r}, not a number. Correct it, or remove the frame.")
    return float(value)


def _depth_scale(values: dict[str, Any], where: str) -> float:
    scale = _number(values.get("depth_unit_scale_factor", 0.001), "depth_unit_scale_factor", where)
    if scale <= 0:
        raise UserError(f"{where}: depth_unit_scale_factor is {scale}. Use metres per unit, 0.001 for millimetres.")
    return 1.0 if math.isclose(scale, 0.001) else scale * 1000


def _lens(values: dict[str, Any], where: str) -> Lens | None:
    model = str(values.get("camera_model", "")).upper()
    if any(word in model for word in UNKNOWN_CAMERAS):
        raise UserError(f"{where}: camera_model {model} is not one that tst can undistort. Make it pinhole first.")
    fisheye = "FISHEYE" in model
    names = FISHEYE_LENS if fisheye else PINHOLE_LENS
    coefficients = [_number(values.get(name) or 0.0, name, where) for name in names]
    if not fisheye and not any(coefficients):
        return None
    if not any(coefficients[5:]):
        coefficients = coefficients[:5]  # OpenCV takes 4, 5 or 8
    return Lens("fisheye" if fisheye else "pinhole", tuple(coefficients))


def _camera(values: dict[str, Any], image: Path, where: str) -> Camera:
    def number(name: str) -> float:
        value = _number(values[name], name, where)
        if value <= 0:
            raise UserError(f"{where}: {name} is {value}. Correct the intrinsics.")
        return value

    if "w" in values and "h" in values:
        width, height = round(number("w")), round(number("h"))
    else:
        height, width = images.size(image)
    if "fl_x" in values:
        fx = number("fl_x")
    elif "camera_angle_x" in values:
        fx = Camera.from_fov(width, height, math.degrees(number("camera_angle_x"))).fx
    else:
        raise UserError(f"{where}: has neither fl_x nor camera_angle_x. Add the focal length in pixels as fl_x.")
    fy = number("fl_y") if "fl_y" in values else fx
    cx = number("cx") if "cx" in values else width / 2
    cy = number("cy") if "cy" in values else height / 2
    return Camera(width, height, fx, fy, cx, cy)


def _pose(entry: dict[str, Any], where: str) -> np.ndarray:
    """Camera-to-world, OpenCV camera axes, from the frame's OpenGL one."""
    return poses.checked(entry.get("transform_matrix"), f"{where}: transform_matrix") @ poses.OPENGL_TO_OPENCV
