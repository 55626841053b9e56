from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.records.rawmask import NO_PIXEL
from maskzoo.training.data.shapes.coco import CocoDocument, CocoPolygons
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
    whole = [0.0, 0.0, 32.0, 0.0, 32.0, 24.0, 0.0, 24.0]
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


def drawn(images, *rows, size=(24, 32), stated=(24, 32), categories=({"id": 3, "name": "cat"},)):
    """Return the mask of one image with these annotations."""
    image = {"id": 1, "file_name": "0.jpg", "height": stated[0], "width": stated[1]}
    content = {"images": [image], "annotations": rows, "categories": categories}
    document = CocoDocument(images / "a.json", content, {"1": images / "0.jpg"})
    reader = CocoPolygons.of([document])
    return paint(reader.read(images / "0.jpg", images / "a.json"), reader.names, size)


def row(segmentation, **keys):
    return {"id": 17, "image_id": 1, "category_id": 3, "segmentation": segmentation, **keys}


FLAT = [4, 2, 12, 2, 12, 10, 4, 10]


def test_a_square_of_a_json_has_the_area_that_the_json_states(images):
    assert drawn(images, row([[5, 5, 9, 5, 9, 9, 5, 9]])).codes.sum() == 16


def test_flat_polygons_and_ids_that_are_strings_are_read(images):
    raw = drawn(images, row(FLAT, image_id="1", category_id="3"))
    assert np.array_equal(raw.codes, square_mask())


@pytest.mark.parametrize("area", [{}, {"area": 0}, {"area": None}, {"area": 1e9}])
def test_small_shapes_lie_on_large_ones_whatever_area_is_stated(images, area):
    whole = [0, 0, 32, 0, 32, 24, 0, 24]
    two = ({"id": 3, "name": "cat"}, {"id": 7, "name": "tree"})
    rows = row([FLAT], **area), row([whole], category_id=7)
    raw = drawn(images, *rows, categories=two)
    assert np.array_equal(raw.codes, np.where(square_mask() == 1, 1, 2))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[4, 2, 12, 2, 12, 10, 4]], "an odd number of coordinates"),
        ([[4, 2, 12, 2, 12, "x"]], "coordinates that are not numbers"),
        ([[4, 2, 12, 2, 12, float("nan")]], "coordinates that are not numbers"),
        ({"size": [24, 32], "counts": [5, 5]}, "run lengths of 10 pixels for a size of 32 x 24"),
        ({"size": [24, 32], "counts": "zzzz~~"}, "run lengths without a size or counts"),
        ({"size": [24, 32], "counts": "oooo"}, "run lengths without a size or counts"),
        ({"counts": [5, 5]}, "run lengths without a size or counts"),
        ("polygon", "neither a list nor run lengths"),
    ],
)
def test_a_damaged_annotation_is_named_and_the_others_are_drawn(images, segmentation, message):
    raw = drawn(images, row([FLAT]), row(segmentation, id=18))
    assert np.array_equal(raw.codes, square_mask())
    (line,) = raw.tally.damaged
    assert line.startswith("0.jpg, annotation 18: damaged (")
    assert message in line


def test_a_damaged_annotation_is_an_error_that_allow_bad_leaves_out(images):
    rows = [{"id": n, "image_id": n, "category_id": 3, "segmentation": [FLAT]} for n in range(6)]
    rows[4]["segmentation"] = [[1, 2, 3]]
    with pytest.raises(DataError, match=r"annotations\.json: 4\.jpg, annotation 4: damaged"):
        coco(images, rows)
    data = open_dataset(images, allow_bad=1)
    assert len(data.all_samples) == 5


def test_what_is_not_drawn_is_counted_by_kind(images):
    raw = drawn(
        images,
        row([FLAT]),
        row([], bbox=[1, 1, 5, 5]),
        row([FLAT], category_id=99),
        row([[1, 1, 5, 5]]),
        row([[40, 40, 50, 40, 50, 50]]),
        row([[4e6, 2, 12, 2, 12, 10]]),
    )
    assert (raw.tally.found, raw.tally.drawn) == (6, 1)
    assert raw.tally.not_drawn == {
        "boxes without an outline": 1,
        "of a category that the json does not list": 1,
        "outlines of fewer than three points": 1,
        NO_PIXEL: 1,
        "with coordinates far outside the image": 1,
    }


def test_annotations_of_another_size_are_scaled_or_refused(images):
    doubled = [2 * value for value in FLAT]
    assert np.array_equal(drawn(images, row([doubled]), stated=(48, 64)).codes, square_mask())
    runs = coco_mask.encode(np.asfortranarray(np.kron(square_mask(), np.ones((2, 2), np.uint8))))
    runs["counts"] = runs["counts"].decode()
    assert np.array_equal(drawn(images, row(runs), stated=(48, 64)).codes, square_mask())
    with pytest.raises(DataError, match="are for 64 x 64, but the image is 32 x 24"):
        drawn(images, row([FLAT]), stated=(64, 64))
    with pytest.raises(DataError, match="apply_exif_to_masks: true"):
        drawn(images, row([FLAT]), stated=(32, 24))


def test_a_json_of_boxes_alone_is_refused_in_words(images):
    rows = [
        {"id": n, "image_id": n, "category_id": 3, "segmentation": [], "bbox": [1, 2, 3, 4]}
        for n in range(6)
    ]
    with pytest.raises(DataError, match=r"no annotation has an outline .* 6 boxes"):
        coco(images, rows)


def test_boxes_beside_masks_are_told_and_not_asked_about(images):
    (images / "masks").mkdir()
    for number in range(6):
        mask = np.roll(square_mask(), number, axis=0)
        Image.fromarray(mask).save(images / "masks" / f"{number}.png")
    rows = [{"id": n, "image_id": n, "category_id": 3, "bbox": [1, 2, 3, 4]} for n in range(6)]
    data = coco(images, rows)
    assert data.labels.num_classes == 2
    assert any("annotations.json: no annotation has an outline" in note for note in data.notes)
