"""ROS 2 bags, written by the rosbags library: a robot that walks, its camera, and an IMU that sits askew beside it.

World (map): z up. Body: x forward, y left, z up. The camera's optical frame: x right, y down, z forward.
"""

import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scene import Scene, accel, gyro
from scipy.spatial.transform import Rotation

from writers import Dropped

TYPES = get_typestore(Stores.ROS2_JAZZY)
WIDTH, HEIGHT = 96, 72
RECEIVED = 0.037  # seconds that messages arrive after the moment in their headers
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # the scene's world in `map`
ODOM = np.array([[0.0, -1, 0, 3], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]])  # odom in map
MOUNT = np.eye(4)
MOUNT[:3, :3] = Rotation.from_euler("xyz", [5, -10, 20], degrees=True).as_matrix()
MOUNT[:3, 3] = [0.2, 0.05, 0.3]  # camera_link in base_link
OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0.015], [0, -1, 0, 0], [0, 0, 0, 1]])  # optical frame in camera_link
IMU = np.eye(4)
IMU[:3, :3] = Rotation.from_euler("xyz", [90, 0, 45], degrees=True).as_matrix()  # imu_link in camera_link
DEPTH = np.eye(4)
DEPTH[:3, 3] = [0.0, 0.04, 0.0]  # depth camera in camera_link: 4 cm to the left

Poses = Literal["tf", "odometry", "pose"]


def make(name: str, **fields: Any) -> Any:
    return TYPES.types[name](**fields)


