"""Scores of a network on labelled images, through the predictor that the service uses.

The prediction has the image's own size, upright, and is compared with the mask at that size.
Training's validation, the metrics in a bundle and `maskzoo evaluate` all use this module, and the
mask that the server sends has the same score.

| score | defined in |
| --- | --- |
| IoU, Dice, precision, recall, pixel accuracy; pooled and by image | `training.scoring.metrics` |
| boundary IoU | `training.scoring.boundary` |
| expected calibration error | `training.scoring.calibration` |
| interval of the mean IoU | `training.scoring.bootstrap` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.models.images.raster.bands import show
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.records.samples import Sample, Split
from maskzoo.training.scoring.bootstrap import mean_iou_interval
from maskzoo.training.scoring.boundary import BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ConfusionMatrix, ImageMeans
from maskzoo.training.scoring.records import Evaluation, RunsOn, Scored
from maskzoo.training.scoring.sparing import SparingPredictor


def evaluate_split(
    predictor: SparingPredictor,
    data: SegmentationData,
    *,
    split: Split,
    name: str,
    options: PredictOptions = DEFAULT_OPTIONS,
    on_image: Callable[[int, int], None] = lambda done, total: None,
    on_scored: Callable[[Scored], None] = lambda scored: None,
) -> Evaluation:
    """Score `predictor` on one split.

    Args:
        options: how images are predicted; confidence is always computed.
        name: of the bundle, for the reader.
        on_image: called with the number of images done, and of all.
        on_scored: called with each image and its prediction.

    Raises:
        DataError: the split is empty.
    """
    samples = data.samples(split)
    if not samples:
        raise DataError(
            f"split {split!r} of {str(data.root)!r} has no images; it has "
            + ", ".join(f"{word} ({len(some)})" for word, some in data.splits.items())
        )
    tally = _Tally(data.labels)
    spared_before = predictor.spared
    options = replace(options, confidence=True)
    for done, scored in enumerate(score_images(predictor, data, samples, options), start=1):
        tally.add(scored)
        on_scored(scored)
        on_image(done, len(samples))
    engine = predictor.predictor.engine
    return Evaluation(
        bundle=name,
        data=data.name,
        fingerprint=data.fingerprint,
        split=split,
        runs_on=RunsOn(engine.name, engine.precision, str(engine.device)),
        options=options,
        images=len(samples),
        scores=tally.matrix.scores(data.labels.names),
        image_means=ImageMeans.of(tally.counts),
        boundary=tally.boundary,
        calibration=tally.calibration,
        interval=mean_iou_interval(tally.counts),
        matrix=tally.matrix.counts,
        seconds_per_image={stage: total / len(samples) for stage, total in tally.seconds.items()},
        spared=predictor.spared - spared_before,
        foreground=data.labels.foreground,
    )


class _Tally:
    """Adds up what the scores of a split are made of.

    Attributes:
        counts: the confusion matrix of each image, for the bootstrap.
        seconds: of all images, by stage.
    """

    def __init__(self, labels: LabelSet) -> None:
        num_classes, ignored = labels.num_classes, labels.ignore_index
        self.matrix = ConfusionMatrix(num_classes, ignore_index=ignored)
        self.boundary = BoundaryCounts(num_classes, ignore_index=ignored)
        self.calibration = Calibration(num_classes, ignore_index=ignored)
        self.counts: list[np.ndarray] = []
        self.seconds: dict[str, float] = {}

    def add(self, scored: Scored) -> None:
        """Count one image."""
        segmentation = scored.segmentation
        assert segmentation.confidence is not None, "it was asked for"
        self.matrix.counts += scored.counts
        self.counts.append(scored.counts)
        self.boundary.update(scored.truth, segmentation.label_map)
        self.calibration.update(scored.truth, segmentation.label_map, segmentation.confidence)
        for stage, seconds in segmentation.timings.items():
            self.seconds[stage] = self.seconds.get(stage, 0) + seconds


def score_images(
    predictor: SparingPredictor,
    data: SegmentationData,
    samples: Sequence[Sample],
    options: PredictOptions,
) -> Iterator[Scored]:
    """Yield each image with its prediction; one is in memory at a time."""
    labels = data.labels
    for sample in samples:
        image, truth = data.read(sample)
        segmentation = predictor.segment(image, options)
        matrix = ConfusionMatrix(labels.num_classes, ignore_index=labels.ignore_index)
        matrix.update(truth, segmentation.label_map)
        yield Scored(sample.stem, show(image, data.bands), truth, segmentation, matrix.counts)


def count_pixels(
    predictor: SparingPredictor,
    data: SegmentationData,
    samples: Sequence[Sample],
    *,
    on_counts: Callable[[np.ndarray], None] = lambda counts: None,
) -> ConfusionMatrix:
    """Return the confusion matrix of `samples`; a validation needs no more.

    Args:
        on_counts: called with the matrix of each image.
    """
    labels = data.labels
    matrix = ConfusionMatrix(labels.num_classes, ignore_index=labels.ignore_index)
    for scored in score_images(predictor, data, samples, PredictOptions(confidence=False)):
        matrix.counts += scored.counts
        on_counts(scored.counts)
    return matrix


def check_same_classes(model: LabelSet, data: LabelSet) -> None:
    """Raise `DataError` unless a model's classes are the data's, in the same order."""
    if model.names != data.names:
        raise DataError(
            f"the model knows the classes {', '.join(model.names)}; the data has "
            f"{', '.join(data.names)}: names and order must agree (see dataset.yaml)"
        )
