"""The verdict, its reasons, what to record next, what could not be checked; and Spaces of every kind."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import tst.inspection.check as module
import tst.readers
from captures import look
from tst.errors import UserError
from tst.inspection import loops
from tst.inspection.check import check
from tst.inspection.picture import UNSEEN, draw
from tst.inspection.report import Report
from tst.inspection.saving import save
from tst.inspection.text import render
from tst.inspection.verdict import ORDER
from tst.space import Space, Walk

Altered = Callable[..., Space]
Columns = dict[str, list[Any]]


@pytest.fixture(scope="module")
def report(sound: Space) -> Report:
    return check(sound)


def text_of(report: Report) -> str:
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(render(report))
    return console.export_text()


def emptied(*names: str) -> Callable[[Columns], None]:
    def empty(columns: Columns) -> None:
        for name in names:
            columns[name] = [None] * len(columns[name])

    return empty


def scaled(factor: float) -> Callable[[Columns], None]:
    def scale(columns: Columns) -> None:
        for pose in columns["pose"]:
            for index in (3, 7, 11):
                pose[index] *= factor

    return scale


def half_a_room(folder: Path, capture: Callable[..., Path]) -> Space:
    poses = [look([1.8, 1.4, 2.5 + 0.5 * math.sin(n / 8)], -90 + 30 * math.sin(n / 11), -20) for n in range(150)]
    return tst.readers.read("nerfstudio", capture(poses), folder / "half")


def test_a_sound_walk_is_good(report: Report) -> None:
    (walk,) = report.walks
    assert report.verdict == walk.verdict == "good" and not report.reasons and not report.unchecked
    assert {item.level for item in walk.findings} <= {"good", "note"}
    measures = {item.measure for item in walk.findings}
    assert measures == {*ORDER} - {"left out", "scale"}
    text = text_of(report)
    assert "good enough" in text and "Not checked" not in text and "nothing was found" in text
    (floor,) = walk.floors
    assert floor.walls == pytest.approx(18, rel=0.12) and floor.covered > 0.85


def test_reasons_are_in_order_of_importance(altered: Altered) -> None:
    """A third without depth, half of it blurred: the bad before the poor."""
    space = altered(
        rgb=lambda n, rgb: cv2.GaussianBlur(rgb, (0, 0), 2) if n % 2 else rgb,
        depth=lambda n, depth: np.where(np.arange(96) < 32, 0, depth).astype(np.uint16),
    )
    found = check(space)
    assert found.verdict == "record again"
    assert found.reasons[0].startswith("50% of the frames are blurred")
    assert found.reasons[1].startswith("33% of the depth is unknown") and "left of the picture" in found.reasons[1]
    assert found.advice[0].startswith("Move and turn more slowly")
    text = text_of(found)
    assert "✗  blur" in text and "!  depth" in text and "1. Move and turn" in text


def test_what_was_not_seen_is_said_with_a_landmark(tmp_path: Path, capture: Callable[..., Path]) -> None:
    found = check(half_a_room(tmp_path, capture))
    assert any("of the border of what was seen are open" in reason for reason in found.reasons)
    places = found.walks[0].places
    assert [place.mark for place in places] == list(range(1, len(places) + 1))
    assert places[0].kind == "opening" and places[0].where.endswith("of the map")
    assert any(f"(mark 1; nearest: frame {places[0].frame}" in advice for advice in found.advice)


def test_the_wrong_unit_is_said_and_nothing_is_mapped(altered: Altered) -> None:
    found = check(altered(scaled(1000)))
    assert found.verdict == "read again" and not found.walks[0].floors and found.walks[0].loops is None
    assert found.reasons[0].startswith("the poses are in millimetres, not metres")
    assert found.unchecked == ["coverage and loop closure: depth and poses do not fit each other"]


def test_drift_lowers_the_verdict(altered: Altered) -> None:
    def drift(columns: Columns) -> None:
        for number, pose in enumerate(columns["pose"]):
            pose[3] += number * 0.1 / 60

    found = check(altered(drift))
    assert found.verdict == "usable" and "places seen again differ by" in found.reasons[0]


@pytest.mark.parametrize(
    ("columns", "without", "unchecked"),
    [
        (("pose",), (), "coverage, tracking and loop closure: there are no poses"),
        ((), ("depth",), "coverage and loop closure: there is no depth"),
        (("fx", "fy", "cx", "cy"), (), "coverage and loop closure: there are no intrinsics"),
        (("time",), (), "the clock: there are no times"),
        (("time", "pose", "fx", "fy", "cx", "cy"), ("depth",), "holes of the depth: there is no depth"),
    ],
)
def test_what_cannot_be_checked_is_said(
    altered: Altered, tmp_path: Path, columns: tuple[str, ...], without: tuple[str, ...], unchecked: str
) -> None:
    found = check(altered(emptied(*columns), without=without))
    assert found.verdict == "good" and unchecked in found.unchecked and unchecked in text_of(found)
    assert draw(found, tmp_path / "check.png").is_file()


def test_depth_that_is_empty(altered: Altered) -> None:
    found = check(altered(depth=lambda _, depth: np.zeros_like(depth)))
    assert found.verdict == "record again" and "the depth is 0 (unknown) everywhere" in found.reasons
    assert found.unchecked == ["coverage and loop closure: the depth is empty"] and not found.walks[0].floors


def test_some_frames_without_pose_or_camera(altered: Altered) -> None:
    def forget(columns: Columns) -> None:
        columns["pose"][20:30] = [None] * 10
        for name in ("fx", "fy", "cx", "cy"):
            columns[name][40:50] = [None] * 10

    found = check(altered(forget))
    assert found.unchecked == ["10 of 120 frames have no pose and are not on the map"] and found.verdict == "good"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_very_few_frames(altered: Altered, tmp_path: Path, count: int) -> None:
    found = check(altered(frames=list(range(0, 5 * count, 5))))
    assert found.verdict == "record again"
    assert any(reason.startswith(f"only {count} different view") for reason in found.reasons)
    assert "record it again" in text_of(found) and draw(found, tmp_path / "few.png").is_file()


def test_single_pictures(labelled_space: Space, tmp_path: Path) -> None:
    found = check(labelled_space)
    assert "only 6 pictures" in found.reasons and not found.walks[0].floors
    assert draw(found, tmp_path / "single.png").is_file()


def test_frames_in_no_order(altered: Altered, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(120).tolist()
    found = check(altered(emptied("time"), frames=order))
    assert not found.walks[0].continuous and found.walks[0].motion is None
    assert "jumps and drift: the frames do not follow each other like a film's" in found.unchecked
    assert found.walks[0].loops and found.walks[0].loops.error < 0.5 and found.walks[0].floors
    assert draw(found, tmp_path / "set.png").is_file()


def test_one_bad_walk_among_good_ones(altered: Altered) -> None:
    """Each walk is judged by itself; a lesser part of the frames does not condemn the rest."""

    def walks(**kinds: Space) -> Space:
        first = next(iter(kinds.values()))
        found = {}
        for name, space in kinds.items():
            found[name] = space.walks["walk"]
            found[name].name = name
        return Space(first.path, first.file, found)

    few = altered(frames=list(range(30)))
    dark = altered(rgb=lambda _, rgb: rgb // 20, frames=list(range(31)))
    found = check(walks(a=few, b=dark))
    assert found.verdict == "record again" and "b: 100% of the pictures are too dark" in found.reasons
    found = check(walks(a=few, b=dark, c=altered(frames=list(range(60, 90)))))
    assert found.verdict == "usable" and [walk.name for walk in found.walks] == ["a", "b", "c"]
    assert text_of(found).index("b  record it again") < text_of(found).index("a  usable")


def test_frames_left_out_by_reading(sound: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = [("a", "blurred (sharpness 3, usual 90)")] * 90 + [("b", "close to a kept frame")] * 500
    monkeypatch.setattr(Walk, "dropped", lambda self: dropped)
    assert check(sound).reasons == ["reading left out 90 frames (90 blurred)"]


def test_few_frames_are_decoded_of_many(sound: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decoded is bounded by constants, not by the recording."""
    reads: list[str] = []
    read = Walk.read
    monkeypatch.setattr(Walk, "read", lambda self, name, index: [reads.append(name), read(self, name, index)][1])
    for name in ("MAP_VIEWS", "PICTURES", "DEPTHS"):
        monkeypatch.setattr(module, name, 15)
    monkeypatch.setattr(loops, "PAIRS", 5)
    monkeypatch.setattr("tst.inspection.agreement.PAIRS", 5)
    check(sound)
    assert reads.count("rgb") <= 15 + 15 + 1 and reads.count("depth") <= 15 + 3 * 15 + 2 * 5 + 2 * 5


