"""What every modality can do: be derived, loaded, resized, flipped, normalised, scored and drawn.

Shape letters: B batch, C channels, H height, W width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tst.errors import UserError
from tst.files import write_bytes

if TYPE_CHECKING:
    from tst.space.camera import Camera


class Modality(ABC):
    """One kind of image of a frame. An instance holds no state.

    Batches are float32 tensors (B, C, H, W) of *stored values* (what the file holds); networks see *normalised values*.

    Attributes:
        name: key in a Space and in the registry.
        order: place in the registry, ascending.
        channels: 1: arrays are (H, W); otherwise they are (H, W, channels), and 0 means: as many as the files have.
        cell: pixels of a crop, along one side, that one of its values stands for. Above 1, a crop of 128 pixels has
            128 / cell values a side, and the frame cache keeps as few as that needs.
        dtype: of the stored values.
        sources: the modalities this one is derived from; () = captured.
        fuses: the modality whose views this one averages in 3D (`tst fuse`); "" for all others.
        unknown: stored value of what is not known, and of what lies beyond a frame; 0 where everything is known.
        is_label: what people annotated (class or instance indices): never an input or a target of pre-training.
        interpolation: how a crop is resampled. Nearest where averaging two values would invent a third.
        extension: of the files this project writes.
        token_name: 4M's name of this modality's tokens, without the resolution.
        version: raise it when stored or resized values change, so that caches and tokens are made anew.
    """

    name: ClassVar[str]
    order: ClassVar[int]
    token_name: ClassVar[str] = ""
    channels: ClassVar[int] = 1
    cell: ClassVar[int] = 1
    unknown: ClassVar[int] = 0
    dtype: ClassVar[np.dtype] = np.dtype(np.uint8)
    sources: ClassVar[tuple[str, ...]] = ()
    fuses: ClassVar[str] = ""
    is_label: ClassVar[bool] = False
    interpolation: ClassVar[Literal["bilinear", "nearest"]] = "nearest"
    extension: ClassVar[str] = ".png"
    version: ClassVar[int] = 1

    def derive(self, sources: dict[str, np.ndarray], camera: "Camera | None") -> np.ndarray:
        """Compute the stored array of one frame from its source modalities; `camera` is at any size.

        Raises:
            UserError: the modality is captured or labelled, or it needs a camera and there is none.
        """
        raise UserError(f"{self.name}: cannot be derived. Give the reader a source that has it, or run `tst label`.")

    def load(self, path: str | Path) -> np.ndarray:
        """Read one stored array.

        Raises:
            UserError: the file is missing, damaged or of another type.
        """
        path = Path(path)
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
        except FileNotFoundError:
            raise UserError(f"{path}: not found. Check the path, or read the capture again.") from None
        array = cv2.imdecode(data, self._imread_flags()) if data.size else None
        if array is None:
            raise UserError(f"{path}: not a readable image ({data.size} bytes). Copy it again from its source.")
        shape = array.shape[2:] or (1,)
        if shape != (self.channels,) or array.dtype != self.dtype:
            raise UserError(
                f"{path}: {array.dtype} with {shape[0]} channels, but {self.name} is {self.dtype} with "
                f"{self.channels}. Convert the file, or check that it is {self.name}."
            )
        return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if self.channels == 3 else array

    def _imread_flags(self) -> int:
        return cv2.IMREAD_UNCHANGED

    def save(self, path: str | Path, array: np.ndarray) -> None:
        """Write one stored array atomically, in the format that the path's extension names."""
        path = Path(path)
        shape = (*array.shape[:2], 3) if self.channels == 3 else array.shape[:2]
        assert array.shape == shape and array.dtype == self.dtype, (self.name, array.shape, array.dtype)
        stored = cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if self.channels == 3 else array
        fine, data = cv2.imencode(path.suffix.lower(), stored, self._imwrite_options(path))
        assert fine, path
        write_bytes(path, data.tobytes())

    def _imwrite_options(self, path: Path) -> list[int]:
        return []

    def valid_array(self, array: np.ndarray) -> np.ndarray:
        """Which pixels of one stored array are known, (H, W) bool."""
        return self.valid(self.tensor(array[None]))[0, 0].numpy()

    def resize(self, array: np.ndarray, height: int, width: int) -> np.ndarray:
        """Resize one stored array: nearest pixel, and where that is unknown, a known one of the same footprint."""
        return resize_nearest(array, height, width, self.valid_array)

    def tensor(self, arrays: np.ndarray) -> Tensor:
        """Stored arrays (B, H, W) or (B, H, W, C) as a float32 batch (B, C, H, W)."""
        batch = torch.from_numpy(arrays.astype(np.float32))
        return batch[:, None] if self.channels == 1 else batch.movedim(-1, 1)

    def arrays(self, x_BCHW: Tensor) -> np.ndarray:
        """A batch of stored values as stored arrays: the inverse of `tensor`, rounded and clipped to the type."""
        limits = np.iinfo(self.dtype)
        rounded = x_BCHW.detach().float().round().clamp(limits.min, limits.max).cpu()
        channels_last = rounded[:, 0] if self.channels == 1 else rounded.movedim(1, -1)
        return channels_last.numpy().astype(self.dtype)

    def valid(self, x_BCHW: Tensor) -> Tensor:
        """Which pixels are known, (B, 1, H, W) bool."""
        return torch.ones_like(x_BCHW[:, :1], dtype=torch.bool)

    def flip(self, x_BCHW: Tensor) -> Tensor:
        """Mirror left-right."""
        return self.flip_values(x_BCHW.flip(-1))

    def flip_values(self, x_BCHW: Tensor) -> Tensor:
        """What mirroring does to the values, apart from moving them."""
        return x_BCHW

    def normalise(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Network values (B, C, H, W) float32 with 0 where unknown, and `valid` (B, 1, H, W)."""
        valid = self.valid(x_BCHW)
        return torch.where(valid, x_BCHW.float() / 127.5 - 1, 0.0), valid

    def denormalise(self, z_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
        """Stored values, rounded, from network values; `like` (stored) gives per-image statistics where needed."""
        return ((z_BCHW.float() + 1) * 127.5).round().clamp(0, 255)

    def reconstruction_loss(self, prediction_BCHW: Tensor, target_BCHW: Tensor, valid_B1HW: Tensor) -> Tensor:
        """Mean error of network values over valid pixels (scalar); smooth L1 unless a modality says otherwise."""
        error = F.smooth_l1_loss(prediction_BCHW, target_BCHW, beta=0.1, reduction="none").mean(1, keepdim=True)
        return (error * valid_B1HW).sum() / valid_B1HW.sum().clamp(min=1)

    @abstractmethod
    def reconstruction_metrics(self, prediction_BCHW: Tensor, target_BCHW: Tensor) -> dict[str, float]:
        """Scores of stored values over the target's valid pixels, averaged over images; NaN if no pixel is valid."""

    @abstractmethod
    def draw(self, array: np.ndarray) -> np.ndarray:
        """One stored array as uint8 HxWx3 for people to look at."""

    def draw_together(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Stored arrays drawn so that they can be compared: the same values have the same colour in all of them."""
        return [self.draw(array) for array in arrays]


def resize_nearest(
    array: np.ndarray, height: int, width: int, valid_array: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Nearest neighbour at exact pixel centres; values are picked, never mixed.

    When shrinking, a pixel that lands on an unknown value takes a known one a quarter of its footprint away, so thin
    holes do not spread. When growing, holes stay as they are.
    """
    if array.shape[:2] == (height, width):
        return array.copy()

    def pick(shift_y: float, shift_x: float) -> np.ndarray:
        rows = (np.arange(height) + 0.5 + shift_y) * array.shape[0] / height
        columns = (np.arange(width) + 0.5 + shift_x) * array.shape[1] / width
        return array[rows.astype(np.intp)[:, None], columns.astype(np.intp)[None]]

    result = pick(0, 0)
    if array.shape[0] > height and array.shape[1] > width:
        for shift in ((-0.25, -0.25), (0.25, 0.25), (-0.25, 0.25), (0.25, -0.25)):
            unknown = ~valid_array(result)
            if not unknown.any():
                break
            result[unknown] = pick(*shift)[unknown]
    return result


def mean_over_images(values_BHW: Tensor, valid_BHW: Tensor) -> float:
    """Mean over valid pixels of each image, then over the images that have any; NaN if none has."""
    valid = valid_BHW.flatten(1)
    count = valid.sum(1)
    total = torch.where(valid, values_BHW.flatten(1), 0.0).double().sum(1)
    has_any = count > 0
    if not bool(has_any.any()):
        return float("nan")
    return float((total[has_any] / count[has_any]).mean())
