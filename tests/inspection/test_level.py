"""Storeys from the heights of cameras."""

import numpy as np
import pytest

from tst.space.level import storeys


def test_stairs_do_not_join_two_storeys() -> None:
    """A film that goes up the stairs has cameras at all heights between."""
    rng = np.random.default_rng(0)
    ground, upstairs = 1.5 + rng.normal(0, 0.15, 300), 4.2 + rng.normal(0, 0.15, 200)
    found = storeys(np.concatenate([ground, np.linspace(1.5, 4.2, 60), upstairs]))
    assert (found[:300] == 0).all() and (found[-200:] == 1).all() and set(found) == {0, 1}
    assert (np.diff(found[300:360]) >= 0).all()


@pytest.mark.parametrize("heights", [[1.5], [0.4, 1.5, 1.6, 1.9], list(np.linspace(0.3, 1.9, 50))])
def test_one_storey(heights: list[float]) -> None:
    """A crouch and a raised arm are no storeys."""
    assert (storeys(np.array(heights)) == 0).all()


def test_a_stray_pose_is_no_storey() -> None:
    found = storeys(np.array([1.5] * 99 + [40.0]))
    assert (found == 0).all()


def test_absurd_heights_are_survived() -> None:
    assert len(storeys(np.random.default_rng(0).normal(0, 3e4, 500))) == 500
