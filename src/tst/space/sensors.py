"""What a device measures beside its images: names, columns and units; and a window of it for each frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tst.errors import UserError
from tst.space.space import Walk

SENSORS: dict[str, dict[str, str]] = {
    "imu": {
        **{f"gyro_{axis}": "rad/s, camera axes" for axis in "xyz"},
        **{f"accel_{axis}": "m/s2, camera axes; specific force: at rest 9.81 upwards" for axis in "xyz"},
    },
    "magnetometer": {f"mag_{axis}": "microtesla, camera axes" for axis in "xyz"},
    "light": {"lux": "lux"},
    "gps": {
        "latitude": "degrees north",
        "longitude": "degrees east",
        "altitude": "m",
        "accuracy": "m, horizontal, one deviation; null if unknown",
    },
    "attitude": {f"q{axis}": "quaternion, camera axes (OpenCV) to the recording's world" for axis in "xyzw"},
    "pose": {
        **dict.fromkeys("xyz", "m, position of the camera in the world"),
        **{f"q{axis}": "quaternion, camera axes (OpenCV) to the world" for axis in "xyzw"},
    },
    "audio": {"samples": "list of int16: the samples from `time` on, at the rate in the table's metadata"},
}
"""Columns of each sensor's table beside `time` (float64 seconds of the frames' clock, ascending). All are float64 but
`samples`. A sensor that lacks a column (an IMU without a gyroscope) has nulls there. Camera axes are those of the
camera as the device holds it, before images are turned upright (`turns` in frames.parquet)."""

GAP = 5
"""Readings further apart than this many usual steps have a gap between them, of which nothing is known."""
EXACT = 1e-6
"""Seconds within which a moment is that of a reading."""
CHUNK = 1_000_000
"""Moments that are interpolated at once, which bounds memory."""
REMEDY = "Restore it, or read the walk again."


def sensors(walk: Walk) -> list[str]:
    """Names of what the walk has beside its images, in the order of SENSORS."""
    return [name for name in SENSORS if (walk.path / "sensors" / f"{name}.parquet").is_file()]


def sensor(walk: Walk, name: str) -> pa.Table:
    """All readings of one sensor: `time` and the columns of SENSORS[name].

    Raises:
        UserError: the walk has no such sensor, or its file is damaged: missing columns, times or values that are not
            finite, a clock that goes backwards.
    """
    path = walk.path / "sensors" / f"{name}.parquet"
    if name not in SENSORS or not path.is_file():
        there = ", ".join(sensors(walk)) or "none"
        raise UserError(f"{walk.path}: has no sensor {name!r}; there are: {there}. Choose one of them.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not readable ({str(error).splitlines()[0]}). {REMEDY}") from None
    wanted = ["time", *SENSORS[name]]
    if missing := [column for column in wanted if column not in table.column_names]:
        raise UserError(f"{path}: has no column {missing[0]!r}. {REMEDY}")
    types = [pa.list_(pa.int16()) if column == "samples" else pa.float64() for column in wanted]
    schema = pa.schema(list(zip(wanted, types, strict=True)), metadata=table.schema.metadata)
    try:
        table = table.select(wanted).cast(schema)
    except (pa.ArrowException, ValueError):
        raise UserError(f"{path}: its columns are not numbers. {REMEDY}") from None
    times = table["time"].to_numpy()
    if not np.isfinite(times).all():
        raise UserError(f"{path}: `time` is not finite in row {int((~np.isfinite(times)).argmax())}. {REMEDY}")
    if (np.diff(times) < 0).any():
        row = int((np.diff(times) < 0).argmax()) + 1
        raise UserError(f"{path}: `time` goes backwards in row {row} (to {times[row]:g} s). Sort it by time.")
    if name == "audio":
        if table["samples"].null_count or pc.list_flatten(table["samples"]).null_count:
            raise UserError(f"{path}: `samples` is null somewhere. {REMEDY}")
        if not rate(table):
            raise UserError(f"{path}: the table's metadata has no `rate` above 0. {REMEDY}")
    elif infinite := [column for column in SENSORS[name] if np.isinf(table[column].to_numpy()).any()]:
        raise UserError(f"{path}: {infinite[0]!r} is infinite somewhere. {REMEDY}")
    return table


def rate(table: pa.Table) -> float | None:
    """Readings a second of a sensor's table: the usual, not the mean; None if there are fewer than two moments."""
    if "samples" in table.column_names:
        try:
            value = float((table.schema.metadata or {}).get(b"rate", b""))
        except ValueError:
            return None
        return value if 0 < value < np.inf else None
    step = _step(table["time"].to_numpy())
    return 1 / step if step else None


