"""Evaluation of a bundle on a folder of images and masks, opened as its training opened it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from maskzoo.models.bundles.manifest import Manifest, read_manifest
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.records.samples import Split
from maskzoo.training.scoring.evaluate import check_same_classes, evaluate_split
from maskzoo.training.scoring.records import Evaluation
from maskzoo.training.scoring.sparing import SparingPredictor


def evaluate_bundle(
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

    Data without splits of its own is split by the seed of the bundle's training, so that no image
    that was trained on is in the test split.

    Args:
        split: `train`, `val` or `test`.
        device, engine: of the computation.
        options: how images are predicted.
        on_image: called with the number of images done, and of all.

    Raises:
        DataError: the split is empty, or the data has other classes than the bundle.
    """
    manifest = read_manifest(bundle)
    opened = open_as_trained(manifest, data)
    predictor = Predictor.from_bundle(bundle, device=device, engine=engine)
    check_same_classes(predictor.labels, opened.labels)
    return evaluate_split(
        SparingPredictor(predictor),
        opened,
        split=split,
        name=manifest.name,
        options=options,
        on_image=on_image,
    )


def open_as_trained(manifest: Manifest, data: Path) -> SegmentationData:
    """Open data as the bundle's training did: with its seed, its `allow_bad` and its bands."""
    recipe = manifest.provenance.recipe or {}
    opened = open_dataset(
        data,
        seed=recipe.get("seed", 0),
        masks=recipe.get("masks"),
        allow_bad=recipe.get("allow_bad", 0),
    )
    ours = manifest.preprocessing
    return replace(opened, preprocessing=None if ours.bands is None else ours)
