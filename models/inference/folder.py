"""Segmentation of many image files into a folder, for `maskzoo predict`.

`OUT/masks/NAME.png` is the indexed mask with the palette, `OUT/overlays/NAME.jpg` the mask over the
image. NAME is the input's path below the given folder, or its bare name, without suffix.

A tiled image is read a few rows at a time (`models.images.rows`), so memory is bounded by its mask,
one byte per pixel; its overlay is shrunk to about 8 megapixels. Files are replaced when they are
complete, and an overlay carries the digest of its mask's origin as its comment.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from maskzoo.models.errors import ZooError
from maskzoo.models.files import replace_file
from maskzoo.models.images.decode import DEFAULT_MAX_PIXELS, ImageInfo, read_header
from maskzoo.models.images.draw import encode_indexed_png, overlay
from maskzoo.models.images.origin import MaskOrigin, origin_of_model, stamp
from maskzoo.models.images.raster.bands import show
from maskzoo.models.images.rows import OpenedImage, PixelRows, open_image
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.inference.outputs import OutputFiles, check_unedited
from maskzoo.models.inference.postprocess import id_type
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.segmentation import class_counts
from maskzoo.models.inference.tiled import OnTile, write_strips
from maskzoo.models.labels import LabelSet

MAX_TILED_PIXELS = 1_000_000_000
"""The largest image that is tiled."""

_OVERLAY_PIXELS = 8_000_000


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of one image file: its mask, or an error.

    Args:
        files: what was read and written.
        height, width: size of the upright image and of its mask, in pixels.
        fractions: of the pixels, 0 to 1, by the name of each class that occurs, largest first.
        seconds: time by stage.
        error: why it has no mask.
        notes: what of the file was left out or changed.
    """

    files: OutputFiles
    height: int = 0
    width: int = 0
    fractions: dict[str, float] | None = None
    seconds: dict[str, float] | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()


def predict_files(
    predictor: Predictor,
    outputs: Sequence[OutputFiles],
    options: PredictOptions = DEFAULT_OPTIONS,
    *,
    weights_sha256: str = "",
    again: bool = False,
    opacity: float = 0.5,
    on_tile: OnTile = lambda done, total: None,
) -> Iterator[FileOutcome]:
    """Segment images and write their masks in turn; one that cannot be read becomes an `error`.

    Args:
        predictor: the network to use.
        outputs: what to read and write, from `models.inference.outputs.list_outputs`.
        options: how the images are predicted; no confidence is computed.
        weights_sha256: of the bundle, for the origin that each mask carries
            (`models.images.origin`); empty for a network without a bundle.
        again: write over masks that exist and may have been edited by hand.
        opacity: of the mask in the overlay, 0 to 1.
        on_tile: called with the number of the image's tiles that are done, and of all.

    Raises:
        DataError: a mask exists that may have been edited by hand; nothing is computed.
    """
    if not again:
        check_unedited(outputs)
    options = replace(options, confidence=False, probabilities=False)
    origin = origin_of_run(predictor, options, weights_sha256)
    for files in outputs:
        try:
            yield _predict_file(predictor, files, options, origin, opacity, on_tile)
        except ZooError as error:
            yield FileOutcome(files, error=str(error))


def origin_of_run(predictor: Predictor, options: PredictOptions, weights_sha256: str) -> MaskOrigin:
    """Return what the masks that `predict_files` writes have in common."""
    stated: dict[str, str | float | None] = {
        name: getattr(options, name) for name in ("mode", "max_side", "tta", "overlap")
    }
    return origin_of_model(weights_sha256, predictor.labels, stated)


def _predict_file(
    predictor: Predictor,
    files: OutputFiles,
    options: PredictOptions,
    origin: MaskOrigin,
    opacity: float,
    on_tile: OnTile,
) -> FileOutcome:
    header = read_header(files.image)
    plan = predictor.plan((header.height, header.width), options)
    is_tiled = plan.mode == "tiled"
    max_pixels = MAX_TILED_PIXELS if is_tiled else DEFAULT_MAX_PIXELS
    with _open(predictor, files.image, header, max_pixels) as opened:
        rows, labels = opened.rows, predictor.labels
        if is_tiled:
            start = time.perf_counter()
            label_map = np.empty((rows.height, rows.width), id_type(labels.num_classes))
            write_strips(predictor.segment_rows(rows, options, on_tile=on_tile), label_map, None)
            seconds = {"network": time.perf_counter() - start}
        else:
            pixels = rows.read(0, rows.height)
            if plan.image != pixels.shape[:2]:  # a header that did not say the truth
                plan = predictor.plan(pixels.shape[:2], options)
            (segmentation,) = predictor.segment_batch([pixels], options, plans=[plan])
            label_map, seconds = segmentation.label_map, dict(segmentation.timings)
        origin = origin.of_image(files.image)
        if files.overlay is not None:
            drawn = (
                _draw_small(rows, label_map, predictor, opacity)
                if is_tiled
                else overlay(show(pixels, predictor.bands), label_map, labels, opacity)
            )
            _write_jpeg(files.overlay, drawn, origin.digest())
    files.mask.parent.mkdir(parents=True, exist_ok=True)
    png = encode_indexed_png(label_map, labels)
    replace_file(files.mask, stamp(png, origin))
    height, width = label_map.shape
    fractions, notes = _fractions(label_map, labels), opened.info.remarks
    return FileOutcome(files, height, width, fractions, seconds, notes=notes)


def _open(
    predictor: Predictor, path: Path, header: ImageInfo, max_pixels: int
) -> AbstractContextManager[OpenedImage]:
    return open_image(path, header=header, bands=predictor.bands, max_pixels=max_pixels)


def _fractions(label_map: np.ndarray, labels: LabelSet) -> dict[str, float]:
    fractions = class_counts(label_map, labels.num_classes) / label_map.size
    occurring = [index for index in np.argsort(-fractions) if fractions[index]]
    return {labels.names[index]: float(fractions[index]) for index in occurring}


def _draw_small(
    rows: PixelRows, label_map: np.ndarray, predictor: Predictor, opacity: float
) -> np.ndarray:
    """Return an overlay of at most about `_OVERLAY_PIXELS`, drawn from top to bottom."""
    height, width = label_map.shape
    factor = max(1.0, math.sqrt(label_map.size / _OVERLAY_PIXELS))
    small_width = max(1, round(width / factor))
    small = np.empty((max(1, round(height / factor)), small_width, 3), np.uint8)
    count = max(1, 256 // math.ceil(factor))  # of the small image's rows, drawn at a time
    for top in range(0, len(small), count):
        bottom = min(top + count, len(small))
        span = slice(round(top * height / len(small)), round(bottom * height / len(small)))
        pixels = show(rows.read(span.start, span.stop), predictor.bands)
        drawn = overlay(pixels, label_map[span], predictor.labels, opacity)
        part = cv2.resize(drawn, (small_width, bottom - top), interpolation=cv2.INTER_AREA)
        small[top:bottom] = part
    return small


def _write_jpeg(path: Path, pixels: np.ndarray, comment: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92, comment=comment)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, stream.getvalue())
