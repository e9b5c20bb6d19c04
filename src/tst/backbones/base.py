"""What a backbone is: an image encoder that others trained, or we did, behind one small interface.

Shape suffixes: B batch, H height, W width, N tokens of a grid (row by row), D width of the model.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tst.licences import is_non_commercial

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Source:
    """Weights that were read from somewhere, for the families to look at.

    Attributes:
        path: the folder or file, for messages.
        name: of the backbone.
        state: named tensors, floats as float32.
        metadata: of a safetensors file.
        config: of the `config.json` beside the weights; empty if there is none.
    """

    path: Path
    name: str
    state: dict[str, Tensor]
    metadata: dict[str, str]
    config: dict[str, Any]


@dataclass(frozen=True)
class About:
    """What every family must tell. `mean` and `std` are those of pixel values in 0..1."""

    name: str
    licence: str
    mean: Triple
    std: Triple


class Backbone(nn.Module, ABC):
    """An image encoder: stored RGB values in, tokens on a grid out.

    A family is one file in this folder with one subclass, which must also set `patch`, `width` and `blocks` and
    register its modules in the order in which they are used.

    Attributes:
        family: its name in `spec`.
        about: name, licence, pixel statistics.
        patch: side in pixels of what a token stands for.
        width: D.
        blocks: the transformer's blocks, from input to output.
    """

    family: ClassVar[str]
    patch: int
    width: int
    mean: Tensor
    std: Tensor

    def __init__(self, about: About) -> None:
        super().__init__()
        self.about = about
        for name, values in (("mean", about.mean), ("std", about.std)):
            self.register_buffer(name, 255 * torch.tensor(values).view(3, 1, 1), persistent=False)

    @classmethod
    @abstractmethod
    def accepts(cls, source: Source) -> bool:
        """Whether these weights are of this family."""

    @classmethod
    @abstractmethod
    def from_source(cls, source: Source) -> Self:
        """The backbone with these weights.

        Raises:
            UserError: a weight is missing, unknown or of another shape.
        """

    @classmethod
    @abstractmethod
    def from_spec(cls, about: About, spec: dict[str, Any]) -> Self:
        """The backbone that `own_spec` describes, with random weights."""

    @abstractmethod
    def own_spec(self) -> dict[str, Any]:
        """What `from_spec` needs beside `about`, JSON-able."""

    @property
    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """The transformer's blocks, from input to output."""

    @abstractmethod
    def tokens(self, x_B3HW: Tensor) -> Tensor:
        """Tokens (B, N, D) of normalised pixels, H and W multiples of `patch`; no class or register tokens."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.about.name

    @property
    def licence(self) -> str:
        """The terms of its weights."""
        return self.about.licence

    @property
    def non_commercial(self) -> bool:
        """Whether the weights, and what is derived from them, must not be used commercially."""
        return is_non_commercial(self.licence)

    def spec(self) -> dict[str, Any]:
        """JSON-able; with the state dict enough to build it again (`tst.backbones.rebuild`)."""
        return {"family": self.family, "about": asdict(self.about), **self.own_spec()}

    def side(self, pixels: int) -> int:
        """The multiple of `patch` nearest to `pixels`, at least one patch."""
        return self.patch * max(1, round(pixels / self.patch))

    def grid(self, pixels: int) -> int:
        """Tokens along one side of an image of `pixels` x `pixels`."""
        return self.side(pixels) // self.patch

    def forward(self, rgb_B3HW: Tensor, side: int | None = None) -> Tensor:
        """Tokens (B, N, D) of stored RGB values 0..255, float32, H = W of any size.

        Args:
            side: multiple of `patch` that the image is resized to first; None takes the nearest.
        """
        side = side or self.side(rgb_B3HW.shape[-1])
        assert rgb_B3HW.shape[-1] == rgb_B3HW.shape[-2], rgb_B3HW.shape
        return self.features(rgb_B3HW, (side, side)).flatten(1, 2)

    def features(self, rgb_B3HW: Tensor, size: tuple[int, int]) -> Tensor:
        """Features (B, h, w, D) on the grid of an image of any shape.

        Args:
            rgb_B3HW: stored values 0..255.
            size: height and width, multiples of `patch`, that the image is resized to first.
        """
        height, width = size
        assert height % self.patch == width % self.patch == 0, (size, self.patch)
        x_BND = self.tokens((resize(rgb_B3HW.float(), size) - self.mean) / self.std)
        return x_BND.unflatten(1, (height // self.patch, width // self.patch))

    def layers(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Named parameters from input to output: the embeddings, each block, what follows them."""
        layer_of = {id(parameter): i for i, block in enumerate(self.blocks, 1) for parameter in block.parameters()}
        layers: list[list[tuple[str, nn.Parameter]]] = [[] for _ in range(len(self.blocks) + 2)]
        last = 0
        for name, parameter in self.named_parameters():
            # Modules are registered in order of use, so what comes after a block without being in one follows them all.
            last = layer_of.get(id(parameter), len(layers) - 1 if last else 0)
            layers[last].append((name, parameter))
        return layers

    def drop_blocks(self, rate: float) -> None:
        """While training, leave out block i of n for single samples with probability `rate * i / (n - 1)`.

        Stochastic depth for any library's blocks: the change that a block makes is dropped, or scaled up if kept.
        """
        for i, block in enumerate(self.blocks):
            share = rate * i / max(1, len(self.blocks) - 1)
            if share:
                block.register_forward_hook(_Dropped(share))


@dataclass(frozen=True)
class _Dropped:
    rate: float

    def __call__(self, block: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if not block.training:
            return output
        x = output[0] if isinstance(output, tuple) else output
        keep = 1 - self.rate
        kept = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(keep).div_(keep)
        x = torch.lerp(inputs[0].to(x.dtype), x, kept)
        return (x, *output[1:]) if isinstance(output, tuple) else x


def resize(x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Images at (height, width), averaged where they shrink; unchanged if they have it."""
    if x_BCHW.shape[-2:] == size:
        return x_BCHW
    return F.interpolate(x_BCHW, size, mode="bilinear", align_corners=False, antialias=True)


def resize_square(x_BCHW: Tensor, side: int) -> Tensor:
    """Images at `side` x `side`, see `resize`."""
    return resize(x_BCHW, (side, side))


def largest_list(model: nn.Module) -> nn.ModuleList:
    """The blocks of a transformer, wherever its library keeps them: the longest list of modules."""

    def lists() -> Iterator[nn.ModuleList]:
        for module in model.modules():
            if isinstance(module, nn.ModuleList | nn.Sequential):
                yield module  # type: ignore[misc]

    return max(lists(), key=lambda found: sum(parameter.numel() for parameter in found.parameters()))
