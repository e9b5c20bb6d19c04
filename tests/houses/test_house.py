"""Whole houses: valid over many seeds, reproducible, and rearranged without changing what they are."""

from dataclasses import replace

import numpy as np
import pytest

from tst.errors import UserError
from tst.houses.categories import CLASS_INDEX, CLASSES
from tst.houses.house import House, HouseConfig, build
from tst.houses.light import bake
from tst.houses.renderer import Renderer
from tst.houses.scene import NO_CLASS
from tst.houses.styles import FAMILIES
from tst.houses.validity import collisions, defects
from tst.houses.walks import dense_walk
from tst.space.camera import Camera

SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def house(request: pytest.FixtureRequest) -> House:
    return build(HouseConfig(seed=request.param))


@pytest.fixture(scope="module")
def small() -> House:
    return build(HouseConfig(seed=5, rooms=2, area=35))


def test_it_has_no_defects(house: House) -> None:
    assert not defects(house)


def test_defects_are_found(small: House) -> None:
    first, second = small.things[1], next(t for t in small.things[2:] if t.on is None and t.category != "rug")
    across = replace(small, things=(*small.things, replace(second, position=first.position, instance=999)))
    assert any("overlaps" in defect for defect in defects(across))
    away = replace(small, things=(replace(second, position=(-50.0, 0.0, 0.0)),))
    assert any("not inside" in defect for defect in defects(away))
    through = replace(small, things=(replace(second, position=(*second.position[:2], 9.0)),))
    assert any("floor and ceiling" in defect for defect in defects(through))


def test_it_has_what_a_home_has(house: House) -> None:
    kinds = {room.kind for room in house.plan.rooms}
    categories = {thing.category for thing in house.things}
    assert len(categories) + 5 >= 15
    for kind, wanted in (("bedroom", "bed"), ("bathroom", "toilet"), ("kitchen", "stove"), ("living room", "sofa")):
        assert kind not in kinds or wanted in categories, f"a {kind} without {wanted}"


def test_small_things_stand_on_something(house: House) -> None:
    by_instance = {thing.instance: thing for thing in house.things}
    for thing in house.things:
        if thing.on is not None:
            base = by_instance[thing.on]
            assert base.room == thing.room
            heights = [base.position[2] + support.z for support in base.piece.supports]
            heights.append(base.position[2] + base.piece.size[2])
            assert min(abs(thing.position[2] - height) for height in heights) < 0.01


def test_the_scene_names_every_triangle(house: House) -> None:
    scene = house.scene()
    assert len(scene.instance) == len(scene.semantic) == len(scene.mesh)
    assert scene.instance.min() > 0 and scene.semantic.max() < len(CLASSES)
    assert (np.diff(scene.instance.astype(int)) >= 0).all(), "those of an instance are in one run"
    for thing in house.things:
        labels = np.unique(scene.semantic[scene.instance == thing.instance])
        assert labels.tolist() == [CLASS_INDEX[thing.category]]
    low, high = scene.mesh.bounds
    assert np.isfinite(scene.mesh.points).all() and low[2] > -0.3 and high[2] < house.plan.height + 0.3


def same(a: House, b: House) -> bool:
    first, second = a.scene(), b.scene()
    return (
        np.array_equal(first.mesh.points, second.mesh.points)
        and np.array_equal(first.instance, second.instance)
        and first.lamps == second.lamps
    )


def test_a_seed_is_a_house(small: House) -> None:
    assert same(small, build(small.config))
    assert not same(small, build(small.config.replace(seed=6)))


def test_other_furniture_does_not_move_the_walls(small: House) -> None:
    other = build(small.config.replace(family="out"))
    assert [room.inner.tolist() for room in other.plan.rooms] == [room.inner.tolist() for room in small.plan.rooms]
    assert {thing.name for thing in other.things} != {thing.name for thing in small.things}


def test_perturbing_moves_small_things_and_changes_the_light_and_nothing_else(small: House) -> None:
    changed = build(small.config.replace(perturbation=1))
    assert [t.instance for t in changed.things] == [t.instance for t in small.things]
    moved = 0
    for before, after in zip(small.things, changed.things, strict=True):
        assert before.name == after.name and before.room == after.room
        np.testing.assert_array_equal(before.piece.mesh.points, after.piece.mesh.points)
        if before.on is None:
            np.testing.assert_array_equal(before.bounds, after.bounds)
        elif not np.array_equal(before.bounds, after.bounds):
            moved += 1
    assert moved >= 0.7 * sum(thing.on is not None for thing in small.things) > 0
    assert not collisions(changed)
    assert changed.outside.sun_direction != small.outside.sun_direction
    assert same(changed, build(changed.config))
    assert not same(changed, build(small.config.replace(perturbation=2)))


def test_lamps_that_are_off_do_not_glow(small: House) -> None:
    scene = small.scene()
    for thing in small.things:
        if thing.piece.light is not None:
            used = np.unique(scene.mesh.material[scene.instance == thing.instance])
            glows = any(scene.mesh.materials[k].glow > 0 for k in used)
            assert glows <= (thing.instance in small.lamps_on)
    lit = [thing for thing in small.things if thing.instance in small.lamps_on]
    assert len(scene.lamps) == len(lit)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rooms": 0}, "rooms"),
        ({"rooms": 8, "area": 20.0}, "area"),
        ({"area": 5.0}, "area"),
        ({"style": "baroque"}, "baroque.*Choose one of"),
        ({"style": FAMILIES["out"][0]}, "family"),
        ({"family": "third"}, "family"),
    ],
)
def test_impossible_parameters_are_told_in_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build(HouseConfig().replace(**values))
    assert "\n" not in str(error.value)


def test_windows_are_labelled_and_hide_nothing(small: House) -> None:
    """Panes have a class and a depth, so that no pixel of an indoor view is without."""
    renderer = Renderer(bake(small.scene(), rays=1, bounces=0, spacing=2), Camera.from_fov(48, 48, 80))
    views = [renderer.render(pose) for pose in dense_walk(small, np.random.default_rng(0), 24)]
    unknown = np.mean([(view.semantic == NO_CLASS) | (view.depth == 0) for view in views])
    assert unknown < 0.002
    assert any((view.semantic == CLASS_INDEX["window"]).mean() > 0.02 for view in views)
