"""A Space: a folder of walks and of what was derived from them."""

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tst.errors import UserError
from tst.files import read_json, write_json
from tst.progress import track
from tst.space.camera import Camera
from tst.space.folders import locked

SCHEMA_VERSION = 1
IGNORE_INDEX = 255
ASPECT_TOLERANCE = 0.02

FRAME_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("time", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fx", pa.float64()),
        ("fy", pa.float64()),
        ("cx", pa.float64()),
        ("cy", pa.float64()),
        ("pose", pa.list_(pa.float64(), 16)),
        ("sharpness", pa.float32()),
        ("part", pa.string()),
        ("split", pa.string()),
        ("turns", pa.int8()),
    ]
)
LATER_COLUMNS = {"turns"}
"""Columns that Spaces made by earlier versions lack: null there."""
DROPPED_SCHEMA = pa.schema([("id", pa.string()), ("time", pa.float64()), ("reason", pa.string())])


class WalkRecord(BaseModel):
    """Where a walk came from. `source` is the name of the source folder, without the rest of its path."""

    model_config = ConfigDict(extra="forbid")

    format: str
    source: str
    date: str
    tst_version: str
    frames: int
    modalities: list[str]
    options: dict[str, Any] = Field(default_factory=dict)
    notes: dict[str, Any] = Field(default_factory=dict)


