import itertools

import numpy as np
import pytest

from tst.houses.mesh import Material
from tst.houses.plan import Plan, Room, RoomKind
from tst.houses.styles import FAMILIES, ROLES, STYLES, jitter

KINDS: tuple[RoomKind, ...] = (
    "living room",
    "kitchen",
    "bedroom",
    "bathroom",
    "hall",
    "office",
    "dining room",
    "storage room",
)


def small_plan() -> Plan:
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return Plan(tuple(Room(k, kind, square, square) for k, kind in enumerate(KINDS)), ())


def look(material: Material) -> np.ndarray:
    """Mean colour of a surface."""
    texture = np.ones(3) if material.texture is None else material.texture.pixels.mean((0, 1))[:3] / 255
    return np.array(material.colour) * texture


def test_both_families_have_three_styles_of_their_own() -> None:
    assert set(FAMILIES) == {"in", "out"}
    assert all(len(names) >= 3 for names in FAMILIES.values())
    assert sorted(itertools.chain(*FAMILIES.values())) == sorted(STYLES)


@pytest.mark.parametrize("name", STYLES)
def test_a_made_style_draws_from_a_few_fixed_materials(name: str) -> None:
    style = STYLES[name].made(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for role, (_, most) in ROLES.items():
        drawn = {id(material) for material in (getattr(style, role)(rng) for _ in range(60))}
        assert 1 <= len(drawn) <= most, role


@pytest.mark.parametrize("name", STYLES)
def test_the_same_seed_makes_the_same_house(name: str) -> None:
    first, again, other = (STYLES[name].made(np.random.default_rng(seed)) for seed in (5, 5, 6))
    for role in ROLES:
        a, b = first.materials[role], again.materials[role]
        assert [m.colour for m in a] == [m.colour for m in b]
        textures = [(m.texture.pixels, n.texture.pixels) for m, n in zip(a, b, strict=True) if m.texture and n.texture]
        assert all(np.array_equal(x, y) for x, y in textures)
    assert [m.colour for m in first.materials["accent"]] != [m.colour for m in other.materials["accent"]]


def test_a_style_that_is_not_made_works_too() -> None:
    assert isinstance(STYLES["modern"].wood(np.random.default_rng(0)), Material)


@pytest.mark.parametrize("name", STYLES)
def test_materials_are_what_their_role_says(name: str) -> None:
    style, rng = STYLES[name].made(np.random.default_rng(2)), np.random.default_rng(3)
    assert 1 <= style.shade(rng).glow <= 3
    assert 0.15 <= style.glass(rng).opacity < 0.95
    assert style.metal(rng).gloss > style.paper(rng).gloss
    red, green, blue = style.plant(rng).colour
    assert green > red and green > blue
    for role in set(ROLES) - {"shade"}:
        assert all(m.glow == 0 and not m.pane for m in style.materials[role])


def test_styles_look_different() -> None:
    roles = ("wood", "painted", "fabric", "linen", "metal")
    means = {
        name: np.stack(
            [np.mean([look(m) for m in style.made(np.random.default_rng(7)).materials[r]], 0) for r in roles]
        )
        for name, style in STYLES.items()
    }
    for a, b in itertools.combinations(means, 2):
        assert np.abs(means[a] - means[b]).max() > 0.12, (a, b)


def test_families_share_no_shape() -> None:
    inside, outside = STYLES[FAMILIES["in"][0]], STYLES[FAMILIES["out"][0]]
    for variants in (("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")):
        assert not set(inside.shapes(variants)) & set(outside.shapes(variants))
        assert set(inside.shapes(variants)) | set(outside.shapes(variants)) == set(variants)
    assert inside.shapes(("a",)) == outside.shapes(("a",)) == ("a",)


@pytest.mark.parametrize("name", STYLES)
def test_surfaces_suit_their_rooms(name: str) -> None:
    for seed in range(3):
        style = STYLES[name].made(np.random.default_rng(seed))
        surfaces = style.surfaces(small_plan(), np.random.default_rng(seed))
        by_kind = dict(zip(KINDS, surfaces.rooms, strict=True))
        assert surfaces.pane.pane and surfaces.pane.opacity >= 0.15
        for kind, room in by_kind.items():
            wet = kind in ("bathroom", "kitchen")
            assert (room.tiles is not None) == wet and (0.6 <= room.tiled_height <= 2.1) == wet
            assert look(room.ceiling).mean() > 0.85
        assert by_kind["bathroom"].floor is by_kind["kitchen"].floor
        assert by_kind["living room"].floor is by_kind["hall"].floor
        assert by_kind["living room"].floor is not by_kind["bathroom"].floor
        assert look(by_kind["hall"].wall).mean() > 0.6


def test_jitter_stays_near_and_within_range() -> None:
    rng = np.random.default_rng(0)
    for colour in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.2, 0.5, 0.7)):
        moved = np.array([jitter(rng, colour) for _ in range(50)])
        assert moved.min() >= 0 and moved.max() <= 1
        assert np.abs(moved - colour).max() < 0.12
