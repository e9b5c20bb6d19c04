"""How many frames at once: found on the frames themselves, by doubling until it is no faster or too large."""

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

LARGEST = 256
GAIN = 1.05
"""A larger batch must be this much faster than the best so far."""
GPU_SHARE = 0.8


class Batches:
    """The size of the next batch.

    The first frame warms the network up, then 1, 2, 4, ... frames are timed. The size grows while that is faster, and
    while twice the memory that the last batch took beside what was there before stays below the limit.

    Attributes:
        size: frames of the next batch.
        peak: most bytes that this process had, of memory or of the GPU's.
    """

    def __init__(self, device: torch.device, memory: int, size: int | None = None) -> None:
        self.device, self.memory = device, memory
        self.size = size or 1
        self.peak = _peak(device)
        self._warm, self._settled = size is not None, size is not None
        self._best = (0.0, 1)
        self._before = _used(device)

    @contextlib.contextmanager
    def trial(self, count: int) -> Iterator[None]:
        """Measure the labelling of `count` frames, and choose the next size."""
        _reset_peak(self.device)
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - start
        peak = _peak(self.device)
        self.peak = max(self.peak, peak)
        if self._settled or count < self.size:  # the last frames of a size say nothing about larger batches
            return
        if not self._warm:
            self._warm = True
            return
        rate = count / max(seconds, 1e-9)
        faster = rate > GAIN * self._best[0]
        if faster:
            self._best = (rate, self.size)
        fits = self._before + 2 * max(0, peak - self._before) < self.memory
        if faster and fits and self.size < LARGEST:
            self.size *= 2
        else:
            self.size, self._settled = self._best[1], True


def memory_limit(device: torch.device, gigabytes: float) -> int:
    """Bytes that labelling may take: `gigabytes`, at most three quarters of what is free; on a GPU, of its own."""
    if device.type == "cuda":
        return int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    free = _free()
    return int(gigabytes * 1e9 if free is None else min(gigabytes * 1e9, _used(device) + 0.75 * free))


def _free() -> int | None:
    """Bytes that are free on this machine; None where it does not tell (macOS)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _status(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


def _used(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS") or _peak(device)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if found := _status("VmHWM"):
        return found
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux alone; elsewhere the peak only grows, which is careful enough
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
