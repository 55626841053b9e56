"""The way of one image: header, admission, decode, batch, encode.

The header is read first, so that an image that is too large costs nothing, and one that does not
fit beside the others is refused before it is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import ImageTooLargeError
from models.inference.decode import DecodedImage, decode_image, read_header
from models.inference.predictor import Segmentation
from service.manager import LoadedModel, Segmenter
from service.responses.answer import Answer, Timings
from service.responses.forms import Form
from service.responses.runs import LabelRuns
from service.schemas import SegmentOptions
from service.state import Services
from service.uploads import Upload
from service.workers import Workers


@dataclass(frozen=True)
class Job:
    """One image and what is wanted of it.

    Args:
        deadline: by `time.monotonic`.
    """

    upload: Upload
    model: LoadedModel
    options: SegmentOptions
    form: Form
    request_id: str
    deadline: float


@dataclass(frozen=True)
class Bucket:
    """Images of equal buckets may run together."""

    predictor: Segmenter
    input_size: tuple[int, int]
    mode: str
    confidence: bool


async def answer_job(services: Services, job: Job) -> tuple[Answer, bytes]:
    """Return what was found, and the body of the answer.

    Raises:
        ImageError: the bytes are no image that is taken.
        OverloadedError: the server is full.
    """
    timings = Timings()
    upload, limit = job.upload, services.settings.max_pixels
    with timings.measure("decode"):
        info = await services.workers.on_image(read_header, upload.data, name=upload.name)
    if info.width * info.height > limit:
        raise ImageTooLargeError(info.width, info.height, limit)
    with services.admission.admit(info.width * info.height):
        with timings.measure("decode"):
            decoded = await services.workers.on_image(
                decode_image, upload.data, max_pixels=limit, name=upload.name
            )
        found = await _segment(services, job, decoded.pixels, timings)
        answer = _describe(job, decoded, found, timings)
        with timings.measure("encode"):
            body = await services.workers.on_image(job.form.encode, answer, job.options)
    return answer, body


async def run_batch(
    workers: Workers, bucket: Bucket, images: Sequence[np.ndarray]
) -> list[Segmentation]:
    """Run one batch in a thread of the networks."""
    return await workers.on_network(
        bucket.predictor.segment_many, images, mode=bucket.mode, confidence=bucket.confidence
    )


async def _segment(
    services: Services, job: Job, pixels: np.ndarray, timings: Timings
) -> Segmentation:
    height, width = pixels.shape[:2]
    predictor, mode = job.model.predictor, job.options.mode
    size = predictor.input_size((height, width), mode=mode)
    found, queued_s = await services.batcher.submit(
        Bucket(predictor, size, mode, job.form.needs_confidence),
        pixels,
        pixels=size[0] * size[1],
        deadline=job.deadline,
    )
    timings.add("queue", queued_s)
    for stage, seconds in found.timings.items():
        if stage != "decode":
            timings.add(stage, seconds)
    return found


def _describe(job: Job, decoded: DecodedImage, found: Segmentation, timings: Timings) -> Answer:
    return Answer(
        model=job.model.name,
        labels=job.model.labels,
        runs=LabelRuns(found.labels),
        confidence=found.confidence,
        pixels=decoded.pixels,
        mode=found.mode,
        info=decoded.info.to_json(),
        request_id=job.request_id,
        file_name=job.upload.name,
        timings=timings,
    )
