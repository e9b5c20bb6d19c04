"""Which frames of a recording are kept."""

from pathlib import Path

import numpy as np
import pytest

from tst.errors import UserError
from tst.readers.base import Frame, Recording, Values
from tst.space import Space
from tst.space.choosing import Judge, Look, ReadConfig, groups
from tst.space.ingest import add_walk

CHANCE = np.random.default_rng(0)
PATTERN = CHANCE.integers(0, 255, (64, 96, 3), dtype=np.uint8)


def posed(positions: list[float], **fields: object) -> list[Frame]:
    frames = []
    for number, x in enumerate(positions):
        pose = np.eye(4)
        pose[0, 3] = x
        frames.append(Frame(f"{number:03d}", {}, pose=pose, time=number / 30, **fields))  # type: ignore[arg-type]
    return frames


def test_a_place_is_as_wide_as_asked() -> None:
    result = groups(posed([0, 0.02, 0.04, 0.06, 0.07, 0.3]), ReadConfig(), continuous=True)
    assert [group.candidates for group in result] == [[0, 1, 2], [3, 4], [5]]
    assert [g.candidates for g in groups(posed([0, 0.02, 0.04]), ReadConfig(moved=0.01), True)] == [[0], [1], [2]]


def test_turning_on_the_spot_is_moving() -> None:
    frames = posed([0, 0, 0])
    angle = np.radians(5)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    assert frames[1].pose is not None
    frames[1].pose[:3, :3] = turn
    assert [group.candidates for group in groups(frames, ReadConfig(), True)] == [[0], [1], [2]]


def test_standing_still_is_one_place_and_three_frames_of_it_are_compared() -> None:
    (group,) = groups(posed([0.0] * 101), ReadConfig(), continuous=True)
    assert group.candidates == [0, 50, 100] and len(group.left_out) == 98


def test_without_poses_time_divides() -> None:
    frames = [Frame(str(n), {}, time=n / 30) for n in range(60)]
    assert len(groups(frames, ReadConfig(rate=4), True)) == 8


def test_a_number_of_frames_is_kept_to_and_spread() -> None:
    for continuous in (True, False):
        result = groups(posed([0.1 * n for n in range(100)]), ReadConfig(frames=10), continuous)
        firsts = [group.candidates[0] for group in result]
        assert len(result) == 10 and np.diff(firsts).tolist() == [10] * 9
    assert len(groups(posed([0.1, 0.2]), ReadConfig(frames=10), False)) == 2


def test_chosen_sets_keep_all_and_so_does_keep_all() -> None:
    frames = posed([0.0] * 5, against="blurred, says the app")
    assert len(groups(frames, ReadConfig(), continuous=False)) == 5
    assert len(groups(frames, ReadConfig(keep="all"), continuous=True)) == 5
    (group,) = groups(frames, ReadConfig(), continuous=True)
    assert group.candidates == [] and group.left_out[0] == (0, "blurred, says the app")


def test_the_sharpest_of_a_place_is_kept() -> None:
    judge = Judge(ReadConfig(), chooses=True, posed=True)
    looks = [Look(10, 100, [0]), Look(30, 100, [0]), Look(50, 2, [0])]
    best, reasons = judge.decide(looks)
    assert best == 1 and reasons[0] == "close to a sharper frame" and "too dark" in reasons[1]


def test_blur_is_relative_to_the_recording() -> None:
    judge = Judge(ReadConfig(), chooses=True, posed=True)
    for _ in range(12):
        assert judge.decide([Look(100, 100, [0])])[0] == 0
    best, reasons = judge.decide([Look(20, 100, [0])])
    assert best is None and "blurred (sharpness 20, usual 100)" in reasons[0]
    plain = Judge(ReadConfig(), chooses=True, posed=True)  # a recording of plain walls is not blurred
    assert all(plain.decide([Look(20, 100, [0])])[0] == 0 for _ in range(20))


def recording(tmp_path: Path, images: list[np.ndarray | None], continuous: bool = True) -> Recording:
    """Images half a metre apart; None is a damaged one."""

    def values(number: int, image: np.ndarray | None) -> Values:
        def load(_: int | None) -> np.ndarray:
            if image is None:
                raise UserError(f"frame {number}: is damaged. Copy it again.")
            return image

        return Values(f"frame {number}", load, in_order=number % 2 == 0)

    frames = posed([0.5 * n for n in range(len(images))])
    for number, (frame, image) in enumerate(zip(frames, images, strict=True)):
        frame.files = {"rgb": values(number, image)}
    return Recording("test", tmp_path, frames, continuous=continuous)


def test_dark_blurred_and_damaged_frames_are_listed(tmp_path: Path) -> None:
    images: list[np.ndarray | None] = [PATTERN] * 15
    images[12] = np.full_like(PATTERN, 1)
    images[13] = np.full_like(PATTERN, 120)
    images[5] = None
    space = add_walk(tmp_path / "home", recording(tmp_path, images), "walk", None, {})
    walk = space.walks["walk"]
    assert len(walk) == 12
    dropped = dict(walk.dropped())
    assert list(dropped) == ["005", "012", "013"]
    assert dropped["005"] == "damaged: frame 5: is damaged. Copy it again."
    assert dropped["012"].startswith("too dark") and dropped["013"].startswith("blurred")
    assert not (walk.folder("rgb") / "005.jpg").exists()


def test_a_damaged_frame_of_a_chosen_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="frame 1: is damaged"):
        add_walk(tmp_path / "home", recording(tmp_path, [PATTERN, None], False), "walk", None, {})
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_mostly_damaged_is_an_error(tmp_path: Path) -> None:
    images: list[np.ndarray | None] = [PATTERN, None, None, None, PATTERN, None]
    with pytest.raises(UserError, match="frame 1: is damaged"):
        add_walk(tmp_path / "home", recording(tmp_path, images), "walk", None, {})
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    images: list[np.ndarray | None] = [np.zeros_like(PATTERN)] * 4
    with pytest.raises(UserError, match=r"no frame is left \(4 of 4: too dark\)"):
        add_walk(tmp_path / "home", recording(tmp_path, images), "walk", None, {})


def test_without_poses_a_still_scene_is_kept_once(tmp_path: Path) -> None:
    images: list[np.ndarray | None] = [PATTERN, PATTERN, 255 - PATTERN]
    still = recording(tmp_path, images)
    for number, frame in enumerate(still.frames):
        frame.pose, frame.time = None, float(number)
    walk = add_walk(tmp_path / "home", still, "walk", None, {}).walks["walk"]
    assert walk.ids == ["000", "002"] and walk.dropped() == [("001", "shows the same as the frame before")]


def test_images_are_shrunk_to_the_short_side_and_intrinsics_with_them(tmp_path: Path) -> None:
    from tst.space.camera import Camera

    made = recording(tmp_path, [PATTERN])
    made.frames[0].camera = Camera(96, 64, 50, 50, 48, 32)
    space: Space = add_walk(tmp_path / "home", made, "walk", None, {}, ReadConfig(short_side=32))
    camera = space.walks["walk"].camera(0)
    assert camera == Camera(48, 32, 25, 25, 24, 16) and space.walks["walk"].read("rgb", 0).shape == (32, 48, 3)
