"""Scores from one int64 confusion matrix at original resolution.

Mean IoU is mmsegmentation's and VOC's: intersection over union of each class over all pixels of
the data set, then the mean over the classes that occur in the truth or in the prediction
(union > 0). A class that occurs in neither has no score (None) and does not enter the mean; the
number of classes that did is reported beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        mean_iou, mean_dice, mean_recall: over the classes that have the score; None if none has.
        classes_counted: the number of classes with an IoU.
        pixels_counted: without ignored ones.
        per_class: in the order of the ids.
    """

    mean_iou: float | None
    mean_dice: float | None
    mean_recall: float | None
    pixel_accuracy: float | None
    classes_counted: int
    pixels_counted: int
    per_class: tuple[ClassScores, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain types that `json` can write."""
        return asdict(self)


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
        total = int(self.counts.sum())
        return Scores(
            mean_iou=mean_of_known(columns["iou"]),
            mean_dice=mean_of_known(columns["dice"]),
            mean_recall=mean_of_known(columns["recall"]),
            pixel_accuracy=int(hits.sum()) / total if total else None,
            classes_counted=sum(value is not None for value in columns["iou"]),
            pixels_counted=total,
            per_class=per_class,
        )


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
