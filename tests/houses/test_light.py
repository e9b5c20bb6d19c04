from pathlib import Path

import numpy as np
import pytest

from tst.errors import UserError
from tst.houses.light import BakedScene, bake
from tst.houses.mesh import Material, Mesh, Texture, ball, box, join, quad
from tst.houses.scene import Lamp, Outside, Scene
from tst.houses.subdivide import subdivide

DARK = Outside((0, 0, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))
OVERCAST = Outside((0, 0, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1))
GREY = Material((0.735, 0.735, 0.735))  # gives back half the light: sRGB 0.735 is linear 0.5
WHITE = Material((0.9, 0.9, 0.9))
WALL = 0.1


def scene_of(
    *meshes: Mesh, lamps: tuple[Lamp, ...] = (), outside: Outside = DARK, occluders: Mesh | None = None
) -> Scene:
    """A scene in which every mesh is an instance of its own, from 1, with its number as class."""
    numbers = np.concatenate([np.full(len(mesh), k + 1) for k, mesh in enumerate(meshes)])
    blocks = np.zeros((0, 3, 3), np.float32) if occluders is None else occluders.points
    return Scene(join(meshes), numbers.astype(np.uint16), numbers.astype(np.uint8), lamps, outside, blocks)


def floor(size: float = 2.0, material: Material = GREY) -> Mesh:
    return quad([-size / 2, -size / 2, 0], [size, 0, 0], [0, size, 0], material)


def light_at(baked: BakedScene, points: np.ndarray, instance: int, side: int = 0) -> np.ndarray:
    """Mean irradiance on a side of an instance at the corners nearest to points (N, 3)."""
    rows = baked.scene.instance == instance
    corners = baked.scene.mesh.points[rows].reshape(-1, 3)
    light = baked.irradiance[baked.corner[rows].reshape(-1), side].mean(1)
    return np.array([light[np.linalg.norm(corners - point, axis=1).argmin()] for point in np.atleast_2d(points)])


def side_light(baked: BakedScene, instance: int, side: int) -> np.ndarray:
    return baked.irradiance[np.unique(baked.corner[baked.scene.instance == instance]), side]


def test_subdivided_surfaces_are_the_same_with_short_edges_and_instances_in_one_run() -> None:
    scene = scene_of(floor(3.0), box([0, 0, 0], [1, 0.5, 2], WHITE))
    cut = subdivide(scene, 0.3)
    points = cut.mesh.points
    assert np.linalg.norm(np.roll(points, -1, 1) - points, axis=2).max() <= 0.3
    for instance in (1, 2):
        area = [
            np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2
            for p in (s.mesh.points[s.instance == instance] for s in (scene, cut))
        ]
        assert area[0] == pytest.approx(area[1], rel=1e-4)
    assert (np.diff(cut.instance.astype(int)) >= 0).all()
    assert (cut.semantic == cut.instance).all()


def test_open_floor_under_an_even_sky_gets_all_its_light() -> None:
    baked = bake(scene_of(floor(), outside=OVERCAST), rays=16)
    np.testing.assert_allclose(baked.irradiance, np.pi, rtol=0.01)


def test_light_in_a_round_room_is_even_and_adds_up() -> None:
    radius, power, given_back = 2.0, 4.0, 0.5
    room = ball(radius, GREY, 40)
    baked = bake(scene_of(room, lamps=(Lamp((0, 0, 0), (power,) * 3),)), rays=32, bounces=3, spacing=0.5)
    inside = side_light(baked, 1, 1)
    expected = power / radius**2 * (1 + given_back + given_back**2 + given_back**3)
    assert inside.mean() == pytest.approx(expected, rel=0.04)
    assert inside.std() < 0.04 * expected
    assert side_light(baked, 1, 0).max() < 1e-3  # none comes out


def test_shadow_is_darker_than_the_floor_beside_it() -> None:
    table = box([-0.3, -0.3, 0.5], [0.3, 0.3, 0.55], WHITE)
    baked = bake(scene_of(floor(4.0), table, lamps=(Lamp((0, 0, 2), (3, 3, 3)),)), rays=16)
    under, beside = light_at(baked, np.array([[0, 0, 0], [1.2, 0, 0]]), 1)
    assert under < 0.2 * beside


def two_rooms(occluders: bool) -> BakedScene:
    """A lit room at x < 0 and a dark one at x > 0, each with faces of its own on the wall between; white all over."""
    gap = WALL / 2
    left, right = box([-2, 0, 0], [-gap, 2, 2], WHITE), box([gap, 0, 0], [2, 2, 2], WHITE)
    slabs = join(
        box(low, high, WHITE)
        for low, high in (
            ([-gap, -1, -1], [gap, 3, 3]),
            ([-3, -1, 2.001], [3, 3, 2.5]),
            ([-3, -1, -0.5], [3, 3, -0.001]),
        )
    )
    return bake(
        scene_of(left, right, lamps=(Lamp((-1, 1, 1.8), (3, 3, 3)),), occluders=slabs if occluders else None), rays=24
    )


def test_no_light_leaks_through_a_thin_wall() -> None:
    baked = two_rooms(occluders=True)
    assert side_light(baked, 1, 1).mean() > 1
    assert side_light(baked, 2, 1).max() < 1e-3


