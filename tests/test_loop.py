"""The training loop: a run killed at any moment ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from tst.errors import UserError
from tst.loop import OptimConfig, fit, make_fabric
from tst.runs import Run, load_tensors, read_metrics, save_tensors

SCRIPT = """
import sys, time, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_loop import train
train(Path(sys.argv[1]), pause=float(sys.argv[2]))
"""


def train(path: Path, *, steps: int = 24, pause: float = 0.0, lr: float = 1e-2, ema: float = 0.9) -> dict:
    """Fit a small regression with noise, dropout and validation."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
    config = OptimConfig(lr=lr, batch_size=8, ema=ema, log_every=5, checkpoint_every=4)

    def loss(model: nn.Module, generator: torch.Generator):
        x = torch.randn(8, 4, generator=generator)
        time.sleep(pause)
        value = (model(x) - x.sum(1, keepdim=True)).square().mean()
        return value, {"part": value}

    def validate(model: nn.Module) -> dict[str, float]:
        return {"val_score": -float(model(torch.ones(1, 4)).square())}

    with Run(path, "test", config.model_dump(mode="json")) as run:
        if run.summary:
            return run.summary
        model, summary = fit(
            make_fabric("cpu", "32-true"),
            run,
            model,
            config.optimizer(model.parameters()),
            loss,
            steps=steps,
            config=config,
            seed=3,
            label="test",
            validate=validate,
            validate_every=6,
            best="val_score",
        )
        save_tensors(path / "model.safetensors", model.state_dict(), {})
        return run.finish(summary)


def rows(path: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(path / "metrics.jsonl")]


@pytest.mark.parametrize("kill_after", [6, 13])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, kill_after: int) -> None:
    train(tmp_path / "whole")
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "killed"), "0.15"], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if checkpoint.exists() and load_tensors(checkpoint)[1]["step"] >= kill_after // 4 * 4:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "done.json").exists()
    train(tmp_path / "killed")
    whole, _ = load_tensors(tmp_path / "whole" / "model.safetensors")
    killed, _ = load_tensors(tmp_path / "killed" / "model.safetensors")
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name
    # Rows average the steps since the last row; those before the kill are not known any more, so only steps must agree.
    assert [row["step"] for row in rows(tmp_path / "whole")] == [row["step"] for row in rows(tmp_path / "killed")]


def test_training_learns_and_is_reproducible(tmp_path: Path) -> None:
    train(tmp_path / "a", steps=200, ema=0.0)
    train(tmp_path / "b", steps=200, ema=0.0)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    losses = [row["loss"] for row in rows(tmp_path / "a") if "loss" in row]
    assert losses[-1] < losses[0] / 2


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    first = train(tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    assert train(tmp_path / "run") == first
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == before
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not finite at step"):
        train(tmp_path / "run", lr=1e30, steps=40)


def test_the_schedule_warms_up_and_decays() -> None:
    config = OptimConfig(warmup=0.1)
    factors = [config.schedule(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors.index(max(factors)) in (9, 10)
    assert factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)
