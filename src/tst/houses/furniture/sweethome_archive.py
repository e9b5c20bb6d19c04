"""Sweet Home 3D furniture libraries (.sh3f): a zip of a catalogue and models, read without trusting it.

Nothing is unpacked to disk; every entry is read into memory, within limits.
"""

import posixpath
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tst.errors import UserError

CATALOGUE = "PluginFurnitureCatalog.properties"
MOST_ENTRIES = 50_000
MOST_BYTES = 256 * 2**20
"""Of one entry, inflated."""
MOST_BYTES_IN_ALL = 4 * 2**30
MOST_RATIO = 200
"""Inflated to compressed size, of entries above 1 MiB; models and pictures stay below 10."""
LARGEST = 20.0
"""Metres."""


@dataclass(frozen=True)
class Model:
    """One model of a catalogue. Lengths in metres.

    Attributes:
        id: unique in the library.
        name: in English.
        part: of the catalogue it is listed in ("Living room").
        path: of the model file in the archive.
        size: width, depth, height.
        elevation: of its underside above the floor.
        top: height at which things can be dropped on it; None where they cannot, or it is not told.
        rotation: 3x3, applied to the model's points first.
        light: middle of its light sources from the left front corner of its underside: right, back, up.
        creator, licence: attribution.
    """

    id: str
    name: str
    part: str
    path: str
    size: tuple[float, float, float]
    elevation: float
    top: float | None
    rotation: np.ndarray
    light: tuple[float, float, float] | None
    creator: str
    licence: str

    @classmethod
    def of(cls, fields: dict[str, str], library: dict[str, str]) -> "Model":
        """From the catalogue's entries for one model and for the whole library.

        Raises:
            UserError: an entry is missing or absurd.
        """
        name = fields.get("name", "a model without a name")
        identity = fields.get("id") or fields.get("model", name)
        if "model" not in fields:
            raise _wrong(name, "has no model file")
        sizes = tuple(_length(fields, key, name) for key in ("width", "depth", "height"))
        if not all(0 < value <= LARGEST for value in sizes):
            shown = " x ".join(f"{value:g}" for value in sizes)
            raise _wrong(name, f"measures {shown} m, 0 to {LARGEST:g} are possible")
        elevation = _length(fields, "elevation", name, 0.0)
        if not 0 <= elevation <= LARGEST:
            raise _wrong(name, f"hangs at {elevation:g} m, 0 to {LARGEST:g} are possible")
        top = _length(fields, "dropOnTopElevation", name, -1.0)
        return cls(
            identity,
            name,
            fields.get("category", ""),
            fields["model"],
            (sizes[0], sizes[1], sizes[2]),
            elevation,
            top if 0 < top <= LARGEST else None,
            _rotation(fields.get("modelRotation", ""), name),
            _light(fields, name),
            " ".join((fields.get("creator") or library.get("provider", "unknown")).split()),
            " ".join((fields.get("license") or library.get("license", "unknown")).split()),
        )


