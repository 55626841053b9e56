"""Files that are replaced whole or not at all: a reader sees the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; at the end of the block, what was written takes the place of `path`.

    That path is `path` with ``.part`` behind, in the same folder, since files are not renamed from
    one disk to another. If the block raises, `path` stays as it was and nothing is left behind. If
    the process is killed, the part stays and the next block writes over it.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)
