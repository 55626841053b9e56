"""Scores from int64 confusion matrices at original resolution: pooled, and by image.

**Pooled** scores add up the pixels of all images before they divide, as mmsegmentation and VOC do.
There are two means of them over classes:

- `mean_iou`, `mean_dice`: over the classes that occur in the truth. Which these are depends on the
  data alone, so all networks are measured on the same classes. A class that is only predicted has
  an IoU of 0 and does not enter: its pixels are missing from the right classes already.
- `mean_iou_all`, `mean_dice_all`: over all classes that have a score, only predicted ones included
  (union > 0). This is mmsegmentation's mean IoU; one wrong pixel of an absent class lowers it.

A class in neither truth nor prediction has no score (None) and enters no mean.

**By image** (`ImageMeans`), the scores of each image are divided first and then averaged over the
images, so that small images and small objects weigh as much as large ones. An image counts for a
class if the class is in its truth or in its prediction; if only in the prediction, its score is 0.
An image that rightly shows nothing of a class has no score for it and is left out of its mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskzoo.models.errors import DataError

_IDS_SHOWN = 5  # of ids that an error lists


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class, 0..1; a score is None where its denominator is 0.

    Args:
        pixels: of the class in the truth.
    """

    name: str
    iou: float | None
    dice: float | None
    precision: float | None
    recall: float | None
    pixels: int


