"""Shapes that pieces are put together from."""

import itertools

import numpy as np

from tst.houses.furniture.parts import (
    cap,
    finished,
    front,
    loft,
    oval,
    plain,
    revolve,
    rod,
    rounded,
    solid,
    two_sided,
)
from tst.houses.furniture.piece import Support
from tst.houses.mesh import Mesh, box

GREY = plain(0.5, 0.5, 0.5)


def volume(mesh: Mesh) -> float:
    """Of a closed mesh; negative if it is inside out."""
    a, b, c = mesh.points.astype(float).transpose(1, 0, 2)
    return float(np.einsum("tk,tk->t", a, np.cross(b, c)).sum() / 6)


def test_a_solid_of_round_rings_has_the_volume_of_a_cylinder() -> None:
    ring = oval(0.3, -0.2, 0.1, 0.1, 0.0, 16)
    assert np.isclose(volume(solid([ring, ring + np.array([0, 0, 0.5])], GREY)), np.pi * 0.01 * 0.5, rtol=0.01)


def test_a_round_rectangle_stays_within_its_corners() -> None:
    ring = rounded(-0.2, -0.1, 0.4, 0.3, 0.7, 0.05)
    assert np.allclose(ring.min(0), [-0.2, -0.1, 0.7]) and np.allclose(ring.max(0), [0.4, 0.3, 0.7])
    assert np.isclose(cap(ring, GREY).normals[..., 2].min(), 1)


def test_the_front_half_of_an_oval_has_its_own_axis() -> None:
    ring = oval(0, 0, 0.1, 0.1, 0.0, 40, front=0.3)
    assert np.isclose(ring[:, 1].max(), 0.1, atol=1e-3) and np.isclose(ring[:, 1].min(), -0.3, atol=1e-3)


def test_lofts_are_smooth_where_they_bend_little_and_keep_sharp_edges() -> None:
    gentle = loft([oval(0, 0, r, r, z) for r, z in ((0.10, 0.0), (0.11, 0.1), (0.11, 0.2))], GREY)
    at_bend = np.isclose(gentle.points[..., 2], 0.1)
    assert np.ptp(gentle.normals[at_bend][:, 2]) < 1e-5
    sharp = loft([oval(0, 0, r, r, z) for r, z in ((0.1, 0.0), (0.1, 0.1), (0.0, 0.1))], GREY)
    at_edge = np.isclose(sharp.points[..., 2], 0.1) & (np.linalg.norm(sharp.points[..., :2], axis=2) > 0.05)
    assert set(np.round(sharp.normals[at_edge][:, 2], 3)) == {0.0, 1.0}


def test_a_revolved_bowl_faces_up_inside() -> None:
    bowl = revolve([(0, 0), (0.1, 0.05), (0.09, 0.05), (0, 0.01)], GREY)
    bottom = np.isclose(bowl.points[..., 2], 0.01)
    assert (bowl.normals[bottom][:, 2] > 0).all()


def test_a_rod_keeps_its_thickness_round_every_bend() -> None:
    path = [(0, 0, 0), (0, 0, 0.3), (0.2, 0, 0.5), (0.5, 0, 0.5), (0.5, 0.3, 0.5), (0.5, 0.3, 0.1)]
    mesh = rod(path, 0.01, GREY, 12)
    length = sum(np.linalg.norm(np.subtract(b, a)) for a, b in itertools.pairwise(path))
    assert np.isclose(volume(mesh), np.pi * 0.01**2 * length, rtol=0.25)
    corners = np.array(path)
    near = np.linalg.norm(mesh.points[:, :, None] - corners, axis=3).min(2)
    assert (near < 0.0101).all()


def test_a_sheet_seen_from_behind_faces_back() -> None:
    sheet = front((0, 0), (1, 1), 0, GREY, panelled=False)
    both = two_sided(sheet)
    assert len(both) == 2 * len(sheet)
    assert np.allclose(both.normals[len(sheet) :], -sheet.normals[:, ::-1])
    face = np.cross(both.points[:, 1] - both.points[:, 0], both.points[:, 2] - both.points[:, 0])
    assert (np.einsum("tk,tk->t", face, both.normals[:, 0]) > 0).all()


def test_a_panelled_front_has_a_recessed_field_within_the_same_size() -> None:
    flat, panelled = (front((0, 0), (0.4, 0.6), -0.3, GREY, panelled=kind) for kind in (False, True))
    assert np.allclose(flat.bounds, panelled.bounds)
    middle = panelled.points.mean(1)
    field = (np.abs(middle[:, 0] - 0.2) < 0.1) & (np.abs(middle[:, 2] - 0.3) < 0.15) & (middle[:, 1] < -0.281)
    assert np.allclose(panelled.points[field][..., 1], -0.288)


def test_finished_moves_the_supports_with_the_mesh() -> None:
    made = finished("box", "open", [box([1, 2, 3], [2, 4, 3.5], GREY)], [Support(1, 2, 2, 4, 3.5, 0.4)])
    assert made.name == "open box" and np.allclose(made.size, (1, 2, 0.5))
    assert np.allclose(made.mesh.bounds, [[-0.5, -1, 0], [0.5, 1, 0.5]])
    support = made.supports[0]
    assert np.allclose([support.x0, support.y0, support.x1, support.y1, support.z], [-0.5, -1, 0.5, 1, 0.5])
    assert finished("box", "on a rail", [made.mesh]).name == "box on a rail"
