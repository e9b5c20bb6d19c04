"""Generalists under our transfer: fine-tuned, frozen, Mask2Former through its own loss, segmenters off the shelf."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny_models as tiny
import tst.readers
from captures import write_labelled
from tst import backbones
from tst.errors import UserError
from tst.evaluation.evaluate import evaluate
from tst.files import read_json
from tst.finetuning.backbone import BackboneModel
from tst.finetuning.class_names import SYNONYMS, class_groups
from tst.finetuning.mask2former import Mask2Former
from tst.finetuning.model import load_model, save_model
from tst.finetuning.off_the_shelf import NEVER, OffTheShelf, take_off_the_shelf
from tst.finetuning.segmenters import load_segmenter
from tst.finetuning.transfer import TransferConfig, transfer
from tst.loop import OptimConfig
from tst.modalities.jitter import JitterConfig
from tst.runs import read_metrics
from tst.space import Space
from tst.tokenizers.views import ViewConfig

CONFIG = TransferConfig(
    views=ViewConfig(resolution=32),
    optim=OptimConfig(lr=1e-3, batch_size=4, log_every=1, betas=(0.9, 0.999)),
    epochs=2,
    validations=1,
    head_channels=16,
    head_cells=2,
    head_depth=1,
)
STILL = CONFIG.replace(drop_path=0.0, layer_decay=1.0, jitter=JitterConfig(probability=0)).replace(
    views={"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": False}
)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    folder = tmp_path_factory.mktemp("generalists")
    return tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "space")


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write("dinov2", tmp_path_factory.mktemp("weights") / "dinov2-tiny")


def rgb(space: Space, size: int = 32) -> dict[str, Tensor]:
    walk = space.frames()[0][0]
    frames = np.stack([walk.read("rgb", index)[:size, :size] for index in range(2)]).astype(np.float32)
    return {"rgb": torch.from_numpy(frames).movedim(-1, 1)}


# Backbones


@pytest.mark.parametrize("freeze", [False, True])
@torch.no_grad()
def test_a_backbone_is_fine_tuned_or_stays_as_it_is(
    freeze: bool, space: Space, dinov2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with torch.enable_grad():
        config = CONFIG.replace(freeze=freeze)
        out = transfer(space, tmp_path / "run", backbone=dinov2, config=config, precision="32-true")
    model, metadata = load_model(out)
    assert isinstance(model, BackboneModel)
    before = backbones.load(dinov2).state_dict()
    changed = [name for name, value in model.backbone.state_dict().items() if not torch.equal(value, before[name])]
    assert bool(changed) != freeze
    assert model(rgb(space)).shape == (2, 3, 4, 4)  # 28 pixels: 2 x 2 tokens, 2 x 2 cells each
    assert metadata["licences"][0]["licence"] == "Apache-2.0"
    assert read_json(out / "provenance.json")["licences"] == metadata["licences"]
    assert read_json(out / "done.json")["parameters"] == model.parameter_count
    assert "licence Apache-2.0" in capsys.readouterr().err


def test_a_model_needs_nothing_of_the_folder_it_started_from(space: Space, tmp_path: Path) -> None:
    weights = tiny.write("clip", tmp_path / "clip")
    out = transfer(space, tmp_path / "run", backbone=weights, config=CONFIG.replace(epochs=1), precision="32-true")
    result = evaluate(out, space, precision="32-true")
    for file in weights.iterdir():
        file.unlink()
    again = evaluate(out / "model.safetensors", space, precision="32-true")
    assert np.array_equal(result.matrices, again.matrices)


def test_rates_fall_from_the_head_to_the_input_and_a_frozen_trunk_has_none(space: Space, dinov2: Path) -> None:
    from tst.finetuning.transfer import _backbone_model

    classes = space.classes or []
    model, _ = _backbone_model(dinov2, classes, CONFIG)
    assert isinstance(model, BackboneModel)
    rates = {id(parameter): group["lr"] for group in model.groups(1.0, 0.05, 0.5) for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert all(rates[id(parameter)] == 1.0 for parameter in model.head.parameters())
    layers = [{rates[id(parameter)] for _, parameter in layer} for layer in model.backbone.layers()]
    assert layers == [{0.125}, {0.25}, {0.5}, {1.0}]
    frozen, _ = _backbone_model(dinov2, classes, CONFIG.replace(freeze=True))
    assert isinstance(frozen, BackboneModel)
    held = [parameter for group in frozen.groups(1.0, 0.05, 0.5) for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in frozen.head.parameters()}
    assert not frozen.train().backbone.training and frozen.head.training
    frozen(rgb(space)).sum().backward()
    assert all(parameter.grad is None for parameter in frozen.backbone.parameters())


def test_what_is_stopped_goes_on_as_if_it_had_not_been(
    space: Space, dinov2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace(epochs=4, optim={"checkpoint_every": 1})
    whole = transfer(space, tmp_path / "whole", backbone=dinov2, config=config, precision="32-true")
    taken = 0
    original = BackboneModel.forward

    def stops(self: BackboneModel, stored: dict[str, Tensor], labels: Tensor | None = None) -> Tensor:
        nonlocal taken
        taken += 1
        if taken == 4:
            raise KeyboardInterrupt
        return original(self, stored, labels)

    with monkeypatch.context() as patch:
        patch.setattr(BackboneModel, "forward", stops)
        with pytest.raises(KeyboardInterrupt):
            transfer(space, tmp_path / "stopped", backbone=dinov2, config=config, precision="32-true")
    transfer(space, tmp_path / "stopped", backbone=dinov2, config=config, precision="32-true")
    first, second = (load_model(path)[0].state_dict() for path in (whole, tmp_path / "stopped"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_other_weights_are_another_run(space: Space, dinov2: Path, tmp_path: Path) -> None:
    config = CONFIG.replace(epochs=1)
    transfer(space, tmp_path / "run", backbone=dinov2, config=config, precision="32-true")
    other = tiny.write("vit", tmp_path / "other")
    with pytest.raises(UserError, match=r"other settings \(inputs.backbone"):
        transfer(space, tmp_path / "run", backbone=other, config=config, precision="32-true")


def test_starts_exclude_each_other(space: Space, dinov2: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="encoder and backbone exclude each other"):
        transfer(space, tmp_path / "run", encoder=dinov2, backbone=dinov2, config=CONFIG)
    with pytest.raises(UserError, match="backbone and tokenizers exclude each other"):
        transfer(space, tmp_path / "run", backbone=dinov2, tokenizers={"depth": dinov2}, config=CONFIG)


def test_non_commercial_weights_are_told_whenever_the_model_is_loaded(
    space: Space, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tiny.write("vit_mae", tmp_path / "mae")
    out = transfer(space, tmp_path / "run", backbone=weights, config=CONFIG.replace(epochs=1), precision="32-true")
    capsys.readouterr()
    _, metadata = load_model(out)
    assert "NON-COMMERCIAL USE ONLY (CC-BY-NC-4.0)" in capsys.readouterr().err
    assert metadata["licences"][0]["note"].startswith("NON-COMMERCIAL")


def test_a_model_that_does_not_fit_its_own_weights_is_told_in_one_line(
    space: Space, dinov2: Path, tmp_path: Path
) -> None:
    from tst.finetuning.transfer import _backbone_model
    from tst.runs import load_tensors, save_tensors

    model, _ = _backbone_model(dinov2, space.classes or [], CONFIG)
    save_model(tmp_path / "model.safetensors", model, space.classes or [])
    tensors, metadata = load_tensors(tmp_path / "model.safetensors")
    del tensors["head.proj.weight"]
    save_tensors(tmp_path / "model.safetensors", tensors, metadata)
    with pytest.raises(UserError, match=r"do not fit what it says it is .*head.proj.weight") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


# Mask2Former


@pytest.fixture(scope="module")
def mask2former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "mask2former"
    torch.manual_seed(0)
    tiny.mask2former().save_pretrained(folder)
    return folder


def test_mask2former_learns_through_its_own_loss_and_is_saved_whole(
    space: Space, mask2former: Path, tmp_path: Path
) -> None:
    config = STILL.replace(epochs=25, optim={"lr": 3e-3})
    out = transfer(space, tmp_path / "run", specialist=mask2former, config=config, precision="32-true")
    losses = [row["loss"] for row in read_metrics(out / "metrics.jsonl")]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    model, metadata = load_model(out)
    assert isinstance(model, Mask2Former) and metadata["licences"][0]["licence"] == "MIT"
    output = model(rgb(space))
    assert output.shape == (2, 3, 8, 8) and output.isfinite().all() and (output >= 0).all()
    assert evaluate(out, space, precision="32-true").matrices.sum() > 0


@torch.no_grad()
def test_mask2formers_loss_is_the_librarys(space: Space, mask2former: Path) -> None:
    model = Mask2Former.load(mask2former, 3, 32).eval()
    labels = torch.randint(3, (2, 1, 32, 32)).float()
    labels[1] = 1
    labels[:, :, :4] = 255
    stored = rgb(space)
    torch.manual_seed(1)
    found = model(stored, labels)
    x = (stored["rgb"] / 255 - torch.tensor(model.about.mean).view(3, 1, 1)) / torch.tensor(model.about.std).view(
        3, 1, 1
    )
    masks = [
        torch.stack([(label[0] == c).float() for c in found_])
        for label, found_ in zip(labels, [[0, 1, 2], [1]], strict=True)
    ]
    torch.manual_seed(1)
    own = model.model(x, mask_labels=masks, class_labels=[torch.tensor([0, 1, 2]), torch.tensor([1])]).loss
    torch.testing.assert_close(found, own.reshape(()), rtol=1e-4, atol=1e-4)


def test_mask2formers_backbone_learns_at_a_tenth(mask2former: Path) -> None:
    model = Mask2Former.load(mask2former, 3, 32)
    rates = {id(p): group["lr"] for group in model.groups(1.0, 0.05, 0.5) for p in group["params"]}
    named = dict(model.model.named_parameters())
    assert len(rates) == len(named)
    slow = [name for name, parameter in named.items() if rates[id(parameter)] == pytest.approx(0.1)]
    assert slow and all("pixel_level_module.encoder." in name for name in slow)
    assert rates[id(model.model.class_predictor.weight)] == 1.0


def test_only_a_mask2former_is_a_specialist(space: Space, dinov2: Path, mask2former: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dinov2, not a Mask2Former"):
        transfer(space, tmp_path / "run", specialist=dinov2, config=CONFIG)
    with pytest.raises(UserError, match="fine-tuned whole, for segmentation"):
        transfer(space, tmp_path / "run", specialist=mask2former, config=CONFIG.replace(freeze=True))


# Off the shelf


LABELS = ["sky", "ceiling", "rug", "floor ", "Wall", "tree"]


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "segformer"
    torch.manual_seed(0)
    tiny.segformer(LABELS).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 64}}))
    return folder


@torch.no_grad()
def test_a_segmenter_is_evaluated_as_it_is(space: Space, segformer: Path, tmp_path: Path) -> None:
    classes = space.classes or []
    out = take_off_the_shelf(segformer, classes, tmp_path / "run")
    assert read_json(out / "done.json")["mapped"] == {
        "wall": ["Wall"],
        "floor": ["rug", "floor "],
        "ceiling": ["ceiling"],
    }
    assert take_off_the_shelf(segformer, classes, tmp_path / "run") == out
    model, metadata = load_model(out)
    assert isinstance(model, OffTheShelf) and model.resolution == 64
    assert "non-commercial" in metadata["licences"][0]["licence"]
    stored = rgb(space, 64)
    library = load_segmenter(segformer)
    scores = library(stored["rgb"])
    assert scores.shape == (2, 6, 16, 16)
    expected = torch.stack([scores[:, 4], scores[:, [2, 3]].amax(1), scores[:, 1]], 1)
    torch.testing.assert_close(model(stored), expected)
    result = evaluate(out, space, precision="32-true")
    assert result.matrices.sum() > 0
    # The same as the highest of all labels, wherever that stands for a class.
    best = scores.argmax(1)
    meant = torch.tensor([-1, 2, 1, 1, 0, -1])[best]
    assert torch.equal(expected.argmax(1)[meant >= 0], meant[meant >= 0])


@torch.no_grad()
def test_a_segmenters_scores_are_the_librarys(space: Space, segformer: Path) -> None:
    import transformers

    x = rgb(space, 64)["rgb"] / 255
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer).eval()
    torch.testing.assert_close(load_segmenter(segformer)(rgb(space, 64)["rgb"]), model(x).logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_mask2former_can_be_taken_as_it_is(space: Space, mask2former: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"wall": ["thing 0", "thing 3"], "floor": ["thing 1"]}))
    out = take_off_the_shelf(mask2former, space.classes or [], tmp_path / "run", mapping=mapping)
    model, _ = load_model(out)
    output = model({"rgb": tiny.photo(64)})
    assert output.shape[:2] == (2, 3) and (output[:, 2] == NEVER).all() and (output[:, :2] >= 0).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"wall": ["Wall"], "roof": ["sky"]}, r'"roof" is no class of the space. Use wall, floor, ceiling'),
        ({"wall": ["walls"]}, r'"walls" is no label of the segmenter. Did you mean "wall"'),
        ({"wall": ["Wall"], "floor": ["wall"]}, r'"wall" stands for two classes. Keep one'),
        (["wall"], r"not a mapping. Write a JSON object"),
        ({"wall": "Wall"}, r"not a mapping. Write a JSON object"),
    ],
)
def test_mappings_that_do_not_fit_are_told(content: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "mapping.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=said) as error:
        class_groups(LABELS, ["wall", "floor", "ceiling"], tmp_path / "mapping.json")
    assert "\n" not in str(error.value)


def test_classes_that_no_label_names_are_told() -> None:
    with pytest.raises(UserError, match=r"no class \(spoon, ...\) is a label of the segmenter.*--class-mapping"):
        class_groups(LABELS, ["spoon"])
    assert class_groups(LABELS, ["spoon", "wall"]) == [[], [4]]


def test_no_word_of_the_default_mapping_stands_for_two_classes() -> None:
    words = [word for found in SYNONYMS.values() for word in found]
    assert len(words) == len(set(words))


def test_what_is_no_segmenter_is_told(dinov2: Path, space: Space, tmp_path: Path) -> None:
    classes = space.classes or []
    with pytest.raises(UserError, match=r"a dinov2 does not segment. Give a model for semantic segmentation"):
        take_off_the_shelf(dinov2, classes, tmp_path / "run")
    with pytest.raises(UserError, match=r"not found. Give the folder of a segmenter"):
        take_off_the_shelf(tmp_path / "none", classes, tmp_path / "run")


def _no_labels(folder: Path) -> None:
    (folder / "labels.txt").unlink()


def _two_files(folder: Path) -> None:
    (folder / "other.tflite").write_bytes(b"")


def _broken(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_labels, "labels.txt: not found; it must name the labels of model.tflite"),
        (_two_files, r"holds 2 .tflite files. Name the one to use"),
        (_broken, "not a LiteRT model"),
    ],
)
def test_damaged_litert_files_are_told(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "model.tflite").write_bytes(b"not a flatbuffer")
    (tmp_path / "labels.txt").write_text("0\twall\n1\tfloor\n")
    change(tmp_path)
    with pytest.raises(UserError, match=said) as error:
        load_segmenter(tmp_path)
    assert "\n" not in str(error.value)


class Interpreter:
    """LiteRT's interface, without a model: scores of its two labels are the red and the green channel."""

    def __init__(self, model_content: bytes, num_threads: int) -> None:
        assert model_content == b"model"

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "shape": np.array([1, 16, 16, 3])}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": 1, "shape": np.array([1, 16, 16, 2])}]

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        assert index == 0 and value.shape == (1, 16, 16, 3) and value.dtype == np.float32
        self.value = value

    def invoke(self) -> None:
        self.output = self.value[..., :2].copy()

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 1
        return self.output


