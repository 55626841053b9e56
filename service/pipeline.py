"""The pipeline of one image: header, admission, decode, batch, encode.

The header is read first, so that an image that is too large costs nothing, and one that does not
fit beside the others is refused before it is decoded.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.images.decode import DecodedImage, decode_image, read_header
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import BadParameterError, ImageNeedsJobError
from maskzoo.service.inputs.georeference import read_georeference
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.observability.tracing import trace_stages
from maskzoo.service.responses.answer import Answer, Timings
from maskzoo.service.responses.choose import Found, apply_options, check_options
from maskzoo.service.responses.forms import Form
from maskzoo.service.responses.runs import LabelRuns
from maskzoo.service.scheduling.buckets import Bucket
from maskzoo.service.scheduling.tiling import TileRunner, segment_tiled
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.state import Services

_MAX_PROBABILITIES = 2**26  # values: 256 MB of float32 while they are worked out


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


async def answer_job(services: Services, job: Job) -> tuple[Answer, bytes]:
    """Return what was found, and the body of the answer.

    Raises:
        ImageError: the bytes are no image that is taken.
        OverloadedError: the server is full.
    """
    check_options(job.options, job.model.labels)
    timings = Timings()
    try:
        return await _answer(services, job, timings)
    finally:
        trace_stages(timings, model=job.model.name, image=job.upload.name)


async def _answer(services: Services, job: Job, timings: Timings) -> tuple[Answer, bytes]:
    upload, limit = job.upload, services.settings.max_pixels
    with timings.measure("decode"):
        info = await services.workers.on_image(read_header, upload.data, name=upload.name)
    if info.width * info.height > limit:
        fits = info.width * info.height <= services.settings.job_max_pixels
        refuse = ImageNeedsJobError if fits else ImageTooLargeError
        raise refuse(info.width, info.height, limit)
    with services.admission.admit(
        info.width * info.height, within_s=job.deadline - time.monotonic()
    ):
        with timings.measure("decode"):
            decoded = await services.workers.on_image(
                decode_image, upload.data, max_pixels=limit, name=upload.name
            )
        found, mode = await _segment(services, job, decoded, timings)
        answer = _describe(job, decoded, found, mode, timings)
        with timings.measure("encode"):
            body = await services.workers.on_image(job.form.encode, answer, job.options)
    services.metrics.image(job.model.name, info.width * info.height, timings.seconds)
    return answer, body


async def _segment(
    services: Services, job: Job, decoded: DecodedImage, timings: Timings
) -> tuple[Found, str]:
    """Return what the options make of the network's answer, and the mode that was used."""
    options, predictor, labels = job.options, job.model.predictor, job.model.labels
    height, width = decoded.pixels.shape[:2]
    wants_all = options.probabilities and job.form.name == "npz"
    if wants_all and height * width * labels.num_classes > _MAX_PROBABILITIES:
        raise BadParameterError(
            [
                f"probabilities: {labels.num_classes} classes of {width} x {height} pixels are "
                f"more than {_MAX_PROBABILITIES} values; send a smaller image"
            ]
        )
    asked = options.predict_options(
        confidence=job.form.needs_confidence or options.threshold is not None,
        probabilities=wants_all,
    )
    plan = predictor.plan((height, width), asked)
    with services.metrics.queued(job.model.name):
        if plan.mode == "tiled" and not wants_all:
            segmentation = await _tiled(services, job, decoded, asked)
        else:
            segmentation, queued_s = await services.batcher.submit(
                Bucket(predictor, plan.padded, asked),
                (decoded.pixels, plan),
                pixels=plan.padded[0] * plan.padded[1],
                deadline=job.deadline,
                network=job.model.manifest.weights_sha256,
            )
            timings.add("queue", queued_s)
    for stage, seconds in segmentation.timings.items():
        if stage != "decode":
            timings.add(stage, seconds)
    raw = Found(
        segmentation.label_map,
        segmentation.confidence,
        decoded.pixels,
        segmentation.probabilities,
    )
    with timings.measure("postprocess"):
        chosen = await services.workers.on_image(
            apply_options, raw, options, labels, orientation=decoded.info.orientation
        )
    return chosen, plan.mode


async def _tiled(
    services: Services, job: Job, decoded: DecodedImage, options: PredictOptions
) -> Segmentation:
    """Segment a large image tile by tile, among the others."""
    tiles = TileRunner(
        services.batcher,
        asyncio.get_running_loop(),
        job.model,
        options,
        deadline=job.deadline,
    )
    try:
        return await services.workers.on_tiles(
            segment_tiled, job.model, decoded.pixels, options, tiles
        )
    finally:
        tiles.stop()  # the thread, where nobody waits for it any more


def _describe(job: Job, decoded: DecodedImage, found: Found, mode: str, timings: Timings) -> Answer:
    is_tiff = decoded.info.format == "TIFF"
    georeference = read_georeference(job.upload.data) if is_tiff else None
    return Answer(
        model=job.model.name,
        labels=job.model.labels,
        runs=LabelRuns(found.labels),
        confidence=found.confidence,
        pixels=found.pixels,
        mode=mode,
        info=decoded.info.to_json(),
        request_id=job.request_id,
        file_name=job.upload.name,
        timings=timings,
        probabilities=found.probabilities,
        georeference=georeference,
    )
