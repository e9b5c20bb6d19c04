"""Tiny models written by their specifications, without their libraries: a 4M checkpoint, a DINOv2."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

D, HEADS, DEPTH, SIDE = 32, 2, 2, 3  # width, heads, blocks, tokens along a side
STREAMS = {"tok_rgb@224": (11, SIDE**2), "tok_depth@224": (13, SIDE**2), "caption": (17, 512), "tok_clip@224": (5, 9)}
METADATA = {"num_heads": str(HEADS), "dim": str(D), "domains_in": json.dumps([*STREAMS]), "act_layer": "SiLU"}
VIT_DIM, PATCH = 32, 14


def positions(side: int) -> Tensor:
    """4M's, written as in its code: width first, MoCo-v3's order."""
    w, h = torch.meshgrid(torch.arange(side).float(), torch.arange(side).float(), indexing="ij")
    omega = 1.0 / 10_000 ** (torch.arange(D // 4).float() / (D // 4))
    w, h = w.flatten()[:, None] * omega, h.flatten()[:, None] * omega
    return torch.cat([w.sin(), w.cos(), h.sin(), h.cos()], 1)[None]


def written_by_specification(seed: int = 0) -> dict[str, Tensor]:
    """A whole 4M: two tables and one of logits for each modality, zero biases of norms, 512 rows of a sequence."""
    torch.manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape) * 0.2

    hidden = int(2 * 4 * D / 3)
    state = {"mask_token": random(1, 1, D)}
    for name, (vocab, rows) in STREAMS.items():
        modality = random(1, 1, D)
        for side in ("encoder", "decoder"):
            prefix = f"{side}_embeddings.{name}."
            state[prefix + "token_emb.weight"] = random(vocab, D)
            state[prefix + "pos_emb"] = random(1, rows, D) if rows == 512 else positions(SIDE)
            state[prefix + "mod_emb"] = modality.clone()
        state[f"decoder_embeddings.{name}.to_logits.weight"] = random(vocab, D)
    state["encoder_embeddings.tok_dinov2_global.token_emb.weight"] = random(7, D)
    state["encoder_embeddings.tok_dinov2_global.pos_emb"] = random(1, 16, D)
    state["encoder_embeddings.tok_dinov2_global.mod_emb"] = random(1, 1, D)
    state["encoder_embeddings.rgb@224.proj.weight"] = random(D, 768)
    state["encoder_embeddings.rgb@224.pos_emb"] = positions(SIDE)
    state["encoder_embeddings.rgb@224.mod_emb"] = random(1, 1, D)
    norms = ["encoder_norm", "decoder_norm"]
    for i in range(DEPTH):
        for side, attentions in (("encoder", ["attn"]), ("decoder", ["self_attn", "cross_attn"])):
            block = f"{side}.{i}."
            norms += [block + name for name in ("norm1", "norm2")]
            for attention in attentions:
                if attention == "cross_attn":
                    state[f"{block}{attention}.q.weight"] = random(D, D)
                    state[f"{block}{attention}.kv.weight"] = random(2 * D, D)
                    norms += [block + "query_norm", block + "context_norm"]
                else:
                    state[f"{block}{attention}.qkv.weight"] = random(3 * D, D)
                state[f"{block}{attention}.proj.weight"] = random(D, D)
            for name, shape in (("fc1", (hidden, D)), ("fc2", (D, hidden)), ("fc3", (hidden, D))):
                state[f"{block}mlp.{name}.weight"] = random(*shape)
    for name in norms:
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + random(D), torch.zeros(D)
    state["decoder_proj_context.weight"], state["decoder_proj_context.bias"] = random(D, D), random(D)
    return state


def as_safetensors(folder: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    """A 4M as its authors publish it: options as strings in the file's metadata."""
    path = folder / "4M-21_tiny.safetensors"
    save_file(state, path, metadata=METADATA if metadata is None else metadata)
    return path


def write_vit(folder: Path) -> Path:
    """A tiny DINOv2 in transformers' layout, patches of 14, 3 x 3 positions."""
    torch.manual_seed(3)
    state = {
        "embeddings.cls_token": torch.randn(1, 1, VIT_DIM),
        "embeddings.position_embeddings": torch.randn(1, 10, VIT_DIM),
        "embeddings.patch_embeddings.projection.weight": torch.randn(VIT_DIM, 3, PATCH, PATCH) * 0.05,
        "embeddings.patch_embeddings.projection.bias": torch.randn(VIT_DIM),
        "layernorm.weight": torch.ones(VIT_DIM),
        "layernorm.bias": torch.randn(VIT_DIM) * 0.1,
    }
    shapes = {"mlp.fc1": (64, VIT_DIM), "mlp.fc2": (VIT_DIM, 64), "attention.output.dense": (VIT_DIM, VIT_DIM)}
    shapes |= {f"attention.attention.{name}": (VIT_DIM, VIT_DIM) for name in ("query", "key", "value")}
    for i in range(2):
        block = f"encoder.layer.{i}."
        for name, shape in shapes.items():
            state[f"{block}{name}.weight"] = torch.randn(shape) * 0.2
            state[f"{block}{name}.bias"] = torch.randn(shape[0]) * 0.1
        for name in ("norm1", "norm2"):
            state[f"{block}{name}.weight"], state[f"{block}{name}.bias"] = torch.ones(VIT_DIM), torch.zeros(VIT_DIM)
        for name in ("layer_scale1", "layer_scale2"):
            state[f"{block}{name}.lambda1"] = torch.full((VIT_DIM,), 0.5)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "dinov2", "num_attention_heads": 2}))
    return folder
