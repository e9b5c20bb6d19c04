"""Writes walks through the room of `captures`, with what is asked for."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from captures import look, render

SIZE = (96, 72)  # width, height


FRAMES = 24


def poses(frames: int = FRAMES, radius: float = 0.4) -> list[np.ndarray]:
    """Round the middle of the room, looking outwards."""
    angles = [2 * math.pi * number / frames for number in range(frames)]
    return [look([2 + radius * math.cos(a), 1.4, 2.5 - radius * math.sin(a)], math.degrees(a), -10.0) for a in angles]


@dataclass(frozen=True)
class Walk:
    """A walk; `scale` is that of its positions, `blind` has no depth beyond 0."""

    poses: list[np.ndarray]
    depth: bool = True
    scale: float = 1.0
    blind: bool = False


def write(folder: Path, poses: list[np.ndarray], depth: bool = True, scale: float = 1.0, blind: bool = False) -> Path:
    for name in ("images", *(("depth",) if depth else ())):
        (folder / name).mkdir(parents=True)
    listed = []
    for number, camera in enumerate(poses):
        seen = render(camera, *SIZE)
        Image.fromarray(seen["rgb"]).save(folder / "images" / f"{number:04d}.png")
        entry = {"file_path": f"images/{number:04d}.png", "time": number / 4}
        if depth:
            stored = np.rint(seen["depth"] * 1000 * (not blind)).astype(np.uint16)
            Image.fromarray(stored).save(folder / "depth" / f"{number:04d}.png")
            entry["depth_file_path"] = f"depth/{number:04d}.png"
        moved = camera.copy()
        moved[:3, 3] *= scale
        listed.append(entry | {"transform_matrix": moved.tolist()})
    top = {"w": SIZE[0], "h": SIZE[1], "fl_x": SIZE[0] / 2, "fl_y": SIZE[0] / 2, "cx": SIZE[0] / 2, "cy": SIZE[1] / 2}
    (folder / "transforms.json").write_text(json.dumps({**top, "camera_model": "OPENCV", "frames": listed}))
    return folder
