"""Placing: nothing collides, nothing blocks a way, everything faces where it should."""

import math

import numpy as np
import pytest

from tst.houses.furniture.piece import Fits, Piece, Support
from tst.houses.mesh import Material, box
from tst.houses.placement import Placer, clear_of_openings, extent_along, facing, footprint, inside
from tst.houses.plan import OUTSIDE, Opening, Plan, Room, Wall

WOOD = Material()


def piece(width: float, depth: float, height: float, category: str = "dresser") -> Piece:
    mesh = box((-width / 2, -depth / 2, 0), (width / 2, depth / 2, height), WOOD)
    top = Support(-width / 2, -depth / 2, width / 2, depth / 2, height)
    return Piece(category, f"{width} x {depth}", mesh, (width, depth, height), (top,))


class One:
    """A library of one model."""

    def __init__(self, model: Piece) -> None:
        self.model = model

    def categories(self) -> frozenset[str]:
        return frozenset([self.model.category])

    def draw(self, category: str, rng: np.random.Generator, fits: Fits | None = None) -> Piece | None:
        wanted = category == self.model.category and (fits is None or fits(self.model.size))
        return self.model if wanted else None


def room_of(corners: list[tuple[float, float]], openings: tuple[Opening, ...] = ()) -> Room:
    inner = np.array(corners, float)
    walls = []
    for start, end in zip(inner, np.roll(inner, -1, 0), strict=True):
        axis = int(start[0] == end[0])
        within = [
            o for o in openings if o.axis == axis and o.at == start[1 - axis] and min(start[axis], end[axis]) <= o.low
        ]
        walls.append(Wall(0, tuple(start), tuple(end), tuple(within)))
    return Room(0, "living room", inner, inner, tuple(walls))


SQUARE = [(0, 0), (4, 0), (4, 3), (0, 3)]
L_SHAPE = [(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)]
DOOR = Opening("door", (0, OUTSIDE), 0, 0.0, 1.0, 1.9, 0.0, 2.05)
DOOR_ACROSS = Opening("doorway", (0, OUTSIDE), 0, 3.0, 1.0, 1.9, 0.0, 2.05)
WINDOW = Opening("window", (0, OUTSIDE), 1, 4.0, 0.5, 2.0, 0.9, 2.1)


def placer(room: Room, model: Piece, keep_free: tuple[np.ndarray, ...] = (), seed: int = 0) -> Placer:
    openings = tuple({id(o): o for wall in room.walls for o in wall.openings}.values())
    plan = Plan((room,), openings)
    return Placer(plan, One(model), keep_free, np.random.default_rng(seed), first_instance=10)


def test_a_thing_turned_faces_where_its_yaw_says() -> None:
    at = placer(room_of(SQUARE), piece(1, 0.4, 1))
    for direction in ([0, 1], [1, 0], [0, -1], [-1, 0], [0.6, 0.8]):
        yaw = facing(np.array(direction))
        thing = at.put(at.library.model, at.plan.rooms[0], (2, 1.5, 0), yaw)  # type: ignore[attr-defined]
        assert thing is not None
        np.testing.assert_allclose(thing.front, direction, atol=1e-12)
        np.testing.assert_allclose(thing.world(0, -1) - thing.world(0, 0), direction, atol=1e-12)
        centre = thing.mesh().bounds.mean(0)[:2]
        np.testing.assert_allclose(centre, (2, 1.5), atol=1e-6)
        if 0 in direction:
            np.testing.assert_allclose(thing.mesh().bounds, thing.bounds, atol=1e-6)
        at = placer(room_of(SQUARE), piece(1, 0.4, 1))


def test_a_footprint_holds_the_turned_rectangle() -> None:
    np.testing.assert_allclose(footprint((2, 1, 5), math.pi / 2), (1, 2), atol=1e-12)
    np.testing.assert_allclose(footprint((1, 1, 5), math.pi / 4), (math.sqrt(2),) * 2)


def test_a_rectangle_over_the_inner_corner_of_an_l_is_not_inside() -> None:
    room = room_of(L_SHAPE)
    assert inside(room, np.array([0, 0]), np.array([2, 4])) and inside(room, np.array([0, 0]), np.array([4, 2]))
    assert not inside(room, np.array([1, 1]), np.array([3, 3]))
    assert not inside(room, np.array([1, 0.5]), np.array([2.5, 3.9])), "all but one corner inside"
    u_shape = room_of([(0, 0), (6, 0), (6, 3), (4, 3), (4, 1), (2, 1), (2, 3), (0, 3)])
    assert not inside(u_shape, np.array([0.5, 0.5]), np.array([5.5, 2])), "its corners are inside, its middle is not"


