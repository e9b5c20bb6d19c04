"""A capture's files, in a folder or still in a zip: nothing is unpacked, nothing outside is reached."""

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from tst.errors import UserError

LARGEST_FILE = 1 << 30
"""Bytes of one member read at once; videos are streamed and may be larger."""
LARGEST_RATIO = 1100
"""Deflate cannot do better than 1032; what claims to is made up."""
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class Files:
    """The files of a capture by their POSIX names relative to its root, sorted.

    Links that leave the root, and names that do, are refused. Reading is safe from several threads.
    """

    def __init__(self, source: Path):
        """Open a folder or a zip (whatever its suffix).

        A zip that holds nothing but one folder counts from inside that folder, as phones and mail programs pack it.

        Raises:
            UserError: it is neither, is damaged, or holds names or sizes that no capture has.
        """
        self.source = source
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, Any] = {}  # paths (as plain strings: there may be 10^5), or what the zip says of them
        if source.is_dir():
            self._members = dict(sorted(_files_below(str(source), source.resolve(), "")))
            return
        try:
            self._zip = zipfile.ZipFile(source)
            infos = self._zip.infolist()
        except FileNotFoundError:
            raise UserError(f"{source}: not found. Check the path.") from None
        except BROKEN as error:
            raise UserError(f"{source}: not a whole zip file ({error}). Copy it from the device again.") from None
        for info in infos:
            if info.is_dir():
                continue
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in (name.parts or ("",))[0]:
                raise UserError(f"{source}: holds the name {info.filename!r}, which leads outside. Do not trust it.")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UserError(f"{source}: holds a link ({info.filename!r}). Export the capture again.")
            if info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
                raise UserError(
                    f"{source}: {info.filename!r} claims {info.file_size} bytes packed into {info.compress_size}. "
                    "It is damaged or a zip bomb; export the capture again."
                )
            if name.parts[0] != "__MACOSX":
                self._members[name.as_posix()] = info
        tops = {name.split("/")[0] for name in self._members}
        if len(tops) == 1 and all("/" in name for name in self._members):
            top = tops.pop() + "/"
            self._members = {name.removeprefix(top): info for name, info in self._members.items()}
        self._members = dict(sorted(self._members.items()))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def names(self, folder: str = "", suffix: str | tuple[str, ...] = "") -> list[str]:
        """Names directly in `folder` ("" is the root) that end in `suffix`, sorted."""
        prefix = f"{folder}/" if folder else ""
        return [
            name
            for name in self._members
            if name.startswith(prefix) and "/" not in name[len(prefix) :] and name.endswith(suffix)
        ]

    def where(self, name: str) -> str:
        """`name` for messages."""
        return str(self.source / name)

    def size(self, name: str) -> int:
        """Bytes of `name`, unpacked."""
        self.require(name)
        member = self._members[name]
        return os.stat(member).st_size if self._zip is None else member.file_size  # noqa: PTH116

    def require(self, name: str, what: str = "Copy the whole capture from the device again.") -> str:
        """`name`, if it is there.

        Raises:
            UserError: it is not; ends in `what`.
        """
        if name not in self._members:
            raise UserError(f"{self.where(name)}: not found. {what}")
        return name

    def path(self, name: str) -> Path | None:
        """The file of `name` on disk, or None while it is in a zip."""
        self.require(name)
        return Path(self._members[name]) if self._zip is None else None

    def read(self, name: str, largest: int = LARGEST_FILE) -> bytes:
        """All of `name`.

        Raises:
            UserError: missing, damaged, or larger than `largest` bytes.
        """
        if (size := self.size(name)) > largest:
            raise UserError(f"{self.where(name)}: has {size} bytes, more than any capture's ({largest}). Check it.")
        try:
            with self.open(name) as file:
                data = file.read(min(size, largest) + 1)  # room for what is asked for is made before it is read
        except BROKEN as error:
            raise UserError(f"{self.where(name)}: cannot be read ({error}). Copy it from the device again.") from None
        if len(data) > largest:
            raise UserError(f"{self.where(name)}: unpacks to more than {largest} bytes. Check it.")
        return data

    def text(self, name: str, largest: int = 1 << 28) -> str:
        """All of `name` as UTF-8 text (with or without a byte order mark).

        Raises:
            UserError: missing, damaged, or not text.
        """
        try:
            return self.read(name, largest).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.where(name)}: is not text ({error}). Restore the file from its source.") from None

    def json(self, name: str) -> Any:
        """`name` as JSON.

        Raises:
            UserError: missing, damaged, or not JSON.
        """
        import json

        text = self.text(name)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
            raise UserError(
                f"{self.where(name)}: not valid JSON ({error}). Restore the file from its source."
            ) from None

    def numbers(self, name: str, columns: int | None = None, header: bool = False) -> np.ndarray:
        """A table of numbers, separated by commas or blanks, `#` comments left out: float64 (rows, columns).

        Args:
            name: the file.
            columns: how many there must be at least; further ones are kept if every row has them.
            header: leave out the first line.

        Raises:
            UserError: missing, or a line is not numbers (names the line).
        """
        rows: list[list[float]] = []
        for number, line in enumerate(self.text(name).splitlines(), 1):
            content = line.split("#")[0].replace(",", " ").split()
            if not content or (header and number == 1):
                continue
            try:
                rows.append([float(value) for value in content])
            except ValueError:
                raise UserError(
                    f"{self.where(name)}: line {number} ({line[:60]!r}) is not numbers. Correct or remove it."
                ) from None
            if columns is not None and len(rows[-1]) < columns:
                raise UserError(
                    f"{self.where(name)}: line {number} has {len(rows[-1])} numbers, not {columns}. "
                    "Correct or remove it."
                )
        width = min((len(row) for row in rows), default=columns or 0)
        return np.array([row[:width] for row in rows], np.float64).reshape(len(rows), width)

    def open(self, name: str) -> IO[bytes]:
        """`name` as a stream that can be sought in (in a zip, seeking back starts from the beginning)."""
        self.require(name)
        member = self._members[name]
        return open(member, "rb") if self._zip is None else self._zip.open(member)  # noqa: PTH123

    def values(self, name: str, decode: Callable[[bytes], "np.ndarray | bytes"] | None = None) -> Any:
        """For `Frame.files`: a path while `name` is a file on disk and needs no `decode`, otherwise `Values`."""
        from tst.readers.base import Values

        self.require(name)
        if self._zip is None and decode is None:
            return Path(self._members[name])

        def load(_: int | None) -> "np.ndarray | bytes":
            data = self.read(name)
            return data if decode is None else decode(data)

        return Values(self.where(name), load)


def _files_below(folder: str, root: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names and paths of all files; folders that are links are not entered. Quick: captures have 10^5 files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                raise UserError(f"{entry.path}: links outside the capture's folder. Put the file itself there.")
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, root, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield f"{prefix}{entry.name}", entry.path


def holds(source: Path, *names: str) -> bool:
    """Whether a folder or a zip holds all of these files or folders; for `recognise`, so it never fails."""
    try:
        if source.is_dir():
            return all((source / name).exists() for name in names)
        files = Files(source)
    except (OSError, UserError):
        return False
    return all(name in files or files.names(name) for name in names)
