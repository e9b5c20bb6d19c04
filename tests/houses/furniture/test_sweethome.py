import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tst.errors import UserError
from tst.houses.categories import CATEGORIES
from tst.houses.furniture import sweethome, sweethome_archive, sweethome_models
from tst.houses.furniture.sweethome import (
    Mixed,
    SweetHomeLibrary,
    add_library,
    furniture_home,
    install,
    load_piece,
    save_piece,
)
from tst.houses.furniture.sweethome_archive import Archive, read_catalogue
from tst.houses.furniture.sweethome_models import read_texture
from tst.houses.furniture.sweethome_names import RULES, category_of
from tst.houses.mesh import Mesh

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
SIDES = ((1, 3, 7, 5), (0, 4, 6, 2), (4, 5, 7, 6), (0, 2, 3, 1), (2, 6, 7, 3), (0, 1, 5, 4))


def obj(boxes, header="mtllib m.mtl\nusemtl wood\n"):
    """Boxes (low, high) in the axes of a catalogue: right, up, front; each face shows the whole texture, upright."""
    text, count = header, 0
    text += "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    for low, high in boxes:
        points = np.array(low) + CORNERS * (np.array(high) - np.array(low))
        text += "".join(f"v {x} {y} {z}\n" for x, y, z in points)
        for side in SIDES:
            middle = points[list(side)].mean(0) - points.mean(0)
            a, b, c = points[list(side)][:3]
            order = side if np.dot(np.cross(b - a, c - a), middle) > 0 else side[::-1]
            # The first corner of an upright face is its lower left one, seen from outside.
            right = np.cross([0, 1, 0], middle)
            keys = [(points[k][1], points[k] @ right) for k in order]
            start = keys.index(min(keys))
            order = [*order[start:], *order[:start]]
            text += "f " + " ".join(f"{count + k + 1}/{n + 1}" for n, k in enumerate(order)) + "\n"
        count += 8
    return text


# A table of 2 x 1 x 1.2 units with a block on its right front corner, at the origin of nobody's axes.
TABLE = obj(
    [
        ((5, 0.9, 3), (7, 1, 4)),
        ((5, 0, 3), (5.1, 0.9, 3.1)),
        ((6.9, 0, 3), (7, 0.9, 3.1)),
        ((6.7, 1, 3.8), (7, 1.2, 4)),
    ]
)
MTL = "newmtl wood\nKd 1 1 1\nmap_Kd wood.png\n"
DEFAULTS = {"category": "Living room", "width": "160", "depth": "80", "height": "80", "model": "/t/t.obj", "id": "L#t"}


