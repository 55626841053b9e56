"""Records of jobs."""

from __future__ import annotations

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
        trace={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
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
