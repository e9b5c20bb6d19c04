"""Houses as Spaces: every modality agrees with the geometry, a stopped command goes on, nothing is overwritten."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import tst.houses.make
from tst.errors import UserError
from tst.houses.categories import COMMON
from tst.houses.house import HouseConfig
from tst.houses.make import MakeConfig, make, walk_in
from tst.houses.rendering import frame_file
from tst.space import Space

HOUSE = HouseConfig(seed=3, rooms=1, area=20)
CONFIG = MakeConfig(house=HOUSE, frames=6, size=64, rays=4, labels=True, walk="through")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return make(tmp_path_factory.mktemp("make") / "space", CONFIG)


def test_it_has_every_modality_and_is_valid(space: Space) -> None:
    space.check(full=True)
    assert space.modalities() == ["rgb", "depth", "normals", "semantic", "instance"]
    assert len(space) == 6 and space.classes == list(COMMON)
    assert not list(space.path.parent.glob(".*")), "nothing is left behind"


def test_whoever_made_the_furniture_is_named(space: Space) -> None:
    walk = next(iter(space.walks.values()))
    things = json.loads((walk.path / "annotations/objects.json").read_text())
    named = walk.record.notes["furniture"]
    assert list(named) == ["TST, Apache-2.0"]
    assert named["TST, Apache-2.0"] == sorted({thing["name"] for thing in things})


def test_depth_and_poses_put_the_floor_at_zero(space: Space) -> None:
    """Unprojected floor pixels lie in the plane z = 0, and their normals point up, in every frame."""
    walk = next(iter(space.walks.values()))
    floor = list(COMMON).index("floor")
    seen = 0
    for row in range(len(walk)):
        camera, pose = walk.camera(row), walk.pose(row)
        assert camera is not None and pose is not None
        depth = walk.read("depth", row) / 1000
        points = camera.unproject(depth) @ pose[:3, :3].T + pose[:3, 3]
        on_floor = (walk.read("semantic", row) == floor) & (depth > 0)
        seen += int(on_floor.sum())
        assert np.abs(points[on_floor][:, 2]).max(initial=0) < 0.02
        stored = walk.read("normals", row)[on_floor].astype(float) / 127.5 - 1
        normals = stored * [1, 1, -1] @ pose[:3, :3].T
        assert (normals[:, 2] > 0.98).all()
    assert seen > 500


def test_annotations_belong_to_the_frames(space: Space) -> None:
    walk = next(iter(space.walks.values()))
    boxes = json.loads((walk.path / "annotations/boxes.json").read_text())
    captions = json.loads((walk.path / "annotations/captions.json").read_text())
    things = json.loads((walk.path / "annotations/objects.json").read_text())
    assert [image["file_name"] for image in boxes["images"]] == walk.ids
    assert len(captions["annotations"]) == 5 * len(walk)
    assert things and {"category", "bounds"} <= set(things[0])
    numbers = set(np.unique([walk.read("instance", row) for row in range(len(walk))]).tolist())
    assert {box["instance"] for box in boxes["annotations"]} <= numbers
    for box in boxes["annotations"]:
        mask = walk.read("instance", box["image_id"] - 1) == box["instance"]
        rows, columns = np.nonzero(mask)
        assert box["bbox"][:2] == [columns.min(), rows.min()] and box["area"] == mask.sum()


def test_a_walk_through_has_times_and_an_imu_on_the_same_clock(space: Space) -> None:
    walk = next(iter(space.walks.values()))
    times = walk.frames["time"].to_numpy()
    imu = pq.read_table(walk.path / "sensors/imu.parquet")
    assert (np.diff(times) > 0).all()
    assert imu["time"][0].as_py() <= times[0] and imu["time"][-1].as_py() >= times[-1] - 0.01
    size = np.linalg.norm(np.stack([imu[f"accel_{axis}"].to_numpy() for axis in "xyz"]), axis=0)
    assert abs(np.median(size) - 9.81) < 0.5


def test_labels_are_kept_only_if_asked_for_and_the_pixels_are_the_same(space: Space, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", CONFIG.replace(labels=False))
    assert plain.modalities() == ["rgb", "depth", "normals"] and plain.classes is None
    a, b = next(iter(space.walks.values())), next(iter(plain.walks.values()))
    assert not (b.path / "annotations").exists()
    for row in range(len(a)):
        np.testing.assert_array_equal(a.read("rgb", row), b.read("rgb", row))
        np.testing.assert_array_equal(a.read("depth", row), b.read("depth", row))


def test_stopped_it_goes_on_and_ends_the_same(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = tst.houses.make.add_walk
    rendered: list[Path] = []

    def stop(*arguments: object, **options: object) -> Space:
        raise KeyboardInterrupt

    monkeypatch.setattr(tst.houses.make, "add_walk", stop)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "space", CONFIG)
    assert not (tmp_path / "space").exists()
    folder = next(tmp_path.glob(".space.*.making/frames/*"))
    kept, lost = frame_file(folder, "rgb", 0), frame_file(folder, "rgb", 4)
    before = kept.stat().st_mtime_ns
    lost.unlink()

    def follow(*arguments: object, **options: object) -> Space:
        rendered.append(lost)
        assert kept.stat().st_mtime_ns == before, "what was rendered is not rendered again"
        return add(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tst.houses.make, "add_walk", follow)
    again = make(tmp_path / "space", CONFIG)
    assert rendered
    a, b = next(iter(space.walks.values())), next(iter(again.walks.values()))
    for row in range(len(a)):
        np.testing.assert_array_equal(a.read("rgb", row), b.read("rgb", row))


def test_done_it_is_found_again_and_never_overwritten(space: Space) -> None:
    before = (space.path / "space.json").stat().st_mtime_ns
    assert len(make(space.path, CONFIG)) == 6
    assert (space.path / "space.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="exists and is not what these options make"):
        make(space.path, CONFIG.replace(frames=7))


def test_many_houses_are_walks_of_one_space(tmp_path: Path) -> None:
    config = CONFIG.replace(houses=2, frames=3, walk="dense", size=32)
    space = make(tmp_path / "many", config)
    assert {name: len(walk) for name, walk in space.walks.items()} == {"house-0003": 2, "house-0004": 1}
    seeds = [walk.record.options["house"]["seed"] for walk in space.walks.values()]
    assert seeds == [3, 4]


def test_another_walk_seed_is_another_walk_in_the_same_house() -> None:
    from tst.houses.house import build

    house = build(HOUSE)
    first, second = walk_in(house, 5, CONFIG), walk_in(house, 5, CONFIG.replace(walk_seed=1))
    assert not np.allclose(first.poses, second.poses)
    np.testing.assert_array_equal(first.poses, walk_in(house, 5, CONFIG).poses)


@pytest.mark.parametrize("change", [{"frames": 1, "houses": 2}, {"house": {"rooms": 0}}, {"house": {"area": 1.0}}])
def test_impossible_requests_write_nothing(change: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        make(tmp_path / "space", CONFIG.replace(**change))
    assert not list(tmp_path.iterdir())
