from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskzoo.training.data.opening import open_dataset
from tests.training.data.documents import (
    SQUARE,
    square_mask,
)


def coco(images, rows):
    files = [{"id": n, "file_name": f"{n}.jpg", "width": 32, "height": 24} for n in range(6)]
    categories = [{"id": 7, "name": "tree"}, {"id": 3, "name": "cat"}]
    content = {"images": files, "annotations": rows, "categories": categories}
    (images / "annotations.json").write_text(json.dumps(content))
    return open_dataset(images)


def test_coco_polygons_are_drawn_small_over_large(images):
    flat = [float(value) for point in SQUARE for value in point]
    whole = [0.0, 0.0, 31.0, 0.0, 31.0, 23.0, 0.0, 23.0]
    rows = [
        {"image_id": number, "category_id": category, "segmentation": [ring], "area": area}
        for number in range(6)
        for category, ring, area in ((3, flat, 64), (7, whole, 700))
    ]
    data = coco(images, rows)
    assert data.labels.names == ("background", "cat", "tree")
    mask = data.read(data.all_samples[0])[1]
    assert np.array_equal(mask, np.where(square_mask() == 1, 1, 2))


@pytest.mark.parametrize("packed", [True, False])
def test_coco_run_lengths_are_drawn(images, packed):
    if packed:
        runs = coco_mask.encode(np.asfortranarray(square_mask()))
        runs["counts"] = runs["counts"].decode()
    else:
        flat = square_mask().ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = {"size": [24, 32], "counts": np.diff([0, *edges, flat.size]).tolist()}
    rows = [{"image_id": number, "category_id": 3, "segmentation": runs} for number in range(6)]
    data = coco(images, rows)
    assert np.array_equal(data.read(data.all_samples[0])[1], square_mask())
