"""Which rows a comparison has, and how each is trained: what a `SpecializeConfig` asks for, nothing is run yet."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tst.backbones.hub import locate
from tst.backbones.timm_vit import read_timm
from tst.errors import UserError
from tst.finetuning.transfer import TransferConfig
from tst.presets import SpecializeConfig, named
from tst.pretraining.batches import TOKEN_PATCH
from tst.pretraining.initial import read_initial
from tst.pretraining.pretrain import PretrainConfig
from tst.space.space import Space

SELFTRAINED = " + self-training"
"""What the name of a row of self-training has after that of the row it started from."""


@dataclass(frozen=True)
class Contender:
    """A row of the comparison that is fine-tuned.

    Attributes:
        start: what `transfer` starts from: encoder, backbone, specialist, tokenizers.
    """

    row: str
    config: TransferConfig
    start: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Its name in the file system."""
        return folder_of(self.row)


def folder_of(row: str) -> str:
    """A row's name in the file system."""
    return re.sub(r"[^\w.]+", "-", row)


def before(row: str) -> str:
    """The row that a row of self-training started from; of others, itself."""
    return row.partition(SELFTRAINED)[0]


def with_teachers(names: Sequence[str]) -> str:
    """What is added to the name of a row in whose self-training further teachers have a say."""
    return f" with {', '.join(names)}" if names else ""


@dataclass(frozen=True)
class Pretraining:
    """A pre-training of ours, which gives the row of the same name its encoder."""

    row: str
    config: PretrainConfig
    pseudo_labels: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Of its views, and so of its tokenizers."""
        return self.config.views.resolution


@dataclass(frozen=True)
class Rate:
    """The learning rate of a row, and what each one that was tried scored on the transfer set's validation split."""

    chosen: float
    tried: Mapping[float, float | None] = field(default_factory=dict)

    def __str__(self) -> str:
        tried = ", ".join(f"{lr:g}: {'diverged' if s is None else f'{s:.1f}'}" for lr, s in self.tried.items())
        return f"{self.chosen:g}" + (f" (validation after a short trial: {tried})" if tried else "")


def pretrainings(config: SpecializeConfig) -> list[Pretraining]:
    """Those of the rows asked for; what learns from pseudo-labels stands beside the same with sensors alone."""
    known = {"TST-MAE": config.mae, "TST-MM": config.pretrain}
    found = [Pretraining(row, known[row]) for row in config.rows if row in known]
    side = config.baseline_resolution or config.finetune.views.resolution
    for name, path in named(config.adapted):
        weights = locate(path, download=False)
        grid = max(1, round(side / read_initial(weights).pixels.patch))
        settings = config.adaptation.replace(init=weights, views={"resolution": TOKEN_PATCH * grid})
        found.append(Pretraining(f"{name} adapted", settings))
    if not config.pseudo_labels:
        return found
    more = []
    for plan in found:
        more.append(plan)
        if plan.config.objective == "mm":
            contributed = (*plan.config.transfer_modalities, *config.pseudo_labels)
            settings = plan.config.replace(transfer_modalities=contributed)
            more.append(Pretraining(f"{plan.row} + pseudo-labels", settings, config.pseudo_labels))
    return more


def selftrained(config: SpecializeConfig, others: Sequence[Contender], plans: Sequence[Pretraining]) -> list[str]:
    """Rows that get a second one.

    Raises:
        UserError: a name is not that of a row.
    """
    backbones = [contender.row for contender in others if "specialist" not in contender.start]
    known = list(dict.fromkeys([*config.rows, *backbones, *(plan.row for plan in plans)]))
    if unknown := sorted(set(config.selftrain) - {*known, "all"}):
        raise UserError(f"--selftrain {', '.join(unknown)}: no such row. Choose of: all, {', '.join(known)}.")
    return known if "all" in config.selftrain else [row for row in known if row in config.selftrain]


def untrained(
    labelled: Space, tokenizers: Mapping[str, Path], encoders: Mapping[str, Path], config: SpecializeConfig
) -> list[Contender]:
    """Rows that start from random weights."""
    shared = {
        name: folder
        for name, folder in tokenizers.items()
        if name in labelled.modalities() and name in config.tokenize.modalities and name != "rgb"
    }
    return [
        Contender(row, config.finetune, {"tokenizers": shared} if row == "multimodal scratch" else {})
        for row in config.rows
        if row not in encoders
    ]


def trained(plans: Sequence[Pretraining], encoders: Mapping[str, Path], config: SpecializeConfig) -> list[Contender]:
    """Rows that start from a pre-training; those that were adapted are fine-tuned as what they were adapted from."""
    return [
        Contender(plan.row, as_baseline(config), {"backbone": encoders[plan.row]})
        if plan.config.init
        else Contender(plan.row, config.finetune, {"encoder": encoders[plan.row]})
        for plan in plans
    ]


def generalists(config: SpecializeConfig) -> list[Contender]:
    """Rows that start from other people's weights: of each backbone frozen and fine-tuned, and specialists."""
    tuned = as_baseline(config)
    found = []
    for name, path in named(config.baseline):
        found.append(Contender(f"{name} frozen", tuned.replace(freeze=True), {"backbone": path}))
        found.append(Contender(f"{name} fine-tuned", tuned, {"backbone": path}))
    for name, path in named(config.specialist):
        found.append(Contender(f"{name} fine-tuned", tuned, {"specialist": Path(path)}))
    return found


def as_baseline(config: SpecializeConfig) -> TransferConfig:
    """How generalists, and what was adapted from them, are fine-tuned."""
    changes: dict[str, Any] = {"layer_decay": config.baseline_layer_decay}
    if config.baseline_resolution:
        changes["views"] = {"resolution": config.baseline_resolution}
    return config.finetune.replace(**changes)


def check_readable(contender: Contender) -> None:
    """Whether its weights can be had.

    Raises:
        UserError: they are not there.
    """
    path = contender.start.get("backbone") or contender.start["specialist"]
    if str(path).startswith("timm:"):
        read_timm(str(path).removeprefix("timm:"), download=False)
    else:
        locate(str(path), download=False)
