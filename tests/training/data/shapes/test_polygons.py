from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskzoo.models.errors import DataError, SpecError
from maskzoo.training.data.find.layouts import find_pairs
from maskzoo.training.data.opening import open_dataset

SQUARE = [[4, 2], [12, 2], [12, 10], [4, 10]]


@pytest.fixture
def images(tmp_path, write_picture, photo):
    for number in range(6):
        write_picture(tmp_path / "images" / f"{number}.jpg", photo(number))
    return tmp_path


def expected() -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    mask[2:11, 4:13] = 1
    return mask


def write_labelme(root, number, label="cat", **shape):
    entry = {"label": label, "points": SQUARE, "shape_type": "polygon", **shape}
    (root / "images" / f"{number}.json").write_text(json.dumps({"shapes": [entry]}))


def test_labelme_is_drawn(images):
    for number in range(6):
        write_labelme(images, number)
    data = open_dataset(images)
    assert data.labels.names == ("background", "cat")
    for sample in data.all_samples:
        assert np.array_equal(data.read(sample)[1], expected())


def test_labelme_rectangles_are_drawn(images):
    for number in range(6):
        write_labelme(images, number, points=[[4, 2], [12, 10]], shape_type="rectangle")
    data = open_dataset(images)
    assert np.array_equal(data.read(data.all_samples[0])[1], expected())


def test_yolo_is_drawn_with_the_names_of_its_own_file(images):
    (images / "labels").mkdir()
    scaled = " ".join(f"{x / 32} {y / 24}" for x, y in SQUARE)
    for number in range(6):
        (images / "labels" / f"{number}.txt").write_text(f"0 {scaled}\n")
    (images / "data.yaml").write_text("names: {0: dog, 1: cat}\ntrain: images\n")
    data = open_dataset(images)
    assert data.labels.names == ("background", "dog", "cat")
    assert np.array_equal(data.read(data.all_samples[0])[1], expected())


def test_yolo_boxes_are_no_masks(images):
    (images / "labels").mkdir()
    (images / "labels" / "0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match="no images with masks"):
        find_pairs(images)


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
    assert np.array_equal(mask, np.where(expected() == 1, 1, 2))


@pytest.mark.parametrize("packed", [True, False])
def test_coco_run_lengths_are_drawn(images, packed):
    if packed:
        runs = coco_mask.encode(np.asfortranarray(expected()))
        runs["counts"] = runs["counts"].decode()
    else:
        flat = expected().ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = {"size": [24, 32], "counts": np.diff([0, *edges, flat.size]).tolist()}
    rows = [{"image_id": number, "category_id": 3, "segmentation": runs} for number in range(6)]
    data = coco(images, rows)
    assert np.array_equal(data.read(data.all_samples[0])[1], expected())


def test_polygon_classes_are_described_by_name(images):
    for number in range(6):
        write_labelme(images, number, label="cat" if number % 2 else "dog")
    (images / "dataset.yaml").write_text(
        "encoding: names\nclasses:\n  - {name: nothing, values: [background]}\n"
        "  - {name: animal, values: [cat, dog]}\n"
    )
    data = open_dataset(images)
    assert data.labels.names == ("nothing", "animal")
    assert all(np.array_equal(data.read(sample)[1], expected()) for sample in data.all_samples)


def test_a_polygon_class_that_does_not_exist_is_suggested(images):
    for number in range(6):
        write_labelme(images, number)
    (images / "dataset.yaml").write_text(
        "encoding: names\nclasses: [{name: a, values: [background]}, {name: b, values: [cta]}]\n"
    )
    with pytest.raises(SpecError, match="'cta' is not a class of the polygons; did you mean 'cat'"):
        open_dataset(images)


def test_a_damaged_labelme_file_is_named(images):
    for number in range(6):
        write_labelme(images, number)
    (images / "images" / "3.json").write_text("{")
    with pytest.raises(DataError, match=r"3\.json: the file cannot be read as json"):
        open_dataset(images)
