"""A folder of single labelled images: images/, and depth/, semantic/, instance/, split.csv where there are any."""

import csv
from pathlib import Path

from tst.errors import UserError
from tst.readers.base import Frame, Recording
from tst.space import images
from tst.space.camera import Camera

DEFAULT_FOV = 60.0
SPLITS = ("train", "val", "test")


def recognise(source: Path) -> str | None:
    """A folder images/ and one of masks or depth, or split.csv."""
    for name in ("semantic", "depth", "split.csv"):
        if (source / "images").is_dir() and (source / name).exists() and not (source / "transforms.json").exists():
            return f"images/ and {name}"
    return None


def read(source: Path, fov: float | None = None, focal: float | None = None) -> Recording:
    """Read a labelled folder. Files belong together by their names without the extension.

    Args:
        source: the folder. depth/ is 16-bit millimetres, semantic/ class indices, instance/ instance numbers;
            split.csv has the columns id and split (train, val or test).
        fov: horizontal field of view in degrees; 60 is assumed without it.
        focal: focal length in pixels instead.

    Raises:
        UserError: a folder or a file is missing, or split.csv does not fit.
    """
    if fov is not None and focal is not None:
        raise UserError("--fov and --focal say the same thing. Give one of them.")
    if fov is not None and not 0 < fov < 180:
        raise UserError(f"--fov: {fov} is not an angle of view. Use degrees between 0 and 180.")
    if focal is not None and not focal > 0:
        raise UserError(f"--focal: {focal} is not a focal length. Use pixels above 0.")
    files = {"rgb": _listing(source / "images")}
    if not files["rgb"]:
        raise UserError(f"{source / 'images'}: no images. A labelled folder has its images there.")
    for modality in ("depth", "semantic", "instance"):
        if (source / modality).is_dir():
            files[modality] = _listing(source / modality)
            if missing := sorted(files["rgb"].keys() - files[modality].keys()):
                raise UserError(
                    f"{source / modality / missing[0]}.png: not found ({len(missing)} of {len(files['rgb'])} images "
                    f"have no {modality}). Add the files, or remove the images."
                )
            if extra := sorted(files[modality].keys() - files["rgb"].keys()):
                raise UserError(
                    f"{files[modality][extra[0]]}: has no image in {source / 'images'} ({len(extra)} such files). "
                    "Add the images, or remove the files."
                )
    splits = _splits(source / "split.csv", set(files["rgb"]))
    frames = []
    for name, path in sorted(files["rgb"].items()):
        height, width = images.size(path)
        camera = Camera.from_fov(width, height, fov or DEFAULT_FOV)
        if focal is not None:
            camera = Camera(width, height, focal, focal, width / 2, height / 2)
        found = {modality: paths[name] for modality, paths in files.items()}
        frames.append(Frame(name, found, camera, split=splits.get(name)))
    notes = {}
    if fov is None and focal is None:
        notes["intrinsics"] = f"assumed: {DEFAULT_FOV:g} degrees horizontal field of view (none was given)"
    return Recording("labelled", source, frames, notes)


def _listing(folder: Path) -> dict[str, Path]:
    """Files of a folder by stem."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not found. A labelled folder has images/, perhaps depth/, semantic/, instance/.")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name[0] == "." or not path.is_file():
            continue
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same name. Rename or remove one of them.")
        files[path.stem] = path
    return files


def _splits(path: Path, ids: set[str]) -> dict[str, str]:
    """Split by id; empty without the file."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error}). Write the columns id and split.") from None
    splits: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        name, split = row.get("id"), row.get("split")
        if name is None or split is None:
            raise UserError(f"{path}: line {line} lacks the columns id and split. The first line must be `id,split`.")
        if split not in SPLITS:
            raise UserError(f"{path}: line {line}: split is {split!r}. Use train, val or test.")
        if name not in ids:
            raise UserError(f"{path}: line {line}: there is no image {name!r}. Remove the line, or add the image.")
        if splits.setdefault(name, split) != split:
            raise UserError(f"{path}: line {line}: {name!r} is in two splits. Keep one.")
    if missing := sorted(ids - splits.keys()):
        raise UserError(f"{path}: {len(missing)} images have no line (first: {missing[0]}). Add their lines.")
    return splits
