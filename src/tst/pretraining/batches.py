"""Batches for pre-training: pixels cropped on the device, tokens gathered, nothing per sample in Python.

A view has one grid: tokens of TOKEN_PATCH pixels, and pixels cropped to as many patches of the encoder's own size (a
view of 144 pixels has 9 x 9 tokens, and for an encoder with patches of 14 its RGB is 126 pixels wide).

Shape letters: B batch, N frames, V views of a frame, L tokens of a view, M modalities of the model.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from tst.modalities import MODALITIES
from tst.modalities.jitter import JitterConfig
from tst.modalities.rgb import to_imagenet
from tst.model.table import ModalitySpec
from tst.sequences import SEQUENCES
from tst.sequences.base import SequenceTokens
from tst.sequences.text import PAD
from tst.tokenizers.tokens import Tokens
from tst.tokenizers.views import FrameSource, Views

TOKEN_PATCH = 16


def grid_side(resolution: int) -> int:
    """Tokens along one side of a view."""
    return resolution // TOKEN_PATCH


def pixel_name(resolution: int) -> str:
    """4M's name of the pixel input; `resolution` is the view's, whatever the encoder's patch size."""
    return f"rgb@{resolution}"


def token_name(modality: str, resolution: int) -> str:
    """4M's name of a modality's tokens, such as `tok_normal@224`."""
    return f"{MODALITIES[modality].token_name}@{resolution}"


def model_table(vocabularies: dict[str, int], resolution: int, patch: int = TOKEN_PATCH) -> list[ModalitySpec]:
    """The model's modalities: RGB as pixels (input), and tokens (input and target) of each modality in `vocabularies`:
    those of images, then sequences.

    `patch` is the encoder's: pixels are given at grid x patch.
    """
    grid = (grid_side(resolution), grid_side(resolution))
    pixels = ModalitySpec(pixel_name(resolution), "pixels", grid=grid, patch=patch, target=False)
    images = {name: size for name, size in vocabularies.items() if name not in SEQUENCES}
    tokens = [
        ModalitySpec(token_name(name, resolution), "tokens", vocab=size, grid=grid, patch=TOKEN_PATCH)
        for name, size in images.items()
    ]
    sequences = [
        ModalitySpec(name, "sequence", vocab=size, max_length=SEQUENCES[name].max_length)
        for name, size in vocabularies.items()
        if name in SEQUENCES
    ]
    return [pixels, *tokens, *sequences]


@dataclass
class Batch:
    """What the model takes.

    Attributes:
        inputs: pixels (B, 3, H, W) float32 normalised, token ids (B, L) int64; zeros where a sample lacks the modality.
        available_BM: which samples have which modality, in model order, bool.
        sequences: ids (B, L) int64 of whole sequences, padded, on the CPU: they are masked there.
        drawn: frames and views of the samples that come from the first source, which are the first ones.
    """

    inputs: dict[str, Tensor]
    available_BM: Tensor  # noqa: N815
    sequences: dict[str, Tensor] = field(default_factory=dict)
    drawn: tuple[Tensor, Tensor] | None = None


