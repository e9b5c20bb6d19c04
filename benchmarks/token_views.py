"""Why tokens are made for several stored crops (docs/tokenizers.md): python benchmarks/token_views.py SPACE TOKENIZERS

For each modality: how many tokens stay the same when the crop moves by a pixel or by a whole token (shifting them
along), and when a mirrored crop's tokens are taken to be the mirrored tokens; and what tokenising a batch anew in each
step would cost beside gathering stored tokens.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor

from tst.loop import make_fabric
from tst.modalities import MODALITIES
from tst.space.space import Space
from tst.tokenizers.train import load_tokenizer
from tst.tokenizers.views import OVERSIZE, FrameSource

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space", type=Path)
    parser.add_argument("tokenizers", type=Path)
    options = parser.parse_args()
    fabric = make_fabric()
    space = Space.open(options.space)
    frames = torch.linspace(0, len(space) - 1, BATCH).long()
    print("modality   1 px shift   16 px shift   mirrored   crop + tokenise a batch of 32")
    for folder in sorted(path.parent for path in options.tokenizers.glob("*/tokenizer.safetensors")):
        tokenizer = load_tokenizer(folder)
        name, size = tokenizer.modality, tokenizer.resolution
        source = FrameSource(space, [name], round(size * OVERSIZE))
        extents = torch.from_numpy(source.extents_N2[frames.numpy()]).float()

        def tokens(top: float, left: float, flip: bool) -> Tensor:
            box = torch.tensor([top, left, size, size]).expand(BATCH, 4) / torch.cat([extents, extents], 1)  # noqa: B023
            x = source.crop(name, frames, box, torch.full((BATCH,), flip), size)  # noqa: B023
            with torch.no_grad(), fabric.autocast():
                ids = tokenizer.encode(*MODALITIES[name].normalise(x))  # noqa: B023
            return ids.unflatten(1, (tokenizer.grid, tokenizer.grid))  # noqa: B023

        base = tokens(8, 8, False)
        same = [
            (tokens(8, 9, False) == base),
            (tokens(8, 24, False)[:, :, :-1] == base[:, :, 1:]),
            (tokens(8, 8, True).flip(2) == base),
        ]
        times = []
        for _ in range(10):
            start = time.perf_counter()
            tokens(8, 8, False)
            times.append(time.perf_counter() - start)
        shares = "   ".join(f"{float(item.float().mean()):9.1%}" for item in same)
        print(f"{name:<8} {shares}     {statistics.median(times) * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