@dataclass(frozen=True)
class Scores:
    """Scores of a data set, 0..1.

    Args:
        mean_iou, mean_dice, mean_recall: over the classes in the truth; None without any.
        mean_iou_all, mean_dice_all: over the classes in the truth or in the prediction.
        classes_counted, classes_counted_all: the numbers of these classes.
        absent_classes: the names of those that are not in the truth.
        pixels_counted: without ignored ones.
        per_class: in the order of the ids.
    """

    mean_iou: float | None
    mean_dice: float | None
    mean_recall: float | None
    mean_iou_all: float | None
    mean_dice_all: float | None
    pixel_accuracy: float | None
    classes_counted: int
    classes_counted_all: int
    absent_classes: tuple[str, ...]
    pixels_counted: int
    per_class: tuple[ClassScores, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain types that `json` can write."""
        return asdict(self)

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Return the mean of one value for each class over the classes in the truth.

        None if no class in the truth has a value.
        """
        return _mean_where(values, [row.pixels for row in self.per_class])


class ConfusionMatrix:
    """Counts of pixels: rows are the truth, columns the prediction.

    Args:
        num_classes: K.
        ignore_index: the id in the truth that does not count.
    """

    def __init__(self, num_classes: int, *, ignore_index: int) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count one image, both (H, W) of class ids.

        Raises:
            DataError: the sizes differ, or an id is not a class; nothing is counted then.
        """
        size = self.num_classes
        counted = counted_pixels(
            truth, prediction, num_classes=size, ignore_index=self.ignore_index
        )
        rows, columns = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
        self.counts += np.bincount(rows * size + columns, minlength=size**2).reshape(size, size)

    def scores(self, names: Sequence[str]) -> Scores:
        """Return all scores; `names` are the classes in the order of their ids."""
        hits = np.diag(self.counts)
        truth, predicted = self.counts.sum(1), self.counts.sum(0)
        columns = {
            "iou": iou_of(self.counts),
            "dice": _ratio(2 * hits, truth + predicted),
            "precision": _ratio(hits, predicted),
            "recall": _ratio(hits, truth),
        }
        per_class = tuple(
            ClassScores(
                name=name,
                iou=columns["iou"][index],
                dice=columns["dice"][index],
                precision=columns["precision"][index],
                recall=columns["recall"][index],
                pixels=int(truth[index]),
            )
            for index, name in enumerate(names)
        )
        means = {key: _mean_where(values, truth) for key, values in columns.items()}
        total = int(self.counts.sum())
        return Scores(
            mean_iou=means["iou"],
            mean_dice=means["dice"],
            mean_recall=means["recall"],
            mean_iou_all=mean_of_known(columns["iou"]),
            mean_dice_all=mean_of_known(columns["dice"]),
            pixel_accuracy=int(hits.sum()) / total if total else None,
            classes_counted=int(np.count_nonzero(truth)),
            classes_counted_all=sum(value is not None for value in columns["iou"]),
            absent_classes=tuple(row.name for row in per_class if not row.pixels),
            pixels_counted=total,
            per_class=per_class,
        )


@dataclass(frozen=True)
class ImageMeans:
    """Means over images of each image's own scores, by class in the order of the ids.

    Args:
        iou, dice: 0..1; None for a class that is in no truth and in no prediction.
        images: how many images count for each class.
    """

    iou: tuple[float | None, ...]
    dice: tuple[float | None, ...]
    images: tuple[int, ...]

    @classmethod
    def of(cls, matrices: Sequence[np.ndarray]) -> ImageMeans:
        """Return the means of images with these int64 (K, K) matrices, the truth in rows."""
        num_classes = len(matrices[0])
        iou, dice = np.zeros(num_classes), np.zeros(num_classes)
        images = np.zeros(num_classes, np.int64)
        for counts in matrices:
            hits, both = np.diag(counts), counts.sum(0) + counts.sum(1)
            counted = both > 0
            iou[counted] += hits[counted] / (both - hits)[counted]
            dice[counted] += 2 * hits[counted] / both[counted]
            images += counted

        def means(sums: np.ndarray) -> tuple[float | None, ...]:
            return tuple(
                float(s) / int(n) if n else None for s, n in zip(sums, images, strict=True)
            )

        return cls(means(iou), means(dice), tuple(images.tolist()))


def counted_pixels(
    truth: np.ndarray, prediction: np.ndarray, *, num_classes: int, ignore_index: int
) -> np.ndarray:
    """Return which pixels of one image count, bool (H, W): those that the truth does not ignore.

    Args:
        truth, prediction: class ids (H, W). Whatever is predicted on an ignored pixel is allowed.

    Raises:
        DataError: the sizes differ, or an id of a counted pixel is outside 0 to K-1. Such an id
            must not pass: as an index, -1 would be the last class.
    """
    if truth.shape != prediction.shape:
        raise DataError(
            f"mask is {truth.shape[1]} x {truth.shape[0]} but the prediction is "
            f"{prediction.shape[1]} x {prediction.shape[0]}: image and mask must agree in size"
        )
    counted: np.ndarray = truth != ignore_index
    allowed = f"0 to {num_classes - 1}"
    _check_ids("mask", truth[counted], num_classes, f"{allowed} and {ignore_index} (ignored)")
    _check_ids("prediction", prediction[counted], num_classes, allowed)
    return counted


def _check_ids(what: str, ids: np.ndarray, num_classes: int, allowed: str) -> None:
    if not ids.size or (ids.min() >= 0 and ids.max() < num_classes):
        return
    wrong = np.unique(ids[(ids < 0) | (ids >= num_classes)]).tolist()
    shown = ", ".join(map(str, wrong[:_IDS_SHOWN]))
    more = f" and {len(wrong) - _IDS_SHOWN} more" if len(wrong) > _IDS_SHOWN else ""
    raise DataError(f"the {what} has the ids {shown}{more}; allowed are {allowed}")


def _ratio(above: np.ndarray, below: np.ndarray) -> list[float | None]:
    return [int(a) / int(b) if b else None for a, b in zip(above, below, strict=True)]


def _mean_where(values: Sequence[float | None], pixels: Iterable[int]) -> float | None:
    """Return the mean of the values of the classes that have pixels."""
    return mean_of_known([value for value, n in zip(values, pixels, strict=True) if n])


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def percent(value: float | None, *, digits: int = 2, missing: str = "-") -> str:
    """Return a score of 0..1 in percent, as a person reads it; `missing` for None."""
    return missing if value is None else f"{100 * value:.{digits}f}"


def iou_of(matrix: np.ndarray) -> list[float | None]:
    """Return the IoU of each class of an int64 (K, K) matrix; None for one without a union."""
    hits = np.diag(matrix)
    return _ratio(hits, matrix.sum(axis=0) + matrix.sum(axis=1) - hits)
