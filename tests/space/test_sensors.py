"""Sensors of a walk: what is refused, and windows against exact readings of a known motion."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from readers import scene as motion
from readers.scene import Scene
from tst.errors import UserError
from tst.space import Space, Walk
from tst.space.orientation import turned_pose
from tst.space.sensors import GAP, SENSORS, curves, rate, sensor, sensors, window

SCENE = Scene()
FRAME_TIMES = 1000 + np.arange(6) / 10


@pytest.fixture
def walk(walk_space: Space) -> Walk:
    """Six frames at the times of SCENE, without sensors."""
    path = walk_space.walks["walk"].path / "frames.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("time")
    pq.write_table(table.set_column(place, "time", pa.array(FRAME_TIMES)), path)
    return Space.open(walk_space.path).walks["walk"]


def write(walk: Walk, name: str, times: np.ndarray, metadata: dict[str, str] | None = None, **columns: Any) -> None:
    """Write a sensor; columns that are not given are null."""
    (walk.path / "sensors").mkdir(exist_ok=True)
    kinds = {column: pa.list_(pa.int16()) if column == "samples" else pa.float64() for column in SENSORS[name]}
    arrays = {column: pa.array(columns.get(column, [None] * len(times)), kind) for column, kind in kinds.items()}
    table = pa.table({"time": pa.array(times, pa.float64()), **arrays}).replace_schema_metadata(metadata)
    pq.write_table(table, walk.path / "sensors" / f"{name}.parquet")


def write_imu(walk: Walk, times: np.ndarray) -> None:
    gyro = np.array([motion.gyro(SCENE, time) for time in times])
    accel = np.array([motion.accel(SCENE, time) for time in times])
    columns = {f"gyro_{axis}": gyro[:, k] for k, axis in enumerate("xyz")}
    write(walk, "imu", times, **columns, **{f"accel_{axis}": accel[:, k] for k, axis in enumerate("xyz")})


def moments(seconds: float, hertz: float) -> np.ndarray:
    """(N, T) of the windows of all frames."""
    return FRAME_TIMES[:, None] + np.arange(1 - round(seconds * hertz), 1) / hertz


def test_windows_of_an_imu_are_what_the_motion_says(walk: Walk) -> None:
    write_imu(walk, 999.9 + np.arange(200) / 200 + 0.0013)
    values, known = window(walk, "imu", seconds=0.2, rate=100)
    assert values.shape == (6, 20, 6) and values.dtype == np.float32 and known.dtype == bool
    at = moments(0.2, 100)
    assert (known == (at >= 999.9013)).all() and known[1:].all() and not known[0].all()
    assert (np.isnan(values).all(-1) == ~known).all()
    for row in range(6):
        for k in np.flatnonzero(known[row]):
            exact = [*motion.gyro(SCENE, at[row, k]), *motion.accel(SCENE, at[row, k])]
            np.testing.assert_allclose(values[row, k], exact, atol=0.02)


def test_the_last_value_is_the_frames_own(walk: Walk) -> None:
    times = np.arange(998_000, 1_001_001, 5) / 1000
    write(walk, "light", times, lux=times - 1000)
    values, known = window(walk, "light", seconds=1, rate=200)
    np.testing.assert_allclose(values[:, -1, 0], FRAME_TIMES - 1000, atol=1e-5)
    np.testing.assert_allclose(values[:, 0, 0], FRAME_TIMES - 1000 - 0.995, atol=1e-5)
    assert known.all()
    some, _ = window(walk, "light", rows=np.array([4, 1]))
    np.testing.assert_array_equal(some, values[[4, 1]])
    assert window(walk, "light", seconds=0.001, rate=1)[0].shape == (6, 1, 1)


def test_nothing_is_made_up_beyond_or_across_gaps(walk: Walk) -> None:
    times = np.concatenate([np.arange(0, 20), np.arange(20 + GAP - 1, 40), np.arange(40 + GAP + 1, 60)]) / 100 + 1000
    write(walk, "light", times, lux=np.ones(len(times)))
    _, known = window(walk, "light", seconds=0.1, rate=1000)
    at = moments(0.1, 1000)
    # Readings 19 and 24 are GAP steps apart, 39 and 46 are more; 59 is the last.
    expected = (at > 999.9999) & (at < 1000.5901) & ~((at > 1000.3901) & (at < 1000.4599))
    np.testing.assert_array_equal(known, expected)


def test_frames_without_a_time_have_no_window(walk: Walk) -> None:
    write(walk, "light", FRAME_TIMES, lux=np.ones(6))
    path = walk.path / "frames.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("time")
    pq.write_table(table.set_column(place, "time", pa.array([None, *FRAME_TIMES[1:]])), path)
    _, known = window(Space.open(walk.path.parents[1]).walks["walk"], "light", seconds=0.01, rate=100)
    assert known[:, 0].tolist() == [False, True, True, True, True, True]


def test_readings_that_are_null_are_nan_and_spare_the_others(walk: Walk) -> None:
    times = 1000 + np.arange(60) / 100
    x: list[float | None] = [1.0] * 60
    x[20] = None
    write(walk, "imu", times, accel_x=x, accel_y=np.full(60, 2.0))
    values, known = window(walk, "imu", seconds=0.1, rate=100)
    assert known[1:].all() and np.isnan(values[..., :3]).all() and np.isnan(values[..., 5]).all()
    assert (values[1:, :, 4] == 2).all()
    assert np.argwhere(np.isnan(values[1:, :, 3])).tolist() == [[1, 9]]  # reading 20 is the moment of frame 2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_readings(count: int, walk: Walk) -> None:
    write(walk, "light", FRAME_TIMES[2 : 2 + count], lux=np.arange(count) + 3.0)
    values, known = window(walk, "light", seconds=0.01, rate=100)
    assert known[:, 0].tolist() == [2 <= row < 2 + count for row in range(6)]
    assert values[known[:, 0], 0, 0].tolist() == [3.0, 4.0][:count]
    assert rate(sensor(walk, "light")) == (pytest.approx(10) if count == 2 else None)


def test_two_readings_at_one_moment(walk: Walk) -> None:
    write(walk, "light", np.array([1000.0, 1000.1, 1000.1, 1000.2]), lux=[0.0, 1.0, 2.0, 3.0])
    values, known = window(walk, "light", seconds=0.1, rate=20)
    assert known[1].tolist() == [True, True] and values[1, :, 0].tolist() == pytest.approx([0.5, 2.0])
    assert values[2, :, 0].tolist() == pytest.approx([2.5, 3.0])


def test_quaternions_take_the_shorter_way_and_stay_rotations(walk: Walk) -> None:
    times = 999.9 + np.arange(80) / 100
    exact = Rotation.from_matrix([SCENE.true_pose(time)[:3, :3] for time in times]).as_quat()
    flipped = exact * np.where(np.arange(80) % 3 == 0, -1, 1)[:, None]
    write(walk, "attitude", times, **{f"q{axis}": flipped[:, k] for k, axis in enumerate("xyzw")})
    values, known = window(walk, "attitude", seconds=0.1, rate=333)
    assert known.all()
    np.testing.assert_allclose(np.linalg.norm(values, axis=-1), 1, atol=1e-6)
    at = moments(0.1, 333)
    for row in range(6):
        true = Rotation.from_matrix([SCENE.true_pose(time)[:3, :3] for time in at[row]])
        assert (true.inv() * Rotation.from_quat(values[row])).magnitude().max() < 1e-3


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_vectors_and_quaternions_turn_with_the_image(turns: int, walk: Walk) -> None:
    times = 999.9 + np.arange(160) / 200
    write_imu(walk, times)
    turn = Rotation.from_euler("xyz", [0.3, 0.2, 0.1])
    write(walk, "pose", times, x=times, **{f"q{axis}": [turn.as_quat()[k]] * 160 for k, axis in enumerate("xyzw")})
    before, _ = window(walk, "imu", seconds=0.01, rate=100)
    path = walk.path / "frames.parquet"
    table = pq.read_table(path)
    stored = pa.array([turns, 0, turns, 0, turns, None], pa.int8())
    pq.write_table(table.set_column(table.column_names.index("turns"), "turns", stored), path)
    walk = Space.open(walk.path.parents[1]).walks["walk"]
    after, _ = window(walk, "imu", seconds=0.01, rate=100)
    np.testing.assert_array_equal(after[[1, 3, 5]], before[[1, 3, 5]])
    to_new = turned_pose(np.eye(4), turns)[:3, :3].T
    for vector in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(after[2, 0, vector], to_new @ before[2, 0, vector], atol=1e-6)
    pose, _ = window(walk, "pose", seconds=0.01, rate=100)
    assert pose[2, 0, 0] == pytest.approx(1000.2), "the position is in the world"
    new = turned_pose(np.block([[turn.as_matrix(), np.zeros((3, 1))], [np.zeros(3), 1]]), turns)[:3, :3]
    np.testing.assert_allclose(Rotation.from_quat(pose[2, 0, 3:]).as_matrix(), new, atol=1e-6)


def test_windows_of_audio(walk: Walk) -> None:
    hertz = 8000
    wave = np.rint(20000 * np.sin(np.arange(hertz) / hertz * 2 * np.pi * 50)).astype(np.int16)
    # A second from 999.8 in three blocks, of which one is empty; the last comes late by 0.1 s.
    blocks = [wave[:2400], wave[:0], wave[2400:4000], wave[4000:]]
    write(walk, "audio", np.array([999.8, 1000.1, 1000.1, 1000.4]), {"rate": str(hertz)}, samples=blocks)
    values, known = window(walk, "audio", seconds=0.05, rate=16000)
    at = moments(0.05, 16000)
    np.testing.assert_array_equal(known, (at < 1000.3 - 1 / hertz + 1e-7) | (at > 1000.4 - 1e-7))
    late = np.where(at > 1000.35, 0.1, 0)
    exact = 20000 / 32768 * np.sin((at - late - 999.8) * 2 * np.pi * 50)
    np.testing.assert_allclose(values[known][:, 0], exact[known], atol=2e-3)


def test_what_there_is(walk: Walk) -> None:
    assert sensors(walk) == []
    write(walk, "light", FRAME_TIMES, lux=np.ones(6))
    write_imu(walk, FRAME_TIMES)
    (walk.path / "sensors" / "other.parquet").write_text("not ours")
    assert sensors(walk) == ["imu", "light"]
    with pytest.raises(UserError, match="has no sensor 'gps'; there are: imu, light"):
        sensor(walk, "gps")
    with pytest.raises(UserError, match="has no sensor 'other'"):
        sensor(walk, "other")


@pytest.mark.parametrize(("seconds", "hertz"), [(0, 100), (1, 0), (-1, 1), (np.inf, 1), (1, np.nan)])
def test_windows_of_nothing_are_refused(seconds: float, hertz: float, walk: Walk) -> None:
    write(walk, "light", FRAME_TIMES, lux=np.ones(6))
    with pytest.raises(UserError, match=r"is empty\. Choose numbers above 0"):
        window(walk, "light", seconds, hertz)


def drop(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([column])


def put(column: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(column), column, pa.array(values))


DAMAGE: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "column gone": (drop("gyro_y"), "has no column 'gyro_y'"),
    "no time": (drop("time"), "has no column 'time'"),
    "words": (put("gyro_x", ["a", "b", "c"]), "its columns are not numbers"),
    "time is null": (put("time", [1.0, None, 2.0]), "`time` is not finite in row 1"),
    "time is infinite": (put("time", [1.0, 2.0, np.inf]), "`time` is not finite in row 2"),
    "time goes backwards": (put("time", [1.0, 0.5, 2.0]), r"`time` goes backwards in row 1 \(to 0.5 s\)"),
    "infinite": (put("accel_z", [1.0, -np.inf, 2.0]), "'accel_z' is infinite"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_tables_are_refused(name: str, walk: Walk) -> None:
    write_imu(walk, FRAME_TIMES[:3])
    path = walk.path / "sensors" / "imu.parquet"
    pq.write_table(DAMAGE[name][0](pq.read_table(path)), path)
    with pytest.raises(UserError, match=r"imu\.parquet: " + DAMAGE[name][1]) as error:
        sensor(walk, "imu")
    assert "\n" not in str(error.value)


def test_damaged_files_are_refused(walk: Walk) -> None:
    write_imu(walk, FRAME_TIMES)
    path = walk.path / "sensors" / "imu.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"imu\.parquet: not readable") as error:
        window(walk, "imu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("metadata", [None, {"rate": "fast"}, {"rate": "0"}, {"rate": "nan"}])
def test_audio_needs_its_rate(metadata: dict[str, str] | None, walk: Walk) -> None:
    write(walk, "audio", np.array([1000.0]), metadata, samples=[[1, 2]])
    with pytest.raises(UserError, match="metadata has no `rate`"):
        sensor(walk, "audio")


@pytest.mark.parametrize("samples", [[None], [[1, None]]])
def test_audio_without_samples_is_refused(samples: list[Any], walk: Walk) -> None:
    write(walk, "audio", np.array([1000.0]), {"rate": "8000"}, samples=samples)
    with pytest.raises(UserError, match="`samples` is null somewhere"):
        sensor(walk, "audio")


def test_curves_share_a_unit() -> None:
    assert curves("imu") == {"gyro": ["gyro_x", "gyro_y", "gyro_z"], "accel": ["accel_x", "accel_y", "accel_z"]}
    assert curves("pose") == {"xyz": ["x", "y", "z"], "q": ["qx", "qy", "qz", "qw"]}
    assert list(curves("gps")) == ["latitude", "longitude", "altitude", "accuracy"]
    assert sorted(column for name in SENSORS for group in curves(name).values() for column in group) == sorted(
        column for columns in SENSORS.values() for column in columns
    )
