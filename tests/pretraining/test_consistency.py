"""Consistency: tokens of two views that show one place, checked by unprojecting; and the contrastive loss."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from world import CONFIG, World, run

import tst.readers
from tst.errors import UserError
from tst.pretraining.consistency import Geometry, Projector, contrast
from tst.pretraining.pretrain import load_pretrained
from tst.runs import read_metrics
from tst.space import Space
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

TOKENS = 8


def geometry(space: Space) -> Geometry:
    config = ViewConfig(resolution=16 * TOKENS, per_frame=4)
    frames = FrameSource(space, ["rgb", "depth"], 64)
    return Geometry(frames, draw_views(frames.extents_N2, config), TOKENS)


def place_of(space: Space, found: Geometry, frame: int, view: int, token: int) -> np.ndarray:
    """The world point at the middle of a token, by the walk's own camera and pose, in float64."""
    walk, row = space.frames()[frame]
    top, left, height, width = found.views.boxes_NV4[frame, view].double().numpy()
    line, column = (token // TOKENS + 0.5) / TOKENS, (token % TOKENS + 0.5) / TOKENS
    if found.views.flip_NV[frame, view]:
        column = 1 - column
    depth = walk.read("depth", row)
    at = ((top + line * height) * depth.shape[0], (left + column * width) * depth.shape[1])
    camera, pose = walk.camera(row), walk.pose(row)
    assert camera is not None and pose is not None
    point = camera.unproject(depth / 1000)[int(at[0]), int(at[1])]
    return pose[:3, :3] @ point + pose[:3, 3]


def test_paired_tokens_show_one_place(walk_space: Space) -> None:
    found = geometry(walk_space)
    frames = torch.arange(len(walk_space)).repeat(4)
    views = torch.arange(4).repeat_interleave(len(walk_space))
    generator = torch.Generator().manual_seed(0)
    partners, partner_views = found.draw_partners(frames, generator)
    assert (partners != frames).any()
    one, other, points = found.pairs(frames, views, partners, partner_views)
    assert len(one) > 50
    assert found.views.flip_NV[frames, views].any() and not found.views.flip_NV[frames, views].all()
    origin = walk_space.frames()[0][0].pose(0)[:3, 3]  # type: ignore[index]
    apart, off = [], []
    for k in range(len(one)):
        row, token = divmod(int(one[k]), TOKENS**2)
        place = place_of(walk_space, found, int(frames[row]), int(views[row]), token)
        off.append(np.linalg.norm(place - origin - points[k].double().numpy()))
        partner_row, partner_token = divmod(int(other[k]), TOKENS**2)
        assert partner_row == row
        seen = place_of(walk_space, found, int(partners[row]), int(partner_views[row]), partner_token)
        apart.append(np.linalg.norm(seen - place))
    assert np.median(off) < 0.05 and np.max(off) < 0.3  # a pixel of the cache against one of the stored depth
    assert np.median(apart) < 0.3 and np.mean(np.array(apart) < 1.0) > 0.95  # within a token of up to half a metre


def test_what_is_hidden_is_not_paired(walk_space: Space) -> None:
    found = geometry(walk_space)
    frames, views = torch.arange(len(walk_space)), torch.zeros(len(walk_space), dtype=torch.int64)
    partners, partner_views = found.draw_partners(frames, torch.Generator().manual_seed(1))
    before = len(found.pairs(frames, views, partners, partner_views)[0])
    found.depth[partners[0]] = 300  # a hand before that camera
    assert len(found.pairs(frames[:1], views[:1], partners[:1], partner_views[:1])[0]) == 0 < before


def test_a_space_without_poses_or_overlap_is_told(
    labelled_space: Space, nerfstudio_walk: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"needs poses and intrinsics, which it lacks. Set --consistency 0"):
        geometry(labelled_space)
    alone = tst.readers.read("nerfstudio", nerfstudio_walk("alone", labels=False, frames=1), tmp_path / "alone")
    with pytest.raises(UserError, match=r"no two of its frames"):
        geometry(alone)


def test_the_loss_is_that_of_a_small_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (F.normalize(torch.randn(5, 4, generator=generator), dim=1) for _ in range(2))
    points = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [3, 0, 0], [6, 0, 0], [9, 0, 0]])
    expected = 0.0
    for a, b in ((one, other), (other, one)):
        for k in range(5):
            allowed = [j for j in range(5) if j == k or {j, k} != {0, 1}]
            scores = torch.stack([(a[k] * b[j]).sum() / 0.1 for j in allowed]).double()
            expected += float(-scores.log_softmax(0)[allowed.index(k)]) / 10
    assert float(contrast(one, other, points, 0.1, 0.5)) == pytest.approx(expected, rel=1e-5)
    assert float(contrast(one, one, points, 0.01, 0.5)) < 1e-3


def test_features_of_one_place_come_to_agree(world: World, tmp_path: Path) -> None:
    config = CONFIG.replace(consistency=1.0, decoder_depth=0, all_to_all=False, steps=24, optim={"log_every": 6})
    out = run(world, tmp_path / "run", config)
    told = [row["consistency"] for row in read_metrics(out / "metrics.jsonl") if "consistency" in row]
    assert len(told) == 4 and told[-1] < told[0]
    state, _ = load_pretrained(out)
    assert not any("projector" in name for name in state)


def test_frames_held_back_are_no_partners(walk_space: Space) -> None:
    every = geometry(walk_space)
    frames = FrameSource(walk_space, ["rgb", "depth"], 64)
    some = Geometry(frames, every.views, TOKENS, torch.tensor([0, 2, 4]))
    assert set(some.partners_FP.unique().tolist()) <= {-1, 0, 2, 4}
    assert set(every.partners_FP.unique().tolist()) - {-1, 0, 2, 4}


def test_it_goes_with_masked_modelling_only() -> None:
    with pytest.raises(UserError, match="consistency goes with objective mm"):
        CONFIG.replace(consistency=1.0, objective="mae")


def test_projections_have_length_one() -> None:
    torch.testing.assert_close(Projector(16)(torch.randn(7, 16)).norm(dim=1), torch.ones(7))
