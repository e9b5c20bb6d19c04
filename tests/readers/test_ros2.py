"""ROS 2 bags: both storages, transports, sources of poses, other cameras' depth, sensors, distortion, ambiguity."""

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from scene import Scene, accel, assert_one_room, gyro
from writers import ros2 as bags

from captures import render
from tst.decoding import ros_messages
from tst.decoding.bags import Bag
from tst.errors import UserError
from tst.readers import read
from tst.readers.base import Frame, Values
from tst.readers.ros2 import read as read_bag

FRAME = "camera_color_optical_frame"
RGB = "/camera/color/image_raw"


def loaded(frame: Frame, modality: str) -> Any:
    values = frame.files[modality]
    assert isinstance(values, Values)
    return values.load(None)


@pytest.mark.parametrize("transport", ["raw", "compressed"])
@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize("poses", ["tf", "odometry", "pose"])
def test_every_storage_transport_and_source_of_poses(storage: str, transport: str, poses: Any, tmp_path: Path) -> None:
    bags.write(tmp_path / "bag", Scene(), storage, poses, transport)
    (walk,) = read("ros2", tmp_path / "bag", tmp_path / "space").walks.values()
    assert len(walk) == 6
    assert_one_room(walk)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_a_single_file_is_a_bag(storage: str, tmp_path: Path) -> None:
    bags.write(tmp_path / "bag", Scene(frames=2), storage)
    (path,) = [path for path in (tmp_path / "bag").iterdir() if path.suffix != ".yaml"]
    assert len(read_bag(path).frames) == 2


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_chunks(codec: str, tmp_path: Path) -> None:
    path = _mcap(tmp_path, codec, [b"\x00\x01\x00\x00" + bytes([n] * 40) for n in range(3)])
    bag = Bag(path)
    found = list(bag.scan({"sensor_msgs/msg/Image": 8}))
    assert [message.data for message in found] == [b"\x00\x01\x00\x00" + bytes([n] * 4) for n in range(3)]
    assert bag.payload(found[2].position) == b"\x00\x01\x00\x00" + bytes([2] * 40)


def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = _mcap(tmp_path, "zstd", [bytes(1_000_000)], claimed=1000)
    with pytest.raises(UserError, match="cannot be unpacked"):
        list(Bag(path).scan({}))
    path = _mcap(tmp_path, "zstd", [bytes(100)], claimed=1 << 40)
    with pytest.raises(UserError, match="1099511627776 unpacked"):
        list(Bag(path).scan({}))


