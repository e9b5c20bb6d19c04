"""What is in a Space, for `tst info`."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tst.progress import track
from tst.space import images
from tst.space.ingest import WORKERS
from tst.space.sensors import rate, sensor, sensors
from tst.space.space import Space, Walk

REASONS = 5
"""Reasons for dropped frames that are told one by one."""


@dataclass
class SensorInfo:
    """One sensor of a walk: readings (samples, of audio), the usual number a second, and seconds that they cover."""

    readings: int
    rate: float | None
    seconds: float


@dataclass
class WalkInfo:
    """One walk.

    Attributes:
        modalities: resolutions "WxH" by name.
        sensors: what else was measured, by name.
        parts, splits: frames by name.
        dropped: frames of the source that are not in the walk, by reason, the most frequent first.
        furniture: names of the pieces in a made house, by "creator, licence".
        provenance: the rest of the walk's record.
    """

    name: str
    frames: int
    seconds: float | None
    modalities: dict[str, list[str]]
    sensors: dict[str, SensorInfo]
    poses: int
    cameras: int
    parts: dict[str, int]
    splits: dict[str, int]
    dropped: dict[str, int]
    furniture: dict[str, list[str]]
    provenance: dict[str, Any]


@dataclass
class SpaceInfo:
    """What is in a Space; sizes on disk in bytes, `class_shares` in fractions of the labelled pixels."""

    path: str
    name: str
    frames: int
    walks: list[WalkInfo]
    modalities: list[str]
    classes: list[str] | None
    class_shares: dict[str, float]
    unlabelled_share: float | None
    bytes_frames: int
    bytes_cache: int
    derived: dict[str, Any]


def info(space: Space) -> SpaceInfo:
    """Gather it; decodes every mask, so some seconds for thousands of frames."""
    counts = _label_counts(space)
    labelled = counts.sum() - counts[space.ignore_index]
    names = space.classes or [str(index) for index in range(space.ignore_index) if counts[index]]
    index_of = {name: index if space.classes else int(name) for index, name in enumerate(names)}
    return SpaceInfo(
        path=str(space.path),
        name=space.name,
        frames=len(space),
        walks=[_walk_info(walk) for walk in space.walks.values()],
        modalities=space.modalities(),
        classes=space.classes,
        class_shares={name: counts[index_of[name]] / labelled for name in names} if labelled else {},
        unlabelled_share=counts[space.ignore_index] / counts.sum() if counts.sum() else None,
        bytes_frames=_bytes(space.path / "walks"),
        bytes_cache=_bytes(space.path / "cache"),
        derived=space.file.provenance,
    )


def _walk_info(walk: Walk) -> WalkInfo:
    provenance = walk.record.model_dump()
    times = [time for time in walk.frames["time"].to_pylist() if time is not None]
    return WalkInfo(
        name=walk.name,
        frames=len(walk),
        seconds=max(times) - min(times) if times else None,
        modalities={name: _resolutions(walk, name) for name in walk.modalities()},
        sensors={name: _sensor_info(walk, name) for name in sensors(walk)},
        poses=len(walk) - walk.frames["pose"].null_count,
        cameras=len(walk) - walk.frames["fx"].null_count,
        parts=_tally(walk, "part"),
        splits=_tally(walk, "split"),
        dropped=_dropped(walk),
        furniture=provenance["notes"].pop("furniture", {}),
        provenance=provenance,
    )


def _sensor_info(walk: Walk, name: str) -> SensorInfo:
    table = sensor(walk, name)
    usual = rate(table)
    if name == "audio" and usual:
        count = pc.sum(pc.list_value_length(table["samples"])).as_py() or 0
        return SensorInfo(count, usual, count / usual)
    times = table["time"].to_numpy()
    return SensorInfo(len(times), usual, float(times[-1] - times[0]) if len(times) else 0.0)


def _dropped(walk: Walk) -> dict[str, int]:
    """Frames by reason; what a reason says of its frame alone (in brackets, or after a colon) is left out."""
    return dict(Counter(reason.split(" (")[0].split(": ")[0] for _, reason in walk.dropped()).most_common())


def _tally(walk: Walk, column: str) -> dict[str, int]:
    return dict(Counter(value for value in walk.frames[column].to_pylist() if value is not None))


def _resolutions(walk: Walk, modality: str) -> list[str]:
    if walk.file(modality, 0).suffix not in (".png", ".jpg"):
        return []
    sizes = Counter(images.size(walk.file(modality, index)) for index in range(len(walk)))
    return [f"{width}x{height}" for (height, width), _ in sizes.most_common()]


def _label_counts(space: Space) -> np.ndarray:
    """(256,) int64 pixels of each label over all masks."""
    frames = [(walk, i) for walk, i in space.frames() if "semantic" in walk.record.modalities]

    def count(frame: tuple[Walk, int]) -> np.ndarray:
        return np.bincount(frame[0].read("semantic", frame[1]).ravel(), minlength=256)

    with ThreadPoolExecutor(WORKERS) as pool:
        counts = track(pool.map(count, frames), "counting labels", len(frames))
        return reduce(np.add, counts, np.zeros(256, np.int64))


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0


def render(facts: SpaceInfo) -> RenderableType:
    """The same for people, to be printed by rich."""
    title = Text.assemble(
        (facts.name, "bold"),
        f"   {counted(facts.frames, 'frame')} in {counted(len(facts.walks), 'walk')}   {facts.path}",
    )
    disk = f"on disk: frames {_size(facts.bytes_frames)}, cache {_size(facts.bytes_cache)} (may be deleted)"
    parts: list[RenderableType] = [title, Text(disk)]
    for walk in facts.walks:
        parts += [Text(), _render_walk(walk)]
    for modality, provenance in facts.derived.items():
        parts.append(Text(f"derived {modality}: {provenance}"))
    if facts.class_shares:
        table = Table("class", "share of labelled pixels", box=None)
        table.columns[1].justify = "right"
        for name, share in sorted(facts.class_shares.items(), key=lambda item: -item[1]):
            table.add_row(Text(name), f"{share:.1%}")
        parts += [Text(), table, Text(f"{facts.unlabelled_share:.1%} of all pixels have no label")]
    elif facts.classes:
        parts.append(Text("classes: " + ", ".join(facts.classes)))
    return Group(*parts)


def _render_walk(walk: WalkInfo) -> Table:
    table = Table.grid(padding=(0, 2))
    source = walk.provenance

    def row(name: str, value: str) -> None:
        table.add_row(Text(name, style="dim"), Text(value))

    table.add_row(Text("walk", style="dim"), Text(walk.name, style="bold"))
    row("frames", f"{walk.frames}" + (f" over {walk.seconds:.1f} s" if walk.seconds is not None else ""))
    for name, resolutions in walk.modalities.items():
        more = f" and {len(resolutions) - 3} other sizes" if len(resolutions) > 3 else ""
        row(name, ", ".join(resolutions[:3]) + more)
    for name, measured in walk.sensors.items():
        usual = f" at {measured.rate:.4g} Hz" if measured.rate else ""
        row(name, f"{measured.readings} readings{usual} over {measured.seconds:.1f} s")
    row("poses", _share(walk.poses, walk.frames))
    row("intrinsics", _share(walk.cameras, walk.frames))
    for name, tally in (("parts", walk.parts), ("splits", walk.splits)):
        if tally:
            row(name, ", ".join(f"{key} {count}" for key, count in tally.items()))
    if walk.dropped:
        told = [f"{count} {reason}" for reason, count in list(walk.dropped.items())[:REASONS]]
        if others := sum(list(walk.dropped.values())[REASONS:]):
            told.append(f"{others} for other reasons")
        row("left out", counted(sum(walk.dropped.values()), "frame") + ": " + ", ".join(told))
    for makers, pieces in walk.furniture.items():
        row("furniture", f"{len(pieces)} kind{'s' * (len(pieces) != 1)} by {makers}")
    row("read from", f"{source['source']} ({source['format']}) on {source['date']} by tst {source['tst_version']}")
    for name, note in {**source["options"], **source["notes"]}.items():
        row(name, str(note))
    return table


def _share(count: int, total: int) -> str:
    return {0: "none", total: "every frame"}.get(count, f"{count} of {total} frames")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def counted(number: int, what: str) -> str:
    """The number and the noun, in the plural where it belongs."""
    return f"{number} {what}{'' if number == 1 else 's'}"
