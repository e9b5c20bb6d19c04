"""Labelling on a cluster: two workers on this machine give what one process gives."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tst.errors import UserError
from tst.labellers.label import LabelConfig, label
from tst.space import Space

CONFIG = LabelConfig(precision="32-true", resolution=28)


def test_without_ray(walk_space: Space, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--ray: Ray is not installed. Run `pip install 'tst\[ray\]'`"):
        label(walk_space, [f"dinov2={weights['dinov2']}"], config=CONFIG, ray="local")


@pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads too
def test_two_workers_label_as_one_process(
    walk_space: Space, weights: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray.data")
    monkeypatch.setattr("tst.labellers.on_ray.SHARE", 2)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.chdir(os.path.sep)  # workers have a folder of their own, whatever was given
    shutil.copytree(walk_space.path, tmp_path / "alone")
    alone = Space.open(tmp_path / "alone")
    asked = [f"dinov2={weights['dinov2']}"]
    label(alone, asked, config=CONFIG)
    (done,) = label(walk_space, asked, config=CONFIG, ray="local", workers=2)
    assert (done.frames, done.kept) == (len(walk_space), 0) and done.bytes_per_frame > 0
    for (walk, index), (other, _) in zip(Space.open(walk_space.path).frames(), alone.frames(), strict=True):
        assert abs(walk.read("dinov2", index).astype(int) - other.read("dinov2", index)).max() <= 1
    mine, theirs = (Space.open(space.path).file.provenance["dinov2"] for space in (walk_space, alone))
    assert {**mine, "date": ""} == {**theirs, "date": ""}
    (again,) = label(Space.open(walk_space.path), asked, config=CONFIG, ray="local")
    assert again.frames == 0
