"""Ways to break a written capture that several formats share: each gives a function for a writer's DAMAGE table."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Damage = Callable[[Path], Path | None]


def zipped(root: Path, method: int = zipfile.ZIP_DEFLATED, inside: str = "") -> Path:
    """The files of `root` in a zip beside it, under the folder `inside`."""
    path = root.with_name(root.name + ".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, f"{inside}{file.relative_to(root).as_posix()}")
    return path


def unzipped(path: Path) -> Path:
    """What a zip holds, in a folder beside it."""
    root = path.with_name(path.stem + " unpacked")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(root)
    return root


def in_zip(root: Path) -> Path:
    return zipped(root) if root.is_dir() else root


def cut_zip(root: Path) -> Path:
    path = in_zip(root)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def with_member(name: str, data: bytes = b"0", mode: int = stat.S_IFREG | 0o644) -> Damage:
    """A further member of the zip."""

    def damage(root: Path) -> Path:
        path = in_zip(root)
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, data)
        return path

    return damage


def bomb(root: Path) -> Path:
    """A member that claims to unpack to a terabyte."""
    path = in_zip(root)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the first entry of the directory
    struct.pack_into("<I", data, at + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    return path


ZIP_DAMAGE: dict[str, tuple[Damage, str]] = {
    "zip cut off": (cut_zip, r"not a whole zip"),
    "zip with a path outside": (with_member("../../outside.txt"), r"leads outside"),
    "zip with an absolute path": (with_member("/etc/outside.txt"), r"leads outside"),
    "zip with a link": (with_member("link", b"/etc/passwd", stat.S_IFLNK | 0o777), r"holds a link"),
    "zip bomb": (bomb, r"zip bomb"),
}


def link_outside(name: str) -> Damage:
    """Replace a file of the folder by a link to one outside."""

    def damage(root: Path) -> None:
        outside = root.parent / "outside"
        (root / name).rename(outside)
        (root / name).symlink_to(outside)

    return damage


def without(name: str) -> Damage:
    """Remove a file."""
    return lambda root: (root / name).unlink()


def cut(name: str, share: float = 0.5) -> Damage:
    """Keep the beginning of a file."""

    def damage(root: Path) -> None:
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: int(share * len(data))])

    return damage


def replaced(name: str, data: bytes) -> Damage:
    """Other bytes in a file."""
    return lambda root: (root / name).write_bytes(data) and None


def eight_bits(name: str) -> Damage:
    """A depth image with 8 bits."""

    def damage(root: Path) -> None:
        depth = np.asarray(Image.open(root / name))
        Image.fromarray((depth // 40).astype(np.uint8)).save(root / name)

    return damage


def absurd_png(name: str) -> Damage:
    """A PNG whose header claims 100,000 x 100,000 pixels."""

    def damage(root: Path) -> None:
        data = bytearray((root / name).read_bytes())
        data[16:24] = struct.pack(">II", 100_000, 100_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        (root / name).write_bytes(data)

    return damage


def renamed(root: Path) -> Path:
    """A name that is long and not ASCII."""
    return root.rename(root.with_name("Küche 台所 " + "lang " * 40 + root.suffix))
