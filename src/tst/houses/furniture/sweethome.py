"""Furniture from Sweet Home 3D libraries (.sh3f): converted once into a folder, then drawn from it.

The folder (`furniture_home`) has one subfolder a library: an `index.json` and a `.npz` file for each model.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from tst.errors import UserError
from tst.files import atomic_path, digest, read_json, write_json
from tst.houses.categories import CATEGORIES
from tst.houses.furniture.piece import Fits, Library, Piece, Support
from tst.houses.furniture.sweethome_archive import Archive, Model
from tst.houses.furniture.sweethome_models import piece_of
from tst.houses.furniture.sweethome_names import category_of, is_wanted
from tst.houses.mesh import Material, Mesh, Texture
from tst.progress import track

VERSION = 1
"""Of the conversion: raise it when pieces change, so that libraries are converted anew."""
INDEX = "index.json"
PACKAGE = "sweethome3d-furniture"
UV_STEPS = 4096

Subset = Literal["all", "in", "out"]


@dataclass(frozen=True)
class LibrarySummary:
    """What became of a library.

    Attributes:
        name, licence: of the library.
        file: that was read.
        folder: that it was converted into; nothing is written if no model is of use.
        models: in its catalogue.
        added: models by category.
        reused: of those, converted by an earlier run.
        skipped: models of use that are broken, and why.
    """

    name: str
    licence: str
    file: Path
    folder: Path
    models: int
    added: dict[str, int]
    reused: int
    skipped: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        total = sum(self.added.values())
        text = f"{self.name}: {total} of {self.models} models in {len(self.added)} categories ({self.licence})"
        if self.skipped:
            names = ", ".join(name for name, _ in self.skipped[:5]) + (", ..." if len(self.skipped) > 5 else "")
            text += f"; {len(self.skipped)} broken ones skipped: {names}"
        return text


def furniture_home(home: Path | None = None) -> Path:
    """The folder of converted furniture: `home`, `$TST_HOME/furniture`, or `tst/furniture` in the user's cache."""
    if home is not None:
        return home
    if os.environ.get("TST_HOME"):
        return Path(os.environ["TST_HOME"]) / "furniture"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tst" / "furniture"


def add_library(file: Path, home: Path | None = None) -> LibrarySummary:
    """Convert a .sh3f library into `furniture_home(home)`. Interrupted, it goes on where it was; done, it does nothing.

    An earlier version of the same library is replaced.

    Raises:
        UserError: the file is no library, damaged or unsafe, or all its models of use are broken. Nothing is written.
    """
    with Archive(file) as archive:
        wanted, skipped = _wanted(archive)
        identity = archive.fields.get("id") or archive.name
        folder = furniture_home(home) / f"{_slug(archive.name)}-{digest(identity)[:8]}"
        licence = " ".join(archive.fields.get("license", "unknown").split())
        content = _fingerprint(file)
        records: list[dict[str, Any]] = []
        reused = 0
        for model, category in track(wanted, f"converting {archive.name}"):
            path = folder / f"{digest(VERSION, content, model.id, model.path, category)}.npz"
            piece = _earlier(path)
            reused += piece is not None
            if piece is None:
                try:
                    piece = piece_of(archive, model, category)
                except UserError as error:
                    skipped.append((model.name, str(error)))
                    continue
                save_piece(path, piece)
            records.append(_record(path, piece, model, identity))
        if skipped and not records:
            raise UserError(f"{file}: none of its {len(skipped)} models can be read: {skipped[0][1]}")
        if records:
            index = {"version": VERSION, "name": archive.name, "licence": licence, "file": file.name, "models": records}
            write_json(folder / INDEX, index)
            current = {record["file"] for record in records}
            for stale in sorted(folder.glob("*.npz")):
                if stale.name not in current:
                    stale.unlink()
        added = Counter(record["category"] for record in records)
        ordered = {category: added[category] for category in CATEGORIES if added[category]}
        return LibrarySummary(archive.name, licence, file, folder, len(archive.models), ordered, reused, tuple(skipped))


