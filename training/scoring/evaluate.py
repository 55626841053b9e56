"""Scores of a network on labelled images, through the predictor that also serves.

The prediction has the image's own size, upright; it is compared with the mask at that size.
Training's validation, the metrics in a bundle and `maskzoo evaluate` are all this file, and the
mask that the server sends scores the same.

| score | defined in |
| --- | --- |
| IoU, Dice, precision, recall, pixel accuracy | `training.scoring.metrics` |
| boundary IoU | `training.scoring.boundary` |
| expected calibration error | `training.scoring.calibration` |
| interval of the mean IoU | `training.scoring.bootstrap` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.models.bundles.manifest import Manifest, read_manifest
from maskzoo.models.errors import DataError
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.records.samples import Sample, Split
from maskzoo.training.scoring.bootstrap import Interval, mean_iou_interval
from maskzoo.training.scoring.boundary import SHARE_OF_DIAGONAL, BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ConfusionMatrix, Scores
from maskzoo.training.scoring.sparing import SparingPredictor
from maskzoo.training.scoring.table import scores_table

HOW = (
    "one confusion matrix over all pixels of the split at original size, ignored pixels left out; "
    "mean IoU over the classes whose union is not empty (mmsegmentation's definition); "
    "through models.Predictor, mode {mode}{views}"
)


@dataclass(frozen=True)
class Scored:
    """One image, its truth and what the predictor made of it.

    Args:
        counts: int64 (K, K) of its pixels, the truth in rows.
    """

    sample: Sample
    image: np.ndarray
    truth: np.ndarray
    found: Segmentation
    counts: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """Scores of one bundle on one split.

    Args:
        fingerprint: of the data.
        options: how the predictor was asked.
        images: how many were scored.
        boundary: intersections and unions of the outlines.
        calibration: accuracy by confidence.
        interval: of the mean IoU; None for a single image.
        matrix: int64 (K, K), the truth in rows.
        seconds_per_image: that the predictor took, by stage.
        spared: images that were predicted in smaller parts than asked for, as memory ran out.
    """

    bundle: str
    data: str
    fingerprint: str
    split: str
    options: PredictOptions
    images: int
    scores: Scores
    boundary: BoundaryCounts
    calibration: Calibration
    interval: Interval | None
    matrix: np.ndarray
    seconds_per_image: dict[str, float] = field(default_factory=dict)
    spared: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain types; this is also what a bundle keeps as its metrics."""
        scores = self.scores.to_json()
        for row, iou in zip(scores["per_class"], self.boundary.ious(), strict=True):
            row["boundary_iou"] = iou
        views = "" if self.options.tta == "none" else f", views {self.options.tta}"
        if self.spared:
            views += f"; {self.spared} of {self.images} in smaller parts, as memory ran out"
        return {
            "bundle": self.bundle,
            "data": self.data,
            "data_fingerprint": self.fingerprint,
            "split": self.split,
            **_shown(self.options),
            "images": self.images,
            "how": HOW.format(mode=self.options.mode, views=views),
            **scores,
            "mean_boundary_iou": self.boundary.mean(),
            "boundary_width": f"{SHARE_OF_DIAGONAL:.0%} of the diagonal",
            "expected_calibration_error": self.calibration.error(),
            "mean_iou_interval": self.interval.to_json() if self.interval else None,
        }

    def command(self, data: str, *, engine: str) -> str:
        """Return the command that measures this again, on the folder `data`, by `engine`."""
        given = {**_shown(self.options), "engine": engine}
        usual = {**_shown(DEFAULT_OPTIONS), "engine": "auto"}
        extra = "".join(f" --{key} {value}" for key, value in given.items() if value != usual[key])
        return f"maskzoo evaluate {self.bundle} {data} --split {self.split}{extra}"

    def details(self) -> dict[str, Any]:
        """Return `to_json`, and with it the confusion matrix, the bins and the times."""
        return self.to_json() | {
            "confusion": self.matrix.tolist(),
            "calibration": [asdict(each) for each in self.calibration.bins()],
            "seconds_per_image": self.seconds_per_image,
        }

    def table(self) -> str:
        """Return the scores as text for a terminal."""
        title = f"{self.bundle} on {self.data}, split {self.split}, {self.images} images"
        table = scores_table(self.scores, title=title, boundary=self.boundary.ious())
        interval, error = self.interval, self.calibration.error()
        if interval is not None:
            table += (
                f"mean IoU {interval.level:.0%} interval {100 * interval.low:.2f} to "
                f"{100 * interval.high:.2f} (bootstrap over {interval.images} images)\n"
            )
        return table + (
            "" if error is None else f"expected calibration error {100 * error:.2f} %\n"
        )


