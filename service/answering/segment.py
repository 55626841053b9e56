"""Segmentation of one image, in memory or from file to file: whole, or tile by tile.

    open -> plan -> network -> Segmentation, and the pixels where the answer shows them

Everything before and after the network happens here. The part of the network is a `NetworkPart`:
`service.answering.network` runs it in this process, `service.fronts` in the one that owns the
device.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.raster.bands import show
from maskzoo.models.images.rows import ArrayRows, OpenedImage, open_image
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.answering.order import Order
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.responses.timings import Timings

P = ParamSpec("P")
T = TypeVar("T")


class InThread(Protocol):
    """Runs work in a thread."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Return what `work` returns."""
        ...


@dataclass(frozen=True)
class OpenImage:
    """An open image, ready for the network.

    Args:
        plan: how it reaches the network; None where another process decides that.
        pixels: None if the image is read tile by tile.
    """

    image: OpenedImage
    plan: InputPlan | None
    pixels: np.ndarray | None


class NetworkPart(Protocol):
    """The network's part of the work on one image that was admitted."""

    def read(self, order: Order, image: OpenedImage) -> OpenImage:
        """Read what the network needs of an image; called in a thread."""
        ...

    async def segment(self, order: Order, opened: OpenImage, timings: Timings) -> Segmentation:
        """Run the network on what `read` returned."""
        ...


class Desk(Protocol):
    """Admits images to the networks."""

    def admitted(
        self, order: Order, header: ImageInfo, *, body_bytes: int
    ) -> AbstractAsyncContextManager[NetworkPart]:
        """Hold the room of an image during the block.

        Args:
            header: what `read_header` returned.
            body_bytes: of its file.

        Raises:
            BadParameterError: it takes more than the limits allow.
            OverloadedError: there is no room.
            StoppedError: the service ends.
        """
        ...


@dataclass(frozen=True)
class Workplace:
    """The resources for the work on one image.

    Args:
        network: runs the network.
        in_thread: runs decoding, finishing and encoding.
        decoder: of files that are not to be decoded in a thread; None decodes all there.
        check: called while it waits for the rows of a huge image; an exception ends the work.
    """

    network: NetworkPart
    in_thread: InThread
    decoder: Decoder | None = None
    check: Callable[[], None] = lambda: None


async def segment_image(
    order: Order, source: bytes | Path, header: ImageInfo, place: Workplace, timings: Timings
) -> tuple[Segmentation, np.ndarray | None]:
    """Return the segmentation of an image, and its pixels if the answer shows them.

    Args:
        source: the image's file: its bytes, or its path.
        header: what `read_header` returned.
        timings: filled during the work.

    Raises:
        ImageError: the bytes are not an image that can be read.
        BadParameterError: it is larger than its header said, and too large.
    """
    with ExitStack() as held:
        with timings.measure("decode"):
            decoded = await _decode_apart(order, source, header, held, place)
            opened = await place.in_thread(_open, order, source, header, held, decoded, place)
        found = await place.network.segment(order, opened, timings)
        rows, pixels = opened.image.rows, opened.pixels
        if not order.needs.needs_pixels:
            pixels = None
        elif pixels is None:
            pixels = await place.in_thread(rows.read, 0, rows.height)
        if pixels is not None:
            pixels = show(pixels, order.bands, order.options.shown_bands)
    return replace(found, info=opened.image.info), pixels


async def _decode_apart(
    order: Order, source: bytes | Path, header: ImageInfo, held: ExitStack, place: Workplace
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
            held.callback(rows.close)
            return OpenedImage(rows, rows.info)
    decoded = await decoder.decode(source, header, name=name, max_pixels=most, bands=bands)
    return OpenedImage(ArrayRows(decoded.pixels), decoded.info)


def _open(
    order: Order,
    source: bytes | Path,
    header: ImageInfo,
    held: ExitStack,
    decoded: OpenedImage | None,
    place: Workplace,
) -> OpenImage:
    """Open an image unless it is decoded, and read what the network needs."""
    image = decoded or held.enter_context(
        open_image(
            source,
            header=header,
            bands=order.bands,
            max_pixels=order.limits.max_pixels,
            name=order.file_name,
        )
    )
    return place.network.read(order, image)
