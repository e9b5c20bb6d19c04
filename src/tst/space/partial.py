"""Walks that are being read: a hidden folder beside the Space, and a journal from which an interrupted read goes on."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tst.errors import UserError

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which what another, interrupted read left behind is removed."""


FLUSHED_EVERY = 0.5
"""Seconds."""


class Partial:
    """The folder `.NAME.KEY.reading`; `done` is what its journal holds: one entry for each group of frames, in order.

    Interrupted (control-C, a kill, a full disk), it stays and the same command goes on from it. An error in the
    recording removes it.
    """

    def __init__(self, folder: Path, done: list[dict[str, Any]], journal: IO[str]):
        self.folder, self.done, self._journal = folder, done, journal
        self._flushed = time.monotonic()

    def add(self, entry: dict[str, Any]) -> None:
        """Note that a group is done: its files are written. A kill loses the notes of the last moment."""
        self._journal.write(json.dumps(entry) + "\n")
        if time.monotonic() - self._flushed > FLUSHED_EVERY:
            self._journal.flush()
            self._flushed = time.monotonic()


@contextlib.contextmanager
def partial_walk(parent: Path, name: str, key: str) -> Iterator[Partial]:
    """The partial walk of a read, which `key` identifies by its source and its settings.

    Raises:
        UserError: the same read is running in another process.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / f".{name}.{key}.reading"
    _sweep(parent, name, folder)
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{parent / name}: the same read is running already. Wait for it, or stop it.") from None
        try:
            path = folder / "journal.jsonl"
            done = _journal(path)
            with path.open("a", encoding="utf-8") as journal:
                yield Partial(folder, done, journal)
        except BaseException as error:
            if _is_interruption(error):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _is_interruption(error: BaseException) -> bool:
    full = error.__cause__ if isinstance(error, UserError) else error
    return not isinstance(error, Exception) or (
        isinstance(full, OSError) and full.errno in (errno.ENOSPC, errno.EDQUOT)
    )


def _journal(path: Path) -> list[dict[str, Any]]:
    """The whole lines of the journal; what a kill left of the last one is cut off."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    entries = []
    for line in whole.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:  # a power cut may leave blocks of zeros
            break
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return entries


def _sweep(parent: Path, name: str, mine: Path) -> None:
    for stale in parent.glob(f".{name}.*.reading"):
        with contextlib.suppress(OSError):
            newest = max((p.stat().st_mtime for p in stale.glob("journal.jsonl")), default=stale.stat().st_mtime)
            # The age goes first: to try the lock of a younger one could keep its owner from taking it.
            if stale == mine or time.time() - newest < ABANDONED_AFTER:
                continue
            handle = os.open(stale, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(stale, ignore_errors=True)
            finally:
                os.close(handle)
