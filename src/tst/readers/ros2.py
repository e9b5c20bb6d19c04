"""ROS 2 bags (sqlite3 or MCAP): images, depth, poses from tf or odometry, and sensors.

Topics are found by type and name; what is known of the messages, and from where: docs/captures/ros2.md. The clock is
that of the headers, not the time of receipt.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tst.decoding import ros_messages, ros_sensors
from tst.decoding.bags import SUFFIXES, Bag, Position
from tst.decoding.dropping import refuse_if_most
from tst.decoding.ros_calibration import calibration, is_same_view
from tst.decoding.ros_contents import ODOMETRY, POSE, TF, Contents, Images, listed
from tst.decoding.ros_messages import GREY, IMAGE
from tst.decoding.ros_transforms import Transforms
from tst.decoding.timing import backwards
from tst.errors import UserError
from tst.readers.base import Dropped, Frame, Recording, Values
from tst.space import poses
from tst.space.camera import Camera
from tst.space.lens import Lens

WORLDS = ("map", "odom", "world")
LEVEL_WORLDS = ("map", "odom")
"""Frames whose z axis points up (REP 105)."""
LARGEST_GAP = 0.5
"""Seconds between two transforms beyond which nothing is known between them; some mapping nodes send only a few a
second."""
TOGETHER = 0.1
"""Seconds between a colour image and its depth at most; less where depth comes more often, but not below
LEAST_TOGETHER."""
LEAST_TOGETHER = 0.02
MOVED = 0.002
"""Seconds between both from which the camera's way between them is undone."""


def recognise(source: Path) -> str | None:
    """A .db3 or .mcap file, or a folder of them."""
    if source.suffix in SUFFIXES and source.is_file():
        return f"a {source.suffix} file"
    try:
        names = sorted(path.name for path in source.iterdir() if path.suffix in SUFFIXES) if source.is_dir() else []
    except OSError:
        return None
    return names[0] if names else None


def read(
    source: Path,
    rgb_topic: str | None = None,
    depth_topic: str | None = None,
    pose_topic: str | None = None,
    world_frame: str | None = None,
) -> Recording:
    """Read a bag: its folder, or one .db3 or .mcap file.

    Args:
        source: the bag.
        rgb_topic: topic of the colour images, where the bag has several.
        depth_topic: topic of the depth images; "none" leaves depth out.
        pose_topic: topic of poses: /tf, or one of nav_msgs/Odometry or geometry_msgs/PoseStamped (the pose of the
            colour camera's optical frame).
        world_frame: the frame of tf that is the world; by default map, odom or world.

    Raises:
        UserError: the bag is damaged, topics are missing or several may be meant, or most images cannot be used.
    """
    contents = listed(Bag(source), source)
    rgb = _colour_images(contents, rgb_topic)
    path = _path(contents, rgb, pose_topic, world_frame)
    view = _view(contents, rgb)
    images = _depth_images(contents, rgb, depth_topic)
    depth = None if images is None else _depth(contents, rgb, view, images)
    notes: dict[str, Any] = {
        "topics": {"rgb": rgb.topic, "depth": images and images.topic, "poses": path and path.named},
        **({} if view else {"intrinsics": f"none: the bag has no camera_info for {rgb.topic}"}),
        **({} if path else {"poses": "none: neither tf from a world to the camera, nor odometry, nor poses"}),
    }
    frames, dropped = _frames(contents, rgb, view, path, depth)
    refuse_if_most(dropped, len(rgb.times), f"{source}: {rgb.topic}")
    sensors = ros_sensors.tables(contents.sensors, contents.tree, rgb.head.header.frame, notes)
    if path is not None and "attitude" in sensors:
        times, matrices = np.array([frame.time for frame in frames]), np.array([frame.pose for frame in frames])
        sensors["attitude"] = ros_sensors.in_the_world_of(times, matrices, sensors["attitude"], notes)
    if contents.damaged:
        notes["damaged messages left out"] = dict(contents.damaged)
    if path is not None and path.tree.invalid:
        notes["transforms left out"] = f"{path.tree.invalid}: not rigid"
    up = (0.0, 0.0, 1.0) if path is not None and path.world in LEVEL_WORLDS else None
    return Recording("ros2", source, frames, notes, sensors, dropped=dropped, up=up, continuous=True)


