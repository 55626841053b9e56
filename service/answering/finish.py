"""Postprocessing of a segmentation by the options of its request.

In this order: the threshold of a two-class model, the classes to keep, the file's orientation.
Shapes: label map (H, W), confidence (H, W), probabilities (K, H, W).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.images.orientation import from_upright
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Bands
from maskzoo.service.errors import BadParameterError
from maskzoo.service.schemas import SegmentOptions


def check_answerable(options: SegmentOptions, labels: LabelSet, bands: Bands | None) -> None:
    """Reject options that a model with these classes and bands cannot meet, before decoding.

    Raises:
        BadParameterError: a threshold for a model of more than two classes, or bands to show that
            it does not take.
        UnknownNameError: a class to keep that the model does not have.
    """
    if options.threshold is not None and labels.num_classes != 2:
        raise BadParameterError(
            [f"threshold: only for models of two classes; this one has {labels.num_classes}"]
        )
    wanted = options.shown_bands
    known = [] if bands is None else [band.number for band in bands.channels]
    absent = [number for number in wanted or () if number not in known]
    if absent:
        taken = ", ".join(map(str, known)) or "red, green and blue"
        raise BadParameterError([f"bands: {absent[0]} is not a band of this model ({taken})"])
    kept_classes(options, labels)


def kept_classes(options: SegmentOptions, labels: LabelSet) -> list[int] | None:
    """Return the ids of the classes to keep; None for all.

    Raises:
        UnknownNameError: the model does not have one of them.
    """
    if options.classes is None:
        return None
    known = [*labels.names, *map(str, range(labels.num_classes))]
    words = [word.strip() for word in options.classes.split(",")]
    for word in words:
        if word not in known:
            raise UnknownNameError("class", word, list(labels.names))
    return [labels.names.index(word) if word in labels.names else int(word) for word in words]


def finish(
    segmentation: Segmentation, options: SegmentOptions, labels: LabelSet, *, orientation: int = 1
) -> Segmentation:
    """Return a segmentation after the options' postprocessing.

    Args:
        labels: the classes of the model.
        orientation: the file's EXIF number, which was applied when it was decoded.
    """
    if options.threshold is not None:
        segmentation = _with_threshold(segmentation, options.threshold)
    kept = kept_classes(options, labels)
    if kept is not None:
        segmentation = _with_classes(segmentation, kept, labels)
    if options.orientation == "original" and orientation != 1:
        segmentation = _as_in_the_file(segmentation, orientation)
    return segmentation


def _with_threshold(segmentation: Segmentation, threshold: float) -> Segmentation:
    """Choose class 1 where its probability is at least `threshold`."""
    assert segmentation.confidence is not None, "a threshold asks for confidence"
    ids, chosen = segmentation.label_map, segmentation.confidence.astype(np.float32)
    second = np.where(ids == 1, chosen, 1 - chosen)  # of two classes: p1 = 1 - p0
    is_second = second >= threshold
    confidence = np.where(is_second, second, 1 - second).astype(segmentation.confidence.dtype)
    return replace(segmentation, label_map=is_second.astype(ids.dtype), confidence=confidence)


def _with_classes(segmentation: Segmentation, kept: list[int], labels: LabelSet) -> Segmentation:
    """Turn every class that is not `kept` into background or, without one, into no class."""
    ids = segmentation.label_map
    others = labels.ignore_index if labels.background is None else labels.background
    is_kept = np.isin(ids, [*kept, others])
    return replace(segmentation, label_map=np.where(is_kept, ids, others).astype(ids.dtype))


def _as_in_the_file(segmentation: Segmentation, orientation: int) -> Segmentation:
    confidence, planes = segmentation.confidence, segmentation.probabilities
    return replace(
        segmentation,
        label_map=from_upright(segmentation.label_map, orientation),
        confidence=None if confidence is None else from_upright(confidence, orientation),
        probabilities=None if planes is None else _planes_from_upright(planes, orientation),
    )


def _planes_from_upright(planes: np.ndarray, orientation: int) -> np.ndarray:
    """Do the same for (K, H, W)."""
    stored = from_upright(planes.transpose(1, 2, 0), orientation)
    return np.ascontiguousarray(stored.transpose(2, 0, 1))
