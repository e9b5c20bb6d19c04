"""A capture's files, in a folder or a zip; hostile zips."""

import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tst.decoding.archives import Files
from tst.errors import UserError


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


MEMBERS = {"a.csv": b"1,2\n3,4\n", "depth/1.png": b"x", "depth/0.png": b"y", "m.json": b'{"k": 1}'}


@pytest.fixture(params=["folder", "zip", "nested zip"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        for name, data in MEMBERS.items():
            (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "c" / name).write_bytes(data)
        return Files(tmp_path / "c")
    top = "capture/" if request.param == "nested zip" else ""
    members = {top + name: data for name, data in MEMBERS.items()}
    return Files(zipped(tmp_path / "c.zip", {**members, "__MACOSX/x": b"junk"}))


def test_folder_and_zip_read_alike(files: Files) -> None:
    assert files.names("depth", ".png") == ["depth/0.png", "depth/1.png"]
    assert files.names() == ["a.csv", "m.json"]
    assert "a.csv" in files and "b.csv" not in files
    assert files.read("depth/0.png") == b"y" and files.size("depth/0.png") == 1
    assert files.json("m.json") == {"k": 1}
    np.testing.assert_array_equal(files.numbers("a.csv", 2), [[1, 2], [3, 4]])
    with files.open("a.csv") as stream:
        assert stream.read(3) == b"1,2"
    with pytest.raises(UserError, match=r"b.csv: not found\. Bring it\."):
        files.require("b.csv", "Bring it.")


def test_numbers(tmp_path: Path) -> None:
    def read(text: str, columns: int | None = None, header: bool = False) -> np.ndarray:
        (tmp_path / "t.csv").write_text(text)
        return Files(tmp_path).numbers("t.csv", columns, header)

    assert read("# time x\n\n 1 2.5 \n3,nan\n").shape == (2, 2)
    assert read("time,x\n1,2\n", 2, header=True).tolist() == [[1, 2]]
    assert read("", 3).shape == (0, 3)
    with pytest.raises(UserError, match=r"t.csv: line 2 \('a,b'\) is not numbers"):
        read("1,2\na,b\n")
    with pytest.raises(UserError, match="line 1 has 2 numbers, not 3"):
        read("1,2\n", 3)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "..\\evil"])
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="leads outside"):
        Files(zipped(tmp_path / "c.zip", {name: b"x"}))


def test_links(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="holds a link"):
        Files(tmp_path / "c.zip")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="links outside"):
        Files(tmp_path / "folder")


def test_bombs(tmp_path: Path) -> None:
    path = zipped(tmp_path / "c.zip", {"x": bytes(100_000)})
    assert len(Files(path).read("x")) == 100_000
    with pytest.raises(UserError, match="has 100000 bytes, more than"):
        Files(path).read("x", largest=1000)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02") + 24  # the directory's claim of the unpacked size
    data[at : at + 4] = struct.pack("<I", 4_000_000_000)
    path.write_bytes(data)
    with pytest.raises(UserError, match="zip bomb"):
        Files(path)


def test_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "c.zip", {"x": bytes(range(256)) * 40, "y": b"1"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a whole zip"):
        Files(path)
    data = bytearray(whole)
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)
    files = Files(path)
    with pytest.raises(UserError, match="cannot be read"):
        files.read("x")
    assert files.read("y") == b"1"
    with pytest.raises(UserError, match="not found"):
        Files(tmp_path / "nowhere.zip")


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    files = Files(tmp_path)
    with pytest.raises(UserError, match="is not text"):
        files.text("t")
    with pytest.raises(UserError, match="not valid JSON"):
        files.json("deep.json")