def test_a_damaged_file_is_named(altered: Altered) -> None:
    space = altered()
    broken = space.path / "walks" / "walk" / "depth" / "0000.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(UserError, match=r"0000\.png"):
        check(space)


def test_an_empty_space(sound: Space) -> None:
    with pytest.raises(UserError, match="has no frames"):
        check(Space(sound.path, sound.file, {}))


def test_the_files_of_a_check(report: Report, tmp_path: Path) -> None:
    for _ in range(2):  # its own are renewed
        numbers, picture = save(report, tmp_path)
    content = json.loads(numbers.read_text())
    assert content["made_by"] == "tst check" and content["verdict"] == "good"
    (walk,) = content["walks"]
    assert walk["loops"]["error"] < 0.5 and walk["floors"][0]["area"] == pytest.approx(20, rel=0.1)
    assert "plan" not in walk["floors"][0] and "edges" not in walk["pictures"]
    with Image.open(picture) as image:
        assert image.width == 1560 and 600 < image.height < 1600


def test_other_files_are_spared(report: Report, tmp_path: Path) -> None:
    (tmp_path / "check.json").write_text("{}")
    with pytest.raises(UserError, match=r"check\.json: exists and is not of a check"):
        save(report, tmp_path)
    assert not (tmp_path / "check.png").exists()
    Image.new("RGB", (4, 4)).save(tmp_path / "mine.png")
    with pytest.raises(UserError, match="exists and is not the picture of a check"):
        draw(report, tmp_path / "mine.png")
    with pytest.raises(UserError, match="is a PNG"):
        draw(report, tmp_path / "check.jpg")


