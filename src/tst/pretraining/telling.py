"""What a pre-trained model tells of held-back frames (captions, boxes), measured and drawn."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from tst.files import write_bytes, write_json
from tst.modalities.rgb import to_imagenet
from tst.model.fourm import FourM
from tst.model.generation import generate
from tst.pretraining.batches import TokenSource, pixel_name
from tst.sequences.report import picture, scores
from tst.sequences.text import TextTokenizer

MOST_FRAMES, SHOWN = 128, 8


def measure_telling(
    model: FourM, source: TokenSource, frames: Tensor, text: TextTokenizer, resolution: int, folder: Path
) -> dict[str, dict[str, float]]:
    """Scores of the strings that a model makes of RGB alone, by modality; greedy, on the centred view of frames.

    Writes `told.json` (frame by frame, told and real) and `told.png` into `folder`.

    Args:
        frames: indices, int64; evenly spread ones of them if they are many.
    """
    chosen = frames[torch.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).long()]
    first = torch.zeros_like(chosen)
    side = next(spec for spec in model.modalities if spec.kind == "pixels")
    pixels, _ = source.gather(chosen, first, side.grid[0] * side.patch)
    model.eval()
    told: dict[str, list[str]] = {}
    real: dict[str, list[list[str]]] = {}
    for name, tokens in source.sequences.items():
        parts = [generate(model, {pixel_name(resolution): to_imagenet(part)}, name) for part in pixels.split(32)]
        told[name] = [text.decode(ids) for part in parts for ids in part.tolist()]
        real[name] = [[text.decode(ids) for ids in tokens.all(frame, 0)] for frame in chosen.tolist()]
    rows: list[dict[str, Any]] = [
        {"frame": frame, **{name: {"told": told[name][k], "real": real[name][k]} for name in told}}
        for k, frame in enumerate(chosen.tolist())
    ]
    write_json(folder / "told.json", rows)
    shown = np.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).astype(int).tolist()
    images = [pixels[k].permute(1, 2, 0).cpu().numpy().clip(0, 255).astype(np.uint8) for k in shown]
    told_of = {name: [texts[k] for k in shown] for name, texts in told.items()}
    real_of = {name: [texts[k] for k in shown] for name, texts in real.items()}
    drawn = picture(images, told_of, real_of)
    fine, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    assert fine
    write_bytes(folder / "told.png", png.tobytes())
    return {name: scores(name, told[name], real[name]) for name in told}
