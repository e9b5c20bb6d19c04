"""The one training loop: schedule, precision, logging, validation, checkpoints, exact resume.

Every random choice of step k comes from a generator seeded by (seed, k), so a run that was killed and resumed takes the
same steps as one that was not.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import lightning_fabric
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tst.config import Config
from tst.errors import UserError
from tst.progress import Rate
from tst.runs import Run, load_optimizer_tensors, optimizer_tensors

Metrics = dict[str, float]


class OptimConfig(Config):
    """Optimiser and schedule: AdamW, linear warm-up, cosine decay to zero."""

    lr: PositiveFloat = 1e-3
    """Peak learning rate, at the batch size given (not scaled)."""
    batch_size: PositiveInt = 64
    """Samples a step."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps spent warming up."""
    weight_decay: NonNegativeFloat = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: NonNegativeFloat = 1.0
    """Largest norm of the gradient; 0 leaves it alone."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the running mean of the weights that is kept as the result; 0 keeps the last weights."""
    log_every: PositiveInt = 50
    """Steps between rows of metrics.jsonl."""
    checkpoint_every: PositiveInt = 200
    """Steps between checkpoints."""

    def schedule(self, step: int, steps: int) -> float:
        """Factor on the learning rate at `step` of `steps`."""
        warmup = max(1, round(self.warmup * steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    def optimizer(self, parameters: Any) -> torch.optim.AdamW:
        """AdamW over parameters or groups; fused where the device has it."""
        return torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=True)


class DivergedError(UserError):
    """The loss stopped being finite."""


Precision = Literal["auto", "bf16-mixed", "32-true"]


def make_fabric(accelerator: str = "auto", precision: Precision = "auto") -> lightning_fabric.Fabric:
    """Fabric on one device; bfloat16 where the hardware multiplies it fast, else float32."""
    fabric = lightning_fabric.Fabric(accelerator=accelerator, devices=1, precision="32-true")
    if precision == "auto":
        precision = "bf16-mixed" if _fast_bf16(fabric.device) else "32-true"
    return lightning_fabric.Fabric(accelerator=accelerator, devices=1, precision=precision)


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        check = getattr(torch.cpu, "_is_amx_tile_supported", None)
        return bool(check and check())
    return False


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator of one step, on the CPU; also seeds the global one (drop path)."""
    mixed = (seed * 1_000_003 + step) % (2**63 - 1)
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def fit(
    fabric: lightning_fabric.Fabric,
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[nn.Module, torch.Generator], tuple[Tensor, dict[str, Tensor]]],
    *,
    steps: int,
    config: OptimConfig,
    seed: int,
    label: str,
    validate: Callable[[nn.Module], Metrics] | None = None,
    validate_every: NonNegativeInt = 0,
    best: str | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """Train `model` in place until `steps`, resuming from the run's checkpoint.

    Args:
        loss: given the model and the step's generator, returns the loss (scalar) and named parts to log (scalars).
        validate: measures the model in evaluation mode without gradients; its values are logged with `validate_every`.
        best: the validated value to maximise; its weights are kept as the result instead of the last.

    Returns:
        The model with the resulting weights (best, EMA or last), and a summary: steps, samples, seconds, last metrics.

    Raises:
        DivergedError: the loss stopped being finite.
    """
    device = fabric.device
    model.to(device)
    step, elapsed, best_value, last = 0, 0.0, -math.inf, {}
    average: dict[str, Tensor] = {}
    best_weights: dict[str, Tensor] = {}
    for group in optimizer.param_groups:
        group.setdefault("peak_lr", group["lr"])
    checkpoint = run.load_checkpoint()
    if checkpoint:
        tensors, state = checkpoint
        step, elapsed, best_value, last = state["step"], state["seconds"], state["best"] or -math.inf, state["last"]
        model.load_state_dict(_under(tensors, "model/"))
        load_optimizer_tensors(optimizer, tensors)
        average = {name: value.to(device) for name, value in _under(tensors, "ema/").items()}
        best_weights = _under(tensors, "best/")
        run.truncate_metrics(step)
    elif config.ema:
        average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def save() -> None:
        tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
        tensors |= optimizer_tensors(optimizer)
        tensors |= {f"ema/{name}": value for name, value in average.items()}
        tensors |= {f"best/{name}": value for name, value in best_weights.items()}
        best_known = best_value if math.isfinite(best_value) else None
        # Clones: a tied weight appears under two names, and safetensors refuses shared memory.
        run.save_checkpoint(
            {name: value.detach().clone() for name, value in tensors.items()},
            {"step": step, "seconds": elapsed + time.monotonic() - started, "best": best_known, "last": last},
        )

    wrapped_model, wrapped_optimizer = fabric.setup(model, optimizer)
    sums: dict[str, Tensor] = {}
    pending = 0
    rate = Rate(label, steps, step)
    started = time.monotonic()
    with _tensorboard(run, step) as write:
        while step < steps:
            wrapped_model.train()
            factor = config.schedule(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            value, parts = loss(wrapped_model, step_generator(seed, step))
            fabric.backward(value)
            if config.clip:
                fabric.clip_gradients(wrapped_model, wrapped_optimizer, max_norm=config.clip, error_if_nonfinite=False)
            wrapped_optimizer.step()
            wrapped_optimizer.zero_grad(set_to_none=True)
            if average:
                _ema(average, model, min(config.ema, (step + 1) / (step + 10)))
            for name, part in {"loss": value, **parts}.items():
                sums[name] = sums.get(name, 0) + part.detach()
            pending += 1
            step += 1
            row: dict[str, Any] = {}
            if step % config.log_every == 0 or step == steps:
                row = {name: float(total) / pending for name, total in sums.items()}
                if not math.isfinite(row["loss"]):
                    raise DivergedError(f"{run.path}: the loss is not finite at step {step}. Lower the learning rate.")
                row["lr"] = config.lr * factor
                sums, pending = {}, 0
            if validate and (step == steps or (validate_every and step % validate_every == 0)):
                wrapped_model.eval()
                with torch.no_grad(), _weights(model, average), fabric.autocast():
                    measured = validate(model)
                    row |= measured
                    if best and measured[best] > best_value:
                        best_value = measured[best]
                        best_weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
            if row:
                last |= row
                seconds = elapsed + time.monotonic() - started
                run.log({"step": step, "seconds": round(seconds, 2), **row})
                write(row, step)
            rate.tell(step, f"loss {last['loss']:.4f}" if "loss" in last else "", last=step == steps)
            if step % config.checkpoint_every == 0 and step < steps:
                save()
    seconds = elapsed + time.monotonic() - started
    result = best_weights or average
    if result:
        model.load_state_dict(result)
    model.eval()
    summary = {"steps": steps, "samples": steps * config.batch_size, "seconds": round(seconds, 1), "last": last}
    if best:
        summary[f"best_{best}"] = best_value if math.isfinite(best_value) else None
    return model, summary


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def _ema(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


@contextlib.contextmanager
def _weights(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Let the model use other weights for a while."""
    if not weights:
        yield
        return
    own = {name: value.detach().clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    try:
        yield
    finally:
        model.load_state_dict(own)


@contextlib.contextmanager
def _tensorboard(run: Run, step: int) -> Iterator[Callable[[dict[str, Any], int], None]]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=step or None)

    def write(row: dict[str, Any], step: int) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, step)

    try:
        yield write
    finally:
        writer.close()
