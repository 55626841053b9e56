"""The best and the worst images of a split, as small pictures, kept while they are scored.

A picture is four panes side by side: the image, the truth and the prediction laid over it, and the
errors alone. Only the pictures of the images that are shown are kept, as JPEG.

Shapes: pixels uint8 (H, W, 3) RGB; labels (H, W).
"""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np
from PIL import Image

from maskzoo.models.images.draw import overlay
from maskzoo.models.labels import LabelSet
from maskzoo.training.scoring.evaluate import Scored
from maskzoo.training.scoring.metrics import iou_of, mean_of_known

SHOWN = 12
_PANE = 230  # pixels of the longer side
_WRONG = (226, 45, 45)


@dataclass(frozen=True)
class Picture:
    """An image with its score.

    Args:
        score: mean IoU of this image alone, 0..1.
        jpeg: the four panes.
    """

    name: str
    score: float
    jpeg: bytes


class Gallery:
    """Keeps the `SHOWN` best and worst of the images that it is shown."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._ticket = count()  # so that pictures are never compared
        self._best: list[tuple[float, int, Picture]] = []
        self._worst: list[tuple[float, int, Picture]] = []
        self.scores: list[float] = []

    def add(self, scored: Scored) -> None:
        """Look at one image; one without counted pixels is passed over."""
        score = mean_of_known(iou_of(scored.counts))
        if score is None:
            return
        self.scores.append(score)
        made: list[Picture] = []

        def picture() -> Picture:
            if not made:
                made.append(Picture(scored.sample.stem, score, panes(scored, self._labels)))
            return made[0]

        self._offer(self._best, score, picture)
        self._offer(self._worst, -score, picture)

    def best(self) -> list[Picture]:
        """Return the best images, the best first; none that is among the worst too."""
        return [picture for _, _, picture in sorted(self._best, reverse=True)][: self._half()]

    def worst(self) -> list[Picture]:
        """Return the worst images, the worst first."""
        shown = [picture for _, _, picture in sorted(self._worst, reverse=True)]
        return shown[: len(self.scores) - self._half()]

    def _half(self) -> int:
        """How many of the best are shown, so that few images are not shown twice."""
        return min(SHOWN, len(self.scores) // 2)

    def _offer(
        self,
        heap: list[tuple[float, int, Picture]],
        key: float,
        picture: Callable[[], Picture],
    ) -> None:
        if len(heap) < SHOWN:
            heapq.heappush(heap, (key, next(self._ticket), picture()))
        elif key > heap[0][0]:
            heapq.heapreplace(heap, (key, next(self._ticket), picture()))


def panes(scored: Scored, labels: LabelSet) -> bytes:
    """Return image, truth, prediction and errors beside each other."""
    found = scored.found.labels
    ignored = scored.truth == labels.ignore_index
    drawn = [
        scored.image,
        overlay(scored.image, scored.truth, labels, opacity=0.6),
        overlay(scored.image, found, labels, opacity=0.6),
        mark_errors(scored.image, (scored.truth != found) & np.logical_not(ignored)),
    ]
    return jpeg(np.concatenate([shrink(pixels, _PANE) for pixels in drawn], axis=1))


def mark_errors(pixels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return a faint grey picture with the wrong pixels in red."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    faint = np.repeat((255 - (255 - grey) // 3)[..., None], 3, axis=2)
    faint[wrong] = _WRONG
    return faint


def shrink(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the picture with its longer side at most `side`; it is never enlarged."""
    height, width = pixels.shape[:2]
    factor = min(1.0, side / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def jpeg(pixels: np.ndarray) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
