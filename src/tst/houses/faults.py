"""What real cameras do to a perfect picture: noisy depth with holes, motion blur, drifting exposure, noise, JPEG."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import Field, NonNegativeFloat
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from tst.config import Config
from tst.houses.colour import LINEAR_OF_BYTE, LUMINANCE, srgb_of

if TYPE_CHECKING:
    from tst.houses.renderer import View
    from tst.space.camera import Camera


class FaultConfig(Config):
    """Strengths of the sensors' faults; 0 switches one off."""

    depth: NonNegativeFloat = 0.0
    """Errors of measured depth: noise and steps that grow with its square, ragged edges, and holes at edges, grazing
    angles, and dark or glaring surfaces. 1 is a structured-light camera (Kinect), 0.5 a good stereo camera."""
    depth_range: NonNegativeFloat = 6.0
    """Metres beyond which such a camera measures nothing; without meaning if `depth` is 0."""
    motion_blur: float = Field(0.0, ge=0, le=1)
    """Share of the time between two frames of a walk that the shutter is open; 0.3 is usual indoors."""
    exposure: NonNegativeFloat = 0.0
    """Deviation of the exposure's slow drift along the walk, in stops; 0.3 is usual."""
    white_balance: NonNegativeFloat = 0.0
    """Deviation of the slow drift of red and blue against green, in stops; 0.1 is usual."""
    noise: NonNegativeFloat = 0.0
    """Sensor noise that grows with the root of the light; 1 is a phone in a lit room, 4 in the evening."""
    jpeg: int = Field(0, ge=0, le=100)
    """JPEG quality; 80 is a video's."""


NONE = FaultConfig()

# Depth

NOISE_AT_1_M = 0.0014
STEP_AT_1_M = 0.00285  # one eighth of a pixel of disparity, 7.5 cm baseline, focal length 585
RAGGED = 0.6
"""Deviation in pixels of where an edge is measured."""
EDGE = 0.05
"""Jump of depth between neighbours, as a share of it."""


def measured_depth(
    depth: np.ndarray,
    normals: np.ndarray,
    rgb: np.ndarray,
    camera: "Camera",
    rng: np.random.Generator,
    config: FaultConfig,
) -> np.ndarray:
    """Depth as a structured-light camera would measure it, uint16 (H, W) millimetres, 0 = unknown.

    Args:
        depth: float32 (H, W), metres, 0 = unknown.
        normals: float32 (H, W, 3), camera axes, unit length.
        rgb: uint8 (H, W, 3).
    """
    height, width = depth.shape
    rows, columns = np.indices(depth.shape)
    shift = np.rint(rng.normal(0, RAGGED * min(config.depth, 1), (2, height, width))).astype(int)
    z = depth[np.clip(rows + shift[0], 0, height - 1), np.clip(columns + shift[1], 0, width - 1)]
    z = z + config.depth * NOISE_AT_1_M * z**2 * _smooth_noise(rng, depth.shape, 1.0)
    with np.errstate(divide="ignore"):
        # Disparity comes in whole steps.
        step = max(config.depth, 1e-6) * STEP_AT_1_M
        z = 1 / (np.maximum(np.rint(1 / (np.maximum(z, 1e-3) * step)), 1) * step)
    lost = ndtr(_smooth_noise(rng, depth.shape, 1.5)) < min(config.depth, 1) * _loss(depth, normals, rgb, camera)
    known = (depth > 0) & ~lost & (z <= config.depth_range)
    return np.where(known, np.clip(np.rint(z * 1000), 1, 65535), 0).astype(np.uint16)


def _loss(depth: np.ndarray, normals: np.ndarray, rgb: np.ndarray, camera: "Camera") -> np.ndarray:
    """Probability (H, W) that a pixel is not measured."""
    kernel = np.ones((3, 3), np.uint8)
    edge = (cv2.dilate(depth, kernel) - cv2.erode(depth, kernel)) > EDGE * depth
    rays = camera.rays()
    facing = -np.einsum("hwc,hwc->hw", normals, rays) / np.linalg.norm(rays, axis=2)
    brightness = LINEAR_OF_BYTE[rgb] @ LUMINANCE
    # Against the frame's mean: the camera lights the scene itself, so a dim room is not dark to it, a black sofa is.
    brightness = brightness / max(float(brightness.mean()), 1e-4)
    grazing = 0.9 * np.clip((0.25 - facing) / 0.17, 0, 1)
    dark = 0.7 * np.clip((0.08 - brightness) / 0.06, 0, 1)
    glare = np.where(rgb.min(2) >= 252, 0.7, 0.0)
    return 1 - (1 - 0.6 * edge) * (1 - grazing) * (1 - dark) * (1 - glare)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Noise of deviation 1 that neighbours share, float32."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
    kernel = cv2.getGaussianKernel(2 * round(4 * sigma) + 1, sigma)
    return noise / float((kernel**2).sum())


# Colour

TAPS = 7
FAR = 100.0
SAME_WALK = (0.5, np.cos(np.radians(45)))
"""Frames further apart than this (metres, cosine of the turn) do not follow each other."""
DRIFT_FRAMES = 40.0
BEYOND_WHITE = 3.0


