"""The settings of `tst specialize`, stage by stage, and the presets: one dial for what the machine can do."""

from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tst.config import Config
from tst.evaluation.evaluate import EvaluateConfig
from tst.finetuning.self_training import SelfTrainConfig
from tst.finetuning.transfer import TransferConfig
from tst.loop import OptimConfig
from tst.modalities.jitter import JitterConfig
from tst.pretraining.adaptation import AdaptConfig
from tst.pretraining.pretrain import PretrainConfig
from tst.tokenizers.tokenizer import TokenizerModelConfig
from tst.tokenizers.train import TokenizeConfig
from tst.tokenizers.views import ViewConfig

RowName = Literal["scratch", "multimodal scratch", "TST-MAE", "TST-MM"]
PresetName = Literal["auto", "cpu", "gpu", "demo", "paper"]
Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


class SpecializeConfig(Config):
    """Everything `specialize` does, stage by stage."""

    tokenize: TokenizeConfig = TokenizeConfig()
    pretrain: PretrainConfig = PretrainConfig()
    """Of TST-MM."""
    mae: PretrainConfig = PretrainConfig(objective="mae")
    """Of TST-MAE."""
    finetune: TransferConfig = TransferConfig()
    predict: EvaluateConfig = EvaluateConfig()
    rows: tuple[RowName, ...] = ("scratch", "multimodal scratch", "TST-MAE", "TST-MM")
    """Models to compare."""
    seeds: PositiveInt = 1
    """Fine-tunings of each model, with seeds 0, 1, ..."""
    baseline: Repeated = ()
    """NAME=PATH of a generalist backbone (or a known NAME that is in the hub's cache): two rows, fine-tuned and frozen.
    Repeatable (docs/baselines.md)."""
    baseline_resolution: Annotated[int, Field(gt=0, multiple_of=16)] | None = None
    """Side in pixels of what generalists and specialists see; None takes that of the other models."""
    baseline_layer_decay: float = Field(0.75, gt=0, le=1)
    """Learning rate of each of a generalist's layers relative to the one above it."""
    specialist: Repeated = ()
    """NAME=PATH of a Mask2Former: one row, fine-tuned whole through its own loss. Repeatable."""
    off_the_shelf: Repeated = ()
    """NAME=PATH of a trained segmenter (transformers, or a .tflite file): one row, as it is. Repeatable."""
    class_mapping: Path | None = None
    """JSON {class: [labels]} of what off-the-shelf segmenters name; by default by name, for common indoor classes."""
    adapted: Repeated = ()
    """NAME=PATH of weights that TST-MM starts from (a ViT, 4M, a run of `tst pretrain`): one row, fine-tuned exactly as
    a baseline is. Repeatable (docs/adaptation.md)."""
    adaptation: PretrainConfig = PretrainConfig()
    """Of the adapted rows. Its resolution is chosen so that there are as many tokens as a baseline has."""
    pseudo_labels: tuple[str, ...] = ()
    """Modalities that labellers made (`tst label`). TST-MM and each adapted row get a second row that learns from them
    too, beside the one that has sensors alone."""
    selftrain: tuple[str, ...] = ()
    """Rows that are trained further on what their own views of the space agree on, or `all`: each gets a second row,
    "ROW + self-training". Needs depth and poses (docs/selftraining.md)."""
    selftrain_teachers: tuple[str, ...] = ()
    """Names of `off_the_shelf` models that have a say in the pseudo-labels: each row of `selftrain` gets a third one,
    "ROW + self-training with NAMES", beside the one that learns from itself alone."""
    selftraining: SelfTrainConfig = SelfTrainConfig()
    """Of those rows."""
    lr_trials: tuple[PositiveFloat, ...] = (1.0,)
    """Learning rates to try for every fine-tuned row, in units of `finetune.optim.lr`; the best on the transfer set's
    own validation split is used. One is not tried, but taken."""
    lr_trial_share: float = Field(0.2, gt=0, le=1)
    """Length of a trial in units of `finetune.epochs`; it has seed 0."""

    @model_validator(mode="after")
    def _agree(self) -> "SpecializeConfig":
        sides = {
            "tokenize": self.tokenize.views.resolution,
            "pretrain": self.pretrain.views.resolution,
            "mae": self.mae.views.resolution,
            "finetune": self.finetune.views.resolution,
        }
        if len(set(sides.values())) > 1:
            given = ", ".join(f"{name}.views.resolution {side}" for name, side in sides.items())
            raise ValueError(f"the stages need one resolution, but: {given}. Give all of them the same.")
        sizes = {self.pretrain.size, self.mae.size, self.finetune.size}
        if len(sizes) > 1:
            raise ValueError(f"pretrain.size, mae.size and finetune.size differ ({', '.join(sorted(sizes))})")
        if (self.pretrain.objective, self.mae.objective) != ("mm", "mae"):
            raise ValueError("pretrain.objective must stay mm, and mae.objective mae")
        if not self.lr_trials:
            raise ValueError("lr_trials is empty. Give one factor at least, such as 1.")
        if self.adaptation.objective != "mm" or self.adaptation.init:
            raise ValueError("adaptation.objective must stay mm, and its init is what --adapted names")
        if both := set(self.pseudo_labels) & set(self.tokenize.modalities):
            raise ValueError(f"{', '.join(sorted(both))}: in pseudo_labels and in tokenize.modalities. Leave one out.")
        names = [name for row in ("baseline", "specialist", "off_the_shelf") for name, _ in named(getattr(self, row))]
        shelf = [name for name, _ in named(self.off_the_shelf)]
        if unknown := sorted(set(self.selftrain_teachers) - set(shelf)):
            known = f"are: {', '.join(shelf)}" if shelf else "are none"
            raise ValueError(f"selftrain_teachers {', '.join(unknown)}: not in off_the_shelf, of which there {known}.")
        if self.selftrain_teachers and not self.selftrain:
            raise ValueError("selftrain_teachers needs rows that are self-trained. Give selftrain as well.")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: two models of one name. Give each its own: NAME=PATH.")
        return self


