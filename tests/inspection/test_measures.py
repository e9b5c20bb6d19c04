"""Each defect, put into a sound walk, is measured; and the sound walk has none."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import tst.readers
from captures import look
from tst.inspection.agreement import agreement
from tst.inspection.alignment import align
from tst.inspection.clock import clock
from tst.inspection.coverage import DIRECTIONS, Coverage, coverage
from tst.inspection.depth import depth_holes
from tst.inspection.gaps import gaps
from tst.inspection.loops import Loops, loops
from tst.inspection.motion import motion
from tst.inspection.pictures import edge_width, pictures
from tst.inspection.surfaces import Surface, surface
from tst.inspection.trajectory import Trajectory, trajectory
from tst.space import Camera, Space

Altered = Callable[..., Space]
Columns = dict[str, list[Any]]


def course_of(space: Space) -> Trajectory:
    return trajectory(next(iter(space.walks.values())))


def move(columns: Columns, change: Callable[[int, np.ndarray], np.ndarray]) -> None:
    """Change the poses in place: `change(number, pose)`, OpenCV camera-to-world."""
    poses = [np.reshape(pose, (4, 4)) for pose in columns["pose"]]
    columns["pose"] = [change(number, pose).ravel().tolist() for number, pose in enumerate(poses)]


def shifted(pose: np.ndarray, *by: float) -> np.ndarray:
    result = pose.copy()
    result[:3, 3] += by
    return result


def forget_times(columns: Columns) -> None:
    columns["time"] = [None] * len(columns["time"])


def mapped(course: Trajectory) -> Coverage:
    found = coverage(course, 500)
    assert found is not None
    return found


def closed(course: Trajectory) -> Loops:
    seen = mapped(course)
    found = loops(course, seen.views, seen.cubes)
    assert found is not None
    return found


# Pictures


def test_sharp_pictures(sound: Space) -> None:
    found = pictures(course_of(sound), 60)
    assert found.checked <= 60 and (found.blurred, found.dark, found.bright, found.clipped) == (0, 0, 0, 0)
    assert found.worst == [] and found.darkest is None and found.brightest is None


@pytest.mark.parametrize("kind", ["out of focus", "moving sideways", "moving down"])
def test_blurred_pictures(altered: Altered, kind: str) -> None:
    def blur(number: int, rgb: np.ndarray) -> np.ndarray:
        if not 30 <= number < 78:
            return rgb
        if kind == "out of focus":
            return cv2.GaussianBlur(rgb, (0, 0), 2)
        return cv2.blur(rgb, (7, 1) if kind == "moving sideways" else (1, 7))

    found = pictures(course_of(altered(rgb=blur)), 400)
    assert found.blurred == pytest.approx(0.4, abs=0.02)
    assert len(found.worst) == 5 and all(30 <= int(name) < 78 for name in found.worst)


def test_the_share_of_blurred_frames_is_not_that_of_the_suspects(altered: Altered) -> None:
    """Of the pictures looked at, a quarter is taken from those of low sharpness; a tenth of all is blurred."""

    def soften(columns: Columns) -> None:
        columns["sharpness"] = [5.0 if n % 10 == 0 else 100.0 for n in range(120)]

    space = altered(soften, rgb=lambda n, rgb: cv2.GaussianBlur(rgb, (0, 0), 2) if n % 10 == 0 else rgb)
    found = pictures(course_of(space), 30)
    assert found.low == 12 and found.blurred == pytest.approx(0.1, abs=0.01)


def test_a_bare_wall_is_not_blurred() -> None:
    noise = np.random.default_rng(0).normal(200, 2, (200, 200))
    assert edge_width(np.full((200, 200), 200, np.uint8)) == 0 and edge_width(noise.astype(np.uint8)) < 0.6


@pytest.mark.parametrize(("factor", "what"), [(0.1, "dark"), (30.0, "bright"), (30.0, "clipped")])
def test_exposure(altered: Altered, factor: float, what: str) -> None:
    def expose(number: int, rgb: np.ndarray) -> np.ndarray:
        return (rgb * (factor if number < 24 else 1)).clip(0, 255).astype(np.uint8)

    found = pictures(course_of(altered(rgb=expose)), 400)
    assert getattr(found, what) == pytest.approx(0.2)
    example = found.darkest if what == "dark" else found.brightest
    assert example is not None and int(example) < 24


# Depth


def test_depth_without_holes(sound: Space) -> None:
    found = depth_holes(course_of(sound), 40)
    assert found.checked == 40 and (found.unknown, found.worst, found.empty) == (0, 0, 0)
    assert found.where is None and found.on is None


@pytest.mark.parametrize(
    ("rows", "columns", "where"),
    [
        (slice(None), slice(0, 32), "left"),
        (slice(0, 24), slice(None), "top"),
        (slice(48, 72), slice(64, 96), "bottom right"),
        (slice(24, 48), slice(32, 64), "middle"),
        (slice(None), slice(None), None),
    ],
)
def test_where_the_holes_are(altered: Altered, rows: slice, columns: slice, where: str | None) -> None:
    def hole(number: int, depth: np.ndarray) -> np.ndarray:
        result = depth.copy()
        result[rows, columns][:: 1 if where else 2] = 0
        return result

    found = depth_holes(course_of(altered(depth=hole)), 20)
    changed = np.zeros((72, 96), bool)
    changed[rows, columns][:: 1 if where else 2] = True
    assert found.where == where and found.unknown == pytest.approx(changed.mean(), abs=0.01) and found.on is None


@pytest.mark.parametrize(("grey", "name"), [(0, "dark"), (255, "light"), (128, None)])
def test_on_what_the_holes_are(altered: Altered, grey: int, name: str | None) -> None:
    """A thing wanders over the picture, and the sensor does not see it."""

    def thing(number: int, array: np.ndarray) -> np.ndarray:
        result = array.copy()
        left = number * 7 % 60
        result[20:50, left : left + 30] = grey if array.ndim == 3 else 0
        return result

    found = depth_holes(course_of(altered(rgb=thing, depth=thing)), 60)
    assert found.on == name and 0.1 < found.unknown < 0.15


def test_empty_depth(altered: Altered) -> None:
    space = altered(depth=lambda n, depth: depth * (n >= 30))
    assert depth_holes(course_of(space), 400).empty == pytest.approx(0.25)


# Clock


def test_a_clock_without_gaps(sound: Space) -> None:
    found = clock(course_of(sound))
    assert found and found.rate == pytest.approx(2.5) and found.seconds == pytest.approx(119 / 2.5)
    assert (found.backwards, found.repeated, found.gaps) == (0, 0, [])


def test_a_gap_in_which_the_camera_went_on(altered: Altered) -> None:
    found = clock(course_of(altered(frames=[*range(50), *range(65, 120)])))
    assert found and len(found.gaps) == 1 and found.gaps[0].missed
    assert (found.gaps[0].frame, found.gaps[0].seconds) == ("0049", pytest.approx(6.4))
    assert found.gaps[0].moved is not None and 1 < found.gaps[0].moved < 2.5


def test_a_pause_is_no_gap(altered: Altered) -> None:
    def wait(columns: Columns) -> None:
        columns["time"] = [time + 30 * (n >= 60) for n, time in enumerate(columns["time"])]

    found = clock(course_of(altered(wait)))
    assert found and len(found.gaps) == 1 and not found.gaps[0].missed


def test_a_clock_that_goes_backwards_or_stands_still(altered: Altered) -> None:
    def spoil(columns: Columns) -> None:
        times = columns["time"]
        times[50], times[51] = times[51], times[50]
        times[101] = times[100]

    found = clock(course_of(altered(spoil)))
    assert found and (found.backwards, found.repeated) == (1, 1)


def test_no_clock(altered: Altered) -> None:
    assert clock(course_of(altered(forget_times))) is None


# Motion


def test_a_steady_motion(sound: Space) -> None:
    found = motion(course_of(sound), depth=True)
    assert found and (found.jumps, found.cuts, found.stuck) == ([], [], 0)
    assert found.metres == pytest.approx(14.3, abs=0.2) and found.speed == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("at", [21, 60, 91])
def test_a_jump_of_half_a_metre(altered: Altered, at: int) -> None:
    """In 0.4 s this is no impossible speed: the depth tells."""
    course = course_of(altered(lambda c: move(c, lambda n, pose: shifted(pose, 0.35 * (n >= at), 0, 0.35 * (n >= at)))))
    found = motion(course, depth=True)
    assert found and [jump.index for jump in found.jumps] == [at] and not found.cuts
    assert found.jumps[0].metres == pytest.approx(0.5, abs=0.15)
    assert motion(course, depth=False).jumps == []  # type: ignore[union-attr]


def test_a_jump_without_depth_is_told_by_its_speed(altered: Altered) -> None:
    course = course_of(altered(lambda c: move(c, lambda n, pose: shifted(pose, 2.0 * (n >= 70), 0, 0))))
    found = motion(course, depth=False)
    assert found and [jump.after for jump in found.jumps] == ["0070"] and not found.cuts


def test_a_turn_that_cannot_be(altered: Altered) -> None:
    turn = np.diag([-1.0, 1, -1, 1])  # half a turn about the camera's own vertical

    def spin(columns: Columns) -> None:
        move(columns, lambda n, pose: pose @ turn if n >= 70 else pose)

    found = motion(course_of(altered(spin)), depth=False)
    assert found and [jump.index for jump in found.jumps] == [70] and found.jumps[0].degrees > 160


def test_a_quick_step_is_no_jump(altered: Altered) -> None:
    """Frames are missing while the camera walks on: the depth bears the step out."""
    course = course_of(altered(forget_times, frames=[*range(57), *range(61, 120)]))
    assert course.moved[56] > 0.45
    found = motion(course, depth=True)
    assert found and not found.jumps and not found.cuts


def test_a_cut_is_no_jump(altered: Altered) -> None:
    """Poses and pictures both go on elsewhere."""
    found = motion(course_of(altered(forget_times, frames=[*range(30), *range(60, 120)])), depth=True)
    assert found and [cut.after for cut in found.cuts] == ["0060"] and not found.jumps


def test_tracking_that_stands_still(altered: Altered) -> None:
    def stick(columns: Columns) -> None:
        columns["pose"][40:61] = [columns["pose"][40]] * 21

    found = motion(course_of(altered(stick)), depth=True)
    assert found and found.stuck == 20


def test_a_camera_that_stands_still_is_not_stuck(altered: Altered) -> None:
    found = motion(course_of(altered(frames=[*range(60), *[60] * 20, *range(61, 120)])), depth=True)
    assert found and found.stuck == 0


# Loops


def test_loops_that_close(sound: Space) -> None:
    found = closed(course_of(sound))
    assert found.pairs > 15 and found.error < 0.3 and found.worst < 0.5 and found.per == "minute"
    assert (found.apart > 20).all()


@pytest.mark.parametrize("direction", [(0.6, 0.8), (1, 0), (0, 1)])
def test_a_drift_of_ten_centimetres_a_round(altered: Altered, direction: tuple[float, float]) -> None:
    x, z = np.array(direction) * 0.1 / 60
    found = closed(course_of(altered(lambda c: move(c, lambda n, pose: shifted(pose, n * x, 0, n * z)))))
    assert found.error == pytest.approx(10, abs=1.5)


def test_drift_grows_with_time(altered: Altered) -> None:
    """Six rounds: 3 cm more with each of 24 s is 7.5 cm a minute."""

    def drift(columns: Columns) -> None:
        columns["time"] = [n / 2.5 for n in range(360)]
        move(columns, lambda n, pose: shifted(pose, n * 0.03 / 60, 0, 0))

    found = closed(course_of(altered(drift, frames=[n % 120 for n in range(360)])))
    assert found.drift == pytest.approx(7.5, rel=0.15) and found.worst > found.error


def test_a_single_round_has_no_loops(altered: Altered) -> None:
    course = course_of(altered(frames=list(range(45))))
    seen = mapped(course)
    assert loops(course, seen.views, seen.cubes) is None


def test_a_shift_along_a_bare_wall_is_not_seen_and_one_towards_it_is() -> None:
    camera = Camera(64, 64, 40, 40, 32, 32)

    def wall(distance: float) -> Surface:
        points = camera.unproject(np.full((64, 64), distance))
        return Surface(camera, points, np.broadcast_to([0.0, 0, -1], points.shape).copy(), np.ones((64, 64), bool))

    along, towards = np.eye(4), np.eye(4)
    along[0, 3], towards[2, 3] = 0.1, 0.1
    for shift, error in ((along, 0.0), (towards, 0.1)):
        found = align(wall(2.0), wall(2.0), shift)
        assert found and found.error == pytest.approx(error, abs=0.002) and not found.determined


def test_few_that_tell_of_a_drift_are_no_outliers() -> None:
    """A long wall and floor along which the camera drifted, and a narrow end wall that shows it."""
    camera = Camera(64, 64, 40, 40, 32, 32)
    rays = camera.rays()

    def corridor(end: float) -> Surface:
        with np.errstate(divide="ignore"):
            sides = np.stack([1.0 / np.abs(rays[..., 0]), 1.2 / np.abs(rays[..., 1]), np.full((64, 64), end)])
        face, depth = sides.argmin(0), sides.min(0)
        normals = np.zeros((64, 64, 3))
        normals[face == 0, 0] = -np.sign(rays[..., 0])[face == 0]
        normals[face == 1, 1] = -np.sign(rays[..., 1])[face == 1]
        normals[face == 2, 2] = -1
        return Surface(camera, rays * depth[..., None], normals, np.ones((64, 64), bool))

    share = float((corridor(4.0).normals[..., 2] < 0).mean())
    found = align(corridor(4.0), corridor(4.25), np.eye(4))
    assert 0.05 < share < 0.15
    assert found and found.determined and found.error == pytest.approx(0.25, abs=0.01)


def test_other_places_do_not_align(sound: Space) -> None:
    walk = next(iter(sound.walks.values()))
    a, b = surface(walk, 0, 64), surface(walk, 30, 64)
    assert a and b
    away = np.eye(4)
    away[:3, 3] = 4
    assert align(a, b, away) is None


# Depth and poses together


def test_depth_and_poses_that_fit(sound: Space) -> None:
    found = agreement(course_of(sound))
    assert found and found.fits and found.share > 0.9 and found.factor is None


@pytest.mark.parametrize("timed", [True, False], ids=["times", "no times"])
@pytest.mark.parametrize(("unit", "factor"), [("millimetres", 1000), ("feet", 1 / 0.3048), (None, 1.5), (None, 0.1)])
def test_positions_in_another_unit(altered: Altered, unit: str | None, factor: float, timed: bool) -> None:
    def convert(columns: Columns) -> None:
        move(columns, lambda _, pose: shifted(pose, *((factor - 1) * pose[:3, 3])))
        if not timed:
            forget_times(columns)

    found = agreement(course_of(altered(convert)))
    assert found and not found.fits and found.unit == unit
    assert found.factor == pytest.approx(1 / factor, rel=0.03)


@pytest.mark.parametrize("fault", ["inverted", "OpenGL axes", "swapped axes"])
def test_poses_that_do_not_fit(altered: Altered, fault: str) -> None:
    swap = {"OpenGL axes": np.diag([1.0, -1, -1, 1]), "swapped axes": np.eye(4)[[0, 2, 1, 3]] * [[1], [-1], [1], [1]]}

    def spoil(_: int, pose: np.ndarray) -> np.ndarray:
        return np.linalg.inv(pose) if fault == "inverted" else pose @ swap[fault]

    found = agreement(course_of(altered(lambda c: move(c, spoil))))
    assert found and not found.fits and found.factor is None


# Coverage


def test_the_map_is_the_room(sound: Space) -> None:
    """4 x 5 m, 1.4 m below the camera; every gap is where the camera looked over the ground at its feet."""
    (plan,) = mapped(course_of(sound)).maps
    assert plan.name == "" and plan.floor_seen and plan.camera_height == pytest.approx(1.4, abs=0.03)
    assert plan.area(plan.inside) == pytest.approx(20, rel=0.1)
    assert sorted(np.array(plan.kind.shape) * plan.cell) == pytest.approx([4.2, 5.2], abs=0.21)
    assert [gap for gap in gaps(plan) if gap.kind != "floor"] == []
    assert plan.headings.sum() == len(plan.frames) == len(plan.path)


def test_the_map_does_not_depend_on_the_world_axes(altered: Altered, sound: Space) -> None:
    """Tilted worlds, z up, anything: walls run along the map."""
    angle = math.radians(20)
    turn = np.eye(4)
    turn[:3, :3] = [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    z_up = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    (plan,) = mapped(course_of(altered(lambda c: move(c, lambda _, pose: z_up @ turn @ pose)))).maps
    (usual,) = mapped(course_of(sound)).maps
    assert plan.area(plan.inside) == pytest.approx(usual.area(usual.inside), rel=0.05)
    assert sorted(np.array(plan.kind.shape) * plan.cell) == pytest.approx([4.2, 5.2], abs=0.21)


def test_a_room_half_not_seen(tmp_path: Path, capture: Callable[..., Path]) -> None:
    """The camera looks into the half with x > 2 only."""
    poses = [look([1.8, 1.4, 2.5 + 0.5 * math.sin(n / 8)], -90 + 30 * math.sin(n / 11), -20) for n in range(60)]
    (plan,) = mapped(course_of(tst.readers.read("nerfstudio", capture(poses), tmp_path / "half"))).maps
    assert plan.area(plan.inside) < 14
    openings = [gap for gap in gaps(plan) if gap.kind == "opening"]
    assert sum(gap.size for gap in openings) > 2


def test_a_place_that_few_views_saw(altered: Altered) -> None:
    """The depth of a corner of the room (1 x 1.2 m) is unknown in all frames but two."""
    walk_poses: list[np.ndarray] = []

    def remember(columns: Columns) -> None:
        walk_poses.extend(np.reshape(pose, (4, 4)) for pose in columns["pose"])

    altered(remember)
    rays = np.ones((72, 96, 3))
    rays[..., 0], rays[..., 1] = (np.arange(96) + 0.5 - 48) / 48, ((np.arange(72) + 0.5 - 36) / 48)[:, None]

    def hide(number: int, depth: np.ndarray) -> np.ndarray:
        pose = walk_poses[number]
        points = rays * depth[..., None] / 1000 @ pose[:3, :3].T + pose[:3, 3]
        corner = (points[..., 0] > 3.0) & (points[..., 2] < 1.2) & (points[..., 1] < 1.7)
        return np.where(corner & (number not in (50, 110)), 0, depth).astype(np.uint16)

    (plan,) = mapped(course_of(altered(depth=hide))).maps
    found = [gap for gap in gaps(plan) if gap.kind in ("floor", "opening")]
    x, z = plan.west + found[0].at[0], plan.north - found[0].at[1]
    corner = np.array([3.5, 0.6])
    # The map's axes are the world's x and z up to signs and order.
    candidates = [np.abs([x, z]), np.abs([z, x])]
    assert min(np.linalg.norm(place - corner) for place in candidates) < 0.9


def test_directions(sound: Space, tmp_path: Path, capture: Callable[..., Path]) -> None:
    """Who walks round a thing sees it from all sides; who looks outwards sees each wall from one."""
    poses = [
        look([2 + 1.5 * math.sin(a), 1.5, 2.5 + 1.5 * math.cos(a)], math.degrees(a), -30)
        for a in np.linspace(0, 2 * math.pi, 60)
    ]
    (round_,) = mapped(course_of(tst.readers.read("nerfstudio", capture(poses), tmp_path / "round"))).maps
    (outwards,) = mapped(course_of(sound)).maps
    shares = [float((plan.sectors[plan.inside] >= DIRECTIONS).mean()) for plan in (round_, outwards)]
    assert shares[0] > 0.6 and shares[0] > shares[1] + 0.3


def test_two_storeys(altered: Altered) -> None:
    """The second round is one floor up."""

    def climb(columns: Columns) -> None:
        move(columns, lambda n, pose: shifted(pose, 0, 2.8 * (n >= 60), 0))

    maps = mapped(course_of(altered(climb))).maps
    assert [plan.name for plan in maps] == ["lower floor", "upper floor"]
    assert all(plan.area(plan.inside) == pytest.approx(20, rel=0.15) for plan in maps)

    def named(columns: Columns) -> None:
        climb(columns)
        columns["part"] = ["ground" if n < 60 else "attic" for n in range(120)]

    course = course_of(altered(named))
    assert [plan.name for plan in mapped(course).maps] == ["ground", "attic"]
    found = motion(course, depth=True)
    assert found and len(found.cuts) == 1 and not found.jumps  # between parts it is no error


def test_a_view_is_not_a_frame(sound: Space, altered: Altered) -> None:
    """A camera that stands still adds no views."""
    views = course_of(sound).views(1000)
    slow = altered(frames=[n for n in range(120) for _ in range(3)])
    assert len(course_of(slow).views(1000)) == len(views) < 120
    assert len(course_of(sound).views(10)) == 10