def motion_blur(
    linear: np.ndarray,
    depth: np.ndarray,
    camera: "Camera",
    pose: np.ndarray,
    opened: np.ndarray,
    closed: np.ndarray,
) -> np.ndarray:
    """The picture averaged over the camera's motion while the shutter was open.

    Args:
        linear: float32 (H, W, 3), linear light.
        depth: float32 (H, W), metres, 0 = far.
        pose, opened, closed: camera-to-world (4, 4) of the picture and at both ends of the exposure.
    """
    points = camera.unproject(np.where(depth > 0, depth, FAR)).reshape(-1, 3)
    ends = [_motion(points, camera, np.linalg.inv(other) @ pose) for other in (opened, closed)]
    columns, rows = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (camera.width, camera.height)))
    total = np.zeros_like(linear)
    for share in np.linspace(-1, 1, TAPS).tolist():
        moved = np.float32(abs(share)) * ends[int(share > 0)]
        total += cv2.remap(
            linear, columns - moved[..., 0], rows - moved[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return total / TAPS


def _motion(points: np.ndarray, camera: "Camera", relative: np.ndarray) -> np.ndarray:
    """By how many pixels points (H * W, 3) move between two cameras, float32 (H, W, 2)."""
    there = points @ relative[:3, :3].T + relative[:3, 3]
    focal = np.array([camera.fx, camera.fy])
    in_front = np.maximum(there[:, 2:], 0.05)
    moved = (there[:, :2] / in_front - points[:, :2] / points[:, 2:]) * focal
    return moved.reshape(camera.height, camera.width, 2).astype(np.float32)


def shutter(poses: np.ndarray, number: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses (4, 4) at which the shutter opens and closes for a frame of a walk (N, 4, 4).

    A neighbour that is far away belongs to another place, not to the same motion: it does not count.
    """
    pose = poses[number]
    ends = []
    for other in (max(number - 1, 0), min(number + 1, len(poses) - 1)):
        step = poses[other][:3, 3] - pose[:3, 3]
        turn = Rotation.from_matrix(pose[:3, :3].T @ poses[other][:3, :3])
        far = np.linalg.norm(step) > SAME_WALK[0] or np.cos(turn.magnitude()) < SAME_WALK[1]
        part = 0.0 if far else share / 2
        end = np.eye(4)
        end[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(part * turn.as_rotvec()).as_matrix()
        end[:3, 3] = pose[:3, 3] + part * step
        ends.append(end)
    return ends[0], ends[1]


def drift(frames: int, rng: np.random.Generator, config: FaultConfig) -> np.ndarray:
    """Gains (frames, 3) of red, green and blue light: exposure and white balance that wander along a walk."""
    margin = int(4 * DRIFT_FRAMES)
    noise = rng.standard_normal((frames + 2 * margin, 3))
    smooth = gaussian_filter1d(noise, DRIFT_FRAMES, axis=0)[margin:-margin]
    smooth *= np.sqrt(2 * np.sqrt(np.pi) * DRIFT_FRAMES)  # back to deviation 1
    stops = config.exposure * smooth[:, :1] + config.white_balance * smooth[:, 1:] @ [[1, 0, 0], [0, 0, 1]]
    return 2.0**stops


def sensor_noise(linear: np.ndarray, rng: np.random.Generator, config: FaultConfig) -> np.ndarray:
    """The picture (float32 (H, W, 3), linear light) with shot and read noise, a little smoothed as by a camera."""
    deviation = config.noise * (0.01 * np.sqrt(np.maximum(linear, 0)) + 0.001)
    return linear + deviation * _smooth_noise(rng, linear.shape, 0.5)


def compressed(rgb: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (H, W, 3) after JPEG compression."""
    fine, data = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert fine
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert back is not None
    return np.ascontiguousarray(back[..., ::-1])


class Faults:
    """The faults of one walk's camera. Frames do not depend on the order in which they are asked for.

    Args:
        poses: (N, 4, 4) camera-to-world of all frames of the walk.
        seed: of the noise.
    """

    DRIFT, DEPTH, COLOUR = range(3)

    def __init__(self, config: FaultConfig, camera: "Camera", poses: np.ndarray, seed: int) -> None:
        self.config, self.camera, self.poses, self.seed = config, camera, poses, seed
        self.gains = drift(len(poses), np.random.default_rng([seed, self.DRIFT]), config).astype(np.float32)

    def apply(self, number: int, view: "View") -> dict[str, np.ndarray]:
        """The stored arrays of frame `number` that the faults change: `rgb`, `depth`, both or none."""
        config, changed = self.config, {}
        if config.depth:
            rng = np.random.default_rng([self.seed, self.DEPTH, number])
            changed["depth"] = measured_depth(view.depth, view.normals, view.rgb, self.camera, rng, config)
        if config.motion_blur or config.exposure or config.white_balance or config.noise:
            changed["rgb"] = self._developed(number, view)
        if config.jpeg:
            changed["rgb"] = compressed(changed.get("rgb", view.rgb), config.jpeg)
        return changed

    def _developed(self, number: int, view: "View") -> np.ndarray:
        # What is white in the picture was brighter than white: it stays so when the exposure falls, and smears as such.
        linear = LINEAR_OF_BYTE[view.rgb]
        linear = linear * (1 + BEYOND_WHITE * np.clip((linear - 0.96) / 0.04, 0, 1))
        if self.config.motion_blur:
            opened, closed = shutter(self.poses, number, self.config.motion_blur)
            linear = motion_blur(linear, view.depth, self.camera, self.poses[number], opened, closed)
        linear = linear * self.gains[number]
        if self.config.noise:
            rng = np.random.default_rng([self.seed, self.COLOUR, number])
            linear = sensor_noise(linear, rng, self.config)
        return np.rint(srgb_of(linear) * 255).astype(np.uint8)
