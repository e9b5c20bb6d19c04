"""`tst tokenize`: train one tokenizer a modality on the space itself, measure it, draw what it keeps."""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.files import write_bytes
from tst.loop import OptimConfig, Precision, fit, make_fabric
from tst.modalities import MODALITIES, Modality
from tst.modalities.semantic import IGNORE, ClassMask
from tst.runs import Run, load_tensors, save_tensors
from tst.sequences.train import tokenize_text
from tst.space.space import Space
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig
from tst.tokenizers.views import FrameSource, ViewConfig, centre_crops, draw_crops


class TokenizeConfig(Config):
    """Tokenizers of all modalities."""

    modalities: tuple[str, ...] = ("rgb", "depth", "normals", "edges")
    """Modalities to tokenise, captions and boxes (`caption`, `det`) among them; those a space lacks are left out."""
    text: Path | None = None
    """Text tokenizer of captions and boxes, such as 4M's text_tokenizer_4m_wordpiece_30k.json; by default one is made
    of the space's own words."""
    views: ViewConfig = ViewConfig()
    model: TokenizerModelConfig = TokenizerModelConfig()
    optim: OptimConfig = OptimConfig(lr=2e-3, betas=(0.9, 0.99))
    steps: PositiveInt = 1000
    """Optimiser steps for each tokenizer."""
    transfer_share: float = Field(0.5, ge=0, le=1)
    """Share of each batch that comes from the transfer set, for the modalities taken from it."""
    held_back: float = Field(0.05, gt=0, lt=1)
    """Share of the space's frames kept for measuring."""
    seed: int = 0


def held_back_frames(count: int, share: float) -> np.ndarray:
    """Frames kept from training to measure on: evenly spread over the walk, bool (count,). At least one, never all."""
    assert count > 1, "one frame can be learnt from or measured on, not both"
    kept = min(count - 1, max(1, round(count * share)))
    mask = np.zeros(count, bool)
    mask[((np.arange(kept) + 0.5) * count / kept).astype(int)] = True
    return mask


def tokenize(
    space: Space,
    out: Path,
    *,
    transfer: Space | None = None,
    transfer_modalities: tuple[str, ...] = ("rgb",),
    config: TokenizeConfig = TokenizeConfig(),
    precision: Precision = "auto",
) -> dict[str, Path]:
    """Train a tokenizer for each modality of `space` and return their folders by modality.

    Args:
        out: folder that gets one run folder a modality.
        transfer: a second Space whose frames (those outside its test split) are mixed in for
            `transfer_modalities`.

    Raises:
        UserError: the space has none of the modalities, or a run folder belongs to other settings.
    """
    chosen = [name for name in config.modalities if name in space.modalities()]
    if not chosen:
        raise UserError(
            f"{space.path}: has none of {', '.join(config.modalities)}. Run `tst derive {space.path}` first."
        )
    if len(space) < 2:
        raise UserError(f"{space.path}: has 1 frame, too few to learn from and to measure on. Read a longer walk.")
    images = {
        name: _train_one(
            space, transfer if name in transfer_modalities else None, name, Path(out) / name, config, precision
        )
        for name in chosen
    }
    return images | tokenize_text(
        space,
        out,
        config.modalities,
        transfer=transfer,
        transfer_modalities=transfer_modalities,
        text=config.text,
    )


