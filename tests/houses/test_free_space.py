import numpy as np
import pytest
from small_house import DOORS, HOUSE, PLAN, House, room, thing

from tst.houses.free_space import CELL, FreeSpace
from tst.houses.plan import Plan


@pytest.fixture(scope="module")
def space() -> FreeSpace:
    return FreeSpace(HOUSE, radius=0.25)


def at(space: FreeSpace, x: float, y: float) -> bool:
    cell = np.floor((np.array([x, y]) - space.origin) / CELL).astype(int)
    return bool(space.free[tuple(cell)])


def test_furniture_blocks_and_rugs_lamps_and_doors_do_not(space: FreeSpace) -> None:
    assert at(space, 3.5, 3.0)
    assert not at(space, 1.8, 2.0)  # coffee table
    assert at(space, 2.5, 2.0)  # on the rug, under the lamp
    assert at(space, 5.0, 1.45) and at(space, 2.5, 4.0)  # door and doorway
    assert not at(space, 1.45, 6.0)  # the front door is closed
    assert not at(space, 5.0, 3.0) and not at(space, 4.9, 3.0)  # in the wall and too close to it


def test_height_decides_what_is_in_the_way() -> None:
    hung = House(PLAN, (thing(1, "upper cabinet", (3.0, 1.0, 1.4), (4.0, 2.0, 2.1)),))
    assert not at(FreeSpace(hung, height=1.8), 3.5, 1.5)
    assert at(FreeSpace(hung, height=1.0), 3.5, 1.5)


def test_clearance_is_the_distance_to_walls_and_things(space: FreeSpace) -> None:
    points = np.array([[4.0, 3.0], [3.0, 2.0], [7.0, 3.3]])
    expected = [0.94, 0.9, 0.64]
    np.testing.assert_allclose(space.clearance_at(points), expected, atol=0.06)


def test_samples_are_free_and_spread(space: FreeSpace) -> None:
    rng = np.random.default_rng(0)
    points = space.sample(rng, 4000)
    assert all(at(space, *point) for point in points[:200])
    share = (points[:, 0] > 5).mean()
    free = space.free.nonzero()[0] * CELL + space.origin[0]
    assert share == pytest.approx((free > 5).mean(), abs=0.03)
    assert PLAN.rooms[1].contains(space.sample(rng, 100, room=1)).all()


def test_rooms_are_reachable_through_doors_unless_something_stands_there(space: FreeSpace) -> None:
    assert space.reachable_rooms() == [{0, 1, 2}] and space.all_rooms_reachable()
    shut = House(PLAN, (thing(1, "wardrobe", (5.1, 0.8, 0), (5.7, 2.0, 2.0), room=1),))
    rooms = FreeSpace(shut).reachable_rooms()
    assert {0, 2} in rooms and not FreeSpace(shut).all_rooms_reachable()
    alone = Plan((room(0, "hall", 0, 0, 3, 3), room(1, "office", 3, 0, 6, 3)), DOORS[2:])
    assert FreeSpace(House(alone)).reachable_rooms() == [{0}, {1}]


def test_path_is_free_connected_and_close_to_the_shortest(space: FreeSpace) -> None:
    a, b = np.array([0.5, 5.5]), np.array([6.0, 3.4])
    way = space.path(a, b)
    assert np.linalg.norm(way[0] - a) < 0.1 and np.linalg.norm(way[-1] - b) < 0.1
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert steps.max() <= CELL * 1.5
    assert space.clearance_at(way).min() >= 0.25
    # Through the doorway's and the door's middle, straight: no grid path is more than 8 % longer, plus keeping away.
    corners = np.array([a, [2.5, 4.0], [5.0, 1.45], b])
    straight = np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()
    assert straight * 0.95 < steps.sum() < straight * 1.25
    door = way[np.abs(way[:, 0] - 5.0).argmin()]
    assert abs(door[1] - 1.45) < 0.1  # through the middle


def test_a_path_to_what_cannot_be_reached_ends_beside_it(space: FreeSpace) -> None:
    way = space.path(np.array([3.5, 3.0]), np.array([8.0, 2.0]))  # onto the bed
    assert space.clearance_at(way).min() >= 0.25
    assert np.linalg.norm(way[-1] - [8.0, 2.0]) < 1.4
