"""COCO documents of columns, which tell an image's shapes in one row of its mask."""

from __future__ import annotations

import json

import numpy as np


def coco_document(rows, categories):
    """Return a COCO json of images (name, ids of the categories drawn, one column each)."""
    images = [{"id": n, "file_name": name} for n, (name, _) in enumerate(rows)]
    annotations = [
        {
            "image_id": n,
            "category_id": category,
            "segmentation": [[8 * place, 0, 8 * place + 8, 0, 8 * place + 8, 48, 8 * place, 48]],
        }
        for n, (_, drawn) in enumerate(rows)
        for place, category in enumerate(drawn)
    ]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def column_labels(data):
    return {sample.stem: data.read(sample)[1][0, ::8].tolist() for sample in data.all_samples}


SQUARE = [[4, 2], [12, 2], [12, 10], [4, 10]]


def square_mask() -> np.ndarray:
    """Return the square as pycocotools draws it: eight pixels wide."""
    mask = np.zeros((24, 32), np.uint8)
    mask[2:10, 4:12] = 1
    return mask


def labelme_square_mask() -> np.ndarray:
    """Return the square as labelme exports it: with the pixels on its outline."""
    mask = np.zeros((24, 32), np.uint8)
    mask[2:11, 4:13] = 1
    return mask


def write_labelme(root, number, label="cat", **shape):
    entry = {"label": label, "points": SQUARE, "shape_type": "polygon", **shape}
    (root / "images" / f"{number}.json").write_text(json.dumps({"shapes": [entry]}))