def named(given: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, path) of each NAME=PATH; a bare NAME is both."""
    return [(name, path or name) for name, _, path in (item.partition("=") for item in given)]


def preset(name: PresetName = "auto") -> SpecializeConfig:
    """The settings of one dial: `cpu` (nano, 128 px), `gpu` (small, 224 px), `auto` by what the machine has.

    `demo` is the smallest that shows the effect: nano at 96 px, short runs, three rows, one seed. `paper` is what the
    paper did with its base model (Tab. 10, 11 and 12): 500 billion tokens, for a cluster.
    """
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() else "cpu"
    jitter = JitterConfig(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05, gamma=0.8)
    if name == "cpu":
        views = ViewConfig(resolution=128)
        return SpecializeConfig(
            tokenize=TokenizeConfig(
                views=views,
                steps=600,
                model=TokenizerModelConfig(encoder_depth=2, decoder_depth=2, levels=(8, 5, 5, 5)),
                optim=OptimConfig(lr=2e-3, batch_size=32, betas=(0.9, 0.99)),
            ),
            # Without a decoder, and with every target of every sample, 10^5 samples are enough to learn from
            # (docs/experiments.md); through a decoder the encoder keeps little of it.
            pretrain=PretrainConfig(
                size="nano",
                views=views,
                steps=3500,
                optim=OptimConfig(lr=1e-3, batch_size=32),
                decoder_depth=0,
                all_to_all=False,
                jitter=jitter,
            ),
            adaptation=PretrainConfig(
                views=views,
                steps=1000,
                optim=OptimConfig(lr=1e-3, batch_size=32),
                decoder_depth=0,
                all_to_all=False,
                jitter=jitter,
            ),
            mae=PretrainConfig(
                objective="mae",
                size="nano",
                views=views,
                steps=4000,
                optim=OptimConfig(lr=1e-3, batch_size=32),
                decoder_depth=2,
                jitter=jitter,
            ),
            finetune=TransferConfig(
                size="nano",
                views=views,
                epochs=20,
                validations=8,
                layer_decay=1.0,
                head_channels=64,
                head_cells=2,
                jitter=jitter,
                optim=OptimConfig(lr=1e-3, batch_size=32, betas=(0.9, 0.999)),
            ),
            seeds=3,
            # A wide range: of up to 1, fine-tuned DINOv2-S took 0.3, scratch and frozen rows 1 (docs/baselines.md).
            lr_trials=(0.1, 0.3, 1.0, 3.0),
        )
    if name == "demo":
        views = ViewConfig(resolution=96, per_frame=8)
        smaller = preset("cpu")
        return smaller.replace(
            tokenize={"views": views, "steps": 300},
            pretrain={"views": views, "steps": 2000},
            mae={"views": views, "steps": 1400},
            finetune={"views": views, "epochs": 15, "validations": 5},
            rows=("scratch", "TST-MAE", "TST-MM"),
            seeds=1,
            lr_trials=(1.0,),
        )
    if name == "paper":
        return _paper()
    views = ViewConfig(resolution=224)
    pretraining = PretrainConfig(
        size="small",
        views=views,
        steps=60_000,
        optim=OptimConfig(lr=8e-4, batch_size=512, checkpoint_every=1000),
        num_input=128,
        num_target=128,
        repeats=4,
        rgb_to_all=12.0,
        jitter=jitter,
    )
    return SpecializeConfig(
        tokenize=TokenizeConfig(
            views=views,
            steps=8000,
            model=TokenizerModelConfig(width=512, encoder_depth=6, decoder_depth=6),
            optim=OptimConfig(lr=5e-4, batch_size=128),
        ),
        pretrain=pretraining,
        mae=pretraining.replace(objective="mae", num_input=0, num_target=0),
        adaptation=pretraining.replace(steps=20_000, optim={"batch_size": 256}),
        finetune=TransferConfig(
            size="small",
            views=views,
            epochs=64,
            jitter=jitter,
            optim=OptimConfig(lr=1e-4, batch_size=32, betas=(0.9, 0.999)),
        ),
        seeds=3,
        lr_trials=(0.3, 1.0, 3.0),
    )


def _paper() -> SpecializeConfig:
    views = ViewConfig(resolution=224, flip=False)
    none = JitterConfig(probability=0.0)
    batch, tokens = 4096, 512
    # Base learning rates are for 256 samples (Goyal et al. 2017). Smaller batches need a smaller `optim.lr`.
    scratch = PretrainConfig(
        size="base",
        views=views,
        optim=OptimConfig(lr=1e-4 * batch / 256, batch_size=batch, warmup=0.02, clip=0.0, checkpoint_every=1000),
        steps=round(500e9 / (batch * tokens)),
        num_input=256,
        num_target=256,
        local_context=False,
        jitter=none,
        repeats=4,
    )
    return SpecializeConfig(
        tokenize=preset("gpu").tokenize.replace(views=views),
        pretrain=scratch,
        mae=scratch.replace(objective="mae", num_input=0, num_target=0),
        adaptation=scratch.replace(
            optim={"lr": 5e-5 * batch / 256, "warmup": 0.1},
            steps=round(100e9 / (batch * tokens)),
            adapt=AdaptConfig(lr=1.0, layer_decay=1.0, frozen_steps=0),
        ),
        finetune=TransferConfig(
            size="base",
            views=ViewConfig(resolution=224),
            epochs=64,
            jitter=none,
            optim=OptimConfig(lr=2e-4, batch_size=32, warmup=1 / 64, betas=(0.9, 0.999)),
        ),
        seeds=3,
    )
