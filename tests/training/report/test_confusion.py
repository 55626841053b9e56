"""The confusion matrix of the report, against fractions worked out by hand."""

from __future__ import annotations

import numpy as np

from maskzoo.training.report.confusion import (
    Confusion,
    MatrixRow,
    most_frequent_confusions,
    view_matrix,
)

COUNTS = np.array([[6, 3, 1], [5, 15, 0], [0, 0, 0]])


def test_each_row_is_a_fraction_of_the_truth_and_a_class_without_pixels_is_all_zero() -> None:
    view = view_matrix(COUNTS, ["a", "b", "c"])
    assert view.rows == (
        MatrixRow("a", 10, (0.6, 0.3, 0.1)),
        MatrixRow("b", 20, (0.25, 0.75, 0.0)),
        MatrixRow("c", 0, (0.0, 0.0, 0.0)),
    )
    assert view.names == ("a", "b", "c")


def test_a_matrix_of_many_classes_has_no_room_for_numbers() -> None:
    for size, expected in ((30, True), (31, False)):
        names = [str(number) for number in range(size)]
        assert view_matrix(np.eye(size, dtype=np.int64), names).has_numbers is expected


def test_confusions_are_the_wrong_pairs_by_their_pixels() -> None:
    assert most_frequent_confusions(COUNTS, ["a", "b", "c"]) == [
        Confusion("b", "a", pixels=5, of_class=5 / 20, of_errors=5 / 9),
        Confusion("a", "b", pixels=3, of_class=3 / 10, of_errors=3 / 9),
        Confusion("a", "c", pixels=1, of_class=1 / 10, of_errors=1 / 9),
    ]
    assert COUNTS[0, 0] == 6, "the counts stay as they were"
    assert most_frequent_confusions(np.diag([3, 4]), ["a", "b"]) == []


def test_at_most_ten_confusions_are_listed() -> None:
    counts = np.arange(16).reshape(4, 4)
    listed = most_frequent_confusions(counts, "abcd")
    assert [one.pixels for one in listed] == [14, 13, 12, 11, 9, 8, 7, 6, 4, 3]
