"""The best and the worst images of a split, as thumbnails that are made while images are scored.

A thumbnail has four panes: the image, the truth and the prediction laid over it, and the errors
alone. Only the thumbnails that the report shows are kept, as JPEG, so the memory that they take
does not grow with the split.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from maskzoo.models.images.draw import overlay
from maskzoo.models.labels import LabelSet
from maskzoo.training.report.panes import jpeg_row, mark_pixels
from maskzoo.training.scoring.metrics import iou_of, mean_of_known
from maskzoo.training.scoring.records import Scored

SHOWN = 12
_PANE = 230  # pixels of the longer side


@dataclass(frozen=True)
class RankedImage:
    """An image with its score.

    Args:
        score: mean IoU of this image alone, 0..1.
        jpeg: the thumbnail of four panes.
    """

    name: str
    score: float
    jpeg: bytes


class Gallery:
    """Keeps the `SHOWN` best and worst of the images that are added to it.

    Attributes:
        scores: mean IoU of every image with counted pixels, in order of arrival.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._ticket = count()  # breaks ties, as two `RankedImage` cannot be compared
        self._best: list[tuple[float, int, RankedImage]] = []
        self._worst: list[tuple[float, int, RankedImage]] = []
        self.scores: list[float] = []

    def add(self, scored: Scored) -> None:
        """Rank one image; an image without counted pixels is skipped."""
        score = mean_of_known(iou_of(scored.counts))
        if score is None:
            return
        self.scores.append(score)
        drawn: list[RankedImage] = []

        def ranked() -> RankedImage:
            # drawn only if a heap takes the image, once for both heaps: most images are in neither
            if not drawn:
                jpeg = draw_panes(scored, self._labels)
                drawn.append(RankedImage(scored.name, score, jpeg))
            return drawn[0]

        self._offer(self._best, score, ranked)
        self._offer(self._worst, -score, ranked)

    def best(self) -> list[RankedImage]:
        """Return the best images, the best first, without those that `worst` returns."""
        return [image for _, _, image in sorted(self._best, reverse=True)][: self._num_best()]

    def worst(self) -> list[RankedImage]:
        """Return the worst images, the worst first."""
        images = [image for _, _, image in sorted(self._worst, reverse=True)]
        return images[: len(self.scores) - self._num_best()]

    def _num_best(self) -> int:
        """Return the number of best images to show; of few images, half."""
        return min(SHOWN, len(self.scores) // 2)

    def _offer(
        self,
        heap: list[tuple[float, int, RankedImage]],
        key: float,
        ranked: Callable[[], RankedImage],
    ) -> None:
        if len(heap) < SHOWN:
            heapq.heappush(heap, (key, next(self._ticket), ranked()))
        elif key > heap[0][0]:
            heapq.heapreplace(heap, (key, next(self._ticket), ranked()))


def draw_panes(scored: Scored, labels: LabelSet) -> bytes:
    """Return image, truth, prediction and errors beside each other, as JPEG."""
    label_map = scored.segmentation.label_map
    is_counted = scored.truth != labels.ignore_index
    panes = [
        scored.image,
        overlay(scored.image, scored.truth, labels, opacity=0.6),
        overlay(scored.image, label_map, labels, opacity=0.6),
        mark_pixels(scored.image, (scored.truth != label_map) & is_counted),
    ]
    return jpeg_row(panes, side=_PANE)
