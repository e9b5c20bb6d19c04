"""Batch sizes: doubled while that is faster and fits."""

import pytest
import torch

from tst.labellers import batching
from tst.labellers.batching import Batches, memory_limit

CPU = torch.device("cpu")


class Machine:
    """A clock and a memory: a batch takes 1 + `each` seconds a frame, and `megabytes` a frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fixed: float, each: float, megabytes: int) -> None:
        self.fixed, self.each, self.megabytes, self.now, self.peak = fixed, each, megabytes, 0.0, 100
        monkeypatch.setattr(batching.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(batching, "_used", lambda device: 100)
        monkeypatch.setattr(batching, "_peak", lambda device: self.peak)
        monkeypatch.setattr(batching, "_reset_peak", lambda device: None)

    def run(self, batches: Batches, steps: int, last: int = 0) -> list[int]:
        sizes = []
        for _ in range(steps):
            sizes.append(batches.size)
            with batches.trial(last or batches.size):
                self.now += self.fixed + self.each * batches.size
                self.peak = 100 + self.megabytes * batches.size
        return sizes


def test_it_grows_while_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, fixed=1.0, each=0.2, megabytes=1)
    batches = Batches(CPU, memory=10_000)
    assert machine.run(batches, 10)[:5] == [1, 1, 2, 4, 8]  # the first one warms up
    assert batches.size == 64  # twice as many would gain 4 %


def test_it_stays_small_where_more_is_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, fixed=0.0, each=1.0, megabytes=1)
    batches = Batches(CPU, memory=10_000)
    assert machine.run(batches, 5) == [1, 1, 2, 1, 1]


def test_it_stays_below_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, fixed=1.0, each=0.01, megabytes=100)
    batches = Batches(CPU, memory=1000)
    assert max(machine.run(batches, 10)) == 8 and batches.peak == 900


def test_a_short_batch_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, fixed=1.0, each=0.0, megabytes=1)
    batches = Batches(CPU, memory=10_000)
    machine.run(batches, 3)
    assert batches.size == 4
    assert machine.run(batches, 3, last=1) == [4, 4, 4]


def test_a_size_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, fixed=1.0, each=0.0, megabytes=1)
    assert machine.run(Batches(CPU, memory=10_000, size=3), 4) == [3, 3, 3, 3]


def test_the_limit_is_what_was_asked_for_or_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_used", lambda device: 1_000_000_000)
    monkeypatch.setattr(batching, "_free", lambda: 2_000_000_000)
    assert memory_limit(CPU, 5) == 2_500_000_000 and memory_limit(CPU, 2) == 2_000_000_000
    monkeypatch.setattr(batching, "_free", lambda: None)
    assert memory_limit(CPU, 5) == 5_000_000_000
