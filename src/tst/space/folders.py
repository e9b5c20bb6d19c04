"""Folders that several processes may write to, and that a failure must leave as they were."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tst.errors import UserError


@contextlib.contextmanager
def disk_full_is_told(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder that may not be written into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: the disk is full. Free some space and run the same command again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{path}: cannot be written ({error.strerror}). Choose a folder of your own.") from error
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's advisory lock, waiting for it; it ends with the process, whatever happens."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """A hidden folder beside the result, removed at the end unless it was renamed away.

    Its owner holds its lock, so one without a living owner (a kill, a power cut) is known and swept here.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(f".{name}.*.reading"):
        with contextlib.suppress(OSError):
            handle = os.open(stale, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - stale.stat().st_mtime > 60:  # younger: its owner may be about to lock it
                    shutil.rmtree(stale, ignore_errors=True)
            finally:
                os.close(handle)
    folder = parent / f".{name}.{secrets.token_hex(4)}.reading"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)
