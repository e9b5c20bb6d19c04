"""Boxes as text, and in crops; against pixels, and on strings that mean harm."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tst.sequences.boxes import MIN_LEFT, Box, into_view, iou, matches, parse, to_text


def in_view(
    box: tuple[float, ...], view: tuple[float, ...] = (0, 0, 1, 1), flip: bool = False
) -> tuple[list[float], bool]:
    found, kept = into_view(np.array([box], float), np.array([view], float), np.array([flip]))
    return found[0].tolist(), bool(kept[0])


def test_text_and_back() -> None:
    boxes = [Box(0.5, 0.5, 1.0, 0.75, "bedside table"), Box(0.0, 0.1, 0.3, 0.9, "bed")]
    text = to_text(boxes)
    assert text == "v0=0 v1=100 v2=300 v3=899 bed v0=500 v1=500 v2=999 v3=749 bedside table"
    again = parse(text)
    assert [box.name for box in again] == ["bed", "bedside table"]  # by distance to the origin
    assert iou(again, [boxes[1], boxes[0]]).diagonal() == pytest.approx(1, abs=0.01)
    assert parse(text.replace("v0", "xmin").replace("v1", "ymin").replace("v2", "xmax").replace("v3", "ymax")) == again


@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_moves_boxes_as_it_moves_pixels(flip: bool) -> None:
    rng = np.random.default_rng(0)
    size = 200
    for _ in range(40):
        top, left = rng.integers(0, 100, 2)
        height, width = rng.integers(40, 100, 2)
        y, x = rng.integers(0, 160, 2)
        h, w = rng.integers(5, 40, 2)
        mask = np.zeros((size, size), bool)
        mask[y : y + h, x : x + w] = True
        cut = mask[top : top + height, left : left + width]
        cut = cut[:, ::-1] if flip else cut
        box = (x / size, y / size, (x + w) / size, (y + h) / size)
        view = (top / size, left / size, height / size, width / size)
        found, kept = in_view(box, view, flip)
        assert kept == (cut.sum() > 0 and cut.sum() >= MIN_LEFT * mask.sum() - 1e-9)
        if kept:
            rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
            expected = [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height]
            assert found == pytest.approx(expected)


def test_boxes_outside_or_without_area_are_dropped() -> None:
    assert in_view((0.1, 0.1, 0.2, 0.2), (0.5, 0.5, 0.5, 0.5))[1] is False
    assert in_view((0.1, 0.1, 0.1, 0.2))[1] is False
    assert in_view((0.3, 0.3, 0.2, 0.4))[1] is False


HOSTILE = [
    "",
    "v0=",
    "v0=1 v1=2 v2=3",
    "v0=1 v1=2 v2=3 v3=4",
    "v0=1 v1=2 v2=3 v3=4   ",
    "v0=9 v1=2 v2=3 v3=4 backwards",
    "v0=1 v1=2 v2=1 v3=4 flat",
    "v0=1000 v1=2 v2=3 v3=4 too large",
    "v0=-1 v1=2 v2=3 v3=4 negative",
    "v0=٣ v1=2 v2=3 v3=4 other digits",
    "v1=1 v0=2 v2=3 v3=4 wrong order",
    "xv0=1 v1=2 v2=3 v3=4 not a token",
    "v0=1 v1=2 v2=3 v3=4 v0=1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_a_box_is_passed_over(text: str) -> None:
    assert parse(text) == []
    whole = parse(f"v0=0 v1=0 v2=500 v3=500 cup {text} v0=500 v1=500 v2=999 v3=999 cup")
    assert whole and whole[-1] == Box(500 / 999, 500 / 999, 1.0, 1.0, "cup")


def test_half_a_box_is_not_part_of_a_name() -> None:
    assert [box.name for box in parse("v0=0 v1=0 v2=5 v3=5 bed v1=3 v2=9")] == ["bed"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["v0=1", "v1=2", "v2=30", "v3=40", "bed", "v0=", "=", "\n", "é", "v0=1v1=2", " "])))
def test_no_string_makes_it_fail(parts: list[str]) -> None:
    for box in parse(" ".join(parts)):
        assert 0 <= box.xmin < box.xmax <= 1 and 0 <= box.ymin < box.ymax <= 1 and box.name


@pytest.mark.parametrize(
    "part", ["v0=1 ", "v0=1 v1=2 ", "v0=1 v1=2 v2=3 v3=4 ", "v0=1 v1=1 v2=2 v3=2 a ", "   ", "bed "]
)
def test_long_strings_take_no_longer_than_they_are_long(part: str) -> None:
    started = time.process_time()
    parse(part * (400_000 // len(part)))
    assert time.process_time() - started < 8


def test_matching_uses_each_box_once_and_asks_for_the_class() -> None:
    box = Box(0.1, 0.1, 0.5, 0.5, "bed")
    assert matches([box, box], [box]) == 1
    assert matches([box], [box, box]) == 1
    assert matches([box._replace(name="sofa")], [box]) == 0
    assert matches([box._replace(xmax=0.25)], [box]) == 0
    assert matches([], [box]) == matches([box], []) == 0
    near = box._replace(xmax=0.45)
    assert matches([near, box], [box, near]) == 2
