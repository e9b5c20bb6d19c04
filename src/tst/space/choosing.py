"""Which frames of a recording are kept, and how: what `tst read` can be told about it."""

from collections import deque
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from tst.config import Config

if TYPE_CHECKING:
    from tst.readers.base import Frame

SHARPNESS_SIDE = 256
CANDIDATES = 3
"""Frames of one place that are compared: of many, three spread over the time are nearly as good as the best."""
REMEMBERED = 50
"""Kept frames whose sharpness says what is usual; blur is relative, as plain walls are never sharp."""
SETTLED = 10
DARK, BRIGHT = 8, 247
"""Mean grey level beyond which an image shows nothing."""
SAME = 1.5
"""Mean difference of grey thumbnails below which two images without poses show the same."""
THUMBNAIL = (16, 12)


class ReadConfig(Config):
    """How a recording is read."""

    frames: int | None = Field(None, gt=0)
    """Keep at most this many frames, spread over the path."""
    keep: Literal["auto", "best", "all"] = "auto"
    """best: of frames close to each other the sharpest, and none that is blurred, dark or bright; all: every frame;
    auto: best for recordings at a camera's rate, all for sets of chosen images."""
    moved: float = Field(0.05, ge=0)
    """Frames closer than this to the last kept one, metres, and turned less than `turned`, show the same place."""
    turned: float = Field(4.0, ge=0)
    """Degrees; see `moved`."""
    rate: float = Field(4.0, gt=0)
    """Frames a second that are kept where poses are not known."""
    blurred: float = Field(0.35, ge=0, lt=1)
    """A frame less sharp than this share of what is usual in the recording is dropped."""
    short_side: int | None = Field(720, gt=15)
    """Images with a larger short side are shrunk to it, pixels; None keeps every size."""
    confidence: float = Field(0.5, ge=0, le=1)
    """Depth that the sensor is less sure of becomes unknown; 0.5 is a phone's "medium"."""

    def chooses(self, continuous: bool) -> bool:
        """Whether frames are compared and dropped."""
        return self.keep == "best" or (self.keep == "auto" and continuous)


class Group(NamedTuple):
    """Frames of one place: at most one is kept. `left_out`: those that are not even looked at, and why."""

    candidates: list[int]
    left_out: list[tuple[int, str]]


def groups(frames: "list[Frame]", config: ReadConfig, continuous: bool) -> list[Group]:
    """Divide the frames, in their order, into groups of which one each is to be kept."""
    runs = _places(frames, config) if config.chooses(continuous) else [[index] for index in range(len(frames))]
    if config.frames is not None and len(runs) > config.frames:
        edges = np.linspace(0, len(runs), config.frames + 1).round().astype(int)
        runs = [list(chain.from_iterable(runs[a:b])) for a, b in pairwise(edges)]
    result = []
    for run in runs:
        allowed = run
        left_out: list[tuple[int, str]] = []
        if config.chooses(continuous):
            left_out = [(i, str(frames[i].against)) for i in run if frames[i].against]
            allowed = [i for i in run if not frames[i].against]
        picks = allowed
        if len(allowed) > CANDIDATES:
            picks = [allowed[k] for k in np.linspace(0, len(allowed) - 1, CANDIDATES).round().astype(int)]
        elif not config.chooses(continuous):
            picks = allowed[:1]
        left_out += [(i, "close to a kept frame") for i in allowed if i not in picks]
        result.append(Group(picks, sorted(left_out)))
    return result


def _places(frames: "list[Frame]", config: ReadConfig) -> list[list[int]]:
    """Runs of frames from one place: by pose, or by time where a frame has none."""
    runs: list[list[int]] = []
    first: Frame | None = None
    for index, frame in enumerate(frames):
        if first is None or not _close(first, frame, config):
            runs.append([])
            first = frame
        runs[-1].append(index)
    return runs


def _close(a: "Frame", b: "Frame", config: ReadConfig) -> bool:
    if a.part != b.part:
        return False
    if a.pose is not None and b.pose is not None:
        moved = np.linalg.norm(a.pose[:3, 3] - b.pose[:3, 3])
        cosine = (np.trace(a.pose[:3, :3].T @ b.pose[:3, :3]) - 1) / 2
        return bool(moved < config.moved and np.degrees(np.arccos(np.clip(cosine, -1, 1))) < config.turned)
    if a.time is not None and b.time is not None:
        return abs(b.time - a.time) < 1 / config.rate
    return False


class Look(NamedTuple):
    """What is measured of an image before it is kept: sharpness, mean grey level, and a grey thumbnail or nothing."""

    sharpness: float
    brightness: float
    thumbnail: list[float]


def look(rgb: np.ndarray, posed: bool) -> Look:
    """Measure an image, uint8 (H, W, 3); with poses, what it looks like need not be remembered."""
    grey = _small_grey(rgb)
    thumbnail = [] if posed else cv2.resize(grey, THUMBNAIL, interpolation=cv2.INTER_AREA).ravel().tolist()
    return Look(_sharpness(grey), cv2.mean(grey)[0], thumbnail)


def sharpness(rgb: np.ndarray) -> float:
    """Variance of the Laplacian of the grey image at short side 256: low for a blurred frame. `rgb` uint8 HxWx3."""
    return _sharpness(_small_grey(rgb))


def _small_grey(rgb: np.ndarray) -> np.ndarray:
    while min(rgb.shape[:2]) >= 2 * SHARPNESS_SIDE:  # exact means of four; the rest is less than a halving
        rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = SHARPNESS_SIDE / min(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)


def _sharpness(small_grey: np.ndarray) -> float:
    edges = cv2.Laplacian(small_grey, cv2.CV_16S)
    return cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - cv2.mean(edges)[0] ** 2  # a third of meanStdDev's time


class Judge:
    """Decides, in the order of the frames, which candidate of each group is kept."""

    def __init__(self, config: ReadConfig, chooses: bool, posed: bool):
        self._config, self.chooses, self.posed = config, chooses, posed
        self._usual: deque[float] = deque(maxlen=REMEMBERED)
        self._last: list[float] | None = None

    def decide(self, looks: list[Look]) -> tuple[int | None, list[str]]:
        """The candidate to keep, or None; and the reason against each of the others (against all, if None)."""
        if not looks:
            return None, []
        if not self.chooses:
            return 0, ["one frame in so many was asked for"] * (len(looks) - 1)
        reasons = [self._against(item) for item in looks]
        fit = [k for k, reason in enumerate(reasons) if reason is None]
        if not fit:
            return None, [str(reason) for reason in reasons]
        best = max(fit, key=lambda k: looks[k].sharpness)
        self.remember(looks[best])
        return best, [reason or "close to a sharper frame" for k, reason in enumerate(reasons) if k != best]

    def remember(self, kept: Look) -> None:
        """Take note of a kept frame (also of one that an earlier, interrupted read has kept)."""
        self._usual.append(kept.sharpness)
        self._last = kept.thumbnail

    def _against(self, item: Look) -> str | None:
        if not DARK <= item.brightness <= BRIGHT:
            return f"too {'dark' if item.brightness < DARK else 'bright'} (mean grey {item.brightness:.0f} of 255)"
        if len(self._usual) >= SETTLED:
            usual = float(np.median(self._usual))
            if item.sharpness < self._config.blurred * usual:
                return f"blurred (sharpness {item.sharpness:.3g}, usual {usual:.3g})"
        if not self.posed and self._last is not None:
            difference = np.abs(np.subtract(item.thumbnail, self._last)).mean()
            if difference < SAME:
                return "shows the same as the frame before"
        return None
