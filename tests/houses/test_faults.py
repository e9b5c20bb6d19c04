from types import SimpleNamespace

import numpy as np
import pytest

from tst.errors import UserError
from tst.houses.faults import (
    NONE,
    FaultConfig,
    Faults,
    compressed,
    drift,
    measured_depth,
    motion_blur,
    sensor_noise,
    shutter,
)
from tst.houses.trajectory import look
from tst.space.camera import Camera

SIZE = 128
CAMERA = Camera.from_fov(SIZE, SIZE, 75)
KINECT = FaultConfig(depth=1.0)


def facing(depth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grey wall straight ahead."""
    normals = np.zeros((SIZE, SIZE, 3), np.float32)
    normals[..., 2] = -1
    return np.full((SIZE, SIZE), depth, np.float32), normals, np.full((SIZE, SIZE, 3), 128, np.uint8)


def measure(depth: np.ndarray, normals: np.ndarray, rgb: np.ndarray, config: FaultConfig = KINECT) -> np.ndarray:
    return measured_depth(depth, normals, rgb, CAMERA, np.random.default_rng(0), config)


def test_depth_noise_and_steps_grow_with_the_square() -> None:
    spread = {}
    for z in (1.0, 2.0, 4.0):
        found = measure(*facing(z)) / 1000
        assert found.dtype == np.float64 and (found > 0).all()
        assert found.mean() == pytest.approx(z, rel=0.003)
        spread[z] = found.std()
        values = np.unique(found)
        assert np.diff(values).mean() == pytest.approx(0.00285 * z**2, rel=0.2, abs=0.0006)
    assert spread[4.0] / spread[2.0] == pytest.approx(4, rel=0.2)
    assert spread[2.0] == pytest.approx(np.hypot(0.0014 * 4, 0.00285 * 4 / np.sqrt(12)), rel=0.15)


def test_depth_has_holes_where_such_cameras_have() -> None:
    depth, normals, rgb = facing(2.0)
    depth[:, 64:] = 3.0
    depth[:, :4] = 0
    depth[:8, 70:] = 7.0
    normals[40:60, 80:] = [0.995, 0, -0.0999]
    rgb[80:100, 80:] = 2
    rgb[110:, 80:] = 255
    lost = measure(depth, normals, rgb) == 0
    assert lost[:, :4].all() and lost[:5, 74:].all()
    assert lost[20:, 63:65].mean() > 0.3
    assert lost[62:78, 70:].mean() == 0 and lost[20:, 10:60].mean() == 0  # an ordinary surface has none
    assert lost[82:98, 82:].mean() == pytest.approx(0.7, abs=0.2)
    assert lost[112:, 82:].mean() == pytest.approx(0.7, abs=0.2)
    assert lost[42:58, 90:].mean() > 0.5
    weak = measure(depth, normals, rgb, FaultConfig(depth=0.3)) == 0
    assert weak[82:98, 82:].mean() < 0.4


def test_turning_right_smears_the_picture_sideways() -> None:
    depth, _, _ = facing(2.0)
    linear = np.zeros((SIZE, SIZE, 3), np.float32)
    linear[:, 64] = 1.0
    zero = np.zeros(1)
    pose, opened, closed = (look(np.zeros((1, 3)), zero - np.radians(a), zero, zero)[0] for a in (0, -2, 2))
    blurred = motion_blur(linear, depth, CAMERA, pose, opened, closed)
    width = CAMERA.fx * np.radians(4)
    rows = blurred[64, :, 0]
    assert (rows > 0.02).sum() == pytest.approx(width, abs=5)
    assert rows.sum() == pytest.approx(1, abs=0.05)  # light is kept
    np.testing.assert_allclose(blurred[20], blurred[100], atol=0.02)
    still = motion_blur(linear, depth, CAMERA, pose, pose, pose)
    np.testing.assert_allclose(still, linear, atol=1e-5)


def test_near_things_smear_more_when_walking_sideways() -> None:
    depth, _, _ = facing(4.0)
    depth[64:] = 1.0
    linear = np.zeros((SIZE, SIZE, 3), np.float32)
    linear[:, 64] = 1.0
    pose = look(np.zeros((1, 3)), np.zeros(1), np.zeros(1), np.zeros(1))[0]
    opened, closed = pose.copy(), pose.copy()
    opened[1, 3], closed[1, 3] = 0.05, -0.05
    blurred = motion_blur(linear, depth, CAMERA, pose, opened, closed)[..., 0]
    far, near = (blurred[20] > 0.02).sum(), (blurred[100] > 0.02).sum()
    assert far == pytest.approx(CAMERA.fx * 0.1 / 4, abs=3) and near == pytest.approx(CAMERA.fx * 0.1, abs=3)


def test_shutter_follows_the_walk_but_not_from_place_to_place() -> None:
    yaw = np.radians([0, 10, 20, 20])
    positions = np.array([[0, 0, 1], [0.1, 0, 1], [0.2, 0, 1], [5, 5, 1.0]])
    poses = look(positions, yaw, np.zeros(4), np.zeros(4))
    opened, closed = shutter(poses, 1, 0.5)
    expected = look(np.array([[0.075, 0, 1], [0.125, 0, 1]]), np.radians([7.5, 12.5]), np.zeros(2), np.zeros(2))
    np.testing.assert_allclose([opened, closed], expected, atol=1e-9)
    np.testing.assert_allclose(shutter(poses, 2, 0.5)[1], poses[2])
    np.testing.assert_allclose(shutter(poses, 0, 0.5)[0], poses[0])


def test_drift_is_slow_and_as_strong_as_asked() -> None:
    gains = drift(20000, np.random.default_rng(0), FaultConfig(exposure=0.5))
    stops = np.log2(gains)
    np.testing.assert_allclose(gains[:, 0], gains[:, 2])
    assert stops[:, 1].std() == pytest.approx(0.5, rel=0.2) and np.abs(np.diff(stops[:, 1])).max() < 0.1
    tint = np.log2(drift(20000, np.random.default_rng(0), FaultConfig(white_balance=0.1)))
    assert tint[:, 0].std() == pytest.approx(0.1, rel=0.2) and not tint[:, 1].any()
    assert abs(np.corrcoef(tint[:, 0], tint[:, 2])[0, 1]) < 0.3


def test_a_darker_exposure_leaves_windows_white() -> None:
    view = view_of()
    view.rgb[:, 64:] = 255
    poses = np.tile(np.eye(4), (300, 1, 1))
    faults = Faults(FaultConfig(exposure=0.5), CAMERA, poses, 0)
    darkest = int(np.argmin(faults.gains[:, 1]))
    rgb = faults.apply(darkest, view)["rgb"]  # type: ignore[arg-type]
    assert rgb[0, 0, 0] < 115 and rgb[0, 127, 0] == 255


def test_sensor_noise_grows_with_the_root_of_light() -> None:
    deviations = []
    for level in (0.04, 0.64):
        linear = np.full((SIZE, SIZE, 3), level, np.float32)
        found = sensor_noise(linear, np.random.default_rng(0), FaultConfig(noise=1.0))
        assert found.mean() == pytest.approx(level, rel=0.01)
        deviations.append(found.std() - 0.001)
    assert deviations[1] / deviations[0] == pytest.approx(4, rel=0.1)
    assert deviations[1] == pytest.approx(0.008, rel=0.1)


def test_jpeg_loses_a_little() -> None:
    rng = np.random.default_rng(0)
    rgb = np.clip(rng.normal([200, 100, 50], 20, (64, 64, 3)), 0, 255).astype(np.uint8)
    fine, coarse = (np.abs(compressed(rgb, quality).astype(int) - rgb).mean() for quality in (95, 30))
    assert 0 < fine < coarse < 20
    np.testing.assert_allclose(compressed(rgb, 50).mean((0, 1)), rgb.mean((0, 1)), atol=3)  # channels in order


def view_of(z: float = 2.0) -> SimpleNamespace:
    depth, normals, rgb = facing(z)
    return SimpleNamespace(depth=depth, normals=normals, rgb=rgb)


def test_a_walks_faults_do_not_depend_on_the_order_of_frames() -> None:
    config = FaultConfig(depth=1, motion_blur=0.5, exposure=0.3, white_balance=0.1, noise=2, jpeg=80)
    poses = look(np.zeros((6, 3)), np.radians(np.arange(6.0)), np.zeros(6), np.zeros(6))
    first, second = (Faults(config, CAMERA, poses, seed=4) for _ in range(2))
    a = [first.apply(k, view_of()) for k in (0, 3, 5)]  # type: ignore[arg-type]
    b = [second.apply(k, view_of()) for k in (5, 3, 0)][::-1]  # type: ignore[arg-type]
    for x, y in zip(a, b, strict=True):
        assert x["rgb"].dtype == np.uint8 and x["depth"].dtype == np.uint16
        np.testing.assert_array_equal(x["rgb"], y["rgb"])
        np.testing.assert_array_equal(x["depth"], y["depth"])
    assert (a[0]["depth"] != a[1]["depth"]).mean() > 0.3  # another frame, other noise


def test_without_faults_nothing_changes() -> None:
    poses = np.tile(np.eye(4), (2, 1, 1))
    assert FaultConfig() == NONE and Faults(NONE, CAMERA, poses, 0).apply(1, view_of()) == {}  # type: ignore[arg-type]
    assert set(Faults(FaultConfig(jpeg=90), CAMERA, poses, 0).apply(1, view_of())) == {"rgb"}  # type: ignore[arg-type]


def test_impossible_strengths_are_told() -> None:
    with pytest.raises(UserError, match="motion_blur"):
        NONE.replace(motion_blur=2)
