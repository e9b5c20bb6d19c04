import numpy as np
import pytest
import torch
from scenes import CAMERA, angles, plane, quantised, sphere

from tst.errors import UserError
from tst.modalities import MODALITIES
from tst.modalities.normals import plane_normals, quantisation
from tst.space.camera import Camera
from tst.space.normal_maps import decode, encode

NORMALS = MODALITIES["normals"]


@pytest.mark.parametrize("normal", [(0, 0, -1), (0.5, 0.2, -1), (-1, 0.3, -0.8), (0, -0.9, -0.4)])
def test_plane_within_a_degree(normal):
    depth, truth = plane(normal, 2.5)
    depth = quantised(np.where(depth < 9, depth, 0))
    normals, _ = plane_normals(depth, CAMERA)
    known = normals.any(-1)
    assert known[depth > 0].mean() > 0.99
    error = angles(normals, truth)[known]
    assert np.median(error) < 0.5 and np.percentile(error, 99) < 1


@pytest.mark.parametrize("distance", [2.0, 3.0, 4.0])
@pytest.mark.parametrize("normal", [(0, 0, -1), (0.1, 0.05, -1), (0.5, 0.2, -1), (0, -0.9, -0.4)])
def test_plane_quantised_at_four_centimetres(normal, distance):
    depth, truth = plane(normal, distance)
    depth = quantised(np.where(depth < 9, depth, 0), 39.2)
    normals, _ = plane_normals(depth, CAMERA)
    known = normals.any(-1)
    assert known[depth > 0].mean() > 0.95
    assert np.median(angles(normals, truth)[known]) < 8


@pytest.mark.parametrize(("step", "limit"), [(1.0, 1.0), (39.2, 8.0)])
def test_sphere(step, limit):
    depth, truth = sphere((0.1, -0.1, 2.5), 0.9)
    depth = quantised(np.where(np.isfinite(depth), depth, 0), step)
    normals, _ = plane_normals(depth, CAMERA)
    known = normals.any(-1)
    assert not known[depth == 0].any()
    assert known[depth > 0].mean() > 0.85
    assert np.median(angles(normals, truth)[known]) < limit


def test_a_discontinuity_is_not_smoothed():
    wall, wall_normal = plane((0.3, 0, -1), 3.0)
    board, board_normal = plane((-0.3, 0.2, -1), 2.0)
    in_front = np.zeros(wall.shape, bool)
    in_front[60:180, 100:220] = True
    normals, _ = plane_normals(quantised(np.where(in_front, board, wall)), CAMERA)
    truth = np.where(in_front[..., None], board_normal, wall_normal)
    known = normals.any(-1)
    assert known.mean() > 0.99
    assert np.percentile(angles(normals, truth)[known], 99) < 2  # the boundary is 0.6 % of the pixels


def test_a_crease_stays_sharp():
    left, left_normal = plane((1, 0, -1), 3.0)
    right, right_normal = plane((-1, 0, -1), 3.0)
    depth = np.minimum(left, right)
    truth = np.where((left < right)[..., None], left_normal, right_normal)
    normals, _ = plane_normals(quantised(depth), CAMERA)
    assert (angles(normals, truth) > 5).mean() < 0.01


def test_axes_and_encoding():
    camera = Camera(64, 48, 60, 60, 32, 24)
    wall, _ = plane((0, 0, -1), 2.0, camera)
    stored = NORMALS.derive({"depth": quantised(wall)}, camera)
    assert (stored == (128, 128, 255)).all()
    for normal, channel, high in [((0, -1, -0.5), 1, False), ((0, 1, -0.5), 1, True), ((1, 0, -0.7), 0, True)]:
        depth, _ = plane(normal, 2.0, camera)
        stored = NORMALS.derive({"depth": quantised(np.where(depth < 9, depth, 0))}, camera)
        seen = stored[stored.any(-1)]
        assert ((seen[:, channel] > 128) == high).all(), normal  # a floor has n_y < 0, a ceiling > 0
        assert (seen[:, 2] >= 128).all()


def test_encode_decode():
    random = np.random.default_rng(0).normal(size=(9, 9, 3)).astype(np.float32)
    random /= np.linalg.norm(random, axis=-1, keepdims=True)
    random[0, 0] = 0
    back = decode(encode(random))
    assert angles(back, random)[1:].max() < 0.5
    assert not encode(random)[0, 0].any() and not back[0, 0].any()


def test_unknown_depth_is_unknown_and_harmless():
    depth, truth = plane((0.3, 0.2, -1), 2.5)
    stored = quantised(depth)
    generator = np.random.default_rng(0)
    holes = generator.random(stored.shape) < 0.2
    holes[100:140, 100:140] = True
    stored[holes] = 0
    normals, _ = plane_normals(stored, CAMERA)
    known = normals.any(-1)
    assert not known[holes].any()
    assert known[~holes].mean() > 0.98
    assert np.percentile(angles(normals, truth)[known], 99) < 1.5


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_too_few_neighbours(pixels):
    stored = np.zeros((40, 60), np.uint16)
    stored.reshape(-1)[1000 : 1000 + pixels] = 2000
    normals, _ = plane_normals(stored, Camera(60, 40, 50, 50, 30, 20))
    assert not normals.any()


def test_quantisation_is_measured():
    depth, _ = plane((0.5, 0.2, -1), 2.5)
    assert np.median(quantisation(quantised(depth))) == 1
    assert set(np.unique(quantisation(quantised(depth, 39.2)))) <= {39, 40}
    assert (quantisation(np.zeros((4, 4), np.uint16)) == 1).all()


def test_the_camera_is_scaled_to_the_depth():
    depth, truth = plane((0.5, 0.2, -1), 2.5)
    stored = NORMALS.derive({"depth": quantised(depth)}, CAMERA.resized(640, 480))
    assert np.median(angles(decode(stored), truth)) < 1


def test_no_camera_is_a_user_error():
    with pytest.raises(UserError, match="field of view"):
        NORMALS.derive({"depth": np.ones((8, 8), np.uint16)}, None)


def test_flip_inverts_x():
    depth, _ = plane((0.5, 0.2, -1), 2.5)
    stored = NORMALS.derive({"depth": quantised(depth)}, CAMERA)
    stored[5, 7] = 0
    x = NORMALS.tensor(stored[None])
    flipped = NORMALS.flip(x)
    # Deriving from the mirrored depth gives the mirrored normals.
    mirrored = Camera(320, 240, CAMERA.fx, CAMERA.fy, 320 - CAMERA.cx, CAMERA.cy)
    derived = NORMALS.tensor(NORMALS.derive({"depth": np.ascontiguousarray(quantised(depth)[:, ::-1])}, mirrored)[None])
    assert NORMALS.reconstruction_metrics(flipped, derived)["angle"] < 0.5
    assert not flipped[0, :, 5, -8].any()


def test_metric_and_denormalise():
    a = torch.tensor([128.0, 128, 255]).view(1, 3, 1, 1)
    b = torch.tensor([255.0, 128, 128]).view(1, 3, 1, 1)
    assert NORMALS.reconstruction_metrics(a, a)["angle"] < 0.1
    assert NORMALS.reconstruction_metrics(a, b)["angle"] == pytest.approx(90, abs=0.5)
    z, _ = NORMALS.normalise(b)
    assert torch.equal(NORMALS.denormalise(z * 3, b), b)
