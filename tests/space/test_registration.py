"""Depth from one camera's place becomes depth from the other's; and lenses are undone."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from captures import ROOM, look, render
from tst.space.camera import Camera
from tst.space.lens import Lens
from tst.space.poses import OPENGL_TO_OPENCV
from tst.space.registration import registered, sample_depth


def depth_of(pose: np.ndarray, camera: Camera) -> np.ndarray:
    """Exact millimetres that an OpenCV camera sees of the room."""
    rays = camera.rays() @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        distance = np.stack([(wall - pose[:3, 3]) / rays for wall in (np.zeros(3), ROOM)], -1)
    return np.where(distance > 1e-9, distance, np.inf).reshape(*rays.shape[:2], 6).min(-1) * 1000


@pytest.mark.parametrize("size", [(96, 72), (320, 240)])
def test_depth_moves_to_the_colour_camera(size: tuple[int, int]) -> None:
    colour = Camera(640, 480, 500, 505, 322, 238)
    depth_camera = Camera(size[0], size[1], 0.6 * size[0], 0.61 * size[0], 0.49 * size[0], 0.51 * size[1])
    colour_pose = look([2, 1.3, 2.8], 25, -8) @ OPENGL_TO_OPENCV
    depth_to_rgb = np.eye(4)
    depth_to_rgb[:3, :3] = Rotation.from_euler("xyz", [1, -2, 1.5], degrees=True).as_matrix()
    depth_to_rgb[:3, 3] = [0.03, -0.005, 0.01]
    measured = np.rint(depth_of(colour_pose @ depth_to_rgb, depth_camera)).astype(np.uint16)
    result = registered(measured, depth_camera, depth_to_rgb, colour)
    truth = depth_of(colour_pose, colour.resized(result.shape[1], result.shape[0]))
    known = result > 0
    assert known.mean() > 0.9
    assert np.percentile(np.abs(result - truth)[known], 95) < 5
    unmoved = np.abs(registered(measured, depth_camera, np.eye(4), colour) - truth)
    assert np.percentile(unmoved[known], 95) > 20  # without the offset it would be wrong


def test_the_nearer_surface_wins() -> None:
    camera = Camera(64, 48, 50, 50, 32, 24)
    depth = np.full((48, 64), 4000, np.uint16)
    depth[10:40, 20:40] = 1000
    shift = np.eye(4)
    shift[0, 3] = 0.1  # the colour camera is 10 cm to the left of the depth camera
    result = registered(depth, camera, shift, camera)
    assert set(np.unique(result.round())) <= {0, 1000, 4000}
    assert (result[12:38, 27:43] == pytest.approx(1000)) and (result[20, 24] == 4000 or result[20, 24] == 0)


def test_nothing_is_made_up_between_surfaces_or_outside() -> None:
    depth = np.array([[1000, 1000, 3000, 3000]] * 4, np.uint16)
    x, y = np.meshgrid(np.linspace(0.5, 3.5, 13), np.full(3, 2.0))
    assert set(np.unique(sample_depth(depth, x, y).round())) <= {1000, 3000}
    assert (sample_depth(depth, np.array([[-3.0, 9.0]]), np.array([[1.0, 1.0]])) == 0).all()


def test_sampling_agrees_with_the_formula_pixel_by_pixel() -> None:
    random = np.random.default_rng(0)
    depth = (2000 + 40 * random.random((9, 12)) + 1500 * (random.random((9, 12)) < 0.2)).astype(np.uint16)
    depth[random.random(depth.shape) < 0.2] = 0
    x, y = random.uniform(-1, 13, (20, 30)), random.uniform(-1, 10, (20, 30))
    x[3, 4] = y[5, 6] = np.nan

    def expected(x: float, y: float) -> float:
        if not (0 <= x < 12 and 0 <= y < 9):
            return 0.0
        u, v = np.clip(x - 0.5, 0, 11), np.clip(y - 0.5, 0, 8)
        left, top = int(u), int(v)
        four = depth[np.ix_([top, min(top + 1, 8)], [left, min(left + 1, 11)])].astype(float)
        if four.min() <= 0 or four.max() - four.min() >= 0.05 * four.max():
            return float(depth[int(y), int(x)])
        p, q = u - left, v - top
        return float(1 / (np.array([1 - q, q]) @ (1 / four) @ np.array([1 - p, p])))

    np.testing.assert_allclose(sample_depth(depth, x, y), np.vectorize(expected)(x, y), rtol=1e-6)


@pytest.mark.parametrize(
    "lens", [Lens("pinhole", (-0.2, 0.05, 0.001, -0.001)), Lens("fisheye", (0.05, 0.01, -0.003, 0.001))]
)
def test_undistorted_points_lie_where_the_pinhole_says(lens: Lens) -> None:
    camera = Camera(320, 240, 180, 182, 158, 122)
    pinhole, x, y = lens.maps(camera)
    assert (pinhole.width, pinhole.height) == (320, 240)
    assert x.min() > -1.5 and x.max() < 320.5  # no empty border worth speaking of
    # A ray through a pixel of the pinhole image, distorted by OpenCV itself, falls where the map points to.
    rays = pinhole.rays()[60:180:40, 80:240:40].reshape(-1, 1, 3)
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
    project = cv2.fisheye.projectPoints if lens.kind == "fisheye" else cv2.projectPoints
    there = project(rays, np.zeros(3), np.zeros(3), matrix, np.array(lens.coefficients))[0].reshape(-1, 2)
    np.testing.assert_allclose(x[60:180:40, 80:240:40].ravel(), there[:, 0], atol=0.01)
    np.testing.assert_allclose(y[60:180:40, 80:240:40].ravel(), there[:, 1], atol=0.01)


def test_the_room_module_agrees() -> None:
    pose = look([2, 1.3, 2.8], 25, -8)
    camera = Camera.from_fov(64, 48, 90)
    np.testing.assert_allclose(depth_of(pose @ OPENGL_TO_OPENCV, camera), render(pose, 64, 48)["depth"] * 1000)
