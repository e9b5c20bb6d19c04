"""Other ViTs as our encoder: its features are those of the library's own forward pass, at any grid."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tst.errors import UserError
from tst.modalities.rgb import to_imagenet
from tst.model.from_vit import read_vit
from tst.pretraining.initial import read_initial

transformers = pytest.importorskip("transformers")
timm = pytest.importorskip("timm")

COMMON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
PATCH_14 = {**COMMON, "image_size": 42, "patch_size": 14}
PATCH_16 = {**COMMON, "image_size": 48, "patch_size": 16, "intermediate_size": 48}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5,) * 3, (0.5,) * 3)
Forward = Callable[[Tensor], Tensor]


def randomised(model: nn.Module) -> nn.Module:
    """All that starts as zeros or ones is given values, else mistakes in it would not show."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def of_transformers(name: str, config: str, options: dict[str, Any], prefix: int, *, interpolate: bool = True) -> Any:
    def make(folder: Path) -> Forward:
        model = randomised(getattr(transformers, name)(getattr(transformers, config)(**options)))
        model.save_pretrained(folder)
        extra = {"interpolate_pos_encoding": True} if interpolate else {}
        return lambda pixels: model(pixels, **extra).last_hidden_state[:, prefix:]

    return make


def clip(folder: Path) -> Forward:
    """A whole CLIP: text tower and all. Its patch features are those after the last norm."""
    torch.manual_seed(0)
    vision = {**PATCH_16, "projection_dim": 8}
    text = {**COMMON, "intermediate_size": 48, "vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(vision_config=vision, text_config=text)
    model = randomised(transformers.CLIPModel(config))
    model.save_pretrained(folder)
    tower = model.vision_model

    def forward(pixels: Tensor) -> Tensor:
        hidden = tower(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
        return tower.post_layernorm(hidden)

    return forward


def mae(folder: Path) -> Forward:
    """With its decoder; nothing is masked, and noise in order keeps the patches in order."""
    options = {f"decoder_{name}": value for name, value in COMMON.items()} | {"decoder_intermediate_size": 48}
    config = transformers.ViTMAEConfig(**PATCH_16, **options, mask_ratio=0.0)
    model = randomised(transformers.ViTMAEForPreTraining(config))
    model.save_pretrained(folder)

    def forward(pixels: Tensor) -> Tensor:
        count = pixels.shape[-1] * pixels.shape[-2] // 256
        noise = torch.arange(count).float().expand(len(pixels), -1)
        return model.vit(pixels, noise=noise, interpolate_pos_encoding=True).last_hidden_state[:, 1:]

    return forward


def of_timm(name: str, **options: Any) -> Any:
    def make(folder: Path) -> Forward:
        arguments = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 3 * options.pop("patch", 16), **options}
        model = randomised(timm.create_model(name, num_classes=0, dynamic_img_size=True, **arguments))
        folder.mkdir(exist_ok=True)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
        config = {"architecture": name, "model_args": arguments, "pretrained_cfg": {"license": "mit"}}
        (folder / "config.json").write_text(json.dumps(config))
        return lambda pixels: model.forward_features(pixels)[:, model.num_prefix_tokens :]

    return make


FAMILIES: dict[str, tuple[Callable[[Path], Forward], int, Any]] = {
    "dinov2": (of_transformers("Dinov2Model", "Dinov2Config", PATCH_14, 1, interpolate=False), 14, IMAGENET),
    "dinov2 with SwiGLU": (
        of_transformers("Dinov2Model", "Dinov2Config", {**PATCH_14, "use_swiglu_ffn": True}, 1, interpolate=False),
        14,
        IMAGENET,
    ),
    "dinov2 with registers": (
        of_transformers("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", PATCH_14, 5, interpolate=False),
        14,
        IMAGENET,
    ),
    "clip": (clip, 16, CLIP),
    "siglip": (of_transformers("SiglipVisionModel", "SiglipVisionConfig", PATCH_16, 0), 16, HALF),
    "mae": (mae, 16, IMAGENET),
    "deit": (of_transformers("ViTModel", "ViTConfig", PATCH_16, 1), 16, IMAGENET),
    "timm": (of_timm("vit_tiny_patch16_224"), 16, HALF),
    "timm dinov2 with registers": (of_timm("vit_small_patch14_reg4_dinov2", patch=14), 14, IMAGENET),
    "timm clip": (of_timm("vit_base_patch16_clip_quickgelu_224"), 16, CLIP),
    "timm siglip": (of_timm("vit_base_patch16_siglip_224"), 16, HALF),
    "timm without biases": (of_timm("vit_tiny_patch16_224", qkv_bias=False), 16, HALF),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_our_encoder_gives_the_originals_features(family: str, tmp_path: Path) -> None:
    make, patch, (mean, std) = FAMILIES[family]
    folder = tmp_path / "model"
    forward = make(folder)
    if family == "deit":  # ViTs differ in their pixels: only preprocessor_config.json tells
        (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    pretrained = read_vit(folder)
    assert pretrained.pixels.patch == patch and pretrained.pixels.grid == (3, 3)
    for grid in ((3, 3), (5, 5), (2, 4)):
        values = torch.rand(2, 3, grid[0] * patch, grid[1] * patch, generator=torch.Generator().manual_seed(2)) * 255
        theirs = (values / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        with torch.no_grad():
            expected = forward(theirs)
            found = pretrained.rgb_encoder(grid)({pretrained.pixels.name: to_imagenet(values)})
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_weights_of_the_authors_repository_without_a_config(tmp_path: Path) -> None:
    """DINOv2's own file: timm's names, a mask token, heads of 64, an offset when positions are resampled."""
    options = {"embed_dim": 64, "depth": 2, "num_heads": 1, "img_size": 42, "no_embed_class": False, "init_values": 0.1}
    model = randomised(timm.create_model("vit_small_patch14_dinov2", num_classes=0, **options))
    state = model.state_dict() | {"mask_token": torch.zeros(1, 64)}
    torch.save(state, tmp_path / "dinov2_vitt14_pretrain.pth")
    pretrained = read_vit(tmp_path / "dinov2_vitt14_pretrain.pth")
    assert (pretrained.kind, pretrained.resampling, pretrained.size.heads) == ("dinov2", "dinov2", 1)
    pixels = torch.randn(2, 3, 42, 42)
    with torch.no_grad():
        found = pretrained.rgb_encoder()({"rgb@42": pixels})
        torch.testing.assert_close(found, model.forward_features(pixels)[:, 1:], atol=1e-4, rtol=1e-4)
    assert pretrained.rgb_encoder((5, 5)).encoder_embeddings["rgb@42"].pos_emb.shape == (1, 25, 64)


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    FAMILIES["dinov2"][0](tmp_path / "dinov2")
    return tmp_path / "dinov2"


def test_half_precision_is_read_as_float32(dinov2: Path) -> None:
    weights = dinov2 / "model.safetensors"
    save_file({name: value.half() for name, value in load_file(weights).items()}, weights)
    assert {value.dtype for value in read_vit(dinov2).state.values()} == {torch.float32}


def test_the_licence_is_the_model_cards_else_the_published_one(dinov2: Path) -> None:
    assert read_vit(dinov2).licences[0]["licence"] == "Apache-2.0"
    (dinov2 / "README.md").write_text("---\nlicense: cc-by-nc-4.0\ntags:\n- vision\n---\n# A model\nlicense: mit\n")
    assert read_vit(dinov2).licences[0]["licence"] == "cc-by-nc-4.0"
    FAMILIES["timm"][0](dinov2.parent / "timm")
    assert read_vit(dinov2.parent / "timm").licences[0]["licence"] == "mit"


def test_shards_are_read_as_one(dinov2: Path) -> None:
    state = load_file(dinov2 / "model.safetensors")
    whole = read_vit(dinov2).state
    names = sorted(state)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: state[name] for name in part}, dinov2 / file)
    (dinov2 / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (dinov2 / "model.safetensors.index.json").write_text(json.dumps(index))
    assert all(value.equal(whole[name]) for name, value in read_vit(dinov2).state.items())
    (dinov2 / "b.safetensors").unlink()
    with pytest.raises(UserError, match=r"b.safetensors: not found, though the index names it"):
        read_vit(dinov2)


def change_config(**changes: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return apply


def change_weights(change: Callable[[dict[str, Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors")

    return apply


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "rotary positions": (change_config(model_type="dinov3_vit"), r"turns queries and keys by position \(RoPE\)"),
    "another type": (change_config(model_type="swin"), r"'swin' is not one that can be held. Choose one of: dinov2"),
    "pixels unknown": (change_config(model_type="vit"), r"lacks preprocessor_config.json"),
    "an activation": (change_config(hidden_act="relu"), r"activation 'relu' is unknown"),
    "heads": (change_config(num_attention_heads=5), r"5 heads do not divide a width of 32"),
    "a timm model that is none": (change_config(architecture="vit_none"), r"timm cannot make vit_none"),
    "another timm model": (change_config(architecture="beit_base_patch16_224"), r"timm's Beit, not a plain ViT"),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"has no config.json beside it"),
    "a broken config": (lambda folder: (folder / "config.json").write_text("{"), r"config.json: not valid JSON"),
    "a list as config": (lambda folder: (folder / "config.json").write_text("[]"), r"holds a list, not an object"),
    "a missing weight": (
        change_weights(lambda state: state.pop("encoder.layer.1.mlp.fc2.weight")),
        r"lacks blocks.1.mlp.fc2.weight",
    ),
    "no last norm": (change_weights(lambda state: state.pop("layernorm.weight")), r"lacks norm.weight"),
    "relative positions": (
        change_weights(lambda state: state.update({"encoder.layer.0.attention.relative": torch.ones(2)})),
        r"holds encoder.layer.0.attention.relative, which a plain ViT does not have",
    ),
    "no patches": (
        change_weights(lambda state: state.pop("embeddings.patch_embeddings.projection.weight")),
        r"not a plain ViT",
    ),
    "no grid": (
        change_weights(lambda state: state.update({"embeddings.position_embeddings": torch.ones(1, 8, 32)})),
        r"8 positions are no square grid",
    ),
    "cut": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999]),
        r"damaged weights file",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_cannot_be_held_exactly_is_refused_in_one_line(what: str, dinov2: Path) -> None:
    damage, message = DAMAGE[what]
    damage(dinov2)
    with pytest.raises(UserError, match=message) as refused:
        read_initial(dinov2)
    assert str(dinov2) in str(refused.value) and "\n" not in str(refused.value)
