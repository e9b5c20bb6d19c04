import numpy as np
import pytest
from small_house import HOUSE, PLAN, House, thing

from tst.houses.free_space import FreeSpace
from tst.houses.trajectory import Trajectory
from tst.houses.walks import dense_walk, walk_through


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    return dense_walk(HOUSE, np.random.default_rng(0), 600)


@pytest.fixture(scope="module")
def walk() -> Trajectory:
    return walk_through(HOUSE, np.random.default_rng(0), 400)


def rooms_of(poses: np.ndarray) -> list[int]:
    return [int(room.contains(poses[:, :2, 3]).sum()) for room in PLAN.rooms]


def sees(pose: np.ndarray) -> float:
    """Distance along the optical axis to the first wall, floor, ceiling or thing, by marching."""
    along = np.arange(0, 4, 0.01)[:, None]
    points = pose[:3, 3] + along * pose[:3, 2]
    inside = np.any([room.contains(points[:, :2]) for room in PLAN.rooms], axis=0)
    for door in PLAN.openings:
        if door.kind in ("door", "doorway"):
            across, at = points[:, 1 - door.axis], points[:, door.axis]
            inside |= (abs(across - door.at) < 0.07) & (at > door.low) & (at < door.high) & (points[:, 2] < door.head)
    blocked = ~inside | (points[:, 2] < 0) | (points[:, 2] > PLAN.height)
    for item in HOUSE.things:
        blocked |= ((points > item.bounds[0]) & (points < item.bounds[1])).all(1)
    return float(along[np.argmax(blocked), 0]) if blocked.any() else 4.0


def test_dense_walk_covers_rooms_by_area_heights_and_directions(dense: np.ndarray) -> None:
    assert dense.shape == (600, 4, 4)
    area = np.array([room.area for room in PLAN.rooms])
    np.testing.assert_allclose(np.array(rooms_of(dense)) / 600, area / area.sum(), atol=0.01)
    heights = dense[:, 2, 3]
    assert 0.9 <= heights.min() < 1.0 and 1.6 < heights.max() <= 1.7
    yaw = np.arctan2(dense[:, 1, 2], dense[:, 0, 2])
    assert np.histogram(yaw, 8, (-np.pi, np.pi))[0].min() > 20
    assert (dense[:, 2, 2] < 0).mean() > 0.6  # mostly down
    assert np.ptp(np.flatnonzero(PLAN.rooms[1].contains(dense[:, :2, 3]))) > 500  # rooms are mixed


def test_dense_walk_stays_clear_of_things_and_does_not_stare_at_walls(dense: np.ndarray) -> None:
    clearance = FreeSpace(HOUSE).clearance_at(dense[:, :2, 3])
    assert clearance.min() > 0.15
    distances = np.array([sees(pose) for pose in dense[:200]])
    assert (distances < 0.48).mean() == 0 and np.median(distances) > 1.2


def test_a_closet_still_gets_its_frames() -> None:
    stuffed = House(PLAN, (*HOUSE.things, thing(30, "wardrobe", (5.7, 0.1, 0), (8.9, 3.9, 2.0), room=1)))
    poses = dense_walk(stuffed, np.random.default_rng(0), 60)
    assert rooms_of(poses)[1] > 10


def test_robots_look_from_lower_down() -> None:
    heights = dense_walk(HOUSE, np.random.default_rng(0), 50, robot=True)[:, 2, 3]
    assert heights.min() >= 0.4 and heights.max() <= 1.0
    walk = walk_through(HOUSE, np.random.default_rng(0), 50, robot=True)
    assert walk.poses[:, 2, 3].min() >= 0.4 and np.ptp(walk.poses[:, 2, 3]) < 0.02


def test_walk_visits_every_room_and_collides_with_nothing(walk: Trajectory) -> None:
    assert min(rooms_of(walk.poses)) > 10
    poses = walk.at(np.arange(0, walk.duration, 0.01))
    assert FreeSpace(HOUSE).clearance_at(poses[:, :2, 3]).min() > 0.12
    heights = poses[:, 2, 3]
    assert abs(np.median(heights) - 1.5) < 0.2 and np.ptp(heights) < 0.4


def test_walk_is_smooth_and_looks_around(walk: Trajectory) -> None:
    times = np.arange(0, walk.duration, 0.01)
    speed = np.linalg.norm(walk.velocity(times), axis=1)
    assert 0.2 < np.median(speed) < 0.75 and speed.max() < 1.0
    assert np.linalg.norm(walk.acceleration(times), axis=1).max() < 8
    assert np.abs(np.diff(walk.acceleration(times), axis=0)).max() < 1.5  # continuous
    turn = np.linalg.norm(walk.angular_velocity(times), axis=1)
    assert np.percentile(turn, 99) < 2.5
    pitch = np.degrees(np.arcsin(walk.poses[:, 2, 2]))
    assert -20 < pitch.mean() < 0 and 2 < pitch.std() < 15
    forward, travel = walk.poses[:, :2, 2], walk.velocity(walk.times)[:, :2]
    along = (forward * travel).sum(1) / np.maximum(np.linalg.norm(travel, axis=1), 1e-6)
    assert np.median(along) > 0.6 and (along < 0.8).mean() > 0.15


def test_frames_are_spread_evenly_at_multiples_of_the_rate(walk: Trajectory) -> None:
    assert len(walk.times) == 400
    numbers = walk.times * 30
    np.testing.assert_allclose(numbers, np.rint(numbers), atol=1e-9)
    gaps = np.diff(numbers)
    assert gaps.min() >= 1 and np.ptp(gaps) < 1.01 and walk.times[-1] == pytest.approx(walk.duration, abs=0.1)


def test_a_long_walk_goes_round_again() -> None:
    walk = walk_through(HOUSE, np.random.default_rng(1), 4000, rate=30)
    assert walk.duration >= 4000 / 30 and len(walk.times) == 4000
    assert np.diff(walk.times).min() > 0.03


def test_the_same_seed_gives_the_same_walk() -> None:
    a, b = (walk_through(HOUSE, np.random.default_rng(5), 30).poses for _ in range(2))
    np.testing.assert_array_equal(a, b)
    a, b = (dense_walk(HOUSE, np.random.default_rng(5), 30) for _ in range(2))
    np.testing.assert_array_equal(a, b)
