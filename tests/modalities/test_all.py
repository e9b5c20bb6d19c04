"""What holds for every modality."""

import inspect

import numpy as np
import pytest
import torch

from tst.errors import UserError
from tst.modalities import MODALITIES, Modality
from tst.modalities.features import FeatureMap

pytestmark = pytest.mark.parametrize("name", MODALITIES)
MASKS = ("semantic", "ade20k", "fused_ade20k", "coco_masks")
FEATURES = ("dinov2", "fused_dinov2", "clip", "imagebind")
EDGES = ("edges", "hed", "sam_edges")
UNKNOWN = dict.fromkeys(("depth", "normals", "instance", "confidence", *FEATURES), 0) | dict.fromkeys(MASKS, 255)
WIDTH = 12
"""Components of the tests' features."""


def example(modality: Modality, seed: int = 0, height: int = 24, width: int = 32) -> np.ndarray:
    """A stored array with some unknown pixels in the upper left, where the modality has such."""
    generator = np.random.default_rng(seed)
    shape = (height, width, modality.channels or WIDTH) if modality.channels != 1 else (height, width)
    if modality.name in EDGES:
        array = (generator.random(shape) < 0.1) * 255
    elif modality.name in MASKS:
        array = generator.integers(0, 16, shape)
    elif isinstance(modality, FeatureMap):
        array = modality.pack(generator.normal(size=shape))
    elif modality.name == "depth":
        array = generator.integers(500, 6000, shape)
    elif modality.name == "normals":
        unit = generator.normal(size=shape)
        array = np.rint((unit / np.linalg.norm(unit, axis=-1, keepdims=True) + 1) * 127.5)
    else:
        array = generator.integers(1, np.iinfo(modality.dtype).max, shape)
    array = array.astype(modality.dtype)
    if modality.name in UNKNOWN:
        array[:5, :7] = UNKNOWN[modality.name]
    return array


def batch(modality: Modality) -> torch.Tensor:
    return modality.tensor(np.stack([example(modality, seed) for seed in range(3)]))


def test_declares_itself(name):
    modality = MODALITIES[name]
    assert modality.name == name and isinstance(modality.dtype, np.dtype) and modality.channels in (0, 1, 3)
    assert set(modality.sources) <= set(MODALITIES)
    assert not inspect.isabstract(type(modality))
    assert list(MODALITIES)[:6] == ["rgb", "depth", "normals", "edges", "semantic", "instance"]
    tokens = [item.token_name for item in MODALITIES.values() if item.token_name]
    assert len(set(tokens)) == len(tokens) and modality.unknown == UNKNOWN.get(name, 0)


def test_save_load(name, tmp_path):
    modality, array = MODALITIES[name], example(MODALITIES[name])
    path = tmp_path / f"é x{'.npy' if name in FEATURES else '.png'}"
    modality.save(path, array)
    loaded = modality.load(path)
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == modality.dtype
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_load_refuses(name, tmp_path):
    modality = MODALITIES[name]
    with pytest.raises(UserError, match="not found"):
        modality.load(tmp_path / "none.png")
    for content in (b"", b"no image"):
        (tmp_path / "damaged.png").write_bytes(content)
        with pytest.raises(UserError, match=r"damaged\.png"):
            modality.load(tmp_path / "damaged.png")
    if name != "rgb":  # anything can be looked at as RGB
        other = MODALITIES["depth" if modality.dtype == np.uint8 else "semantic"]
        other.save(tmp_path / "other.png", example(other))
        with pytest.raises(
            UserError, match=r"other\.png: not a readable" if name in FEATURES else "other.*but " + name
        ):
            modality.load(tmp_path / "other.png")


def test_tensor_and_back(name):
    modality = MODALITIES[name]
    arrays = np.stack([example(modality, seed) for seed in range(3)])
    tensor = modality.tensor(arrays)
    assert tensor.shape == (3, modality.channels or WIDTH, 24, 32) and tensor.dtype == torch.float32
    np.testing.assert_array_equal(modality.arrays(tensor), arrays)


