"""Scores of a network on labelled images, through the predictor that also serves.

The prediction has the image's own size, upright; it is compared with the mask at that size.
Training's validation, the metrics in a bundle and `maskzoo evaluate` are all this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle import read_manifest
from models.errors import DataError
from models.inference.predictor import Predictor
from models.labels import LabelSet
from training.data.dataset import SegmentationData, open_dataset
from training.data.index import Sample, Split
from training.metrics import ConfusionMatrix, Scores
from training.report.table import scores_table

HOW = (
    "one confusion matrix over all pixels of the split at original size, ignored pixels left out; "
    "mean IoU over the classes whose union is not empty (mmsegmentation's definition); "
    "through models.Predictor, mode {mode}"
)


@dataclass(frozen=True)
class Evaluation:
    """Scores of one bundle on one split.

    Attributes:
        images: how many were scored.
        fingerprint: of the data.
    """

    bundle: str
    data: str
    fingerprint: str
    split: str
    mode: str
    images: int
    scores: Scores

    def to_json(self) -> dict[str, Any]:
        """Return plain types; this is also what a bundle keeps as its metrics."""
        return {
            "bundle": self.bundle,
            "data": self.data,
            "data_fingerprint": self.fingerprint,
            "split": self.split,
            "mode": self.mode,
            "images": self.images,
            "how": HOW.format(mode=self.mode),
            **self.scores.to_json(),
        }

    def table(self) -> str:
        """Return the scores as text for a terminal."""
        title = f"{self.bundle} on {self.data}, split {self.split}, {self.images} images"
        return scores_table(self.scores, title=title)


def evaluate(
    bundle: Path, data: Path, *, split: Split = "test", device: str = "auto", mode: str = "auto"
) -> Evaluation:
    """Score the bundle at `bundle` on one split of the data at `data`.

    Where the data has no split of its own, it is split with the seed of the bundle's run.

    Args:
        split: `train`, `val` or `test`.
        device: where to compute.
        mode: the predictor's way with large images.

    Raises:
        DataError: the split is empty, or the data has other classes than the bundle.
    """
    recipe = read_manifest(bundle).provenance.get("recipe") or {}
    opened = open_dataset(data, seed=recipe.get("seed", 0))
    predictor = Predictor.from_bundle(bundle, device=device)
    check_classes(predictor.labels, opened.labels)
    return evaluate_split(predictor, opened, split=split, name=bundle.name, mode=mode)


def evaluate_split(
    predictor: Predictor,
    data: SegmentationData,
    *,
    split: Split,
    name: str,
    mode: str = "auto",
    on_image: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Score `predictor` on one split; `on_image` is told the number of images done."""
    samples = data.samples(split)
    if not samples:
        raise DataError(
            f"split {split!r} of {str(data.root)!r} has no images; it has "
            + ", ".join(f"{word} ({len(some)})" for word, some in data.splits.items())
        )
    matrix = count_pixels(predictor, data, samples, mode=mode, on_image=on_image)
    return Evaluation(
        bundle=name,
        data=data.name,
        fingerprint=data.fingerprint,
        split=split,
        mode=mode,
        images=len(samples),
        scores=matrix.scores(data.labels.names),
    )


def count_pixels(
    predictor: Predictor,
    data: SegmentationData,
    samples: Sequence[Sample],
    *,
    mode: str = "auto",
    on_image: Callable[[int], None] = lambda done: None,
) -> ConfusionMatrix:
    """Return the confusion matrix of `samples`; one image is in memory at a time."""
    labels = data.labels
    matrix = ConfusionMatrix(labels.num_classes, ignore_index=labels.ignore_index)
    for done, sample in enumerate(samples, start=1):
        image, mask = data.read(sample)
        matrix.update(mask, predictor.segment(image, mode=mode, confidence=False).labels)
        on_image(done)
    return matrix


def check_classes(model: LabelSet, data: LabelSet) -> None:
    """Raise `DataError` unless a model's classes are the data's, in the same order."""
    if model.names != data.names:
        raise DataError(
            f"the model knows the classes {', '.join(model.names)}; the data has "
            f"{', '.join(data.names)}: names and order must agree (see dataset.yaml)"
        )
