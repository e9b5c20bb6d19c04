"""Speed of a pre-training step, `make bench`: samples a second, its parts, and the share of the machine's matrix rate.

The space is made up (noise images): what a step costs does not depend on what they show. Run it on a quiet machine.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tst.loop import OptimConfig, make_fabric
from tst.modalities.jitter import JitterConfig
from tst.model.fourm import FourM, parameter_groups
from tst.pretraining.batches import BatchMaker, TokenSource, model_table
from tst.pretraining.masking import MaskingConfig, TokenMasker
from tst.readers import read
from tst.space.space import Space
from tst.tokenizers.tokens import Tokens
from tst.tokenizers.views import FrameSource, ViewConfig, draw_views

VOCABULARIES = {"rgb": 2560, "depth": 2560, "normals": 2560, "edges": 2560}
FRAMES, VIEWS = 200, 8


def make_space(folder: Path) -> Space:
    """A labelled folder of noise images, read as a Space."""
    images = folder / "capture" / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(FRAMES):
        small = rng.integers(0, 255, (12, 16, 3), np.uint8)
        cv2.imwrite(str(images / f"{index:04d}.jpg"), cv2.resize(small, (448, 336)))
    return read("labelled", folder / "capture", folder / "space")


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """Median time of one call, after a warm-up."""
    function()
    times = []
    for _ in range(repeats):
        synchronise()
        start = time.perf_counter()
        function()
        synchronise()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the best of a few matrix products of the sizes that occur."""
    best = 0.0
    for rows, width in ((4096, 192), (4096, 512), (4096, 768), (2048, 2048)):
        a = torch.randn(rows, width, device=device, dtype=dtype)
        w = torch.randn(4 * width, width, device=device, dtype=dtype)
        seconds = median_seconds(lambda a=a, w=w: torch.nn.functional.linear(a, w), 30)
        best = max(best, 2 * rows * width * 4 * width / seconds)
    return best


def bench(space: Space, size: str, resolution: int, batch_size: int, budget: int, repeats: int, peak: float) -> None:
    fabric = make_fabric()
    config = ViewConfig(resolution=resolution, per_frame=VIEWS)
    frames = FrameSource(space, ["rgb"], config.short_side, fabric.device)
    views = draw_views(frames.extents_N2, config)
    rng = np.random.default_rng(0)
    shape = (FRAMES, VIEWS, (resolution // 16) ** 2)
    tokens = {name: Tokens(rng.integers(0, v, shape).astype(np.uint16), v, "") for name, v in VOCABULARIES.items()}
    maker = BatchMaker(
        [TokenSource(frames, views, tokens, torch.arange(FRAMES))],
        [batch_size],
        VOCABULARIES,
        resolution,
        JitterConfig(),
    )
    table = model_table(VOCABULARIES, resolution)
    masker = TokenMasker(table, MaskingConfig(num_input=budget, num_target=budget))
    model = FourM(size, table).to(fabric.device)
    optimizer = OptimConfig().optimizer(parameter_groups(model, 0.05))
    generator = torch.Generator().manual_seed(0)

    def draw():
        batch = maker.draw(generator)
        return batch, masker.sample(batch.available_BM, generator)

    def forward(drawn):
        batch, chosen = drawn
        with fabric.autocast():
            return model(batch.inputs, batch.inputs, chosen.input_index_BI, chosen.target_index_BT).loss

    def step() -> None:
        forward(draw()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    drawn = draw()
    with FlopCounterMode(display=False) as counter:
        forward(drawn).backward()
    flops = counter.get_total_flops()
    whole = median_seconds(step, repeats)
    crop = median_seconds(lambda: maker.draw(generator), repeats)
    mask = median_seconds(lambda: masker.sample(maker.available_BM, generator), repeats)
    ahead = median_seconds(lambda: forward(drawn), repeats)
    back = median_seconds(lambda: forward(drawn).backward(), repeats) - ahead
    model.zero_grad(set_to_none=True)
    print(f"{size}, {resolution} px, batch {batch_size}, {budget} + {budget} tokens, {fabric._precision.precision}")
    print(f"  whole step        {whole * 1e3:8.1f} ms   {batch_size / whole:8.1f} samples/s")
    print(f"  crop, jitter, gather {crop * 1e3:5.1f} ms   {crop / whole:8.1%} of the step")
    print(f"  masks             {mask * 1e3:8.1f} ms   {mask / whole:8.1%}")
    print(f"  batch assembly                 {(crop + mask) / whole:8.1%}  (limit 15 %)")
    print(f"  forward           {ahead * 1e3:8.1f} ms   {ahead / whole:8.1%}")
    print(f"  backward          {back * 1e3:8.1f} ms   {back / whole:8.1%}")
    print(f"  optimiser, rest   {(whole - crop - mask - ahead - back) * 1e3:8.1f} ms")
    print(
        f"  {flops / batch_size / 1e9:.2f} GFLOP a sample: {flops / whole / 1e9:.0f} GFLOP/s, "
        f"{flops / whole / peak:.1%} of the matrix rate"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--sizes", nargs="+", default=["nano", "small"])
    options = parser.parse_args()
    fabric = make_fabric()
    kind = torch.bfloat16 if "bf16" in str(fabric._precision.precision) else torch.float32
    peak = matrix_rate(fabric.device, kind)
    print(f"torch {torch.__version__}, {fabric.device}, {torch.get_num_threads()} threads of {os.cpu_count()} cores")
    print(f"matrix rate, {kind}: {peak / 1e9:.0f} GFLOP/s")
    cases = {"nano": (128, 64, 64), "tiny": (128, 64, 64), "small": (224, 16, 128), "base": (224, 16, 256)}
    with tempfile.TemporaryDirectory() as folder:
        space = make_space(Path(folder))
        for size in options.sizes:
            bench(space, size, *cases[size], options.repeats, peak)


if __name__ == "__main__":
    main()
