"""Maps of another network's features: what they share. A file with a subclass that has a name makes a modality."""

import io
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import ClassVar, Literal

import numpy as np
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor

from tst.errors import UserError
from tst.files import write_bytes
from tst.modalities.base import Modality, mean_over_images

LARGEST = 127


class FeatureMap(Modality):
    """Dense features on a grid over the whole frame: int8 (h, w, D) in a `.npy`, (0, ..., 0) = unknown.

    Cell (i, j) covers the same fraction of the frame as pixel (i, j) of an image of h x w pixels would. D is what the
    network has, and the same in all files. Only directions count: each vector is scaled so that its largest component
    is 127. One cell of a crop is one token. Networks see vectors of length sqrt(D), so that a component is about 1.
    """

    channels = 0
    cell = 16
    dtype = np.dtype(np.int8)
    interpolation: ClassVar[Literal["bilinear", "nearest"]] = "bilinear"
    extension = ".npy"

    @staticmethod
    def pack(features_hwD: np.ndarray) -> np.ndarray:
        """Finite features (..., D) of any float type as int8, each vector scaled to a largest component of 127."""
        largest = np.abs(features_hwD).max(-1, keepdims=True).astype(np.float32)
        assert np.isfinite(largest).all(), "features are not finite"
        scale = np.divide(LARGEST, largest, out=np.zeros_like(largest), where=largest > 0)
        return np.rint(features_hwD * scale).astype(np.int8)

    @staticmethod
    def unpack(array: np.ndarray) -> np.ndarray:
        """Stored vectors (..., D) as float32 vectors of length 1, or 0 where unknown."""
        vectors = array.astype(np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)

    def load(self, path: str | Path) -> np.ndarray:
        """Read one stored array.

        Raises:
            UserError: the file is missing, damaged or of another type.
        """
        return np.array(self.open(path))

    def open(self, path: str | Path) -> np.memmap:
        """The stored array, memory-mapped: what its header says is checked against the size of the file.

        Raises:
            UserError: the file is missing, damaged or of another type.
        """
        try:
            array = open_memmap(path, mode="r")
        except FileNotFoundError:
            raise UserError(f"{path}: not found. Check the path, or run `tst label` again.") from None
        except (OSError, ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError, TokenError):
            raise UserError(f"{path}: not a readable .npy file. Remove it and run `tst label` again.") from None
        if array.ndim != 3 or array.dtype != self.dtype or not array.size:
            raise UserError(
                f"{path}: {array.dtype} of shape {array.shape}, but {self.name} is int8 of shape (h, w, D). "
                "Remove it and run `tst label` again."
            )
        return array

    def save(self, path: str | Path, array: np.ndarray) -> None:
        """Write one stored array atomically."""
        assert array.ndim == 3 and array.dtype == self.dtype and array.size, (self.name, array.shape, array.dtype)
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_bytes(Path(path), buffer.getvalue())

    def valid_array(self, array: np.ndarray) -> np.ndarray:
        """Which cells of one stored array are known, (h, w) bool."""
        return (array != 0).any(-1)

    def resize(self, array: np.ndarray, height: int, width: int) -> np.ndarray:
        """Mean direction over each new cell's area; what is unknown counts nowhere."""
        if array.shape[:2] == (height, width):
            return array.copy()
        rows, columns = _shares(array.shape[0], height), _shares(array.shape[1], width)
        return self.pack(np.einsum("ih,hwd,jw->ijd", rows, self.unpack(array), columns, optimize=True))

    def valid(self, x_BDhw: Tensor) -> Tensor:
        """Wherever a vector is known."""
        return x_BDhw.any(1, keepdim=True)

    def normalise(self, x_BDhw: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of length sqrt(D), 0 where unknown, and which are known."""
        return F.normalize(x_BDhw.float(), dim=1) * x_BDhw.shape[1] ** 0.5, self.valid(x_BDhw)

    def denormalise(self, z_BDhw: Tensor, like_BDhw: Tensor) -> Tensor:
        """Stored values: the direction, scaled to a largest component of 127."""
        return (z_BDhw.float() * (LARGEST / z_BDhw.float().abs().amax(1, keepdim=True).clamp_min(1e-6))).round()

    def reconstruction_loss(self, prediction_BDhw: Tensor, target_BDhw: Tensor, valid_B1hw: Tensor) -> Tensor:
        """1 - cosine, plus smooth L1 of the components (4M's loss for feature maps), over known cells."""
        distance = 1 - F.cosine_similarity(prediction_BDhw, target_BDhw, dim=1)[:, None]
        error = F.smooth_l1_loss(prediction_BDhw, target_BDhw, reduction="none").mean(1, keepdim=True)
        return ((distance + error) * valid_B1hw).sum() / valid_B1hw.sum().clamp(min=1)

    def reconstruction_metrics(self, prediction_BDhw: Tensor, target_BDhw: Tensor) -> dict[str, float]:
        """Mean cosine, and the share of the variance of the target's directions that is explained (R2)."""
        valid_Bhw = self.valid(target_BDhw)[:, 0]
        predicted, true = (F.normalize(x.float(), dim=1) for x in (prediction_BDhw, target_BDhw))
        known = true.movedim(1, -1)[valid_Bhw]
        residual = (predicted - true).square().sum(1)[valid_Bhw].sum()
        variance = (known - known.mean(0)).square().sum() if len(known) else known.new_zeros(())
        return {
            "cosine": mean_over_images((predicted * true).sum(1), valid_Bhw),
            "r2": float(1 - residual / variance) if variance > 0 else float("nan"),
        }

    def draw(self, array: np.ndarray) -> np.ndarray:
        """The three main directions of variation as red, green and blue; unknown cells black."""
        return self.draw_together([array])[0]

    def draw_together(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The same, with the main directions and the scale of all of them together."""
        cells_ND = np.concatenate([self.unpack(array[self.valid_array(array)]) for array in arrays])
        pictures = [np.zeros((*array.shape[:2], 3), np.uint8) for array in arrays]
        if not len(cells_ND):
            return pictures
        centred_ND = cells_ND - cells_ND.mean(0)
        _, vectors_DD = np.linalg.eigh(centred_ND.T @ centred_ND)
        main_D3 = vectors_DD[:, :-4:-1]
        # Eigenvectors have no sign of their own: fixed, so that the same features always have the same colours.
        main_D3 = main_D3 * np.sign(main_D3[np.abs(main_D3).argmax(0), np.arange(main_D3.shape[1])])
        values_N3 = centred_ND @ main_D3
        low, high = np.percentile(values_N3, [2, 98], axis=0)
        levels = np.clip((values_N3 - low) / np.maximum(high - low, 1e-6), 0, 1) * 254 + 1
        start = 0
        for array, picture in zip(arrays, pictures, strict=True):
            known = self.valid_array(array)
            end = start + int(known.sum())
            picture[known, : levels.shape[1]] = levels[start:end].round().astype(np.uint8)
            start = end
        return pictures


def _shares(length: int, size: int) -> np.ndarray:
    """(size, length) float32: which share of each of `size` equal parts of an interval each of `length` parts has."""
    part = np.arange(size + 1) * (length / size)
    begin, end = part[:-1, None], part[1:, None]
    own = np.arange(length)[None]
    overlap = np.minimum(end, own + 1) - np.maximum(begin, own)
    return (np.clip(overlap, 0, None) * (size / length)).astype(np.float32)
