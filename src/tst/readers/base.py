"""What a reader gives: the frames of one recording, in the one convention, with files still in the source."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tst.space.camera import Camera


@dataclass
class Frame:
    """One frame of a recording; `files` are in the source folder.

    `pose` is (4, 4) float64 camera-to-world in metres with OpenCV camera axes; `time` is in seconds; a stored
    depth value times `depth_scale` is millimetres. A `camera` of another size than the image is scaled to it when the
    frame is read.
    """

    id: str
    files: dict[str, Path]
    camera: Camera | None = None
    pose: np.ndarray | None = None
    time: float | None = None
    part: str | None = None
    split: str | None = None
    depth_scale: float = 1.0


@dataclass
class Recording:
    """What a reader gives.

    Attributes:
        notes: what was assumed or left out, for the provenance.
        sensors: what else was measured, by name (`imu`): tables with a column `time` in seconds of the frames' clock.
        annotations: what else is known of the frames, by name (`boxes`, `captions`, `objects`): values for JSON.
    """

    format: str
    source: Path
    frames: list[Frame]
    notes: dict[str, Any] = field(default_factory=dict)
    sensors: dict[str, pa.Table] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
