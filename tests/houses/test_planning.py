from dataclasses import replace

import numpy as np
import pytest

from tst.errors import UserError
from tst.houses.openings import HUBS
from tst.houses.plan import OUTSIDE, Plan
from tst.houses.planning import make_plan, validate, with_walls
from tst.houses.programme import RULES


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [make_plan(np.random.default_rng(seed)) for seed in range(40)]


def test_plans_are_valid(plans: list[Plan]) -> None:
    assert {seed: validate(plan) for seed, plan in enumerate(plans) if validate(plan)} == {}


def test_plans_vary(plans: list[Plan]) -> None:
    assert len({len(plan.rooms) for plan in plans}) >= 7
    kinds = {room.kind for plan in plans for room in plan.rooms}
    assert kinds == set(RULES)
    outlines = {room.outline.tobytes() for plan in plans for room in plan.rooms}
    assert len(outlines) == sum(len(plan.rooms) for plan in plans)


@pytest.mark.parametrize(("rooms", "area"), [(1, 20), (1, 250), (2, 20), (3, 30), (4, 38), (5, 70), (7, 180), (9, 110)])
def test_number_of_rooms_and_area_are_kept(rooms: int, area: float) -> None:
    plan = make_plan(np.random.default_rng(rooms), rooms=rooms, area=area)
    assert len(plan.rooms) == rooms
    assert sum(room.area for room in plan.rooms) == pytest.approx(area, rel=0.01)
    assert validate(plan) == []


def test_the_same_seed_gives_the_same_plan() -> None:
    a, b = (make_plan(np.random.default_rng(3), rooms=6) for _ in range(2))
    assert a.openings == b.openings
    for one, other in zip(a.rooms, b.rooms, strict=True):
        np.testing.assert_array_equal(one.outline, other.outline)
    assert make_plan(np.random.default_rng(4), rooms=6).openings != a.openings


def test_kinds_stay_within_their_counts_and_the_living_room_is_always_there(plans: list[Plan]) -> None:
    for plan in plans:
        kinds = [room.kind for room in plan.rooms]
        assert kinds.count("living room") == 1
        assert all(kinds.count(kind) <= rule.most for kind, rule in RULES.items())


def test_no_bedroom_or_bathroom_is_a_passage(plans: list[Plan]) -> None:
    """Without the bedrooms, only their own bathrooms are cut off; without the bathrooms, nothing is."""
    for plan in plans:
        kinds = [room.kind for room in plan.rooms]
        reached = _reached(plan, {k for k, kind in enumerate(kinds) if kind in HUBS})
        assert {k for k, kind in enumerate(kinds) if kind in HUBS} <= reached
        for room in plan.rooms:
            doors = [o for o in plan.openings if room.index in o.rooms and o.kind != "window"]
            if room.kind in ("bathroom", "office", "storage room"):
                assert len(doors) == 1
            if room.kind == "bedroom":
                others = [kinds[k] for door in doors for k in door.rooms if k != room.index]
                assert all(kind in (*HUBS, "bathroom") for kind in others)
                assert sum(kind in HUBS for kind in others) == 1


def _reached(plan: Plan, through: set[int]) -> set[int]:
    reached, grew = {0}, True
    while grew:
        near = {
            k
            for o in plan.openings
            if o.kind in ("door", "doorway") and any(r in reached and r in through for r in o.rooms)
            for k in o.rooms
        }
        grew, reached = not near <= reached, reached | near
    return reached


def test_there_is_one_front_door_and_daylight(plans: list[Plan]) -> None:
    for plan in plans:
        fronts = [o for o in plan.openings if o.kind == "front door"]
        assert len(fronts) == 1 and fronts[0].rooms[1] == OUTSIDE
        assert plan.rooms[fronts[0].rooms[0]].kind in HUBS
        assert all(o.head <= plan.height - 0.2 for o in plan.openings)
    living = [(plan, room) for plan in plans for room in plan.rooms if room.kind in ("living room", "bedroom")]
    lit = [any(o.kind == "window" and o.rooms[0] == room.index for o in plan.openings) for plan, room in living]
    assert np.mean(lit) > 0.97


def test_halls_give_on_to_the_bedrooms(plans: list[Plan]) -> None:
    halls, bedrooms = 0, 0
    for plan in plans:
        kinds = [room.kind for room in plan.rooms]
        if "hall" not in kinds:
            continue
        hall = kinds.index("hall")
        bedrooms += kinds.count("bedroom")
        halls += sum(hall in o.rooms and any(kinds[k] == "bedroom" for k in o.rooms if k >= 0) for o in plan.openings)
    assert halls > 0.9 * bedrooms > 10


@pytest.mark.parametrize(
    ("rooms", "area", "named"),
    [(0, None, "rooms=0"), (11, 200, "rooms=11"), (3, 19, "area=19"), (3, 251, "area=251"), (9, 60, "area=60")],
)
def test_impossible_wishes_are_refused(rooms: int, area: float | None, named: str) -> None:
    with pytest.raises(UserError, match=named):
        make_plan(np.random.default_rng(0), rooms=rooms, area=area)


def test_validate_notices_what_is_wrong() -> None:
    plan = make_plan(np.random.default_rng(1), rooms=4)
    windows = tuple(o for o in plan.openings if o.kind in ("window", "front door"))
    shut = replace(plan, openings=windows, rooms=with_walls(plan.rooms, windows, plan.thickness))
    assert sum("cannot be reached" in problem for problem in validate(shut)) == 3
    moved = replace(plan.rooms[1], outline=plan.rooms[0].outline, inner=plan.rooms[0].inner)
    assert "rooms overlap" in validate(replace(plan, rooms=(plan.rooms[0], moved, *plan.rooms[2:])))
    twice = replace(plan, openings=(*plan.openings, replace(plan.openings[0], low=plan.openings[0].low + 0.1)))
    assert any("overlaps" in problem for problem in validate(twice))
