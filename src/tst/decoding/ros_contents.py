"""What a ROS 2 bag holds: its messages, listed; images only by where they are."""

import math
import re
import struct
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tst.decoding import ros_messages
from tst.decoding.bags import LARGEST_MESSAGE, Bag, Position
from tst.decoding.ros_messages import COMPRESSED, HEAD, IMAGE
from tst.decoding.ros_sensors import MEASURED, Rows
from tst.decoding.ros_transforms import Transforms
from tst.errors import UserError

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TF = "tf2_msgs/msg/TFMessage"
ODOMETRY, POSE = "nav_msgs/msg/Odometry", "geometry_msgs/msg/PoseStamped"
BEGINNINGS = {
    **dict.fromkeys((IMAGE, COMPRESSED), HEAD),
    **dict.fromkeys((CAMERA_INFO, TF, ODOMETRY, POSE, *MEASURED), LARGEST_MESSAGE),
}
"""How much of a message is read, by its type."""
ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass
class Images:
    """The messages of an image topic, in the order of recording; a time is NaN where the header is damaged."""

    topic: str
    type: str
    head: ros_messages.ImageHead
    times: "array[float]" = field(default_factory=lambda: array("d"))
    positions: list[Position] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The topic without its transport."""
        return re.sub(r"/(compressed|compressedDepth)$", "", self.topic)

    @property
    def namespace(self) -> str:
        """What the topics of one camera have in common."""
        return self.base.rsplit("/", 1)[0]

    @property
    def is_rectified(self) -> bool:
        """Whether distortion was undone before the images were sent."""
        return "rect" in self.base.rsplit("/", 1)[-1]


class Odometry(NamedTuple):
    """A topic of poses: those of `child` (None: of the camera) in `parent`."""

    parent: str
    child: str | None
    numbers: "array[float]"


@dataclass
class Contents:
    """What a bag holds, but for the images themselves."""

    bag: Bag
    where: str
    images: dict[str, Images]
    infos: dict[str, Any]
    tree: Transforms
    odometry: dict[str, Odometry]
    sensors: dict[str, dict[str, Rows]]
    damaged: Counter[str]


def listed(bag: Bag, source: Path) -> Contents:
    """List the messages of a bag; only the beginnings of images are read.

    Raises:
        UserError: the bag is damaged or compressed.
    """
    contents = Contents(bag, str(source), {}, {}, Transforms(str(source)), {}, {}, Counter())
    for message in bag.scan(BEGINNINGS):
        if message.data.startswith(ZSTD):
            raise UserError(f"{source}: its messages are compressed. Unpack the bag first: ros2 bag convert.")
        topic, type_ = message.topic, message.type
        try:
            if type_ in (IMAGE, COMPRESSED):
                _list_image(contents, topic, type_, message.position, message.data)
            elif type_ != CAMERA_INFO or not is_calibrated(contents.infos.get(topic)):
                _take(contents, topic, type_, ros_messages.decoded(message.data, type_))
        except (ValueError, struct.error) as error:
            if isinstance(error, UserError):
                raise
            contents.damaged[topic] += 1
    return contents


def _list_image(contents: Contents, topic: str, type_: str, position: Position, data: bytes) -> None:
    images = contents.images.get(topic)
    try:
        head = ros_messages.image_head(data, type_)
    except (ValueError, struct.error):
        if images is not None:
            images.times.append(math.nan)
            images.positions.append(position)
        raise
    if images is None:
        images = contents.images[topic] = Images(topic, type_, head)
    images.times.append(head.header.time)
    images.positions.append(position)


def _take(contents: Contents, topic: str, type_: str, message: Any) -> None:
    if type_ == TF:
        for item in message.transforms:
            header = ros_messages.header(item)
            child = item.child_frame_id.strip("/")
            values = _pose_numbers(item.transform.translation, item.transform.rotation)
            if topic.endswith("tf_static"):
                contents.tree.fix(header.frame, child, values)
            else:
                contents.tree.add(header.frame, child, header.time, values)
        return
    header = ros_messages.header(message)
    if type_ == CAMERA_INFO:
        contents.infos[topic] = message
    elif type_ in (ODOMETRY, POSE):
        child = message.child_frame_id.strip("/") if type_ == ODOMETRY else None
        pose = message.pose.pose if type_ == ODOMETRY else message.pose
        path = contents.odometry.setdefault(topic, Odometry(header.frame, child, array("d")))
        path.numbers.extend((header.time, *_pose_numbers(pose.position, pose.orientation)))
    else:
        row = (header.time, *MEASURED[type_](message))
        rows = contents.sensors.setdefault(type_, {}).setdefault(topic, Rows(header.frame, len(row)))
        rows.numbers.extend(row)


def _pose_numbers(position: Any, quaternion: Any) -> tuple[float, ...]:
    return position.x, position.y, position.z, quaternion.x, quaternion.y, quaternion.z, quaternion.w


def is_calibrated(info: Any) -> bool:
    """Whether a CameraInfo has intrinsics; None has not."""
    return info is not None and bool(np.isfinite(info.k).all() and info.k[0] > 0)
