"""Readers of capture formats, one file each, and the stage `read` that makes Spaces with them.

A reader is a module of this folder with two functions; its format is the module's name.

- `read(source, ...) -> Recording`; what it takes beside the source are the format's own options on the command line.
- `recognise(source) -> str | None`: what of the source says that it is of this format ("rgb.mp4 and odometry.csv"), or
  None. Looks at names only, and never fails.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tst.errors import UserError
from tst.files import read_json
from tst.readers.base import Frame, Recording
from tst.space.choosing import ReadConfig
from tst.space.ingest import ClassList, add_walk
from tst.space.space import Space

__all__ = ["READERS", "Frame", "Recording", "read", "recognised"]

MODULES = {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
READERS: dict[str, Callable[..., Recording]] = {name: module.read for name, module in MODULES.items() if name != "base"}


GENERIC_NAMES = ("transforms.json", "metadata", "metadata.json")
"""Files that stand for the folder they are in."""


class Recognised(NamedTuple):
    """A format that a source may be of, and what of it says so."""

    format: str
    reason: str


def recognised(source: str | Path) -> list[Recognised]:
    """The formats that `source` may be of."""
    found = [(name, MODULES[name].recognise(Path(source))) for name in READERS]
    return [Recognised(name, reason) for name, reason in found if reason]


def read(
    format: str,
    source: str | Path,
    space: str | Path,
    *,
    walk: str | None = None,
    classes: str | Path | None = None,
    config: ReadConfig = ReadConfig(),
    **options: Any,
) -> Space:
    """Read a capture into a Space: a new one, or a further walk of one that exists.

    Nothing appears in `space` before the whole walk has been read and checked, and nothing there is overwritten. An
    interrupted read goes on from where it was when it is started again with the same settings.

    Args:
        format: the capture's format, one of READERS, or "auto".
        source: the capture.
        space: folder of the Space.
        walk: name of the walk; by default that of the source.
        classes: JSON with "classes" (names in order of their index) and "ignore_index"; by default the source's
            own classes.json, if it has one.
        config: which frames are kept, and how they are stored.
        options: the format's own (see its reader); those that are None are left out.

    Raises:
        UserError: the capture is damaged or does not fit the Space; names the file and the remedy.
    """
    source, space = Path(source), Path(space)
    if not source.exists():
        raise UserError(f"{source}: not found. Check the path.")
    if format == "auto":
        format = only_format(source).format
    if format not in READERS:
        raise UserError(f"{format}: no such capture format. Use one of: auto, {', '.join(READERS)}.")
    options = {name: value for name, value in options.items() if value is not None}
    for option in options:
        if option not in inspect.signature(READERS[format]).parameters:
            why = "has its own intrinsics" if option in ("fov", "focal") else "has no such option"
            raise UserError(f"--{option.replace('_', '-')}: a {format} capture {why}. Leave the option out.")
    recording = READERS[format](source, **options)
    if not recording.frames:
        raise UserError(f"{source}: holds no usable frames. Record or export the walk again.")
    folder = source if source.is_dir() else source.parent
    if classes is None and (folder / "classes.json").is_file():
        classes = folder / "classes.json"
    class_list = ClassList(recording.classes) if recording.classes else None
    if classes is not None:
        class_list = load_classes(Path(classes))
        options["classes"] = Path(classes).name
    used = config.model_dump(exclude_defaults=True)
    return add_walk(space, recording, walk or source_name(source), class_list, {**options, **used}, config)


def source_name(source: Path) -> str:
    """What a capture is called: its folder's name, or its file's without the suffix."""
    source = source.resolve()
    if source.is_dir():
        return source.name
    return source.parent.name if source.name in GENERIC_NAMES else source.stem


def only_format(source: Path) -> Recognised:
    """The one format that `source` is of.

    Raises:
        UserError: none or several are.
    """
    found = recognised(source)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"{source}: is of no format that tst knows. Name one of: {', '.join(READERS)}.")
    named = "; ".join(f"{name} ({reason})" for name, reason in found)
    raise UserError(f"{source}: may be of several formats: {named}. Name one instead of auto.")


def load_classes(path: Path) -> ClassList:
    """Read a class list.

    Raises:
        UserError: it is not one.
    """
    value = read_json(path)
    names = value.get("classes") if isinstance(value, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f'{path}: has no list of names under "classes". Write {{"classes": ["wall", ...]}}.')
    if len(set(names)) < len(names):
        raise UserError(f"{path}: a class name occurs twice. Give each class its own name.")
    if len(names) > 255:
        raise UserError(f"{path}: has {len(names)} classes and masks hold at most 255. Merge some.")
    ignore = value.get("ignore_index", 255)
    if not isinstance(ignore, int) or isinstance(ignore, bool) or not 0 <= ignore <= 255:
        raise UserError(f"{path}: ignore_index is {ignore!r}. Use a whole number from 0 to 255.")
    return ClassList(names, ignore)
