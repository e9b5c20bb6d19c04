"""Progress with time left: bars in a terminal, a line now and then elsewhere."""

import datetime
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, telling progress on standard error."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if not sys.stderr.isatty():
        rate = Rate(description, total or 0)
        for done, item in enumerate(items, 1):
            yield item
            rate.tell(done)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


class Rate:
    """Throughput and time left of a loop, told in one line now and then."""

    def __init__(self, label: str, total: int, done: int = 0, every_seconds: float = 15.0) -> None:
        self.label, self.total, self.start_at, self.every = label, total, done, every_seconds
        self.started = self.told = time.monotonic()

    def tell(self, done: int, text: str = "", *, last: bool = False) -> None:
        """Print progress to standard error if it is time to."""
        now = time.monotonic()
        if now - self.told < self.every and not last:
            return
        self.told = now
        rate = (done - self.start_at) / max(now - self.started, 1e-9)
        left = int((self.total - done) / rate) if rate > 0 else 0
        print(
            f"{self.label}  {done}/{self.total}  {text}  {rate:.3g}/s  {datetime.timedelta(seconds=left)} left",
            file=sys.stderr,
            flush=True,
        )