def room_with_window(material: Material, outside: Outside) -> BakedScene:
    """A closed room of 2 m with a hole of 1 m in the wall at x = 2, glazed with the material."""
    wall = [quad([2, 0, z], [0, 2, 0], [0, 0, 0.5], WHITE) for z in (0, 1.5)]
    wall += [quad([2, y, 0.5], [0, 0.5, 0], [0, 0, 1], WHITE) for y in (0, 1.5)]
    glass = box([2, 0.5, 0.5], [2.02, 1.5, 1.5], material)
    shell = box([0, 0, 0], [2, 2, 2], WHITE, skip="X")
    return bake(scene_of(join([shell, *wall]), glass, outside=outside), rays=32)


def test_a_pane_lets_the_sky_in_as_an_open_window_does() -> None:
    middle = np.array([0, 1, 1])  # the wall opposite, which sees the window along its own normal
    glazed, opened, shut = (
        light_at(room_with_window(material, OVERCAST), middle, 1, 1)[0]
        for material in (Material(pane=True), Material(opacity=0.1), WHITE)
    )
    assert shut < 1e-3
    assert glazed == pytest.approx(opened, rel=0.15)


def test_sun_shines_through_a_pane_to_where_it_points() -> None:
    direction = np.array([1, 0, 0.8]) / np.linalg.norm([1, 0, 0.8])
    sun = Outside(tuple(direction), (5, 5, 5), (0, 0, 0), (0, 0, 0), (0, 0, 0))
    baked = room_with_window(Material(pane=True), sun)
    # From the window's middle, one metre up, the sun meets the floor 1 / 0.8 m further in.
    lit, unlit = light_at(baked, np.array([[2 - 1 / 0.8, 1, 0], [0.1, 0.1, 0]]), 1, 1)
    assert lit > 0.8 * 5 * direction[2]
    assert unlit < 0.3 * lit


def test_threads_and_seed_decide_nothing_and_everything() -> None:
    scene = scene_of(floor(), ball(0.3, WHITE).moved(z=0.4), lamps=(Lamp((0.3, 0, 2), (3, 3, 3)),), outside=OVERCAST)
    first, second, other = (bake(scene, rays=8, seed=s, threads=t) for s, t in ((1, 1), (1, 2), (2, 1)))
    np.testing.assert_array_equal(first.irradiance, second.irradiance)
    assert (first.irradiance != other.irradiance).any()


def test_dense_models_keep_light_at_every_vertex_but_are_measured_at_few_points() -> None:
    from tst.houses.light_samples import light_samples

    mesh = ball(0.25, WHITE, 70)
    assert len(mesh) > 4500
    assert len(light_samples(mesh, np.ones(len(mesh), np.uint16)).points) < 900


def textured_scene() -> BakedScene:
    texture = Texture(np.arange(4 * 6 * 4, dtype=np.uint8).reshape(4, 6, 4), 0.5)
    first, second = Material((1, 0.5, 0.25), texture, gloss=0.3, glow=2.0), Material(texture=texture, opacity=0.5)
    panorama = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    outside = Outside((0, 0, 1), (1, 2, 3), (0.1, 0.2, 0.3), (1, 1, 1), (0.5, 0.5, 0.5), panorama)
    lamp = Lamp((0, 0, 2.0), (1, 2, 3))
    return bake(
        scene_of(floor(1, first), floor(1, second).moved(z=1), lamps=(lamp,), outside=outside, occluders=floor()),
        rays=4,
    )


def test_what_is_saved_is_loaded_memory_mapped_with_textures_once(tmp_path: Path) -> None:
    baked = textured_scene()
    baked.save(tmp_path / "house")
    loaded = BakedScene.load(tmp_path / "house")
    for name in ("points", "normals", "uv", "material"):
        array = getattr(loaded.scene.mesh, name)
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, getattr(baked.scene.mesh, name))
    for name in ("instance", "semantic", "occluders"):
        np.testing.assert_array_equal(getattr(loaded.scene, name), getattr(baked.scene, name))
    np.testing.assert_array_equal(loaded.irradiance, baked.irradiance)
    np.testing.assert_array_equal(loaded.corner, baked.corner)
    assert loaded.scene.lamps == baked.scene.lamps
    assert loaded.scene.outside.sun == baked.scene.outside.sun
    np.testing.assert_array_equal(loaded.scene.outside.panorama, baked.scene.outside.panorama)
    one, two = loaded.scene.mesh.materials
    assert one.texture is two.texture and one.texture is not None
    np.testing.assert_array_equal(one.texture.pixels, baked.scene.mesh.materials[0].texture.pixels)
    assert (one.colour, one.gloss, one.glow, one.texture.size, two.opacity) == ((1, 0.5, 0.25), 0.3, 2.0, 0.5, 0.5)


@pytest.mark.parametrize("damage", ["nothing", "array", "document"])
def test_an_incomplete_folder_is_refused(tmp_path: Path, damage: str) -> None:
    if damage != "nothing":
        textured_scene().save(tmp_path)
        (tmp_path / ("points.npy" if damage == "array" else "scene.json")).write_bytes(b"{")
    with pytest.raises(UserError, match=r"not a whole baked scene.*bake it again"):
        BakedScene.load(tmp_path)