def test_draw(name):
    modality = MODALITIES[name]
    array = example(modality)
    picture = modality.draw(array)
    assert picture.shape == (24, 32, 3) and picture.dtype == np.uint8
    assert picture.flags.owndata or not np.shares_memory(picture, array)
    if name in UNKNOWN:
        assert not picture[:5, :7].any() and picture[10:].any()
    empty = np.full_like(array, UNKNOWN.get(name, 0))
    assert modality.draw(empty).shape == (24, 32, 3)


def test_flip(name):
    modality, x = MODALITIES[name], batch(MODALITIES[name])
    flipped = modality.flip(x)
    assert torch.equal(modality.flip(flipped), x)
    assert torch.equal(modality.valid(flipped), modality.valid(x).flip(-1))
    if name != "normals":
        assert torch.equal(flipped, x.flip(-1))


def test_valid(name):
    modality = MODALITIES[name]
    valid = modality.valid(batch(modality))
    assert valid.shape == (3, 1, 24, 32) and valid.dtype == torch.bool
    assert valid[:, :, 5:].all() and valid[:, :, :5, :7].any() == (name not in UNKNOWN)
    np.testing.assert_array_equal(modality.valid_array(example(modality)), valid[0, 0].numpy())


def test_normalise_and_back(name):
    modality, x = MODALITIES[name], batch(MODALITIES[name])
    z, valid = modality.normalise(x)
    assert z.shape == x.shape and z.dtype == torch.float32 and torch.isfinite(z).all()
    assert not z[(~valid).expand_as(z)].any()
    back = modality.denormalise(z, x)
    known = valid.expand_as(x)
    np.testing.assert_allclose(back[known], x[known], atol=1 if name == "normals" else 0.01, rtol=0)
    assert torch.equal(back, back.round())
    flipped, _ = modality.normalise(modality.flip(x))
    np.testing.assert_allclose(flipped.abs(), z.flip(-1).abs(), atol=1e-5)


def test_nothing_known(name):
    if name not in UNKNOWN:
        pytest.skip("everything is always known")
    modality = MODALITIES[name]
    x = torch.full((2, modality.channels or WIDTH, 8, 8), float(UNKNOWN[name]))
    z, valid = modality.normalise(x)
    assert not z.any() and not valid.any()
    assert torch.isfinite(modality.denormalise(z, x)).all()
    assert all(np.isnan(value) for value in modality.reconstruction_metrics(x, x).values())


def test_metrics(name):
    modality, x = MODALITIES[name], batch(MODALITIES[name])
    same, other = modality.reconstruction_metrics(x, x), modality.reconstruction_metrics(x.flip(0), x)
    assert same and same.keys() == other.keys()
    assert all(isinstance(value, float) for value in same.values())
    worse = {"absrel": 1, "angle": 1}  # lower is better
    for metric, value in same.items():
        assert (other[metric] - value) * worse.get(metric, -1) > 0, metric
    # Unknown pixels of the target do not count.
    if name in UNKNOWN:
        changed = torch.where(modality.valid(x), x, x + (-3 if name in MASKS else 3))
        assert modality.reconstruction_metrics(changed, x) == same


@pytest.mark.parametrize("size", [(24, 32), (12, 16), (9, 11), (48, 64)])
def test_resize(name, size):
    modality, array = MODALITIES[name], example(MODALITIES[name])
    resized = modality.resize(array, *size)
    assert resized.shape == (*size, *array.shape[2:]) and resized.dtype == array.dtype
    if size == array.shape[:2]:
        np.testing.assert_array_equal(resized, array)
    if name in UNKNOWN:
        assert not modality.valid_array(resized)[: size[0] // 8, : size[1] // 8].any()
    if modality.interpolation == "nearest":
        values = {tuple(value) for value in array.reshape(-1, modality.channels)}
        assert {tuple(value) for value in resized.reshape(-1, modality.channels)} <= values
