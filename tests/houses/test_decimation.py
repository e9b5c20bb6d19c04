import numpy as np
import pytest
from scipy.spatial import cKDTree

from tst.houses.decimation import crease_normals, decimate
from tst.houses.mesh import Material, Mesh, Texture, ball, box, grid, join, mesh_of, rounded_box

WHITE = Material((1, 1, 1))
OAK = Material((1, 1, 1), Texture(np.zeros((4, 4, 3), np.uint8)))


def sampled(mesh: Mesh, count: int = 4000) -> np.ndarray:
    """Points spread evenly over the surface."""
    rng = np.random.default_rng(0)
    a, b = mesh.points[:, 1] - mesh.points[:, 0], mesh.points[:, 2] - mesh.points[:, 0]
    area = np.linalg.norm(np.cross(a, b), axis=1)
    chosen = rng.choice(len(mesh), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return mesh.points[chosen, 0] + u * a[chosen] + v * b[chosen]


def distance(one: Mesh, other: Mesh) -> float:
    """Hausdorff distance, by samples."""
    a, b = sampled(one), sampled(other, 40_000)
    there = cKDTree(b).query(a)[0].max()
    return max(there, cKDTree(sampled(one, 40_000)).query(sampled(other))[0].max())


def wave(material: Material, count: int = 120) -> Mesh:
    """A bumpy square metre whose texture coordinates are x and y."""
    x, y = np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, count), indexing="ij")
    points = np.stack([x, y, 0.05 * np.sin(5 * x) * np.sin(4 * y)], -1)
    return grid(points, material, np.stack([x, y], -1))


def test_a_small_mesh_stays_the_same_object():
    mesh = box((0, 0, 0), (1, 1, 1), WHITE)
    assert decimate(mesh, 12) is mesh


def test_shape_stays_and_normals_point_outward():
    mesh = ball(0.5, WHITE, 160)
    simple = decimate(mesh, 1000)
    assert len(mesh) > 10_000 and 500 < len(simple) <= 1000
    assert distance(mesh, simple) < 0.02
    np.testing.assert_allclose(np.linalg.norm(simple.normals, axis=2), 1, atol=1e-5)
    outward = simple.points / np.linalg.norm(simple.points, axis=2, keepdims=True)
    assert (np.einsum("tck,tck->tc", outward, simple.normals) > 0.9).all()


def test_texture_coordinates_go_along():
    simple = decimate(wave(OAK), 800)
    assert len(simple) <= 800
    np.testing.assert_allclose(simple.uv, simple.points[..., :2], atol=0.01)


def test_textures_do_not_smear_across_seams():
    # Two halves of one surface with far-apart charts: the second starts at u = 7.
    mesh = wave(OAK)
    right = mesh.points[..., 0].mean(1) > 0.5
    uv = mesh.uv.copy()
    uv[right, :, 0] += 7
    simple = decimate(Mesh(mesh.points, mesh.normals, uv, mesh.material, mesh.materials), 800)
    assert np.ptp(simple.uv[..., 0], axis=1).max() < 1
    offset = simple.uv[..., 0] - simple.points[..., 0]
    side = np.where(simple.points[..., 0].mean(1) > 0.5, 7, 0)
    clear = np.abs(simple.points[..., 0].mean(1) - 0.5) > 0.1
    assert clear.sum() > 400
    np.testing.assert_allclose(offset[clear], np.repeat(side[clear, None], 3, 1), atol=0.03)


def test_materials_keep_their_parts_and_small_ones_are_not_starved():
    knob = ball(0.02, Material((1, 0, 0)), 24).moved(z=0.6)
    mesh = join([ball(0.5, WHITE, 200), knob])
    simple = decimate(mesh, 1200)
    red = simple.material == simple.materials.index(knob.materials[0])
    assert len(simple) <= 1200 and red.sum() > 100
    part = Mesh(simple.points[red], simple.normals[red], simple.uv[red], simple.material[red], simple.materials)
    assert distance(knob, part) < 0.003


def test_creases_stay_sharp():
    fine = [np.linspace(0, 1, 60)] * 2
    a, b = np.meshgrid(*fine, indexing="ij")
    zero = np.zeros_like(a)
    faces = [np.stack([a, b, zero + 1], -1), np.stack([zero + 1, a, b], -1), np.stack([b, zero + 1, a], -1)]
    mesh = join(grid(face, WHITE, face[..., :2]) for face in faces)
    simple = decimate(mesh, 1000)
    assert len(simple) <= 1000 and distance(mesh, simple) < 0.03
    assert (np.abs(simple.normals).max(2) > 0.999).all()


def test_loose_leaves_are_thinned_but_keep_their_area():
    rng = np.random.default_rng(1)
    middle = rng.uniform(-1, 1, (3000, 1, 3))
    mesh = mesh_of(middle + rng.normal(0, 0.02, (3000, 3, 3)), OAK)
    simple = decimate(mesh, 600)

    def area(leaves: Mesh) -> float:
        a, b = leaves.points[:, 1] - leaves.points[:, 0], leaves.points[:, 2] - leaves.points[:, 0]
        return float(np.linalg.norm(np.cross(a, b), axis=1).sum())

    assert 300 < len(simple) <= 600
    assert area(simple) == pytest.approx(area(mesh), rel=0.2)


def test_twins_become_one():
    one = wave(WHITE, 40)
    twin = Mesh(one.points[:, ::-1], -one.normals[:, ::-1], one.uv[:, ::-1], one.material, one.materials)
    simple = decimate(join([one, twin]), len(one))
    assert len(simple) == len(one)


def test_crease_normals_smooth_a_ball_but_not_a_box():
    sphere = ball(1.0, WHITE, 40)
    smooth = crease_normals(sphere.points, 1e-5)
    assert np.einsum("tck,tck->tc", smooth, sphere.points).min() > 0.99
    cube = box((0, 0, 0), (1, 1, 1), WHITE)
    np.testing.assert_allclose(crease_normals(cube.points, 1e-5), cube.normals, atol=1e-6)


def test_neighbours_wound_the_other_way_do_not_cancel():
    flat = wave(WHITE, 12).points.copy()
    flat[..., 2] = 0
    flat[::2] = flat[::2, ::-1]
    assert (np.abs(crease_normals(flat, 1e-5)[..., 2]) > 0.999).all()


def test_slats_keep_their_length():
    """Long thin parts, which edge collapses alone cannot simplify, are neither lost nor shortened."""
    slat = rounded_box((0, 0, 0), (2, 0.04, 0.02), WHITE, radius=0.008, segments=4)
    mesh = join([slat.moved(y=0.1 * k) for k in range(20)])
    simple = decimate(mesh, 3000)
    assert len(mesh) > 10_000 and len(simple) <= 3000
    assert distance(mesh, simple) < 0.03
    np.testing.assert_allclose(simple.bounds, mesh.bounds, atol=0.01)


def test_what_cannot_be_simplified_gets_no_more_than_its_number():
    rng = np.random.default_rng(0)
    points = rng.random((400, 3))
    mesh = mesh_of(points[rng.integers(0, 400, (3000, 3))], WHITE)  # all vertices shared by many, nothing level
    simple = decimate(mesh, 500)
    assert 0 < len(simple) <= 500
    assert np.isfinite(simple.normals).all()
    np.testing.assert_allclose(simple.bounds, mesh.bounds, atol=0.4)
