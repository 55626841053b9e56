"""Scores against matrices that were worked out by hand, and mmsegmentation's definition."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.scoring.metrics import ConfusionMatrix, ImageMeans, counted_pixels

IGNORE = 255


def test_the_matrix_has_the_truth_in_rows() -> None:
    matrix = ConfusionMatrix(3, ignore_index=IGNORE)
    truth = np.array([[0, 0, 1], [1, 2, IGNORE]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    matrix.update(truth, prediction)
    assert matrix.counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert matrix.counts.dtype == np.int64


def test_scores_equal_a_computation_by_hand() -> None:
    matrix = ConfusionMatrix(3, ignore_index=IGNORE)
    matrix.counts[:] = [[50, 10, 0], [5, 25, 10], [0, 0, 0]]
    scores = matrix.scores(["a", "b", "c"])
    a, b, c = scores.per_class
    assert (a.iou, a.dice, a.precision, a.recall) == (50 / 65, 100 / 115, 50 / 55, 50 / 60)
    assert (b.iou, b.dice, b.precision, b.recall) == (25 / 50, 50 / 75, 25 / 35, 25 / 40)
    assert (c.iou, c.dice, c.precision, c.recall) == (0, 0, 0, None)  # only predicted
    assert scores.mean_iou == pytest.approx((50 / 65 + 25 / 50) / 2, abs=1e-15)
    assert scores.mean_dice == pytest.approx((100 / 115 + 50 / 75) / 2, abs=1e-15)
    assert scores.mean_iou_all == pytest.approx((50 / 65 + 25 / 50 + 0) / 3, abs=1e-15)
    assert scores.mean_dice_all == pytest.approx((100 / 115 + 50 / 75 + 0) / 3, abs=1e-15)
    assert scores.mean_recall == pytest.approx((50 / 60 + 25 / 40) / 2, abs=1e-15)
    assert scores.pixel_accuracy == 75 / 100
    assert (scores.classes_counted, scores.classes_counted_all) == (2, 3)
    assert (scores.absent_classes, scores.pixels_counted) == (("c",), 100)
    assert [row.pixels for row in scores.per_class] == [60, 40, 0]


def mmseg_mean_iou(truths: list[np.ndarray], predictions: list[np.ndarray], classes: int) -> float:
    """mmsegmentation's IoUMetric: histograms of each image, summed, then nanmean of IoU."""
    areas = np.zeros((3, classes))
    for truth, prediction in zip(truths, predictions, strict=True):
        counted = truth != IGNORE
        truth, prediction = truth[counted], prediction[counted]
        hits = prediction[prediction == truth]
        for row, values in enumerate((hits, prediction, truth)):
            areas[row] += np.histogram(values, bins=classes, range=(0, classes - 1))[0]
    intersection, predicted, labelled = areas
    with np.errstate(invalid="ignore"):
        return float(np.nanmean(intersection / (predicted + labelled - intersection)))


def test_the_mean_of_all_classes_is_mmsegmentations_over_the_whole_data_set() -> None:
    random = np.random.default_rng(0)
    truths = [random.choice([0, 1, 2, 3, 5, IGNORE], (13, 17)) for _ in range(4)]
    predictions = [random.choice([0, 1, 2, 3, 6], (13, 17)) for _ in range(4)]
    matrix = ConfusionMatrix(8, ignore_index=IGNORE)
    for truth, prediction in zip(truths, predictions, strict=True):
        matrix.update(truth.astype(np.uint8), prediction.astype(np.uint8))
    scores = matrix.scores([str(index) for index in range(8)])
    assert scores.mean_iou_all == pytest.approx(mmseg_mean_iou(truths, predictions, 8), abs=1e-12)
    assert (scores.classes_counted, scores.classes_counted_all) == (5, 6)  # 6 is only predicted
    assert scores.absent_classes == ("4", "6", "7")


def test_the_two_means_are_none_of_the_other_numbers_of_that_name() -> None:
    # Class 3 occurs only as 64 false pixels, class 4 nowhere. Other tools make of these counts:
    matrix = ConfusionMatrix(5, ignore_index=IGNORE)
    matrix.counts[:3, :4] = [[1602, 0, 0, 0], [1, 159, 0, 0], [0, 0, 38, 64]]
    scores = matrix.scores("abcde")
    ious = [1602 / 1603, 159 / 160, 38 / 102]
    hits, total = 1602 + 159 + 38, 1864
    assert round(sum(ious) / 5, 3) == 0.473  # absent classes as 0
    assert round(hits / (2 * total - hits), 3) == 0.933  # all classes pooled
    assert round(scores.mean_iou or 0, 3) == 0.789  # only classes of the truth
    assert round(scores.mean_iou_all or 0, 3) == 0.591  # mmsegmentation's
    assert [row.iou for row in scores.per_class] == [*ious, 0.0, None]
    assert (scores.classes_counted, scores.classes_counted_all) == (3, 4)
    assert (scores.per_class[3].recall, scores.per_class[4].recall) == (None, None)


