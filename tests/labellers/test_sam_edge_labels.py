"""SAM's masks against transformers' own pipeline, and their boundaries."""

import json
from pathlib import Path
from typing import Any

import label_weights
import numpy as np
import pytest
import torch
import transformers

from tst.errors import UserError
from tst.labellers import sam_edges
from tst.labellers.base import Request
from tst.labellers.sam_edges import SamEdges, boundaries, point_grid


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@torch.no_grad()
def test_masks_are_those_of_transformers_pipeline(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    iou, stability = 0.6, 0.7
    monkeypatch.setattr(sam_edges, "POINTS", 4)
    monkeypatch.setattr(sam_edges, "MIN_IOU", iou)
    monkeypatch.setattr(sam_edges, "MIN_STABILITY", stability)
    labeller = SamEdges.load(Request("sam-edges", "sam", str(weights["sam-edges"])))
    original = labeller.model.forward

    def with_contrast(*arguments: Any, **options: Any) -> Any:
        """Masks of random weights are all inside or all outside; these have a border."""
        output = original(*arguments, **options)
        logits = output.pred_masks.flatten(-2)
        output.pred_masks = (60 * (logits - logits.median(-1, keepdim=True).values)).unflatten(-1, (16, 16))
        return output

    monkeypatch.setattr(labeller.model, "forward", with_contrast)
    x = (labeller.pixels(frame[None]) - labeller.mean) / labeller.std
    embedding = labeller.model.get_image_embeddings(torch.nn.functional.pad(x, (0, 0, 0, 16)))
    found = labeller._masks(embedding, (48, 64), (48, 64))

    processor = transformers.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16}
    )
    pipeline = transformers.pipeline("mask-generation", model=labeller.model, image_processor=processor)
    options = {"pred_iou_thresh": iou, "stability_score_thresh": stability, "points_per_crop": 4}
    expected = pipeline(Image.fromarray(frame), **options)["masks"]
    assert len(found) == len(expected) > 0
    theirs = {np.asarray(mask).astype(np.uint8).tobytes() for mask in expected}
    assert {mask.tobytes() for mask in found} == theirs


def test_points_are_the_centres_of_cells() -> None:
    points = point_grid((30, 60), 3).tolist()
    assert points[:3] == [[10, 5], [30, 5], [50, 5]] and points[-1] == [50, 25] and len(points) == 9


def test_boundaries_run_along_masks() -> None:
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, 8:24, 8:24] = 1
    masks[1, :, 16:] = 1
    edges = boundaries(masks, (32, 32))
    assert set(np.unique(edges)) == {0, 255}
    assert not edges[10:15, 10:15].any() and not edges[0:6, 0:14].any()
    assert edges[12:20, 6:10].any(1).all() and edges[2:6, 14:18].any(1).all()
    assert not boundaries(masks[:0], (32, 32)).any()


def test_another_model_is_refused(tmp_path: Path, weights: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"dinov2, not a SAM. Give the folder that `hf download facebook/sam"):
        SamEdges.load(Request("sam-edges", "sam", str(weights["dinov2"])))
    folder = label_weights.WRITERS["sam-edges"](tmp_path / "sam")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="the weights do not fit"):
        SamEdges.load(Request("sam-edges", "sam", str(folder)))
