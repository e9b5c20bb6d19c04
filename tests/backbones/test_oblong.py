"""Backbones on images that are not square give the features of their libraries."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

import tiny_models as tiny
from tst.backbones import Backbone, load
from tst.model import FourM, model_state
from tst.model.sizes import get_size
from tst.pretraining.batches import model_table
from tst.runs import save_tensors

GRID = (3, 5)


def oblong(patch: int) -> Tensor:
    size = (2, 3, GRID[0] * patch, GRID[1] * patch)
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(0)).float()


def by_library(folder: Path, name: str, backbone: Backbone) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.about.mean, backbone.about.std))
    x = (oblong(backbone.patch) / 255 - mean) / std
    count = GRID[0] * GRID[1]
    if name == "siglip2_vision_model":
        cells = x.unfold(2, backbone.patch, backbone.patch).unfold(3, backbone.patch, backbone.patch)
        patches = cells.permute(0, 2, 3, 4, 5, 1).reshape(2, count, -1)
        model = transformers.Siglip2VisionModel.from_pretrained(folder)
        return model(patches, torch.ones(2, count), torch.tensor([GRID] * 2)).last_hidden_state
    if name == "clip":
        model = transformers.CLIPVisionModel.from_pretrained(folder)
        return model.post_layernorm(model(x, interpolate_pos_encoding=True).last_hidden_state)[:, 1:]
    model = transformers.AutoModel.from_pretrained(folder)
    if name == "vit_mae":
        model.config.mask_ratio = 0.0
        output = model(x, interpolate_pos_encoding=True)
        tokens = output.last_hidden_state[:, 1:]
        return tokens.gather(1, output.ids_restore[..., None].expand_as(tokens))
    options: dict[str, Any] = {"interpolate_pos_encoding": True} if name in ("siglip_vision_model", "vit") else {}
    return model(x, **options).last_hidden_state[:, -count:]


@pytest.mark.parametrize("name", [name for name in tiny.MAKERS if name != "sam"])
@torch.no_grad()
def test_features_of_transformers(name: str, tmp_path: Path) -> None:
    folder = tiny.write(name, tmp_path / name)
    backbone = load(folder)
    x = oblong(backbone.patch)
    found = backbone.features(x, tuple(x.shape[-2:]))
    assert found.shape == (2, *GRID, backbone.width)
    torch.testing.assert_close(found.flatten(1, 2), by_library(folder, name, backbone), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_features_of_timm(tmp_path: Path) -> None:
    model = tiny.write_timm(tmp_path / "vit", "vit_tiny_patch16_224", img_size=64, depth=2)
    backbone = load(tmp_path / "vit")
    x = oblong(16)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.about.mean, backbone.about.std))
    expected = model.forward_features((x / 255 - mean) / std)[:, 1:]
    torch.testing.assert_close(backbone.features(x, (48, 80)).flatten(1, 2), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_positions_follow_the_two_sides_apart(tmp_path: Path) -> None:
    """SAM's and our encoder's code takes squares in its library: a grid of 3 x 5 must see where each token is."""
    torch.manual_seed(0)
    ours = FourM(get_size("nano"), model_table({"rgb": 48}, 64)).eval()
    save_tensors(
        tmp_path / "run" / "model.safetensors",
        model_state(ours),
        {"size": "nano", "resolution": 64, "vocabularies": {"rgb": 48}},
    )
    for path in (tiny.write("sam", tmp_path / "sam"), tmp_path / "run"):
        backbone = load(path)
        flat = torch.full((1, 3, 48, 80), 90.0)
        wide, tall = backbone.features(flat, (48, 80)), backbone.features(flat.mT, (80, 48))
        assert wide.shape[1:3] == (3, 5) and tall.shape[1:3] == (5, 3)
        assert (wide - tall.transpose(1, 2)).abs().max() > 1e-3  # rows and columns have positions of their own
        square = backbone(torch.full((1, 3, 64, 64), 90.0))
        torch.testing.assert_close(
            backbone.features(torch.full((1, 3, 64, 64), 90.0), (64, 64))[0].flatten(0, 1), square[0]
        )
