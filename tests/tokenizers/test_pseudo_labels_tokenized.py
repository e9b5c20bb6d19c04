"""Features and masks of labellers: tokenised, measured, drawn, pre-trained on; old tokenizers still load."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import tst.readers
from captures import write_labelled, write_nerfstudio
from tst.errors import UserError
from tst.files import read_json
from tst.loop import OptimConfig
from tst.modalities import MODALITIES
from tst.modalities.features import FeatureMap
from tst.pretraining.pretrain import PretrainConfig, load_pretrained, pretrain
from tst.runs import save_tensors
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.tokens import tokenizer_key
from tst.tokenizers.train import TokenizeConfig, load_tokenizer, save_tokenizer, tokenize
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

FSQ = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
VQ = FSQ.replace(quantizer="vq", codebook_size=40)
VIEWS = ViewConfig(resolution=32, per_frame=2)
CONFIG = TokenizeConfig(
    modalities=("dinov2", "ade20k"),
    views=VIEWS,
    model=FSQ,
    optim=OptimConfig(lr=3e-3, batch_size=16, betas=(0.9, 0.99)),
    steps=100,
    held_back=0.2,
)
WIDTH, CLASSES = 24, ["wall", "floor", "chair", "lamp", "door"]


def label(space: Space, seed: int = 0, width: int = WIDTH) -> Space:
    """What a labeller would leave: features that are a function of colour, and a mask of four brightnesses."""
    projection = np.random.default_rng(seed).normal(size=(4, width))
    features: FeatureMap = MODALITIES["dinov2"]  # type: ignore[assignment]
    for walk, index in space.frames():
        rgb = walk.read("rgb", index)
        grid = cv2.resize(rgb, (6, 5), interpolation=cv2.INTER_AREA).astype(np.float64) / 127.5 - 1
        mapped = np.tanh(np.concatenate([grid, np.full((5, 6, 1), 0.3)], -1) @ projection)
        features.save(walk.folder("dinov2") / f"{walk.ids[index]}.npy", features.pack(mapped))
        mask = (rgb.mean(-1) // 64).astype(np.uint8)
        mask[:4, :9] = 255
        MODALITIES["ade20k"].save(walk.folder("ade20k") / f"{walk.ids[index]}.png", mask)
    entries = {"dinov2": {"weights": f"w{seed}"}, "ade20k": {"weights": "m", "classes": CLASSES}}
    space.record_derived({name: {"labeller": name, "from": ["rgb"], **entry} for name, entry in entries.items()})
    return Space.open(space.path)


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Space, Space, Space]:
    """A labelled walk, a transfer set with pseudo-labels and one without."""
    folder = tmp_path_factory.mktemp("pseudo")
    walk = tst.readers.read("nerfstudio", write_nerfstudio(folder / "walk", labels=False), folder / "space")
    plain = tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "plain")
    shutil.copytree(plain.path, folder / "with")
    return label(walk), label(Space.open(folder / "with")), plain


@pytest.fixture(scope="module")
def made(spaces: tuple[Space, Space, Space], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tokenizers: untrained ones of the sensors, trained ones of the pseudo-labels."""
    out = tmp_path_factory.mktemp("tokenizers")
    for name in ("rgb", "depth"):
        save_tokenizer(out / name / "tokenizer.safetensors", Tokenizer(name, 32, FSQ))
    trained = tokenize(
        spaces[0],
        out,
        transfer=spaces[1],
        transfer_modalities=("dinov2", "ade20k"),
        config=CONFIG,
        precision="32-true",
    )
    return {name: out / name for name in ("rgb", "depth")} | trained


def crops(space: Space, modality: str) -> torch.Tensor:
    source = FrameSource(space, [modality], VIEWS.short_side)
    views = draw_views(source.extents_N2, VIEWS)
    return source.crop(modality, torch.arange(len(source)), views.boxes_NV4[:, 1], views.flip_NV[:, 1], 32)


def test_cells_of_a_crop_are_those_of_its_place(tmp_path: Path) -> None:
    """Directions that turn from left to right by 2 radians: a token has the direction of its own centre."""
    capture = write_nerfstudio(tmp_path / "walk", labels=False, frames=2)
    space = tst.readers.read("nerfstudio", capture, tmp_path / "space")
    angle = np.broadcast_to((np.arange(40) + 0.5) / 40 * 2, (30, 40))
    for walk, index in space.frames():
        array = FeatureMap.pack(np.stack([np.cos(angle), np.sin(angle)], -1))
        MODALITIES["dinov2"].save(walk.folder("dinov2") / f"{walk.ids[index]}.npy", array)
    source = FrameSource(Space.open(space.path), ["dinov2"], 200)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.4]] * 2)
    x_BDhw = source.crop("dinov2", torch.arange(2), boxes, torch.tensor([False, True]), 64)
    assert x_BDhw.shape == (2, 2, 4, 4)
    expected = (0.2 + 0.4 * (torch.arange(4) + 0.5) / 4) * 2
    turned = torch.atan2(x_BDhw[:, 1], x_BDhw[:, 0])
    torch.testing.assert_close(turned[0], expected.expand(4, 4), atol=0.02, rtol=0)
    torch.testing.assert_close(turned[1], expected.flip(0).expand(4, 4), atol=0.02, rtol=0)