def _train_one(
    space: Space, transfer: Space | None, modality: str, out: Path, config: TokenizeConfig, precision: Precision
) -> Path:
    fabric = make_fabric(precision=precision)
    spaces = [space] + ([transfer] if transfer is not None and modality in transfer.modalities() else [])
    sources = [FrameSource(item, [modality], config.views.short_side, fabric.device) for item in spaces]
    resolved = config.model_dump(mode="json", exclude={"modalities", "text"})
    inputs = {"modality": modality, "frames": [source.key for source in sources]}
    with Run(out, "tokenize", resolved, inputs) as run:
        if run.summary:
            return out
        torch.manual_seed(config.seed)
        model = Tokenizer(modality, config.views.resolution, config.model, _outputs(sources, modality))
        held_back = held_back_frames(len(sources[0]), config.held_back)
        train = [torch.from_numpy(np.flatnonzero(~held_back))] + [item.trainable for item in sources[1:]]
        batch = config.optim.batch_size
        second = round(batch * config.transfer_share) if len(sources) > 1 else 0
        counts = [batch - second, second][: len(sources)]

        def loss(model: nn.Module, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            x = torch.cat(
                [
                    source.crop(
                        modality,
                        *draw_crops(source, frames, count, config.views, generator),
                        config.views.resolution,
                    )
                    for source, frames, count in zip(sources, train, counts, strict=True)
                    if count
                ]
            )
            z, valid = MODALITIES[modality].normalise(x)
            reconstruction, _, auxiliary = model(z, valid)
            value = MODALITIES[modality].reconstruction_loss(reconstruction, z, valid)
            return value + auxiliary, {"reconstruction": value}

        optimizer = config.optim.optimizer(model.parameters())
        model_, summary = fit(
            fabric,
            run,
            model,
            optimizer,
            loss,
            steps=config.steps,
            config=config.optim,
            seed=config.seed,
            label=f"tokenizer {modality}",
        )
        assert isinstance(model_, Tokenizer)
        with torch.no_grad(), fabric.autocast():
            measures, picture = _measure(model_, sources[0], torch.from_numpy(np.flatnonzero(held_back)))
        ok, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        assert ok
        write_bytes(out / "reconstruction.png", png.tobytes())
        save_tokenizer(out / "tokenizer.safetensors", model_)
        run.finish(summary | {"metrics": measures})
    return out


def _outputs(sources: list[FrameSource], modality: str) -> int:
    """Values that the tokenizer predicts for each pixel, where only the data tell.

    Raises:
        UserError: the spaces were labelled by different networks, so that values mean different things.
    """
    kind = MODALITIES[modality]
    arrays = [source.cached[modality].array for source in sources]
    labelled = [source.space.file.provenance.get(modality, {}) for source in sources]
    networks = {entry["weights"] for entry in labelled if "weights" in entry}
    if len(networks) > 1 or (not kind.channels and len({array.shape[-1] for array in arrays}) > 1):
        raise UserError(
            f"{modality}: {sources[0].space.path} and {sources[1].space.path} were labelled by different networks. "
            f"Label both with the same, or leave {modality} out of --transfer-modalities."
        )
    if isinstance(kind, ClassMask):
        named = max(len(entry.get("classes", ())) for entry in labelled)
        return max(named, *(_largest_class(array) + 1 for array in arrays))
    return kind.channels or arrays[0].shape[-1]


def _largest_class(array: np.ndarray, at_once: int = 256) -> int:
    """The largest class of memory-mapped masks, unknown pixels apart; 0 where there is none."""
    parts = [array[start : start + at_once] for start in range(0, len(array), at_once)]
    return max(int(part.max(initial=0, where=part != IGNORE)) for part in parts)


def save_tokenizer(path: Path, tokenizer: Tokenizer) -> None:
    """Write weights and the config they need as one file."""
    metadata = {
        "modality": tokenizer.modality,
        "resolution": tokenizer.resolution,
        "config": tokenizer.config.model_dump(mode="json"),
        "outputs": tokenizer.outputs,
    }
    save_tensors(path, tokenizer.state_dict(), metadata)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a trained tokenizer from its run folder."""
    tensors, metadata = load_tensors(Path(folder) / "tokenizer.safetensors")
    config = TokenizerModelConfig.model_validate(metadata["config"])
    # Tokenizers made before there were features and masks have no "outputs".
    tokenizer = Tokenizer(metadata["modality"], metadata["resolution"], config, metadata.get("outputs"))
    tokenizer.load_state_dict(tensors)
    return tokenizer.eval()


def _measure(model: Tokenizer, source: FrameSource, frames: Tensor) -> tuple[dict[str, Any], np.ndarray]:
    """Quality on the centred square of the given frames, and a picture of inputs above reconstructions."""
    modality = MODALITIES[model.modality]
    target = source.crop(model.modality, *centre_crops(source, frames), model.resolution)
    z, valid = modality.normalise(target)
    ids = torch.cat([model.encode(*pair) for pair in zip(z.split(32), valid.split(32), strict=True)])
    decoded = torch.cat([model.decode(part) for part in ids.split(32)])
    prediction = modality.denormalise(decoded, target)
    used = len(ids.unique())
    scores = modality.reconstruction_metrics(prediction, target)
    # Not a number where no pixel of the frames is known; JSON has no word for it.
    measures: dict[str, Any] = {name: value if math.isfinite(value) else None for name, value in scores.items()}
    measures |= {
        "codes_used": used,
        "vocabulary": model.config.vocabulary,
        # Entropy says how evenly they are used: 2^entropy codes used equally often would carry as much.
        "bits_per_token": round(_entropy(ids), 2),
        "frames": len(frames),
    }
    return measures, _picture(modality, target, prediction)


def _picture(modality: Modality, target_BCHW: Tensor, prediction_BCHW: Tensor, columns: int = 8) -> np.ndarray:
    """Up to `columns` frames, inputs above reconstructions, uint8 (2 * size, columns * size, 3)."""
    shown = np.linspace(0, len(target_BCHW) - 1, min(columns, len(target_BCHW))).astype(int)
    arrays = [array for x_BCHW in (target_BCHW, prediction_BCHW) for array in modality.arrays(x_BCHW[shown])]
    drawn = modality.draw_together(arrays)
    picture = np.vstack([np.hstack(drawn[: len(shown)]), np.hstack(drawn[len(shown) :])])
    return picture.repeat(modality.cell, 0).repeat(modality.cell, 1)


def _entropy(ids: Tensor) -> float:
    share = torch.bincount(ids.flatten().cpu()).double()
    share = share[share > 0] / share.sum()
    return float(-(share * share.log2()).sum())
