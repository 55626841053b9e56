from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import open_dataset
from tests.training.data.documents import (
    square_mask,
    write_labelme,
)
from tests.training.data.truth import (
    assert_truth,
    outlines,
    write_pairs,
)


def test_labelme_is_drawn(images):
    for number in range(6):
        write_labelme(images, number)
    data = open_dataset(images)
    assert data.labels.names == ("background", "cat")
    for sample in data.all_samples:
        assert np.array_equal(data.read(sample)[1], square_mask())


def test_labelme_rectangles_are_drawn(images):
    for number in range(6):
        write_labelme(images, number, points=[[4, 2], [12, 10]], shape_type="rectangle")
    data = open_dataset(images)
    assert np.array_equal(data.read(data.all_samples[0])[1], square_mask())


def test_a_damaged_labelme_file_is_named(images):
    for number in range(6):
        write_labelme(images, number)
    (images / "images" / "3.json").write_text("{")
    with pytest.raises(DataError, match=r"3\.json: the file cannot be read as json"):
        open_dataset(images)


def test_labelme_json_beside_the_images_is_read(tmp_path):
    def write(path, mask, number):
        shapes = [
            {
                "label": ("box", "disc")[label - 1],
                "points": points.tolist(),
                "shape_type": "polygon",
            }
            for label, points in outlines(number)
        ]
        path.write_text(json.dumps({"shapes": shapes, "imagePath": "", "imageData": None}))

    write_pairs(tmp_path, "{n}.jpg", "{n}.json", write)
    assert_truth(tmp_path)