def install(home: Path | None = None) -> list[LibrarySummary]:
    """Fetch Debian's `sweethome3d-furniture` (120 MB, no root needed) and add its libraries.

    Raises:
        UserError: there is no apt, no network, or the package is not to be had.
    """
    other = "or give a library you downloaded: tst furniture add FILE.sh3f"
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise UserError(f"{tool}: not found; the package {PACKAGE} needs Debian or Ubuntu. Run it there, {other}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _command(["apt-get", "download", "-q", PACKAGE], folder, f"Check the network, run sudo apt-get update, {other}")
        packages = sorted(folder.glob("*.deb"))
        if not packages:
            raise UserError(f"{PACKAGE}: apt-get downloaded nothing. Run sudo apt-get update, {other}")
        _command(
            ["dpkg", "-x", str(packages[0]), "unpacked"], folder, f"Free some disk space in {folder.parent}, {other}"
        )
        files = sorted((folder / "unpacked").rglob("*.sh3f"))
        if not files:
            raise UserError(f"{packages[0].name}: has no .sh3f in it. Install another version, {other}")
        return [add_library(file, home) for file in files]


class SweetHomeLibrary:
    """The pieces of all libraries that were added.

    Args:
        home: see `furniture_home`.
        subset: "in" and "out" are two halves without a model in common; which half a model is in never changes.

    Raises:
        UserError: none was added yet, or an index is damaged.
    """

    def __init__(self, home: Path | None = None, subset: Subset = "all") -> None:
        folder = furniture_home(home)
        self._pieces: dict[Path, Piece] = {}
        self._models: dict[str, list[tuple[Path, tuple[float, float, float]]]] = {}
        indices = sorted(folder.glob(f"*/{INDEX}"))
        if not indices:
            raise UserError(f"{folder}: no furniture yet. Run tst furniture install, or tst furniture add FILE.sh3f.")
        for index in indices:
            for path, record in _read_index(index):
                if subset in ("all", record["half"]):
                    x, y, z = map(float, record["size"])
                    self._models.setdefault(record["category"], []).append((path, (x, y, z)))

    def categories(self) -> frozenset[str]:
        """What there is a model of."""
        return frozenset(self._models)

    def draw(self, category: str, rng: np.random.Generator, fits: Fits | None = None) -> Piece | None:
        """One of the models that `fits`, all equally likely; None if there is none.

        Raises:
            UserError: its file is damaged.
        """
        models = [path for path, size in self._models.get(category, ()) if fits is None or fits(size)]
        return self._piece(models[int(rng.integers(len(models)))]) if models else None

    def _piece(self, path: Path) -> Piece:
        if path not in self._pieces:
            self._pieces[path] = load_piece(path)
        return self._pieces[path]


class Mixed:
    """Several libraries as one: each draw asks those that have the category, in random order, until a piece fits."""

    def __init__(self, libraries: Sequence[Library]) -> None:
        self.libraries = tuple(libraries)

    def categories(self) -> frozenset[str]:
        """What any of them has."""
        return frozenset().union(*(library.categories() for library in self.libraries))

    def draw(self, category: str, rng: np.random.Generator, fits: Fits | None = None) -> Piece | None:
        """A piece of the category that `fits`; None if none of them has one."""
        having = [library for library in self.libraries if category in library.categories()]
        for index in rng.permutation(len(having)):
            piece = having[index].draw(category, rng, fits)
            if piece is not None:
                return piece
        return None


def save_piece(path: Path, piece: Piece) -> None:
    """Write a piece as .npz, atomically: normals with 8 bits, uv in steps of 1 / 4096, pictures as JPEG or PNG."""
    mesh = piece.mesh
    points, corner = np.unique(mesh.points.reshape(-1, 3), axis=0, return_inverse=True)
    textures: dict[int, int] = {}
    arrays: dict[str, np.ndarray] = {}
    materials = []
    for material in mesh.materials:
        texture = material.texture
        if texture is not None and id(texture) not in textures:
            textures[id(texture)] = len(textures)
            arrays[f"texture{textures[id(texture)]}"] = np.frombuffer(_encoded(texture.pixels), np.uint8)
        index = None if texture is None else textures[id(texture)]
        materials.append([*material.colour, index, material.gloss, material.opacity, material.glow])
    facts = {
        "category": piece.category,
        "name": piece.name,
        "size": piece.size,
        "supports": [list(asdict(support).values()) for support in piece.supports],
        "light": piece.light,
        "creator": piece.creator,
        "licence": piece.licence,
        "tags": sorted(piece.tags),
        "materials": materials,
    }
    arrays |= {
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
        "points": points.astype(np.float32),
        "corner": corner.reshape(-1, 3).astype(np.uint16 if len(points) < 2**16 else np.uint32),
        "normals": np.round(mesh.normals * 127).astype(np.int8),
        "uv": np.round(mesh.uv * UV_STEPS).astype(np.int32),
        "material": mesh.material.astype(np.uint16),
    }
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def load_piece(path: Path) -> Piece:
    """Read a piece that `save_piece` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            normals = arrays["normals"].astype(np.float32)
            textures: dict[int, Texture] = {}
            materials = []
            for red, green, blue, index, gloss, opacity, glow in facts["materials"]:
                if index is not None and index not in textures:
                    textures[index] = Texture(_decoded(arrays[f"texture{index}"].tobytes()))
                texture = None if index is None else textures[index]
                materials.append(Material((red, green, blue), texture, gloss, opacity, glow))
            mesh = Mesh(
                arrays["points"][arrays["corner"]],
                normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6),
                (arrays["uv"] / UV_STEPS).astype(np.float32),
                arrays["material"].astype(np.int32),
                tuple(materials),
            )
        return Piece(
            facts["category"],
            facts["name"],
            mesh,
            tuple(facts["size"]),
            tuple(Support(*values) for values in facts["supports"]),
            None if facts["light"] is None else tuple(facts["light"]),
            facts["creator"],
            facts["licence"],
            frozenset(facts["tags"]),
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}). Delete it and add its library again.") from None


def _wanted(archive: Archive) -> tuple[list[tuple[Model, str]], list[tuple[str, str]]]:
    """Models of use with their categories, and those whose entries are broken, with the reason."""
    wanted, broken = [], []
    for fields in archive.models:
        name = fields.get("name", "")
        if fields.get("doorOrWindow", "").lower() == "true" or not is_wanted(name, fields.get("category", "")):
            continue
        try:
            model = Model.of(fields, archive.fields)
        except UserError as error:
            broken.append((name, str(error)))
            continue
        category = category_of(model.name, model.part, model.size, model.elevation)
        if category is not None:
            wanted.append((model, category))
    return wanted, broken


def _record(path: Path, piece: Piece, model: Model, library: str) -> dict[str, Any]:
    # By the model's file, so that one shape under two names is in one half.
    half = hashlib.sha256(f"{library}\n{model.path}".encode()).digest()[0] % 2
    return {
        "file": path.name,
        "name": piece.name,
        "category": piece.category,
        "size": list(piece.size),
        "triangles": len(piece.mesh),
        "half": ("in", "out")[half],
        "creator": piece.creator,
        "licence": piece.licence,
    }


def _read_index(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    index = read_json(path)
    try:
        if index["version"] != VERSION:
            raise UserError(f"{path}: converted by another version of tst. Add {index['file']} again.")
        records = [(path.parent / record["file"], record) for record in index["models"]]
        fine = all(len(record["size"]) == 3 and record["category"] and record["half"] for _, record in records)
    except (KeyError, TypeError):
        fine = False
    if not fine:
        raise UserError(f"{path}: damaged. Delete {path.parent} and add its library again.")
    return records


def _earlier(path: Path) -> Piece | None:
    """The piece of an earlier run, if it is there and whole."""
    if not path.exists():
        return None
    try:
        return load_piece(path)
    except UserError:
        return None


def _fingerprint(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "library"


def _encoded(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    if pixels.shape[2] == 4:
        Image.fromarray(pixels).save(data, "PNG")
    else:
        Image.fromarray(pixels).save(data, "JPEG", quality=92)
    return data.getvalue()


def _decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        return np.array(image)


def _command(words: list[str], folder: Path, remedy: str) -> None:
    environment = os.environ | {"LC_ALL": "C"}
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        reason = next((line for line in said if line.startswith("E:")), said[-1] if said else "no message")
        raise UserError(f"{' '.join(words[:2])} {PACKAGE}: {reason}. {remedy}")
