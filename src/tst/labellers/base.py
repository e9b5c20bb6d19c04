"""What a labeller is: a trained model that writes a modality of every frame, in batches.

Shape suffixes: B batch, H height, W width.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from tst.backbones.hub import fetch, locate
from tst.backbones.names import HUB
from tst.errors import UserError
from tst.files import digest
from tst.modalities import MODALITIES
from tst.space.space import Walk


@dataclass(frozen=True)
class Request:
    """What was asked for: `NAME` or `NAME=PATH` of the command line, and how.

    Attributes:
        kind: of the labeller, such as `dinov2`.
        name: what it is called, such as `dinov2-small`.
        path: folder or file of its weights, or what `tst.backbones.load` takes; None where only the name was given.
        resolution: short side in pixels that frames are labelled at; None takes the labeller's own.
        download: fetch weights that are not on this machine.
    """

    kind: str
    name: str
    path: str | None = None
    resolution: int | None = None
    download: bool = False


class Labeller(ABC):
    """A trained model and the modality it writes. A kind is one file of this folder with one subclass.

    Attributes:
        kinds: names that it answers to, such as `hed`; a suffix may follow: `hed-bsds`.
        default_resolution: short side in pixels; None where the network takes one size only.
        weights_hint: where weights come from, for messages.
        published: names that need no path, and the Hugging Face repository of each.
        version: raise it when the same weights give other labels.
        mixed: whether the network may multiply in bfloat16.
        modality: what it writes.
        licence: of the weights, and so of what it writes.
        key: content hash of the weights and their config.
        settings: what else decides the labels, JSON-able.
        classes: names of the labels, in the order of their numbers; empty where there are none.
    """

    kinds: ClassVar[tuple[str, ...]]
    default_resolution: ClassVar[int | None] = None
    weights_hint: ClassVar[str]
    published: ClassVar[dict[str, str]] = {}
    version: ClassVar[int] = 1
    mixed: ClassVar[bool] = False

    def __init__(
        self,
        request: Request,
        *,
        licence: str,
        key: str,
        settings: dict[str, Any] | None = None,
        classes: list[str] | None = None,
    ) -> None:
        self.name, self.licence, self.key, self.classes = request.name, licence, key, classes or []
        self.modality = request.kind.replace("-", "_")
        self.resolution = request.resolution or self.default_resolution
        self.settings = {**({"resolution": self.resolution} if self.default_resolution else {}), **(settings or {})}
        self.device = torch.device("cpu")

    @classmethod
    @abstractmethod
    def load(cls, request: Request) -> Self:
        """With its weights.

        Raises:
            UserError: they are not on this machine, are damaged, of another model, or a pickle that could run code.
        """

    @abstractmethod
    def label(self, rgb_BHW3: np.ndarray) -> list[Any]:
        """What is stored for each frame of a batch (uint8, one size): arrays of the modality's stored values."""

    def to(self, device: torch.device) -> Self:
        """Move the networks among its attributes to a device."""
        self.device = device
        for value in vars(self).values():
            if isinstance(value, nn.Module):
                value.to(device)
        return self

    def pixels(self, rgb_BHW3: np.ndarray) -> Tensor:
        """A batch as (B, 3, H, W) float32 0..255 on the labeller's device."""
        return torch.from_numpy(rgb_BHW3).to(self.device).movedim(-1, 1).float()

    # Where labels are kept: a file a frame, as `tst derive` puts them, unless a kind says otherwise.

    def folder(self, walk: Walk) -> Path:
        """Folder of the files of a walk's frames."""
        return walk.folder(self.modality)

    @property
    def extension(self) -> str:
        """Of the files."""
        return MODALITIES[self.modality].extension

    def write(self, path: Path, value: Any) -> None:
        """Write one of `label`'s results atomically."""
        MODALITIES[self.modality].save(path, value)

    def missing(self, walk: Walk) -> list[int]:
        """Rows of the frames that have no label yet."""
        missing = set(walk.missing(self.modality))
        return [index for index, id_ in enumerate(walk.ids) if id_ in missing]

    def captured(self, walk: Walk) -> bool:
        """Whether the modality came with the recording: then it stays as it is."""
        return self.modality in walk.record.modalities

    def begun(self, walk: Walk) -> bool:
        """Whether any frame has a label."""
        return len(self.missing(walk)) < len(walk)

    def clear(self, walk: Walk) -> None:
        """Remove all labels of a walk."""
        for path in self.folder(walk).glob(f"*{self.extension}"):
            path.unlink()

    def finish(self, walk: Walk) -> None:  # noqa: B027 (most have nothing to do)
        """Called once all frames of a walk have their file."""


def weights_path(labeller: type[Labeller], request: Request) -> Path:
    """Folder or file of the weights that were asked for.

    Raises:
        UserError: there is no such path, or it would need a download.
    """
    if request.path is not None:
        if request.path not in HUB and not Path(request.path).expanduser().exists():
            raise UserError(f"{request.name}={request.path}: no such file or folder. Give {labeller.weights_hint}.")
        return locate(request.path, download=request.download)
    if request.name in labeller.published:
        return fetch(request.name, labeller.published[request.name], download=request.download)
    if request.name in HUB:
        return locate(request.name, download=request.download)
    name = request.name
    raise UserError(f"{name}: no weights are known by that name alone. Give {name}=PATH: {labeller.weights_hint}.")


def content_key(state: dict[str, Tensor], *parts: Any) -> str:
    """Content hash of weights and of what describes their model (JSON-able)."""
    hasher = hashlib.sha256()
    for name, value in sorted(state.items()):
        hasher.update(name.encode())
        hasher.update(value.detach().cpu().contiguous().numpy().data)
    return digest(hasher.hexdigest(), *parts)


def scaled(size: tuple[int, int], short_side: int, multiple: int = 1) -> tuple[int, int]:
    """Height and width of this shape with that short side, each rounded to a multiple."""
    scale = short_side / min(size) / multiple
    height, width = (multiple * max(1, round(side * scale)) for side in size)
    return height, width
