from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from tst.houses.film import automatic_exposure
from tst.houses.light import BakedScene
from tst.houses.mesh import Material, Mesh, Texture, ball, box, join, lathe, quad, rounded_box
from tst.houses.renderer import Renderer
from tst.houses.scene import Outside, Scene
from tst.houses.subdivide import subdivide
from tst.space.camera import Camera

OUTSIDE = Outside((0, 0, 1), (0, 0, 0), (0.2, 0.4, 0.8), (0.2, 0.4, 0.8), (0.2, 0.4, 0.8))
SQUARE = Camera.from_fov(48, 48, 70)
AHEAD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""At the origin, looking along +y with z up."""


def evenly_lit(*meshes: Mesh, outside: Outside = OUTSIDE, light: float = np.pi) -> BakedScene:
    """Meshes as instances from 1, class instance + 10, everywhere lit by the same irradiance."""
    numbers = np.concatenate([np.full(len(mesh), k + 1) for k, mesh in enumerate(meshes)])
    scene = Scene(
        join(meshes), numbers.astype(np.uint16), (numbers + 10).astype(np.uint8), (), outside, np.zeros((0, 3, 3))
    )
    scene = subdivide(scene, 1e3)
    return BakedScene(scene, np.zeros((len(scene.mesh), 3), np.int32), np.full((1, 2, 3), light, np.float32))


def wall(y: float, size: float = 40.0, material: Material | None = None) -> Mesh:
    """A wall across the y axis that faces the origin."""
    return quad([-size / 2, y, -size / 2], [size, 0, 0], [0, 0, size], material or Material())


def pose_at(eye: tuple[float, float, float], yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """Looking along +y turned left by `yaw` and up by `pitch`, radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(pitch), np.sin(pitch)
    pose = np.eye(4)
    pose[:3, :3] = turn @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ AHEAD[:3, :3]
    pose[:3, 3] = eye
    return pose


def things() -> list[Mesh]:
    rng = np.random.default_rng(3)
    material = Material((0.6, 0.5, 0.4))
    shapes = [
        ball(0.4, material, 24),
        rounded_box([-0.4, -0.3, 0], [0.4, 0.3, 0.5], material, 0.08, 3),
        lathe([(0, 0), (0.2, 0), (0.35, 0.3), (0.1, 0.7), (0, 0.7)], material, 20),
        box([-0.3, -0.2, 0], [0.3, 0.2, 0.9], material),
    ]
    placed = [
        shape.turned(rng.uniform(0, 6)).moved(*rng.uniform([-1.5, 1.5, -1], [1.5, 4, 0.6])) for shape in shapes * 3
    ]
    room = [quad([-3, -3, -1], [6, 0, 0], [0, 9, 0], material), wall(5.5, 14)]
    return room + placed


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize(
    "camera",
    [Camera.from_fov(40, 30, 60), Camera(33, 47, 31.0, 52.5, 3.25, 40.75), Camera(16, 16, 90.0, 20.0, -5.0, 22.0)],
)
def test_a_wall_has_exact_depth_and_normal_for_any_intrinsics(camera: Camera, samples: int) -> None:
    tilted = wall(0, 60).turned(0.5).moved(y=3)  # the plane through (0, 3, 0) with this normal
    normal = np.array([np.sin(0.5), -np.cos(0.5), 0])
    pose = pose_at((0.2, -0.4, 0.1), yaw=0.2, pitch=-0.1)
    view = Renderer(evenly_lit(tilted), camera, samples=samples).render(pose)
    rays = camera.rays() @ pose[:3, :3].T
    expected = (np.array([0, 3, 0]) - pose[:3, 3]) @ normal / (rays @ normal)
    np.testing.assert_allclose(view.depth, expected, rtol=1e-5)
    np.testing.assert_allclose(view.normals, np.broadcast_to(normal @ pose[:3, :3], view.normals.shape), atol=1e-5)
    assert (view.semantic == 11).all() and (view.instance == 1).all()
    assert view.rgb.shape == (camera.height, camera.width, 3) and view.rgb.dtype == np.uint8


