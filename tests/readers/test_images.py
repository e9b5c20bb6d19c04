"""What is particular to plain images: natural order, EXIF's rotation and focal length, names."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene import Scene
from writers import images as writer

from tst.errors import UserError
from tst.readers import images, read


def photo(path: Path, orientation: int = 1, focal_35mm: int | None = None) -> np.ndarray:
    """A photograph of 96x72 whose stored pixels must be turned as EXIF says; gives the upright pixels' brightness."""
    upright = np.zeros((72, 96, 3), np.uint8)
    upright[:36] = 200  # above
    upright[:, :24] += 50  # on the left
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    picture = Image.fromarray(upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if focal_35mm is not None:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    (picture if undo is None else picture.transpose(undo)).save(path, quality=95, exif=exif)
    return upright


def test_the_order_is_natural(tmp_path: Path) -> None:
    recording = images.read(writer.write(tmp_path, Scene()))
    assert [frame.id.split("IMG_")[1] for frame in recording.frames] == ["11-1", "12-1", "13-1", "8-1", "9-1", "10-1"]
    assert all(len(frame.id.encode()) <= 110 for frame in recording.frames)
    assert recording.frames[3].id == "Küche_IMG_8-1"


@pytest.mark.parametrize("orientation", [1, 2, 3, 5, 6, 8])
def test_images_are_turned_as_exif_says(orientation: int, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    upright = photo(tmp_path / "photos" / "a.jpg", orientation)
    (walk,) = read("images", tmp_path / "photos", tmp_path / "home", fov=70.0).walks.values()
    stored = walk.read("rgb", 0)
    assert stored.shape == (72, 96, 3)
    assert np.abs(stored.astype(int) - upright).mean() < 4
    camera = walk.camera(0)
    assert camera is not None and camera.fx == pytest.approx(48 / math.tan(math.radians(35)))


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_focal_length_comes_from_exif(orientation: int, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", orientation, focal_35mm=26)
    photo(tmp_path / "b.jpg", orientation)
    recording = images.read(tmp_path)
    a, b = recording.frames
    assert a.camera is not None and b.camera is None
    assert (a.camera.width, a.camera.height) == (96, 72)
    assert a.camera.fx == pytest.approx(26 / math.hypot(36, 24) * 120)  # 120 pixels is the diagonal
    assert recording.notes["intrinsics"].startswith("1 of 2 from the focal length in EXIF")


def test_options_say_it_for_all(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", focal_35mm=26)
    camera = images.read(tmp_path, focal=80.0).frames[0].camera
    assert camera is not None and (camera.fx, camera.cx) == (80, 48)
    with pytest.raises(UserError, match="--fov and --focal"):
        images.read(tmp_path, fov=60.0, focal=80.0)
    with pytest.raises(UserError, match="--fov: 180"):
        images.read(tmp_path, fov=180.0)


def test_what_is_not_read_is_listed(tmp_path: Path) -> None:
    source = writer.write(tmp_path / "capture", Scene())
    (source / "IMG_1.HEIC").write_bytes(b"no")
    (source / "IMG_1.AAE").write_bytes(b"no")
    (source / ".hidden.jpg").write_bytes(b"no")
    (walk,) = read("auto", source, tmp_path / "home").walks.values()
    assert len(walk) == 6
    assert walk.dropped() == [("IMG_1", "IMG_1.HEIC is HEIC, which is not read")]


def test_names_that_become_alike_stay_apart(tmp_path: Path) -> None:
    for name in ("a+b.jpg", "a b.jpg", "A-B.png", "a-b.jpg"):
        photo(tmp_path / name)
    ids = [frame.id.casefold() for frame in images.read(tmp_path).frames]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("other", ["depth/a.png", "poses.txt", "point_0_view_0_domain_rgb.png"])
def test_other_formats_are_not_taken_for_plain_images(other: str, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    assert images.recognise(tmp_path) is not None
    (tmp_path / other).parent.mkdir(exist_ok=True)
    (tmp_path / other).write_bytes(b"")
    assert images.recognise(tmp_path) is None
