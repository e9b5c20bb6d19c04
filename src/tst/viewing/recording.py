"""What of a Space goes into a Rerun recording.

Entities of a walk: `WALK/path`, `WALK/points`, `WALK/ceiling` (all of the time), `WALK/camera` (its pose),
`WALK/camera/MODALITY`, `WALK/sensors/SENSOR/CURVES`. Timelines: `time`, in seconds from the walk's first frame, and
`frame`, the row in frames.parquet.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import rerun as rr

from tst.modalities import MODALITIES
from tst.modalities.semantic import ClassMask, palette
from tst.progress import track
from tst.space import images
from tst.space.camera import Camera
from tst.space.ingest import WORKERS
from tst.space.level import level_axes
from tst.space.sensors import curves, sensor, sensors
from tst.space.space import Space, Walk
from tst.viewing.cloud import Cloud, frame_points
from tst.viewing.layout import layout

POINTS = 500_000
"""Of a walk, at most."""
ABOVE_CAMERA = 0.3
"""Metres; what is higher is apart, so that one can look into the rooms from above."""
READINGS = 100_000
"""Of a sensor, at most."""
LOUDNESS_RATE = 20
"""Hz; of audio its loudness is shown."""
LABEL_SIDE = 480
"""Masks are stored as they are in memory, and so shrunk to this short side."""
FRUSTUM = 0.4
"""Metres from a camera to its image."""
MEDIA = {".png": "image/png", ".jpg": "image/jpeg"}
AXES = [(220, 80, 70), (70, 170, 90), (80, 120, 230), (150, 150, 150)]
ORANGE = (240, 150, 40)


def record(to: rr.RecordingStream, space: Space, rows: dict[str, np.ndarray]) -> None:
    """Write the walks named in `rows`, and of each the frames given there.

    Raises:
        UserError: a file is damaged.
    """
    to.send_recording_name(space.name)
    to.send_blueprint(layout([space.walks[name] for name in rows]))
    for name, chosen in rows.items():
        _Recorder(to, space, space.walks[name]).write(chosen)


class _Recorder:
    """Writes one walk."""

    def __init__(self, to: rr.RecordingStream, space: Space, walk: Walk) -> None:
        self.to, self.space, self.walk = to, space, walk
        self.root = rr.new_entity_path([walk.name])
        self.modalities = walk.modalities()
        poses = [walk.pose(row) for row in range(len(walk))]
        self.has_pose = np.array([pose is not None for pose in poses])
        self.poses = np.array([pose for pose in poses if pose is not None])
        self.up = level_axes(self.poses)[2] if len(self.poses) else np.zeros(3)
        self.times = walk.frames["time"].to_numpy()  # NaN where null
        known = np.flatnonzero(np.isfinite(self.times))
        self.start = float(self.times[known[0]]) if len(known) else None

    def write(self, rows: np.ndarray) -> None:
        """Write all of it, with the frames `rows`."""
        self._write_still()
        for name in sensors(self.walk):
            self._write_sensor(name)
        clouds = {"points": Cloud(POINTS), "ceiling": Cloud(POINTS)}
        pinholes: dict[str, Camera] = {}
        loaded = track(self._loaded(rows), f"showing {self.walk.name}", len(rows))
        for row, (pictures, points, colours, high) in zip(rows.tolist(), loaded, strict=True):
            self._set_time(row)
            self.to.log(f"{self.root}/camera", _transform(self.walk.pose(row)))
            for name, (picture, camera) in pictures.items():
                path = f"{self.root}/camera/{name}"
                if camera is not None and pinholes.get(name) != camera:
                    self.to.log(path, _pinhole(camera))
                    pinholes[name] = camera
                self.to.log(path, picture)
            clouds["points"].add(points[~high], colours[~high])
            clouds["ceiling"].add(points[high], colours[high])
        for name, cloud in clouds.items():
            points, colours = cloud.result()
            if len(points):
                shown = rr.Points3D(points, colors=colours, radii=0.6 * cloud.side)
                self.to.log(f"{self.root}/{name}", shown, static=True)

    def _write_still(self) -> None:
        """What holds at all times: which way is up, the path, the classes."""
        if len(self.poses):
            axis = int(np.abs(self.up).argmax())
            view = getattr(rr.ViewCoordinates, f"RIGHT_HAND_{'XYZ'[axis]}_{'UP' if self.up[axis] > 0 else 'DOWN'}")
            self.to.log(self.root, view, static=True)
            runs = np.split(self.poses[:, :3, 3], np.flatnonzero(np.diff(np.flatnonzero(self.has_pose)) > 1) + 1)
            self.to.log(f"{self.root}/path", rr.LineStrips3D(runs, colors=ORANGE, radii=0.01), static=True)
        if "semantic" in self.modalities:
            names = self.space.classes or []
            classes = [(index, name, palette()[index]) for index, name in enumerate(names)]
            classes.append((self.space.ignore_index, "(no label)", (0, 0, 0)))
            self.to.log(f"{self.root}/camera/semantic", rr.AnnotationContext(classes), static=True)

    def _write_sensor(self, name: str) -> None:
        """The curves of a sensor, thinned to READINGS."""
        table = sensor(self.walk, name)
        if name == "audio":
            times, columns = _loudness(table)
        else:
            times, columns = table["time"].to_numpy(), {c: table[c].to_numpy() for c in table.column_names[1:]}
        every = slice(None, None, -(-len(times) // READINGS) or 1)
        times = times[every]
        origin = self.start if self.start is not None else float(times[0]) if len(times) else 0.0
        indexes = [rr.TimeColumn("time", duration=times - origin)]
        if self.start is not None:
            known = np.flatnonzero(np.isfinite(self.times))
            before = np.searchsorted(self.times[known], times, side="right") - 1
            indexes.append(rr.TimeColumn("frame", sequence=known[before.clip(0)]))
        for group, members in curves(name).items():
            there = [member for member in members if np.isfinite(columns[member]).any()]
            if there:
                path = rr.new_entity_path([self.walk.name, "sensors", name, group])
                series = rr.SeriesLines(names=there, colors=[AXES[members.index(m)] for m in there])
                self.to.log(path, series, static=True)
                values = np.stack([columns[member][every] for member in there], 1)
                self.to.send_columns(path, indexes, rr.Scalars.columns(scalars=values))

    def _set_time(self, row: int) -> None:
        self.to.reset_time()
        self.to.set_time("frame", sequence=int(row))
        if self.start is not None and np.isfinite(self.times[row]):
            self.to.set_time("time", duration=float(self.times[row] - self.start))

    def _loaded(self, rows: np.ndarray) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]]:
        """What `_load` gives for each row, some of them ahead."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for start in range(0, len(rows), 8 * WORKERS):
                yield from pool.map(self._load, rows[start : start + 8 * WORKERS].tolist())

    def _load(self, row: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
        """Pictures with their cameras, by modality; points in the world, their colours, and which are high up."""
        pictures = {name: (self._picture(name, row), self._camera(name, row)) for name in self.modalities}
        if "depth" not in self.modalities or "rgb" not in self.modalities:
            return pictures, np.empty((0, 3)), np.empty((0, 3), np.uint8), np.empty(0, bool)
        points, colours = frame_points(self.walk, row)
        if not len(points):
            return pictures, points, colours, np.empty(0, bool)
        pose = self.walk.pose(row)
        assert pose is not None
        return pictures, points, colours, (points - pose[:3, 3]) @ self.up > ABOVE_CAMERA

    def _picture(self, name: str, row: int) -> Any:
        """The stored file as it is, where Rerun can read it."""
        path = self.walk.file(name, row)
        if name == "depth" and path.suffix == ".png":
            return rr.EncodedDepthImage(blob=path.read_bytes(), media_type="image/png", meter=1000.0)
        if name == "depth":
            return rr.DepthImage(self.walk.read(name, row), meter=1000.0)
        if name == "instance" or isinstance(MODALITIES[name], ClassMask):
            mask = self.walk.read(name, row)
            shrink = min(1.0, LABEL_SIDE / min(mask.shape))
            height, width = (max(1, round(side * shrink)) for side in mask.shape)
            return rr.SegmentationImage(MODALITIES[name].resize(mask, height, width))
        if path.suffix in MEDIA:
            return rr.EncodedImage(contents=path.read_bytes(), media_type=MEDIA[path.suffix])
        return rr.Image(MODALITIES[name].draw(self.walk.read(name, row)))

    def _camera(self, name: str, row: int) -> Camera | None:
        """Of the pictures that make sense in space: the image, and depth, which Rerun can unproject."""
        camera = self.walk.camera(row)
        if camera is None or name not in ("rgb", "depth") or self.walk.pose(row) is None:
            return None
        if name == "depth":
            height, width = images.size(self.walk.file(name, row))
            return camera.resized(width, height)
        return camera


def _transform(pose: np.ndarray | None) -> rr.Transform3D:
    if pose is None:  # Rerun then shows the picture, but nowhere in space
        return rr.Transform3D(quaternion=rr.Quaternion(xyzw=[0, 0, 0, 0]))
    return rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])


def _pinhole(camera: Camera) -> rr.Pinhole:
    return rr.Pinhole(
        focal_length=[camera.fx, camera.fy],
        principal_point=[camera.cx, camera.cy],
        width=camera.width,
        height=camera.height,
        camera_xyz=rr.ViewCoordinates.RDF,
        image_plane_distance=FRUSTUM,
    )


def _loudness(table: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times and the effective value, 0 to 1, of pieces of audio."""
    rate = float(table.schema.metadata[b"rate"])
    piece = max(1, round(rate / LOUDNESS_RATE))
    times, levels = [], []
    for time, samples in zip(table["time"].to_numpy(), table["samples"], strict=True):
        values = samples.values.to_numpy().astype(np.float64) / 32768
        for start in range(0, len(values), piece):
            times.append(time + start / rate)
            levels.append(np.sqrt((values[start : start + piece] ** 2).mean()))
    return np.array(times), {"samples": np.array(levels)}
