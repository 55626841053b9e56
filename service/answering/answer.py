"""The answer to one image: segmented, finished, and described for every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.orientation import from_upright
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.answering.finish import finish
from maskzoo.service.answering.order import Order
from maskzoo.service.answering.segment import Workplace, segment_image
from maskzoo.service.inputs.georeference import read_georeference
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.timings import Timings
from maskzoo.service.shapes.runs import LabelRuns


async def answer_image(
    order: Order, source: bytes | Path, header: ImageInfo, place: Workplace, timings: Timings
) -> Answer:
    """Return the answer to one image, for `/segment`, the adapters and the jobs.

    Args:
        source: the image's file: its bytes, or its path.
        header: what `read_header` returned.
        timings: filled during the work.

    Raises:
        ImageError: the bytes are not an image that can be read.
        BadParameterError: it is larger than its header said, and too large.
    """
    segmentation, pixels = await segment_image(order, source, header, place, timings)
    with timings.measure("postprocess"):
        return await place.in_thread(_finish, order, source, segmentation, pixels, timings)


def _finish(
    order: Order,
    source: bytes | Path,
    segmentation: Segmentation,
    pixels: np.ndarray | None,
    timings: Timings,
) -> Answer:
    info = segmentation.info
    assert info is not None, "an opened image has facts"
    labels = order.model.labels
    finished = finish(segmentation, order.options, labels, orientation=info.orientation)
    if pixels is not None and order.options.orientation == "original":
        pixels = from_upright(pixels, info.orientation)
    return Answer(
        model=order.model.name,
        labels=labels,
        runs=LabelRuns(finished.label_map, max_runs=order.limits.max_runs),
        confidence=finished.confidence,
        pixels=pixels,
        mode=finished.mode,
        info=info,
        request_id=order.request_id,
        file_name=order.file_name,
        timings=timings,
        probabilities=finished.probabilities,
        georeference=read_georeference(source) if info.format == "TIFF" else None,
        max_corners=order.limits.max_corners,
    )
