import numpy as np
import pytest

from tst.space import Camera


def test_resized_scales_each_axis_and_keeps_the_view() -> None:
    camera = Camera(640, 480, 500.0, 510.0, 330.0, 250.0)
    small = camera.resized(320, 120)
    assert small == Camera(320, 120, 250.0, 127.5, 165.0, 62.5)
    assert small.resized(640, 480) == camera


def test_field_of_view_reaches_the_edges() -> None:
    camera = Camera.from_fov(100, 50, 90.0)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((50, 50, 50, 25))


def test_unproject_has_pixel_centres_at_a_half_and_y_down() -> None:
    camera = Camera(4, 2, 2.0, 2.0, 2.0, 1.0)
    points = camera.unproject(np.full((2, 4), 3.0))
    np.testing.assert_allclose(points[0, 0], [-1.5 / 2 * 3, -0.5 / 2 * 3, 3])
    np.testing.assert_allclose(points[1, 3], [1.5 / 2 * 3, 0.5 / 2 * 3, 3])
    np.testing.assert_allclose(camera.unproject(np.full((1, 2), 1.0))[0, 0], [-0.5, 0, 1])  # a smaller depth image
