"""Postprocessing by request options: threshold, classes, orientation.

In this order: the threshold of a two-class model, the classes to keep, the file's orientation.
Shapes: labels (H, W), confidence (H, W), probabilities (K, H, W), pixels (H, W, 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.labels import LabelSet
from maskzoo.service.errors import BadParameterError
from maskzoo.service.schemas import SegmentOptions


@dataclass(frozen=True)
class Found:
    """The arrays of one image; None where the answer does not need one."""

    labels: np.ndarray
    confidence: np.ndarray | None
    pixels: np.ndarray
    probabilities: np.ndarray | None = None


def check_options(options: SegmentOptions, labels: LabelSet) -> None:
    """Refuse what the model has no answer to, before anything is decoded.

    Raises:
        BadParameterError: a threshold for a model of more than two classes.
        UnknownNameError: a class to keep that the model does not have.
    """
    if options.threshold is not None and labels.num_classes != 2:
        raise BadParameterError(
            [f"threshold: only for models of two classes; this one has {labels.num_classes}"]
        )
    kept_classes(options, labels)


def kept_classes(options: SegmentOptions, labels: LabelSet) -> list[int] | None:
    """Return the ids of the classes to keep; None for all."""
    if options.classes is None:
        return None
    known = [*labels.names, *map(str, range(labels.num_classes))]
    words = [word.strip() for word in options.classes.split(",")]
    for word in words:
        if word not in known:
            raise UnknownNameError("class", word, list(labels.names))
    return [labels.names.index(word) if word in labels.names else int(word) for word in words]


def apply_options(
    found: Found, options: SegmentOptions, labels: LabelSet, *, orientation: int = 1
) -> Found:
    """Return what is to be answered.

    Args:
        orientation: the file's EXIF number, which was applied when it was decoded.
    """
    if options.threshold is not None:
        found = _with_threshold(found, options.threshold)
    kept = kept_classes(options, labels)
    if kept is not None:
        others = labels.ignore_index if labels.background is None else labels.background
        is_kept = np.isin(found.labels, [*kept, others])
        found = replace(
            found, labels=np.where(is_kept, found.labels, others).astype(found.labels.dtype)
        )
    if options.orientation == "original" and orientation != 1:
        found = Found(
            labels=turn_back(found.labels, orientation),
            confidence=None
            if found.confidence is None
            else turn_back(found.confidence, orientation),
            pixels=turn_back(found.pixels, orientation),
            probabilities=_turn_planes_back(found.probabilities, orientation),
        )
    return found


def turn_back(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Return (H, W, …) as the file holds it: the inverse of its EXIF orientation."""
    turned = {
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.swapaxes(0, 1),
        6: lambda image: np.rot90(image, 1),
        7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
        8: lambda image: np.rot90(image, -1),
    }.get(orientation, lambda image: image)(upright)
    return np.ascontiguousarray(turned)


def _turn_planes_back(planes: np.ndarray | None, orientation: int) -> np.ndarray | None:
    if planes is None:
        return None
    return np.ascontiguousarray(
        turn_back(planes.transpose(1, 2, 0), orientation).transpose(2, 0, 1)
    )


def _with_threshold(found: Found, threshold: float) -> Found:
    """Let class 1 win where its probability is at least `threshold`."""
    assert found.confidence is not None, "a threshold asks for confidence"
    winning = found.confidence.astype(np.float32)
    second = np.where(found.labels == 1, winning, 1 - winning)
    is_second = second >= threshold
    confidence = np.where(is_second, second, 1 - second).astype(found.confidence.dtype)
    return replace(found, labels=is_second.astype(found.labels.dtype), confidence=confidence)
