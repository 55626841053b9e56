"""Disk space that is allocated before it is used, and errors that say that there is none.

A sparse file that is mapped into memory kills the process (SIGBUS) at the first page that does
not fit. So space is allocated first, where a full disk is an ordinary error.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import BinaryIO

from maskzoo.service.errors import DiskFullError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_WRITE_BYTES = 1 << 20


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error of the file system or of SQLite says that the disk is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def allocate(path: Path, num_bytes: int) -> None:
    """Make a file of zeros whose space on the disk is its own.

    Raises:
        DiskFullError: the space is not there; nothing is left of the file.
        OSError: the file cannot be made.
    """
    try:
        with path.open("wb") as file:
            _allocate(file, num_bytes)
    except OSError as error:
        path.unlink(missing_ok=True)
        if is_disk_full(error):
            raise DiskFullError() from error
        raise


def _allocate(file: BinaryIO, num_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(file.fileno(), 0, num_bytes)
            return
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
    for start in range(0, num_bytes, _WRITE_BYTES):
        file.write(bytes(min(_WRITE_BYTES, num_bytes - start)))
