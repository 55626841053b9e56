"""What an evaluation hands out: the metrics of a bundle, the whole document, the command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from maskzoo import PredictOptions
from maskzoo.training.scoring.bootstrap import mean_iou_interval
from maskzoo.training.scoring.boundary import BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ConfusionMatrix, ImageMeans
from maskzoo.training.scoring.records import Evaluation, RunsOn

NAMES = ["ground", "disc"]


@pytest.fixture
def evaluation() -> Evaluation:
    """Two images of 100 pixels, scored by hand; the third class of the truth is ignored."""
    random = np.random.default_rng(0)
    matrix = ConfusionMatrix(2, ignore_index=255)
    boundary = BoundaryCounts(2, ignore_index=255)
    calibration = Calibration(2, ignore_index=255)
    each = []
    for _ in range(2):
        truth, prediction = random.integers(0, 2, (2, 10, 10)).astype(np.uint8)
        one = ConfusionMatrix(2, ignore_index=255)
        one.update(truth, prediction)
        matrix.counts += one.counts
        each.append(one.counts)
        boundary.update(truth, prediction)
        calibration.update(truth, prediction, np.full((10, 10), 0.75))
    return Evaluation(
        bundle="discs",
        data="discs data",
        fingerprint="f00",
        split="test",
        runs_on=RunsOn("torch", "float32", "cpu"),
        options=PredictOptions(),
        images=2,
        scores=matrix.scores(NAMES),
        image_means=ImageMeans.of(each),
        boundary=boundary,
        calibration=calibration,
        interval=mean_iou_interval(each, resamples=20),
        matrix=matrix.counts,
        seconds_per_image={"network": 0.5},
    )


def test_a_bundle_keeps_scores_classes_and_how_they_were_measured(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics()
    assert metrics.mean_iou == evaluation.scores.mean_iou
    assert metrics.mean_boundary_iou == np.mean(evaluation.boundary.ious())
    assert metrics.expected_calibration_error == pytest.approx(
        abs((evaluation.matrix[0, 0] + evaluation.matrix[1, 1]) / 200 - 0.75)
    )
    assert [row.name for row in metrics.per_class] == NAMES
    assert [row.boundary_iou for row in metrics.per_class] == evaluation.boundary.ious()
    assert [row.dice for row in metrics.per_class] == [
        row.dice for row in evaluation.scores.per_class
    ]
    assert (metrics.split, metrics.data_fingerprint, metrics.images) == ("test", "f00", 2)
    assert (metrics.engine, metrics.precision, metrics.device) == ("torch", "float32", "cpu")
    assert metrics.mean_iou_all == evaluation.scores.mean_iou_all
    assert metrics.mean_image_iou == pytest.approx(np.mean(evaluation.image_means.iou))
    assert metrics.mean_image_dice == pytest.approx(np.mean(evaluation.image_means.dice))
    assert [row.image_iou for row in metrics.per_class] == list(evaluation.image_means.iou)
    assert [row.image_dice for row in metrics.per_class] == list(evaluation.image_means.dice)
    assert [row.images for row in metrics.per_class] == [2, 2]
    assert (metrics.mode, metrics.tta, metrics.overlap) == ("auto", "none", 0.25)
    assert metrics.boundary_width == "2% of the diagonal"
    assert metrics.mean_iou_interval is not None
    assert evaluation.interval is not None
    assert metrics.mean_iou_interval.low == evaluation.interval.low
    assert metrics.mean_iou_interval.over == "images"
    assert replace(evaluation, interval=None).metrics().mean_iou_interval is None


def test_the_keys_of_the_document_are_those_of_the_glossary(
    evaluation: Evaluation,
) -> None:
    document = json.loads(json.dumps(evaluation.to_json()))
    assert list(document) == [
        *("bundle", "data", "data_fingerprint", "split", "engine", "precision", "device"),
        *("mode", "tta", "overlap", "images", "how", "mean_iou", "mean_dice", "mean_recall"),
        *("mean_iou_all", "mean_dice_all", "mean_image_iou", "mean_image_dice", "pixel_accuracy"),
        *("classes_counted", "classes_counted_all", "absent_classes", "pixels_counted"),
        *("per_class", "mean_boundary_iou"),
        *("boundary_width", "expected_calibration_error", "mean_iou_interval"),
        *("confusion", "calibration", "seconds_per_image"),
    ]
    assert document["confusion"] == evaluation.matrix.tolist()
    assert sum(one["pixels"] for one in document["calibration"]) == 200
    assert document["calibration"][0] == {"pixels": 0, "accuracy": None, "confidence": None}
    assert document["seconds_per_image"] == {"network": 0.5}


def test_how_it_was_measured_names_views_and_smaller_parts(evaluation: Evaluation) -> None:
    how = evaluation.metrics().how or ""
    assert "mmsegmentation's definition" in how
    assert how.endswith("through maskzoo.Predictor, mode auto")
    options = PredictOptions(mode="tiled", tta="flip")
    how = replace(evaluation, options=options, spared=1).metrics().how or ""
    assert how.endswith("mode tiled, views flip; 1 of 2 in smaller parts, as memory ran out")


def test_the_command_has_the_options_that_are_not_the_usual_ones(evaluation: Evaluation) -> None:
    usual = "maskzoo evaluate discs data/discs --split test"
    assert evaluation.command("data/discs", engine="auto") == usual
    options = PredictOptions(mode="tiled", tta="flip", overlap=0.5)
    other = replace(evaluation, options=options)
    command = other.command("data/discs", engine="torch", device="cpu")
    assert command == f"{usual} --mode tiled --tta flip --overlap 0.5 --engine torch --device cpu"


def test_a_foreground_has_its_iou_and_dice_by_hand(evaluation: Evaluation) -> None:
    assert evaluation.foreground_scores is None
    assert "foreground_iou" not in evaluation.to_json()
    (_, false), (missed, hits) = evaluation.matrix.tolist()
    document = replace(evaluation, foreground=1).to_json()
    assert document["foreground_iou"] == hits / (hits + false + missed)
    assert document["foreground_image_iou"] == evaluation.image_means.iou[1]
    assert document["foreground_image_dice"] == evaluation.image_means.dice[1]
    assert document["foreground_dice"] == 2 * hits / (2 * hits + false + missed)
