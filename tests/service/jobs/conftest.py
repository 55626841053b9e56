"""Records of jobs, and a small disk that can be filled up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.jobs.records import JobRecord, JobResult
from maskzoo.service.schemas import SegmentOptions
from tests.service.headers import image_info


@pytest.fixture
def info() -> ImageInfo:
    """The header of a small TIFF."""
    return image_info(format="TIFF")


@pytest.fixture
def job(info: ImageInfo) -> JobRecord:
    """A job that waits."""
    return JobRecord(
        "a",
        created=10.5,
        info=info,
        owner="key-1",
        options=SegmentOptions(mode="tiled", masks="rle"),
        accept="image/png",
        file_name="große Karte.tif",
        request_id="r",
    )


@pytest.fixture
def result() -> JobResult:
    """What a job leaves."""
    return JobResult(
        file="result.png",
        media_type="image/png",
        num_bytes=7,
        model="cells",
        version="1",
        headers={"Maskzoo-Classes": '{"1": "Zelle"}', "Server-Timing": "network;dur=1.0"},
    )


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
