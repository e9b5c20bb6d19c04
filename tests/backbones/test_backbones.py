"""Every family gives the features of its library's own code, at any size, and is built again from its spec."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor

import tiny_models as tiny
from tst.backbones import FAMILIES, Backbone, load, rebuild
from tst.backbones.hub import need
from tst.errors import UserError
from tst.licences import is_non_commercial, licence_of
from tst.model import FourM, model_state
from tst.model.sizes import get_size
from tst.model.table import ModalitySpec
from tst.pretraining.batches import model_table
from tst.runs import save_tensors

PREFIXES = {"dinov2": 1, "dinov2_with_registers": 4, "dinov3_vit": 3, "clip": 1, "vit_mae": 1, "vit": 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    return {name: tiny.write(name, root / name) for name in tiny.MAKERS}


def expected(folder: Path, name: str, backbone: Backbone, side: int) -> Tensor:
    """Tokens by the library alone."""
    x = (tiny.photo(side) / 255 - torch.tensor(backbone.about.mean).view(3, 1, 1)) / torch.tensor(
        backbone.about.std
    ).view(3, 1, 1)
    grid = side // backbone.patch
    if name == "sam":
        found = transformers.SamVisionModel.from_pretrained(folder)(pixel_values=x).last_hidden_state
        return found.flatten(2).transpose(1, 2)
    if name == "siglip2_vision_model":
        model = transformers.Siglip2VisionModel.from_pretrained(folder)
        cells = x.unfold(2, backbone.patch, backbone.patch).unfold(3, backbone.patch, backbone.patch)
        patches = cells.permute(0, 2, 3, 4, 5, 1).reshape(2, grid * grid, -1)
        return model(patches, torch.ones(2, grid * grid), torch.tensor([[grid, grid]] * 2)).last_hidden_state
    if name == "clip":
        model = transformers.CLIPVisionModel.from_pretrained(folder)
        return model.post_layernorm(model(x, interpolate_pos_encoding=True).last_hidden_state)[:, 1:]
    model = transformers.AutoModel.from_pretrained(folder)
    options: dict[str, Any] = {"interpolate_pos_encoding": True} if name in ("siglip_vision_model", "vit") else {}
    if name == "vit_mae":
        model.config.mask_ratio = 0.0
        output = model(x, interpolate_pos_encoding=True)
        tokens = output.last_hidden_state[:, 1:]
        return tokens.gather(1, output.ids_restore[..., None].expand_as(tokens))
    return model(x, **options).last_hidden_state[:, PREFIXES.get(name, 0) :]


@pytest.mark.parametrize("grid", [4, 3, 7])
@pytest.mark.parametrize("name", tiny.MAKERS)
@torch.no_grad()
def test_features_are_those_of_the_library_at_native_and_other_sizes(
    name: str, grid: int, folders: dict[str, Path]
) -> None:
    if name == "sam" and grid != 4:
        pytest.skip("transformers' SAM takes one size")
    backbone = load(folders[name])
    side = grid * backbone.patch
    found = backbone(tiny.photo(side))
    assert found.shape == (2, grid * grid, backbone.width) and backbone.grid(side) == grid
    torch.testing.assert_close(found, expected(folders[name], name, backbone, side), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_sam_at_other_sizes_interpolates_and_stays_finite(folders: dict[str, Path]) -> None:
    backbone = load(folders["sam"])
    for grid in (3, 7):
        assert backbone(tiny.photo(grid * 16)).shape == (2, grid * grid, 24)
    flat = backbone.model.pos_embed.mean((1, 2), keepdim=True).expand_as(backbone.model.pos_embed)
    backbone.model.pos_embed.copy_(flat)
    same = backbone(torch.full((1, 3, 64, 64), 90.0), side=48)
    assert torch.allclose(same, backbone(torch.full((1, 3, 48, 48), 90.0)), atol=1e-5)


@torch.no_grad()
def check_rebuilt(backbone: Backbone) -> None:
    again = rebuild(json.loads(json.dumps(backbone.spec()))).eval()
    again.load_state_dict(backbone.state_dict())
    x = tiny.photo(3 * backbone.patch)
    assert torch.equal(again(x), backbone(x))
    assert (again.about, again.patch, again.width) == (backbone.about, backbone.patch, backbone.width)


def check_layers(backbone: Backbone) -> None:
    layers = backbone.layers()
    assert len(layers) == len(backbone.blocks) + 2 and all(layers)
    held = [id(parameter) for layer in layers for _, parameter in layer]
    assert sorted(held) == sorted(id(parameter) for parameter in backbone.parameters())
    for layer, block in zip(layers[1:-1], backbone.blocks, strict=True):
        assert {id(parameter) for _, parameter in layer} == {id(parameter) for parameter in block.parameters()}
    assert all("norm" in name or "neck" in name for name, _ in layers[-1])
    assert any("patch" in name or "proj" in name for name, _ in layers[0])


@pytest.mark.parametrize("name", tiny.MAKERS)
def test_it_is_built_again_from_its_spec_and_its_layers_are_in_order(name: str, folders: dict[str, Path]) -> None:
    backbone = load(folders[name])
    check_rebuilt(backbone)
    check_layers(backbone)
    assert not backbone.training and backbone.name == name


@torch.no_grad()
def test_images_of_any_size_go_to_the_nearest_multiple_of_the_patch(folders: dict[str, Path]) -> None:
    backbone = load(folders["dinov2"])
    assert [backbone.side(pixels) for pixels in (5, 20, 21, 22, 128)] == [14, 14, 28, 28, 126]
    assert backbone(tiny.photo(50)).shape == (2, 16, 32)  # 56
    assert backbone(tiny.photo(50), side=28).shape == (2, 4, 32)
    grey = torch.full((1, 3, 50, 50), 100.0)
    assert torch.allclose(backbone(grey), backbone(grey[..., :28, :28], side=56), atol=1e-5)


def test_pixel_statistics_beside_the_weights_are_used(tmp_path: Path) -> None:
    folder = tiny.write("vit", tmp_path / "vit")
    stated = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    about = load(folder).about
    assert (about.mean, about.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


# timm


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "embed_dim": 48, "depth": 2, "num_heads": 3}),
        ("vit_small_patch14_reg4_dinov2", {"img_size": 56, "embed_dim": 48, "depth": 2, "num_heads": 3}),
        ("vit_small_patch16_dinov3", {"img_size": 64, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    ],
)
@torch.no_grad()
def test_timm_gives_timms_features(architecture: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    model = tiny.write_timm(tmp_path / "model", architecture, **arguments)
    backbone = load(tmp_path / "model")
    assert backbone.about.mean == (0.4, 0.4, 0.4)
    for grid in (4, 3, 6):
        x = tiny.photo(grid * backbone.patch)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.about.mean, backbone.about.std))
        own = model.forward_features((x / 255 - mean) / std)[:, model.num_prefix_tokens :]
        torch.testing.assert_close(backbone(x), own, rtol=1e-4, atol=1e-4)
    check_rebuilt(backbone)
    check_layers(backbone)


def test_timm_by_name_takes_weights_from_a_file(tmp_path: Path) -> None:
    import timm

    model = tiny.randomise(timm.create_model("test_vit", num_classes=0))
    safetensors.torch.save_file(model.state_dict(), tmp_path / "weights.safetensors")
    backbone = load(f"timm:test_vit@{tmp_path / 'weights.safetensors'}")
    assert backbone.name == "timm:test_vit" and backbone.licence
    check_rebuilt(backbone)


# ImageBind


def imagebind_state(width: int = 64, depth: int = 2, patch: int = 14, grid: int = 4) -> dict[str, Tensor]:
    """An image tower with the names of `imagebind_huge.pth`, and a little of another modality."""
    torch.manual_seed(0)
    pre, trunk = "modality_preprocessors.vision", "modality_trunks.vision"
    shapes: dict[str, tuple[int, ...]] = {
        f"{pre}.cls_token": (1, 1, width),
        f"{pre}.pos_embedding_helper.pos_embed": (1, grid * grid + 1, width),
        f"{pre}.rgbt_stem.proj.1.weight": (width, 3, 2, patch, patch),
        f"{trunk}.pre_transformer_layer.0.weight": (width,),
        f"{trunk}.pre_transformer_layer.0.bias": (width,),
        "modality_heads.vision.0.weight": (width,),
        "modality_heads.vision.0.bias": (width,),
        "modality_heads.vision.2.weight": (16, width),
        "modality_trunks.audio.blocks.0.norm_1.weight": (8,),
        "modality_postprocessors.text.1.log_logit_scale": (),
    }
    for i in range(depth):
        block = f"{trunk}.blocks.{i}"
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= {f"{block}.attn.out_proj.weight": (width, width), f"{block}.attn.out_proj.bias": (width,)}
        shapes |= {f"{block}.mlp.fc1.weight": (96, width), f"{block}.mlp.fc1.bias": (96,)}
        shapes |= {f"{block}.mlp.fc2.weight": (width, 96), f"{block}.mlp.fc2.bias": (width,)}
        shapes |= {f"{block}.norm_{n}.{end}": (width,) for n in (1, 2) for end in ("weight", "bias")}
    return {name: 0.2 * torch.randn(shape) for name, shape in shapes.items()}


def imagebind_reference(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """ImageBind's forward pass written out: two frames, a 3D convolution, torch's attention, sequence first."""
    pre, trunk = "modality_preprocessors.vision", "modality_trunks.vision"
    kernel = state[f"{pre}.rgbt_stem.proj.1.weight"]
    video = x[:, :, None].repeat(1, 1, 2, 1, 1)
    tokens = torch.conv3d(video, kernel, stride=kernel.shape[2:]).flatten(2).transpose(1, 2)
    positions = state[f"{pre}.pos_embedding_helper.pos_embed"]
    count, native = tokens.shape[1], positions.shape[1] - 1
    if count != native:
        side = int(native**0.5)
        grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        factor = (count / native) ** 0.5
        grid = torch.nn.functional.interpolate(grid, scale_factor=factor, mode="bicubic")
        positions = torch.cat([positions[:, :1], grid.permute(0, 2, 3, 1).reshape(1, count, -1)], 1)
    y = torch.cat([state[f"{pre}.cls_token"].expand(len(x), -1, -1), tokens], 1) + positions
    norm = torch.nn.functional.layer_norm

    def normed(y: Tensor, name: str) -> Tensor:
        return norm(y, y.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    y = normed(y, f"{trunk}.pre_transformer_layer.0").transpose(0, 1)
    for i in range(2):
        block = f"{trunk}.blocks.{i}"
        attention = torch.nn.MultiheadAttention(y.shape[-1], 16)
        own = {name.removeprefix(f"{block}.attn."): v for name, v in state.items() if f"{block}.attn." in name}
        attention.load_state_dict(own)
        z = normed(y, f"{block}.norm_1")
        y = y + attention(z, z, z, need_weights=False)[0]
        z = normed(y, f"{block}.norm_2") @ state[f"{block}.mlp.fc1.weight"].T + state[f"{block}.mlp.fc1.bias"]
        y = y + torch.nn.functional.gelu(z) @ state[f"{block}.mlp.fc2.weight"].T + state[f"{block}.mlp.fc2.bias"]
    return normed(y.transpose(0, 1), "modality_heads.vision.0")[:, 1:]


@torch.no_grad()
def test_imagebinds_image_tower(tmp_path: Path) -> None:
    state = imagebind_state()
    torch.save(state, tmp_path / "imagebind_tiny.pth")
    backbone = load(tmp_path / "imagebind_tiny.pth")
    assert backbone.non_commercial and backbone.patch == 14
    for grid in (4, 3, 6):
        x = tiny.photo(14 * grid)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.about.mean, backbone.about.std))
        torch.testing.assert_close(
            backbone(x), imagebind_reference(state, (x / 255 - mean) / std), rtol=1e-4, atol=1e-4
        )
    check_rebuilt(backbone)
    check_layers(backbone)


# Ours, and what our encoder can hold


@torch.no_grad()
def test_our_own_pre_training_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FourM(get_size("nano"), model_table({"rgb": 48}, 64)).eval()
    metadata = {"size": "nano", "resolution": 64, "vocabularies": {"rgb": 48}}
    save_tensors(tmp_path / "run" / "model.safetensors", model_state(model), metadata)
    backbone = load(tmp_path / "run")
    x = tiny.photo(64)
    from tst.modalities.rgb import to_imagenet

    torch.testing.assert_close(backbone(x), model.rgb_encoder()({"rgb@64": to_imagenet(x)}), rtol=1e-4, atol=1e-5)
    other = FourM(get_size("nano"), model_table({"rgb": 48}, 96)).eval()  # sin-cos positions count on
    state = {name.replace("@64", "@96"): value for name, value in model.state_dict().items()}
    other.load_state_dict({**state, **{name: value for name, value in other.state_dict().items() if "pos_emb" in name}})
    x = tiny.photo(96)
    torch.testing.assert_close(backbone(x), other.rgb_encoder()({"rgb@96": to_imagenet(x)}), rtol=1e-4, atol=1e-5)
    check_rebuilt(backbone)
    check_layers(backbone)


@torch.no_grad()
def test_4m_checkpoints_are_non_commercial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = [
        ModalitySpec("rgb@224", "pixels", grid=(14, 14), target=False),
        ModalitySpec("tok_depth@224", "tokens", vocab=8192, grid=(14, 14)),
    ]
    torch.manual_seed(0)
    model = FourM("nano", table, tie_logits=False).eval()
    safetensors.torch.save_file(model_state(model), tmp_path / "4m.safetensors")
    backbone = load(tmp_path / "4m.safetensors")
    assert backbone.non_commercial and "NON-COMMERCIAL USE ONLY" in capsys.readouterr().err
    assert backbone(tiny.photo(64)).shape == (2, 16, 192)
    check_rebuilt(backbone)


# What cannot be loaded


def _damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:500])


def _change(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    state = safetensors.torch.load_file(folder / "model.safetensors")
    change(state)
    safetensors.torch.save_file(state, folder / "model.safetensors", {"format": "pt"})


def _corrupt(folder: Path) -> None:
    _damage(folder / "model.safetensors")


def _missing(folder: Path) -> None:
    _change(folder, lambda state: state.pop("layernorm.weight"))


def _extra(folder: Path) -> None:
    _change(folder, lambda state: state.update({"encoder.gate.weight": torch.zeros(3)}))


def _shape(folder: Path) -> None:
    _change(folder, lambda state: state.update({"layernorm.weight": torch.zeros(3)}))


class Payload:
    def __reduce__(self) -> Any:
        return print, ("ran",)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"layernorm.weight": Payload()}, folder / "pytorch_model.bin")


def _other_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _bad_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _wrong_value(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": "many"}))


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_corrupt, r"model.safetensors: damaged weights file .*Download it again"),
        (_missing, r"1 missing \(layernorm.weight\)\. Download both again"),
        (_extra, r"1 unknown \(encoder.gate.weight\)"),
        (_shape, r"1 of another shape \(layernorm.weight\)"),
        (_pickle, r"pytorch_model.bin: .*pickle that could run code"),
        (_other_kind, r"a bert, which is no image encoder known here. Give a ViT"),
        (_no_config, r"weights such as .*no image encoder known here"),
        (_bad_config, r"config.json: not valid JSON"),
        (_wrong_value, r"its config.json is not that of a dinov2"),
        (_no_weights, r"holds no model.safetensors"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    change: Callable[[Path], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.write("dinov2", tmp_path / "model")
    change(folder)
    with pytest.raises(UserError, match=said) as error:
        load(folder)
    assert "\n" not in str(error.value) and "ran" not in capsys.readouterr().out


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *arguments: pytest.fail("the network was used"))
    return tmp_path / "hub"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "dinov2-small",
            r"dinov2-small: not on this machine, .*`hf download facebook/dinov2-small --local-dir dinov2-s",
        ),
        ("timm:vit_small_patch14_dinov2", r"not on this machine.*hf download timm/vit_small_patch14_dinov2.lvd142m"),
        ("timm:vit_tinny", r"timm .* has no such model"),
        ("timm:resnet18@FILE", r"resnet18 is no vision transformer"),
        ("no/such/folder", r"no/such/folder: no such file or folder, and not a known name. Give a path, timm:NAME"),
    ],
)
def test_names_are_never_downloaded_unasked(spec: str, said: str, empty_cache: Path, tmp_path: Path) -> None:
    safetensors.torch.save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=said) as error:
        load(spec.replace("FILE", str(tmp_path / "w.safetensors")))
    assert "\n" not in str(error.value)


def test_a_known_name_is_found_in_the_local_cache(empty_cache: Path) -> None:
    place = empty_cache / "models--facebook--dinov2-small"
    tiny.write("dinov2", place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    assert load("dinov2-small").name == "dinov2-small"


def test_a_library_that_is_not_installed_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"transformers: is needed .*pip install transformers"):
        load(folders["dinov2"])


def test_a_library_is_named_as_its_package_is() -> None:
    with pytest.raises(UserError, match=r"no-such-library: is needed .*pip install no-such-library\."):
        need("no_such_library.part")


# Licences


def test_every_family_is_registered_by_its_name() -> None:
    assert set(FAMILIES) == {"transformers", "timm", "sam", "imagebind", "encoder"}


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("CC-BY-NC-4.0", True),
        ("Sample Code License v1.1: non-commercial use only", True),
        ("NVIDIA Source Code License, noncommercial", True),
        ("Apache-2.0", False),
        ("MIT", False),
        ("not stated", False),
        ("DINOv3 License", False),
    ],
)
def test_non_commercial_licences_are_known_by_their_words(licence: str, forbidden: bool) -> None:
    assert is_non_commercial(licence) == forbidden


@pytest.mark.parametrize(
    ("card", "default", "found"),
    [
        ("---\nlicense: apache-2.0\ntags: [a]\n---\n# Model", "not stated", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: own-terms\n---\n", "MIT", "own-terms"),
        ("---\nlicense: apache-2.0\n---\n", "CC-BY-NC-4.0", "CC-BY-NC-4.0"),
        ("# Model\nlicense: mit\n", "not stated", "not stated"),
        (None, "MIT", "MIT"),
    ],
)
def test_the_card_tells_the_licence_but_cannot_free_weights(
    card: str | None, default: str, found: str, tmp_path: Path
) -> None:
    if card:
        (tmp_path / "README.md").write_text(card)
    assert licence_of(tmp_path, default) == found


# Stochastic depth


@torch.no_grad()
def test_blocks_are_dropped_for_single_samples_while_training_only(folders: dict[str, Path]) -> None:
    backbone = load(folders["dinov2"])
    before = backbone(tiny.photo(56))
    backbone.drop_blocks(0.5)  # of two blocks the second
    assert torch.equal(backbone(tiny.photo(56)), before)
    seen: dict[str, Tensor] = {}
    last = backbone.blocks[1]
    last.register_forward_hook(lambda block, inputs, output: seen.update(given=inputs[0], made=output))
    backbone.train()
    torch.manual_seed(0)
    backbone(tiny.photo(56, 1).expand(64, -1, -1, -1))
    changed = (seen["made"] - seen["given"]).flatten(1).norm(dim=1)
    dropped = changed < 1e-6
    assert 16 < int(dropped.sum()) < 48
    backbone.eval()
    backbone(tiny.photo(56, 1))
    whole = (seen["made"] - seen["given"]).flatten(1).norm(dim=1)
    assert torch.allclose(changed[~dropped], 2 * whole, rtol=1e-3)
