"""Kitchen units of one house make one counter."""

import numpy as np
import pytest

from tst.houses.furniture.builtin import load_builders
from tst.houses.furniture.piece import Piece
from tst.houses.mesh import Material
from tst.houses.styles import STYLES, Style

BUILDERS = load_builders()
WORKTOPS = ("kitchen cabinet", "kitchen sink", "dishwasher")


@pytest.fixture(params=["modern", "rustic"])
def style(request: pytest.FixtureRequest) -> Style:
    return STYLES[request.param].made(np.random.default_rng(3))


def units(style: Style, category: str) -> list[Piece]:
    builder = BUILDERS[category]
    return [builder.build(np.random.default_rng(k), style, v) for k, v in enumerate(style.shapes(builder.variants))]


def top_material(piece: Piece) -> Material:
    """Of the corner of the worktop at the left and front."""
    points = piece.mesh.points
    level = np.isclose(points[..., 2], 0.9, atol=1e-4).all(1)
    low = piece.mesh.bounds[0]
    corner = level & np.isclose(points[..., :2], low[:2], atol=1e-3).all(2).any(1)
    return piece.mesh.materials[int(piece.mesh.material[np.flatnonzero(corner)[0]])]


def test_worktops_have_one_height_depth_and_material(style: Style) -> None:
    every = [unit for category in WORKTOPS for unit in units(style, category)]
    assert {id(top_material(unit)) for unit in every} == {id(top_material(every[0]))}
    for unit in every:
        assert np.isclose(unit.size[1], 0.6, atol=1e-4), unit.name
        assert all(support.z == pytest.approx(0.9, abs=1e-5) for support in unit.supports)


def test_stoves_and_washing_machines_are_flush_with_the_counter(style: Style) -> None:
    for category in ("stove", "washing machine"):
        for unit in units(style, category):
            assert 0.9 - 1e-4 <= unit.size[2] <= 0.96, unit.name
            assert np.isclose(unit.size[1], 0.6, atol=0.025), unit.name


def test_upper_cabinets_are_in_the_fronts_of_the_lower_ones(style: Style) -> None:
    lower = {id(m) for unit in units(style, "kitchen cabinet") for m in unit.mesh.materials}
    for unit in units(style, "upper cabinet"):
        assert id(unit.mesh.materials[0]) in lower
