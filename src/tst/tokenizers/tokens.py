"""Tokens of every view of every frame, made once and cached in the Space by content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.lib.format import open_memmap

from tst.files import atomic_path, digest
from tst.modalities import MODALITIES
from tst.progress import track
from tst.tokenizers.tokenizer import Tokenizer
from tst.tokenizers.views import FrameSource, Views

BATCH = 64


@dataclass(frozen=True)
class Tokens:
    """Token ids of a modality.

    Attributes:
        array: (frames, views, tokens) uint16 or int32, memory-mapped.
        key: content hash of the tokenizer, the frames and the views.
    """

    array: np.memmap
    vocabulary: int
    key: str


def tokenizer_key(tokenizer: Tokenizer) -> str:
    """Content hash of a tokenizer: weights, modality, shape."""
    hasher = hashlib.sha256()
    for name, value in sorted(tokenizer.state_dict().items()):
        hasher.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest(
        tokenizer.modality, tokenizer.resolution, tokenizer.config.model_dump(mode="json"), hasher.hexdigest()
    )


def make_tokens(fabric: Fabric, source: FrameSource, tokenizer: Tokenizer, views: Views) -> Tokens:
    """Tokens of all views, from the cache if they were made before.

    The cache file is `SPACE/cache/tokens-<modality>-<key>.npy`; it is written atomically and never updated.
    """
    modality = tokenizer.modality
    key = digest(tokenizer_key(tokenizer), source.key[modality], views.key)
    path = source.space.path / "cache" / f"tokens-{modality}-{key}.npy"
    vocabulary = tokenizer.config.vocabulary
    if not path.exists():
        _build(fabric, source, tokenizer, views, path)
    return Tokens(np.lib.format.open_memmap(path, mode="r"), vocabulary, key)


@torch.no_grad()
def _build(fabric: Fabric, source: FrameSource, tokenizer: Tokenizer, views: Views, path: Path) -> None:
    modality = MODALITIES[tokenizer.modality]
    tokenizer = tokenizer.to(fabric.device).eval()
    frames, per_frame = views.flip_NV.shape
    dtype = np.uint16 if tokenizer.config.vocabulary <= 2**16 else np.int32
    boxes, flips = views.boxes_NV4.flatten(0, 1), views.flip_NV.flatten()
    owner = torch.arange(frames).repeat_interleave(per_frame)
    with atomic_path(path) as temporary:
        out = open_memmap(temporary, mode="w+", dtype=dtype, shape=(frames, per_frame, tokenizer.grid**2))
        flat = out.reshape(-1, tokenizer.grid**2)
        starts = range(0, len(owner), BATCH)
        for start in track(starts, f"tokens {tokenizer.modality} of {source.space.name}"):
            part = slice(start, start + BATCH)
            x = source.crop(tokenizer.modality, owner[part], boxes[part], flips[part], tokenizer.resolution)
            with fabric.autocast():
                flat[part] = tokenizer.encode(*modality.normalise(x)).cpu().numpy()
        out.flush()
        del out, flat
