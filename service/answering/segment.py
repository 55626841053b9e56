"""Segmentation of one image, in memory or from file to file: whole, or tile by tile.

    open -> plan -> network -> Segmentation, and the pixels where the answer shows them

The two ways differ in their `Workplace`: its threads, the storage of arrays, and the receiver of
progress.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.raster.bands import show
from maskzoo.models.images.rows import ArrayRows, OpenedImage, PixelRows, open_image
from maskzoo.models.inference.postprocess import id_type
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.inference.tiled import OnTile, write_strips
from maskzoo.service.answering.order import ImagePlan, Order
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.network import NetworkAccess

P = ParamSpec("P")
T = TypeVar("T")


class Arrays(Protocol):
    """Storage of the arrays of one image."""

    def array(self, name: str, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """Return an uninitialised array."""
        ...

    def release(self, array: np.ndarray) -> None:
        """Release memory that a finished array need not hold."""


class MemoryArrays:
    """Arrays in memory."""

    def array(self, name: str, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """Return an uninitialised array."""
        return np.empty(shape, dtype)

    def release(self, array: np.ndarray) -> None:
        """Keep it."""


class InThread(Protocol):
    """Runs work in a thread."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `work` returns."""
        ...


@dataclass(frozen=True)
class Workplace:
    """The resources for the work on one image.

    Args:
        network: its access to the network.
        in_thread: runs decoding, finishing and encoding.
        in_tile_thread: runs the loop over the tiles of a huge image, which mostly waits.
        arrays: storage for label map and confidence of a huge image.
        decoder: of files that are not to be decoded in a thread; None decodes all there.
        on_tile: called with the tiles done and their number; an exception ends the work. A whole
            image is one tile.
        check: called while it waits for the rows of a huge image; an exception ends the work.
        at_network: context around the time in the queue and the network.
    """

    network: NetworkAccess
    in_thread: InThread
    in_tile_thread: InThread
    arrays: Arrays
    decoder: Decoder | None = None
    on_tile: OnTile = lambda done, total: None
    check: Callable[[], None] = lambda: None
    at_network: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class _Opened:
    """An open image and its plan.

    Args:
        pixels: None if the image is read tile by tile.
    """

    image: OpenedImage
    plan: InputPlan
    pixels: np.ndarray | None


async def segment_image(
    order: Order, source: bytes | Path, plan: ImagePlan, place: Workplace, timings: Timings
) -> tuple[Segmentation, np.ndarray | None]:
    """Return the segmentation of one image, and its pixels if the answer needs them.

    Args:
        source: the image's file: its bytes, or its path.
        plan: what `order.plan` returned for its header.

    Raises:
        ImageError: the bytes are not an image that can be read.
        BadParameterError: it is larger than its header said, and too large.
    """
    with ExitStack() as opened:
        with timings.measure("decode"):
            decoded = await _decode_apart(order, source, plan.header, opened, place)
            planned = await place.in_thread(_open, order, source, plan, opened, decoded)
        rows, pixels = planned.image.rows, planned.pixels
        with place.at_network():
            if pixels is None:
                with timings.measure("network"):
                    found = await place.in_tile_thread(_segment_rows, order, rows, place)
            else:
                place.on_tile(0, 1)
                found, queued_s = await place.network.segment(pixels, planned.plan)
                place.on_tile(1, 1)
                timings.add("queue", queued_s)
                for stage, seconds in found.timings.items():
                    if stage != "decode":
                        timings.add(stage, seconds)
        if not order.needs.needs_pixels:
            pixels = None
        elif pixels is None:
            pixels = await place.in_thread(rows.read, 0, rows.height)
        if pixels is not None:
            pixels = show(pixels, order.bands)
    return replace(found, info=planned.image.info), pixels


async def _decode_apart(
    order: Order, source: bytes | Path, header: ImageInfo, opened: ExitStack, place: Workplace
) -> OpenedImage | None:
    """Open an image in a process; None where a thread may decode it."""
    decoder = place.decoder
    if decoder is None or not decoder.takes(source):
        return None
    name, most, bands = order.file_name, order.limits.max_pixels, order.bands
    if isinstance(source, Path) and header.format == "TIFF":
        open_rows = partial(decoder.open_rows, source, header, check=place.check)
        rows = await place.in_thread(open_rows, name=name, max_pixels=most, bands=bands)
        if rows is not None:
            opened.callback(rows.close)
            return OpenedImage(rows, rows.info)
    decoded = await decoder.decode(source, header, name=name, max_pixels=most, bands=bands)
    return OpenedImage(ArrayRows(decoded.pixels), decoded.info)


def _open(
    order: Order,
    source: bytes | Path,
    plan: ImagePlan,
    opened: ExitStack,
    decoded: OpenedImage | None,
) -> _Opened:
    """Open an image unless it is decoded; read it completely unless it is tiled."""
    image = decoded or opened.enter_context(
        open_image(
            source,
            header=plan.header,
            bands=order.bands,
            max_pixels=order.limits.max_pixels,
            name=order.file_name,
        )
    )
    height, width = image.rows.height, image.rows.width
    if (height, width) != plan.size:  # a header that did not say the truth
        plan = order.plan(replace(image.info, height=height, width=width))
    is_read_by_tiles = plan.input.mode == "tiled" and not order.predict_options.probabilities
    pixels = None if is_read_by_tiles else image.rows.read(0, height)
    return _Opened(image, plan.input, pixels)


def _segment_rows(order: Order, rows: PixelRows, place: Workplace) -> Segmentation:
    """Segment an image tile by tile; runs in its own thread."""
    labels, shape = order.model.labels, (rows.height, rows.width)
    label_map = place.arrays.array("label_map", shape, id_type(labels.num_classes))
    confidence = None
    if order.predict_options.confidence:
        confidence = place.arrays.array("confidence", shape, np.float16)
    strips = order.model.predictor.segment_rows(
        rows, order.predict_options, on_tile=place.on_tile, run_tiles=place.network.run_tiles
    )
    write_strips(strips, label_map, confidence)
    for array in (label_map, confidence):
        if array is not None:
            place.arrays.release(array)
    return Segmentation(label_map, confidence, labels, "tiled", {})
