"""Tiny random models of every family, written as their libraries write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from torch import Tensor

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 56,
    "patch_size": 14,
}
DINO = {**SHAPE, "mlp_ratio": 2, "layerscale_value": 0.5}
VIT = {**SHAPE, "image_size": 64, "patch_size": 16}


def _dinov2() -> Any:
    return transformers.Dinov2Model(transformers.Dinov2Config(**DINO))


def _registers() -> Any:
    return transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**DINO, num_register_tokens=3))


def _dinov3() -> Any:
    return transformers.DINOv3ViTModel(
        transformers.DINOv3ViTConfig(**{**SHAPE, "patch_size": 16, "image_size": 64}, num_register_tokens=2)
    )


def _clip() -> Any:
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    text |= {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.CLIPConfig(text_config=text, vision_config=dict(SHAPE), projection_dim=16)
    return transformers.CLIPModel(config)


def _siglip() -> Any:
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SHAPE))


def _siglip2() -> Any:
    shape = {name: value for name, value in SHAPE.items() if name != "image_size"}
    return transformers.Siglip2VisionModel(transformers.Siglip2VisionConfig(**shape, num_patches=16))


def _mae() -> Any:
    decoder = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    return transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**VIT, **decoder, decoder_intermediate_size=32))


def _vit() -> Any:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))


def _sam() -> Any:
    vision = transformers.SamVisionConfig(
        hidden_size=32,
        output_channels=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        window_size=3,
        global_attn_indexes=[1],
        mlp_dim=64,
        num_pos_feats=12,
    )
    prompt = transformers.SamPromptEncoderConfig(hidden_size=24, image_size=64, patch_size=16, mask_input_channels=4)
    mask = transformers.SamMaskDecoderConfig(hidden_size=24, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
    return transformers.SamModel(
        transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=mask)
    )


def _swin() -> Any:
    return transformers.SwinConfig(
        image_size=32,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[2, 2, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def mask2former(labels: int = 4) -> Any:
    """A Mask2Former on a Swin."""
    config = transformers.Mask2FormerConfig(
        backbone_config=_swin(),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=32,
        num_attention_heads=2,
        num_queries=6,
        train_num_points=64,
        id2label={i: f"thing {i}" for i in range(labels)},
    )
    return transformers.Mask2FormerForUniversalSegmentation(config)


def segformer(labels: list[str]) -> Any:
    """A SegFormer with these labels."""
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(labels)),
    )
    return transformers.SegformerForSemanticSegmentation(config)


MAKERS: dict[str, Callable[[], Any]] = {
    "dinov2": _dinov2,
    "dinov2_with_registers": _registers,
    "dinov3_vit": _dinov3,
    "clip": _clip,
    "siglip_vision_model": _siglip,
    "siglip2_vision_model": _siglip2,
    "vit_mae": _mae,
    "vit": _vit,
    "sam": _sam,
}


def randomise(model: Any) -> Any:
    """Every parameter random, so that none is at a value that hides a mistake."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn_like(parameter) + (0.5 if parameter.ndim == 1 else 0.0))
    return model.eval()


def write(name: str, folder: Path) -> Path:
    """A model folder of transformers."""
    randomise(MAKERS[name]()).save_pretrained(folder)
    return folder


def write_timm(folder: Path, architecture: str, **arguments: Any) -> Any:
    """A model folder as timm writes it for the hub; returns timm's model."""
    import timm

    model = randomise(timm.create_model(architecture, num_classes=5, dynamic_img_size=True, **arguments))
    folder.mkdir(parents=True)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps({"architecture": architecture, "model_args": arguments, "pretrained_cfg": {"mean": [0.4] * 3}})
    )
    return model


def photo(side: int, count: int = 2) -> Tensor:
    """Stored RGB values."""
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(side)).float()
