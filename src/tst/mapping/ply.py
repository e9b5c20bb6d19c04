"""A map as a binary PLY file: points that MeshLab, CloudCompare, Open3D and Blender open.

Properties of a vertex: `x y z` (float, metres in the world's axes; far from its origin less the `offset` in a comment,
as float would lose millimetres there), `nx ny nz`, `red green blue`, `views` (int, frames that saw it); and of a map of
classes `class` (uchar, named in comments), `confidence` and `agreement` (float, 0 .. 1).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tst.files import atomic_path
from tst.mapping.averages import Averages
from tst.mapping.space_map import Appearance

NAMES = {"f4": "float", "u1": "uchar", "i4": "int"}
FAR = 1000.0
"""Metres from the world's origin beyond which float32 is coarser than 0.1 mm."""


def write_ply(path: Path, look: Appearance, sums: Averages | None = None, classes: Sequence[str] = ()) -> None:
    """Write a map; `sums` are its class probabilities."""
    points = look.points_V3
    offset = np.zeros(3)
    if len(points) and np.abs(points).max() > FAR:
        offset = np.floor(points.mean(0))
    columns: dict[str, tuple[str, np.ndarray]] = {}
    for axis, name in enumerate("xyz"):
        columns[name] = ("f4", points[:, axis] - offset[axis])
    for axis, name in enumerate(("nx", "ny", "nz")):
        columns[name] = ("f4", look.normals_V3[:, axis])
    for axis, name in enumerate(("red", "green", "blue")):
        columns[name] = ("u1", look.colours_V3[:, axis])
    columns["views"] = ("i4", look.views_V)
    if sums is not None:
        mean = sums.mean_VC
        columns["class"] = ("u1", mean.argmax(1))
        columns["confidence"] = ("f4", mean.max(1))
        columns["agreement"] = ("f4", sums.agreement_V)
    table = np.empty(len(points), [(name, f"<{kind}") for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        table[name] = values
    lines = ["ply", "format binary_little_endian 1.0", "comment made by tst map; metres"]
    if offset.any():
        lines.append("comment offset {:.0f} {:.0f} {:.0f}".format(*offset))
    lines += [f"comment class {number} {' '.join(name.split())}" for number, name in enumerate(classes)]
    lines.append(f"element vertex {len(table)}")
    lines += [f"property {NAMES[kind]} {name}" for name, (kind, _) in columns.items()]
    header = "\n".join([*lines, "end_header", ""]).encode("utf-8")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        file.write(table.tobytes())