class _Path(NamedTuple):
    """Where the camera was: `frame` in `world`, by a tree of transforms; `named` for the notes."""

    tree: Transforms
    frame: str
    world: str
    named: str

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses (N, 4, 4), and whether each is known."""
        return self.tree.poses(self.frame, self.world, times, LARGEST_GAP)


class _Depth(NamedTuple):
    """Depth images, and where they were seen from: `camera`, whose axes `to_rgb` turns into the colour camera's.

    Without `camera` they are registered to the colour images.
    """

    images: Images
    camera: Camera | None
    to_rgb: np.ndarray | None


def _frames(
    contents: Contents,
    rgb: Images,
    view: tuple[Camera, Lens | None] | None,
    path: _Path | None,
    depth: _Depth | None,
) -> tuple[list[Frame], list[Dropped]]:
    """A frame for each colour image whose time, pose and depth are known; the others."""
    times = np.array(rgb.times)
    damaged = ~np.isfinite(times)
    late = backwards(times)
    times[damaged] = 0
    placed, known = (None, np.ones(len(times), bool)) if path is None else path.at(times)
    shown = np.full(len(times), -1) if depth is None else _together(times, np.array(depth.images.times))
    seen = times if depth is None else np.nan_to_num(np.array(depth.images.times)[shown])
    then, known_then = (None, known) if path is None or depth is None else path.at(seen)
    camera, lens = view or (None, None)
    frames, dropped = [], []
    for number, time in enumerate(times.tolist()):
        reason = None
        if damaged[number]:
            reason = "its header is damaged"
        elif late[number]:
            reason = "its clock goes backwards"
        elif not known[number]:
            reason = "has no pose at its time"
        elif depth is not None and shown[number] < 0:
            reason = "has no depth at its time"
        if reason is not None:
            dropped.append(Dropped(f"{number:06d}", None if damaged[number] else time, reason))
            continue
        pose = None if placed is None else placed[number]
        files = {"rgb": _values(contents, rgb, number, ros_messages.rgb)}
        frame = Frame(f"{number:06d}", files, camera, pose, time, lens=lens)
        if depth is not None:
            files["depth"] = _values(contents, depth.images, int(shown[number]), ros_messages.depth)
            frame.depth_camera, frame.depth_to_rgb = depth.camera, depth.to_rgb
            if pose is not None and then is not None and known_then[number] and abs(seen[number] - time) > MOVED:
                _undo_motion(frame, pose, then[number])
        frames.append(frame)
    return frames, dropped


def _together(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Index of the other image nearest in time to each, -1 if none is near."""
    order = np.argsort(others, kind="stable")
    order = order[np.isfinite(others[order])]
    steps = np.diff(others[order])
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 2 * TOGETHER
    index = poses.nearest(others[order], times, min(TOGETHER, max(0.6 * usual, LEAST_TOGETHER)))
    return np.where(index < 0, -1, order[index] if len(order) else -1)


def _undo_motion(frame: Frame, pose: np.ndarray, then: np.ndarray) -> None:
    """Let depth of another moment be seen from where the camera was then."""
    if frame.depth_camera is None:
        if frame.camera is None or frame.lens is not None:
            return  # registered depth is distorted like the image, and would have to be undistorted first
        frame.depth_camera, frame.depth_to_rgb = frame.camera, np.eye(4)
    frame.depth_to_rgb = poses.inverse(pose) @ then @ frame.depth_to_rgb


def _colour_images(contents: Contents, wanted: str | None) -> Images:
    """The colour images: those asked for; else the only ones, or the only ones called colour."""
    every = [item for item in contents.images.values() if item.positions]
    if wanted is not None:
        return _wanted(every, wanted, "--rgb-topic", contents.where)
    found = [item for item in every if item.head.is_colour()]
    found = found or [item for item in every if item.head.encoding.split(";")[0] in GREY]
    if not found:
        topics = ", ".join(sorted(contents.bag.topics)) or "none"
        raise UserError(f"{contents.where}: holds no colour images (its topics: {topics}). Record them, too.")
    found = _one_transport(found)
    rectified = {item.namespace for item in found if item.is_rectified}
    found = [item for item in found if item.is_rectified or item.namespace not in rectified]
    named = [item for item in found if re.search(r"(^|[/_])(color|colour|rgb)", item.base)]
    return _only(named or found, "colour images", "--rgb-topic", contents.where)


def _depth_images(contents: Contents, rgb: Images, wanted: str | None) -> Images | None:
    """The depth images: those asked for; else those that are registered to the colour images, or the only ones."""
    if wanted == "none":
        return None
    every = [item for item in contents.images.values() if item.positions and item is not rgb]
    if wanted is not None:
        return _wanted(every, wanted, "--depth-topic", contents.where)
    found = _one_transport([item for item in every if item.head.is_depth()])
    if not found:
        return None
    registered = [item for item in found if _is_registered(item)]
    same_frame = [item for item in found if item.head.header.frame == rgb.head.header.frame]
    return _only(registered or same_frame or found, "depth images", "--depth-topic", contents.where)


def _wanted(every: list[Images], topic: str, option: str, where: str) -> Images:
    for item in every:
        if item.topic == "/" + topic.strip("/"):
            return item
    raise UserError(f"{option}: {where} has no images in {topic}. Choose one of: {_named(every)}.")


def _one_transport(found: list[Images]) -> list[Images]:
    """Of a raw and a compressed topic of the same images that with more messages, the raw one if they are equal."""
    best: dict[str, Images] = {}
    for item in sorted(found, key=lambda item: (-len(item.positions), item.type != IMAGE)):
        best.setdefault(item.base, item)
    return list(best.values())


