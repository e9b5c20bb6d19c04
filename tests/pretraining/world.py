"""What the tests of pre-training train on: a walk, a labelled set, tokenizers of both."""

from dataclasses import dataclass
from pathlib import Path

import torch

import tst.readers
from captures import write_labelled, write_nerfstudio
from tst.loop import OptimConfig
from tst.modalities.derive import derive
from tst.pretraining.pretrain import PretrainConfig, pretrain
from tst.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.train import save_tokenizer
from tst.tokenizers.views import ViewConfig

MODEL = TokenizerModelConfig(width=64, encoder_depth=1, decoder_depth=1, levels=(4, 4, 3))
NAMES = ("rgb", "depth", "normals", "edges")
CONFIG = PretrainConfig(
    views=ViewConfig(resolution=32, per_frame=3),
    optim=OptimConfig(batch_size=4, log_every=1, checkpoint_every=2),
    steps=3,
    decoder_depth=1,
    transfer_modalities=NAMES,
    held_back=0.3,
    validate_every=2,
)


@dataclass
class World:
    space: Space
    labelled: Space  # its labels cannot be decoded
    tokenizers: dict[str, Path]


def make_world(folder: Path) -> World:
    walk = tst.readers.read("nerfstudio", write_nerfstudio(folder / "walk", labels=False), folder / "space")
    labelled = tst.readers.read("labelled", write_labelled(folder / "labelled"), folder / "labelled_space")
    for name in ("semantic", "instance"):
        for one, index in labelled.frames():
            one.file(name, index).write_bytes(b"whoever opens this has looked at the labels")
    tokenizers = {}
    torch.manual_seed(0)
    for name in NAMES:
        tokenizers[name] = folder / "tokenizers" / name
        save_tokenizer(tokenizers[name] / "tokenizer.safetensors", Tokenizer(name, 32, MODEL))
    return World(derive(walk), derive(labelled), tokenizers)


def run(world: World, out: Path, config: PretrainConfig = CONFIG, transfer: bool = True) -> Path:
    labelled = world.labelled if transfer else None
    return pretrain(world.space, world.tokenizers, out, transfer=labelled, config=config, precision="32-true")