@pytest.mark.parametrize("seed", range(5))
def test_things_against_walls_have_their_backs_there_and_never_overlap(seed: int) -> None:
    at = placer(room_of(L_SHAPE, (DOOR,)), piece(0.8, 0.4, 1), seed=seed)
    room = at.plan.rooms[0]
    for _ in range(12):
        at.against_wall(room, "dresser", gap=0.01)
    assert len(at.things) >= 3
    for thing in at.things:
        back = thing.world(0, 0.2)
        distances = [(back - wall.start) @ wall.inward for wall in room.walls if wall.inward @ thing.front > 0.99]
        assert min(abs(d - 0.01) for d in distances) < 1e-9
        assert inside(room, thing.bounds[0, :2], thing.bounds[1, :2])
    for i, a in enumerate(at.things):
        for b in at.things[:i]:
            assert not ((a.bounds[0] < b.bounds[1] - 0.005) & (a.bounds[1] > b.bounds[0] + 0.005)).all()


def test_doors_stay_free_and_only_low_things_stand_before_windows() -> None:
    wall = room_of(SQUARE, (WINDOW,)).walls[1]
    assert extent_along(wall, WINDOW) == (0.5, 2.0)
    assert clear_of_openings(wall, 1.2, 1.0, 0, 0.8) and not clear_of_openings(wall, 1.2, 1.0, 0, 1.9)
    assert clear_of_openings(wall, 2.6, 0.8, 0, 1.9), "beside it"
    door = room_of(SQUARE, (DOOR,)).walls[0]
    assert not clear_of_openings(door, 1.5, 0.4, 0, 0.3)
    back = room_of(SQUARE, (DOOR_ACROSS,)).walls[2]
    assert extent_along(back, DOOR_ACROSS) == pytest.approx((2.1, 3.0)), "measured from the wall's own start"


def test_keep_free_is_kept_free() -> None:
    area = np.array([[0.9, 0.0], [2.0, 1.0]])
    at = placer(room_of(SQUARE), piece(0.5, 0.5, 1), (area,))
    room = at.plan.rooms[0]
    assert at.put(at.library.model, room, (1.5, 0.8, 0), 0) is None  # type: ignore[attr-defined]
    assert at.put(at.library.model, room, (1.5, 1.3, 0), 0) is not None  # type: ignore[attr-defined]


def test_nothing_comes_between_two_doors() -> None:
    room = room_of(SQUARE, (DOOR, DOOR_ACROSS))
    barrier = piece(3.9, 0.3, 1)
    at = placer(room, barrier)
    assert at.put(barrier, room, (2.0, 1.5, 0), 0) is None
    shorter = piece(2.4, 0.3, 1)
    assert at.put(shorter, room, (2.7, 1.5, 0), 0) is not None, "one can walk round it"


def test_a_thing_before_the_only_door_is_refused() -> None:
    room = room_of(SQUARE, (DOOR,))
    block = piece(1.2, 0.5, 1)
    assert placer(room, block).put(block, room, (1.45, 0.4, 0), 0) is None


def test_small_things_stand_on_their_support_and_not_on_each_other() -> None:
    room = room_of(SQUARE)
    base_piece, cup = piece(1.0, 0.5, 0.8), piece(0.2, 0.2, 0.1, "cup")
    at = placer(room, cup)
    base = at.put(base_piece, room, (2, 1.5, 0), 0.3)
    placed = at.on_top(base, ("cup",), 40)
    assert base is not None and 3 <= len(placed) < 40
    for thing in placed:
        assert thing.on == base.instance
        assert thing.position[2] == pytest.approx(0.8, abs=0.005)
        offset = np.array(thing.position[:2]) - base.position[:2]
        c, s = math.cos(-0.3), math.sin(-0.3)
        x, y = c * offset[0] - s * offset[1], s * offset[0] + c * offset[1]
        assert abs(x) <= 0.5 and abs(y) <= 0.25
    for i, a in enumerate(placed):
        for b in placed[:i]:
            assert not ((a.bounds[0] < b.bounds[1] - 0.005) & (a.bounds[1] > b.bounds[0] + 0.005)).all()


def test_rugs_lie_under_furniture_but_not_on_rugs() -> None:
    room = room_of(SQUARE)
    rug = piece(2, 1, 0.01, "rug")
    at = placer(room, rug)
    assert at.put(piece(1, 0.5, 1), room, (2, 1.5, 0), 0) is not None
    assert at.lay(rug, room, np.array([2, 1.5]), 0) is not None
    assert at.lay(rug, room, np.array([2.5, 1.5]), 0) is None
    assert at.put(piece(0.5, 0.5, 1), room, (1.2, 1.2, 0), 0) is not None, "a rug is in nobody's way"