def evaluate(
    bundle: Path,
    data: Path,
    *,
    split: Split = "test",
    device: str = "auto",
    engine: str = "auto",
    options: PredictOptions = DEFAULT_OPTIONS,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score the bundle at `bundle` on one split of the data at `data`.

    Where the data has no split of its own, it is split with the seed of the bundle's run.

    Args:
        split: `train`, `val` or `test`.
        device, engine: where and by what to compute.
        options: the predictor's way with large images, and its views.
        on_image: is told the number of images done, and of all.

    Raises:
        DataError: the split is empty, or the data has other classes than the bundle.
    """
    opened = open_as_trained(read_manifest(bundle), data)
    predictor = Predictor.from_bundle(bundle, device=device, engine=engine)
    check_classes(predictor.labels, opened.labels)
    return evaluate_split(
        SparingPredictor(predictor),
        opened,
        split=split,
        name=bundle.name,
        options=options,
        on_image=on_image,
    )


def open_as_trained(manifest: Manifest, data: Path) -> SegmentationData:
    """Open data as the bundle's run did: split by its seed, as many bad samples left out."""
    recipe = manifest.provenance.recipe or {}
    return open_dataset(data, seed=recipe.get("seed", 0), allow_bad=recipe.get("allow_bad", 0))


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
        name: of the bundle, for the reader.
        on_image: is told the number of images done, and of all.
        on_scored: called with each image and its prediction, one at a time.

    Raises:
        DataError: the split is empty.
    """
    samples = data.samples(split)
    if not samples:
        raise DataError(
            f"split {split!r} of {str(data.root)!r} has no images; it has "
            + ", ".join(f"{word} ({len(some)})" for word, some in data.splits.items())
        )
    classes, ignored = data.labels.num_classes, data.labels.ignore_index
    matrix = ConfusionMatrix(classes, ignore_index=ignored)
    boundary = BoundaryCounts(classes, ignore_index=ignored)
    calibration = Calibration(classes, ignore_index=ignored)
    seconds: dict[str, float] = {}
    each: list[np.ndarray] = []
    spared_before = predictor.spared
    options = replace(options, confidence=True)
    for done, scored in enumerate(score_images(predictor, data, samples, options), start=1):
        matrix.counts += scored.counts
        each.append(scored.counts)
        found = scored.found
        boundary.update(scored.truth, found.label_map)
        assert found.confidence is not None, "it was asked for"
        calibration.update(scored.truth, found.label_map, found.confidence)
        for stage, value in found.timings.items():
            seconds[stage] = seconds.get(stage, 0) + value / len(samples)
        on_scored(scored)
        on_image(done, len(samples))
    return Evaluation(
        bundle=name,
        data=data.name,
        fingerprint=data.fingerprint,
        split=split,
        options=options,
        images=len(samples),
        scores=matrix.scores(data.labels.names),
        boundary=boundary,
        calibration=calibration,
        interval=mean_iou_interval(each),
        matrix=matrix.counts,
        seconds_per_image=seconds,
        spared=predictor.spared - spared_before,
    )


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
        found = predictor.segment(image, options)
        matrix = ConfusionMatrix(labels.num_classes, ignore_index=labels.ignore_index)
        matrix.update(truth, found.label_map)
        yield Scored(sample, image, truth, found, matrix.counts)


def count_pixels(
    predictor: SparingPredictor, data: SegmentationData, samples: Sequence[Sample]
) -> ConfusionMatrix:
    """Return the confusion matrix of `samples`: what a validation needs, and no more."""
    labels = data.labels
    matrix = ConfusionMatrix(labels.num_classes, ignore_index=labels.ignore_index)
    for scored in score_images(predictor, data, samples, PredictOptions(confidence=False)):
        matrix.counts += scored.counts
    return matrix


def _shown(options: PredictOptions) -> dict[str, Any]:
    """Return the options that a reader of the scores needs; the keys are those of the command."""
    return {"mode": options.mode, "tta": options.tta, "overlap": options.overlap}


def check_classes(model: LabelSet, data: LabelSet) -> None:
    """Raise `DataError` unless a model's classes are the data's, in the same order."""
    if model.names != data.names:
        raise DataError(
            f"the model knows the classes {', '.join(model.names)}; the data has "
            f"{', '.join(data.names)}: names and order must agree (see dataset.yaml)"
        )