@pytest.mark.parametrize("config", [FSQ, VQ], ids=["fsq", "vq"])
@pytest.mark.parametrize(("modality", "outputs", "side"), [("dinov2", WIDTH, 2), ("ade20k", 5, 8), ("hed", 1, 32)])
def test_encoding_and_decoding_is_the_forward_pass_in_two_halves(
    modality: str, outputs: int, side: int, config: TokenizerModelConfig
) -> None:
    torch.manual_seed(0)
    model = Tokenizer(modality, 32, config, outputs).eval()
    kind = MODALITIES[modality]
    shape = (3, kind.channels or outputs, side, side)
    x, valid = kind.normalise(torch.randint(0, 5, shape).float())
    ids = model.encode(x, valid)
    with torch.no_grad():
        prediction, same, _ = model(x, valid)
    assert ids.shape == (3, 4) and torch.equal(ids, same)
    assert prediction.shape == (3, outputs, side, side)
    decoded = model.decode(ids)
    expected = prediction.argmax(1, keepdim=True).float() if modality == "ade20k" else prediction
    torch.testing.assert_close(decoded, expected, rtol=1e-4, atol=1e-5)


def test_a_class_that_training_never_met_is_as_good_as_unknown() -> None:
    torch.manual_seed(0)
    model = Tokenizer("ade20k", 32, FSQ, 5).eval()
    mask = torch.randint(0, 5, (2, 1, 8, 8)).float()
    mask[:, :, 2:5, 1:4] = 200
    unknown = torch.where(mask == 200, 255.0, mask)
    kind = MODALITIES["ade20k"]
    assert torch.equal(model.encode(*kind.normalise(mask)), model.encode(*kind.normalise(unknown)))


def test_quality_is_measured_and_drawn(made: dict[str, Path], spaces: tuple[Space, Space, Space]) -> None:
    assert list(made) == ["rgb", "depth", "dinov2", "ade20k"]
    for name, own in {"dinov2": {"cosine", "r2"}, "ade20k": {"accuracy", "miou"}}.items():
        metrics = read_json(made[name] / "done.json")["metrics"]
        assert metrics.keys() >= own | {"codes_used", "vocabulary", "bits_per_token", "frames"}
        picture = cv2.imread(str(made[name] / "reconstruction.png"))
        assert picture is not None and picture.shape == (64, 32, 3)
    assert load_tokenizer(made["dinov2"]).outputs == WIDTH
    assert load_tokenizer(made["ade20k"]).outputs == len(CLASSES), "more classes are named than were seen"


def test_training_beats_the_mean_direction_and_the_commonest_class(
    made: dict[str, Path], spaces: tuple[Space, Space, Space]
) -> None:
    features, kind = crops(spaces[0], "dinov2"), MODALITIES["dinov2"]
    assert features.shape == (6, WIDTH, 2, 2)
    model = load_tokenizer(made["dinov2"])
    decoded = kind.denormalise(model.decode(model.encode(*kind.normalise(features))), features)
    assert kind.reconstruction_metrics(decoded, features)["r2"] > 0.3
    masks, kind = crops(spaces[0], "ade20k"), MODALITIES["ade20k"]
    assert masks.shape == (6, 1, 8, 8)
    model = load_tokenizer(made["ade20k"])
    scores = kind.reconstruction_metrics(model.decode(model.encode(*kind.normalise(masks))), masks)
    commonest = torch.full_like(masks, float(masks[masks != 255].mode().values))
    assert scores["miou"] > kind.reconstruction_metrics(commonest, masks)["miou"] + 0.03


@pytest.mark.parametrize("other", [{"seed": 1}, {"width": 12}])
def test_features_of_two_networks_are_not_mixed(
    other: dict[str, int], spaces: tuple[Space, Space, Space], tmp_path: Path
) -> None:
    shutil.copytree(spaces[2].path, tmp_path / "other")
    transfer = label(Space.open(tmp_path / "other"), **other)
    with pytest.raises(UserError, match=r"dinov2: .*different networks. Label both with the same") as error:
        config = CONFIG.replace(modalities=("dinov2",), steps=1)
        tokenize(spaces[0], tmp_path / "out", transfer=transfer, transfer_modalities=("dinov2",), config=config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lacking", [False, True])
def test_pre_training_takes_them_also_where_the_transfer_set_lacks_them(
    lacking: bool, made: dict[str, Path], spaces: tuple[Space, Space, Space], tmp_path: Path
) -> None:
    config = PretrainConfig(
        views=VIEWS,
        optim=OptimConfig(batch_size=4, log_every=1),
        steps=2,
        decoder_depth=0,
        all_to_all=False,
        transfer_modalities=("rgb", "depth", "dinov2", "ade20k"),
        held_back=0.3,
        validate_every=2,
    )
    transfer = spaces[2] if lacking else spaces[1]
    folder = pretrain(spaces[0], made, tmp_path / "run", transfer=transfer, config=config, precision="32-true")
    _, metadata = load_pretrained(folder)
    assert metadata["vocabularies"] == dict.fromkeys(made, 48)
    last = [line for line in (folder / "metrics.jsonl").read_text().splitlines() if "tok_dinov2@32" in line]
    assert last and "NaN" not in last[-1]


OLD_KEYS = {("fsq", "depth"): "97cacc1e6210773b", ("fsq", "normals"): "6ddceae10ea325d7"}
OLD_KEYS |= {("vq", "depth"): "3648f7275e42088e", ("vq", "normals"): "1c721bd7006282b9"}
"""Of tokenizers of ones, by the version before there were features and masks."""


@pytest.mark.parametrize(("quantizer", "modality"), OLD_KEYS)
def test_tokenizers_made_before_load_and_keep_their_key(quantizer: str, modality: str, tmp_path: Path) -> None:
    config = VQ.replace(quantizer=quantizer)
    ones = {name: torch.ones_like(value) for name, value in Tokenizer(modality, 64, config).state_dict().items()}
    metadata = {"modality": modality, "resolution": 64, "config": config.model_dump(mode="json")}
    save_tensors(tmp_path / "tokenizer.safetensors", ones, metadata)
    assert tokenizer_key(load_tokenizer(tmp_path)) == OLD_KEYS[quantizer, modality]