def _only(found: list[Images], what: str, option: str, where: str) -> Images:
    if len(found) > 1:
        raise UserError(f"{where}: several topics hold {what}: {_named(found)}. Choose one with {option}.")
    return found[0]


def _named(images: Iterable[Images]) -> str:
    return ", ".join(sorted(f"{item.topic} ({item.head.encoding[:30]}, {len(item.positions)})" for item in images))


def _is_registered(images: Images) -> bool:
    return re.search(r"aligned|registered", images.base) is not None


def _view(contents: Contents, images: Images) -> tuple[Camera, Lens | None] | None:
    """Intrinsics and distortion of a topic's images; None if the bag has none.

    Raises:
        UserError: they are no camera's.
    """
    topic = f"{images.namespace}/camera_info"
    if topic not in contents.infos:
        frame = images.head.header.frame
        alike = [name for name, info in contents.infos.items() if ros_messages.header(info).frame == frame]
        if len(alike) != 1:
            return None
        topic = alike[0]
    return calibration(contents.infos[topic], images.is_rectified, f"{contents.where}: {topic}")


def _depth(contents: Contents, rgb: Images, view: tuple[Camera, Lens | None] | None, images: Images) -> _Depth:
    """Find out where depth was seen from.

    Raises:
        UserError: the bag does not tell.
    """
    source, target = images.head.header.frame, rgb.head.header.frame
    own = _view(contents, images)
    if _is_registered(images) or source == target:
        if view is None or own is None or is_same_view(view[0], own[0]):
            return _Depth(images, None, None)
        return _Depth(images, own[0], np.eye(4))
    to_rgb = contents.tree.fixed(source, target)
    if to_rgb is None or own is None:
        missing = "camera_info" if to_rgb is not None else f"/tf_static from {source!r} to {target!r}"
        raise UserError(
            f"{contents.where}: has no {missing} for {images.topic}. "
            "Record it, or leave depth out with --depth-topic none."
        )
    return _Depth(images, own[0], to_rgb)


def _path(contents: Contents, rgb: Images, topic: str | None, world: str | None) -> _Path | None:
    """The camera's path: from tf, if that moves the camera in a world; else from the only odometry, else poses."""
    frame = rgb.head.header.frame or "camera"
    types = contents.bag.topics
    if topic is not None:
        topic = "/" + topic.strip("/")
        if topic not in contents.odometry and types.get(topic) != TF:
            raise UserError(
                f"--pose-topic: {contents.where} has no poses in {topic}. Choose one of: {_pose_topics(contents)}."
            )
    if topic is None or types.get(topic) == TF:
        chain = contents.tree.ancestors(frame)
        if world is not None and world.strip("/") in chain:
            return _Path(contents.tree, frame, world.strip("/"), f"tf from {world.strip('/')}")
        if world is None:
            root = next((name for name in WORLDS if name in chain), chain[-1])
            if contents.tree.moves(frame, root):
                return _Path(contents.tree, frame, root, f"tf from {root}")
        if topic is not None or world is not None:
            raise UserError(
                f"{contents.where}: tf leads from {frame!r} to {', '.join(map(repr, chain[1:])) or 'nowhere'}"
                f"{'' if world is None else f', not to {world!r}'}. Choose another --pose-topic or --world-frame."
            )
        for type_ in (ODOMETRY, POSE):
            found = sorted(name for name in contents.odometry if types[name] == type_)
            if len(found) > 1:
                raise UserError(
                    f"{contents.where}: several topics hold poses: {', '.join(found)}. Choose one with --pose-topic."
                )
            if found:
                topic = found[0]
                break
    if topic is None:
        return None
    parent, child, numbers = contents.odometry[topic]
    tree = contents.tree.fixed_only()
    rows = np.frombuffer(numbers, np.float64).reshape(-1, 8)
    for row in rows.tolist():
        tree.add(parent, child or frame, row[0], tuple(row[1:]))
    if parent not in tree.ancestors(frame):
        raise UserError(
            f"{contents.where}: {topic} moves {child!r}, and /tf_static does not tell where {frame!r} is beside it. "
            "Record /tf_static, or choose another --pose-topic."
        )
    return _Path(tree, frame, parent, f"{topic} in {parent}" + ("" if child else f", taken as those of {frame}"))


def _pose_topics(contents: Contents) -> str:
    found = [name for name, type_ in contents.bag.topics.items() if type_ in (TF, ODOMETRY, POSE)]
    return ", ".join(sorted(found)) or "none"


def _values(
    contents: Contents,
    images: Images,
    number: int,
    decode: Callable[[bytes, str, str], np.ndarray | bytes],
) -> Values:
    where = f"{contents.where}: {images.topic}, message {number}"
    return Values(where, partial(_load, contents.bag, images.positions[number], images.type, decode, where))


def _load(
    bag: Bag,
    position: Position,
    type_: str,
    decode: Callable[[bytes, str, str], np.ndarray | bytes],
    where: str,
    _: int | None,
) -> np.ndarray | bytes:
    return decode(bag.payload(position), type_, where)
