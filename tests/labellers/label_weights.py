"""Writes tiny weights of every kind of labeller."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers

import tiny_models as tiny

STAGES = ((3, 4, 4), (4, 6, 6), (6, 8, 8, 8))
"""Of a HED for tests."""


def write_hed(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """A `.weights.h5` as Keras names it; returns what it holds."""
    random = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for number, channels in enumerate(STAGES, 1):
        for position, (a, b) in enumerate(pairwise(channels)):
            place = f"block{number}/layers/conv2d{f'_{position}' if position else ''}/vars"
            arrays |= {
                f"{place}/0": random.normal(0, (2 / 9 / a) ** 0.5, (3, 3, a, b)),
                f"{place}/1": random.normal(0, 0.1, b),
            }
        arrays |= {
            f"dsn{number}/vars/0": random.normal(0, 0.1, (1, 1, channels[-1], 1)),
            f"dsn{number}/vars/1": np.zeros(1),
        }
    arrays |= {"fuse/vars/0": random.normal(0, 0.1, (1, 1, len(STAGES), 1)), "fuse/vars/1": random.normal(0, 1, 1)}
    arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value
        file.create_group("vars")
    return arrays


def write_yolos(folder: Path) -> Path:
    """A detector of transformers with three names, one of them unused."""
    config = transformers.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[64, 64],
        num_detection_tokens=9,
        id2label={0: "N/A", 1: "chair", 2: "bed"},
    )
    tiny.randomise(transformers.YolosForObjectDetection(config)).save_pretrained(folder)
    processor = {
        "image_processor_type": "YolosImageProcessor",
        "size": {"shortest_edge": 64, "longest_edge": 96},
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_pad": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def write_segformer(folder: Path) -> Path:
    tiny.randomise(tiny.segformer(["background", "wall", "floor"])).save_pretrained(folder)
    return folder


def write_mask2former(folder: Path) -> Path:
    torch.manual_seed(0)
    tiny.mask2former(3).save_pretrained(folder)
    return folder


def write_hed_file(folder: Path) -> Path:
    write_hed(folder / "hed.h5")
    return folder / "hed.h5"


WRITERS: dict[str, Callable[[Path], Path]] = {
    "dinov2": lambda folder: tiny.write("dinov2", folder),
    "clip": lambda folder: tiny.write("clip", folder),
    "hed": write_hed_file,
    "sam-edges": lambda folder: tiny.write("sam", folder),
    "ade20k": write_segformer,
    "coco-masks": write_mask2former,
    "coco-boxes": write_yolos,
}
