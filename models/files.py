"""Atomic replacement of files, so that a reader sees the old one or the new one; and reading."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block, the written file replaces `path`.

    The temporary path is `path` with ``.part`` appended, in the same folder, since a rename works
    only within one file system. If the block raises, `path` is unchanged and nothing is left
    behind. If the process is killed, the part stays, and the next block overwrites it.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, completely or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file; of a device or pipe, which may never end, none.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()
