"""Names and shapes of 4M, written out from the specification: adapting published weights depends on each of them."""

import torch

from tst.model import FOURM_21, FourM, ModalitySpec

D = 768
IMAGE = {  # name: (vocabulary, tokens)
    "tok_rgb@224": (16384, 196),
    "tok_depth@224": (8192, 196),
    "tok_normal@224": (8192, 196),
    "tok_semseg@224": (4096, 196),
    "tok_clip@224": (8192, 196),
    "tok_dinov2@224": (8192, 256),
    "tok_imagebind@224": (8192, 256),
    "tok_dinov2_global": (8192, 16),
    "tok_imagebind_global": (8192, 16),
    "tok_canny_edge@224": (8192, 196),
    "tok_sam_edge@224": (8192, 196),
}
SEQUENCES = ["caption", "det", "metadata", "human_poses", "color_palette", "sam_instance"]


def expected_base() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"mask_token": (1, 1, D)}
    tables = IMAGE | dict.fromkeys(SEQUENCES, (30000, 512))
    for side in ("encoder", "decoder"):
        for name, (vocab, rows) in tables.items():
            prefix = f"{side}_embeddings.{name}."
            shapes[prefix + "token_emb.weight"] = (vocab, D)
            shapes[prefix + "pos_emb"] = (1, rows, D)
            shapes[prefix + "mod_emb"] = (1, 1, D)
            if side == "decoder":
                shapes[prefix + "to_logits.weight"] = (vocab, D)
    shapes["encoder_embeddings.rgb@224.proj.weight"] = (D, 768)
    shapes["encoder_embeddings.rgb@224.pos_emb"] = (1, 196, D)
    shapes["encoder_embeddings.rgb@224.mod_emb"] = (1, 1, D)
    shapes["encoder_embeddings.t5_caption.emb_proj.weight"] = (D, 4096)
    shapes["encoder_embeddings.t5_caption.emb_proj.bias"] = (D,)
    shapes["encoder_embeddings.t5_caption.pos_emb"] = (1, 512, D)
    shapes["encoder_embeddings.t5_caption.mod_emb"] = (1, 1, D)
    norms = ["encoder_norm", "decoder_norm"]
    for i in range(12):
        norms += [f"encoder.{i}.norm1", f"encoder.{i}.norm2"]
        norms += [f"decoder.{i}.{name}" for name in ("norm1", "query_norm", "context_norm", "norm2")]
        shapes[f"encoder.{i}.attn.qkv.weight"] = (3 * D, D)
        shapes[f"encoder.{i}.attn.proj.weight"] = (D, D)
        shapes[f"decoder.{i}.self_attn.qkv.weight"] = (3 * D, D)
        shapes[f"decoder.{i}.self_attn.proj.weight"] = (D, D)
        shapes[f"decoder.{i}.cross_attn.q.weight"] = (D, D)
        shapes[f"decoder.{i}.cross_attn.kv.weight"] = (2 * D, D)
        shapes[f"decoder.{i}.cross_attn.proj.weight"] = (D, D)
        for side in ("encoder", "decoder"):
            shapes[f"{side}.{i}.mlp.fc1.weight"] = (2048, D)
            shapes[f"{side}.{i}.mlp.fc2.weight"] = (D, 2048)
            shapes[f"{side}.{i}.mlp.fc3.weight"] = (2048, D)
    for name in norms:  # "no bias" checkpoints hold zeros called bias
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (D,)
    shapes["decoder_proj_context.weight"] = (D, D)
    shapes["decoder_proj_context.bias"] = (D,)
    return shapes


def test_every_name_and_shape_of_base_with_the_4m_21_table() -> None:
    with torch.device("meta"):
        model = FourM("base", FOURM_21, tie_logits=False)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == expected_base()


def test_arithmetic_of_the_published_file() -> None:
    ids = [spec.vocab for spec in FOURM_21 if spec.vocab]
    assert (len(ids), sum(ids)) == (17, 274_208)
    with torch.device("meta"):
        model = FourM("base", FOURM_21, tie_logits=False)
    bytes_ = sum(4 * value.numel() for value in model.state_dict().values())
    assert round(bytes_ / 1e9, 2) == 3.37  # as Hugging Face lists EPFL-VILAB/4M-21_B
    tables = sum(p.numel() for n, p in model.named_parameters() if n.endswith(("token_emb.weight", "to_logits.weight")))
    assert tables == 3 * 274_208 * D


def test_core_sizes() -> None:
    # (encoder, encoder + decoder) without embeddings, in millions: the specification's table
    expected = {"tiny": (10.6, 24.9), "small": (25.2, 59.0), "base": (85.0, 198.8), "large": (302.0, 705.7)}
    for name, (encoder, both) in expected.items():
        with torch.device("meta"):
            model = FourM(name, FOURM_21)
        count = {n: p.numel() for n, p in model.named_parameters() if "_embeddings" not in n}
        assert abs(sum(v for n, v in count.items() if n.startswith("encoder")) / 1e6 - encoder) < 0.06 + 0.002 * encoder
        assert abs(sum(count.values()) / 1e6 - both) < 0.06 + 0.001 * both
    assert model.encoder[0].mlp.fc1.weight.shape == (2730, 1024)


def test_buffers_are_not_parameters_and_mod_emb_is_shared() -> None:
    with torch.device("meta"):
        model = FourM("nano", FOURM_21)
    names = {name for name, _ in model.named_parameters()}
    assert "encoder.0.norm1.bias" not in names
    assert "encoder_embeddings.tok_rgb@224.pos_emb" not in names
    assert "encoder_embeddings.tok_dinov2_global.pos_emb" in names  # learned
    assert (
        model.decoder_embeddings["tok_rgb@224"].mod_emb is model.encoder_embeddings["tok_rgb@224"].mod_emb  # one
    )
    assert model.decoder_embeddings["caption"].to_logits.weight is model.decoder_embeddings["caption"].token_emb.weight
    with torch.device("meta"):
        apart = FourM("nano", FOURM_21, share_modality_embeddings=False, tie_logits=False)
    assert apart.decoder_embeddings["det"].mod_emb is not apart.encoder_embeddings["det"].mod_emb


def test_options_change_the_names() -> None:
    table = [ModalitySpec("rgb@32", "pixels", grid=(2, 2), target=False), _tokens("tok_rgb@32")]
    state = FourM("nano", table, family="gelu", qk_norm=True, num_register_tokens=3).state_dict()
    assert state["register_tokens"].shape == (1, 3, 192)
    assert state["encoder.0.attn.q_norm.weight"].shape == state["decoder.5.cross_attn.k_norm.bias"].shape == (64,)
    assert state["encoder.0.attn.qkv.bias"].shape == (576,)
    assert state["encoder.0.mlp.fc1.weight"].shape == (768, 192)
    assert "encoder.0.mlp.fc3.weight" not in state
    plain = FourM("nano", table).state_dict()
    assert "encoder.0.attn.q_norm.weight" not in plain
    assert "encoder.0.attn.qkv.bias" not in plain
    assert "register_tokens" not in plain


def _tokens(name: str) -> ModalitySpec:
    return ModalitySpec(name, "tokens", vocab=7, grid=(2, 2))
