"""Answers as PNG images: the indexed mask, and four ways to view it.

All are PNG, since a mask must not be changed by its compression.
Shapes: labels (H, W), pixels uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskzoo.models.images.draw import encode_indexed_png, overlay
from maskzoo.service.schemas import SegmentOptions

if TYPE_CHECKING:
    from maskzoo.service.responses.answer import Answer

# 0.4 to 0.7 of the time of OpenCV level 1 on two images of 1920 x 1080, at about its size.
_FAST = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)


def encode_indexed(answer: Answer) -> bytes:
    """Return a palette PNG whose pixel values are class ids, with its story in text chunks."""
    text = {
        "Software": "maskzoo",
        "maskzoo:model": answer.model,
        "maskzoo:request-id": answer.request_id,
        "maskzoo:classes": json.dumps(dict(enumerate(answer.labels.names))),
    }
    return encode_indexed_png(answer.runs.label_map, answer.labels, text)


def encode_color(answer: Answer) -> bytes:
    """Return the class colours as RGB."""
    return _encode(_colours(answer))


def encode_overlay(answer: Answer, options: SegmentOptions) -> bytes:
    """Return the image, tinted by the class colours; the background stays as it is."""
    assert answer.pixels is not None, "the table of formats asks for pixels"
    tinted = overlay(answer.pixels, answer.runs.label_map, answer.labels, options.opacity)
    return _encode(tinted)


def encode_confidence(answer: Answer) -> bytes:
    """Return the winning class's probability as grey, 0 to 255."""
    assert answer.confidence is not None, "the table of formats asks for confidence"
    return _encode(np.rint(answer.confidence.astype(np.float32) * 255).astype(np.uint8))


def encode_cutout(answer: Answer) -> bytes:
    """Return the image as RGBA, transparent where the background class is.

    A model without a background class keeps every pixel that has a class at all.
    """
    assert answer.pixels is not None, "the table of formats asks for pixels"
    kept = answer.runs.label_map < answer.labels.num_classes
    if answer.labels.background is not None:
        kept &= answer.runs.label_map != answer.labels.background
    alpha = np.where(kept, 255, 0).astype(np.uint8)
    return _encode(np.dstack([answer.pixels, alpha]))


def _colours(answer: Answer) -> np.ndarray:
    """Paint each class in its colour, uint8 (H, W, 3); black where there is no class."""
    ids, labels = answer.runs.label_map, answer.labels
    if ids.dtype == np.uint8:  # four times as fast as indexing
        return cv2.LUT(cv2.merge([ids] * 3), labels.palette()[None])
    table = np.zeros((max(labels.num_classes, int(ids.max()) + 1), 3), np.uint8)
    table[: labels.num_classes] = labels.colours
    painted: np.ndarray = table[ids]
    return painted


def _encode(pixels: np.ndarray) -> bytes:
    """Encode grey, RGB or RGBA."""
    if pixels.ndim == 3:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cv2.cvtColor(pixels, order)
    done, data = cv2.imencode(".png", pixels, _FAST)
    assert done, "OpenCV encodes any uint8 image"
    return data.tobytes()
