import numpy as np
import pytest

from tst.errors import UserError
from tst.houses.wavefront import Wavefront, read_mtl, read_obj

SQUARE = "v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\n"


def read(text: str, **files: str) -> Wavefront:
    return read_obj(text.encode(), "a.obj", lambda name: files[name].encode() if name in files else None)


def area(points: np.ndarray) -> np.ndarray:
    """Signed area in the plane z = 0 of each triangle."""
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def test_polygons_become_triangles_with_their_normals_and_coordinates():
    found = read(SQUARE + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\nf 1/1/1 2/2/1 3/3/1 4/4/1\n")
    assert found.points.shape == (2, 3, 3)
    assert area(found.points).sum() == 2
    np.testing.assert_array_equal(found.uv * [2, 1], found.points[..., :2])
    assert (found.normals == [0, 0, 1]).all()


@pytest.mark.parametrize("face", ["1 2 3", "1/1 2/2 3/3", "1//1 2//1 3//1", "-4 -3 -2", "-4/-2/-1 -3/-1/-1 -2/-1/-1"])
def test_all_ways_to_write_a_corner(face):
    found = read(SQUARE + f"vt 0.5 0.5\nvt 1 1\nvt 0 1\nvn 0 0 1\nf {face}\n")
    np.testing.assert_array_equal(found.points[0], [[0, 0, 0], [2, 0, 0], [2, 1, 0]])


def test_negative_indices_count_from_where_the_face_stands():
    found = read("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 5\nv 1 0 5\nv 0 1 5\nf -3 -2 -1\n")
    assert found.points[:, :, 2].tolist() == [[0, 0, 0], [5, 5, 5]]


def test_what_a_corner_leaves_out_is_zero():
    found = read(SQUARE + "vt 1 1\nvn 0 0 1\nf 1/1/1 2 3\n")
    assert found.uv[0].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert found.normals[0].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_concave_polygons_are_not_covered_outside():
    # An L; a fan from its first corner would leave it.
    corners = [(2, 2), (2, 3), (0, 3), (0, 0), (5, 0), (5, 2)]
    text = "".join(f"v {x} {y} 0\n" for x, y in corners)
    for shift in range(6):
        order = " ".join(str((k + shift) % 6 + 1) for k in range(6))
        areas = area(read(text + f"f {order}\n").points)
        assert len(areas) == 4 and (areas > 0).all() and areas.sum() == pytest.approx(12)


def test_continued_lines_comments_lines_and_windows_ends():
    text = "# made by hand\r\n" + SQUARE.replace("\n", "\r\n") + "l 1 2\r\nf 1 2 \\\r\n3 4\r\n\r\n"
    assert len(read(text).points) == 2


def test_materials_by_name_also_with_spaces():
    text = (
        "mtllib my materials.mtl\n" + SQUARE + "usemtl dark oak\nf 1 2 3\nusemtl glass\nf 1 3 4\nusemtl lost\nf 1 2 4\n"
    )
    mtl = "newmtl unused\nKd 1 1 1\nnewmtl dark oak\nKd 0.2 0.1 0\nmap_Kd fine oak.jpg\n"
    mtl += "newmtl glass\nd 0.3\nKs 1 1 1\nNs 200\n"
    found = read(text, **{"my materials.mtl": mtl})
    oak, glass, lost = (found.materials[k] for k in found.material)
    assert (oak.colour, oak.texture, oak.opacity, oak.gloss) == ((0.2, 0.1, 0.0), "fine oak.jpg", 1.0, 0.0)
    assert glass.opacity == 0.3 and 0 < glass.gloss < 1
    assert lost.texture is None and lost.opacity == 1


def test_damaged_material_lines_are_left_out():
    found = read_mtl(b"Kd 1 0 0\nnewmtl a\nKd x y z\nKd nan 0 0\nd\nTr 0.25\nKd 0.5 7 -1\nmap_Kd -s 1 1 1 b.png\nNs\n")
    assert found["a"].colour == (0.5, 1.0, 0.0)
    assert found["a"].opacity == 0.75
    assert found["a"].texture == "b.png"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no faces"),
        (SQUARE, "no faces"),
        (SQUARE + "f 1 2\n", "no faces"),
        (SQUARE + "f 1 2 9\n", "vertex 9 of 4"),
        (SQUARE + "f 1 2 0\n", "vertex 0"),
        (SQUARE + "f 1 2 -5\n", "vertex -5"),
        (SQUARE + "vt 0 0\nf 1/1 2/1 3/2\n", "texture coordinate 2 of 1"),
        (SQUARE + "f 1//1 2//1 3//1\n", "normal 1 of 0"),
        (SQUARE + "f 1 2 x\n", "whole number"),
        (SQUARE + "f 1 2 99999999999999999999\n", "whole number"),
        ("v 0 0 nan\n" + SQUARE + "f 1 2 3\n", "finite"),
        ("v 0 0 inf\n" + SQUARE + "f 1 2 3\n", "finite"),
        ("v 0 0 1,5\n" + SQUARE + "f 1 2 3\n", "'1,5' is not a number"),
        ("v 0 0\n" + SQUARE + "f 1 2 3\n", "too few"),
    ],
)
def test_broken_files_are_named(text, word):
    with pytest.raises(UserError, match=r"a\.obj") as caught:
        read(text)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_damage_gives_triangles_or_a_user_error():
    whole = bytearray(("mtllib a.mtl\n" + SQUARE + "vt 0 0\nvn 0 0 1\nusemtl a\nf 1/1/1 2/1/1 3/1/1 4/1/1\n").encode())
    rng = np.random.default_rng(0)
    fine = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 1):
            data[place] = rng.choice(list(b" \n/-.0129efvt#\\\x00\xff"))
        try:
            found = read_obj(bytes(data), "a.obj", lambda _, data=data: bytes(data))
        except UserError:
            continue
        fine += 1
        assert np.isfinite(found.points).all() and len(found.points) == len(found.material) == len(found.uv)
        assert found.material.max() < len(found.materials)
    assert fine > 20