def test_ignored_pixels_count_nowhere_whatever_was_predicted_there() -> None:
    matrix = ConfusionMatrix(2, ignore_index=IGNORE)
    matrix.update(np.full((4, 4), IGNORE, np.uint8), np.full((4, 4), 9, np.uint8))
    scores = matrix.scores(["a", "b"])
    assert matrix.counts.sum() == 0
    assert (scores.mean_iou, scores.pixel_accuracy, scores.classes_counted) == (None, None, 0)


def test_each_image_weighs_the_same_in_the_means_over_images() -> None:
    large = np.array([[900, 0, 0], [0, 100, 0], [0, 0, 0]])
    small = np.array([[5, 1, 0], [2, 2, 0], [0, 0, 0]])
    bare = np.array([[10, 0, 0], [0, 0, 0], [0, 0, 0]])  # class 1 is rightly absent: not counted
    false = np.array([[6, 4, 0], [0, 0, 0], [0, 0, 0]])  # class 1 is only predicted: 0
    means = ImageMeans.of([large, small, bare, false])
    assert means.images == (4, 3, 0)
    assert means.iou[:2] == pytest.approx(((1 + 5 / 8 + 1 + 6 / 10) / 4, (1 + 2 / 5 + 0) / 3))
    assert means.dice[:2] == pytest.approx(((1 + 10 / 13 + 1 + 12 / 16) / 4, (1 + 4 / 7 + 0) / 3))
    assert (means.iou[2], means.dice[2]) == (None, None)


def test_a_mean_over_the_truth_leaves_out_what_is_only_predicted() -> None:
    matrix = ConfusionMatrix(3, ignore_index=IGNORE)
    matrix.counts[:] = [[6, 0, 1], [2, 3, 0], [0, 0, 0]]
    scores = matrix.scores("abc")
    assert scores.mean([0.25, 0.75, 0.0]) == 0.5
    assert scores.mean([0.25, None, 0.0]) == 0.25
    assert scores.mean([None, None, 0.0]) is None


def test_counts_stay_exact_far_beyond_float32() -> None:
    matrix = ConfusionMatrix(2, ignore_index=IGNORE)
    matrix.counts[0, 0] = 2**40
    matrix.update(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    assert matrix.scores(["a", "b"]).pixels_counted == 2**40 + 1


@pytest.mark.parametrize(
    ("truth", "prediction", "what"),
    [(2, 0, "mask has the ids 2"), (254, 0, "mask has the ids 254"), (-1, 0, "mask has the ids -1"),
     (-2, 1, "mask has the ids -2"), (0, 2, "prediction has the ids 2"),
     (1, -1, "prediction has the ids -1"), (0, IGNORE, "prediction has the ids 255")],
)  # fmt: skip
def test_an_id_that_is_not_a_class_is_an_error_and_counts_nowhere(
    truth: int, prediction: int, what: str
) -> None:
    matrix = ConfusionMatrix(2, ignore_index=IGNORE)
    with pytest.raises(DataError, match=rf"the {what}; allowed are 0 to 1"):
        matrix.update(np.full((2, 2), truth, np.int16), np.full((2, 2), prediction, np.int16))
    assert matrix.counts.sum() == 0


def test_a_negative_id_may_be_the_one_that_is_ignored() -> None:
    matrix = ConfusionMatrix(2, ignore_index=-1)
    matrix.update(np.array([[-1, 1, 0]]), np.array([[-1, 1, 1]]))
    assert matrix.counts.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(DataError, match=r"the prediction has the ids -1; allowed are 0 to 1$"):
        matrix.update(np.array([[1]]), np.array([[-1]]))


def test_the_message_lists_a_few_of_many_wrong_ids() -> None:
    truth = np.arange(100, dtype=np.uint8).reshape(10, 10)
    with pytest.raises(DataError, match=r"the ids 2, 3, 4, 5, 6 and 93 more; allowed are 0 to 1 "):
        counted_pixels(truth, truth, num_classes=2, ignore_index=IGNORE)


def test_sizes_must_agree() -> None:
    matrix = ConfusionMatrix(2, ignore_index=IGNORE)
    with pytest.raises(DataError, match="mask is 3 x 2 but the prediction is 2 x 3"):
        matrix.update(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
