"""Run folders: what a stage was given, what it measured, where it stopped, what came out.

```
RUN/
  config.json        the resolved config and inputs; a run resumes only with the same
  provenance.json    code, versions, device, command, data fingerprints, licences
  metrics.jsonl      one JSON object a line
  checkpoint.safetensors   the state to resume from (removed when the run is done)
  done.json          the summary; its presence means the stage is complete
```
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tst.errors import UserError
from tst.files import atomic_path, read_json, timestamp, write_json


@functools.cache
def code_version() -> dict[str, str]:
    """Version of the package and a hash of its sources, so that a result names the code that made it."""
    from tst import __version__

    root = Path(__file__).parent
    hasher = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hasher.update(path.relative_to(root).as_posix().encode())
        hasher.update(path.read_bytes())
    return {"tst": __version__, "sources": hasher.hexdigest()[:16]}


class Run:
    """A run folder held by this process alone, as a context manager.

    Args:
        path: the folder; made if it is not there, resumed if it holds the same stage, config and inputs.
        stage: name of the stage.
        config: resolved config as JSON-able values.
        inputs: what else decides the result (data fingerprints, checkpoints by content), JSON-able.
        licences: licences of the data and weights used: {"what", "licence", "note"}.

    Raises:
        UserError: another process works in the folder, or it belongs to another config.
    """

    def __init__(
        self,
        path: Path,
        stage: str,
        config: dict[str, Any],
        inputs: dict[str, Any] | None = None,
        licences: list[dict[str, str]] | None = None,
    ) -> None:
        self.path = Path(path)
        self._resolved = {"stage": stage, "config": config, "inputs": inputs or {}}
        self._licences = licences or []
        self._metrics: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Run":
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file, not a run folder. Choose another --out.")
        self.path.mkdir(parents=True, exist_ok=True)
        lock = self._stack.enter_context((self.path / ".lock").open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._stack.close()
            raise UserError(
                f"{self.path}: another process is working in this run folder. Wait for it, or choose another --out."
            ) from None
        try:
            self._claim()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _claim(self) -> None:
        config_path = self.path / "config.json"
        resolved = json.loads(json.dumps(self._resolved, default=str))
        if config_path.exists():
            earlier = read_json(config_path)
            if earlier != resolved:
                changed = ", ".join(differences(earlier, resolved)[:6])
                raise UserError(
                    f"{self.path}: holds a run with other settings ({changed}). "
                    "Choose another --out, or remove the folder to start again."
                )
        elif any(entry.name != ".lock" for entry in self.path.iterdir()):
            raise UserError(f"{self.path}: not empty and not a run folder. Choose another --out.")
        else:
            write_json(config_path, resolved)
        if not (self.path / "provenance.json").exists():
            write_json(self.path / "provenance.json", provenance(self._licences))

    def __exit__(self, *exception: object) -> None:
        if self._metrics is not None:
            self._metrics.close()
        self._stack.close()

    @property
    def summary(self) -> dict[str, Any] | None:
        """What the finished stage left, or None while it is not done."""
        path = self.path / "done.json"
        return read_json(path) if path.exists() else None

    def log(self, row: dict[str, Any]) -> None:
        """Append one row to `metrics.jsonl`."""
        if self._metrics is None:
            self._metrics = (self.path / "metrics.jsonl").open("a", encoding="utf-8")
        self._metrics.write(json.dumps(row) + "\n")
        self._metrics.flush()

    def truncate_metrics(self, step: int) -> None:
        """Drop rows after `step` (and a torn last line): a killed run repeats those steps after its checkpoint."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            rows = [row for row in read_metrics(path) if row["step"] <= step]
            with atomic_path(path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def save_checkpoint(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write the state to resume from, atomically."""
        save_tensors(self.path / "checkpoint.safetensors", tensors, state)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last checkpoint as (tensors, state), or None."""
        path = self.path / "checkpoint.safetensors"
        return load_tensors(path) if path.exists() else None

    def finish(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Mark the stage complete and drop the checkpoint."""
        write_json(self.path / "done.json", summary)
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)
        return summary


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write named tensors and JSON-able metadata as one safetensors file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(contiguous, temporary, metadata={"tst": json.dumps(metadata)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("tst", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Check the path.") from None
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: damaged weights file ({error}). Restore it, or run the stage again.") from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten an optimizer's per-parameter state to named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer/{index}/{name}": value for index, slots in state.items() for name, value in slots.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` flattened; the parameter groups stay as constructed."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            state.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read `metrics.jsonl`, ignoring a last line torn by a kill."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def provenance(licences: list[dict[str, str]]) -> dict[str, Any]:
    """What made this run: code, versions, machine, command, licences."""
    cuda = torch.cuda.is_available()
    return {
        "created": timestamp(),
        "code": code_version(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "command": shlex.join(["tst", *sys.argv[1:]]) if Path(sys.argv[0]).name == "tst" else "python",
        "licences": licences,
    }


def differences(earlier: Any, now: Any, prefix: str = "") -> list[str]:
    """Say which leaves differ between two JSON values, as 'name: old -> new'."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        return [
            line
            for key in sorted(earlier.keys() | now.keys())
            for line in differences(earlier.get(key), now.get(key), f"{prefix}.{key}" if prefix else key)
        ]
    return [] if earlier == now else [f"{prefix}: {earlier!r} -> {now!r}"]