def header(time: float, frame: str) -> Any:
    nanoseconds = round(time * 1e9)
    stamp = make("builtin_interfaces/msg/Time", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def vector(values: np.ndarray, kind: str = "Vector3") -> Any:
    x, y, z = map(float, values)
    return make(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)


def quaternion(rotation: np.ndarray) -> Any:
    x, y, z, w = map(float, Rotation.from_matrix(rotation).as_quat())
    return make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def pose_message(matrix: np.ndarray) -> Any:
    position, turn = vector(matrix[:3, 3], "Point"), quaternion(matrix[:3, :3])
    return make("geometry_msgs/msg/Pose", position=position, orientation=turn)


def transforms(time: float, *edges: tuple[str, str, np.ndarray]) -> Any:
    made = []
    for parent, child, matrix in edges:
        fields = {"translation": vector(matrix[:3, 3]), "rotation": quaternion(matrix[:3, :3])}
        placed = make("geometry_msgs/msg/Transform", **fields)
        made.append(
            make(
                "geometry_msgs/msg/TransformStamped",
                header=header(time, parent),
                child_frame_id=child,
                transform=placed,
            )
        )
    return make("tf2_msgs/msg/TFMessage", transforms=made)


def image(time: float, frame: str, encoding: str, pixels: np.ndarray, padding: int = 0) -> Any:
    """An Image whose rows end in `padding` bytes."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    return make(
        "sensor_msgs/msg/Image",
        header=header(time, frame),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1] + padding,
        data=np.pad(rows, ((0, 0), (0, padding)), constant_values=77).ravel(),
    )


def compressed(time: float, frame: str, format: str, data: bytes) -> Any:
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header(time, frame),
        format=format,
        data=np.frombuffer(data, np.uint8),
    )


def compressed_depth(time: float, frame: str, metres: np.ndarray, quantised: bool) -> Any:
    """The compressedDepth transport: 16UC1 as it is, or 32FC1 as quantised inverse depth, behind 12 bytes."""
    if not quantised:
        data = struct.pack("<iff", 0, 0, 0) + cv2.imencode(".png", millimetres(metres))[1].tobytes()
        return compressed(time, frame, "16UC1; compressedDepth png", data)
    a = 100.0 * 101.0  # depth_quantization 100
    b = 1 - a / 10.0  # depth_max 10
    stored = np.where(metres < 10, a / metres + b, 0).astype(np.uint16)
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", stored)[1].tobytes()
    return compressed(time, frame, "32FC1; compressedDepth png", data)


def millimetres(metres: np.ndarray) -> np.ndarray:
    return np.rint(metres * 1000).astype(np.uint16)


def camera_info(time: float, frame: str, width: int = WIDTH, height: int = HEIGHT, **fields: Any) -> Any:
    """90 degrees wide; the centre of the first pixel is (0, 0)."""
    fx, cx, cy = width / 2, width / 2 - 0.5, height / 2 - 0.5
    roi = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    values = {
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": np.array([fx, 0, cx, 0, fx, cy, 0, 0, 1]),
        "r": np.eye(3).ravel(),
        "p": np.array([fx, 0, cx, 0, 0, fx, cy, 0, 0, 0, 1, 0]),
        "binning_x": 0,
        "binning_y": 0,
        "roi": make("sensor_msgs/msg/RegionOfInterest", **roi),
        **fields,
    }
    return make("sensor_msgs/msg/CameraInfo", header=header(time, frame), height=height, width=width, **values)


def imu(scene: Scene, time: float, orientation: bool = True) -> Any:
    """In the axes of imu_link; its world has a heading of its own."""
    to_imu = IMU[:3, :3].T @ OPTICAL[:3, :3]
    heading = Rotation.from_euler("z", 70, degrees=True).as_matrix()
    camera = Z_UP[:3, :3] @ scene.true_pose(time)[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    covariance = np.zeros(9)
    return make(
        "sensor_msgs/msg/Imu",
        header=header(time, "imu_link"),
        orientation=quaternion(heading @ camera @ to_imu.T),
        orientation_covariance=covariance if orientation else np.array([-1.0, *covariance[1:]]),
        angular_velocity=vector(to_imu @ gyro(scene, time)),
        angular_velocity_covariance=covariance,
        linear_acceleration=vector(to_imu @ accel(scene, time)),
        linear_acceleration_covariance=covariance,
    )


class Recorder:
    """Writes messages; their types are known by the messages themselves."""

    def __init__(self, folder: Path, storage: str):
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        self._writer = Writer(folder, version=9, storage_plugin=plugin)
        self._topics: dict[str, Any] = {}

    def __enter__(self) -> "Recorder":
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, topic: str, time: float, message: Any) -> None:
        """Write `message`, received RECEIVED after `time`."""
        name = message.__msgtype__
        if topic not in self._topics:
            self._topics[topic] = self._writer.add_connection(topic, name, typestore=TYPES)
        data = TYPES.serialize_cdr(message, name)
        self._writer.write(self._topics[topic], round((time + RECEIVED) * 1e9), data)


def camera_pose(scene: Scene, time: float) -> np.ndarray:
    """What is written of the optical frame in map."""
    return Z_UP @ scene.pose_at(time) @ np.diag([1.0, -1.0, -1.0, 1.0])


def fixed(time: float) -> Any:
    """tf_static."""
    return transforms(
        time,
        ("base_link", "camera_link", MOUNT),
        ("camera_link", "camera_color_optical_frame", OPTICAL),
        ("camera_link", "imu_link", IMU),
        ("camera_link", "camera_depth_optical_frame", DEPTH @ OPTICAL),
    )


def write_path(bag: Recorder, scene: Scene, poses: Poses) -> None:
    """The camera's path at 100 Hz, from before the first image until after the last."""
    to_base = np.linalg.inv(MOUNT @ OPTICAL)
    for step in range(-20, round(100 * scene.frames / scene.rate) + 10):
        time = scene.start + step / 100
        camera = camera_pose(scene, time)
        base = camera @ to_base
        if poses == "tf":
            bag.write("/tf", time, transforms(time, ("odom", "base_link", np.linalg.inv(ODOM) @ base)))
            if step % 10 == 0:
                bag.write("/tf", time, transforms(time, ("map", "odom", ODOM)))
        elif poses == "odometry":
            covariance = {"covariance": np.zeros(36)}
            twist = make("geometry_msgs/msg/Twist", linear=vector(np.zeros(3)), angular=vector(np.zeros(3)))
            message = make(
                "nav_msgs/msg/Odometry",
                header=header(time, "odom"),
                child_frame_id="base_link",
                pose=make("geometry_msgs/msg/PoseWithCovariance", pose=pose_message(base), **covariance),
                twist=make("geometry_msgs/msg/TwistWithCovariance", twist=twist, **covariance),
            )
            bag.write("/odom", time, message)
        else:
            message = make("geometry_msgs/msg/PoseStamped", header=header(time, "map"), pose=pose_message(camera))
            bag.write("/slam/pose", time, message)


def write(folder: Path, scene: Scene, storage: str = "sqlite3", poses: Poses = "tf", transport: str = "raw") -> Path:
    """A bag of RGB, depth registered to it, poses and an IMU at 50 Hz; `transport`: raw, or compressed images."""
    frame = "camera_color_optical_frame"
    with Recorder(folder, storage) as bag:
        bag.write("/tf_static", scene.start - 1, fixed(scene.start - 1))
        write_path(bag, scene, poses)
        for step in range(-5, round(50 * scene.frames / scene.rate)):
            time = scene.start + step / 50
            bag.write("/imu/data", time, imu(scene, time))
        for number in range(scene.frames):
            time = scene.time(number)
            seen = scene.view(number, WIDTH, HEIGHT)
            bgr = seen["rgb"][..., ::-1]
            bag.write("/camera/color/camera_info", time, camera_info(time, frame))
            if transport == "raw":
                bag.write("/camera/color/image_raw", time, image(time, frame, "bgr8", bgr, padding=5))
                depth = image(time, frame, "16UC1", millimetres(seen["depth"]))
                bag.write("/camera/aligned_depth_to_color/image_raw", time, depth)
            else:
                jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                message = compressed(time, frame, "rgb8; jpeg compressed bgr8", jpeg)
                bag.write("/camera/color/image_raw/compressed", time, message)
                depth = compressed_depth(time, frame, seen["depth"], quantised=False)
                bag.write("/camera/aligned_depth_to_color/image_raw/compressedDepth", time, depth)
    return folder


RGB, DEPTHS, INFO = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw", "/camera/color/camera_info"


def _change(source: Path, topic: str, change: Any, numbers: range | None = None) -> None:
    """Change the messages of a topic: `change(message)` gives bytes, or alters the message."""
    with sqlite3.connect(source / f"{source.name}.db3") as bag:
        number, type_ = bag.execute("SELECT id, type FROM topics WHERE name = ?", [topic]).fetchone()
        rows = bag.execute("SELECT id, data FROM messages WHERE topic_id = ? ORDER BY id", [number]).fetchall()
        for index, (row, data) in enumerate(rows):
            if numbers is None or index in numbers:
                message = TYPES.deserialize_cdr(data, type_)
                changed = change(message)
                if not isinstance(changed, bytes):
                    changed = bytes(TYPES.serialize_cdr(message, type_))
                bag.execute("UPDATE messages SET data = ? WHERE id = ?", [changed, row])
    bag.close()


def _delete(source: Path, topic: str, numbers: range | None = None) -> None:
    with sqlite3.connect(source / f"{source.name}.db3") as bag:
        (number,) = bag.execute("SELECT id FROM topics WHERE name = ?", [topic]).fetchone()
        rows = bag.execute("SELECT id FROM messages WHERE topic_id = ? ORDER BY id", [number]).fetchall()
        gone = [row for index, row in enumerate(rows) if numbers is None or index in numbers]
        bag.executemany("DELETE FROM messages WHERE id = ?", gone)
    bag.close()


def _truncate(source: Path) -> None:
    path = source / f"{source.name}.db3"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero_intrinsics(info: Any) -> None:
    info.k, info.p = np.zeros(9), np.zeros(12)


def _nan_pose(message: Any) -> None:
    message.transforms[0].transform.translation.x = np.nan


def _skewed_pose(message: Any) -> None:
    message.transforms[0].transform.rotation.w += 1.0


def _eight_bits(message: Any) -> None:
    message.encoding, message.step = "mono8", message.step // 2
    message.data = message.data[::2].copy()


def _absurd(message: Any) -> None:
    message.width, message.height, message.step = 2**31, 2**31, 2**32 - 1


def _back(message: Any) -> None:
    message.header.stamp.sec -= 3


def _truncated_image(message: Any) -> None:
    message.data = message.data[: len(message.data) // 2].copy()


def _short(message: Any) -> bytes:
    return b"\x00\x01\x00\x00\x07"


def _lost_split(source: Path) -> None:
    path = source / f"{source.name}.db3"
    shutil.copy(path, source / f"{source.name}_0.db3")
    path.rename(source / f"{source.name}_2.db3")


def _view_for_table(source: Path) -> None:
    with sqlite3.connect(source / f"{source.name}.db3") as bag:
        bag.execute("ALTER TABLE messages RENAME TO rows")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 1 AS topic_id FROM n"
        bag.execute(f"CREATE VIEW messages AS {endless}")
    bag.close()


def _link(source: Path) -> None:
    (source / "bag_1.db3").symlink_to(Path(__file__).resolve())


def _file_compressed(source: Path) -> None:
    path = source / f"{source.name}.db3"
    path.rename(source / f"{source.name}.db3.zstd")


def _unclosed(source: Path) -> None:
    (source / f"{source.name}.db3-wal").write_bytes(b"log")


def _no_files(source: Path) -> None:
    (source / f"{source.name}.db3").unlink()


# Of /tf, the messages from 60 on are later than 0.34 s after the first image.
DAMAGE: dict[str, tuple[Any, Any]] = {
    "cut off": (_truncate, "damaged or cut off|no tables"),
    "no database": (_no_files, "holds no .db3 or .mcap file"),
    "a file of a split bag is missing": (_lost_split, "number 1 is missing"),
    "packed as a file": (_file_compressed, "zstd -d"),
    "not closed": (_unclosed, "was not closed"),
    "a view for a table": (_view_for_table, "no tables of topics and messages"),
    "a link out of the folder": (_link, "links outside"),
    "no colour images": (lambda s: _delete(s, RGB), "holds no colour images"),
    "fewer depth images": (lambda s: _delete(s, DEPTHS, range(2, 3)), Dropped(1, "no depth at its time")),
    "most depth images are missing": (lambda s: _delete(s, DEPTHS, range(1, 6)), "5 of 6 frames"),
    "no poses at the end": (lambda s: _delete(s, "/tf", range(60, 200)), Dropped(2, "no pose at its time")),
    "NaN poses": (lambda s: _change(s, "/tf", _nan_pose, range(60, 200)), Dropped(2, "no pose at its time")),
    "skewed poses": (lambda s: _change(s, "/tf", _skewed_pose, range(60, 200)), Dropped(2, "no pose at its time")),
    "zero intrinsics": (lambda s: _change(s, INFO, _zero_intrinsics), "intrinsics are zero"),
    "depth of 8 bits": (lambda s: _change(s, DEPTHS, _eight_bits, range(1, 3)), Dropped(2, "'mono8' is no depth")),
    "absurd size": (lambda s: _change(s, RGB, _absurd, range(3, 4)), Dropped(1, "claims 2147483648x2147483648")),
    "a cut-off image": (lambda s: _change(s, RGB, _truncated_image, range(3, 4)), Dropped(1, "bytes, not")),
    "a damaged header": (lambda s: _change(s, RGB, _short, range(3, 4)), Dropped(1, "header is damaged")),
    "clock going backwards": (lambda s: _change(s, RGB, _back, range(3, 4)), Dropped(1, "clock goes backwards")),
}
