"""Scores through the predictor: exact, at original size, and refused where they mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskzoo.models.errors import DataError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.scoring.evaluate import check_same_classes, evaluate_split
from maskzoo.training.scoring.records import Scored
from maskzoo.training.scoring.sparing import SparingPredictor

PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), train_size=(32, 32))


class Threshold(nn.Module):
    """Calls bright pixels a disc: scores that numpy can work out too."""

    def forward(self, x: Tensor) -> Tensor:
        brightness = x.mean(1, keepdim=True) - 0.4  # that is 178.5 of 255
        return torch.cat([-brightness, brightness], dim=1)


@pytest.fixture(scope="module")
def data(make_data: Callable[..., Path]) -> SegmentationData:
    """Odd sizes, and a corner of each mask that does not count."""

    def ignore_corner(number: int, image: np.ndarray, mask: np.ndarray) -> tuple:
        mask[:20, :15] = 255
        return image, mask

    return open_dataset(make_data(size=(45, 61), alter=ignore_corner))


def test_scores_equal_a_computation_with_numpy(data: SegmentationData) -> None:
    predictor = Predictor(Threshold(), data.labels, PREPROCESSING, device="cpu")
    done: list[tuple[int, ...]] = []
    result = evaluate_split(
        SparingPredictor(predictor),
        data,
        split="test",
        name="threshold",
        on_image=lambda *pair: done.append(pair),
    )
    counts = np.zeros((2, 2), int)
    for sample in data.samples("test"):
        image, mask = data.read(sample)
        bright = image.astype(np.float64).mean(2) > 178.5
        for truth in (0, 1):
            for prediction in (0, 1):
                counts[truth, prediction] += ((mask == truth) & (bright == prediction)).sum()
    ious = [counts[k, k] / (counts[k].sum() + counts[:, k].sum() - counts[k, k]) for k in (0, 1)]
    assert [row.iou for row in result.scores.per_class] == pytest.approx(ious)
    assert 0.2 < min(ious) < 1
    assert result.scores.pixels_counted == 3 * (45 * 61 - 20 * 15)
    assert done == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_array_equal(result.matrix, counts)
    assert result.images == 3


def test_an_evaluation_says_what_was_measured_and_how(data: SegmentationData) -> None:
    predictor = Predictor(Threshold(), data.labels, PREPROCESSING, device="cpu")
    result = evaluate_split(SparingPredictor(predictor), data, split="val", name="threshold")
    assert (result.bundle, result.data, result.split) == ("threshold", "discs", "val")
    assert result.fingerprint == data.fingerprint
    assert result.interval is not None
    assert result.interval.low <= (result.scores.mean_iou or 0) <= result.interval.high
    assert result.calibration.pixels.sum() == result.matrix.sum()
    assert result.seconds_per_image.keys() >= {"preprocess", "network", "postprocess"}
    assert min(result.seconds_per_image.values()) > 0


def test_an_empty_split_is_refused(data: SegmentationData) -> None:
    predictor = Predictor(Threshold(), data.labels, PREPROCESSING, device="cpu")
    less = replace(data, all_samples=tuple(data.samples("train")))
    with pytest.raises(DataError, match=r"split 'test' of .* has no images; it has train \(10\)"):
        evaluate_split(SparingPredictor(predictor), less, split="test", name="threshold")


def test_a_model_of_other_classes_is_refused(data: SegmentationData) -> None:
    check_same_classes(data.labels, data.labels)
    with pytest.raises(DataError, match="the model knows the classes disc, ground; the data has"):
        check_same_classes(LabelSet.from_names(["disc", "ground"]), data.labels)


def test_views_and_tiles_reach_the_predictor(data: SegmentationData) -> None:
    class Sided(nn.Module):
        """Calls the left half a disc, whatever is there: a flip contradicts it."""

        def forward(self, x: Tensor) -> Tensor:
            left = torch.linspace(1, -1, x.shape[3]).expand(len(x), 1, *x.shape[2:])
            return torch.cat([-left, left], dim=1)

    predictor = Predictor(Sided(), data.labels, PREPROCESSING, device="cpu")
    flipped = PredictOptions(mode="tiled", tta="flip", overlap=0.5)
    seen: list[Scored] = []
    result = evaluate_split(
        SparingPredictor(predictor),
        data,
        split="val",
        name="sided",
        options=flipped,
        on_scored=seen.append,
    )
    assert {scored.segmentation.mode for scored in seen} == {"tiled"}
    np.testing.assert_allclose(seen[0].segmentation.confidence, 0.5, atol=1e-3)
    assert "mode tiled, views flip" in result.to_json()["how"]
    assert sum(scored.counts for scored in seen).tolist() == result.matrix.tolist()


class Timed(SparingPredictor):
    """Says that each image took two seconds."""

    def segment(self, *args: object, **options: object) -> Segmentation:
        """Segment an image."""
        return replace(super().segment(*args, **options), timings={"network": 2.0})  # type: ignore[arg-type]


def test_times_are_those_of_one_image_and_the_foreground_is_named(data: SegmentationData) -> None:
    labels = LabelSet(names=data.labels.names, colours=data.labels.colours, background=0)
    predictor = Predictor(Threshold(), labels, PREPROCESSING, device="cpu")
    result = evaluate_split(
        Timed(predictor), replace(data, labels=labels), split="test", name="threshold"
    )
    assert result.images == 3
    assert result.seconds_per_image == {"network": 2.0}
    assert result.foreground_scores == result.scores.per_class[1]
    assert result.scores.per_class[1].name == labels.names[1]