def test_depth_and_instances_are_those_of_embree() -> None:
    baked = evenly_lit(*things())
    camera = Camera(160, 120, 110.0, 120.0, 70.0, 65.0)
    solid = EmbreeScene(robust=True)
    TriangleMesh(solid, np.ascontiguousarray(baked.scene.mesh.points))
    renderer = Renderer(baked, camera)
    close, same = [], []
    for pose in (pose_at((0, 0, 0.3)), pose_at((1.5, 0.5, 0.6), 0.6, -0.3), pose_at((-1, 5, 1), 2.6, -0.5)):
        view = renderer.render(pose)
        rays = (camera.rays().reshape(-1, 3) @ pose[:3, :3].T).astype(np.float32)
        met = solid.run(np.tile(pose[:3, 3].astype(np.float32), (len(rays), 1)), rays, output=True)
        hit = met["primID"] >= 0
        close.append(np.abs(view.depth.ravel() - np.where(hit, met["tfar"], 0)) < 1e-3)
        same.append(view.instance.ravel() == np.where(hit, baked.scene.instance[met["primID"]], 0))
    assert np.mean(close) > 0.998 and np.mean(same) > 0.998


def test_normals_have_unit_length_and_never_face_away() -> None:
    camera = Camera.from_fov(120, 90, 80)
    view = Renderer(evenly_lit(*things()), camera).render(pose_at((0, 0, 0.3)))
    seen = view.depth > 0
    np.testing.assert_allclose(np.linalg.norm(view.normals[seen], axis=1), 1, atol=1e-5)
    assert ((view.normals * camera.rays()).sum(2)[seen] < 0).all()


def test_smooth_normals_are_those_of_the_round_thing() -> None:
    view = Renderer(evenly_lit(ball(1.0, Material(), 24).moved(y=4)), SQUARE).render(AHEAD)
    points = SQUARE.unproject(view.depth)
    seen = (view.depth > 0) & (np.linalg.norm(points[..., :2], axis=2) < 0.6)
    expected = points - [0, 0, 4]
    expected /= np.linalg.norm(expected, axis=2, keepdims=True)
    np.testing.assert_allclose(view.normals[seen], expected[seen], atol=0.03)


def test_winding_does_not_matter() -> None:
    mesh = wall(2)
    turned = replace(mesh, points=mesh.points[:, ::-1], normals=-mesh.normals)
    one, two = (Renderer(evenly_lit(m), SQUARE).render(AHEAD) for m in (mesh, turned))
    np.testing.assert_array_equal(one.normals, two.normals)
    np.testing.assert_array_equal(one.rgb, two.rgb)


def test_nothing_is_seen_as_outside() -> None:
    view = Renderer(evenly_lit(wall(-1)), SQUARE).render(AHEAD)
    assert not view.depth.any() and not view.normals.any() and not view.instance.any()
    assert (view.semantic == 255).all()
    assert (view.rgb[..., 2] > view.rgb[..., 0]).all()  # blue sky


def test_surfaces_that_reach_behind_the_camera_are_cut_cleanly() -> None:
    eye_height = 1.5
    ground = quad([-500, -500, -eye_height], [1000, 0, 0], [0, 1000, 0], Material())
    view = Renderer(evenly_lit(ground), SQUARE).render(AHEAD)
    rays = SQUARE.rays()
    below = rays[..., 1] * 400 > eye_height
    np.testing.assert_allclose(view.depth[below], eye_height / rays[..., 1][below], rtol=1e-4)
    assert not view.depth[rays[..., 1] < 0].any()


LETTER = np.full((8, 8, 3), 255, np.uint8)
LETTER[1:7, 1:3] = LETTER[5:7, 1:7] = 0  # an L


def test_textures_are_upright_and_not_mirrored() -> None:
    sign = wall(2, 2.0, Material((1, 1, 1), Texture(LETTER, 2.0)))
    camera = Camera(64, 64, 64.0, 64.0, 32.0, 32.0)  # the wall fills the frame
    rgb = Renderer(evenly_lit(sign), camera).render(AHEAD).rgb
    seen = rgb.reshape(8, 8, 8, 8, 3)[:, 2:6, :, 2:6].mean((1, 3, 4))
    np.testing.assert_array_equal(seen < 160, LETTER[..., 0] == 0)


def test_texture_repeats_by_its_size() -> None:
    stripes = np.zeros((4, 32, 3), np.uint8)
    stripes[:, :16] = 255
    sign = wall(2, 2.0, Material((1, 1, 1), Texture(stripes, 0.5)))
    row = Renderer(evenly_lit(sign), Camera(64, 64, 64.0, 64.0, 32.0, 32.0)).render(AHEAD).rgb[32, :, 0]
    bright = row > 128
    assert (bright[2:14] == ([True] * 6 + [False] * 6)).all() and np.count_nonzero(np.diff(bright)) == 7


