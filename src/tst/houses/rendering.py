"""Rendering the frames of a walk into files, in a process of its own.

Nothing here imports torch: a worker starts in a second and takes little memory.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tst.houses.faults import FaultConfig, Faults
from tst.houses.light import BakedScene
from tst.houses.renderer import Renderer, View
from tst.space.camera import Camera
from tst.space.normal_maps import encode

MODALITIES = ("depth", "normals", "semantic", "instance", "rgb")
"""In the order they are written: a frame that has its RGB has everything."""
SUFFIX = {"rgb": ".jpg", "depth": ".png", "normals": ".png", "semantic": ".png", "instance": ".png"}


@dataclass(frozen=True, eq=False)
class Job:
    """Some frames of one walk.

    Attributes:
        scene: folder of the baked scene.
        folder: gets a folder a modality.
        camera: of all frames.
        poses: (N, 4, 4) camera-to-world.
        numbers: which of them to render, int (K,).
        modalities: what to write.
        classes: uint8 (256,), the label to store for each label that is rendered.
        faults: of the sensors.
        seed: of the faults' noise.
    """

    scene: Path
    folder: Path
    camera: Camera
    poses: np.ndarray
    numbers: np.ndarray
    modalities: tuple[str, ...]
    classes: np.ndarray
    faults: FaultConfig
    seed: int


def frame_id(number: int) -> str:
    """Name of frame `number`."""
    return f"{number:06d}"


def frame_file(folder: Path, modality: str, number: int) -> Path:
    """Where a modality of a frame is written."""
    return folder / modality / f"{frame_id(number)}{SUFFIX[modality]}"


def render(job: Job) -> int:
    """Render the frames of a job that are not there yet; how many those were."""
    missing = [int(n) for n in job.numbers if not frame_file(job.folder, "rgb", int(n)).exists()]
    if not missing:
        return 0
    cv2.setNumThreads(1)
    for modality in job.modalities:
        (job.folder / modality).mkdir(parents=True, exist_ok=True)
    renderer = Renderer(BakedScene.load(job.scene), job.camera)
    faults = Faults(job.faults, job.camera, job.poses, job.seed)
    for number in missing:
        view = renderer.render(job.poses[number], exposure=None)
        arrays = stored(view, job.classes)
        arrays |= faults.apply(number, view)
        for modality in MODALITIES:
            if modality in job.modalities:
                write_image(frame_file(job.folder, modality, number), arrays[modality])
    return len(missing)


def stored(view: View, classes: np.ndarray) -> dict[str, np.ndarray]:
    """The view as a Space stores it (docs/spaces.md)."""
    return {
        "rgb": view.rgb,
        "depth": np.rint(np.minimum(view.depth, 65.535) * 1000).astype(np.uint16),
        "normals": encode(view.normals),
        "semantic": classes[view.semantic],
        "instance": view.instance,
    }


def write_image(path: Path, array: np.ndarray) -> None:
    """Write an image in one go: whoever sees the file sees all of it. Not forced to disk: it can be rendered again."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    fine, data = cv2.imencode(path.suffix, array[..., ::-1] if array.ndim == 3 else array, options)
    assert fine, path
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(data.tobytes())
    temporary.replace(path)
