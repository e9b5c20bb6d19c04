"""The hash table against a dictionary."""

import numpy as np
import pytest

from tst.errors import UserError
from tst.mapping import cells as module
from tst.mapping.cells import HALF, Cells


def test_rows_are_those_of_a_dictionary_whatever_the_signs_and_however_often_it_grows() -> None:
    random = np.random.default_rng(0)
    cells, expected = Cells(0.1), {}
    for _ in range(12):
        points = random.normal(0, 1.5, (700, 3)).astype(np.float32)
        chosen = random.random(700) < 0.9
        found = cells.insert(points, chosen)
        for point, use, row in zip(points / 0.1, chosen, found, strict=True):
            key = tuple(np.floor(point).astype(int))
            assert row == (expected.setdefault(key, len(expected)) if use else -1)
    assert len(cells) == len(expected)
    assert [tuple(corner) for corner in cells.corners()] == list(expected)
    again = cells.find(points, np.ones(700, bool))
    near = [tuple(np.floor(point).astype(int)) for point in points / 0.1]
    assert again.tolist() == [expected.get(key, -1) for key in near]


def test_what_lies_beyond_the_keys_or_is_no_number_is_no_cell() -> None:
    cells = Cells(1.0)
    points = np.array([[HALF - 1, -HALF, 0], [HALF, 0, 0], [0, 0, np.nan], [0, -np.inf, 0]], np.float32)
    assert cells.insert(points, np.ones(4, bool)).tolist() == [0, -1, -1, -1]
    assert cells.corners().tolist() == [[HALF - 1, -HALF, 0]]
    assert cells.find(points, np.ones(4, bool)).tolist() == [0, -1, -1, -1]


def test_a_map_that_would_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    points = np.arange(33, dtype=np.float32).reshape(11, 3)
    with pytest.raises(UserError, match=r"--cell 0\.1: the map has over 10 cells"):
        Cells(0.1).insert(points, np.ones(11, bool))