class Archive:
    """An open library; use it in a `with` statement.

    Attributes:
        fields: entries of the catalogue for the whole library (id, name, license, ...).
        models: entries of the catalogue for each model, in its order.

    Raises:
        UserError: the file is missing, no zip, damaged, unsafe or too large, or it has no catalogue of furniture.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except FileNotFoundError:
            raise UserError(f"{file}: not found. Check the path.") from None
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise UserError(f"{file}: not a readable .sh3f library ({error}). Download it again.") from None
        try:
            self._names = self._checked()
            catalogue = self.read(CATALOGUE)
            if catalogue is None:
                raise UserError(f"{file}: has no {CATALOGUE}. Give a Sweet Home 3D furniture library (.sh3f).")
            self.fields, self.models = read_catalogue(catalogue)
            if not self.models:
                raise UserError(f"{file}: its {CATALOGUE} lists no furniture. Give a furniture library (.sh3f).")
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def name(self) -> str:
        """Of the library."""
        return self.fields.get("name") or self.file.stem

    def read(self, path: str) -> bytes | None:
        """An entry by its path; None if there is none. Without an exact match, capitals do not count.

        Raises:
            UserError: it is damaged.
        """
        clean = posixpath.normpath(path.replace("\\", "/").lstrip("/"))
        entry = self._names.get(clean) or self._names.get(clean.lower())
        if entry is None:
            return None
        try:
            with self._zip.open(entry) as stream:
                data = stream.read(MOST_BYTES + 1)
        except (
            OSError,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            zlib.error,
            zipfile.BadZipFile,
        ) as error:
            raise UserError(f"{self.file}: {clean} is damaged ({error}). Download the library again.") from None
        if len(data) > MOST_BYTES:
            raise self._unsafe(f"{clean} inflates to more than {MOST_BYTES >> 20} MiB")
        return data

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._zip.infolist()
        if len(entries) > MOST_ENTRIES:
            raise self._unsafe(f"it has {len(entries)} entries, more than {MOST_ENTRIES}")
        if sum(entry.file_size for entry in entries) > MOST_BYTES_IN_ALL:
            raise self._unsafe(f"it inflates to more than {MOST_BYTES_IN_ALL >> 30} GiB")
        names: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            path = entry.filename.replace("\\", "/")
            if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/"):
                raise self._unsafe(f"the entry {entry.filename[:80]!r} leads outside")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise self._unsafe(f"the entry {entry.filename[:80]!r} is a symbolic link")
            if entry.flag_bits & 1:
                raise self._unsafe(f"the entry {entry.filename[:80]!r} is encrypted")
            if entry.file_size > MOST_BYTES:
                raise self._unsafe(f"{entry.filename[:80]!r} inflates to more than {MOST_BYTES >> 20} MiB")
            if entry.file_size > max(2**20, MOST_RATIO * entry.compress_size):
                raise self._unsafe(f"{entry.filename[:80]!r} inflates more than {MOST_RATIO} times")
            if not entry.is_dir():
                names[posixpath.normpath(path)] = entry
        # Exact names win over names in other capitals.
        return {name.lower(): entry for name, entry in names.items()} | names

    def _unsafe(self, what: str) -> UserError:
        return UserError(f"{self.file}: not a safe library: {what}. Get it from its author.")


def read_catalogue(data: bytes) -> tuple[dict[str, str], list[dict[str, str]]]:
    """A catalogue's entries for the whole library, and those of each model (`name#3` is `name` of model 3)."""
    library: dict[str, str] = {}
    models: dict[int, dict[str, str]] = {}
    for key, value in _properties(data):
        field, _, number = key.rpartition("#")
        if field and number.isdecimal() and len(number) < 10:
            models.setdefault(int(number), {})[field] = value
        else:
            library[key] = value
    return library, [models[number] for number in sorted(models)]


def _properties(data: bytes) -> Iterator[tuple[str, str]]:
    """Keys and values of a Java properties file: UTF-8, else Latin-1."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    logical = ""
    for line in re.split(r"\r\n|\n|\r", text):
        stripped = line.lstrip(" \t\f")
        if not logical and stripped[:1] in ("", "#", "!"):
            continue
        logical += stripped
        backslashes = len(logical) - len(logical.rstrip("\\"))
        if backslashes % 2:
            logical = logical[:-1]
            continue
        # The key ends at the first `=`, `:` or blank that has no backslash before it.
        key, value = re.fullmatch(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", logical, re.DOTALL).groups()  # type: ignore[union-attr]
        yield _unescaped(key), _unescaped(value).strip()
        logical = ""


def _unescaped(text: str) -> str:
    special = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else special.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", plain, text, flags=re.DOTALL)


def _wrong(name: str, what: str) -> UserError:
    return UserError(f"{name}: {what}. Correct its entry in the catalogue.")


def _floats(fields: dict[str, str], key: str, name: str) -> list[float]:
    try:
        values = [float(word) for word in fields[key].split()]
    except ValueError:
        values = []
    if not values or not np.isfinite(values).all():
        raise _wrong(name, f"{key} is {fields[key][:40]!r}, not a number")
    return values


def _length(fields: dict[str, str], key: str, name: str, default: float | None = None) -> float:
    """An entry in centimetres as metres."""
    if not fields.get(key):
        if default is None:
            raise _wrong(name, f"has no {key}")
        return default
    return _floats(fields, key, name)[0] / 100


def _rotation(text: str, name: str) -> np.ndarray:
    if not text:
        return np.eye(3)
    values = _floats({"modelRotation": text}, "modelRotation", name)
    matrix = np.array(values).reshape(3, 3) if len(values) == 9 else np.zeros((3, 3))
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=0.02):
        raise _wrong(name, f"modelRotation is {text[:40]!r}, not nine numbers of a rotation")
    return matrix


def _light(fields: dict[str, str], name: str) -> tuple[float, float, float] | None:
    keys = ("lightSourceX", "lightSourceY", "lightSourceZ")
    if not all(fields.get(key) for key in keys):
        return None
    x, y, z = (float(np.mean(_floats(fields, key, name))) / 100 for key in keys)
    return x, y, z