def curves(name: str) -> dict[str, list[str]]:
    """The columns of a sensor that belong into one plot (one unit), by what they are called together."""
    units: dict[str, list[str]] = {}
    for column, unit in SENSORS[name].items():
        units.setdefault(unit, []).append(column)
    return {_together(columns): columns for columns in units.values()}


def _together(columns: list[str]) -> str:
    return columns[0] if len(columns) == 1 else columns[0][:-1].rstrip("_") or "".join(columns)


def window(
    walk: Walk, name: str, seconds: float = 1.0, rate: float = 200.0, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What a sensor measured in the time up to each frame, at a fixed rate.

    The window ends at the frame, and does not lie round it: a model that sees it can run on a live camera, and knows
    nothing of what comes after the image. Readings are interpolated linearly, and quaternions along the shorter
    arc; they are not filtered, so a rate below the sensor's own picks readings out. Nothing is extrapolated or
    interpolated across a gap of more than GAP readings. Vectors and quaternions are turned with the frame's image.

    Args:
        walk: the walk.
        name: the sensor.
        seconds: length of the window.
        rate: values a second.
        rows: which frames, (N,); by default all. Audio of many frames needs a choice to fit into memory.

    Returns:
        values, float32 (N frames, T, C): columns as in SENSORS (audio: one, from -1 to 1); the last of the T =
            seconds * rate moments, at least one, is the frame's own. NaN where nothing is known, and in columns that
            the sensor lacks.
        known, bool (N, T): whether there are readings to interpolate between.

    Raises:
        UserError: the sensor is missing or damaged, or there is no such window.
    """
    if not (0 < seconds < np.inf and 0 < rate < np.inf):
        raise UserError(f"{name}: a window of {seconds:g} s at {rate:g} Hz is empty. Choose numbers above 0.")
    table = sensor(walk, name)
    rows = np.arange(len(walk)) if rows is None else np.asarray(rows)
    frame_times = walk.frames["time"].to_numpy()[rows]  # NaN where null
    length = max(1, round(seconds * rate))
    offsets = np.arange(1 - length, 1) / rate
    signal = _blocks(table) if name == "audio" else _readings(table, list(SENSORS[name]))
    columns = list(SENSORS[name])
    quaternion = columns.index("qx") if "qx" in columns else None

    values = np.full((len(rows), length, signal.values.shape[1]), np.nan, np.float32)
    known = np.zeros((len(rows), length), bool)
    for start in range(0, len(rows) if len(signal.values) else 0, max(1, CHUNK // length)):
        some = slice(start, start + max(1, CHUNK // length))
        at = (frame_times[some, None] + offsets).ravel()
        before, share, there = signal.locate(at)
        after = np.minimum(before + 1, len(signal.values) - 1)
        mixed, change = signal.values[before], signal.values[after]
        change -= mixed
        change *= share[:, None]
        # A reading that is met exactly counts even if the next one is null.
        np.add(mixed, change, out=mixed, where=(share > 0)[:, None])
        if quaternion is not None:
            turn = mixed[:, quaternion : quaternion + 4]
            with np.errstate(invalid="ignore", divide="ignore"):
                turn /= np.linalg.norm(turn, axis=1, keepdims=True)
        mixed[~there] = np.nan
        values[some] = mixed.reshape(-1, *values.shape[1:])
        known[some] = there.reshape(-1, length)
    _turn(values, columns, walk.frames["turns"].fill_null(0).to_numpy()[rows])
    return values, known


@dataclass(frozen=True, eq=False)
class _Signal:
    """Readings and where a moment lies between them.

    Attributes:
        times: (B,) seconds, ascending, of the first reading of each block; one block a reading unless it is audio.
        first: (B + 1,) the reading that each block begins with.
        steps: (B,) seconds between the readings of a block; where it has only one, up to the next block.
        reach: (B,) how many steps after the block's first reading something is known.
        values: (S, C) float32.
    """

    times: np.ndarray
    first: np.ndarray
    steps: np.ndarray
    reach: np.ndarray
    values: np.ndarray

    def locate(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For moments (M,), NaN allowed: the reading before, the share of the one after it (float32), known or not."""
        block = (np.searchsorted(self.times, at + EXACT, side="right") - 1).clip(0)
        past = at - self.times[block]
        place = past / self.steps[block]
        exact = np.abs(past) <= EXACT
        known = exact | ((place > 0) & (place <= self.reach[block] + 1e-9))
        place = np.where(known & ~exact, place, 0)
        whole = place.astype(np.int64)
        return self.first[block] + whole, (place - whole).astype(np.float32), known


def _readings(table: pa.Table, columns: list[str]) -> _Signal:
    """One block a reading; quaternions are given the sign of the one before, so that they can be interpolated."""
    times = table["time"].to_numpy()
    values = np.stack([table[column].to_numpy() for column in columns], 1)
    if "qx" in columns:
        place = columns.index("qx")
        turns = values[:, place : place + 4]
        with np.errstate(invalid="ignore"):
            flips = np.where((turns[1:] * turns[:-1]).sum(1) < 0, -1.0, 1.0)
        turns[1:] *= np.cumprod(flips)[:, None]
    steps = np.diff(times, append=np.inf)
    near = steps <= GAP * (_step(times) or 0)
    steps[steps == 0] = np.inf  # of readings at one moment the last counts
    return _Signal(times, np.arange(len(times) + 1), steps, near.astype(float), values.astype(np.float32))


def _blocks(table: pa.Table) -> _Signal:
    """Audio: a block a row; one that the next row continues reaches up to it."""
    frequency = rate(table)
    assert frequency
    table = table.filter(pc.greater(pc.list_value_length(table["samples"]), 0))
    times, lengths = table["time"].to_numpy(), pc.list_value_length(table["samples"]).to_numpy().astype(np.int64)
    gaps = np.diff(times, append=np.inf) - lengths / frequency
    reach = lengths - 1.0 + (np.abs(gaps) <= GAP / frequency)
    values = pc.list_flatten(table["samples"]).to_numpy().astype(np.float32)[:, None] / 32768
    first = np.concatenate([[0], np.cumsum(lengths)])
    return _Signal(times, first, np.full(len(times), 1 / frequency), reach, values)


def _step(times: np.ndarray) -> float | None:
    """The usual time between readings."""
    steps = np.diff(times)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else None


def _turn(values: np.ndarray, columns: list[str], turns: np.ndarray) -> None:
    """Turn what is in camera axes, in place, for frames whose images were turned clockwise `turns` times, (N,)."""
    for count in (1, 2, 3):
        rows = turns % 4 == count
        if not rows.any():
            continue
        turned = values[rows]
        for x in _vectors(columns):
            for _ in range(count):
                turned[..., x], turned[..., x + 1] = -turned[..., x + 1], turned[..., x].copy()
        if "qx" in columns:
            place = columns.index("qx")
            x, y, z, w = np.moveaxis(turned[..., place : place + 4], -1, 0)
            sine, cosine = np.float32(-np.sin(np.pi / 4 * count)), np.float32(np.cos(np.pi / 4 * count))
            turned[..., place : place + 4] = np.stack(
                [x * cosine + y * sine, y * cosine - x * sine, z * cosine + w * sine, w * cosine - z * sine], -1
            )
        values[rows] = turned


def _vectors(columns: list[str]) -> Iterator[int]:
    """Places of the x of vectors in camera axes."""
    return (place for place, column in enumerate(columns) if column.endswith("_x"))