@torch.no_grad()
def test_a_litert_file_is_saved_as_any_other_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    monkeypatch.setattr(
        "tst.finetuning.segmenters.need", lambda library: types.SimpleNamespace(Interpreter=Interpreter)
    )
    (tmp_path / "lite").mkdir()
    (tmp_path / "lite" / "model.tflite").write_bytes(b"model")
    (tmp_path / "lite" / "labels.txt").write_text("0\tfloor\n1\twall\n")
    out = take_off_the_shelf(tmp_path / "lite", ["wall", "floor", "ceiling"], tmp_path / "run")
    model, _ = load_model(out)
    assert model.resolution == 16 and read_json(out / "done.json")["parameters"] is None
    pixels = torch.zeros(2, 3, 16, 16)
    pixels[0, 0], pixels[1, 1] = 255, 255
    output = model({"rgb": pixels})
    assert output.shape == (2, 3, 4, 4)
    assert (output[0, 1] == 1).all() and (output[0, 0] == -1).all() and (output.argmax(1)[1] == 0).all()
    (tmp_path / "lite" / "labels.txt").write_text("wall\n")
    with pytest.raises(UserError, match=r"names 1 labels, but the model scores 2"):
        load_segmenter(tmp_path / "lite" / "model.tflite")


def test_a_crop_without_labels_costs_no_more_than_its_queries(mask2former: Path, space: Space) -> None:
    model = Mask2Former.load(mask2former, 3, 32)
    loss = model(rgb(space), torch.full((2, 1, 32, 32), 255.0))
    assert loss.isfinite()
    loss.backward()
