"""A walk through the room of captures.py, for writers of capture formats; and the proof that what was read is true.

Nothing here uses tst but the last function, which looks at a Space.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from captures import look, render
from tst.space import Walk

FAULTS = ("swapped axes", "wrong unit", "inverted pose", "half a frame late")


@dataclass(frozen=True)
class Scene:
    """A camera that walks through the room and turns; `fault` is what a wrong reader would make of it.

    World axes: y up, metres. Writers of formats with another world turn all poses alike.
    """

    frames: int = 6
    rate: float = 10.0
    start: float = 1000.0
    roll: float = 0.0  # degrees by which the device is turned about its view axis; 90: the top of the image points left
    fault: str | None = None

    def time(self, number: int) -> float:
        """Seconds, of image `number`."""
        return self.start + number / self.rate

    def true_pose(self, time: float) -> np.ndarray:
        """(4, 4) OpenGL camera-to-world (x right, y up, looking along -z) at any moment; smooth."""
        steps = (time - self.start) * self.rate
        pose = look(
            [2 + 0.3 * math.sin(0.4 * steps), 1.3 + 0.02 * steps, 2.8 - 0.09 * steps],
            25 + 9.0 * steps,
            -8.0 + 3 * math.sin(steps),
        )
        angle = math.radians(self.roll)
        turn = np.eye(4)
        turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        return pose @ turn

    def pose_at(self, time: float) -> np.ndarray:
        """What is written as the OpenGL camera-to-world pose at `time`."""
        if self.fault == "half a frame late":
            time += 0.5 / self.rate
        pose = self.true_pose(time)
        if self.fault == "swapped axes":
            pose = pose @ np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        return np.linalg.inv(pose) if self.fault == "inverted pose" else pose

    def pose(self, number: int) -> np.ndarray:
        """What is written as the OpenGL camera-to-world pose of image `number`."""
        return self.pose_at(self.time(number))

    def opencv_pose(self, number: int) -> np.ndarray:
        """The same with OpenCV camera axes (x right, y down, z forward)."""
        return self.pose(number) @ np.diag([1.0, -1.0, -1.0, 1.0])

    def view(self, number: int, width: int, height: int, fov_x: float = 90.0) -> dict[str, np.ndarray]:
        """Image `number` as `captures.render` gives it; `depth` in metres along the view axis."""
        seen = render(self.true_pose(self.time(number)), width, height, fov_x)
        return {**seen, "depth": seen["depth"] / 10} if self.fault == "wrong unit" else seen

    def with_fault(self, fault: str) -> "Scene":
        """The same, with a fault."""
        return replace(self, fault=fault)


def gyro(scene: Scene, time: float, step: float = 1e-4) -> np.ndarray:
    """(3,) angular velocity in rad/s, OpenCV camera axes."""
    to_cv = np.diag([1.0, -1.0, -1.0])
    before, after = (scene.true_pose(time + s)[:3, :3] @ to_cv for s in (-step, step))
    skew = before.T @ after
    return np.array([skew[2, 1] - skew[1, 2], skew[0, 2] - skew[2, 0], skew[1, 0] - skew[0, 1]]) / (4 * step)


def accel(scene: Scene, time: float, step: float = 1e-3) -> np.ndarray:
    """(3,) specific force in m/s2 (at rest 9.81 upwards), OpenCV camera axes."""
    x = [scene.true_pose(time + s)[:3, 3] for s in (-step, 0, step)]
    force = (x[0] - 2 * x[1] + x[2]) / step**2 + [0, 9.81, 0]
    return (scene.true_pose(time)[:3, :3] @ np.diag([1.0, -1.0, -1.0])).T @ force


def disagreement(walk: Walk) -> tuple[float, float]:
    """How far the frames are from showing one room: (metres, grey levels); the 85th percentiles over pixels.

    Points of each frame are looked up in the frames after it: their depth there, and their colour. Needs no world.
    """
    metres, colours = [], []
    loaded = []
    for index in range(len(walk)):
        camera, pose = walk.camera(index), walk.pose(index)
        assert camera is not None and pose is not None
        depth, rgb = walk.read("depth", index) / 1000, walk.read("rgb", index).astype(float)
        loaded.append((camera, pose, depth, rgb))
    for i, (camera, pose, depth, rgb) in enumerate(loaded):
        points = camera.unproject(depth)[depth > 0]
        v, u = np.nonzero(depth > 0)
        world = points @ pose[:3, :3].T + pose[:3, 3]
        own = rgb[(v * rgb.shape[0] // depth.shape[0]), (u * rgb.shape[1] // depth.shape[1])]
        for camera2, pose2, depth2, rgb2 in loaded[i + 1 : i + 4]:
            x, y, z = ((world - pose2[:3, 3]) @ pose2[:3, :3]).T
            ahead = z > 0.1
            height, width = depth2.shape
            scaled = camera2.resized(width, height)
            with np.errstate(divide="ignore", invalid="ignore"):
                u2, v2 = scaled.fx * x / z + scaled.cx - 0.5, scaled.fy * y / z + scaled.cy - 0.5
            inside = ahead & (u2 >= 0) & (v2 >= 0) & (u2 < width - 1) & (v2 < height - 1)
            u2, v2, z2, colour = u2[inside], v2[inside], z[inside], own[inside]
            a, b = u2.astype(int), v2.astype(int)
            corners = np.stack([depth2[b, a], depth2[b, a + 1], depth2[b + 1, a], depth2[b + 1, a + 1]])
            known = (corners > 0).all(0)
            fu, fv = (u2 - a)[known], (v2 - b)[known]
            weights = np.stack([(1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv])
            there = 1 / (weights / corners[:, known]).sum(0)  # planes are linear in 1 / depth
            metres.append(np.abs(there - z2[known]))
            h3, w3 = rgb2.shape[:2]
            there_rgb = rgb2[((v2 + 0.5) * h3 / height).astype(int), ((u2 + 0.5) * w3 / width).astype(int)]
            colours.append(np.abs(there_rgb - colour).mean(-1))
    errors = np.concatenate(metres) if metres else np.empty(0)
    if len(errors) < 500:
        return math.inf, math.inf  # the frames do not see each other at all
    return float(np.percentile(errors, 85)), float(np.percentile(np.concatenate(colours), 70))


def assert_one_room(walk: Walk) -> None:
    """Points from different frames agree within 1 cm, and so do their colours."""
    metres, grey = disagreement(walk)
    if not metres < 0.01:
        pytest.fail(f"points of different frames disagree by {metres:.3f} m")
    if not grey < 20:
        pytest.fail(f"colours of different frames disagree by {grey:.1f} of 255")