def test_holes_of_a_texture_show_what_lies_behind() -> None:
    leaf = np.full((8, 8, 4), 255, np.uint8)
    leaf[:, 4:, 3] = 0
    front = wall(2, 2.0, Material((1, 1, 1), Texture(leaf, 2.0)))
    view = Renderer(evenly_lit(front, wall(5)), Camera(64, 64, 64.0, 64.0, 32.0, 32.0)).render(AHEAD)
    assert (view.instance[:, :31] == 1).all() and (view.instance[:, 33:] == 2).all()
    np.testing.assert_allclose(view.depth[:, 33:], 5, rtol=1e-5)


@pytest.mark.parametrize(("opacity", "instance"), [(0.1, 2), (0.3, 2), (0.6, 1), (1.0, 1)])
def test_glass_lets_the_colour_through_and_labels_follow_its_opacity(opacity: float, instance: int) -> None:
    glass = wall(2, 9, Material((1, 0, 0), opacity=opacity))
    view = Renderer(evenly_lit(glass, wall(3, 20, Material((0, 0, 1)))), SQUARE).render(AHEAD, exposure=0.5)
    assert (view.instance == instance).all()
    red, blue = view.rgb[..., 0].mean(), view.rgb[..., 2].mean()
    assert (red > 20) == (opacity >= 0.15) and (blue > 20) == (opacity < 0.95)


def test_panes_show_the_panorama_the_way_one_looks_and_are_solid_otherwise() -> None:
    panorama = np.zeros((64, 128, 3), np.uint8)
    panorama[:32, :, 2] = 200  # blue above the horizon
    panorama[32:, :, 1] = 200  # green below
    panorama[26:32, 32 - 4 : 32] = [250, 0, 0]  # red above the horizon, a little to the right of +y
    outside = replace(OUTSIDE, panorama=panorama)
    view = Renderer(evenly_lit(wall(2, 40, Material(pane=True)), outside=outside, light=0), SQUARE).render(AHEAD)
    assert (view.instance == 1).all() and (view.depth > 0).all() and (view.normals[..., 2] < 0).all()
    main = view.rgb.argmax(2)
    assert (main[2:4] == 2).all() and (main[-20:] == 1).all()
    assert (main[18:22, 26:30] == 0).all() and (main[18:22, 18:22] == 2).all()


def test_what_glows_is_bright_in_the_dark() -> None:
    shade = wall(2, 1, Material((1, 0.9, 0.8), glow=2.0))
    view = Renderer(evenly_lit(shade, wall(3), light=0.01), SQUARE).render(AHEAD, exposure=1.0)
    assert view.rgb[24, 24].min() > 150 and view.rgb[2, 2].max() < 30


def test_exposure_brightens_a_dark_room_but_not_to_daylight() -> None:
    means = []
    for light in (0.1, 0.5, 4.0):
        means.append(Renderer(evenly_lit(wall(2), light=light), SQUARE).render(AHEAD).rgb.mean())
    assert 50 < means[0] < means[1] - 10 < means[2] - 20 and means[2] < 250
    assert automatic_exposure(np.zeros((4, 4, 3), np.float32)) <= 12


def test_edges_are_smooth_in_colour_and_sharp_in_depth() -> None:
    near, far = wall(2, 3, Material((1, 1, 1))).turned(0.1, "y"), wall(4, 20, Material((0, 0, 0)))
    view = Renderer(evenly_lit(near, far), Camera.from_fov(48, 48, 90)).render(AHEAD)
    assert np.isin(np.round(view.depth, 3), [2, 4]).all()
    assert len(np.unique(view.rgb)) > 5


def test_frames_are_the_same_each_time_and_from_a_saved_scene(tmp_path: Path) -> None:
    baked = evenly_lit(*things())
    baked.save(tmp_path)
    renderer = Renderer(baked, SQUARE)
    poses = [pose_at((0, 0, 0.3)), pose_at((1, 0, 0.3), 0.4)]
    views = [renderer.render(pose) for pose in poses]
    again = [Renderer(BakedScene.load(tmp_path), SQUARE).render(pose) for pose in reversed(poses)][::-1]
    for one, two in zip(views, again, strict=True):
        for name in ("rgb", "depth", "normals", "semantic", "instance"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