@dataclass
class TokenSource:
    """One Space ready for pre-training: its RGB frames, and tokens of the same views.

    Attributes:
        tokens: by modality; may lack modalities that other sources have.
        frames: indices of the frames to draw from, int64.
        sequences: by modality, of the same views.
    """

    rgb: FrameSource
    views: Views
    tokens: dict[str, Tokens]
    frames: Tensor
    sequences: dict[str, SequenceTokens] = field(default_factory=dict)
    _arrays: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        # Copied to memory (uint16 has no gather in torch): 24 views of 500 frames of 4 modalities are 12 MB as int32.
        self._arrays = {
            name: torch.from_numpy(tokens.array.astype("int32")).to(self.rgb.device)
            for name, tokens in self.tokens.items()
        }

    def gather(self, frames_B: Tensor, views_B: Tensor, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Pixels (B, 3, size, size) in 0..255 and tokens (B, L) of the given views."""
        boxes, flip = self.views.boxes_NV4[frames_B, views_B], self.views.flip_NV[frames_B, views_B]
        pixels = self.rgb.crop("rgb", frames_B, boxes, flip, size)
        where = (frames_B.to(self.rgb.device), views_B.to(self.rgb.device))
        return pixels, {name: array[where].long() for name, array in self._arrays.items()}


class BatchMaker:
    """Draws batches over one or two sources in fixed proportion; `patch` is the encoder's."""

    def __init__(
        self,
        sources: list[TokenSource],
        counts: list[int],
        vocabularies: dict[str, int],
        resolution: int,
        jitter: JitterConfig | None,
        repeats: int = 1,
        patch: int = TOKEN_PATCH,
    ) -> None:
        assert len(sources) == len(counts)
        self.sources, self.counts, self.resolution, self.jitter = sources, counts, resolution, jitter
        self.repeats, self.patch, self.vocabularies = repeats, patch, vocabularies
        self.pixels_side = grid_side(resolution) * patch
        self.names = {name: token_name(name, resolution) for name in vocabularies if name not in SEQUENCES}
        self.sequences = [name for name in vocabularies if name in SEQUENCES]
        available = [
            [True]
            + [name in source.tokens for name in self.names]
            + [name in source.sequences for name in self.sequences]
            for source in sources
        ]
        self.available_BM = torch.tensor(available).repeat_interleave(torch.tensor(counts), 0)

    def draw(self, generator: torch.Generator) -> Batch:
        """A training batch: random frames and views, jittered pixels.

        With `repeats` n, each drawn frame appears n times, in different views (repeated sampling, paper Tab. 10).
        """
        frames, views = [], []
        for source, count in zip(self.sources, self.counts, strict=True):
            drawn = torch.randint(len(source.frames), (-(-count // self.repeats),), generator=generator)
            frames.append(source.frames[drawn.repeat_interleave(self.repeats)[:count]])
            views.append(torch.randint(source.views.flip_NV.shape[1], (count,), generator=generator))
        return self.assemble(frames, views, generator)

    def assemble(self, frames: list[Tensor], views: list[Tensor], generator: torch.Generator | None) -> Batch:
        """The batch of given frames and views of each source; without a generator, no jitter."""
        parts = [
            source.gather(frames_B, views_B, self.pixels_side)
            for source, frames_B, views_B in zip(self.sources, frames, views, strict=True)
            if len(frames_B)
        ]
        inputs = {pixel_name(self.resolution): self._seen(torch.cat([part[0] for part in parts]), generator)}
        for modality, name in self.names.items():
            inputs[name] = torch.cat(
                [
                    tokens[modality]
                    if modality in tokens
                    else torch.zeros(len(image), self.tokens_count, dtype=torch.int64, device=image.device)
                    for image, tokens in parts
                ]
            )
        sequences = {name: self._sequence(name, frames, views, generator) for name in self.sequences}
        return Batch(inputs, self.available_BM, sequences, (frames[0], views[0]))

    def pixels(self, frames_B: Tensor, views_B: Tensor, generator: torch.Generator) -> Tensor:
        """Jittered pixels (B, 3, H, W) of views of the first source, as the model takes them."""
        return self._seen(self.sources[0].gather(frames_B, views_B, self.pixels_side)[0], generator)

    def _seen(self, pixels_B3HW: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.jitter is not None and generator is not None:
            pixels_B3HW = self.jitter.apply(pixels_B3HW, generator)
        return to_imagenet(pixels_B3HW)

    def _sequence(
        self, name: str, frames: list[Tensor], views: list[Tensor], generator: torch.Generator | None
    ) -> Tensor:
        """Ids (B, L) of one sequence modality; nothing but padding where a source lacks it."""
        parts = [
            source.sequences[name].draw(frames_B, views_B, generator)
            if name in source.sequences
            else torch.full((len(frames_B), 1), PAD)
            for source, frames_B, views_B in zip(self.sources, frames, views, strict=True)
        ]
        longest = max(part.shape[1] for part in parts)
        return torch.cat([F.pad(part, (0, longest - part.shape[1]), value=PAD) for part in parts])

    @property
    def tokens_count(self) -> int:
        """Tokens of one view."""
        return grid_side(self.resolution) ** 2
