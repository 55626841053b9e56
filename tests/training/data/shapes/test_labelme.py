from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from tests.training.data.documents import (
    SQUARE,
    labelme_square_mask,
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
        assert np.array_equal(data.read(sample)[1], labelme_square_mask())


def test_labelme_rectangles_are_drawn(images):
    for number in range(6):
        write_labelme(images, number, points=[[4, 2], [12, 10]], shape_type="rectangle")
    data = open_dataset(images)
    assert np.array_equal(data.read(data.all_samples[0])[1], labelme_square_mask())


def test_a_damaged_labelme_file_is_named(images):
    for number in range(6):
        write_labelme(images, number)
    (images / "images" / "3.json").write_text("{")
    with pytest.raises(DataError, match=r"3\.json"):
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


def read_one(images, shapes, names=("cat",), size=(24, 32), **keys):
    file = images / "one.json"
    file.write_text(json.dumps({"shapes": shapes, **keys}))
    return paint(LabelmePolygons(names).read(images / "one.png", file), names, size)


def entry(kind, points, label="cat", **keys):
    return {"label": label, "points": points, "shape_type": kind, **keys}


def test_an_ai_mask_is_drawn_at_its_corner(images):
    pixels = np.zeros((9, 9), np.uint8)
    pixels[::2] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    raw = read_one(images, [entry("mask", [[4, 2], [12, 10]], mask=text)])
    expected = np.zeros((24, 32), np.uint8)
    expected[2:11:2, 4:13] = 1
    assert np.array_equal(raw.codes, expected)


def test_a_damaged_ai_mask_is_counted_as_damaged(images):
    raw = read_one(images, [entry("mask", [[4, 2], [12, 10]], mask="not a png")])
    assert len(raw.tally.damaged) == 1
    assert "one.png, shape 1, 'cat': damaged (the mask is not a PNG" in raw.tally.damaged[0]


def test_lines_points_and_rectangles_without_corners_are_counted(images):
    shapes = [
        entry("line", [[0, 0], [9, 9]]),
        entry("linestrip", [[0, 0], [9, 9], [9, 3]]),
        entry("point", [[3, 3]]),
        entry("rotation", [[3, 3], [9, 9]]),
        entry("rectangle", SQUARE),
    ]
    tally = read_one(images, shapes).tally
    assert (tally.found, tally.drawn, tally.covered) == (5, 1, 0)
    assert tally.not_drawn == {"lines": 2, "points": 1, "of type 'rotation' with 2 points": 1}


def test_a_rotated_rectangle_of_four_corners_is_a_polygon(images):
    corners = [[10, 2], [18, 10], [10, 18], [2, 10]]
    turned = read_one(images, [entry("rotation", corners)])
    assert np.array_equal(turned.codes, read_one(images, [entry("polygon", corners)]).codes)
    assert turned.codes.sum() > 100


def test_reserved_names_are_void_and_background(images):
    shapes = [
        entry("polygon", [[0, 0], [31, 0], [31, 23], [0, 23]]),
        entry("rectangle", [[4, 2], [12, 10]], "__ignore__"),
        entry("rectangle", [[20, 2], [22, 4]], "_background_"),
    ]
    raw = read_one(images, shapes)
    assert np.array_equal(np.unique(raw.codes, return_counts=True)[0], [0, 1, 255])
    assert (raw.codes == 255).sum() == 81
    assert (raw.codes == 0).sum() == 9


@pytest.mark.parametrize(
    ("kind", "points", "draw"),
    [
        ("rectangle", [(3.2, 4.9), (17.5, 9.1)], ImageDraw.ImageDraw.rectangle),
        ("circle", [(12.3, 11.7), (15.9, 14.2)], ImageDraw.ImageDraw.ellipse),
    ],
)
def test_a_shape_covers_the_pixels_of_the_export(images, kind, points, draw):
    """labelme's export draws rectangles and circles with Pillow, with fill and outline."""
    box = points
    if kind == "circle":
        (x, y), (right, bottom) = points
        radius = ((x - right) ** 2 + (y - bottom) ** 2) ** 0.5
        box = [(x - radius, y - radius), (x + radius, y + radius)]
    canvas = Image.new("L", (32, 24))
    draw(ImageDraw.Draw(canvas), box, fill=1, outline=1)
    assert np.array_equal(read_one(images, [entry(kind, points)]).codes, np.asarray(canvas))


def test_shapes_made_at_twice_the_size_are_scaled(images):
    doubled = [[2 * x, 2 * y] for x, y in SQUARE]
    raw = read_one(images, [entry("polygon", doubled)], imageHeight=48, imageWidth=64)
    assert np.array_equal(raw.codes, labelme_square_mask())
    assert raw.tally.scaled_from == (48, 64)
