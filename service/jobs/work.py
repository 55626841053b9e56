"""The work of one job, in its own thread: from the image file to the result file.

Label maps are arrays in files, written strip by strip, so memory holds a few rows of tiles and
not the image. What remains in memory at the end is what the form of the answer needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.models.images.decode import ImageInfo, decode_image, read_header
from maskzoo.models.images.rows import open_rows
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.postprocess import id_type
from maskzoo.models.inference.resize import InputPlan
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.inputs.georeference import GeoReference, read_georeference
from maskzoo.service.jobs.files import JobFiles, release_pages
from maskzoo.service.jobs.records import JobRecord
from maskzoo.service.responses.answer import Answer, Timings
from maskzoo.service.responses.choose import Found, apply_options, check_options
from maskzoo.service.responses.forms import Form
from maskzoo.service.responses.runs import LabelRuns
from maskzoo.service.scheduling.buckets import Bucket
from maskzoo.service.scheduling.tiling import TileRunner
from maskzoo.service.schemas import SegmentOptions

MAX_CORNERS = 5_000_000
"""Of the polygons of one job, which fits into 2 GiB beside 100 megapixels; some 100 MB of text."""

_PICTURES = ("overlay", "cutout")  # variants that show the image itself


@dataclass(frozen=True)
class Task:
    """One job, with what it needs.

    Args:
        tiles: the way to the network.
        on_tile: told the tiles done and their number; raises to stop the work.
        max_pixels: of the image.
    """

    job: JobRecord
    files: JobFiles
    model: LoadedModel
    options: SegmentOptions
    form: Form
    tiles: TileRunner
    on_tile: Callable[[int, int], None]
    max_pixels: int

    @property
    def needs_pixels(self) -> bool:
        """Whether the answer shows the image itself."""
        return self.form.variant in _PICTURES

    @property
    def needs_confidence(self) -> bool:
        """Whether the answer, or the way to it, needs the network's confidence."""
        return self.form.needs_confidence or self.options.threshold is not None

    def georeference(self, info: ImageInfo) -> GeoReference | None:
        """Return where the image lies; None where it does not say."""
        path = self.files.upload(self.job.id)
        return read_georeference(path) if info.format == "TIFF" else None


def do_job(task: Task) -> dict[str, Any]:
    """Write the result of a job; return what the store is to know of it.

    Raises:
        ZooError: the job cannot be done.
        StoppedError: it was stopped.
    """
    check_options(task.options, task.model.labels)
    path = task.files.upload(task.job.id)
    info = read_header(path)
    timings = Timings()
    with timings.measure("network"):
        raw, mode = _segment(task, path, info)
    with timings.measure("postprocess"):
        found = apply_options(raw, task.options, task.model.labels, orientation=info.orientation)
    answer = _describe(task, found, info, mode, timings)
    with timings.measure("encode"):
        result = task.files.write_result(
            task.job,
            task.form.suffix,
            lambda part: _write(part, task.form.encode(answer, task.options)),
        )
    return {
        "file": result.name,
        "media_type": task.form.media_type.essence,
        "bytes": result.stat().st_size,
        "model": task.model.name,
        "version": task.model.version,
        "classes": json.dumps(answer.class_names()),
        "timings": timings.header(),
    }


def _segment(task: Task, path: Path, info: ImageInfo) -> tuple[Found, str]:
    """Return the label map, and the mode by which it was found."""
    size, options = (info.height, info.width), task.options
    predictor = task.model.predictor
    asked = options.predict_options(confidence=task.needs_confidence)
    plan = predictor.plan(size, asked)
    if plan.mode == "tiled":
        labels, confidence = _segment_strips(task, path, asked)
    else:
        labels, confidence = _segment_at_once(task, path, asked, plan)
    pixels = np.empty((0, 0, 3), np.uint8)
    if task.needs_pixels:
        pixels = decode_image(path, max_pixels=task.max_pixels).pixels
    return Found(labels, confidence, pixels), plan.mode


def _segment_strips(
    task: Task, path: Path, options: PredictOptions
) -> tuple[np.ndarray, np.ndarray | None]:
    with open_rows(path, max_pixels=task.max_pixels) as rows:
        shape = (rows.height, rows.width)
        kind = id_type(task.model.labels.num_classes)
        labels = task.files.array(task.job, "labels", shape, kind)
        confidence = None
        if task.needs_confidence:
            confidence = task.files.array(task.job, "confidence", shape, np.float16)
        for strip in task.model.predictor.segment_rows(
            rows, options, on_tile=task.on_tile, run_tiles=task.tiles
        ):
            part = slice(strip.top, strip.top + len(strip.label_map))
            labels[part] = strip.label_map
            if confidence is not None:
                confidence[part] = strip.confidence
    for array in (labels, confidence):
        if array is not None:
            release_pages(array)
    return labels, confidence


def _segment_at_once(
    task: Task, path: Path, options: PredictOptions, plan: InputPlan
) -> tuple[np.ndarray, np.ndarray | None]:
    """Segment an image that the network sees as a whole, shrunk or not."""
    task.on_tile(0, 1)
    pixels = decode_image(path, max_pixels=task.max_pixels).pixels
    bucket = Bucket(task.model.predictor, plan.padded, options)
    found = task.tiles.submit(bucket, (pixels, plan), pixels=plan.padded[0] * plan.padded[1])
    task.on_tile(1, 1)
    return found.label_map, found.confidence


def _describe(task: Task, found: Found, info: ImageInfo, mode: str, timings: Timings) -> Answer:
    return Answer(
        model=task.model.name,
        labels=task.model.labels,
        runs=LabelRuns(found.labels),
        confidence=found.confidence,
        pixels=found.pixels,
        mode=mode,
        info=info.to_json(),
        request_id=task.job.request_id,
        file_name=task.job.file_name,
        timings=timings,
        georeference=task.georeference(info),
        max_corners=MAX_CORNERS,
    )


def _write(path: Path, body: bytes) -> None:
    path.write_bytes(body)