def test_an_unfinished_mcap_file_is_told(tmp_path: Path) -> None:
    bags.write(tmp_path / "bag", Scene(frames=2), "mcap")
    path = tmp_path / "bag" / "bag.mcap"
    whole = path.read_bytes()
    for length in (10, 1000, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="mcap recover"):
            read_bag(path)


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE"])
def test_compressed_bags_are_told(mode: str, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        message = bags.image(1.0, FRAME, "rgb8", np.zeros((4, 4, 3), np.uint8))
        topic = writer.add_connection(RGB, message.__msgtype__, typestore=bags.TYPES)
        writer.write(topic, 1, bags.TYPES.serialize_cdr(message, message.__msgtype__))
    with pytest.raises(UserError, match="zstd -d" if mode == "FILE" else "ros2 bag convert"):
        read_bag(tmp_path / "bag")


def test_the_clock_is_that_of_the_headers(tmp_path: Path) -> None:
    scene = Scene()
    recording = read_bag(bags.write(tmp_path / "bag", scene))
    assert [frame.time for frame in recording.frames] == pytest.approx([scene.time(n) for n in range(6)], abs=1e-6)


def test_poses_are_interpolated_between_transforms(tmp_path: Path) -> None:
    """Images between two samples of tf, which come 5 ms before and after."""
    scene = Scene(start=1000.005)
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write("/tf_static", 999, bags.fixed(999))
        bags.write_path(bag, Scene(), "tf")  # steps of 10 ms from 1000
        for number in range(4):
            picture = bags.image(scene.time(number), FRAME, "rgb8", scene.view(number, 8, 6)["rgb"])
            bag.write(RGB, scene.time(number), picture)
    for number, frame in enumerate(read_bag(tmp_path / "bag").frames):
        expected = bags.camera_pose(Scene(), scene.time(number))
        assert frame.pose == pytest.approx(expected, abs=1e-4)


def test_world_frame(tmp_path: Path) -> None:
    source = bags.write(tmp_path / "bag", Scene(frames=2))
    in_map, in_odom = read_bag(source), read_bag(source, world_frame="odom")
    assert in_map.up == (0.0, 0.0, 1.0)
    assert in_map.frames[0].pose == pytest.approx(bags.ODOM @ in_odom.frames[0].pose, abs=1e-9)
    with pytest.raises(UserError, match=r"'camera_link', 'base_link', 'odom', 'map', not to 'mars'"):
        read_bag(source, world_frame="mars")


def test_sensors_are_in_the_axes_of_the_camera(tmp_path: Path) -> None:
    scene = Scene()
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write("/tf_static", 999, bags.fixed(999))
        bags.write_path(bag, scene, "tf")
        to_imu = bags.IMU[:3, :3].T @ bags.OPTICAL[:3, :3]
        for step in range(40):
            time = scene.start + step / 100
            bag.write("/imu/data", time, bags.imu(scene, time))
            mag = bags.make(
                "sensor_msgs/msg/MagneticField",
                header=bags.header(time, "imu_link"),
                magnetic_field=bags.vector(to_imu @ [1e-6, 20e-6, 40e-6]),
                magnetic_field_covariance=np.zeros(9),
            )
            bag.write("/imu/mag", time, mag)
        for number in range(4):
            time = scene.time(number)
            bag.write(RGB, time, bags.image(time, FRAME, "rgb8", scene.view(number, 8, 6)["rgb"]))
            header = bags.header(time, "light")
            light = bags.make("sensor_msgs/msg/Illuminance", header=header, illuminance=120.0 + number, variance=0.0)
            bag.write("/light", time, light)
            status = bags.make("sensor_msgs/msg/NavSatStatus", status=0 if number else -1, service=1)
            fix = bags.make(
                "sensor_msgs/msg/NavSatFix",
                header=bags.header(time, "gps"),
                status=status,
                latitude=46.5,
                longitude=6.6,
                altitude=float("nan"),
                position_covariance=np.diag([9.0, 9.0, 25.0]).ravel(),
                position_covariance_type=2,
            )
            bag.write("/fix", time, fix)
    recording = read_bag(tmp_path / "bag")
    sensors = recording.sensors
    for row in sensors["imu"].to_pylist()[::7]:
        assert [row[f"gyro_{axis}"] for axis in "xyz"] == pytest.approx(gyro(scene, row["time"]), abs=1e-5)
        assert [row[f"accel_{axis}"] for axis in "xyz"] == pytest.approx(accel(scene, row["time"]), abs=1e-4)
    assert [sensors["magnetometer"][f"mag_{axis}"][3].as_py() for axis in "xyz"] == pytest.approx([1, 20, 40])
    assert sensors["light"]["lux"].to_pylist() == [120, 121, 122, 123]
    assert sensors["gps"].num_rows == 3  # the first had no fix
    assert sensors["gps"].to_pylist()[0] == pytest.approx(
        {"time": scene.time(1), "latitude": 46.5, "longitude": 6.6, "altitude": None, "accuracy": 3.0}
    )
    for row in sensors["attitude"].to_pylist()[::9]:
        seen = bags.Rotation.from_quat([row[f"q{axis}"] for axis in "xyzw"]).as_matrix()
        assert seen == pytest.approx(bags.camera_pose(scene, row["time"])[:3, :3], abs=1e-3)


def test_gyroscope_and_accelerometer_in_topics_of_their_own(tmp_path: Path) -> None:
    """The slower one is interpolated to the moments of the faster one, where it has readings on both sides."""
    scene = Scene()
    with bags.Recorder(tmp_path / "bag", "mcap") as bag:
        bag.write("/tf_static", 999, bags.fixed(999))
        bag.write(RGB, 1000, bags.image(1000, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        for step in range(8):
            time = scene.start + step / 200
            bag.write("/camera/gyro/sample", time, bags.imu(scene, time, orientation=False))
            if step % 2 == 0:
                bag.write("/camera/accel/sample", time + 0.003, bags.imu(scene, time + 0.003, orientation=False))
    sensors = read_bag(tmp_path / "bag").sensors
    rows = sensors["imu"].to_pylist()
    assert [row["time"] for row in rows] == pytest.approx([scene.start + step / 200 for step in range(8)], abs=1e-6)
    assert [row["accel_x"] is None for row in rows] == [True] + [False] * 6 + [True]
    for row in rows:
        assert [row[f"gyro_{axis}"] for axis in "xyz"] == pytest.approx(gyro(scene, row["time"]), abs=1e-5)
        if row["accel_x"] is not None:
            assert [row[f"accel_{axis}"] for axis in "xyz"] == pytest.approx(accel(scene, row["time"]), abs=1e-3)
    assert "attitude" not in sensors


def test_sensor_of_unknown_place_keeps_its_axes_with_a_note(tmp_path: Path) -> None:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write(RGB, 1000, bags.image(1000, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        bag.write("/imu", 1000, bags.imu(Scene(), 1000))
    recording = read_bag(tmp_path / "bag")
    assert "its own ('imu_link')" in recording.notes["axes of /imu"]
    expected = bags.IMU[:3, :3].T @ bags.OPTICAL[:3, :3] @ gyro(Scene(), 1000)
    assert recording.sensors["imu"]["gyro_x"][0].as_py() == pytest.approx(expected[0])


def depth_bag(folder: Path, late: float = 0.0, distorted: bool = False) -> Path:
    """A bag whose depth comes from a camera beside, wider and smaller, `late` seconds after the colour image."""
    scene, depth_frame = Scene(), "camera_depth_optical_frame"
    lens = np.array([-0.25, 0.05, 0.001, -0.002, 0.0])
    with bags.Recorder(folder, "sqlite3") as bag:
        bag.write("/tf_static", 999, bags.fixed(999))
        bags.write_path(bag, scene, "tf")
        for number in range(scene.frames):
            time = scene.time(number)
            seen = scene.view(number, 96, 72)["rgb"]
            info = bags.camera_info(time, FRAME)
            if distorted:
                info = bags.camera_info(time, FRAME, d=lens)
                seen = distort(scene, number, lens)
            bag.write(RGB, time, bags.image(time, FRAME, "rgb8", seen))
            bag.write("/camera/color/camera_info", time, info)
            other = scene.true_pose(time + late) @ np.diag([1.0, -1, -1, 1]) @ np.linalg.inv(bags.OPTICAL)
            other = other @ bags.DEPTH @ bags.OPTICAL @ np.diag([1.0, -1, -1, 1])
            metres = render(other, 80, 60, 100.0)["depth"].astype(np.float32)
            focal = 40 / np.tan(np.radians(50))
            p = np.array([focal, 0, 39.5, 0, 0, focal, 29.5, 0, 0, 0, 1, 0])
            info = bags.camera_info(time + late, depth_frame, 80, 60, p=p)
            bag.write("/camera/depth/camera_info", time + late, info)
            bag.write("/camera/depth/image_rect_raw", time + late, bags.image(time, depth_frame, "32FC1", metres))
    return folder


def distort(scene: Scene, number: int, lens: np.ndarray) -> np.ndarray:
    """The image that a lens with this distortion makes."""
    v, u = np.mgrid[:72, :96].astype(float)
    k = np.array([[48.0, 0, 47.5], [0, 48, 35.5], [0, 0, 1]])
    rays = cv2.undistortPoints(np.stack([u.ravel(), v.ravel()], 1)[:, None], k, lens)[:, 0].reshape(72, 96, 2)
    wide = scene.view(number, 960, 720, 110.0)["rgb"]
    focal = 480 / np.tan(np.radians(55))
    x, y = (rays[..., 0] * focal + 479.5).astype(np.float32), (rays[..., 1] * focal + 359.5).astype(np.float32)
    return cv2.remap(wide, x, y, cv2.INTER_LINEAR)


@pytest.mark.parametrize("distorted", [False, True])
def test_depth_of_a_camera_beside_is_registered(distorted: bool, tmp_path: Path) -> None:
    source = depth_bag(tmp_path / "bag", distorted=distorted)
    (walk,) = read("ros2", source, tmp_path / "space").walks.values()
    assert_one_room(walk)
    colour, depth = walk.camera(0), walk.read("depth", 0) / 1000
    truth = render(Scene().true_pose(1000.0), 96, 72)["depth"]
    assert colour is not None and (depth > 0).mean() > 0.8
    if not distorted:
        step = 96 / depth.shape[1]
        at = ((np.arange(depth.shape[1]) + 0.5) * step).astype(int)
        middle = depth.shape[0] // 2
        assert np.median(np.abs(depth[middle] - truth[36][at])) < 0.02


def test_depth_of_another_moment_is_moved(tmp_path: Path) -> None:
    """Depth 40 ms later: without undoing the motion, 3.6 degrees of turn would tear both apart."""
    scene = Scene()
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write("/tf_static", 999, bags.fixed(999))
        bags.write_path(bag, scene, "tf")
        for number in range(scene.frames):
            time = scene.time(number)
            bag.write(RGB, time, bags.image(time, FRAME, "rgb8", scene.view(number, 96, 72)["rgb"]))
            bag.write("/camera/color/camera_info", time, bags.camera_info(time, FRAME))
            late = render(scene.true_pose(time + 0.04), 96, 72)["depth"].astype(np.float32)
            bag.write("/camera/aligned_depth/image_raw", time + 0.04, bags.image(time + 0.04, FRAME, "32FC1", late))
    (walk,) = read("ros2", tmp_path / "bag", tmp_path / "space").walks.values()
    assert_one_room(walk)
    depth = walk.read("depth", 2) / 1000
    truth = render(scene.true_pose(scene.time(2)), 96, 72)["depth"]
    known = depth > 0
    assert known.mean() > 0.85 and np.percentile(np.abs(depth - truth)[known], 90) < 0.005


def test_nearest_depth_is_taken(tmp_path: Path) -> None:
    """Depth at another rate: each image gets the nearest, and none that is too far away."""
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        for number in range(6):
            time = 1000 + number / 10
            bag.write(RGB, time, bags.image(time, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        for number in range(12):
            time = 1000.01 + number / 25
            depth = bags.image(time, FRAME, "16UC1", np.full((6, 8), number + 1, np.uint16))
            bag.write("/camera/depth/image", time, depth)
    frames = read_bag(tmp_path / "bag").frames
    nearest = [round((frame.time - 1000.01) * 25) + 1 for frame in frames if frame.time is not None]
    assert [int(loaded(frame, "depth")[0, 0]) for frame in frames] == [max(1, n) for n in nearest]


@pytest.mark.parametrize("encoding", [*ros_messages.COLOUR, "mono8"])
def test_colour_encodings(encoding: str, tmp_path: Path) -> None:
    rgb = np.zeros((8, 12, 3), np.uint8)
    rgb[:] = (200, 100, 40)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    bgr, alpha = rgb[..., ::-1], np.full((8, 12, 1), 255, np.uint8)
    first = encoding.removeprefix("bayer_")[:4]
    mosaic = np.zeros((8, 12), np.uint8)
    if encoding.startswith("bayer"):
        for index, letter in enumerate(first):
            mosaic[index // 2 :: 2, index % 2 :: 2] = rgb[0, 0, "rgb".index(letter)]
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_UYVY if encoding == "yuv422" else cv2.COLOR_RGB2YUV_YUY2)
    stored = {
        "rgb8": rgb, "bgr8": bgr, "8UC3": bgr, "rgba8": np.concatenate([rgb, alpha], 2), "mono8": grey,
        **dict.fromkeys(("bgra8", "8UC4"), np.concatenate([bgr, alpha], 2)),
        **dict.fromkeys(("yuv422", "yuv422_yuy2"), yuv),
    }.get(encoding, mosaic)  # fmt: skip
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, encoding, stored, padding=3))
    found = loaded(read_bag(tmp_path / "bag").frames[0], "rgb")
    expected = np.repeat(grey[..., None], 3, 2) if encoding == "mono8" else rgb
    assert np.abs(found.astype(int) - expected).max() <= 3


@pytest.mark.parametrize("transport", ["16UC1", "32FC1", "compressed 16UC1", "compressed 32FC1", "png"])
def test_depth_encodings(transport: str, tmp_path: Path) -> None:
    metres = np.linspace(0.5, 9, 48).reshape(6, 8).astype(np.float32)
    shown = metres.copy()
    shown[0, 0] = np.nan if transport.endswith("32FC1") else 0
    message = {
        "16UC1": lambda: bags.image(1, FRAME, "16UC1", bags.millimetres(shown)),
        "32FC1": lambda: bags.image(1, FRAME, "32FC1", shown),
        "compressed 16UC1": lambda: bags.compressed_depth(1, FRAME, shown, quantised=False),
        "compressed 32FC1": lambda: bags.compressed_depth(1, FRAME, np.nan_to_num(shown, nan=99), quantised=True),
        "png": lambda: bags.compressed(
            1, FRAME, "16UC1; png compressed ", cv2.imencode(".png", bags.millimetres(shown))[1].tobytes()
        ),
    }[transport]()
    suffix = "/compressedDepth" if transport.startswith("compressed") else ""
    with bags.Recorder(tmp_path / "bag", "mcap") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        bag.write("/camera/depth/image" + suffix, 1, message)
    found = loaded(read_bag(tmp_path / "bag").frames[0], "depth")
    if isinstance(found, bytes):
        found = cv2.imdecode(np.frombuffer(found, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found[0, 0] == 0
    tolerance = 9 if "32FC1" in transport and suffix else 0.6  # millimetres; quantised: 1 / 10100 of the depth squared
    assert np.abs(found.ravel()[1:] - metres.ravel()[1:] * 1000).max() < tolerance


def test_big_endian_images_and_rvl(tmp_path: Path) -> None:
    big = bags.image(1, FRAME, "16UC1", np.full((6, 8), 1234, ">u2"))
    big.is_bigendian = 1
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        for time in (1, 2):
            bag.write(RGB, time, bags.image(time, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        bag.write("/camera/depth/image", 1, big)
    assert (loaded(read_bag(tmp_path / "bag").frames[0], "depth") == 1234).all()
    with bags.Recorder(tmp_path / "rvl", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        rvl = bags.compressed(1, FRAME, "16UC1; compressedDepth rvl", struct.pack("<iffII", 0, 0, 0, 8, 6) + b"abc")
        bag.write("/camera/depth/image/compressedDepth", 1, rvl)
    with pytest.raises(UserError, match="Republish it with compressedDepth as PNG"):
        loaded(read_bag(tmp_path / "rvl").frames[0], "depth")


def test_intrinsics_of_a_part_of_the_sensor_and_of_rectified_images(tmp_path: Path) -> None:
    roi = bags.make(
        "sensor_msgs/msg/RegionOfInterest", x_offset=100, y_offset=50, height=400, width=600, do_rectify=False
    )
    part = bags.camera_info(1, FRAME, 800, 600, binning_x=2, binning_y=2, roi=roi)
    with bags.Recorder(tmp_path / "part", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((200, 300, 3), np.uint8)))
        bag.write("/camera/color/camera_info", 1, part)
    camera = read_bag(tmp_path / "part").frames[0].camera
    assert camera is not None
    assert (camera.width, camera.height, camera.fx, camera.cx, camera.cy) == (300, 200, 200, 150, 125)
    p = np.array([70.0, 0, 49.5, 0, 0, 71, 34.5, 0, 0, 0, 1, 0])
    rectified = bags.camera_info(1, FRAME, d=np.full(5, 0.1), p=p)
    with bags.Recorder(tmp_path / "rect", "sqlite3") as bag:
        bag.write("/camera/color/image_rect_color", 1, bags.image(1, FRAME, "rgb8", np.zeros((72, 96, 3), np.uint8)))
        bag.write("/camera/color/camera_info", 1, rectified)
    frame = read_bag(tmp_path / "rect").frames[0]
    assert frame.lens is None and frame.camera is not None
    assert (frame.camera.fx, frame.camera.fy, frame.camera.cx, frame.camera.cy) == (70, 71, 50, 35)


@pytest.mark.parametrize(
    ("model", "d", "kind"),
    [
        ("plumb_bob", [0.1, -0.2, 0.001, 0.002, 0.05], "pinhole"),
        ("rational_polynomial", [0.1, -0.2, 0.001, 0.002, 0.05, 0.2, -0.1, 0.01], "pinhole"),
        ("equidistant", [0.01, -0.02, 0.003, 0.001], "fisheye"),
        ("plumb_bob", [0.0] * 5, None),
    ],
)
def test_distortion(model: str, d: list[float], kind: str | None, tmp_path: Path) -> None:
    frame = _frame_with(tmp_path, distortion_model=model, d=np.array(d))
    assert (frame.lens and frame.lens.kind) == kind
    assert frame.lens is None or frame.lens.coefficients == tuple(d)


@pytest.mark.parametrize(
    ("model", "d", "message"),
    [
        ("thin_prism", [0.1] * 12, "'thin_prism' with 12 numbers is not known"),
        ("plumb_bob", [float("nan")] + [0.0] * 4, "is no lens's"),
        ("plumb_bob", [1e9] * 5, "is no lens's"),
    ],
)
def test_distortion_that_is_not_known(model: str, d: list[float], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        _frame_with(tmp_path, distortion_model=model, d=np.array(d))


def test_ambiguous_topics_are_listed_and_can_be_chosen(tmp_path: Path) -> None:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        for name in ("front", "rear"):
            bag.write(f"/{name}/image_raw", 1, bags.image(1, name, "rgb8", np.zeros((6, 8, 3), np.uint8)))
            bag.write(f"/{name}/depth", 1, bags.image(1, name, "16UC1", np.zeros((6, 8), np.uint16)))
            message = bags.make(
                "geometry_msgs/msg/PoseStamped", header=bags.header(1, "map"), pose=bags.pose_message(np.eye(4))
            )
            bag.write(f"/{name}/pose", 1, message)
    with pytest.raises(UserError, match=r"/front/image_raw \(rgb8, 1\), /rear/image_raw \(rgb8, 1\).*--rgb-topic"):
        read_bag(tmp_path / "bag")
    with pytest.raises(UserError, match=r"several topics hold poses: /front/pose, /rear/pose"):
        read_bag(tmp_path / "bag", rgb_topic="/rear/image_raw")
    recording = read_bag(tmp_path / "bag", rgb_topic="rear/image_raw", pose_topic="rear/pose")
    assert recording.notes["topics"] == {
        "rgb": "/rear/image_raw",
        "depth": "/rear/depth",  # of the same camera
        "poses": "/rear/pose in map, taken as those of rear",
    }
    chosen = read_bag(tmp_path / "bag", "/rear/image_raw", depth_topic="none", pose_topic="/rear/pose")
    assert list(chosen.frames[0].files) == ["rgb"]
    with pytest.raises(UserError, match=r"has no images in /left.*Choose one of: /front/depth"):
        read_bag(tmp_path / "bag", rgb_topic="/left")
    with pytest.raises(UserError, match=r"has no poses in /tf.*/front/pose, /rear/pose"):
        read_bag(tmp_path / "bag", rgb_topic="/rear/image_raw", pose_topic="/tf")


def test_a_colour_camera_goes_before_infrared_and_other_transports(tmp_path: Path) -> None:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        picture = np.zeros((6, 8, 3), np.uint8)
        for time in (1, 2):
            bag.write("/camera/infra1/image_rect_raw", time, bags.image(time, "ir", "mono8", picture[..., 0]))
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            bag.write(RGB + "/compressed", time, bags.compressed(time, FRAME, "rgb8; jpeg compressed bgr8", jpeg))
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", picture))
    recording = read_bag(tmp_path / "bag")
    assert recording.notes["topics"]["rgb"] == RGB + "/compressed" and len(recording.frames) == 2


def test_depth_of_unknown_place_is_an_error(tmp_path: Path) -> None:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
        bag.write("/camera/depth/image", 1, bags.image(1, "elsewhere", "16UC1", np.zeros((6, 8), np.uint16)))
    with pytest.raises(UserError, match=f"no /tf_static from 'elsewhere' to '{FRAME}'"):
        read_bag(tmp_path / "bag")


def test_tf_of_two_parents_or_in_a_circle_is_an_error(tmp_path: Path) -> None:
    for name, edges in {
        "two": [("odom", FRAME), ("map", FRAME)],
        "circle": [("a", FRAME), (FRAME, "a")],
    }.items():
        with bags.Recorder(tmp_path / name, "sqlite3") as bag:
            bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
            bag.write("/tf", 1, bags.transforms(1, *[(parent, child, np.eye(4)) for parent, child in edges]))
        with pytest.raises(UserError, match=r"several parents|in a circle"):
            read_bag(tmp_path / name)


def test_a_bag_without_poses_and_intrinsics_is_read_with_notes(tmp_path: Path) -> None:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((6, 8, 3), np.uint8)))
    recording = read_bag(tmp_path / "bag")
    assert recording.frames[0].pose is None and recording.frames[0].camera is None
    assert "none" in recording.notes["poses"] and "no camera_info" in recording.notes["intrinsics"]


def test_images_are_not_held(tmp_path: Path) -> None:
    """Reading lists the images; what is held is far less than they are."""
    import tracemalloc

    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        picture = np.zeros((500, 800, 3), np.uint8)
        for number in range(30):
            bag.write(RGB, number, bags.image(number, FRAME, "rgb8", picture))
    read_bag(tmp_path / "bag")  # imports
    tracemalloc.start()
    recording = read_bag(tmp_path / "bag")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(recording.frames) == 30 and peak < picture.nbytes


def _frame_with(tmp_path: Path, **fields: Any) -> Frame:
    with bags.Recorder(tmp_path / "bag", "sqlite3") as bag:
        bag.write(RGB, 1, bags.image(1, FRAME, "rgb8", np.zeros((72, 96, 3), np.uint8)))
        bag.write("/camera/color/camera_info", 1, bags.camera_info(1, FRAME, **fields))
    return read_bag(tmp_path / "bag").frames[0]


def _mcap(folder: Path, codec: str, payloads: list[bytes], claimed: int | None = None) -> Path:
    """An MCAP file with one compressed chunk, by the specification."""
    import lz4.frame
    from backports import zstd

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode()

    def record(code: int, body: bytes) -> bytes:
        return struct.pack("<BQ", code, len(body)) + body

    schema = struct.pack("<H", 1) + text("sensor_msgs/msg/Image") + text("ros2msg") + text("")
    channel = struct.pack("<HH", 1, 1) + text("/image") + text("cdr") + struct.pack("<I", 0)
    inner = record(3, schema) + record(4, channel)
    for number, payload in enumerate(payloads):
        inner += record(5, struct.pack("<HIQQ", 1, number, number, number) + payload)
    packed = zstd.compress(inner) if codec == "zstd" else lz4.frame.compress(inner)
    size = len(inner) if claimed is None else claimed
    chunk = struct.pack("<QQQI", 0, 9, size, 0) + text(codec) + struct.pack("<Q", len(packed)) + packed
    magic = b"\x89MCAP0\r\n"
    path = folder / "bag.mcap"
    path.write_bytes(magic + record(1, text("ros2") + text("")) + record(6, chunk) + record(15, bytes(4)) + magic)
    return path
