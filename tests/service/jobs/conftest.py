"""A small disk that can be filled up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB of its own; skipped where the tests may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    try:
        can_mount = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    except (AttributeError, FileNotFoundError):
        can_mount = False
    if not can_mount:
        pytest.skip("needs root and the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.fixture
def fill() -> Callable[[Path], None]:
    """`fill(path)` lets a file grow until its disk is full."""
    return _fill
