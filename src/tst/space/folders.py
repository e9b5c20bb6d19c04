"""Folders that several processes may write to, and that a failure must leave as they were."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
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
def made_and_locked(folders: Iterable[Path]) -> Iterator[None]:
    """Make folders, and hold their locks: another process that is to fill the same waits, and finds it done."""
    with contextlib.ExitStack() as stack:
        for folder in folders:
            with disk_full_is_told(folder):
                folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
        yield


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's advisory lock, waiting for it; it ends with the process, whatever happens."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