def test_what_was_not_seen_is_red_on_the_picture(altered: Altered, tmp_path: Path) -> None:
    """Ground that the camera looks over and never sees: the lower half of the picture is unknown."""
    space = altered(depth=lambda _, depth: np.where(np.arange(72)[:, None] > 40, 0, depth).astype(np.uint16))
    found = check(space)
    assert found.walks[0].floors[0].covered < 0.8
    with Image.open(draw(found, tmp_path / "check.png")) as image:
        pixels = np.asarray(image.convert("RGB"))
    red = (pixels == [int(UNSEEN[k : k + 2], 16) for k in (1, 3, 5)]).all(-1)
    assert red.mean() > 0.02


def test_names_are_drawn_as_they_are(altered: Altered, tmp_path: Path) -> None:
    """Mathematics, other scripts, markup, and no end: a name is only text."""

    def name(columns: Columns) -> None:
        columns["part"] = ["$\\frac{kitchen$" if n < 60 else "居間[bold]" + "x" * 300 for n in range(120)]

    found = check(altered(name))
    assert len(found.walks[0].floors[0].parts) == 2
    assert draw(replace(found, name="$x_$ " + "é" * 300), tmp_path / "check.png").is_file()
    assert "[bold]" in text_of(found) or not found.walks[0].places


def test_nonsense_is_survived(altered: Altered, tmp_path: Path) -> None:
    """Positions all over a continent, random turns, focal lengths of a telescope and of nothing, no sharpness."""
    rng = np.random.default_rng(0)

    def spoil(columns: Columns) -> None:
        for number in range(120):
            pose = np.eye(4)
            pose[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            pose[:3, :3] *= np.linalg.det(pose[:3, :3])
            pose[:3, 3] = rng.normal(0, 3e4, 3)
            columns["pose"][number] = pose.ravel().tolist()
            columns["fx"][number] = columns["fy"][number] = [1e-6, 1e9, 48.0][number % 3]
            columns["time"][number] = None if number % 2 else float(rng.normal(0, 1e9))
            columns["sharpness"][number] = None

    found = check(altered(spoil, frames=list(range(120))))
    json.dumps(found.to_dict(), allow_nan=False)
    assert text_of(found) and draw(found, tmp_path / "check.png").is_file()
