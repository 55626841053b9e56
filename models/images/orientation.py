"""EXIF orientation: from the pixels as a file stores them to the upright image, and back.

An orientation says where the first row and the first column of the stored pixels lie in the
upright image (EXIF 2.32, section 4.6.5; the TIFF tag 274 is the same number):

| number | the stored image is upright after |
| --- | --- |
| 1 | nothing |
| 2 | flipping left and right |
| 3 | rotation by 180 degrees |
| 4 | flipping top and bottom |
| 5 | transposition |
| 6 | rotation by 90 degrees clockwise |
| 7 | transposition along the other diagonal |
| 8 | rotation by 90 degrees counterclockwise |
"""

from __future__ import annotations

import cv2
import numpy as np


def to_upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Return the upright form of an image (H, W) or (H, W, C) that a file stores, C at most 4.

    Orientation 1, and any number outside 1 to 8, gives the same array back.
    """
    match orientation:
        case 2:
            return cv2.flip(stored, 1)
        case 3:
            return cv2.rotate(stored, cv2.ROTATE_180)
        case 4:
            return cv2.flip(stored, 0)
        case 5:
            return cv2.transpose(stored)
        case 6:
            return cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            return cv2.rotate(cv2.transpose(stored), cv2.ROTATE_180)
        case 8:
            return cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return stored


def to_upright_bands(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Return the upright form of (H, W, S), of any type and any number of samples.

    The inverse of `from_upright`: turns by 90 degrees are each other's, the rest their own.
    """
    return from_upright(stored, {6: 8, 8: 6}.get(orientation, orientation))


def from_upright(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Return an upright array (H, W, ...) as the file stores it: the inverse of `to_upright`.

    Any type and any number of further axes will do, as label maps and probabilities have them;
    OpenCV's functions, which are faster, take neither.
    """
    match orientation:
        case 2:
            stored = upright[:, ::-1]
        case 3:
            stored = upright[::-1, ::-1]
        case 4:
            stored = upright[::-1]
        case 5:
            stored = upright.swapaxes(0, 1)
        case 6:
            stored = np.rot90(upright, 1)
        case 7:
            stored = upright[::-1, ::-1].swapaxes(0, 1)
        case 8:
            stored = np.rot90(upright, -1)
        case _:
            stored = upright
    return np.ascontiguousarray(stored)
