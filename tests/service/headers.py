"""The header of an image and the moments of a clock, as the tests of several rooms need them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.jobs.life import Moment

_PLAIN = ImageInfo(
    format="PNG",
    mode="uint8x3",
    width=3,
    height=2,
    bit_depth=8,
    pages=1,
    orientation=1,
    exif_transposed=False,
    alpha="none",
    icc_profile="none",
    scaling="none",
)


def image_info(**changes: Any) -> ImageInfo:
    """Return the header of a PNG of 3 x 2 pixels, with `changes`."""
    return replace(_PLAIN, **changes)


def at(seconds: float, *, jumped: float = 0.0, boot: str = "first") -> Moment:
    """Return a moment after the start of a machine, whose time of day has jumped."""
    return Moment(seconds + jumped, seconds, boot)
