"""Rows of small images for the report: panes side by side, as one JPEG.

Shapes: pixels uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

_WRONG = (226, 45, 45)  # red


def jpeg_row(panes: Sequence[np.ndarray], *, side: int) -> bytes:
    """Encode panes of one size beside each other, each with its longer side at most `side`."""
    row = np.concatenate([shrink(pixels, side) for pixels in panes], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(row).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def mark_pixels(image: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Return a pale grey copy of `image` with the pixels of a bool (H, W) mask in red."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    pale = np.repeat((255 - (255 - grey) // 3)[..., None], 3, axis=2)
    pale[marked] = _WRONG
    return pale


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the image with its longer side at most `side`; it is never enlarged."""
    height, width = pixels.shape[:2]
    factor = min(1.0, side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
