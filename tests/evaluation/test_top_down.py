"""Maps of right and wrong: pixels land where the surfaces are, whatever the world's axes."""

from pathlib import Path

import numpy as np
import pytest

from captures import ROOM
from tst.evaluation import top_down
from tst.evaluation.top_down import CELL, TopDownMaps, level_axes, storeys
from tst.space import Space


def points_of(space: Space, row: int) -> np.ndarray:
    walk = next(iter(space.walks.values()))
    depth, camera, pose = walk.read("depth", row), walk.camera(row), walk.pose(row)
    assert camera is not None and pose is not None
    return camera.unproject(depth / 1000) @ pose[:3, :3].T + pose[:3, 3]


@pytest.fixture
def found(walk_space: Space) -> list[top_down.TopDown]:
    """Right wherever x < 2 m, in a room of 4 x 5 m whose y axis points up."""
    maps = TopDownMaps(walk_space)
    walk = next(iter(walk_space.walks.values()))
    for row in range(len(walk)):
        right = points_of(walk_space, row)[..., 0] < 2
        maps.add(walk, row, right, np.ones(right.shape, bool))
    return maps.maps()


def test_the_vertical_is_that_of_the_cameras(walk_space: Space) -> None:
    walk = next(iter(walk_space.walks.values()))
    axes = level_axes(np.array([walk.pose(row) for row in range(len(walk))]))
    np.testing.assert_array_equal(axes[2], [0, 1, 0])
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-9) and np.linalg.det(axes) == pytest.approx(1)


def test_one_room_is_one_map_no_larger_than_the_room(found: list[top_down.TopDown]) -> None:
    assert [item.name for item in found] == ["plan"]
    height, width = found[0].total.shape
    assert max(height, width) * CELL <= ROOM[2] * 1.1 and min(height, width) * CELL <= ROOM[0] * 1.1
    assert (found[0].right <= found[0].total).all()


def test_right_and_wrong_lie_apart(found: list[top_down.TopDown]) -> None:
    """Cells are wholly right on one side of a straight line and wholly wrong on the other."""
    item = found[0]
    seen = item.total > 0
    share = item.right[seen] / item.total[seen]
    assert ((share == 0) | (share == 1)).mean() > 0.9
    assert 0.1 < share.mean() < 0.9
    rows, columns = np.nonzero(seen)
    centres = [np.array([rows[share == v].mean(), columns[share == v].mean()]) for v in (0, 1)]
    assert np.linalg.norm(centres[0] - centres[1]) * CELL > 1


def test_floors_are_told_apart_by_the_cameras_heights() -> None:
    assert storeys(np.array([1.5, 4.4, 1.2, 4.6, 1.7])).tolist() == [0, 1, 0, 1, 0]
    assert storeys(np.array([1.5, 1.2])).tolist() == [0, 0]


def test_maps_survive_a_file_and_are_drawn_red_and_green(found: list[top_down.TopDown], tmp_path: Path) -> None:
    top_down.save(tmp_path / "maps.npz", found)
    again = top_down.load(tmp_path / "maps.npz")
    assert [item.name for item in again] == ["plan"]
    np.testing.assert_array_equal(again[0].total, found[0].total)
    picture = again[0].picture(scale=1).astype(int)
    many = found[0].total >= 4
    right, wrong = (found[0].right == found[0].total) & many, (found[0].right == 0) & many
    assert (picture[right][:, 1] > picture[right][:, 0]).all() and (picture[wrong][:, 0] > picture[wrong][:, 1]).all()
    assert (picture[found[0].total == 0] == 247).all()
