"""Backbones and specialists by the names that people call them, and where they are published."""

HUB = {
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
    "dinov2-large": "facebook/dinov2-large",
    "dinov2-registers-small": "facebook/dinov2-with-registers-small",
    "dinov2-registers-base": "facebook/dinov2-with-registers-base",
    "dinov2-registers-large": "facebook/dinov2-with-registers-large",
    "dinov3-small": "facebook/dinov3-vits16-pretrain-lvd1689m",
    "dinov3-base": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    "dinov3-large": "facebook/dinov3-vitl16-pretrain-lvd1689m",
    "clip-base": "openai/clip-vit-base-patch16",
    "clip-large": "openai/clip-vit-large-patch14",
    "siglip-base": "google/siglip-base-patch16-224",
    "siglip2-base": "google/siglip2-base-patch16-224",
    "mae-base": "facebook/vit-mae-base",
    "mae-large": "facebook/vit-mae-large",
    "vit-base": "google/vit-base-patch16-224-in21k",
    "sam-base": "facebook/sam-vit-base",
    "sam-large": "facebook/sam-vit-large",
}
"""Known names and the Hugging Face repository of each."""
