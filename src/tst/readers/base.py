"""What a reader gives: the frames of one recording, in the one convention, with their values still in the source.

Axes, units and stored values: docs/spaces.md. A reader is quick: it reads sidecars (poses, intrinsics, clocks), checks
them, and says where each frame's values are; `space.ingest` decodes, turns, shrinks, chooses and writes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tst.space.camera import Camera
from tst.space.lens import Lens


@dataclass(frozen=True)
class Values:
    """One modality of one frame that is no file of its own: a frame of a video, a member of an archive, a message.

    Attributes:
        where: for messages: "rgb.mp4, frame 17".
        load: gives an array (rgb: uint8 HxWx3; depth: HxW of any number type, times `Frame.depth_scale` millimetres),
            or the bytes of an image file (JPEG, PNG), which are stored as they are where nothing has to be changed.
            Called with the short side that will be stored: what is larger may be given shrunk to it (None: as it
            is). Raises UserError if the values are damaged: then the frame is listed as dropped.
        in_order: `load` is called by one thread, in the order of the frames, at most once each (a video is decoded
            forwards). Otherwise by any thread at any time.
    """

    where: str
    load: Callable[[int | None], np.ndarray | bytes]
    in_order: bool = False


@dataclass
class Frame:
    """One frame of a recording.

    Attributes:
        id: its file stem in the Space, unique in the recording.
        files: where each modality's values are: rgb, and depth, confidence, normals, semantic, instance.
        camera: intrinsics of the RGB image; one for another size of the same aspect is scaled when the frame is read.
        pose: (4, 4) float64 camera-to-world of the RGB camera at the moment of the image, metres, OpenCV camera axes.
        time: seconds, in the one clock of frames and sensors.
        part: a floor or a room; split: train, val or test.
        depth_scale: a stored depth value times this is millimetres.
        lens: distortion of the RGB image (and of the depth, where that is registered to it); undone while reading.
        depth_camera: intrinsics of the depth where it is another camera's view; None: registered to the RGB image.
        depth_to_rgb: (4, 4) from the depth camera's axes to the RGB camera's, metres; for `depth_camera`.
        turns: quarter turns clockwise that the image needs to be upright, where the format says so; where the
            recording has poses and says what is up, they are found from these instead.
        against: the format's own reason against this frame (a low blur score): dropped when frames are chosen.
    """

    id: str
    files: Mapping[str, Path | Values]
    camera: Camera | None = None
    pose: np.ndarray | None = None
    time: float | None = None
    part: str | None = None
    split: str | None = None
    depth_scale: float = 1.0
    lens: Lens | None = None
    depth_camera: Camera | None = None
    depth_to_rgb: np.ndarray | None = None
    turns: int = 0
    against: str | None = None


class Dropped(NamedTuple):
    """A frame of the source that is not in the walk, and why; listed in the walk's dropped.parquet."""

    id: str
    time: float | None
    reason: str


@dataclass
class Recording:
    """What a reader gives.

    Attributes:
        frames: in the order of the capture.
        notes: what was assumed or left out, for the provenance.
        sensors: what else was measured, by name: tables with a column `time` in seconds of the frames' clock, sorted.
            Names and columns: SENSORS in `space/sensors.py`.
        annotations: what else is known of the frames, by name (`boxes`, `captions`, `objects`): values for JSON.
        dropped: frames that the reader itself left out (no pose, no depth).
        up: the world's upward direction, (3,), where the format defines it: images are then stored upright.
        continuous: a recording at a camera's rate: still, blurred, dark and damaged frames are dropped unless the
            user says otherwise. False: frames that someone has chosen; all are kept, and a damaged one is an error.
        classes: names of the classes in `semantic`, in order of their index, where the format defines them; 255: none.
        full_confidence: the value of `confidence` that means sure; 0 means not at all.
    """

    format: str
    source: Path
    frames: list[Frame]
    notes: dict[str, Any] = field(default_factory=dict)
    sensors: dict[str, pa.Table] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    up: tuple[float, float, float] | None = None
    continuous: bool = False
    classes: list[str] | None = None
    full_confidence: int = 255