class SpaceFile(BaseModel):
    """The contents of space.json."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    name: str
    units: dict[str, str] = {"pose": "metres", "depth": "millimetres", "time": "seconds"}
    classes: list[str] | None = None
    ignore_index: int = IGNORE_INDEX
    modalities: list[str] = Field(default_factory=list, description="captured in at least one walk")
    walks: dict[str, WalkRecord] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict, description="of what was derived, by modality")

    @classmethod
    def load(cls, path: Path) -> "SpaceFile":
        """Read and validate a space.json.

        Raises:
            UserError: missing, damaged, or written by a newer version of tst.
        """
        value = read_json(path)
        version = value.get("schema_version") if isinstance(value, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise UserError(
                f"{path}: schema_version is {version} and this tst reads up to {SCHEMA_VERSION}. Update tst."
            )
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{path}: {field}: {first['msg']}. Restore the file, or read the capture again.") from None

    def save(self, path: Path) -> None:
        """Write atomically."""
        write_json(path, self.model_dump())


class Walk:
    """One recording in a Space: its frames in the order they were captured."""

    def __init__(self, path: Path, frames: pa.Table, record: WalkRecord):
        self.path, self.name, self.frames, self.record = path, path.name, frames, record
        self.ids: list[str] = frames["id"].to_pylist()
        self._files: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def folder(self, modality: str) -> Path:
        """Where the files of `modality` are, or would be."""
        return self.path / modality

    def modalities(self) -> list[str]:
        """Those with a file for every frame (a derivation that was stopped half-way does not count).

        In the order of the registry; folders of other names are left alone.
        """
        from tst.modalities import MODALITIES

        return [name for name in MODALITIES if self.folder(name).is_dir() and not self.missing(name)]

    def missing(self, modality: str) -> list[str]:
        """Ids of the frames without a file of `modality`."""
        files = self._scan(modality)
        return [name for name in self.ids if name not in files]

    def file(self, modality: str, index: int) -> Path:
        """The file of frame `index`.

        Raises:
            UserError: there is none.
        """
        files = self._files.get(modality) or self._scan(modality)
        name = self.ids[index]
        if name not in files:  # it may have been derived since the folder was last listed
            files = self._scan(modality)
        if name not in files:
            raise UserError(
                f"{self.folder(modality) / name}.*: not found. Run `tst derive` or `tst label` for "
                f"{modality}, or read the walk again."
            )
        return Path(files[name])

    def read(self, modality: str, index: int) -> np.ndarray:
        """Stored values of frame `index` (docs/spaces.md has shapes and units).

        Raises:
            UserError: the file is missing or damaged.
        """
        from tst.modalities import MODALITIES

        path = self.file(modality, index)
        try:
            return MODALITIES[modality].load(path)
        except UserError:
            raise
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{path}: cannot be decoded ({error}). Read or derive it again.") from None

    def camera(self, index: int) -> Camera | None:
        """The camera at the RGB size, or None where unknown."""
        row = {name: self._columns[name][index] for name in ("width", "height", "fx", "fy", "cx", "cy")}
        return None if row["fx"] is None else Camera(**row)

    def pose(self, index: int) -> np.ndarray | None:
        """(4, 4) float64 camera-to-world in metres, OpenCV camera axes, or None where unknown."""
        pose = self._columns["pose"][index]
        return None if pose is None else np.array(pose).reshape(4, 4)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of the RGB image."""
        return self._columns["height"][index], self._columns["width"][index]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return self.frames.to_pydict()

    def dropped(self) -> list[tuple[str, str]]:
        """(id, reason) of the source's frames that are not in the walk."""
        path = self.path / "dropped.parquet"
        if not path.is_file():
            return []
        try:
            table = pq.read_table(path, columns=["id", "reason"])
        except (pa.ArrowException, OSError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: not readable ({reason}). Restore it, or remove it.") from None
        return list(zip(table["id"].to_pylist(), table["reason"].to_pylist(), strict=True))

    def _scan(self, modality: str) -> dict[str, str]:
        """Paths of a modality's files by their stems; plain strings, as there may be 10^5."""
        files: dict[str, str] = {}
        if self.folder(modality).is_dir():
            with os.scandir(self.folder(modality)) as entries:
                files = {os.path.splitext(e.name)[0]: e.path for e in entries if e.name[0] != "."}  # noqa: PTH122
        self._files[modality] = files
        return files


class Space:
    """A folder of walks. Open one with `Space.open`; make one with `tst.readers.read`."""

    def __init__(self, path: Path, contents: SpaceFile, walks: dict[str, Walk]):
        self.path, self.file, self.walks = path, contents, walks
        self.name, self.classes, self.ignore_index = contents.name, contents.classes, contents.ignore_index

    @classmethod
    def open(cls, path: str | Path) -> "Space":
        """Open and validate: space.json, each frames.parquet, and a file for each frame of each captured modality.

        Raises:
            UserError: names the file that is wrong and what to do.
        """
        path = Path(path)
        if not (path / "space.json").is_file():
            what = "no space.json in it" if path.is_dir() else "no such folder"
            raise UserError(f"{path}: {what}. Make a Space from a capture with `tst read`.")
        contents = SpaceFile.load(path / "space.json")
        walks = {}
        for name, record in sorted(contents.walks.items()):
            walk = Walk(path / "walks" / name, _read_frames(path / "walks" / name / "frames.parquet"), record)
            if len(walk) != record.frames:
                raise UserError(
                    f"{walk.path / 'frames.parquet'}: has {len(walk)} frames and space.json says {record.frames}. "
                    "Restore the file, or read the walk again."
                )
            for modality in record.modalities:
                if missing := walk.missing(modality):
                    raise UserError(
                        f"{walk.folder(modality)}: {len(missing)} of {len(walk)} frames have no file "
                        f"(first: {missing[0]}). Restore the folder, or read the walk again."
                    )
            walks[name] = walk
        return cls(path, contents, walks)

    def modalities(self) -> list[str]:
        """Names of the modalities that every frame of every walk has, in the order of the registry."""
        from tst.modalities import MODALITIES

        counts = Counter(name for walk in self.walks.values() for name in walk.modalities())
        return [name for name in MODALITIES if counts[name] == len(self.walks) > 0]

    def __len__(self) -> int:
        return sum(len(walk) for walk in self.walks.values())

    def frames(self) -> list[tuple[Walk, int]]:
        """All frames: (walk, row), in order of walk name then row. The frame cache has the same order."""
        return [(walk, index) for walk in self.walks.values() for index in range(len(walk))]

    def splits(self) -> np.ndarray:
        """Split of every frame in the order of `frames`: train, val, test, or "" where none is given."""
        return np.array([name or "" for walk in self.walks.values() for name in walk.frames["split"].to_pylist()])

    def record_derived(self, entries: Mapping[str, Any]) -> None:
        """Add `{modality: how it was derived}` to the provenance in space.json."""
        with locked(self.path):
            contents = SpaceFile.load(self.path / "space.json")
            contents.provenance.update(entries)
            contents.save(self.path / "space.json")
        self.file = contents

    def check(self, full: bool = False) -> None:
        """Check the size and type of every stored file from its header; `full` decodes each and checks its values.

        Raises:
            UserError: names the first wrong file, what is wrong and what to do.
        """
        jobs = [(w, m, i) for w in self.walks.values() for m in w.modalities() for i in range(len(w))]
        check = self._check_values if full else self._check_header
        with ThreadPoolExecutor(2) as pool:
            for _ in track(pool.map(lambda job: check(*job), jobs), "checking", len(jobs)):
                pass

    def _check_header(self, walk: Walk, modality: str, index: int) -> None:
        path = walk.file(modality, index)
        if path.suffix not in (".png", ".jpg"):
            return
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{path}: cannot be decoded ({error}). Read or derive it again.") from None
        self._check_size(walk, modality, index, (height, width))

    def _check_values(self, walk: Walk, modality: str, index: int) -> None:
        from tst.modalities import MODALITIES

        path, expected = walk.file(modality, index), MODALITIES[modality]
        if path.suffix in (".png", ".jpg"):
            from tst.space.images import decode

            decode(path)  # stricter than most loaders, which fill in what a truncated file lacks
        array = walk.read(modality, index)
        if array.dtype != expected.dtype:
            raise UserError(f"{path}: is {array.dtype} and {modality} is {expected.dtype}. Read or derive it again.")
        channels = 1 if array.ndim == 2 else array.shape[2]
        if expected.channels and channels != expected.channels:
            raise UserError(f"{path}: has {channels} channels, not {expected.channels}. Read or derive it again.")
        self._check_size(walk, modality, index, (array.shape[0], array.shape[1]))
        if modality == "semantic" and self.classes is not None:
            check_labels(path, array, len(self.classes))

    def _check_size(self, walk: Walk, modality: str, index: int, size: tuple[int, int]) -> None:
        path, rgb = walk.file(modality, index), walk.size(index)
        if modality == "rgb" and size != rgb:
            raise UserError(
                f"{path}: is {size[1]}x{size[0]} and frames.parquet says {rgb[1]}x{rgb[0]}. Read the walk again."
            )
        check_aspect(path, modality, size, rgb)


def check_aspect(path: Path | str, modality: str, size: tuple[int, int], rgb: tuple[int, int]) -> None:
    """Refuse a file whose (height, width) is not that of the RGB image up to a scale (2 % or a pixel of rounding)."""
    height, width = size
    expected = height * rgb[1] / rgb[0]
    if abs(width - expected) > max(ASPECT_TOLERANCE * expected, 1):
        raise UserError(
            f"{path}: {modality} is {width}x{height} and the image {rgb[1]}x{rgb[0]}: the shapes differ. "
            "Crop or align it to the image."
        )


def check_labels(path: Path, labels: np.ndarray, classes: int, ignore: int = IGNORE_INDEX) -> None:
    """Refuse labels which are neither below `classes` nor `ignore`."""
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=classes))
    wrong = present[(present >= classes) & (present != ignore)]
    if len(wrong):
        raise UserError(
            f"{path}: has label {wrong[0]} and there are {classes} classes (0-{classes - 1}, or {ignore} to ignore). "
            "Correct the mask or the class list."
        )


def _read_frames(path: Path) -> pa.Table:
    """Read a frames.parquet.

    Raises:
        UserError: it is missing, damaged, or has other columns.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found. Restore it, or read the walk again.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not readable ({reason}). Restore it, or read the walk again.") from None
    for field in FRAME_SCHEMA:
        if field.name not in table.column_names and field.name in LATER_COLUMNS:
            table = table.append_column(field, pa.nulls(len(table), field.type))
        if field.name not in table.column_names:
            raise UserError(f"{path}: has no column {field.name!r}. Restore it, or read the walk again.")
    try:
        return table.select(FRAME_SCHEMA.names).cast(FRAME_SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise UserError(f"{path}: wrong column types ({error}). Restore it, or read the walk again.") from None
