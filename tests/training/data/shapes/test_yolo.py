from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import open_dataset
from tests.training.data.documents import (
    SQUARE,
    square_mask,
)
from tests.training.data.reading import find_pairs
from tests.training.data.truth import (
    assert_truth,
    outlines,
    write_pairs,
)


def test_yolo_is_drawn_with_the_names_of_its_own_file(images):
    (images / "labels").mkdir()
    scaled = " ".join(f"{x / 32} {y / 24}" for x, y in SQUARE)
    for number in range(6):
        (images / "labels" / f"{number}.txt").write_text(f"0 {scaled}\n")
    (images / "data.yaml").write_text("names: {0: dog, 1: cat}\ntrain: images\n")
    data = open_dataset(images)
    assert data.labels.names == ("background", "dog", "cat")
    assert np.array_equal(data.read(data.all_samples[0])[1], square_mask())


def test_yolo_boxes_are_not_masks(images):
    (images / "labels").mkdir()
    (images / "labels" / "0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match="no images with masks"):
        find_pairs(images)


def test_yolo_text_is_read(tmp_path):
    def write(path, mask, number):
        lines = [
            f"{label - 1} " + " ".join(f"{value:.6f}" for value in (points / (64, 48)).ravel())
            for label, points in outlines(number)
        ]
        path.write_text("\n".join(lines))

    write_pairs(tmp_path, "images/{split}/{n}.png", "labels/{split}/{n}.txt", write)
    (tmp_path / "data.yaml").write_text("names: [box, disc]\ntrain: images/train\n")
    assert_truth(tmp_path)