def picture(side=8):
    """Red above, blue below."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[: side // 2, :, 0] = 255
    pixels[side // 2 :, :, 2] = 255
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def catalogue(*models, **library):
    lines = [f"{key}={value}" for key, value in ({"id": "x#L", "name": "Test", "license": "CC0"} | library).items()]
    for number, model in enumerate(models, 1):
        fields = {"name": "Table", "id": f"L#{number}"} | {k: v for k, v in DEFAULTS.items() if k != "id"} | model
        lines += [f"{key}#{number}={value}" for key, value in fields.items() if value is not None]
    return "\n".join(lines)


FILES = {"t/t.obj": TABLE, "t/m.mtl": MTL, "t/wood.png": picture()}


def library(path: Path, *models, files=FILES, **fields) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(sweethome_archive.CATALOGUE, catalogue(*(models or ({},)), **fields))
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def only_piece(home: Path, category="dining table"):
    return SweetHomeLibrary(home).draw(category, np.random.default_rng(0))


def converted(tmp_path: Path, *models, category="dining table", **fields):
    add_library(library(tmp_path / "a.sh3f", *models, **fields), tmp_path / "home")
    return only_piece(tmp_path / "home", category)


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.points[:, k].astype(float) for k in range(3))
    return float(np.einsum("tk,tk->t", a, np.cross(b, c)).sum() / 6)


def test_size_and_axes_are_the_catalogues(tmp_path):
    piece = converted(tmp_path)
    np.testing.assert_allclose(piece.size, (1.6, 0.8, 0.8), atol=1e-6)
    np.testing.assert_allclose(piece.mesh.bounds, [[-0.8, -0.4, 0], [0.8, 0.4, 0.8]], atol=1e-6)
    # The block on top is at the right and in front; the legs are at the back.
    x, y, _ = piece.mesh.points[piece.mesh.points[..., 2] > 0.7].T
    assert x.min() > 0.5 and y.max() < -0.2
    assert piece.mesh.points[piece.mesh.points[..., 2] < 0.1][:, 1].min() > 0.3


def test_models_are_not_turned_inside_out(tmp_path):
    piece = converted(tmp_path)
    boxes = [(1.6, 0.2 / 3, 0.8), (0.08, 0.6, 0.08), (0.08, 0.6, 0.08), (0.24, 0.4 / 3, 0.16)]
    assert volume(piece.mesh) == pytest.approx(sum(map(np.prod, boxes)), rel=1e-4)
    cross = np.cross(
        piece.mesh.points[:, 1] - piece.mesh.points[:, 0], piece.mesh.points[:, 2] - piece.mesh.points[:, 0]
    )
    assert (np.einsum("tk,tck->tc", cross, piece.mesh.normals) > 0).all()


def test_winding_follows_the_normals_of_the_file(tmp_path):
    lines: list[str] = []
    sides = iter(SIDES)
    for line in obj([((0, 0, 0), (1, 1, 1))], "").splitlines():
        if line.startswith("f "):
            # Outward normals, but corners the wrong way round.
            outward = CORNERS[list(next(sides))].mean(0) - 0.5
            lines.append("vn {} {} {}".format(*outward * 2))
            normal = sum(line.startswith("vn ") for line in lines)
            lines.append("f " + " ".join(f"{corner}/{normal}" for corner in reversed(line.split()[1:])))
        else:
            lines.append(line)
    piece = converted(tmp_path, files={"t/t.obj": "\n".join(lines)})
    assert volume(piece.mesh) > 0


def test_model_rotation_is_applied_before_the_size(tmp_path):
    # A quarter turn about the vertical that takes the file's right to the front.
    piece = converted(tmp_path, {"modelRotation": "0 0 -1 0 1 0 1 0 0", "width": "80", "depth": "160"})
    np.testing.assert_allclose(piece.size, (0.8, 1.6, 0.8), atol=1e-6)
    x, y, _ = piece.mesh.points[piece.mesh.points[..., 2] > 0.7].T
    assert x.max() < -0.2 and y.max() < -0.5
    assert volume(piece.mesh) > 0


def test_textures_stand_upright(tmp_path):
    piece = converted(tmp_path)
    front = (np.abs(piece.mesh.normals[:, :, 1] + 1) < 1e-3).all(1)
    assert front.any()
    texture = piece.mesh.materials[0].texture
    top, bottom = texture.pixels[0, 0], texture.pixels[-1, 0]
    assert top[0] > 200 and top[2] < 60 and bottom[2] > 200
    # v = 1 is the first row of the picture.
    points, uv = piece.mesh.points[front], piece.mesh.uv[front]
    for k in range(3):
        level = points[:, k, 2] - points[:, :, 2].min(1) > 0.01
        np.testing.assert_allclose(uv[:, k, 1], level, atol=1e-3)
        right = points[:, k, 0] - points[:, :, 0].min(1) > 0.01
        np.testing.assert_allclose(uv[:, k, 0], right, atol=1e-3)


def test_large_textures_shrink_and_holes_stay():
    assert read_texture(picture(1024)).shape == (256, 256, 3)
    data = io.BytesIO()
    leaf = np.zeros((300, 600, 4), np.uint8)
    leaf[:, :300] = (0, 200, 0, 255)
    Image.fromarray(leaf).save(data, "PNG")
    shrunk = read_texture(data.getvalue())
    assert shrunk.shape == (128, 256, 4)
    assert (shrunk[:, :120, 3] == 255).all() and (shrunk[:, 140:, 3] == 0).all()
    assert (shrunk[:, 140:, 1] == 200).all()  # nothing dark bleeds in from the hole
    assert read_texture(b"no picture") is None


def test_missing_and_damaged_textures_leave_the_colour(tmp_path):
    mtl = MTL.replace("1 1 1", "0.1 0.2 0.3")
    for name, files in (("a", {"t/m.mtl": mtl}), ("b", {"t/m.mtl": mtl, "t/wood.png": b"xx"}), ("c", {})):
        home = tmp_path / name
        add_library(library(tmp_path / f"{name}.sh3f", files={"t/t.obj": TABLE} | files), home)
        material = only_piece(home).mesh.materials[0]
        assert material.texture is None
        assert material.colour == ((0.1, 0.2, 0.3) if files else (0.8, 0.8, 0.8))


@pytest.mark.parametrize("name", ["C:\\Users\\me\\Wood.PNG", "/home/me/my best wood.png", "-s 1 1 1 wood.png"])
def test_textures_of_another_spelling_or_machine_are_found(tmp_path, name):
    piece = converted(tmp_path, files=FILES | {"t/m.mtl": MTL.replace("wood.png", name)})
    assert piece.mesh.materials[0].texture is not None


def test_absurd_texture_coordinates_do_no_harm(tmp_path):
    text = TABLE.replace("vt 1 1\n", "vt -107374176 3e38\n").replace("vt 0 1\n", "vt 1e300 nan\n")
    assert "nan" in text and "3e38" in text
    mesh = converted(tmp_path, files=FILES | {"t/t.obj": text}).mesh
    assert np.isfinite(mesh.uv).all() and np.abs(mesh.uv).max() <= sweethome_models.MOST_REPEATS


def test_tables_hold_things_up(tmp_path):
    piece = converted(tmp_path, {"dropOnTopElevation": "66.7"})
    top = piece.supports[0]
    assert top.z == pytest.approx(2 / 3, abs=1e-3) and top.clearance == 1
    # Most of the top, but not where the block is.
    assert max(-top.x0, top.x1) < 0.8 and max(-top.y0, top.y1) < 0.4
    assert (top.x1 - top.x0) * (top.y1 - top.y0) > 0.6 * 1.6 * 0.8
    assert top.x1 < 0.57 or top.y0 > -0.25


def test_shelves_hold_things_where_they_are_open(tmp_path):
    boards = [((0, y, 0), (1, y + 0.02, 0.3)) for y in (0, 0.4, 0.8, 1.2, 1.6)]
    back = ((0, 0, 0), (1, 1.62, 0.01))
    door = ((0, 0, 0.29), (1, 0.8, 0.3))
    fields = {"name": "Bookcase", "width": "100", "depth": "30", "height": "162"}
    piece = converted(tmp_path, fields, files={"t/t.obj": obj([*boards, back, door], "")}, category="bookcase")
    heights = sorted(round(support.z, 2) for support in piece.supports)
    assert heights == [0.82, 1.22, 1.62]
    assert [round(s.clearance, 2) for s in sorted(piece.supports, key=lambda s: s.z)] == [0.38, 0.38, 1.0]


def test_lamps_have_a_light_and_hang_or_stand(tmp_path):
    lamp = {"name": "Lamp", "category": "Lights", "width": "40", "depth": "40", "height": "60"}
    source = {"lightSourceX": "10", "lightSourceY": "30", "lightSourceZ": "50"}
    hanging = lamp | {"name": "Hanging light", "elevation": "180"}
    library(tmp_path / "a.sh3f", lamp | source, hanging)
    add_library(tmp_path / "a.sh3f", tmp_path)
    table = only_piece(tmp_path, "table lamp")
    np.testing.assert_allclose(table.light, (-0.1, 0.1, 0.5), atol=1e-6)
    assert "hangs" not in table.tags and max(material.glow for material in table.mesh.materials) > 0
    ceiling = only_piece(tmp_path, "ceiling lamp")
    assert "hangs" in ceiling.tags and 0 < ceiling.light[2] < 0.6


def test_wall_hung_basins_keep_their_gap(tmp_path):
    basin = {"name": "Washbasin", "category": "Bathroom", "elevation": "50"}
    piece = converted(tmp_path, basin, category="washbasin")
    assert piece.mesh.bounds[0, 2] == pytest.approx(0.5)
    assert piece.size[2] == pytest.approx(1.3)


def test_attribution_is_kept(tmp_path):
    library(tmp_path / "a.sh3f", {"creator": "Jos\\u00e9"}, {"license": "CC-BY 4.0"}, provider="www.example.org")
    summary = add_library(tmp_path / "a.sh3f", tmp_path)
    pieces = [load_piece(path) for path in sorted(summary.folder.glob("*.npz"))]
    assert {(piece.creator, piece.licence) for piece in pieces} == {
        ("José", "CC0"),
        ("www.example.org", "CC-BY 4.0"),
    }
    assert len({piece.name for piece in pieces}) == 2
    assert summary.licence == "CC0" and "2 of 2 models in 1 categories (CC0)" in str(summary)


def test_pieces_survive_the_cache(tmp_path):
    with Archive(library(tmp_path / "a.sh3f")) as archive:
        ((model, category),) = sweethome._wanted(archive)[0]
        piece = sweethome_models.piece_of(archive, model, category)
    save_piece(tmp_path / "p.npz", piece)
    loaded = load_piece(tmp_path / "p.npz")
    np.testing.assert_array_equal(loaded.mesh.points, piece.mesh.points)
    np.testing.assert_allclose(loaded.mesh.normals, piece.mesh.normals, atol=0.01)
    np.testing.assert_allclose(loaded.mesh.uv, piece.mesh.uv, atol=1e-3)
    assert loaded.supports == piece.supports and loaded.size == piece.size and loaded.tags == piece.tags
    assert loaded.mesh.points.dtype == loaded.mesh.normals.dtype == loaded.mesh.uv.dtype == np.float32


def test_large_models_are_decimated(tmp_path):
    a, b = np.meshgrid(np.linspace(0, 6, 90), np.linspace(0, 6, 90), indexing="ij")
    text = "".join(f"v {x} {np.sin(x) * np.cos(y)} {y}\n" for x, y in zip(a.flat, b.flat, strict=True))
    corner = (np.arange(89)[:, None] * 90 + np.arange(89) + 1).reshape(-1)
    text += "".join(f"f {k} {k + 1} {k + 91} {k + 90}\n" for k in corner)
    piece = converted(tmp_path, files={"t/t.obj": text})
    assert 2000 < len(piece.mesh) <= sweethome_models.TRIANGLES
    np.testing.assert_allclose(np.ptp(piece.mesh.bounds, axis=0), (1.6, 0.8, 0.8), atol=1e-5)


def test_interrupted_conversion_goes_on_where_it_was(tmp_path, monkeypatch):
    file = library(tmp_path / "a.sh3f", {}, {}, {})
    whole, calls = sweethome.piece_of, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(sweethome, "piece_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add_library(file, tmp_path / "home")
    with pytest.raises(UserError, match="no furniture yet"):
        SweetHomeLibrary(tmp_path / "home")
    assert add_library(file, tmp_path / "home").reused == 1
    assert len(calls) == 4
    assert add_library(file, tmp_path / "home").reused == 3
    assert len(calls) == 4


def test_a_damaged_cache_file_is_made_again(tmp_path):
    file = library(tmp_path / "a.sh3f")
    folder = add_library(file, tmp_path).folder
    (stored,) = folder.glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        only_piece(tmp_path)
    assert add_library(file, tmp_path).reused == 0
    assert only_piece(tmp_path) is not None


def test_a_new_version_of_a_library_replaces_the_old(tmp_path):
    add_library(library(tmp_path / "old.sh3f", {}, {"name": "Bed", "category": "Bedroom"}), tmp_path / "home")
    folder = add_library(library(tmp_path / "new.sh3f"), tmp_path / "home").folder
    assert SweetHomeLibrary(tmp_path / "home").categories() == {"dining table"}
    assert len(list(folder.parent.glob("*"))) == 1 and len(list(folder.glob("*.npz"))) == 1


def test_draws_are_the_same_for_the_same_seed_and_only_what_fits(tmp_path):
    models = [{"width": str(100 + 10 * k)} for k in range(8)]
    add_library(library(tmp_path / "a.sh3f", *models), tmp_path)

    def draws(**kwargs):
        furniture, rng = SweetHomeLibrary(tmp_path), np.random.default_rng(3)
        return [furniture.draw("dining table", rng, **kwargs) for _ in range(20)]

    assert [piece.name for piece in draws()] == [piece.name for piece in draws()]
    narrow = draws(fits=lambda size: size[0] < 1.25)
    assert {round(piece.size[0], 2) for piece in narrow} == {1.0, 1.1, 1.2}
    assert draws(fits=lambda size: False) == [None] * 20
    furniture = SweetHomeLibrary(tmp_path)
    assert furniture.draw("piano", np.random.default_rng(0)) is None
    one, other = (furniture.draw("dining table", np.random.default_rng(0)) for _ in range(2))
    assert one is other


def test_halves_share_no_model(tmp_path):
    models = [{"model": f"/t/{k}.obj", "name": "Round table"} for k in range(12)]
    twins = [{"model": f"/t/{k}.obj", "width": "140"} for k in range(12)]
    files = {f"t/{k}.obj": TABLE for k in range(12)}
    add_library(library(tmp_path / "a.sh3f", *models, *twins, files=files), tmp_path)

    def names(subset):
        furniture, rng = SweetHomeLibrary(tmp_path, subset), np.random.default_rng(0)
        return {furniture.draw("dining table", rng).name for _ in range(300)}

    inside, outside = names("in"), names("out")
    assert inside and outside and not inside & outside
    assert inside | outside == names("all") and len(names("all")) == 24
    number = {name: int(name.split("#")[1][:-1]) for name in inside | outside}
    assert {number[name] % 12 for name in inside}.isdisjoint(number[name] % 12 for name in outside)


def test_mixed_libraries_draw_from_those_that_have_it(tmp_path):
    for name, model in (("a", {}), ("b", {"name": "Bed", "category": "Bedroom"}), ("c", {"name": "Round table"})):
        add_library(library(tmp_path / f"{name}.sh3f", model, name=name, id=name), tmp_path / name)
    mixed = Mixed([SweetHomeLibrary(tmp_path / name) for name in "abc"])
    assert mixed.categories() == {"dining table", "bed"}
    rng = np.random.default_rng(0)
    assert len({mixed.draw("dining table", rng).name for _ in range(20)}) == 2
    assert mixed.draw("bed", rng).category == "bed"
    assert mixed.draw("piano", rng) is None
    assert mixed.draw("bed", rng, lambda size: False) is None


def test_broken_models_are_skipped_and_named(tmp_path):
    bad = [
        {"name": "Round table", "model": "/t/lost.obj"},
        {"name": "Square table", "model": "/t/nan.obj"},
        {"name": "Oak table", "width": "0"},
        {"name": "Glass table", "depth": "-80"},
        {"name": "Black table", "height": "2500"},
        {"name": "Oval table", "width": "wide"},
        {"name": "Folding table", "width": None},
        {"name": "Dining table", "model": None},
        {"name": "Kitchen table", "model": "/t/t.dae"},
        {"name": "Table on trestles", "modelRotation": "1 0 0 0"},
        {"name": "Wooden table", "model": "/t/far.obj"},
    ]
    files = FILES | {
        "t/nan.obj": TABLE.replace("v 5.0 0.9 3.0", "v nan 0 0", 1),
        "t/far.obj": TABLE.replace("8/", "99/"),
    }
    summary = add_library(library(tmp_path / "a.sh3f", {}, *bad, files=files), tmp_path)
    assert summary.added == {"dining table": 1}
    assert {name for name, _ in summary.skipped} == {model["name"] for model in bad}
    assert all("\n" not in reason for _, reason in summary.skipped)
    assert "11 broken ones skipped" in str(summary)


def nothing_written(tmp_path):
    return not (tmp_path / "home").exists()


def refused(tmp_path, file, match):
    with pytest.raises(UserError, match=match) as caught:
        add_library(file, tmp_path / "home")
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert nothing_written(tmp_path)


def test_files_that_are_no_library_are_refused(tmp_path):
    refused(tmp_path, tmp_path / "no.sh3f", "not found")
    refused(tmp_path, tmp_path, "not a readable")
    (tmp_path / "text.sh3f").write_text("hello")
    refused(tmp_path, tmp_path / "text.sh3f", "not a readable")
    whole = library(tmp_path / "a.sh3f").read_bytes()
    (tmp_path / "half.sh3f").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, tmp_path / "half.sh3f", "not a readable")
    with zipfile.ZipFile(tmp_path / "bare.sh3f", "w") as archive:
        archive.writestr("t/t.obj", TABLE)
    refused(tmp_path, tmp_path / "bare.sh3f", "has no PluginFurnitureCatalog")
    with zipfile.ZipFile(tmp_path / "empty.sh3f", "w") as archive:
        archive.writestr(sweethome_archive.CATALOGUE, "id=x\nname=y\n")
    refused(tmp_path, tmp_path / "empty.sh3f", "lists no furniture")


def test_a_library_of_broken_models_only_is_refused(tmp_path):
    refused(tmp_path, library(tmp_path / "a.sh3f", {"width": "0"}, {"height": "nan"}), "none of its 2 models")
    refused(tmp_path, library(tmp_path / "b.sh3f", files={}), "none of its 1 models")


def test_a_library_without_household_things_writes_nothing(tmp_path):
    summary = add_library(library(tmp_path / "a.sh3f", {"name": "Bus", "category": "Vehicles"}), tmp_path / "home")
    assert summary.added == {} and summary.models == 1
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("name", ["../up.obj", "t/../../up.obj", "/etc/passwd", "C:\\boot.ini", "..\\up.obj"])
def test_entries_that_lead_outside_are_refused(tmp_path, name):
    refused(tmp_path, library(tmp_path / "a.sh3f", files=FILES | {name: "x"}), "leads outside")


def test_links_bombs_and_crowds_are_refused(tmp_path, monkeypatch):
    link = zipfile.ZipInfo("t/link.obj")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(tmp_path, library(tmp_path / "l.sh3f", files=FILES | {link: "/etc/passwd"}), "symbolic link")
    refused(tmp_path, library(tmp_path / "b.sh3f", files=FILES | {"t/zero.obj": bytes(3 << 20)}), "more than 200 times")
    for limit, value, word in (
        ("MOST_BYTES", 1000, "inflates to more"),
        ("MOST_BYTES_IN_ALL", 1000, "inflates to more"),
        ("MOST_ENTRIES", 3, "4 entries"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sweethome_archive, limit, value)
            refused(tmp_path, library(tmp_path / "c.sh3f"), word)


def test_a_lying_size_in_the_archive_is_an_error(tmp_path):
    """The declared size of an entry is not believed: what comes out is checked against it."""
    file = library(
        tmp_path / "a.sh3f", {}, {"name": "Round table", "model": "/t/u.obj"}, files=FILES | {"t/u.obj": TABLE}
    )
    data = bytearray(file.read_bytes())
    place = data.rindex(b"t/u.obj") - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 24 : place + 28] = (100).to_bytes(4, "little")
    file.write_bytes(data)
    summary = add_library(file, tmp_path / "home")
    assert [name for name, _ in summary.skipped] == ["Round table"]


def test_an_absurd_picture_is_not_opened(monkeypatch):
    monkeypatch.setattr(sweethome_models, "MOST_PIXELS", 100)
    assert read_texture(picture(16)) is None


def test_properties_are_read_as_java_does():
    text = "# c\n! c\n\nname#2 = B\\u00e9d\\\n   side\nname#1:A\nid=x\\#y\\:z\ncategory#2   Bed room\nodd#x=1\n"
    fields, models = read_catalogue(text.encode())
    assert fields == {"id": "x#y:z", "odd#x": "1"}
    assert models == [{"name": "A"}, {"name": "Bédside", "category": "Bed room"}]
    assert read_catalogue(b"name#1=caf\xe9")[1] == [{"name": "café"}]


def test_names_are_sorted_into_categories():
    def found(name, part, size, elevation=0.0):
        return category_of(name, part, size, elevation)

    assert found("Table", "Living room", (1.4, 0.9, 0.75)) == "dining table"
    assert found("Table", "Living room", (1.1, 0.7, 0.5)) == "coffee table"
    assert found("Table", "Exterior", (1.4, 0.9, 0.75)) is None
    assert found("Chair", "Office", (0.6, 0.6, 1.0)) == "office chair"
    assert found("chair", "Living room", (0.5, 0.5, 0.9)) == "chair"
    assert found("Lamp", "Lights", (0.4, 0.4, 1.5)) == "floor lamp"
    assert found("Lamp", "Lights", (0.2, 0.2, 0.5)) == "table lamp"
    assert found("Lamp", "Lights", (0.5, 0.5, 0.6), 1.9) == "ceiling lamp"
    assert found("Apple iBook", "Office", (0.3, 0.3, 0.2)) is None
    assert found("Apples", "Kitchen", (0.3, 0.3, 0.2)) == "fruit"
    assert {rule.category for rule in RULES} <= set(CATEGORIES)


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("TST_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert furniture_home() == tmp_path / "cache" / "tst" / "furniture"
    monkeypatch.setenv("TST_HOME", str(tmp_path / "tst"))
    assert furniture_home() == tmp_path / "tst" / "furniture"
    assert furniture_home(tmp_path) == tmp_path
    with pytest.raises(UserError, match="tst furniture install"):
        SweetHomeLibrary()


def test_a_damaged_index_is_named(tmp_path):
    folder = add_library(library(tmp_path / "a.sh3f"), tmp_path).folder
    for text in ("{", "[]", "{}", '{"version": 1, "models": [{}]}', '{"version": 0, "file": "a.sh3f", "models": []}'):
        (folder / "index.json").write_text(text)
        with pytest.raises(UserError, match=r"index\.json"):
            SweetHomeLibrary(tmp_path)


def script(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def test_install_fetches_the_package_and_adds_its_libraries(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    file = library(tmp_path / "a.sh3f")
    script(tools, "apt-get", 'test "$1" = download && touch sweethome3d-furniture_1_all.deb')
    script(tools, "dpkg", f'test "$1" = -x && mkdir -p "$3/usr/share" && cp {file} "$3/usr/share/"')
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    (summary,) = install(tmp_path / "home")
    assert summary.added == {"dining table": 1}


def test_install_tells_what_to_do_where_it_cannot(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(UserError, match=r"apt-get: not found.*tst furniture add FILE"):
        install(tmp_path / "home")
    script(tools, "dpkg", "exit 0")
    script(tools, "apt-get", "echo 'W: slow' >&2; echo 'E: Temporary failure resolving' >&2; exit 100")
    with pytest.raises(UserError, match=r"E: Temporary failure.*Check the network.*tst furniture add FILE"):
        install(tmp_path / "home")
    assert nothing_written(tmp_path)
