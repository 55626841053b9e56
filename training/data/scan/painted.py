"""Comparison of a mask with its image: a mask may be the photo with areas painted on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskzoo.training.data.records.rawmask import RawMask

FEW_CODES = 16  # masks of so few codes are not compared: a photo has more
_SLACK = 8  # by which two decoders or a JPEG may differ
_FLAT = 2  # codes of the pixels that are alike; black beside black proves nothing


def painted_fraction(raw: RawMask, pixels: npt.NDArray[np.uint8]) -> float:
    """Return the fraction of the pixels of a mask that are those of its image.

    The two most frequent codes among them do not count. It is 0 where the sizes differ.

    Args:
        raw: the mask.
        pixels: the image, uint8 (H, W, 3).
    """
    if pixels.shape[:2] != raw.codes.shape:
        return 0.0
    colours = raw.as_colours()
    codes = colours.astype(np.int32)
    mask = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)  # (H, W, 3)
    same = (np.abs(mask - pixels) <= _SLACK).all(axis=-1)
    counts = np.sort(np.unique(colours[same], return_counts=True)[1])
    return float(counts[:-_FLAT].sum() / same.size)
