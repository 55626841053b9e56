"""Boundary IoU: agreement of outlines.

Paper: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
CVPR 2021, https://arxiv.org/abs/2103.16562
Idea: the IoU of each class over the pixels within d of the outline of its own mask, on the inner
side: |T_d ∩ P_d| / |T_d ∪ P_d|. The larger an object, the less its outline weighs in the IoU; in
the boundary IoU it always weighs the same.
d is 2 % of the image's diagonal, as in the paper, and at least 1 pixel. Distance is counted in
steps to any of the eight neighbours, as by the authors' repeated 3x3 erosion; the border of the
image is an outline.

What differs: intersections and unions are added up over the data set before they are divided, as
for IoU, where the paper averages over objects. A border against ignored pixels is not an outline.

Letters: K classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from maskzoo.training.scoring.metrics import counted_pixels

FRACTION_OF_DIAGONAL = 0.02


class BoundaryCounts:
    """Intersections and unions of the outlines of each class, over a data set.

    Args:
        num_classes: K.
        ignore_index: the id in the truth that does not count.
    """

    def __init__(self, num_classes: int, *, ignore_index: int) -> None:
        self.ignore_index = ignore_index
        self.intersections = np.zeros(num_classes, np.int64)
        self.unions = np.zeros(num_classes, np.int64)

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count one image, both (H, W) of class ids.

        Raises:
            DataError: the sizes differ, or an id is not a class; nothing is counted then.
        """
        counted = counted_pixels(
            truth, prediction, num_classes=len(self.unions), ignore_index=self.ignore_index
        )
        ignored = np.logical_not(counted)
        width = outline_width(truth.shape)
        # only classes that occur: outlines are costly, and an absent class adds 0 to both counts
        present = set(np.unique(truth[counted])) | set(np.unique(prediction[counted]))
        for index in sorted(int(value) for value in present):
            of_truth = outline(truth == index, ignored, width)
            of_prediction = outline(prediction == index, ignored, width)
            self.intersections[index] += np.count_nonzero(of_truth & of_prediction)
            self.unions[index] += np.count_nonzero(of_truth | of_prediction)

    def ious(self) -> list[float | None]:
        """Return the boundary IoU of each class; None for one that occurs nowhere."""
        pairs = zip(self.intersections, self.unions, strict=True)
        return [int(above) / int(below) if below else None for above, below in pairs]


def outline_width(size: Sequence[int]) -> int:
    """Return d for an image of (height, width)."""
    return max(1, round(FRACTION_OF_DIAGONAL * float(np.hypot(size[0], size[1]))))


def outline(mask: np.ndarray, ignored: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a bool (H, W) mask within `width` of its outside, without ignored ones.

    Ignored pixels count as inside, so that the border against them is not an outline.
    """
    padded = cv2.copyMakeBorder(
        (mask | ignored).view(np.uint8), width, width, width, width, cv2.BORDER_CONSTANT, value=0
    )
    # one erosion by a square of side 2 d + 1 is d erosions by 3x3
    inner = cv2.erode(padded, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    inner = inner[width:-width, width:-width].view(bool)
    edge: np.ndarray = mask & np.logical_not(inner | ignored)
    return edge
