"""Comparison of a mask with its image: a mask may be the photo with areas painted on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskzoo.training.data.records.rawmask import RawMask

FEW_CODES = 16  # masks of so few codes are not compared: a photo has more
_SLACK = 8  # by which two decoders or a JPEG may differ
_FLAT = 2  # colours of the mask that are not compared; black beside black proves nothing
_LEAST = 0.01  # fraction of the mask that must be left to be compared


def painted_fraction(raw: RawMask, pixels: npt.NDArray[np.uint8]) -> float:
    """Return the fraction of a mask's pixels that are those of its image, of those that may be.

    The mask's two most frequent colours, and what is close to them, do not count: they are the
    paint, or the plain ground around an object that was cut out of its photo. It is 0 where
    nearly nothing else is left, and where the sizes differ.

    Args:
        raw: the mask.
        pixels: the image, uint8 (H, W, 3).
    """
    if pixels.shape[:2] != raw.codes.shape:
        return 0.0
    colours, counts = np.unique(raw.as_colours(), return_counts=True)
    flat = _channels(colours[np.argsort(-counts)[:_FLAT]]).astype(np.int16)  # (2, 3)
    mask = _channels(raw.as_colours()).astype(np.int16)  # (H, W, 3)
    is_open = np.ones(mask.shape[:2], np.bool_)
    for colour in flat:
        is_open &= np.abs(mask - colour).max(axis=-1) > 2 * _SLACK
    if is_open.mean() < _LEAST:
        return 0.0
    same = np.abs(mask[is_open] - pixels[is_open].astype(np.int16)).max(axis=-1) <= _SLACK
    return float(same.mean())


def _channels(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return packed colours as red, green and blue on a last axis."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)
